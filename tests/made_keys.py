"""API keys, and a service that needs them, for the tests of keys, signatures and logs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import httpx
import msgspec

from serving.app import ScoringApp
from serving.http.keys import KeyRing, add_key
from serving.http.logs import AccessLog
from serving.settings import Settings

CREATED_AT = "2026-01-01T00:00:00+00:00"
ROLES = ("score", "write", "admin")
HUBSPOT_SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
Post = Callable[..., httpx.Response]


class EmptyAnswer(msgspec.Struct):
    """The answer of every call of `service_with_keys`."""


async def answer_nothing(*_: object) -> msgspec.Struct:
    return EmptyAnswer()


def add_keys(keys_file: Path) -> dict[str, str]:
    """Add one key for each role, named `the-<role>`."""
    return {role: add_key(keys_file, f"the-{role}", role, CREATED_AT) for role in ROLES}


def service_with_keys(keys_file: Path, log: BinaryIO) -> ScoringApp:
    """Build an application with keys, HubSpot's signatures and an access log."""
    settings = Settings(
        requests_per_second=2,
        request_burst=20,
        max_body_bytes=10_000,
        hubspot_secret=HUBSPOT_SECRET,
        public_url="https://www.example.com",
    )
    service = ScoringApp(settings, KeyRing(keys_file), "1", AccessLog(log.fileno()))
    model: Any = SimpleNamespace(version="7", identity=dict)
    service.model = model
    service.calls.by_path = dict.fromkeys(("/score", "/model", "/erase"), answer_nothing)
    return service


def poster(service: ScoringApp) -> Post:
    """Return a function that posts to the service from another machine."""

    def post(path: str, body: bytes = b"{}", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=service, client=("10.0.0.9", 1))
            dashed = {name.replace("_", "-"): value for name, value in headers.items()}
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.post(path, content=body, headers=dashed)

        response = asyncio.run(send())
        service.flush()
        return response

    return post
