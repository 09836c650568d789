"""The pictures of a model card."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.card import ModelCard
from reports.charts.card import (
    ages_chart,
    comparison_chart,
    gains_chart,
    gaps_chart,
    grades_chart,
    importance_chart,
    reliability_chart,
)
from reports.forms.html_page import Picture, picture_of
from reports.numbers import count
from reports.text import printable

Row = Mapping[str, Any]

MOST_ROWS = 12
MODELS = {"base_rate": "base rate", "logistic": "logistic regression"}


def card_pictures(card: ModelCard) -> dict[str, Picture]:
    """Draw the pictures of a card's page for which the card contains the figures.

    Returns
    -------
    dict of str to Picture
        `log_loss`, `reliability`, `gains`, `grades`, `ages`, `segments`, `fairness`,
        `importance`.
    """
    test = card.test
    subject, scores = subject_of(card), card.counts_scores
    losses = {
        model: (figures["log_loss"], *figures["intervals"]["log_loss"])
        for model, figures in evaluated_models(card).items()
        if "log_loss" in figures.get("intervals", {})
    }
    ages = [row for row in test.get("by_age", ()) if "intervals" in row]
    charts: dict[str, Any] = {}
    if losses:
        charts["log_loss"] = comparison_chart(losses, "Log loss", subject)
    if test.get("reliability"):
        charts["reliability"] = reliability_chart(test["reliability"], subject, of_scores=scores)
    if test.get("gains"):
        charts["gains"] = gains_chart(test["gains"], subject, of_scores=scores)
    if test.get("by_grade"):
        grades = [{**row, "grade": printable(row["grade"], 20)} for row in test["by_grade"]]
        charts["grades"] = grades_chart(grades, subject)
    if len(ages) > 1:
        charts["ages"] = ages_chart(ages, subject)
    for name, rows in (("segments", card.segments), ("fairness", card.fairness)):
        groups = [_with_short_names(row) for row in by_gap(rows)[:MOST_ROWS]]
        if groups:
            charts[name] = gaps_chart(groups, subject)
    if card.importance:
        strongest = card.importance[:MOST_ROWS]
        drivers = [{**row, "signal": printable(row["signal"], 32)} for row in strongest]
        charts["importance"] = importance_chart(drivers, subject)
    return {name: picture_of(chart) for name, chart in charts.items()}


def evaluated_models(card: ModelCard) -> dict[str, Row]:
    """Return the metrics of the model and of its baselines, by their names for readers."""
    baselines = {printable(MODELS.get(name, name), 30): row for name, row in card.baselines.items()}
    return {"leadscore": card.test, **baselines}


def subject_of(card: ModelCard) -> str:
    """Return which leads the figures are about, and their number."""
    n, n_leads = card.test.get("n"), card.test.get("n_leads")
    moments = "" if n is None or n == n_leads else f" at {n:,} moments"
    return f"{printable(card.test.get('how', 'test leads'))}, n = {count(n_leads)}{moments}"


def by_gap(rows: Sequence[Row]) -> list[Row]:
    """Return the judged groups: clear differences first, then the largest."""
    judged = [row for row in rows if "gap" in row]
    return sorted(judged, key=lambda row: (not row["is_off"], -abs(row["gap"])))


def _with_short_names(row: Row) -> dict[str, Any]:
    return {**row, "column": printable(row["column"], 18), "value": printable(row["value"], 22)}
