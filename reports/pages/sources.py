"""Sources: which ones bring leads that are qualified and won, how much, and how fast."""

import re
from typing import Any

import numpy as np

from crm.text import words_of
from features.groups import Groups
from models.evaluation.comparisons import Contrast, corrected, mean_ratio, middle, ranks_differ
from reports.charts.report import rates_chart, series_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import (
    about_mature,
    contrast_rows,
    correct_families,
    days_words,
    evidence_of,
    finding_of,
    finite,
    group_contrasts,
    means_by,
    rates_figure,
    ratio_words,
    strongest,
)
from reports.rows.rows import ReportRows
from reports.text import quoted_name

SLUG, TITLE = "sources", "Sources"
LEAD = "Which sources bring leads that are qualified and won, how much, and how fast?"
QUALIFIED = (r"\b(sales (qualified|accepted)|sql|sal)\b", r"\b(qualified|mql)\b")
FEWEST_WINS = 30  # of a source, to compare how fast it is won


def sources_page(rows: ReportRows) -> Page:
    """Tell the way from lead to qualified to won for each source."""
    groups = rows.source
    if groups is None:
        needs = (
            "Conversion, revenue, time to win and average score by source. No column of the leads "
            'says where they came from: name it with [report] source = "…" in the project file.'
        )
        return Page(SLUG, TITLE, LEAD, sections=(Section("By source", needs=needs),))
    mature = rows.is_mature
    families = [group_contrasts(groups, mature, rows.won)]
    qualified = qualified_leads(rows)
    if qualified is not None:
        families.append(group_contrasts(groups, mature, qualified))
        families.append(group_contrasts(groups, mature & qualified, rows.won))
    families = correct_families(families)
    won = families[0]
    base = rows.rate[0] / max(rows.rate[1], 1)
    takeaways = strongest(
        zip(groups.names, won, strict=True),
        lambda name, found: f"Leads from {quoted_name(name)} convert {ratio_words(found)}.",
        "won_ratio",
        "sources-won",
        most=4,
    )
    figure = rates_figure(
        "sources-won",
        finding_of(groups.names, won, "convert", base),
        about_mature(rows),
        contrast_rows(groups.names, won),
        label="Source",
        metric="won_share",
        base=base,
        what="Conversion",
        ratio="won_ratio",
    )
    sections = [
        Section("Conversion by source", (_read_from(groups),), (figure,)),
        _way(rows, groups, families, qualified is not None),
    ]
    revenue, money = _revenue(rows, groups)
    speed, fast = _speed(rows, groups)
    sections += [revenue, speed]
    return Page(SLUG, TITLE, LEAD, (*takeaways, *money, *fast), tuple(sections))


def qualified_leads(rows: ReportRows) -> Any:
    """Tell which leads were qualified within the horizon; None if no stage says so."""
    stage = qualified_stage(rows)
    if rows.funnel is None or stage is None:
        return None
    at = rows.funnel.reached[:, rows.funnel.place(stage)]
    return (at - rows.horizon <= rows.created) | rows.won


def qualified_stage(rows: ReportRows) -> str | None:
    """Name the stage that makes a lead qualified: the project's, or the one whose name says so."""
    named = rows.project.report.qualified_stage
    if named is not None or rows.funnel is None:
        return named
    for pattern in QUALIFIED:
        for stage in rows.funnel.stages:
            if re.search(pattern, words_of(stage)):
                return stage
    return None


def _read_from(groups: Groups) -> str:
    return f"The source of a lead is what its column {quoted_name(groups.column)} says."


def _way(
    rows: ReportRows, groups: Groups, families: list[list[Contrast]], has_qualified: bool
) -> Section:
    k, mature = len(groups.names), rows.is_mature
    everyone = np.bincount(groups.code, minlength=k)
    is_open = np.bincount(groups.code[rows.is_open], minlength=k)
    score = np.full(k, np.nan)
    if rows.now is not None and len(rows.now):
        score = means_by(groups.code[rows.now.lead], rows.now.score.astype(float), k)["mean"]
    table: list[dict[str, Any]] = []
    for i, name in enumerate(groups.names):
        won = families[0][i]
        row: dict[str, Any] = {
            "name": name,
            "leads": int(everyone[i]),
            "n": won.n,
            "wins": won.wins,
            "value": finite(won.value),
            "open": int(is_open[i]),
            "score": finite(score[i]),
            "qualified": None,
            "qualified_share": None,
            "qualified_won": None,
        }
        if has_qualified:
            reached, closed = families[1][i], families[2][i]
            row |= {
                "qualified": reached.wins,
                "qualified_share": finite(reached.value),
                "qualified_won": finite(closed.value),
            }
        table.append(row)
    columns = [
        Column("name", "Source"),
        Column("leads", "Leads", "count", "leads"),
        Column("n", "Mature", "count", "mature_leads"),
        *(
            (
                Column("qualified", "Qualified", "count", "counted_wins"),
                Column("qualified_share", "Share qualified", "share", "qualified_share"),
                Column("qualified_won", "Won of them", "share", "qualified_won_share"),
            )
            if has_qualified
            else ()
        ),
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "won_share"),
        Column("open", "Open now", "count", "open_leads"),
        *((Column("score", "Average score", "score", "mean_score"),) if rows.now else ()),
    ]
    chart, finding = None, "What became of the leads of each source"
    if has_qualified:
        shown = [row for row in table if row["qualified_share"] is not None]
        stage = quoted_name(qualified_stage(rows))
        n_qualified = sum(row["qualified"] or 0 for row in table)
        finding = (
            f"{percent(n_qualified / max(int(mature.sum()), 1))} of the leads come as far as "
            f"{stage}, {percent(rows.rate[0] / max(rows.rate[1], 1))} are won"
        )
        series = (
            ("qualified_share", "qualified"),
            ("qualified_won", "won of the qualified"),
            ("value", "won"),
        )
        chart = series_chart(
            shown, finding, about_mature(rows), what="Share of leads", series=series
        )
    paragraphs: tuple[str, ...] = ()
    if not has_qualified:
        paragraphs = (
            "How many leads were qualified is not shown: no stage is named for it. Name one with "
            '[report] qualified_stage = "…".',
        )
    if rows.now is not None and rows.now.is_sample:
        paragraphs += (
            f"Average scores are of a random sample of {len(rows.now):,} of {rows.now.of:,} open "
            "leads.",
        )
    figure = Figure("sources-way", finding, about_mature(rows), tuple(columns), tuple(table), chart)
    return Section("From lead to won", tuple(paragraphs), (figure,))


