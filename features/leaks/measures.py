"""What the leak audit measures: fields read for judging, and two kinds of leads told apart.

Won is compared with lost, and closed with open, among leads of the same time only: where the
share of wins climbs over the years, everything that follows the calendar looks like a
fortune-teller otherwise.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from crm.arrays import Bools, Floats, Ints, Objects
from crm.cells import cell_text, number_column, text_column
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.attributes.attribute import MOSTLY
from features.moments import Moments

SLICES = 10
LEADS_PER_SLICE = 50
FOLDS = 5
BINS = 20
SMOOTHING = 10.0  # leads of the average rate that are added to each value
SURE = 2.576  # standard errors: a chance of 1 in 200 on either side, because fields are many
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([t ].*)?")
LOCAL_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})[./-]\d{4}( .*)?")


class Auc(NamedTuple):
    """Share of pairs, one lead of either kind, that a score ranks alike; and its lower bound."""

    value: float
    low: float

    @property
    def likely(self) -> float:
        """One standard error below the value."""
        return self.value - (self.value - self.low) / SURE


class Shares(NamedTuple):
    """How many of the first kind of leads something holds for, and how many of the second."""

    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """Two kinds of leads to be told apart, in slices of time.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Positions in `records.leads`.
    is_first : ndarray of bool, shape (n,)
        Of the first kind: won, or closed.
    part : ndarray of int64, shape (n,)
        Slice of time; all 0 where the leads have no order.
    fold : ndarray of int64, shape (n,)
        By a hash of the lead's id, so that no order of rows or columns changes it.

    Examples
    --------
    >>> won = np.array([True, True, False, False])
    >>> pairs = Comparison(np.arange(4), won, part=np.array([0, 1, 0, 1]), fold=np.zeros(4, int))
    >>> pairs.auc(np.array([2.0, 9.0, 1.0, 8.0])).value  # 8.0 is of a later time than 2.0
    1.0
    """

    rows: Ints
    is_first: Bools
    part: Ints
    fold: Ints

    @property
    def rarer(self) -> int:
        """How many leads there are of the rarer kind."""
        return int(min(self.is_first.sum(), (~self.is_first).sum()))

    @property
    def base(self) -> Floats:
        """Share of the first kind in each lead's slice of time, shape (n,)."""
        counts = np.bincount(self.part)
        return (np.bincount(self.part, self.is_first) / np.maximum(counts, 1))[self.part]

    def auc(self, scores: Floats) -> Auc:
        """Rank leads within slices; .5 where there are no pairs. Larger means of the first kind.

        The standard error is that of Hanley and McNeil (Radiology 143, 1982).
        """
        _, at = np.unique(scores, return_inverse=True)
        width, parts = int(at.max(initial=0)) + 1, int(self.part.max(initial=0)) + 1
        cells = self.part * width + at
        first, second = (
            np.bincount(cells[kind], minlength=parts * width).reshape(parts, width).astype(float)
            for kind in (self.is_first, ~self.is_first)
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

    def either_way(self, scores: Floats) -> Auc:
        """Rank leads upwards or downwards, whichever tells more."""
        return max(self.auc(scores), self.auc(-scores))

    def shares(self, holds: NDArray[np.generic]) -> Shares:
        """Mean of each kind, as if both had the same share of leads in each slice of time."""
        parts = int(self.part.max(initial=0)) + 1
        kinds = [np.flatnonzero(kind) for kind in (self.is_first, ~self.is_first)]
        counts = [np.bincount(self.part[kind], minlength=parts) for kind in kinds]
        weight = counts[0] * counts[1]
        sums = [np.bincount(self.part[kind], holds[kind], minlength=parts) for kind in kinds]
        means = [total / np.maximum(count, 1) for total, count in zip(sums, counts, strict=True)]
        return Shares(*(float((mean * weight).sum() / max(1, weight.sum())) for mean in means))

    def rates(self, levels: Ints) -> Floats:
        """Replace each value by how often its leads in the other folds are of the first kind.

        Smoothed towards the average (Micci-Barreca, SIGKDD Explorations 3, 2001), and told as
        the distance from it: the folds' averages differ, and would tell the outcome backwards.

        Parameters
        ----------
        levels : ndarray of int64, shape (n,)
            A code from 0 for each lead's value.

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

    def take(self, kept: Bools) -> "Comparison":
        """Keep some of the leads."""
        return Comparison(self.rows[kept], self.is_first[kept], self.part[kept], self.fold[kept])


@dataclass(frozen=True)
class Field:
    """One attribute of the leads, read for judging.

    Attributes
    ----------
    name : str
    values : ndarray of str, shape (n_values,)
        What it holds, case-folded; words for nothing are no values.
    codes : ndarray of int64, shape (n_leads,)
        Position in `values`, or `len(values)` where nothing is there.
    written : ndarray of bool, shape (n_leads,)
        Where a cell is not empty, be it only a word for nothing.
    numbers : ndarray of float64, shape (n_leads,), or None
        If it is a number; missing where nothing is there.
    times : ndarray of int64, shape (n_leads,), or None
        If it is a time: microseconds since 1970 UTC, or `NOT_A_TIME`.
    """

    name: str
    values: Objects
    codes: Ints
    written: Bools
    numbers: Floats | None = None
    times: Ints | None = None

    @property
    def filled(self) -> Bools:
        """Where there is a value, shape (n_leads,)."""
        return self.codes < len(self.values)

    @cached_property
    def levels(self) -> Ints:
        """Codes of values as far as they can be counted: numbers in bins of equal size."""
        if self.numbers is None or len(self.values) <= BINS:
            return self.codes
        known = self.numbers[np.isfinite(self.numbers)]
        bins = int(np.clip(len(self.codes) // LEADS_PER_SLICE, 2, BINS))
        edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else known
        binned = np.digitize(self.numbers, edges)
        return np.where(np.isfinite(self.numbers), binned, len(edges) + 1)

    def told(self, pairs: Comparison) -> Auc:
        """How well the field alone tells two kinds of leads apart."""
        found = pairs.auc(pairs.rates(self.levels[pairs.rows]))
        if self.numbers is not None:
            numbers = self.numbers[pairs.rows]
            ends = {np.inf, -np.inf} if np.isnan(numbers).any() else {0.0}
            for end in ends:  # a number that is missing stands above or below all others
                found = max(found, pairs.either_way(np.where(np.isnan(numbers), end, numbers)))
        return found


def read_field(column: pd.Series, project: Project, created: Ints) -> Field:
    """Read one column of the leads for judging; a time counts in days from the creation."""
    nothing = {str(cell_text(word)).casefold() for word in project.columns.nothing}
    name = str(column.name)
    codes, spelled = pd.factorize(text_column(column), use_na_sentinel=True)
    folded = np.array([text.casefold() for text in spelled], dtype=object)
    values, to = np.unique(folded, return_inverse=True)
    said = np.array([value not in nothing for value in values], dtype=bool)
    place = np.where(said, np.cumsum(said) - 1, said.sum())
    merged = np.append(place[to], said.sum()).astype(np.int64)[codes]
    field = Field(name, values[said], merged, codes >= 0)
    if not field.filled.any() or name in project.columns.category:
        return field
    if (times := _times(field, project.leads.time_format)) is not None:
        start = np.where(created == NOT_A_TIME, 0, created)
        days = np.where(times == NOT_A_TIME, np.nan, (times - start) / DAY)
        return replace(field, numbers=days, times=times)
    numbers = np.append(number_column(pd.Series(field.values, dtype="str")), np.nan)[merged]
    if name in project.columns.number or np.isfinite(numbers[field.filled]).mean() >= MOSTLY:
        return replace(field, numbers=numbers)
    return field


def _times(field: Field, time_format: str | None) -> Ints | None:
    """Read a field as times if its values look so: ISO 8601, the leads' format, 13.2.2025."""
    cells = pd.Series(field.values, dtype="str")
    sample = [LOCAL_DATE.fullmatch(value) for value in field.values[:200]]
    if all(DATE.fullmatch(value) for value in field.values[:200]):
        cells, time_format = cells.str.upper(), "ISO8601"
    elif all(sample):
        day_first = any(match is not None and int(match[1]) > 12 for match in sample)
        mark = sample[0][2] if sample[0] is not None else "."
        order = "%d/%m/%Y" if day_first or mark == "." else "%m/%d/%Y"
        cells, time_format = cells.str.split(" ").str[0], order.replace("/", mark)
    elif time_format is None or cells.str.fullmatch(r"[\d.]+").any():
        return None
    times = pd.to_datetime(cells, format=time_format, errors="coerce", utc=True)
    if times.notna().mean() < MOSTLY:
        return None
    return np.append(microseconds(times), NOT_A_TIME)[field.codes]


@dataclass(frozen=True)
class Sample:
    """The leads that an audit looks at.

    Attributes
    ----------
    ended : Comparison
        Won against lost or unwon, among the leads of the moments.
    standing : Comparison
        Closed against open, among leads old enough for most outcomes to be there.
    in_order : bool
        True if the leads stand in the order of time.
    created, closed : ndarray of int64, shape (n_leads,)
        In microseconds since 1970 UTC; `NOT_A_TIME` where there is none.
    until : int
        The moment up to which the records were watched; `NOT_A_TIME` without times.
    """

    ended: Comparison
    standing: Comparison
    in_order: bool
    created: Ints
    closed: Ints
    until: int


def read_sample(records: Records, moments: Moments) -> Sample:
    """Tell how each lead ended, as the records know it today, and put the leads into slices.

    A lead that was won after its horizon counts as won: its fields have changed all the same.
    """
    ids = records.leads["lead_id"]
    outcomes = records.outcomes.sort_values("closed_at", kind="stable")
    first = outcomes.drop_duplicates("lead_id").set_index("lead_id")
    is_closed = ids.isin(first.index).to_numpy()
    closed = microseconds(ids.map(first["closed_at"]))
    won = ids.isin(outcomes["lead_id"][outcomes["outcome"] == "won"]).to_numpy(copy=True)
    won[moments.lead[moments.label == 1]] = True
    no_time = np.full(len(ids), NOT_A_TIME)
    created = microseconds(records.leads["created_at"]) if records.has_times else no_time
    watched = int(microseconds(pd.Series([records.observed_until], dtype=TIME_DTYPE))[0])
    old_enough = np.ones(len(ids), dtype=bool)
    dated = is_closed & (created != NOT_A_TIME) & (closed != NOT_A_TIME)
    if dated.any() and watched != NOT_A_TIME:
        usual = np.median((closed - created)[dated])
        old_enough = created + usual <= watched
    at = created if records.has_times else np.arange(len(ids)) * int(records.in_order)
    fold = (pd.util.hash_array(ids.to_numpy(dtype=object)) % FOLDS).astype(np.int64)
    judged = np.unique(moments.lead)
    standing = np.flatnonzero(old_enough)
    return Sample(
        ended=_compare(judged, won, at, fold),
        standing=_compare(standing, is_closed, at, fold),
        in_order=records.has_times or records.in_order,
        created=created,
        closed=closed,
        until=watched,
    )


def _compare(rows: Ints, is_first: Bools, at: Ints, fold: Ints) -> Comparison:
    kind = is_first[rows]
    rarer = min(kind.sum(), (~kind).sum())
    parts = int(np.clip(min(len(rows) // LEADS_PER_SLICE, rarer // 5), 1, SLICES))
    place = rankdata(at[rows], method="min") - 1 if len(rows) else np.empty(0)
    part = (place * parts // max(1, len(rows))).astype(np.int64)
    return Comparison(rows, kind, part, fold[rows])
