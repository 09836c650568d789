"""Columns as the leak audit reads them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Objects
from crm.cells import folded_words, text_column
from crm.formats.column_times import parse_times
from crm.formats.columns import number_reader, time_notation
from crm.project import ColumnsKeys
from crm.times import DAY, NOT_A_TIME, microseconds
from features.attributes.attribute import MOSTLY, UndeclaredColumn
from features.attributes.choices import ChoiceAttribute
from features.leaks.measures import LEADS_PER_SLICE, Auc, TwoGroups

BINS = 20
ALWAYS = 0.98  # the share of cells that are filled in a column that divides leads into kinds
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([t ].*)?")
DURATION = re.compile(r"-?\d+(\.\d+)? *(weeks?|w|days?|d|hours?|h)\b.*|\d+:\d{2}(:\d{2}(\.\d+)?)?")


@dataclass(frozen=True)
class AuditedColumn:
    """One column of the leads, as the audit reads it.

    Attributes
    ----------
    name : str
    values : ndarray of str, shape (n_values,)
        The distinct values, case-folded, without the words for nothing.
    spellings : ndarray of str, shape (n_values,)
        The first spelling of each value.
    codes : ndarray of int64, shape (n_leads,)
        Position in `values`, or `len(values)` where the value is missing.
    written : ndarray of bool, shape (n_leads,)
        True where the cell is not empty, even if it contains a word for nothing.
    numbers : ndarray of float64, shape (n_leads,), or None
        The values, if they are numbers; nan where missing.
    times : ndarray of int64, shape (n_leads,), or None
        The values, if they are times: microseconds since 1970 UTC, or `NOT_A_TIME`.
    choices : tuple of ndarray of float64, shape (n_leads,)
        If cells contain several values: 1 or 0 for each frequent value, nan where missing.
    """

    name: str
    values: Objects
    spellings: Objects
    codes: Ints
    written: Bools
    numbers: Floats | None = None
    times: Ints | None = None
    choices: tuple[Floats, ...] = ()

    @property
    def filled(self) -> Bools:
        """True where there is a value, shape (n_leads,)."""
        return self.codes < len(self.values)

    @cached_property
    def levels(self) -> Ints:
        """The codes of the values; if there are many numbers, those of bins of equal size."""
        if self.numbers is None or len(self.values) <= BINS:
            return self.codes
        finite = self.numbers[np.isfinite(self.numbers)]
        bins = int(np.clip(len(self.codes) // LEADS_PER_SLICE, 2, BINS))
        edges = np.unique(np.quantile(finite, np.arange(1, bins) / bins)) if len(finite) else finite
        binned = np.digitize(self.numbers, edges)
        return np.where(np.isfinite(self.numbers), binned, len(edges) + 1)

    @cached_property
    def durations(self) -> Floats | None:
        """The numbers, or texts such as "3 days 04:30" in days; None if it contains neither."""
        if self.numbers is not None or self.choices or not self.filled.any():
            return self.numbers
        if not all(DURATION.fullmatch(value) for value in self.values[:200]):
            return None
        texts = pd.Series(self.values, dtype="str").str.replace(
            r"^(\d+:\d\d)$", r"\1:00", regex=True
        )
        days = pd.to_timedelta(texts, errors="coerce") / pd.Timedelta(days=1)
        return None if days.notna().mean() < MOSTLY else np.append(days, np.nan)[self.codes]

    def best_auc(self, groups: TwoGroups) -> Auc:
        """Compute how well the column alone separates two groups of leads."""
        best = groups.auc(groups.rates(self.levels[groups.rows]))
        if self.numbers is not None:
            numbers = self.numbers[groups.rows]
            ends = {np.inf, -np.inf} if np.isnan(numbers).any() else {0.0}
            for end in ends:  # a missing number is ranked above or below all others
                filled = np.where(np.isnan(numbers), end, numbers)
                best = max(best, groups.auc_either_way(filled))
        for choice in self.choices:
            best = max(best, groups.auc_either_way(np.nan_to_num(choice[groups.rows])))
        return best


def read_audited_column(
    column: pd.Series,
    rules: ColumnsKeys,
    notation: str | None,
    timezone: str,
    created: Ints,
) -> AuditedColumn:
    """Read one column of the leads; a time counts in days from the creation.

    Parameters
    ----------
    column : Series, shape (n_leads,)
        The cells, as they were read from the source.
    rules : ColumnsKeys
        The words for nothing, and the columns declared as numbers or categories.
    notation : str or None
        The format of its numbers or times, as `crm.formats` has it; None is the default.
    timezone : str
        The zone of times that have none.
    created : ndarray of int64, shape (n_leads,)
        The time of creation in microseconds since 1970 UTC, or `NOT_A_TIME`.

    Returns
    -------
    AuditedColumn
    """
    nothing = folded_words(rules.nothing)
    name = str(column.name)
    codes, spellings = pd.factorize(text_column(column), use_na_sentinel=True)
    folded = np.array([text.casefold() for text in spellings], dtype=object)
    words, first, to_word = np.unique(folded, return_index=True, return_inverse=True)
    is_value = np.array([word not in nothing for word in words], dtype=bool)
    n_values = int(is_value.sum())
    code_of_word = np.where(is_value, np.cumsum(is_value) - 1, n_values)
    code_of_spelling = np.append(code_of_word[to_word], n_values).astype(np.int64)
    read = AuditedColumn(
        name=name,
        values=words[is_value],
        spellings=np.asarray(spellings, dtype=object)[first[is_value]],
        codes=code_of_spelling[codes],
        written=codes >= 0,
    )
    if not read.filled.any() or name in rules.category:
        return read
    if (times := _times(read, notation, timezone)) is not None:
        start = np.where(created == NOT_A_TIME, 0, created)
        days = np.where(times == NOT_A_TIME, np.nan, (times - start) / DAY)
        return replace(read, numbers=days, times=times)
    values = number_reader(notation).read_column(pd.Series(read.values, dtype="str"))
    numbers = np.append(values, np.nan)[read.codes]
    if name in rules.number or np.isfinite(numbers[read.filled]).mean() >= MOSTLY:
        return replace(read, numbers=numbers)
    choices = ChoiceAttribute.recognise(UndeclaredColumn(column, frozenset(nothing)))
    return replace(read, choices=tuple(choice.encode_column(column) for choice in choices))


def _times(column: AuditedColumn, notation: str | None, timezone: str) -> Ints | None:
    """Read a column as times if it has a format of times, or looks like ISO 8601."""
    cells = pd.Series(column.values, dtype="str")
    if notation is None:
        if not all(DATE.fullmatch(value) for value in column.values[:200]):
            return None
        cells = cells.str.upper()
    elif time_notation(notation) is None:
        return None
    times, _ = parse_times(cells, column.name, timezone, notation)
    if times.notna().mean() < MOSTLY:
        return None
    return np.append(microseconds(times), NOT_A_TIME)[column.codes]


def kinds_of_leads(columns: Sequence[AuditedColumn]) -> tuple[Ints, ...]:
    """Return the codes of the columns that divide all leads into few kinds, such as sources."""
    return tuple(
        column.codes
        for column in columns
        if 2 <= len(column.values) <= BINS and column.filled.mean() >= ALWAYS
    )
