"""The checks of times: LC106, LC107, LC108, LC124, LC130 and LC131."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from crm.formats.exchanged import EXPORT_AGAIN
from crm.tables import EVENT_TABLES, TABLES
from crm.text import counted, has_or_have, is_or_are, quote
from crm.times import DAY, LONG_BEFORE, NOT_A_TIME
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.dates import day_of, days_of
from features.record_checks.tables import UNKNOWN_LEAD, ReadTable, ReadTables

GAP_DAYS: Final = 14
CHRISTMAS_DAYS: Final = 21  # the longest break that is not remarkable
MIN_EXPECTED: Final = 20  # leads that would have been created in a gap
NEAR_WEEKS: Final = 8
MIN_NEAR: Final = 10  # leads in the weeks before, and after
ISOLATED_DAYS: Final = 3 * 365
# What programs store in place of a missing date: the first days of Excel, Unix, SQL Server,
# Windows and .NET, and the last days that people type.
PLACEHOLDERS: Final = tuple(
    int(np.datetime64(day, "D").astype(np.int64))
    for day in (
        "0001-01-01", "1601-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01",
        "1970-01-01", "1980-01-01", "2099-12-31", "2999-12-31", "9999-12-31",
    )
)  # fmt: skip


@check("LC106", "Records have times in the future.")
def in_future(tables: ReadTables) -> Iterator[Finding]:
    """Compare the times of leads, activities, stages and outcomes with now.

    The closing dates of open leads are left out, because CRMs have expected dates there.
    """
    for table in tables.tables.values():
        for role in _time_roles(table):
            times, outcomes = table.times(role), tables.outcomes
            if times is not None and role == "closed_at" and outcomes and outcomes.table is table:
                times = np.where(outcomes.is_won | outcomes.is_lost, times, NOT_A_TIME)
            if times is None or not (is_later := times > tables.now + DAY).any():
                continue
            n_later, zone = int(is_later.sum()), table.keys.timezone
            yield Finding(
                table,
                f"Why is {quote(table.roles[role])} in the future in {counted(n_later, 'row')}?",
                f"{n_later:,} of {int((times != NOT_A_TIME).sum()):,} times "
                f"{is_or_are(n_later)} after today{':' if n_later == 1 else ', the last'} on "
                f"{day_of(int(times.max()), zone)}.",
                "Planned meetings are all right: they do not count before they happen. Correct "
                "other dates: day and month may be swapped, or the year mistyped.",
                rows_of(is_later),
            )


def _time_roles(table: ReadTable) -> list[str]:
    """Return the roles of a table whose cells are times."""
    roles = [column.name for column in TABLES[table.name].file_columns if column.kind == "time"]
    if table.name == "leads" and "closed_at" in table.roles:
        roles.append("closed_at")
    return roles


@check("LC130", "Activities or stages are years before the creation of their lead.")
def long_before_creation(tables: ReadTables) -> Iterator[Finding]:
    """Compare the times of activities and stages with the creation of their leads."""
    if tables.created is None:
        return
    for table in tables.tables.values():
        if table.name not in ("activities", "stages"):
            continue
        times = table.times(EVENT_TABLES[table.name].event_time)
        if times is None:
            continue
        lead = tables.lead_rows(table)
        created = np.where(lead == UNKNOWN_LEAD, NOT_A_TIME, tables.created[lead])
        has_both = (times != NOT_A_TIME) & (created != NOT_A_TIME)
        is_early = has_both & (times < created - LONG_BEFORE)
        n_early = int(is_early.sum())
        if not n_early:
            continue
        first = day_of(int(times[is_early].min()), table.keys.timezone)
        yield Finding(
            table,
            f"How can {counted(n_early, 'row')} of {table.file} be years before the creation of "
            "the lead?",
            f"{n_early:,} of {int(has_both.sum()):,} {is_or_are(n_early)} more than two years "
            f"before the creation, the first on {first}.",
            "Check the years in the CRM. If leads are created again, for example by an import, "
            "name the earlier time as `created_at`.",
            rows_of(is_early),
        )


@check("LC131", "Times are before 1970.")
def before_1970(tables: ReadTables) -> Iterator[Finding]:
    """Find times of records that no CRM can have recorded. LC108 asks about placeholders."""
    for table in tables.tables.values():
        for role in _time_roles(table):
            times = table.times(role)
            if times is None:
                continue
            is_early = (times != NOT_A_TIME) & (times < 0)
            is_early &= ~np.isin(days_of(times, table.keys.timezone), PLACEHOLDERS)
            if not is_early.any():
                continue
            n, zone = int(is_early.sum()), table.keys.timezone
            yield Finding(
                table,
                f"Is {quote(table.roles[role])} right in {counted(n, 'row')} with a time before "
                "1970?",
                f"{n:,} of {int((times != NOT_A_TIME).sum()):,} times {is_or_are(n)} before 1970, "
                f"the first on {day_of(int(times[is_early].min()), zone)}. The service refuses "
                "such times.",
                "Correct the years, which may be mistyped, or export an empty cell.",
                rows_of(is_early),
            )


@check("LC107", "No leads were created for some weeks.")
def gap_without_leads(tables: ReadTables) -> Iterator[Finding]:
    """Find gaps that are far longer than the leads before and after them suggest.

    Up to three weeks without leads from 25 December to 1 January are usual.
    """
    leads, created = tables.leads, tables.created
    if leads is None or created is None:
        return
    times = np.sort(created[(created != NOT_A_TIME) & (created <= tables.now)])
    gaps = np.diff(times)
    near = NEAR_WEEKS * 7 * DAY
    found = []
    for i in np.flatnonzero(gaps > GAP_DAYS * DAY):
        before = np.searchsorted(times, times[i] - near)
        after = np.searchsorted(times, times[i + 1] + near, side="right")
        if min(i + 1 - before, after - i - 1) < MIN_NEAR:
            continue
        if _is_christmas(*days_of(times[i : i + 2], leads.keys.timezone)):
            continue
        rates = ((i + 1 - before) / near, (after - i - 1) / near)  # for each microsecond
        if min(rates) * gaps[i] >= MIN_EXPECTED:
            found.append((gaps[i], i, min(rates) * 7 * DAY))
    if not found:
        return
    length, i, weekly = max(found)
    zone, n_more = leads.keys.timezone, len(found) - 1
    more = f" There {is_or_are(n_more)} {counted(n_more, 'more such gap')}." if n_more else ""
    yield Finding(
        leads,
        f"Where are the leads between {day_of(times[i], zone)} and {day_of(times[i + 1], zone)}?",
        f"No lead was created for {length // DAY:,} days. In the weeks before and after, at least "
        f"{weekly:,.0f} leads came each week.{more}",
        "Check the filter of the export. If leads were deleted, learn from the leads after the "
        "gap only.",
    )


def _is_christmas(last: int, first: int) -> bool:
    """Check whether the days of two leads are around a Christmas break of usual length."""
    if first - last > CHRISTMAS_DAYS:
        return False
    year = np.datetime64(int(last), "D").astype("datetime64[Y]")
    christmas = int((year + 1).astype("datetime64[D]").astype(np.int64)) - 7  # 25 December
    return bool(last <= christmas and first > christmas + 7)


@check("LC108", "Dates are placeholders for no date.")
def placeholder_dates(tables: ReadTables) -> Iterator[Finding]:
    """Find well-known first and last days far from the other dates of the column."""
    for table in tables.tables.values():
        for name, form in table.formats.items():
            if form.kind != "time":
                continue
            column = table.column(name)
            days = days_of(column.times, table.keys.timezone)
            has_date = days != NOT_A_TIME
            is_odd = np.isin(days, PLACEHOLDERS)
            others = days[has_date & ~is_odd]
            for day in np.unique(days[is_odd]):
                is_day = days == day
                is_alone = len(others) and np.abs(others - day).min() > ISOLATED_DAYS
                if not is_alone and is_day.sum() < max(10, 0.05 * has_date.sum()):
                    continue
                n = int(is_day.sum())
                written = np.datetime64(int(day), "D")
                yield Finding(
                    table,
                    f"Does {written} in {quote(name)} stand for a missing date?",
                    f"{counted(n, 'row')} of {int(has_date.sum()):,} with a date "
                    f"({share(n, int(has_date.sum()))}) {has_or_have(n)} this day, which "
                    "programs store for an empty date.",
                    "Export an empty cell instead.",
                    rows_of(is_day),
                )


@check("LC124", "A spreadsheet may have exchanged day and month.")
def exchanged_days(tables: ReadTables) -> Iterator[Finding]:
    """Find columns in which the dates of one way of writing are never above 12."""
    for table in tables.tables.values():
        for name, form in table.formats.items():
            if not form.exchanged or not tables.is_read(table, name):
                continue
            about = form.exchanged
            if tables.is_private(table, name):
                about = "some dates look as if a spreadsheet exchanged day and month in them"
            yield Finding(
                table,
                f"Are day and month exchanged in some dates of {quote(name)}?",
                f"In {quote(name)}, {about}.",
                f"{EXPORT_AGAIN}. If the dates are right as they are, write their format under "
                f"[{table.name}.formats].",
            )
