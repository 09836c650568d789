"""Charts: one Altair specification each, for the page and for the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from reports.numbers import age_of

BLUE, GREY, ORANGE = "#0072B2", "#767676", "#D55E00"  # told apart by colour-blind people too


def reliability_chart(rows: Sequence[Mapping[str, float]], subject: str) -> alt.LayerChart:
    """Stated probability against what happened, in bins of equal mass.

    Parameters
    ----------
    rows : sequence of mapping
        `bin`, `n`, `stated`, `won`, `low`, `high`, shares from 0 to 1.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    top = float(max(table["stated"].max(), table["high"].max(), 0.01))
    scale = alt.Scale(domain=[0, min(1.0, top * 1.05)])
    x = alt.X("stated", title="Stated probability", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("won", title="Share that was won", scale=scale, axis=alt.Axis(format="%"))
    gap = float((abs(table["stated"] - table["won"]) * table["n"]).sum() / table["n"].sum())
    base = alt.Chart(table)
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [0, scale.domain[1]], "y": [0, scale.domain[1]]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="x", y="y")
    )
    interval = base.mark_rule(color=BLUE).encode(
        x=x, y=alt.Y("low", title="Share that was won", scale=scale), y2="high"
    )
    points = base.mark_line(color=BLUE, point=True).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("n", title="scores"),
            alt.Tooltip("stated", title="stated", format=".1%"),
            alt.Tooltip("won", title="won", format=".1%"),
        ],
    )
    title = f"Stated probabilities are off by {100 * gap:.1f} points on average"
    return (diagonal + interval + points).properties(
        title=_title(title, f"{subject}, ten bins of {int(table['n'].median()):,} scores"),
        width=420,
        height=320,
    )


