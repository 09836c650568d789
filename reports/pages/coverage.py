"""Sentences of the pages about what the records cover: outcomes, amounts, and windows."""

import numpy as np

from crm.times import DAY
from features.coverage import ENOUGH_AMOUNTS
from features.events import NEVER
from reports.numbers import money, percent
from reports.pages.phrases import day_name
from reports.rows.coverage import Earned
from reports.rows.rows import ReportRows

WITHOUT_LARGEST = "Without a deal that is most of it"  # the title of a column


def unknown_words(rows: ReportRows) -> str:
    """Describe the leads without a known outcome; empty if all outcomes are known."""
    coverage = rows.coverage
    n_unknown = int((~rows.has_known_outcome).sum())
    if not n_unknown:
        return ""
    return (
        f"The leads begin on {day_name(int(rows.created.min()))}, the outcomes on "
        f"{day_name(coverage.outcomes_from)}. The outcomes of the {n_unknown:,} leads created "
        "before that day are not known, so these leads are in no conversion, and are not "
        "compared by it."
    )


def closed_early_words(rows: ReportRows) -> str:
    """Describe the leads that were closed before they were created; empty if there are none."""
    n = int(rows.is_closed_early.sum())
    if not n:
        return ""
    if n == 1:
        return "1 lead was already won or lost when it was created, so it is in no conversion."
    return (
        f"{n:,} leads were already won or lost when they were created, so they are in no "
        "conversion."
    )


def with_currency(rows: ReportRows, title: str) -> str:
    """Format the title of a column or a row of amounts, with their currency if it is known."""
    return f"{title} ({rows.currency})" if rows.currency else title


def newest_lead_words(rows: ReportRows) -> str:
    """Format when the newest lead was created; the newest of all, if the report is about a part."""
    newest = "newest of all leads" if rows.is_part else "newest lead"
    return f"The {newest} was created on {day_name(rows.leads_until)}"


def amounts_words(rows: ReportRows) -> str:
    """Format the number of wins with an amount, and of all wins."""
    coverage = rows.coverage
    of_all = " of all leads, not only of those of this report," if rows.is_part else ""
    return f"{coverage.n_with_amount:,} of {coverage.n_wins:,} wins{of_all} have an amount"


def no_revenue_words(rows: ReportRows) -> str:
    """Explain why the revenue is not known: no lead is won, or too few wins have an amount."""
    if not rows.coverage.n_wins:
        return "No lead is won yet."
    if not rows.coverage.n_with_amount:
        return (
            "The outcomes have no amounts: name the column with [outcomes] amount, or [leads] "
            "amount."
        )
    return (
        f"The revenue is not known, because only {amounts_words(rows)}. It is shown if at least "
        f"{percent(ENOUGH_AMOUNTS, 0)} of the wins have one."
    )


def largest_deal_words(earned: Earned, currency: str) -> str:
    """Describe the deal that is most of a sum, and the sum without it; empty if no deal is."""
    if earned.largest is None:
        return ""
    when = "" if earned.closed == NEVER else f", won on {day_name(earned.closed)},"
    return (
        f"One deal{when} is {money(earned.largest, currency)} of {money(earned.total, currency)}. "
        f"Without it, the sum is {money(earned.rest, currency)}."
    )


def revenue_sentences(rows: ReportRows, earned: Earned) -> list[str]:
    """Describe what a sum of amounts leaves out, or explain why it is not the revenue."""
    if not rows.coverage.has_revenue:
        return [no_revenue_words(rows)]
    counted = f"{earned.n_with_amount:,} of the {earned.n_wins:,} wins have an amount"
    if not earned.is_revenue:
        return [f"The revenue is not known, because only {counted}."]
    missing = "" if earned.n_with_amount == earned.n_wins else f"{counted}; the others add nothing."
    return [*filter(None, [missing, largest_deal_words(earned, rows.currency)])]


def has_all_wins(rows: ReportRows, begins: int) -> bool:
    """Check whether the leads of the report can have been won at any age since a moment.

    If earlier leads are left out, the oldest leads of the report may be younger than the horizon
    at that moment.
    """
    return rows.since + rows.horizon <= begins


def last_days(end: int, days: int) -> str:
    """Format the first and the last day, or moment, of a window of whole days, UTC.

    Parameters
    ----------
    end : int
        The last moment that counts, in microseconds since 1970 UTC. If it is the start of a day,
        times are days, and the window ends with this day.
    days : int
        Its length.

    Examples
    --------
    >>> last_days(59 * DAY, 30)
    '1970-01-31 to 1970-03-01'
    >>> last_days(59 * DAY + DAY // 2, 30)
    '1970-01-30 12:00 to 1970-03-01 12:00'
    """
    if end % DAY == 0:
        return f"{day_name(end - (days - 1) * DAY)} to {day_name(end)}"
    first, last = (
        str(np.datetime64(at, "us").astype("datetime64[m]")).replace("T", " ")
        for at in (end - days * DAY, end)
    )
    return f"{first} to {last}"
