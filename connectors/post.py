"""Posts a message once: over https or on this machine, within a time, without redirects.

`http.client` is used alone: it writes no log that could contain the address, and a watchdog can
close its socket, so that a server that sends one byte now and then cannot hold the caller.
"""

import base64
import contextlib
import email.utils
import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from connectors.address import check_address, without_secrets

READ_BYTES: Final = 2_000  # of an answer; the rest is not read
PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})
REFUSING: Final = frozenset({400, 413, 415, 422})
LONGEST_WAIT: Final = 24 * 3600.0  # seconds that a server may ask to wait

Result = Literal["delivered", "later", "refused", "wrong address"]


@dataclass(frozen=True)
class Request:
    """A message for a server.

    Attributes
    ----------
    url : str
        A secret: it is never shown.
    body : bytes
        JSON.
    headers : mapping of str to str
    """

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer:
    """The result of sending a message.

    Attributes
    ----------
    result : {"delivered", "later", "refused", "wrong address"}
        "later": the same message may be delivered later. "refused": the server does not accept this
        message, but may accept others. "wrong address": nothing can be delivered there.
    said : str
        In words, without a part of the address that may be a secret.
    wait : float or None
        The seconds to wait, if the server named them.
    """

    result: Result
    said: str
    wait: float | None = None


def post_once(request: Request, seconds: float) -> Answer:
    """Post a message, and wait at most some seconds for the answer.

    Redirects are not followed. A proxy is used as `HTTPS_PROXY` and `NO_PROXY` say, but never for
    this machine. Certificates are checked with those of the system, or with `SSL_CERT_FILE`.

    Parameters
    ----------
    request : Request
    seconds : float
        For everything: to connect, to send and to read the answer.

    Returns
    -------
    Answer
        No error is raised for anything that a server or the network does.
    """
    deadline = time.monotonic() + seconds
    try:
        check_address(request.url)
        connection, through_proxy = _connection(request.url, seconds)
    except ValueError as error:
        return Answer("wrong address", str(error))
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sockets: list[socket.socket] = []
    watchdog = threading.Timer(seconds, _cut, [connection, sockets])
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.connect()
        sockets.append(connection.sock)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "leadscore",
            **_credentials(parts.username, parts.password, "Authorization"),
            **request.headers,
        }
        connection.request("POST", target, request.body, headers)
        with connection.getresponse() as response:
            content = response.read(READ_BYTES)
    except TimeoutError:
        return Answer("later", _too_slow(seconds))
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")  # some end as sentences do
        return Answer("later", f"its certificate is not trusted: {why}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            return Answer("later", _too_slow(seconds))
        return Answer("later", _problem(error, through_proxy))
    finally:
        watchdog.cancel()
        connection.close()
    return _answer(response, content.decode("utf-8", "replace"), request.url)


def _answer(response: http.client.HTTPResponse, text: str, url: str) -> Answer:
    status = response.status
    shown = without_secrets(text, url)
    said = f"it answered {status}" + (f": {shown}" if shown else "")
    if 200 <= status < 300:
        return Answer("delivered", said)
    if status in PASSING:
        return Answer("later", said, _wait(response))
    if status in REFUSING:
        return Answer("refused", said)
    if 300 <= status < 400:
        said += ". Redirects are not followed: write the final address"
    return Answer("wrong address", said)


def _wait(response: http.client.HTTPResponse) -> float | None:
    """Read Retry-After: seconds, or a time that is compared with the server's own clock."""
    written = (response.getheader("Retry-After") or "").strip()
    if written.isascii() and written.isdigit():
        return min(float(written), LONGEST_WAIT)
    try:
        until = email.utils.parsedate_to_datetime(written)
        seconds = (
            until - email.utils.parsedate_to_datetime(response.getheader("Date") or "")
        ).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _connection(url: str, seconds: float) -> tuple[http.client.HTTPConnection, bool]:
    """Return a connection that is not open yet, and whether it leads through a proxy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds), False
    context = ssl.create_default_context()
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return http.client.HTTPSConnection(
            host, parts.port, timeout=seconds, context=context
        ), False
    through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if through.scheme != "http" or not through.hostname:
        raise ValueError("The proxy of the environment cannot be used. Expected http://HOST:PORT.")
    connection = http.client.HTTPSConnection(
        through.hostname, through.port or 80, timeout=seconds, context=context
    )
    headers = _credentials(through.username, through.password, "Proxy-Authorization")
    connection.set_tunnel(host, parts.port or 443, headers)
    return connection, True


def _credentials(username: str | None, password: str | None, header: str) -> dict[str, str]:
    if username is None:
        return {}
    pair = f"{unquote(username)}:{unquote(password or '')}".encode()
    return {header: f"Basic {base64.b64encode(pair).decode()}"}


def _cut(connection: http.client.HTTPConnection, sockets: list[socket.socket]) -> None:
    """Shut the socket of a connection down, so that whatever waits for it ends.

    While the connection is made, only it knows the socket; before the body is read, it forgets it.
    """
    for waiting in sockets or [connection.sock]:
        with contextlib.suppress(OSError, AttributeError):
            socket.socket.shutdown(waiting, socket.SHUT_RDWR)


def _problem(error: Exception, through_proxy: bool) -> str:
    """Describe why there is no answer. The text of the error may quote the address."""
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    if isinstance(error, ConnectionRefusedError):
        return "it refuses connections"
    if isinstance(error, ssl.SSLError):
        return "no encrypted connection can be made"
    if isinstance(error, ConnectionError | http.client.HTTPException):
        return "it closed the connection without a valid answer"
    if through_proxy:
        return "the proxy did not connect to it"
    return f"it cannot be reached ({type(error).__name__})"


def _too_slow(seconds: float) -> str:
    return f"it did not answer within {seconds:.0f} seconds"
