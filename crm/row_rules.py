"""Decides which rows of a table are left out, because a cell that every row needs is unusable.

Rows without a usable cell are left out, counted and named. A table in which too many rows are
unusable is refused, because then the column is the wrong one, or its format is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crm.arrays import Bools
from crm.continuation import continued_rows
from crm.lead_ids import id_keys
from crm.project import TableKeys
from crm.reading_notes import ReadingNotes
from crm.tables import DeclaredColumn
from crm.text import first_few

MOST_MISSING = 0.2  # of a table's rows; events without a lead, and planned activities, may be more
MOST_UNREADABLE = 0.01


@dataclass(frozen=True)
class ShapedTable:
    """A table of a source, as it was read and with the types of its declaration.

    Attributes
    ----------
    name : str
        "leads", "activities", "stages" or "outcomes".
    keys : TableKeys
    columns : mapping of DeclaredColumn to str
        The column of each role.
    raw, shaped : DataFrame, n rows
        The cells as they were read, and the roles with their types.
    unread : mapping of str to ndarray of bool, shape (n,)
        The rows in which the cell of a role has content that cannot be read.
    """

    name: str
    keys: TableKeys
    columns: Mapping[DeclaredColumn, str]
    raw: pd.DataFrame
    shaped: pd.DataFrame
    unread: Mapping[str, Bools]

    def take(self, rows: Bools) -> "ShapedTable":
        """Return the table with the chosen rows only."""
        return replace(
            self,
            raw=self.raw[rows],
            shaped=self.shaped[rows],
            unread={role: is_unread[rows] for role, is_unread in self.unread.items()},
        )


def usable_rows(table: ShapedTable, notes: ReadingNotes) -> Bools:
    """Return which rows of a table stay, and note those that are left out.

    Parameters
    ----------
    table : ShapedTable, n rows
    notes : ReadingNotes

    Returns
    -------
    ndarray of bool, shape (n,)
        Rows that are refused stay; `crm.contracts` raises the error.
    """
    raw, shaped, unread, name = table.raw, table.shaped, table.unread, table.name
    whole = _not_continued(table, notes) if name == "leads" else np.ones(len(raw), dtype=bool)
    stays, n_rows = whole.copy(), int(whole.sum())
    for role, column in table.columns.items():
        if role.nullable:
            continue
        is_missing = shaped[role.name].isna().to_numpy() & ~unread[role.name] & whole
        is_activity_time = role.name == "occurred_at"
        without_lead = role.name == "lead_id" and name != "leads"
        most = n_rows - 1 if without_lead or is_activity_time else MOST_MISSING * n_rows
        if 0 < is_missing.sum() <= most:
            planned = ", as in activities that are only planned" if is_activity_time else ""
            _leave_out(table, stays & is_missing, f"`{column}` is empty{planned}", notes)
            stays &= ~is_missing
        n_unread = int(unread[role.name].sum())
        if role.kind == "time" and 0 < n_unread <= MOST_UNREADABLE * len(raw):
            values = first_few(raw[column][unread[role.name]].unique()[:3])
            n_read = len(raw) - n_unread - int(is_missing.sum())
            reason = f"`{column}` is not a time ({values}), as in the other {n_read:,} rows"
            _leave_out(table, stays & unread[role.name], reason, notes)
            stays &= ~unread[role.name]
    if name == "leads" and not (shaped["lead_id"].isna() & stays).any():
        repeats = _repeated_rows(raw, shaped["lead_id"], stays)
        _leave_out(table, repeats, "each repeats another row in every cell", notes)
        stays &= ~repeats
    return stays


def _not_continued(table: ShapedTable, notes: ReadingNotes) -> Bools:
    """Return which rows of leads do not continue the row above, and note the others."""
    stays = np.ones(len(table.raw), dtype=bool)
    id_name = next(column for role, column in table.columns.items() if role.name == "lead_id")
    if table.shaped["lead_id"].isna().any() and id_name in table.raw:
        continued = continued_rows(table.raw, id_name)
        if continued is not None:
            _leave_out(table, continued.rows, continued.reason, notes)
            stays &= ~continued.rows
    return stays


def _repeated_rows(raw: pd.DataFrame, ids: pd.Series, stays: Bools) -> Bools:
    """Return which rows of leads are equal to an earlier one in every cell, shape (n,)."""
    repeats = np.zeros(len(raw), dtype=bool)
    has_repeated_id = stays & id_keys(ids).duplicated(keep=False).to_numpy()
    repeats[has_repeated_id] = raw[has_repeated_id].duplicated().to_numpy()
    return repeats


def _leave_out(table: ShapedTable, rows: Bools, reason: str, notes: ReadingNotes) -> None:
    if rows.any():
        notes.leave_out(table.name, table.keys, table.raw.index[rows].to_list(), reason)
