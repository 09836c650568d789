"""Service levels: what marketing hands over and how sales works it, by grade and week."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats, Ints, Objects
from crm.times import DAY, HOUR
from features.events import NEVER
from models.evaluation.comparisons import (
    CHANCE,
    FEWEST_LEADS,
    MedianInterval,
    Share,
    median_interval,
    share_of,
    shares_differ,
)
from reports.charts.report import lines_chart, rates_chart
from reports.content import Column, Figure, Page, Section, TableRow, Takeaway, cells_of
from reports.numbers import percent
from reports.pages.phrases import day_name, finite, interval_columns, share_columns, share_words
from reports.pages.sources import qualified_stage
from reports.rows.rows import ReportRows
from reports.rows.scored import not_learned_from, score_moments
from reports.text import NO_BREAK, quoted_name

SLUG, TITLE = "service-levels", "Service levels"
LEAD = (
    "How many leads are handed over, how fast and how many of them does sales work, and is that "
    "what both teams promised?"
)
WEEKS = 13
WEEK = 7 * DAY
TO_WORK = 7 * DAY  # the longest wait of a worked lead
MONDAY = 4 * DAY  # 1 January 1970 was a Thursday
QUIET = 3 * DAY  # a week is complete even if no lead came on its last days
ALL = "all"
NOT_SCORED = "not scored"
MOST_GRADED = 300_000  # more leads than these are "not scored"
SALES_COLUMNS = (  # that need sales activities
    "hours",
    "hours_low",
    "hours_high",
    "hours_late",
    "n",
    "wins",
    "value",
    "low",
    "high",
    "untouched",
)


@dataclass(frozen=True, kw_only=True)
class HandedRow(TableRow):
    """The leads of a grade that were handed over in a period, worked and converted.

    Attributes
    ----------
    grade : str
        Or `ALL`.
    handed : int
        Leads handed over.
    a_week : float
        The same for an average week.
    worked : Share
        Leads worked within 7 days, of those that are old enough.
    hours : MedianInterval or None
        From the handover to the first sales activity; infinite if that has not come.
    untouched : int
        Leads that are old enough and were not worked at all.
    won : Share
        Leads won within a horizon after the handover, of those whose horizon ended in the period.
    """

    grade: str
    handed: int
    a_week: float
    worked: Share
    hours: MedianInterval | None
    untouched: int
    won: Share

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; a median that has not come is None."""
        hours = self.hours
        won = self.won.cells()
        return {
            "name": self.grade,
            "handed": self.handed,
            "a_week": self.a_week,
            "hours": finite(hours.value) if hours else None,
            "hours_low": finite(hours.low) if hours else None,
            "hours_high": finite(hours.high) if hours else None,
            "hours_late": finite(hours.late) if hours else None,
            "untouched": self.untouched,
            **self.worked.cells(),
            "mature": won["n"],
            "won": won["wins"],
            "won_share": won["value"],
            "won_low": won["low"],
            "won_high": won["high"],
        }


@dataclass(frozen=True, kw_only=True)
class Week:
    """One week: all leads, the leads of each grade, and the deals of the week."""

    day: str
    every: HandedRow
    by_grade: tuple[HandedRow, ...]
    deals: int
    revenue: float | None

    def cells(self) -> dict[str, Any]:
        """Return the cells of the row of all leads."""
        return {
            **self.every.cells(),
            **{f"handed_{row.grade}": row.handed for row in self.by_grade},
            "deals": self.deals,
            "revenue": self.revenue,
            "name": self.day,
        }

    def grade_cells(self) -> list[dict[str, Any]]:
        """Return the cells of a row for each grade."""
        return [
            {
                **row.cells(),
                "name": f"{self.day} {row.grade}",
                "week": self.day,
                "grade": row.grade,
            }
            for row in self.by_grade
        ]


