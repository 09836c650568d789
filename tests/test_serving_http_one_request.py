"""Tests that one request is never read as two: offers, trailers, lengths, behind a proxy too."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.bento.process import free_port
from tests.conftest import skip
from tests.made_connections import LAST_REQUEST, answers, received

POST = b"POST /score HTTP/1.1\r\nHost: x\r\n"
BODY = b"POST /erase HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"  # a body, not a request
SIZED = b"Content-Length: %d\r\n\r\n" % len(BODY)
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"9\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (BODY[:9], len(BODY) - 9, BODY[9:])
ECHO = {"body": BODY.decode()}
OFFERS = {
    "h2c of Java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAA\r\n",
    "TLS": b"Upgrade: TLS/1.2\r\nConnection: upgrade\r\n",
    "several": b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nUpgrade: foo/2, websocket\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: eA==\r\n",
    "expecting": b"Upgrade: h2c\r\nConnection: Upgrade\r\nExpect: 100-continue\r\n",
}


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize(
    "parts",
    [
        [SIZED + BODY + LAST_REQUEST],
        [SIZED, BODY + LAST_REQUEST],
        [SIZED + BODY[:7], BODY[7:], LAST_REQUEST],
        [IN_CHUNKS + CHUNKS + LAST_REQUEST],
        [IN_CHUNKS, CHUNKS, LAST_REQUEST],
        [IN_CHUNKS + CHUNKS[:15], CHUNKS[15:] + LAST_REQUEST],
    ],
)
def test_offer_of_another_protocol_is_ignored(port: int, offer: str, parts: list[bytes]) -> None:
    first, last = [
        answer
        for answer in answers(port, POST + OFFERS[offer] + parts[0], *parts[1:])
        if answer.status != 100
    ]
    assert (first.status, first.body) == (200, ECHO)
    assert last.body == {"alive": True}


@pytest.mark.parametrize("offer", OFFERS)
def test_pipelined_offers_are_ignored(port: int, offer: str) -> None:
    one, other = POST + OFFERS[offer] + SIZED + BODY, POST + OFFERS[offer] + IN_CHUNKS + CHUNKS
    sent = one + other + one + POST + SIZED + BODY + LAST_REQUEST
    found = [answer.body for answer in answers(port, sent) if answer.status != 100]
    assert found == [ECHO] * 4 + [{"alive": True}]


def test_offer_in_single_bytes_is_ignored(port: int) -> None:
    sent = POST + OFFERS["h2c of Java"] + SIZED + BODY[:3]
    first, last = answers(
        port, *[sent[i : i + 1] for i in range(len(sent))], BODY[3:] + LAST_REQUEST
    )
    assert (first.body, last.body) == (ECHO, {"alive": True})


def test_offer_before_a_large_body_is_ignored(port: int) -> None:
    body = b"x" * 500_000
    head = POST + OFFERS["TLS"] + b"Content-Length: 500000\r\n\r\n"
    first, last = answers(port, head + body + LAST_REQUEST)
    assert (first.body, last.body) == ({"body": body.decode()}, {"alive": True})


@pytest.mark.parametrize(
    "head",
    [
        b"POST /score HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n",
        b"POST /score HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_offer_on_a_connection_that_ends_is_ignored(port: int, head: bytes, is_split: bool) -> None:
    parts = [head + SIZED, BODY] if is_split else [head + SIZED + BODY]
    (answer,) = answers(port, *parts)
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, ECHO, "close")


def test_page_is_answered_although_the_request_offers_websocket(port: int) -> None:
    page = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + OFFERS["websocket"] + b"\r\n"
    assert [answer.body for answer in answers(port, page + page + LAST_REQUEST)] == [
        {"alive": True}
    ] * 3


@pytest.mark.parametrize("is_split", [False, True])
def test_connect_is_refused_and_ends_the_connection(port: int, is_split: bool) -> None:
    connect = b"CONNECT internal:443 HTTP/1.1\r\nHost: internal\r\n\r\n"
    parts = [connect, LAST_REQUEST] if is_split else [connect + LAST_REQUEST]
    (answer,) = answers(port, *parts)
    assert (answer.status, answer.headers["allow"]) == (405, "get, head, post")
    assert "not a proxy" in answer.body["error"]["message"]


def test_caller_that_asks_before_it_sends_is_answered(port: int) -> None:
    head = POST + b"Expect: 100-continue\r\n" + SIZED
    go_on, first, last = answers(port, head, BODY, LAST_REQUEST)
    assert (go_on.status, first.body, last.status) == (100, ECHO, 200)
    (only,) = answers(port, head.replace(b"/1.1", b"/1.0"), BODY)
    assert only.body == ECHO


@pytest.mark.parametrize(
    "trailer",
    [b"X-Request-ID: trailer", b"X-API-Key: k", b"Host: evil", b"Origin: x", b"Expect: 1"],
)
def test_trailers_are_not_headers(port: int, trailer: bytes) -> None:
    head = POST + b"X-Request-ID: head\r\n" + IN_CHUNKS
    first, last = answers(port, head + CHUNKS[:-2] + trailer + b"\r\n\r\n" + LAST_REQUEST)
    assert (first.status, first.body, first.headers["x-request-id"]) == (200, ECHO, "head")
    assert last.status == 200


@pytest.mark.parametrize("offer", [b"", OFFERS["h2c of Java"]])
@pytest.mark.parametrize("trailer", [b"Connection: close", b"proxy-connection: x, close"])
@pytest.mark.parametrize("is_split", [False, True])
def test_connection_ends_with_the_answer_if_a_trailer_ends_it(
    port: int, trailer: bytes, offer: bytes, is_split: bool
) -> None:
    sent = POST + offer + IN_CHUNKS + CHUNKS[:-2] + trailer + b"\r\n\r\n"
    parts = [sent, LAST_REQUEST] if is_split else [sent + LAST_REQUEST]
    (answer,) = answers(port, *parts, ends=True)
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, ECHO, "close")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3 3\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length : 3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked;q=1\r\n",
        b"Transfer-Encoding:\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
    ],
)
@pytest.mark.parametrize("start", [POST, b"GET /livez HTTP/1.1\r\nHost: x\r\n"])
def test_ambiguous_length_gets_400(port: int, start: bytes, lines: bytes) -> None:
    text = received(port, start + lines + b"\r\n3\r\nabc\r\n0\r\n\r\n", ends=True)
    assert text.startswith(b"HTTP/1.1 400 ")
    assert text.count(b"HTTP/1.1 ") == 1
    assert b'"error":{"code":' in text


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n", 400),
        (b"GET /none HTTP/1.1\r\nHost: x\r\nX: 1\r\nhost: y\r\n", 400),
        (b"POST /score HTTP/1.1\r\nContent-Length: 0\r\n", 400),
        (b"GET /livez HTTP/1.0\r\nHost: x\r\nHost: y\r\n", 400),
        (b"POST /score HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"GET /livez HTTP/1.0\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept: b\r\n", 200),
    ],
)
def test_request_names_one_host(port: int, head: bytes, status: int) -> None:
    assert answers(port, head + b"\r\n", ends=True)[0].status == status


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream leadscore {{ server 127.0.0.1:{service}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    location / {{ proxy_pass http://leadscore; }}
    location /unbuffered/ {{ proxy_request_buffering off; proxy_pass http://leadscore/; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of an nginx that passes requests on as its WebSocket example does."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        skip("nginx is not installed. On Debian: apt-get install nginx-light")
    folder, nginx_port = tmp_path_factory.mktemp("nginx"), free_port("127.0.0.1")
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, service=port, port=nginx_port))
    with subprocess.Popen([program, "-p", folder, "-c", configuration]) as process:
        try:
            _wait_for(nginx_port, folder / "error.log")
            yield nginx_port
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, log: Path) -> None:
    for _ in range(200):
        try:
            received(port, LAST_REQUEST)
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("offer", ["", *OFFERS])
@pytest.mark.parametrize("path", [b"/score", b"/unbuffered/score"])
def test_offers_are_ignored_behind_nginx(nginx: int, path: bytes, offer: str) -> None:
    head = POST.replace(b"/score", path) + OFFERS.get(offer, b"")
    sent = [head + SIZED + BODY, head + SIZED, BODY, head + IN_CHUNKS, CHUNKS, LAST_REQUEST]
    found = [answer for answer in answers(nginx, *sent) if answer.status != 100]
    assert [answer.body for answer in found] == [ECHO] * 3 + [{"alive": True}]
