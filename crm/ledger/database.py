"""The ledger's database: opens and migrates it, runs transactions, and maps errors to one error.

SQLite runs with a write-ahead log and a sync at every commit, PostgreSQL with
`synchronous_commit`, so what was committed is on the disk. An error quotes the driver's message
only if it contains no data of rows.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from crm.errors import LedgerError
from crm.ledger.address import ledger_address
from crm.ledger.engine import PATIENCE_SECONDS, Purpose, open_engine, transaction
from crm.ledger.failures import PROBLEMS, Cause, Failure, place_of
from crm.ledger.migrating import is_current, migrate
from crm.ledger.rights import MissingRights, missing_rights
from crm.ledger.turns import Turns

AWAY_SECONDS: Final = 1.0  # the time without a new attempt after a failed connection
AWAY: Final[tuple[Cause, ...]] = (  # causes for which an immediate second attempt fails too
    "unreachable",
    "authentication",
    "no_database",
    "too_many_connections",
)
# The first SQLite with RETURNING, and the oldest PostgreSQL that psycopg supports.
OLDEST_SERVER: Final = {"sqlite": (3, 35), "postgresql": (10,)}
SEND_AGAIN: Final = "What was not acknowledged can be sent again; nothing is stored twice."
NO_ANSWER: Final = "NoAnswerError"  # of crm.ledger.postgres: a second attempt would wait as long

Result = TypeVar("Result")


class LedgerDatabase:
    """A database of a ledger, which `prepare` creates if it does not exist.

    The first use connects.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
    folder : Path, optional
        The folder of relative files in SQLite URLs. Without it the file must be absolute,
        because a service does not run in the folder in which it was started.

    Raises
    ------
    ConfigError
        If the URL cannot be used.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self.engine = open_engine(ledger_address(url, folder))
        self._is_prepared = False
        self._away_until = 0.0
        self._last_error: tuple[str, bool, Cause] | None = None
        self._turns = Turns()
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "do_connect", self._make_or_open)

    @property
    def has_one_writer(self) -> bool:
        """Whether one transaction that writes locks out all others, as in SQLite."""
        return self.engine.dialect.name == "sqlite"

    def prepare(self) -> None:
        """Create the tables, or bring them to the newest schema.

        Processes that open an empty database at the same time wait for each other.

        Raises
        ------
        LedgerError
            If the database cannot be reached or written, or its server is too old.
        ConfigError
            If its schema is newer than this leadscore, or another program made the tables.
        """
        if self._is_prepared:
            return
        with self._ledger_errors():
            if not self._transaction(self._is_usable, "reading"):
                self._transaction(migrate, "migrating")
        self._is_prepared = True

    def write(self, work: Callable[[sa.Connection], Result], *, alone: bool = False) -> Result:
        """Run `work` in one transaction, which is committed and on the disk when this returns.

        A connection that proves dead is replaced once, so `work` may run twice.

        Parameters
        ----------
        work : callable
        alone : bool
            Whether no other writer may work at the same time. In SQLite no other writer ever can.

        Raises
        ------
        LedgerError
            If the transaction fails now. Its rows may or may not be written.
        """
        return self._run(work, "alone" if alone else "writing")

    def read(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Run `work` in one reading transaction, which sees one state of the ledger.

        Raises
        ------
        LedgerError
            If the database cannot be read now.
        """
        return self._run(work, "reading")

    def check_rights(self) -> None:
        """Check that the role has all rights that the ledger needs.

        Raises
        ------
        LedgerError
            If the database cannot be reached, or a right is missing. The message names the right,
            and the statement that grants it.
        """
        if self.engine.dialect.name != "postgresql":
            return
        with self._ledger_errors():
            rights = self._missing_rights()
        if rights is not None:
            problem = f"The ledger's database {place_of(self.engine.url)} cannot be used fully."
            raise LedgerError(f"{problem} {rights}", cause="missing_rights")

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Provide a connection that reads as in `read`, for the length of the context."""
        self.prepare()
        with self._ledger_errors(), transaction(self.engine, "reading") as connection:
            yield connection

    def _make_or_open(self, _: Any, __: Any, arguments: Any, named: dict[str, Any]) -> None:
        """Create a SQLite file that only its owner may read, before the first use only.

        If the file disappears later, SQLite must not create a new, empty ledger.
        """
        if not self._is_prepared:
            with suppress(OSError):  # the file exists, or SQLite reports what is wrong
                os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL, 0o600))
        arguments[0] = f"file:{quote(arguments[0])}?mode=rw"
        named["uri"] = True

    def _is_usable(self, connection: sa.Connection) -> bool:
        """Check whether the tables are current, on a server that is new enough."""
        kind, found = self.engine.dialect.name, self.engine.dialect.server_version_info or ()
        if found < OLDEST_SERVER[kind]:
            raise LedgerError(
                f"The ledger's database {place_of(self.engine.url)} runs on {kind} "
                f"{_dotted(found)}. leadscore needs {_dotted(OLDEST_SERVER[kind])} or newer.",
                cause="too_old",
            )
        return is_current(connection)

    def _run(self, work: Callable[[sa.Connection], Result], purpose: Purpose) -> Result:
        self.prepare()
        with self._ledger_errors():
            try:
                return self._transaction(work, purpose)
            except DBAPIError as error:
                if not error.connection_invalidated or Failure(error).code == NO_ANSWER:
                    raise
            return self._transaction(work, purpose)

    def _transaction(self, work: Callable[[sa.Connection], Result], purpose: Purpose) -> Result:
        needs_turn = self.has_one_writer and purpose != "reading"
        with self._turns.turn(PATIENCE_SECONDS) if needs_turn else nullcontext(True) as is_turn:
            if not is_turn:
                raise LedgerError(
                    f"The ledger's database {place_of(self.engine.url)} {PROBLEMS['locked']}: "
                    f"other threads have been writing for {PATIENCE_SECONDS} seconds. {SEND_AGAIN}",
                    cause="locked",
                )
            with transaction(self.engine, purpose) as connection:
                return work(connection)

    @contextmanager
    def _ledger_errors(self) -> Iterator[None]:
        """Turn the driver's errors into a `LedgerError`.

        After a failed connection, raise the same error for `AWAY_SECONDS` without connecting.
        """
        if self._last_error is not None and time.monotonic() < self._away_until:
            raise LedgerError(*self._last_error)
        try:
            yield
        except SQLAlchemyError as error:
            failure = Failure(error)
            text = failure.text(self.engine.url)
            if failure.cause == "missing_rights":
                with suppress(SQLAlchemyError):
                    text += f" {self._missing_rights() or ''}"
            text += f" {SEND_AGAIN}"
            if failure.cause in AWAY:
                self._last_error = (text, failure.is_passing, failure.cause)
                self._away_until = time.monotonic() + AWAY_SECONDS
            raise LedgerError(text, failure.is_passing, failure.cause) from None

    def _missing_rights(self) -> MissingRights | None:
        return self._transaction(missing_rights, "reading")


def _dotted(version: tuple[Any, ...]) -> str:
    return ".".join(map(str, version))
