"""Tests of a built Bento that runs with two workers: take-over under load, faults, draining."""

import contextlib
import http.client
import json
import os
import re
import select
import shutil
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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from crm.ledger.ledger import Ledger
from models.artifact import save_artifact
from models.calibration import Calibration
from serving.bento.process import free_port, running_service
from serving.http.keys import revoke_key

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

# Writes the name of each host that a process looks up to a file, and allows this machine only.
RECORD_HOSTS = """
import os, sys
def hook(event, args):
    if event == "socket.getaddrinfo":
        with open(os.environ["HOSTS_FILE"], "a") as file:
            file.write(f"{args[0]}\\n")
        if args[0] not in (None, "", "127.0.0.1", "localhost"):
            raise OSError(f"this test has no network: {args[0]}")
sys.addaudithook(hook)
import socket; socket.getaddrinfo("127.0.0.1", 1)
"""


@dataclass(frozen=True)
class Built:
    """A Bento and two models of the same name.

    Attributes
    ----------
    home : Path
        BentoML's home.
    bento : Path
        The folder of the Bento, which was built with version 1 of the model.
    models : dict of str to Path
        The models by version.
    environment : dict of str to str
        The environment of every process that serves the Bento.
    """

    home: Path
    bento: Path
    models: dict[str, Path]
    environment: dict[str, str]

    def run(self, code: str, *arguments: object) -> str:
        """Run Python code in a process of its own, and return its output."""
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=self.environment,
            cwd=HERE,
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def promote(self, version: str) -> str:
        """Make a version the champion, and return its tag."""
        return self.run(PROMOTE, self.models[version], version)


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    port: int
    log: Path

    def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the body of a page; JSON is decoded."""
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
        children = psutil.Process().children()
        (supervisor,) = [child for child in children if str(self.port) in child.cmdline()]
        return supervisor

    def workers(self) -> list[psutil.Process]:
        workers = []
        for child in self.supervisor().children():
            with contextlib.suppress(psutil.ZombieProcess):
                if "_bentoml_impl.worker.service" in child.cmdline():
                    workers.append(child)
        return workers

    def versions(self) -> dict[str, str]:
        """Return the version that each worker answers with."""
        text = self.get("/metrics")[1]
        return dict(re.findall(r'leadscore_model_info\{worker="(\d+)".*?version="(\w+)"', text))

    def wait_for_version(self, version: str) -> None:
        """Wait until every worker answers with this version."""
        wait_until(lambda: set(self.versions().values()) == {version}, 30)

    def workers_with_a_takeover_fault(self) -> int:
        text = self.get("/metrics")[1]
        return len(re.findall(r'takeover_fault\{worker="\d"\} 1', text))

    def scored_requests(self) -> int:
        """Return the number of requests to `/score` that all workers have counted."""
        text = self.get("/metrics")[1]
        return int(re.findall(r'requests_total\{route="/score",status="200"\} (\d+)', text)[0])


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not true within {seconds} seconds"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def built(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build a Bento with version 1 of a model."""
    folder = tmp_path_factory.mktemp("running")
    home = folder / "home"
    home.mkdir()
    models = {"1": folder / "one", "2": folder / "two"}
    recalibrated = replace(trained.scorer, calibration=Calibration(0.5, -0.5))
    save_artifact(trained.scorer, trained.golden_leads, models["1"], trained.golden_as_of)
    save_artifact(recalibrated, trained.golden_leads, models["2"], trained.golden_as_of)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BENTOML_")
    }
    built = Built(home, Path(), models, environment | {"BENTOML_HOME": str(home)})
    name, _, version = built.run(BUILD, models["1"], HERE).splitlines()[-1].partition(":")
    return replace(built, bento=home / "bentos" / name / version)


@contextlib.contextmanager
def run(built: Built, log: Path, **settings: str) -> Iterator[Running]:
    """Serve the Bento with these settings while the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in built.environment.items():
            patch.setenv(variable, value)
        variables = {f"LEADSCORE_{name.upper()}": value for name, value in settings.items()}
        port = free_port("127.0.0.1")
        with running_service(built.bento, "127.0.0.1", port, variables, log):
            yield Running(port, log)


@pytest.fixture(scope="module")
def running(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve the Bento with two workers for all tests that can share a service."""
    log = tmp_path_factory.mktemp("log") / "log"
    with run(built, log, workers="2", body_seconds="3") as service:
        wait_until(lambda: set(service.versions()) == {"1", "2"})
        yield service


class Answer(NamedTuple):
    """What a caller got: the answer's status and content, or the error of sending the request."""

    status: int = 0
    version: str = ""
    probability: float = 0.0
    error: str = ""


