"""The ledger's tables, the same in SQLite and PostgreSQL; `crm/ledger/migrations` creates them.

Times are whole microseconds since 1970 UTC, so that both databases store them alike. Rows are
added and never changed; only `forget` deletes them. `seq` is the order of arrival; rows that
arrived together are in order of their ids.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from crm.days import without_day_end
from crm.tables import EVENT_TABLES, DeclaredTable, Kind

SCHEMA_VERSION: Final = "0004"  # the newest of crm/ledger/migrations/versions
VERSION_TABLE: Final = "ledger_version"

metadata = sa.MetaData()
Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


SQL_TYPES: Final[dict[Kind, type[sa.types.TypeEngine[Any]]]] = {
    "id": sa.Text,
    "text": sa.Text,
    "value": sa.Text,
    "time": sa.BigInteger,
    "number": sa.Double,
}


def _seq() -> sa.Column[int]:
    return sa.Column("seq", Seq, primary_key=True, autoincrement=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _time(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _event_table(table: DeclaredTable) -> sa.Table:
    return sa.Table(
        table.name,
        metadata,
        _seq(),
        _text("lead_id"),
        _text(table.event_id),
        *(
            sa.Column(column.name, SQL_TYPES[column.kind], nullable=not column.required)
            for column in table.content
        ),
        _time("recorded_at"),
        sa.UniqueConstraint("lead_id", table.event_id),
        sa.Index(f"{table.name}_by_time", "lead_id", table.event_time),
    )


def _score_table(name: str, *columns: sa.Column[Any], unique: tuple[str, ...]) -> sa.Table:
    """Declare a table of scores: the columns that all of them have, and its own."""
    return sa.Table(
        name,
        metadata,
        _seq(),
        _text("lead_id"),
        _text("score_id"),
        _time("as_of"),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        _text("grade"),
        _text("model"),
        _text("version"),
        _text("digest"),
        _time("recorded_at"),
        *columns,
        sa.UniqueConstraint(*unique),
    )


scores = _score_table(
    "scores",
    _text("reasons"),
    _text("request_id"),
    # Rows of the schemas before 0004 have no values in these columns.
    sa.Column("lane", sa.Text),
    sa.Column("start", sa.Double),
    sa.Column("points", sa.Text),
    sa.Column("warnings", sa.Text),
    unique=("lead_id", "score_id"),
)
shadow_scores = _score_table("shadow_scores", unique=("lead_id", "score_id", "digest"))
leads = sa.Table(
    "leads",
    metadata,
    _seq(),
    _text("lead_id"),
    _time("created_at", True),
    _text("attributes"),
    _time("recorded_at"),
    sa.Index("leads_by_lead", "lead_id", "seq"),
)
erasures = sa.Table(
    "erasures",
    metadata,
    _seq(),
    _text("lead_hash"),
    _time("erased_at"),
    sa.UniqueConstraint("lead_hash"),
)
keys = sa.Table("ledger_keys", metadata, _text("purpose"), _text("key"))
version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32)))

ERASURE_KEY, CONTROL_KEY = "erasure", "control"  # the purposes of the keys
DERIVED: Final = "sha256:"  # the beginning of an id that is derived from the content


@dataclass(frozen=True)
class EventTable:
    """A table whose rows callers add by id: activities, stages or outcomes.

    Attributes
    ----------
    table : Table
    id : str
        The column of the id. The caller sends the id, or it is derived from the content.
    time : str
        The column of the time of the event.
    content : tuple of str
        The columns that describe the event; the time is one of them.
    """

    table: sa.Table
    id: str
    time: str
    content: tuple[str, ...]

    def content_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the content of a row, without its id."""
        return tuple(row.get(column) for column in self.content)

    def compared_content_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the content by which events are compared: a day is its start."""
        return tuple(self._compared(column, row) for column in self.content)

    def _compared(self, column: str, row: Mapping[str, Any]) -> Any:
        cell = row.get(column)
        return cell if cell is None or column not in ENDS_DAY else without_day_end(cell)

    def hashed_content_of(self, row: Mapping[str, Any]) -> list[Any]:
        """Return the content from which an id is derived, as the first release hashed it.

        A column that was declared later counts only if it has a value, so that the ids of older
        events do not change.
        """
        first = FIRST_CONTENT[self.table.name]
        later = [
            [column, row[column]]
            for column in self.content
            if column not in first and row.get(column) is not None
        ]
        return [*(self._compared(column, row) for column in first), *later]

    def derived_id(self, row: Mapping[str, Any]) -> str:
        """Derive an id from the lead and the content, for a row without an id.

        Examples
        --------
        >>> row = {"lead_id": "L1", "stage": "new", "entered_at": 0}
        >>> EVENTS["stages"].derived_id(row)[:20]
        'sha256:d6f9c0baab0d1'
        """
        content = msgspec.json.encode([row["lead_id"], *self.hashed_content_of(row)])
        return DERIVED + hashlib.sha256(content).hexdigest()

    def own_id(self, row: Mapping[str, Any]) -> str | None:
        """Return the id that the caller sent; None if the caller sent none."""
        own_id = row.get(self.id)
        return None if own_id is None or own_id.startswith(DERIVED) else own_id


FIRST_CONTENT: Final = {  # as the first release declared it; stored ids depend on it
    "activities": ("type", "occurred_at", "content", "channel", "value"),
    "stages": ("stage", "entered_at"),
    "outcomes": ("outcome", "closed_at", "amount", "reason"),
}
ENDS_DAY: Final = {
    column.name for table in EVENT_TABLES.values() for column in table.content if column.ends_day
}
EVENTS: Final = {
    name: EventTable(
        _event_table(table),
        table.event_id,
        table.event_time,
        tuple(column.name for column in table.content),
    )
    for name, table in EVENT_TABLES.items()
}
OF_LEADS: Final = (  # for an erasure
    *(event.table for event in EVENTS.values()),
    scores,
    shadow_scores,
    leads,
)


def lead_hash(key: str, lead_id: str) -> str:
    """Hash a lead's id for a tombstone: HMAC-SHA256 with the ledger's own key.

    The hash hides the id, except from a reader who has both the ledger and a list of ids.
    """
    return hmac.new(bytes.fromhex(key), lead_id.encode(), hashlib.sha256).hexdigest()
