"""Finds when activities were completed, and which are not done: planned, open or cancelled ones.

The words, in several languages, are listed in done_activities.toml.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from crm.arrays import Bools
from crm.text import listed, quote
from drafting.name_lists import NameLists
from drafting.role_names import plain_words
from drafting.samples import Column

KNOWN: Final = 0.9  # of the rows of a status of activities, with a known word
COMPLETED: Final = 0.95  # of the activities that are done, with a time of completion


class NotDone(NamedTuple):
    """The rows of activities that are not done.

    Attributes
    ----------
    rows : ndarray of bool, shape (n_rows,)
    values : list of str
        The values that mean so, the most frequent first.
    status : str
        The column that contains them.
    """

    rows: Bools
    values: list[str]
    status: str


def not_done(columns: Sequence[Column]) -> NotDone | None:
    """Find the activities that are not done, by a column of their status.

    The result is None if the table has no such column, or if all activities may be done.
    """
    for column in columns:
        if column.is_time or not _NAMES.has("status", column.name):
            continue
        words = {value: plain_words(str(value)) for value in column.counts.index}
        values = [value for value, word in words.items() if word in _NOT_DONE]
        known = [value for value, word in words.items() if word in _NOT_DONE | _DONE]
        n_known = int(column.counts[known].sum())
        if values and n_known >= KNOWN * int(column.counts.sum()):
            return NotDone(np.isin(column.texts, values), values, column.name)
    return None


def completion_time(columns: Sequence[Column]) -> Column | None:
    """Find the column of the times at which activities were completed.

    It may be empty for activities that are not done. Without a status, it may have gaps only if
    the table also has a due date.
    """
    times = [column for column in columns if column.is_time]
    has_due = any(_NAMES.has("due_at", column.name) for column in times)
    unfinished = not_done(columns)
    if not has_due and unfinished is None:
        return None
    for column in times:
        if _NAMES.has("completed_at", column.name) and not _NAMES.has("due_at", column.name):
            filled = column.filled()
            of_done = filled if unfinished is None else filled[~unfinished.rows]
            is_enough = has_due if unfinished is None else bool(of_done.mean() >= COMPLETED)
            if is_enough and len(of_done):
                return column
    return None


def about_not_done(time: Column, columns: Sequence[Column]) -> str:
    """Return the end of the comment on the times, about activities that are not done.

    Parameters
    ----------
    time : Column
        The column of the times at which activities happened.
    columns : sequence of Column
        The columns of the table of activities.

    Returns
    -------
    str
        Empty if all activities are done.
    """
    n_without = time.n_empty
    rows = "row without it is" if n_without == 1 else f"{n_without:,} rows without it are"
    note = f"; the {rows} left out, as not done yet" if n_without else ""
    unfinished = not_done(columns)
    if unfinished is None or not (unfinished.rows & time.filled()).any():
        return note
    n = int((unfinished.rows & time.filled()).sum())
    why = (
        "a planned activity has not happened at its due date"
        if _NAMES.has("due_at", time.name)
        else "they may not have happened at this time"
    )
    return (
        f"{note}; CHECK: {n:,} of {len(time.cells):,} rows are not done "
        f"({listed(unfinished.values)} in {quote(unfinished.status)}): leave them out of the "
        f"export, because {why}"
    )


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_DONE: Final = frozenset(plain_words(word) for word in _LISTED.pop("done"))
_NOT_DONE: Final = frozenset(plain_words(word) for word in _LISTED.pop("not_done"))
_NAMES: Final = NameLists(_LISTED)
