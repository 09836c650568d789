"""Does the score work? Conversion by grade and score, stated chances, gains, and inflation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit

from crm.arrays import Bools, Floats, Ints
from crm.times import DAY
from models.card import ModelCard
from models.evaluation.comparisons import (
    CHANCE,
    FEWEST_LEADS,
    Share,
    lasting_trend,
    p_of,
    share_of,
    shares_differ,
)
from models.evaluation.intervals import holm
from models.evaluation.metrics import FEWEST_TO_JUDGE, by_grade, gains, reliability
from reports.charts.card import gains_chart, grades_chart, reliability_chart
from reports.charts.report import lines_chart, rates_chart
from reports.content import (
    Column,
    Figure,
    Page,
    Row,
    Section,
    ShareRow,
    TableRow,
    Takeaway,
    cells_of,
)
from reports.numbers import percent
from reports.pages.phrases import (
    interval_columns,
    interval_words,
    mature_words,
    month_name,
    months_of,
    share_columns,
    share_words,
)
from reports.rows.rows import ReportRows
from reports.rows.scored import Scored, not_learned_from
from reports.text import NO_BREAK, printable

SLUG, TITLE = "score", "Does the score work?"
LEAD = "Do leads with better grades convert better, as often as stated, and is that still so?"
BAND = 10
MOST_MONTHS = 24
LEAST_FACTOR = 1.1  # between what is stated and what happens, for a sentence
USELESS_FACTOR = 1.5  # between them: what is stated is of no use
RISES, FALLS, NO_TREND = "rises", "falls", "shows no lasting trend"
OLDER_DAYS = 30  # than the oldest lead that the model learned from: too old for it to judge
NO_MODEL = (
    "Grades, and the outcomes of leads that had them. This needs a model: train one with "
    "leadscore train."
)


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
        The mean probability that the model stated.
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

        More scores of one lead are no more evidence.
        """
        return round(self.value * self.n_leads), self.n_leads

    def words(self) -> str:
        """Format the share with its interval."""
        if not self.is_repeated:
            share = Share(n=self.n, wins=self.wins, value=self.value, low=self.low, high=self.high)
            return share_words(share)
        return (
            f"{percent(self.value)} ({interval_words(self.low, self.high)}; {self.n:,} scores of "
            f"{self.n_leads:,} leads)"
        )


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
        kept = {key: cells[key] for key in ("name", "n", "wins", "value", "low", "high")}
        return {**kept, **blank, "x": self.x, "series": self.series}


def score_page(rows: ReportRows) -> Page:
    """Build the page about whether grades and probabilities come true."""
    if rows.scorer is None:
        section = Section("Grades", needs=NO_MODEL)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)
    takeaways: list[Takeaway] = []
    sections: list[Section] = []
    for section, found in (
        _of_the_card(rows.scorer.card, rows.is_part),
        _back_test(rows, rows.scorer.card),
        (_bands(rows), []),
        _months(rows),
    ):
        sections.append(section)
        takeaways += found
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=tuple(takeaways),
        sections=tuple(sections),
        keeps_leads=False,
    )


def _of_the_card(card: ModelCard, is_part: bool) -> tuple[Section, list[Takeaway]]:
    """Show the figures of the hold-out, whose leads the evaluated model had not seen.

    They are of all leads, so a report of some of them has no takeaways here.
    """
    heading, test = "On leads that it had not seen", card.test
    text = (
        "From the model card: the model was evaluated on leads that it had not learned from, then "
        "fitted again on all leads."
    )
    n, n_scores = test.get("n_leads", 0), test.get("n", 0)
    about = f"{printable(test.get('how', 'test leads'))}, n = {n:,} leads"
    if is_part:
        heading = "On leads that it had not seen, of all kinds"
        text += " These are all leads of its test, not only those that this report is of."
        about = f"all kinds of leads: {about}"
    if n_scores > n:
        about += f", scored {n_scores:,} times at several ages"
    figures: list[Figure] = []
    takeaways: list[Takeaway] = []
    grades = [GradeRow.of(row) for row in test.get("by_grade", ())]
    if grades:
        chart = grades_chart([{**row, "n": row["n_leads"]} for row in test["by_grade"]], about)
        figure = _grades_figure(grades, "score-test-grades", about, chart)
        takeaways = _best_and_worst(grades, figure) + _misstated(grades, figure)
        figures.append(figure)
    figures += _curves(test.get("reliability", ()), test.get("gains", ()), "score-test", about)
    if not figures:
        return Section(heading, needs="Figures of a test. This model card has none."), []
    return Section(heading, (text,), tuple(figures)), [] if is_part else takeaways


