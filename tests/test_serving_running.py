"""A built Bento with two workers, run for real: take-over under load, faults, draining."""

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.artifact import save_artifact
from models.calibration import Calibration
from serving.bento.process import free_port, running_service
from serving.http.keys import add_key, revoke_key

HERE = Path(__file__).resolve().parent.parent
LEAD = json.dumps({"leads": [{"lead_id": "L1", "attributes": {"budget_eur": 120000}}]}).encode()
BUILD = """
import sys; from pathlib import Path
from serving.bento.store import build_bento, promote_in_store
tag = promote_in_store(Path(sys.argv[1]), "simulated", "1")
print(build_bento(Path(sys.argv[2]), tag))
"""
PROMOTE = """
import sys; from pathlib import Path; from serving.bento.store import promote_in_store
print(promote_in_store(Path(sys.argv[1]), "simulated", sys.argv[2]))
"""

LISTENS = """
import os, sys
def hook(event, args):
    if event == "socket.getaddrinfo":
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{args[0]}\\n")
        if args[0] not in (None, "", "127.0.0.1", "localhost"):
            raise OSError(f"this test has no network: {args[0]}")
sys.addaudithook(hook)
import socket; socket.getaddrinfo("127.0.0.1", 1)
"""


@dataclass(frozen=True)
class Built:
    """A Bento, and two models of the same name."""

    home: Path
    bento: Path
    models: dict[str, Path]
    environment: dict[str, str]

    def run(self, code: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=self.environment,
            cwd=HERE,
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def promote(self, version: str) -> str:
        return self.run(PROMOTE, self.models[version], version)


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    port: int
    log: Path

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        is_json = response.getheader("content-type") == "application/json"
        return response.status, json.loads(body) if is_json else body.decode()

    def score(self) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/score", LEAD)
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.load(response))

    def supervisor(self) -> psutil.Process:
        ours = psutil.Process().children()
        (found,) = [child for child in ours if str(self.port) in child.cmdline()]
        return found

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in self.supervisor().children():
            with contextlib.suppress(psutil.ZombieProcess):
                if "_bentoml_impl.worker.service" in child.cmdline():
                    found.append(child)
        return found

    def versions(self) -> dict[str, str]:
        """Which version each worker answers with."""
        text = self.get("/metrics")[1]
        found = re.findall(r'leadscore_model_info\{worker="(\d+)".*?version="(\w+)"', text)
        return dict(found)


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def built(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("running")
    home = folder / "home"
    home.mkdir()
    models = {"1": folder / "one", "2": folder / "two"}
    other = replace(trained.scorer, calibration=Calibration(0.5, -0.5))
    save_artifact(trained.scorer, trained.golden_leads, models["1"], trained.golden_as_of)
    save_artifact(other, trained.golden_leads, models["2"], trained.golden_as_of)
    kept = {name: v for name, v in os.environ.items() if not name.startswith("BENTOML_")}
    environment = kept | {"BENTOML_HOME": str(home)}
    made = Built(home, Path(), models, environment)
    name, _, version = made.run(BUILD, models["1"], HERE).splitlines()[-1].partition(":")
    return replace(made, bento=home / "bentos" / name / version)


@contextlib.contextmanager
def run(built: Built, log: Path, **settings: str) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in built.environment.items():
            patch.setenv(variable, value)
        given = {f"LEADSCORE_{name.upper()}": value for name, value in settings.items()}
        port = free_port("127.0.0.1")
        with running_service(built.bento, "127.0.0.1", port, given, log):
            yield Running(port, log)


@pytest.fixture(scope="module")
def running(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("log") / "log"
    with run(built, log, workers="2", body_seconds="3") as service:
        until(lambda: set(service.versions()) == {"1", "2"})
        yield service


@contextlib.contextmanager
def load(running: Running, answers: list[Any]) -> Iterator[None]:
    """Four callers that never pause: two on one connection, two on a new one each time."""
    stop = threading.Event()

    def call(keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        while not stop.is_set():
            try:
                connection.request("POST", "/score", LEAD)
                response = connection.getresponse()
                body = json.loads(response.read())
                answers.append(
                    (response.status, body["model"]["version"], body["scores"][0]["probability"])
                )
            except Exception as error:
                answers.append(repr(error))
                connection.close()
            if not keeps:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=call, args=(keeps,)) for keeps in (True, True, False, False)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_every_worker_takes_over_champions_without_failed_requests(
    built: Built, running: Running
) -> None:
    answers: list[Any] = []
    with load(running, answers):
        for version in ("2", "1", "2"):
            built.promote(version)
            until(lambda version=version: set(running.versions().values()) == {version}, 30)
    seen = Counter(answers)
    assert len({answer for answer in seen if answer[0] == 200}) == len(seen) == 2, seen
    assert {answer[1] for answer in seen} == {"1", "2"}
    assert len({answer[2] for answer in seen}) == 2
    assert len(answers) > 100


def test_every_worker_refuses_a_damaged_champion(built: Built, running: Running) -> None:
    tag = built.promote("1")
    until(lambda: set(running.versions().values()) == {"1"}, 30)
    bad = built.run(PROMOTE, built.models["2"], "3")
    until(lambda: set(running.versions().values()) == {"3"}, 30)
    pointer = built.home / "leadscore" / "champions" / "simulated.json"
    pointer.write_text(json.dumps({"tag": tag}))
    until(lambda: set(running.versions().values()) == {"1"}, 30)
    stored = built.home / "models" / "leadscore" / bad.partition(":")[2] / "card.json"
    stored.write_text("{}")
    answers: list[Any] = []
    with load(running, answers):
        pointer.write_text(json.dumps({"tag": bad}))
        until(lambda: _faulty(running) == 2, 30)
    assert {answer[:2] for answer in answers} == {(200, "1")}
    status, body = running.get("/readyz")
    assert (status, body["ready"], body["model"]["version"]) == (200, True, "1")
    assert bad in body["fault"]
    assert str(built.home) not in body["fault"]
    assert "leadscore_takeover_faults_total 2" in running.get("/metrics")[1]
    built.promote("2")
    until(lambda: set(running.versions().values()) == {"2"}, 30)
    assert running.get("/readyz")[1]["fault"] is None


def test_dead_worker_is_replaced_and_its_counts_kept(running: Running) -> None:
    for _ in range(20):
        running.score()
    time.sleep(1.5)
    before = _counted(running)
    first, second = running.workers()
    first.send_signal(signal.SIGKILL)
    for _ in range(20):  # what the dead one had not accepted yet, another accepts
        assert running.score()["scores"]
    until(lambda: len(running.workers()) == 2 and first not in running.workers())
    until(lambda: len(running.versions()) == 2)
    assert second in running.workers()
    assert _counted(running) >= before + 20


def _faulty(running: Running) -> int:
    return len(re.findall(r'takeover_fault\{worker="\d"\} 1', running.get("/metrics")[1]))


def _counted(running: Running) -> int:
    text = running.get("/metrics")[1]
    return int(re.findall(r'requests_total\{route="/score",status="200"\} (\d+)', text)[0])


def test_slow_bodies_do_not_block_other_callers(running: Running) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", running.port), timeout=30) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(head + b'{"leads"')
        answers: list[Any] = []
        answered_beside_them = 0
        with load(running, answers):
            for _ in range(10):
                for connection in slow[::2]:
                    with contextlib.suppress(OSError):
                        connection.sendall(b" ")
                time.sleep(0.1)
                if not select.select(slow, [], [], 0)[0]:  # none of the 200 has an answer yet
                    answered_beside_them = len(answers)
        assert answered_beside_them > 0
        assert {answer[0] for answer in answers} == {200}
        statuses = {connection.recv(4096)[:12] for connection in slow}
        assert statuses == {b"HTTP/1.1 408"}
    finally:
        for connection in slow:
            connection.close()


def test_gigabyte_body_is_refused_early(running: Running) -> None:
    before = max(worker.memory_info().rss for worker in running.workers())

    def send(is_chunked: bool) -> tuple[bytes, int]:
        length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000000"
        part = b" " * 65_536
        part = b"10000\r\n" + part + b"\r\n" if is_chunked else part
        sent = 0
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
            with contextlib.suppress(OSError):
                while sent < 1_000_000_000:
                    connection.sendall(part)
                    sent += len(part)
            return connection.recv(12), sent

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, [True, False, True, False]))
    assert {answer for answer, _ in answers} == {b"HTTP/1.1 413"}
    assert max(sent for _, sent in answers) < 60_000_000
    after = max(worker.memory_info().rss for worker in running.workers())
    assert after - before < 100_000_000


