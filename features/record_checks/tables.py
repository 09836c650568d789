"""Reads the tables of a project for the record checks, and leaves nothing out.

A cell that cannot be read is missing here and raises no error, so that a check can describe
records which training refuses.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Objects
from crm.cells import text_series
from crm.contracts import table_formats
from crm.errors import LeadScoringError
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, number_reader, time_notation
from crm.lead_ids import id_keys
from crm.outcomes import meanings
from crm.project import Project, TableKeys
from crm.several_leads import with_row_for_each_lead
from crm.sources.source import name_of
from crm.tables import TABLES
from crm.times import NOT_A_TIME, microseconds

UNKNOWN_LEAD: Final = -1
_KINDS: Final = {"order": "number"} | {
    role.name: role.kind for table in TABLES.values() for role in table.file_columns
}


class ColumnCells:
    """The cells of one column, with its distinct values.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
        The cells, as they were read from the source.
    form : ColumnFormat
        How the column is read.
    nothing : collection of str
        The case-folded words that mean "no value".
    timezone : str
        The zone of times that have none.
    """

    def __init__(
        self, cells: pd.Series, form: ColumnFormat, nothing: Collection[str], timezone: str
    ) -> None:
        self.name, self.cells, self.timezone = str(cells.name), cells, timezone
        is_number = pd.api.types.is_numeric_dtype(cells.dtype)
        is_number &= not pd.api.types.is_bool_dtype(cells.dtype)
        self.form = ColumnFormat("number") if is_number and form.kind == "text" else form
        codes, values = pd.factorize(text_series(cells))
        self.codes: Ints = np.asarray(codes, dtype=np.int64)
        self.values: Objects = np.asarray(values, dtype=object)
        self.counts: Ints = np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))
        self.is_nothing: Bools = np.zeros(len(self.values), dtype=bool)
        if nothing:
            self.is_nothing[:] = [value.casefold() in nothing for value in self.values]

    @cached_property
    def filled(self) -> Bools:
        """Which rows have a value, shape (n_rows,)."""
        return self.rows_with(~self.is_nothing)

    @cached_property
    def distinct(self) -> Objects:
        """The distinct values without words for nothing, the most frequent first."""
        order = np.argsort(-self.counts, kind="stable")
        return self.values[order[~self.is_nothing[order]]]

    @cached_property
    def numbers(self) -> Floats:
        """The cells as numbers, shape (n_rows,); nan if they are not numbers."""
        numbers = number_reader(self.form.notation).read_column(self.cells)
        return np.where(self.filled, numbers, np.nan)

    @cached_property
    def times(self) -> Ints:
        """The cells as times, shape (n_rows,), microseconds since 1970 UTC."""
        notation = time_notation(self.form.notation)
        times, _ = parse_times(self.cells, self.name, self.timezone, notation)
        return np.where(self.filled, microseconds(times), NOT_A_TIME)

    @cached_property
    def unread(self) -> Bools:
        """Which filled cells do not fit the format, shape (n_rows,)."""
        if self.form.kind == "number":
            return self.filled & np.isnan(self.numbers)
        if self.form.kind == "time":
            return self.filled & (self.times == NOT_A_TIME)
        return np.zeros(len(self.cells), dtype=bool)

    def rows_with(self, is_chosen: Bools) -> Bools:
        """Return which rows have one of the chosen distinct values, shape (n_rows,)."""
        return np.append(is_chosen, False)[self.codes]


class ReadTable:
    """One table as it was read, and the columns of its roles.

    Parameters
    ----------
    name : str
        "leads", "activities", "stages" or "outcomes".
    keys : TableKeys
    raw : DataFrame
        The table as it was read.
    nothing : collection of str
        The case-folded words that mean "no value" in attributes, numbers and times.
    """

    def __init__(
        self, name: str, keys: TableKeys, raw: pd.DataFrame, nothing: Collection[str] = ()
    ) -> None:
        self.name, self.keys, self.raw = name, keys, raw
        source = name_of(keys)
        self.file = source if "://" in keys.source else Path(source).name
        self._nothing = nothing
        self.roles = {
            role: column for role, column in _roles(name, keys).items() if column in raw.columns
        }
        try:
            self.formats = table_formats(raw, name, keys, nothing)
        except LeadScoringError:  # the records have the same error
            self.formats = {}
        self._cells: dict[str, ColumnCells] = {}

    @property
    def role_of(self) -> Mapping[str, str]:
        """The role of each column that has one."""
        return {column: role for role, column in self.roles.items()}

    def column(self, name: str) -> ColumnCells:
        """Return the cells of a column."""
        if name not in self._cells:
            nothing = self._nothing if self._reads_nothing(name) else ()
            form = self.formats.get(name, ColumnFormat("text"))
            self._cells[name] = ColumnCells(self.raw[name], form, nothing, self.keys.timezone)
        return self._cells[name]

    def _reads_nothing(self, name: str) -> bool:
        """Check whether words for "no value" count as missing: not in ids and texts with a role."""
        roles = [role for role, column in self.roles.items() if column == name]
        return all(_KINDS[role] in ("time", "number") for role in roles)

    def of_role(self, role: str) -> ColumnCells | None:
        """Return the column that plays a role; None if the table has none."""
        column = self.roles.get(role)
        return None if column is None else self.column(column)

    def times(self, role: str) -> Ints | None:
        """Return the times of a role, microseconds since 1970 UTC; None if it has no column."""
        column = self.of_role(role)
        return None if column is None else column.times

    @cached_property
    def lead_keys(self) -> pd.Series | None:
        """The form that all spellings of a lead's id share, of each row; None without ids."""
        column = self.roles.get("lead_id")
        return None if column is None else id_keys(text_series(self.raw[column]))

    @cached_property
    def keys_of_each_lead(self) -> pd.Series | None:
        """The keys of all leads that each row names; the index is the position of the row."""
        if self.lead_keys is None:
            return None
        ids = pd.DataFrame({"lead_id": self.lead_keys.reset_index(drop=True)})
        return id_keys(with_row_for_each_lead(ids)["lead_id"])


