"""Compares names of columns with lists of names in a .toml file.

Names are compared without case and accents. An entry of one word must be the whole name. An entry
of several words may be anywhere in a name, and so may an entry with "*" at its end, which means
any ending. "~" begins a regular expression, which is searched in the lower-case words of a name.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from drafting.role_names import plain_words


class NameLists:
    """Lists of names of columns.

    Parameters
    ----------
    listed : mapping of str to list of str
        The entries of each list.
    around : sequence of str
        Words that may be around an entry of one word, because they do not change its meaning.

    Examples
    --------
    >>> lists = NameLists({"age": ["alter", "alter des kunden", "altersg*"]}, ["jahre"])
    >>> [lists.has("age", name) for name in ("Alter (Jahre)", "Altersgruppe", "Alternative")]
    [True, True, False]
    """

    def __init__(self, listed: Mapping[str, Sequence[str]], around: Sequence[str] = ()) -> None:
        self._patterns = {key: [_pattern(e) for e in entries] for key, entries in listed.items()}
        self._whole = {
            key: {plain_words(entry) for entry in entries if entry[0] != "~"}
            for key, entries in listed.items()
        }
        self._around = frozenset(around)
        self.has = lru_cache(maxsize=4_096)(self._has)

    def _has(self, key: str, name: str) -> bool:
        words = plain_words(name)
        inner = words.split()
        while len(inner) > 1 and inner[0] in self._around:
            inner = inner[1:]
        while len(inner) > 1 and inner[-1] in self._around:
            inner = inner[:-1]
        if " ".join(inner) in self._whole[key]:
            return True
        return any(pattern.search(words) for pattern in self._patterns[key])


def _pattern(entry: str) -> re.Pattern[str]:
    if entry[0] == "~":
        return re.compile(entry[1:])
    words = re.escape(plain_words(entry))
    if entry.endswith("*"):
        return re.compile(rf"\b{words}")
    return re.compile(rf"\b{words}\b" if " " in words else f"^{words}$")
