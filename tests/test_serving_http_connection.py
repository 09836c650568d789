"""Tests of connections: bounded heads, invalid HTTP, and answers in one packet."""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from serving.http import connection as serving_connection
from serving.http.connection import HEAD_BYTES, PART_BYTES, BoundedConnection
from tests.made_connections import LAST_REQUEST, Answer, answers, echo_service, received

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /score HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def only_answer(port: int, *parts: bytes, ends: bool = False) -> Answer:
    """Return the only answer, after checking that it is a failure in the common format."""
    (answer,) = answers(port, *parts, ends=ends)
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"] == answer.body["error"]["request_id"]
    return answer


def test_invalid_http_gets_the_common_error_format(port: int) -> None:
    refused_before = BoundedConnection.refused[400]
    answer = only_answer(port, b"\x00\x01\r\n\r\n")
    assert answer.status == 400
    assert answer.body["error"]["code"] == "bad_request"
    assert BoundedConnection.refused[400] == refused_before + 1


def test_endless_head_is_refused(port: int) -> None:
    headers = b"".join(f"X-{i}: {'x' * 1_000}\r\n".encode() for i in range(1_000))
    answer = only_answer(port, GET, headers)
    assert answer.status == 431
    assert answer.body["error"]["code"] == "head_too_large"


def head_of(size: int, connection: bytes = b"close") -> bytes:
    start, end = GET + b"Connection: %s\r\nX: " % connection, b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


BEFORE = [
    b"",
    LAST_REQUEST.replace(b"close", b"keep-alive"),
    POST + b"Content-Length: 8100\r\n\r\n" + b"x" * 8_100,
    CHUNKED + b"1fa0\r\n%s\r\n0\r\n\r\n" % (b"x" * 0x1FA0),
    head_of(HEAD_BYTES, b"keep-alive") * 3,
]


@pytest.mark.parametrize("before", BEFORE, ids=["none", "head", "body", "chunk", "heads"])
def test_each_pipelined_head_has_the_whole_limit(port: int, before: bytes) -> None:
    for size in (57_000, 60_000, HEAD_BYTES - 1, HEAD_BYTES):
        assert {answer.status for answer in answers(port, before + head_of(size))} == {200}
    assert answers(port, before + head_of(HEAD_BYTES + 1))[-1].status == 431


@pytest.mark.parametrize("before", BEFORE, ids=["none", "head", "body", "chunk", "heads"])
def test_incomplete_head_is_refused_soon_after_the_limit(port: int, before: bytes) -> None:
    incomplete = head_of(HEAD_BYTES + 2 * PART_BYTES)[:-4]
    assert answers(port, before + incomplete)[-1].status == 431


@pytest.mark.parametrize("first", [100, 5_000, 8_192, 60_000, 65_000])
def test_large_head_in_two_writes_is_refused(port: int, first: int) -> None:
    head = head_of(HEAD_BYTES + 1)
    (answer,) = answers(port, head[:first], head[first:])
    assert answer.status == 431


def test_head_after_a_large_body_is_not_counted_with_the_body(port: int) -> None:
    body = b"x" * 300_000
    sized = POST + b"Content-Length: 300000\r\n\r\n" + body
    chunked = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    statuses = [answer.status for answer in answers(port, sized + chunked + LAST_REQUEST)]
    assert statuses == [200, 200, 200]


@pytest.mark.parametrize("start_of_head", [b"", b"G", b"GET /livez HTTP/1.1\r\nX: "])
def test_slow_head_gets_408(
    port: int, monkeypatch: pytest.MonkeyPatch, start_of_head: bytes
) -> None:
    monkeypatch.setattr(serving_connection, "HEAD_SECONDS", 0.4)
    answer = only_answer(port, *([start_of_head] if start_of_head else []))
    assert answer.status == 408
    assert answer.body["error"]["code"] == "too_slow"


