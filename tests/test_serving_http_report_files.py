"""Tests of the report in the service: which files it sends, and to whom."""

import asyncio
import base64
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from markupsafe import Markup

from crm.errors import ConfigError
from reports.forms.html_page import document
from serving import app as serving_app
from serving.app import ScoringApp
from serving.http import report_files
from serving.http.hubspot import SIGNATURE
from serving.http.keys import KeyRing, add_key
from serving.settings import Settings

Get = Callable[..., httpx.Response]
LOCAL = "http://127.0.0.1:3000"
NOW = "2026-11-24T07:00:00+00:00"


def write_folder(folder: Path, text: str = "hello") -> Path:
    """Write a small report whose page contains this text."""
    (folder / "csv").mkdir(parents=True)
    (folder / "pictures").mkdir()
    (folder / "index.html").write_text(document("t", [], Markup(text), late="1;"))
    (folder / "report.json").write_text("{}")
    (folder / "funnel.md").write_text("# Funnel")
    (folder / "csv" / "sources-won.csv").write_text("source\r\n")
    (folder / "pictures" / "gains.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "report")


def getter(app: ScoringApp) -> Get:
    """Return a function that sends one request."""

    def get(path: str, base: str = LOCAL, method: str = "GET", **headers: str) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(call())

    return get


@pytest.fixture
def get(folder: Path) -> Get:
    return getter(ScoringApp(Settings(report_dir=str(folder))))


def test_page_has_a_content_security_policy_and_nosniff(get: Get) -> None:
    answer = get("/report/")
    assert answer.status_code == 200
    assert "hello" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("funnel.md", "text/markdown; charset=utf-8"),
        ("csv/sources-won.csv", "text/csv; charset=utf-8"),
        ("pictures/gains.png", "image/png"),
        ("report.json", "application/json"),
    ],
)
def test_each_file_has_its_content_type(get: Get, folder: Path, name: str, kind: str) -> None:
    answer = get(f"/report/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.content == (folder / name).read_bytes()


def test_path_without_a_slash_redirects(get: Get) -> None:
    answer = get("/report")
    assert answer.status_code == 308
    assert answer.headers["location"] == "report/"


@pytest.mark.parametrize(
    "path",
    [
        "/report/../secret.txt",
        "/report/%2e%2e/secret.txt",
        "/report/..%2fsecret.txt",
        "/report/csv/../../secret.txt",
        "/report/csv/%2e%2e/%2e%2e/secret.md",
        "/report//etc/passwd",
        "/report/%2fetc%2fpasswd",
        "/report/..\\secret.txt",
        "/report/.git/config",
        "/report/csv",
        "/report/csv/",
        "/report/nothing.html",
        "/report/secret.txt",
        "/report/index.html%00.png",
        "/report/index.html/",
        "/report/link.md",
        "/report/csv/nested/x.csv",
    ],
)
def test_path_traversal_is_refused(get: Get, folder: Path, path: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder.parent / "secret.md").write_text("secret")
    (folder / "secret.txt").write_text("secret")
    (folder / "link.md").symlink_to(folder.parent / "secret.md")
    answer = get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.", "")
    assert answer.json()["error"]["code"]


def test_report_is_read_only(get: Get) -> None:
    answer = get("/report/", method="POST")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_newest_report_is_served(tmp_path: Path) -> None:
    for i, name in enumerate(("2026-10", "2026-11", "2026-09")):
        record = write_folder(tmp_path / name, f"report of {name}") / "report.json"
        os.utime(record, (i % 2, i % 2))
    get = getter(ScoringApp(Settings(report_dir=str(tmp_path))))
    assert "report of 2026-11" in get("/report/").text


def test_without_the_setting_there_is_no_report() -> None:
    assert getter(ScoringApp(Settings()))("/report/").status_code == 404


def test_folder_without_a_report_gets_404(tmp_path: Path) -> None:
    answer = getter(ScoringApp(Settings(report_dir=str(tmp_path / "none"))))("/report/")
    assert answer.status_code == 404
    assert "GET /report/" in answer.json()["error"]["message"]


def test_report_without_keys_is_for_loopback_only(get: Get) -> None:
    assert get("/report/", base="http://10.0.0.5:3000").status_code == 401
    assert get("/report/", host="evil.example:3000").status_code == 403
    assert get("/report/", host="localhost:3000").status_code == 200


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_link_to_device, Path.mkdir])
@pytest.mark.parametrize("name", ["index.html", "funnel.md", "csv/sources-won.csv", "report.json"])
def test_file_that_is_not_regular_gets_404_at_once(
    get: Get, folder: Path, name: str, make: Callable[[Path], None]
) -> None:
    (folder / name).unlink()
    make(folder / name)
    started = time.monotonic()
    assert get(f"/report/{name}").status_code == 404
    assert time.monotonic() - started < serving_app.REPORT_SECONDS / 2


