"""The charts of the report that draw groups of leads, and the steps of the funnel.

Each is one Altair specification, for the page and for the picture. The names of columns are fixed
here, so that no name from data becomes part of a specification's grammar.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from models.evaluation.comparisons import FEWEST_LEADS, Verdict
from reports.charts.card import BLUE, CLEAR, GREY, ORANGE, UNCLEAR, counts
from reports.charts.look import (
    LONGEST,
    PALETTE,
    SHAPES,
    fine_form,
    is_too_few,
    legend_below,
    titled,
    with_digits,
)
from reports.content import Row
from reports.text import printable

TOO_FEW, APART, SAME = "too few to tell", "no value", "the same for all"
MARKS = {
    CLEAR: (ORANGE, "circle"),
    UNCLEAR: (BLUE, "square"),
    TOO_FEW: (GREY, "diamond"),
    APART: (GREY, "cross"),
    SAME: (GREY, "triangle-up"),
}
MOST_BARS = 16


def rates_chart(
    rows: Sequence[Row],
    title: str,
    about: str,
    *,
    what: str,
    base: float | None,
    form: str = "%",
    base_name: str = "the average",
) -> alt.LayerChart | None:
    """Draw a share or mean of each group with its interval, compared with that of all leads.

    Shares of groups with fewer than `FEWEST_LEADS` leads are left out.

    Parameters
    ----------
    rows : sequence of mapping
        `name`, `n`, `value`, `low`, `high`, and `verdict` if the groups were compared.
    title, about : str
        The finding, and the leads that it is about.
    what : str
        The title of the axis, with its unit.
    base : float or None
        The value at which a dashed line is drawn.
    form : str
        The d3 format of the axis. If it contains no digits, they are chosen so that the ticks
        differ.
    base_name : str
        The meaning of the dashed line.

    Returns
    -------
    altair.LayerChart or None
        None if every group is left out.
    """
    drawn = [row for row in rows if not (form == "%" and is_too_few(row))]
    if not drawn:
        return None
    if len(drawn) < len(rows):
        about += f"; not drawn: {len(rows) - len(drawn)} with fewer than {FEWEST_LEADS} leads"
    if len(drawn) > MOST_BARS:
        about += f"; the first {MOST_BARS} of {len(drawn)}"
    table = _named(drawn, ["value", "low", "high"], is_share=form == "%")
    ends = table[["value", "low", "high"]].astype(float)
    form = with_digits(form, [ends.min().min(), ends.max().max()])
    axis = alt.Axis(format=form, tickCount=6)
    y = alt.Y("label:N", sort=list(table["label"]), title=None, axis=alt.Axis(labelLimit=320))
    color, shape = _marks(table, drawn[:MOST_BARS])
    source = alt.Chart(table)
    interval = source.mark_rule(strokeWidth=2).encode(
        y=y, x=alt.X("low:Q", title=what, axis=axis), x2="high:Q", color=color
    )
    points = source.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        x=alt.X("value:Q", title=what, axis=axis),
        color=color,
        shape=shape,
        tooltip=[
            alt.Tooltip("full:N", title="group"),
            alt.Tooltip("value:Q", title=what, format=fine_form(form)),
            alt.Tooltip("low:Q", title="from", format=fine_form(form)),
            alt.Tooltip("high:Q", title="to", format=fine_form(form)),
            alt.Tooltip("counts:N", title="counted"),
        ],
    )
    layers: list[Any] = [interval, points]
    if base is not None:
        line = alt.Chart(pd.DataFrame({"x": [base]})).mark_rule(color=GREY, strokeDash=[4, 4])
        layers.insert(0, line.encode(x="x:Q"))
        about += f"; dashed: {base_name}"
    about += "; lines: 95 % intervals"
    return titled(alt.layer(*layers), title, about, height=max(60, 26 * len(table)))


def _marks(table: pd.DataFrame, rows: Sequence[Row]) -> tuple[Any, Any]:
    """Return colours and shapes by the verdict of each row; the same for all without verdicts."""
    if not any(row.get("verdict") for row in rows):
        return alt.value(BLUE), alt.value("circle")
    table["legend"] = [_label_of(Verdict(row.get("verdict") or Verdict.UNCLEAR)) for row in rows]
    used = {CLEAR, UNCLEAR, *table["legend"]}
    labels = [label for label in MARKS if label in used]
    colors, shapes = zip(*(MARKS[label] for label in labels), strict=True)
    legend = legend_below()
    return (
        alt.Color("legend:N", scale=alt.Scale(domain=labels, range=list(colors)), legend=legend),
        alt.Shape("legend:N", scale=alt.Scale(domain=labels, range=list(shapes)), legend=legend),
    )


def _label_of(verdict: Verdict) -> str:
    if verdict is Verdict.APART:
        return APART
    if verdict is Verdict.SAME:
        return SAME
    if not verdict.is_judged:
        return TOO_FEW
    return CLEAR if verdict.is_difference else UNCLEAR


def funnel_chart(rows: Sequence[Row], title: str, about: str) -> alt.LayerChart:
    """Draw the number of leads that reached each step.

    Parameters
    ----------
    rows : sequence of mapping
        `name`, `wins` (the number of leads that reached the step), `n_all` (all leads),
        `reached_share`.
    title, about : str
        The finding, and the leads that it is about.
    """
    table = pd.DataFrame(
        [
            {
                "label": printable(row["name"], LONGEST),
                "reached": row["wins"],
                "share": row["reached_share"],
                "counts": f"{row['wins']:,} of {row['n_all']:,}",
                "text": f"{row['wins']:,} of {row['n_all']:,} ({100 * row['reached_share']:.0f} %)",
            }
            for row in rows
        ]
    )
    y = alt.Y("label:N", sort=list(table["label"]), title=None, axis=alt.Axis(labelLimit=260))
    most = float(table["reached"].max()) * 1.5
    x = alt.X("reached:Q", title="Leads that reached the step", scale=alt.Scale(domain=[0, most]))
    bars = (
        alt.Chart(table)
        .mark_bar(color=BLUE, height=20)
        .encode(
            y=y,
            x=x,
            tooltip=[
                alt.Tooltip("label:N", title="step"),
                alt.Tooltip("counts:N", title="leads"),
                alt.Tooltip("share:Q", title="share of the leads", format=".1%"),
            ],
        )
    )
    texts = (
        alt.Chart(table)
        .mark_text(align="left", dx=5, fontSize=13)
        .encode(y=y, x="reached:Q", text="text:N")
    )
    return titled(bars + texts, title, about, height=32 * len(table))


def series_chart(
    rows: Sequence[Row],
    title: str,
    about: str,
    *,
    what: str,
    series: Sequence[tuple[str, str]],
    of: Mapping[str, tuple[str, str]] | None = None,
    form: str = "%",
) -> alt.Chart:
    """Draw several figures of each group on one line, each with its own shape and colour.

    Parameters
    ----------
    rows : sequence of mapping
        `name`, `n`, and the keys of `series`.
    title, about : str
        The finding, and the leads that it is about.
    what : str
        The title of the axis.
    series : sequence of (str, str)
        The key and the title of each figure.
    of : mapping of str to (str, str), optional
        The keys of the two counts of each figure that is a share.
    form : str
        The d3 format of the axis.
    """
    drawn, counted = rows[:MOST_BARS], of or {}
    if len(drawn) < len(rows):
        about += f"; the first {len(drawn)} of {len(rows)}"
    values = [row[key] for row in drawn for key, _ in series if row[key] is not None]
    form = with_digits(form, [min(values, default=0.0), max(values, default=0.0)])
    table = pd.DataFrame(
        [
            {
                "label": _label(row),
                "full": printable(row["name"]),
                "series": series_title,
                "value": row[key],
                "counts": counts(*(row.get(count) for count in counted.get(key, ("", "n")))),
            }
            for row in drawn
            for key, series_title in series
            if row[key] is not None
        ]
    )
    names, legend = [series_title for _, series_title in series], legend_below()
    order = list(dict.fromkeys(table["label"]))
    chart = (
        alt.Chart(table)
        .mark_point(filled=True, size=75, opacity=0.85)
        .encode(
            y=alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=320)),
            x=alt.X("value:Q", title=what, axis=alt.Axis(format=form, tickCount=6)),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=names, range=PALETTE[: len(names)]),
                legend=legend,
            ),
            shape=alt.Shape(
                "series:N", scale=alt.Scale(domain=names, range=SHAPES[: len(names)]), legend=legend
            ),
            tooltip=[
                alt.Tooltip("full:N", title="group"),
                alt.Tooltip("series:N", title="figure"),
                alt.Tooltip("value:Q", title=what, format=fine_form(form)),
                alt.Tooltip("counts:N", title="counted"),
            ],
        )
    )
    return titled(chart, title, about, height=max(60, 26 * len(order)))


def _named(rows: Sequence[Row], keys: Sequence[str], is_share: bool) -> pd.DataFrame:
    """Return a table of the rows that fit into a chart, with a distinct label for each."""
    drawn = rows[:MOST_BARS]
    table = pd.DataFrame([{key: row.get(key) for key in keys} for row in drawn])
    table["counts"] = [counts(row.get("wins") if is_share else None, row.get("n")) for row in drawn]
    labels = [_label(row, is_share) for row in drawn]
    table["label"] = [
        label if labels.count(label) == 1 else f"{label} #{i + 1}" for i, label in enumerate(labels)
    ]
    table["full"] = [printable(row["name"]) for row in drawn]
    return table


def _label(row: Row, is_share: bool = False) -> str:
    counted = counts(row.get("wins") if is_share else None, row.get("n"))
    return printable(row["name"], LONGEST) + (f" ({counted})" if counted else "")
