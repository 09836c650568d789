"""Conversion by grade, and predicted chances compared with what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Share
from models.evaluation.differences import p_of, shares_differ
from models.evaluation.intervals import holm
from reports.charts.card import gains_chart, reliability_chart
from reports.content import Column, Figure, Row, TableRow, Takeaway
from reports.numbers import percent
from reports.pages.groups import interval_columns, share_columns
from reports.pages.phrases import interval_words, share_words

LEAST_FACTOR = 1.1  # between predicted and true chance; a smaller one is not a takeaway


@dataclass(frozen=True, kw_only=True)
class GradeRow(TableRow):
    """The leads with a grade; `n` counts scores, more than leads if leads were scored twice.

    Attributes
    ----------
    name : str
        The grade.
    n, n_leads, wins : int
        Scores, leads, and scores before a win.
    value, low, high : float
        The share of the scores that came before a win, with its interval, which treats the scores
        of one lead as one.
    stated : float
        The mean of the probabilities that the model predicted.
    share : float
        The grade's part of all scores.
    """

    stated: float
    low: float
    high: float
    share: float
    name: str
    n: int
    n_leads: int
    wins: int
    value: float

    @classmethod
    def of(cls, row: Row) -> "GradeRow":
        """Read a row of `models.evaluation.metrics.by_grade`."""
        return cls(
            stated=row["stated"],
            low=row["low"],
            high=row["high"],
            share=row["share"],
            name=row["grade"],
            n=int(row["n"]),
            n_leads=int(row["n_leads"]),
            wins=int(row["wins"]),
            value=row["won"],
        )

    @property
    def is_repeated(self) -> bool:
        """True if leads were scored several times, at several ages."""
        return self.n > self.n_leads

    def as_leads(self) -> tuple[int, int]:
        """Return wins and n as if each lead had been scored once.

        Several scores of one lead count as one piece of evidence.
        """
        return round(self.value * self.n_leads), self.n_leads

    def words(self) -> str:
        """Format the share with its interval."""
        if not self.is_repeated:
            share = Share(n=self.n, wins=self.wins, value=self.value, low=self.low, high=self.high)
            return share_words(share)
        return (
            f"{percent(self.value)} ({self.wins:,} of {self.n:,} scores of {self.n_leads:,} leads; "
            f"{interval_words(self.low, self.high)})"
        )


def grades_figure(grades: Sequence[GradeRow], name: str, about: str, chart: Any) -> Figure:
    """Build the figure of conversion by grade."""
    of = ("wins", "n_leads")
    counts: tuple[Column, ...] = (
        Column("n_leads", "Leads", "count"),
        Column("wins", "Won", "count"),
    )
    if any(row.is_repeated for row in grades):
        counts = (
            Column("n", "Scores", "count"),
            Column("n_leads", "Leads", "count"),
            Column("wins", "Before a win", "count"),
        )
        of = ("wins", "n")
    n_all = sum(row.n for row in grades)
    return Figure(
        name=name,
        finding=str(chart.title.text),
        about=about,
        columns=(
            Column("name", "Grade"),
            *counts,
            *share_columns("Conversion", "grade_won_share", of),
            Column("stated", "Predicted chance", "share", "stated_share"),
            Column("share", "Of all", "share", "score_part", ("n", "n_all")),
        ),
        rows=tuple({**row.cells(), "n_all": n_all} for row in grades),
        chart=chart,
    )


def best_and_worst(grades: Sequence[GradeRow], figure: Figure) -> list[Takeaway]:
    """Return a takeaway if the best and the worst grade clearly differ."""
    judged = [row for row in grades if row.n_leads >= FEWEST_LEADS]
    if len(judged) < 2:
        return []
    best, worst = judged[0], judged[-1]
    p = shares_differ(*best.as_leads(), *worst.as_leads())
    if p >= CHANCE:
        return []
    comparison = "more often than"
    if best.value < worst.value:
        comparison = "less often than"
    elif worst.value:
        factor = best.value / worst.value
        comparison = f"{factor:.{1 if factor < 10 else 0}f} times as often as"
    finding = f"Grade {best.name} leads are won {comparison} grade {worst.name} leads"
    if best.is_repeated or worst.is_repeated:
        finding = (
            f"Scores with grade {best.name} are followed by a win {comparison} scores with grade "
            f"{worst.name}"
        )
    return [
        Takeaway(
            f"{finding}: {best.words()} against {worst.words()}.{_measured_on(figure)}",
            {**best.cells(), "other": worst.value, "p": p},
            "grade_won_share",
            figure.name,
        )
    ]


def misstated(grades: Sequence[GradeRow], figure: Figure) -> list[Takeaway]:
    """Return a takeaway if predicted chances differ clearly, and by a tenth, from what happened.

    It describes the grade with the most certain difference, and counts the grades that differ in
    the same direction.
    """
    judged = [row for row in grades if row.n_leads >= FEWEST_LEADS and 0 < row.stated < 1]
    z = [
        (row.value - row.stated) / np.sqrt(row.stated * (1 - row.stated) / row.n_leads)
        for row in judged
    ]
    wrong = [
        (abs(deviate), p, row)
        for deviate, p, row in zip(z, holm([p_of(deviate) for deviate in z]), judged, strict=True)
        if p < CHANCE and not 1 / LEAST_FACTOR < row.value / row.stated < LEAST_FACTOR
    ]
    if not wrong:
        return []
    _, p, worst = max(wrong, key=lambda item: item[0])
    is_low = worst.stated < worst.value
    n_alike = sum((row.stated < row.value) == is_low for _, _, row in wrong)
    direction = "too low" if is_low else "too high"
    points = 100 * abs(worst.stated - worst.value)
    happened = "followed by a win" if worst.is_repeated else "won"
    others = ""
    if len(judged) > 1:
        others = f" The chances of {n_alike} of {len(judged)} grades are {direction}."
    return [
        Takeaway(
            f"The predicted chances of grade {worst.name} are {points:.0f} points {direction}: "
            f"{percent(worst.stated)} predicted, {worst.words()} {happened}.{others} Use the order "
            f"of the leads, not the percentages.{_measured_on(figure)}",
            {**worst.cells(), "p": p},
            "stated_share",
            figure.name,
        )
    ]


def _measured_on(figure: Figure) -> str:
    """Return a sentence about the leads of a figure."""
    return f" Measured on the {figure.about.partition(',')[0]}."


def curves(
    bins: Sequence[Row], best: Sequence[Row], name: str, about: str, *, of_scores: bool = False
) -> list[Figure]:
    """Build the figures of predicted against true shares, and of the wins of the best leads.

    With `of_scores`, leads were scored several times, and the rows count scores.
    """
    figures = []
    won = "Before a win" if of_scores else "Won"
    wins_reached = "Scores before a win reached" if of_scores else "Wins reached"
    if len(bins) > 1:
        chart = reliability_chart(bins, about, of_scores=of_scores)
        figures.append(
            Figure(
                name=f"{name}-reliability",
                finding=str(chart.title.text),
                about=about,
                columns=(
                    Column("bin", "Bin, best first"),
                    Column("n", "Scores", "count"),
                    Column("stated", "Predicted chance", "share", "stated_share"),
                    Column("won", won, "share", "grade_won_share", ("wins", "n")),
                    *interval_columns("share"),
                ),
                rows=tuple(bins),
                chart=chart,
            )
        )
    if best:
        chart = gains_chart(best, about, of_scores=of_scores)
        figures.append(
            Figure(
                name=f"{name}-gains",
                finding=str(chart.title.text),
                about=about,
                columns=(
                    Column("share", "Worked, best first", "share", "best_part", ("n", "n_all")),
                    Column("gain", wins_reached, "share", "gain", ("wins", "all_wins")),
                    *interval_columns("share"),
                    Column("lift", "Against random order", "ratio"),
                ),
                rows=tuple(best),
                chart=chart,
            )
        )
    return figures