def seconds_until_closed(port: int, start: bytes, rest: bytes, most: float) -> tuple[float, bytes]:
    """Send a start, and then a rest again and again until the service closes the connection."""
    text, started = b"", time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.05)
        connection.sendall(start)
        while time.monotonic() - started < most:
            with contextlib.suppress(TimeoutError):
                try:
                    part = connection.recv(65_536)
                    connection.sendall(rest)
                except ConnectionError:
                    part = b""
                if not part:
                    break
                text += part
    return time.monotonic() - started, text


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (b"Content-Length: 999999\r\n\r\n", b"x"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST.replace(b"/score", b"/none"), b"404"),
        (POST.replace(b"POST", b"PUT"), b"405"),
        (POST.replace(b"Host: x\r\n", b""), b"400"),
        (GET, b"200"),
    ],
)
def test_connection_of_an_answered_request_ends_although_the_body_does_not(
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    head: bytes,
    status: bytes,
    body: bytes,
    rest: bytes,
    is_silent: bool,
) -> None:
    monkeypatch.setattr(serving_connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(serving_connection, "LINGER_SECONDS", 0.2)
    seconds, text = seconds_until_closed(port, head + body, b"" if is_silent else rest, 15)
    assert seconds < 10
    assert text.count(b"HTTP/1.1") == 1
    assert text.startswith(b"HTTP/1.1 " + status)


def test_rest_of_an_answered_request_may_take_a_while(port: int) -> None:
    """The next request on the connection is answered too."""
    unknown = POST.replace(b"/score", b"/none") + b"Content-Length: 4\r\n\r\n"
    found = answers(port, unknown, b"a", b"b", b"c", b"d" + LAST_REQUEST)
    assert [answer.status for answer in found] == [404, 200]


def test_pipelined_requests_are_answered(port: int) -> None:
    request = GET + b"\r\n"
    assert len(answers(port, request, request + request, LAST_REQUEST)) == 4


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        b"x\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3;\x00\r\nabc\r\n0\r\n\r\n",
        b"3;%s\r\nabc\r\n0\r\n\r\n" % (b"x" * 20_000),
        b"3;%s\r\nabc\r\n0\r\n\r\n" % (b"x" * 600_000),
        b"3\r\nabc\r\n0\r\n%s\r\n" % (b"a: b\r\n" * 5_000),
        b"3\r\nabc\r\n0\r\nno colon\r\n\r\n",
        b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
        b"zz\r\n" + b"x" * 3_000_000,
    ],
)
def test_malformed_chunks_get_400(port: int, body: bytes, is_split: bool) -> None:
    parts = [CHUNKED, body] if is_split else [CHUNKED + body]
    answer = only_answer(port, *parts)
    assert (answer.status, answer.body["error"]["code"]) == (400, "bad_chunk")


def test_chunk_extensions_and_trailers_of_usual_size_are_accepted(port: int) -> None:
    body = b"3;name=%s\r\nabc\r\n0\r\nX-Sum: %s\r\n\r\n" % (b"v" * 4_000, b"v" * 4_000)
    first, last = answers(port, CHUNKED + body + LAST_REQUEST)
    assert (first.status, first.body, last.status) == (200, {"body": "abc"}, 200)


@pytest.mark.parametrize(
    "start",
    [
        CHUNKED,
        CHUNKED + b"3\r\nab",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        POST + b"Content-Length: 9\r\n\r\nabc",
        POST,
    ],
)
def test_truncated_request_gets_400(port: int, start: bytes) -> None:
    answer = only_answer(port, start, ends=True)
    assert answer.status == 400
    assert "ended before the whole request" in answer.body["error"]["message"]
    assert answer.body["error"]["code"] == "incomplete_request"


@pytest.mark.parametrize("end", [CHUNKED + b"zz\r\n", b"\x00\r\n", b"CONNECT x:1 HTTP/1.1\r\n\r\n"])
def test_requests_before_an_invalid_one_are_answered_first(port: int, end: bytes) -> None:
    request = POST + b"Content-Length: 3\r\n\r\nabc"
    statuses = [answer.status for answer in answers(port, request * 3 + end + LAST_REQUEST)]
    assert statuses == [200, 200, 200, 405 if end.startswith(b"CONNECT") else 400]


def test_answered_request_gets_no_second_answer(port: int) -> None:
    unknown = CHUNKED.replace(b"/score", b"/none")
    (answer,) = answers(port, unknown, b"zz\r\n" + LAST_REQUEST)
    assert answer.status == 404


def test_caller_that_has_sent_everything_gets_its_answers(port: int) -> None:
    request = POST + b"Content-Length: 3\r\n\r\nabc"
    assert [answer.status for answer in answers(port, request * 3, ends=True)] == [200, 200, 200]
    assert received(port, ends=True) == b""


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /sc",
        CHUNKED + b"3\r\na",
        POST + b"Content-Length: 9\r\n\r\nabc",
        (POST + b"Content-Length: 3\r\n\r\nabc") * 9,
    ],
)
def test_log_has_no_error_if_a_caller_leaves(
    port: int, caplog: pytest.LogCaptureFixture, sent: bytes, is_reset: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(sent)
                if is_reset:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert answers(port, LAST_REQUEST)[0].status == 200
    assert [record.getMessage() for record in caplog.records] == []


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
    response = received(port, head_request + LAST_REQUEST)
    assert response == b"".join(packets)
    assert [packet.endswith(b'{"alive":true}') for packet in packets] == [False, True]
    assert all(packet.startswith(b"HTTP/1.1 200 ") for packet in packets)


class TlsTransport:
    """A transport that, as those of TLS, cannot end one direction of its connection."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_closed = False

    def get_extra_info(self, _: str) -> None:
        return None

    def set_protocol(self, _: Any) -> None:
        raise AssertionError("no other protocol is used")

    def write(self, data: bytes) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


def test_invalid_http_over_tls_is_answered() -> None:
    async def send_nonsense() -> TlsTransport:
        config = uvicorn.Config(echo_service(), log_config=None, lifespan="off")
        config.load()
        connection = BoundedConnection(config, ServerState(), {})
        transport = TlsTransport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        connection.data_received(b"\x00\x01\r\n\r\n")
        connection.connection_lost(None)
        return transport

    transport = asyncio.run(send_nonsense())
    assert transport.sent.startswith(b"HTTP/1.1 400 ")
    assert transport.is_closed
