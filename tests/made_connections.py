"""A service on a real port, and raw connections to it, for the tests of HTTP."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import uvicorn

from serving.app import ScoringApp
from serving.http.connection import BoundedConnection
from serving.settings import Settings

LAST_REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Answer(NamedTuple):
    """An answer as it was received."""

    status: int
    headers: dict[str, str]
    body: Any


class Echo(msgspec.Struct):
    """The answer of `/score` of `echo_service`: the body that it read."""

    body: str


async def echo(model: Any, body: bytes, *_: object) -> msgspec.Struct:
    return Echo(body.decode("latin-1"))


def echo_service(settings: Settings | None = None) -> ScoringApp:
    """Build an application whose `/score` answers with the body that it read."""
    service = ScoringApp(settings or Settings())
    model: Any = SimpleNamespace(version="7", identity=dict)
    service.model = model
    service.calls.by_path = {"/score": echo}
    return service


@contextlib.contextmanager
def serving(app: ScoringApp) -> Iterator[int]:
    """Serve an application on loopback while the context lasts; yield its port."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=BoundedConnection,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(10)


def received(port: int, *parts: bytes, ends: bool = False) -> bytes:
    """Send these parts, each in a packet of its own.

    Return all that the service sends until it closes the connection. If `ends` is true, tell the
    service that nothing more is sent.
    """
    text = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            for i, part in enumerate(parts):
                time.sleep(0.02 if i else 0)
                connection.sendall(part)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            text += part
    return text


def answers(port: int, *parts: bytes, ends: bool = False) -> list[Answer]:
    """Send as `received` does, and return the answers that the service sent."""
    text, found = received(port, *parts, ends=ends), []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        size = int(headers.get("content-length", 0))
        body, text = text[:size], text[size:]
        found.append(Answer(int(first.split()[1]), headers, json.loads(body) if body else None))
    return found
