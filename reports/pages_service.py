"""Service levels: what marketing hands over and how sales works it, by grade and week."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.events import NEVER, Ints
from reports.charts_report import lines_chart, rates_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.page import NO_BREAK
from reports.pages_sources import qualified_stage
from reports.rows import DAY, Bools, ReportRows
from reports.scored import score_moments
from reports.statistics import CHANCE, FEWEST_LEADS, middle, two_shares
from reports.telling import day_name, interval_row, quoted, share_words

SLUG, TITLE = "service-levels", "Service levels"
LEAD = "How many leads are handed over, how fast and how many of them does sales work, and is \
that what both teams promised?"
WEEKS = 13
WEEK = 7 * DAY
TO_WORK = 7 * DAY  # how long a lead may wait to count as worked
MONDAY = 4 * DAY  # 1 January 1970 was a Thursday
QUIET = 3 * DAY  # a week is complete though no lead came on its last days
HOURS = 24.0
ALL = "all"
MOST_GRADED = 300_000  # the rest would be "not scored"


def service_page(rows: ReportRows) -> Page:
    """Tell what was handed over, worked, converted and earned in the last complete weeks."""
    heading = "By grade"
    if not rows.has_times:
        needs = (
            "Leads handed over per grade and week, hours to the first sales activity, share "
            "worked, converted, and revenue. That needs the time at which each lead was created."
        )
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    handed, how = _handed_over(rows)
    end = min(rows.as_of, rows.leads_until + QUIET)
    last = (end - MONDAY) // WEEK * WEEK + MONDAY
    first = last - WEEKS * WEEK
    if end < rows.as_of:
        how += (
            f" The newest lead is of {day_name(rows.leads_until)}, other records go on to "
            f"{day_name(rows.as_of)}: weeks are shown up to the newest lead."
        )
    inside = (handed >= first) & (handed < last)
    if not inside.any():
        needs = f"Leads handed over in the last {WEEKS} complete weeks; there is none. {how}"
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    grade = _grades(rows, handed, inside)
    touched = rows.first_sales_after(np.where(handed == NEVER, rows.as_of, handed))
    worked = (touched != NEVER) & (touched - handed <= TO_WORK)
    grades = sorted(set(grade[inside].tolist()))
    about = (
        f"leads handed over in {WEEKS} weeks to {day_name(last - DAY)}, n = {int(inside.sum()):,}"
    )
    table = [_row(rows, g, inside & (grade == g), handed, touched, worked) for g in grades]
    if len(grades) > 1:
        table.append(_row(rows, ALL, inside, handed, touched, worked))
    sections = [_by_grade(rows, table, about, how), _promises(rows, table, inside, last)]
    sections.append(_weeks(rows, inside, handed, touched, worked, grade, grades, last))
    told = _told(rows, inside, handed, worked, grade, grades)
    return Page(SLUG, TITLE, LEAD, told, tuple(sections))


def _handed_over(rows: ReportRows) -> tuple[Ints, str]:
    """Tell when each lead was handed over to sales; `NEVER` if it was not."""
    stage = qualified_stage(rows)
    if stage is None or rows.funnel is None:
        return rows.created, (
            "A lead counts as handed over when it is created, because no stage says otherwise: "
            "name one with [report] qualified_stage."
        )
    return rows.funnel.reached[:, rows.funnel.place(stage)], (
        f"A lead counts as handed over when it enters {quoted(stage)} or a later stage."
    )


def _grades(rows: ReportRows, handed: Ints, inside: Bools) -> Any:
    """Give each lead's grade when it was handed over, by the model of the report."""
    grade = np.full(len(rows), ALL, dtype=object)
    if rows.scorer is not None:
        lead = np.flatnonzero(inside)
        scored = score_moments(rows.scorer, rows.records, lead, handed[lead], MOST_GRADED)
        grade[lead] = "not scored"
        grade[scored.lead] = scored.grade
    return grade


