"""Decides which file is which table, from the names of files and columns, and from cells."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crm.errors import ConfigError
from crm.tables import TABLES
from crm.text import listed, words_of
from drafting.field_history import is_field_history, why_history_is_not_used
from drafting.lead_columns import (
    GENERIC_IDS,
    check_repeated_ids,
    check_shortened_ids,
    different_ids,
    has_repeated_ids,
    id_columns,
    id_rank,
    is_about_leads,
    key_named_lead,
    lead_keys,
    own_key,
    shares_word,
    unmatched_ids,
)
from drafting.no_outcome import named_in_other, no_outcome
from drafting.outcome_column import Declared, choose_outcome
from drafting.role_names import hints_at, rank
from drafting.roles import ANY_CHOICE, is_every_row_won, role_strength
from drafting.samples import Column, Table
from drafting.unused_files import find_reference, ids_do_not_match, may_be_event, why_not_used

HINT = 0.5  # added if the name of the file suggests the table
CLEAR = 0.1  # an assignment must be likelier than the next one by this much
SEVERAL_ROWS = 3  # outcomes for each lead, on average, in a file that more likely contains leads
MANY_ROWS = 10  # the same, if the column of ids is named after leads, contacts or customers
FEWEST_KNOWN = 0.5  # a smaller share of outcomes with an id of a lead: the leads are elsewhere


class Assignment(NamedTuple):
    """The tables of a project, each with its file.

    Attributes
    ----------
    tables : dict of str to Table
        By kind. `leads` is always one of them.
    not_used : list of str
        For each file that is not used, sentences with the reason and what to do to use it.
    """

    tables: dict[str, Table]
    not_used: list[str]


def assign_tables(tables: Sequence[Table], declared: Declared = ANY_CHOICE) -> Assignment:
    """Decide which file is which table.

    If a file is about leads by its name and ids, no other file is the table of leads. Files that
    leads refer to, such as owners and campaigns, files whose rows belong to something else, such
    as a company, and histories of several fields are not used.

    Parameters
    ----------
    tables : sequence of Table
        The sampled tables, at most one of each kind.
    declared : Declared
        What a person declared about the outcome.

    Returns
    -------
    Assignment

    Raises
    ------
    ConfigError
        If no assignment is possible, two are almost equally likely, ids of leads repeat, or a file
        does not contain the ids of the leads.
    """
    for table in tables:
        check_shortened_ids(table)
    histories = [table for table in tables if is_field_history(table)]
    reasons = [why_history_is_not_used(table) for table in histories]
    if len(histories) == len(tables) and histories:
        raise ConfigError(" ".join([*reasons, "The table of leads is needed too."]))
    others = [table for table in tables if not any(table is history for history in histories)]
    chosen, not_used = _assign(others, declared)
    return Assignment(chosen, [*reasons, *not_used])


def _assign(tables: Sequence[Table], declared: Declared) -> Assignment:
    """Assign files that are not histories of several fields, as `assign_tables` does."""
    ranked = _ranked(tables)
    if _is_clear(ranked):
        if len(tables) == 1:
            check_repeated_ids(ranked[0][1]["leads"])
        return Assignment(ranked[0][1], [])
    for table in tables:
        if table.kind == "leads" or (table.kind is None and _hints(table, "leads")):
            check_repeated_ids(table)
    possible = [] if ranked else _possible_leads(tables)
    partial = [found for leads in possible if (found := _without_others(leads, tables, declared))]
    if len(partial) == 1:
        return partial[0]
    if len(possible) == 1 and not partial:
        leads = possible[0]
        others = [table for table in tables if table is not leads]
        without_ids = [table for table in others if not _kinds_with_ids(leads, table)]
        if without_ids:
            raise ConfigError(ids_do_not_match(leads, without_ids, tables))
        for table in others:
            _refuse_further_columns(leads, table)
    raise ConfigError(_not_clear(tables))


def _ranked(tables: Sequence[Table]) -> list[tuple[float, dict[str, Table]]]:
    """Return the possible assignments of all files with their likeness, the likeliest first."""
    about_leads = _about_leads(tables)
    likeness = [{kind: _likeness(t, kind, len(tables)) for kind in TABLES} for t in tables]
    ranked = []
    for kinds in itertools.permutations(TABLES, len(tables)):
        scores = [likely[kind] for kind, likely in zip(kinds, likeness, strict=True)]
        if "leads" in kinds and all(scores):
            chosen = dict(zip(kinds, tables, strict=True))
            leads = chosen["leads"]
            if about_leads and not any(leads is table for table in about_leads):
                continue
            if len(tables) > 1 and _is_named_activities(leads):
                continue
            ids = id_columns(chosen)
            is_whole = set(ids) >= set(chosen) - {"leads"}
            if is_whole and (about_leads or not _is_reversed(chosen, ids)):
                ranked.append((sum(scores), chosen))
    return sorted(ranked, key=lambda pair: -pair[0])


def _about_leads(tables: Sequence[Table]) -> list[Table]:
    """Return the file that a person named as leads, or those that are about leads by their name.

    A name such as "leads" comes before a name such as "contacts".
    """
    named = [table for table in tables if table.kind == "leads"]
    about = [table for table in tables if table.kind is None and is_about_leads(table)]
    called_leads = [table for table in about if shares_word(table.title, "leads")]
    return named or called_leads or about


def _is_named_activities(table: Table) -> bool:
    """Check whether a file is about activities, and not about leads, by its name alone."""
    is_activities = _hints(table, "activities") and not _hints(table, "leads")
    return table.kind is None and is_activities


def _is_clear(ranked: Sequence[tuple[float, dict[str, Table]]]) -> bool:
    return bool(ranked) and (len(ranked) == 1 or ranked[0][0] - ranked[1][0] >= CLEAR)


def _is_reversed(chosen: Mapping[str, Table], ids: Mapping[str, Column]) -> bool:
    """Check whether another file more likely contains the leads, and refers to the chosen one.

    It has an own id, and also an id such as "Lead ID"; or many of its rows have the same id, as
    leads have the same owner; or most of its rows do not have an id of the chosen leads.
    """
    for kind, table in chosen.items():
        if kind == "leads" or table.kind is not None:
            continue
        lead_id = ids[kind]
        named = key_named_lead(table)
        if named is not None and named is not lead_id:
            return True
        own = own_key(table)
        if kind != "outcomes" or own is None or own is lead_id or id_rank(own) > GENERIC_IDS:
            continue
        filled = int(lead_id.counts.sum())
        rows_per_lead = filled / max(1, len(lead_id.counts))
        names_person = rank("lead_id", lead_id.name) < GENERIC_IDS
        if rows_per_lead >= (MANY_ROWS if names_person else SEVERAL_ROWS):
            return True
        is_known = different_ids(lead_id).isin(different_ids(ids["leads"]))
        if filled * float(is_known.mean()) < FEWEST_KNOWN * table.rows:
            return True
    return False


def _possible_leads(tables: Sequence[Table]) -> list[Table]:
    """Return the files that may be the leads if some files are not used."""
    return _about_leads(tables) or [table for table in tables if _likeness(table, "leads", 2)]


def _kinds_with_ids(leads: Table, table: Table) -> list[str]:
    """Return the kinds of table as which a file contains the ids of the leads."""
    kinds = [kind for kind in TABLES if kind != "leads" and table.kind in (None, kind)]
    return [kind for kind in kinds if kind in id_columns({"leads": leads, kind: table})]


def _without_others(leads: Table, tables: Sequence[Table], declared: Declared) -> Assignment | None:
    """Assign the files without those that are not about leads; None if that is not possible."""
    used, not_used, has_event = [leads], [], False
    for table in tables:
        if table is leads:
            continue
        if table.kind is not None or _kinds_with_ids(leads, table):
            used.append(table)
            continue
        reference = find_reference(leads, table)
        if reference is None:
            return None
        is_event = may_be_event(table, reference)
        has_event |= is_event
        not_used.append(why_not_used(leads, table, reference, is_event))
    ranked = [pair for pair in _ranked(used) if pair[1]["leads"] is leads]
    if not not_used or not _is_clear(ranked):
        return None
    chosen = ranked[0][1]
    if "outcomes" not in chosen:
        names = [column.name for column in leads.columns]
        if declared.outcome not in names and choose_outcome(leads.columns) is None:
            if not _about_leads(tables):
                return None
            if has_event:
                raise ConfigError(f"{' '.join(not_used)} {no_outcome(leads.name, leads.columns)}")
        if has_event:
            not_used.append(f"How leads ended is read from {leads.name}.")
    return Assignment(chosen, not_used)


def _refuse_further_columns(leads: Table, table: Table) -> None:
    """Raise an error if a file contains the ids of the leads, but nothing that happened."""
    kinds = [kind for kind in TABLES if kind != "leads"]
    if table.kind is None and not any(_likeness(table, kind, 2) for kind in kinds):
        if named_in_other([table]):
            return
        raise ConfigError(
            f"{table.name} contains the ids of the leads in {leads.name}, but no column of "
            f"activities, stages or outcomes was found: {listed(c.name for c in table.columns)}. "
            f"Add its columns to {leads.name}, or leave {table.name} out. If it is one of these "
            f"tables, name it, as in: `activities={table.name}`"
        )


def _not_clear(tables: Sequence[Table]) -> str:
    contents = [f"{t.name} ({listed(c.name for c in t.columns)})" for t in tables]
    pairs = itertools.permutations(tables, 2)
    ids = "" if any(_kinds_with_ids(*pair) for pair in pairs) else unmatched_ids(tables)
    has_outcome = any(choose_outcome(table.columns) is not None for table in tables)
    in_file = "" if has_outcome else named_in_other(tables)
    alike = [] if len(about := _about_leads(tables)) < 2 else about
    return (
        f"It is not clear which file is which table: {'; '.join(contents) or 'no file is named'}. "
        + (f"No file contains the ids of leads of another file. {ids} " if ids else "")
        + "Expected one file of leads with one row per lead, and at most one file each of "
        "activities, stages and outcomes, which contain the ids of the leads. "
        "Name the table of each file, as in: `leads=people.csv activities=calls.csv`"
        + (
            f". {listed(t.name for t in alike)} look like leads: put all leads into one file"
            if alike
            else ""
        )
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
