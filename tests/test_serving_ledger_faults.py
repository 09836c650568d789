"""What breaks around the ledger: nothing acknowledged is lost, and nothing is there twice.

Writers are processes of their own, so that they can be killed.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import crm.ledger.database as database
from crm.errors import LedgerError
from crm.ledger.ledger import Batch, GivenScore, Ledger, SentLead
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls
from serving.ledger.score_writer import ScoreWriter
from serving.served_model import ServedModel

HERE = Path(__file__).resolve().parent.parent
KILLS = 20
PER_BATCH = 5
_numbers = itertools.count()

# Adds batches of ids, from the number it is told; says each number when it is acknowledged.
WRITER = f"""
import sys
from crm.ledger.ledger import Ledger
url, first, last, prefix = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with Ledger(url) as ledger:
    for number in range(first, last):
        rows = [
            {{"lead_id": f"L{{number % 7}}", "type": "call", "occurred_at": number,
              "activity_id": f"{{prefix}}-{{number}}-{{i}}"}}
            for i in range({PER_BATCH})
        ]
        outcome = {{"lead_id": f"L{{number % 7}}", "outcome": "won", "closed_at": number}}
        accepted = [added.status for added in ledger.add("activities", rows, 0)]
        accepted += [added.status for added in ledger.add("outcomes", [outcome], 0)]
        print(number, accepted.count("accepted"), accepted.count("duplicate"), flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("ledger_on_postgres"))


