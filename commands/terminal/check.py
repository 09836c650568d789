"""Formats the check of the records."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from commands.terminal.models import SIMULATED
from commands.terminal.tables import new_table
from crm.left_out import listed_lines
from crm.text import counted
from features.record_checks.result import CheckedColumn, CheckedTable, RecordsCheck, RecordWarning
from reports.check.page import (
    format_of,
    range_of,
    share_filled,
    summary_of,
    use_of,
    verdict_of,
    where,
)

MOST_OF_A_LIST = 40  # characters of the examples of a column
FIRST_QUESTIONS = 3


def check_summary(check: RecordsCheck, page: Path) -> RenderableType:
    """Format the errors and questions, then the columns of each table."""
    return Group(*_parts(check, page))


def first_questions(warnings: tuple[RecordWarning, ...], command: str) -> Iterator[str]:
    """Format the first few questions about the records, and the command that shows all."""
    if not warnings:
        return
    n = len(warnings)
    yield f"The records raise {n:,} question{'s' if n > 1 else ''}; {escape(command)} shows all:"
    for warning in warnings[:FIRST_QUESTIONS]:
        yield f"  {warning.number} {escape(warning.question)}"


def _parts(check: RecordsCheck, page: Path) -> Iterator[RenderableType]:
    if check.simulated:
        yield SIMULATED
    yield from (f"[bold red]error:[/] {escape(problem)}" for problem in check.problems)
    verdict, _ = verdict_of(check)
    yield f"[bold]{verdict}.[/] {summary_of(check)}".rstrip()
    if limit := check.refusal or check.too_few:
        yield escape(limit)
    for warning in check.warnings:
        yield f"\n[yellow]{warning.number}[/] [bold]{escape(warning.question)}[/]"
        yield f"  {escape(warning.evidence)}"
        yield f"  {escape(warning.to_do)} ({escape(where(warning))})"
    for table in check.tables:
        yield f"\n[bold]{table.name}[/] {escape(table.file)}: {counted(table.rows, 'row')}"
        yield from (f"  {escape(str(rows))}" for rows in table.left_out)
        yield _columns(table)
        yield from _unread(table)
    yield from (f"[yellow]note:[/] {escape(note)}" for note in check.notes)
    yield f"Wrote the same as a page to {escape(str(page))}."


def _columns(read: CheckedTable) -> Table:
    table = new_table("column", "use", "kind", "filled", "values", "content", right=(3, 4))
    for column in read.columns:
        use = use_of(column)
        table.add_row(
            escape(column.name[:MOST_OF_A_LIST]),
            escape(f"{use} ({column.why})" if column.why else use),
            escape(format_of(column)),
            share_filled(column, read.rows),
            f"{column.distinct:,}",
            escape(_content(column)),
        )
    return table


def _content(column: CheckedColumn) -> str:
    if column.is_private:
        return "not shown"
    text = range_of(column) or ", ".join(column.examples)
    return text if len(text) <= MOST_OF_A_LIST else text[: MOST_OF_A_LIST - 1] + "…"


def _unread(read: CheckedTable) -> Iterator[str]:
    for column in read.columns:
        unread = column.unread
        if unread is not None:
            unit = unread.unit if unread.count == 1 else f"{unread.unit}s"
            lines = listed_lines(unread.lines, unread.count)
            examples = f", such as {', '.join(unread.examples)}" if unread.examples else ""
            yield (
                f"  {escape(column.name)}: {counted(unread.count, 'cell')} could not be read "
                f"({unit} {lines}){escape(examples)}"
            )
