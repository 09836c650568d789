"""The scoring service as a plain ASGI application: it knows HTTP and one model, no framework.

It answers every request itself (`serving.service` gives BentoML only the start and the end),
and turns every failure into the one shape of `serving.errors`.
"""

import asyncio
import datetime
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from crm.version import VERSION
from serving.calls import Calls
from serving.contract.openapi import contracts, flat_fields
from serving.errors import RequestError, failure
from serving.http.connection import BoundedConnection
from serving.http.deadlines import Deadlines
from serving.http.hubspot import SIGNATURE, is_signed
from serving.http.keys import KeyRing, Role
from serving.http.logs import AccessLog
from serving.http.prometheus import Metrics, Series, exposition, quoted
from serving.http.report_files import REPORT, in_report, is_own_host, read_report
from serving.http.security import Guard, RateLimit, needed_role
from serving.served_model import ServedModel
from serving.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]

OTHER = "other"  # the route of every path that there is not
HEALTH = frozenset({"/livez", "/healthz", "/readyz"})
CONTRACT = ("/contract/openapi-3.0.json", "/contract/swagger-2.0.json")
DRAINED_BYTES = 16 * 1024 * 1024
BODIES_HELD = 16  # so many of the largest size may be half read at once
BASIC = b'Basic realm="leadscore report", charset="UTF-8"'
CLOSING = (408, 413)  # the caller may still be sending

log = logging.getLogger("leadscore")
_encode = msgspec.json.Encoder().encode
_process, _number = secrets.token_hex(10), itertools.count(1)
_request_id = re.compile(r"(?!ls_)[A-Za-z0-9_.:-]{1,64}")


@dataclass
class RequestContext:
    """What is noted about one request while it is answered."""

    request_id: str
    route: str
    headers: Headers
    key: str = ""
    version: str = ""
    more: list[tuple[bytes, bytes]] = field(default_factory=list)


