"""Guesses the encoding of a text from how plausible its words are in each encoding.

A few words are enough: `Köln` is more plausible than `Kšln`, and `紹介` than `뤢됳`. But the result
is a guess. So it contains words as the guessed encoding reads them, and as the next likely one
does.
"""

import codecs
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from crm.text import listed

SCORED_WORDS: Final = 300
CLEAR: Final = 5.0  # the least log-likelihood ratio that questions a declared encoding
EXAMPLES: Final = 2
UNICODE_ENCODINGS: Final = 14  # the number of encodings, from the first, that cover all languages
# The share of a letter in texts of its language, if the data lists it under `often`, `sometimes`
# or `rarely`, and if it does not list the letter.
SHARES: Final = {
    "LATIN": (0.012, 0.004, 0.0008, 0.00003),
    "CJK": (0.0015, 0.0015, 0.0015, 0.000004),
    "HANGUL": (0.004, 0.004, 0.004, 0.000004),
}
OTHER_SHARES: Final = (0.05, 0.015, 0.003, 0.00005)
FIRST_LEVEL: Final = {"CJK": 0.00015, "HANGUL": 0.0002}
KANA: Final = 0.012
HALF_KANA: Final = 0.003
NOT_TEXT: Final = 1e-9
IMPLAUSIBLE: Final = 2e-5  # the least mean share of the characters
MIXED: Final = 0.0005  # a letter of another script within a word
_VOWELS: Final = frozenset("aeiouy")
_QUOTES: Final = frozenset("’‘“”„‚«»–—…")
_MARKS: Final = frozenset("•‹›€£°§®™·ªº½¼¾²³±©¿¡´№、。「」（）：，・ー～〜！？／％＆【】")
_BROKEN: Final = re.compile(r"[^\W\d_a-zA-Z][\[\\\]^_`{|}~@](?=[^\W\d_])")
_LETTERS: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class EncodingGuess:
    """An encoding that is guessed, with words that show whether the guess is right.

    Attributes
    ----------
    encoding : str
        The name of the encoding in Python.
    what : str
        The languages and systems that use it, such as "Western European, Windows".
    examples : tuple of str
        Words in this encoding which the next likely encoding reads differently.
    other : str
        The next likely encoding; empty if there is none.
    other_examples : tuple of str
        The same words in that encoding.
    margin : float
        The log-likelihood ratio of the two encodings.
    n_utf8 : int
        The number of lines that are valid in UTF-8 too.
    utf8_line : int
        The first of these lines, from 1.
    """

    encoding: str
    what: str
    examples: tuple[str, ...]
    other: str = ""
    other_examples: tuple[str, ...] = ()
    margin: float = math.inf
    n_utf8: int = 0
    utf8_line: int = 0

    def note(self) -> str:
        """Return the sentence about the guess.

        Examples
        --------
        >>> EncodingGuess("cp1252", "Western", ("Köln",), "mac_roman", ("Kˆln",)).note()[:67]
        'the file is not in UTF-8. Its encoding is a guess: cp1252 (Western)'
        """
        return (
            f"the file is not in UTF-8. Its encoding is a guess: {self.readings()} If the words "
            "are wrong, set `encoding`."
        )

    def readings(self) -> str:
        """Return words as this encoding and the next likely one read them, in sentences."""
        other = f"; {self.other} would read {listed(self.other_examples)}" if self.other else ""
        lines = "1 line" if self.n_utf8 == 1 else f"{self.n_utf8:,} lines"
        mixed = f" {lines} may be in UTF-8 (first line {self.utf8_line:,})." if self.n_utf8 else ""
        return f"{self.encoding} ({self.what}) reads {listed(self.examples)}{other}.{mixed}"

    def doubt_about(self, declared: str) -> str:
        """Return a sentence if a declared encoding reads far less plausible words; otherwise "".

        Examples
        --------
        >>> guess = EncodingGuess("cp1251", "Cyrillic, Windows", ("Партнёр",))
        >>> print(guess.doubt_about("cp1252"))
        The encoding cp1252 reads "Ïàðòí¸ð"; cp1251 would read "Партнёр".
        >>> guess.doubt_about("windows-1251")
        ''
        """
        shown = [
            (word, word.encode(self.encoding).decode(declared, errors="replace"))
            for word in self.examples
        ]
        differing = [pair for pair in shown if pair[0] != pair[1]]
        known = {codecs.lookup(entry.name).name: entry.name for entry in _data().encodings}
        name = known.get(codecs.lookup(declared).name, "cp1252")
        if not differing or plausibility([pair[1] for pair in differing], name) > (
            plausibility([pair[0] for pair in differing], self.encoding) - CLEAR
        ):
            return ""
        return (
            f"The encoding {declared} reads {listed(pair[1] for pair in differing)}; "
            f"{self.encoding} would read {listed(pair[0] for pair in differing)}."
        )


