"""The parts of an answer that are sent over HTTP."""

from typing import Any, NamedTuple

import msgspec

JSON = b"application/json"

_encode = msgspec.json.Encoder().encode


class Response(NamedTuple):
    """An answer.

    Attributes
    ----------
    status : int
    content_type, body : bytes
    headers : tuple of (bytes, bytes)
        Headers in addition to those that every answer has.
    """

    status: int
    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_response(
    content: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    """Encode the content as JSON.

    Examples
    --------
    >>> json_response({"alive": True}).body
    b'{"alive":true}'
    """
    return Response(status, JSON, _encode(content), headers)
