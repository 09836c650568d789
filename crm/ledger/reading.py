"""Reads rows of the ledger within one connection: leads, erased leads, rows as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from crm.lead_ids import id_key
from crm.ledger.entries import SentLead
from crm.ledger.schema import ERASURE_KEY, EVENTS, OF_LEADS, erasures, keys, lead_hash
from crm.sources.checks import named_cells

IDS_AT_ONCE: Final = 5_000  # SQLite allows 32,766 parameters in one statement
LONGER_THAN_KEY: Final = (0, 2, 3)  # an id: by nothing, ".0" or braces, or a checksum

# Statements that every call to `/score` executes. They are built once.
LEAD_IDS: Final[sa.BindParameter[str]] = sa.bindparam("lead_ids", expanding=True)
EVENTS_OF_LEADS: Final = {
    name: sa.select(*(event.table.c[column] for column in ("lead_id", event.id, *event.content)))
    .where(event.table.c.lead_id.in_(LEAD_IDS))
    .order_by(event.table.c.seq)
    for name, event in EVENTS.items()
}
NEWEST_OF_LEADS: Final = {  # reads the last entry of an index, so old entries cost nothing
    dialect: sa.text(
        "SELECT leads.lead_id, leads.created_at, leads.attributes "
        f"FROM (SELECT {requested}) AS requested JOIN leads ON leads.seq = "
        "(SELECT max(entry.seq) FROM leads AS entry WHERE entry.lead_id = requested.lead_id) "
        "ORDER BY leads.seq"
    )
    for dialect, requested in {
        "sqlite": "value AS lead_id FROM json_each(:lead_ids)",
        "postgresql": "json_array_elements_text(CAST(:lead_ids AS json)) AS lead_id",
    }.items()
}


def newest_leads(connection: sa.Connection, lead_ids: Sequence[str]) -> dict[str, SentLead]:
    """Read leads as they were sent last, by id, the newest last; those never sent are missing."""
    statement = NEWEST_OF_LEADS[connection.dialect.name]
    rows = connection.execute(statement, {"lead_ids": msgspec.json.encode(list(lead_ids)).decode()})
    return {
        lead_id: SentLead(lead_id, created_at, _attributes(attributes))
        for lead_id, created_at, attributes in rows
    }


def erased_leads(connection: sa.Connection, lead_ids: set[str]) -> set[str]:
    """Return those of these leads that were erased, under this id or another form of it."""
    if connection.scalar(sa.select(erasures.c.seq).limit(1)) is None:
        return set()
    key = erasure_key(connection)
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


def erasure_key(connection: sa.Connection) -> str:
    """Read the key of the hashes of erased leads."""
    return str(connection.scalar(sa.select(keys.c.key).where(keys.c.purpose == ERASURE_KEY)))


def pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a sequence into pieces that fit into one statement."""
    return (values[i : i + IDS_AT_ONCE] for i in range(0, len(values), IDS_AT_ONCE))


def plain_row(row: sa.RowMapping) -> dict[str, Any]:
    """Return a row with its JSON columns decoded."""
    plain = {name: cell for name, cell in row.items() if name != "seq"}
    if "attributes" in plain:
        plain["attributes"] = _attributes(plain["attributes"])
    if "reasons" in plain:
        plain["reasons"] = msgspec.json.decode(plain["reasons"])
    return plain


def _attributes(text: str) -> Mapping[str, Any]:
    """Decode stored attributes. Those of older versions may have names that need repair."""
    return named_cells(msgspec.json.decode(text))
