"""The check of the records as a page, for the person who looks after the CRM."""

from collections.abc import Iterator

from markupsafe import Markup

from crm.left_out import listed_lines
from crm.text import counted, number_text
from features.record_checks.result import CheckedColumn, CheckedTable, RecordsCheck, RecordWarning
from reports.forms.html_page import (
    Section,
    bullets,
    document,
    facts,
    fold,
    join,
    name,
    render,
    section,
    table,
    with_code,
    with_small,
)
from reports.numbers import percent
from reports.text import printable

TITLES = {
    "leads": "Leads",
    "activities": "Activities",
    "stages": "Stages",
    "outcomes": "Outcomes",
}
MOST_LINES = 30  # of one error
ROLES = {
    "lead_id": "id of the lead",
    "created_at": "when the lead was created",
    "order": "order of the leads",
    "outcome": "how the lead ended",
    "closed_at": "when the lead was closed",
    "amount": "revenue",
    "reason": "why it was won or lost",
    "type": "kind of activity",
    "occurred_at": "when it happened",
    "activity_id": "id of the activity",
    "content": "what it was about",
    "channel": "channel",
    "value": "number of the activity",
    "stage": "stage",
    "entered_at": "when it was entered",
}
FOOTER = (
    "The page contains no values of columns that are personal, sensitive or ignored: only how many "
    "cells are filled, and the numbers of lines. E-mail addresses and phone numbers in other "
    "columns are masked. The kind of a column is decided from at most 20,000 rows, and whether it "
    "is personal from at most 5,000. Everything else is counted in all rows. Times are UTC."
)


def check_page(check: RecordsCheck) -> str:
    """Write the check of a project's records as one self-contained HTML page.

    Parameters
    ----------
    check : RecordsCheck

    Returns
    -------
    str
        HTML without scripts and without anything to load.
    """
    verdict, kind = verdict_of(check)
    sections = {TITLES[read.name]: _table(read) for read in check.tables}
    if check.notes:
        notes = [with_code(printable(note, 600)) for note in check.notes]
        sections["Notes"] = section("notes", "What was assumed", bullets(notes))
    body = render(
        "check.html.j2",
        simulated=check.simulated,
        title=join(["Records of ", name(check.project)]),
        lead="What leadscore read from the export of the CRM, column by column, and what it asks.",
        verdict=verdict,
        kind=kind,
        summary=summary_of(check),
        limit=check.refusal or check.too_few,
        problems=[
            [with_code(printable(line, 1_000)) for line in problem.splitlines()[:MOST_LINES]]
            for problem in check.problems
        ],
        warnings=[_question(warning) for warning in check.warnings],
        sections=sections,
        checked_at=check.checked_at[:16].replace("T", " "),
        footer=FOOTER,
    )
    title = f"{printable(check.project, 60)}: check of the records"
    return document(title, ["page.css", "check.css"], body)


def verdict_of(check: RecordsCheck) -> tuple[str, str]:
    """Return the verdict on the records, and its class in the style sheet.

    Examples
    --------
    >>> verdict_of(RecordsCheck("acme", False, "", (), 3, 1, 1, 1, (), (), ()))
    ('Can be used, no questions', 'ready')
    """
    if check.problems:
        n = len(check.problems)
        return f"Cannot be used yet: {n:,} error{'s' if n > 1 else ''}", "not"
    questions = counted(len(check.warnings), "question") if check.warnings else "no questions"
    if check.refusal:
        return f"No model can be trained yet, {questions}", "not"
    if check.too_few:
        return f"Too few leads for a model, {questions}", "usable"
    return f"Can be used, {questions}", "usable" if check.warnings else "ready"


def summary_of(check: RecordsCheck) -> str:
    """Return how many leads were read, and how they ended; empty if they cannot be used.

    Examples
    --------
    >>> summary_of(RecordsCheck("acme", False, "", (), 1200, 100, 900, 200, (), (), ()))
    '1,200 leads: 100 won, 900 lost, 200 without an outcome.'
    """
    if check.leads is None:
        return ""
    return (
        f"{check.leads:,} leads: {check.won:,} won, {check.lost:,} lost, {check.open:,} without "
        "an outcome."
    )


