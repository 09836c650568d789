"""The scoring service as a plain ASGI application: it knows HTTP and one model, no framework.

BentoML mounts it (`serving.service`). It answers every path that BentoML does not, and
turns every failure into the one shape of `serving.errors`.
"""

import datetime
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from serving.calls import Calls, ServedModel
from serving.errors import RequestError, error_body
from serving.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTEXT = "leadscore"  # where a request's context lies in the ASGI scope
DRAINED_BYTES = 16 * 1024 * 1024

log = logging.getLogger("bentoml.leadscore")
_encode = msgspec.json.Encoder().encode
_request_id = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass
class RequestContext:
    """What the layers share about one request."""

    request_id: str
    is_shaped: bool = False


class ScoringApp:
    """Answers the scoring calls with the model it was given.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.model: ServedModel | None = None
        self.calls = Calls(settings)

    def start(self, settings: Settings, model: ServedModel) -> None:
        """Answer with a model from now on, within the limits of the settings."""
        self.calls.settings = settings
        self.model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = context_of(scope)
        try:
            call = self.calls.by_path.get(scope["path"].rstrip("/"))
            if call is None:
                raise RequestError(404, "")
            if scope["method"] != "POST":
                raise RequestError(405, "")
            if self.model is None:
                raise RequestError(503, "")
            body = await _read_body(scope, receive, self.calls.settings.max_body_bytes)
            now = datetime.datetime.now(datetime.UTC)
            answer = await call(self.model, body, now)
        except RequestError as error:
            await send_error(send, context, error.status, error.message, error.field)
        except Exception:
            log.exception("request failed", extra={"request_id": context.request_id})
            await send_error(send, context, 500)
        else:
            answer |= {"model": self.model.identity(), "request_id": context.request_id}
            await _send(send, 200, _encode(answer))


class OneErrorShape:
    """The outermost layer: whatever fails around the application is told in the same shape.

    BentoML answers overload, time-outs and its own faults before or after our code;
    their bodies are replaced here.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and watch its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = context_of(scope)
        has_started = is_replaced = False

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                header = (b"x-request-id", context.request_id.encode())
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        async def watch(message: MutableMapping[str, Any]) -> None:
            nonlocal is_replaced
            if is_replaced:
                return
            is_start = message["type"] == "http.response.start"
            if is_start and message["status"] >= 400 and not context.is_shaped:
                is_replaced = True
                await send_error(send_with_id, context, message["status"])
            else:
                await send_with_id(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            log.exception("request failed", extra={"request_id": context.request_id})
            if has_started:
                raise
            await send_error(send_with_id, context, 500)


def context_of(scope: Scope) -> RequestContext:
    """Find the request's context, or make it from a sane X-Request-ID, or a new id."""
    context = scope.get(CONTEXT)
    if context is None:
        given = dict(scope.get("headers", ())).get(b"x-request-id", b"").decode("latin-1")
        is_sane = _request_id.fullmatch(given) is not None
        context = scope[CONTEXT] = RequestContext(given if is_sane else uuid.uuid4().hex)
    return context


async def send_error(
    send: Send,
    context: RequestContext,
    status: int,
    message: str = "",
    field: str | None = None,
) -> None:
    """Answer with a failure in the one shape."""
    context.is_shaped = True
    headers = [(b"retry-after", b"2")] if status in (429, 503, 504) else []
    await _send(
        send, status, _encode(error_body(status, message, context.request_id, field)), headers
    )


async def _send(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    start = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read a body of at most `limit` bytes, whether or not its length was announced.

    Of a body that is too large some more is read and thrown away: a caller that is still
    sending when the connection closes would never see the answer.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    size = int(announced) if announced.isdigit() else 0
    parts: list[bytes] = []
    received = 0
    while max(size, received) <= limit + DRAINED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "The connection was closed before the whole body arrived.")
        part = message.get("body", b"")
        received += len(part)
        if max(size, received) <= limit:
            parts.append(part)
        if not message.get("more_body", False):
            break
    if max(size, received) > limit:
        raise RequestError(
            413, f"The body is larger than {limit:,} bytes. Send fewer leads in one request."
        )
    return b"".join(parts)
