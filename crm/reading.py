"""Reads the tables of a project, checks them, and puts them together as `Records`."""

import datetime
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.contracts import has_ids, shape_leads, shape_table, table_formats, with_closed_by
from crm.days import day_ends
from crm.errors import ConfigError, SchemaError
from crm.format_notes import check_doubts, format_notes
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, number_reader
from crm.lead_ids import as_lead_ids, id_keys
from crm.ledger.ledger import Ledger
from crm.ledger.records import events_table, project_ledger, with_events, with_leads
from crm.left_out import LeftOutRows
from crm.outcomes import (
    after_creation,
    declared_only,
    flat_outcomes,
    to_won_lost,
    undeclared,
    with_every_row,
)
from crm.project import LEDGER, Project, TableKeys
from crm.reading_notes import ReadingNotes
from crm.records import Records
from crm.several_leads import (
    sentence_about_several_leads,
    several_leads,
    with_row_for_each_lead,
)
from crm.source_tables import SourceTables
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import EVENT_TABLES
from crm.text import counted, first_few
from crm.times import DAY, TIME_DTYPE


def read_records(
    project: Project,
    now: datetime.datetime | None = None,
    sources: SourceTables | None = None,
) -> Records:
    """Read the tables that a project names and check them.

    Parameters
    ----------
    project : Project
    now : datetime, timezone-aware, optional
        Later times, such as planned meetings, do not extend the time under observation.
    sources : SourceTables, optional
        The tables of the project, if they were read before.

    Returns
    -------
    Records

    Raises
    ------
    SourceError
        If a table cannot be read.
    SchemaError
        If a table does not fit its declaration; the message lists every failure of that table.
    ConfigError
        If the project file names columns that do not exist.
    """
    notes = ReadingNotes.of_project(project)
    sources = sources or SourceTables(project)
    with project_ledger(project) as ledger:
        leads, leads_raw, outcomes, excluded, formats = _read_leads(project, sources, ledger, notes)
    tables: dict[str, pd.DataFrame | None] = {
        "outcomes": outcomes,
        **_read_events(project, sources, notes),
    }
    for name, shaped in tables.items():
        if shaped is not None:
            tables[name] = _of_known_leads(name, shaped, leads["lead_id"], excluded, project, notes)
    leads, in_order = _in_order_of_time(leads_raw, leads, project, formats)
    won_or_lost = tables["outcomes"]
    assert won_or_lost is not None
    if "created_at" in leads:
        won_or_lost = tables["outcomes"] = after_creation(won_or_lost, leads)
    records = Records(
        leads=leads,
        outcomes=won_or_lost,
        activities=tables["activities"],
        stages=tables["stages"],
        observed_until=_observed_until(project, leads, tables, now, notes),
        in_order=in_order,
        notes=notes.sentences,
        has_ids=leads_raw is None or has_ids(leads_raw, project),
        left_out=notes.left_out,
        formats={column: form.notation for column, form in formats.items() if form.notation},
        closing_zone=notes.closing_zone,
    )
    _check_outcomes_follow_creation(records, project)
    return records


