"""Finds how the cells of a column look, such as ids with a letter and five digits."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools

SHAPED_SHARE: Final = 0.95  # the least share of cells with frequent shapes, if the cells look alike
COMMON_SHARE: Final = 0.02  # the least share of cells with one frequent shape
MOST_COMMON: Final = 8
LEAST_LENGTH: Final = 8  # the least length of ids without a frequent shape, such as hexadecimal ids
T = TypeVar("T")
_EMAIL: Final = re.compile(r"\S+@\S+\.\S+")
_TOKEN: Final = re.compile(r"[\w{}:-]+")


@dataclass(frozen=True)
class Look:
    """The look of the cells of a column: their shapes, or else their lengths.

    Attributes
    ----------
    shapes : frozenset of str
        The shapes of cells.
    lengths : frozenset of int
        The lengths of cells without white space, if the cells have no common shapes.
    """

    shapes: frozenset[str]
    lengths: frozenset[int] = frozenset()

    def fits(self, text: str) -> bool:
        """Return whether a text looks like the cells of the column."""
        if shape(text) in self.shapes:
            return True
        is_token = _TOKEN.fullmatch(text) is not None and any(map(str.isdigit, text))
        return is_token and len(text) in self.lengths

    def surely_fits(self, cells: pa.Array) -> Bools:
        """Return for each text of an array whether `fits` is surely true, shape (n_cells,).

        A missing text does not fit. The answer can be False where `fits` returns True, for text
        beyond ASCII.

        Examples
        --------
        >>> find_look(["L0017", "L0018"]).surely_fits(pa.array(["L7", None, "Id"]))
        array([ True, False, False])
        """
        if self.shapes:
            pattern = "|".join(map(_pattern, sorted(self.shapes)))
            is_fit = pc.match_substring_regex(cells, f"^({pattern})$")
        else:
            lengths = pa.array(sorted(self.lengths)).cast(pc.binary_length(cells).type)
            is_token = pc.match_substring_regex(cells, r"^[\w{}:-]*[0-9][\w{}:-]*$")
            is_fit = pc.and_(is_token, pc.is_in(pc.binary_length(cells), lengths))
        return is_fit.fill_null(False).to_numpy(zero_copy_only=False)


def find_look(texts: Sequence[str]) -> Look | None:
    """Return how the cells of a column look; None for words, and for cells that differ too much.

    Examples
    --------
    >>> look = find_look(["L0017", "L0018", "L19"])
    >>> look.fits("L7"), look.fits("Total")
    (True, False)
    >>> look = find_look(["3f2a9c1e", "81c07a2b", "d4e5f6a7", "00b1ca99", "9c9c9c0d"])
    >>> look.fits("5a6b7c8d"), look.fits("subtotal")
    (True, False)

    Notes
    -----
    A text without digits or "@" does not fit, even if a few cells have its shape. These cells can
    belong to another table below.
    """
    with_digit = sum(any(map(str.isdigit, text)) or "@" in text for text in texts)
    least = SHAPED_SHARE * len(texts)
    if len(texts) < 2 or with_digit < (min(least, len(texts) - 1) if len(texts) > 3 else least):
        return None
    shapes = {found for found in _common(list(map(shape, texts))) if "9" in found or "@" in found}
    if shapes:
        return Look(frozenset(shapes))
    lengths = _common([len(text) if _TOKEN.fullmatch(text) else 0 for text in texts])
    if not lengths or min(lengths) < LEAST_LENGTH:
        return None
    return Look(frozenset(), lengths)


def _common(values: Sequence[T]) -> frozenset[T]:
    """Return the frequent values; an empty set if too many values are not among them."""
    n = len(values)
    least = max(2, COMMON_SHARE * n) if n > 3 else 1
    common = [found for found in Counter(values).most_common(MOST_COMMON) if found[1] >= least]
    n_rare = n - sum(count for _, count in common)
    if n_rare > max(1, (1 - SHAPED_SHARE) * n):
        return frozenset()
    return frozenset(value for value, _ in common)


def shape(text: str) -> str:
    """Return a text with each run of digits as 9 and of letters as a; an e-mail address is @.

    Examples
    --------
    >>> shape("L00017"), shape("2024-01-31 08:15"), shape("Trade show"), shape("a.b@c.de")
    ('a9', '9-9-9 9:9', 'a a', '@')
    """
    if _EMAIL.fullmatch(text):
        return "@"
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _pattern(shape: str) -> str:
    """Return a pattern of ASCII texts with a shape."""
    if shape == "@":
        return _EMAIL.pattern
    parts = {"a": "[a-zA-Z]+", "9": "[0-9]+"}
    return "".join(parts.get(character) or re.escape(character) for character in shape)
