"""Attributes that are categories of few values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from crm.arrays import Floats, Objects
from crm.cells import cell_text
from features.attributes.attribute import (
    MISSING,
    MISSING_GROUP,
    UNSEEN,
    UNSEEN_GROUP,
    UndeclaredColumn,
    WordAttribute,
)
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced

MANY_VALUES = 25  # with more values, a column is target encoded (docs/decisions/0007)
TEXTS = frozenset({str, type(None)})


@dataclass(frozen=True)
class CategoryAttribute(WordAttribute):
    """The code of a value in a vocabulary; 0 if it is missing, 1 if it is not in the vocabulary.

    Spellings that differ in case or white space are one value.

    Attributes
    ----------
    vocabulary : tuple of str
        The values, in their most frequent spelling; value i has the code i + 2.
    """

    vocabulary: tuple[str, ...]
    kind: ClassVar[str] = "category"
    note: ClassVar[str] = (
        f"up to {MANY_VALUES} values by vocabulary; buckets for missing and unseen ones"
    )

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return nothing: `fit_attribute` chooses between numbers and categories."""
        return ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return a category, for the data dictionary."""
        return [cls("COLUMN", frozenset(), vocabulary=())]

    @property
    def missing_value(self) -> float:
        """The code of a missing cell."""
        return float(MISSING)

    @property
    def odd_value(self) -> float:
        """The code of a value that is not in the vocabulary."""
        return float(UNSEEN)

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        name = braced(self.column)
        return Feature(
            name=self.column,
            table="leads",
            column=self.column,
            unit="category",
            sentence=f'{name} is "{{value}}"',
            values=("", "a value that is rare or new", *self.vocabulary),
        )

    @cached_property
    def _codes(self) -> dict[str, float]:
        codes = {value.casefold(): float(i) for i, value in enumerate(self.vocabulary, start=2)}
        return codes | dict.fromkeys(self.nothing, float(MISSING))

    @cached_property
    def _usual(self) -> dict[Any, float]:
        """Codes by the cells that most leads have, which are looked up instead of read."""
        return {None: float(MISSING)} | {value: self._read(value) for value in self.vocabulary}

    def encode(self, cell: Any) -> float:
        """Read one cell as the code of its value."""
        if type(cell) is str or cell is None:
            usual = self._usual.get(cell)
            if usual is not None:
                return usual
        return self._read(cell)

    def _read(self, cell: Any) -> float:
        text = cell_text(cell)
        return float(MISSING) if text is None else self._codes.get(text.casefold(), float(UNSEEN))

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads; usual cells are looked up."""
        if not TEXTS.issuperset(map(type, cells)):
            return super().encode_cells(cells)
        usual = self._usual
        return [usual[cell] if cell in usual else self._read(cell) for cell in cells]

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        if self.encode(cell) != UNSEEN:
            return None
        return cell_warning("unseen_value", self.column)

    def group_names(self, column: pd.Series) -> Objects:
        """Return the name of each lead's value, shape (n_leads,)."""
        names = np.array([MISSING_GROUP, UNSEEN_GROUP, *self.vocabulary], dtype=object)
        return names[self.encode_column(column).astype(np.int64)]

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return the vocabulary."""
        return self.vocabulary
