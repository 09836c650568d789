"""Decides which column plays which role.

Names propose a role, and cells confirm it: a column called "created" without times is not a time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crm.errors import ConfigError
from crm.tables import TABLES, DeclaredColumn
from crm.text import listed
from drafting.about_person import is_sensitive
from drafting.closing import closing_by_cells, is_one_sided
from drafting.creation import creation_by_cells, may_be_creation
from drafting.done_activities import completion_time
from drafting.lead_columns import id_columns
from drafting.no_outcome import has_status, no_outcome
from drafting.open_leads import find_active
from drafting.outcome_column import Declared, OutcomeChoice, check_declared, choose_outcome
from drafting.personal import personal_reason
from drafting.role_names import CLOSING_NAMES, NO_RANK, WON_DATES, hints_at, is_named, rank
from drafting.samples import Column, Table

DEAL_AMOUNT = 1  # the rank of names such as "deal amount"
MOST_AMOUNTS_NOT_WON = 0.5  # the share of leads that were not won with an amount
FEWEST_IN_ORDER = 20  # in fewer rows, a number may grow by chance
ANY_CHOICE = Declared()


@dataclass(frozen=True)
class Roles:
    """The columns that play the roles of each table.

    Attributes
    ----------
    columns : dict of str to dict of str to Column
        By kind and role. Without a file of outcomes, their roles are in `leads`.
    outcome : OutcomeChoice or None
        The column of the outcome; None if every row of the file of outcomes is a win.
    other_closings : list of str
        Further columns of closing dates, which are not read.
    closing_by_cells, creation_by_cells : bool
        True if the column of closing dates, or of creation times, was found by its cells, and not
        by its name.
    """

    columns: dict[str, dict[str, Column]]
    outcome: OutcomeChoice | None = None
    other_closings: list[str] = field(default_factory=list)
    closing_by_cells: bool = False
    active: Column | None = None
    creation_by_cells: bool = False

    @property
    def of_outcomes(self) -> dict[str, Column]:
        """The columns of the table that contains the outcomes, by role."""
        return self.columns.get("outcomes", self.columns["leads"])

    @property
    def known_later(self) -> list[str]:
        """The columns without a role that show how leads ended, or which leads are open."""
        same = [] if self.outcome is None else self.outcome.same
        return [*same, *([self.active.name] if self.active else [])]

    @property
    def measures(self) -> list[Column]:
        """The columns of all tables with the role of a time or a number."""
        kinds = {role.name: role.kind for table in TABLES.values() for role in table.file_columns}
        by_role = [pair for columns in self.columns.values() for pair in columns.items()]
        return [column for role, column in by_role if kinds.get(role) in ("time", "number")]


def find_roles(tables: Mapping[str, Table], declared: Declared = ANY_CHOICE) -> Roles:
    """Find the columns that play the roles of each table.

    Parameters
    ----------
    tables : mapping of str to Table
        By kind.
    declared : Declared
        What a person declared about the outcome.

    Returns
    -------
    Roles

    Raises
    ------
    ConfigError
        If no column plays a required role, or a declared column or value does not exist.
    """
    source = tables.get("outcomes", tables["leads"])
    check_declared(source.columns, declared)
    ids = id_columns(tables)
    roles, choice = {}, None
    for kind, table in tables.items():
        by_role = _play(table.columns, kind)
        if kind in ids:
            others = {role: column for role, column in by_role.items() if column is not ids[kind]}
            by_role = {"lead_id": ids[kind]} | others
        if kind == "outcomes":
            choice, by_role = _with_outcome(table, by_role, declared)
        _refuse_missing(table, kind, by_role, may_lack_outcome=choice is None)
        roles[kind] = by_role
    if "outcomes" not in tables:
        choice, of_leads = _flat_outcome(tables, roles["leads"], declared)
        roles["leads"] |= of_leads
    of_outcomes = roles.get("outcomes", roles["leads"])
    by_cells, named = None, of_outcomes.get("closed_at")
    if choice is not None and (named is None or is_one_sided(named, choice)):
        unassigned = [column for column in source.columns if column not in of_outcomes.values()]
        unassigned.sort(key=lambda column: rank("closed_at", column.name))
        by_cells = closing_by_cells(unassigned, choice, of_outcomes.get("created_at"))
        of_outcomes |= {} if by_cells is None else {"closed_at": by_cells}
    closing = of_outcomes.get("closed_at")
    creation = None
    if "created_at" not in roles["leads"]:
        of_leads = roles["leads"]
        creation = creation_by_cells(tables["leads"], of_leads.values(), of_leads.get("closed_at"))
        roles["leads"] = _with_creation(of_leads, creation)
    closings = [column for column in source.columns if closing and _is_closing(column)]
    other_closings = [column.name for column in closings if column is not closing]
    lacks_lost = choice is not None and not choice.words.lost
    return Roles(
        roles,
        choice,
        other_closings,
        active=find_active(source.columns) if lacks_lost else None,
        closing_by_cells=by_cells is not None and not _is_closing(by_cells),
        creation_by_cells=creation is not None,
    )


def find_order(leads: Table) -> Column | None:
    """Find a whole number that grows with time, for leads without a time of creation.

    Its values grow with the rows, or its name suggests a counter. In few rows, any number may grow
    by chance, so its name must suggest an id or a counter.
    """
    rows = np.arange(leads.rows)
    for column in leads.columns:
        whole = column.is_key and column.is_number and (column.numbers % 1 == 0).all()
        has_unit = any(column.form.units)  # "12 days ago" falls with time
        if whole and not has_unit and personal_reason(column) is None and leads.rows > 1:
            grows = abs(np.corrcoef(rows, pd.Series(column.numbers).rank())[0, 1]) >= 0.99
            is_counter = re.search(r"\b(number|no|nr|seq\w*|serial|index|order)\b", column.words)
            names_id = rank("lead_id", column.name) < NO_RANK
            is_amount = is_named("amounts", column.name)
            may_be_chance = not names_id and (is_amount or leads.rows < FEWEST_IN_ORDER)
            if is_counter or (grows and not may_be_chance):
                return column
    return None


def role_strength(table: Table, kind: str) -> float:
    """Compute the share of columns that play a role; 0 if a required role is not played."""
    by_role = _play(table.columns, kind)
    if not {role.name for role in TABLES[kind].file_columns[1:] if role.required} <= set(by_role):
        return 0.0
    strength = sum(1 - 0.1 * rank(name, column.name) for name, column in by_role.items())
    return strength / max(1, len(table.columns) - 1)


def is_every_row_won(table: Table) -> bool:
    """Check whether every row of a table is a win, although no column is an outcome.

    The table has a date of winning or closing, its name or that of the date suggests wins, and no
    column has the name of a status.
    """
    if choose_outcome(table.columns) is not None or has_status(table.columns):
        return False
    closing = _play(table.columns, "outcomes").get("closed_at")
    if closing is None or closing.has_gaps:
        return False
    names_win = rank("closed_at", closing.name) == WON_DATES
    return names_win or hints_at("outcomes", table.title)


def _with_outcome(
    table: Table, by_role: dict[str, Column], declared: Declared
) -> tuple[OutcomeChoice | None, dict[str, Column]]:
    """Replace the outcome of a file of outcomes by the chosen column."""
    others = [column for column in table.columns if column is not by_role.get("lead_id")]
    choice = choose_outcome(others, declared)
    if choice is None:
        return None, by_role
    kept = {
        role: column
        for role, column in by_role.items()
        if role != "outcome" and column is not choice.column
    }
    lead_id = {"lead_id": kept.pop("lead_id")} if "lead_id" in kept else {}
    return choice, lead_id | {"outcome": choice.column} | kept


def _play(columns: Sequence[Column], kind: str) -> dict[str, Column]:
    """Find the columns for the roles of a table, except the lead id."""
    by_role: dict[str, Column] = {}
    for role in TABLES[kind].file_columns[1:]:
        unassigned = [column for column in columns if column not in by_role.values()]
        if role.name == "outcome":
            choice = choose_outcome(unassigned)
            if choice is not None:
                by_role[role.name] = choice.column
            continue
        completed = completion_time(unassigned) if role.name == "occurred_at" else None
        if completed is not None:
            by_role[role.name] = completed
            continue
        candidates = [column for column in unassigned if _can_play(role, column)]
        best = min(candidates, key=lambda c: rank(role.name, c.name), default=None)
        only_time = (
            len(candidates) == 1 and role.kind == "time" and kind in ("activities", "stages")
        )
        if best and (only_time or rank(role.name, best.name) < NO_RANK):
            by_role[role.name] = best
    return by_role


def _with_creation(roles: dict[str, Column], creation: Column | None) -> dict[str, Column]:
    """Return the roles of the leads with the column of creation times behind the lead id."""
    if creation is None:
        return roles
    first = {"lead_id": roles["lead_id"]} if "lead_id" in roles else {}
    return first | {"created_at": creation} | roles


def _refuse_missing(
    table: Table, kind: str, roles: dict[str, Column], may_lack_outcome: bool
) -> None:
    missing = [
        role.name for role in TABLES[kind].file_columns if role.required and role.name not in roles
    ]
    if missing == ["outcome"] and may_lack_outcome and is_every_row_won(table):
        return
    if missing == ["outcome"]:
        raise ConfigError(no_outcome(table.name, table.columns, is_outcomes=True))
    if missing:
        raise ConfigError(
            f"{table.name} cannot be the table of {kind}: no column looks like "
            f"{', '.join(missing)}. Its columns are: {listed(c.name for c in table.columns)}. "
            "Rename the columns in the export, or leave the file out."
        )


def _can_play(role: DeclaredColumn, column: Column) -> bool:
    values = len(column.counts)
    if values == 0 or (column.has_gaps and not role.nullable and role.name != "created_at"):
        return False
    if role.kind == "time":
        return _can_be_time(role.name, column)
    if role.kind == "number":
        return column.is_number
    if role.name in ("type", "stage"):
        return values <= max(12, min(500, len(column.cells) // 2))
    return role.name != "activity_id" or values >= 0.95 * len(column.cells)


def _can_be_time(role: str, column: Column) -> bool:
    if is_sensitive(column):
        return False
    if role in ("occurred_at", "entered_at") and rank("closed_at", column.name) < CLOSING_NAMES:
        return False
    if role == "created_at":
        return may_be_creation(column)
    return column.is_time


def _is_closing(column: Column) -> bool:
    is_named = rank("closed_at", column.name) < CLOSING_NAMES
    return is_named and len(column.counts) > 0 and _can_be_time("closed_at", column)


def _flat_outcome(
    tables: Mapping[str, Table], roles: dict[str, Column], declared: Declared
) -> tuple[OutcomeChoice, dict[str, Column]]:
    """Find the outcome in the leads table itself."""
    leads = tables["leads"]
    without_role = [
        column
        for column in leads.columns
        if column not in roles.values() or column.name == declared.outcome
    ]
    choice = choose_outcome(without_role, declared)
    if choice is None:
        others = [table for table in tables.values() if table is not leads]
        raise ConfigError(no_outcome(leads.name, without_role, others, in_file=leads.columns))
    rest = [column for column in without_role if column is not choice.column]
    by_role = {"outcome": choice.column} | _play(rest, "outcomes") | {"outcome": choice.column}
    closed = by_role.get("closed_at")
    if closed and rank("closed_at", closed.name) >= CLOSING_NAMES:
        del by_role["closed_at"]
    if "amount" in by_role and not _is_revenue(by_role["amount"], choice):
        del by_role["amount"]
    return choice, by_role


def _is_revenue(amount: Column, choice: OutcomeChoice) -> bool:
    """Check whether an amount of the leads table is the revenue of won leads.

    If leads that were not won have an amount too, it may be the sum that a lead asked for, or the
    revenue of a company. An amount with a name such as "deal amount" is the revenue.
    """
    if rank("amount", amount.name) == DEAL_AMOUNT:
        return True
    is_won = np.isin(choice.column.texts, list(choice.words.won))
    return bool(amount.filled()[~is_won].mean() < MOST_AMOUNTS_NOT_WON) if (~is_won).any() else True
