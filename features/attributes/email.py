"""Attributes that are e-mail addresses. The hosts are listed in email.toml."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from crm.arrays import Objects
from crm.cells import cell_text
from features.attributes.attribute import MISSING, MISSING_GROUP, Attribute, UndeclaredColumn
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature

_HOSTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
FREE_MAIL, DISPOSABLE_MAIL = frozenset(_HOSTS["free"]), frozenset(_HOSTS["disposable"])
NO_ADDRESS = 1.0  # the code of a value that is not an address
TYPICAL = ("someone@gmail.com", "someone@company.example", "someone@mailinator.com", "nobody")


@dataclass(frozen=True)
class EmailAttribute(Attribute):
    """An e-mail address. Only the kind of its domain is read: company, free or disposable."""

    kind: ClassVar[str] = "email"
    note: ClassVar[str] = "only the kind of the domain: company, free, disposable"
    vocabulary: ClassVar[tuple[str, ...]] = ("company", "free", "disposable")

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return an e-mail address if most sampled values are addresses."""
        words = column.sample
        if not words or np.mean([_is_address(word) for word in words]) < 0.8:
            return ()
        return [cls(column.name, column.nothing)]

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return an e-mail address, for the data dictionary."""
        return [cls("COLUMN", frozenset())]

    @property
    def missing_value(self) -> float:
        """The code of a missing cell."""
        return float(MISSING)

    @property
    def odd_value(self) -> float:
        """The code of a value that is not an address."""
        return NO_ADDRESS

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        return Feature(
            name=f"{self.column}.domain_kind",
            table="leads",
            column=self.column,
            unit="category",
            sentence="{value} e-mail address",
            absent="no e-mail address",
            signal=self.column,
            values=("", "unreadable", *self.vocabulary),
            measure="kind of e-mail address",
        )

    def encode(self, cell: Any) -> float:
        """Read one cell as a code: 0 missing, 1 not an address, then the `vocabulary`."""
        text = (cell_text(cell) or "").casefold()
        if not text or text in self.nothing:
            return float(MISSING)
        _, at, domain = text.rpartition("@")
        if not at or "." not in domain:
            return NO_ADDRESS
        if domain in DISPOSABLE_MAIL:
            return 4.0
        return 3.0 if domain in FREE_MAIL else 2.0

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        if self.encode(cell) != NO_ADDRESS:
            return None
        return cell_warning("not_an_email_address", self.column)

    def group_names(self, column: pd.Series) -> Objects:
        """Return the kind of each lead's address, shape (n_leads,)."""
        names = np.array([MISSING_GROUP, "no address", *self.vocabulary], dtype=object)
        return names[self.encode_column(column).astype(np.int64)]

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return an address of each kind, and a word that is not an address."""
        return TYPICAL


def _is_address(word: str) -> bool:
    _, at, domain = word.rpartition("@")
    return bool(at) and "." in domain and " " not in word