@pytest.fixture
def ledger_on_postgres(postgres_url: str) -> str:
    name = f"faulty{next(_numbers)}"
    on_server(postgres_url, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    return sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def ledger(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger of little patience."""
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(database, "AWAY_SECONDS", 0.2)
    with Ledger(ledger_url) as opened:
        opened.database.prepare()
        yield opened


def on_server(server: str, *statements: str) -> None:
    address = server.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def call(number: int, lead_id: str = "L1") -> dict[str, Any]:
    return {"lead_id": lead_id, "type": "call", "occurred_at": number, "activity_id": str(number)}


def ids(ledger: Ledger, kind: str = "activities", name: str = "activity_id") -> Counter[Any]:
    return Counter(row[name] for piece in ledger.rows(kind) for row in piece)


def writer(url: str, first: int, last: int, prefix: str = "a", **more: Any) -> Any:
    command = [sys.executable, "-c", WRITER, url, str(first), str(last), prefix]
    return subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def test_killed_writer_loses_and_doubles_nothing(ledger_url: str) -> None:
    """20 times kill -9; what the writer had been told is there once, and repeats add nothing."""
    moments = random.Random(5)
    acknowledged: set[int] = set()
    following = 0
    for _ in range(KILLS):
        process = writer(ledger_url, max(0, following - 1), 100_000)  # repeats the last batch
        first_line = process.stdout.readline()
        assert first_line, process.stderr.read()
        timer = threading.Timer(moments.uniform(0, 0.15), process.kill)
        timer.start()
        said = [first_line, *process.stdout]  # until it is killed
        timer.join()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        process.stderr.close()
        whole = [line for line in said if line.endswith("\n")]
        acknowledged |= {int(line.split()[0]) for line in whole}
        following = max(acknowledged) + 1
    with Ledger(ledger_url) as ledger:
        found = ids(ledger)
        wanted = {f"a-{number}-{i}" for number in acknowledged for i in range(PER_BATCH)}
        assert len(wanted) >= KILLS * PER_BATCH
        assert wanted - set(found) == set()
        assert max(found.values()) == 1
        of_batches = Counter(name.rpartition("-")[0] for name in found)
        assert set(of_batches.values()) == {PER_BATCH}  # a batch is there whole or not at all
        closed = ids(ledger, "outcomes", "closed_at")
        assert acknowledged - set(closed) == set()
        assert max(closed.values()) == 1


def test_process_killed_while_opening_leaves_a_usable_ledger(
    ledger_url: str,
) -> None:
    moments = random.Random(6)
    for _ in range(5):
        process = writer(ledger_url, 0, 1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.5, 1.2))
        process.kill()
        process.communicate()
    with Ledger(ledger_url) as ledger:
        ledger.add("activities", [call(1)], 0)
        assert max(ids(ledger).values()) == 1


def test_concurrent_processes_write_each_id_once(ledger_url: str) -> None:
    processes = [writer(ledger_url, 0, 60, "same") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    counts = [line.split() for out, _ in said for line in out.splitlines()]
    assert sum(int(accepted) for _, accepted, _ in counts) == 60 * (PER_BATCH + 1)
    assert sum(int(repeated) for _, _, repeated in counts) == 60 * (PER_BATCH + 1)
    with Ledger(ledger_url) as ledger:
        assert len(ids(ledger)) == 60 * PER_BATCH
        assert max(ids(ledger).values()) == 1


def test_concurrent_threads_write_each_id_once(ledger: Ledger) -> None:
    rows = [call(number, f"L{number % 3}") for number in range(200)]
    statuses: list[str] = []

    def add(seed: int) -> None:
        mixed = random.Random(seed).sample(rows, len(rows))
        statuses.extend(added.status for added in ledger.add("activities", mixed, 0))

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {"accepted": 200, "duplicate": 600}
    assert len(ids(ledger)) == 200


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
    assert ids(ledger) == Counter()


def test_concurrent_openings_migrate_once(ledger_url: str) -> None:
    processes = [writer(ledger_url, 0, 1, f"p{i}") for i in range(4)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], said
    with Ledger(ledger_url) as ledger:
        assert len(ids(ledger)) == 4 * PER_BATCH
        with ledger.database.reading() as connection:
            keys = connection.exec_driver_sql("SELECT count(*) FROM ledger_keys").scalar()
        assert keys == 1


@contextlib.contextmanager
def gone(ledger: Ledger, tmp_path: Path) -> Iterator[None]:
    """Take the database away, connections and all, while the context lasts."""
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


def test_ledger_works_again_after_an_outage(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add("activities", [call(1)], 0)
    with gone(ledger, tmp_path):
        for _ in range(2):
            with pytest.raises(LedgerError, match="cannot be reached") as caught:
                ledger.add("activities", [call(2)], 0)
            assert caught.value.is_passing
            time.sleep(0.3)
        with pytest.raises(LedgerError):
            ledger.held(["L1"])
        asked: list[Any] = []
        sa.event.listen(ledger.database.engine, "do_connect", lambda *_: asked.append(1))
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.held(["L1"])
        assert asked == []  # not asked again at once
    time.sleep(0.3)
    assert [a.status for a in ledger.add("activities", [call(1), call(2)], 0)] == [
        "duplicate",
        "accepted",
    ]
    assert ids(ledger) == {"1": 1, "2": 1}


@pytest.fixture
def told() -> Iterator[list[logging.LogRecord]]:
    """What the service logs."""
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
    ledger: Ledger, tmp_path: Path, told: list[logging.LogRecord], model: ServedModel
) -> None:
    calls = LedgerCalls(ledger)
    writer = ScoreWriter(ledger, calls.faults)
    body = json.dumps({"outcomes": [{"lead_id": "L1", "outcome": "won"}]}).encode()

    async def meet_it() -> None:
        for _ in range(3):
            with pytest.raises(RequestError, match="nothing of this request is acknowledged"):
                await calls.add("outcomes", model, body, 0, "r1")
            assert await calls.held(["L1"]) is None

    with gone(ledger, tmp_path):
        asyncio.run(meet_it())
        writer.put(Batch(leads=[(SentLead("L1", None, {}), 0)]), 0)
        asyncio.run(meet_it())
        assert calls.faults.message == "The ledger cannot be read or written; the log says why."
    time.sleep(0.3)
    writer.close()
    assert asyncio.run(calls.held(["L1"]))
    assert calls.faults.message is None
    assert Counter(record.getMessage() for record in told) == {
        "the ledger cannot be written": 1,
        "the ledger cannot be read": 1,
        "the ledger can be written again": 1,
        "the ledger can be read again": 1,
    }
    causes = [str(getattr(record, "fault", "")) for record in told]
    assert ["cannot be reached" in cause for cause in causes] == [True, True, False, False]


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
        assert len(ledger.held(["L1"])["L1"].activities) == 2


def allow_60_pages(connection: Any, *_: Any) -> None:
    connection.execute("PRAGMA max_page_count = 60")


def fill(ledger: Ledger, acknowledged: list[str]) -> None:
    for number in itertools.count():
        ledger.add("activities", [call(number) | {"content": "x" * 900}], 0)
        acknowledged.append(str(number))


def test_full_database_keeps_acknowledged_events(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.database.prepare()

        sa.event.listen(ledger.database.engine, "checkout", allow_60_pages)
        acknowledged: list[str] = []
        with pytest.raises(LedgerError, match="is full, or its disk is"):
            fill(ledger, acknowledged)
        assert set(ids(ledger)) == set(acknowledged)
        assert len(acknowledged) > 20
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        assert ledger.add("activities", [call(10**6)], 0)[0].status == "accepted"


def test_full_disk_keeps_acknowledged_events(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    process = writer(url, 0, 100_000, preexec_fn=little_room)
    out, errors = process.communicate(timeout=120)
    assert "LedgerError" in errors
    assert process.returncode == 1
    acknowledged = [int(line.split()[0]) for line in out.splitlines()]
    assert len(acknowledged) > 5
    with Ledger(url) as ledger:
        found = ids(ledger)
        wanted = {f"a-{number}-{i}" for number in acknowledged for i in range(PER_BATCH)}
        assert wanted - set(found) == set()
        assert max(found.values()) == 1
        with ledger.database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own with little room, and a file in it that can be deleted."""
    with tempfile.TemporaryDirectory(prefix="leadscore-disk-") as name:
        folder = Path(name)
        mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "leadscore", name]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file system can be mounted here: {error}")
        try:
            (folder / "ballast").write_bytes(bytes(2 << 20))
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_on_small_disk(request: pytest.FixtureRequest, small_disk: Path) -> Iterator[str]:
    """The address of an empty database that lies on the small disk: of PostgreSQL the tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{small_disk}/ledger.db"
        return
    server = str(request.getfixturevalue("postgres_url"))
    engine = sa.create_engine(server.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        owner = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar())).stat()
    engine.dispose()
    place = small_disk / "tables"
    place.mkdir()
    for folder in (small_disk, place):
        os.chown(folder, owner.st_uid, owner.st_gid)
    on_server(
        server,
        f"CREATE TABLESPACE small LOCATION '{place}'",
        "CREATE DATABASE small TABLESPACE small",
    )
    yield sa.make_url(server).set(database="small").render_as_string(hide_password=False)
    on_server(server, "DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


def test_full_disk_answers_503_and_loses_nothing(
    ledger_on_small_disk: str, small_disk: Path, model: ServedModel
) -> None:
    async def call_until_it_is_full(calls: LedgerCalls) -> tuple[list[str], RequestError]:
        acknowledged: list[str] = []
        for number in itertools.count():
            item = {
                "lead_id": f"L{number % 7}",
                "type": "call",
                "content": "x" * 900,
                "occurred_at": "2026-01-01T00:00:00Z",
            }
            items = [item | {"activity_id": f"{number}-{i}"} for i in range(100)]
            try:
                body = json.dumps({"activities": items}).encode()
                answer = await calls.add("activities", model, body, 0, "r1")
            except RequestError as error:
                return acknowledged, error
            acknowledged += [str(item.id) for item in answer.items]
        raise AssertionError

    def there(ledger: Ledger) -> Counter[str]:
        with ledger.database.reading() as connection:  # in no order: sorting takes room as well
            return Counter(connection.scalars(sa.text("SELECT activity_id FROM activities")))

    with Ledger(ledger_on_small_disk) as ledger:
        calls = LedgerCalls(ledger)
        acknowledged, refused = asyncio.run(call_until_it_is_full(calls))
        assert refused.status == 503
        assert "is full, or its disk is" in str(refused.__cause__)
        assert calls.faults.message == "The ledger cannot be written; the log says why."
        assert shutil.disk_usage(small_disk).free < 300_000
        assert len(acknowledged) > 100
        assert there(ledger) == Counter(acknowledged)
        assert len(ledger.held(["L1"])["L1"].activities) > 10  # scoring goes on
        (small_disk / "ballast").unlink()  # somebody makes room
        more, _ = asyncio.run(call_until_it_is_full(calls))  # repeats what is there, and goes on
        assert len(more) > len(acknowledged) + 100
        assert there(ledger) == Counter(more)
        assert calls.faults.message is not None  # it is full again


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
    assert ids(ledger) == {"1": 1}


def test_locked_database_is_read_and_refuses_writes_after_a_timeout(
    ledger: Ledger,
) -> None:
    ledger.add("activities", [call(1)], 0)
    is_locked, go_on = threading.Event(), threading.Event()

    def lock(_: sa.Connection) -> None:
        is_locked.set()
        assert go_on.wait(30)

    thread = threading.Thread(target=lambda: ledger.database.write(lock, alone=True))
    thread.start()
    assert is_locked.wait(10)
    with pytest.raises(LedgerError, match="refuses the request or is busy"):
        ledger.add("activities", [call(2)], 0)
    assert len(ledger.held(["L1"])["L1"].activities) == 1
    go_on.set()
    thread.join()
    assert ledger.add("activities", [call(2)], 0)[0].status == "accepted"


def test_clock_that_goes_backwards_keeps_the_order(ledger: Ledger) -> None:
    for now, size in ((300, 1), (200, 2), (100, 3)):
        score = GivenScore(
            lead_id="L1",
            score_id=str(now),
            as_of=now,
            probability=0.5,
            score=size,
            grade="B",
            model="m",
            version="1",
            digest="d",
            reasons=[],
            request_id="r",
            recorded_at=now,
        )
        ledger.add_batch(Batch([score], [(SentLead("L1", None, {"size": size}), now)]), now)
        assert ledger.add("activities", [call(size)], now)[0].status == "accepted"
        assert ledger.add("activities", [call(size)], now - 50)[0].status == "duplicate"
    assert [score.score for score in ledger.scores_of("L1")] == [3, 2, 1]
    newest = ledger.held(["L1"])["L1"].sent
    assert newest is not None
    assert newest.attributes == {"size": 3}
