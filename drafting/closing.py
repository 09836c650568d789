"""Finds the column of closing dates by its cells, if no name suggests one."""

from collections.abc import Sequence

import numpy as np

from drafting.about_person import is_sensitive
from drafting.outcome_column import OutcomeChoice
from drafting.role_names import NO_RANK, is_excluded, rank
from drafting.samples import Column

FEWEST_LEADS = 10  # the least number of closed leads, and of other leads
FILLED_OF_CLOSED = 0.9  # the least share of closed leads with a time
FILLED_OF_OTHERS = 0.05  # the highest share of other leads with a time
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
        if created is None or _is_after(column, created) >= AFTER_CREATION:
            return column
    return None


def _is_after(column: Column, created: Column) -> float:
    """Compute the share of times that are on the day of creation or later."""
    days = column.times.dt.normalize() - created.times.dt.normalize()
    days = days.dropna()
    return float((days >= np.timedelta64(0)).mean()) if len(days) else 0.0
