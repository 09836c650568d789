"""Tests of the logs: whole lines, and nothing that callers sent."""

import datetime
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.http.logs import AccessLog, configure_logs
from tests.made_keys import Post, poster, service_with_keys

AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LOGGERS = ("", "leadscore", "bentoml", "circus", "uvicorn.error", "uvicorn.access")
PERSONAL = ["Max.Mustermann@example.com", "+49 170 1234567", "Müller", "DE89370400440532013000"]


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    """Return the path of the access log that `post` writes."""
    return tmp_path / "access.log"


@pytest.fixture
def post(keys_file: Path, keys: dict[str, str], access_log: Path) -> Iterator[Post]:
    """Return a function that posts to a service with keys."""
    with access_log.open("wb") as log:
        yield poster(service_with_keys(keys_file, log))


@pytest.fixture
def configured_logs(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Configure all loggers as the service does; return what captures their output."""
    loggers = [logging.getLogger(name or None) for name in LOGGERS]
    states = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    configure_logs()
    yield capfd
    logging.captureWarnings(False)
    for logger, (handlers, level, propagate) in zip(loggers, states, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def post_personal_data(
    post: Post, keys: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Send a text in every part of a request, with good and bad keys, and fail on it once."""
    body = json.dumps({"leads": [{"lead_id": text, "attributes": {text: [text]}}]}).encode()
    encoded = text.encode().hex()
    post("/score", body, x_api_key=keys["score"])
    post(f"/lead/{text}?key={keys['admin']}&mail={text}", body)
    post("/score", body[:-3], x_api_key=keys["write"] + "x")
    post("/nowhere", body, authorization=f"Basic {encoded}", user_agent=encoded)
    post("/score", body, x_request_id=keys["score"])

    def fail(*_: object) -> None:
        raise ValueError(f"could not convert {text}")

    with monkeypatch.context() as patch:
        patch.setattr("serving.app.KeyRing.owner", fail)
        post("/score", body, x_api_key=keys["score"])


@pytest.fixture
def written_logs(
    post: Post,
    keys: dict[str, str],
    access_log: Path,
    configured_logs: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Return all that the service logs about requests with personal data."""
    for text in PERSONAL:
        post_personal_data(post, keys, text, monkeypatch)
    asyncio_log = logging.getLogger("asyncio")
    asyncio_log.error("Task exception was never retrieved\nfuture: <ValueError('%s')>", PERSONAL[0])
    captured = configured_logs.readouterr()
    return access_log.read_text() + captured.out + captured.err


def test_log_contains_no_key_and_no_request_data(written_logs: str, keys: dict[str, str]) -> None:
    secrets = [key.split("_", 2)[2] for key in keys.values()]  # "ls_", an id, "_", the secret
    private = [*keys.values(), *secrets, *PERSONAL, *(text.encode().hex() for text in PERSONAL)]
    assert len(written_logs.splitlines()) > 25
    assert [text for text in private if text in written_logs] == []


def test_log_names_errors_and_owners_of_keys(written_logs: str) -> None:
    lines = [json.loads(line) for line in written_logs.splitlines()]
    assert any(line.get("error") == "ValueError" and line["where"] for line in lines)
    assert {"the-score", ""} <= {line["key"] for line in lines if "key" in line}


def test_log_names_the_owner_of_a_refused_key(
    post: Post, keys: dict[str, str], access_log: Path
) -> None:
    post("/erase", x_api_key=keys["score"])
    post("/erase", x_api_key=keys["score"] + "x")
    for _ in range(21):
        post("/score", x_api_key=keys["write"])
    lines = [json.loads(line) for line in access_log.read_text().splitlines()]
    assert [(line["status"], line["key"]) for line in lines] == [
        (403, "the-score"),
        (401, ""),
        *[(200, "the-write")] * 20,
        (429, "the-write"),
    ]


def test_log_that_cannot_be_written_does_not_block_answers() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    log = AccessLog(writing_end)
    for _ in range(500):
        log.add(AT, "r", "/score", 200, 1.0, "crm", "1")
    log.flush()
    os.close(writing_end)


def test_access_log_lines_stay_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(file.fileno())
        for i in range(1_000):
            log.add(AT, f"r{i}", "/score", 200, 1.0, "crm", "1")
        log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["request_id"] for line in lines] == [f"r{i}" for i in range(1_000)]