def gains_chart(rows: Sequence[Mapping[str, float]], subject: str) -> alt.LayerChart:
    """Share of all wins found when the best-scored leads are worked first.

    Parameters
    ----------
    rows : sequence of mapping
        `share` of leads and `gain`, the share of wins found in them, from 0 to 1, with its
        interval `low`, `high`.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame([{"share": 0.0, "gain": 0.0, "low": 0.0, "high": 0.0}, *rows])
    at_20 = float(np.interp(0.2, table["share"], table["gain"]))
    x = alt.X("share", title="Share worked, best first", axis=alt.Axis(format="%"))
    found = (
        alt.Chart(table)
        .mark_line(color=BLUE, point=True)
        .encode(
            x=x,
            y=alt.Y("gain", title="Share of wins found", axis=alt.Axis(format="%")),
            tooltip=[
                alt.Tooltip("share", title="worked", format=".0%"),
                alt.Tooltip("gain", title="wins found", format=".1%"),
            ],
        )
    )
    interval = (
        alt.Chart(table)
        .mark_area(color=BLUE, opacity=0.2)
        .encode(x=x, y=alt.Y("low", title="Share of wins found"), y2="high")
    )
    random = alt.Chart(table).mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y="share")
    title = f"The best-scored fifth holds {at_20:.0%} of the wins"
    said = f"{subject}; band: 95 % interval; dashed: random order"
    return (random + interval + found).properties(title=_title(title, said), width=420, height=320)


def comparison_chart(
    values: Mapping[str, tuple[float, float, float]], metric: str, subject: str
) -> alt.LayerChart:
    """One metric of several models, with intervals.

    Parameters
    ----------
    values : mapping of str to (value, low, high)
        By model.
    metric : str
        Named in the title and on the axis.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    rows = [
        {"model": m, "value": v, "low": low, "high": high} for m, (v, low, high) in values.items()
    ]
    order = list(values)
    base = alt.Chart(pd.DataFrame(rows)).encode(y=alt.Y("model", sort=order, title=None))
    x: Any = alt.X("value", title=metric, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
    points = base.mark_point(color=BLUE, filled=True, size=80).encode(
        x=x, tooltip=["model", alt.Tooltip("value", format=".4f")]
    )
    interval = base.mark_rule(color=BLUE).encode(
        x=alt.X("low", title=metric, axis=alt.Axis(tickCount=6)), x2="high"
    )
    (own, (value, _, _)), *others = values.items()
    against = ", ".join(f"{other[0]:.3f} ({name})" for name, other in others)
    title = f"{metric} of {own} is {value:.3f}" + (f", against {against}" if others else "")
    return (interval + points).properties(
        title=_title(title, f"{subject}; lines: 95 % intervals"), width=420, height=120
    )


def grades_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """Stated and true share of wins in each grade.

    Parameters
    ----------
    rows : sequence of mapping
        `grade`, `n`, `stated`, `won`, `low`, `high`, shares from 0 to 1; best grade first.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    table["name"] = [f"{row['grade']} (n = {row['n']:,})" for row in rows]
    axis = alt.Axis(format="%")
    base = alt.Chart(table).encode(y=alt.Y("name", sort=list(table["name"]), title="Grade"))
    won = base.mark_bar(color=BLUE, height=18).encode(
        x=alt.X("won", title="Share that was won", axis=axis), tooltip=["name", "won", "stated"]
    )
    interval = base.mark_rule(color="black").encode(x=alt.X("low", axis=axis), x2="high")
    stated = base.mark_tick(color=ORANGE, thickness=4, height=26).encode(x="stated")
    best, worst = rows[0], rows[-1]
    title = f"{best['won']:.0%} of grade {best['grade']} were won"
    if len(rows) > 1:
        title += f", {worst['won']:.0%} of grade {worst['grade']}"
    said = f"{subject}; black: 95 % interval; orange: stated probability"
    return (won + interval + stated).properties(
        title=_title(title, said), width=420, height=36 * len(rows)
    )


def ages_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """ROC AUC at each age of the lead, with intervals.

    Parameters
    ----------
    rows : sequence of mapping
        `age_days`, `n`, `roc_auc` and its `intervals`; youngest first.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    spread = [row["intervals"]["roc_auc"] for row in rows]
    table = pd.DataFrame(
        {
            "age": [f"{age_of(row['age_days'])} (n = {row['n']:,})" for row in rows],
            "value": [row["roc_auc"] for row in rows],
            "low": [low for low, _ in spread],
            "high": [high for _, high in spread],
        }
    )
    title = "ROC AUC (chance: 0.5)"
    y = alt.Y("age", sort=list(table["age"]), title=None, axis=alt.Axis(labelLimit=240))
    base = alt.Chart(table).encode(y=y)
    interval = base.mark_rule(color=BLUE).encode(
        x=alt.X("low", title=title, scale=alt.Scale(zero=False)), x2="high"
    )
    points = base.mark_point(color=BLUE, filled=True, size=80).encode(x="value")
    first, last = rows[0], rows[-1]
    found = (
        f"ROC AUC is {first['roc_auc']:.2f} {age_of(first['age_days'])} "
        f"and {last['roc_auc']:.2f} {age_of(last['age_days'])}"
    )
    return (interval + points).properties(
        title=_title(found, f"{subject}; lines: 95 % intervals"), width=300, height=28 * len(rows)
    )


def gaps_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """How much more is stated than was won, by group of leads.

    Parameters
    ----------
    rows : sequence of mapping
        `column`, `value`, `n`, `gap` with `low` and `high`, `is_off`.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    table["name"] = [f"{row['column']}: {row['value']}" for row in rows]
    table["found"] = np.where(table["is_off"], "more than chance", "perhaps chance")
    table[["gap", "low", "high"]] *= 100
    title = "Stated less true share of wins, points"
    kinds, legend = ["more than chance", "perhaps chance"], alt.Legend(title=None, orient="bottom")
    base = alt.Chart(table).encode(
        y=alt.Y("name", sort=list(table["name"]), title=None, axis=alt.Axis(labelLimit=300)),
        color=alt.Color(
            "found", scale=alt.Scale(domain=kinds, range=[ORANGE, BLUE]), legend=legend
        ),
    )
    interval = base.mark_rule().encode(x=alt.X("low", title=title), x2="high")
    points = base.mark_point(filled=True, size=60).encode(
        x=alt.X("gap", title=title),
        shape=alt.Shape(
            "found", scale=alt.Scale(domain=kinds, range=["circle", "square"]), legend=legend
        ),
    )
    none = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=GREY).encode(x="x")
    worst = max(rows, key=lambda row: abs(row["gap"]))
    too = "much" if worst["gap"] > 0 else "little"
    found = (
        f"Widest gap: {100 * abs(worst['gap']):.1f} points too {too} are stated for "
        f"{worst['column']} {worst['value']}"
    )
    return (none + interval + points).properties(
        title=_title(found, f"{subject}; lines: 95 % intervals"), width=260, height=24 * len(rows)
    )


def importance_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.Chart:
    """Show what drives the score.

    Parameters
    ----------
    rows : sequence of mapping
        `signal` and its `share` of all, 0 … 1; the strongest first.
    subject : str
        What the shares are of; stands under the title.

    Returns
    -------
    altair.Chart
    """
    signals = [row["signal"] for row in rows]
    first = rows[: min(3, len(rows))]
    title = (
        f"{sum(row['share'] for row in first):.0%} of what moves the score comes from "
        + ", ".join(row["signal"] for row in first)
    )
    return (
        alt.Chart(pd.DataFrame([{"signal": r["signal"], "share": r["share"]} for r in rows]))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("share", title="Share of the score's movement", axis=alt.Axis(format="%")),
            y=alt.Y("signal", sort=signals, title=None, axis=alt.Axis(labelLimit=220)),
        )
        .properties(title=_title(title, subject), width=320, height=22 * len(rows))
    )


def _title(text: str, subtitle: str) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=subtitle, anchor="start")
