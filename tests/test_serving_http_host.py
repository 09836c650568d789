"""Tests of the Host header: which names open the pages of a service without keys."""

import asyncio
from pathlib import Path

import httpx
import pytest

from serving.app import ScoringApp
from serving.http.keys import KeyRing
from serving.http.pages import HEALTH
from serving.http.response import json_response
from serving.settings import Settings

FOREIGN = [
    "",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "x@localhost",
]
OWN = ["localhost", "LOCALHOST:3000", "127.0.0.1:3000", "127.9.9.9", "[::1]:3000"]


def statuses(app: ScoringApp, host: str, method: str = "GET") -> dict[str, int]:
    """Return the status of each page for a caller that sends this Host."""

    async def call() -> dict[str, int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return {
                path: (await client.request(method, path, headers={"host": host})).status_code
                for path in [*app._pages, "/report/"]
            }

    return asyncio.run(call())


@pytest.fixture
def app(tmp_path: Path) -> ScoringApp:
    """Return a service without keys, with a report and a page that a later version may add."""
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "report.json").write_text("{}")
    app = ScoringApp(Settings(report_dir=str(tmp_path), metrics_open=True))
    app._pages["/new.json"] = lambda: json_response({})
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("host", FOREIGN)
def test_pages_without_keys_refuse_foreign_hosts(app: ScoringApp, host: str, method: str) -> None:
    found = statuses(app, host, method)
    assert len(found) >= 8
    assert {"/metrics", "/contract/openapi-3.0.json", "/new.json", "/report/"} <= found.keys()
    assert {path for path, status in found.items() if status != 403} == HEALTH


@pytest.mark.parametrize("host", OWN)
def test_pages_without_keys_are_open_on_this_machine(app: ScoringApp, host: str) -> None:
    found = statuses(app, host)
    del found["/readyz"]  # 503: there is no model
    assert set(found.values()) == {200}


def test_open_pages_of_a_service_with_keys_have_any_host(
    keys_file: Path, keys: dict[str, str]
) -> None:
    app = ScoringApp(Settings(metrics_open=True), KeyRing(keys_file))
    found = statuses(app, "scores.example.com")
    assert found["/metrics"] == found["/contract/openapi-3.0.json"] == 200


def test_refusal_names_the_page_and_the_way_out(app: ScoringApp) -> None:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://evil") as client:
            return await client.get("/metrics")

    message = asyncio.run(call()).json()["error"]["message"]
    assert "/metrics opens at http://localhost only" in message
    assert "leadscore keys add" in message
