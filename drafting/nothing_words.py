"""Recognises the words that mean "no value". The words are listed in nothing_words.toml."""

import re
import tomllib
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drafting.samples import Column

_AROUND = " \t.,:;_*~'\"`´-‐‑‒–—―()[]{}<>«»„“”"  # ignored at both ends of a word
_ONLY_MARKS = re.compile(r"[\s.,:;_~?'\"\-‐‑‒–—―/\\|()\[\]{}<>·…]+")

_ROOTS = frozenset("/\\")  # the marks that paths begin with
MOSTLY_BEGUN = 0.5  # the least share of other values that begin with a mark, or are names
MANY_NAMES = 8  # the least number of other values that are capitalised
LONGEST = 60  # characters of a word for nothing, with marks around it
_DIGIT = re.compile("[0-9]")
_WITH_DIGITS = (
    "0",
    "1900-",
    "1/0/",
    "#",
    "[",
    "(",
    "<",
    '"',
    "'",
)  # how words that contain digits begin


def is_nothing(text: str) -> bool:
    """Check whether a text means "no value".

    Examples
    --------
    >>> [is_nothing(text) for text in ("--None--", "(not set)", "—", "k. A.", "#WERT!", "なし")]
    [True, True, True, True, True, True]
    >>> [is_nothing(text) for text in ("Nonesuch", "+", "N", "0")]
    [False, False, False, False]
    """
    if len(text) > LONGEST or (_DIGIT.search(text) and not text.startswith(_WITH_DIGITS)):
        return False  # most cells need no further check
    return _ONLY_MARKS.fullmatch(_folded(text)) is not None or _core(text) in _WORDS


def means_no_time(text: str) -> bool:
    """Check whether a text means "no time" in a column of times.

    Examples
    --------
    >>> [means_no_time(text) for text in ("Not closed", "never", "0", "-", "cancelled")]
    [True, True, True, True, False]
    """
    return is_nothing(text) or _folded(text).strip(_AROUND) in _NO_TIME


def nothing_words(
    columns: "Collection[Column]",
) -> tuple[dict[str, tuple[str, list[str]]], dict[str, tuple[str, list[str]]]]:
    """Find the words that mean "no value", and the words that may mean it.

    A word such as "none" may be an answer in a column that also has empty cells or the opposite
    answer, and "NA" may be Namibia in a column of codes with two letters. There it is in doubt. A
    word such as "never" means it in columns of times only; it is in doubt if another column
    contains it.

    Returns
    -------
    dict of str to (str, list of str)
        The spelling of each case-folded word, and the columns that contain it.
    dict of str to (str, list of str)
        The same for the words that are in doubt in at least one column.
    """
    words: dict[str, tuple[str, list[str]]] = {}
    in_doubt: dict[str, tuple[str, list[str]]] = {}
    for column in columns:
        for text in column.counts.index:
            if is_nothing(text) and not _begins_others(text, column):
                words.setdefault(text.casefold(), (text, []))[1].append(column.name)
                if _may_be_an_answer(text, column):
                    in_doubt.setdefault(text.casefold(), (text, []))[1].append(column.name)
            elif column.is_time and means_no_time(text):
                words.setdefault(text.casefold(), (text, []))[1].append(column.name)
    of_times = [word for word, (text, _) in words.items() if not is_nothing(text)]
    for word in of_times:
        for column in columns:
            if not column.is_time and any(text.casefold() == word for text in column.counts.index):
                in_doubt.setdefault(word, (words[word][0], []))[1].append(column.name)
    return {word: found for word, found in words.items() if word not in in_doubt}, in_doubt


def _begins_others(text: str, column: "Column") -> bool:
    """Check whether most other values begin with a mark, as the paths of pages begin with "/"."""
    others = [other for other in column.counts.index if other != text]
    begun = sum(other.startswith(text) for other in others)
    return text in _ROOTS and begun >= MOSTLY_BEGUN * max(1, len(others))


def _may_be_an_answer(text: str, column: "Column") -> bool:
    others = [other for other in column.counts.index if not is_nothing(other)]
    is_code = re.fullmatch("[A-Za-z]{2}", text) is not None
    if is_code and len(others) >= 2 and all(re.fullmatch("[A-Z]{2}", other) for other in others):
        return True
    if text.istitle() and _folded(text) in _NAMES:
        names = [other for other in others if other.istitle()]
        if len(names) >= MANY_NAMES and len(names) >= MOSTLY_BEGUN * len(others):
            return True
    has_opposite = any(_folded(other) in _OPPOSITES for other in others)
    return _folded(text) in _ANSWERS and (column.has_gaps or has_opposite)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _core(text: str) -> str:
    """Return the case-folded word without the marks around it."""
    folded = _folded(text)
    return folded if folded in _WORDS_WITH_MARKS else folded.strip(_AROUND)


_LISTED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_OPPOSITES = frozenset(_folded(word) for word in _LISTED.pop("opposites"))
_NAMES = frozenset(_folded(word) for word in _LISTED.pop("names"))
_NO_TIME = frozenset(_folded(word) for word in _LISTED.pop("no_time"))
_ANSWERS = frozenset(_folded(word) for word in _LISTED["answers"])
_WORDS_WITH_MARKS = frozenset(_folded(word) for words in _LISTED.values() for word in words)
_WORDS = _WORDS_WITH_MARKS | {word.strip(_AROUND) for word in _ANSWERS}