def where(warning: RecordWarning) -> str:
    """Return the file and the lines that a question is about.

    Examples
    --------
    >>> where(RecordWarning("LC101", "", "", "", "leads", "leads.csv", (7, 9), 2))
    'leads.csv, lines 7, 9'
    """
    if not warning.lines:
        return warning.file
    unit = warning.unit if warning.count == 1 else f"{warning.unit}s"
    return f"{warning.file}, {unit} {listed_lines(warning.lines, warning.count)}"


def _question(warning: RecordWarning) -> dict[str, object]:
    return {
        "number": warning.number,
        "question": warning.question,
        "evidence": with_code(warning.evidence),
        "to_do": with_code(warning.to_do),
        "where": where(warning),
    }


def format_of(column: CheckedColumn) -> str:
    """Return the kind of a column with its format."""
    return f"{column.kind}: {column.format}" if column.format else column.kind


def use_of(column: CheckedColumn) -> str:
    """Return what a column is used for, in words."""
    return ROLES.get(column.use, column.use)


def share_filled(column: CheckedColumn, rows: int) -> str:
    """Return the share of filled cells."""
    return percent(column.filled / max(1, rows), 0 if column.filled in (0, rows) else 1)


def range_of(column: CheckedColumn) -> str:
    """Return the smallest, the middle and the largest number, or the first and last time.

    Examples
    --------
    >>> column = CheckedColumn("a", "attribute", "", "number", "", 3, 0, 0, 3)
    >>> import msgspec
    >>> range_of(msgspec.structs.replace(column, smallest=1.0, median=20.5, largest=3e6))
    '1 to 3,000,000, half up to 20.5'
    """
    if column.smallest is not None and column.largest is not None and column.median is not None:
        low, middle, high = (
            number_text(number) for number in (column.smallest, column.median, column.largest)
        )
        return f"{low} to {high}, half up to {middle}"
    if column.first is not None and column.last is not None:
        return f"{column.first[:10]} to {column.last[:10]}"
    return ""


def _table(read: CheckedTable) -> Section:
    pairs: dict[str, object] = {
        "File": name(read.file, 120),
        "Rows read": f"{read.rows:,}",
        "Rows left out": f"{sum(rows.count for rows in read.left_out):,}",
        "Columns": f"{len(read.columns):,}",
    }
    left_out = [printable(rows, 400) for rows in read.left_out]
    unread = [line for column in read.columns for line in _unread(column)]
    parts = [
        facts(pairs),
        bullets(left_out) if left_out else "",
        table(
            f"The columns of {printable(read.file, 60)}",
            ["Column", "Use", "Kind and format", "Filled", "Values", "Content"],
            (_row(column, read.rows) for column in read.columns),
            texts=[1, 2, 5],
            marked=[i for i, column in enumerate(read.columns) if column.unread],
        ),
    ]
    if unread:
        parts.append(
            fold(
                f"Cells that could not be read ({counted(len(unread), 'column')})", bullets(unread)
            )
        )
    return section(read.name, TITLES[read.name], *parts)


def _row(column: CheckedColumn, rows: int) -> list[object]:
    missing = f"{column.empty:,} empty"
    if column.nothing:
        missing += f", {column.nothing:,} mean nothing"
    filled = share_filled(column, rows)
    has_gaps = column.empty or column.nothing
    use = use_of(column)
    return [
        name(column.name),
        with_small(use, printable(column.why, 200)) if column.why else use,
        with_small(column.kind, printable(column.format)) if column.format else column.kind,
        with_small(filled, missing) if has_gaps else filled,
        f"{column.distinct:,}",
        _content(column),
    ]


def _content(column: CheckedColumn) -> Markup | str:
    """Return the range of a column and its examples."""
    if column.is_private:
        return "not shown"
    examples = join([name(example, 40) for example in column.examples], " · ")
    ranged = range_of(column)
    if ranged:
        return (
            with_small(ranged, join(["such as ", examples])) if column.examples else Markup(ranged)
        )
    return examples if column.examples else "–"


def _unread(column: CheckedColumn) -> Iterator[Markup]:
    unread = column.unread
    if unread is None:
        return
    unit = unread.unit if unread.count == 1 else f"{unread.unit}s"
    cells = counted(unread.count, "cell")
    lines = listed_lines(unread.lines, unread.count)
    such = join([", such as ", join(map(name, unread.examples), ", ")]) if unread.examples else ""
    yield join([name(column.name), f": {cells} ({unit} {lines})", such])
