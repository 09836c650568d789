"""Decides which file is which table, from the names of files and columns, and from cells."""

import itertools
from collections.abc import Mapping, Sequence

from crm.errors import ConfigError
from crm.tables import TABLES
from crm.text import listed, words_of
from drafting.lead_columns import (
    check_repeated_ids,
    has_repeated_ids,
    id_columns,
    lead_keys,
    unmatched_ids,
)
from drafting.no_outcome import named_in_other
from drafting.outcome_column import choose_outcome
from drafting.role_names import hints_at
from drafting.roles import is_every_row_won, role_strength
from drafting.samples import Table

HINT = 0.5  # added if the name of the file suggests the table
CLEAR = 0.1  # an assignment must be likelier than the next one by this much


def assign_tables(tables: Sequence[Table]) -> dict[str, Table]:
    """Decide which file is which table.

    Parameters
    ----------
    tables : sequence of Table
        The sampled tables, at most one of each kind.

    Returns
    -------
    dict of str to Table
        The tables by kind. `leads` is always one of them.

    Raises
    ------
    ConfigError
        If no assignment is possible, two are almost equally likely, or ids of leads repeat.
    """
    likeness = [{kind: _likeness(t, kind, len(tables)) for kind in TABLES} for t in tables]
    ranked = []
    unmatched: dict[str, Table] = {}
    for kinds in itertools.permutations(TABLES, len(tables)):
        scores = [likely[kind] for kind, likely in zip(kinds, likeness, strict=True)]
        if "leads" in kinds and all(scores):
            chosen = dict(zip(kinds, tables, strict=True))
            if set(id_columns(chosen)) >= set(chosen) - {"leads"}:
                ranked.append((sum(scores), chosen))
            else:
                unmatched = unmatched or chosen
    ranked.sort(key=lambda pair: -pair[0])
    if ranked and (len(ranked) == 1 or ranked[0][0] - ranked[1][0] >= CLEAR):
        if len(tables) == 1:
            check_repeated_ids(ranked[0][1]["leads"])
        return ranked[0][1]
    for table in tables:
        if table.kind == "leads" or (table.kind is None and _hints(table, "leads")):
            check_repeated_ids(table)
    raise ConfigError(_not_clear(tables, {} if ranked else unmatched))


def _not_clear(tables: Sequence[Table], unmatched: Mapping[str, Table]) -> str:
    contents = [f"{t.name} ({listed(c.name for c in t.columns)})" for t in tables]
    ids = unmatched_ids(unmatched)
    has_outcome = any(choose_outcome(table.columns) is not None for table in tables)
    in_file = "" if has_outcome else named_in_other(tables)
    return (
        f"It is not clear which file is which table: {'; '.join(contents) or 'no file is named'}. "
        + (f"No column of one file contains the ids of another. {ids} " if ids else "")
        + "Expected one file of leads with one row per lead, and at most one file each of "
        "activities, stages and outcomes, which contain the ids of the leads. "
        "Name the table of each file, as in: `leads=people.csv activities=calls.csv`"
        + (f". No column clearly shows how leads ended. {in_file}" if in_file else "")
    )


def _likeness(table: Table, kind: str, files: int) -> float:
    """Compute how much a file looks like a table; 0 if it cannot be that table."""
    if table.kind is not None or (kind == "leads" and files == 1):
        return float(table.kind in (None, kind))
    hint = HINT if _hints(table, kind) else 0.0
    if kind == "leads":
        event_share = max(_strength(table, kind) for kind in TABLES if kind != "leads")
        likeness = hint + 1.05 - event_share
        return likeness if likeness >= 0.3 and lead_keys(table) else 0.0
    share = _strength(table, kind)
    if kind == "outcomes" and not share and is_every_row_won(table):
        share = 0.2
    if kind == "outcomes" and has_repeated_ids(table) and _hints(table, "stages"):
        hint = 0.0  # a history of stages ends with the outcome too
    return hint + share if share else 0.0


def _strength(table: Table, kind: str) -> float:
    """Compute the share of columns that play a role; stages need several rows for a lead."""
    if kind == "stages" and not _hints(table, kind) and not has_repeated_ids(table):
        return 0.0
    return role_strength(table, kind)


def _hints(table: Table, kind: str) -> bool:
    return hints_at(kind, words_of(table.title))
