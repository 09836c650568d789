"""The columns that the model does not use, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crm.errors import LearningError
from features.leaks.audit import audit
from features.moments import make_moments
from reports.content import Column, Figure, Section, TableRow, cells_of
from reports.rows.rows import ReportRows
from reports.rows.scored import records_of, sample
from reports.text import column_label

MOST_AUDITED = 20_000


@dataclass(frozen=True, kw_only=True)
class LeftOutRow(TableRow):
    """A column that the model does not use."""

    name: str
    reason: str
    evidence: str | None = None
    today: str | None = None
    line: str | None = None


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
    fields, text = _audit_today(rows)
    for name, objection in fields.items():
        row = table.get(name) or LeftOutRow(
            name=column_label(name),
            reason="the audit of today's records found that it may contain the outcome",
        )
        table[name] = replace(row, today=_evidence(objection))
    if not table:
        return Section(heading, (f"Every column is used. {text}",))
    figure = Figure(
        name="features-left-out",
        finding="1 column is not used" if len(table) == 1 else f"{len(table)} columns are not used",
        about="columns of the leads that the model does not use",
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


def _evidence(field: Mapping[str, Any]) -> str:
    return " ".join(f"{check['number']}: {check['evidence']}" for check in field["checks"])


def _audit_today(rows: ReportRows) -> tuple[dict[str, Mapping[str, Any]], str]:
    """Run the leak audit on today's records; return the columns that fail it, and a sentence."""
    chosen = sample(len(rows), MOST_AUDITED)
    records = rows.records if len(chosen) == len(rows) else records_of(rows.records, chosen)
    try:
        report = audit(records, make_moments(records, rows.project.learn), rows.project)
    except LearningError:
        return {}, "Today's records have too few outcomes for a new audit."
    fields = {field["field"]: field for field in report.to_json()["fields"] if field["line"]}
    return fields, f"The leak audit was run again on {len(chosen):,} leads of today's records."
