"""The outbox: messages on the disk until each target has them, and what was told before.

It is a small SQLite file. What was added is on the disk, whole or not at all. A message is deleted
when no target waits for it; its event's id is kept, so that the event is not told again.
"""

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from crm.errors import SourceError
from crm.times import DAY
from notifying.messages import Message

VERSION: Final = 1
REPEATED_AFTER: Final = {"check": 30 * DAY}  # by kind; other events are told once
KEPT: Final = 7 * DAY  # a message that is not delivered by then is given up
REMEMBERED: Final = 400 * DAY  # the ids of events
WAIT_SECONDS: Final = 5.0  # for another process that writes
SCHEMA: Final = """
CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    content BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE waiting (message TEXT NOT NULL, target TEXT NOT NULL, attempts INTEGER NOT NULL,
    PRIMARY KEY (message, target));
CREATE TABLE pauses (target TEXT PRIMARY KEY, until INTEGER NOT NULL);
CREATE TABLE told (id TEXT PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE looks (seq INTEGER PRIMARY KEY AUTOINCREMENT, ledger TEXT NOT NULL,
    at INTEGER NOT NULL, newest INTEGER NOT NULL);
CREATE TABLE told_leads (lead TEXT PRIMARY KEY, score INTEGER NOT NULL);
CREATE TABLE keys (key TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Draft:
    """An event that may be told: the id of its event, and its message but for the message's id."""

    event_id: str
    message: Message


@dataclass(frozen=True)
class Looked:
    """A look at the scores of a ledger.

    Attributes
    ----------
    at : int
        When, in microseconds since 1970 UTC.
    newest : int
        The number of the newest score then.
    number : int
        The number of the look; 0 if it is not in the outbox.
    """

    at: int
    newest: int
    number: int = 0


