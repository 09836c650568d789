"""Tests of full disks under the ledger: what it acknowledged is neither lost nor stored twice."""

import asyncio
import itertools
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm.errors import LedgerError
from crm.ledger.ledger import Ledger
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls
from serving.served_model import ServedModel
from tests.conftest import skip
from tests.made_ledgers import (
    call,
    ids_of_batches,
    on_server,
    start_writer,
    stored_ids,
)


def allow_60_pages(connection: Any, *_: Any) -> None:
    connection.execute("PRAGMA max_page_count = 60")


def fill(ledger: Ledger, acknowledged_ids: list[str]) -> None:
    """Add activities until the ledger refuses one; collect the ids of the others."""
    for number in itertools.count():
        ledger.add("activities", [call(number) | {"content": "x" * 900}], 0)
        acknowledged_ids.append(str(number))


def test_full_database_keeps_acknowledged_events(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.database.prepare()
        sa.event.listen(ledger.database.engine, "checkout", allow_60_pages)
        acknowledged_ids: list[str] = []
        with pytest.raises(LedgerError, match="is full, or its disk is full"):
            fill(ledger, acknowledged_ids)
        assert set(stored_ids(ledger)) == set(acknowledged_ids)
        assert len(acknowledged_ids) > 20
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        assert ledger.add("activities", [call(10**6)], 0)[0].status == "accepted"


def test_full_disk_keeps_acknowledged_events(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"

    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    process = start_writer(url, 0, 100_000, preexec_fn=limit_file_size)
    stdout, stderr = process.communicate(timeout=120)
    assert "LedgerError" in stderr
    assert process.returncode == 1
    acknowledged = [int(line.split()[0]) for line in stdout.splitlines()]
    assert len(acknowledged) > 5
    with Ledger(url) as ledger:
        activities = stored_ids(ledger)
        assert ids_of_batches(acknowledged) - set(activities) == set()
        assert max(activities.values()) == 1
        with ledger.database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of 14 MB, with the file `ballast` that a test can delete."""
    with tempfile.TemporaryDirectory(prefix="leadscore-disk-") as name:
        folder = Path(name)
        mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "leadscore", name]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            skip(f"no file system can be mounted here: {error}")
        try:
            (folder / "ballast").write_bytes(bytes(2 << 20))
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_on_small_disk(request: pytest.FixtureRequest, small_disk: Path) -> Iterator[str]:
    """Return the URL of an empty database whose tables are on the small disk."""
    if request.param == "sqlite":
        yield f"sqlite:///{small_disk}/ledger.db"
        return
    server = str(request.getfixturevalue("postgres_url"))
    engine = sa.create_engine(server.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        owner = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar())).stat()
    engine.dispose()
    tables = small_disk / "tables"
    tables.mkdir()
    for folder in (small_disk, tables):
        os.chown(folder, owner.st_uid, owner.st_gid)
    on_server(
        server,
        f"CREATE TABLESPACE small LOCATION '{tables}'",
        "CREATE DATABASE small TABLESPACE small",
    )
    yield sa.make_url(server).set(database="small").render_as_string(hide_password=False)
    on_server(server, "DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


def add_until_refused(calls: LedgerCalls, model: ServedModel) -> tuple[list[str], RequestError]:
    """Add activities until a request is refused.

    Returns the ids that were acknowledged, and the refusal.
    """
    acknowledged_ids: list[str] = []

    async def add_all() -> RequestError:
        for number in itertools.count():
            item = {
                "lead_id": f"L{number % 7}",
                "type": "call",
                "content": "x" * 900,
                "occurred_at": "2026-01-01T00:00:00Z",
            }
            items = [item | {"activity_id": f"{number}-{i}"} for i in range(100)]
            body = json.dumps({"activities": items}).encode()
            try:
                answer = await calls.add("activities", model, body, 0, "r1")
            except RequestError as error:
                return error
            acknowledged_ids.extend(str(stored_item.id) for stored_item in answer.items)
        raise AssertionError

    refusal = asyncio.run(add_all())
    return acknowledged_ids, refusal


def stored_ids_without_sorting(ledger: Ledger) -> Counter[str]:
    """Count the stored activities by their id on a full disk, which has no room for sorting."""
    with ledger.database.reading() as connection:
        return Counter(connection.scalars(sa.text("SELECT activity_id FROM activities")))


def test_full_disk_answers_503_and_loses_nothing(
    ledger_on_small_disk: str, small_disk: Path, model: ServedModel
) -> None:
    with Ledger(ledger_on_small_disk) as ledger:
        calls = LedgerCalls(ledger)
        first_ids, refusal = add_until_refused(calls, model)
        assert refusal.status == 503
        assert "is full, or its disk is full" in str(refusal.__cause__)
        assert calls.faults.message == "The ledger cannot be written (full); the log says why."
        assert shutil.disk_usage(small_disk).free < 300_000
        assert len(first_ids) > 100
        assert stored_ids_without_sorting(ledger) == Counter(first_ids)
        assert len(ledger.stored_leads(["L1"])["L1"].activities) > 10  # reading still works

        (small_disk / "ballast").unlink()  # makes room
        all_ids, _ = add_until_refused(calls, model)  # repeats the first ids, then adds new ones
        assert len(all_ids) > len(first_ids) + 100
        assert stored_ids_without_sorting(ledger) == Counter(all_ids)
        assert calls.faults.message is not None  # the disk is full again
