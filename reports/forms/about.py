"""Whose leads a report is of, in words, for every form."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.forms.cells import is_number, written
from reports.text import printable

COUNTS = {
    "leads": "Leads",
    "mature": "Mature: watched long enough",
    "won": "Won of the mature",
    "open": "Open",
}
WITHOUT_TIMES = {"mature": "With an outcome", "won": "Won"}


def about_of(about: Mapping[str, Any]) -> dict[str, str]:
    """Put a report's `about` into words; what it does not say is left out.

    Examples
    --------
    >>> about_of({"leads": 3679, "since": None, "segment": ["industry", "Software"]})
    {'Leads': '3,679', 'Only': 'industry = Software'}
    >>> about_of({"leads": 40, "mature": 30, "won": 9, "horizon_days": None})
    {'Leads': '40', 'With an outcome': '30', 'Won': '9'}
    """
    has_times = is_number(about.get("horizon_days"))
    labels = COUNTS if has_times else COUNTS | WITHOUT_TIMES
    said = {label: written(about[key], "count") for key, label in labels.items() if about.get(key)}
    if about.get("from"):
        said["Created"] = f"{_day(about['from'])} to {_day(about.get('to'))}"
    if has_times:
        said["A win counts if it comes within"] = f"{float(about['horizon_days']):g} days"
    only = _filters(about)
    if only:
        said["Only"] = "; ".join(only)
    model = about.get("model")
    if isinstance(model, Mapping):
        trained = f", trained {_day(model['trained_at'])}" if model.get("trained_at") else ""
        said["Scores by"] = f"{printable(model.get('name', ''), 60)}{trained}"
    return said


def notes_of(about: Mapping[str, Any]) -> list[str]:
    """Give what is to be known of the data."""
    notes = about.get("notes") or ()
    return [printable(note, 400) for note in notes] if isinstance(notes, list | tuple) else []


def _filters(about: Mapping[str, Any]) -> list[str]:
    only = [f"created since {_day(about['since'])}"] if about.get("since") else []
    segment = about.get("segment")
    if isinstance(segment, Sequence) and len(segment) == 2:
        only.append(f"{printable(segment[0], 60)} = {printable(segment[1], 60)}")
    return only


def _day(moment: object) -> str:
    return written(moment, "time")[:10]
