"""The interface of every kind of attribute.

An attribute is a column of the leads table, fitted once. It reads *one* cell as a number. A
column is read by reading each of its distinct cells, so that one lead in a request and ten
million leads in a file give the same numbers.

A kind of attribute is one module of this folder and one entry of `features.attributes.kinds`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints, Labels, Objects
from crm.cells import cell_text, distinct_texts, read_column
from features.cell_warnings import CellWarning
from features.feature import Feature

MISSING, UNSEEN = 0, 1  # codes of the two buckets that every category has
MISSING_GROUP, UNSEEN_GROUP = "(missing)", "(not seen in training)"
MOSTLY = 0.99  # the least share of numbers, or times, in a column of numbers, or of times
NEARLY_UNIQUE = 0.9  # share of distinct values above which a column is an identifier
SAMPLE = 1_000  # distinct values that are looked at to recognise a kind


@dataclass(frozen=True)
class LeftOut:
    """A column that does not become a feature, and the reason."""

    column: str
    reason: str


@dataclass(frozen=True)
class UndeclaredColumn:
    """A column of the training leads whose kind the project does not declare.

    Attributes
    ----------
    cells : Series, shape (n_leads,)
        The cells, as they were read from the source.
    nothing : frozenset of str
        The case-folded words that mean "no value".
    notation : str or None
        The format of its numbers or times, as `crm.formats` has it; None is the default.
    timezone : str
        The zone of times that have none.
    """

    cells: pd.Series
    nothing: frozenset[str]
    notation: str | None = None
    timezone: str = "UTC"

    @property
    def name(self) -> str:
        """The name of the column."""
        return str(self.cells.name)

    @cached_property
    def sample(self) -> list[str]:
        """Distinct values, at most `SAMPLE`, without those that mean "no value"."""
        texts = self._texts[:SAMPLE]
        return [text for text in texts if text.casefold() not in self.nothing]

    @cached_property
    def values(self) -> set[str]:
        """All distinct values, case-folded, without those that mean "no value"."""
        return {text.casefold() for text in self._texts} - self.nothing

    @cached_property
    def _texts(self) -> list[str]:
        return distinct_texts(self.cells)


@dataclass(frozen=True)
class Attribute(ABC):
    """A fitted column of the leads table, which reads cells as numbers.

    Attributes
    ----------
    column : str
        The column of the leads table.
    nothing : frozenset of str
        The case-folded words that mean "no value".
    kind : str
        The name of the kind in saved models.
    note : str
        How cells are read, for the data dictionary.
    json_type : {"number", "string"}
        The type in the contract of the service.
    depends_on_moment : bool
        True if `as_of` changes what `encode` returned.
    learns_from_labels : bool
        True if fitting reads labels, so that training needs values from `refit`.
    """

    column: str
    nothing: frozenset[str]
    kind: ClassVar[str]
    note: ClassVar[str]
    json_type: ClassVar[Literal["number", "string"]] = "string"
    depends_on_moment: ClassVar[bool] = False
    learns_from_labels: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return the attributes that a column becomes; none if it is of another kind."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Sequence[Self]:
        """Return attributes of the column `COLUMN`, for the data dictionary."""

    @property
    @abstractmethod
    def feature(self) -> Feature:
        """The description of the column of the matrix."""

    @property
    def odd_value(self) -> float:
        """The encoded value that triggers a warning."""
        return math.nan

    @property
    def missing_value(self) -> float:
        """The encoded value of a missing cell."""
        return math.nan

    @property
    def usual_range(self) -> tuple[float, float]:
        """The lowest and the highest encoded value that trigger no warning."""
        return -math.inf, math.inf

    @property
    def usual_dates(self) -> tuple[float, float]:
        """The first and the last date that trigger no warning, in days since 1970.

        Only attributes that depend on the moment have such dates. A later date up to the moment is
        usual too, because time passes after the training.
        """
        return -math.inf, math.inf

    @abstractmethod
    def encode(self, cell: Any) -> float:
        """Read one cell."""

    def encode_cells(self, cells: Sequence[Any]) -> Sequence[float] | Floats:
        """Read the cells of some leads, length n, each as `encode` does."""
        return [self.encode(cell) for cell in cells]

    def encode_column(self, column: pd.Series) -> Floats:
        """Read a column, shape (n,), each cell as `encode` does."""
        return read_column(column, self.encode, np.float64)

    def as_of(self, values: Floats, as_of_days: Floats) -> Floats:
        """Return encoded values as they are at moments, shape (n,), in days since 1970."""
        return values

    def refit(self, column: pd.Series, label: Labels, weight: Floats) -> "Attribute":
        """Return the attribute fitted on other moments; the same if it reads no labels."""
        return self

    @abstractmethod
    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""

    def group_names(self, column: pd.Series) -> Objects | None:
        """Return the name of each lead's group, shape (n_leads,); None if there are no groups."""
        return None

    @abstractmethod
    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return cells to draw made-up leads from.

        Parameters
        ----------
        column : Series, shape (n_leads,)
            The cells of the training leads. Only numbers may be taken from them.
        as_of : int
            The moment of scoring, microseconds since 1970 UTC, or `NOT_A_TIME`.
        """


@dataclass(frozen=True)
class WordAttribute(Attribute):
    """An attribute whose cells are values that can be counted, alone and in pairs."""

    def word(self, cell: Any) -> str:
        """Return the case-folded value of a cell; empty if it is missing."""
        text = (cell_text(cell) or "").casefold()
        return "" if text in self.nothing else text

    def text(self, cell: Any) -> str:
        """Return the value of a cell in the lead's own spelling; its case-folded form is `word`."""
        text = cell_text(cell) or ""
        return "" if text.casefold() in self.nothing else text


def spellings(column: pd.Series, nothing: frozenset[str]) -> Objects:
    """Read texts, and replace spellings that differ in case or white space by the most frequent.

    Of spellings that are equally frequent, the first in the order of characters is used.

    Returns
    -------
    ndarray of str, shape (n_leads,)
        `MISSING_GROUP` where there is no value.

    Examples
    --------
    >>> spellings(pd.Series(["HEALTH", "Health", "Health", "-"]), frozenset({"-"})).tolist()
    ['Health', 'Health', 'Health', '(missing)']
    """

    def text_of(cell: Any) -> str:
        text = cell_text(cell)
        return MISSING_GROUP if text is None or text.casefold() in nothing else text

    codes, texts = pd.factorize(read_column(column, text_of, object))
    counts = np.bincount(codes, minlength=len(texts))
    return np.asarray(usual_spellings(texts.tolist(), counts))[codes]


def usual_spellings(texts: Sequence[str], counts: Sequence[int] | Ints) -> Objects:
    """Return the most frequent spelling of each text; spellings differ in case only.

    Parameters
    ----------
    texts : sequence of str, length n
        Distinct texts.
    counts : sequence of int, length n
        The number of cells that contain each text.

    Returns
    -------
    ndarray of str, shape (n,)

    Examples
    --------
    >>> usual_spellings(["MAIL", "Fair", "Mail"], [3, 9, 5]).tolist()
    ['Mail', 'Fair', 'Mail']
    """
    usual: dict[str, str] = {}
    for _, text in sorted(zip((-int(n) for n in counts), texts, strict=True)):
        usual.setdefault(text.casefold(), text)
    return np.array([usual[text.casefold()] for text in texts], dtype=object)
