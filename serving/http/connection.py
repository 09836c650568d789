"""Reads and writes connections as uvicorn does, with the limits that uvicorn lacks.

uvicorn reads a request's head of any size, waits without a limit for it and for the body of a
request that is answered already, answers invalid HTTP in plain text or not at all, adds the fields
after a chunked body to the headers, drops the body of a request that offers another protocol, and
writes an answer in two pieces.

This is the only module that uses uvicorn's own names. docs/upgrading-bentoml-and-uvicorn.md lists
them, and what to do when uvicorn changes.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, ClassVar

import httptools
import msgspec
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from serving.errors import Code, RequestError, failure
from serving.http.request_head import check_coding

HEAD_SECONDS = 10.0  # for a head, and for the rest of a body whose request is answered already
HEAD_BYTES = 65_536
FRAMING_BYTES = 16_384  # the size line of a chunk, or the fields after the last chunk
PART_BYTES = 8_192  # the parser gets at most this many bytes at once
LINGER_SECONDS = 2.0  # after an answer that ends the connection, for a caller that still sends

INVALID_HTTP = "The request is not valid HTTP."
INVALID_CHUNK = (
    "A chunk of the body, or what follows the last one, is not valid HTTP. Send the body with a "
    "Content-Length, or correct its chunks."
)
ENDED_EARLY = "The connection ended before the whole request arrived. Send it again."
LARGE_HEAD = f"The head of the request is larger than {HEAD_BYTES:,} bytes. Send shorter headers."
LARGE_FRAMING = (
    f"The request has more than {FRAMING_BYTES:,} bytes between two chunks of its body or after "
    "the last one. Send shorter chunk extensions and trailers, or none."
)
CONNECTION_FIELDS = (b"connection", b"proxy-connection")
NO_PROXY = "This service is not a proxy, so it does not answer CONNECT."

_encode = msgspec.json.Encoder().encode


class RefusedRequestError(RequestError):
    """A request that the connection answers itself.

    Parameters
    ----------
    status : int
    message : str
        An empty message is replaced by that of the status.
    code : str, optional
        The kind of the failure; without it, that of the status.
    headers : bytes
        Lines of headers that the answer has in addition.
    """

    def __init__(
        self, status: int, message: str, code: Code | None = None, headers: bytes = b""
    ) -> None:
        super().__init__(status, message, code=code)
        self.headers = headers

    def answer(self, request_id: str) -> bytes:
        """Return the whole answer, after which the connection ends."""
        body = _encode(failure(self, request_id))
        return (
            STATUS_LINE[self.status]
            + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            + b"x-request-id: %s\r\nconnection: close\r\n" % request_id.encode()
            + self.headers
            + b"\r\n"
            + body
        )


class SinglePacketSend:
    """Sends the head of an answer together with its body.

    uvicorn writes the head and the body in two packets. The first packet wakes the reader, which
    then takes the processor from the process that is about to write the second.

    Parameters
    ----------
    cycle : RequestResponseCycle
        The request that is answered.

    Attributes
    ----------
    instead : callable or None
        Sends another answer, because the request's body is invalid. Gets the request's id.
    afterwards : callable or None
        Called after the answer, if the connection does not end with it.
    is_last : bool
        Whether the connection ends with this answer, and the answer says so.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._head: Any = None
        self.instead: Callable[[str], None] | None = None
        self.afterwards: Callable[[], None] | None = None
        self.is_last = False

    async def __call__(self, message: Any) -> None:
        """Store the head, or send the stored head with this message."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        head, self._head = self._head, None
        if head is None:
            await self._send(message)
            return
        if self.is_last:
            head = head | {"headers": [*head["headers"], (b"connection", b"close")]}
        transport, buffer = self._cycle.transport, _BufferedTransport()
        self._cycle.transport = buffer  # type: ignore[assignment]
        try:
            await self._send(head)
            await self._send(message)
        finally:
            self._cycle.transport = transport
        if transport.is_closing():  # the caller has left
            return
        if self.instead is not None:
            self.instead(dict(head["headers"]).get(b"x-request-id", b"").decode())
            return
        transport.write(b"".join(buffer.parts))
        if buffer.is_closed:
            transport.close()
        elif self.afterwards is not None:
            self.afterwards()


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
    """A connection that bounds the size and the time of a request's head, and reads strictly.

    An offer to change the protocol (`Upgrade`) is ignored, as HTTP allows. A parser stops after
    the head of such a request and takes its body for the next request. So a new parser reads the
    head again, without the offer.

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
        self._answered_at = 0.0  # the last request
        self._bytes_outside_body = 0  # since the last part of a body, or the start of a request,
        # and up to `PART_BYTES` before it
        self._is_refusing = False  # what arrives is not read any more
        self._has_ended = False  # the caller sends nothing more
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data in parts that are small enough for the limits to hold."""
        self._unset_keepalive_if_required()
        if len(data) <= PART_BYTES:
            self._read(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), PART_BYTES):
            self._read(view[start : start + PART_BYTES])

    def _read(self, part: bytes | memoryview) -> None:
        if self._is_refusing:
            return
        size = len(part)
        while part:
            try:
                self.parser.feed_data(part)
                break
            except httptools.HttpParserUpgrade as offer:
                part = self._head_without_offer() + bytes(part[offer.args[0] :])
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError as error:
                refusal = error.__context__  # raised in a callback of the parser
                if not isinstance(refusal, RefusedRequestError):
                    refusal = self._invalid()
                self._refuse(refusal)
                return
        self._bytes_outside_body += size
        if self._bytes_outside_body >= FRAMING_BYTES:
            self._check_size()

    def _invalid(self) -> RefusedRequestError:
        """Build the failure of what the parser cannot read: a coding, a chunk or anything else."""
        is_in_body = self.cycle is not None and self.cycle.more_body
        try:
            headers = self.cycle.scope["headers"] if is_in_body else self.headers
            check_coding(headers, self.parser.get_http_version())
        except RequestError as error:
            return RefusedRequestError(error.status, error.message, error.code)
        if is_in_body:
            return RefusedRequestError(400, INVALID_CHUNK, "bad_chunk")
        return RefusedRequestError(400, INVALID_HTTP)

    def _head_without_offer(self) -> bytes:
        """Return the head that the parser has read, without the offer of another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _check_size(self) -> None:
        """Refuse a head that is too large before it is complete, or too much around a body.

        `on_headers_complete` checks the exact size of a complete head.
        """
        if self._head_since is None:
            self._refuse(RefusedRequestError(400, LARGE_FRAMING, "bad_chunk"))
        elif self._bytes_outside_body >= HEAD_BYTES + PART_BYTES:
            self._refuse(RefusedRequestError(431, LARGE_HEAD))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has arrived, although the caller sends nothing more.

        Returns
        -------
        bool
            Whether the connection stays open until the answer is sent.
        """
        self._has_ended = True
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if self._is_refusing:
            return is_answering
        is_in_head = self._head_since is not None and self._bytes_outside_body > 0
        if is_in_head or (cycle is not None and cycle.more_body):
            self._refuse(RefusedRequestError(400, ENDED_EARLY, "incomplete_request"))
        elif is_answering:
            cycle.keep_alive = False
        return is_answering

    def on_message_begin(self) -> None:
        """Note when a request begins to arrive."""
        self._head_since = self.loop.time()
        self._bytes_outside_body = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, but not a field that follows a chunked body.

        The parser takes such a `Connection` for a header too, and may read no further request. So
        the connection ends with the answer.
        """
        if self._head_since is not None:
            super().on_header(name, value)
        elif name.lower() in CONNECTION_FIELDS:
            self._sender.is_last = True

    def on_headers_complete(self) -> None:
        """Note that the head is complete, and have the answer sent in one packet."""
        may_be_large = self._bytes_outside_body > HEAD_BYTES - 2 * PART_BYTES
        if may_be_large and len(self._head_without_offer()) > HEAD_BYTES:
            raise RefusedRequestError(431, LARGE_HEAD)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RefusedRequestError(405, NO_PROXY, headers=b"allow: GET, HEAD, POST\r\n")
            return  # the same head follows without the offer
        super().on_headers_complete()
        self._head_since = None
        self._bytes_outside_body = 0
        cycle = self.cycle
        self._sender = SinglePacketSend(cycle)
        cycle.send = self._sender  # type: ignore[method-assign]
        if cycle.waiting_for_100_continue and self.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        self._bytes_outside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        if self.parser.should_upgrade():
            return  # the same head follows without the offer
        self._bytes_outside_body = 0
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Note when a request is answered."""
        self._answered_at = self.loop.time()
        super().on_response_complete()

    def _check_time(self) -> None:
        """End the connection if a head, or the rest of an answered request, takes too long."""
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check_time)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return
        is_in_body = cycle is not None and cycle.more_body
        since = self._answered_at if is_in_body else self._head_since
        if since is not None and self.loop.time() - since >= HEAD_SECONDS:
            self._refuse(RefusedRequestError(408, ""))

    def _refuse(self, refusal: RefusedRequestError) -> None:
        """Answer this request with a failure once those before it are answered, and end.

        If the application is reading the request's body, it learns that the body ends, and the
        refusal replaces its answer. A request that is answered already gets no second answer.
        """
        self._is_refusing = True
        cycle = self.cycle
        if cycle is not None and cycle.more_body:
            if cycle.response_complete:
                self._end(b"")
                return
            self._sender.instead = partial(self._refuse_instead, refusal)
            cycle.disconnected = True
            cycle.message_event.set()
            return
        self.refused[refusal.status] += 1
        answer = refusal.answer(uuid.uuid4().hex)
        if cycle is None or cycle.response_complete:
            self._end(answer)
        else:
            self._sender.afterwards = partial(self._end, answer)

    def _refuse_instead(self, refusal: RefusedRequestError, request_id: str) -> None:
        self.cycle.response_complete = True
        self._end(refusal.answer(request_id))

    def _end(self, answer: bytes) -> None:
        """Send the last answer, and end the connection when the caller has had time to read it.

        If it ended at once while the caller still sends, the caller could not read the answer.
        """
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self._has_ended or not self.transport.can_write_eof():  # TLS cannot end one direction
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer.cancel()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def bound_connections() -> None:
    """Have uvicorn, which BentoML starts, use `BoundedConnection` for all connections."""
    auto.AutoHTTPProtocol = BoundedConnection
