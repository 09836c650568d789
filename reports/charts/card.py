"""The charts of the model card: one Altair specification each, for the page and the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from models.evaluation.comparisons import FEWEST_LEADS
from reports.numbers import age_of, counted_share, percent, x_of_n

BLUE, GREY, ORANGE = "#0072B2", "#767676", "#D55E00"  # colour-blind people can tell them apart
CLEAR, UNCLEAR = "clear difference", "no clear difference"
SHARE_WON = "Share of leads won"
SHARE_BEFORE_WIN = "Share of scores followed by a win"
SHARE_OF_WINS = "Share of all wins"


def reliability_chart(
    rows: Sequence[Mapping[str, float]], subject: str, *, of_scores: bool = False
) -> alt.LayerChart:
    """Draw the predicted share of wins against the actual share, in bins of equal size.

    Parameters
    ----------
    rows : sequence of mapping
        `bin`, `n`, `stated` (the predicted share), `won`, `low`, `high`, shares from 0 to 1.
    subject : str
        The leads that the figures are about, for the subtitle.
    of_scores : bool
        True if leads were scored several times, so that the rows count scores.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    table["counts"] = [counts(row.get("wins"), row["n"]) for row in rows]
    share_won = SHARE_BEFORE_WIN if of_scores else SHARE_WON
    largest = float(max(table["stated"].max(), table["high"].max(), 0.01))
    scale = alt.Scale(domain=[0, min(1.0, largest * 1.05)])
    x = alt.X("stated", title="Predicted chance", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("won", title=share_won, scale=scale, axis=alt.Axis(format="%"))
    gap = float((abs(table["stated"] - table["won"]) * table["n"]).sum() / table["n"].sum())
    base = alt.Chart(table)
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [0, scale.domain[1]], "y": [0, scale.domain[1]]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="x", y="y")
    )
    interval = base.mark_rule(color=BLUE).encode(
        x=x, y=alt.Y("low", title=share_won, scale=scale), y2="high"
    )
    points = base.mark_line(color=BLUE, point=True).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("stated", title="predicted", format=".1%"),
            alt.Tooltip("won", title="won", format=".1%"),
            alt.Tooltip("counts", title="scores"),
        ],
    )
    title = f"Predicted chances are {100 * gap:.1f} percentage points off on average"
    subtitle = (
        f"{subject}; each point: about {int(table['n'].median()):,} scores; "
        "lines: 95 % intervals; dashed: correct predictions"
    )
    return (diagonal + interval + points).properties(
        title=_title(title, subtitle), width=420, height=320
    )


