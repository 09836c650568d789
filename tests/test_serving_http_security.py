"""Keys, roles, limits and signatures; and that no log says what callers sent."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import leadscore
from crm.errors import ConfigError
from serving.app import ScoringApp
from serving.errors import RequestError
from serving.http.hubspot import MAX_AGE_MS, is_signed
from serving.http.keys import KeyRing, add_key, read_keys, revoke_key
from serving.http.logs import AccessLog, configure_logs
from serving.http.security import NEEDED_ROLE, Guard, RateLimit, needed_role
from serving.settings import Settings, read_settings

AT = "2026-01-01T00:00:00+00:00"
ROLES = ("score", "write", "admin")
Call = Callable[..., httpx.Response]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "keys.json"


@pytest.fixture
def keys(path: Path) -> dict[str, str]:
    return {role: add_key(path, f"the-{role}", role, AT) for role in ROLES}


def guard(path: Path, **settings: Any) -> Guard:
    given = {"per_second": 100, "burst": 100} | settings
    return Guard(KeyRing(path), RateLimit(**given), frozenset({"/livez"}))


def admitted(asked: Guard, path: str, key: str = "", server: str = "10.0.0.5") -> str | int:
    headers = {b"x-api-key": key.encode()} if key else {}
    try:
        owner = asked.identify(path, headers, server)
        if owner is None:
            return ""
        asked.admit(owner, path, 0.0)
    except RequestError as error:
        return error.status
    return owner.name


def test_key_is_stored_as_a_hash_in_a_private_file(path: Path) -> None:
    key = add_key(path, "crm", "score", AT)
    assert len(key) == 3 + 8 + 1 + 43
    assert key not in path.read_text()
    assert key[-43:] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir() if not p.name.endswith(".lock")] == ["keys.json"]
    (kept,) = read_keys(path)
    assert (kept.name, kept.role, kept.created_at) == ("crm", "score", AT)


def test_only_the_whole_key_is_valid(path: Path) -> None:
    one, other = (add_key(path, name, "score", AT) for name in ("one", "other"))
    ring = KeyRing(path)
    assert [owner.name for key in (one, other) if (owner := ring.owner(key))] == ["one", "other"]
    wrong = [
        one[:-1],
        one + "a",
        one[:-1] + ("a" if one[-1] != "a" else "b"),
        one.upper(),
        one[:12] + other[12:],
        "",
        "ls_",
        one[3:11],
        "é" * 55,
        " " + one,
    ]
    assert [key for key in wrong if ring.owner(key)] == []


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [
        ("a b", "score", "letters, digits"),
        ("", "score", "letters, digits"),
        ("x" * 61, "score", "letters, digits"),
        ("crm", "owner", "Expected score, write or admin"),
        ("the-score", "score", "A key named 'the-score' exists"),
    ],
)
def test_malformed_keys_are_refused(
    path: Path, keys: dict[str, str], name: str, role: str, message: str
) -> None:
    before = path.read_text()
    with pytest.raises(ConfigError, match=message):
        add_key(path, name, role, AT)
    assert path.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"keys": 3}',
        '{"keys": [{"name": "x"}]}',
        '{"keys": [{"name":"a","role":"root","id":"1","sha256":"2","created_at":"3"}]}',
    ],
)
def test_foreign_file_is_refused_and_not_overwritten(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not a file of API keys"):
        KeyRing(path)
    with pytest.raises(ConfigError, match="not a file of API keys"):
        add_key(path, "crm", "score", AT)
    assert path.read_text() == text


def test_keys_file_writable_by_others_is_refused(path: Path, keys: dict[str, str]) -> None:
    path.chmod(0o620)
    with pytest.raises(ConfigError, match="can be written by other users"):
        KeyRing(path)
    path.chmod(0o644)  # hashes may be read
    assert len(KeyRing(path)) == 3


def test_concurrent_additions_lose_no_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_key(path, f"k{i}", "score", AT), range(24)))
    assert len(read_keys(path)) == 24


NEEDED = [
    ("/score", 1),
    ("/score_lead", 1),
    ("/lead", 1),
    ("/model", 1),
    ("/report", 1),
    ("/activities", 2),
    ("/stages", 2),
    ("/outcomes", 2),
    ("/erase", 3),
    ("/metrics", 3),
    ("/anything/new", 3),
]


@pytest.mark.parametrize(("called", "least"), NEEDED)
def test_each_role_has_its_rights(
    path: Path, keys: dict[str, str], called: str, least: int
) -> None:
    asked = guard(path)
    allowed = [admitted(asked, called, keys[role]) for role in ROLES]
    assert allowed == [f"the-{role}" if i >= least else 403 for i, role in enumerate(ROLES, 1)]


def test_every_role_is_tested() -> None:
    assert len(NEEDED) == 11
    assert set(NEEDED_ROLE) == {called for called, least in NEEDED if least < 3}


def test_only_health_is_answered_without_a_valid_key(path: Path, keys: dict[str, str]) -> None:
    asked = guard(path)
    assert [admitted(asked, called) for called, _ in NEEDED] == [401] * len(NEEDED)
    assert admitted(asked, "/score", keys["score"][:-1] + "?") == 401
    assert admitted(asked, "/score", server="127.0.0.1") == 401  # keys are for loopback too
    assert admitted(asked, "/livez") == ""


def test_key_is_accepted_as_bearer_or_x_api_key(path: Path, keys: dict[str, str]) -> None:
    asked = guard(path)
    for headers in (
        {b"authorization": b"Bearer " + keys["score"].encode()},
        {b"authorization": b"bearer  " + keys["score"].encode() + b" "},
        {b"x-api-key": keys["score"].encode()},
    ):
        owner = asked.identify("/score", headers, "10.0.0.5")
        assert owner is not None
        assert owner.name == "the-score"


@pytest.mark.parametrize(
    ("server", "expected"),
    [("127.0.0.1", ""), ("::1", ""), ("", ""), ("10.0.0.5", 401), ("203.0.113.9", 401)],
)
def test_only_loopback_is_answered_without_a_keys_file(
    path: Path, server: str, expected: str | int
) -> None:
    assert admitted(guard(path), "/score", server=server) == expected


def test_web_pages_are_refused_without_a_keys_file(path: Path) -> None:
    asked = guard(path)
    for origin in (b"https://evil.example", b"null", b"http://localhost:3000"):
        with pytest.raises(RequestError, match="web pages may not") as refused:
            asked.identify("/erase", {b"origin": origin}, "127.0.0.1")
        assert refused.value.status == 403


def test_keys_are_reloaded_while_the_service_runs(path: Path) -> None:
    ring = KeyRing(path)
    asked = Guard(ring, RateLimit(100, 100), frozenset())
    assert admitted(asked, "/score", server="127.0.0.1") == ""
    key = add_key(path, "crm", "score", AT)
    ring.refresh()
    assert admitted(asked, "/score", server="127.0.0.1") == 401
    assert admitted(asked, "/score", key) == "crm"
    revoke_key(path, "crm")
    ring.refresh()
    assert admitted(asked, "/score", key) == 401
    assert admitted(asked, "/score", server="127.0.0.1") == 401  # the last key's end opens nothing


def test_missing_or_broken_keys_file_opens_nothing(
    path: Path, keys: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    whole = path.read_text()
    ring = KeyRing(path)
    asked = Guard(ring, RateLimit(100, 100), frozenset())
    path.write_text("{")
    ring.refresh()
    assert "cannot be read" in str(asked.fault)
    assert admitted(asked, "/score", keys["score"]) == "the-score"
    path.unlink()
    for _ in range(3):
        ring.refresh()
        assert "is gone" in str(asked.fault)
        assert str(path) not in str(asked.fault)
        assert admitted(asked, "/score", keys["score"]) == 401
        assert admitted(asked, "/score", server="127.0.0.1") == 401
    path.write_text(whole)
    ring.refresh()
    assert asked.fault is None
    assert admitted(asked, "/score", keys["score"]) == "the-score"
    causes = [vars(record)["fault"] for record in caplog.records]
    assert [str(path) in cause for cause in causes] == [True, True]


def test_rate_limit_applies_to_each_key(path: Path, keys: dict[str, str]) -> None:
    asked = guard(path, per_second=2, burst=3)

    def ask(role: str, now: float) -> object:
        owner = asked.identify("/score", {b"x-api-key": keys[role].encode()}, "")
        assert owner is not None
        try:
            asked.admit(owner, "/score", now)
            return owner.name
        except RequestError as error:
            return (error.status, error.retry_after)

    assert [ask("score", 0.0) for _ in range(4)] == ["the-score"] * 3 + [(429, 1)]
    assert ask("write", 0.0) == "the-write"
    assert [ask("score", 0.5), ask("score", 0.5)] == ["the-score", (429, 1)]
    assert [ask("score", 99.0) for _ in range(4)] == ["the-score"] * 3 + [(429, 1)]


SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
HOOK = ("POST", "https://www.example.com/webhook_uri", b"{'example_field':'example_value'}")


@pytest.mark.parametrize(
    ("sent_at", "signature"),
    [
        (1693657560000, b"K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        (1700000300000, b"RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
    ],
)
def test_hubspot_signatures_are_verified(sent_at: int, signature: bytes) -> None:
    headers = {
        b"x-hubspot-request-timestamp": str(sent_at).encode(),
        b"x-hubspot-signature-v3": signature,
    }
    assert is_signed(headers, SECRET, *HOOK, now_ms=sent_at)
    assert is_signed(headers, SECRET, *HOOK, now_ms=sent_at + MAX_AGE_MS)
    assert not is_signed(headers, SECRET, *HOOK, now_ms=sent_at + MAX_AGE_MS + 1)
    assert not is_signed(headers, SECRET, *HOOK, now_ms=sent_at - MAX_AGE_MS - 1)  # from tomorrow
    assert not is_signed(headers, SECRET[:-1], *HOOK, now_ms=sent_at)
    assert not is_signed(headers, SECRET, HOOK[0], HOOK[1], HOOK[2] + b" ", now_ms=sent_at)
    for odd in (b"", b"now", b"-1", b"1e12", b"9" * 40):
        assert not is_signed(
            headers | {b"x-hubspot-request-timestamp": odd}, SECRET, *HOOK, now_ms=sent_at
        )


def test_hubspot_addresses_are_decoded_as_signed() -> None:
    signed = b"POSThttps://x.example/a:b?c=%20d/e" + b"{}" + b"1"
    signature = base64.b64encode(hmac.digest(b"s", signed, hashlib.sha256))
    headers = {b"x-hubspot-request-timestamp": b"1", b"x-hubspot-signature-v3": signature}
    assert is_signed(headers, "s", "POST", "https://x.example/a%3Ab?c=%20d%2fe", b"{}", 1)


def test_hubspot_secret_needs_the_public_url() -> None:
    with pytest.raises(ConfigError, match="LEADSCORE_PUBLIC_URL"):
        read_settings({"LEADSCORE_HUBSPOT_SECRET": "s"})
    secret = {"LEADSCORE_HUBSPOT_SECRET": "s3cret", "LEADSCORE_PUBLIC_URL": "https://x.example"}
    assert "s3cret" not in repr(read_settings(secret))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MAX_LEADS", "0", "whole number from 1"),
        ("MAX_LEADS", "-5", "whole number"),
        ("MAX_LEADS", "9" * 40, "whole number"),
        ("DRAIN_SECONDS", "x", "whole number from 0"),
        ("ACCESS_LOG", "yes", "Expected on or off"),
        ("TAKEOVER", "", "Expected on or off"),
        ("MAX_LEAD", "5", "Did you mean LEADSCORE_MAX_LEADS"),
        ("PUBLIC_URL", "scores.example.com", "http:// or https://, a host"),
        ("PUBLIC_URL", "https:///v1", "a host"),
        ("PUBLIC_URL", "ftp://x.example", "https://"),
        ("PUBLIC_URL", "https://x.example/?a=b", "a host"),
        ("REPORT_DIR", "/nowhere/at/all", "an existing folder"),
        ("REPORT_DIR", "tests", "the whole path"),
        ("REPORT_DIR", __file__, "an existing folder"),
    ],
)
def test_settings_are_checked(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings({f"LEADSCORE_{variable}": value})


def test_valid_addresses_and_folders_are_accepted(tmp_path: Path) -> None:
    for url in ("", "http://127.0.0.1:3000", "https://scores.example.com/v1/"):
        given = {"LEADSCORE_PUBLIC_URL": url, "LEADSCORE_REPORT_DIR": str(tmp_path)}
        assert read_settings(given).public_url == url


def test_keys_on_the_command_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORE_KEYS_FILE", str(path))
    run = CliRunner().invoke
    key = run(leadscore.app, ["keys", "add", "crm", "--role", "write"]).stdout.strip()
    assert KeyRing(path).owner(key)
    listed = json.loads(run(leadscore.app, ["keys", "list", "--json"]).stdout)
    assert [(row["name"], row["role"]) for row in listed] == [("crm", "write")]
    assert "crm" in run(leadscore.app, ["keys", "list"]).stdout
    assert run(leadscore.app, ["keys", "revoke", "crm"]).exit_code == 0
    assert KeyRing(path).owner(key) is None
    gone = run(leadscore.app, ["keys", "revoke", "crm"])
    assert isinstance(gone.exception, ConfigError)


@pytest.fixture
def call(path: Path, keys: dict[str, str], tmp_path: Path) -> Iterator[Call]:
    """The whole application, with keys, writing its logs to a file."""
    settings = Settings(
        requests_per_second=2,
        request_burst=20,
        max_body_bytes=10_000,
        hubspot_secret=SECRET,
        public_url="https://www.example.com",
    )
    with (tmp_path / "access.log").open("wb") as log:
        app = ScoringApp(settings, KeyRing(path), "1", AccessLog(log.fileno()))
        app.model = SimpleNamespace(version="7", identity=dict)  # type: ignore[assignment]

        async def nothing(*_: object) -> dict[str, Any]:
            return {}

        app.calls.by_path = {"/score": nothing, "/model": nothing, "/erase": nothing}

        def send(path: str, body: bytes = b"{}", **headers: str) -> httpx.Response:
            async def ask() -> httpx.Response:
                transport = httpx.ASGITransport(app=app, client=("10.0.0.9", 1))
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                    return await client.post(path, content=body, headers=named)

            response = asyncio.run(ask())
            app.flush()
            return response

        yield send


def test_errors_have_the_common_format_and_headers(call: Call, keys: dict[str, str]) -> None:
    nobody = call("/score")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert nobody.json()["error"]["code"] == "unauthorized"
    lowly = call("/metrics", x_api_key=keys["score"])
    assert lowly.status_code == 405  # the method is looked at before the key
    for _ in range(20):
        call("/score", x_api_key=keys["score"])
    often = call("/score", x_api_key=keys["score"])
    assert (often.status_code, often.headers["retry-after"]) == (429, "1")
    hubspot = call("/score", x_api_key=keys["score"], x_hubspot_signature="of version 2")
    assert (hubspot.status_code, hubspot.headers["retry-after"]) == (429, "1000")


def test_refused_key_is_named_in_the_log(call: Call, keys: dict[str, str], tmp_path: Path) -> None:
    call("/erase", x_api_key=keys["score"])
    call("/erase", x_api_key=keys["score"] + "x")
    for _ in range(21):
        call("/score", x_api_key=keys["write"])
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["status"], line["key"]) for line in lines] == [
        (403, "the-score"),
        (401, ""),
        *[(200, "the-write")] * 20,
        (429, "the-write"),
    ]


def test_signed_hubspot_call_needs_no_key(call: Call) -> None:
    def signed(path: str, secret: str) -> int:
        now = str(int(time.time() * 1_000))
        said = f"POSThttps://www.example.com{path}{{}}{now}".encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), said, hashlib.sha256)).decode()
        headers = {"x_hubspot_signature_v3": signature, "x_hubspot_request_timestamp": now}
        return call(path, b"{}", **headers).status_code

    assert signed("/model", SECRET) == 200
    assert signed("/model?a=1%2F2", SECRET) == 401  # HubSpot decodes %2F before it signs
    assert signed("/model", SECRET[:-1]) == 401
    assert signed("/erase", SECRET) == 403


PERSONAL = ["Max.Mustermann@example.com", "+49 170 1234567", "Müller", "DE89370400440532013000"]


def test_log_contains_no_key_and_no_request_data(
    call: Call,
    keys: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loggers = ("", "leadscore", "bentoml", "circus", "uvicorn.error", "uvicorn.access")
    kept = {
        name: (
            logging.getLogger(name or None).handlers,
            logging.getLogger(name or None).level,
            logging.getLogger(name or None).propagate,
        )
        for name in loggers
    }
    configure_logs()
    try:
        for said in PERSONAL:
            lead = json.dumps({"leads": [{"lead_id": said, "attributes": {said: [said]}}]}).encode()
            quoted = said.encode().hex()
            call("/score", lead, x_api_key=keys["score"])
            call(f"/lead/{said}?key={keys['admin']}&mail={said}", lead)
            call("/score", lead[:-3], x_api_key=keys["write"] + "x")
            call("/nowhere", lead, authorization=f"Basic {quoted}", user_agent=quoted)
            call("/score", lead, x_request_id=keys["score"])

            def broken(*_: object, said: str = said) -> None:
                raise ValueError(f"could not convert {said}")

            monkeypatch.setattr("serving.app.KeyRing.owner", broken)
            call("/score", lead, x_api_key=keys["score"])
            monkeypatch.undo()
        task = logging.getLogger("asyncio")
        task.error("Task exception was never retrieved\nfuture: <ValueError('%s')>", PERSONAL[0])
    finally:
        logging.captureWarnings(False)
        for name, (handlers, level, propagate) in kept.items():
            logger = logging.getLogger(name or None)
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    captured = capfd.readouterr()
    written = (tmp_path / "access.log").read_text() + captured.out + captured.err
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) > 25
    assert any(line.get("error") == "ValueError" and line["where"] for line in lines)
    assert {"the-score", ""} <= {line["key"] for line in lines if "key" in line}
    secret = [*keys.values(), *PERSONAL, *(said.encode().hex() for said in PERSONAL)]
    secret += [key.split("_", 2)[2] for key in keys.values()]  # "ls_", an id, "_", the secret
    assert [word for word in secret if word in written] == []


def test_blocked_log_does_not_block_answers(path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(writing)
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for _ in range(500):
        log.add(at, "r", "/score", 200, 1.0, "crm", "1")
    log.flush()
    os.close(writing)


def test_access_log_lines_stay_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(file.fileno())
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        for i in range(1_000):
            log.add(at, f"r{i}", "/score", 200, 1.0, "crm", "1")
        log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["request_id"] for line in lines] == [f"r{i}" for i in range(1_000)]


def test_unlisted_paths_need_the_admin_role() -> None:
    assert needed_role("/contract/openapi-3.0.json").name == "ADMIN"
