"""Reads the meaning of one value of an outcome: won, lost, open, or not clear.

The words of languages are listed in outcome_words.toml, the default pipelines of CRMs in
picklists.toml.
"""

import re
import tomllib
import unicodedata
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from drafting.nothing_words import is_nothing
from features.attributes.flag import NO, YES

Phrase = tuple[str, ...]

DEPENDS = "it depends on your company what this means"
CODE = "a code of Dataverse"
UNKNOWN = "its words are not known"
PARTLY_KNOWN = "it has words for {outcome}, and other words that are not known"
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_NUMBERING = re.compile(r"^\W*(?:[a-z]?\d{1,3}|[a-z])\s*[.):\]|–—-]+\s*(?=\w)", re.IGNORECASE)
_SEPARATOR = re.compile(  # before a reason or a remark
    r"\s+-+\s*|-+\s+|(?<=[\u3040-\u9fff])-+|\s*[–—:(,;|>\[]\s*"
)
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*%")
_NOT_DECOMPOSED = str.maketrans("łøđıŁØĐ", "lodilod")
_NEGATION_REACH = 2  # words between a negation and the word that it negates, plus one


class Meaning(NamedTuple):
    """The meaning of a value of an outcome.

    Attributes
    ----------
    outcome : {"won", "lost", "open"} or None
        None if it is not clear.
    why : str
        Why it is not clear, or a remark; may be empty.
    is_yes_or_no : bool
        True if the value is a yes or a no, so that the name of its column decides what it means.
    likely : {"won", "lost"} or None
        The likely meaning of a value that is not clear: by its known words, or in some companies.
    """

    outcome: str | None
    why: str = ""
    is_yes_or_no: bool = False
    likely: str | None = None


class _Match(NamedTuple):
    """A phrase that is in a value: its words from `start` to `end`, and its key in the file."""

    start: int
    end: int
    key: str


def meaning_of(value: str, column_words: str = "") -> Meaning:
    """Return what a value of an outcome means.

    Parameters
    ----------
    value : str
        One value, as the CRM has it.
    column_words : str
        The lower-case words of the column's name: codes mean something in some columns only.

    Examples
    --------
    >>> [meaning_of(value).outcome for value in ("5 - Closed Won", "Open - Not Contacted", "失注")]
    ['won', 'open', 'lost']
    >>> meaning_of("nicht gewonnen").outcome, meaning_of("Closed").outcome
    ('lost', None)
    >>> meaning_of("2").outcome, meaning_of("2", "statecode").outcome
    (None, 'lost')
    """
    codes = _CODES.get(column_words.replace(" ", ""))
    code = value.removesuffix(".0")  # programs append it if cells are missing
    if codes is not None and code in codes:
        return Meaning(codes[code], CODE)
    answer = unicodedata.normalize("NFKC", value).casefold()
    if answer in YES | NO:
        return Meaning("won" if answer in YES else "lost", is_yes_or_no=True)
    if is_nothing(value):
        return Meaning("open", "a word for an empty cell")
    words = normal_words(value)
    outcome = _PICKLISTS.get(" ".join(words), "check")
    meaning = _meaning_of_words(words) if outcome == "check" else Meaning(outcome)
    if meaning.outcome is None:
        meaning = _meaning_before_remark(value, meaning)
    percent = _PERCENT.search(value)
    if meaning.outcome == "won" and percent and float(percent[1].replace(",", ".")) < 100:
        return Meaning(None, "it has words for won, and a percentage below 100")
    return meaning


def yes_means_lost(name: str) -> bool:
    """Return whether a yes in a column means lost, by the words of its name.

    Examples
    --------
    >>> yes_means_lost("Is Lost"), yes_means_lost("Not Won"), yes_means_lost("Is Won")
    (True, True, False)
    """
    meaning = meaning_of(name)
    return "lost" in (meaning.outcome, meaning.likely) or is_negated_win(name)


