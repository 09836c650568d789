"""Finds the column of creation times by its cells."""

from collections.abc import Collection
from typing import Final

import pandas as pd

from drafting.about_person import is_sensitive
from drafting.closing import AFTER_CREATION, share_after
from drafting.role_names import NO_RANK, is_excluded, is_named, rank
from drafting.samples import Column, Table
from features.leaks.checks.names import word_of_later

MOST_WITHOUT_CREATION: Final = 0.2  # the share of leads that may have no time of creation
FEWEST_LEADS: Final = 10
LONGEST: Final = pd.Timedelta(days=15 * 365)  # dates of birth have a longer range
MOST: Final = 0.95  # the share of times whose range is compared


def may_be_creation(column: Column) -> bool:
    """Check whether the cells of a column may be the creation times of leads."""
    has_enough = column.n_empty <= MOST_WITHOUT_CREATION * len(column.cells)
    return column.is_time and has_enough and word_of_later(column.name) is None


def creation_by_cells(
    leads: Table, with_role: Collection[Column], closing: Column | None
) -> Column | None:
    """Find the column of creation times by its cells, for tables in which no name means it.

    Parameters
    ----------
    leads : Table
    with_role : collection of Column
        The columns of the leads that have a role.
    closing : Column or None
        The closing dates, if they are in the same table.

    Returns
    -------
    Column or None
        The only time that most leads have. None if there are several such times, or none. Times
        that are later by their names, such as the end of a contract, and dates of birth do not
        count.
    """
    if leads.rows < FEWEST_LEADS:
        return None
    likely = [
        column
        for column in leads.columns
        if column not in with_role
        and may_be_creation(column)
        and not is_excluded("created_at", column.name)
        and not is_named("later_times", column.name)
        and rank("closed_at", column.name) == NO_RANK
        and not is_sensitive(column)
        and _are_recent(column)
    ]
    if len(likely) != 1 or is_excluded("closed_at", likely[0].name):
        return None
    is_before = closing is None or share_after(closing, likely[0]) >= AFTER_CREATION
    return likely[0] if is_before else None


def _are_recent(column: Column) -> bool:
    """Check that most times are within some years, unlike dates of birth."""
    times = column.times.dropna()
    return bool(times.quantile(MOST) - times.quantile(1 - MOST) <= LONGEST)