def _revenue(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    heading, mature = "Revenue by source", rows.is_mature
    earned = np.where(rows.won, rows.amount, 0.0)[mature]
    if earned.sum() <= 0:
        needs = (
            "Revenue and revenue per lead of each source. The outcomes hold no amounts: name the "
            "column with [outcomes] amount, or [leads] amount."
        )
        return Section(heading, needs=needs), ()
    code, base = groups.code[mature], float(earned.mean())
    found = [mean_ratio(earned, code == i) for i in range(len(groups.names))]
    named = [(n, f) for n, f in zip(groups.names, found, strict=True) if f is not None]
    named = list(zip([n for n, _ in named], corrected([f for _, f in named]), strict=True))
    total, n_all = float(earned.sum()), len(earned)
    table = tuple(
        {
            "name": name,
            **each.row(),
            "revenue": each.value * each.n,
            "revenue_share": each.value * each.n / total,
            "lead_share": each.n / n_all,
        }
        for name, each in named
    )
    columns = (
        Column("name", "Source"),
        Column("n", "Leads", "count", "mature_leads"),
        Column("wins", "Wins with an amount", "count"),
        Column("revenue", "Revenue", "amount", "revenue"),
        Column("revenue_share", "Of all revenue", "share", "revenue_share"),
        Column("lead_share", "Of all leads", "share", "lead_share"),
        Column("value", "Revenue per lead", "amount", "revenue_per_lead"),
        Column("low", "from (95 %)", "amount"),
        Column("high", "to (95 %)", "amount"),
        Column("ratio", "Against all", "ratio"),
        Column("verdict", "Verdict"),
    )
    held = strongest(
        named,
        lambda name, each: (
            f"A lead from {quoted_name(name)} brings {ratio_words(each)} in revenue: "
            f"{each.value:,.0f} a lead against {base:,.0f}."
        ),
        "revenue_per_lead",
        "sources-revenue",
        most=2,
    )
    finding = (
        held[0].sentence.rstrip(".").partition(":")[0]
        if held
        else "Revenue per lead differs between sources by no more than chance"
    )
    about = about_mature(rows)
    chart = rates_chart(table, finding, about, what="Revenue per lead", base=base, form=",.0f")
    figure = Figure("sources-revenue", finding, about, columns, table, chart)
    return Section(heading, (), (figure,)), held


def _speed(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    heading = "Time to win by source"
    wins = rows.is_mature & rows.won & np.isfinite(rows.days_to_close)
    if not rows.has_times or not wins.any():
        needs = (
            "How many days pass from a lead's creation to its win, by source. That needs times: "
            "[leads] created_at and a closed_at of the outcomes."
        )
        return Section(heading, needs=needs), ()
    days, code = rows.days_to_close[wins], groups.code[wins]
    overall = middle(days)
    assert overall is not None
    names, table, looks = [], [], []
    for i, name in enumerate(groups.names):
        found = middle(days[code == i])
        if found is None:
            continue
        others = len(days) - found.n
        judged = found.n >= FEWEST_WINS and others >= FEWEST_WINS
        p = ranks_differ(days, code == i) if judged else None
        ratio = found.value / overall.value if overall.value else None
        each = (found.n, found.n, found.value, found.low, found.high, ratio)
        looks.append(Contrast(*each, p=p, others=others))
        names.append(name)
        table.append({"late": found.late})
    looks = corrected(looks)
    rows_ = tuple(
        {**each.row(), "name": name, **more}
        for name, each, more in zip(names, looks, table, strict=True)
    )
    columns = (
        Column("name", "Source"),
        Column("n", "Wins", "count"),
        Column("value", "Median days to win", "days", "days_to_win"),
        Column("low", "from (95 %)", "days"),
        Column("high", "to (95 %)", "days"),
        Column("late", "Nine of ten within", "days", "nine_of_ten"),
        Column("verdict", "Verdict"),
    )
    held = sorted(
        (pair for pair in zip(names, looks, strict=True) if pair[1].holds),
        key=lambda pair: pair[1].p or 0.0,
    )
    takeaways = tuple(
        Takeaway(
            f"Leads from {quoted_name(name)} that are won take {days_words(each.value)} to win "
            f"(median of {each.n:,}, {days_words(each.low)} to {days_words(each.high)}), against "
            f"{days_words(overall.value)} of all wins.",
            evidence_of(each, name=name),
            "days_to_win",
            "sources-speed",
        )
        for name, each in held[:1]
    )
    finding = (
        takeaways[0].sentence.partition(" (")[0]
        if takeaways
        else f"All sources take about {days_words(overall.value)} to win"
    )
    about = f"wins within {rows.horizon_days:g} days of mature leads, n = {len(days):,}"
    chart = rates_chart(
        rows_, finding, about, what="Median days to win", base=overall.value, form=","
    )
    figure = Figure("sources-speed", finding, about, columns, rows_, chart)
    return Section(heading, (), (figure,)), takeaways