class ScoringApp:
    """Answers the calls with the model it was given.

    Parameters
    ----------
    settings : Settings
    keys : KeyRing, optional
        Without one, callers on loopback need no key and others get no answer.
    worker : str
        Which of the workers this is.
    access_log : AccessLog, optional
        Where each request leaves a line.

    Attributes
    ----------
    model : ServedModel or None
        May be replaced at any time; a request keeps the one it began with.
    fault : str or None
        Why the champion is not the model that answers.
    is_draining : bool
        The service was told to end: it answers on, and says that it is not ready.
    """

    def __init__(
        self,
        settings: Settings,
        keys: KeyRing | None = None,
        worker: str = "1",
        access_log: AccessLog | None = None,
    ) -> None:
        self.calls = Calls(settings, others_in_flight=BoundedConnection.others_in_flight)
        self.model: ServedModel | None = None
        self.fault: str | None = None
        self.is_draining = False
        self.others: Callable[[], list[Series]] = list
        self.configure(settings, keys, worker, access_log)

    def configure(
        self, settings: Settings, keys: KeyRing | None, worker: str, access_log: AccessLog | None
    ) -> None:
        """Answer within these settings from now on."""
        self.calls.settings = self._settings = settings
        limit = RateLimit(settings.requests_per_second, settings.request_burst)
        opened = HEALTH | (frozenset(CONTRACT) if settings.contract_open else frozenset())
        opened |= {"/metrics"} if settings.metrics_open else frozenset()
        self.guard = Guard(keys, limit, opened)
        self.metrics = Metrics(worker)
        self.calls.count_score = self.metrics.count_score
        self._access_log = access_log
        self._buffered = self._working = 0
        self._deadlines = Deadlines()
        self._pages: dict[str, Callable[[], tuple[int, bytes, bytes]]] = {
            "/livez": partial(_page, b'{"alive":true}'),
            "/healthz": partial(_page, b'{"alive":true}'),
            "/readyz": self._readiness,
            "/metrics": self._exposition,
        }
        if settings.report_dir:
            self._pages[REPORT] = partial(_page, b"")  # each of its files has a path of its own
        for i, path in enumerate(CONTRACT):
            self._pages[path] = partial(self._contract, i)
        self._contracts: tuple[bytes, bytes] | None = None
        self._contracts_of: ServedModel | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        path = REPORT if in_report(scope["path"]) else scope["path"].rstrip("/") or "/"
        is_known = path in self.calls.by_path or path in self._pages
        context = RequestContext(_id_of(headers), path if is_known else OTHER, headers)
        more = context.more
        kind = b"application/json"
        try:
            status, kind, body = await self._answer(scope, receive, path, context)
        except RequestError as error:
            status, body = self._failure(error, context, more)
        except Exception:
            log.exception("request failed", extra={"request_id": context.request_id})
            status, body = self._failure(RequestError(500, ""), context, more)
        if status in CLOSING or self.is_draining:
            more.append((b"connection", b"close"))
        self._note(context, status, started)
        head = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", context.request_id.encode()),
            *more,
        ]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: Scope, receive: Receive, path: str, context: RequestContext
    ) -> tuple[int, bytes, bytes]:
        call, page = self.calls.by_path.get(path), self._pages.get(path)
        if call is None and page is None:
            raise RequestError(404, "")
        methods = ("POST",) if page is None else ("GET", "HEAD")
        if scope["method"] not in methods:
            raise RequestError(405, f"{path} answers {methods[0]}, and no {scope['method'][:20]}.")
        # Only calls are signed: a page that took a header for a signature would be open to all.
        may_sign = call is not None and bool(self._settings.hubspot_secret)
        signed = may_sign and SIGNATURE in context.headers
        if not signed:
            server = (scope.get("server") or ("",))[0]
            owner = self.guard.identify(path, context.headers, server)
            if owner is not None:
                context.key = owner.name  # the log names it, if it is refused as well
                self.guard.admit(owner, path, time.monotonic())
        if path == REPORT:
            return await self._report(scope["path"], context)
        if call is None:
            return page()  # type: ignore[misc]
        model = self.model
        if model is None:
            raise RequestError(503, "")
        context.version = model.version
        is_read = False
        deadline = self._deadlines.open(self._settings.body_seconds)
        try:
            body = await self._read_body(receive, context.headers)
            is_read = True
            deadline.at = time.monotonic() + self._settings.answer_seconds
            now = datetime.datetime.now(datetime.UTC)
            if signed:
                self._check_signature(scope, path, context, body, now)
            if self._working >= self._settings.max_requests_at_once:
                raise RequestError(503, "")
            self._working += 1
            try:
                answer = await call(model, body, now, context.request_id)
            finally:
                self._working -= 1
        except asyncio.CancelledError:
            if not deadline.is_over:
                raise
            deadline.task.uncancel()
            raise RequestError(504 if is_read else 408, "") from None
        finally:
            self._deadlines.close(deadline)
        return 200, b"application/json", _encode(answer)

    async def _read_body(self, receive: Receive, headers: Headers) -> bytes:
        """Read a body of bounded size, whether or not its length was announced.

        Of a body that is too large some more is read and thrown away: a caller that is
        still sending when the connection closes would never see the answer. One that asks
        first whether it may send (`Expect: 100-continue`) hears no at once.
        """
        limit = self._settings.max_body_bytes
        announced = headers.get(b"content-length", b"0")
        size = int(announced) if announced.isdigit() else 0
        too_large = RequestError(
            413, f"The body is larger than {limit:,} bytes. Send fewer leads in one request."
        )
        if size > limit and b"expect" in headers:
            raise too_large
        parts: list[bytes] = []
        received = held = 0
        try:
            while max(size, received) <= limit + DRAINED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestError(400, "The connection closed before the whole body arrived.")
                part = message.get("body", b"")
                received += len(part)
                if max(size, received) <= limit:
                    parts.append(part)
                if not message.get("more_body", False):
                    break
                if max(size, received) <= limit:
                    held += len(part)
                    self._buffered += len(part)
                    if self._buffered > BODIES_HELD * limit:
                        raise RequestError(503, "")
        finally:
            self._buffered -= held
        if max(size, received) > limit:
            raise too_large
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _check_signature(
        self, scope: Scope, path: str, context: RequestContext, body: bytes, now: datetime.datetime
    ) -> None:
        """Admit a call that HubSpot signed, as a key of the role write would be."""
        query = scope.get("query_string", b"").decode("latin-1")
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        uri = self._settings.public_url.rstrip("/") + raw_path + (f"?{query}" if query else "")
        now_ms = int(now.timestamp() * 1_000)
        secret = self._settings.hubspot_secret
        if not is_signed(context.headers, secret, scope["method"], uri, body, now_ms):
            raise RequestError(401, "HubSpot's signature does not fit this request, or is old.")
        context.key = "hubspot"
        if needed_role(path) > Role.WRITE:
            raise RequestError(403, f"{path} needs a key of the role admin.")
        self.guard.limit("hubspot", time.monotonic())

    def _failure(
        self, error: RequestError, context: RequestContext, more: list[tuple[bytes, bytes]]
    ) -> tuple[int, bytes]:
        """Build a failure's body, and add the headers that belong to it."""
        if error.retry_after is not None:
            is_hubspot = any(name.startswith(b"x-hubspot-signature") for name in context.headers)
            wait = error.retry_after * (1_000 if is_hubspot else 1)  # HubSpot reads milliseconds
            more.append((b"retry-after", str(wait).encode()))
        if error.status == 401:
            is_page = context.route == REPORT  # a browser asks for the key, as the password
            more.append((b"www-authenticate", BASIC if is_page else b"Bearer"))
        if error.status == 405:
            is_page = context.route in self._pages
            more.append((b"allow", b"GET, HEAD" if is_page else b"POST"))
        body = failure(error.status, error.message, context.request_id, error.field)
        return error.status, _encode(body)

    def _note(self, context: RequestContext, status: int, started: float) -> None:
        seconds = time.perf_counter() - started
        self.metrics.count(context.route, status, seconds)
        if self._access_log is not None and context.route not in HEALTH:
            self._access_log.add(
                datetime.datetime.now(datetime.UTC),
                context.request_id,
                context.route,
                status,
                1_000 * seconds,
                context.key,
                context.version,
            )

    def _readiness(self) -> tuple[int, bytes, bytes]:
        """Say whether callers may be sent here, which model answers, and what is wrong."""
        is_ready = self.model is not None and not self.is_draining
        faults = (self.fault, self.guard.fault, self.calls.ledger.faults.told)
        body = {
            "ready": is_ready,
            "draining": self.is_draining,
            "leadscore": VERSION,
            "model": self.model.identity if self.model else None,
            "fault": " ".join(filter(None, faults)) or None,
        }
        return 200 if is_ready else 503, b"application/json", _encode(body)

    def _exposition(self) -> tuple[int, bytes, bytes]:
        text = exposition([self.series(), *self.others()])
        return 200, b"text/plain; version=0.0.4; charset=utf-8", text.encode()

    async def _report(self, path: str, context: RequestContext) -> tuple[int, bytes, bytes]:
        """Give a file of the report; without a key only to those who ask this very machine."""
        if not context.key and not is_own_host(context.headers):
            raise RequestError(403, "Without a key the report is at http://localhost only.")
        found = await asyncio.to_thread(read_report, Path(self._settings.report_dir), path)
        context.more.extend(found.headers)
        return found.status, found.kind, found.body

    def _contract(self, which: int) -> tuple[int, bytes, bytes]:
        """Give the contract with the fields of the model that answers."""
        if self._contracts is None or self._contracts_of is not self.model:
            fields = flat_fields(self.model) if self.model else {}
            self._contracts_of = self.model
            self._contracts = contracts(self._settings, fields)
        return _page(self._contracts[which])

    def series(self) -> Series:
        """Give the counts of this worker, and how it stands."""
        build = f"worker={quoted(self.metrics.worker)},version={quoted(VERSION)}"
        more: dict[str, Any] = {
            "leadscore_build_info": {build: 1},
            "leadscore_refused_total": {
                f'status="{status}"': n for status, n in BoundedConnection.refused.items()
            },
            "leadscore_takeover_fault": int(self.fault is not None),
            "leadscore_keys_fault": int(self.guard.fault is not None),
            "leadscore_requests_in_progress": self._working,
        }
        if self.model is not None:
            card = self.model.scorer.card
            named = {"worker": self.metrics.worker, "name": card.name}
            named |= {"version": self.model.version, "digest": self.model.digest[:12]}
            labels = ",".join(f"{label}={quoted(value)}" for label, value in named.items())
            trained_at = datetime.datetime.fromisoformat(card.trained_at)
            age = datetime.datetime.now(datetime.UTC) - trained_at
            more["leadscore_model_info"] = {labels: 1}
            more["leadscore_model_age_seconds"] = age.total_seconds()
        writer = self.calls.score_writer
        if writer is not None:
            more["leadscore_scores_written_total"] = writer.written
            more["leadscore_scores_dropped_total"] = writer.dropped
            more["leadscore_scores_queued"] = writer.queued
            more["leadscore_ledger_fault"] = int(self.calls.ledger.faults.told is not None)
        return self.metrics.series(more)

    def flush(self) -> None:
        """Write the lines of the log that wait."""
        if self._access_log is not None:
            self._access_log.flush()


def _page(document: bytes) -> tuple[int, bytes, bytes]:
    return 200, b"application/json", document


def _id_of(headers: Headers) -> str:
    """Take the caller's X-Request-ID if it is a sane one, or make one."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _request_id.fullmatch(given) else f"{_process}{next(_number):012x}"
