"""The columns that the model does not use, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from features.leaks.audit import unaudited_columns
from models.scorer import LeadScorer
from reports.content import Column, Figure, Section, TableRow, cells_of
from reports.rows.rows import ReportRows
from reports.text import column_label

NOW_OBJECTED = "the audit of today's records found that it may contain the outcome"


@dataclass(frozen=True, kw_only=True)
class LeftOutRow(TableRow):
    """A column that the model does not use."""

    name: str
    reason: str
    evidence: str | None = None
    today: str | None = None
    line: str | None = None


def columns_not_used(rows: ReportRows) -> set[str]:
    """Return the columns that the model does not use, or that today's audit objects to."""
    unused = {name for columns in _declared(rows).values() for name in columns}
    if rows.scorer is not None:
        unused |= {row["column"] for row in rows.scorer.card.left_out}
    return unused | set(rows.audited.objections)


def left_out_section(rows: ReportRows) -> Section:
    """List the columns that the model does not use, with the audit's evidence."""
    heading = "Columns that are not used, and why"
    table: dict[str, LeftOutRow] = {}
    if rows.scorer is not None:
        card = rows.scorer.card
        evidence = {field["field"]: field for field in card.audit}
        for unused in card.left_out:
            name = unused["column"]
            field = evidence.get(name)
            table[name] = LeftOutRow(
                name=column_label(name),
                reason=unused["reason"],
                evidence=None if field is None else _evidence(field),
                line=None if field is None else field.get("line"),
            )
    for key, columns in _declared(rows).items():
        for name in columns:
            row = LeftOutRow(name=column_label(name), reason=f"the project file lists it in {key}")
            table.setdefault(name, row)
    used = set() if rows.scorer is None else columns_used(rows.scorer)
    for name, audited in rows.audited.objections.items():
        reason = f"the model uses it, but {NOW_OBJECTED}" if name in used else NOW_OBJECTED
        row = table.get(name) or LeftOutRow(
            name=column_label(name), reason=reason, line=audited.line
        )
        today = " ".join(f"{found.number}: {found.evidence}" for found in audited.findings)
        table[name] = replace(row, today=today)
    text = f"The leak audit was run again on {rows.audited.n:,} leads of today's records."
    if rows.is_part:
        text += " It covers all leads, not only those of this report."
    if not table:
        return Section(heading, (f"Every column is used. {text}",))
    figure = Figure(
        name="features-left-out",
        finding="1 column is not used" if len(table) == 1 else f"{len(table)} columns are not used",
        about="columns of the leads that the model does not use, or should not use",
        columns=(
            Column("name", "Column"),
            Column("reason", "Why", "prose"),
            Column("evidence", "Evidence in training", "prose"),
            Column("today", "Evidence in today's records", "prose"),
            Column("line", "Line for the project file", "prose"),
        ),
        rows=cells_of(table.values()),
    )
    return Section(heading, (text,), (figure,))


def columns_used(scorer: LeadScorer) -> set[str]:
    """Return the columns of the leads that a model uses."""
    return {column for feature in scorer.reasoner.features for column in feature.attributes}


def _declared(rows: ReportRows) -> dict[str, list[str]]:
    """Return the columns that the project file keeps from the model, by its key."""
    return unaudited_columns(rows.records, rows.project)


def _evidence(field: Mapping[str, Any]) -> str:
    return " ".join(f"{check['number']}: {check['evidence']}" for check in field["checks"])
