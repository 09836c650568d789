"""Checks the head of a request: its Host header and the coding of its body."""

import re
from collections.abc import Collection, Iterable, Mapping

from serving.errors import RequestError

_OWN_HOST = re.compile(r"(?i)(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")


def check_head(
    headers: Mapping[bytes, bytes], sent: Collection[tuple[bytes, bytes]], http_version: str
) -> None:
    """Check that a request names one host, and that its body is sent as it is or in chunks.

    Parameters
    ----------
    headers : mapping of bytes to bytes
        The headers by name, in lower case.
    sent : collection of (bytes, bytes)
        The headers as they were sent. A name may be repeated.
    http_version : str

    Raises
    ------
    RequestError
        400 if the request has several Host headers, or none in HTTP/1.1, or if its
        Transfer-Encoding is not `chunked` alone.

    Examples
    --------
    >>> check_head({b"host": b"a"}, [(b"host", b"a"), (b"host", b"a")], "1.1")
    Traceback (most recent call last):
        ...
    serving.errors.RequestError: The request has 2 Host headers. Expected one.
    """
    if b"host" not in headers and http_version != "1.0":
        raise RequestError(
            400, "The request has no Host header. Expected one.", code="missing_host"
        )
    if len(headers) < len(sent):
        hosts = [name for name, _ in sent if name == b"host"]
        if len(hosts) > 1:
            raise RequestError(
                400,
                f"The request has {len(hosts)} Host headers. Expected one.",
                code="repeated_host",
            )
    check_coding(sent, http_version)


def check_coding(sent: Iterable[tuple[bytes, bytes]], http_version: str) -> None:
    """Check that a body is sent as it is or in chunks. The arguments are those of `check_head`.

    Raises
    ------
    RequestError
        400 if the Transfer-Encoding is not `chunked` alone, in HTTP/1.1.

    Examples
    --------
    >>> check_coding([(b"transfer-encoding", b"Chunked")], "1.1")
    >>> check_coding([(b"transfer-encoding", b"gzip")], "1.1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    serving.errors.RequestError: The Transfer-Encoding is not supported. Send the body with ...
    """
    codings = [value for name, value in sent if name == b"transfer-encoding"]
    if codings and (b",".join(codings).strip().lower() != b"chunked" or http_version != "1.1"):
        raise RequestError(
            400,
            "The Transfer-Encoding is not supported. Send the body with a Content-Length, or "
            "with `Transfer-Encoding: chunked` in HTTP/1.1.",
            code="bad_transfer_encoding",
        )


def is_own_host(headers: Mapping[bytes, bytes]) -> bool:
    """Check whether a request's Host header names this machine.

    A page of another site whose name resolves to 127.0.0.1 sends the name of that site.

    Examples
    --------
    >>> is_own_host({b"host": b"127.0.0.1:3000"}), is_own_host({b"host": b"[::1]:3000"})
    (True, True)
    >>> is_own_host({b"host": b"evil.example:3000"}), is_own_host({b"host": b"localhost"})
    (False, True)
    """
    host = headers.get(b"host", b"").decode("latin-1")
    return _OWN_HOST.fullmatch(host) is not None
