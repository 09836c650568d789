"""Decides what a report can say: which outcomes are known, and whether sums are the revenue.

Each decision is made here once, for all pages, from all records: segments do not change it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints
from crm.lead_ids import places
from crm.records import Records
from crm.times import NOT_A_TIME, microseconds
from features.coverage import are_amounts_few, dominant_deal, outcomes_from
from features.events import NEVER


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The times and the amounts that the records contain.

    Attributes
    ----------
    leads_from : int
        The creation of the first lead, in microseconds since 1970 UTC; `NOT_A_TIME` without times.
    stages_from : int
        The first entry of a stage; `NOT_A_TIME` without stages.
    outcomes_from : int
        The day on which the outcomes begin, if that is much later than the leads; else
        `NOT_A_TIME`. The outcomes of leads created earlier are not known.
    n_wins, n_with_amount : int
        All wins, and those with an amount other than 0.
    """

    leads_from: int = NOT_A_TIME
    stages_from: int = NOT_A_TIME
    outcomes_from: int = NOT_A_TIME
    n_wins: int = 0
    n_with_amount: int = 0

    @property
    def has_revenue(self) -> bool:
        """True if enough wins have an amount for their sum to be called the revenue."""
        return self.n_with_amount > 0 and not are_amounts_few(self.n_wins, self.n_with_amount)


@dataclass(frozen=True, kw_only=True)
class Earned:
    """The amounts of some wins.

    Attributes
    ----------
    total : float
        Their sum.
    n_wins, n_with_amount : int
    is_revenue : bool
        True if enough of all wins, and of these, have an amount for the sum to be the revenue.
    largest : float or None
        The amount of the deal that is most of the sum; None if no deal is.
    closed : int
        When that deal was won, in microseconds; `NEVER` if this is not known.
    """

    total: float
    n_wins: int
    n_with_amount: int
    is_revenue: bool
    largest: float | None = None
    closed: int = NEVER

    @property
    def rest(self) -> float:
        """The sum without the deal that is most of it."""
        return self.total - (self.largest or 0.0)

    @property
    def without_largest(self) -> float | None:
        """The sum without the deal that is most of it; None if no deal is most of the sum."""
        return None if self.largest is None else self.rest


def coverage_of(records: Records, as_of: int, since: int = NOT_A_TIME) -> Coverage:
    """Find what records cover up to a moment.

    Parameters
    ----------
    records : Records
    as_of : int
        Microseconds since 1970 UTC; `NOT_A_TIME` if leads have no time of creation.
    since : int
        Leads created earlier are left out of the counts of leads.

    Returns
    -------
    Coverage
    """
    outcomes = records.outcomes
    lead = places(outcomes["lead_id"], records.leads["lead_id"])
    closed = microseconds(outcomes["closed_at"])
    is_known = lead >= 0
    if as_of != NOT_A_TIME:
        is_known &= (closed == NOT_A_TIME) | (closed <= as_of)
    is_win = is_known & (outcomes["outcome"] == "won").to_numpy()
    has_amount = np.nan_to_num(outcomes["amount"].to_numpy(dtype=np.float64)) != 0
    amounts: dict[str, Any] = {
        "n_wins": len(np.unique(lead[is_win])),
        "n_with_amount": len(np.unique(lead[is_win & has_amount])),
    }
    if as_of == NOT_A_TIME:
        return Coverage(**amounts)
    created = microseconds(records.leads["created_at"])
    first = outcomes_from(records, as_of)
    leads = created[(created <= as_of) & (created >= since)]
    return Coverage(
        leads_from=int(leads.min()) if len(leads) else NOT_A_TIME,
        stages_from=_first_of(records.stages),
        outcomes_from=first,
        **amounts,
    )


def _first_of(stages: pd.DataFrame | None) -> int:
    if stages is None or stages.empty:
        return NOT_A_TIME
    return int(microseconds(stages["entered_at"]).min())


def earned_by(coverage: Coverage, amount: Floats, closed: Ints) -> Earned:
    """Sum the amounts of some wins.

    Parameters
    ----------
    coverage : Coverage
    amount : ndarray of float64, shape (n,)
        The amount of each win; 0 without one.
    closed : ndarray of int64, shape (n,)
        When each was won, in microseconds; `NEVER` if this is not known.

    Examples
    --------
    >>> amount, closed = np.array([5.0, 90.0, 5.0, 5.0, 5.0, 0.0]), np.arange(6)
    >>> earned = earned_by(Coverage(n_wins=6, n_with_amount=5), amount, closed)
    >>> earned.total, earned.largest, earned.rest, earned.n_with_amount, earned.n_wins
    (110.0, 90.0, 20.0, 5, 6)
    """
    largest = dominant_deal(amount)
    n_with_amount = int((amount != 0).sum())
    return Earned(
        total=float(amount.sum()),
        n_wins=len(amount),
        n_with_amount=n_with_amount,
        is_revenue=coverage.has_revenue and not are_amounts_few(len(amount), n_with_amount),
        largest=None if largest is None else float(amount[largest]),
        closed=NEVER if largest is None else int(closed[largest]),
    )
