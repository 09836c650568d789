"""The check of a column's dates: LS108."""

import numpy as np

from crm.arrays import Bools, Ints
from crm.times import DAY, NOT_A_TIME
from features.leaks.check import MIN_OUTCOMES, Verdict, check, rounded
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads


@check(
    "LS108", "It contains dates after the lead's creation, or the closing date.", finds_closing=True
)
def dated_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare the column's dates with the lead's creation and closing.

    Dates after the end of the export are plans, and a plan may be known in time.
    """
    if column.times is None:
        return None
    has_date = column.filled & (column.times != NOT_A_TIME)
    near_closing = _dated_at_closing(column.times, has_date, leads)
    if near_closing is not None:
        return near_closing
    is_later = has_date & (leads.created != NOT_A_TIME)
    is_later &= column.times > leads.created + DAY
    share = is_later.sum() / max(1, has_date.sum())
    if share < 0.05:
        return None
    n_plans = int((column.times[is_later] > leads.until + DAY).sum())
    evidence = (
        f"{rounded(share)} of its {has_date.sum():,} dates are more than a day after the creation "
        "of the lead"
    )
    if n_plans < max(5, 0.02 * is_later.sum()):
        verdict = Verdict.LEAK if is_later.sum() >= MIN_OUTCOMES else Verdict.SUSPECT
        return verdict, f"{evidence}."
    auc = column.best_auc(leads.by_outcome).value
    verdict = Verdict.SUSPECT if auc >= 0.65 else Verdict.FINE
    return verdict, (
        f"{evidence}. {n_plans:,} of them are after the end of the export: a plan, which ranks "
        f"{rounded(auc)} of pairs correctly."
    )


def _dated_at_closing(
    times: Ints, has_date: Bools, leads: AuditedLeads
) -> tuple[Verdict, str] | None:
    is_quick = (leads.created != NOT_A_TIME) & (leads.closed - leads.created <= 2 * DAY)
    is_closed = has_date & (leads.closed != NOT_A_TIME) & ~is_quick
    is_near = is_closed & (np.abs(times - np.where(is_closed, leads.closed, 0)) <= DAY)
    n_closed, n_near = is_closed.sum(), is_near.sum()
    if n_near < MIN_OUTCOMES or n_near < 0.5 * n_closed:
        return None
    return Verdict.LEAK, (
        f"{n_near:,} of {n_closed:,} dates of closed leads are within a day of the closing."
    )
