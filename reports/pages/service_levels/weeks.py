"""The last complete weeks one by one, of all leads and by grade."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.evaluation.comparisons import FEWEST_LEADS
from reports.charts.lines import lines_chart
from reports.content import Column, Figure, Section
from reports.pages.coverage import WITHOUT_LARGEST, with_currency
from reports.pages.phrases import day_name
from reports.pages.service_levels.handovers import (
    ALL,
    NOT_SCORED,
    SALES_COLUMNS,
    WEEK,
    HandedRow,
    Handovers,
)
from reports.rows.coverage import Earned
from reports.rows.rows import ReportRows
from reports.text import NO_BREAK


@dataclass(frozen=True, kw_only=True)
class Week:
    """One week: all leads, the leads of each grade, and the deals of the week."""

    day: str
    all_leads: HandedRow
    by_grade: tuple[HandedRow, ...]
    deals: int | None
    earned: Earned

    def cells(self) -> dict[str, Any]:
        """Return the cells of the row of all leads."""
        has_revenue = self.deals is not None and self.earned.is_revenue
        return {
            **self.all_leads.cells(),
            **{f"handed_{row.grade}": row.handed for row in self.by_grade},
            "deals": self.deals,
            "revenue": self.earned.total if has_revenue else None,
            "rest": self.earned.without_largest if has_revenue else None,
            "with_amount": self.earned.n_with_amount,
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


def weeks_section(handovers: Handovers) -> Section:
    """Show the weeks one by one, of all leads and by grade."""
    weeks = [_week(handovers, begin) for begin in range(handovers.first, handovers.last, WEEK)]
    figures = [_weeks_figure(handovers, weeks)]
    if handovers.has_grades:
        figures.append(_weeks_by_grade(handovers, weeks))
    return Section("Week by week", figures=tuple(figures))


def _week(handovers: Handovers, begin: int) -> Week:
    end = begin + WEEK
    grades = handovers.grades if handovers.has_grades else []
    earned = handovers.rows.earned(handovers.closed(begin, end))
    return Week(
        day=day_name(begin),
        all_leads=handovers.row(ALL, begin, end),
        by_grade=tuple(handovers.row(grade, begin, end) for grade in grades),
        deals=earned.n_wins if handovers.is_known(begin) else None,
        earned=earned,
    )


def _week_columns(handovers: Handovers) -> tuple[Column, ...]:
    """Describe the columns of both tables of weeks."""
    columns = (
        Column("hours", "Half have a sales activity within", "hours", "first_touch_hours"),
        Column("value", "Worked within 7 days", "share", "worked_share", ("wins", "n")),
        Column("mature", "Old enough to be won", "count", "handed_mature"),
        Column("won_share", "Converted", "share", "handed_won_share", ("won", "mature")),
    )
    if handovers.rows.sales:
        return columns
    return tuple(column for column in columns if column.key not in SALES_COLUMNS)


def _about_weeks(weeks: Sequence[Week]) -> str:
    n = sum(week.all_leads.handed for week in weeks)
    return f"{n:,} leads of {len(weeks)} complete weeks, from Monday, UTC"


def _weeks_figure(handovers: Handovers, weeks: Sequence[Week]) -> Figure:
    grades = handovers.grades if handovers.has_grades else []
    n = sum(week.all_leads.handed for week in weeks)
    of = f" of those created since {day_name(handovers.rows.since)}" if handovers.is_cut else ""
    finding = f"{n / len(weeks):,.0f} leads a week{of} are handed over"
    about = _about_weeks(weeks)
    worked = ""
    if handovers.rows.sales:
        worked = "Worked: leads handed over in the week; empty if that is less than 7 days ago. "
    chart = None
    if not grades:
        points = [
            {
                "x": week.day,
                "series": ALL,
                "value": week.all_leads.handed,
                "n": week.all_leads.handed,
            }
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
            *_week_columns(handovers),
            Column("deals", "Deals won in the week", "count", "week_deals"),
            *_revenue_columns(handovers.rows, weeks),
        ),
        rows=tuple(week.cells() for week in weeks),
        chart=chart,
        note=f"{worked}Converted: leads handed over {handovers.rows.horizon_days:g}{NO_BREAK}days "
        "before.",
    )


def _revenue_columns(rows: ReportRows, weeks: Sequence[Week]) -> tuple[Column, ...]:
    """Describe the columns of revenue; without those that would be empty or say nothing new."""
    known = [week.earned for week in weeks if week.earned.is_revenue]
    if not known:
        return ()
    columns = [
        Column("revenue", with_currency(rows, "Revenue won in the week"), "amount", "week_revenue")
    ]
    if any(earned.largest is not None for earned in known):
        columns.append(Column("rest", WITHOUT_LARGEST, "amount", "week_revenue"))
    if any(earned.n_with_amount < earned.n_wins for earned in known):
        columns.append(Column("with_amount", "Deals with an amount", "count", "week_deals"))
    return tuple(columns)


def _weeks_by_grade(handovers: Handovers, weeks: Sequence[Week]) -> Figure:
    best = handovers.grades[0]
    n_best = sum(row.handed for week in weeks for row in week.by_grade if row.grade == best)
    n = sum(week.all_leads.handed for week in weeks)
    per_week, best_per_week = n / len(weeks), n_best / len(weeks)
    finding = (
        f"{best_per_week:,.0f} of {per_week:,.0f} leads a week are handed over as grade {best}"
    )
    if n_best < FEWEST_LEADS:
        finding = f"{n_best:,} of {n:,} leads were handed over as grade {best}: too few for a rate"
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
            Column("grade", "Grade", metric="grade"),
            Column("handed", "Handed over", "count", "handed_over"),
            *_week_columns(handovers),
        ),
        rows=tuple(cells for week in weeks for cells in week.grade_cells()),
        chart=_handed_chart(points, finding, about),
    )


def _handed_chart(points: list[dict[str, Any]], finding: str, about: str) -> Any:
    return lines_chart(points, finding, about, x="Week from", y="Leads handed over", form=",.0f")


def _grade_words(grade: str) -> str:
    """Format a grade for a place that does not say that it is a grade."""
    return grade.capitalize() if grade == NOT_SCORED else f"Grade {grade}"
