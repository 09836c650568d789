"""Reads the totals of a lead that has too many events to read one by one.

The database counts, so neither the memory nor the time of the service depends on the number of
events. The totals are exact: together with the few events that are listed, they give the same
features as all events. Where they cannot, `LongHistory.problem` says why.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from crm.lead_ids import id_forms
from crm.ledger.deduplication import SeenEvents
from crm.ledger.entries import Row
from crm.ledger.reading import MOST_EVENTS, events_of_leads, similar_events
from crm.ledger.schema import EVENTS, EventTable
from crm.times import DAY, NOT_A_TIME
from crm.totals import ActivityGroup, ActivityTotals, EventTotals

MOST_GROUPS: Final = 2_000  # combinations of a type and a channel
MOST_SIMILAR: Final = 20_000  # stored events at the times of those that were sent
EARLIER_DAYS: Final = 100_000  # added before a division, which rounds negative numbers up
STEPS: Final = 100_000  # of SQLite between two looks at the clock

MANY_FORMS = (
    "it is stored under several forms of its id, and only events of the most frequent form count"
)
OTHER_VERSIONS = "some events differ between two forms of its id, and one version of each counts"
SAME_TIMES = "very many of them have the same time, so repeated events may be counted twice"
MANY_TYPES = "they have very many types, so rare types count as other types"


@dataclass(frozen=True)
class LongHistory:
    """The events of a lead that has very many, up to a moment.

    Attributes
    ----------
    totals : EventTotals
    activities, stages : list of mapping
        The events that are listed, because the totals do not contain them.
    problem : str
        Why the totals may differ from the features of all events; empty if they cannot differ.
    """

    totals: EventTotals
    activities: Sequence[Row]
    stages: Sequence[Row]
    problem: str


@dataclass(frozen=True)
class HistoryQuery:
    """The lead and the moment of a long history to compute.

    Attributes
    ----------
    lead_id : str
    as_of : int
        The moment up to which events count, in microseconds since 1970 UTC.
    created_at : int
        The creation of the lead; `NOT_A_TIME` if it is not known.
    windows_days : tuple of int
        The windows in which activities are counted.
    activities, stages : sequence of mapping
        Events that were sent with the lead, as rows of the ledger.
    """

    lead_id: str
    as_of: int
    created_at: int
    windows_days: tuple[int, ...]
    activities: Sequence[Row] = ()
    stages: Sequence[Row] = ()


def long_history(connection: sa.Connection, query: HistoryQuery, end: float) -> LongHistory:
    """Compute the totals of a lead, unless this takes too long.

    Stored and sent events count once each, as `crm.ledger.deduplication` defines it.

    Parameters
    ----------
    connection : Connection
    query : HistoryQuery
    end : float
        The time at which the database gives up, on the clock of `time.monotonic`.

    Returns
    -------
    LongHistory

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If the time is not enough.
    """
    with _until(connection, end):
        form, new, problem = _new_events(connection, "activities", query)
        activities, has_all_groups = _activity_totals(connection, form, query, new)
        stage_form, new_stages, stage_problem = _new_events(connection, "stages", query)
        n_stages, newest_stages = _stage_totals(connection, stage_form, query.as_of)
    problems = [problem, stage_problem, "" if has_all_groups else MANY_TYPES]
    return LongHistory(
        EventTotals(activities, n_stages),
        new,
        [*newest_stages, *new_stages],
        "; ".join(dict.fromkeys(filter(None, problems))),
    )


def _new_events(
    connection: sa.Connection, kind: str, query: HistoryQuery
) -> tuple[str, list[Row], str]:
    """Return the form of the id with the most events, and the events that it does not contain.

    These are the sent events, and those that are stored under another form of the id.
    """
    event = EVENTS[kind]
    main, *other_forms = _by_size(connection, event, query.lead_id)
    rows: list[Row] = []
    problem = ""
    if other_forms:
        rows = events_of_leads(connection, kind, other_forms, MOST_EVENTS + 1)
        if len(rows) > MOST_EVENTS:
            rows, problem = [], MANY_FORMS
    n_stored = len(rows)
    rows = [{**row, "lead_id": main} for row in [*rows, *getattr(query, kind)]]
    seen = SeenEvents(event)
    similar = similar_events(connection, event, rows, MOST_SIMILAR + 1)
    if len(similar) > MOST_SIMILAR:
        problem = SAME_TIMES
    contents = set()
    for stored in similar:
        seen.add(stored)
        contents.add(event.content_of(stored))
    new: list[Row] = []
    for i, row in enumerate(rows):
        if seen.status_of(row) == "accepted":
            seen.add(row)
            new.append(row)
        elif i < n_stored and event.content_of(row) not in contents:
            problem = problem or OTHER_VERSIONS  # the first counts, and it may be this one
    return main, new, problem


def _by_size(connection: sa.Connection, event: EventTable, lead_id: str) -> list[str]:
    """Return the forms of an id that have events, the one with the most events first."""
    lead = event.table.c.lead_id
    forms = id_forms(lead_id)
    if len(forms) == 1:
        return forms
    statement = sa.select(lead).where(lead.in_(forms)).group_by(lead)
    by_size = list(connection.scalars(statement.order_by(sa.func.count().desc(), lead)))
    return by_size or [lead_id]


def _activity_totals(
    connection: sa.Connection, form: str, query: HistoryQuery, listed: Sequence[Row]
) -> tuple[ActivityTotals, bool]:
    """Compute the totals of stored activities, and whether each type has its own."""
    table, as_of = EVENTS["activities"].table.c, query.as_of
    at = table.occurred_at
    is_counted = sa.and_(table.lead_id == form, at <= as_of)
    numbers = [
        sa.func.count(),
        *(
            sa.func.sum(sa.case((at > as_of - days * DAY, 1), else_=0))
            for days in query.windows_days
        ),
        sa.func.min(at),
        sa.func.max(at),
    ]
    by_group = (
        sa.select(table.type, table.channel, *numbers)
        .where(is_counted)
        .group_by(table.type, table.channel)
        .order_by(sa.func.count().desc(), table.type, table.channel)
        .limit(MOST_GROUPS + 1)
    )
    groups = [_group(*row) for row in connection.execute(by_group)]
    has_all = len(groups) <= MOST_GROUPS
    if not has_all:
        every = _group(None, None, *connection.execute(sa.select(*numbers).where(is_counted)).one())
        own = groups[:MOST_GROUPS]
        sums = map(sum, zip(*(group.counts for group in own), strict=True))
        rest = tuple(n - of_own for n, of_own in zip(every.counts, sums, strict=True))
        groups = [*own, every._replace(counts=rest)]

    seen = [row for row in listed if row["occurred_at"] <= as_of]
    contents = {row["content"] for row in seen if row["content"] is not None}
    days = {row["occurred_at"] // DAY + EARLIER_DAYS for row in seen}
    content, day = table.content, (at + EARLIER_DAYS * DAY) // DAY
    n_contents = sa.select(sa.func.count(content.distinct())).where(
        is_counted, content.not_in(sorted(contents)), content != ""
    )
    n_days = sa.select(sa.func.count(day.distinct())).where(is_counted, day.not_in(sorted(days)))
    first = None
    if query.created_at != NOT_A_TIME:
        since = sa.select(sa.func.min(at)).where(is_counted, at >= query.created_at)
        first = connection.scalar(since)
    totals = ActivityTotals(
        as_of=as_of,
        created_at=query.created_at,
        groups=tuple(groups),
        n_contents=connection.scalar(n_contents) or 0,
        n_days=connection.scalar(n_days) or 0,
        first_since_creation=first,
    )
    return totals, has_all


def _group(kind: str | None, channel: str | None, *numbers: Any) -> ActivityGroup:
    *counts, first, last = map(int, numbers)  # PostgreSQL sums to decimals
    return ActivityGroup(kind, channel, tuple(counts), first, last)


def _stage_totals(connection: sa.Connection, form: str, as_of: int) -> tuple[int, list[Row]]:
    """Count the older stored entries into stages, and read the newest ones.

    Entries at the same time count as one for each stage, and the rest as older entries.
    """
    event = EVENTS["stages"]
    table = event.table.c
    is_counted = sa.and_(table.lead_id == form, table.entered_at <= as_of)
    count, newest = connection.execute(
        sa.select(sa.func.count(), sa.func.max(table.entered_at)).where(is_counted)
    ).one()
    if not count:
        return 0, []
    at_newest = (
        sa.select(table.lead_id, sa.func.min(table.stage_id).label("stage_id"), table.stage)
        .add_columns(table.entered_at)
        .where(is_counted, table.entered_at == newest)
        .group_by(table.lead_id, table.stage, table.entered_at)
        .limit(MOST_EVENTS)
    )
    rows: list[Row] = [dict(row) for row in connection.execute(at_newest).mappings()]
    return count - len(rows), rows


@contextmanager
def _until(connection: sa.Connection, end: float) -> Iterator[None]:
    """End what still runs at the time `end`. The database then raises an error."""
    bound = _until_postgres if connection.dialect.name == "postgresql" else _until_sqlite
    with bound(connection, end):
        yield


@contextmanager
def _until_postgres(connection: sa.Connection, end: float) -> Iterator[None]:
    """Set the time-out of each statement to the time that is left.

    PostgreSQL limits the time of single statements only.
    """
    command = "SET LOCAL statement_timeout = "

    def set_timeout(_: sa.Connection, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith(command):
            left = max(1, int(1_000 * (end - time.monotonic())))  # 0 would be no limit
            connection.exec_driver_sql(f"{command}{left}")

    sa.event.listen(connection, "before_cursor_execute", set_timeout)
    try:
        yield
    finally:
        sa.event.remove(connection, "before_cursor_execute", set_timeout)


@contextmanager
def _until_sqlite(connection: sa.Connection, end: float) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
