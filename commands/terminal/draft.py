"""Formats what `leadscore init` decided about the outcome."""

from rich.console import RenderableType
from rich.markup import escape

from commands.terminal.tables import new_table
from crm.text import quote
from drafting.draft import ProjectDraft


def outcome_title(drafted: ProjectDraft) -> str:
    """Write which column is the outcome."""
    if not drafted.values:
        return f"Outcome: {drafted.outcome} is a win."
    read = "" if drafted.rows_read is None else f" in the first {drafted.rows_read:,} rows"
    return f"Outcome: {quote(drafted.outcome)}. Check what each value means{read}:"


def outcome_table(drafted: ProjectDraft) -> RenderableType:
    """Format each value of the outcome: its leads, the share of them closed, and its meaning."""
    table = new_table("value", "leads", "with a closing date", "means", right=(1, 2))
    for count, meaning in drafted.values:
        table.add_row(
            escape(count.value[:60]), f"{count.rows:,}", count.closed_share, escape(meaning)
        )
    if drafted.empty:
        table.add_row("(empty)", f"{drafted.empty:,}", "", "open")
    return table
