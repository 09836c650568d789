"""Sources: which ones bring leads that are qualified and won, how much, and how fast."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Bools
from crm.text import words_of
from features.groups import Groups
from models.evaluation.comparisons import Contrast, Share, corrected, mean_ratio
from models.evaluation.differences import ranks_differ
from models.evaluation.intervals import MedianInterval, median_interval
from reports.charts.report import rates_chart, series_chart
from reports.content import Column, Figure, Page, Section, ShareRow, TableRow, Takeaway, cells_of
from reports.numbers import duration, percent
from reports.pages.phrases import (
    RatesLabels,
    about_mature,
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    finite,
    group_contrasts,
    interval_columns,
    mature_words,
    means_by,
    rates_figure,
    ratio_interval_words,
    ratio_words,
    strongest,
)
from reports.rows.rows import ReportRows
from reports.text import quoted_column, quoted_name

SLUG, TITLE = "sources", "Sources"
LEAD = "Which sources bring leads that are qualified and won, how much, and how fast?"
QUALIFIED = (r"\b(sales (qualified|accepted)|sql|sal)\b", r"\b(qualified|mql)\b")
FEWEST_WINS = 30  # of a source, to compare how fast it is won
MOST_WON_TAKEAWAYS = 4
MOST_REVENUE_TAKEAWAYS = 2


@dataclass(frozen=True, kw_only=True)
class SourceRow(ShareRow):
    """The leads of a source from lead to won; None for qualified leads without such a stage."""

    leads: int
    qualified: int | None
    qualified_share: float | None
    qualified_won: float | None
    open: int
    score: float | None


@dataclass(frozen=True, kw_only=True)
class RevenueRow(TableRow):
    """The revenue of a source; the value of `mean` is the revenue per lead."""

    name: str
    mean: Contrast
    revenue: float
    revenue_share: float
    lead_share: float


@dataclass(frozen=True, kw_only=True)
class SpeedRow(TableRow):
    """The days to win of a source; the value of `days` is their median."""

    days: Contrast
    name: str
    late: float


@dataclass(frozen=True, kw_only=True)
class _Families:
    """The corrected contrasts of the sources.

    Attributes
    ----------
    won : list of Contrast
        Mature leads that are won.
    qualified, qualified_won : list of Contrast or None
        Mature leads that were qualified, and qualified ones that are won; None if no stage says
        which leads are qualified.
    """

    won: list[Contrast]
    qualified: list[Contrast] | None = None
    qualified_won: list[Contrast] | None = None


def sources_page(rows: ReportRows) -> Page:
    """Build the page about the way from lead to qualified to won for each source."""
    groups = rows.source
    if groups is None:
        needs = (
            "Conversion, revenue, time to win and average score by source. No column of the leads "
            'looks like a source: name it with [report] source = "…" in the project file.'
        )
        section = Section("By source", needs=needs)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,))
    families = _contrasts(rows, groups)
    base = rows.rate[0] / max(rows.rate[1], 1)
    takeaways = strongest(
        zip(groups.names, families.won, strict=True),
        lambda name, group: f"Leads from {quoted_name(name)} are won {ratio_words(group)}.",
        "won_ratio",
        "sources-won",
        most=MOST_WON_TAKEAWAYS,
    )
    figure = rates_figure(
        "sources-won",
        finding_of("Leads from", groups.names, families.won, base),
        about_mature(rows),
        contrast_rows(groups.names, families.won),
        RatesLabels(
            group="Source", value="Conversion", metric="won_share", ratio_metric="won_ratio"
        ),
        base=base,
    )
    origin = f"The source of a lead is the value of its column {quoted_column(groups.column)}."
    revenue, revenue_takeaways = _revenue(rows, groups)
    speed, speed_takeaways = _speed(rows, groups)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *revenue_takeaways, *speed_takeaways),
        sections=(
            Section("Conversion by source", (origin,), (figure,)),
            _way(rows, groups, families),
            revenue,
            speed,
        ),
    )


def _contrasts(rows: ReportRows, groups: Groups) -> _Families:
    won = group_contrasts(groups, rows.is_mature, rows.won)
    is_qualified = qualified_leads(rows)
    if is_qualified is None:
        return _Families(won=corrected(won))
    won, qualified, qualified_won = correct_families(
        [
            won,
            group_contrasts(groups, rows.is_mature, is_qualified),
            group_contrasts(groups, rows.is_mature & is_qualified, rows.won),
        ]
    )
    return _Families(won=won, qualified=qualified, qualified_won=qualified_won)


def qualified_leads(rows: ReportRows) -> Bools | None:
    """Return which leads were qualified within the horizon; None if no stage says so."""
    stage = qualified_stage(rows)
    if rows.funnel is None or stage is None:
        return None
    at = rows.funnel.reached[:, rows.funnel.place(stage)]
    return np.asarray((at - rows.horizon <= rows.created) | rows.won)


def qualified_stage(rows: ReportRows) -> str | None:
    """Return the stage of qualified leads: the project's, or the one whose name says so."""
    stage_of_project = rows.project.report.qualified_stage
    if stage_of_project is not None or rows.funnel is None:
        return stage_of_project
    for pattern in QUALIFIED:
        for stage in rows.funnel.stages:
            if re.search(pattern, words_of(stage)):
                return stage
    return None