def is_negated_win(name: str) -> bool:
    """Return whether a name is a word for won with a negation.

    Examples
    --------
    >>> is_negated_win("Not converted"), is_negated_win("Lost"), is_negated_win("Nicht gewonnen")
    (True, False, True)
    """
    words = normal_words(name)
    return any(
        ((word,), "not") in _PHRASES.get(word, ())
        and _meaning_of_words((*words[:i], *words[i + 1 :])).outcome == "won"
        for i, word in enumerate(words)
    )


def _meaning_before_remark(value: str, of_whole: Meaning) -> Meaning:
    """Read a value such as "Lost - price" by its first part, unless the other words contradict it.

    >>> _meaning_before_remark("Lost - went to Acme", Meaning(None)).outcome
    'lost'
    >>> _meaning_before_remark("Won - open invoice", Meaning(None)).outcome is None
    True
    """
    text = _NUMBERING.sub("", unicodedata.normalize("NFKC", value))
    first, *remark = _SEPARATOR.split(text, maxsplit=1)
    meaning = _meaning_of_words(normal_words(first))
    if not remark or meaning.outcome not in ("won", "lost"):
        return of_whole
    words = normal_words(remark[0])
    keys = {match.key.removesuffix("_alone") for match in _longest(_matches(words))}
    contradicts = keys - _REMARKS[meaning.outcome] or remark[0].casefold().strip(" )]") in NO
    return of_whole if contradicts else meaning


