"""The time to win of each source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools
from features.attributes.attribute import MISSING_GROUP
from features.groups import Groups
from models.evaluation.comparisons import Contrast, corrected
from models.evaluation.differences import ranks_differ
from models.evaluation.intervals import MedianInterval, median_interval
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.numbers import duration
from reports.pages.averages import has_value
from reports.pages.groups import evidence_of, interval_columns
from reports.pages.phrases import mature_words, missing_rows_words
from reports.rows.rows import ReportRows
from reports.text import quoted_name

FEWEST_WINS = 30  # of a source, to compare how fast it is won


@dataclass(frozen=True, kw_only=True)
class SpeedRow(TableRow):
    """The days to win of a source; the value of `days` is their median."""

    days: Contrast
    name: str
    late: float


def speed_section(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    """Build the section about the time to win by source, with its takeaways."""
    heading = "Time to win by source"
    wins = rows.is_old & rows.won & np.isfinite(rows.days_to_close)
    all_days = median_interval(rows.days_to_close[wins]) if rows.has_times else None
    if all_days is None:
        needs = f"The days from a lead's creation to its win, by source. {_why_unknown(rows)}"
        return Section(heading, needs=needs), ()
    table = _speed_rows(groups, wins, rows.days_to_close)
    known_days = median_interval(rows.days_to_close[wins & has_value(groups)])
    usual, which = known_days or all_days, "all wins"
    if usual.n < all_days.n:
        which = f"the {usual.n:,} wins with a source"
    takeaways = _speed_takeaways(table, usual, which, rows.horizon_days)
    finding = (
        "No source is clearly faster or slower than the others: half of the wins within "
        f"{rows.horizon_days:g} days come within {duration(all_days.value)}"
    )
    if takeaways:
        finding = _speed_finding(_clearest(table), rows.horizon_days)
    about = f"{all_days.n:,} wins within {rows.horizon_days:g} days, of {mature_words(rows)}"
    cells = cells_of(table)
    figure = Figure(
        name="sources-speed",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Source"),
            Column("n", "Wins", "count"),
            Column("value", "Half won within", "days", "days_to_win"),
            *interval_columns("days"),
            Column("late", "Nine of ten within", "days", "nine_of_ten"),
            Column("verdict", "Result"),
        ),
        rows=cells,
        chart=rates_chart(
            cells,
            finding,
            about,
            what="Days to win, half of the wins",
            base=usual.value,
            base_name=f"half of {which} come within {duration(usual.value)}",
            form=",",
        ),
        note=missing_rows_words(len(groups.names) - len(table), "sources without such a win"),
    )
    return Section(heading, _all_wins(rows, all_days), (figure,)), takeaways


def _wins(n: int) -> str:
    return "1 win" if n == 1 else f"{n:,} wins"


def _why_unknown(rows: ReportRows) -> str:
    """Explain why the time to win is not known."""
    closed = rows.records.outcomes["closed_at"]
    if not rows.has_times or (rows.is_won.any() and closed.isna().all()):
        return "This needs times: [leads] created_at, and closed_at of the outcomes."
    return f"None of the {mature_words(rows)} was won within {rows.horizon_days:g} days."


def _all_wins(rows: ReportRows, all_days: MedianInterval) -> tuple[str, ...]:
    """Format the time that all wins take, also those that the figure does not count."""
    is_dated = np.isfinite(rows.days_to_close) & ~rows.is_closed_early
    every = median_interval(rows.days_to_close[rows.is_won & is_dated])
    if every is None or every.n == all_days.n:
        return ()
    sentences = [
        f"The figure counts {all_days.n:,} wins, those within {rows.horizon_days:g} days of "
        f"creation. Of all {every.n:,} wins, also later ones and those of younger leads, half come "
        f"within {every.value:.1f} days."
    ]
    early = rows.is_old & rows.won & ~rows.has_known_outcome
    if early.any():
        sentences.append(
            f"The figure includes {_wins(int(early.sum()))} of leads created before the outcomes "
            "begin. Faster wins of such leads are not known."
        )
    return tuple(sentences)


def _speed_rows(groups: Groups, wins: Bools, days_to_close: Any) -> list[SpeedRow]:
    """Compare the days to win of each source with those of the others.

    Wins without a source are not compared. The test compares all days, and the rows show medians.
    So a source whose median may be that of all sources does not count as different.
    """
    days, code, is_known = days_to_close[wins], groups.code[wins], has_value(groups)[wins]
    known_days = median_interval(days[is_known])
    medians: list[MedianInterval] = []
    names: list[str] = []
    contrasts: list[Contrast] = []
    for i, name in enumerate(groups.names):
        median = median_interval(days[code == i])
        if median is None:
            continue
        is_apart = name == MISSING_GROUP
        n_others = int((is_known & (code != i)).sum())
        is_judged = min(median.n, n_others) >= FEWEST_WINS and not is_apart
        ratio = None
        if known_days is not None and known_days.value and not is_apart:
            ratio = median.value / known_days.value
        names.append(name)
        medians.append(median)
        contrasts.append(
            Contrast(
                n=median.n,
                wins=median.n,
                value=median.value,
                low=median.low,
                high=median.high,
                ratio=ratio,
                p=ranks_differ(days[is_known], code[is_known] == i) if is_judged else None,
                others=n_others,
                is_apart=is_apart,
            )
        )
    usual = np.nan if known_days is None else known_days.value
    return [
        SpeedRow(
            days=_as_shown(days, usual),
            name=name,
            late=median.late,
        )
        for name, days, median in zip(names, corrected(contrasts), medians, strict=True)
    ]


def _as_shown(days: Contrast, usual: float) -> Contrast:
    """Return the days of a source, without a difference if their median may be the usual one."""
    if days.p is None or not days.low <= usual <= days.high:
        return days
    return replace(days, p=1.0)


def _speed_takeaways(
    table: Sequence[SpeedRow], usual: MedianInterval, which: str, horizon_days: float
) -> tuple[Takeaway, ...]:
    """Return the source whose days to win differ most surely from the others'."""
    first = _clearest(table)
    days = first.days
    if not days.is_significant:
        return ()
    sentence = (
        f"{_speed_finding(first, horizon_days)} (between {duration(days.low)} and "
        f"{duration(days.high)}; {days.n:,} wins). Half of {which} come within "
        f"{duration(usual.value)}."
    )
    evidence = evidence_of(days, name=first.name)
    return (Takeaway(sentence, evidence, "days_to_win", "sources-speed"),)


def _clearest(table: Sequence[SpeedRow]) -> SpeedRow:
    """Return the source whose days to win differ most surely from the others'."""
    return min(table, key=lambda row: 1.0 if row.days.p is None else row.days.p)


def _speed_finding(row: SpeedRow, horizon_days: float) -> str:
    return (
        f"Half of the leads from {quoted_name(row.name)} that are won within {horizon_days:g} days "
        f"are won within {duration(row.days.value)}"
    )
