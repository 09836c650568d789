"""The charts of the report that draw shares and counts over months, or over numbers."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from models.evaluation.comparisons import FEWEST_LEADS
from reports.charts.card import BLUE, GREY, counts
from reports.charts.look import (
    LONGEST,
    PALETTE,
    SHAPES,
    SKY,
    fine_form,
    is_too_few,
    legend_below,
    titled,
    with_digits,
)
from reports.content import Row
from reports.text import printable


def months_chart(
    rows: Sequence[Row], title: str, about: str, *, what: str, base: float | None
) -> alt.LayerChart:
    """Draw a share by month with its interval; months without a share stay empty.

    Parameters
    ----------
    rows : sequence of mapping
        `name` (such as "2025-03"), `wins`, `n`, and `value`, `low`, `high`. The last three are None
        if the month is not mature or has too few leads.
    title, about : str
        The finding, and the leads that it is about.
    what : str
        The title of the axis.
    base : float or None
        The share of all leads, drawn as a dashed line.
    """
    table = pd.DataFrame([{**_figures(row), "month": row["name"]} for row in rows])
    x = alt.X("month:O", title="Created in (UTC)", axis=alt.Axis(labelAngle=-60, labelOverlap=True))
    axis = alt.Axis(format="%", tickCount=6)
    months = alt.Chart(table.dropna(subset=["value"]))
    interval = months.mark_rule(color=SKY, strokeWidth=5, opacity=0.7).encode(
        x=x, y=alt.Y("low:Q", title=what, axis=axis, scale=alt.Scale(zero=True)), y2="high:Q"
    )
    line = months.mark_line(color=BLUE, point=True).encode(
        x=x,
        y=alt.Y("value:Q", title=what, axis=axis),
        tooltip=[
            alt.Tooltip("month:O", title="month"),
            alt.Tooltip("value:Q", title=what, format=".1%"),
            alt.Tooltip("counts:N", title="leads"),
        ],
    )
    layers: list[Any] = [interval, line]
    if base is not None:
        dashed = alt.Chart(pd.DataFrame({"y": [base]})).mark_rule(color=GREY, strokeDash=[4, 4])
        layers.insert(0, dashed.encode(y="y:Q"))
        about += "; dashed: the average"
    return titled(alt.layer(*layers), title, f"{about}; bars: 95 % intervals", height=260)


def lines_chart(
    rows: Sequence[Row],
    title: str,
    about: str,
    *,
    x: str,
    y: str,
    form: str = "%",
    x_form: str | None = None,
) -> alt.LayerChart | alt.Chart | None:
    """Draw several series over numbers or over names in order.

    Shares of fewer than `FEWEST_LEADS` leads are not drawn alone: over numbers they are left out,
    and over names, such as months, they are joined with the next names to one point.

    Parameters
    ----------
    rows : sequence of mapping
        `x`, `series`, `value`, `n`; optionally `wins` and the interval `low`, `high`.
    title, about : str
        The finding, and the leads that it is about.
    x, y : str
        The titles of the axes.
    form, x_form : str
        The d3 formats of the axes.

    Returns
    -------
    altair.LayerChart, altair.Chart or None
        None if no point has enough leads.
    """
    names = list(dict.fromkeys(row["x"] for row in rows))
    series = list(dict.fromkeys(printable(row["series"], LONGEST) for row in rows))
    is_number = not isinstance(names[0], str)
    few = form == "%" and any(is_too_few(row) and row["value"] is not None for row in rows)
    if few and is_number:
        about += f"; not drawn: shares of fewer than {FEWEST_LEADS} leads"
        rows = [{**row, "value": None} if is_too_few(row) else row for row in rows]
    elif few:
        about += f"; fewer than {FEWEST_LEADS} leads are joined with the next point"
        rows = _pooled(rows)
    if all(row["value"] is None for row in rows):
        return None
    table = pd.DataFrame(
        [
            {
                **_figures(row),
                "x": row["x"],
                "series": printable(row["series"], LONGEST),
                "span": row.get("span", row["x"]),
            }
            for row in rows
        ]
    )
    form = with_digits(
        form, [table[["value", "low"]].min().min(), table[["value", "high"]].max().max()]
    )
    axis = alt.Axis(labelAngle=0 if is_number else -60)
    if x_form is not None:
        axis = alt.Axis(format=with_digits(x_form, [table["x"].min(), table["x"].max()]))
    x_scale: Any = alt.Scale(domain=names)
    if is_number:
        x_scale = alt.Scale(zero=bool(2 * table["x"].min() <= table["x"].max()))
    across: Any = alt.X("x:Q" if is_number else "x:O", title=x, axis=axis, sort=None, scale=x_scale)
    scale = alt.Scale(domain=series, range=PALETTE[: len(series)])
    legend = legend_below() if len(series) > 1 else None  # the axis names a single line
    lines = (
        alt.Chart(table)  # rows without a value interrupt the line
        .mark_line(point=alt.OverlayMarkDef(size=45))
        .encode(
            x=across,
            y=alt.Y("value:Q", title=y, axis=alt.Axis(format=form, tickCount=6)),
            color=alt.Color("series:N", scale=scale, legend=legend),
            shape=alt.Shape(
                "series:N",
                scale=alt.Scale(domain=series, range=SHAPES[: len(series)]),
                legend=legend,
            ),
            tooltip=[
                alt.Tooltip("series:N", title="series"),
                alt.Tooltip("span", title=x),
                alt.Tooltip("value:Q", title=y, format=fine_form(form)),
                alt.Tooltip("counts:N", title="counted"),
            ],
        )
    )
    if table["low"].isna().all():
        return titled(lines, title, about, height=260)
    interval = (
        alt.Chart(table.dropna(subset=["low"]))
        .mark_rule(opacity=0.6)
        .encode(
            x=across,
            y=alt.Y("low:Q", title=y),
            y2="high:Q",
            color=alt.Color("series:N", scale=scale, legend=legend),
        )
    )
    return titled(interval + lines, title, f"{about}; lines: 95 % intervals", height=260)


def _pooled(rows: Sequence[Row]) -> list[Row]:
    """Join neighbours of a series until each point has enough leads.

    A joined point is drawn at its last name. At the end of a series, and before a gap, too few
    leads are joined with the point before them.

    Examples
    --------
    >>> rows = [{"x": x, "series": "A", "value": value, "n": n}
    ...         for x, value, n in (("May", 0.5, 20), ("June", 0.1, 20), ("July", 0.4, 10))]
    >>> [(row["span"], round(row["value"], 2), row["n"]) for row in _pooled(rows)]
    [('May to July', 0.32, 50)]
    """
    runs: list[list[list[Row]]] = []  # runs without a gap, each a list of the rows of its points
    gaps: list[Row] = []
    for name in dict.fromkeys(row["series"] for row in rows):
        is_after_gap = True
        for row in (row for row in rows if row["series"] == name):
            if row["value"] is None:
                gaps.append(row)
            elif is_after_gap:
                runs.append([[row]])
            elif _leads(runs[-1][-1]) < FEWEST_LEADS:
                runs[-1][-1].append(row)
            else:
                runs[-1].append([row])
            is_after_gap = row["value"] is None
    for run in runs:
        if len(run) > 1 and _leads(run[-1]) < FEWEST_LEADS:
            run[-2:] = [run[-2] + run[-1]]
    points = [_point(part) for run in runs for part in run if _leads(part) >= FEWEST_LEADS]
    return [*gaps, *points]


def _leads(rows: Sequence[Row]) -> int:
    return sum(int(row["n"]) for row in rows)


def _point(rows: Sequence[Row]) -> Row:
    n = _leads(rows)
    value = sum(row["value"] * row["n"] for row in rows) / n
    span = rows[0]["x"] if len(rows) == 1 else f"{rows[0]['x']} to {rows[-1]['x']}"
    wins = None
    if all(row.get("wins") is not None for row in rows):
        wins = sum(row["wins"] for row in rows)
    joined = {"value": value, "n": n, "wins": wins, "span": span, "low": None, "high": None}
    return {**rows[-1], **joined}


def _figures(row: Row) -> dict[str, Any]:
    figures = {key: row.get(key) for key in ("value", "low", "high", "n")}
    return {**figures, "counts": counts(row.get("wins"), row.get("n"))}
