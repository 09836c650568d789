"""Inflation: whether more leads get good grades, and fewer of them are won."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools
from models.card import ModelCard
from models.evaluation.comparisons import CHANCE, Share, share_of
from models.evaluation.intervals import holm
from models.evaluation.trends import lasting_trend
from reports.charts.lines import lines_chart
from reports.content import Column, Figure, Section, ShareRow, Takeaway, cells_of
from reports.pages.groups import share_columns
from reports.pages.phrases import cut_words, month_name, months_of, of_words, share_words
from reports.pages.score.bands import at_creation
from reports.rows.rows import ReportRows
from reports.rows.scored import Scored, not_learned_from

MOST_MONTHS = 24
MEASURED_ON_LEARNED = "Measured on leads that the model learned from."
RISES, FALLS, NO_TREND = "rises", "falls", "shows no lasting trend"


@dataclass(frozen=True, kw_only=True)
class MonthGradeRow(ShareRow):
    """The leads of a month with a grade; `is_whole` if the horizon of all of them has passed."""

    x: str
    series: str
    grade: str
    is_whole: bool = True

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; months with young leads have no conversion yet."""
        cells = super().cells()
        hidden = not self.is_whole or self.share.n == 0
        blank = {"wins": None, "value": None, "low": None, "high": None} if hidden else {}
        shown = {key: cells[key] for key in ("name", "n", "wins", "value", "low", "high")}
        return {**shown, **blank, "x": self.x, "series": self.series}


def months_section(rows: ReportRows, card: ModelCard) -> tuple[Section, list[Takeaway]]:
    """Look for inflation: more good grades, and fewer wins among them."""
    heading = "Is a grade still worth the same?"
    scored, mature, won = at_creation(rows)
    if scored is None or not rows.has_times:
        needs = "Grades by month of creation. This needs [leads] created_at."
        return Section(heading, needs=needs), []
    shares, conversions = _month_rows(rows, scored, mature, won)
    unseen = not_learned_from(rows.created[scored.lead], card)[mature]
    is_learned = not len(unseen) or bool(unseen.mean() < 0.5)
    best = min(row.grade for row in shares)
    share_trend, won_trend = _trends(
        [row for row in shares if row.grade == best],
        [row for row in conversions if row.grade == best and _is_shown(row)],
    )
    n_early = int(rows.is_closed_early[scored.lead].sum())
    about = f"{len(scored) - n_early:,} leads, scored by today's model as of their creation"
    if n_early:
        about += f"; without {n_early:,} already won or lost when created"
    n_months = len(np.unique(months_of(rows.created[scored.lead])))
    cut = cut_words(min(n_months, MOST_MONTHS), n_months, "months", "the newest ones")
    figures = (
        _months_figure(
            "score-months-share",
            shares,
            f"The share of grade {best} {share_trend} over the months",
            about,
            share_columns("Share of the month's leads", "grade_share"),
            ("Leads of the month", "With the grade"),
            cut,
        ),
        replace(
            _months_figure(
                "score-months-won",
                conversions,
                f"The conversion of grade {best} {won_trend} over the months",
                about,
                share_columns("Conversion", "grade_won_share"),
                ("Leads with the grade", "Won"),
                cut,
            ),
            learned_from=is_learned,
        ),
    )
    takeaways = []
    if share_trend == RISES and won_trend == FALLS:
        takeaways = [_inflation([row for row in shares if row.grade == best])]
    elif won_trend == FALLS:
        shown = [row for row in conversions if row.grade == best and _is_shown(row)]
        takeaways = [_worth_less(shown)]
    if is_learned:
        takeaways = [
            replace(takeaway, sentence=f"{takeaway.sentence} {MEASURED_ON_LEARNED}")
            for takeaway in takeaways
        ]
    text = (
        "Inflation is when more and more leads get a good grade and fewer and fewer of them are "
        "won. One model scored all months here, so a change is a change of the leads."
    )
    return Section(heading, (text,), figures), takeaways


def _is_shown(row: MonthGradeRow) -> bool:
    return row.is_whole and row.share.n > 0


def _month_rows(
    rows: ReportRows, scored: Scored, mature: Bools, won: Bools
) -> tuple[list[MonthGradeRow], list[MonthGradeRow]]:
    """Build rows for each month and grade: the grade's share, and its conversion."""
    month = months_of(rows.created[scored.lead])
    shares, conversions = [], []
    for m in np.unique(month)[-MOST_MONTHS:]:
        in_month = (month == m) & ~rows.is_closed_early[scored.lead]
        name = month_name(int(m))
        for grade in sorted(set(scored.grade.tolist())):
            chosen = in_month & (scored.grade == grade)
            n, wins = int(chosen.sum()), int((won & chosen).sum())
            row = MonthGradeRow(
                name=f"{name} {grade}",
                share=share_of(n, int(in_month.sum())),
                x=name,
                series=f"grade {grade}",
                grade=grade,
            )
            shares.append(row)
            is_whole = bool(mature[in_month].all())
            conversions.append(replace(row, share=share_of(wins, n), is_whole=is_whole))
    return shares, conversions


def _months_figure(
    name: str,
    table: Sequence[MonthGradeRow],
    finding: str,
    about: str,
    share: tuple[Column, ...],
    count_titles: tuple[str, str],
    cut: str,
) -> Figure:
    cells = cells_of(table)
    chart = None
    if any(row["value"] is not None for row in cells):
        drawn = [{**row, "low": None, "high": None} for row in cells]
        chart = lines_chart(drawn, finding, about, x="Created in (UTC)", y=share[0].title)
    return Figure(
        name=name,
        finding=finding,
        about=about,
        columns=(
            Column("name", "Month and grade"),
            Column("x", "Month"),
            Column("series", "Grade"),
            Column("n", count_titles[0], "count"),
            Column("wins", count_titles[1], "count"),
            *share,
        ),
        rows=cells,
        chart=chart,
        note=f"Months with leads that are too young show no conversion. {cut}".strip(),
    )


def _trends(*series: Sequence[MonthGradeRow]) -> list[str]:
    """Return the direction of each series, corrected for the number of series."""
    trends = [
        lasting_trend(
            np.array([row.share.wins for row in table]), np.array([row.share.n for row in table])
        )
        for table in series
    ]
    ps = holm([p for _, p in trends])
    return [
        NO_TREND if p >= CHANCE else RISES if z > 0 else FALLS
        for (z, _), p in zip(trends, ps, strict=True)
    ]


def _inflation(shares: Sequence[MonthGradeRow]) -> Takeaway:
    last = shares[-1]
    return Takeaway(
        f"Inflation: more leads get grade {last.grade} month by month "
        f"({of_words(last.share)} in {last.x}), and fewer of them are won. Train again, or "
        "raise the lowest score of the grade.",
        last.cells(),
        "grade_share",
        "score-months-share",
    )


def _worth_less(conversions: Sequence[MonthGradeRow]) -> Takeaway:
    half = len(conversions) // 2
    first, last = _sum(conversions[:half]), _sum(conversions[-half:])
    return Takeaway(
        f"Grade {conversions[0].grade} is worth less than it was: its conversion falls from "
        f"{of_words(first)} up to {conversions[half - 1].x} to {share_words(last)} in the "
        f"last {half} months.",
        {"name": conversions[-1].x, **last.cells()},
        "grade_won_share",
        "score-months-won",
    )


def _sum(rows: Sequence[MonthGradeRow]) -> Share:
    return share_of(sum(row.share.wins for row in rows), sum(row.share.n for row in rows))
