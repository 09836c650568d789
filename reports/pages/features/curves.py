"""How the points of a feature depend on its values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Floats
from features.feature import Feature, in_words
from features.intervals import Z
from models.reasons import Parts, Reasoner
from models.signal_words import CODED, LOGARITHMS, measured, range_words, value_words
from reports.charts.groups import MOST_BARS, rates_chart
from reports.charts.lines import lines_chart
from reports.content import Column, Figure, TableRow, cells_of
from reports.numbers import signed
from reports.pages.groups import interval_columns
from reports.text import printable, quoted_name

MOST_CURVES = 6
N_BINS = 8
FEWEST_IN_BIN = 20
FEWEST_ON_LINE = 4
NOT_ADVICE = (
    "This describes the leads. It does not mean that sales should be faster or slower. Leads that "
    "come in with an event, such as a call, have a short time from the start, and may differ in "
    "other ways."
)


@dataclass(frozen=True, kw_only=True)
class CurveRow(TableRow):
    """The mean points of the leads with a value, or with values in a range around `x`."""

    name: str
    x: float | None
    n: int
    value: float
    low: float
    high: float


def curve_figures(
    reasoner: Reasoner, features: Floats, parts: Parts, signals: Sequence[str], about: str
) -> list[Figure]:
    """Show the points of the strongest features by their values."""
    figures = []
    strength = np.abs(parts.of_features).mean(axis=0)
    for i, signal in enumerate(signals[:MOST_CURVES]):
        members = reasoner.members[reasoner.signals.index(signal)]
        mover = max(members, key=lambda j: float(strength[j]))
        feature = reasoner.features[mover]
        table = _dependence(feature, features[:, mover], parts.of_features[:, mover])
        if len(table) > 1:
            figures.append(_curve(f"features-{i + 1}", feature, table, about))
    return figures


def _curve(name: str, feature: Feature, table: Sequence[CurveRow], about: str) -> Figure:
    measure = _title(feature)
    finding = _curve_finding(feature, table)
    cells = cells_of(table)
    is_line = len(table) >= FEWEST_ON_LINE and feature.unit not in LOGARITHMS
    chart: Any
    if is_line and all(row.x is not None for row in table):
        unit = f", {feature.unit}" if feature.unit in ("days", "hours") else ""
        chart = lines_chart(
            [{**row, "series": measure} for row in cells],
            finding,
            about,
            x=f"{printable(measure, 60)}{unit}",
            y="Points",
            form="+",
        )
    else:
        half = MOST_BARS // 2  # the best and the worst values of many
        drawn = cells if len(cells) <= MOST_BARS else (*cells[:half], *cells[-half:])
        note = f"; the {half} best and worst values" if len(drawn) < len(cells) else ""
        chart = rates_chart(
            drawn,
            finding,
            about + note,
            what="Points",
            base=0.0,
            form="+",
            base_name="no points",
        )
    return Figure(
        name=name,
        finding=finding,
        about=about,
        columns=(
            Column("name", printable(measure, 60)),
            Column("n", "Leads", "count"),
            Column("value", "Points", "points", "value_points"),
            *interval_columns("points"),
        ),
        rows=cells,
        chart=chart,
        note=NOT_ADVICE if _is_time_of_event(feature) else "",
    )


def _is_time_of_event(feature: Feature) -> bool:
    """Return whether a feature is the time of an activity or a stage of a lead."""
    return feature.table != "leads" and feature.unit in ("days", "hours")


def _curve_finding(feature: Feature, table: Sequence[CurveRow]) -> str:
    most = max(table, key=lambda row: row.value)
    least = min(table, key=lambda row: row.value)
    digits = 0 if most.value - least.value >= 3 else 1
    best, worst = printable(most.name, 60), printable(least.name, 60)
    if feature.unit not in CODED:  # numbers; a name may contain a hyphen
        best, worst = best.replace("-", "−"), worst.replace("-", "−")
    leads = "leads with " if _is_time_of_event(feature) else ""
    return (
        f"{printable(_title(feature), 90)}: {signed(most.value, digits)} points for {leads}{best}, "
        f"{signed(least.value, digits)} for {leads}{worst}"
    )


def _dependence(feature: Feature, values: Floats, points: Floats) -> list[CurveRow]:
    """Compute the mean points of each value, or of ranges of values; small groups are left out."""
    is_known = np.isfinite(values)
    groups: list[tuple[str, float | None, Floats]]
    if feature.unit in CODED:
        codes, place = np.unique(values[is_known], return_inverse=True)
        groups = [
            (value_words(feature, float(code)), None, points[is_known][place == k])
            for k, code in enumerate(codes)
        ]
    else:
        groups = _ranges(feature, values[is_known], points[is_known])
    if not is_known.all():
        groups.append((value_words(feature, np.nan), None, points[~is_known]))
    table = []
    for name, x, part in groups:
        if len(part) >= FEWEST_IN_BIN:
            half = Z * float(part.std()) / np.sqrt(len(part))
            mean = float(part.mean())
            table.append(
                CurveRow(name=name, x=x, n=len(part), value=mean, low=mean - half, high=mean + half)
            )
    return sorted(table, key=lambda row: -row.value) if feature.unit in CODED else table


def _ranges(
    feature: Feature, values: Floats, points: Floats
) -> list[tuple[str, float | None, Floats]]:
    """Cut values into bins of about the same size; bins with the same name become one.

    Returns
    -------
    list of (str, float, ndarray)
        The name of each bin, its median, and the points of its leads.
    """
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, np.arange(1, N_BINS) / N_BINS))
    place = np.searchsorted(edges, values, side="left")
    ends = {k: in_words(feature.unit, float(values[place == k].max())) for k in np.unique(place)}
    names = list(dict.fromkeys(ends.values()))
    group = np.array([names.index(ends[k]) for k in place], dtype=np.int64)
    ranges: list[tuple[str, float | None, Floats]] = []
    for i in range(len(names)):
        inside = values[group == i]
        name = range_words(feature, float(inside.min()), float(inside.max()))
        if feature.unit in ("count", "share") and not inside.any():
            name = feature.say(0.0)
        ranges.append((name, float(np.median(inside)), points[group == i]))
    return ranges


def _title(feature: Feature) -> str:
    """Return what a feature measures, to begin a sentence; names from data are not changed."""
    name = measured(feature)
    if name == feature.column:
        return quoted_name(name)
    return name[:1].upper() + name[1:]