def _row(
    rows: ReportRows, name: str, chosen: Bools, handed: Ints, touched: Ints, worked: Bools
) -> dict[str, Any]:
    when = np.where(handed == NEVER, 0, handed)
    old_enough = chosen & (when + TO_WORK <= rows.as_of)
    waits = middle(_hours(handed[old_enough], touched[old_enough]))
    mature = chosen & (when + rows.horizon <= rows.as_of)
    won = rows.won_within(np.arange(len(rows)), when) & mature
    work = interval_row(name, int((worked & old_enough).sum()), int(old_enough.sum()))
    close = interval_row(name, int(won.sum()), int(mature.sum()))
    return {
        "name": name,
        "handed": int(chosen.sum()),
        "a_week": float(chosen.sum() / WEEKS),
        "n": work["n"],
        "wins": work["wins"],
        "hours": _finite(waits.value) if waits else None,
        "hours_low": _finite(waits.low) if waits else None,
        "hours_high": _finite(waits.high) if waits else None,
        "hours_late": _finite(waits.late) if waits else None,
        "untouched": int((old_enough & (touched == NEVER)).sum()),
        "value": work["value"],
        "low": work["low"],
        "high": work["high"],
        "mature": close["n"],
        "won": close["wins"],
        "won_share": close["value"],
        "won_low": close["low"],
        "won_high": close["high"],
    }


def _hours(handed: Ints, touched: Ints) -> Any:
    came = touched != NEVER
    return np.where(came, (np.where(came, touched, 0) - handed) / DAY * HOURS, np.inf)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _by_grade(rows: ReportRows, table: list[dict[str, Any]], about: str, how: str) -> Section:
    columns: tuple[Column, ...] = (
        Column("name", "Grade"), Column("handed", "Handed over", "count", "handed_over"),
        Column("a_week", "A week", "ratio", "handed_over"),
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        Column("hours_low", "from (95 %)", "ratio"), Column("hours_high", "to (95 %)", "ratio"),
        Column("hours_late", "Hours, nine of ten", "ratio"),
        Column("n", "Old enough to be worked", "count"), Column("wins", "Worked", "count"),
        Column("value", "Worked within 7 days", "share", "worked_share"),
        Column("low", "from (95 %)", "share"), Column("high", "to (95 %)", "share"),
        Column("untouched", "Not worked at all", "count"),
        Column("mature", "Mature", "count"), Column("won", "Won", "count"),
        Column("won_share", "Converted", "share", "handed_won_share"),
        Column("won_low", "from (95 %)", "share"), Column("won_high", "to (95 %)", "share"),
    )  # fmt: skip
    paragraphs = [how]
    if not rows.sales:
        paragraphs.append(
            "Which activities are sales' work is not known, so nothing is said of the time to "
            'them: name them with [report] sales_activities = ["…"].'
        )
        columns = tuple(c for c in columns if not c.key.startswith(("hours", "untouched"))
                        and c.key not in ("value", "low", "high", "n", "wins"))  # fmt: skip
    else:
        said = "Sales activities: " + ", ".join(map(quoted, rows.sales))
        channels = rows.project.report.sales_channels
        if channels:
            said += "; of them only those whose channel is " + " or ".join(map(quoted, channels))
        paragraphs.append(f"{said}.")
    if not any(row["mature"] for row in table):
        paragraphs.append("None of these leads is mature, so nothing is said of their conversion.")
    shown = [row for row in table if row["value"] is not None]
    chart, finding = None, f"{table[-1]['handed'] if table else 0:,} leads were handed over"
    if rows.sales and shown:
        whole = table[-1]
        finding = (
            f"{100 * (whole['value'] or 0):.0f}{NO_BREAK}% of the leads handed over are worked "
            "within 7 days"
        )
        chart = rates_chart(shown, finding, about, what="Worked within 7 days", base=None)
    figure = Figure("service-grades", finding, about, columns, tuple(table), chart,
                    "Medians are empty where most leads have no sales activity yet.")  # fmt: skip
    return Section("By grade", tuple(paragraphs), (figure,))