@contextlib.contextmanager
def load(running: Running, answers: list[Answer]) -> Iterator[None]:
    """Let four callers score a lead without a pause, and collect their answers.

    Two callers keep their connection; two open a new one for each request.
    """
    stop = threading.Event()

    def call(keeps_connection: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        while not stop.is_set():
            try:
                connection.request("POST", "/score", LEAD)
                response = connection.getresponse()
                body = json.loads(response.read())
                probability = body["scores"][0]["probability"]
                answers.append(Answer(response.status, body["model"]["version"], probability))
            except Exception as error:
                answers.append(Answer(error=repr(error)))
                connection.close()
            if not keeps_connection:
                connection.close()
        connection.close()

    threads = [
        threading.Thread(target=call, args=(keeps_connection,))
        for keeps_connection in (True, True, False, False)
    ]
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
    answers: list[Answer] = []
    with load(running, answers):
        for version in ("2", "1", "2"):
            built.promote(version)
            running.wait_for_version(version)
    counts = Counter(answers)
    assert {answer.status for answer in counts} == {200}, counts
    assert {answer.version for answer in counts} == {"1", "2"}
    assert len({answer.probability for answer in counts}) == len(counts) == 2
    assert len(answers) > 100


@pytest.fixture
def damaged_tag(built: Built, running: Running) -> str:
    """Have all workers answer with version 1, and return the tag of a damaged version 3."""
    tag_1 = built.promote("1")
    running.wait_for_version("1")
    tag_3 = built.run(PROMOTE, built.models["2"], "3")
    running.wait_for_version("3")
    name_champion(built, tag_1)
    running.wait_for_version("1")
    stored = built.home / "models" / "leadscore" / tag_3.partition(":")[2] / "card.json"
    stored.write_text("{}")
    return tag_3


def name_champion(built: Built, tag: str) -> None:
    pointer = built.home / "leadscore" / "champions" / "simulated.json"
    pointer.write_text(json.dumps({"tag": tag}))


def test_every_worker_refuses_a_damaged_champion(
    built: Built, running: Running, damaged_tag: str
) -> None:
    answers: list[Answer] = []
    with load(running, answers):
        name_champion(built, damaged_tag)
        wait_until(lambda: running.workers_with_a_takeover_fault() == 2, 30)
    assert {(answer.status, answer.version) for answer in answers} == {(200, "1")}
    status, body = running.get("/readyz")
    assert (status, body["ready"], body["model"]["version"]) == (200, True, "1")
    assert damaged_tag in body["fault"]
    assert str(built.home) not in body["fault"]
    assert "leadscore_takeover_faults_total 2" in running.get("/metrics")[1]
    built.promote("2")
    running.wait_for_version("2")
    assert running.get("/readyz")[1]["fault"] is None


def test_dead_worker_is_replaced_and_its_counts_kept(running: Running) -> None:
    for _ in range(20):
        running.score()
    time.sleep(1.5)
    requests_before = running.scored_requests()
    killed, survivor = running.workers()
    killed.send_signal(signal.SIGKILL)
    for _ in range(20):  # the survivor accepts the connections that the killed worker has not
        assert running.score()["scores"]
    wait_until(lambda: len(running.workers()) == 2 and killed not in running.workers())
    wait_until(lambda: len(running.versions()) == 2)
    assert survivor in running.workers()
    assert running.scored_requests() >= requests_before + 20


@pytest.fixture
def slow_connections(running: Running) -> Iterator[list[socket.socket]]:
    """Open 200 connections that have sent the head and the first bytes of a request."""
    start = b'POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"leads"'
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", running.port)
        connections = [
            stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(200)
        ]
        for connection in connections:
            connection.sendall(start)
        yield connections


def test_slow_bodies_do_not_block_other_callers(
    running: Running, slow_connections: list[socket.socket]
) -> None:
    answers: list[Answer] = []
    answers_before_timeouts = 0
    with load(running, answers):
        for _ in range(10):
            for connection in slow_connections[::2]:
                with contextlib.suppress(OSError):
                    connection.sendall(b" ")
            time.sleep(0.1)
            if not select.select(slow_connections, [], [], 0)[0]:  # none has an answer yet
                answers_before_timeouts = len(answers)
    assert answers_before_timeouts > 0
    assert {answer.status for answer in answers} == {200}
    statuses = {connection.recv(4096)[:12] for connection in slow_connections}
    assert statuses == {b"HTTP/1.1 408"}


def send_gigabyte(port: int, is_chunked: bool) -> tuple[bytes, int]:
    """Send a body of 1 GB; return the start of the answer and the number of bytes sent."""
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000000"
    part = b" " * 65_536
    if is_chunked:
        part = b"10000\r\n" + part + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            while sent < 1_000_000_000:
                connection.sendall(part)
                sent += len(part)
        return connection.recv(12), sent


def largest_memory(running: Running) -> int:
    """Return the bytes of memory of the largest worker."""
    return max(worker.memory_info().rss for worker in running.workers())


def test_gigabyte_body_is_refused_early(running: Running) -> None:
    memory_before = largest_memory(running)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(partial(send_gigabyte, running.port), [True, False, True, False]))
    assert {answer for answer, _ in results} == {b"HTTP/1.1 413"}
    assert max(sent for _, sent in results) < 60_000_000
    assert largest_memory(running) - memory_before < 100_000_000


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
        address = ("127.0.0.1", running.port)
        with contextlib.suppress(OSError), socket.create_connection(address, 30) as connection:
            connection.sendall(MALFORMED[i % len(MALFORMED)])
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(12)
        return b""

    with ThreadPoolExecutor(8) as pool:
        counts = Counter(pool.map(send, range(1_500)))
    assert {answer[9:10] for answer in counts} <= {b"", b"4"}, counts
    assert counts[b"HTTP/1.1 400"] > 500
    assert running.score()["scores"]
    assert "leadscore_refused_total" in running.get("/metrics")[1]