def test_pipe_that_takes_the_place_of_a_file_does_not_block(
    get: Get, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular = (folder / "index.html").lstat()
    (folder / "index.html").unlink()
    make_pipe(folder / "index.html")
    monkeypatch.setattr(Path, "lstat", lambda path: regular)  # as before the exchange
    assert get("/report/").status_code == 404


def test_file_that_is_too_large_gets_404(
    get: Get, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_files, "MAX_FILE_BYTES", 100)
    (folder / "funnel.md").write_bytes(b"x" * 100)
    assert get("/report/funnel.md").content == b"x" * 100
    (folder / "funnel.md").write_bytes(b"x" * 101)
    answer = get("/report/funnel.md")
    assert answer.status_code == 404
    assert "larger than 100 bytes" in answer.json()["error"]["message"]


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let every read of the report hang until the test ends; return the paths read so far."""
    paths: list[str] = []
    is_over = threading.Event()

    def hang(folder: Path, path: str) -> None:
        paths.append(path)
        is_over.wait(60)

    monkeypatch.setattr(serving_app, "read_report", hang)
    monkeypatch.setattr(serving_app, "REPORT_SECONDS", 0.2)
    yield paths
    is_over.set()


def test_hung_folder_takes_few_threads_and_gets_504(folder: Path, hanging: list[str]) -> None:
    app = ScoringApp(Settings(report_dir=str(folder)))

    async def call() -> tuple[list[httpx.Response], httpx.Response, int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            tasks = [asyncio.create_task(client.get("/report/")) for _ in range(20)]
            await asyncio.sleep(0.1)
            alive = await client.get("/livez")
            pool = await asyncio.to_thread(lambda: 7)  # the threads that other calls use are free
            return await asyncio.gather(*tasks), alive, pool

    answers, alive, pool = asyncio.run(call())
    assert {answer.status_code for answer in answers} == {504}
    assert "Check its disk" in answers[0].json()["error"]["message"]
    assert len(hanging) == serving_app.REPORT_THREADS
    assert (alive.status_code, pool) == (200, 7)


def test_existing_folder_is_accepted(folder: Path) -> None:
    assert report_files.check_report_folder(str(folder))
    assert report_files.check_report_folder("")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nowhere/at/all", "an existing folder"),
        ("tests", "the absolute path"),
        (__file__, "an existing folder"),
    ],
)
def test_folder_that_does_not_exist_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        report_files.check_report_folder(name)


START = """
import sys, threading, time
from pathlib import Path

Path.is_dir = lambda path: threading.Event().wait()  # a mount that does not answer
from serving.http.report_files import check_report_folder
from serving.settings import read_settings

started = time.monotonic()
settings = read_settings({"LEADSCORE_REPORT_DIR": sys.argv[1]})
print(check_report_folder(settings.report_dir, seconds=0.2), time.monotonic() - started < 10)
"""


def test_hung_folder_does_not_keep_the_service_from_starting_and_ending(folder: Path) -> None:
    """The process ends too, although a thread still waits for the folder."""
    command = [sys.executable, "-c", START, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "False True\n"


def test_threads_of_reads_that_return_are_used_again(folder: Path) -> None:
    app = ScoringApp(Settings(report_dir=str(folder)))

    async def call() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            return await asyncio.gather(*[client.get("/report/") for _ in range(20)])

    assert [answer.status_code for answer in asyncio.run(call())] == [200] * 20


def test_reads_do_not_keep_the_process_from_ending(
    folder: Path, hanging: list[str], get: Get
) -> None:
    assert get("/report/").status_code == 504
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "slow read"]
    assert thread.daemon


@pytest.fixture
def keyed(folder: Path, tmp_path: Path) -> tuple[Get, str]:
    """Return a function that sends a request to a service with keys, and a key."""
    path = tmp_path / "keys.json"
    key = add_key(path, "marketing", "score", NOW)
    settings = Settings(
        report_dir=str(folder), hubspot_secret="s", public_url="https://scores.example.com"
    )
    return getter(ScoringApp(settings, KeyRing(path))), key


def test_report_accepts_a_key_as_basic_password(keyed: tuple[Get, str]) -> None:
    get, key = keyed
    password = base64.b64encode(f"anyone:{key}".encode()).decode()
    refused = get("/report/")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert get("/report/", authorization=f"Bearer {key}").status_code == 200
    assert get("/report/csv/sources-won.csv", authorization=f"Basic {password}").status_code == 200
    for wrong in ("Basic !", f"Basic {password[:-8]}", "Basic " + "A" * 8):
        assert get("/report/", authorization=wrong).status_code == 401


def test_calls_do_not_accept_basic_passwords(keyed: tuple[Get, str]) -> None:
    get, key = keyed
    password = base64.b64encode(f"anyone:{key}".encode()).decode()
    answer = get("/model", method="POST", authorization=f"Basic {password}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/report/", "/report/report.json", "/metrics"])
def test_forged_signature_header_opens_no_page(keyed: tuple[Get, str], path: str) -> None:
    get, _ = keyed
    assert get(path, **{SIGNATURE.decode(): "x"}).status_code == 401
