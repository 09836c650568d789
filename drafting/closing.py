"""Finds the column of closing dates by its cells, and doubts that closing dates raise."""

from collections.abc import Mapping, Sequence

import numpy as np

from drafting.about_person import is_sensitive
from drafting.outcome_column import OutcomeChoice
from drafting.outcome_counts import ValueCount
from drafting.outcome_words import OutcomeWords
from drafting.role_names import NO_RANK, is_excluded, rank
from drafting.samples import Column

FEWEST_LEADS = 10  # the least number of closed leads, and of other leads
FILLED_OF_CLOSED = 0.9  # the least share of closed leads with a time
FILLED_OF_OTHERS = 0.05  # the highest share of other leads with a time
DATED_OF_WON = 0.8  # the least share of won leads with a closing date, without a doubt
DATED_OF_EACH = 0.5  # the least share of won, and of lost, leads with a date; else it is one-sided
DATED_OF_OPEN = 0.9  # the least share of open leads of one value with a closing date, for a doubt
AFTER_CREATION = 0.9  # the least share of times that are not before the day of creation


def closing_by_cells(
    columns: Sequence[Column], choice: OutcomeChoice, created: Column | None
) -> Column | None:
    """Find the column whose times are filled for closed leads and empty for the others.

    Parameters
    ----------
    columns : sequence of Column
        The columns of the table of the outcome.
    choice : OutcomeChoice
        The outcome of each row.
    created : Column or None
        The times of creation, in the same rows.

    Returns
    -------
    Column or None
        None if no column is filled in this way, or if there are too few closed or other leads.
    """
    closed = {value.casefold() for value in (*choice.words.won, *choice.words.lost)}
    is_closed = np.array(
        [text is not None and text.casefold() in closed for text in choice.column.texts]
    )
    if min(is_closed.sum(), (~is_closed).sum()) < FEWEST_LEADS:
        return None
    for column in columns:
        if not column.is_time or column is created:
            continue
        is_creation = rank("created_at", column.name) < NO_RANK
        if is_creation or is_excluded("closed_at", column.name) or is_sensitive(column):
            continue
        is_filled = column.times.notna().to_numpy()
        if is_filled[is_closed].mean() < FILLED_OF_CLOSED:
            continue
        if is_filled[~is_closed].mean() > FILLED_OF_OTHERS:
            continue
        if created is None or share_after(column, created) >= AFTER_CREATION:
            return column
    return None


def is_one_sided(closing: Column, choice: OutcomeChoice) -> bool:
    """Check whether most won leads, or most lost leads, lack a closing date."""
    outcomes = np.array(choice.words.outcomes(choice.column), dtype=object)
    is_dated = closing.times.notna().to_numpy()
    return any(
        (outcomes == outcome).any() and is_dated[outcomes == outcome].mean() < DATED_OF_EACH
        for outcome in ("won", "lost")
    )


def closing_doubts(words: OutcomeWords, counts: Mapping[str, ValueCount]) -> dict[str, str]:
    """Return the values whose closing dates contradict their meaning, and the evidence.

    Many won leads without a closing date may not be won. Open leads of one value with closing
    dates may be closed, if the other open leads have none.

    Parameters
    ----------
    words : OutcomeWords
    counts : mapping of str to ValueCount
        The number of leads of each case-folded value.

    Returns
    -------
    dict of str to str
        Sentences without the full stop, by value. Values with few leads raise no doubt.
    """
    doubts = {}
    for value in words.won:
        rows, closed = _rows_and_closed([value], counts)
        if rows >= FEWEST_LEADS and closed < DATED_OF_WON * rows:
            doubts[value] = f"{rows - closed:,} of these leads have no closing date"
    for value in words.still_open:
        rows, closed = _rows_and_closed([value], counts)
        others, closed_others = _rows_and_closed(
            [other for other in words.still_open if other != value], counts
        )
        if min(rows, others) < FEWEST_LEADS or closed < DATED_OF_OPEN * rows:
            continue
        if closed_others <= FILLED_OF_OTHERS * others:
            doubts[value] = "these leads have closing dates, and the other open leads have none"
    return doubts


def _rows_and_closed(values: Sequence[str], counts: Mapping[str, ValueCount]) -> tuple[int, int]:
    """Count the leads of values, and those with a closing date; none if no dates are known."""
    known = [counts[value.casefold()] for value in values if value.casefold() in counts]
    dated = [count for count in known if count.closed is not None]
    return sum(count.rows for count in dated), sum(count.closed or 0 for count in dated)


def share_after(column: Column, created: Column) -> float:
    """Compute the share of times that are on the day of creation or later; 0 without times."""
    days = column.times.dt.normalize() - created.times.dt.normalize()
    days = days.dropna()
    return float((days >= np.timedelta64(0)).mean()) if len(days) else 0.0
