"""The checks of when and how leads ended: LC101, LC102, LC121 and LC126."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.days import is_day_start, zone_of_days
from crm.text import counted, has_or_have, is_or_are, quote
from crm.times import DAY, NOT_A_TIME, as_times
from features.coverage import late_beginning
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.dates import day_of, days_of, duration
from features.record_checks.tables import UNKNOWN_LEAD, OutcomeRows, ReadTables

MIN_UNDATED: Final = 10  # wins, and losses
RARELY: Final = 0.05  # the share of outcomes with a closing date
MOSTLY: Final = 0.5


@check("LC101", "Leads were closed before they were created.")
def closed_before_creation(tables: ReadTables) -> Iterator[Finding]:
    """Compare the closing of each lead with its creation.

    A closing that is a day without a clock is not before a creation on the same day.
    """
    outcomes, created = tables.outcomes, _created_of(tables)
    if outcomes is None or created is None:
        return
    zone = outcomes.table.keys.timezone
    has_both = (outcomes.closed != NOT_A_TIME) & (created != NOT_A_TIME)
    closed = as_times(outcomes.closed, pd.RangeIndex(len(created)))
    day_zone = zone_of_days(closed, zone) or zone
    is_same_day = days_of(outcomes.closed, day_zone) == days_of(created, day_zone)
    is_early = has_both & (outcomes.closed < created)
    is_early &= ~(is_day_start(closed, day_zone) & is_same_day)
    n_early = int(is_early.sum())
    if n_early:
        early_by = (created - outcomes.closed)[is_early]
        usual = duration(int(np.median(early_by)))
        early = f"half of them by {usual} or more" if n_early > 1 else f"by {usual}"
        within = (
            " None is more than a day early: the two columns may be in different time zones."
            if early_by.max() <= DAY
            else ""
        )
        yield Finding(
            outcomes.table,
            f"How can {counted(n_early, 'lead')} be closed before the creation?",
            f"{n_early:,} of {int(has_both.sum()):,} closings {is_or_are(n_early)} before the "
            f"creation of the lead, {early}.{within} The model does not learn from leads "
            "that were closed when they were created.",
            "Check that `created_at` and `closed_at` name the right columns. If leads are created "
            "later than their deals, for example by an import, name the earlier time instead.",
            rows_of(is_early),
        )


@check("LC102", "The outcomes begin much later than the leads.")
def outcomes_begin_late(tables: ReadTables) -> Iterator[Finding]:
    """Compare the first outcomes with the first leads."""
    outcomes, created = tables.outcomes, _created_of(tables)
    if outcomes is None or created is None or tables.created is None:
        return
    is_dated = (outcomes.closed != NOT_A_TIME) & (created != NOT_A_TIME)
    is_dated &= outcomes.is_won | outcomes.is_lost
    closed, created = outcomes.closed[is_dated], created[is_dated]
    leads = tables.created[tables.created != NOT_A_TIME]
    late = late_beginning(leads, created, closed)
    if late is None:
        return
    first = late.first
    n_early, n_later = int((leads < first).sum()), int((leads >= first).sum())
    ended_early, ended_later = int((created < first).sum()), int((created >= first).sum())
    zone = outcomes.table.keys.timezone
    yield Finding(
        outcomes.table,
        f"Are there outcomes before {day_of(first, zone)} that this export lacks?",
        f"The leads begin on {day_of(leads.min(), zone)}, the outcomes on {day_of(first, zone)}. "
        f"{n_early:,} of {len(leads):,} leads ({share(n_early, len(leads))}) are older than the "
        f"first outcomes; {share(ended_early, n_early)} of them have an outcome, and "
        f"{share(ended_later, n_later)} of the later leads. Half of the outcomes of later leads "
        f"come within {duration(late.usual)}. The model does not learn from leads that were "
        "created before the outcomes begin, and reports do not count them in any conversion.",
        "Export the earlier outcomes too, so that the model can learn from these leads. If the "
        "earlier outcomes were never recorded, nothing needs to be done.",
    )


@check("LC121", "Leads have more than one outcome.")
def several_outcomes(tables: ReadTables) -> Iterator[Finding]:
    """Count the leads with several rows in the table of outcomes."""
    outcomes = tables.outcomes
    if outcomes is None or outcomes.table.name == "leads":
        return
    is_known = (outcomes.lead != UNKNOWN_LEAD) & (outcomes.is_won | outcomes.is_lost)
    count = np.bincount(outcomes.lead[is_known])
    won = np.bincount(outcomes.lead[is_known & outcomes.is_won], minlength=len(count))
    is_several = count > 1
    n_several, n_leads = int(is_several.sum()), int((count > 0).sum())
    if not n_several:
        return
    n_both = int((is_several & (won > 0) & (won < count)).sum())
    were = "was" if n_both == 1 else "were"
    both = f" {n_both:,} of them {were} both won and lost." if n_both else ""
    yield Finding(
        outcomes.table,
        f"Why {'do' if n_several > 1 else 'does'} {counted(n_several, 'lead')} have more than one "
        "outcome?",
        f"{n_several:,} of {n_leads:,} leads with an outcome {has_or_have(n_several)} two or more "
        f"rows in {outcomes.table.file}.{both} A lead with at least one win counts as won. "
        "The model learns from the time before the first outcome.",
        "If each row is another deal of the same customer, nothing needs to be done. If the rows "
        "are earlier and later states of one deal, export the last state only.",
        rows_of(is_known & is_several[np.where(is_known, outcomes.lead, 0)]),
    )


@check("LC126", "Wins have no closing date although losses have one, or the reverse.")
def undated_outcomes(tables: ReadTables) -> Iterator[Finding]:
    """Compare the share of wins that have a closing date with that of losses."""
    outcomes = tables.outcomes
    if outcomes is None or tables.created is None or "closed_at" not in outcomes.table.roles:
        return
    is_dated = outcomes.closed != NOT_A_TIME
    n_won, n_lost = int(outcomes.is_won.sum()), int(outcomes.is_lost.sum())
    if min(n_won, n_lost) < MIN_UNDATED:
        return
    dated_won = int((is_dated & outcomes.is_won).sum())
    dated_lost = int((is_dated & outcomes.is_lost).sum())
    shares = dated_won / n_won, dated_lost / n_lost
    if min(shares) > RARELY or max(shares) < MOSTLY:
        return
    are_wins = shares[0] < shares[1]
    what = "wins" if are_wins else "losses"
    of_kind = outcomes.is_won if are_wins else outcomes.is_lost
    horizon = f"{tables.project.learn.horizon_days:g} days"
    counts = f"counts as won within {horizon}" if are_wins else "counts as not won"
    ages = tables.project.learn.moments_days
    learned = (
        "The model learns from it only as of its creation"
        if 0 in ages
        else "The model does not learn from it, because `moments_days` lacks 0"
    )
    column = quote(outcomes.table.roles["closed_at"])
    yield Finding(
        outcomes.table,
        f"Why do the {what} have no closing date in {column}?",
        f"{share(dated_won, n_won)} of {n_won:,} wins and {share(dated_lost, n_lost)} of "
        f"{n_lost:,} losses have one. A {'win' if are_wins else 'loss'} without a date {counts}, "
        f"however long it took. {learned}.",
        f"Check whether another column has the dates of the {what}. Export one column that has the "
        f"dates of both, and name it as `closed_at`. If the CRM has no dates of {what}, keep 0 in "
        "`moments_days`.",
        rows_of(of_kind & ~is_dated),
    )


def _created_of(tables: ReadTables) -> Ints | None:
    """Return when the lead of each outcome was created."""
    outcomes: OutcomeRows | None = tables.outcomes
    if outcomes is None or tables.created is None:
        return None
    return np.where(outcomes.lead == UNKNOWN_LEAD, NOT_A_TIME, tables.created[outcomes.lead])
