"""The ledger: what callers sent, every score, every outcome. Rows are only added.

An event (activity, stage or outcome) that is sent several times is stored once, as it was sent
first: see `crm.ledger.deduplication`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crm.ledger.database import LedgerDatabase
from crm.ledger.deduplication import SeenEvents
from crm.ledger.schema import (
    ERASURE_KEY,
    EVENTS,
    OF_LEADS,
    EventTable,
    erasures,
    keys,
    lead_hash,
    leads,
    scores,
)
from crm.ledger.trend import DAYS
from crm.sources.checks import named_cells
from crm.times import DAY

HISTORY_SCORES: Final = 50
IDS_AT_ONCE: Final = 5_000  # SQLite allows 32,766 parameters in one statement

Row = Mapping[str, Any]

# Statements that every scored lead needs. They are built once.
_LEAD_IDS: Final[sa.BindParameter[str]] = sa.bindparam("lead_ids", expanding=True)
EVENTS_OF_LEADS: Final = {
    name: sa.select(*(event.table.c[column] for column in ("lead_id", event.id, *event.content)))
    .where(event.table.c.lead_id.in_(_LEAD_IDS))
    .order_by(event.table.c.seq)
    for name, event in EVENTS.items()
}
NEWEST_OF_LEADS: Final = {  # reads the last entry of an index, so old entries cost nothing
    dialect: sa.text(
        "SELECT leads.lead_id, leads.created_at, leads.attributes "
        f"FROM (SELECT {requested}) AS requested JOIN leads ON leads.seq = "
        "(SELECT max(entry.seq) FROM leads AS entry WHERE entry.lead_id = requested.lead_id)"
    )
    for dialect, requested in {
        "sqlite": "value AS lead_id FROM json_each(:lead_ids)",
        "postgresql": "json_array_elements_text(CAST(:lead_ids AS json)) AS lead_id",
    }.items()
}


@dataclass(frozen=True)
class Added:
    """The result of adding one event.

    Attributes
    ----------
    id : str
        The caller's id, or `sha256:…` of the content.
    status : str
        "accepted"; "duplicate" if it was stored before; "conflict" if its id was stored with
        another content, which stays; "erased" if its lead was erased, so it is not stored.
    """

    id: str
    status: str


@dataclass(frozen=True)
class SentLead:
    """A lead as it was sent for scoring: `created_at` in microseconds, or None."""

    lead_id: str
    created_at: int | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class GivenScore:
    """A score that an answer contained; times in microseconds since 1970 UTC.

    `score_id` is unique; `reasons` are those of the answer, as plain data.
    """

    lead_id: str
    score_id: str
    as_of: int
    probability: float
    score: int
    grade: str
    model: str
    version: str
    digest: str
    reasons: Sequence[Mapping[str, Any]]
    request_id: str
    recorded_at: int


@dataclass(frozen=True)
class Held:
    """The stored data of one lead: rows with the columns of `EVENTS`, in order of arrival."""

    sent: SentLead | None = None
    activities: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Rows that are written together after answers, which do not promise that they are stored."""

    scores: Sequence[GivenScore] = ()
    leads: Sequence[tuple[SentLead, int]] = ()  # with the time at which they were sent
    activities: Sequence[Row] = ()
    stages: Sequence[Row] = ()

    def __len__(self) -> int:
        return len(self.scores) + len(self.leads) + len(self.activities) + len(self.stages)


