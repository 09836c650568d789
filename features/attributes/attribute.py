"""What a lead says of itself, turned into numbers.

Each attribute is fitted once and knows how to read *one* cell. A column is read by
reading each of its distinct cells, so that one lead in a request and ten million in
a file cannot come out differently.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from crm.arrays import Floats, Objects
from crm.cells import cell_number, cell_text, number_column, read_column, text_column
from crm.errors import SchemaError
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced

MISSING, UNSEEN = 0, 1  # codes of the two buckets that every category has
MAX_VOCABULARY = 254
MIN_ROWS_PER_VALUE = 5
SMALL_VOCABULARY = 50
MOSTLY = 0.99
NEARLY_UNIQUE = 0.9
TRUTHS = {"true": 1.0, "false": 0.0}
NUMBERS = frozenset({float, int, type(None)})
TEXTS = frozenset({str, type(None)})


@dataclass(frozen=True)
class Attribute(ABC):
    """How one column of the leads table is read.

    Attributes
    ----------
    column : str
        The column of the leads table.
    nothing : frozenset of str
        Casefolded strings that mean "no value".
    """

    column: str
    nothing: frozenset[str]
    kind: ClassVar[str]

    @property
    def odd_value(self) -> float:
        """The encoded value that triggers a warning."""
        return math.nan

    @property
    @abstractmethod
    def feature(self) -> Feature:
        """Describe the column of the matrix."""

    @abstractmethod
    def encode(self, cell: Any) -> float:
        """Read one cell."""

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads, length n, each as `encode` does."""
        return [self.encode(cell) for cell in cells]

    def encode_column(self, column: pd.Series) -> Floats:
        """Read a column, shape (n,), each cell as `encode` does."""
        return read_column(column, self.encode, np.float64)

    @abstractmethod
    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""


@dataclass(frozen=True)
class NumberAttribute(Attribute):
    """A number as it is; nan where it is missing or not a number.

    Attributes
    ----------
    median : float
        Of the training leads; for models that cannot take a gap.
    """

    median: float
    kind: ClassVar[str] = "number"

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        return Feature(
            self.column, "leads", self.column, "number", f"{braced(self.column)} is {{value}}"
        )

    @cached_property
    def nothing_numbers(self) -> frozenset[float]:
        """The numbers among the words for nothing: -1 is -1.0."""
        return frozenset(filter(math.isfinite, map(cell_number, self.nothing)))

    def encode(self, cell: Any) -> float:
        """Read one cell; nan if it holds no number, or one that means "no value".

        True is 1 and false 0, whether they come as booleans or as words.
        """
        number = cell_number(cell)
        if type(cell) in (float, int):  # of these `nothing_numbers` tells all that words could
            return math.nan if number in self.nothing_numbers else number
        word = str(cell_text(cell)).casefold()
        if word in self.nothing:
            return math.nan
        if word in TRUTHS:
            return TRUTHS[word]
        return math.nan if number in self.nothing_numbers else number

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads; at once where all are numbers or None."""
        if not NUMBERS.issuperset(map(type, cells)):
            return super().encode_cells(cells)
        try:
            numbers = np.array(cells, dtype=np.float64)
        except OverflowError:  # an integer too long
            return super().encode_cells(cells)
        numbers[~np.isfinite(numbers)] = np.nan
        return self._without_nothing(numbers)

    def encode_column(self, column: pd.Series) -> Floats:
        """Read a column, shape (n,), float64."""
        if not pd.api.types.is_any_real_numeric_dtype(column.dtype):
            return read_column(column, self.encode, np.float64)
        return self._without_nothing(number_column(column))

    def _without_nothing(self, numbers: Floats) -> Floats:
        if self.nothing_numbers:
            numbers[np.isin(numbers, list(self.nothing_numbers))] = np.nan
        return numbers

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        text = cell_text(cell)
        if text is None or text.casefold() in self.nothing | TRUTHS.keys():
            return None
        if not math.isnan(cell_number(cell)):
            return None
        return cell_warning("not_a_number", self.column)


@dataclass(frozen=True)
class CategoryAttribute(Attribute):
    """A category by its vocabulary; code 0 is missing, code 1 a value not in it.

    Spelling differences in case and white space do not make another category.

    Attributes
    ----------
    vocabulary : tuple of str
        The values, in their most frequent spelling; value i has the code i + 2.
    """

    vocabulary: tuple[str, ...]
    kind: ClassVar[str] = "category"

    @property
    def odd_value(self) -> float:
        """The code of a value that is not in the vocabulary."""
        return float(UNSEEN)

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        name = braced(self.column)
        return Feature(
            self.column,
            "leads",
            self.column,
            "category",
            f'{name} is "{{value}}"',
            values=("", "a value that is rare or new", *self.vocabulary),
        )

    @cached_property
    def _codes(self) -> dict[str, float]:
        codes = {value.casefold(): float(i) for i, value in enumerate(self.vocabulary, start=2)}
        return codes | dict.fromkeys(self.nothing, float(MISSING))

    @cached_property
    def _usual(self) -> dict[Any, float]:
        """Codes by the very cells that most leads hold, which need no reading."""
        return {None: float(MISSING)} | {value: self._read(value) for value in self.vocabulary}

    def encode(self, cell: Any) -> float:
        """Read one cell; the code of its value."""
        if type(cell) is str or cell is None:
            usual = self._usual.get(cell)
            if usual is not None:
                return usual
        return self._read(cell)

    def _read(self, cell: Any) -> float:
        text = cell_text(cell)
        return float(MISSING) if text is None else self._codes.get(text.casefold(), float(UNSEEN))

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads; a usual one is looked up, not read."""
        if not TEXTS.issuperset(map(type, cells)):
            return super().encode_cells(cells)
        usual = self._usual
        return [usual[cell] if cell in usual else self._read(cell) for cell in cells]

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        if self.encode(cell) != UNSEEN:
            return None
        return cell_warning("unseen_value", self.column)


