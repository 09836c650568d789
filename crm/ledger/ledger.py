"""The ledger: what callers sent, every score given, every outcome. Rows are only ever added.

An event (activity, stage, outcome) is one event however often it is sent: see
`crm.ledger.deduplication`. The first one stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crm.ledger.database import LedgerDatabase
from crm.ledger.deduplication import Known
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
IDS_AT_ONCE: Final = 5_000  # SQLite takes 32,766 parameters in one statement

Row = Mapping[str, Any]

# Statements that every scored lead needs, built once.
_LEAD_IDS: Final[sa.BindParameter[str]] = sa.bindparam("lead_ids", expanding=True)
EVENTS_OF_LEADS: Final = {
    name: sa.select(*(event.table.c[each] for each in ("lead_id", event.id, *event.content)))
    .where(event.table.c.lead_id.in_(_LEAD_IDS))
    .order_by(event.table.c.seq)
    for name, event in EVENTS.items()
}
NEWEST_OF_LEADS: Final = {  # the last entry of an index, however often a lead was sent before
    dialect: sa.text(
        "SELECT leads.lead_id, leads.created_at, leads.attributes "
        f"FROM (SELECT {asked}) AS asked JOIN leads ON leads.seq = "
        "(SELECT max(earlier.seq) FROM leads AS earlier WHERE earlier.lead_id = asked.lead_id)"
    )
    for dialect, asked in {
        "sqlite": "value AS lead_id FROM json_each(:lead_ids)",
        "postgresql": "json_array_elements_text(CAST(:lead_ids AS json)) AS lead_id",
    }.items()
}


@dataclass(frozen=True)
class Added:
    """What became of one event.

    Attributes
    ----------
    id : str
        As the caller named it, or `sha256:…` of what it says.
    status : str
        "accepted"; "duplicate": it is there already; "conflict": its id is there and says
        something else, which stays; "erased": its lead was erased, nothing is kept.
    """

    id: str
    status: str


@dataclass(frozen=True)
class SentLead:
    """A lead as it was sent to be scored: `created_at` in microseconds, or None."""

    lead_id: str
    created_at: int | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class GivenScore:
    """A score that was answered; times in microseconds since 1970 UTC.

    `score_id` is unique; `reasons` are what the answer said, as plain data.
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
    """What the ledger holds of one lead: rows as `EVENTS` names their columns, by arrival."""

    sent: SentLead | None = None
    activities: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """What is written behind answers, together: nobody was told that it is stored."""

    scores: Sequence[GivenScore] = ()
    leads: Sequence[tuple[SentLead, int]] = ()  # with the time they were sent at
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
        What the file of a SQLite URL is relative to; without it the file has to be absolute.

    Raises
    ------
    ConfigError
        If the URL cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> ledger = Ledger("sqlite:///ledger.db", Path(tempfile.mkdtemp()))
    >>> called = {"lead_id": "L1", "type": "call", "occurred_at": 7, "activity_id": "a1"}
    >>> again = called | {"occurred_at": 8}
    >>> [added.status for added in ledger.add("activities", [called, called, again], now=9)]
    ['accepted', 'duplicate', 'conflict']
    >>> ledger.forget("L1", now=10)["activities"]
    1
    >>> ledger.add("activities", [called], now=11)[0].status
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
        """Add events; when this returns they are on the disk.

        Parameters
        ----------
        kind : str
            "activities", "stages" or "outcomes".
        rows : sequence of mapping
            Columns as in `EVENTS`; texts without zero characters, times in microseconds.
            Without an id, or with None, one is made of the content.
        now : int
            Microseconds since 1970 UTC.

        Returns
        -------
        list of Added
            One for each row, in their order.

        Raises
        ------
        LedgerError
            If the database cannot take them now; sending them again does no harm.
        """
        return self.database.write(lambda connection: _add(connection, kind, rows, now))

    def add_batch(self, batch: Batch, now: int) -> int:
        """Write what is behind answers, in one transaction; erased leads are left out.

        Returns
        -------
        int
            How many scores were written.

        Raises
        ------
        LedgerError
            If the database cannot take them now.
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
        """Read what is held of some leads, all as of one state of the ledger.

        Returns
        -------
        dict of str to Held
            One for every lead that was asked for.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """
        names = [name for name in EVENTS if with_outcomes or name != "outcomes"]

        def work(connection: sa.Connection) -> dict[str, Held]:
            sent = _newest_leads(connection, lead_ids)
            found = {lead_id: Held(sent.get(lead_id)) for lead_id in lead_ids}
            for name in names:
                for some in _pieces(lead_ids):
                    rows = connection.execute(EVENTS_OF_LEADS[name], {"lead_ids": some})
                    for row in rows.mappings():
                        getattr(found[row["lead_id"]], name).append(dict(row))
            return found

        return self.database.read(work)

    def scores_of(self, lead_id: str) -> list[GivenScore]:
        """Read the last scores of a lead, at most 50, the last given first."""

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
        """Read moment and score of a lead's newest days (UTC), as `crm.ledger.trend` takes them.

        Of each day the score that was given last, however many there are.
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
            found = connection.execute(statement.where(scores.c.seq.in_(last_of_days)))
            return [(as_of, score) for as_of, score in found]

        return self.database.read(work)

    def forget(self, lead_id: str, now: int) -> dict[str, int]:
        """Erase a lead: all its rows in all tables. What stays is a keyed hash of its id.

        Later events and scores of it are not kept, and training leaves it out. The database
        may keep the bytes of deleted rows, and its backups do, until they are overwritten.

        Returns
        -------
        dict of str to int
            How many rows were deleted, by table.
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
        """Tell which of some leads were erased."""
        return self.database.read(lambda connection: _erased(connection, set(lead_ids)))

    def rows(self, kind: str, at_once: int = 10_000) -> Iterator[list[dict[str, Any]]]:
        """Read a whole table in pieces, in the order of arrival, as of one state of the ledger.

        Parameters
        ----------
        kind : str
            "activities", "stages", "outcomes", "scores", "leads" or "erasures".
        at_once : int
            How many rows a piece has at most.
        """
        table = {t.name: t for t in (*OF_LEADS, erasures)}[kind]
        return self._pieces_of(sa.select(table).order_by(table.c.seq), at_once)

    def newest_leads(self, at_once: int = 10_000) -> Iterator[list[dict[str, Any]]]:
        """Read each lead once, as it was sent last, in pieces."""
        newest = sa.select(sa.func.max(leads.c.seq)).group_by(leads.c.lead_id)
        statement = sa.select(leads).where(leads.c.seq.in_(newest)).order_by(leads.c.seq)
        return self._pieces_of(statement, at_once)

    def attribute_names(self) -> list[str]:
        """Read the names of all attributes that were ever sent, sorted."""
        return sorted(
            {name for piece in self.rows("leads") for row in piece for name in row["attributes"]}
        )

    def _pieces_of(self, statement: sa.Select[Any], at_once: int) -> Iterator[list[dict[str, Any]]]:
        with self.database.reading() as connection:
            result = connection.execution_options(yield_per=at_once).execute(statement)
            for piece in result.mappings().partitions():
                yield [_plain(row) for row in piece]


def _plain(row: sa.RowMapping) -> dict[str, Any]:
    """Give a row with its JSON columns read."""
    plain = {name: cell for name, cell in row.items() if name != "seq"}
    if "attributes" in plain:
        plain["attributes"] = _attributes(plain["attributes"])
    if "reasons" in plain:
        plain["reasons"] = msgspec.json.decode(plain["reasons"])
    return plain


def _attributes(text: str) -> Mapping[str, Any]:
    """Read attributes as they were stored, of which older ones may have any names."""
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
    while len(added) < len(wanted):  # again only if another writer came between
        held = Known(event)
        for row in _alike(connection, event, [r for i, r in enumerate(wanted) if i not in added]):
            held.learn(row)
        new: dict[tuple[str, str], int] = {}
        for i, row in enumerate(wanted):
            if i in added:
                continue
            status = held.judge(row)
            if status == "accepted":
                held.learn(row)
                new[(row["lead_id"], row[event.id])] = i
            else:
                added[i] = Added(row[event.id], status)
        inserted = _insert(connection, event.table, event.id, [wanted[i] for i in new.values()])
        added |= {i: Added(key[1], "accepted") for key, i in new.items() if key in inserted}
        if len(inserted) < len(new):  # what was judged beside a row that came second
            added = {i: one for i, one in added.items() if one.status in ("accepted", "erased")}
    return [added[i] for i in range(len(wanted))]


def _alike(connection: sa.Connection, event: EventTable, rows: Sequence[Row]) -> Iterator[Row]:
    """Read the rows that have an id, or a lead and a time, in common with some others."""
    table = event.table
    columns = [table.c[column] for column in ("lead_id", event.id, *event.content)]
    for some in _pieces(rows):
        lead_ids = sorted({row["lead_id"] for row in some})
        same_id = table.c[event.id].in_(sorted({row[event.id] for row in some}))
        same_time = table.c[event.time].in_(sorted({row[event.time] or 0 for row in some}))
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
    """Build an insert that leaves rows alone which are there already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _insert(
    connection: sa.Connection, table: sa.Table, name: str, rows: Sequence[Row]
) -> set[tuple[str, str]]:
    """Insert rows that are not there yet; give the lead and the id of each that was inserted.

    In one order everywhere, or two writers could wait for each other.
    """
    if not rows:
        return set()
    columns = (table.c.lead_id, table.c[name])
    ordered = sorted(rows, key=lambda row: (row["lead_id"], row[name]))
    result = connection.execute(_insert_new(connection, table).returning(*columns), ordered)
    return {(row[0], row[1]) for row in result}


