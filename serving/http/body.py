"""Reads request bodies of bounded size."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from serving.errors import RequestError

DRAINED_BYTES = 16 * 1024 * 1024  # read and discarded beyond the limit
MAX_PARTIAL_BODIES = 16  # bodies of the largest size that may be in memory half read

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyReader:
    """Reads the bodies of all requests of one worker.

    Parameters
    ----------
    max_body_bytes : int
        The size of the largest body that is accepted.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._partial_bytes = 0

    async def read(self, receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
        """Read a body, whether or not its length was announced.

        If a body is too large, some of the rest is read and discarded: a caller that is still
        sending when the connection closes would not see the answer. A caller that asks first
        whether it may send (`Expect: 100-continue`) is refused at once.

        Raises
        ------
        RequestError
            400 if the connection closes early; 413 if the body is too large; 503 if the worker
            has too many partial bodies in memory.
        """
        limit = self._max_body_bytes
        announced = headers.get(b"content-length", b"0")
        size = int(announced) if announced.isdigit() else 0
        too_large = RequestError(
            413,
            f"The body is larger than {limit:,} bytes. Send fewer leads or events in one request.",
        )
        if size > limit and b"expect" in headers:
            raise too_large
        parts: list[bytes] = []
        received = own_partial_bytes = 0
        try:
            while max(size, received) <= limit + DRAINED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestError(
                        400,
                        "The connection closed before the whole body arrived.",
                        code="incomplete_request",
                    )
                part = message.get("body", b"")
                received += len(part)
                is_accepted = max(size, received) <= limit
                if is_accepted:
                    parts.append(part)
                if not message.get("more_body", False):
                    break
                if is_accepted:
                    own_partial_bytes += len(part)
                    self._partial_bytes += len(part)
                    if self._partial_bytes > MAX_PARTIAL_BODIES * limit:
                        raise RequestError(503, "")
        finally:
            self._partial_bytes -= own_partial_bytes
        if max(size, received) > limit:
            raise too_large
        return parts[0] if len(parts) == 1 else b"".join(parts)