def _source_rows(rows: ReportRows, groups: Groups, families: _Families) -> list[SourceRow]:
    k = len(groups.names)
    n_leads = np.bincount(groups.code, minlength=k)
    n_open = np.bincount(groups.code[rows.is_open], minlength=k)
    score = np.full(k, np.nan)
    if rows.now is not None and len(rows.now):
        score = means_by(groups.code[rows.now.lead], rows.now.score.astype(float), k)
    table = []
    for i, name in enumerate(groups.names):
        won = families.won[i]
        qualified, qualified_won = None, None
        if families.qualified is not None and families.qualified_won is not None:
            qualified, qualified_won = families.qualified[i], families.qualified_won[i]
        table.append(
            SourceRow(
                name=name,
                share=Share(n=won.n, wins=won.wins, value=won.value, low=won.low, high=won.high),
                leads=int(n_leads[i]),
                qualified=None if qualified is None else qualified.wins,
                qualified_share=None if qualified is None else finite(qualified.value),
                qualified_won=None if qualified_won is None else finite(qualified_won.value),
                open=int(n_open[i]),
                score=finite(score[i]),
            )
        )
    return table


def _way(rows: ReportRows, groups: Groups, families: _Families) -> Section:
    table = _source_rows(rows, groups, families)
    has_qualified = families.qualified is not None
    columns = [
        Column("name", "Source"),
        Column("leads", "Leads", "count", "leads"),
        Column("n", "Old enough", "count", "mature_leads"),
    ]
    if has_qualified:
        columns += [
            Column("qualified", "Qualified", "count", "counted_wins"),
            Column("qualified_share", "Share qualified", "share", "qualified_share"),
            Column("qualified_won", "Won of them", "share", "qualified_won_share"),
        ]
    columns += [
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "won_share"),
        Column("open", "Open now", "count", "open_leads"),
    ]
    if rows.now is not None and len(rows.now):
        columns.append(Column("score", "Average score", "score", "mean_score"))
    chart, finding = None, "From lead to won, for each source"
    paragraphs: list[str] = []
    cells = cells_of(table)
    if has_qualified:
        n_qualified = sum(row.qualified or 0 for row in table)
        n_mature = max(rows.rate[1], 1)
        finding = (
            f"{percent(n_qualified / n_mature)} of the leads come as far as "
            f"{quoted_name(qualified_stage(rows))}, {percent(rows.rate[0] / n_mature)} are won"
        )
        chart = series_chart(
            [row for row in cells if row["qualified_share"] is not None],
            finding,
            about_mature(rows),
            what="Share of leads",
            series=(
                ("qualified_share", "qualified"),
                ("qualified_won", "won of the qualified"),
                ("value", "won"),
            ),
        )
    else:
        paragraphs.append(
            "The number of qualified leads is not shown, because no stage is named for it. Name "
            'one with [report] qualified_stage = "…".'
        )
    if rows.now is not None and rows.now.is_sample:
        paragraphs.append(
            f"Average scores are of a random sample of {len(rows.now):,} of {rows.now.of:,} open "
            "leads."
        )
    figure = Figure(
        name="sources-way",
        finding=finding,
        about=about_mature(rows),
        columns=tuple(columns),
        rows=cells,
        chart=chart,
    )
    return Section("From lead to won", tuple(paragraphs), (figure,))


def _revenue_rows(rows: ReportRows, groups: Groups) -> list[RevenueRow]:
    mature = rows.is_mature
    earned = np.where(rows.won, rows.amount, 0.0)[mature]
    code, total = groups.code[mature], float(earned.sum())
    if total <= 0:
        return []
    means = {
        name: mean
        for i, name in enumerate(groups.names)
        if (mean := mean_ratio(earned, code == i)) is not None
    }
    return [
        RevenueRow(
            name=name,
            mean=mean,
            revenue=mean.value * mean.n,
            revenue_share=mean.value * mean.n / total,
            lead_share=mean.n / len(earned),
        )
        for name, mean in zip(means, corrected(list(means.values())), strict=True)
    ]


