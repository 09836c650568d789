"""Connections have heads of bounded size and time, and bad HTTP is told in the one shape."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from serving.app import ScoringApp
from serving.http import connection as serving_connection
from serving.http.connection import BoundedConnection
from serving.settings import Settings


@contextlib.contextmanager
def serving(app: ScoringApp) -> Iterator[int]:
    """Serve an application on loopback, on the port that is given."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", http=BoundedConnection
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(serving_connection, "HEAD_SECONDS", 0.4)
    with serving(ScoringApp(Settings())) as found:
        yield found


def answer(port: int, *parts: bytes) -> bytes:
    """All that the service says until it closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                said += part
    return said


def error_of(said: bytes) -> str:
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return str(json.loads(body)["error"]["code"])


def test_invalid_http_gets_the_common_error_format(port: int) -> None:
    before = BoundedConnection.refused[400]
    said = answer(port, b"\x00\x01\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert error_of(said) == "bad_json"
    assert BoundedConnection.refused[400] == before + 1


def test_endless_head_is_refused(port: int) -> None:
    headers = (f"X-{i}: {'x' * 1_000}\r\n".encode() for i in range(1_000))
    said = answer(port, b"GET /livez HTTP/1.1\r\n", *headers)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert error_of(said) == "too_large"


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /livez HTTP/1.1\r\nX: "])
def test_slow_head_gets_408(port: int, sent: bytes) -> None:
    said = answer(port, sent) if sent else answer(port)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert error_of(said) == "too_slow"


def test_pipelined_requests_are_answered(port: int) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert answer(port, one, one + one, last).count(b"HTTP/1.1 200") == 4


def test_answer_is_sent_in_one_packet(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    made = BoundedConnection.connection_made

    class Noting:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, piece: bytes) -> None:
            pieces.append(piece)
            self._transport.write(piece)

    def noted(self: BoundedConnection, transport: Any) -> None:
        made(self, Noting(transport))

    monkeypatch.setattr(BoundedConnection, "connection_made", noted)
    head = b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = answer(port, head + last)
    assert said == b"".join(pieces)
    assert [piece.endswith(b'{"alive":true}') for piece in pieces] == [False, True]
    assert all(piece.startswith(b"HTTP/1.1 200 ") for piece in pieces)
