"""Writes rows of the ledger within one transaction: events, leads, scores."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crm.ledger.deduplication import SeenEvents
from crm.ledger.entries import Added, GivenScore, Row, SentLead, ShadowScore
from crm.ledger.reading import JSON_OF_SCORES, erased_leads, newest_leads, similar_events
from crm.ledger.schema import EVENTS, leads, scores, shadow_scores


def add_events(connection: sa.Connection, kind: str, rows: Sequence[Row], now: int) -> list[Added]:
    """Add events that are not stored yet, and return the result of each, in the same order.

    A row may have a time of recording of its own, instead of `now`.
    """
    event = EVENTS[kind]
    if not rows:
        return []
    erased = erased_leads(connection, {row["lead_id"] for row in rows})
    complete = [
        {"lead_id": row["lead_id"], event.id: event.own_id(row) or event.derived_id(row)}
        | dict(zip(event.content, event.content_of(row), strict=True))
        | {"recorded_at": row.get("recorded_at", now)}
        for row in rows
    ]
    added: dict[int, Added] = {
        i: Added(row[event.id], "erased")
        for i, row in enumerate(complete)
        if row["lead_id"] in erased
    }
    while len(added) < len(complete):  # repeats only if another writer inserts the same id
        seen = SeenEvents(event)
        remaining = [row for i, row in enumerate(complete) if i not in added]
        for row in similar_events(connection, event, remaining):
            seen.add(row)
        new: dict[tuple[str, str], int] = {}
        for i, row in enumerate(complete):
            if i in added:
                continue
            status = seen.status_of(row)
            if status == "accepted":
                seen.add(row)
                new[(row["lead_id"], row[event.id])] = i
            else:
                added[i] = Added(row[event.id], status)
        inserted = _insert(connection, event.table, event.id, [complete[i] for i in new.values()])
        added |= {i: Added(key[1], "accepted") for key, i in new.items() if key in inserted}
        if len(inserted) < len(new):  # compare the rest with what the other writer inserted
            final = ("accepted", "erased")
            added = {i: result for i, result in added.items() if result.status in final}
    return [added[i] for i in range(len(complete))]


def add_scores(connection: sa.Connection, given: Sequence[GivenScore]) -> int:
    """Add scores that are not stored yet, and return their number."""
    return len(_insert(connection, scores, "score_id", [_score_row(score) for score in given]))


def _score_row(score: GivenScore) -> Row:
    columns = [column.name for column in scores.c if column.name != "seq"]
    row = {name: getattr(score, name) for name in columns}
    return row | {
        name: msgspec.json.encode(row[name]).decode()
        for name in JSON_OF_SCORES
        if row[name] is not None
    }


def add_shadow_scores(connection: sa.Connection, shadows: Sequence[ShadowScore]) -> None:
    """Add shadow scores that are not stored yet."""
    if shadows:
        ordered = sorted(map(vars, shadows), key=itemgetter("lead_id", "score_id", "digest"))
        connection.execute(insert_new(connection, shadow_scores), ordered)


def insert_new(connection: sa.Connection, table: sa.Table) -> Any:
    """Build an insert that skips rows that exist already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _insert(
    connection: sa.Connection, table: sa.Table, name: str, rows: Sequence[Row]
) -> set[tuple[str, str]]:
    """Insert rows that do not exist yet, and return the lead and the id of each inserted row.

    Rows are inserted in the order of lead and id. Otherwise two writers could wait for each other.
    """
    if not rows:
        return set()
    columns = (table.c.lead_id, table.c[name])
    ordered = sorted(rows, key=lambda row: (row["lead_id"], row[name]))
    result = connection.execute(insert_new(connection, table).returning(*columns), ordered)
    return {(row[0], row[1]) for row in result}


def add_leads(connection: sa.Connection, sent: Sequence[tuple[SentLead, int]]) -> None:
    """Add leads that differ from how they were last sent, each with the time of sending."""
    stored = newest_leads(connection, list({lead.lead_id for lead, _ in sent}))
    last = {
        lead_id: (lead.created_at, _attributes_text(lead.attributes))
        for lead_id, lead in stored.items()
    }
    rows = []
    for lead, sent_at in sent:
        attributes = _attributes_text(lead.attributes)
        content = (lead.created_at, attributes)
        if last.get(lead.lead_id) != content:
            last[lead.lead_id] = content
            rows.append(
                {
                    "lead_id": lead.lead_id,
                    "created_at": lead.created_at,
                    "attributes": attributes,
                    "recorded_at": sent_at,
                }
            )
    if rows:
        connection.execute(sa.insert(leads), rows)


def _attributes_text(attributes: Mapping[str, Any]) -> str:
    """Write attributes as JSON; whole numbers beyond 64 bits become text."""
    plain = {
        name: str(cell) if type(cell) is int and not -(2**63) <= cell < 2**63 else cell
        for name, cell in attributes.items()
    }
    return msgspec.json.encode(plain, order="deterministic").decode()