def _promises(
    rows: ReportRows, table: Sequence[dict[str, Any]], inside: Bools, last: int
) -> Section:
    """Hold what was promised against what was done."""
    heading, targets = "What was promised", rows.project.report.targets
    by_name = {row["name"]: row for row in table}
    found: list[dict[str, Any]] = []
    for title, promised, key, more_is_better in (
        ("leads handed over a week", targets.leads_per_week, "a_week", True),
        ("median hours to the first sales activity", targets.first_touch_hours, "hours", False),
        ("share worked within 7 days", targets.worked_share, "value", True),
        ("share converted", targets.won_share, "won_share", True),
    ):
        for grade, target in sorted(promised.items()):
            actual = by_name.get(grade, {}).get(key)
            found.append(_kept(f"Grade {grade}: {title}", target, actual, more_is_better))
    if targets.revenue_per_week is not None:
        closed = (rows.closed >= last - WEEKS * WEEK) & (rows.closed < last) & rows.is_won
        earned = _earned(rows, closed)
        actual = None if earned is None else earned / WEEKS
        found.append(_kept("Revenue won a week", targets.revenue_per_week, actual, True))
    if not found:
        needs = (
            "What both teams promised, beside what was done. Write the promises into "
            "[report.targets]: leads_per_week, first_touch_hours, worked_share and won_share by "
            "grade, and revenue_per_week."
        )
        return Section(heading, needs=needs)
    columns = (
        Column("name", "Promise"), Column("target", "Target", "ratio"),
        Column("actual", "Was", "ratio"), Column("kept", "Kept"),
    )  # fmt: skip
    n = sum(row["kept"] == "yes" for row in found)
    finding = f"{n} of {len(found)} promises are kept"
    about = f"the last {WEEKS} complete weeks, n = {int(inside.sum()):,} leads handed over"
    return Section(
        heading, (), (Figure("service-promises", finding, about, columns, tuple(found)),)
    )


def _earned(rows: ReportRows, won: Bools) -> float | None:
    """Add amounts up; None where no win has one."""
    return float(rows.amount[won].sum()) if rows.amount.any() else None


def _kept(name: str, target: float, actual: float | None, more_is_better: bool) -> dict[str, Any]:
    if actual is None:
        kept = "not known"
    else:
        kept = "yes" if (actual >= target) == more_is_better or actual == target else "no"
    return {"name": name, "target": target, "actual": actual, "kept": kept}


def _weeks(
    rows: ReportRows,
    inside: Bools,
    handed: Ints,
    touched: Ints,
    worked: Bools,
    grade: Any,
    grades: Sequence[str],
    last: int,
) -> Section:
    table: list[dict[str, Any]] = []
    for i in range(WEEKS):
        begin = last - (WEEKS - i) * WEEK
        week = inside & (handed >= begin) & (handed < begin + WEEK)
        closed = rows.is_won & (rows.closed >= begin) & (rows.closed < begin + WEEK)
        for name in grades if grades != [ALL] else ():
            row = _row(rows, name, week & (grade == name), handed, touched, worked)
            table.append({**row, "name": f"{day_name(begin)} {name}", "week": day_name(begin),
                          "grade": name})  # fmt: skip
        whole = _row(rows, ALL, week, handed, touched, worked)
        earned = {"revenue": _earned(rows, closed), "deals": int(closed.sum())}
        name = f"{day_name(begin)} {ALL}"
        table.append({**whole, **earned, "name": name, "week": day_name(begin), "grade": ALL})
    columns = (
        Column("name", "Week and grade"), Column("week", "Week from"), Column("grade", "Grade"),
        Column("handed", "Handed over", "count", "handed_over"),
        Column("hours", "Median hours to first sales activity", "ratio", "first_touch_hours"),
        Column("value", "Worked within 7 days", "share", "worked_share"),
        Column("mature", "Mature", "count"),
        Column("won_share", "Converted", "share", "handed_won_share"),
        Column("deals", "Deals won in the week", "count"),
        Column("revenue", "Revenue won in the week", "amount", "week_revenue"),
    )  # fmt: skip
    lines = [
        {"x": row["week"], "series": f"grade {row['grade']}" if row["grade"] != ALL else ALL,
         "value": row["handed"], "n": row["handed"]}
        for row in table
        if row["grade"] != ALL or grades == [ALL]
    ]  # fmt: skip
    finding = f"{int(inside.sum()) / WEEKS:,.0f} leads a week are handed over"
    about = f"{WEEKS} complete weeks from Monday, UTC, n = {int(inside.sum()):,}"
    chart = lines_chart(lines, finding, about, x="Week from", y="Leads handed over", form=",.0f")
    note = "Leads of the newest weeks are not mature: their conversion is empty."
    figure = Figure("service-weeks", finding, about, columns, tuple(table), chart, note)
    return Section("Week by week", (), (figure,))


def _told(
    rows: ReportRows, inside: Bools, handed: Ints, worked: Bools, grade: Any, grades: Sequence[str]
) -> tuple[Takeaway, ...]:
    """Say whether leads of the best grade are worked more often than the others."""
    if not rows.sales or len(grades) < 2:
        return ()
    old = inside & (np.where(handed == NEVER, 0, handed) + TO_WORK <= rows.as_of)
    is_best = grade == grades[0]
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