def test_service_has_its_own_pages_where_the_framework_has_them(running: Running) -> None:
    assert running.get("/livez") == (200, {"alive": True})
    assert running.get("/contract/openapi-3.0.json")[1]["openapi"] == "3.0.3"
    for path in ("/", "/docs.json", "/schema.json", "/static_content/swagger-ui.css"):
        assert running.get(path)[0] == 200
    assert "googletagmanager" not in running.get("/")[1]
    for path in ("/static_content/index.css", "/static_content/marked.min.js", "/assets/"):
        assert running.get(path)[0] == 404


def test_log_is_json_without_lead_data(running: Running) -> None:
    running.score()
    time.sleep(1.5)
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 100
    assert "took over a new champion" in {line.get("message") for line in lines}
    assert {"request_id", "route", "status", "ms", "model_version"} <= set(lines[-1])
    # The hexadecimal digits of a request's identifier can contain 120000 by chance.
    values = [str(value) for line in lines for name, value in line.items() if name != "request_id"]
    assert [value for value in values if "L1" in value or "120000" in value] == []


def test_keys_work_until_they_are_revoked(
    built: Built, keys_file: Path, keys: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with run(built, log, workers="2", keys_file=str(keys_file)) as service:

        def status(path: str, key: str = "", body: bytes | None = None) -> int:
            headers = {"X-API-Key": key} if key else {}
            url = f"http://127.0.0.1:{service.port}{path}"
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, body, headers), timeout=30
                ) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                return error.code

        def statuses(path: str, key: str, body: bytes | None = None) -> set[int]:
            """Return the statuses of eight calls, which both workers answer."""
            return {status(path, key, body) for _ in range(8)}

        assert status("/readyz") == 200
        assert [status(path, body=b"{}") for path in ("/model", "/erase")] == [401, 401]
        assert status("/metrics") == 401
        assert status("/score", keys["score"], LEAD) == 200
        assert status("/score", keys["score"] + "x", LEAD) == 401
        assert status("/erase", keys["score"], b'{"lead_id": "L1"}') == 403
        assert status("/metrics", keys["admin"]) == 200
        revoke_key(keys_file, "the-score")
        wait_until(lambda: statuses("/score", keys["score"], LEAD) == {401}, 30)
        revoke_key(keys_file, "the-write")
        revoke_key(keys_file, "the-admin")  # the last key: the service stays closed
        wait_until(lambda: statuses("/metrics", keys["admin"]) == {401}, 30)
        assert status("/score", body=LEAD) == 401
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    erasures = {(line["status"], line["key"]) for line in lines if line.get("route") == "/erase"}
    assert erasures == {(401, ""), (403, "the-score")}
    assert [key for key in keys.values() if key in log.read_text()] == []


def test_sigterm_drains_without_connection_resets(built: Built, tmp_path: Path) -> None:
    with run(built, tmp_path / "log", drain_seconds="4") as service:
        supervisor = service.supervisor()
        answers: list[Answer] = []
        slow = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        length = f"Content-Length: {len(LEAD)}\r\n\r\n".encode()
        slow.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + length + LEAD[:20])
        with load(service, answers):
            time.sleep(0.5)
            supervisor.terminate()
            wait_until(lambda: service.get("/readyz")[0] == 503, 3)
            answers_before_draining = len(answers)
            time.sleep(2)  # the time in which a load balancer reads /readyz
        slow.sendall(LEAD[20:])
        assert slow.recv(12) == b"HTTP/1.1 200"
        slow.close()
        assert len(answers) > answers_before_draining + 20
        assert {answer.status for answer in answers} == {200}
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


