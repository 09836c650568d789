"""The ledger: what callers sent, every score, every outcome. Rows are added, never changed.

An event (activity, stage or outcome) that is sent several times is stored once, as it was sent
first: see `crm.ledger.deduplication`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa

from crm.lanes import Lanes
from crm.lead_ids import id_forms
from crm.ledger.database import LedgerDatabase
from crm.ledger.entries import Added, Batch, GivenScore, LeadOverview, Row, StoredLead
from crm.ledger.long_history import HistoryQuery, LongHistory, long_history
from crm.ledger.reading import (
    erased_leads,
    forms_of_id,
    key_for,
    lead_as_recorded,
    newest_events,
    newest_leads,
    pieces,
    plain_row,
    short_histories,
)
from crm.ledger.schema import (
    CONTROL_KEY,
    ERASURE_KEY,
    EVENTS,
    OF_LEADS,
    erasures,
    lead_hash,
    leads,
    scores,
)
from crm.ledger.trend import DAYS
from crm.ledger.writing import add_events, add_leads, add_scores, add_shadow_scores, insert_new
from crm.times import DAY

HISTORY_SCORES: Final = 50


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
            without an id, or with None, gets an id that is derived from its content.
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
        return self.database.write(lambda connection: add_events(connection, kind, rows, now))

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
            ids |= {shadow.lead_id for shadow in batch.shadow_scores}
            erased = erased_leads(connection, ids | {lead.lead_id for lead, _ in batch.leads})
            add_events(connection, "activities", batch.activities, now)
            add_events(connection, "stages", batch.stages, now)
            add_leads(connection, [row for row in batch.leads if row[0].lead_id not in erased])
            shadows = [shadow for shadow in batch.shadow_scores if shadow.lead_id not in erased]
            add_shadow_scores(connection, shadows)
            return add_scores(
                connection, [score for score in batch.scores if score.lead_id not in erased]
            )

        return self.database.write(work)

    def stored_leads(self, lead_ids: Sequence[str]) -> dict[str, StoredLead]:
        """Read what is stored about leads to be scored, all from one state of the ledger.

        Rows under another form of an id (`crm.lead_ids.id_forms`) are found too, and get the
        requested id. The events of a lead with more than `MOST_EVENTS` are not read.

        Returns
        -------
        dict of str to StoredLead
            One for each requested lead.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """

        def work(connection: sa.Connection) -> dict[str, StoredLead]:
            requested: dict[str, list[str]] = {}
            for lead_id in dict.fromkeys(lead_ids):
                for form in id_forms(lead_id):
                    requested.setdefault(form, []).append(lead_id)
            sent = {
                lead_id: replace(lead, lead_id=lead_id)
                for form, lead in newest_leads(connection, list(requested)).items()
                for lead_id in requested[form]
            }
            stored = {lead_id: StoredLead(sent.get(lead_id)) for lead_id in lead_ids}
            for name in ("activities", "stages"):
                for piece in pieces(list(requested)):
                    rows, long_forms = short_histories(connection, name, piece)
                    for row in rows:
                        for lead_id in requested[row["lead_id"]]:
                            getattr(stored[lead_id], name).append({**row, "lead_id": lead_id})
                    for form in long_forms:
                        for lead_id in requested[form]:
                            stored[lead_id] = StoredLead(sent.get(lead_id), is_long=True)
            return {
                lead_id: StoredLead(lead.sent, is_long=True) if lead.is_long else lead
                for lead_id, lead in stored.items()
            }

        return self.database.read(work)

    def long_history(self, query: HistoryQuery, seconds: float) -> LongHistory:
        """Compute the totals of a lead whose events are too many to read, within `seconds`.

        Raises
        ------
        LedgerError
            If the database cannot be read now, or needs too much time.
        """
        end = time.monotonic() + seconds
        return self.database.read(lambda connection: long_history(connection, query, end))

    def overview(self, lead_id: str) -> LeadOverview:
        """Read what is stored about a lead: as it was sent last, and its newest events."""

        def work(connection: sa.Connection) -> LeadOverview:
            forms = id_forms(lead_id)
            sent = list(newest_leads(connection, forms).values())
            events = {name: newest_events(connection, name, forms) for name in EVENTS}
            return LeadOverview(replace(sent[-1], lead_id=lead_id) if sent else None, **events)

        return self.database.read(work)

    def lead_as_recorded(self, lead_id: str, by: int) -> StoredLead:
        """Read a lead with what was recorded up to a time, from one state of the ledger.

        Rows under another form of the id are found too. A lead with more than `MOST_EVENTS`
        activities or stages is read without them.

        Parameters
        ----------
        lead_id : str
        by : int
            Microseconds since 1970 UTC.

        Returns
        -------
        StoredLead
            `sent` is None if the lead was not sent by then.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """
        return self.database.read(lambda connection: lead_as_recorded(connection, lead_id, by))

    def scores_of(self, lead_id: str) -> list[GivenScore]:
        """Read the last scores of a lead, at most 50, the newest first."""

        def work(connection: sa.Connection) -> list[GivenScore]:
            statement = (
                sa.select(scores)
                .where(scores.c.lead_id.in_(id_forms(lead_id)))
                .order_by(scores.c.seq.desc())
                .limit(HISTORY_SCORES)
            )
            return [
                GivenScore(**plain_row(row)) for row in connection.execute(statement).mappings()
            ]

        return self.database.read(work)

    def scores_by_day(self, lead_id: str) -> list[tuple[int, int]]:
        """Read time and score of a lead's newest days (UTC), the input of `crm.ledger.trend`.

        The score of a day is its last one.
        """

        def work(connection: sa.Connection) -> list[tuple[int, int]]:
            last_of_days = (
                sa.select(sa.func.max(scores.c.seq))
                .where(scores.c.lead_id.in_(id_forms(lead_id)))
                .group_by(scores.c.as_of // DAY)
                .order_by(sa.func.max(scores.c.as_of).desc())
                .limit(DAYS)
            )
            statement = sa.select(scores.c.as_of, scores.c.score)
            rows = connection.execute(statement.where(scores.c.seq.in_(last_of_days)))
            return [(as_of, score) for as_of, score in rows]

        return self.database.read(work)

    def forget(self, lead_id: str, now: int) -> dict[str, int]:
        """Erase a lead: delete all its rows in all tables. Only keyed hashes of its id stay.

        Rows under another form of the id (`crm.lead_ids`) are deleted too.
        Later events and scores of the lead are not stored, and training leaves it out. The files
        of the database may contain deleted rows until they are overwritten, and backups contain
        them.

        Returns
        -------
        dict of str to int
            The number of deleted rows, by table.
        """

        def work(connection: sa.Connection) -> dict[str, int]:
            forms = sorted(forms_of_id(connection, lead_id))
            key = key_for(connection, ERASURE_KEY)
            tombstones = [{"lead_hash": lead_hash(key, form), "erased_at": now} for form in forms]
            connection.execute(insert_new(connection, erasures), tombstones)
            return {
                table.name: connection.execute(
                    sa.delete(table).where(table.c.lead_id.in_(forms))
                ).rowcount
                for table in OF_LEADS
            }

        return self.database.write(work, alone=True)

    def erased(self, lead_ids: Sequence[str]) -> set[str]:
        """Return those of these leads that were erased."""
        return self.database.read(lambda connection: erased_leads(connection, set(lead_ids)))

    def lanes(self, share: float) -> Lanes:
        """Return the lanes of leads, which depend on a key of this ledger.

        Parameters
        ----------
        share : float
            The share of the control group.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """
        key = self.database.read(lambda connection: key_for(connection, CONTROL_KEY))
        return Lanes(bytes.fromhex(key), share)

    def rows(self, kind: str, at_once: int = 10_000) -> Iterator[list[dict[str, Any]]]:
        """Read a whole table in pieces, in order of arrival, from one state of the ledger.

        Parameters
        ----------
        kind : str
            "activities", "stages", "outcomes", "scores", "shadow_scores", "leads" or "erasures".
        at_once : int
            The largest number of rows of a piece.
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
                yield [plain_row(row) for row in piece]
