"""Reads the tables of events of a project: its activities, stages and outcomes."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Indexes
from crm.cells import is_among
from crm.contracts import shape_table
from crm.days import day_ends
from crm.errors import SchemaError
from crm.event_arrays import TEXTS, in_order
from crm.key_index import text_hashes
from crm.lead_ids import as_lead_ids, id_keys
from crm.ledger.ledger import Ledger
from crm.ledger.records import events_table, project_ledger, with_events
from crm.left_out import LeftOutRows
from crm.outcomes import declared_only, to_won_lost, with_every_row
from crm.project import Project, TableKeys
from crm.reading_notes import ReadingNotes
from crm.several_leads import (
    sentence_about_several_leads,
    several_leads,
    with_row_for_each_lead,
)
from crm.source_tables import SourceTables
from crm.sources.source import name_of
from crm.tables import EVENT_TABLES
from crm.text import first_few
from crm.times import TIME_DTYPE, microseconds

EVENTS: Final = ("activities", "stages")


def read_events(project: Project, notes: ReadingNotes) -> Iterator[tuple[str, pd.DataFrame | None]]:
    """Read the activities and stages that a project names, one table after the other.

    Parameters
    ----------
    project : Project
    notes : ReadingNotes
        Receives what was assumed, and the rows that are left out.

    Yields
    ------
    str
        "activities", then "stages".
    DataFrame or None
        The columns that features read, in the order of the source; None if the project has no such
        table. `lead_id` is the key of the id (`crm.lead_ids.id_key`). It is missing for activities
        that have the id of an earlier one of the same lead.
    """
    sources = SourceTables(project, is_kept=False)
    with project_ledger(project) as ledger:
        for name in EVENTS:
            # No name here keeps the table, so that the caller can free it before the next is read.
            yield name, _read_for_scoring(name, project, sources, ledger, notes)


def _read_for_scoring(
    name: str, project: Project, sources: SourceTables, ledger: Ledger | None, notes: ReadingNotes
) -> pd.DataFrame | None:
    read = _read_events(name, project, sources, ledger, notes)
    if read is None:
        return None
    table, stays = read
    columns = [column for column in TEXTS[name] if column in table]
    ids = id_keys(table["lead_id"])
    return table[[*columns, EVENT_TABLES[name].event_time]].assign(
        lead_id=ids if stays.all() else ids.where(stays)
    )


def read_closings(project: Project, notes: ReadingNotes) -> pd.Series | None:
    """Read when leads were won or lost, from the project's own table of outcomes.

    Values that the project file does not declare count as open.

    Parameters
    ----------
    project, notes
        As for `read_events`.

    Returns
    -------
    Series of datetime64, UTC, or None
        The first closing by the key of the lead's id; missing if it has no time. None if the
        outcomes are not in a table of their own.
    """
    if project.outcomes is None:
        return None
    shaped = shaped_table(project.outcomes, "outcomes", SourceTables(project), notes)
    declared, _ = declared_only(shaped, project.learn)
    outcomes = to_won_lost(declared, project.learn, name_of(project.outcomes))
    closed_at = outcomes.get("closed_at", pd.Series(pd.NaT, outcomes.index, TIME_DTYPE))
    return closed_at.groupby(id_keys(outcomes["lead_id"])).min()


def activities_and_stages(
    project: Project, sources: SourceTables, notes: ReadingNotes
) -> dict[str, pd.DataFrame | None]:
    """Read the activities and stages from the files, the ledger, or both.

    Parameters
    ----------
    project : Project
    sources : SourceTables
    notes : ReadingNotes

    Returns
    -------
    dict of str to DataFrame or None
        `activities` and `stages`, sorted by lead and time. The index is the row in the source, or
        -1 for a row of the ledger. None if the project has no such table.
    """
    tables: dict[str, pd.DataFrame | None] = {}
    with project_ledger(project) as ledger:
        for name in EVENTS:
            read = _read_events(name, project, sources, ledger, notes)
            tables[name] = None
            if read is not None:
                table, stays = read
                order = _in_order(name, table)
                tables[name] = table.iloc[order[stays[order]]]
    return tables


def _read_events(
    name: str,
    project: Project,
    sources: SourceTables,
    ledger: Ledger | None,
    notes: ReadingNotes,
) -> tuple[pd.DataFrame, Bools] | None:
    """Read the events of one table, in the order of the source, and which of them stay.

    Activities that repeat an earlier one do not stay. None if the project has no such table.
    """
    keys: TableKeys | None = getattr(project, name)
    table = None if keys is None else shaped_table(keys, name, sources, notes)
    if ledger is not None:
        stored = events_table(ledger, name)
        table = with_events(name, table, stored) if len(stored) else table
    if table is None:
        return None
    if name in notes.days:
        time = EVENT_TABLES[name].event_time
        in_ledger = table.index < 0
        ends = day_ends(table[time], notes.days[name])
        table = table.assign(**{time: ends.where(~in_ledger, table[time])})
    stays = np.ones(len(table), dtype=bool)
    if "activity_id" in table:
        stays = ~_repeated_activities(table)
        if not stays.all():
            reason = "an activity with the same lead and id is in the table"
            _leave_out(name, table.index[~stays], project, notes, reason)
    return table, stays


def _in_order(name: str, table: pd.DataFrame) -> Indexes:
    """Return the order of events by lead and then by time."""
    lead = pd.factorize(id_keys(table["lead_id"]), sort=True)[0]
    return in_order(lead, microseconds(table[EVENT_TABLES[name].event_time]))


def shaped_table(
    keys: TableKeys, name: str, sources: SourceTables, notes: ReadingNotes
) -> pd.DataFrame:
    """Read a table of events from its source, with the declared types and a row for each lead.

    Parameters
    ----------
    keys : TableKeys
    name : str
        "activities", "stages" or "outcomes".
    sources : SourceTables
    notes : ReadingNotes

    Returns
    -------
    DataFrame
        The index is the row in the source. Rows that name several leads are repeated.
    """
    table = sources.read(name, notes.left_out, notes.sentences)
    if name == "outcomes":
        table = with_every_row(table, keys)
    shaped = shape_table(table, name, keys, notes)
    count, example = several_leads(shaped["lead_id"])
    if count:
        column = keys.column_of("lead_id") or "lead_id"
        about = sentence_about_several_leads(column, count, example, "amount" in shaped)
        notes.sentences.append(f"{name}: {about}")
    return with_row_for_each_lead(shaped)


def rows_of_known_leads(
    name: str,
    table: pd.DataFrame,
    lead_ids: pd.Series,
    excluded: set[str],
    project: Project,
    notes: ReadingNotes,
) -> pd.DataFrame:
    """Return the rows of known leads, with the ids as the leads table writes them.

    Parameters
    ----------
    name : str
        "activities", "stages" or "outcomes".
    table : DataFrame
        As `shaped_table` returns it.
    lead_ids : Series of str
        The ids of the leads table.
    excluded : set of str
        Leads whose rows are removed without a note.
    project : Project
    notes : ReadingNotes
        Receives the rows of other leads, which are left out.

    Raises
    ------
    SchemaError
        If none of the rows belongs to a known lead.
    """
    if excluded:
        keys_of_excluded = id_keys(pd.Series(sorted(excluded), dtype="str"))
        table = table[~is_among(id_keys(table["lead_id"]), keys_of_excluded)]
    table = table.assign(lead_id=as_lead_ids(table["lead_id"], lead_ids))
    unknown = ~is_among(table["lead_id"], lead_ids)
    if unknown.any() and unknown.all():
        raise SchemaError(name, [_no_known_lead(name, table, lead_ids, project)])
    is_used = table.index.isin(table.index[~unknown]) & (table.index >= 0)
    if (unknown & ~is_used).any():
        _leave_out(
            name,
            table.index[unknown & ~is_used],
            project,
            notes,
            "their leads are not in the leads table",
        )
    known = table[~unknown]
    if "amount" in known:  # the amount of a row with several leads counts once
        is_repeat = known.index.duplicated() & (known.index >= 0)
        known = known.assign(amount=known["amount"].mask(is_repeat))
    return known.reset_index(drop=True)


def _no_known_lead(name: str, table: pd.DataFrame, lead_ids: pd.Series, project: Project) -> str:
    keys: TableKeys = getattr(project, name) or project.leads
    column = keys.column_of("lead_id") or "lead_id"
    id_column = project.leads.column_of("lead_id") or "lead_id"
    return (
        f"none of its {len(table):,} rows belongs to a lead of the leads table. "
        f"`{column}` of {name_of(keys)} is such as {first_few(table['lead_id'].head(3))}, and "
        f"`{id_column}` of {name_of(project.leads)} is such as {first_few(lead_ids.head(3))}. "
        "Does `lead_id` name the right column in both tables?"
    )


def _repeated_activities(activities: pd.DataFrame) -> Bools:
    """Return which activities have the id of an earlier one of the same lead, shape (n,)."""
    ids = activities["activity_id"]
    known = np.flatnonzero(ids.notna())
    hashes = text_hashes(ids.iloc[known] if len(known) < len(ids) else ids)
    by_hash = np.argsort(hashes)
    is_same = np.diff(hashes[by_hash]) == 0
    may_repeat = np.zeros(len(activities), dtype=bool)  # another lead may have the same id
    may_repeat[known[by_hash[1:][is_same]]] = may_repeat[known[by_hash[:-1][is_same]]] = True
    same_id = activities[["lead_id", "activity_id", "occurred_at"]][may_repeat]
    order = _in_order("activities", same_id)
    same_id = same_id.assign(lead_id=id_keys(same_id["lead_id"])).iloc[order]
    is_repeat = np.zeros(len(activities), dtype=bool)
    repeats = same_id.duplicated(["lead_id", "activity_id"]).to_numpy()
    is_repeat[np.flatnonzero(may_repeat)[order]] = repeats
    return is_repeat


def _leave_out(
    name: str, index: pd.Index, project: Project, notes: ReadingNotes, reason: str
) -> None:
    """Note the rows that are left out: first those of the file, then those of the ledger."""
    keys: TableKeys | None = getattr(project, name) or project.leads
    in_file = np.unique(index[index >= 0])
    if len(in_file) and keys is not None:
        notes.leave_out(name, keys, in_file.tolist(), reason)
    n_stored = int((index < 0).sum())
    if n_stored:
        notes.left_out.append(LeftOutRows(name, "the ledger", reason, n_stored, (), "row"))
