"""Attributes that are numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.cells import cell_number, cell_text, number_column, read_column
from crm.formats.numbers import ANY_CURRENCY, NumberFormat, number_format
from features.attributes.attribute import Attribute, UndeclaredColumn
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced, in_words

TRUTHS = {"true": 1.0, "false": 0.0}
NARROW_SPACE = "\u202f"  # between a number and its unit
THOUSAND = 1000
LONG_TAIL = 100  # the highest number of a long tail is at least this many times the lowest
NUMBERS = frozenset({float, int, type(None)})


@dataclass(frozen=True)
class NumberAttribute(Attribute):
    """A number as it is; nan if it is missing or not a number.

    Attributes
    ----------
    median : float
        The median of the training leads, for models that need a value.
    notation : str
        The format of numbers in text. Models of earlier versions read 1234.56 only.
    lowest, highest : float or None
        The range of the training leads; None in models of earlier versions.
    is_whole : bool
        Whether all numbers of the training leads are whole, and no text among them is such as
        "1.096". Then this text can mean 1096 too, and counts as missing.
    """

    median: float
    notation: str = "1234.56"
    lowest: float | None = None
    highest: float | None = None
    is_whole: bool = False
    kind: ClassVar[str] = "number"
    note: ClassVar[str] = "a number as it is; words and infinities are missing"
    json_type: ClassVar[Literal["number", "string"]] = "number"

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return nothing: `fit_attribute` chooses between numbers and categories."""
        return ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return a number, for the data dictionary."""
        return [cls("COLUMN", frozenset(), median=0.0)]

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        return Feature(
            name=self.column,
            table="leads",
            column=self.column,
            unit="number",
            sentence=f"{braced(self.column)} is {self._in_unit}",
        )

    @property
    def usual_range(self) -> tuple[float, float]:
        """The training range, widened on both sides by a quarter of its width.

        Without negative numbers in training, it does not begin below zero: a negative budget is a
        mistake. A range of positive numbers with a long tail begins at a tenth of the lowest
        number. Zero is in it only if the lowest number is at most 1, as in counts.

        Examples
        --------
        >>> NumberAttribute("Visits", frozenset(), 50.0, lowest=10.0, highest=90.0).usual_range
        (0.0, 110.0)
        >>> NumberAttribute("Revenue", frozenset(), 9e4, lowest=2e4, highest=8e6).usual_range
        (2000.0, 9995000.0)
        """
        if self.lowest is None or self.highest is None:
            return super().usual_range
        margin = (self.highest - self.lowest) / 4
        low = self.lowest - margin
        if self.lowest > 0 and self.highest >= LONG_TAIL * self.lowest:
            low = self.lowest / 10 if self.lowest > 1 else 0.0
        if self.lowest >= 0:
            low = max(low, 0.0)
        return low, self.highest + margin

    @cached_property
    def format(self) -> NumberFormat:
        """The format of numbers in text."""
        return number_format(self.notation)

    @property
    def _in_unit(self) -> str:
        """The place of the value in a sentence, with the unit of the column."""
        unit = self.format.unit
        if unit in ("", ANY_CURRENCY):
            return "{value}"
        unit = braced(unit)
        return f"{unit}{{value}}" if unit in "$¥" else f"{{value}}{NARROW_SPACE}{unit}"

    @cached_property
    def nothing_numbers(self) -> frozenset[float]:
        """The words for nothing that are numbers: "-1" is -1.0."""
        return frozenset(filter(math.isfinite, map(self.format.read, self.nothing)))

    def encode(self, cell: Any) -> float:
        """Read one cell; nan if it is not a number, or means "no value".

        True is 1 and false is 0, as booleans and as words.
        """
        if cell is None:
            return math.nan
        if type(cell) is float:  # comparing with `nothing_numbers` is enough
            is_number = math.isfinite(cell) and cell not in self.nothing_numbers
            return cell if is_number else math.nan
        if type(cell) is int:
            number = cell_number(cell)
            return math.nan if number in self.nothing_numbers else number
        word = str(cell_text(cell)).casefold()
        if word in self.nothing:
            return math.nan
        if word in TRUTHS:
            return TRUTHS[word]
        number = self.format.read_cell(cell)
        is_nothing = number in self.nothing_numbers or self._may_be_thousands(cell, number)
        return math.nan if is_nothing else number

    def _may_be_thousands(self, cell: Any, number: float) -> bool:
        """Check whether a cell such as "1.096", read as 1.096, may mean 1096 as well."""
        return (
            self.is_whole
            and isinstance(cell, str)
            and self.format.decimal != ""
            and self.format.decimal in cell
            and abs(number) < THOUSAND
            and number * THOUSAND <= self.usual_range[1]
            and math.isnan(NumberFormat("", "", self.format.unit).read(cell))
        )

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads, all at once if they are numbers or None."""
        if not NUMBERS.issuperset(map(type, cells)):
            return super().encode_cells(cells)
        try:
            numbers = np.array(cells, dtype=np.float64)
        except OverflowError:  # an integer beyond the range of float64
            return super().encode_cells(cells)
        numbers[~np.isfinite(numbers)] = np.nan
        return self._without_nothing(numbers)

    def encode_column(self, column: pd.Series) -> Floats:
        """Read a column, shape (n,), float64."""
        if pd.api.types.is_any_real_numeric_dtype(column.dtype):
            return self._without_nothing(number_column(column))
        if column.dtype != "str" or self._has_odd_nothing:
            return read_column(column, self.encode, np.float64)
        numbers = self._without_nothing(self.format.read_column(column))
        is_word = np.isnan(numbers) & column.notna().to_numpy()
        if self.is_whole and self.format.decimal:
            has_sign = column.str.contains(self.format.decimal, regex=False, na=False)
            is_word |= has_sign.to_numpy(dtype=bool)
        words = np.flatnonzero(is_word)
        if len(words):
            numbers[words] = read_column(column.iloc[words], self.encode, np.float64)
        return numbers

    @cached_property
    def _has_odd_nothing(self) -> bool:
        """True if a number may mean "no value" although `nothing_numbers` does not contain it.

        A cell "0 EUR" may be a number while the word for nothing, "0 eur", is not.
        """
        with_digits = [word for word in self.nothing if any(map(str.isdigit, word))]
        return not all(math.isfinite(self.format.read(word)) for word in with_digits)

    def _without_nothing(self, numbers: Floats) -> Floats:
        if self.nothing_numbers:
            numbers[np.isin(numbers, list(self.nothing_numbers))] = np.nan
        return numbers

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        text = cell_text(cell)
        if text is None or text.casefold() in self.nothing | TRUTHS.keys():
            return None
        number = self.format.read_cell(cell)
        if math.isnan(number):
            return cell_warning("not_a_number", self.column)
        if self._may_be_thousands(cell, number):
            return cell_warning("unclear_number", self.column)
        low, high = self.usual_range
        if low <= number <= high or number in self.nothing_numbers:
            return None
        ends = (in_words("number", end) for end in (self.lowest, self.highest) if end is not None)
        return cell_warning("outside_training", self.column, detail=" to ".join(ends))

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return the distinct numbers of the training leads."""
        numbers = self.format.read_column(column)
        cells: list[float] = np.unique(numbers[np.isfinite(numbers)]).tolist()
        return cells
