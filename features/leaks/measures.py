"""Measures of the leak audit: how well columns separate two groups of leads.

Won leads are compared with lost ones, and closed leads with open ones, within slices of time
only. Otherwise, where the share of wins rises over the years, every column that follows the
calendar would seem to predict wins.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Ints
from crm.cells import is_among
from crm.records import Records
from crm.times import NOT_A_TIME, TIME_DTYPE, microseconds
from features.moments import Moments

SLICES = 10
LEADS_PER_SLICE = 50
LEADS_NEARBY = 40  # leads of nearly the same time
FOLDS = 5
SMOOTHING = 10.0  # leads of the average rate that are added to each value
SURE = 2.576  # standard errors: a chance of 1 in 200 on either side, because there are many columns


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
    at : ndarray of int64, shape (n_leads,)
        The position of each lead in time; 0 for all if the leads have no order.
    is_closed : ndarray of bool, shape (n_leads,)
        True for leads with an outcome, even if its time is missing.
    created, closed : ndarray of int64, shape (n_leads,)
        Microseconds since 1970 UTC; `NOT_A_TIME` where the time is missing.
    until : int
        The time up to which the records were observed; `NOT_A_TIME` without times.
    kinds : tuple of ndarray of int64, shape (n_leads,)
        The codes of columns that divide the leads into few kinds, such as forms or sources.
    """

    by_outcome: TwoGroups
    by_state: TwoGroups
    in_order: bool
    at: Ints
    is_closed: Bools
    created: Ints
    closed: Ints
    until: int
    kinds: tuple[Ints, ...] = ()

    def nearby(self, groups: TwoGroups, kind: Ints | None = None) -> TwoGroups:
        """Return groups in slices of `LEADS_NEARBY` leads of nearly the same time.

        What began or ceased on some day divides one of these slices at most.

        Parameters
        ----------
        groups : TwoGroups
        kind : ndarray of int64, shape (n_leads,), optional
            The kind of each lead. If given, only leads of one kind share a slice.
        """
        place = pd.Series(self.at[groups.rows]).rank(method="min").to_numpy() - 1
        part = (place // LEADS_NEARBY).astype(np.int64)
        if kind is not None:
            part = pd.factorize(part * (int(kind.max()) + 1) + kind[groups.rows])[0]
        return replace(groups, part=part)


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
        at=at,
        is_closed=np.asarray(is_closed),
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