def bentoml_serve(built: Built, port: int) -> list[str]:
    """Build the command of `bentoml serve`, which knows nothing of `leadscore serve`."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--quiet"]
    return [sys.executable, "-m", "bentoml", "serve", str(built.bento), *options]


def refused_start(built: Built, settings: dict[str, str]) -> str:
    """Serve the Bento, which must end with an error and without a traceback; return its output."""
    process = subprocess.run(
        bentoml_serve(built, free_port("127.0.0.1")),
        env=built.environment | settings,
        cwd=built.home,
        text=True,
        capture_output=True,
        timeout=60,
    )
    output = " ".join((process.stdout + process.stderr).split())
    assert process.returncode == 1
    assert "Traceback" not in output
    return output


def test_bentoml_serve_sends_no_usage_reports(built: Built, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(RECORD_HOSTS)
    hosts_file, port = tmp_path / "hosts", free_port("127.0.0.1")
    recording = {"PYTHONPATH": str(tmp_path), "HOSTS_FILE": str(hosts_file)}
    assert "BENTOML_DO_NOT_TRACK" not in built.environment
    with subprocess.Popen(
        bentoml_serve(built, port),
        env=built.environment | recording | {"LEADSCORE_DRAIN_SECONDS": "0"},
        cwd=built.home,
    ) as process:
        service = Running(port, tmp_path / "log")

        def is_ready() -> bool:
            with contextlib.suppress(OSError):
                return bool(service.get("/readyz")[0] == 200)
            return False

        try:
            wait_until(is_ready)
            assert service.score()["scores"]
        finally:
            process.terminate()
            process.wait(30)
    assert set(hosts_file.read_text().split()) == {"127.0.0.1"}


@pytest.mark.parametrize("takeover", ["off", "on"])
def test_whole_folder_of_another_model_under_the_tag_of_the_bento_is_refused(
    built: Built, tmp_path: Path, takeover: str
) -> None:
    store = built.home / "models" / "leadscore"
    first, second = store / built.bento.name, store / built.promote("2").partition(":")[2]
    first.rename(tmp_path / "first")
    shutil.copytree(second, first)
    try:
        output = refused_start(built, {"LEADSCORE_TAKEOVER": takeover})
    finally:
        shutil.rmtree(first)
        (tmp_path / "first").rename(first)
    assert f"the files of leadscore:{second.name} in {first.name}. Restore its files" in output


def counted(running: Running, family: str) -> float:
    """Return the sum of a metric over its labels; 0 if it has no value."""
    lines = re.findall(rf"(?m)^{family}(?:{{.*}})? (\S+)$", running.get("/metrics")[1])
    return sum(map(float, lines))


SHADOW = """
import sys; from pathlib import Path; from serving.bento.store import shadow_in_store
print(shadow_in_store(Path(sys.argv[1]), "simulated", "2", "challenger"))
"""


def test_shadow_scores_behind_the_answers_once_it_is_stored(built: Built, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    built.promote("1")
    with run(built, tmp_path / "log", shadow="challenger", ledger_url=url) as running:
        wait_until(lambda: counted(running, "leadscore_shadow_fault") == 1)
        assert running.score()["model"]["version"] == "1"
        wait_until(lambda: counted(running, "leadscore_shadow_scores_dropped_total") == 1)
        tag = built.run(SHADOW, built.models["2"])
        wait_until(lambda: counted(running, "leadscore_shadow_fault") == 0)
        answer = running.score()
        assert answer["model"]["version"] == "1"
        wait_until(lambda: counted(running, "leadscore_shadow_scores_total") == 1)
        assert (
            'leadscore_shadow_info{worker="1",name="demo",version="2"'
            in (running.get("/metrics")[1])
        )
    with Ledger(url) as ledger:
        (row,) = (row for rows in ledger.rows("shadow_scores") for row in rows)
        given, _ = ledger.scores_of("L1")
    assert (row["score_id"], row["version"]) == (given.score_id, "2")
    assert tag.endswith(row["digest"])
    (score,) = answer["scores"]
    assert given.probability == score["probability"] != row["probability"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"LEADSCORE_CONTROL_SHARE": "0.05"}, "share of 0.05, but there is no ledger"),
        ({"LEADSCORE_SHADOW": "challenger"}, "The shadow model challenger needs a ledger"),
        ({"LEADSCORE_HOST": "0.0.0.0"}, "there are no API keys. Add one with `leadscore keys add`"),
        ({"LEADSCORE_MAX_LEADS": "many"}, "LEADSCORE_MAX_LEADS is 'many'"),
        ({"LEADSCORE_KEYS_FILE": "/none/keys.json"}, "LEADSCORE_KEYS_FILE is '/none/keys.json'"),
        ({"LEADSCORE_LEDGER_URL": "sqlite:///ledger.db"}, "not clear in which folder"),
    ],
)
def test_invalid_setting_ends_the_start_with_one_message(
    built: Built, settings: dict[str, str], message: str
) -> None:
    assert message in refused_start(built, settings)
