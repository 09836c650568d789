"""Reads rows of the ledger within one connection: leads, erased leads, rows as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from crm.days import day_end, without_day_end
from crm.lead_ids import id_forms, id_key
from crm.ledger.entries import NewestEvents, Row, SentLead, StoredLead
from crm.ledger.schema import (
    ERASURE_KEY,
    EVENTS,
    OF_LEADS,
    EventTable,
    erasures,
    keys,
    lead_hash,
    leads,
)
from crm.sources.checks import named_cells

IDS_AT_ONCE: Final = 5_000  # SQLite allows 32,766 parameters in one statement
LONGER_THAN_KEY: Final = (0, 2, 3)  # an id: by nothing, ".0" or braces, or a checksum

MOST_EVENTS: Final = 2_000  # of a lead in one table; the database counts longer histories
FEW_ROWS: Final = 2_500  # of many leads; up to this number all are read at once
JSON_OF_SCORES: Final = ("reasons", "points", "warnings")  # columns of `scores`
SHOWN_EVENTS: Final = 100  # the newest of each table that `/lead` shows


def _events_of_leads(event: EventTable) -> sa.Select[Any]:
    columns = [event.table.c[column] for column in ("lead_id", event.id, *event.content)]
    is_of_leads = event.table.c.lead_id.in_(sa.bindparam("lead_ids", expanding=True))
    seq = event.table.c.seq
    events = sa.select(seq, *columns).where(is_of_leads).limit(sa.bindparam("most")).subquery()
    return sa.select(*(events.c[column.name] for column in columns)).order_by(events.c.seq)


# Statements that every call to `/score` executes. They are built once.
EVENTS_OF_LEADS: Final = {name: _events_of_leads(event) for name, event in EVENTS.items()}
REQUESTED: Final = {
    "sqlite": "SELECT value AS lead_id FROM json_each(:lead_ids)",
    "postgresql": "SELECT json_array_elements_text(CAST(:lead_ids AS json)) AS lead_id",
}
NEWEST_OF_LEADS: Final = {  # reads the last entry of an index, so old entries cost nothing
    dialect: sa.text(
        "SELECT leads.lead_id, leads.created_at, leads.attributes "
        f"FROM ({requested}) AS requested JOIN leads ON leads.seq = "
        "(SELECT max(entry.seq) FROM leads AS entry WHERE entry.lead_id = requested.lead_id) "
        "ORDER BY leads.seq"
    )
    for dialect, requested in REQUESTED.items()
}
LONG_HISTORIES: Final = {  # reads `MOST_EVENTS` entries of an index for each lead
    (dialect, name): sa.text(
        f"SELECT requested.lead_id FROM ({requested}) AS requested WHERE "
        f"(SELECT 1 FROM {name} AS event WHERE event.lead_id = requested.lead_id "
        f"LIMIT 1 OFFSET {MOST_EVENTS}) IS NOT NULL"
    )
    for dialect, requested in REQUESTED.items()
    for name in EVENTS
}


def events_of_leads(
    connection: sa.Connection, kind: str, lead_ids: Sequence[str], most: int
) -> list[Row]:
    """Read at most `most` events of leads, in order of arrival, with the columns of `EVENTS`."""
    parameters = {"lead_ids": lead_ids, "most": most}
    return [*connection.execute(EVENTS_OF_LEADS[kind], parameters).mappings()]


def short_histories(
    connection: sa.Connection, kind: str, lead_ids: Sequence[str]
) -> tuple[list[Row], set[str]]:
    """Read the events of leads, and name the leads that have more than `MOST_EVENTS`.

    The events of the leads that are named are not read.
    """
    rows = events_of_leads(connection, kind, lead_ids, FEW_ROWS + 1)
    if len(rows) <= MOST_EVENTS:
        return rows, set()
    statement = LONG_HISTORIES[connection.dialect.name, kind]
    long_leads = set(connection.scalars(statement, {"lead_ids": _json(lead_ids)}))
    if long_leads or len(rows) > FEW_ROWS:
        short_leads = [lead_id for lead_id in lead_ids if lead_id not in long_leads]
        rows = events_of_leads(connection, kind, short_leads, MOST_EVENTS * len(short_leads))
    return rows, long_leads


def newest_events(connection: sa.Connection, kind: str, lead_ids: Sequence[str]) -> NewestEvents:
    """Count the events of a lead under some forms of its id, and read the newest."""
    event = EVENTS[kind]
    table, time = event.table.c, event.table.c[event.time]
    columns = [table[column] for column in ("lead_id", event.id, *event.content)]
    is_of_lead = table.lead_id.in_(lead_ids)
    count = connection.scalar(sa.select(sa.func.count()).where(is_of_lead)) or 0
    newest = (
        sa.select(*columns)
        .where(is_of_lead)
        .order_by(time.desc().nulls_last() if time.nullable else time.desc(), table.seq.desc())
        .limit(SHOWN_EVENTS)
    )
    rows = [dict(row) for row in connection.execute(newest).mappings()]
    return NewestEvents(count, rows[::-1])


def similar_events(
    connection: sa.Connection, event: EventTable, rows: Sequence[Row], most: int | None = None
) -> list[dict[str, Any]]:
    """Read the stored events of the same leads that have the same id or time as given rows.

    A row without an id has the one that is derived from its content.

    Parameters
    ----------
    connection : Connection
    event : EventTable
    rows : sequence of mapping
    most : int, optional
        The largest number of events at the same times that are read.

    Returns
    -------
    list of dict
        With the columns of `EVENTS`. An event with the same id and the same time occurs twice.
    """
    table = event.table.c
    columns = [table[column] for column in ("lead_id", event.id, *event.content)]
    similar: list[dict[str, Any]] = []
    for piece in pieces(rows):
        is_of_leads = table.lead_id.in_(sorted({row["lead_id"] for row in piece}))
        ids = {row.get(event.id) or event.derived_id(row) for row in piece}
        times = {row[event.time] for row in piece if row[event.time] is not None}
        times |= {without_day_end(time) for time in times} | {day_end(time) for time in times}
        # One statement for each index: a database may not use two indexes for one statement.
        is_similar = [table[event.id].in_(sorted(ids)), table[event.time].in_(sorted(times))]
        if any(row[event.time] is None for row in piece):
            is_similar.append(table[event.time].is_(None))
        for condition in is_similar:
            statement = sa.select(*columns).where(is_of_leads, condition).limit(most)
            similar += map(dict, connection.execute(statement).mappings())
    return similar


def newest_leads(connection: sa.Connection, lead_ids: Sequence[str]) -> dict[str, SentLead]:
    """Read leads as they were sent last, by id, the newest last; those never sent are missing."""
    statement = NEWEST_OF_LEADS[connection.dialect.name]
    rows = connection.execute(statement, {"lead_ids": _json(lead_ids)})
    return {
        lead_id: SentLead(lead_id, created_at, _attributes(attributes))
        for lead_id, created_at, attributes in rows
    }


def lead_as_recorded(connection: sa.Connection, lead_id: str, by: int) -> StoredLead:
    """Read a lead under all forms of its id, with what was recorded up to a time."""
    forms = id_forms(lead_id)
    statement = (
        sa.select(leads.c.created_at, leads.c.attributes)
        .where(leads.c.lead_id.in_(forms), leads.c.recorded_at <= by)
        .order_by(leads.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    sent = None if row is None else SentLead(lead_id, row[0], _attributes(row[1]))
    events: dict[str, list[dict[str, Any]]] = {}
    for name in ("activities", "stages"):
        event = EVENTS[name]
        table = event.table.c
        columns = [table[column] for column in (event.id, *event.content)]
        recorded = (
            sa.select(*columns)
            .where(table.lead_id.in_(forms), table.recorded_at <= by)
            .order_by(table.seq)
            .limit(MOST_EVENTS + 1)
        )
        rows = connection.execute(recorded).mappings()
        events[name] = [{"lead_id": lead_id} | dict(row) for row in rows]
    if any(len(rows) > MOST_EVENTS for rows in events.values()):
        return StoredLead(sent, is_long=True)
    return StoredLead(sent, events["activities"], events["stages"])


def erased_leads(connection: sa.Connection, lead_ids: set[str]) -> set[str]:
    """Return those of these leads that were erased, under this id or another form of it."""
    if connection.scalar(sa.select(erasures.c.seq).limit(1)) is None:
        return set()
    key = key_for(connection, ERASURE_KEY)
    by_hash: dict[str, set[str]] = {}
    for lead_id in lead_ids:
        for form in {lead_id, id_key(lead_id)}:  # erasures of earlier versions have no key
            by_hash.setdefault(lead_hash(key, form), set()).add(lead_id)
    return {
        lead_id
        for piece in pieces(list(by_hash))
        for erased_hash in connection.scalars(
            sa.select(erasures.c.lead_hash).where(erasures.c.lead_hash.in_(piece))
        )
        for lead_id in by_hash[erased_hash]
    }


def forms_of_id(connection: sa.Connection, lead_id: str) -> set[str]:
    """Return an id, its key, and the stored ids with this key (`crm.lead_ids.id_key`)."""
    key = id_key(lead_id)
    lengths = [len(key) + longer for longer in LONGER_THAN_KEY]
    forms = {lead_id, key}
    for table in OF_LEADS:
        has_length = sa.func.length(table.c.lead_id).in_(lengths)
        stored = connection.scalars(sa.select(table.c.lead_id).where(has_length).distinct())
        forms |= {form for form in stored if id_key(form) == key}
    return forms


def key_for(connection: sa.Connection, purpose: str) -> str:
    """Read the ledger's own key for a purpose, in hexadecimal digits."""
    return str(connection.scalar(sa.select(keys.c.key).where(keys.c.purpose == purpose)))


def pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a sequence into pieces that fit into one statement."""
    return (values[i : i + IDS_AT_ONCE] for i in range(0, len(values), IDS_AT_ONCE))


def plain_row(row: sa.RowMapping) -> dict[str, Any]:
    """Return a row with its JSON columns decoded."""
    plain = {name: cell for name, cell in row.items() if name != "seq"}
    if "attributes" in plain:
        plain["attributes"] = _attributes(plain["attributes"])
    for name in JSON_OF_SCORES:
        if plain.get(name) is not None:
            plain[name] = msgspec.json.decode(plain[name])
    return plain


def _json(lead_ids: Sequence[str]) -> str:
    return msgspec.json.encode(list(lead_ids)).decode()


def _attributes(text: str) -> Mapping[str, Any]:
    """Decode stored attributes. Those of older versions may have names that need repair."""
    return named_cells(msgspec.json.decode(text))
