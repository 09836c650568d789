"""Reads the tables of a project, checks them, and puts them together as `Records`."""

import datetime
from collections.abc import Mapping

import numpy as np
import pandas as pd

from crm.contracts import has_ids, shape_leads, table_formats, with_closed_by
from crm.errors import ConfigError, SchemaError
from crm.format_notes import check_doubts, format_notes
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, number_reader
from crm.lead_ids import as_lead_ids
from crm.ledger.ledger import Ledger
from crm.ledger.records import events_table, project_ledger, with_events, with_leads
from crm.outcomes import (
    after_creation,
    declared_only,
    flat_outcomes,
    to_won_lost,
    undeclared,
)
from crm.project import LEDGER, Project
from crm.reading_events import activities_and_stages, rows_of_known_leads, shaped_table
from crm.reading_notes import ReadingNotes
from crm.records import Records
from crm.source_tables import SourceTables
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import EVENT_TABLES
from crm.text import counted, first_few
from crm.times import DAY


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
        **activities_and_stages(project, sources, notes),
    }
    for name, shaped in tables.items():
        if shaped is not None:
            tables[name] = rows_of_known_leads(
                name, shaped, leads["lead_id"], excluded, project, notes
            )
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
        outcomes = shaped_table(project.outcomes, "outcomes", sources, notes)
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

    An event with a day without a clock is certain only from the start of that day.
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
        last = times.max()
        notes.sentences.append(
            f"1 time is in the future: {last}. It does not extend the time under observation."
            if in_future.sum() == 1
            else f"{int(in_future.sum()):,} times are in the future, the last at {last}. They do "
            "not extend the time under observation."
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
    now_or_before = [*columns, *project.monitor.retired_columns]
    problems = []
    if project.leads.column_of("order") not in (None, "rows", *columns):
        problems.append(f"[leads] order: `{project.leads.column_of('order')}`.")
    problems += [
        f"[leads.formats]: `{column}`. {nearest(column, columns)}"
        for column in project.leads.formats
        if column not in now_or_before
    ]
    for key in ("ignore", "known_later", "known_in_time", "sensitive", "number", "category"):
        problems += [
            f"[columns] {key}: `{column}`. {nearest(column, columns)}"
            for column in getattr(rules, key)
            if column not in now_or_before
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
            f"does not have:\n{lines}\n"
            "Correct the names. If a column is gone, delete its lines; if it is gone on purpose, "
            "name it in [monitor] retired_columns."
        )