@lru_cache(maxsize=4_096)
def normal_words(value: str) -> Phrase:
    """Split a value into words without case, accents, numbering and punctuation.

    Every Japanese and Chinese character is a word, because these languages have no spaces.

    Examples
    --------
    >>> normal_words("[4] Gewönnen!"), normal_words("IN_PROGRESS"), normal_words("ClosedWon (100%)")
    (('gewonnen',), ('in', 'progress'), ('closed', 'won'))
    """
    text = unicodedata.normalize("NFKC", value)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _NUMBERING.sub("", text))
    text = text.casefold().translate(_NOT_DECOMPOSED)
    letters = [c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f"]
    text = _CJK.sub(r" \g<0> ", unicodedata.normalize("NFC", "".join(letters)))
    words = re.findall(r"[^\W_]+", text)
    return tuple(word for word in words if not re.fullmatch(r"\d+", word)) or tuple(words)


def _meaning_of_words(words: Phrase) -> Meaning:
    """Read a value by its known words; it is won or lost only if every word is known."""
    matches = _longest(_matches(words))
    meaning = _meaning_of_keys(words, matches)
    covered = {i for match in matches for i in range(match.start, match.end)}
    is_whole = all(i in covered or word in _IGNORED for i, word in enumerate(words))
    if is_whole or (meaning.outcome is None and meaning.why != DEPENDS):
        return meaning
    keys = {match.key for match in matches}
    if meaning.outcome == "open" and "open" in keys and not keys & {"won", "lost"}:
        return meaning
    if meaning.outcome == "lost" and "competitor" in keys:
        return meaning
    of_words = next((key for key in ("won", "lost") if key in keys), "")
    if "check" in keys:
        return meaning
    if not of_words:
        return Meaning(None, UNKNOWN)
    why = PARTLY_KNOWN.format(outcome=of_words)
    likely = meaning.outcome if meaning.outcome != "open" else None
    return Meaning(None, why, likely=likely)


def _meaning_of_keys(words: Phrase, matches: list[_Match]) -> Meaning:
    """Combine the phrases that are in a value."""
    keys = {_negated(match, matches) for match in matches if match.key not in _MODIFIERS}
    modifiers = {match.key for match in matches} & _MODIFIERS
    is_record = [set(words[match.start : match.end]) <= _IGNORED for match in matches]
    others = {match.key for match, ignored in zip(matches, is_record, strict=True) if not ignored}
    means_won = bool({"won", "won_alone"} & keys)
    if "competitor" in modifiers and {"won", "lost"} <= keys:
        return Meaning("lost")
    if "competitor" in modifiers and (means_won or (keys and "lost" not in keys)):
        return Meaning(None, "it is not clear whether a competitor won")
    if "not_yet" in modifiers and means_won != ("lost" in keys):
        return Meaning("open")
    strong = {key for key in keys if key in ("won", "lost", "open", "check")}
    if "won" in strong and "not" in modifiers:
        return Meaning(None, "it is not clear what is negated")
    if strong & {"won", "lost"} and "open_alone" in others:
        strong.add("open")
    if len(strong) == 1:
        outcome = strong.pop()
        return Meaning(None, DEPENDS) if outcome == "check" else Meaning(outcome)
    if strong:
        named = " and of ".join(sorted(strong - {"check"}) or ["check"])
        return Meaning(None, f"it contains words of {named}" if "check" not in strong else DEPENDS)
    if not keys:
        return Meaning(None, UNKNOWN)
    if "maybe_won" in keys:
        return Meaning(None, DEPENDS, likely="won")
    outcomes = {key.removesuffix("_alone") for key in keys}
    if len(outcomes) == 1 and "check" not in outcomes:
        return Meaning(outcomes.pop())
    return Meaning("lost") if outcomes == {"lost", "open"} else Meaning(None, DEPENDS)


def _matches(words: Phrase) -> list[_Match]:
    """Find all phrases in the words of a value."""
    found = []
    for start, word in enumerate(words):
        for phrase, key in _PHRASES.get(word, ()):
            end = start + len(phrase)
            if words[start:end] == phrase:
                found.append(_Match(start, end, key))
        for length in range(1, len(word) + 1):  # stems: "*" at the end of the last word
            for phrase, key in _STEMS.get(word[:length], ()):
                begin = start - len(phrase) + 1
                if begin >= 0 and words[begin:start] == phrase[:-1]:
                    found.append(_Match(begin, start + 1, key))
    return found


def _longest(matches: list[_Match]) -> list[_Match]:
    """Keep the longest of matches that overlap, in the order of the words."""
    kept: list[_Match] = []
    for match in sorted(matches, key=lambda match: (match.start - match.end, match.start)):
        if all(match.end <= other.start or other.end <= match.start for other in kept):
            kept.append(match)
    return sorted(kept)


def _negated(match: _Match, matches: list[_Match]) -> str:
    """Return the key of a match, changed if a negation is near it."""
    reach = range(match.start - _NEGATION_REACH, match.start)
    is_negated = any(
        (other.key == "not" and other.end - 1 in reach)
        or (other.key == "not_after" and other.start == match.end)
        for other in matches
    )
    if not is_negated:
        return match.key
    return "lost" if match.key in ("won", "won_alone", "maybe_won") else "check"


def _words_of_phrase(phrase: str) -> Phrase:
    return normal_words(phrase.rstrip("*"))


def _lexicon(
    listed: dict[str, dict[str, list[str]]],
) -> tuple[dict[str, list[tuple[Phrase, str]]], dict[str, list[tuple[Phrase, str]]]]:
    """Index the phrases by their first word, and those with "*" by the stem of the last word."""
    phrases, stems = defaultdict(list), defaultdict(list)
    for keys in listed.values():
        for key, texts in keys.items():
            for text in texts:
                words = _words_of_phrase(text)
                if text.endswith("*"):
                    stems[words[-1]].append((words, key))
                else:
                    phrases[words[0]].append((words, key))
    return dict(phrases), dict(stems)


def _read(name: str) -> dict[str, Any]:
    path = Path(__file__).with_name(name)
    return tomllib.loads(path.read_text(encoding="utf-8"))


_REMARKS: Final = {"won": {"won"}, "lost": {"lost", "check", "not", "not_after", "competitor"}}
_MODIFIERS: Final = frozenset({"not", "not_after", "not_yet", "competitor"})
_LISTED: Final = _read("outcome_words.toml")
_IGNORED: Final = frozenset(_LISTED.pop("ignored")["words"])
_PHRASES, _STEMS = _lexicon(_LISTED)
_CRMS: Final = _read("picklists.toml")
_CODES: Final = {
    column: {code: outcome for outcome, codes in meanings.items() for code in codes}
    for column, meanings in _CRMS.pop("codes").items()
}
_PICKLISTS: Final = {
    " ".join(normal_words(value)): outcome
    for meanings in _CRMS.values()
    for outcome, values in meanings.items()
    for value in values
}