def _grades_figure(grades: Sequence[GradeRow], name: str, about: str, chart: Any) -> Figure:
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
    return Figure(
        name=name,
        finding=str(chart.title.text),
        about=about,
        columns=(
            Column("name", "Grade"),
            *counts,
            *share_columns("Conversion", "grade_won_share"),
            Column("stated", "Stated chance", "share", "stated_share"),
            Column("share", "Of all", "share", "score_part"),
        ),
        rows=cells_of(grades),
        chart=chart,
    )


def _best_and_worst(grades: Sequence[GradeRow], figure: Figure) -> list[Takeaway]:
    """Return a takeaway if the best and the worst grade clearly differ."""
    judged = [row for row in grades if row.n_leads >= FEWEST_LEADS]
    if len(judged) < 2:
        return []
    best, worst = judged[0], judged[-1]
    p = shares_differ(*best.as_leads(), *worst.as_leads())
    if p >= CHANCE:
        return []
    comparison = f"are won, but none of grade {worst.name}"
    if worst.value:
        factor = best.value / worst.value
        comparison = f"are won {factor:.1f} times as often as grade {worst.name} leads"
    return [
        Takeaway(
            f"Grade {best.name} leads {comparison}: {best.words()} against {worst.words()}; "
            f"{figure.about.partition(',')[0]}.",
            {**best.cells(), "other": worst.value, "p": p},
            "grade_won_share",
            figure.name,
        )
    ]


def _misstated(grades: Sequence[GradeRow], figure: Figure) -> list[Takeaway]:
    """Return a takeaway if stated chances clearly differ from what happened, and by a tenth.

    It is about the grade with the most certain difference, and says how many grades differ in the
    same direction.
    """
    judged = [row for row in grades if row.n_leads >= FEWEST_LEADS and 0 < row.stated < 1]
    z = [
        (row.value - row.stated) / np.sqrt(row.stated * (1 - row.stated) / row.n_leads)
        for row in judged
    ]
    wrong = [
        (abs(deviate), p, row)
        for deviate, p, row in zip(z, holm([p_of(each) for each in z]), judged, strict=True)
        if p < CHANCE and not 1 / LEAST_FACTOR < row.value / row.stated < LEAST_FACTOR
    ]
    if not wrong:
        return []
    _, p, worst = max(wrong, key=lambda item: item[0])
    is_low = worst.stated < worst.value
    n_alike = sum((row.stated < row.value) == is_low for _, _, row in wrong)
    direction = "too low" if is_low else "too high"
    return [
        Takeaway(
            f"Stated chances are {direction}: grade {worst.name} states {percent(worst.stated)}, "
            f"while {worst.words()} were won; {n_alike} of {len(judged)} grades "
            f"state{'s' if n_alike == 1 else ''} {'less' if is_low else 'more'} than comes true. "
            "Use the order of the leads, not the percentages; "
            f"{figure.about.partition(',')[0]}.",
            {**worst.cells(), "p": p},
            "stated_share",
            figure.name,
        )
    ]


def _curves(bins: Sequence[Row], best: Sequence[Row], name: str, about: str) -> list[Figure]:
    """Build the figures of stated against true shares, and of wins among the best-scored leads."""
    figures = []
    if len(bins) > 1:
        chart = reliability_chart(bins, about)
        figures.append(
            Figure(
                name=f"{name}-reliability",
                finding=str(chart.title.text),
                about=about,
                columns=(
                    Column("bin", "Bin, best first"),
                    Column("n", "Scores", "count"),
                    Column("stated", "Stated chance", "share", "stated_share"),
                    Column("won", "Won", "share", "grade_won_share"),
                    *interval_columns("share"),
                ),
                rows=tuple(bins),
                chart=chart,
            )
        )
    if best:
        chart = gains_chart(best, about)
        figures.append(
            Figure(
                name=f"{name}-gains",
                finding=str(chart.title.text),
                about=about,
                columns=(
                    Column("share", "Worked, best first", "share", "best_part"),
                    Column("gain", "Wins reached", "share", "gain"),
                    *interval_columns("share"),
                    Column("lift", "Against random order", "ratio"),
                ),
                rows=tuple(best),
                chart=chart,
            )
        )
    return figures