class Outbox:
    """Messages that wait for their targets.

    One thread of several processes may use the same file at the same time.

    Parameters
    ----------
    path : Path or None
        The file; it is created if it does not exist, readable for its owner alone. None: a
        temporary outbox in memory.

    Raises
    ------
    SourceError
        If the file cannot be read or written. Every method raises it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._errors():
            if path is not None and not path.exists():
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path, timeout=WAIT_SECONDS, isolation_level=None
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def key(self) -> bytes:
        """The outbox's own key, for hashes of ids."""
        with self._errors():
            ((key,),) = self._connection.execute("SELECT key FROM keys")
        return bytes.fromhex(key)

    def add(
        self,
        drafts: Iterable[Draft],
        targets: Sequence[str],
        now: int,
        settled: Iterable[str] = (),
    ) -> int:
        """Add the messages of events that were not told before.

        Parameters
        ----------
        drafts : iterable of Draft
        targets : sequence of str
            Who gets them.
        now : int
            Microseconds since 1970 UTC.
        settled : iterable of str
            Ids of events that are over: they are told again if they occur again.

        Returns
        -------
        int
            The number of messages that were added.
        """
        with self._writing() as connection:
            connection.executemany("DELETE FROM told WHERE id = ?", [(id_,) for id_ in settled])
            return sum(self._add(connection, draft, targets, now) for draft in drafts)

    def add_look(
        self,
        ledger: str,
        seen: Looked | None,
        look: Looked,
        told_leads: Mapping[str, int],
        drafts: Sequence[Draft],
        targets: Sequence[str],
    ) -> bool:
        """Add a look at the scores, with its message, unless another process looked since.

        Parameters
        ----------
        ledger : str
            Identifies the ledger.
        seen : Looked or None
            The newest look when this one began.
        look : Looked
        told_leads : mapping of str to int
            The number of the score that is told of each lead, by a hash of the lead's id.
        drafts : sequence of Draft
        targets : sequence of str

        Returns
        -------
        bool
            False if another process looked since; then nothing is added.
        """
        with self._writing() as connection:
            if self._newest_look(ledger) != seen:
                return False
            connection.execute(
                "INSERT INTO looks (ledger, at, newest) VALUES (?, ?, ?)",
                (ledger, look.at, look.newest),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO told_leads VALUES (?, ?)", list(told_leads.items())
            )
            for draft in drafts:
                self._add(connection, draft, targets, look.at)
            return True

    def newest_look(self, ledger: str) -> Looked | None:
        """Return the newest look at a ledger; None if there was none."""
        with self._errors():
            return self._newest_look(ledger)

    def look_before(self, ledger: str, at: int) -> Looked | None:
        """Return the newest look at a ledger at or before a time, or else its oldest look.

        Looks before that one, and what they told, are not needed any more and are deleted.
        """
        with self._writing() as connection:
            rows = connection.execute(
                "SELECT at, newest, seq FROM looks WHERE ledger = ? ORDER BY seq", (ledger,)
            ).fetchall()
            looks = [Looked(*row) for row in rows]
            if not looks:
                return None
            found = next((look for look in reversed(looks) if look.at <= at), looks[0])
            connection.execute(
                "DELETE FROM looks WHERE ledger = ? AND seq < ?", (ledger, found.number)
            )
            connection.execute("DELETE FROM told_leads WHERE score <= ?", (found.newest,))
            return found

    def restart_looks(self, ledger: str) -> None:
        """Forget all looks at a ledger, such as one that was replaced."""
        with self._writing() as connection:
            connection.execute("DELETE FROM looks WHERE ledger = ?", (ledger,))
            connection.execute("DELETE FROM told_leads")

    def told_lead(self, lead: str) -> int | None:
        """Return the number of the score that was told of a lead, by the hash of its id."""
        with self._errors():
            row = self._connection.execute(
                "SELECT score FROM told_leads WHERE lead = ?", (lead,)
            ).fetchone()
        return None if row is None else int(row[0])

    def messages_for(self, target: str, now: int) -> list[Message]:
        """Return the messages that wait for a target, the oldest first; none while it is paused."""
        with self._errors():
            content = self._connection.execute(
                "SELECT content FROM messages JOIN waiting ON message = id WHERE target = ? "
                "AND NOT EXISTS (SELECT 1 FROM pauses WHERE pauses.target = waiting.target "
                "AND until > ?) ORDER BY seq",
                (target, now),
            ).fetchall()
        return [Message.decoded(row[0]) for row in content]

    def count_waiting(self) -> dict[str, int]:
        """Return the number of messages that wait, by target."""
        with self._errors():
            rows = self._connection.execute("SELECT target, count(*) FROM waiting GROUP BY target")
            return dict(rows.fetchall())

    def begin(self, message: str, target: str) -> None:
        """Record that a message is about to be sent.

        If this cannot be recorded, it could not be recorded that the message was delivered either.
        So the caller does not send it.
        """
        with self._writing() as connection:
            connection.execute(
                "UPDATE waiting SET attempts = attempts + 1 WHERE message = ? AND target = ?",
                (message, target),
            )

    def settle(self, message: str, target: str) -> None:
        """Record that a message needs not be sent to a target any more."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM waiting WHERE message = ? AND target = ?", (message, target)
            )
            _delete_settled(connection)

    def pause(self, target: str, until: int) -> None:
        """Record that nothing may be sent to a target before a time."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO pauses VALUES (?, ?)", (target, until))

    def expire(self, now: int) -> dict[str, int]:
        """Give up messages that wait for too long; return how many there were for each target."""
        with self._writing() as connection:
            old = "SELECT id FROM messages WHERE at < ?"
            limit = (now - KEPT,)
            given_up = connection.execute(
                f"SELECT target, count(*) FROM waiting WHERE message IN ({old}) GROUP BY target",
                limit,
            ).fetchall()
            connection.execute(f"DELETE FROM waiting WHERE message IN ({old})", limit)
            _delete_settled(connection)
            connection.execute("DELETE FROM told WHERE at < ?", (now - REMEMBERED,))
            connection.execute("DELETE FROM pauses WHERE until <= ?", (now,))
        return dict(given_up)

    def _prepare(self) -> None:
        with self._errors():
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._version()
        if version == 0:
            with self._writing() as connection:
                if self._version() == 0:  # no other process was faster
                    for statement in SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.execute("INSERT INTO keys VALUES (?)", (secrets.token_hex(32),))
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise SourceError(
                f"{self.path} was written by another version of leadscore. "
                "Use that version, or move the file away."
            )

    def _version(self) -> int:
        ((version,),) = self._connection.execute("PRAGMA user_version")
        return int(version)

    def _newest_look(self, ledger: str) -> Looked | None:
        row = self._connection.execute(
            "SELECT at, newest, seq FROM looks WHERE ledger = ? ORDER BY seq DESC LIMIT 1",
            (ledger,),
        ).fetchone()
        return None if row is None else Looked(*row)

    def _add(
        self, connection: sqlite3.Connection, draft: Draft, targets: Sequence[str], now: int
    ) -> bool:
        told = connection.execute("SELECT at FROM told WHERE id = ?", (draft.event_id,)).fetchone()
        again = REPEATED_AFTER.get(draft.message.type)
        if told is not None and (again is None or now - told[0] < again):
            return False
        connection.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (draft.event_id, now))
        message = draft.message
        added = connection.execute(
            "INSERT OR IGNORE INTO messages (id, content, at) VALUES (?, ?, ?)",
            (message.id, message.encoded(), now),
        )
        connection.executemany(
            "INSERT OR IGNORE INTO waiting VALUES (?, ?, 0)",
            [(message.id, target) for target in targets],
        )
        return added.rowcount > 0

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends it itself if the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            raise SourceError(
                f"{self.path}, which keeps notifications, cannot be used: {problem}."
            ) from None


def message_id(event_id: str, at: str) -> str:
    """Return the id of the message about an event, without a full stop.

    Examples
    --------
    >>> message_id("waiting 3 for 2", "2025-01-31T08:15:00+00:00")
    'evt_e347edf2f96b147cdcea2907891d1805'
    """
    return "evt_" + hashlib.sha256(f"{event_id}\n{at}".encode()).hexdigest()[:32]


def _delete_settled(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM messages WHERE id NOT IN (SELECT message FROM waiting)")
