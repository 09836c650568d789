"""Attributes that are yes or no. The words are listed in flag.toml."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from crm.arrays import Objects
from crm.cells import cell_text
from features.attributes.attribute import MISSING_GROUP, UndeclaredColumn, WordAttribute
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced

_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
YES, NO = frozenset(_WORDS["yes"]), frozenset(_WORDS["no"])
_NUMBERS = frozenset({"1", "1.0", "0", "0.0"})


@dataclass(frozen=True)
class FlagAttribute(WordAttribute):
    """Yes or no, such as a consent: 1, 0, or nan if it is neither."""

    kind: ClassVar[str] = "flag"
    note: ClassVar[str] = "yes or no in the usual words of several languages, such as a consent"

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return a flag if all values mean yes or no; 1 and 0 alone are numbers."""
        answers = {word.casefold() for word in column.sample}
        if len(answers) != 2 or not answers & YES - _NUMBERS or not answers & NO - _NUMBERS:
            return ()
        return [cls(column.name, column.nothing)] if column.values <= YES | NO else ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return a flag, for the data dictionary."""
        return [cls("COLUMN", frozenset())]

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        return Feature(
            name=self.column,
            table="leads",
            column=self.column,
            unit="yes/no",
            sentence=f"{braced(self.column)}: {{value}}",
        )

    def encode(self, cell: Any) -> float:
        """Read one cell."""
        return {"yes": 1.0, "no": 0.0}.get(self.word(cell), math.nan)

    def word(self, cell: Any) -> str:
        """Return "yes", "no", or an empty text if a cell is neither."""
        word = super().word(cell)
        return "yes" if word in YES else "no" if word in NO else ""

    def text(self, cell: Any) -> str:
        """Return "yes", "no", or an empty text if a cell is neither."""
        return self.word(cell)

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = (cell_text(cell) or "").casefold()
        if not word or word in self.nothing or word in YES | NO:
            return None
        return cell_warning("not_yes_or_no", self.column)

    def group_names(self, column: pd.Series) -> Objects:
        """Return "yes", "no" or missing for each lead, shape (n_leads,)."""
        code = np.nan_to_num(self.encode_column(column), nan=2.0).astype(np.int64)
        return np.array(["no", "yes", MISSING_GROUP], dtype=object)[code]

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return yes and no."""
        return ["yes", "no"]
