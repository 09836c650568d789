"""Tests of faults of the ledger: what it acknowledged is neither lost nor stored twice.

Writers are processes of their own, so that they can be killed.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector

from crm.errors import LedgerError
from crm.ledger import database, engine
from crm.ledger.entries import Added, Batch, SentLead
from crm.ledger.ledger import Ledger
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls
from serving.ledger.faults import LedgerFaults
from serving.ledger.score_writer import ScoreWriter
from serving.served_model import ServedModel
from tests.made_calls import given
from tests.made_ledgers import (
    PER_BATCH,
    call,
    ids_of_batches,
    on_server,
    start_writer,
    stored,
    stored_ids,
)

KILLS = {"sqlite": 8, "postgresql": 8, "pgbouncer": 4}  # benchmarks/fault_kill.py does more

ALSO_PGBOUNCER = pytest.mark.parametrize(
    "ledger_url", ["sqlite", "postgresql", "pgbouncer"], indirect=True
)


@pytest.fixture
def ledger(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Open a ledger that gives up after short times."""
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(database, "AWAY_SECONDS", 0.2)
    with Ledger(ledger_url) as opened:
        opened.database.prepare()
        yield opened


def acknowledged_until_killed(url: str, first: int, seconds: float) -> set[int]:
    """Start a writer and kill it these seconds after its first batch.

    Returns the numbers that the ledger acknowledged.
    """
    process = start_writer(url, first, 100_000)
    first_line = process.stdout.readline()
    assert first_line, process.stderr.read()
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines = [first_line, *process.stdout]  # until the process is killed
    timer.join()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    process.stderr.close()
    return {int(line.split()[0]) for line in lines if line.endswith("\n")}


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """Return the number of writers to kill."""
    return KILLS[request.node.callspec.params["ledger_url"]]


@pytest.fixture
def acknowledged(ledger_url: str, kills: int) -> set[int]:
    """Kill writers, one after the other; return the numbers that were acknowledged.

    Each writer first repeats the last batch of the one before.
    """
    generator = random.Random(5)
    numbers: set[int] = {0}
    for _ in range(kills):
        numbers |= acknowledged_until_killed(ledger_url, max(numbers), generator.uniform(0, 0.15))
    return numbers


@ALSO_PGBOUNCER
def test_killed_writers_lose_and_repeat_nothing(
    ledger_url: str, acknowledged: set[int], kills: int
) -> None:
    assert len(acknowledged) >= kills
    with Ledger(ledger_url) as ledger:
        activities = stored_ids(ledger)
        assert ids_of_batches(acknowledged) - set(activities) == set()
        assert max(activities.values()) == 1
        batches = Counter(name.rpartition("-")[0] for name in activities)
        assert set(batches.values()) == {PER_BATCH}  # a batch is stored whole or not at all
        outcomes = stored(ledger, "outcomes", "closed_at")
        assert acknowledged - set(outcomes) == set()
        assert max(outcomes.values()) == 1