def _read_leads(
    project: Project, sources: SourceTables, ledger: Ledger | None, notes: ReadingNotes
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame, set[str], dict[str, ColumnFormat]]:
    """Read the leads and their outcomes, from the file, the ledger, or both.

    Returns
    -------
    leads : DataFrame
    leads_raw : DataFrame or None
        The rows of the file as they were read, for the leads that stay.
    outcomes : DataFrame
        The won and lost leads.
    excluded : set of str
        Leads that were erased, or whose only outcomes in the ledger have undeclared values.
    formats : dict of str to ColumnFormat
        How the columns of the file are read.
    """
    leads_raw = leads = outcomes = None
    formats: dict[str, ColumnFormat] = {}
    excluded: set[str] = set()
    if project.leads.source != LEDGER:
        leads_raw = sources.read("leads", notes.left_out, notes.sentences)
        formats = table_formats(leads_raw, "leads", project.leads, notes.nothing)
        check_doubts(project, formats)
        notes.sentences += format_notes(project, formats)
        leads = shape_leads(leads_raw, project, notes, formats)
        if project.outcomes is None and project.leads.column_of("outcome") is not None:
            outcomes = flat_outcomes(leads_raw, leads["lead_id"], project, notes, formats)
        if ledger is not None:
            excluded = ledger.erased(leads["lead_id"].tolist())
            if excluded:
                notes.sentences.append(f"leads: {len(excluded):,} were erased and are left out.")
        leads_raw = leads_raw.loc[leads.index]
        leads, leads_raw = _without(excluded, leads, leads_raw)
    if project.outcomes is not None:
        outcomes = _shape(project.outcomes, "outcomes", sources, notes)
    if ledger is not None:
        stored, undeclared_rows = declared_only(events_table(ledger, "outcomes"), project.learn)
        outcomes = with_events("outcomes", outcomes, with_closed_by(stored, "UTC"))
    assert outcomes is not None
    outcomes = to_won_lost(outcomes, project.learn, name_of(project.outcomes or project.leads))
    if ledger is not None:
        leads = with_leads(project, ledger, leads, outcomes, notes.sentences)
        unclear = _leads_of_unclear_outcome(undeclared_rows, outcomes, leads, notes.sentences)
        leads, leads_raw = _without(unclear, leads, leads_raw)
        excluded |= unclear
    assert leads is not None
    columns = [] if leads_raw is None else list(leads_raw.columns)
    if ledger is not None:
        columns += [column for column in leads.columns if column not in columns]
    _check_named_columns(project, columns)
    return leads, leads_raw, outcomes, excluded, formats


def _leads_of_unclear_outcome(
    undeclared_rows: pd.DataFrame, outcomes: pd.DataFrame, leads: pd.DataFrame, notes: list[str]
) -> set[str]:
    """Find the leads whose only outcomes have undeclared values.

    They may be won, so the model must not learn them as lost.
    """
    if undeclared_rows.empty:
        return set()
    if outcomes.empty:
        raise SchemaError("the ledger", [undeclared(undeclared_rows)])
    ids = as_lead_ids(undeclared_rows["lead_id"], leads["lead_id"])
    with_outcome = as_lead_ids(outcomes["lead_id"], leads["lead_id"])
    unclear = {*ids}.intersection(leads["lead_id"]).difference(with_outcome)
    notes.append(
        f"the ledger: {undeclared(undeclared_rows)} Until then, these outcomes are left out (for "
        f"example of the leads {first_few(ids.unique()[:3])}), and so are the {len(unclear):,} "
        "leads that have no other outcome."
    )
    return unclear