def gains_chart(
    rows: Sequence[Mapping[str, float]], subject: str, *, of_scores: bool = False
) -> alt.LayerChart:
    """Draw the share of all wins that are among the leads with the highest scores.

    Parameters
    ----------
    rows : sequence of mapping
        `share` of the leads and `gain`, the share of all wins that are among them, from 0 to 1,
        with its interval `low`, `high`; cards of earlier versions lack `wins` and `all_wins`, the
        counts behind `gain`.
    subject : str
        The leads that the figures are about, for the subtitle.
    of_scores : bool
        True if leads were scored several times, so that the rows count scores.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame([{"share": 0.0, "gain": 0.0, "low": 0.0, "high": 0.0}, *rows])
    table["counts"] = ["", *(counts(row.get("wins"), row.get("all_wins")) for row in rows)]
    gain_of_fifth = float(np.interp(0.2, table["share"], table["gain"]))
    what, called = "leads", "Leads called, highest scores first"
    if of_scores:
        what, called = "scores", "Scores, highest first"
    x = alt.X("share", title=called, axis=alt.Axis(format="%"))
    gain = (
        alt.Chart(table)
        .mark_line(color=BLUE, point=True)
        .encode(
            x=x,
            y=alt.Y("gain", title=SHARE_OF_WINS, axis=alt.Axis(format="%")),
            tooltip=[
                alt.Tooltip("share", title=f"best {what}", format=".0%"),
                alt.Tooltip("gain", title="wins among them", format=".1%"),
                alt.Tooltip("counts", title="counted"),
            ],
        )
    )
    interval = (
        alt.Chart(table)
        .mark_area(color=BLUE, opacity=0.2)
        .encode(x=x, y=alt.Y("low", title=SHARE_OF_WINS), y2="high")
    )
    random_order = alt.Chart(table).mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y="share")
    all_wins = rows[-1].get("all_wins")
    won, best = ("scores before a win", "best") if of_scores else ("wins", "best-scored")
    wins = f"the {won}" if all_wins is None else f"the {all_wins:,.0f} {won}"
    title = f"{percent(gain_of_fifth, 0)} of {wins} are in the {best} fifth of the {what}"
    if all_wins is not None and all_wins < FEWEST_LEADS:
        title = f"Too few wins to tell where they are: {all_wins:,.0f}"
    subtitle = f"{subject}; shaded: 95 % interval; dashed: calls in random order"
    return (random_order + interval + gain).properties(
        title=_title(title, subtitle), width=420, height=320
    )


def comparison_chart(
    values: Mapping[str, tuple[float, float, float]], metric: str, subject: str
) -> alt.LayerChart:
    """Draw one metric of several models, with intervals.

    Parameters
    ----------
    values : mapping of str to (value, low, high)
        The metric and its interval, by model; leadscore's own model first.
    metric : str
        The name of a metric of which lower values are better.
    subject : str
        The leads that the figures are about, for the subtitle.

    Returns
    -------
    altair.LayerChart
    """
    rows = [
        {"model": model, "value": value, "low": low, "high": high}
        for model, (value, low, high) in values.items()
    ]
    axis_title = f"{metric}, lower is better"
    base = alt.Chart(pd.DataFrame(rows)).encode(y=alt.Y("model", sort=list(values), title=None))
    x: Any = alt.X(
        "value", title=axis_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6)
    )
    points = base.mark_point(color=BLUE, filled=True, size=80).encode(
        x=x, tooltip=["model", alt.Tooltip("value", format=".4f")]
    )
    interval = base.mark_rule(color=BLUE).encode(
        x=alt.X("low", title=axis_title, axis=alt.Axis(tickCount=6)), x2="high"
    )
    own, *baselines = rows
    title = f"{metric} of {own['model']} is {own['value']:.3f}"
    if baselines:
        title += ", against " + ", ".join(f"{b['value']:.3f} ({b['model']})" for b in baselines)
    return (interval + points).properties(
        title=_title(title, f"{subject}; lines: 95 % intervals"), width=420, height=120
    )


def grades_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """Draw the predicted and the actual share of wins in each grade.

    Parameters
    ----------
    rows : sequence of mapping
        `grade`, `wins` of `n` scores of `n_leads` leads, `stated` (the predicted share), `won`,
        `low`, `high`, shares from 0 to 1; best grade first.
    subject : str
        The leads that the figures are about, for the subtitle.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    table["name"] = [f"{row['grade']} ({row['wins']:,} of {row['n']:,})" for row in rows]
    of_scores = any(row["n"] > row["n_leads"] for row in rows)  # scored at several ages
    share_won = SHARE_BEFORE_WIN if of_scores else SHARE_WON
    axis = alt.Axis(format="%")
    base = alt.Chart(table).encode(y=alt.Y("name", sort=list(table["name"]), title="Grade"))
    won = base.mark_bar(color=BLUE, height=18).encode(
        x=alt.X("won", title=share_won, axis=axis),
        tooltip=[
            alt.Tooltip("name", title="grade"),
            alt.Tooltip("won", title="won", format=".1%"),
            alt.Tooltip("stated", title="predicted", format=".1%"),
        ],
    )
    interval = base.mark_rule(color="black").encode(x=alt.X("low", axis=axis), x2="high")
    predicted = base.mark_tick(color=ORANGE, thickness=4, height=26).encode(x="stated")
    enough = [row for row in rows if row["n_leads"] >= FEWEST_LEADS]
    title = f"Too few leads to tell: no grade has {FEWEST_LEADS} leads or more"
    if enough:
        best, worst = enough[0], enough[-1]
        title = f"{_won(best)} of grade {best['grade']} leads were won"
        if of_scores:
            title = f"{_won(best)} of the scores with grade {best['grade']} were followed by a win"
        if len(enough) > 1:
            title += f", {_won(worst)} of grade {worst['grade']}"
    subtitle = f"{subject}; blue: won; black: 95 % interval; orange: predicted"
    return (won + interval + predicted).properties(
        title=_title(title, subtitle), width=420, height=36 * len(rows)
    )


def _won(row: Mapping[str, Any]) -> str:
    return counted_share(row["won"], row["wins"], row["n"], digits=0)