def _back_test(rows: ReportRows, card: ModelCard) -> tuple[Section, list[Takeaway]]:
    """Score the leads that were open one horizon ago as of then, and compare with their outcomes.

    Leads that the model has not learned from, if there are enough of them; else all.
    """
    days = f"{rows.horizon_days:g}{NO_BREAK}days"
    heading = f"Scores of {rows.horizon_days:g} days ago" if rows.has_times else "Earlier scores"
    before = rows.before
    if before is None or not rows.has_times:
        needs = "The outcomes of leads scored some time ago. This needs times, which are missing."
        return Section(heading, needs=needs), []
    won = rows.won_within(before.lead, before.as_of)
    unseen = not_learned_from(rows.created[before.lead], card)
    flatters = not _has_enough(won[unseen])
    chosen = np.ones(len(before), dtype=bool) if flatters else unseen
    label = won[chosen].astype(np.int8)
    if not _has_enough(won[chosen]):
        needs = (
            f"At least {FEWEST_TO_JUDGE} wins and as many others among the leads that were open "
            f"{days} ago; there are {int(label.sum()):,} wins of {len(label):,} leads."
        )
        return Section(heading, needs=needs), []
    text = f"Today's model scored the leads that were open {days} ago from what was known then. "
    if flatters:
        text += (
            "It has since learned from these very leads, which flatters it: read the figures of "
            "unseen leads above first."
        )
    else:
        text += "Only leads that it has not learned from are shown."
    if before.is_sample:
        text += f" They are a random sample of {len(before):,} of {before.of:,}."
    about = f"leads open {days} ago, n = {len(label):,}"
    probability, lead = before.probability[chosen], before.lead[chosen]
    weight = np.ones(len(label))
    rows_by_grade = by_grade(probability, before.grade[chosen], label, weight, lead)
    grades = [GradeRow.of(row) for row in rows_by_grade]
    chart = grades_chart([{**row, "n": row["n_leads"]} for row in rows_by_grade], about)
    figure = _grades_figure(grades, "score-back-grades", about, chart)
    misstated = _misstated_average(probability, label, about)
    factor = probability.mean() / label.mean()
    if misstated and not 1 / USELESS_FACTOR < factor < USELESS_FACTOR:
        text += unlearned_age((before.as_of - rows.created[before.lead])[chosen], card)
    margin = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    bins, best = reliability(margin, label, weight, lead), gains(margin, label, weight, lead)
    figures = [figure, *_curves(bins, best, "score-back", about)]
    takeaways = [] if flatters else _best_and_worst(grades, figure) + misstated
    return Section(heading, (text,), tuple(figures)), takeaways


def unlearned_age(age: Ints, card: ModelCard) -> str:
    """Return a sentence if most leads are older than all that the model has learned from.

    Parameters
    ----------
    age : ndarray of int64, shape (n,)
        The age of the leads when they were scored, in microseconds.
    card : ModelCard

    Returns
    -------
    str
        With a space before it; empty if most leads are younger.
    """
    learned = [row["age_days"] for row in card.test.get("by_age", ())]
    oldest = max(learned, default=math.inf)
    share = float((age > (oldest + OLDER_DAYS) * DAY).mean())
    if share < 0.5:
        return ""
    ages = " and ".join(f"{days:g}" for days in learned)
    return (
        f" Its stated chances do not fit these leads: {percent(share)} of them were older than any "
        f"lead that it learned from; it knows leads of {ages}{NO_BREAK}days. Name more ages in "
        "[learn] moments_days, and train again."
    )


def _has_enough(won: Bools) -> bool:
    return min(int(won.sum()), len(won) - int(won.sum())) >= FEWEST_TO_JUDGE


def _misstated_average(probability: Floats, label: Any, about: str) -> list[Takeaway]:
    """Return a takeaway if the average stated chance clearly differs from what happened."""
    stated, share = float(probability.mean()), share_of(int(label.sum()), len(label))
    deviation = float(np.sqrt((probability * (1 - probability)).sum())) / len(label)
    p = p_of((share.value - stated) / max(deviation, 1e-12))
    if p >= CHANCE:
        return []
    direction = "high" if stated > share.value else "low"
    return [
        Takeaway(
            f"Stated chances are too {direction}: {percent(stated)} on average, while "
            f"{share_words(share)} were won; {about.partition(',')[0]}. Train again.",
            {**share.cells(), "stated": stated, "p": p},
            "stated_share",
            "score-back-reliability",
        )
    ]


def _at_creation(rows: ReportRows) -> tuple[Scored | None, Bools, Bools]:
    """Return the scores at creation, which of the leads are mature, and which were won."""
    scored = rows.arrival
    if scored is None:
        return None, np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    return scored, rows.is_mature[scored.lead], rows.won[scored.lead]