MALFORMED = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"POST /score HTTP/9.9\r\n\r\n",
    b"{}\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{",
    b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET \xff HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_malformed_requests_do_not_affect_valid_ones(running: Running) -> None:
    def send(i: int) -> bytes:
        place = ("127.0.0.1", running.port)
        with contextlib.suppress(OSError), socket.create_connection(place, 30) as connection:
            connection.sendall(MALFORMED[i % len(MALFORMED)])
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(12)
        return b""

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(send, range(1_500)))
    assert {answer[9:10] for answer in answers} <= {b"", b"4"}, answers
    assert answers[b"HTTP/1.1 400"] > 500
    assert running.score()["scores"]
    assert "leadscore_refused_total" in running.get("/metrics")[1]


def test_service_has_no_pages_of_the_framework(running: Running) -> None:
    assert running.get("/livez") == (200, {"alive": True})
    assert running.get("/contract/openapi-3.0.json")[1]["openapi"] == "3.0.3"
    for path in ("/", "/docs.json", "/schema.json", "/static_content/index.css"):
        assert running.get(path)[0] == 404


def test_log_is_json_without_lead_data(running: Running) -> None:
    running.score()
    time.sleep(1.5)
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 100
    assert "took over a new champion" in {line.get("message") for line in lines}
    assert {"request_id", "route", "status", "ms", "model_version"} <= set(lines[-1])
    assert "L1" not in text
    assert "120000" not in text


