"""Builds the sections of the tables in a draft: the file, its roles, order and formats."""

from collections.abc import Collection, Sequence

import pandas as pd
import tomlkit
from tomlkit.items import Table as TomlTable

from crm.formats.exchanged import EXPORT_AGAIN
from crm.several_leads import sentence_about_several_leads, several_leads
from crm.tables import TABLES
from crm.text import listed, quote
from drafting.done_activities import about_not_done
from drafting.header_zones import HeaderZone, header_zone
from drafting.lead_columns import is_row_number
from drafting.outcome_words import EVERY_ROW
from drafting.role_names import NO_RANK, rank
from drafting.roles import Roles
from drafting.samples import Column, Table
from drafting.toml_text import add_comment, new_section, noted
from drafting.unread_columns import CLEAR_NAMES

HEADINGS = {
    "leads": "One row per lead. Every column that this file does not name is an attribute, "
    "which the model may use.",
    "activities": "What leads did, and what was done to win them: many rows per lead.",
    "stages": "The steps of the sales funnel: one row for each stage that a lead entered.",
    "outcomes": "How leads ended. A lead without a row here is still open.",
}
FORMATS_HEADING = (
    "How numbers and times are written, by column. A number shows how the column writes 1234.56; "
    "% followed by a letter is a part of a time."
)
FORMATTED_ROLES = {
    role.name
    for table in TABLES.values()
    for role in table.file_columns
    if role.kind in ("time", "number")
}
WHOLE_NUMBERS = "1234"  # the format of columns that need no line: whole numbers
EVERY_ROW_NOTE = "CHECK: no column of the table is an outcome, so every row counts as this"
CLOSING_NOTE = (
    "when it ended; CHECK: its name does not mean a closing, but it is filled for leads that are "
    "won or lost, and empty for the others"
)
CREATION_NOTE = (
    "when the lead was created; CHECK: its name does not mean the creation, but it is the only "
    "time that most leads have"
)
ROW_NUMBER_NOTE = (
    "CHECK: no other id was found, and this one counts the rows. If it is not also the number of "
    "the lead in the CRM, scores cannot be matched with leads: export their ids"
)
ROLE_NOTES = {
    "lead_id": "identifies each lead in every table",
    "created_at": "when the lead was created; no later record is used to score it at that time",
    "outcome": "how the lead ended; an empty cell means still open",
    "closed_at": "when it ended",
    "amount": "the value of the deal; for the reports, never used by the model",
    "reason": "why it was won or lost; for the reports, never used by the model",
    "type": "what happened",
    "occurred_at": "when it happened",
    "activity_id": "if rows repeat an id, one of them is kept",
    "content": "the page, e-mail or webinar",
    "channel": "the channel, such as e-mail or phone",
    "value": "a number that belongs to the activity, such as seconds or minutes",
    "stage": "the name of the stage",
    "entered_at": "when the lead entered it",
}


def table_section(kind: str, table: Table, roles: Roles, encoding: str | None = None) -> TomlTable:
    """Build the section of a table: its source, and the column of each role.

    Parameters
    ----------
    kind : str
        The name of the section, such as "leads".
    table : Table
    roles : Roles
    encoding : str, optional
        The encoding that a person declared.

    Returns
    -------
    Table
        A TOML table with a comment for each choice.
    """
    columns = roles.columns[kind]
    section = new_section(HEADINGS[kind])
    section["source"] = table.source
    if table.sheet is not None:
        section["sheet"] = table.sheet
    for finding in table.findings:
        add_comment(section, finding)
    if kind == "leads" and table.continued is not None:
        count = int(table.continued.rows.sum())
        rows = "1 row is" if count == 1 else f"{count:,} rows are"
        add_comment(section, f"CHECK: {rows} left out: {table.continued.reason}")
    local = [column for column in columns.values() if column.has_local_times]
    if local:
        note = 'the times have no time zone; change it if they are local, such as "Europe/Berlin"'
        zone = header_zone(local) or HeaderZone("UTC", note)
        section["timezone"] = noted(zone.name, zone.note)
    if "lead_id" not in columns:
        section.add(
            tomlkit.comment('lead_id = "…"  # no id was found: leads are numbered by their row')
        )
    for role, column in columns.items():
        note = ROLE_NOTES.get(role, "a further column")
        if role == "closed_at" and roles.closing_by_cells:
            note = CLOSING_NOTE
        elif role == "created_at" and kind == "leads" and roles.creation_by_cells:
            note = CREATION_NOTE
        if role == "lead_id" and is_row_number(column):
            note = ROW_NUMBER_NOTE
        if role == "occurred_at":
            note += about_not_done(column, table.columns)
        section[role] = noted(column.name, note)
    has_ages = kind == "outcomes" or "created_at" in columns
    if columns is roles.of_outcomes and "closed_at" not in columns and has_ages:
        _add_missing_closing(section, table, columns)
    if kind != "leads" and "lead_id" in columns:
        count, example = several_leads(pd.Series(columns["lead_id"].texts, dtype="str"))
        if count:
            name = columns["lead_id"].name
            about = sentence_about_several_leads(name, count, example, "amount" in columns)
            add_comment(section, about)
    if encoding is not None:
        section["encoding"] = noted(encoding, "as named by --encoding")
    elif table.encoding is not None:
        section["encoding"] = noted(
            table.encoding.encoding, f"CHECK: a guess from the letters. {table.encoding.readings()}"
        )
    if kind == "outcomes" and roles.outcome is None:
        section["every_row"] = noted(EVERY_ROW, EVERY_ROW_NOTE)
    return section


