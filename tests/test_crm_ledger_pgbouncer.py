"""The ledger through PgBouncer with transaction pooling, whose connections are shared.

Some tests of the ledger and of its faults run through PgBouncer too.
"""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from crm.errors import LedgerError
from crm.ledger import engine
from crm.ledger.engine import ADVISORY_LOCK
from crm.ledger.export import TABLES, export_table
from crm.ledger.ledger import Ledger
from tests.conftest import free_port
from tests.made_pgbouncer import PgBouncer, running_pgbouncer

_numbers = itertools.count()


@pytest.fixture(scope="module")
def narrow(pgbouncer: PgBouncer) -> Iterator[PgBouncer]:
    """Start a PgBouncer with one connection to the server for each database."""
    with tempfile.TemporaryDirectory(prefix="leadscore-") as folder:
        options = {"default_pool_size": 1}
        with running_pgbouncer(Path(folder), pgbouncer.server, free_port(), options) as bouncer:
            yield bouncer


@pytest.fixture
def name(narrow: PgBouncer) -> str:
    """Create an empty database; return its name."""
    name = f"pooled{next(_numbers)}"
    with psycopg.connect(narrow.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def ledger(narrow: PgBouncer, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Open a ledger through the narrow PgBouncer, which gives up after a second."""
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 1)
    with contextlib.closing(Ledger(narrow.url(name))) as opened:
        opened.database.prepare()
        yield opened


@pytest.fixture
def neighbour(narrow: PgBouncer, name: str, ledger: Ledger) -> Iterator[Any]:
    """Connect another program to the same database, through the same connection to the server."""
    with psycopg.connect(narrow.url(name), autocommit=True, prepare_threshold=None) as connection:
        yield connection


def call(number: int) -> dict[str, Any]:
    return {"lead_id": "L1", "type": "call", "occurred_at": number}


def use_often(ledger: Ledger) -> None:
    for number in range(12):  # psycopg prepares a statement at its sixth use
        ledger.add("activities", [call(number)], 0)
        ledger.stored_leads(["L1"])


def test_ledger_leaves_no_state_on_a_shared_connection(ledger: Ledger, neighbour: Any) -> None:
    use_often(ledger)
    settings = ("lock_timeout", "synchronous_commit", "default_transaction_isolation")
    shown = [neighbour.execute(f"SHOW {setting}").fetchone()[0] for setting in settings]
    assert shown == ["0", "on", "read committed"]
    assert neighbour.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
    assert neighbour.execute(locks, [ADVISORY_LOCK]).fetchone() == (0,)


def test_direct_connection_prepares_repeated_statements(
    ledger: Ledger, narrow: PgBouncer, name: str
) -> None:
    directly = sa.make_url(narrow.server).set(database=name).render_as_string(hide_password=False)

    def count(connection: sa.Connection) -> int:
        return connection.exec_driver_sql(
            "SELECT count(*) FROM pg_prepared_statements"
        ).scalar_one()

    with Ledger(directly) as direct:
        use_often(direct)
        assert direct.database.read(count) > 3


def test_transactions_set_their_own_state(ledger: Ledger, neighbour: Any) -> None:
    neighbour.execute("SET synchronous_commit = off")  # a neighbour that leaves state behind
    neighbour.execute("SET lock_timeout = '1h'")

    def settings(connection: sa.Connection) -> list[Any]:
        names = ("lock_timeout", "synchronous_commit", "transaction_isolation")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    assert ledger.database.write(settings) == ["1s", "on", "read committed"]
    assert ledger.database.read(settings) == ["1s", "off", "repeatable read"]
    neighbour.execute("SET synchronous_commit = local")  # is safe, and stays
    assert ledger.database.write(settings)[1] == "local"


def test_pool_without_a_free_connection_is_given_up_in_time(ledger: Ledger, neighbour: Any) -> None:
    with neighbour.transaction():
        neighbour.execute("SELECT 1")  # holds the only connection to the server
        with pytest.raises(LedgerError, match="no answer within 2 seconds") as caught:
            ledger.add("activities", [call(1)], 0)
        assert caught.value.cause == "unreachable"
        attempts: list[None] = []
        sa.event.listen(ledger.database.engine, "do_connect", lambda *_: attempts.append(None))
        with pytest.raises(LedgerError, match="no answer within 2 seconds"):
            ledger.stored_leads(["L1"])
        assert attempts == []  # it is not tried again at once
    time.sleep(1)
    assert ledger.add("activities", [call(1)], 0)[0].status == "accepted"


def test_first_connection_to_a_busy_pool_is_given_up_too(
    narrow: PgBouncer, name: str, neighbour: Any
) -> None:
    with Ledger(narrow.url(name)) as other, neighbour.transaction():
        neighbour.execute("SELECT 1")
        with pytest.raises(LedgerError, match="no answer within 2 seconds"):
            other.stored_leads(["L1"])


def test_restart_of_pgbouncer_interrupts_nothing(ledger: Ledger, narrow: PgBouncer) -> None:
    use_often(ledger)
    narrow.restart()
    assert ledger.add("activities", [call(100)], 0)[0].status == "accepted"
    narrow.restart()
    assert len(ledger.stored_leads(["L1"])["L1"].activities) == 13


def test_stopped_pgbouncer_is_an_outage(ledger: Ledger, narrow: PgBouncer) -> None:
    narrow.stop()
    try:
        with pytest.raises(LedgerError, match="Connection refused"):
            ledger.add("activities", [call(1)], 0)
    finally:
        narrow.start()
    time.sleep(1)
    assert ledger.add("activities", [call(1)], 0)[0].status == "accepted"


def test_export_and_erasure_work(ledger: Ledger, tmp_path: Path) -> None:
    use_often(ledger)
    rows = {table: export_table(ledger, table, tmp_path / f"{table}.csv") for table in TABLES}
    assert rows["activities"] == 12
    assert ledger.forget("L1", 0)["activities"] == 12
    assert export_table(ledger, "erasures", tmp_path / "erasures.csv") == 1