class Ledger:
    """The append-only record of leads, activities, stages, outcomes and scores.

    Safe to use from several threads and from several processes at once.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
    folder : Path, optional
        The folder of relative files in SQLite URLs; without it the file must be absolute.

    Raises
    ------
    ConfigError
        If the URL cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> ledger = Ledger("sqlite:///ledger.db", Path(tempfile.mkdtemp()))
    >>> call = {"lead_id": "L1", "type": "call", "occurred_at": 7, "activity_id": "a1"}
    >>> changed = call | {"occurred_at": 8}
    >>> [added.status for added in ledger.add("activities", [call, call, changed], now=9)]
    ['accepted', 'duplicate', 'conflict']
    >>> ledger.forget("L1", now=10)["activities"]
    1
    >>> ledger.add("activities", [call], now=11)[0].status
    'erased'
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self.database = LedgerDatabase(url, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        self.database.close()

    def add(self, kind: str, rows: Sequence[Row], now: int) -> list[Added]:
        """Write events; when this returns, they are on the disk.

        Parameters
        ----------
        kind : str
            "activities", "stages" or "outcomes".
        rows : sequence of mapping
            Columns as in `EVENTS`; texts without zero characters, times in microseconds. A row
            without an id, or with None, gets one that is made from its content.
        now : int
            Microseconds since 1970 UTC.

        Returns
        -------
        list of Added
            One for each row, in the same order.

        Raises
        ------
        LedgerError
            If the database cannot store them now. They can be sent again.
        """
        return self.database.write(lambda connection: _add(connection, kind, rows, now))

    def add_batch(self, batch: Batch, now: int) -> int:
        """Write a batch in one transaction; erased leads are left out.

        Returns
        -------
        int
            The number of scores that were written.

        Raises
        ------
        LedgerError
            If the database cannot store them now.
        """

        def work(connection: sa.Connection) -> int:
            ids = {score.lead_id for score in batch.scores}
            erased = _erased(connection, ids | {lead.lead_id for lead, _ in batch.leads})
            _add(connection, "activities", batch.activities, now)
            _add(connection, "stages", batch.stages, now)
            _add_leads(connection, [row for row in batch.leads if row[0].lead_id not in erased])
            rows = [_score_row(score) for score in batch.scores if score.lead_id not in erased]
            return len(_insert(connection, scores, "score_id", rows))

        return self.database.write(work)

    def held(self, lead_ids: Sequence[str], with_outcomes: bool = False) -> dict[str, Held]:
        """Read the stored data of leads, all from one state of the ledger.

        Returns
        -------
        dict of str to Held
            One for each requested lead.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """
        names = [name for name in EVENTS if with_outcomes or name != "outcomes"]

        def work(connection: sa.Connection) -> dict[str, Held]:
            sent = _newest_leads(connection, lead_ids)
            held = {lead_id: Held(sent.get(lead_id)) for lead_id in lead_ids}
            for name in names:
                for piece in _pieces(lead_ids):
                    rows = connection.execute(EVENTS_OF_LEADS[name], {"lead_ids": piece})
                    for row in rows.mappings():
                        getattr(held[row["lead_id"]], name).append(dict(row))
            return held

        return self.database.read(work)

    def scores_of(self, lead_id: str) -> list[GivenScore]:
        """Read the last scores of a lead, at most 50, the newest first."""

        def work(connection: sa.Connection) -> list[GivenScore]:
            statement = (
                sa.select(scores)
                .where(scores.c.lead_id == lead_id)
                .order_by(scores.c.seq.desc())
                .limit(HISTORY_SCORES)
            )
            return [GivenScore(**_plain(row)) for row in connection.execute(statement).mappings()]

        return self.database.read(work)

    def scores_by_day(self, lead_id: str) -> list[tuple[int, int]]:
        """Read time and score of a lead's newest days (UTC), as `crm.ledger.trend` takes them.

        Each day has one score: the last one of that day.
        """

        def work(connection: sa.Connection) -> list[tuple[int, int]]:
            last_of_days = (
                sa.select(sa.func.max(scores.c.seq))
                .where(scores.c.lead_id == lead_id)
                .group_by(scores.c.as_of // DAY)
                .order_by(sa.func.max(scores.c.as_of).desc())
                .limit(DAYS)
            )
            statement = sa.select(scores.c.as_of, scores.c.score)
            rows = connection.execute(statement.where(scores.c.seq.in_(last_of_days)))
            return [(as_of, score) for as_of, score in rows]

        return self.database.read(work)

    def forget(self, lead_id: str, now: int) -> dict[str, int]:
        """Erase a lead: all its rows in all tables. Only a keyed hash of its id stays.

        Later events and scores of the lead are not stored, and training leaves it out. The
        database may contain the bytes of deleted rows, and its backups do, until they are
        overwritten.

        Returns
        -------
        dict of str to int
            The number of deleted rows, by table.
        """

        def work(connection: sa.Connection) -> dict[str, int]:
            tombstone = {"lead_hash": lead_hash(_key(connection), lead_id), "erased_at": now}
            connection.execute(_insert_new(connection, erasures), [tombstone])
            return {
                table.name: connection.execute(
                    sa.delete(table).where(table.c.lead_id == lead_id)
                ).rowcount
                for table in OF_LEADS
            }

        return self.database.write(work, alone=True)

    def erased(self, lead_ids: Sequence[str]) -> set[str]:
        """Return the leads that were erased."""
        return self.database.read(lambda connection: _erased(connection, set(lead_ids)))

    def rows(self, kind: str, at_once: int = 10_000) -> Iterator[list[dict[str, Any]]]:
        """Read a whole table in pieces, in order of arrival, from one state of the ledger.

        Parameters
        ----------
        kind : str
            "activities", "stages", "outcomes", "scores", "leads" or "erasures".
        at_once : int
            The greatest number of rows of a piece.
        """
        table = {t.name: t for t in (*OF_LEADS, erasures)}[kind]
        return self._pieces_of(sa.select(table).order_by(table.c.seq), at_once)

    def newest_leads(self, at_once: int = 10_000) -> Iterator[list[dict[str, Any]]]:
        """Read each lead as it was last sent, in pieces."""
        newest = sa.select(sa.func.max(leads.c.seq)).group_by(leads.c.lead_id)
        statement = sa.select(leads).where(leads.c.seq.in_(newest)).order_by(leads.c.seq)
        return self._pieces_of(statement, at_once)

    def attribute_names(self) -> list[str]:
        """Return the names of all attributes that were ever sent, sorted."""
        return sorted(
            {name for piece in self.rows("leads") for row in piece for name in row["attributes"]}
        )

    def _pieces_of(self, statement: sa.Select[Any], at_once: int) -> Iterator[list[dict[str, Any]]]:
        with self.database.reading() as connection:
            result = connection.execution_options(yield_per=at_once).execute(statement)
            for piece in result.mappings().partitions():
                yield [_plain(row) for row in piece]


def _plain(row: sa.RowMapping) -> dict[str, Any]:
    """Return a row with its JSON columns decoded."""
    plain = {name: cell for name, cell in row.items() if name != "seq"}
    if "attributes" in plain:
        plain["attributes"] = _attributes(plain["attributes"])
    if "reasons" in plain:
        plain["reasons"] = msgspec.json.decode(plain["reasons"])
    return plain


def _attributes(text: str) -> Mapping[str, Any]:
    """Read stored attributes; the names of older ones may need repair."""
    return named_cells(msgspec.json.decode(text))


def _add(connection: sa.Connection, kind: str, rows: Sequence[Row], now: int) -> list[Added]:
    event = EVENTS[kind]
    if not rows:
        return []
    erased = _erased(connection, {row["lead_id"] for row in rows})
    wanted = [
        {"lead_id": row["lead_id"], event.id: event.own_id(row) or event.derived_id(row)}
        | dict(zip(event.content, event.content_of(row), strict=True))
        | {"recorded_at": now}
        for row in rows
    ]
    added: dict[int, Added] = {
        i: Added(row[event.id], "erased")
        for i, row in enumerate(wanted)
        if row["lead_id"] in erased
    }
    while len(added) < len(wanted):  # repeats only if another writer inserted the same id
        seen = SeenEvents(event)
        remaining = [row for i, row in enumerate(wanted) if i not in added]
        for row in _alike(connection, event, remaining):
            seen.add(row)
        new: dict[tuple[str, str], int] = {}
        for i, row in enumerate(wanted):
            if i in added:
                continue
            status = seen.status_of(row)
            if status == "accepted":
                seen.add(row)
                new[(row["lead_id"], row[event.id])] = i
            else:
                added[i] = Added(row[event.id], status)
        inserted = _insert(connection, event.table, event.id, [wanted[i] for i in new.values()])
        added |= {i: Added(key[1], "accepted") for key, i in new.items() if key in inserted}
        if len(inserted) < len(new):  # compare the others with what the other writer inserted
            final = ("accepted", "erased")
            added = {i: result for i, result in added.items() if result.status in final}
    return [added[i] for i in range(len(wanted))]


def _alike(connection: sa.Connection, event: EventTable, rows: Sequence[Row]) -> Iterator[Row]:
    """Read the stored rows that have an id, or a lead and a time, in common with given rows."""
    table = event.table
    columns = [table.c[column] for column in ("lead_id", event.id, *event.content)]
    for piece in _pieces(rows):
        lead_ids = sorted({row["lead_id"] for row in piece})
        same_id = table.c[event.id].in_(sorted({row[event.id] for row in piece}))
        same_time = table.c[event.time].in_(sorted({row[event.time] or 0 for row in piece}))
        statement = sa.select(*columns).where(
            table.c.lead_id.in_(lead_ids), sa.or_(same_id, same_time, table.c[event.time].is_(None))
        )
        yield from (dict(row) for row in connection.execute(statement).mappings())


def _score_row(score: GivenScore) -> Row:
    named = {
        column.name: getattr(score, column.name) for column in scores.c if column.name != "seq"
    }
    return named | {"reasons": msgspec.json.encode(score.reasons).decode()}


def _insert_new(connection: sa.Connection, table: sa.Table) -> Any:
    """Build an insert that skips rows which exist already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _insert(
    connection: sa.Connection, table: sa.Table, name: str, rows: Sequence[Row]
) -> set[tuple[str, str]]:
    """Insert rows that do not exist yet, and return the lead and the id of each inserted row.

    All writers insert in the same order; otherwise two could wait for each other.
    """
    if not rows:
        return set()
    columns = (table.c.lead_id, table.c[name])
    ordered = sorted(rows, key=lambda row: (row["lead_id"], row[name]))
    result = connection.execute(_insert_new(connection, table).returning(*columns), ordered)
    return {(row[0], row[1]) for row in result}


