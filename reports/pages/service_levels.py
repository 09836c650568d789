"""Service levels: what marketing hands over and how sales works it, by grade and week."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats, Ints, Objects
from crm.times import DAY, HOUR
from features.events import NEVER
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, middle, two_shares
from reports.charts.report import lines_chart, rates_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.pages.phrases import day_name, finite, interval_row, share_words
from reports.pages.sources import qualified_stage
from reports.rows.rows import ReportRows
from reports.rows.scored import not_learned_from, score_moments
from reports.text import NO_BREAK, quoted_name

SLUG, TITLE = "service-levels", "Service levels"
LEAD = "How many leads are handed over, how fast and how many of them does sales work, and is \
that what both teams promised?"
WEEKS = 13
WEEK = 7 * DAY
TO_WORK = 7 * DAY  # how long a lead may wait to count as worked
MONDAY = 4 * DAY  # 1 January 1970 was a Thursday
QUIET = 3 * DAY  # a week is complete though no lead came on its last days
ALL = "all"
NOT_SCORED = "not scored"
MOST_GRADED = 300_000  # the rest would be "not scored"


@dataclass(frozen=True)
class _Handed:
    """Leads as they were handed over to sales.

    Attributes
    ----------
    rows : ReportRows
    at : ndarray of int64, shape (n,)
        When each was handed over; `NEVER` if it was not.
    last : int
        The end of the last complete week, in microseconds.
    grade : ndarray of object, shape (n,)
        When it was handed over, by the model of the report; `ALL` without one.
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
        """The grades that leads of these weeks have, and those that something is promised of."""
        return sorted({*self.grade[self.within(self.first, self.last)], *_promised(self.rows)})

    @cached_property
    def touched(self) -> Ints:
        """When sales first worked each lead after that; `NEVER` if it has not."""
        return self.rows.first_sales_after(np.where(self.at == NEVER, self.rows.as_of, self.at))

    @cached_property
    def hours(self) -> Floats:
        """From being handed over to being worked; infinite where that has not come."""
        came = self.touched != NEVER
        return np.where(came, (np.where(came, self.touched, 0) - self.at) / HOUR, np.inf)

    def within(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Tell which leads were handed over in a time, with a grade."""
        inside = (self.at >= begin) & (self.at < end)
        return inside if grade == ALL else inside & (self.grade == grade)

    def watched(self, begin: int, end: int, grade: str = ALL, span: int = TO_WORK) -> Bools:
        """Tell which of these leads have been watched for so long, to say if they were worked."""
        return self.within(begin, end, grade) & (np.minimum(self.at, end) + span <= self.rows.as_of)

    def matured(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Tell which leads became mature in a time: were handed over one horizon before it."""
        return self.within(begin - self.rows.horizon, end - self.rows.horizon, grade)

    def row(self, grade: str, begin: int, end: int) -> dict[str, Any]:
        """Count what was handed over, worked and converted in a time."""
        came = self.within(begin, end, grade)
        old = self.watched(begin, end, grade)
        waits = middle(self.hours[old])
        work = interval_row(grade, int((self.hours[old] <= TO_WORK / HOUR).sum()), int(old.sum()))
        mature = np.flatnonzero(self.matured(begin, end, grade))
        won = self.rows.won_within(mature, self.at[mature])
        close = interval_row(grade, int(won.sum()), len(mature))
        return {
            "name": grade,
            "handed": int(came.sum()),
            "a_week": float(came.sum() / WEEKS),
            "n": work["n"],
            "wins": work["wins"],
            "hours": finite(waits.value) if waits else None,
            "hours_low": finite(waits.low) if waits else None,
            "hours_high": finite(waits.high) if waits else None,
            "hours_late": finite(waits.late) if waits else None,
            "untouched": int((self.touched[old] == NEVER).sum()),
            "value": work["value"],
            "low": work["low"],
            "high": work["high"],
            "mature": close["n"],
            "won": close["wins"],
            "won_share": close["value"],
            "won_low": close["low"],
            "won_high": close["high"],
        }


def service_page(rows: ReportRows) -> Page:
    """Tell what was handed over, worked, converted and earned in the last complete weeks."""
    heading = "By grade"
    if not rows.has_times:
        needs = (
            "Leads handed over per grade and week, hours to the first sales activity, share "
            "worked, converted, and revenue. That needs the time at which each lead was created."
        )
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    at, how = _handed_over(rows)
    end = min(rows.as_of, rows.leads_until + QUIET)
    last = (end - MONDAY) // WEEK * WEEK + MONDAY
    if end < rows.as_of:
        how += (
            f" The newest lead is of {day_name(rows.leads_until)}, other records go on to "
            f"{day_name(rows.as_of)}: weeks are shown up to the newest lead."
        )
    handed = _Handed(rows, at, last, _grades(rows, at, last))
    if not handed.within(handed.first, last).any():
        needs = f"Leads handed over in the last {WEEKS} complete weeks; there is none. {how}"
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    names = handed.grades if handed.grades == [ALL] else [*handed.grades, ALL]
    table = [handed.row(grade, handed.first, last) for grade in names]
    sections = (_by_grade(handed, table, how), _promises(handed, table), _weeks(handed))
    return Page(SLUG, TITLE, LEAD, _told(handed), sections)


def _handed_over(rows: ReportRows) -> tuple[Ints, str]:
    """Tell when each lead was handed over to sales; `NEVER` if it was not."""
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
    """Give the grades of leads that were handed over, or became mature, in the weeks."""
    grade = np.full(len(rows), ALL, dtype=object)
    if rows.scorer is not None:
        ends = np.array([last, last - rows.horizon])[:, None]
        lead = np.flatnonzero(((at >= ends - WEEKS * WEEK) & (at < ends)).any(axis=0))
        scored = score_moments(rows.scorer, rows.records, lead, at[lead], MOST_GRADED)
        grade[lead] = NOT_SCORED
        grade[scored.lead] = scored.grade
    return grade


def _promised(rows: ReportRows) -> set[str]:
    """Name the grades of the model that something is promised of."""
    if rows.scorer is None:
        return set()
    targets, scale = rows.project.report.targets, rows.scorer.scale
    named = {*targets.leads_per_week, *targets.first_touch_hours}
    named |= {*targets.worked_share, *targets.won_share}
    return named & {*(grade for grade, _ in scale.grades), scale.lowest}


def _by_grade(handed: _Handed, table: list[dict[str, Any]], how: str) -> Section:
    rows = handed.rows
    columns: tuple[Column, ...] = (
        Column("name", "Grade"),
        Column("handed", "Handed over", "count", "handed_over"),
        Column("a_week", "A week", "ratio", "handed_over"),
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        Column("hours_low", "from (95 %)", "ratio"),
        Column("hours_high", "to (95 %)", "ratio"),
        Column("hours_late", "Hours, nine of ten", "ratio", "nine_of_ten"),
        Column("n", "Old enough to be worked", "count"),
        Column("wins", "Worked", "count"),
        Column("value", "Worked within 7 days", "share", "worked_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("untouched", "Not worked at all", "count", "untouched"),
        Column("mature", "Became mature", "count", "handed_mature"),
        Column("won", "Won of these", "count", "counted_wins"),
        Column("won_share", "Converted", "share", "handed_won_share"),
        Column("won_low", "from (95 %)", "share"),
        Column("won_high", "to (95 %)", "share"),
    )
    paragraphs = [how]
    if not rows.sales:
        paragraphs.append(
            "Which activities are sales' work is not known, so nothing is said of the time to "
            'them: name them with [report] sales_activities = ["…"].'
        )
        columns = tuple(
            c
            for c in columns
            if not c.key.startswith(("hours", "untouched"))
            and c.key not in ("value", "low", "high", "n", "wins")
        )
    else:
        said = "Sales activities: " + ", ".join(map(quoted_name, rows.sales))
        channels = rows.project.report.sales_channels
        if channels:
            channel_names = " or ".join(map(quoted_name, channels))
            said += f"; of them only those whose channel is {channel_names}"
        paragraphs.append(f"{said}.")
    whole = table[-1]
    before = f"{rows.horizon_days:g}{NO_BREAK}days before"
    if whole["mature"]:
        paragraphs.append(
            f"What converted is told of the {whole['mature']:,} leads that became mature in these "
            f"weeks: they were handed over {before}.{_flattered(handed)}"
        )
    else:
        paragraphs.append(
            f"No lead was handed over {before}, so nothing is said of what converted."
        )
    about = f"leads handed over in {_window(handed)}, n = {whole['handed']:,}"
    shown = [row for row in table if row["value"] is not None]
    chart, finding = None, f"{whole['handed']:,} leads were handed over"
    if rows.sales and shown:
        finding = (
            f"{100 * (whole['value'] or 0):.0f}{NO_BREAK}% of the leads handed over are worked "
            "within 7 days"
        )
        chart = rates_chart(shown, finding, about, what="Worked within 7 days", base=None)
    figure = Figure(
        "service-grades",
        finding,
        about,
        columns,
        tuple(table),
        chart,
        "Medians are empty where most leads have no sales activity yet.",
    )
    return Section("By grade", tuple(paragraphs), (figure,))


def _window(handed: _Handed) -> str:
    return f"{WEEKS} weeks to {day_name(handed.last - DAY)}"


def _flattered(handed: _Handed) -> str:
    """Say so if the model that gives the grades has learned what became of most such leads."""
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


def _promises(handed: _Handed, table: Sequence[dict[str, Any]]) -> Section:
    """Hold what was promised against what was done."""
    heading, rows = "What was promised", handed.rows
    targets = rows.project.report.targets
    by_name = {row["name"]: row for row in table}
    found: list[dict[str, Any]] = []
    for grade, target in sorted(targets.leads_per_week.items()):
        actual = by_name.get(grade, {}).get("a_week")
        found.append(_at_least(f"Grade {grade}: leads handed over a week", target, actual))
    for grade, target in sorted(targets.first_touch_hours.items()):
        found.append(_waited(handed, grade, target, grade in by_name))
    for title, promised, key, count in (
        ("share worked within 7 days", targets.worked_share, "value", "n"),
        ("share converted", targets.won_share, "won_share", "mature"),
    ):
        for grade, target in sorted(promised.items()):
            row = {} if key == "value" and not rows.sales else by_name.get(grade, {})
            name = f"Grade {grade}: {title}"
            found.append(_at_least(name, target, row.get(key), row.get(count)))
    if targets.revenue_per_week is not None:
        closed = (rows.closed >= handed.first) & (rows.closed < handed.last) & rows.is_won
        earned = _earned(rows, closed)
        actual = None if earned is None else earned / WEEKS
        found.append(_at_least("Revenue won a week", targets.revenue_per_week, actual))
    if not found:
        needs = (
            "What both teams promised, beside what was done. Write the promises into "
            "[report.targets]: leads_per_week, first_touch_hours, worked_share and won_share by "
            "grade, and revenue_per_week."
        )
        return Section(heading, needs=needs)
    columns = (
        Column("name", "Promise"),
        Column("target", "Target", "ratio", "target"),
        Column("actual", "Was", "ratio", "target"),
        Column("n", "Leads", "count"),
        Column("kept", "Kept"),
    )
    kept, broken = (sum(row["kept"] == word for row in found) for word in ("yes", "no"))
    finding = f"{kept} of {len(found)} promises are kept"
    if kept + broken < len(found):
        finding += f", {len(found) - kept - broken} cannot be judged"
    note = ""
    if any(row["kept"] == "no" and row["actual"] is None for row in found):
        note = "Where a promise of hours is broken and no median is given, most leads still wait."
    return Section(
        heading,
        (),
        (Figure("service-promises", finding, _window(handed), columns, tuple(found), note=note),),
    )


def _waited(handed: _Handed, grade: str, target: float, is_known: bool) -> dict[str, Any]:
    """Hold a promise of hours against the median wait of leads watched for longer than that.

    Where most of them still wait the median is not known, but it is beyond what was promised.
    """
    name = f"Grade {grade}: median hours to the first sales activity"
    if not handed.rows.sales or not is_known:
        return _promise(name, target, None, None)
    span = max(TO_WORK, int(target * HOUR))
    waits = handed.hours[handed.watched(handed.first, handed.last, grade, span)]
    found = middle(waits)
    median = np.inf if found is None else found.value
    return _promise(name, target, finite(median), median <= target, len(waits))


def _at_least(
    name: str, target: float, actual: float | None, n: int | None = None
) -> dict[str, Any]:
    return _promise(name, target, actual, None if actual is None else actual >= target, n)


def _promise(
    name: str, target: float, actual: float | None, is_kept: bool | None, n: int | None = None
) -> dict[str, Any]:
    """Make a row of a promise; `n` are the leads that it is judged by, where it needs some."""
    kept = "not known" if is_kept is None else "yes" if is_kept else "no"
    if n is not None and n < FEWEST_LEADS:
        kept = "too few leads"
    return {"name": name, "target": target, "actual": actual, "n": n, "kept": kept}


def _earned(rows: ReportRows, won: Bools) -> float | None:
    """Add amounts up; None where no win has one."""
    return float(rows.amount[won].sum()) if rows.amount.any() else None


def _weeks(handed: _Handed) -> Section:
    """Show the weeks one by one, of all leads and by grade."""
    rows, grades = handed.rows, handed.grades
    weeks: list[dict[str, Any]] = []
    by_grade: list[dict[str, Any]] = []
    for begin in range(handed.first, handed.last, WEEK):
        day = day_name(begin)
        closed = rows.is_won & (rows.closed >= begin) & (rows.closed < begin + WEEK)
        earned = {"deals": int(closed.sum()), "revenue": _earned(rows, closed)}
        week = {**handed.row(ALL, begin, begin + WEEK), **earned, "name": day}
        for grade in grades if grades != [ALL] else ():
            row = handed.row(grade, begin, begin + WEEK)
            by_grade.append({**row, "name": f"{day} {grade}", "week": day, "grade": grade})
            week[f"handed_{grade}"] = row["handed"]
        weeks.append(week)
    came = Column("handed", "Handed over", "count", "handed_over")
    columns: tuple[Column, ...] = (
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        Column("value", "Worked within 7 days", "share", "worked_share"),
        Column("mature", "Became mature", "count", "handed_mature"),
        Column("won_share", "Converted", "share", "handed_won_share"),
    )
    if not rows.sales:
        columns = tuple(column for column in columns if column.key not in ("hours", "value"))
    n = sum(row["handed"] for row in weeks)
    finding = f"{n / WEEKS:,.0f} leads a week are handed over"
    about = f"{WEEKS} complete weeks from Monday, UTC, n = {n:,}"
    drawn = [
        {
            "x": row["week"],
            "series": _words(row["grade"]),
            "value": row["handed"],
            "n": row["handed"],
        }
        for row in by_grade
    ]
    if not drawn:
        drawn = [
            {"x": row["name"], "series": ALL, "value": row["handed"], "n": row["handed"]}
            for row in weeks
        ]
    chart = lines_chart(drawn, finding, about, x="Week from", y="Leads handed over", form=",.0f")
    note = (
        "Worked: leads handed over in the week; empty where that is less than 7 days ago. "
        f"Converted: leads handed over {rows.horizon_days:g}{NO_BREAK}days before."
    )
    figures = [
        Figure(
            "service-weeks",
            finding,
            about,
            (
                Column("name", "Week from"),
                came,
                *(
                    Column(f"handed_{grade}", _words(grade), "count", "handed_over")
                    for grade in grades
                    if by_grade
                ),
                *columns,
                Column("deals", "Deals won in the week", "count", "week_deals"),
                Column("revenue", "Revenue won in the week", "amount", "week_revenue"),
            ),
            tuple(weeks),
            None if by_grade else chart,
            note,
        )
    ]
    if by_grade:
        named = (
            Column("name", "Week and grade"),
            Column("week", "Week from"),
            Column("grade", "Grade"),
        )
        best = sum(row["handed"] for row in by_grade if row["grade"] == grades[0]) / WEEKS
        title = f"{best:,.0f} of {n / WEEKS:,.0f} leads a week are handed over as grade {grades[0]}"
        chart = lines_chart(drawn, title, about, x="Week from", y="Leads handed over", form=",.0f")
        figures.append(
            Figure(
                "service-weeks-grades",
                title,
                about,
                (*named, came, *columns),
                tuple(by_grade),
                chart,
            )
        )
    return Section("Week by week", (), tuple(figures))


def _words(grade: str) -> str:
    """Name a grade where nothing else says that it is one."""
    return grade.capitalize() if grade == NOT_SCORED else f"Grade {grade}"


def _told(handed: _Handed) -> tuple[Takeaway, ...]:
    """Say whether leads of the best grade are worked more often than the others."""
    grades = handed.grades
    if not handed.rows.sales or len(grades) < 2:
        return ()
    is_best = handed.grade == grades[0]
    old = handed.watched(handed.first, handed.last)
    worked = handed.hours <= TO_WORK / HOUR
    sides = [old & is_best, old & ~is_best]
    best, rest = (interval_row("", int((worked & side).sum()), int(side.sum())) for side in sides)
    if min(best["n"], rest["n"]) < FEWEST_LEADS:
        return ()
    p = two_shares(best["wins"], best["n"], rest["wins"], rest["n"])
    if p >= CHANCE:
        return ()
    way = "more" if best["value"] > rest["value"] else "less"
    return (
        Takeaway(
            f"Grade {grades[0]} is worked {way} often within 7 days than the other grades: "
            f"{share_words(best['value'], best['low'], best['high'], best['n'])} against "
            f"{share_words(rest['value'], rest['low'], rest['high'], rest['n'])}.",
            {**best, "rest": rest["value"], "p": p},
            "worked_share",
            "service-grades",
        ),
    )
