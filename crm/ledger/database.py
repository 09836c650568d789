"""The ledger's database: opens it, migrates it under a lock, and maps its errors to one error.

SQLite runs with a write-ahead log and a sync at every commit, PostgreSQL with
`synchronous_commit`, so what was committed is on the disk. An error never quotes the database's
message about a statement, because that may contain personal data.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)

from crm.errors import ConfigError, LedgerError
from crm.ledger.schema import EVENTS, SCHEMA_VERSION, VERSION_TABLE, metadata, version

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
PATIENCE_SECONDS: Final = 3  # to wait for a connection or a lock; callers wait 5 or more
AWAY_SECONDS: Final = 1.0  # the time without a new attempt after a failed connection
ADVISORY_LOCK: Final = 0x1EAD5C0E  # the key of PostgreSQL's lock on the whole ledger
FULL: Final = ("SQLITE_FULL", "53100", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
NEVER_PASSING: Final = (DataError, IntegrityError, ProgrammingError)
READ_ONLY: Final = ("SQLITE_READONLY", "25006")

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
        self.engine = _engine(url, folder)
        self._is_prepared = False
        self._away_until = 0.0
        self._last_fault = ""
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "do_connect", self._make_or_open)

    def prepare(self) -> None:
        """Create the tables, or bring them to the newest schema.

        Processes that open an empty database at the same time wait for each other.

        Raises
        ------
        LedgerError
            If the database cannot be reached or written.
        ConfigError
            If its schema is newer than this leadscore, or another program made the tables.
        """
        if self._is_prepared:
            return

        def is_current(connection: sa.Connection) -> bool:
            version = _schema_version(connection)
            return version == SCHEMA_VERSION and not _missing_columns(connection)

        def migrate(connection: sa.Connection) -> None:
            version = _schema_version(connection)
            if version != SCHEMA_VERSION:
                _migrate(connection, version)
            for column in _missing_columns(connection):
                _add_column(connection, column)

        with self._ledger_errors():
            if not self._transaction(is_current, "reading"):
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

    def close(self) -> None:
        """Close all connections; a later use opens new ones."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Provide a connection that reads as in `read`, for the length of the context."""
        self.prepare()
        with self._ledger_errors(), _transaction_for(self.engine, "reading") as connection:
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

    def _run(self, work: Callable[[sa.Connection], Result], purpose: str) -> Result:
        self.prepare()
        with self._ledger_errors():
            try:
                return self._transaction(work, purpose)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return self._transaction(work, purpose)

    def _transaction(self, work: Callable[[sa.Connection], Result], purpose: str) -> Result:
        with _transaction_for(self.engine, purpose) as connection:
            return work(connection)

    @contextmanager
    def _ledger_errors(self) -> Iterator[None]:
        """Turn the driver's errors into a `LedgerError`; repeat it for a while without a try."""
        if time.monotonic() < self._away_until:
            raise LedgerError(self._last_fault)
        try:
            yield
        except SQLAlchemyError as error:
            code = _code(error)
            if code in FULL:
                problem = "is full, or its disk is full"
            elif code.startswith(READ_ONLY):
                problem = "is read-only"
            elif isinstance(error, DBAPIError) and not _is_unreachable(error):
                problem = "refuses the request or is busy"
            else:
                problem = "cannot be reached"
                self._away_until = time.monotonic() + AWAY_SECONDS
            shown = self.engine.url.set(query={}).render_as_string(hide_password=True)
            message = (
                f"The ledger's database {shown} {problem} ({code}). "
                "Events that were not acknowledged can be sent again; nothing is stored twice."
            )
            self._last_fault = message
            raise LedgerError(message, is_passing=not isinstance(error, NEVER_PASSING)) from None


@contextmanager
def _transaction_for(engine: sa.Engine, purpose: str) -> Iterator[sa.Connection]:
    is_postgres = engine.dialect.name == "postgresql"
    options: dict[str, Any] = {"leadscore_purpose": purpose}
    if is_postgres:
        is_reading = purpose == "reading"
        options["isolation_level"] = "REPEATABLE READ" if is_reading else "READ COMMITTED"
    with engine.connect().execution_options(**options) as connection:
        if not is_postgres and _file_of(engine) != connection.info["file"]:
            connection.invalidate()  # the file was replaced; open the new one
        with connection.begin():
            if is_postgres and purpose != "reading":
                shared = "_shared" if purpose == "writing" else ""
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{shared}({ADVISORY_LOCK})")
            yield connection