class _Encoding(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    what: str
    doubt: float
    languages: list[str]


class _Language(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    script: str
    often: str
    sometimes: str
    rarely: str
    doubt: float = 0.0
    unusual: str = ""


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    encodings: list[_Encoding]
    languages: list[_Language]


@cache
def _data() -> _Data:
    return msgspec.toml.decode(Path(__file__).with_suffix(".toml").read_bytes(), type=_Data)


def guess_encoding(words: Counter[bytes]) -> EncodingGuess | None:
    """Guess the encoding of the words of a text that contain bytes beyond ASCII.

    Parameters
    ----------
    words : Counter of bytes
        Distinct words with their counts.

    Returns
    -------
    EncodingGuess or None
        None if no encoding reads all words as plausible text.

    Examples
    --------
    >>> guess = guess_encoding(Counter(["Köln".encode("mac_roman")]))
    >>> guess.encoding, guess.examples
    ('mac_roman', ('Köln',))
    """
    ranked = sorted(
        (
            (plausibility(scored, encoding.name), -place, encoding, scored)
            for place, encoding in enumerate(_data().encodings)
            if (scored := _decoded(words, encoding.name)) is not None
        ),
        reverse=True,
        key=lambda row: row[:2],
    )
    if not ranked:
        return None
    score, _, best, texts = ranked[0]
    if score < math.log(IMPLAUSIBLE) * sum(not c.isascii() for text in texts for c in text):
        return None
    for other_score, _, other, other_texts in ranked[1:]:
        if other_texts != texts:
            differing = [
                pair for pair in zip(texts, other_texts, strict=True) if pair[0] != pair[1]
            ]
            shown, others = zip(*_shown(differing), strict=True)
            return EncodingGuess(
                best.name, best.what, shown, other.name, others, score - other_score
            )
    return EncodingGuess(best.name, best.what, tuple(texts[:EXAMPLES]))


def plausibility(texts: Sequence[str], encoding: str) -> float:
    """Return the log-likelihood that texts, as an encoding reads them, are in its languages.

    Examples
    --------
    >>> plausibility(["Köln"], "cp1252") > plausibility(["Kšln"], "cp1252")
    True
    """
    found = next(entry for entry in _data().encodings if entry.name == encoding)
    return -found.doubt + sum(
        max(_score(text, language, encoding) for language in found.languages) for text in texts
    )


def text_plausibility(text: str) -> float:
    """Return the log-likelihood that a text is of any language.

    Examples
    --------
    >>> text_plausibility("Köln") > text_plausibility("KĂ¶ln")
    True
    """
    return max(
        _score(text, language, encoding.name)
        for encoding in _data().encodings[:UNICODE_ENCODINGS]
        for language in encoding.languages
    )


def _decoded(words: Counter[bytes], encoding: str) -> list[str] | None:
    """Decode the most frequent words; None if any word is not valid in the encoding."""
    try:
        texts = [word.decode(encoding) for word, _ in words.most_common()]
    except UnicodeDecodeError:
        return None
    return texts[:SCORED_WORDS]


def _shown(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the words to show: frequent ones of letters only, if there are some."""
    words = [pair for pair in pairs if _LETTERS.fullmatch(pair[0]) and len(pair[0]) > 1]
    return (words or pairs)[:EXAMPLES]


@lru_cache(1 << 14)
def _score(text: str, language: str, encoding: str) -> float:
    """Return the log-likelihood of the characters beyond ASCII of a text."""
    found = next(entry for entry in _data().languages if entry.name == language)
    total = -found.doubt
    for i, character in enumerate(text):
        if character.isascii():
            continue
        before, behind = text[i - 1 : i], text[i + 1 : i + 2]
        total += math.log(_share(character, found, encoding, before, behind))
    total += math.log(0.02) * len(_BROKEN.findall(text))
    return total + sum(_word_score(word, found) for word in _LETTERS.findall(text))


def _share(character: str, language: _Language, encoding: str, before: str, behind: str) -> float:
    """Return the share of a character in texts of a language, given the characters around it."""
    n_letters = before.isalpha() + behind.isalpha()
    if character in _QUOTES:
        return 0.01 if n_letters < 2 or character in "’–" else 1e-5
    if character in _MARKS:
        beside_digit = before.isdigit() or behind.isdigit()
        return 1e-5 if n_letters == 2 else 3e-5 if n_letters else 0.004 if beside_digit else 0.001
    if character in "\xa0\u3000":
        return 1e-4 if n_letters == 2 else 0.005
    kind = unicodedata.category(character)[0]
    if kind not in "LM":
        return NOT_TEXT if kind == "C" else 1e-6
    if kind == "M" and not _may_carry(before, character):
        return 1e-7
    share = _letter_share(character, language, encoding)
    return share if n_letters and not before.isdigit() and not behind.isdigit() else 0.05 * share


def _may_carry(before: str, mark: str) -> bool:
    """Check whether a mark, such as a vowel sign of Thai, may follow a character.

    A mark follows letters and marks of its own script. The accents that Unicode calls combining
    follow those of every script.
    """
    if not before or unicodedata.category(before)[0] not in "LM":
        return False
    return _script(mark) in ("COMBINING", _script(before))


def _letter_share(character: str, language: _Language, encoding: str) -> float:
    shares = SHARES.get(language.script, OTHER_SHARES)
    folded = character.lower() if character != "İ" else character
    for letters, share in zip(
        (language.often, language.sometimes, language.rarely), shares, strict=False
    ):
        if folded in letters:
            return share
    script = _script(character)
    if language.script == "CJK" and script in ("HIRAGANA", "KATAKANA"):
        return KANA if language.name == "japanese" else shares[3]
    if language.name == "japanese" and script == "HALFWIDTH":
        return HALF_KANA
    if script != language.script:
        return 1e-7
    if language.script in FIRST_LEVEL and _is_first_level(character, encoding):
        return FIRST_LEVEL[language.script]
    return shares[3]


def _is_first_level(character: str, encoding: str) -> bool:
    """Return whether a character is on the first level of an old standard: the usual ones."""
    standard = {"cp932": "euc_jp", "cp949": "euc_kr", "gb18030": "gb2312"}.get(encoding, encoding)
    try:
        code = character.encode(standard)
    except UnicodeEncodeError:
        return False
    first, last = {
        "euc_jp": (0xB0, 0xCF),
        "gb2312": (0xB0, 0xD7),
        "euc_kr": (0xB0, 0xC8),
    }.get(standard, (0xA4, 0xC6))
    return len(code) == 2 and first <= code[0] <= last


@lru_cache(1 << 12)
def _script(character: str) -> str:
    return unicodedata.name(character, "NONE").partition(" ")[0]


def _word_score(word: str, language: _Language) -> float:
    """Score the order of the letters in a word: 0 if it is usual, negative if it is not."""
    score = 0.0
    run = 0  # upper-case letters
    for a, b in pairwise(word):
        is_own = not a.isascii() or not b.isascii()
        run = run + 1 if a.isupper() else 0
        if is_own and a.islower() and b.isupper():
            score += math.log(0.002)
        elif is_own and run > 1 and b.islower():
            score += math.log(0.01)
        if language.script == "LATIN" and not a.isascii() and not b.isascii():
            score += math.log(0.2)
        elif language.script not in ("LATIN", "CJK", "HANGUL") and a.isascii() != b.isascii():
            score += math.log(MIXED)
    if language.script == "LATIN":
        score += _sound_score(word)
    elif language.script in ("CJK", "HANGUL"):
        beside = {b if a.isascii() else a for a, b in pairwise(word) if a.isascii() != b.isascii()}
        score += sum(math.log(0.01 if _script(c) == "HALFWIDTH" else 0.3) for c in beside)
    if language.unusual and re.search(language.unusual, word.lower()):
        score += math.log(0.05)
    return score


def _sound_score(word: str) -> float:
    """Score the order of vowels and consonants in a word: 0 if it is usual, negative if not."""
    base = "".join(unicodedata.normalize("NFD", letter)[0] for letter in word.casefold())
    base = base.translate(str.maketrans("øæœı", "oaoi"))
    score = 0.0
    if len(word) > 2 and not _VOWELS & {*base}:
        score += math.log(0.03)
    for i, letter in enumerate(word):
        if letter.isascii():
            continue
        around = base[max(0, i - 2) : i + 3]
        if re.search(r"[aeiouy]{3}", around):
            score += math.log(0.03)
        if re.search(r"[^aeiouy]{5}", around):
            score += math.log(0.2)
    return score
