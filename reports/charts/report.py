"""The charts of the reports' pages: one Altair specification each, for the page and the picture.

Colours are those of Okabe and Ito. Series differ in shape too, for readers who see no colours.
The names of columns are fixed here, so that no name from data becomes part of a specification's
grammar.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from models.evaluation.comparisons import FEWEST_LEADS, Verdict
from reports.charts.card import BLUE, CLEAR, GREY, ORANGE, UNCLEAR, counts
from reports.content import Row
from reports.text import printable

GREEN, PINK, SKY, YELLOW = "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
PALETTE = [BLUE, ORANGE, GREEN, PINK, SKY, YELLOW]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
TOO_FEW, APART = "too few to tell", "no value"
MARKS = {
    CLEAR: (ORANGE, "circle"),
    UNCLEAR: (BLUE, "square"),
    TOO_FEW: (GREY, "diamond"),
    APART: (GREY, "cross"),
}
WIDTH = 440
MOST_BARS = 16
LONGEST = 34  # characters of a label


def rates_chart(
    rows: Sequence[Row],
    title: str,
    about: str,
    *,
    what: str,
    base: float | None,
    form: str = "%",
    base_name: str = "all leads",
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
    drawn = [row for row in rows if not (form == "%" and _is_too_few(row))]
    if not drawn:
        return None
    if len(drawn) < len(rows):
        about += f"; not drawn: {len(rows) - len(drawn)} with fewer than {FEWEST_LEADS} leads"
    if len(drawn) > MOST_BARS:
        about += f"; the first {MOST_BARS} of {len(drawn)}"
    table = _named(drawn, ["value", "low", "high"], is_share=form == "%")
    form = _with_digits(form, [table["low"].min(), table["high"].max()])
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
            alt.Tooltip("value:Q", title=what, format=_fine(form)),
            alt.Tooltip("low:Q", title="from", format=_fine(form)),
            alt.Tooltip("high:Q", title="to", format=_fine(form)),
            alt.Tooltip("counts:N", title="counted"),
        ],
    )
    layers: list[Any] = [interval, points]
    if base is not None:
        line = alt.Chart(pd.DataFrame({"x": [base]})).mark_rule(color=GREY, strokeDash=[4, 4])
        layers.insert(0, line.encode(x="x:Q"))
        about += f"; dashed: {base_name}"
    about += "; lines: 95 % intervals"
    return _titled(alt.layer(*layers), title, about, height=max(60, 26 * len(table)))


def _is_too_few(row: Row) -> bool:
    n = row.get("n")
    return n is not None and n < FEWEST_LEADS


def _marks(table: pd.DataFrame, rows: Sequence[Row]) -> tuple[Any, Any]:
    """Return colours and shapes by the verdict of each row; the same for all without verdicts."""
    if not any(row.get("verdict") for row in rows):
        return alt.value(BLUE), alt.value("circle")
    table["legend"] = [_label_of(Verdict(row.get("verdict") or Verdict.UNCLEAR)) for row in rows]
    used = {CLEAR, UNCLEAR, *table["legend"]}
    labels = [label for label in MARKS if label in used]
    colors, shapes = zip(*(MARKS[label] for label in labels), strict=True)
    legend = _legend()
    return (
        alt.Color("legend:N", scale=alt.Scale(domain=labels, range=list(colors)), legend=legend),
        alt.Shape("legend:N", scale=alt.Scale(domain=labels, range=list(shapes)), legend=legend),
    )


def _label_of(verdict: Verdict) -> str:
    if verdict is Verdict.APART:
        return APART
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
                alt.Tooltip("share:Q", title="share of all leads", format=".1%"),
            ],
        )
    )
    texts = (
        alt.Chart(table)
        .mark_text(align="left", dx=5, fontSize=13)
        .encode(y=y, x="reached:Q", text="text:N")
    )
    return _titled(bars + texts, title, about, height=32 * len(table))


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
        about += "; dashed: all leads"
    return _titled(alt.layer(*layers), title, f"{about}; bars: 95 % intervals", height=260)


def lines_chart(
    rows: Sequence[Row],
    title: str,
    about: str,
    *,
    x: str,
    y: str,
    form: str = "%",
    x_form: str | None = None,
) -> alt.LayerChart | alt.Chart:
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
    """
    names = list(dict.fromkeys(row["x"] for row in rows))
    series = list(dict.fromkeys(printable(row["series"], LONGEST) for row in rows))
    is_number = not isinstance(names[0], str)
    few = form == "%" and any(_is_too_few(row) and row["value"] is not None for row in rows)
    if few and is_number:
        about += f"; not drawn: shares of fewer than {FEWEST_LEADS} leads"
        rows = [{**row, "value": None} if _is_too_few(row) else row for row in rows]
    elif few:
        about += f"; fewer than {FEWEST_LEADS} leads are joined with the next point"
        rows = _pooled(rows)
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
    form = _with_digits(
        form, [table[["value", "low"]].min().min(), table[["value", "high"]].max().max()]
    )
    axis = alt.Axis(labelAngle=0 if is_number else -60)
    if x_form is not None:
        axis = alt.Axis(format=_with_digits(x_form, [table["x"].min(), table["x"].max()]))
    x_scale: Any = alt.Scale(domain=names)
    if is_number:
        x_scale = alt.Scale(zero=bool(2 * table["x"].min() <= table["x"].max()))
    across: Any = alt.X("x:Q" if is_number else "x:O", title=x, axis=axis, sort=None, scale=x_scale)
    scale = alt.Scale(domain=series, range=PALETTE[: len(series)])
    legend = _legend() if len(series) > 1 else None  # the axis names a single line
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
                alt.Tooltip("value:Q", title=y, format=_fine(form)),
                alt.Tooltip("counts:N", title="counted"),
            ],
        )
    )
    if table["low"].isna().all():
        return _titled(lines, title, about, height=260)
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
    return _titled(interval + lines, title, f"{about}; lines: 95 % intervals", height=260)


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
    values = [row[key] for row in drawn for key, _ in series if row[key] is not None]
    form = _with_digits(form, [min(values, default=0.0), max(values, default=0.0)])
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
    names, legend = [series_title for _, series_title in series], _legend()
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
                alt.Tooltip("value:Q", title=what, format=_fine(form)),
                alt.Tooltip("counts:N", title="counted"),
            ],
        )
    )
    return _titled(chart, title, about, height=max(60, 26 * len(order)))


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


def _figures(row: Row) -> dict[str, Any]:
    figures = {key: row.get(key) for key in ("value", "low", "high", "n")}
    return {**figures, "counts": counts(row.get("wins"), row.get("n"))}


def _with_digits(form: str, ends: Sequence[float]) -> str:
    """Complete the d3 formats "+" and "," with enough digits to tell six ticks apart.

    Examples
    --------
    >>> _with_digits(",", [0.0, 2.2]), _with_digits("+", [-40.0, 12.0]), _with_digits("%", [0, 1])
    (',.1f', '+.0f', '%')
    """
    if form not in ("+", ","):
        return form
    step = (max(ends) - min(ends)) / 6
    digits = 0 if not step > 0 or step >= 0.8 else 1 if step >= 0.08 else 2
    return f"{form}.{digits}f"


def _fine(form: str) -> str:
    return ".1%" if form.endswith("%") else form


def _legend() -> Any:
    return alt.Legend(title=None, orient="bottom", columns=3, labelLimit=260)


def _titled(chart: Any, title: str, about: str, *, height: int) -> Any:
    text = alt.TitleParams(printable(title, 300), subtitle=printable(about, 300), anchor="start")
    return chart.properties(title=text, width=WIDTH, height=height)
