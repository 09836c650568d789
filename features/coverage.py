"""Measures what records cover: when their outcomes begin, and which wins have an amount.

The record checks ask about these measures, the reports leave out what they cannot say, and training
leaves out leads whose outcome is not known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from crm.arrays import Floats, Ints
from crm.lead_ids import places
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, microseconds

LATE_DAYS: Final = 30  # outcomes that begin this much later than the leads
LATE_TIMES: Final = 4  # and this many times the usual time to close
MIN_EXPECTED: Final = 10  # outcomes that the early leads would have had
MIN_OUTCOMES: Final = 30
MIN_LATER: Final = 15  # outcomes of leads that are created after the first outcome
MIN_DEALS: Final = 5  # to judge their amounts
MOST_OF_SUM: Final = 0.5  # the share of one deal
ENOUGH_AMOUNTS: Final = 0.5  # the share of the wins that have an amount


@dataclass(frozen=True, kw_only=True)
class LateBeginning:
    """The beginning of outcomes that begin much later than the leads.

    Attributes
    ----------
    first : int
        Microseconds since 1970 UTC. The outcomes of leads created earlier are not known.
    usual : int
        Half of the outcomes of later leads come within this time, in microseconds.
    """

    first: int
    usual: int


def late_beginning(leads: Ints, created: Ints, closed: Ints) -> LateBeginning | None:
    """Find outcomes that begin much later than the leads.

    Outcomes do not begin late only because leads take long to close: the gap is compared with the
    time that later leads take.

    Parameters
    ----------
    leads : ndarray of int64, shape (n_leads,)
        The creation of all leads, in microseconds since 1970 UTC.
    created, closed : ndarray of int64, shape (n_outcomes,)
        The creation and the closing of the leads with a dated outcome.

    Returns
    -------
    LateBeginning or None
        None if the outcomes do not begin late, or if too few are known to tell.

    Examples
    --------
    >>> leads = np.arange(400) * DAY
    >>> late_beginning(leads, leads[200:], leads[200:] + 5 * DAY).first // DAY
    205
    >>> late_beginning(leads, leads, leads + 5 * DAY) is None
    True
    """
    if len(closed) < MIN_OUTCOMES or not len(leads):
        return None
    dates = np.sort(closed)
    first = int(dates[len(dates) // 200])  # a few wrong dates do not count
    durations = (closed - created)[created >= first]
    if len(durations) < MIN_LATER:
        return None
    usual = max(DAY, int(np.median(durations)))
    gap = first - int(leads.min())
    n_early = int((leads < first - usual).sum())
    rate = (durations <= usual).sum() / max(1, (leads >= first).sum())
    if gap < max(LATE_DAYS * DAY, LATE_TIMES * usual) or rate * n_early < MIN_EXPECTED:
        return None
    if first - dates[0] < gap / 2:
        first = int(dates[0])
    return LateBeginning(first=first, usual=usual)


def outcomes_from(records: Records, as_of: int) -> int:
    """Return the day on which outcomes begin, if that is much later than the leads.

    The outcomes of leads that were created before this day count as unknown, also recorded ones,
    because the early outcomes of these leads are missing. Reports and training leave them out.

    Parameters
    ----------
    records : Records
        Records with times.
    as_of : int
        Microseconds since 1970 UTC. Leads and outcomes after it do not count.

    Returns
    -------
    int
        Microseconds since 1970 UTC; `NOT_A_TIME` if the outcomes do not begin late.
    """
    lead = places(records.outcomes["lead_id"], records.leads["lead_id"])
    created = microseconds(records.leads["created_at"])
    closed = microseconds(records.outcomes["closed_at"])
    is_dated = (lead >= 0) & (closed != NOT_A_TIME) & (closed <= as_of)
    late = late_beginning(created[created <= as_of], created[lead[is_dated]], closed[is_dated])
    return NOT_A_TIME if late is None else late.first // DAY * DAY


def dominant_deal(amounts: Floats) -> int | None:
    """Find the one deal that is most of the sum of several deals.

    Parameters
    ----------
    amounts : ndarray of float64, shape (n,)
        The amount of each deal; 0 or nan if it has none.

    Returns
    -------
    int or None
        Its position; None if no deal is most of the sum, or if too few have an amount.

    Examples
    --------
    >>> dominant_deal(np.array([5.0, 90.0, 5.0, 5.0, 5.0])), dominant_deal(np.ones(9))
    (1, None)
    """
    amounts = np.maximum(np.nan_to_num(amounts), 0.0)
    if (amounts > 0).sum() < MIN_DEALS:
        return None
    largest = int(np.argmax(amounts))
    return largest if amounts[largest] > MOST_OF_SUM * amounts.sum() else None


def are_amounts_few(n_wins: int, n_with_amount: int) -> bool:
    """Check whether too few of the wins have an amount for their sum to be the revenue.

    Examples
    --------
    >>> are_amounts_few(842, 45), are_amounts_few(10, 5), are_amounts_few(4, 0)
    (True, False, False)
    """
    return n_wins >= MIN_DEALS and n_with_amount < ENOUGH_AMOUNTS * n_wins