def _add_leads(connection: sa.Connection, sent: Sequence[tuple[SentLead, int]]) -> None:
    """Add leads that were sent otherwise than last time."""
    last = {
        lead_id: (lead.created_at, _plain_text(lead.attributes))
        for lead_id, lead in _newest_leads(connection, list({s.lead_id for s, _ in sent})).items()
    }
    rows = []
    for lead, at in sent:
        said = (lead.created_at, _plain_text(lead.attributes))
        if last.get(lead.lead_id) != said:
            last[lead.lead_id] = said
            rows.append(
                {
                    "lead_id": lead.lead_id,
                    "created_at": said[0],
                    "attributes": said[1],
                    "recorded_at": at,
                }
            )
    if rows:
        connection.execute(sa.insert(leads), rows)


def _newest_leads(connection: sa.Connection, lead_ids: Sequence[str]) -> dict[str, SentLead]:
    found: dict[str, SentLead] = {}
    statement = NEWEST_OF_LEADS[connection.dialect.name]
    asked = msgspec.json.encode(list(lead_ids)).decode()
    for lead_id, created_at, attributes in connection.execute(statement, {"lead_ids": asked}):
        found[lead_id] = SentLead(lead_id, created_at, _attributes(attributes))
    return found


def _plain_text(attributes: Mapping[str, Any]) -> str:
    """Write attributes as JSON; a whole number that JSON readers may not hold goes as text."""
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
        by_hash[found]
        for some in _pieces(list(by_hash))
        for found in connection.scalars(
            sa.select(erasures.c.lead_hash).where(erasures.c.lead_hash.in_(some))
        )
    }


def _key(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.select(keys.c.key).where(keys.c.purpose == ERASURE_KEY)))


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[i : i + IDS_AT_ONCE] for i in range(0, len(values), IDS_AT_ONCE))
