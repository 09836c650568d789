"""The words of columns as codes, and combinations of the words of several columns as numbers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crm.arrays import Bools, Ints
from crm.cells import distinct_cells

DENSE = 8  # numbers below so many times their count are counted instead of sorted


class Words(NamedTuple):
    """The words of a column, as `WordAttribute.word` reads them.

    Attributes
    ----------
    codes : ndarray of int64, shape (n,)
        The position of each cell's word in `values`.
    values : list of str
        Distinct words; the empty one is "missing".
    """

    codes: Ints
    values: list[str]

    def take(self, rows: Ints | Bools) -> "Words":
        """Return the words of some rows."""
        return Words(self.codes[rows], self.values)


def read_words(column: pd.Series, word: Callable[[Any], str]) -> Words:
    """Read the words of a column, each distinct cell once.

    Examples
    --------
    >>> read_words(pd.Series(["EU", "eu", "US"]), str.casefold)
    Words(codes=array([0, 0, 1]), values=['eu', 'us'])
    """
    place, cells = distinct_cells(column)
    codes, values = pd.factorize(np.array([word(cell) for cell in cells], dtype=object))
    return Words(np.asarray(codes, dtype=np.int64)[place], [str(value) for value in values])


def no_words(n: int) -> Words:
    """Return the words of a column that is absent: all are missing."""
    return Words(np.zeros(n, dtype=np.int64), [""])


def distinct_keys(keys: Ints) -> tuple[Ints, Ints]:
    """Return distinct numbers in their order, and the place of each number among them.

    Parameters
    ----------
    keys : ndarray of int64, shape (n,)
        Not negative.

    Examples
    --------
    >>> distinct_keys(np.array([7, 2, 7]))
    (array([2, 7]), array([1, 0, 1]))
    """
    if len(keys) == 0 or keys.max() > DENSE * len(keys):
        values, place = np.unique(keys, return_inverse=True)
        return values, place
    is_used = np.bincount(keys) > 0  # a tenth of the time of sorting
    return np.flatnonzero(is_used), (np.cumsum(is_used) - 1)[keys]


def joined(words: Sequence[Words]) -> Ints:
    """Return one number for the words of each row in some columns, shape (n,)."""
    key = words[0].codes
    for of_column in words[1:]:
        key = key * len(of_column.values) + of_column.codes
    return key


def codes_of(keys: Ints, words: Sequence[Words]) -> list[Ints]:
    """Return the codes, column by column, that the numbers of `joined` stand for.

    Examples
    --------
    >>> a, b = Words(np.array([0, 1]), ["x", "y"]), Words(np.array([2, 1]), ["u", "v", "w"])
    >>> joined([a, b]), codes_of(joined([a, b]), [a, b])
    (array([2, 4]), [array([0, 1]), array([2, 1])])
    """
    codes: list[Ints] = []
    for of_column in reversed(words):
        keys, code = np.divmod(keys, len(of_column.values))
        codes.insert(0, code)
    return codes


def words_of(keys: Ints, words: Sequence[Words]) -> list[tuple[str, ...]]:
    """Return the words of each column that the numbers of `joined` stand for."""
    columns = zip(words, codes_of(keys, words), strict=True)
    read = [[of_column.values[code] for code in codes.tolist()] for of_column, codes in columns]
    return list(zip(*read, strict=True))