def _without(
    excluded: set[str], leads: pd.DataFrame, raw: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Remove leads, and their rows of the file. The leads of the file must come first."""
    keep = (~leads["lead_id"].isin(excluded)).to_numpy()
    if raw is not None:
        raw = raw[keep[: len(raw)]].reset_index(drop=True)
    return leads[keep].reset_index(drop=True), raw


def read_events(project: Project, notes: ReadingNotes) -> dict[str, pd.DataFrame | None]:
    """Read the activities and stages that a project names, sorted by lead and time.

    Parameters
    ----------
    project : Project
    notes : ReadingNotes
        Receives what was assumed, and the rows that are left out.

    Returns
    -------
    dict of str to DataFrame or None
        `activities` and `stages`; None if the project has no such table. `lead_id` is the key of
        the id (`crm.lead_ids.id_key`). If activities of a lead have the same id, only the earliest
        stays.
    """
    return {
        name: None
        if table is None
        else table.assign(lead_id=id_keys(table["lead_id"])).reset_index(drop=True)
        for name, table in _read_events(project, SourceTables(project), notes).items()
    }


def read_closings(project: Project, notes: ReadingNotes) -> pd.Series | None:
    """Read when leads were won or lost, from the project's own table of outcomes.

    Values that the project file does not declare count as open.

    Parameters
    ----------
    project : Project
    notes : ReadingNotes
        Receives what was assumed, and the rows that are left out.

    Returns
    -------
    Series of datetime64, UTC, or None
        The first closing by the key of the lead's id; missing if it has no time. None if the
        outcomes are not in a table of their own.
    """
    if project.outcomes is None:
        return None
    shaped = _shape(project.outcomes, "outcomes", SourceTables(project), notes)
    declared, _ = declared_only(shaped, project.learn)
    outcomes = to_won_lost(declared, project.learn, name_of(project.outcomes))
    closed_at = outcomes.get("closed_at", pd.Series(pd.NaT, outcomes.index, TIME_DTYPE))
    return closed_at.groupby(id_keys(outcomes["lead_id"])).min()


def _read_events(
    project: Project, sources: SourceTables, notes: ReadingNotes
) -> dict[str, pd.DataFrame | None]:
    """Read the events; the index is the row in the source, or -1 for a row of the ledger."""
    tables: dict[str, pd.DataFrame | None] = {}
    with project_ledger(project) as ledger:
        for name, keys in (("activities", project.activities), ("stages", project.stages)):
            table = None if keys is None else _shape(keys, name, sources, notes)
            if ledger is not None:
                stored = events_table(ledger, name)
                table = with_events(name, table, stored) if len(stored) else table
            if table is not None:  # takes half the time of `sort_values`, and less memory
                time = EVENT_TABLES[name].event_time
                if name in notes.days:
                    in_ledger = table.index < 0
                    ends = day_ends(table[time], notes.days[name])
                    table = table.assign(**{time: ends.where(~in_ledger, table[time])})
                lead = pd.factorize(id_keys(table["lead_id"]), sort=True)[0]
                order = np.lexsort((table[time].to_numpy(dtype="datetime64[us]"), lead))
                table = table.iloc[order]
                if name == "activities" and "activity_id" in table:
                    table = _without_repeated_ids(table, project, notes)
            tables[name] = table
    return tables


def _without_repeated_ids(
    activities: pd.DataFrame, project: Project, notes: ReadingNotes
) -> pd.DataFrame:
    """Keep the first of a lead's activities with the same id. They must be in order of time."""
    ids = activities["activity_id"]
    may_repeat = (ids.notna() & ids.duplicated(keep=False)).to_numpy(copy=True)
    same_id = activities[may_repeat]
    repeats = same_id[["activity_id"]].assign(lead_id=id_keys(same_id["lead_id"])).duplicated()
    may_repeat[may_repeat] = repeats.to_numpy()
    if not may_repeat.any():
        return activities
    reason = "an activity with the same lead and id is in the table"
    _leave_out("activities", activities[may_repeat], project, notes, reason)
    return activities[~may_repeat]


def _shape(keys: TableKeys, name: str, sources: SourceTables, notes: ReadingNotes) -> pd.DataFrame:
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


def _leave_out(
    name: str, rows: pd.DataFrame, project: Project, notes: ReadingNotes, reason: str
) -> None:
    """Note the rows that are left out, those of the file apart from those of the ledger."""
    keys: TableKeys | None = getattr(project, name) or project.leads
    in_file = np.unique(rows.index[rows.index >= 0])
    if len(in_file) and keys is not None:
        notes.leave_out(name, keys, in_file.tolist(), reason)
    n_stored = int((rows.index < 0).sum())
    if n_stored:
        notes.left_out.append(LeftOutRows(name, "the ledger", reason, n_stored, (), "row"))


def _of_known_leads(
    name: str,
    table: pd.DataFrame,
    lead_ids: pd.Series,
    excluded: set[str],
    project: Project,
    notes: ReadingNotes,
) -> pd.DataFrame:
    """Return the rows of known leads, with the ids as the leads table writes them."""
    if excluded:
        keys_of_excluded = id_keys(pd.Series(sorted(excluded), dtype="str"))
        table = table[~id_keys(table["lead_id"]).isin(keys_of_excluded)]
    table = table.assign(lead_id=as_lead_ids(table["lead_id"], lead_ids))
    # On text, Arrow's look-up takes an eighth of the time of pandas' look-up.
    text = pa.large_string()
    ids = pa.array(table["lead_id"].array, text)
    is_known = pc.is_in(ids, value_set=pa.array(lead_ids.array, text))
    unknown = ~is_known.to_numpy(zero_copy_only=False)
    if unknown.any() and unknown.all():
        raise SchemaError(name, [_no_known_lead(name, table, lead_ids, project)])
    is_used = table.index.isin(table.index[~unknown]) & (table.index >= 0)
    if (unknown & ~is_used).any():
        _leave_out(
            name,
            table[unknown & ~is_used],
            project,
            notes,
            "their leads are not in the leads table",
        )
    known = table[~unknown]
    if "amount" in known:  # of a row with several leads, it counts once
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


def _in_order_of_time(
    raw: pd.DataFrame | None,
    leads: pd.DataFrame,
    project: Project,
    formats: Mapping[str, ColumnFormat],
) -> tuple[pd.DataFrame, bool]:
    order = project.leads.column_of("order")
    if "created_at" in leads:
        return leads.sort_values(["created_at", "lead_id"], ignore_index=True), True
    if order is None or raw is None:
        return leads, False
    if order == "rows":
        return leads, True
    form = formats.get(order, ColumnFormat("number"))
    numbers = number_reader(form.notation).read_column(raw[order])
    unread = np.isnan(numbers)
    if unread.any():
        cells = raw[order][unread]
        raise SchemaError(
            name_of(project.leads),
            [
                f"the order column `{order}` has {int(unread.sum()):,} cells that are "
                f"not numbers: {first_few(cells.head(3))}. "
                'Expected a number that grows with time, or `order = "rows"`.'
            ],
        )
    return leads.iloc[np.argsort(numbers, kind="stable")].reset_index(drop=True), True


def _observed_until(
    project: Project,
    leads: pd.DataFrame,
    tables: dict[str, pd.DataFrame | None],
    now: datetime.datetime | None,
    notes: ReadingNotes,
) -> pd.Timestamp | None:
    """Return the end of the time under observation: declared, or the newest time before now.

    Of events that are given as days, it is certain only that the day had begun.
    """
    declared = project.learn.observed_until
    if declared is not None:
        moment = parse_times(pd.Series([declared]), "[learn] observed_until")[0].iloc[0]
        if pd.isna(moment):
            raise ConfigError(
                f"`observed_until` in `[learn]` is {declared!r}, which is not a valid time. "
                "Expected ISO 8601, such as 2025-06-01."
            )
        return moment
    if "created_at" not in leads:
        return None
    times_of = {
        name: table[EVENT_TABLES[name].event_time]
        for name, table in tables.items()
        if table is not None
    }
    for name in notes.days:
        times_of[name] = times_of[name] - pd.Timedelta(DAY - 1, "us")
    times = pd.concat([leads["created_at"], *times_of.values()]).dropna()
    in_future = times > now if now is not None else times.isna()
    if in_future.any():
        notes.sentences.append(
            f"{int(in_future.sum()):,} times are in the future, the last at {times.max()}. "
            "They do not extend the time under observation."
        )
    observed = times[~in_future]
    return observed.max() if len(observed) else None


def _check_outcomes_follow_creation(records: Records, project: Project) -> None:
    if not records.has_times:
        return
    created = records.leads.set_index("lead_id")["created_at"]
    outcomes = records.outcomes
    early = (outcomes["closed_at"] < outcomes["lead_id"].map(created)).to_numpy()
    share = early.sum() / max(1, len(outcomes))
    if share > 0.5:
        raise SchemaError(
            name_of(project.outcomes or project.leads),
            [
                f"{int(early.sum()):,} of {len(outcomes):,} outcomes are before their lead's "
                "creation. Are `created_at` and `closed_at` mapped to the right columns?"
            ],
        )
    if early.any():
        ids = first_few(outcomes.loc[early, "lead_id"].head(6))
        records.notes.append(
            f"outcomes: {counted(int(early.sum()), 'outcome')} before the creation of the lead "
            f"({ids}). The model cannot learn from these leads."
        )


def _check_named_columns(project: Project, columns: list[str]) -> None:
    rules = project.columns
    problems = []
    if project.leads.column_of("order") not in (None, "rows", *columns):
        problems.append(f"[leads] order: `{project.leads.column_of('order')}`.")
    problems += [
        f"[leads.formats]: `{column}`. {nearest(column, columns)}"
        for column in project.leads.formats
        if column not in columns
    ]
    for key in ("ignore", "known_later", "known_in_time", "sensitive", "number", "category"):
        problems += [
            f"[columns] {key}: `{column}`. {nearest(column, columns)}"
            for column in getattr(rules, key)
            if column not in columns
        ]
    report = project.report
    problems += [
        f"[report] {key}: `{column}`. {nearest(column, columns)}"
        for key, named in (("source", [report.source]), ("audience", report.audience))
        for column in named
        if column is not None and column not in columns
    ]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(
            f"{project.path.name} names columns that {name_of(project.leads)} "
            f"does not have:\n{lines}"
        )
