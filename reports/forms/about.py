"""Describes in words the leads that a report covers."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.content import Report
from reports.forms.cells import is_number, written
from reports.model_verdict import WORDS
from reports.text import printable

COUNTS = {
    "leads": "Leads",
    "mature": "Old enough to count",
    "won": "Won of these",
    "open": "Open",
    "unknown": "Open, or ended before the outcomes begin",
}
LEVELS = WORDS | {
    "not assessed": "not assessed",
    "refused": "trained and refused; no scores are shown",
    "none": "no model was trained",
}
WITHOUT_TIMES = {"mature": "With an outcome", "won": "Won"}


def about_of(about: Mapping[str, Any]) -> dict[str, str]:
    """Return labels and texts for the `about` of a report; absent facts are left out.

    Examples
    --------
    >>> about_of({"leads": 3679, "since": None, "segment": ["industry", "Software"]})
    {'Leads': '3,679', 'Only': 'leads whose industry is Software'}
    >>> about_of({"leads": 40, "mature": 30, "won": 9, "horizon_days": None})
    {'Leads': '40', 'With an outcome': '30', 'Won': '9'}
    """
    has_times = is_number(about.get("horizon_days"))
    labels = COUNTS if has_times else COUNTS | WITHOUT_TIMES
    descriptions = {
        label: written(about[key], "count") for key, label in labels.items() if about.get(key)
    }
    if about.get("from"):
        descriptions["Created"] = f"{_day(about['from'])} to {_day(about.get('to'))}"
    if has_times:
        descriptions["A win counts if it comes within"] = f"{float(about['horizon_days']):g} days"
    filters = _filters(about)
    if filters:
        descriptions["Only"] = f"leads {' '.join(filters)}"
    model = about.get("model")
    if isinstance(model, Mapping):
        trained = f", trained {_day(model['trained_at'])}" if model.get("trained_at") else ""
        descriptions["Scores from"] = f"{printable(model.get('name', ''), 60)}{trained}"
    verdict = about.get("verdict")
    if isinstance(verdict, Mapping) and verdict.get("level") in LEVELS:
        descriptions["Verdict of the model"] = LEVELS[str(verdict["level"])]
    return descriptions


def stamp_of(report: Report) -> str:
    """Format the moment of a report; records without times have none.

    Examples
    --------
    >>> stamp_of(Report("acme", "2026-11-24T06:00:00+00:00", {}, ()))
    'As of 2026-11-24 06:00 UTC.'
    """
    if report.as_of is None:
        return "The records have no times, so this report has no date."
    return f"As of {written(report.as_of, 'time')} UTC."


def part_of(about: Mapping[str, Any]) -> str:
    """Format which part of the leads a report is about; empty if it is about all leads.

    Examples
    --------
    >>> part_of({"since": "2026-01-01T00:00:00+00:00", "segment": ["industry", "Software"]})
    'Only leads created since 2026-01-01 whose industry is Software.'
    >>> part_of({"segment": ["industry", "Software"]})
    'Only leads whose industry is Software.'
    """
    filters = _filters(about)
    return f"Only leads {' '.join(filters)}." if filters else ""


def notes_of(about: Mapping[str, Any]) -> list[str]:
    """Return the notes on the data, cut and printable."""
    notes = about.get("notes") or ()
    return [printable(note, 400) for note in notes] if isinstance(notes, list | tuple) else []


def _filters(about: Mapping[str, Any]) -> list[str]:
    filters = [f"created since {_day(about['since'])}"] if about.get("since") else []
    segment = about.get("segment")
    if isinstance(segment, Sequence) and len(segment) == 2:
        filters.append(f"whose {printable(segment[0], 60)} is {printable(segment[1], 60)}")
    return filters


def _day(moment: object) -> str:
    return written(moment, "time")[:10]
