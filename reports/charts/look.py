"""The look that the charts of the report share: colours, shapes, titles, and formats of axes.

Colours are those of Okabe and Ito. Series differ in shape too, for readers who see no colours.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from models.evaluation.comparisons import FEWEST_LEADS
from reports.charts.card import BLUE, ORANGE
from reports.content import Row
from reports.text import printable

GREEN, PINK, SKY, YELLOW = "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
PALETTE = [BLUE, ORANGE, GREEN, PINK, SKY, YELLOW]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
WIDTH = 440
LONGEST = 34  # characters of a label


def is_too_few(row: Row) -> bool:
    """Check whether a row has too few leads for its share to be drawn."""
    n = row.get("n")
    return n is not None and n < FEWEST_LEADS


def with_digits(form: str, ends: Sequence[float]) -> str:
    """Complete the d3 formats "+" and "," with enough digits to tell six ticks apart.

    Examples
    --------
    >>> with_digits(",", [0.0, 2.2]), with_digits("+", [-40.0, 12.0]), with_digits("%", [0, 1])
    (',.1f', '+.0f', '%')
    """
    if form not in ("+", ","):
        return form
    step = (max(ends) - min(ends)) / 6
    digits = 0 if not step > 0 or step >= 0.8 else 1 if step >= 0.08 else 2
    return f"{form}.{digits}f"


def fine_form(form: str) -> str:
    """Return the d3 format of a number in a tooltip, from that of its axis."""
    return ".1%" if form.endswith("%") else form


def legend_below() -> Any:
    """Return a legend below the chart."""
    return alt.Legend(title=None, orient="bottom", columns=3, labelLimit=260)


def titled(chart: Any, title: str, about: str, *, height: int) -> Any:
    """Add the title, the subtitle and the size to a chart."""
    text = alt.TitleParams(printable(title, 300), subtitle=printable(about, 300), anchor="start")
    return chart.properties(title=text, width=WIDTH, height=height)
