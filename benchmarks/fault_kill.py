"""Kill the service at random times under load; check that no acknowledged event is lost or doubled.

    python -m benchmarks.fault_kill [--rounds 20] [--ledger sqlite|postgresql|pgbouncer]

The script serves the demo's Bento (`make demo` builds it) on a free port of loopback with its own
ledger. With `--ledger pgbouncer`, the ledger is behind a PgBouncer with transaction pooling, which
is killed too in every third round. Callers send activities and outcomes, and repeat a batch that
got no answer, as a CRM does. After a random time every process of the service is killed (kill -9),
and the service is started again. At the end each acknowledged id must be in the ledger, and no id
twice.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from crm.ledger.ledger import Ledger
from serving.bento.process import free_port, serve_command, serve_environment
from serving.bento.store import newest_bento
from tests.conftest import bundled_postgres
from tests.made_pgbouncer import running_pgbouncer

HERE = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
CALLERS = 6
BATCH = 5
LONGEST_SECONDS = 2.0  # of load before a kill
START_SECONDS = 60


@dataclass
class Caller:
    """A caller: the number of batches it sent, and the ids that were acknowledged."""

    number: int
    port: int
    acknowledged: dict[str, set[str]] = field(
        default_factory=lambda: {"activities": set(), "outcomes": set()}
    )
    sent: int = 0

    def run(self, stop: threading.Event) -> None:
        pending: tuple[str, list[dict[str, str]]] | None = None
        while not stop.is_set():
            kind, items = pending or self._next()
            pending = (kind, items)
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                if self._post(kind, items) == 200:
                    key = "activity_id" if kind == "activities" else "outcome_id"
                    self.acknowledged[kind] |= {item[key] for item in items}
                    pending = None
            if pending:
                time.sleep(0.02)

    def _next(self) -> tuple[str, list[dict[str, str]]]:
        self.sent += 1
        names = [f"{self.number}-{self.sent}-{i}" for i in range(BATCH)]
        if self.sent % 4 == 0:
            return "outcomes", [
                {"lead_id": f"K{name}", "outcome": "won", "outcome_id": name} for name in names
            ]
        return "activities", [
            {
                "lead_id": f"K{name}",
                "type": "demo",
                "occurred_at": "2026-01-01T00:00:00Z",
                "activity_id": name,
            }
            for name in names
        ]

    def _post(self, kind: str, items: list[dict[str, str]]) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("POST", f"/{kind}", json.dumps({kind: items}))
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status == 200 and answer["invalid"]:
                raise SystemExit(f"refused: {answer}")
            return response.status


def start(bento: Path, port: int, url: str, log: Path) -> "subprocess.Popen[bytes]":
    settings = {"LEADSCORE_LEDGER_URL": url, "LEADSCORE_ACCESS_LOG": "off"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            serve_command(bento, HOST, port),
            env=serve_environment(HOST, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process
        time.sleep(0.1)
    raise SystemExit(f"the service did not start: {log.read_text(errors='replace')[-2000:]}")


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill every process of the service at once, as a power cut does."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=10)


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a database; provide the URL of a ledger, and a function that interrupts it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/ledger.db", lambda: None
        return
    with bundled_postgres(folder / "postgres") as server:
        if kind == "postgresql":
            yield server, lambda: None
            return
        (folder / "pgbouncer").mkdir()
        folder.chmod(0o755)
        with running_pgbouncer(folder / "pgbouncer", server, free_port(HOST)) as bouncer:
            yield bouncer.url("postgres"), bouncer.restart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    kinds = ("sqlite", "postgresql", "pgbouncer")
    parser.add_argument("--ledger", choices=kinds, default="sqlite")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("BENTOML_HOME", str(HERE / "demo" / "bentoml"))
    _, bento = newest_bento("demo")
    generator = random.Random(arguments.seed)
    with (
        tempfile.TemporaryDirectory(prefix="leadscore-") as work,
        database(arguments.ledger, Path(work)) as (url, interrupt),
    ):
        port = free_port(HOST)
        callers = [Caller(i, port) for i in range(CALLERS)]
        stop = threading.Event()
        threads = [threading.Thread(target=caller.run, args=(stop,)) for caller in callers]
        log = Path(work) / "log"
        process = start(bento, port, url, log)
        for thread in threads:
            thread.start()
        for number in range(arguments.rounds):
            time.sleep(generator.uniform(0.05, LONGEST_SECONDS))
            if number % 3 == 2:
                interrupt()
            kill(process)
            process = start(bento, port, url, log)
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join()
        kill(process)
        ledger = Ledger(url)
        for kind, key in (("activities", "activity_id"), ("outcomes", "outcome_id")):
            stored = Counter(str(row[key]) for rows in ledger.rows(kind) for row in rows)
            acknowledged = set().union(*(caller.acknowledged[kind] for caller in callers))
            lost = acknowledged - stored.keys()
            doubled = [name for name, n in stored.items() if n > 1]
            print(
                f"{arguments.ledger}, {kind}: {arguments.rounds} kills, "
                f"{len(acknowledged):,} acknowledged, {len(lost)} lost, {len(doubled)} doubled"
            )
        ledger.close()


if __name__ == "__main__":
    main()
