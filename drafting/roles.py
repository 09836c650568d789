"""Decides which file is which table, and which column plays which role.

Names propose a role, and cells confirm it: a column called "created" without times is not a time.
"""

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from crm.errors import ConfigError
from crm.tables import TABLES, DeclaredColumn
from crm.text import listed, words_of
from drafting.outcome_words import sort_values
from drafting.personal import is_sensitive, personal_reason
from drafting.samples import Column, Table
from features.leaks.checks.names import word_of_later

# The names that suggest a role, the best first; searched in the lower-case words of a name.
_OWNER = r"(lead|prospect|contact|customer|client|case|person|deal|opportunity|applica\w+|user)s?"
_WHEN = r"(at|on|date|time|datetime|timestamp|day)"
ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "lead_id": (
        r"^lead id$",
        rf"^{_OWNER} (id|uuid|guid|key)$",
        rf"^{_OWNER} (number|no|nr|ref)$",
        r"^(id|uuid|guid|key|index)$",
        r"\bid$",
    ),
    "created_at": (
        r"^created at$",
        rf"\b(created?|creation) {_WHEN}\b|\b{_WHEN} created\b",
        r"\bcreated\b",
        rf"\b(registered|submitted|received|sign ?up|lead) {_WHEN}\b",
        rf"^{_WHEN}$",
    ),
    "type": (
        r"^type$",
        r"\b(activity|event|interaction|action|touch\w*) (type|name|kind)\b",
        r"^(activity|event|interaction|action|kind)$",
        r"\btype$",
    ),
    "occurred_at": (
        r"^occurred at$",
        r"\b(occurred|happened)\b",
        rf"\b(activity|event|interaction|action) {_WHEN}\b",
        rf"^{_WHEN}$",
        rf"\bcreated\b|\b{_WHEN}$",
    ),
    "activity_id": (
        r"^activity id$",
        r"^(event|interaction|action|touch\w*) (id|key|number)$",
        r"^(id|uuid|guid)$",
    ),
    "content": (r"^content$", r"\b(content|page|url|asset|subject|title|campaign)\b"),
    "channel": (r"^channel$", r"\b(channel|medium)\b"),
    "value": (r"^value$", r"\b(value|duration|seconds|minutes|amount)\b"),
    "stage": (
        r"^stage$",
        r"\b(to|new) (stage|status)\b",
        r"\bstage\b",
        r"\b(status|phase|step|state)\b",
    ),
    "entered_at": (
        r"^entered at$",
        r"\b(entered|entry)\b",
        r"\b(changed|moved)\b",
        rf"^{_WHEN}$",
        rf"\b{_WHEN}$",
    ),
    "outcome": (
        r"^outcome$",
        r"^(is )?(converted|conversion|won)$",
        r"(?<!previous )(?<!prior )(?<!last )\b(outcome|converted|won)$",
        r"^(y|target|label|class|response|success|subscribed|purchased|deal)$",
        r"^(\w+ )?(status|result|stage)$",
    ),
    "closed_at": (
        r"^closed at$",
        rf"\b(closed?|closing|won|decided|decision|converted|"
        rf"conversion|ended) {_WHEN}\b",
        rf"\b{_WHEN} (closed|won|converted)\b",
        rf"^{_WHEN}$",
    ),
    "amount": (
        r"^amount$",
        r"^(deal|won|closed|sales?|order|contract) (amount|value|size)$",
        r"^revenue$",
    ),
    "reason": (r"^reason$", r"\breason\b"),
}
GUESSABLE_OUTCOME_NAMES = 4  # two unclear values are an outcome only if one of these names fits
FILE_HINTS = {
    "leads": r"\b(leads?|contacts?|prospects?)\b",
    "activities": r"\b(activit\w+|events?|interactions?|touch\w*|engagements?)\b",
    "stages": r"\b(stages?|funnel|pipeline|history)\b",
    "outcomes": r"\b(outcomes?|deals?|results?|opportunit\w+|sales)\b",
}
NO_RANK = 9  # the rank of a name that does not suggest the role


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
        If no assignment is possible, or two are almost equally likely.
    """
    likeness = [{kind: _likeness(t, kind, len(tables)) for kind in TABLES} for t in tables]
    ranked = []
    for kinds in itertools.permutations(TABLES, len(tables)):
        scores = [likely[kind] for kind, likely in zip(kinds, likeness, strict=True)]
        if "leads" in kinds and all(scores):
            chosen = dict(zip(kinds, tables, strict=True))
            if set(_id_columns(chosen)) >= set(chosen) - {"leads"}:
                ranked.append((sum(scores), chosen))
    ranked.sort(key=lambda pair: -pair[0])
    if ranked and (len(ranked) == 1 or ranked[0][0] - ranked[1][0] >= 0.1):
        return ranked[0][1]
    contents = [f"{t.path.name} ({listed(c.name for c in t.columns)})" for t in tables]
    raise ConfigError(
        f"It is not clear which file is which table: {'; '.join(contents) or 'no file is named'}. "
        "Expected one file of leads with one row per lead, and at most one file each of "
        "activities, stages and outcomes, which contain the ids of the leads. "
        "Name the table of each file, as in: `leads=people.csv activities=calls.csv`"
    )


def find_roles(tables: Mapping[str, Table]) -> dict[str, dict[str, Column]]:
    """Find the columns that play the roles of each table.

    Parameters
    ----------
    tables : mapping of str to Table
        By kind.

    Returns
    -------
    dict of str to dict of str to Column
        The columns by kind and role. Without a file of outcomes, their roles are in `leads`.

    Raises
    ------
    ConfigError
        If no column plays a required role.
    """
    ids = _id_columns(tables)
    roles = {}
    for kind, table in tables.items():
        by_role = _play(table.columns, kind)
        if kind in ids:
            other_roles = {
                role: column for role, column in by_role.items() if column is not ids[kind]
            }
            by_role = {"lead_id": ids[kind]} | other_roles
        _refuse_missing(table, kind, by_role)
        roles[kind] = by_role
    if "outcomes" not in tables:
        roles["leads"] |= _flat_outcome(tables["leads"], roles["leads"])
    return roles


def find_order(leads: Table) -> Column | None:
    """Find a whole number that grows with time, for leads without a time of creation.

    Its values grow with the rows, or its name suggests a counter.
    """
    rows = np.arange(leads.rows)
    for column in leads.columns:
        whole = column.is_key and column.is_number and (column.numbers % 1 == 0).all()
        if whole and personal_reason(column) is None and leads.rows > 1:
            grows = abs(np.corrcoef(rows, rankdata(column.numbers))[0, 1]) >= 0.99
            is_counter = re.search(r"\b(number|no|nr|seq\w*|serial|index|order)\b", column.words)
            if grows or is_counter:
                return column
    return None


def _likeness(table: Table, kind: str, files: int) -> float:
    """Compute how much a file looks like a table; 0 if it cannot be that table."""
    if table.kind is not None or (kind == "leads" and files == 1):
        return float(table.kind in (None, kind))
    hint = 0.5 if re.search(FILE_HINTS[kind], words_of(table.path.name.partition(".")[0])) else 0.0
    if kind == "leads":
        event_share = max(_share_in_roles(table, kind) for kind in TABLES if kind != "leads")
        likeness = hint + 1.05 - event_share
        has_key = any(column.is_key for column in table.columns)
        return likeness if likeness >= 0.3 and has_key else 0.0
    share = _share_in_roles(table, kind)
    return hint + share if share else 0.0


def _share_in_roles(table: Table, kind: str) -> float:
    """Compute the share of columns that play a role; 0 if a required role is not played."""
    by_role = _play(table.columns, kind)
    if not {role.name for role in TABLES[kind].file_columns[1:] if role.required} <= set(by_role):
        return 0.0
    strength = sum(1 - 0.1 * _rank(name, column) for name, column in by_role.items())
    return strength / max(1, len(table.columns) - 1)


def _play(columns: Sequence[Column], kind: str) -> dict[str, Column]:
    """Find the columns for the roles of a table, except the lead id."""
    by_role: dict[str, Column] = {}
    for role in TABLES[kind].file_columns[1:]:
        unassigned = [column for column in columns if column not in by_role.values()]
        candidates = [column for column in unassigned if _can_play(role, column)]
        best = min(candidates, key=lambda column: _rank(role.name, column), default=None)
        only_time = len(candidates) == 1 and role.kind == "time" and kind != "leads"
        if best and (only_time or _rank(role.name, best) < NO_RANK):
            by_role[role.name] = best
    return by_role


def _refuse_missing(table: Table, kind: str, roles: dict[str, Column]) -> None:
    missing = [
        role.name for role in TABLES[kind].file_columns if role.required and role.name not in roles
    ]
    if missing:
        raise ConfigError(
            f"{table.path.name} cannot be the table of {kind}: no column looks like "
            f"{', '.join(missing)}. Its columns are: {listed(c.name for c in table.columns)}. "
            "Rename the columns in the export, or leave the file out."
        )


def _can_play(role: DeclaredColumn, column: Column) -> bool:
    values = len(column.counts)
    if values == 0 or (column.has_gaps and not role.nullable):
        return False
    if role.kind == "time":
        if is_sensitive(column):
            return False
        if role.name == "created_at" and word_of_later(column.name) is not None:
            return False
        return column.is_time
    if role.kind == "number":
        return column.is_number
    if role.name == "outcome":
        words = sort_values(column)
        has_clear_name = _rank("outcome", column) < GUESSABLE_OUTCOME_NAMES
        return words is not None and (has_clear_name or not words.guess)
    if role.name in ("type", "stage"):
        return values <= max(12, min(500, len(column.cells) // 2))
    return role.name != "activity_id" or values >= 0.95 * len(column.cells)


def _rank(role: str, column: Column) -> int:
    """Return the rank of a column's name among the names that suggest a role."""
    patterns = enumerate(ROLE_NAMES.get(role, (f"^{role.replace('_', ' ')}$",)))
    return next((place for place, name in patterns if re.search(name, column.words)), NO_RANK)