@dataclass(frozen=True)
class LeftOut:
    """A column that is no feature, and why."""

    column: str
    reason: str


def fit_attribute(
    column: pd.Series,
    *,
    nothing: Sequence[str],
    kind: Literal["number", "category"] | None = None,
) -> NumberAttribute | CategoryAttribute | LeftOut:
    """Decide what a column is and learn how to read it.

    Parameters
    ----------
    column : Series, shape (n_leads,)
        The training leads' cells, as read.
    nothing : sequence of str
        What means "no value" besides an empty cell.
    kind : {"number", "category"}, optional
        Declared by the project; found from the cells otherwise.

    Returns
    -------
    NumberAttribute, CategoryAttribute or LeftOut

    Raises
    ------
    SchemaError
        If a number column holds infinities, or a column is half numbers, half text
        and too varied for a category.

    Examples
    --------
    >>> fit_attribute(pd.Series(["1", "2.5", "Select"] * 20, name="visits"), nothing=["Select"])
    NumberAttribute(column='visits', nothing=frozenset({'select'}), median=1.75)
    >>> fit_attribute(pd.Series(["EU", "eu ", "US"] * 20, name="region"), nothing=[])
    CategoryAttribute(column='region', nothing=frozenset(), vocabulary=('EU', 'US'))
    """
    name = str(column.name)
    folded = frozenset(str(cell_text(word)).casefold() for word in nothing if cell_text(word))
    texts = text_column(column)
    reader = NumberAttribute(name, folded, math.nan)
    texts[np.isin(_fold(texts), list(folded))] = None
    is_truth = np.isin(_fold(texts), list(TRUTHS))
    texts[np.isin(number_column(column), list(reader.nothing_numbers)) & ~is_truth] = None
    filled = np.array([text is not None for text in texts], dtype=bool)
    n_filled = int(filled.sum())
    if n_filled == 0:
        return LeftOut(name, "it is empty")
    counts = pd.Series(texts[filled]).value_counts()
    if len(counts) == 1 and n_filled == len(column):
        return LeftOut(name, f"it is always {str(counts.index[0])[:40]!r}")
    numbers = reader.encode_column(column)
    infinite = read_column(pd.Series(texts), _is_infinite, np.bool_)
    is_number = np.isfinite(numbers) | infinite
    if not is_number[~is_truth].any():  # true and false are numbers only beside others
        is_number &= ~is_truth
    share = float(is_number[filled].mean())
    if kind is None:
        kind = _kind(name, share, n_distinct=len(counts), n=n_filled)
    if kind == "number":
        if infinite.any():
            raise SchemaError("leads", [_infinities(name, int(infinite.sum()))])
        if not np.isfinite(numbers).any():
            return LeftOut(name, "it is listed as a number and holds none")
        if n_filled >= 100 and len(counts) == n_filled and (numbers[filled] % 1 == 0).all():
            return LeftOut(name, "each lead has a number of its own: an identifier")
        return NumberAttribute(name, folded, float(np.median(numbers[np.isfinite(numbers)])))
    if n_filled >= 100 and len(counts) > NEARLY_UNIQUE * n_filled:
        return LeftOut(name, "nearly each lead has a value of its own: an identifier or free text")
    spellings = counts.groupby(_fold(counts.index.to_numpy()), sort=False)
    totals = spellings.sum().sort_values(ascending=False, kind="stable")
    often = totals[totals >= min(MIN_ROWS_PER_VALUE, totals.iloc[0])].head(MAX_VOCABULARY)
    spelled = spellings.idxmax()
    return CategoryAttribute(name, folded, tuple(str(spelled[value]) for value in often.index))


def _kind(name: str, share_numbers: float, n_distinct: int, n: int) -> Any:
    if share_numbers >= MOSTLY:
        return "number"
    if share_numbers <= 1 - MOSTLY or n_distinct <= SMALL_VOCABULARY:
        return "category"
    if share_numbers < 0.05 or share_numbers > 0.95:
        return "number" if share_numbers > 0.95 else "category"
    raise SchemaError(
        "leads",
        [
            f"`{name}` is a number in {share_numbers:.0%} and text in {1 - share_numbers:.0%} of "
            f"{n:,} rows. Say which it is: list it in [columns] number (the text then counts as "
            "missing), category or ignore."
        ],
    )


def _infinities(name: str, n: int) -> str:
    return (
        f"`{name}` is infinite in {n:,} rows. Expected finite numbers or empty cells; "
        "mend the export, or list the word in [columns] nothing."
    )


def _is_infinite(cell: Any) -> bool:
    return cell is not None and cell.lower().lstrip("+-") in ("inf", "infinity")


def _fold(texts: Objects) -> Objects:
    fold: Callable[[Any], Any] = lambda text: None if text is None else text.casefold()  # noqa: E731
    return read_column(pd.Series(texts, dtype=object), fold, object)
