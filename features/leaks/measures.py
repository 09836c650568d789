"""Measures of the leak audit: facts about columns, and how well they separate two groups of leads.

Won leads are compared with lost ones, and closed leads with open ones, within slices of time
only. Otherwise, where the share of wins rises over the years, every column that follows the
calendar would seem to predict wins.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Ints, Objects
from crm.cells import folded_words, is_among, text_column
from crm.formats.column_times import parse_times
from crm.formats.columns import number_reader, time_notation
from crm.project import ColumnsKeys
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.attributes.attribute import MOSTLY, UndeclaredColumn
from features.attributes.choices import ChoiceAttribute
from features.moments import Moments

SLICES = 10
LEADS_PER_SLICE = 50
FOLDS = 5
BINS = 20
SMOOTHING = 10.0  # leads of the average rate that are added to each value
SURE = 2.576  # standard errors: a chance of 1 in 200 on either side, because there are many columns
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([t ].*)?")


class Auc(NamedTuple):
    """The share of pairs of leads, one of either group, that a score ranks correctly.

    Attributes
    ----------
    value : float
    low : float
        The lower bound of the value.
    """

    value: float
    low: float

    @property
    def likely(self) -> float:
        """The value minus one standard error."""
        return self.value - (self.value - self.low) / SURE


class Shares(NamedTuple):
    """The share of the first group, and of the second, that has a property."""

    first: float
    second: float


@dataclass(frozen=True)
class TwoGroups:
    """Two groups of leads to compare, within slices of time.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Positions in the leads table.
    is_first : ndarray of bool, shape (n,)
        True for leads of the first group: won, or closed.
    part : ndarray of int64, shape (n,)
        Slice of time; 0 for all if the leads have no order.
    fold : ndarray of int64, shape (n,)
        Fold by a hash of the lead's id, so that the order of rows or columns does not matter.

    Examples
    --------
    >>> won = np.array([True, True, False, False])
    >>> groups = TwoGroups(rows=np.arange(4), is_first=won, part=np.array([0, 1, 0, 1]),
    ...                    fold=np.zeros(4, int))
    >>> groups.auc(np.array([2.0, 9.0, 1.0, 8.0])).value  # 8.0 is of a later time than 2.0
    1.0
    """

    rows: Ints
    is_first: Bools
    part: Ints
    fold: Ints

    @property
    def rarer(self) -> int:
        """The number of leads in the smaller group."""
        return int(min(self.is_first.sum(), (~self.is_first).sum()))

    @property
    def base(self) -> Floats:
        """The share of the first group in each lead's slice of time, shape (n,)."""
        counts = np.bincount(self.part)
        return (np.bincount(self.part, self.is_first) / np.maximum(counts, 1))[self.part]

    def auc(self, scores: Floats) -> Auc:
        """Compute how well scores rank leads within slices; 0.5 if there are no pairs.

        A larger score ranks a lead nearer to the first group. The standard error is that of
        Hanley and McNeil (Radiology 143, 1982).
        """
        return self._auc_of_ranks(*_ranks(scores))

    def _auc_of_ranks(self, at: Ints, width: int) -> Auc:
        parts = int(self.part.max(initial=0)) + 1
        cells = self.part * width + at
        first, second = (
            np.bincount(cells[group], minlength=parts * width).reshape(parts, width).astype(float)
            for group in (self.is_first, ~self.is_first)
        )
        pairs = float((first.sum(axis=1) * second.sum(axis=1)).sum())
        if not pairs:
            return Auc(0.5, 0.0)
        value = float((first * (second.cumsum(axis=1) - second / 2)).sum() / pairs)
        n, m = self.is_first.sum(), (~self.is_first).sum()
        spread = (n - 1) * (value / (2 - value) - value**2)
        spread += (m - 1) * (2 * value**2 / (1 + value) - value**2)
        error = float(np.sqrt(max(0.0, value * (1 - value) + spread) / (n * m)))
        return Auc(value, value - SURE * error)

    def auc_either_way(self, scores: Floats) -> Auc:
        """Compute how well scores rank leads upwards or downwards, whichever is better."""
        at, width = _ranks(scores)
        return max(self._auc_of_ranks(at, width), self._auc_of_ranks(width - 1 - at, width))

    def shares(self, values: NDArray[np.generic]) -> Shares:
        """Compute the mean of each group, with the same weights of the slices of time for both."""
        parts = int(self.part.max(initial=0)) + 1
        groups = [np.flatnonzero(group) for group in (self.is_first, ~self.is_first)]
        counts = [np.bincount(self.part[group], minlength=parts) for group in groups]
        weight = counts[0] * counts[1]
        sums = [np.bincount(self.part[group], values[group], minlength=parts) for group in groups]
        means = [total / np.maximum(count, 1) for total, count in zip(sums, counts, strict=True)]
        first, second = (float((mean * weight).sum() / max(1, weight.sum())) for mean in means)
        return Shares(first, second)

    def rates(self, levels: Ints) -> Floats:
        """Replace each value by the share of the first group among its leads in other folds.

        The share is smoothed towards the average (Micci-Barreca, SIGKDD Explorations 3, 2001).
        The result is its distance from the average, because the averages of the folds differ
        and would otherwise reveal the outcome, reversed.

        Parameters
        ----------
        levels : ndarray of int64, shape (n,)
            The code of each lead's value, from 0.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        width = int(levels.max(initial=0)) + 1
        cells, size = self.fold * width + levels, FOLDS * width
        first = np.bincount(cells, self.is_first, minlength=size).reshape(FOLDS, width)
        count = np.bincount(cells, minlength=size).reshape(FOLDS, width)
        first, count = first.sum(axis=0) - first, count.sum(axis=0) - count
        mean = first.sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
        away = (first - mean * count) / (count + SMOOTHING)
        return np.asarray(away.ravel()[cells].round(9))

    def take(self, selected: Bools) -> "TwoGroups":
        """Return the groups of the selected leads."""
        return TwoGroups(
            rows=self.rows[selected],
            is_first=self.is_first[selected],
            part=self.part[selected],
            fold=self.fold[selected],
        )


def _ranks(scores: Floats) -> tuple[Ints, int]:
    """Return the rank of each score among the distinct scores, from 0, and their number."""
    at, distinct = pd.factorize(scores, sort=True, use_na_sentinel=False)  # faster than np.unique
    return at, max(1, len(distinct))


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


@dataclass(frozen=True)
class AuditedLeads:
    """The leads that an audit compares.

    Attributes
    ----------
    by_outcome : TwoGroups
        Won against lost or unwon leads, among the leads of the moments.
    by_state : TwoGroups
        Closed against open leads, among leads that are old enough to be closed as a rule.
    in_order : bool
        True if the leads are in the order of time.
    created, closed : ndarray of int64, shape (n_leads,)
        Microseconds since 1970 UTC; `NOT_A_TIME` where the time is missing.
    until : int
        The time up to which the records were observed; `NOT_A_TIME` without times.
    """

    by_outcome: TwoGroups
    by_state: TwoGroups
    in_order: bool
    created: Ints
    closed: Ints
    until: int


def audited_leads(records: Records, moments: Moments) -> AuditedLeads:
    """Read how each lead ended until today, and put leads into slices of time.

    A lead that was won after its horizon counts as won, because its columns have changed.
    """
    ids = records.leads["lead_id"]
    outcomes = records.outcomes.sort_values("closed_at", kind="stable")
    first = outcomes.drop_duplicates("lead_id").set_index("lead_id")
    is_closed = is_among(ids, outcomes["lead_id"])
    closed = microseconds(first["closed_at"].reindex(ids))
    won = is_among(ids, outcomes["lead_id"][outcomes["outcome"] == "won"])
    won[moments.lead[moments.label == 1]] = True
    no_time = np.full(len(ids), NOT_A_TIME)
    created = microseconds(records.leads["created_at"]) if records.has_times else no_time
    until = int(microseconds(pd.Series([records.observed_until], dtype=TIME_DTYPE))[0])
    is_old = np.ones(len(ids), dtype=bool)
    has_life = (created != NOT_A_TIME) & (closed != NOT_A_TIME)
    if has_life.any() and until != NOT_A_TIME:  # a draft may have future times only
        usual_life = np.median((closed - created)[has_life])
        is_old = created + usual_life <= until
    if records.has_times:
        at = created
    elif records.in_order:
        at = np.arange(len(ids))
    else:
        at = np.zeros(len(ids), dtype=np.int64)
    fold = (pd.util.hash_array(ids.to_numpy(dtype=object)) % FOLDS).astype(np.int64)
    return AuditedLeads(
        by_outcome=_two_groups(np.unique(moments.lead), won, at, fold),
        by_state=_two_groups(np.flatnonzero(is_old), is_closed, at, fold),
        in_order=records.has_times or records.in_order,
        created=created,
        closed=closed,
        until=until,
    )


def _two_groups(rows: Ints, is_first: Bools, at: Ints, fold: Ints) -> TwoGroups:
    first = is_first[rows]
    rarer = min(first.sum(), (~first).sum())
    parts = int(np.clip(min(len(rows) // LEADS_PER_SLICE, rarer // 5), 1, SLICES))
    place = pd.Series(at[rows]).rank(method="min").to_numpy() - 1
    part = (place * parts // len(rows)).astype(np.int64)
    return TwoGroups(rows=rows, is_first=first, part=part, fold=fold[rows])
