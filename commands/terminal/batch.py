"""Formats the result of scoring a file for the terminal."""

import datetime
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from models.batch import BatchSummary


FEWEST_ROWS = 10  # of this many leads, at least one should have an activity


def batch_lines(
    summary: "BatchSummary", created_at: str | None, as_of: datetime.datetime | str
) -> list[str]:
    """Format the warnings about cells, rows and formats, and how many leads have ended.

    Parameters
    ----------
    summary : BatchSummary
    created_at : str or None
        The column with the creation times; None if the model has none.
    as_of : datetime or "created"
        The moment of scoring.

    Returns
    -------
    list of str
        Lines with rich's markup; none if there is nothing to say.
    """
    lines = []
    if summary.erased:
        lines.append(f"Left out {summary.erased:,} leads that were erased from the ledger.")
    for what, columns in (
        ("absent, treated as missing", summary.absent),
        ("unknown to the model, ignored", summary.unknown),
        ("read under another name", [f"{name} as {c}" for name, c in summary.renamed.items()]),
    ):
        if columns:
            lines.append(f"Columns {what}: {escape(', '.join(columns))}")
    if summary.warnings:
        lines.append("Cells that the model could not read, or that are unlike those learned from:")
        lines += [
            escape(
                f"  {_leads(warning.cells)}: {warning.message} "
                f"({', '.join(map(repr, warning.examples))})"
            )
            for warning in summary.warnings
        ]
    lines += [
        escape(change.sentence(f"these {_leads(change.leads)}", "the training leads"))
        for change in summary.changes
    ]
    lines += [
        escape(f"{found.sentence}. Export the file as the training data was exported.")
        for found in summary.other_formats
    ]
    if summary.with_events == 0 and summary.rows >= FEWEST_ROWS:
        of_file, of_events = summary.ids
        lines.append(
            escape(
                "No lead of the file has an activity or stage in the project's tables. The tables "
                f"have ids such as {of_events!r}, the file "
                + (f"has {of_file!r}." if of_file else "has no ids.")
            )
        )
    if summary.without_id:
        lines.append(f"{_leads(summary.without_id)} without an id: `lead_id` is empty there.")
    if summary.repeated_ids:
        rows = f"{summary.repeated_ids:,} row{'' if summary.repeated_ids == 1 else 's'}"
        lines.append(f"{rows} with the id of an earlier row: each row has a score of its own.")
    if summary.without_created_at and as_of != "created":
        lines.append(
            f"{_leads(summary.without_created_at)} without a creation time: their age, and what "
            "depends on it, count as missing."
        )
    if summary.undated:
        lines.append(
            f"{_leads(summary.undated)} without a creation time were scored without a moment: what "
            "depends on time counts as missing."
        )
    n_older = summary.leads_with("older_than_learned", created_at)
    facts = [
        f"{n:,} {verb if n > 1 else verb_of_one} {fact}"
        for n, verb_of_one, verb, fact in (
            (summary.ended, "has", "have", "already ended (won, lost or closed)"),
            (n_older, "is", "are", "older than any lead that the model learned from"),
        )
        if n
    ]
    if facts:
        advice = (
            ""
            if created_at is None or as_of == "created"
            else (" To score each lead as of its creation, add `--as-of created`.")
        )
        lines.append(f"Of {_leads(summary.rows)}, {' and '.join(facts)}.{advice}")
    return lines


def _leads(n: int) -> str:
    return f"{n:,} lead{'' if n == 1 else 's'}"
