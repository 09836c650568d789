"""Charts: one Altair specification each, for the page and for the picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

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
            alt.Tooltip("n", title="leads"),
            alt.Tooltip("stated", title="stated", format=".1%"),
            alt.Tooltip("won", title="won", format=".1%"),
        ],
    )
    title = f"Stated probabilities are off by {100 * gap:.1f} points on average"
    return (diagonal + interval + points).properties(
        title=_title(title, f"{subject}, ten bins of {int(table['n'].median()):,} leads"),
        width=420,
        height=320,
    )


def gains_chart(rows: Sequence[Mapping[str, float]], subject: str) -> alt.LayerChart:
    """Share of all wins found when the best-scored leads are worked first.

    Parameters
    ----------
    rows : sequence of mapping
        `share` of leads and `gain`, the share of wins found in them, from 0 to 1.
    subject : str
        Whose leads these are; stands under the title.

    Returns
    -------
    altair.LayerChart
    """
    table = pd.DataFrame([{"share": 0.0, "gain": 0.0}, *rows])
    at_20 = float(np.interp(0.2, table["share"], table["gain"]))
    x = alt.X("share", title="Share of leads worked, best first", axis=alt.Axis(format="%"))
    found = (
        alt.Chart(table)
        .mark_line(color=BLUE, point=True)
        .encode(
            x=x,
            y=alt.Y("gain", title="Share of wins found", axis=alt.Axis(format="%")),
            tooltip=[
                alt.Tooltip("share", title="leads worked", format=".0%"),
                alt.Tooltip("gain", title="wins found", format=".1%"),
            ],
        )
    )
    random = alt.Chart(table).mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y="share")
    title = f"The best-scored fifth of the leads holds {at_20:.0%} of the wins"
    return (random + found).properties(
        title=_title(title, f"{subject}; dashed: random order"), width=420, height=320
    )


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
    x: Any = alt.X("value", title=metric, scale=alt.Scale(zero=False))
    points = base.mark_point(color=BLUE, filled=True, size=80).encode(
        x=x, tooltip=["model", alt.Tooltip("value", format=".4f")]
    )
    interval = base.mark_rule(color=BLUE).encode(x=alt.X("low", title=metric), x2="high")
    return (interval + points).properties(
        title=_title(f"{metric} of each model", f"{subject}; lines: 95 % intervals"),
        width=420,
        height=120,
    )


def _title(text: str, subtitle: str) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=subtitle, anchor="start")