def _revenue(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    heading = "Revenue by source"
    table = _revenue_rows(rows, groups)
    if not table:
        needs = (
            "Revenue and revenue per lead of each source. The outcomes have no amounts: name the "
            "column with [outcomes] amount, or [leads] amount."
        )
        return Section(heading, needs=needs), ()
    earned = np.where(rows.won, rows.amount, 0.0)[rows.is_mature]
    base = float(earned.mean())
    takeaways = strongest(
        [(row.name, row.mean) for row in table],
        lambda name, mean: (
            f"{_revenue_finding(name, mean, base)} ({ratio_interval_words(mean)} the average; "
            f"{mean.n:,} leads)."
        ),
        "revenue_per_lead",
        "sources-revenue",
        most=MOST_REVENUE_TAKEAWAYS,
    )
    finding = "Revenue per lead does not differ clearly between sources"
    means = {row.name: row.mean for row in table}
    if takeaways:
        name = takeaways[0].evidence["name"]
        finding = _revenue_finding(name, means[name], base)
    about = about_mature(rows)
    cells = cells_of(table)
    figure = Figure(
        name="sources-revenue",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Source"),
            Column("n", "Leads", "count", "mature_leads"),
            Column("wins", "Wins with an amount", "count"),
            Column("revenue", "Revenue", "amount", "revenue"),
            Column("revenue_share", "Of all revenue", "share", "revenue_share"),
            Column("lead_share", "Of all leads", "share", "lead_share"),
            Column("value", "Revenue per lead", "amount", "revenue_per_lead"),
            *interval_columns("amount"),
            Column("ratio", "Against all", "ratio"),
            Column("verdict", "Result"),
        ),
        rows=cells,
        chart=rates_chart(cells, finding, about, what="Revenue per lead", base=base, form=",.0f"),
    )
    return Section(heading, figures=(figure,)), takeaways


def _revenue_finding(name: str, mean: Contrast, base: float) -> str:
    """Format the revenue per lead of a source, compared with that of all leads."""
    comparison = "more" if mean.value > base else "less"
    return (
        f"A lead from {quoted_name(name)} brings {comparison} revenue than the average lead: "
        f"{mean.value:,.0f} against {base:,.0f}"
    )


def _speed_rows(
    groups: Groups, wins: Bools, all_days: MedianInterval, days_to_close: Any
) -> list[SpeedRow]:
    """Compare the days to win of each source with those of the others."""
    days, code = days_to_close[wins], groups.code[wins]
    medians: list[MedianInterval] = []
    names: list[str] = []
    contrasts: list[Contrast] = []
    for i, name in enumerate(groups.names):
        median = median_interval(days[code == i])
        if median is None:
            continue
        others = len(days) - median.n
        is_judged = median.n >= FEWEST_WINS and others >= FEWEST_WINS
        names.append(name)
        medians.append(median)
        contrasts.append(
            Contrast(
                n=median.n,
                wins=median.n,
                value=median.value,
                low=median.low,
                high=median.high,
                ratio=median.value / all_days.value if all_days.value else None,
                p=ranks_differ(days, code == i) if is_judged else None,
                others=others,
            )
        )
    return [
        SpeedRow(days=contrast, name=name, late=median.late)
        for name, contrast, median in zip(names, corrected(contrasts), medians, strict=True)
    ]


def _speed(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    heading = "Time to win by source"
    wins = rows.is_mature & rows.won & np.isfinite(rows.days_to_close)
    all_days = median_interval(rows.days_to_close[wins]) if rows.has_times else None
    if all_days is None:
        needs = (
            "The days from a lead's creation to its win, by source. This needs times: [leads] "
            "created_at, and closed_at of the outcomes."
        )
        return Section(heading, needs=needs), ()
    table = _speed_rows(groups, wins, all_days, rows.days_to_close)
    takeaways = _speed_takeaways(table, all_days)
    finding = (
        "No source is clearly faster or slower than the others: half of the wins come within "
        f"{duration(all_days.value)}"
    )
    if takeaways:
        finding = _speed_finding(_clearest(table))
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
            base=all_days.value,
            form=",",
        ),
    )
    return Section(heading, figures=(figure,)), takeaways


def _speed_takeaways(table: Sequence[SpeedRow], all_days: MedianInterval) -> tuple[Takeaway, ...]:
    """Return the source whose days to win differ most surely from the others'."""
    first = _clearest(table)
    if not first.days.is_significant:
        return ()
    days = first.days
    sentence = (
        f"{_speed_finding(first)} (between {duration(days.low)} and {duration(days.high)}; "
        f"{days.n:,} leads). For all sources this takes {duration(all_days.value)}."
    )
    evidence = evidence_of(days, name=first.name)
    return (Takeaway(sentence, evidence, "days_to_win", "sources-speed"),)


def _clearest(table: Sequence[SpeedRow]) -> SpeedRow:
    """Return the source whose days to win differ most surely from the others'."""
    return min(table, key=lambda row: 1.0 if row.days.p is None else row.days.p)


def _speed_finding(row: SpeedRow) -> str:
    return (
        f"Half of the won leads from {quoted_name(row.name)} are won within "
        f"{duration(row.days.value)}"
    )
