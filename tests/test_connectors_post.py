"""Tests of posting messages to real servers: one attempt, and attempts until a deadline."""

import datetime
import email.utils
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.address import check_address, without_secrets
from connectors.post import Answer, Request, post_once
from connectors.retry import post
from tests.made_receivers import CLOSE, DRIP_BODY, DRIP_HEAD, HANG, Receiver, Reply, receiver

PATIENT = 20.0


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def request(server: Receiver, body: bytes = b'{"a": 1}') -> Request:
    return Request(server.url, body, {"webhook-id": "m1"})


def tried(server: Receiver, seconds: float = PATIENT) -> tuple[Answer, list[float]]:
    """Post until a deadline without waiting; return the answer and the pauses."""
    pauses: list[float] = []
    answer = post(lambda: request(server), time.monotonic() + seconds, pause=pauses.append)
    return answer, pauses


def test_message_arrives_as_it_was_sent() -> None:
    with receiver(Reply(202, body=b"ok\n")) as server:
        assert post_once(request(server), PATIENT) == Answer("delivered", "it answered 202: ok")
    (received,) = server.received
    assert received.body == b'{"a": 1}'
    assert received.path == "/hook/SECRET-PART-OF-PATH"
    assert received.headers["content-type"] == "application/json; charset=utf-8"
    assert received.headers["webhook-id"] == "m1"


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, "delivered"), (204, "delivered"), (299, "delivered"),
        (301, "wrong address"), (308, "wrong address"),
        (400, "refused"), (413, "refused"), (415, "refused"), (422, "refused"),
        (401, "wrong address"), (403, "wrong address"), (404, "wrong address"),
        (410, "wrong address"), (408, "later"), (425, "later"), (429, "later"), (500, "later"),
        (502, "later"), (599, "later"),
    ],
)  # fmt: skip
def test_status_decides_what_happens_next(status: int, result: str) -> None:
    with receiver(status) as server:
        answer = post_once(request(server), PATIENT)
    assert (answer.result, answer.said.startswith(f"it answered {status}")) == (result, True)


def test_redirects_are_not_followed() -> None:
    with receiver() as other, receiver(Reply(307, {"Location": other.url})) as server:
        answer = post_once(request(server), PATIENT)
    assert answer.result == "wrong address"
    assert answer.said.endswith("Redirects are not followed: write the final address")
    assert other.received == []


@pytest.mark.parametrize("behaviour", [HANG, DRIP_HEAD])
def test_slow_servers_are_given_up(behaviour: str) -> None:
    with receiver(behaviour) as server:
        answer = post_once(request(server), 0.4)
        assert not server.stopped.is_set()
    assert answer == Answer("later", "it did not answer within 0 seconds")


def test_slow_body_of_an_answer_is_cut() -> None:
    with receiver(DRIP_BODY) as server:
        answer = post_once(request(server), 0.4)
        assert not server.stopped.is_set()
    assert answer.result == "delivered"  # the status says so


def test_closed_connection_is_a_passing_failure() -> None:
    with receiver(CLOSE) as server:
        answer = post_once(request(server), PATIENT)
    assert answer == Answer("later", "it closed the connection without a valid answer")


def test_absent_servers_are_named() -> None:
    with receiver() as server:
        url = server.url
    assert post_once(Request(url, b"{}"), PATIENT).said == "it refuses connections"
    unknown = post_once(Request("https://no-such-host.invalid/SECRET-PART-OF-PATH", b""), PATIENT)
    assert (unknown.result, unknown.said) == ("later", "its host name is not known")


def test_addresses_without_encryption_are_not_used() -> None:
    answer = post_once(Request("http://example.com/SECRET-PART-OF-PATH", b"{}"), PATIENT)
    assert answer.result == "wrong address"
    assert "not encrypted" in answer.said
    assert "SECRET" not in answer.said


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.com/a", "ftp://localhost/a", "https:///a", "https://ho st/a",
        "https://host/a\r\nX: y", "https://host:99999/a", "https://host:0/", "https://[::1/a",
        "https://hö.example/a", "http://localhost.example.com/", "http://10.0.0.1/",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^The address .*Expected https://HOST/PATH"):
        check_address(url)


@pytest.mark.parametrize("url", ["http://[::1]:8080/a", "http://127.0.0.9/", "https://host:443"])
def test_good_addresses_are_accepted(url: str) -> None:
    check_address(url)


def test_answers_are_shown_without_secrets() -> None:
    url = "https://me:pass-word@host/services/T0123456/abcdefgh?sig=qwertzuiop&sp=run"
    echoed = f"no {url}\nat T0123456 or abcdefgh: sig=qwertzuiop pass-word \x1b[31m" + "y" * 500
    shown = without_secrets(echoed, url)
    for secret in ("T0123456", "abcdefgh", "qwertzuiop", "pass-word", "\x1b", "\n"):
        assert secret not in shown
    assert shown.startswith("no https://me:")
    assert len(shown) == 120


def test_passing_failures_are_tried_again() -> None:
    with receiver(500, CLOSE, 503, 200) as server:
        answer, pauses = tried(server)
    assert answer.result == "delivered"
    assert len(server.received) == 4
    assert [low <= wait <= 2 * low for low, wait in zip((0.5, 1, 2), pauses, strict=True)] == [
        True
    ] * 3


