"""How one connection is read and written: uvicorn's own way, with limits that it lacks.

It reads a request's head of any size, waits for it for ever, answers what is no HTTP in
plain text, and writes an answer in two pieces.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Collection
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from serving.errors import failure

HEAD_SECONDS = 10.0
HEAD_BYTES = 65_536

_encode = msgspec.json.Encoder().encode


class OnePiece:
    """Sends the head of an answer together with its body.

    uvicorn hands over one after the other: two packets, and a reader who is woken by the
    first takes the processor from whoever is about to write the second.

    Parameters
    ----------
    cycle : RequestResponseCycle
        Of the request that is answered.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._head: Any = None

    async def __call__(self, message: Any) -> None:
        """Keep the head, or send what has been kept and this."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        head, self._head = self._head, None
        if head is None:
            await self._send(message)
            return
        transport, written = self._cycle.transport, _Written()
        self._cycle.transport = written  # type: ignore[assignment]
        try:
            await self._send(head)
            await self._send(message)
        finally:
            self._cycle.transport = transport
        transport.write(b"".join(written.parts))
        if written.is_closed:
            transport.close()


class _Written:
    """What is written to it, and whether it was closed after that."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.is_closed = False

    def write(self, part: bytes) -> None:
        self.parts.append(part)

    def close(self) -> None:
        self.is_closed = True


class BoundedConnection(HttpToolsProtocol):
    """A connection whose requests have heads of bounded size and time.

    Attributes
    ----------
    refused : Counter of int
        How many requests were answered here, by status.
    """

    refused: ClassVar[Counter[int]] = Counter()
    _at_work: ClassVar[Collection["asyncio.Task[None]"]] = ()  # of all connections

    @classmethod
    def others_in_flight(cls) -> bool:
        """Tell whether more than one request is being answered or about to be."""
        return len(cls._at_work) > 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the first request its time."""
        super().connection_made(transport)  # type: ignore[arg-type]
        BoundedConnection._at_work = self.tasks
        self._head_since: float | None = self.loop.time()
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has grown too large."""
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, f"The head of the request is larger than {HEAD_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """Note when a request began to arrive."""
        self._head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is there, and have the answer sent in one piece."""
        before = self.cycle
        super().on_headers_complete()
        self._head_since = None
        if self.cycle is not before:
            self.cycle.send = OnePiece(self.cycle)  # type: ignore[method-assign]

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the one shape."""
        self._refuse(400, "The request is not valid HTTP.")

    def _look(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)
        since = self._head_since
        is_waiting = self.cycle is None or self.cycle.response_complete
        if since is not None and is_waiting and self.loop.time() - since >= HEAD_SECONDS:
            self._refuse(408, "")

    def _refuse(self, status: int, message: str) -> None:
        self.refused[status] += 1
        body = _encode(failure(status, message, uuid.uuid4().hex))
        head = (
            b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def bound_connections() -> None:
    """Let uvicorn, which BentoML starts, read connections this way."""
    auto.AutoHTTPProtocol = BoundedConnection