class Kept(StrEnum):
    """Whether a promise is kept."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "not known"
    FEW_LEADS = "too few leads"


@dataclass(frozen=True, kw_only=True)
class PromiseRow(TableRow):
    """A promise and the result; `n` leads decide, if the promise is about a share or a median."""

    name: str
    target: float
    actual: float | None
    n: int | None
    is_kept: bool | None

    @property
    def kept(self) -> Kept:
        """Whether the promise is kept."""
        if self.n is not None and self.n < FEWEST_LEADS:
            return Kept.FEW_LEADS
        if self.is_kept is None:
            return Kept.UNKNOWN
        return Kept.YES if self.is_kept else Kept.NO

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            "name": self.name,
            "target": self.target,
            "actual": self.actual,
            "n": self.n,
            "kept": self.kept.value,
        }


@dataclass(frozen=True, kw_only=True)
class _Handed:
    """Leads and their handover to sales.

    Attributes
    ----------
    rows : ReportRows
    at : ndarray of int64, shape (n,)
        The time of each handover; `NEVER` for a lead that was not handed over.
    last : int
        The end of the last complete week, in microseconds.
    grade : ndarray of object, shape (n,)
        The grade at the handover by the model of the report; `ALL` without a model.
    """

    rows: ReportRows
    at: Ints
    last: int
    grade: Objects

    @property
    def first(self) -> int:
        """The beginning of the first week shown."""
        return self.last - WEEKS * WEEK

    @cached_property
    def grades(self) -> list[str]:
        """The grades of the leads of these weeks, and those that have a promise."""
        return sorted({*self.grade[self.within(self.first, self.last)], *_promised(self.rows)})

    @property
    def has_grades(self) -> bool:
        """True if a model graded the leads."""
        return self.grades != [ALL]

    @cached_property
    def touched(self) -> Ints:
        """The time of the first sales activity after the handover; `NEVER` without one."""
        return self.rows.first_sales_after(np.where(self.at == NEVER, self.rows.as_of, self.at))

    @cached_property
    def hours(self) -> Floats:
        """Hours from the handover to the first sales activity; infinite without one."""
        is_touched = self.touched != NEVER
        waited = (np.where(is_touched, self.touched, 0) - self.at) / HOUR
        return np.where(is_touched, waited, np.inf)

    def within(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Return which leads of a grade were handed over in a period."""
        inside = (self.at >= begin) & (self.at < end)
        return inside if grade == ALL else inside & (self.grade == grade)

    def watched(self, begin: int, end: int, grade: str = ALL, span: int = TO_WORK) -> Bools:
        """Return which of these leads were handed over at least `span` microseconds ago."""
        return self.within(begin, end, grade) & (np.minimum(self.at, end) + span <= self.rows.as_of)

    def matured(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Return which leads were handed over one horizon before a period."""
        return self.within(begin - self.rows.horizon, end - self.rows.horizon, grade)

    def closed(self, begin: int, end: int) -> Bools:
        """Return which leads were won in a period."""
        return self.rows.is_won & (self.rows.closed >= begin) & (self.rows.closed < end)

    def row(self, grade: str, begin: int, end: int) -> HandedRow:
        """Count the leads that were handed over, worked and converted in a period."""
        handed = int(self.within(begin, end, grade).sum())
        old = self.watched(begin, end, grade)
        mature = np.flatnonzero(self.matured(begin, end, grade))
        won = self.rows.won_within(mature, self.at[mature])
        return HandedRow(
            grade=grade,
            handed=handed,
            a_week=handed / WEEKS,
            worked=share_of(int((self.hours[old] <= TO_WORK / HOUR).sum()), int(old.sum())),
            hours=median_interval(self.hours[old]),
            untouched=int((self.touched[old] == NEVER).sum()),
            won=share_of(int(won.sum()), len(mature)),
        )


def service_page(rows: ReportRows) -> Page:
    """Build the page about leads handed over, worked and won in the last complete weeks."""
    heading = "By grade"
    if not rows.has_times:
        needs = (
            "Leads handed over per grade and week, hours to the first sales activity, share "
            "worked, converted, and revenue. This needs the time at which each lead was created."
        )
        return _page(Section(heading, needs=needs))
    at, basis = _handed_over(rows)
    end = min(rows.as_of, rows.leads_until + QUIET)
    last = (end - MONDAY) // WEEK * WEEK + MONDAY
    if end < rows.as_of:
        basis += (
            f" The newest lead is of {day_name(rows.leads_until)}, other records go on to "
            f"{day_name(rows.as_of)}: weeks are shown up to the newest lead."
        )
    handed = _Handed(rows=rows, at=at, last=last, grade=_grades(rows, at, last))
    if not handed.within(handed.first, last).any():
        needs = f"Leads handed over in the last {WEEKS} complete weeks; there are none. {basis}"
        return _page(Section(heading, needs=needs))
    grades = [*handed.grades, ALL] if handed.has_grades else [ALL]
    table = [handed.row(grade, handed.first, last) for grade in grades]
    return _page(
        Section(heading, _basis(handed, table[-1], basis), (_grades_figure(handed, table),)),
        _promises(handed, table),
        _weeks(handed),
        takeaways=_best_grade(handed),
    )


def _page(*sections: Section, takeaways: tuple[Takeaway, ...] = ()) -> Page:
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=takeaways,
        sections=sections,
        keeps_leads=False,
        is_sheet=True,
    )


def _handed_over(rows: ReportRows) -> tuple[Ints, str]:
    """Return the time of each handover, `NEVER` without one, and a sentence about its meaning."""
    stage = qualified_stage(rows)
    if stage is None or rows.funnel is None:
        return rows.created, (
            "A lead counts as handed over when it is created, because no stage says otherwise: "
            "name one with [report] qualified_stage."
        )
    return rows.funnel.reached[:, rows.funnel.place(stage)], (
        f"A lead counts as handed over when it enters {quoted_name(stage)} or a later stage."
    )


def _grades(rows: ReportRows, at: Ints, last: int) -> Objects:
    """Score the leads that were handed over in the weeks, or whose horizon ended in them."""
    grade = np.full(len(rows), ALL, dtype=object)
    if rows.scorer is not None:
        ends = np.array([last, last - rows.horizon])[:, None]
        lead = np.flatnonzero(((at >= ends - WEEKS * WEEK) & (at < ends)).any(axis=0))
        scored = score_moments(rows.scorer, rows.records, lead, at[lead], MOST_GRADED)
        grade[lead] = NOT_SCORED
        grade[scored.lead] = scored.grade
    return grade


def _promised(rows: ReportRows) -> set[str]:
    """Return the grades of the model that have a promise."""
    if rows.scorer is None:
        return set()
    targets, scale = rows.project.report.targets, rows.scorer.scale
    named = {*targets.leads_per_week, *targets.first_touch_hours}
    named |= {*targets.worked_share, *targets.won_share}
    return named & {*(grade for grade, _ in scale.grades), scale.lowest}


def _basis(handed: _Handed, total: HandedRow, basis: str) -> tuple[str, ...]:
    """Return sentences about what counts as handed over, worked and converted."""
    rows = handed.rows
    if rows.sales:
        sales = "Sales activities: " + ", ".join(map(quoted_name, rows.sales))
        channels = rows.project.report.sales_channels
        if channels:
            channel_names = " or ".join(map(quoted_name, channels))
            sales += f"; only those whose channel is {channel_names}"
        sales += "."
    else:
        sales = (
            "Hours and shares worked are not shown, because it is not known which activities are "
            'sales\' work: name them with [report] sales_activities = ["…"].'
        )
    days = f"{rows.horizon_days:g}{NO_BREAK}days"
    conversion = f"Conversion is not shown: no lead was handed over {days} before these weeks."
    if total.won.n:
        conversion = (
            f"Conversion is shown for the {total.won.n:,} leads whose {days} after the handover "
            f"ended in these weeks.{_flattery(handed)}"
        )
    return basis, sales, conversion


def _grades_figure(handed: _Handed, table: Sequence[HandedRow]) -> Figure:
    columns: tuple[Column, ...] = (
        Column("name", "Grade"),
        Column("handed", "Handed over", "count", "handed_over"),
        Column("a_week", "A week", "ratio", "handed_over"),
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        *interval_columns("ratio", "hours_"),
        Column("hours_late", "Hours, nine of ten", "ratio", "nine_of_ten"),
        Column("n", "Old enough to be worked", "count"),
        Column("wins", "Worked", "count"),
        *share_columns("Worked within 7 days", "worked_share"),
        Column("untouched", "Not worked at all", "count", "untouched"),
        Column("mature", "Horizon ended", "count", "handed_mature"),
        Column("won", "Won of these", "count", "counted_wins"),
        Column("won_share", "Converted", "share", "handed_won_share"),
        *interval_columns("share", "won_"),
    )
    cells = cells_of(table)
    total = table[-1]
    about = f"leads handed over in {_window(handed)}, n = {total.handed:,}"
    chart, finding = None, f"{total.handed:,} leads were handed over"
    if not handed.rows.sales:
        columns = tuple(column for column in columns if column.key not in SALES_COLUMNS)
    elif any(row.worked.n for row in table):
        worked = total.worked.value if total.worked.n else 0.0
        finding = f"{percent(worked, 0)} of the leads handed over are worked within 7 days"
        drawn = [row for row in cells if row["value"] is not None]
        chart = rates_chart(drawn, finding, about, what="Worked within 7 days", base=None)
    return Figure(
        name="service-grades",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells,
        chart=chart,
        note="Medians are empty where most leads have no sales activity yet.",
    )


def _window(handed: _Handed) -> str:
    return f"{WEEKS} weeks to {day_name(handed.last - DAY)}"


def _flattery(handed: _Handed) -> str:
    """Return a sentence if the model has learned the outcomes of most leads that it graded."""
    if handed.rows.scorer is None:
        return ""
    mature = handed.matured(handed.first, handed.last)
    unseen = not_learned_from(handed.rows.created[mature], handed.rows.scorer.card)
    if unseen.mean() >= 0.5:
        return ""
    return (
        " The model that gives the grades has learned from most of them, which makes good grades "
        "look better than they are on new leads."
    )


def _promises(handed: _Handed, table: Sequence[HandedRow]) -> Section:
    """Compare the promises with the results."""
    heading = "What was promised"
    promises = _promise_rows(handed, {row.grade: row for row in table})
    if not promises:
        needs = (
            "What both teams promised, and the results. Write the promises into [report.targets]: "
            "leads_per_week, first_touch_hours, worked_share and won_share by grade, and "
            "revenue_per_week."
        )
        return Section(heading, needs=needs)
    n_kept = sum(row.kept == Kept.YES for row in promises)
    n_unknown = sum(row.kept in (Kept.UNKNOWN, Kept.FEW_LEADS) for row in promises)
    finding = f"{n_kept} of {len(promises)} promises are kept"
    if n_unknown:
        finding += f", {n_unknown} cannot be judged"
    note = ""
    if any(row.kept == Kept.NO and row.actual is None for row in promises):
        note = "Where a promise of hours is broken and no median is given, most leads still wait."
    figure = Figure(
        name="service-promises",
        finding=finding,
        about=_window(handed),
        columns=(
            Column("name", "Promise"),
            Column("target", "Target", "ratio", "target"),
            Column("actual", "Result", "ratio", "target"),
            Column("n", "Leads", "count"),
            Column("kept", "Kept"),
        ),
        rows=cells_of(promises),
        note=note,
    )
    return Section(heading, figures=(figure,))


def _promise_rows(handed: _Handed, rows: Mapping[str, HandedRow]) -> list[PromiseRow]:
    targets, has_sales = handed.rows.project.report.targets, bool(handed.rows.sales)
    promises = []
    for grade, target in sorted(targets.leads_per_week.items()):
        actual = rows[grade].a_week if grade in rows else None
        promises.append(_at_least(f"Grade {grade}: leads handed over a week", target, actual))
    for grade, target in sorted(targets.first_touch_hours.items()):
        promises.append(_waiting(handed, grade, target, has_sales and grade in rows))
    for grade, target in sorted(targets.worked_share.items()):
        share = rows[grade].worked if grade in rows and has_sales else None
        promises.append(_share_promise(f"Grade {grade}: share worked within 7 days", target, share))
    for grade, target in sorted(targets.won_share.items()):
        share = rows[grade].won if grade in rows else None
        promises.append(_share_promise(f"Grade {grade}: share converted", target, share))
    if targets.revenue_per_week is not None:
        earned = _earned(handed.rows, handed.closed(handed.first, handed.last))
        actual = None if earned is None else earned / WEEKS
        promises.append(_at_least("Revenue won a week", targets.revenue_per_week, actual))
    return promises


def _waiting(handed: _Handed, grade: str, target: float, is_known: bool) -> PromiseRow:
    """Compare a promise of hours with the median wait of leads watched for longer than that.

    If most of them still wait, the median is not known, but it is longer than promised.
    """
    name = f"Grade {grade}: median hours to the first sales activity"
    if not is_known:
        return PromiseRow(name=name, target=target, actual=None, n=None, is_kept=None)
    span = max(TO_WORK, int(target * HOUR))
    waits = handed.hours[handed.watched(handed.first, handed.last, grade, span)]
    interval = median_interval(waits)
    median = np.inf if interval is None else interval.value
    return PromiseRow(
        name=name, target=target, actual=finite(median), n=len(waits), is_kept=median <= target
    )


def _share_promise(name: str, target: float, share: Share | None) -> PromiseRow:
    if share is None:
        return _at_least(name, target, None)
    return _at_least(name, target, finite(share.value), share.n)


def _at_least(name: str, target: float, actual: float | None, n: int | None = None) -> PromiseRow:
    is_kept = None if actual is None else actual >= target
    return PromiseRow(name=name, target=target, actual=actual, n=n, is_kept=is_kept)


def _earned(rows: ReportRows, won: Bools) -> float | None:
    """Return the sum of the amounts; None if no win has one."""
    return float(rows.amount[won].sum()) if rows.amount.any() else None


def _weeks(handed: _Handed) -> Section:
    """Show the weeks one by one, of all leads and by grade."""
    weeks = [_week(handed, begin) for begin in range(handed.first, handed.last, WEEK)]
    figures = [_weeks_figure(handed, weeks)]
    if handed.has_grades:
        figures.append(_weeks_by_grade(handed, weeks))
    return Section("Week by week", figures=tuple(figures))


def _week(handed: _Handed, begin: int) -> Week:
    end = begin + WEEK
    grades = handed.grades if handed.has_grades else []
    closed = handed.closed(begin, end)
    return Week(
        day=day_name(begin),
        every=handed.row(ALL, begin, end),
        by_grade=tuple(handed.row(grade, begin, end) for grade in grades),
        deals=int(closed.sum()),
        revenue=_earned(handed.rows, closed),
    )


def _week_columns(handed: _Handed) -> tuple[Column, ...]:
    """Describe the columns of both tables of weeks."""
    columns = (
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        Column("value", "Worked within 7 days", "share", "worked_share"),
        Column("mature", "Horizon ended", "count", "handed_mature"),
        Column("won_share", "Converted", "share", "handed_won_share"),
    )
    if handed.rows.sales:
        return columns
    return tuple(column for column in columns if column.key not in SALES_COLUMNS)


def _about_weeks(weeks: Sequence[Week]) -> str:
    n = sum(week.every.handed for week in weeks)
    return f"{WEEKS} complete weeks from Monday, UTC, n = {n:,}"


def _weeks_figure(handed: _Handed, weeks: Sequence[Week]) -> Figure:
    grades = handed.grades if handed.has_grades else []
    n = sum(week.every.handed for week in weeks)
    finding, about = f"{n / WEEKS:,.0f} leads a week are handed over", _about_weeks(weeks)
    chart = None
    if not grades:
        points = [
            {"x": week.day, "series": ALL, "value": week.every.handed, "n": week.every.handed}
            for week in weeks
        ]
        chart = _handed_chart(points, finding, about)
    return Figure(
        name="service-weeks",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Week from"),
            Column("handed", "Handed over", "count", "handed_over"),
            *(
                Column(f"handed_{grade}", _grade_words(grade), "count", "handed_over")
                for grade in grades
            ),
            *_week_columns(handed),
            Column("deals", "Deals won in the week", "count", "week_deals"),
            Column("revenue", "Revenue won in the week", "amount", "week_revenue"),
        ),
        rows=tuple(week.cells() for week in weeks),
        chart=chart,
        note="Worked: leads handed over in the week; empty if that is less than 7 days ago. "
        f"Converted: leads handed over {handed.rows.horizon_days:g}{NO_BREAK}days before.",
    )


def _weeks_by_grade(handed: _Handed, weeks: Sequence[Week]) -> Figure:
    best = handed.grades[0]
    n_best = sum(row.handed for week in weeks for row in week.by_grade if row.grade == best)
    n = sum(week.every.handed for week in weeks)
    finding = (
        f"{n_best / WEEKS:,.0f} of {n / WEEKS:,.0f} leads a week are handed over as grade {best}"
    )
    about = _about_weeks(weeks)
    points = [
        {"x": week.day, "series": _grade_words(row.grade), "value": row.handed, "n": row.handed}
        for week in weeks
        for row in week.by_grade
    ]
    return Figure(
        name="service-weeks-grades",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Week and grade"),
            Column("week", "Week from"),
            Column("grade", "Grade"),
            Column("handed", "Handed over", "count", "handed_over"),
            *_week_columns(handed),
        ),
        rows=tuple(cells for week in weeks for cells in week.grade_cells()),
        chart=_handed_chart(points, finding, about),
    )


def _handed_chart(points: list[dict[str, Any]], finding: str, about: str) -> Any:
    return lines_chart(points, finding, about, x="Week from", y="Leads handed over", form=",.0f")


def _grade_words(grade: str) -> str:
    """Return the name of a grade for a place where nothing else says that it is a grade."""
    return grade.capitalize() if grade == NOT_SCORED else f"Grade {grade}"


def _best_grade(handed: _Handed) -> tuple[Takeaway, ...]:
    """Return a takeaway if leads of the best grade are clearly worked more, or less, often."""
    grades = handed.grades
    if not handed.rows.sales or len(grades) < 2:
        return ()
    is_best = handed.grade == grades[0]
    old = handed.watched(handed.first, handed.last)
    is_worked = handed.hours <= TO_WORK / HOUR
    best, rest = (
        share_of(int((is_worked & leads).sum()), int(leads.sum()))
        for leads in (old & is_best, old & ~is_best)
    )
    if min(best.n, rest.n) < FEWEST_LEADS:
        return ()
    p = shares_differ(best.wins, best.n, rest.wins, rest.n)
    if p >= CHANCE:
        return ()
    way = "more" if best.value > rest.value else "less"
    return (
        Takeaway(
            f"Sales works grade {grades[0]} {way} often within 7 days than the other grades: "
            f"{share_words(best)} against {share_words(rest)}.",
            {**best.cells(), "rest": rest.value, "p": p},
            "worked_share",
            "service-grades",
        ),
    )