def _add_leads(connection: sa.Connection, sent: Sequence[tuple[SentLead, int]]) -> None:
    """Add leads that differ from how they were last sent."""
    last = {
        lead_id: (lead.created_at, _plain_text(lead.attributes))
        for lead_id, lead in _newest_leads(connection, list({s.lead_id for s, _ in sent})).items()
    }
    rows = []
    for lead, at in sent:
        attributes = _plain_text(lead.attributes)
        content = (lead.created_at, attributes)
        if last.get(lead.lead_id) != content:
            last[lead.lead_id] = content
            rows.append(
                {
                    "lead_id": lead.lead_id,
                    "created_at": lead.created_at,
                    "attributes": attributes,
                    "recorded_at": at,
                }
            )
    if rows:
        connection.execute(sa.insert(leads), rows)


def _newest_leads(connection: sa.Connection, lead_ids: Sequence[str]) -> dict[str, SentLead]:
    statement = NEWEST_OF_LEADS[connection.dialect.name]
    rows = connection.execute(statement, {"lead_ids": msgspec.json.encode(list(lead_ids)).decode()})
    return {
        lead_id: SentLead(lead_id, created_at, _attributes(attributes))
        for lead_id, created_at, attributes in rows
    }


def _plain_text(attributes: Mapping[str, Any]) -> str:
    """Write attributes as JSON; whole numbers beyond 64 bits become text."""
    plain = {
        name: str(cell) if type(cell) is int and not -(2**63) <= cell < 2**63 else cell
        for name, cell in attributes.items()
    }
    return msgspec.json.encode(plain, order="deterministic").decode()


def _erased(connection: sa.Connection, lead_ids: set[str]) -> set[str]:
    if connection.scalar(sa.select(erasures.c.seq).limit(1)) is None:
        return set()
    key = _key(connection)
    by_hash = {lead_hash(key, lead_id): lead_id for lead_id in lead_ids}
    return {
        by_hash[erased_hash]
        for piece in _pieces(list(by_hash))
        for erased_hash in connection.scalars(
            sa.select(erasures.c.lead_hash).where(erasures.c.lead_hash.in_(piece))
        )
    }


def _key(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.select(keys.c.key).where(keys.c.purpose == ERASURE_KEY)))


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[i : i + IDS_AT_ONCE] for i in range(0, len(values), IDS_AT_ONCE))