def test_keys_work_until_they_are_revoked(built: Built, tmp_path: Path) -> None:
    keys_file = tmp_path / "keys.json"
    keys = {role: add_key(keys_file, f"the-{role}", role, "2026") for role in ("score", "admin")}
    log = tmp_path / "log"
    with run(built, log, workers="2", keys_file=str(keys_file)) as service:
        url = f"http://127.0.0.1:{service.port}"

        def status(path: str, key: str = "", body: bytes | None = None) -> int:
            request = urllib.request.Request(url + path, body, {"X-API-Key": key} if key else {})
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return int(response.status)
            except urllib.error.HTTPError as refused:
                return refused.code

        assert status("/readyz") == 200
        assert [status(path, body=b"{}") for path in ("/model", "/erase")] == [401, 401]
        assert status("/metrics") == 401
        assert status("/score", keys["score"], LEAD) == 200
        assert status("/score", keys["score"] + "x", LEAD) == 401
        assert status("/erase", keys["score"], b'{"lead_id": "L1"}') == 403
        assert status("/metrics", keys["admin"]) == 200
        revoke_key(keys_file, "the-score")
        until(lambda: {status("/score", keys["score"], LEAD) for _ in range(8)} == {401}, 30)
        revoke_key(keys_file, "the-admin")  # the last one, which opens nothing
        until(lambda: {status("/metrics", keys["admin"]) for _ in range(8)} == {401}, 30)
        assert status("/score", body=LEAD) == 401
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    refused = {(line["status"], line["key"]) for line in lines if line.get("route") == "/erase"}
    assert refused == {(401, ""), (403, "the-score")}
    assert [key for key in keys.values() if key in log.read_text()] == []


def test_sigterm_drains_without_connection_resets(built: Built, tmp_path: Path) -> None:
    with run(built, tmp_path / "log", drain_seconds="4") as service:
        supervisor = service.supervisor()
        answers: list[Any] = []
        slow = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        length = f"Content-Length: {len(LEAD)}\r\n\r\n".encode()
        slow.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + length + LEAD[:20])
        with load(service, answers):
            time.sleep(0.5)
            supervisor.terminate()
            until(lambda: service.get("/readyz")[0] == 503, 3)
            begun = len(answers)
            time.sleep(2)  # a load balancer looks at /readyz and sends nobody any more
        slow.sendall(LEAD[20:])
        assert slow.recv(12) == b"HTTP/1.1 200"
        slow.close()
        assert len(answers) > begun + 20
        assert {answer[0] for answer in answers} == {200}
        assert supervisor.wait(30) == 0


def test_pinned_bento_keeps_its_model(built: Built, tmp_path: Path) -> None:
    built.promote("2")
    with run(built, tmp_path / "log", takeover="off", access_log="off") as service:
        assert service.score()["model"]["version"] == "1"
        built.promote("2")
        time.sleep(1.5)
        assert service.score()["model"]["version"] == "1"
        assert service.get("/readyz")[1]["fault"] is None
    assert "leadscore.access" not in (tmp_path / "log").read_text()
    with run(built, tmp_path / "log") as service:
        assert service.score()["model"]["version"] == "2"


def test_bentoml_serve_sends_no_usage_reports(built: Built, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LISTENS)
    asked, port = tmp_path / "asked", free_port("127.0.0.1")
    listened = {"PYTHONPATH": str(tmp_path), "ASKED": str(asked)}
    assert "BENTOML_DO_NOT_TRACK" not in built.environment
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            built.bento,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--quiet",
        ],
        env=built.environment | listened | {"LEADSCORE_DRAIN_SECONDS": "0"},
        cwd=built.home,
    ) as process:
        service = Running(port, tmp_path / "log")

        def is_ready() -> bool:
            with contextlib.suppress(OSError):
                return bool(service.get("/readyz")[0] == 200)
            return False

        try:
            until(is_ready)
            assert service.score()["scores"]
        finally:
            process.terminate()
            process.wait(30)
    assert set(asked.read_text().split()) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"LEADSCORE_HOST": "0.0.0.0"}, "there are no API keys. Add one with `leadscore keys add`"),
        ({"LEADSCORE_MAX_LEADS": "many"}, "LEADSCORE_MAX_LEADS is 'many'"),
        ({"LEADSCORE_LEDGER_URL": "sqlite:///ledger.db"}, "not clear in which folder"),
    ],
)
def test_invalid_setting_ends_the_start_with_one_message(
    built: Built, settings: dict[str, str], message: str
) -> None:
    port = free_port("127.0.0.1")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            built.bento,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--quiet",
        ],
        env=built.environment | settings,
        cwd=built.home,
        text=True,
        capture_output=True,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert message in " ".join(said.split())
    assert "Traceback" not in said