def _bands(rows: ReportRows) -> Section:
    heading = "By score"
    scored, mature, won = _at_creation(rows)
    if scored is None or not mature.any():
        return Section(heading, needs="Leads whose outcome is certain.")
    band = scored.score // BAND
    table = [
        ShareRow(
            name=f"{max(b * BAND, 1)} to {b * BAND + BAND - 1}",
            share=share_of(
                int((won & mature & (band == b)).sum()), int((mature & (band == b)).sum())
            ),
        )
        for b in np.unique(band[mature])[::-1]
    ]
    about = "leads with an outcome, scored by the table as it is now"
    if rows.has_times:
        about = f"{mature_words(rows)}, scored as of their creation"
    about += f", n = {int(mature.sum()):,}"
    if scored.is_sample:
        about += f", a random sample of all {scored.of:,} leads"
    enough = [row for row in table if row.share.n >= FEWEST_LEADS]
    finding = f"No band of scores has {FEWEST_LEADS} leads or more"
    if enough:
        best, worst = enough[0], enough[-1]
        finding = f"{percent(best.share.value)} of the leads that score {best.name} are won"
        if len(enough) > 1:
            finding += f", {percent(worst.share.value)} of those that score {worst.name}"
    cells = cells_of(table)
    figure = Figure(
        name="score-bands",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Score"),
            Column("n", "Leads", "count"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion", "grade_won_share"),
        ),
        rows=cells,
        chart=rates_chart(cells, finding, about, what="Conversion", base=float(won[mature].mean())),
        note="The model has learned from most of these leads, which flatters it.",
    )
    return Section(heading, figures=(figure,))


def _months(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Look for inflation: more good grades, and fewer wins among them."""
    heading = "Is a grade still worth the same?"
    scored, mature, won = _at_creation(rows)
    if scored is None or not rows.has_times:
        needs = "Grades by month of creation. This needs [leads] created_at."
        return Section(heading, needs=needs), []
    shares, conversions = _month_rows(rows, scored, mature, won)
    best = min(row.grade for row in shares)
    share_trend, won_trend = _trends(
        [row for row in shares if row.grade == best],
        [row for row in conversions if row.grade == best and _is_shown(row)],
    )
    about = f"leads scored by today's model as of their creation, n = {len(scored):,}"
    figures = (
        _months_figure(
            "score-months-share",
            shares,
            f"The share of grade {best} {share_trend} over the months",
            about,
            share_columns("Share of the month's leads", "grade_share"),
            ("Leads of the month", "With the grade"),
        ),
        _months_figure(
            "score-months-won",
            conversions,
            f"The conversion of grade {best} {won_trend} over the months",
            about,
            share_columns("Conversion", "grade_won_share"),
            ("Leads with the grade", "Won"),
        ),
    )
    takeaways = []
    if share_trend == RISES and won_trend == FALLS:
        takeaways = [_inflation([row for row in shares if row.grade == best])]
    elif won_trend == FALLS:
        shown = [row for row in conversions if row.grade == best and _is_shown(row)]
        takeaways = [_worth_less(shown)]
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
        here = month == m
        name = month_name(int(m))
        for grade in sorted(set(scored.grade.tolist())):
            chosen = here & (scored.grade == grade)
            n, wins = int(chosen.sum()), int((won & chosen).sum())
            row = MonthGradeRow(
                name=f"{name} {grade}",
                share=share_of(n, int(here.sum())),
                x=name,
                series=f"grade {grade}",
                grade=grade,
            )
            shares.append(row)
            is_whole = bool(mature[here].all())
            conversions.append(replace(row, share=share_of(wins, n), is_whole=is_whole))
    return shares, conversions


def _months_figure(
    name: str,
    table: Sequence[MonthGradeRow],
    finding: str,
    about: str,
    share: tuple[Column, ...],
    count_titles: tuple[str, str],
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
        note="Months with leads that are too young have no conversion.",
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
        f"({percent(last.share.value)} in {last.x}) and fewer of them are won. Train again, or "
        "raise the least score of the grade.",
        last.cells(),
        "grade_share",
        "score-months-share",
    )


def _worth_less(conversions: Sequence[MonthGradeRow]) -> Takeaway:
    half = len(conversions) // 2
    first, last = _sum(conversions[:half]), _sum(conversions[-half:])
    return Takeaway(
        f"Grade {conversions[0].grade} is worth less than it was: its conversion falls from "
        f"{percent(first.value)} up to {conversions[half - 1].x} to {share_words(last)} in the "
        f"last {half} months.",
        {"name": conversions[-1].x, **last.cells()},
        "grade_won_share",
        "score-months-won",
    )


def _sum(rows: Sequence[MonthGradeRow]) -> Share:
    return share_of(sum(row.share.wins for row in rows), sum(row.share.n for row in rows))
