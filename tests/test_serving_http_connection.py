"""Tests of connections: bounded heads, invalid HTTP, and answers in one packet."""

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

LAST_REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def serving(app: ScoringApp) -> Iterator[int]:
    """Serve an application on loopback while the context lasts; yield its port."""
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
    """Return the port of a service that waits 0.4 seconds for the head of a request."""
    monkeypatch.setattr(serving_connection, "HEAD_SECONDS", 0.4)
    with serving(ScoringApp(Settings())) as served_port:
        yield served_port


def answer(port: int, *parts: bytes) -> bytes:
    """Send these parts; return all that the service sends until it closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                received += part
    return received


def error_code(response: bytes) -> str:
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return str(json.loads(body)["error"]["code"])


def test_invalid_http_gets_the_common_error_format(port: int) -> None:
    refused_before = BoundedConnection.refused[400]
    response = answer(port, b"\x00\x01\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert error_code(response) == "bad_json"
    assert BoundedConnection.refused[400] == refused_before + 1


def test_endless_head_is_refused(port: int) -> None:
    headers = (f"X-{i}: {'x' * 1_000}\r\n".encode() for i in range(1_000))
    response = answer(port, b"GET /livez HTTP/1.1\r\n", *headers)
    assert response.startswith(b"HTTP/1.1 431 ")
    assert error_code(response) == "too_large"


@pytest.mark.parametrize("start_of_head", [b"", b"G", b"GET /livez HTTP/1.1\r\nX: "])
def test_slow_head_gets_408(port: int, start_of_head: bytes) -> None:
    response = answer(port, start_of_head) if start_of_head else answer(port)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert error_code(response) == "too_slow"


def test_pipelined_requests_are_answered(port: int) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    assert answer(port, request, request + request, LAST_REQUEST).count(b"HTTP/1.1 200") == 4


class RecordingTransport:
    """A transport that also records what is written to it."""

    def __init__(self, transport: Any, packets: list[bytes]) -> None:
        self._transport = transport
        self._packets = packets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, packet: bytes) -> None:
        self._packets.append(packet)
        self._transport.write(packet)


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list that receives every packet that a service sends."""
    packets_sent: list[bytes] = []
    connection_made = BoundedConnection.connection_made

    def record(self: BoundedConnection, transport: Any) -> None:
        recording: Any = RecordingTransport(transport, packets_sent)
        connection_made(self, recording)

    monkeypatch.setattr(BoundedConnection, "connection_made", record)
    return packets_sent


def test_answer_is_sent_in_one_packet(port: int, packets: list[bytes]) -> None:
    head_request = b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    response = answer(port, head_request + LAST_REQUEST)
    assert response == b"".join(packets)
    assert [packet.endswith(b'{"alive":true}') for packet in packets] == [False, True]
    assert all(packet.startswith(b"HTTP/1.1 200 ") for packet in packets)
