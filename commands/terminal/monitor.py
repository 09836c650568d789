"""Formats a look at the champion."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from commands.console import with_runnable_commands
from commands.terminal.models import SIMULATED
from commands.terminal.tables import new_table
from monitoring.check import Check, Verdict
from monitoring.look import Look

COLOURS = {
    Verdict.UNKNOWN: "dim",
    Verdict.FINE: "green",
    Verdict.WATCH: "yellow",
    Verdict.ACT: "bold red",
}


def look_summary(look: Look) -> RenderableType:
    """Format a look: the sum, what to act on and to watch, and a table of all checks."""
    return Group(*_parts(look))


def _parts(look: Look) -> Iterator[RenderableType]:
    if look.simulated:
        yield SIMULATED
    colour = COLOURS[look.verdict]
    yield (
        f"[{colour}]{look.sentence()}[/] {escape(look.name)} version {look.version}, records "
        f"until {look.until[:10]}."
    )
    for verdict in (Verdict.ACT, Verdict.WATCH):
        for check in look.with_verdict(verdict):
            yield f"\n[{COLOURS[verdict]}]{check.number} {verdict}[/] {escape(check.question.text)}"
            yield f"  {escape(check.evidence)}"
            if check.next_step:
                yield f"  {escape(with_runnable_commands(check.next_step))}"
    yield ""
    table = new_table("check", "verdict", "question and evidence")
    topic = ""
    for check in look.checks:
        if check.question.topic != topic:
            topic = check.question.topic
            table.add_row("", "", f"[bold]{escape(topic)}[/]")
        colour = COLOURS[check.verdict]
        table.add_row(check.number, f"[{colour}]{check.verdict}[/]", _question(check))
    yield table
    if look.versions:
        yield "\n[bold]The scores that each version gave, and what came true[/]"
        yield _versions(look)
    yield from (f"[yellow]note:[/] {escape(note)}" for note in look.notes)


def _versions(look: Look) -> Table:
    table = new_table(
        "version", "leads", "stated", "won", "ROC AUC", "log loss", right=(1, 2, 3, 4, 5)
    )
    for row in look.versions:
        table.add_row(
            row["version"],
            f"{row['leads']:,}",
            f"{100 * row['stated']:.0f} %",
            f"{100 * row['won']:.0f} %",
            *("" if row[name] is None else f"{row[name]:.3f}" for name in ("roc_auc", "log_loss")),
        )
    return table


def _question(check: Check) -> str:
    text = escape(check.question.text)
    return (
        f"{text}\n[dim]{escape(check.evidence)}[/]"
        if check.verdict
        in (
            Verdict.FINE,
            Verdict.UNKNOWN,
        )
        else text
    )
