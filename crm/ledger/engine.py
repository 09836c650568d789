"""Connects to the ledger's database, and begins its transactions.

PostgreSQL may be behind PgBouncer with transaction pooling, so a connection keeps no state. It
starts without options, and statements are prepared only on a direct connection. Each transaction
sets its own time-outs.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Literal

import sqlalchemy as sa

PATIENCE_SECONDS: Final = 3  # to wait for a connection or a lock; callers wait 5 or more
ADVISORY_LOCK: Final = 0x1EAD5C0E  # the key of PostgreSQL's lock on the whole ledger
CONNECTIONS: Final = 8
PREPARED_FROM: Final = 5  # number of uses after which a statement is prepared

Purpose = Literal["reading", "writing", "alone", "migrating"]


def open_engine(url: sa.URL) -> sa.Engine:
    """Return an engine for an address of `crm.ledger.address`; the first use connects."""
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = _sqlite_arguments() if is_sqlite else _postgres_arguments()
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=PATIENCE_SECONDS,
        connect_args={name: value for name, value in arguments.items() if name not in url.query},
        **({} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}),  # `_begin_postgres` begins
    )
    if is_sqlite:
        sa.event.listen(engine, "connect", partial(_set_up_sqlite, engine))
        sa.event.listen(engine, "begin", _begin_sqlite)
    else:
        sa.event.listen(engine, "do_connect", _connect_to_postgres)
        sa.event.listen(engine, "connect", _prepare_if_direct)
        sa.event.listen(engine, "begin", _begin_postgres)
    return engine


@contextmanager
def transaction(engine: sa.Engine, purpose: Purpose) -> Iterator[sa.Connection]:
    """Provide a connection in a transaction, which is committed at the end of the context.

    Parameters
    ----------
    engine : Engine
    purpose : {"reading", "writing", "alone", "migrating"}
        "reading" sees one state of the ledger. "writing" works beside other writers, "alone" and
        "migrating" do not. In SQLite there is never more than one writer.

    Yields
    ------
    Connection
    """
    with engine.connect().execution_options(leadscore_purpose=purpose) as connection:
        if connection.dialect.name == "sqlite" and file_of(engine) != connection.info["file"]:
            connection.invalidate()  # the file was replaced; open the new one
        with connection.begin():
            yield connection


def file_of(engine: sa.Engine) -> tuple[int, int] | None:
    """Return the device and inode of the file of SQLite; None if it does not exist."""
    try:
        state = os.stat(str(engine.url.database))
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _sqlite_arguments() -> dict[str, Any]:
    return {"timeout": PATIENCE_SECONDS, "check_same_thread": False}


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
    record.info["file"] = file_of(engine)


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN" if _purpose(connection) == "reading" else "BEGIN IMMEDIATE")


def _postgres_arguments() -> dict[str, Any]:
    return {
        "client_encoding": "utf8",
        "connect_timeout": PATIENCE_SECONDS,
        "fallback_application_name": "leadscore",
        "prepare_threshold": None,
        "tcp_user_timeout": PATIENCE_SECONDS * 1000,
    }


def _connect_to_postgres(_: Any, __: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    from crm.ledger.postgres import PatientConnection  # the driver is slow to import

    connection = PatientConnection.connect(*arguments, **named)
    connection.patience = PATIENCE_SECONDS + 1  # a server that waits for a lock answers before
    return connection


def _prepare_if_direct(connection: Any, _: Any) -> None:
    """Let the driver prepare repeated statements if no program pools the connections.

    Preparing saves half of the time of a short read. Behind PgBouncer, the next transaction may use
    another connection to the server, which does not know the statement. A server sends its process
    id when a client connects, and PgBouncer sends an invented one. So the connection is direct if
    this id is that of the process that answers.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    if process == connection.info.backend_pid:
        connection.prepare_threshold = PREPARED_FROM


def _begin_postgres(connection: sa.Connection) -> None:
    """Begin a transaction with its time-outs and its lock, in one message to the server."""
    purpose = _purpose(connection)
    statements = [
        f"BEGIN ISOLATION LEVEL {'REPEATABLE READ' if purpose == 'reading' else 'READ COMMITTED'}",
        f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'",
    ]
    if purpose != "reading":
        shared = "_shared" if purpose == "writing" else ""
        statements += [
            "SELECT set_config('synchronous_commit', 'on', true) "
            "WHERE current_setting('synchronous_commit') = 'off'",
            f"SELECT pg_advisory_xact_lock{shared}({ADVISORY_LOCK})",
        ]
    connection.exec_driver_sql("; ".join(statements))


def _purpose(connection: sa.Connection) -> Purpose:
    return connection.get_execution_options().get("leadscore_purpose", "reading")