@dataclass(frozen=True)
class OutcomeRows:
    """The outcomes of a table, one for each of its rows.

    Attributes
    ----------
    table : ReadTable
        The table of outcomes, or of leads.
    lead : ndarray of int64, shape (n_rows,)
        The row of the lead, or `UNKNOWN_LEAD`.
    is_won, is_lost : ndarray of bool, shape (n_rows,)
    closed : ndarray of int64, shape (n_rows,)
        Microseconds since 1970 UTC, or `NOT_A_TIME`.
    """

    table: ReadTable
    lead: Ints
    is_won: Bools
    is_lost: Bools
    closed: Ints


class ReadTables:
    """The tables of a project that could be read.

    Parameters
    ----------
    project : Project
    tables : mapping of str to ReadTable
    now : int
        Microseconds since 1970 UTC.
    private : mapping of str to mapping of str to str
        For each table, why columns are private.
    """

    def __init__(
        self,
        project: Project,
        tables: Mapping[str, ReadTable],
        now: int,
        private: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.project, self.tables, self.now, self.private = project, tables, now, private

    @property
    def leads(self) -> ReadTable | None:
        """The leads table; None if it could not be read."""
        return self.tables.get("leads")

    @cached_property
    def created(self) -> Ints | None:
        """When each lead was created; None without such a column."""
        times = None if self.leads is None else self.leads.times("created_at")
        return None if times is None or (times == NOT_A_TIME).all() else times

    def lead_rows(self, table: ReadTable) -> Ints:
        """Return the row of the lead of each row of a table; `UNKNOWN_LEAD` if there is none.

        If a cell names several leads, the first known lead counts.
        """
        if table.name == "leads":
            return np.arange(len(table.raw), dtype=np.int64)
        keys = table.keys_of_each_lead
        if self.leads is None or self.leads.lead_keys is None or keys is None:
            return np.full(len(table.raw), UNKNOWN_LEAD, dtype=np.int64)
        known = pd.Index(self.leads.lead_keys)
        rows = pd.Series(np.arange(len(known)), index=known)
        rows = rows[~rows.index.duplicated() & rows.index.notna()]
        found = keys.map(rows)
        if len(found) > len(table.raw):
            found = found.groupby(level=0).first()
        return np.asarray(found.fillna(UNKNOWN_LEAD), dtype=np.int64)

    @cached_property
    def outcomes(self) -> OutcomeRows | None:
        """The outcomes, from their own table or from columns of the leads."""
        table = self.tables.get("leads" if self.project.outcomes is None else "outcomes")
        meaning = None if table is None else self._meaning_of_rows(table)
        if table is None or meaning is None:
            return None
        closed = table.times("closed_at")
        return OutcomeRows(
            table=table,
            lead=self.lead_rows(table),
            is_won=meaning == "won",
            is_lost=meaning == "lost",
            closed=np.full(len(table.raw), NOT_A_TIME) if closed is None else closed,
        )

    def _meaning_of_rows(self, table: ReadTable) -> Objects | None:
        """Return "won", "lost", "open" or "" for each row; None without a column of outcomes.

        A table in which every row has the same outcome needs no column.
        """
        learn = self.project.learn
        meaning = meanings(learn.won, learn.lost, learn.open)
        every_row = table.keys.column_of("every_row")
        if every_row is not None:
            return np.full(len(table.raw), meaning.get(every_row.casefold(), ""), dtype=object)
        column = table.of_role("outcome")
        if column is None:
            return None
        of_values = [meaning.get(value.casefold(), "") for value in column.values]
        return np.array([*of_values, ""], dtype=object)[column.codes]

    def attributes(self) -> list[ColumnCells]:
        """Return the columns of the leads without a role that the project does not leave out."""
        if self.leads is None:
            return []
        rules = self.project.columns
        unused = {*rules.ignore, *rules.known_later}
        unused |= set(rules.sensitive) - set(rules.allow_sensitive)
        taken = {*unused, *self.leads.roles.values()}
        return [self.leads.column(name) for name in self.leads.raw.columns if name not in taken]

    def is_read(self, table: ReadTable, column: str) -> bool:
        """Check whether a column has a role, or is not in the project's list of ignored columns."""
        return column in table.role_of or column not in self.project.columns.ignore

    def is_private(self, table: ReadTable, column: str) -> bool:
        """Check whether no value of a column may be shown."""
        return column in self.private.get(table.name, {})


def _roles(name: str, keys: TableKeys) -> dict[str, str]:
    roles = {
        role.name: keys.column_of(role.name) or role.name for role in TABLES[name].file_columns
    }
    if name == "leads":
        order = keys.column_of("order")
        if order not in (None, "rows"):
            roles["order"] = str(order)
        for role in TABLES["outcomes"].file_columns[1:]:
            column = keys.column_of(role.name)
            if column is not None:
                roles[role.name] = column
    return roles