def _add_missing_closing(section: TomlTable, table: Table, columns: dict[str, Column]) -> None:
    """Add a comment about the closing dates that are missing, and columns that may contain them."""
    unassigned = [column for column in table.columns if column not in columns.values()]
    timed = [column.name for column in unassigned if column.is_time]
    missing = (
        "no column of closing dates was found. Without them, only leads that are older than "
        "the horizon are learned from."
    )
    if not timed:
        add_comment(section, f"{missing[0].upper()}{missing[1:]} To use more leads, export them.")
        return
    add_comment(
        section,
        f"CHECK: {missing} If one of these columns contains the time at which leads "
        f"were won or lost, name it here: {listed(timed)}",
    )
    section.add(tomlkit.comment('closed_at = "…"'))


def add_order(section: TomlTable, order: Column | None, attributes: Sequence[Column]) -> None:
    """Add the column that orders the leads, or comments that ask for one."""
    timed = [column.name for column in attributes if column.is_time]
    if timed:
        add_comment(
            section,
            "CHECK: if one of these columns contains the time at which each lead was created, name "
            f"it here: {listed(timed)}",
        )
        section.add(tomlkit.comment('created_at = "…"'))
    if order is not None:
        note = "no time of creation was found; this number seems to grow with time: check it"
        if rank("created_at", order.name) < CLEAR_NAMES:
            note = (
                "CHECK: its name means the time when each lead was created, but cells such as "
                f"{listed(map(str, order.counts.index[:2]))} are not read as times. They are used "
                "as numbers that grow with time. Without times, no age and no month is known"
            )
        section["order"] = noted(order.name, note)
        return
    add_comment(
        section,
        "No time of creation was found. If the rows are in the order of time, oldest first, "
        "remove the # from the next line:",
    )
    section.add(tomlkit.comment('order = "rows"'))


def add_possible_amount(section: TomlTable, roles: Roles, attributes: Sequence[Column]) -> None:
    """Add a comment about attributes that may be the revenue of won leads."""
    if any("amount" in columns for columns in roles.columns.values()):
        return
    named = [column for column in attributes if rank("amount", column.name) < NO_RANK]
    amounts = [column.name for column in named if column.form.kind == "number"]
    if amounts:
        add_comment(
            section,
            f"{listed(amounts)} may be the revenue of won leads. Leads that were not won have it "
            "too, so it is an attribute here. If it is the revenue, name it:",
        )
        section.add(tomlkit.comment(f"amount = {quote(amounts[0])}"))


def add_formats(
    section: TomlTable,
    kind: str,
    roles: Roles,
    attributes: Sequence[Column] = (),
    nothing: Collection[str] = (),
) -> None:
    """Add the formats of columns that are not in the default format, with their evidence.

    Parameters
    ----------
    section : Table
        The section of the table.
    kind : str
        The name of the section.
    roles : Roles
    attributes : sequence of Column
        The columns of the table without a role that are read as numbers or times.
    nothing : collection of str
        The case-folded words that the draft lists as "no value".
    """
    with_role = [column for role, column in roles.columns[kind].items() if role in FORMATTED_ROLES]
    columns = [
        column
        for column in (*with_role, *attributes)
        if column.form.notation not in (None, WHOLE_NUMBERS)
    ]
    for column in (*with_role, *attributes):
        unread = _unread(column, nothing)
        if column.is_time and column.form.notation is None and unread:
            add_comment(
                section,
                f"CHECK: {listed(unread)} in the times of {quote(column.name)} cannot be read and "
                f"{_consequence(column in with_role)}",
            )
    if not columns:
        return
    formats = new_section(FORMATS_HEADING)
    for column in columns:
        unread = _unread(column, nothing)
        evidence = _evidence(column, unread, _consequence(column in with_role))
        formats[column.name] = noted(str(column.form.notation), evidence)
    section["formats"] = formats


def _unread(column: Column, nothing: Collection[str]) -> list[str]:
    """Return the first cells that do not fit the format and are not listed as "no value"."""
    return [text for text in column.form.unread if text.casefold() not in nothing]


def _consequence(has_role: bool) -> str:
    if not has_role:
        return "would count as missing"
    return (
        "`leadscore train` may refuse them. If they stand for a missing value, add them to "
        "`nothing` of [columns]; otherwise correct them"
    )


def _evidence(column: Column, unread: Sequence[str], consequence: str) -> str:
    """Write the evidence for the format of a column, and what to check."""
    form = column.form
    examples = f"as in {listed(form.examples[:2])}"
    if form.doubt:
        advice = f". {EXPORT_AGAIN}" if form.exchanged else ""
        return f"CHECK: {form.doubt}{advice}; the other format is {quote(form.doubtful_as)}"
    if form.reason:
        examples += f"; no cell shows the decimal sign; the evidence is: {form.reason}"
    units = {unit: count for unit, count in form.units.items() if unit}
    if len(units) > 1:
        counted = ", ".join(f"{quote(unit)} ({count:,})" for unit, count in units.items())
        examples += f"; CHECK: several units: {counted}"
    if unread:
        examples += f"; CHECK: {listed(unread)} cannot be read and {consequence}"
    return examples
