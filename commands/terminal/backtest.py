"""Formats the result of a backtest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from commands.terminal.models import SIMULATED
from commands.terminal.tables import new_table
from reports.numbers import percent

Row = Mapping[str, Any]

TOO_FEW = "too few"


def backtest_summary(result: Row) -> RenderableType:
    """Format a backtest, given as plain data: the advice, and the quality over time and by age."""
    return Group(*_parts(result))


def _parts(result: Row) -> Iterator[RenderableType]:
    if result["simulated"]:
        yield SIMULATED
    headline, *sentences = result["advice"]["sentences"]
    yield f"[bold]{escape(headline)}[/]"
    yield from map(escape, sentences)
    yield (
        f"\nNew models, {len(result['cut_offs'])} cut-offs, one every {result['every_days']} days, "
        f"and the leads that were created after each, from {result['from']} to {result['to']}:"
    )
    yield from (escape(sentence) for sentence in result["summary"])
    yield _periods(result["periods"])
    yield (
        "\nBy age of the model when the lead was created. The last two columns compare each model "
        "with the newest one on the same leads:"
    )
    yield _ages(result["ages"])
    yield ""
    yield from (f"[yellow]note:[/] {escape(sentence)}" for sentence in result["limits"])


def _periods(periods: Sequence[Row]) -> Table:
    headings = ("leads from", "leads", "predicted", "won", "log loss", "share alone", "ROC AUC")
    table = new_table(*headings, right=range(len(headings)))
    for row in periods:
        base = row["base_rate_log_loss"]
        table.add_row(
            row["from"],
            f"{row['n_leads']:,}",
            percent(row["predicted"]),
            percent(row["base_rate"]),
            _figure(row, "log_loss", ".3f"),
            TOO_FEW if base is None else f"{base:.3f}",
            _figure(row, "roc_auc", ".3f"),
        )
    return table


def _ages(ages: Sequence[Row]) -> Table:
    headings = ("days", "models", "leads", "log loss", "ROC AUC", "Δ log loss", "Δ ROC AUC")
    table = new_table(*headings, right=range(len(headings)))
    for row in ages:
        extra = ["–", "–"]
        if row["from_days"]:
            extra = [
                _figure(row, "extra_log_loss", "+.4f"),
                _figure(row, "extra_roc_auc", "+.3f"),
            ]
        table.add_row(
            f"{row['from_days']} to {row['to_days']}",
            str(row["n_models"]),
            f"{row['n_leads']:,}",
            _figure(row, "log_loss", ".3f"),
            _figure(row, "roc_auc", ".3f"),
            *extra,
        )
    return table


def _figure(row: Row, metric: str, form: str) -> str:
    """Format a figure with half the width of its interval."""
    if row[metric] is None:
        return TOO_FEW
    low, high = row["intervals"][metric]
    half = f"{(high - low) / 2:{form.lstrip('+')}}"
    return f"{row[metric]:{form}} ±{half.removeprefix('0')}"
