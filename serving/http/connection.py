"""Reads and writes connections as uvicorn does, with the limits that uvicorn lacks.

uvicorn reads a request's head of any size, waits for it without a limit, answers invalid HTTP in
plain text, and writes an answer in two pieces.

This is the only module that uses uvicorn's own names. docs/upgrading-bentoml-and-uvicorn.md lists
them, and what to do when uvicorn changes.
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


class SinglePacketSend:
    """Sends the head of an answer together with its body.

    uvicorn writes the head and the body in two packets. The first packet wakes the reader, which
    then takes the processor from the process that is about to write the second.

    Parameters
    ----------
    cycle : RequestResponseCycle
        The request that is answered.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._head: Any = None

    async def __call__(self, message: Any) -> None:
        """Store the head, or send the stored head with this message."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        head, self._head = self._head, None
        if head is None:
            await self._send(message)
            return
        transport, buffer = self._cycle.transport, _BufferedTransport()
        self._cycle.transport = buffer  # type: ignore[assignment]
        try:
            await self._send(head)
            await self._send(message)
        finally:
            self._cycle.transport = transport
        transport.write(b"".join(buffer.parts))
        if buffer.is_closed:
            transport.close()


class _BufferedTransport:
    """Collects what is written to it, and whether it was closed afterwards."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.is_closed = False

    def write(self, part: bytes) -> None:
        self.parts.append(part)

    def close(self) -> None:
        self.is_closed = True


class BoundedConnection(HttpToolsProtocol):
    """A connection that bounds the size and the time of a request's head.

    Attributes
    ----------
    refused : Counter of int
        Number of requests that were answered here, by status.
    """

    refused: ClassVar[Counter[int]] = Counter()
    _tasks: ClassVar[Collection["asyncio.Task[None]"]] = ()  # the requests of all connections

    @classmethod
    def others_in_flight(cls) -> bool:
        """Check whether more than one request is being answered or about to be."""
        return len(cls._tasks) > 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time of the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        BoundedConnection._tasks = self.tasks
        self._head_since: float | None = self.loop.time()
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large."""
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(
                    431,
                    f"The head of the request is larger than {HEAD_BYTES:,} bytes. "
                    "Send shorter headers.",
                )

    def on_message_begin(self) -> None:
        """Note when a request begins to arrive."""
        self._head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete, and have the answer sent in one packet."""
        before = self.cycle
        super().on_headers_complete()
        self._head_since = None
        if self.cycle is not before:
            self.cycle.send = SinglePacketSend(self.cycle)  # type: ignore[method-assign]

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP in the format of all failures."""
        self._refuse(400, "The request is not valid HTTP.")

    def _check_time(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check_time)
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
    """Have uvicorn, which BentoML starts, use `BoundedConnection` for all connections."""
    auto.AutoHTTPProtocol = BoundedConnection
