"""Writes a report as JSON: for machines, and for the next report to compare with."""

import json
from typing import Any

from reports.content import Figure, Page, Report, Takeaway
from reports.forms.cells import plain

FORMAT = "leadscore report 1"  # the number rises when a key changes its meaning or is removed

Json = dict[str, Any]


def json_of(report: Report, at: str) -> str:
    """Write a report with all its rows and uncut texts as one JSON object.

    Parameters
    ----------
    report : Report
    at : str
        The time of writing, ISO 8601 UTC.
    """
    facts = {
        "format": FORMAT,
        "name": report.name,
        "as_of": report.as_of,
        "written_at": at,
        "about": report.about,
        "pages": [_page(page) for page in report.pages],
        "metrics": [dict(metric) for metric in report.metrics],
    }
    return json.dumps(plain(facts), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _page(page: Page) -> Json:
    return {
        "slug": page.slug,
        "title": page.title,
        "lead": page.lead,
        "takeaways": [_takeaway(takeaway) for takeaway in page.takeaways],
        "sections": [
            {
                "heading": section.heading,
                "paragraphs": list(section.paragraphs),
                "figures": [_figure(figure) for figure in section.figures],
                "needs": section.needs,
            }
            for section in page.sections
        ],
        "changed": [note.sentence for note in page.changed],
    }


def _takeaway(takeaway: Takeaway) -> Json:
    return {
        "sentence": takeaway.sentence,
        "evidence": dict(takeaway.evidence),
        "metric": takeaway.metric,
        "figure": takeaway.figure,
    }


def _figure(figure: Figure) -> Json:
    columns = [
        {"key": c.key, "title": c.title, "form": c.form, "metric": c.metric} for c in figure.columns
    ]
    return {
        "name": figure.name,
        "finding": figure.finding,
        "about": figure.about,
        "note": figure.note,
        "learned_from": figure.learned_from,
        "columns": columns,
        "rows": [{key: row.get(key) for key in figure.keys} for row in figure.rows],
    }