def test_pauses_have_jitter_and_a_limit() -> None:
    with receiver(*[500] * 12, 200) as server:
        _, first = tried(server)
        server.answers = [*[500] * 12, 200]
        _, second = tried(server)
    assert len(first) == 12
    assert first != second
    assert max(first) <= 10


@pytest.mark.parametrize("status", [400, 404])
def test_lasting_failures_are_not_tried_again(status: int) -> None:
    with receiver(status, 200) as server:
        answer, pauses = tried(server)
    assert (answer.result, pauses, len(server.received)) in [
        ("refused", [], 1),
        ("wrong address", [], 1),
    ]


def test_retry_after_is_honoured() -> None:
    with receiver(
        Reply(429, {"Retry-After": "7"}), Reply(503, {"Retry-After": "0"}), 200
    ) as server:
        answer, pauses = tried(server)
    assert (answer.result, pauses) == ("delivered", [7.0, 0.0])


def test_retry_after_as_a_time_is_compared_with_the_clock_of_the_server() -> None:
    at = datetime.datetime(2031, 5, 1, 12, tzinfo=datetime.UTC)
    now, until = (
        email.utils.format_datetime(at + datetime.timedelta(seconds=seconds), usegmt=True)
        for seconds in (0, 9)
    )
    with receiver(
        Reply(503, {"Retry-After": until, "Date": now}),
        Reply(503, {"Retry-After": now, "Date": until}),
        Reply(503, {"Retry-After": until}),
    ) as server:
        waits = [post_once(request(server), PATIENT).wait for _ in range(3)]
    assert waits == [9.0, 0.0, None]


@pytest.mark.parametrize(
    ("written", "wait"), [("soon", None), ("-5", None), ("9999999", 86_400.0), ("2.5", None)]
)
def test_other_values_of_retry_after_are_bounded(written: str, wait: float | None) -> None:
    with receiver(Reply(429, {"Retry-After": written})) as server:
        assert post_once(request(server), PATIENT).wait == wait


def test_long_waits_are_left_to_the_next_run() -> None:
    with receiver(Reply(429, {"Retry-After": "3600"}), 200) as server:
        answer, pauses = tried(server)
    assert (answer.result, answer.wait, pauses) == ("later", 3600.0, [])
    assert len(server.received) == 1


def test_dead_server_is_given_up_at_the_deadline() -> None:
    with receiver(500) as server:
        answer = post(lambda: request(server), time.monotonic() + 1.2)
        assert answer.result == "later"
        assert 1 <= len(server.received) <= 4


def test_each_attempt_builds_its_request_anew() -> None:
    numbers = iter(range(9))
    with receiver(500, 500, 200) as server:
        post(
            lambda: Request(server.url, b"{}", {"webhook-timestamp": str(next(numbers))}),
            time.monotonic() + PATIENT,
            pause=lambda _: None,
        )
    assert [r.headers["webhook-timestamp"] for r in server.received] == ["0", "1", "2"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate of localhost that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificates_are_checked(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(certificate=certificate) as server:
        answer = post_once(request(server), PATIENT)
        assert answer.result == "later"
        assert answer.said.startswith("its certificate is not trusted: ")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post_once(request(server), PATIENT).result == "delivered"
        other_name = server.url.replace("localhost", "127.0.0.1")
        said = post_once(Request(other_name, b"{}"), PATIENT).said
        assert "not trusted" in said
        assert not said.endswith(".")  # it becomes a part of a sentence
    assert len(server.received) == 1


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that connects to the named host and port; yield its address and the heads."""
    listening = socket.create_server(("127.0.0.1", 0))
    heads: list[str] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            heads.append(head.decode())
            host, port = head.split()[1].decode().split(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client))
                back.start()
                pump(client, server)
                back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://user:p%40ss@127.0.0.1:{listening.getsockname()[1]}", heads
    finally:
        thread.join()
        listening.close()


def test_proxy_of_the_environment_is_used(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiver(certificate=certificate) as server, proxy() as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert post_once(request(server), PATIENT).result == "delivered"
        assert heads[0].startswith("CONNECT localhost:")
        assert "Proxy-Authorization: Basic dXNlcjpwQHNz" in heads[0]
        assert "SECRET" not in heads[0]
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert post_once(request(server), PATIENT).result == "delivered"
    assert len(heads) == 1


def test_proxies_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    answer = post_once(Request("https://hooks.example.com/SECRET-PART-OF-PATH", b"{}"), PATIENT)
    assert answer.result == "wrong address"
    assert answer.said.startswith("The proxy of the environment cannot be used.")


def test_password_of_an_address_is_sent_as_basic_authorization() -> None:
    with receiver() as server:
        url = server.url.replace("localhost", "me:p%40ss@localhost")
        assert post_once(Request(url, b"{}"), PATIENT).result == "delivered"
    assert server.received[0].headers["authorization"] == "Basic bWU6cEBzcw=="


def test_requests_do_not_show_their_address() -> None:
    assert repr(Request("https://host/SECRET-PART-OF-PATH", b"body")) == "Request()"


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with receiver(500, 200) as server:
        tried(server)
    assert caplog.text == ""
