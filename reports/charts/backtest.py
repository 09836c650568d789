"""The charts of a backtest: how good new models were over time, and what models lose with age."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from reports.charts.card import BLUE, GREY, ORANGE

Row = Mapping[str, Any]

LOG_LOSS = "Log loss, lower is better"
EXTRA = "Log loss minus that of the newest model"


def history_chart(periods: Sequence[Row], title: str, subject: str) -> alt.LayerChart:
    """Draw the log loss of the newest model and of the base rate in each period.

    Parameters
    ----------
    periods : sequence of mapping
        `from` (a day), `n_leads`, `log_loss` with its interval in `intervals`, and
        `base_rate_log_loss`.
    title, subject : str
        The finding, and the leads that it is about.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(
        {
            "day": [row["from"] for row in periods],
            "loss": [row["log_loss"] for row in periods],
            "low": [row["intervals"]["log_loss"][0] for row in periods],
            "high": [row["intervals"]["log_loss"][1] for row in periods],
            "base": [row["base_rate_log_loss"] for row in periods],
            "leads": [row["n_leads"] for row in periods],
        }
    )
    x = alt.X("day:O", title="First day of the period", axis=alt.Axis(labelAngle=-60))
    scale = alt.Scale(zero=False)
    chart = alt.Chart(table)
    interval = chart.mark_rule(color=BLUE).encode(
        x=x, y=alt.Y("low:Q", title=LOG_LOSS, scale=scale), y2="high:Q"
    )
    newest = chart.mark_line(color=BLUE, point=True).encode(
        x=x,
        y=alt.Y("loss:Q", title=LOG_LOSS, scale=scale),
        tooltip=[
            alt.Tooltip("day:O", title="from"),
            alt.Tooltip("loss:Q", title="log loss", format=".4f"),
            alt.Tooltip("base:Q", title="share of wins alone", format=".4f"),
            alt.Tooltip("leads:Q", title="leads", format=","),
        ],
    )
    base = chart.mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y="base:Q")
    about = f"{subject}; lines: 95 % intervals; dashed: the share of wins alone"
    return (base + interval + newest).properties(
        title=alt.TitleParams(title, subtitle=about, anchor="start"), width=440, height=260
    )


def ageing_chart(ages: Sequence[Row], tolerated: float | None, title: str, subject: str) -> Any:
    """Draw what models lose in log loss against the newest model, by their age.

    Parameters
    ----------
    ages : sequence of mapping
        `from_days`, `to_days`, `n_models`, and `extra_log_loss` with its interval in `intervals`.
    tolerated : float or None
        The log loss that ageing may cost, drawn as a line.
    title, subject : str
        The finding, and the leads that it is about.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(
        {
            "age": [f"{row['from_days']} to {row['to_days']}" for row in ages],
            "extra": [row["extra_log_loss"] for row in ages],
            "low": [row["intervals"]["extra_log_loss"][0] for row in ages],
            "high": [row["intervals"]["extra_log_loss"][1] for row in ages],
            "models": [row["n_models"] for row in ages],
        }
    )
    x = alt.X("age:O", title="Age of the model, days", sort=None, axis=alt.Axis(labelAngle=-60))
    chart = alt.Chart(table)
    interval = chart.mark_rule(color=BLUE).encode(x=x, y=alt.Y("low:Q", title=EXTRA), y2="high:Q")
    points = chart.mark_point(color=BLUE, filled=True, size=70).encode(
        x=x,
        y=alt.Y("extra:Q", title=EXTRA),
        tooltip=[
            alt.Tooltip("age:O", title="days"),
            alt.Tooltip("extra:Q", title="log loss", format="+.4f"),
            alt.Tooltip("models:Q", title="models"),
        ],
    )
    layers: list[Any] = [
        alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=GREY).encode(y="y:Q"),
        interval,
        points,
    ]
    about = f"{subject}; lines: 95 % intervals; above 0: worse than the newest model"
    if tolerated is not None:
        dashed = alt.Chart(pd.DataFrame({"y": [tolerated]}))
        layers.insert(1, dashed.mark_rule(color=ORANGE, strokeDash=[4, 4]).encode(y="y:Q"))
        about += "; dashed: tolerated"
    return alt.layer(*layers).properties(
        title=alt.TitleParams(title, subtitle=about, anchor="start"), width=440, height=260
    )
