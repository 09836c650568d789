"""Builds a report: all pages from one set of rows, as of one moment."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from crm.project import Project
from crm.records import Records
from crm.times import NOT_A_TIME
from models.scorer import LeadScorer
from reports.content import Column, Figure, Page, Report, Row
from reports.metrics import DEFINITIONS, definitions, shared_metric
from reports.model_verdict import RefusedModel
from reports.pages.activities.page import activities_page
from reports.pages.age import age_page
from reports.pages.audience import audience_page
from reports.pages.capacity import capacity_page
from reports.pages.changes import changes_page
from reports.pages.coverage import closed_early_words, unknown_words
from reports.pages.features.page import features_page
from reports.pages.funnel.page import funnel_page
from reports.pages.monitoring import monitoring_page
from reports.pages.month import month_page
from reports.pages.score.page import score_page
from reports.pages.service_levels.page import service_page
from reports.pages.sources.page import sources_page
from reports.pages.verdicts import with_verdict
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from reports.rows.score_changes import LeadChange
from reports.since_last import measures_of, what_changed

PAGES = (
    funnel_page,
    age_page,
    sources_page,
    activities_page,
    audience_page,
    features_page,
    score_page,
    capacity_page,
    service_page,
)


def build_report(
    project: Project,
    records: Records,
    now: datetime.datetime,
    scorer: LeadScorer | None = None,
    since: datetime.datetime | None = None,
    segment: tuple[str, str] | None = None,
    previous: Mapping[str, Any] | None = None,
    refused: RefusedModel | None = None,
    look: Mapping[str, Any] | None = None,
    changes: Sequence[LeadChange] = (),
) -> Report:
    """Build a report.

    Parameters
    ----------
    project : Project
    records : Records
    now : datetime, timezone-aware
        Later records do not count.
    scorer : LeadScorer, optional
        The model of the scores; without it the pages about scores say what they need.
    since : datetime, timezone-aware, optional
        Only leads created at or after it.
    segment : tuple of str, optional
        Only leads with this value in this column.
    previous : mapping, optional
        The last report's `report.json`, to compare with.
    refused : RefusedModel, optional
        The newest trained model. Given only if there is no champion.
    look : mapping, optional
        The last look at the champion, `monitoring.look.Look.to_json`.
    changes : sequence of LeadChange
        The newest changes of scores; empty without a ledger.

    Returns
    -------
    Report
        Names from data are not escaped in it: each form escapes them. `about` contains
        `project`, `leads`, `mature`, `won`, `open`, `unknown` (leads that may have ended before the
        outcomes begin), `from`, `to`, `horizon_days`, `since`, `segment`, `model`, `verdict`,
        `simulated`, `outcomes_from`, `notes`, `totals` (leads, wins and revenue up to the moment),
        and `measures`, the shares that the next report is compared with.

    Raises
    ------
    ConfigError
        If a filter or the project file names something that does not exist.
    LearningError
        If no lead is left.
    """
    rows = make_rows(project, records, now, scorer, since=since, segment=segment, refused=refused)
    about = _about(rows, since)
    pages = [with_verdict(page(rows), rows.verdict) for page in PAGES]
    pages += [changes_page(changes, rows.is_part), monitoring_page(look, rows.is_part)]
    pages = [_plain(page) for page in (month_page(rows, pages), *pages)]
    about["measures"] = measures_of(pages)
    since_last = what_changed(pages, about, previous)
    pages = [replace(page, changed=since_last.get(page.slug, ())) for page in pages]
    return Report(
        name=project.name,
        as_of=_iso(rows.as_of),
        about=about,
        pages=tuple(pages),
        metrics=[
            definition
            for definition in definitions(rows.has_times)
            if definition["name"] in _used(pages)
        ],
    )


def _about(rows: ReportRows, since: datetime.datetime | None) -> dict[str, Any]:
    wins, mature = rows.rate
    card = None if rows.scorer is None else rows.scorer.card
    earned = rows.earned(rows.is_won)
    return {
        "project": rows.project.name,
        "leads": len(rows),
        "mature": mature,
        "won": wins,
        "open": int(rows.is_open.sum()),
        "unknown": int(rows.is_unknown.sum()),
        "from": _iso(int(rows.created.min())) if rows.has_times else None,
        "to": _iso(int(rows.created.max())) if rows.has_times else None,
        "horizon_days": rows.horizon_days if rows.has_times else None,
        "since": None if since is None else since.astimezone(datetime.UTC).isoformat(),
        "segment": None if rows.segment is None else list(rows.segment),
        "model": None if card is None else {"name": card.name, "trained_at": card.trained_at},
        "verdict": rows.verdict.to_json(),
        "simulated": rows.project.simulated,
        "totals": {
            "leads": len(rows),
            "wins": int(rows.is_won.sum()),
            "revenue": earned.total if earned.is_revenue else None,
            "currency": rows.currency,
        },
        "outcomes_from": _iso(rows.coverage.outcomes_from),
        "notes": _notes_on_records(rows),
    }


def _notes_on_records(rows: ReportRows) -> list[str]:
    notes = [*rows.records.notes, *map(str, rows.records.left_out)]
    if notes and rows.is_part:
        notes.insert(0, "These notes are about the records of all leads.")
    return [*filter(None, [unknown_words(rows), closed_early_words(rows)]), *notes]


def _plain(page: Page) -> Page:
    """Make every cell a number, a text or None; add missing cells, and definitions of columns."""
    sections = tuple(
        replace(
            section,
            figures=tuple(
                replace(
                    figure,
                    about=_subtitle(figure),
                    columns=tuple(_with_definition(column) for column in figure.columns),
                    rows=tuple(_plain_row(figure, row) for row in figure.rows),
                )
                for figure in section.figures
            ),
        )
        for section in page.sections
    )
    takeaways = tuple(
        replace(takeaway, evidence={key: _cell(value) for key, value in takeaway.evidence.items()})
        for takeaway in page.takeaways
    )
    return replace(page, sections=sections, takeaways=takeaways)


def _with_definition(column: Column) -> Column:
    is_number = column.form not in ("text", "prose", "time")
    if column.metric or not is_number:
        return column
    return replace(column, metric=shared_metric(column.key))


def _subtitle(figure: Figure) -> str:
    """Return the subtitle of the chart, which also explains its lines and colours."""
    if figure.chart is None:
        return figure.about
    return str(figure.chart.title.subtitle)


def _plain_row(figure: Figure, row: Row) -> dict[str, Any]:
    cells = {column.key: None for column in figure.columns} | dict(row)
    return {key: _cell(value) for key, value in cells.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _used(pages: list[Page]) -> set[str]:
    used = {takeaway.metric for page in pages for takeaway in page.takeaways}
    for page in pages:
        for section in page.sections:
            for figure in section.figures:
                used |= {column.metric for column in figure.columns}
    return used & set(DEFINITIONS)


def _iso(at: int) -> str | None:
    if at == NOT_A_TIME:
        return None
    return pd.Timestamp(np.int64(at), unit="us", tz="UTC").isoformat(timespec="seconds")