def _file_of(engine: sa.Engine) -> tuple[int, int] | None:
    """Return the device and inode of the ledger's file; None if it does not exist."""
    try:
        state = os.stat(str(engine.url.database))
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _engine(url: str, folder: Path | None) -> sa.Engine:
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        parsed = sa.make_url(url)
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql") or parsed.database in (None, "", ":memory:"):
            raise ValueError
        if kind == "sqlite":
            file = (folder or Path()) / str(parsed.database)
            if folder is None and not file.is_absolute():
                raise ConfigError(
                    f"The ledger's URL contains the path {file}, but it is not clear in which "
                    "folder. Write the absolute path, with four slashes: "
                    "`sqlite:////folder/ledger.db`."
                )
            parsed = parsed.set(database=str(file))
        engine = sa.create_engine(
            parsed,
            hide_parameters=True,
            pool_size=8,
            max_overflow=0,
            pool_timeout=PATIENCE_SECONDS,
            connect_args=_arguments(kind),
        )
    except ConfigError:
        raise
    except (SQLAlchemyError, ImportError, ValueError):
        raise ConfigError(
            "The ledger's URL cannot be used. Expected sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE, with @ : / % in a password written as "
            "%40 %3A %2F %25."
        ) from None
    if kind == "sqlite":
        sa.event.listen(engine, "connect", partial(_set_up_sqlite, engine))
        sa.event.listen(engine, "begin", _begin_sqlite)
    else:
        sa.event.listen(engine, "connect", _set_up_postgres)
    return engine


def _arguments(kind: str) -> dict[str, Any]:
    if kind == "sqlite":
        return {"timeout": PATIENCE_SECONDS, "check_same_thread": False}
    return {
        "connect_timeout": PATIENCE_SECONDS,
        "tcp_user_timeout": PATIENCE_SECONDS * 1000,
        "options": f"-c lock_timeout={PATIENCE_SECONDS}s",
    }


def _set_up_sqlite(engine: sa.Engine, connection: Any, record: Any) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins transactions
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except connection.OperationalError as error:  # another process is switching it on
            is_locked = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            if not is_locked or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = FULL")
    record.info["file"] = _file_of(engine)


def _begin_sqlite(connection: sa.Connection) -> None:
    purpose = connection.get_execution_options().get("leadscore_purpose", "reading")
    connection.exec_driver_sql("BEGIN" if purpose == "reading" else "BEGIN IMMEDIATE")


def _set_up_postgres(connection: Any, _: Any) -> None:
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _schema_version(connection: sa.Connection) -> str | None:
    """Return the version of the database's schema; None if it has no ledger."""
    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        return connection.scalar(sa.select(version.c.version_num))
    foreign = sorted(set(inspector.get_table_names()) & set(metadata.tables))
    if foreign:
        raise ConfigError(
            f"The ledger's database has tables of another program: {', '.join(foreign)}. "
            "Use a separate database for the ledger."
        )
    return None


def _migrate(connection: sa.Connection, version: str | None) -> None:
    from alembic.config import Config  # imported here because it is slow to import
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    supported = {step.revision for step in script.walk_revisions()}
    if version is not None and version not in supported:
        raise ConfigError(
            f"The ledger has schema {version}; this leadscore supports {SCHEMA_VERSION} and older. "
            "Use the version of leadscore that wrote it, or a newer one."
        )

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs(SCHEMA_VERSION, revision)

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()


def _missing_columns(connection: sa.Connection) -> list[sa.Column[Any]]:
    """Return the columns of events that `crm.tables` declares and the database lacks."""
    inspector = sa.inspect(connection)
    missing: list[sa.Column[Any]] = []
    for event in EVENTS.values():
        stored = {column["name"] for column in inspector.get_columns(event.table.name)}
        missing += [column for column in event.table.columns if column.name not in stored]
    return missing


def _add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Add a column that was declared after the tables were created; older rows have no value."""
    from alembic.operations import Operations  # imported here because it is slow to import
    from alembic.runtime.migration import MigrationContext

    if not column.nullable:
        raise ConfigError(
            f"The ledger's table `{column.table.name}` has no column `{column.name}`, and its "
            "rows have no value for it. Declare the column as optional in crm/tables.py."
        )
    operations = Operations(MigrationContext.configure(connection))
    operations.add_column(column.table.name, sa.Column(column.name, column.type))


def _code(error: SQLAlchemyError) -> str:
    """Return the database's code of an error, which contains no data of rows."""
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return str(code or type(cause or error).__name__)


def _is_unreachable(error: DBAPIError) -> bool:
    """Check whether an error means that there is no connection to the database."""
    code = _code(error)
    return (
        error.connection_invalidated
        or error.statement is None
        or code.startswith(("08", "57P", "SQLITE_CANTOPEN"))
    )