def _id_columns(tables: Mapping[str, Table]) -> dict[str, Column]:
    """Find the column of lead ids in as many tables as possible, by kind."""
    leads = tables["leads"]
    event_tables = {kind: table for kind, table in tables.items() if kind != "leads"}
    keys = [column for column in leads.columns if column.is_key]
    keys.sort(key=lambda column: _rank("lead_id", column))
    if not event_tables:
        return {"leads": keys[0]} if keys and _rank("lead_id", keys[0]) < NO_RANK else {}
    links = []
    for key in keys:
        shared = {kind: _shared(key, leads, kind, table) for kind, table in event_tables.items()}
        links.append({"leads": key} | {kind: column for kind, column in shared.items() if column})
    return max(links, key=len, default={})


def _shared(key: Column, leads: Table, kind: str, table: Table) -> Column | None:
    """Find the column of another table that contains the lead ids."""
    ids, candidates = set(key.counts.index), []
    for column in table.columns:
        repeats = len(column.counts) < len(column.cells) or kind == "outcomes" or bool(table.kind)
        share = float(column.counts.index.isin(ids).mean()) if len(column.counts) else 0.0
        likely = share >= 0.5 or (share > 0 and (column.name == key.name or not leads.is_whole))
        if repeats and likely and not column.has_gaps:
            rank = -_rank("lead_id", column)
            candidates.append((rank, column.name == key.name, share, column))
    return max(candidates, key=lambda row: row[:3])[3] if candidates else None


def _flat_outcome(leads: Table, roles: dict[str, Column]) -> dict[str, Column]:
    """Find the outcome in the leads table itself."""
    without_role = [column for column in leads.columns if column not in roles.values()]
    by_role = _play(without_role, "outcomes")
    if "outcome" not in by_role:
        candidates = listed(column.name for column in without_role if 2 <= len(column.counts) <= 20)
        raise ConfigError(
            f"No column of {leads.path.name} shows how leads ended. Columns with few values: "
            f"{candidates or 'none'}. Expected a column with a name such as converted, won, "
            "outcome or status, and values such as yes and no. Rename it to `outcome`, or add a "
            "file as `outcomes=FILE`."
        )
    closed = by_role.get("closed_at")
    if closed and _rank("closed_at", closed) > 2:
        del by_role["closed_at"]
    if "amount" in by_role and _rank("amount", by_role["amount"]) == 0:
        del by_role["amount"]  # it may be the amount that the lead asked for
    return by_role