def ages_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """Draw the ROC AUC at each age of the lead, with intervals.

    The chart describes the ROC AUC by its meaning: the share of all pairs of a won and a lost lead
    in which the won lead has the higher score.

    Parameters
    ----------
    rows : sequence of mapping
        `age_days`, `n`, `roc_auc` and its `intervals`; youngest first.
    subject : str
        The leads that the figures are about, for the subtitle.

    Returns
    -------
    altair.LayerChart
    """
    intervals = [row["intervals"]["roc_auc"] for row in rows]
    table = pd.DataFrame(
        {
            "age": [f"{age_of(row['age_days'])} (n = {row['n']:,})" for row in rows],
            "value": [row["roc_auc"] for row in rows],
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
        }
    )
    axis_title, axis = "Pairs in which the won lead scores higher", alt.Axis(format="%")
    y = alt.Y("age", sort=list(table["age"]), title=None, axis=alt.Axis(labelLimit=240))
    base = alt.Chart(table).encode(y=y)
    interval = base.mark_rule(color=BLUE).encode(
        x=alt.X("low", title=axis_title, axis=axis, scale=alt.Scale(zero=False)), x2="high"
    )
    points = base.mark_point(color=BLUE, filled=True, size=80).encode(
        x=alt.X("value", title=axis_title, axis=axis)
    )
    first, last = rows[0], rows[-1]
    title = (
        f"A won lead scores higher than a lost lead in {percent(first['roc_auc'], 0)} of pairs "
        f"{age_of(first['age_days'])}, {percent(last['roc_auc'], 0)} {age_of(last['age_days'])}"
    )
    subtitle = f"{subject}; ROC AUC, 50 % by chance; lines: 95 % intervals"
    return (interval + points).properties(
        title=_title(title, subtitle), width=300, height=28 * len(rows)
    )


def gaps_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.LayerChart:
    """Draw the predicted minus the actual share of wins, by group of leads.

    Parameters
    ----------
    rows : sequence of mapping
        `column`, `value`, `n`, `gap` with `low` and `high`, `is_off`.
    subject : str
        The leads that the figures are about, for the subtitle.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame(rows)
    table["name"] = [f"{row['column']}: {row['value']}" for row in rows]
    table["verdict"] = np.where(table["is_off"], CLEAR, UNCLEAR)
    table[["gap", "low", "high"]] *= 100
    axis_title = "Predicted minus actual share won, percentage points"
    verdicts, legend = [CLEAR, UNCLEAR], alt.Legend(title=None, orient="bottom")
    base = alt.Chart(table).encode(
        y=alt.Y("name", sort=list(table["name"]), title=None, axis=alt.Axis(labelLimit=300)),
        color=alt.Color(
            "verdict", scale=alt.Scale(domain=verdicts, range=[ORANGE, BLUE]), legend=legend
        ),
    )
    interval = base.mark_rule().encode(x=alt.X("low", title=axis_title), x2="high")
    points = base.mark_point(filled=True, size=60).encode(
        x=alt.X("gap", title=axis_title),
        shape=alt.Shape(
            "verdict", scale=alt.Scale(domain=verdicts, range=["circle", "square"]), legend=legend
        ),
    )
    no_gap = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=GREY).encode(x="x")
    widest = max(rows, key=lambda row: abs(row["gap"]))
    title = (
        f"Largest difference: for {widest['column']} {widest['value']} predictions are "
        f"{100 * abs(widest['gap']):.1f} percentage points too "
        f"{'high' if widest['gap'] > 0 else 'low'}"
    )
    return (no_gap + interval + points).properties(
        title=_title(title, f"{subject}; lines: 95 % intervals"), width=260, height=24 * len(rows)
    )


def importance_chart(rows: Sequence[Mapping[str, Any]], subject: str) -> alt.Chart:
    """Draw how much each signal moves the score.

    Parameters
    ----------
    rows : sequence of mapping
        `signal` and its `share` of all movement, from 0 to 1; the strongest first.
    subject : str
        The leads that the figures are about, for the subtitle.

    Returns
    -------
    altair.Chart
    """
    signals = [row["signal"] for row in rows]
    strongest = rows[:3]
    title = (
        f"{percent(sum(row['share'] for row in strongest), 0)} of what moves the score comes from "
        + ", ".join(row["signal"] for row in strongest)
    )
    table = pd.DataFrame([{"signal": row["signal"], "share": row["share"]} for row in rows])
    return (
        alt.Chart(table)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("share", title="Share of what moves the score", axis=alt.Axis(format="%")),
            y=alt.Y("signal", sort=signals, title=None, axis=alt.Axis(labelLimit=220)),
        )
        .properties(title=_title(title, subject), width=320, height=22 * len(rows))
    )


def counts(x: float | None, n: float | None) -> str:
    """Write the counts of a share for a label or a tooltip, or n alone.

    Examples
    --------
    >>> counts(10, 1_200), counts(None, 40), counts(None, None)
    ('10 of 1,200', 'n = 40', '')
    """
    if n is None or pd.isna(n):
        return ""
    if x is None or pd.isna(x):
        return f"n = {n:,.0f}"
    return x_of_n(x, n)


def _title(text: str, subtitle: str) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=subtitle, anchor="start")
