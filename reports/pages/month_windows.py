"""The newest 30 days and the 30 days before: their leads, and what cannot be compared."""

import numpy as np

from crm.arrays import Bools, Ints
from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import FEWEST_LEADS
from reports.pages.coverage import has_all_wins
from reports.pages.phrases import day_name
from reports.rows.rows import ReportRows

DAYS = 30


def last_and_before(at: Ints, end: int) -> list[Bools]:
    """Return which times are in the 30 days up to an end, and which in the 30 days before.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Times in microseconds since 1970 UTC; `NEVER` is in neither.
    end : int
        The last moment that counts, in the same unit.

    Returns
    -------
    list of ndarray of bool, shape (n,)
    """
    return [
        np.asarray((at > last - DAYS * DAY) & (at <= last) & (at != NEVER))
        for last in (end, end - DAYS * DAY)
    ]


def mature_until(rows: ReportRows) -> int:
    """Return the time of creation of the newest lead that can be old enough."""
    return min(rows.as_of - rows.horizon, rows.leads_until)


def cohorts(rows: ReportRows) -> list[Bools]:
    """Return which leads are compared: the newest 30 days of old leads, and the 30 days before.

    Leads whose outcome is not known are left out.
    """
    return [
        leads & rows.has_known_outcome & ~rows.is_closed_early
        for leads in last_and_before(rows.created, mature_until(rows))
    ]


def has_both_cohorts(rows: ReportRows) -> bool:
    """Check whether the report has all leads of both periods of conversion."""
    return rows.since <= mature_until(rows) - 2 * DAYS * DAY


def no_wins_before(rows: ReportRows) -> str:
    """Return why wins of the 30 days before are not shown; empty if they are."""
    begins = rows.as_of - 2 * DAYS * DAY
    what = f"Wins and revenue of the {DAYS} days before are not shown"
    if rows.coverage.outcomes_from > begins:
        return f"{what}: outcomes are known from {day_name(rows.coverage.outcomes_from)} on."
    if not has_all_wins(rows, begins):
        return (
            f"{what}: leads created before {day_name(rows.since)} are left out, so fewer leads "
            f"could be won in those {DAYS} days than in the newest {DAYS}, and the two numbers "
            "cannot be compared."
        )
    return ""


def no_conversion(rows: ReportRows) -> str:
    """Return why the conversion of two periods is not shown; empty if it is."""
    if not rows.is_mature.any():
        return ""  # `no_lead_became_old` says so
    what = "Conversion is not shown"
    if not has_both_cohorts(rows):
        return (
            f"{what}: leads created before {day_name(rows.since)} are left out, so the {DAYS} days "
            "before have no leads, or only some, that are old enough."
        )
    new, old = (int(leads.sum()) for leads in cohorts(rows))
    if min(new, old) >= FEWEST_LEADS:
        return ""
    return (
        f"{what}, because there are too few leads with a known outcome: {new:,} of those created "
        f"in the {DAYS} days to {day_name(mature_until(rows))}, and {old:,} of those created in "
        f"the {DAYS} days before. At least {FEWEST_LEADS} of each are needed."
    )


def no_lead_became_old(rows: ReportRows) -> str:
    """Return a sentence if no lead became old enough in the newest days; empty if one did."""
    became = last_and_before(rows.created + rows.horizon, rows.as_of)[0] & rows.is_mature
    if became.any():
        return ""
    if not rows.is_mature.any():
        return f"No lead with a known outcome is {rows.horizon_days:g} days old yet."
    return (
        f"No lead became {rows.horizon_days:g} days old in the {DAYS} days to "
        f"{day_name(rows.as_of)}. The newest leads that are old enough were created up to "
        f"{day_name(int(rows.created[rows.is_mature].max()))}."
    )