def test_process_killed_while_opening_leaves_a_usable_ledger(ledger_url: str) -> None:
    generator = random.Random(6)
    for _ in range(5):
        process = start_writer(ledger_url, 0, 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(generator.uniform(0.5, 1.2))
        process.kill()
        process.communicate()
    with Ledger(ledger_url) as ledger:
        ledger.add("activities", [call(1)], 0)
        assert max(stored_ids(ledger).values()) == 1


def test_concurrent_processes_write_each_id_once(ledger_url: str) -> None:
    processes = [start_writer(ledger_url, 0, 60, "same") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    counts = [line.split() for stdout, _ in outputs for line in stdout.splitlines()]
    assert sum(int(accepted) for _, accepted, _ in counts) == 60 * (PER_BATCH + 1)
    assert sum(int(duplicate) for _, _, duplicate in counts) == 60 * (PER_BATCH + 1)
    with Ledger(ledger_url) as ledger:
        assert len(stored_ids(ledger)) == 60 * PER_BATCH
        assert max(stored_ids(ledger).values()) == 1


@ALSO_PGBOUNCER
def test_concurrent_threads_write_each_id_once(ledger: Ledger) -> None:
    rows = [call(number, f"L{number % 3}") for number in range(200)]
    statuses: list[str] = []

    def add(seed: int) -> None:
        shuffled = random.Random(seed).sample(rows, len(rows))
        statuses.extend(added.status for added in ledger.add("activities", shuffled, 0))

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {"accepted": 200, "duplicate": 600}
    assert len(stored_ids(ledger)) == 200


@ALSO_PGBOUNCER
def test_erasure_with_concurrent_writers_leaves_nothing(ledger: Ledger) -> None:
    def add(start: int) -> None:
        for number in range(start, start + 40):
            ledger.add("activities", [call(number)], 0)

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 1_000)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    ledger.forget("L1", 0)
    for thread in threads:
        thread.join()
    assert stored_ids(ledger) == Counter()


def test_concurrent_openings_migrate_once(ledger_url: str) -> None:
    processes = [start_writer(ledger_url, 0, 1, f"p{i}") for i in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], outputs
    with Ledger(ledger_url) as ledger:
        assert len(stored_ids(ledger)) == 4 * PER_BATCH
        with ledger.database.reading() as connection:
            keys = connection.exec_driver_sql("SELECT purpose, key FROM ledger_keys").all()
        assert sorted(purpose for purpose, _ in keys) == ["control", "erasure"]
        assert len({key for _, key in keys}) == 2


def test_tables_that_another_process_creates_during_the_opening_are_used(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_table = Inspector.has_table

    def has_table_before_another_opens(inspector: Inspector, *args: Any, **kwargs: Any) -> bool:
        result = has_table(inspector, *args, **kwargs)
        monkeypatch.undo()
        with Ledger(ledger_url) as other:
            other.add("activities", [call(1)], 0)
        return result

    monkeypatch.setattr(Inspector, "has_table", has_table_before_another_opens)
    with Ledger(ledger_url) as ledger:
        assert stored_ids(ledger) == Counter(["1"])


@contextlib.contextmanager
def outage(ledger: Ledger, tmp_path: Path) -> Iterator[None]:
    """Make the database unavailable while the context lasts, also to open connections."""
    url = ledger.database.engine.url
    if url.get_backend_name() == "sqlite":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        for path in files:
            shutil.move(path, folder)
        yield
        for path in folder.iterdir():
            shutil.move(path, tmp_path)
        return
    server = url.set(database="postgres", drivername="postgresql").render_as_string(False)
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'"
    on_server(server, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false", end)
    yield
    on_server(server, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")


def test_unavailable_ledger_refuses_reads_and_writes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add("activities", [call(1)], 0)
    with outage(ledger, tmp_path):
        for _ in range(2):
            with pytest.raises(LedgerError, match="cannot be reached") as caught:
                ledger.add("activities", [call(2)], 0)
            assert caught.value.is_passing
            time.sleep(0.3)
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.stored_leads(["L1"])


def test_unavailable_database_is_not_tried_again_at_once(ledger: Ledger, tmp_path: Path) -> None:
    attempts: list[None] = []
    with outage(ledger, tmp_path):
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.stored_leads(["L1"])
        sa.event.listen(ledger.database.engine, "do_connect", lambda *_: attempts.append(None))
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.stored_leads(["L1"])
    assert attempts == []


def added_after_an_outage(ledger: Ledger, rows: list[dict[str, Any]]) -> list[Added]:
    """Add rows as soon as it is possible: PgBouncer tries the server again only now and then."""
    give_up = time.monotonic() + 20
    while True:
        try:
            return ledger.add("activities", rows, 0)
        except LedgerError:
            assert time.monotonic() < give_up
            time.sleep(0.1)


@ALSO_PGBOUNCER
def test_ledger_works_again_after_an_outage(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add("activities", [call(1)], 0)
    with outage(ledger, tmp_path), pytest.raises(LedgerError, match="cannot be reached"):
        ledger.add("activities", [call(2)], 0)
    added = added_after_an_outage(ledger, [call(1), call(2)])
    assert [row.status for row in added] == ["duplicate", "accepted"]
    assert stored_ids(ledger) == {"1": 1, "2": 1}


@pytest.fixture
def log_records() -> Iterator[list[logging.LogRecord]]:
    """Collect what the service logs."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    log = logging.getLogger("leadscore")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield records
    log.removeHandler(handler)
    log.setLevel(level)


def test_outage_and_recovery_are_logged_once(
    ledger: Ledger, tmp_path: Path, log_records: list[logging.LogRecord], model: ServedModel
) -> None:
    calls = LedgerCalls(ledger)
    writer = ScoreWriter(ledger, calls.faults)
    body = json.dumps({"outcomes": [{"lead_id": "L1", "outcome": "won"}]}).encode()

    async def fail_to_write_and_read() -> None:
        for _ in range(3):
            with pytest.raises(RequestError, match="nothing of this request is acknowledged"):
                await calls.add("outcomes", model, body, 0, "r1")
            assert await calls.stored_leads(["L1"]) is None

    with outage(ledger, tmp_path):
        asyncio.run(fail_to_write_and_read())
        writer.put(Batch(leads=[(SentLead("L1", None, {}), 0)]), 0)
        asyncio.run(fail_to_write_and_read())
        assert calls.faults.message == (
            "The ledger cannot be read or written (unreachable); the log says why."
        )
    time.sleep(0.3)
    writer.close()
    assert asyncio.run(calls.stored_leads(["L1"]))
    assert calls.faults.message is None
    assert Counter(record.getMessage() for record in log_records) == {
        "the ledger cannot be written": 1,
        "the ledger cannot be read": 1,
        "the ledger can be written again": 1,
        "the ledger can be read again": 1,
    }
    causes = [str(getattr(record, "fault", "")) for record in log_records]
    assert ["cannot be reached" in cause for cause in causes] == [True, True, False, False]


def test_fault_shows_before_the_first_request_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.ledger.calls.OPEN_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(database, "AWAY_SECONDS", 0.01)
    calls = LedgerCalls(Ledger(f"sqlite:///{tmp_path}/later/ledger.db"))

    async def open_when_the_folder_exists() -> None:
        opening = asyncio.create_task(calls.open())
        while not calls.faults.causes:
            await asyncio.sleep(0.01)
        assert calls.faults.message == (
            "The ledger cannot be opened (unreachable); the log says why."
        )
        (tmp_path / "later").mkdir()
        await asyncio.wait_for(opening, 10)

    asyncio.run(open_when_the_folder_exists())
    assert calls.faults.causes == {}


def test_fault_may_end_while_its_message_is_built() -> None:
    class Ending(dict[Any, str]):
        """Causes that another thread removes after each look at them."""

        def __contains__(self, work: object) -> bool:
            is_failing = super().__contains__(work)
            self.clear()
            return is_failing

    faults = LedgerFaults()
    faults._causes = Ending(written="full")
    assert faults.message == "The ledger cannot be written (full); the log says why."


def test_missing_right_answers_503_and_keeps_scores_in_the_queue(
    ledger_on_postgres: str, model: ServedModel
) -> None:
    with Ledger(ledger_on_postgres) as owner:
        owner.database.prepare()
    server = sa.make_url(ledger_on_postgres)
    on_server(
        ledger_on_postgres,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    with Ledger(server.set(username="reader").render_as_string(False)) as ledger:
        calls = LedgerCalls(ledger)
        writer = ScoreWriter(ledger, calls.faults)
        body = json.dumps({"outcomes": [{"lead_id": "L1", "outcome": "won"}]}).encode()
        with pytest.raises(RequestError, match="nothing of this request is") as refusal:
            asyncio.run(calls.add("outcomes", model, body, 0, "r1"))
        assert refusal.value.status == 503
        assert "GRANT INSERT ON TABLE public.activities" in str(refusal.value.__cause__)
        assert calls.faults.causes == {"written": "missing_rights"}
        assert asyncio.run(calls.stored_leads(["L1"]))  # reading works
        writer.put(Batch(scores=[given(1)]), 0)
        rights = "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader"
        sequences = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reader"
        on_server(ledger_on_postgres, rights, sequences)
        writer.close()
        assert (writer.written, writer.dropped) == (1, 0)
        assert calls.faults.causes == {}
    on_server(ledger_on_postgres, "DROP OWNED BY reader", "DROP ROLE reader")


def test_deleted_ledger_file_is_not_created_again(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.add("activities", [call(1)], 0)
        for path in tmp_path.iterdir():
            path.unlink()
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.add("activities", [call(2)], 0)
    assert list(tmp_path.iterdir()) == []


def test_broken_connections_are_replaced(ledger_on_postgres: str, postgres_url: str) -> None:
    with Ledger(ledger_on_postgres) as ledger:
        ledger.add("activities", [call(1)], 0)
        name = sa.make_url(ledger_on_postgres).database
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        on_server(postgres_url, end)
        assert ledger.add("activities", [call(2)], 0)[0].status == "accepted"
        on_server(postgres_url, end)
        assert len(ledger.stored_leads(["L1"])["L1"].activities) == 2


def test_read_only_database_is_read_and_refuses_writes(ledger: Ledger) -> None:
    ledger.add("activities", [call(1)], 0)
    engine = ledger.database.engine
    statement = "PRAGMA query_only = ON"
    if engine.dialect.name == "postgresql":
        statement = "SET default_transaction_read_only = on"
    ledger.close()

    def make_read_only(connection: Any, *_: Any) -> None:
        connection.execute(statement)
        if engine.dialect.name == "postgresql":
            connection.commit()

    sa.event.listen(engine, "connect", make_read_only)
    with pytest.raises(LedgerError, match="is read-only"):
        ledger.add("activities", [call(2)], 0)
    assert stored_ids(ledger) == {"1": 1}


@ALSO_PGBOUNCER
def test_locked_database_is_read_and_refuses_writes_after_a_timeout(ledger: Ledger) -> None:
    ledger.add("activities", [call(1)], 0)
    is_locked, may_unlock = threading.Event(), threading.Event()

    def lock(_: sa.Connection) -> None:
        is_locked.set()
        assert may_unlock.wait(30)

    thread = threading.Thread(target=lambda: ledger.database.write(lock, alone=True))
    thread.start()
    assert is_locked.wait(10)
    with pytest.raises(LedgerError, match="refuses the request or is busy"):
        ledger.add("activities", [call(2)], 0)
    assert len(ledger.stored_leads(["L1"])["L1"].activities) == 1
    may_unlock.set()
    thread.join()
    assert ledger.add("activities", [call(2)], 0)[0].status == "accepted"


def test_clock_that_goes_backwards_keeps_the_order(ledger: Ledger) -> None:
    for now, size in ((300, 1), (200, 2), (100, 3)):
        score = dataclasses.replace(given(now), as_of=now, score=size, recorded_at=now)
        ledger.add_batch(Batch([score], [(SentLead("L1", None, {"size": size}), now)]), now)
        assert ledger.add("activities", [call(size)], now)[0].status == "accepted"
        assert ledger.add("activities", [call(size)], now - 50)[0].status == "duplicate"
    assert [score.score for score in ledger.scores_of("L1")] == [3, 2, 1]
    newest_lead = ledger.stored_leads(["L1"])["L1"].sent
    assert newest_lead is not None
    assert newest_lead.attributes == {"size": 3}
