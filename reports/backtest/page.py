"""The result of a backtest as a page, with its charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from reports.charts.backtest import ageing_chart, history_chart
from reports.forms.html_page import (
    Section,
    bullets,
    document,
    drawn,
    facts,
    join,
    name,
    paragraph,
    picture_of,
    render,
    section,
    table,
    with_code,
    with_small,
)
from reports.numbers import count, percent
from reports.text import printable

Row = Mapping[str, Any]

CHARTS = ("history", "ageing")
TOO_FEW = "too few"
MOST_OF_A_SENTENCE = 600  # characters
CLASSES = {"interval": "ready", "longest tested": "ready", "shortest tested": "usable"}
FOOTER = (
    "At each cut-off, the whole training was repeated with what was known then. Only leads that "
    "were created later are scored."
)


def backtest_charts(result: Row) -> dict[str, alt.LayerChart]:
    """Draw the charts of a backtest for which it has figures.

    Parameters
    ----------
    result : mapping
        The backtest as plain data.

    Returns
    -------
    dict of str to altair.LayerChart
        By the names in `CHARTS`.
    """
    mark = "SIMULATED leads, " if result["simulated"] else ""
    days = f"{mark}leads created from {result['from']} to {result['to']}"
    periods = [row for row in result["periods"] if row["log_loss"] is not None]
    ages = [row for row in result["ages"] if row["extra_log_loss"] is not None]
    charts = {}
    if len(periods) > 1:
        charts["history"] = history_chart(periods, result["summary"][0], days)
    if ages:
        advice = result["advice"]
        charts["ageing"] = ageing_chart(
            ages, advice["tolerated"], printable(advice["sentences"][0], 120), days
        )
    return charts


def backtest_page(result: Row) -> str:
    """Write the result of a backtest as one self-contained HTML page.

    Parameters
    ----------
    result : mapping
        The backtest as plain data.

    Returns
    -------
    str
        HTML without scripts and without anything to load.
    """
    pictures = {which: picture_of(chart) for which, chart in backtest_charts(result).items()}
    advice = result["advice"]
    headline, *reasons = map(_sentence, advice["sentences"])
    body = render(
        "card.html.j2",
        simulated=result["simulated"],
        title=join(["Backtest of ", name(result["project"])]),
        lead="How good models would have been over the history, and how often to train a new one.",
        verdict=headline,
        kind=CLASSES.get(advice["verdict"], ""),
        reasons=reasons,
        sections={
            "By age": section(
                "ages",
                "What a model loses as it ages",
                paragraph(
                    "Models of each age are compared with the newest model on the same leads. The "
                    "log loss and ROC AUC of two ages are about different leads, so they cannot be "
                    "compared with each other."
                ),
                drawn(pictures, "ageing"),
                _ages(result["ages"]),
                _lives(advice) if advice["lives"] else "",
            ),
            "Over time": section(
                "history",
                "How good new models were",
                bullets(map(with_code, result["summary"])),
                drawn(pictures, "history"),
                _periods(result["periods"]),
            ),
            "Cut-offs": section(
                "cut-offs", "What each model learned from", _cut_offs(result["cut_offs"])
            ),
            "Limits": _limits(result),
        },
        footer=FOOTER,
    )
    return document(f"{printable(result['project'], 60)}: backtest", ["page.css"], body)


def _ages(ages: Sequence[Row]) -> Markup:
    return table(
        "Quality by the age of the model when the lead was created",
        [
            "Age, days",
            "Models",
            "Leads",
            "Predicted",
            "Won",
            "Log loss",
            "ROC AUC",
            "Log loss minus newest",
            "ROC AUC minus newest",
        ],
        (
            [
                f"{row['from_days']} to {row['to_days']}",
                row["n_models"],
                count(row["n_leads"]),
                percent(row["predicted"]),
                percent(row["base_rate"]),
                *(_figure(row, metric, ".3f") for metric in ("log_loss", "roc_auc")),
                *(_figure(row, f"extra_{m}", "+.4f") for m in ("log_loss", "roc_auc")),
            ]
            for row in ages
        ),
    )


def _sentence(text: object) -> Markup:
    return with_code(printable(text, MOST_OF_A_SENTENCE))


def _lives(advice: Row) -> Markup:
    return table(
        "What it costs to train less often, as a mean over the life of a model",
        ["New model every", "Log loss minus the newest model's", "Tolerated"],
        (
            [
                f"{life['days']} days",
                with_small(
                    f"{life['extra_log_loss']:+.4f}",
                    "{:+.4f} to {:+.4f}".format(*life["interval"]),
                ),
                None if advice["tolerated"] is None else f"{advice['tolerated']:.4f}",
            ]
            for life in advice["lives"]
        ),
    )


def _periods(periods: Sequence[Row]) -> Markup:
    return table(
        "The newest model in each period",
        [
            "Leads created",
            "Leads",
            "Predicted",
            "Won",
            "Log loss",
            "Share of wins alone",
            "ROC AUC",
        ],
        (
            [
                with_small(row["from"], f"to {row['to']}"),
                count(row["n_leads"]),
                percent(row["predicted"]),
                percent(row["base_rate"]),
                _figure(row, "log_loss", ".3f"),
                TOO_FEW
                if row["base_rate_log_loss"] is None
                else f"{row['base_rate_log_loss']:.3f}",
                _figure(row, "roc_auc", ".3f"),
            ]
            for row in periods
        ),
    )


def _cut_offs(cut_offs: Sequence[Row]) -> Markup:
    return table(
        "The models",
        ["Cut-off", "Leads", "Moments", "Won", "Remedies for drift", "Left out by the audit"],
        (
            [
                row["at"],
                count(row["learned_leads"]),
                count(row["learned_moments"]),
                count(row["learned_won"]),
                row["remedies"] or "none",
                join(map(name, row["left_out_by_audit"]), ", ") or "none",
            ]
            for row in cut_offs
        ),
        texts=[4, 5],
    )


def _limits(result: Row) -> Section:
    return section(
        "limits",
        "What the figures do not show",
        bullets(map(_sentence, result["limits"])),
        facts(
            {
                "Horizon": f"{result['horizon_days']:g} days",
                "A cut-off every": f"{result['every_days']} days",
            }
        ),
    )


def _figure(row: Row, metric: str, form: str) -> object:
    """Format a figure with its interval below it; None is shown as a dash."""
    if row[metric] is None:
        return None
    low, high = row["intervals"][metric]
    return with_small(f"{row[metric]:{form}}", f"{low:{form}} to {high:{form}}")
