"""The scoring service as a plain ASGI application. It knows HTTP and one model, no framework.

It answers every request itself; `serving.service` leaves only the start and the end to BentoML.
Every failure has the format of `serving.errors`.
"""

import asyncio
import datetime
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from serving.calls import Call, Calls
from serving.errors import RequestError, failure
from serving.http.body import BodyReader, Receive
from serving.http.connection import BoundedConnection
from serving.http.contract_pages import CONTRACT_PAGES, ContractPages
from serving.http.deadlines import Deadlines
from serving.http.hubspot import SIGNATURE, is_signed
from serving.http.keys import KeyRing, KeyRole
from serving.http.logs import AccessLog
from serving.http.pages import HEALTH, METRICS, liveness, metrics_page, readiness
from serving.http.prometheus import Metrics, Series, WorkerStatus, worker_samples
from serving.http.report_files import REPORT, in_report, read_report
from serving.http.request_head import check_head, is_own_host
from serving.http.response import Response, json_response
from serving.http.security import BROWSER_PAGES, Guard, RateLimit, needed_role
from serving.http.slow_reads import SlowReads
from serving.served_model import ServedModel
from serving.settings import Settings

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]

OTHER_ROUTE = "other"  # the label of unknown paths
BASIC = b'Basic realm="leadscore", charset="UTF-8"'
CLOSING_STATUSES = (408, 413)  # the caller may still be sending
REPORT_THREADS = 4
REPORT_SECONDS = 5.0

log = logging.getLogger("leadscore")
_process, _number = secrets.token_hex(10), itertools.count(1)
_request_id = re.compile(r"(?!ls_)[A-Za-z0-9_.:-]{1,64}")


@dataclass
class Request:
    """A request, with the facts that are added while it is answered.

    Attributes
    ----------
    scope : mapping
        The request as ASGI describes it.
    receive : callable
        Returns the next part of the body.
    headers : mapping of bytes to bytes
        Names in lower case.
    path : str
        The path without a trailing slash; `/report` for every file of the report.
    route : str
        The path if it is known, else `other`.
    request_id : str
    key_name : str
        The name of the API key, once it is known.
    model_version : str
        The version of the model that answers, once it is known.
    """

    scope: Scope
    receive: Receive
    headers: Headers
    path: str
    route: str
    request_id: str
    key_name: str = ""
    model_version: str = ""


class ScoringApp:
    """Answers requests with the current model.

    Parameters
    ----------
    settings : Settings
    keys : KeyRing, optional
        Without a key ring, callers on loopback need no key and other callers are refused.
    worker : str
        The name of this worker in the metrics.
    access_log : AccessLog, optional
        Gets a line for each request.

    Attributes
    ----------
    model : ServedModel or None
        May be replaced at any time. A request keeps the model that it began with.
    fault : str or None
        Why the champion is not the model that answers.
    is_draining : bool
        Whether the service is about to end. It still answers, but reports that it is not ready.
    other_workers : callable
        Returns the counts of the other workers, for `/metrics`.
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
        self.other_workers: Callable[[], list[Series]] = list
        self.configure(settings, keys, worker, access_log)

    def configure(
        self, settings: Settings, keys: KeyRing | None, worker: str, access_log: AccessLog | None
    ) -> None:
        """Apply these settings from now on."""
        self.calls.settings = self._settings = settings
        limit = RateLimit(settings.requests_per_second, settings.request_burst)
        open_paths = HEALTH
        if settings.contract_open:
            open_paths |= CONTRACT_PAGES
        if settings.metrics_open:
            open_paths |= {METRICS}
        self.guard = Guard(keys, limit, open_paths)
        self.metrics = Metrics(worker)
        self.calls.count_scores = self.metrics.count_scores
        self._access_log = access_log
        self._bodies = BodyReader(settings.max_body_bytes)
        self._deadlines = Deadlines()
        self._slow_reads = SlowReads(REPORT_THREADS, REPORT_SECONDS)
        self._in_progress = 0
        contract = ContractPages(settings)
        self._pages: dict[str, Callable[[], Response]] = {
            "/livez": liveness,
            "/healthz": liveness,
            "/readyz": self._readiness,
            METRICS: lambda: metrics_page([self.series(), *self.other_workers()]),
        }
        for page in CONTRACT_PAGES:
            self._pages[page] = partial(self._contract_page, contract, page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        request = self._request(scope, receive)
        try:
            response = await self._respond(request)
        except RequestError as error:
            response = self._failure(error, request)
        except Exception:
            log.exception("request failed", extra={"request_id": request.request_id})
            response = self._failure(RequestError(500, ""), request)
        self._note(request, response.status, started)
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", str(len(response.body)).encode()),
            (b"x-request-id", request.request_id.encode()),
            *response.headers,
        ]
        if response.status in CLOSING_STATUSES or self.is_draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _request(self, scope: Scope, receive: Receive) -> Request:
        headers = dict(scope["headers"])
        path = REPORT if in_report(scope["path"]) else scope["path"].rstrip("/") or "/"
        is_known = path in self.calls.by_path or self._is_page(path)
        return Request(
            scope=scope,
            receive=receive,
            headers=headers,
            path=path,
            route=path if is_known else OTHER_ROUTE,
            request_id=_id_of(headers),
        )

    def _is_page(self, path: str) -> bool:
        return path in self._pages or (path == REPORT and bool(self._settings.report_dir))

    async def _respond(self, request: Request) -> Response:
        """Check the request's head and its caller, and answer with a page or a call's answer."""
        scope = request.scope
        check_head(request.headers, scope["headers"], scope["http_version"])
        if request.route == OTHER_ROUTE:
            raise RequestError(404, "")
        call = self.calls.by_path.get(request.path)
        methods = ("GET", "HEAD") if call is None else ("POST",)
        if scope["method"] not in methods:
            method = scope["method"][:20]
            raise RequestError(405, f"{request.path} answers {methods[0]}, not {method}.")
        if call is not None:
            return await self._respond_to_call(request, call)
        self._admit(request)
        if not self.guard.needs_keys and request.path not in HEALTH:
            _check_host(request)
        if request.path == REPORT:
            return await self._report(scope["path"])
        return self._pages[request.path]()

    def _admit(self, request: Request) -> None:
        """Check the API key, its role and its rate."""
        server = (request.scope.get("server") or ("",))[0]
        owner = self.guard.identify(request.path, request.headers, server)
        if owner is not None:
            request.key_name = owner.name  # before the checks: the log names a refused key too
            self.guard.admit(owner, request.path, time.monotonic())

    async def _respond_to_call(self, request: Request, call: Call) -> Response:
        # Only calls may be signed by HubSpot. A page that accepted a signature in place of a key
        # would be open to everyone, because a page has no body whose signature is checked.
        is_signed_call = bool(self._settings.hubspot_secret) and SIGNATURE in request.headers
        if not is_signed_call:
            self._admit(request)
        model = self.model
        if model is None:
            raise RequestError(503, "")
        request.model_version = model.version
        is_read = False
        deadline = self._deadlines.open(self._settings.body_seconds)
        try:
            body = await self._bodies.read(request.receive, request.headers)
            is_read = True
            deadline.at = time.monotonic() + self._settings.answer_seconds
            now = datetime.datetime.now(datetime.UTC)
            if is_signed_call:
                self._admit_hubspot(request, body, now)
            return await self._call(call, model, body, now, request.request_id)
        except asyncio.CancelledError:
            if not deadline.is_over:
                raise
            deadline.task.uncancel()
            raise RequestError(504 if is_read else 408, "") from None
        finally:
            self._deadlines.close(deadline)

    async def _call(
        self, call: Call, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> Response:
        """Answer a call, unless too many requests are in progress."""
        if self._in_progress >= self._settings.max_requests_at_once:
            raise RequestError(503, "")
        self._in_progress += 1
        try:
            return json_response(await call(model, body, now, request_id))
        finally:
            self._in_progress -= 1

    def _admit_hubspot(self, request: Request, body: bytes, now: datetime.datetime) -> None:
        """Admit a call that HubSpot signed, as if it had a key with the role write."""
        scope, path = request.scope, request.path
        query = scope.get("query_string", b"").decode("latin-1")
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        uri = self._settings.public_url.rstrip("/") + raw_path + (f"?{query}" if query else "")
        now_ms = int(now.timestamp() * 1_000)
        secret = self._settings.hubspot_secret
        if not is_signed(request.headers, secret, scope["method"], uri, body, now_ms):
            raise RequestError(
                401,
                "HubSpot's signature does not match this request, or is older than five minutes. "
                "Check LEADSCORE_HUBSPOT_SECRET and LEADSCORE_PUBLIC_URL.",
            )
        request.key_name = "hubspot"
        if needed_role(path) > KeyRole.WRITE:
            raise RequestError(
                403, f"{path} needs the role admin. Calls that HubSpot signed have the role write."
            )
        self.guard.limit("hubspot", time.monotonic())

    async def _report(self, path: str) -> Response:
        """Read a file of the report. Its folder may be on a disk that does not answer."""
        try:
            return await self._slow_reads.run(
                partial(read_report, Path(self._settings.report_dir), path)
            )
        except TimeoutError:
            raise RequestError(
                504,
                "The folder of the report does not answer. Check its disk or its network mount.",
            ) from None

    def _contract_page(self, contract: ContractPages, path: str) -> Response:
        return contract.page(path, self.model)

    def _readiness(self) -> Response:
        faults = (self.fault, self.guard.fault, self.calls.ledger.faults.message)
        return readiness(self.model, self.is_draining, faults)

    def _failure(self, error: RequestError, request: Request) -> Response:
        """Build the answer to a request that failed, with the headers that belong to it."""
        headers: list[tuple[bytes, bytes]] = []
        is_page = self._is_page(request.route)
        if error.retry_after is not None:
            is_hubspot = any(name.startswith(b"x-hubspot-signature") for name in request.headers)
            wait = error.retry_after * (1_000 if is_hubspot else 1)  # HubSpot reads milliseconds
            headers.append((b"retry-after", str(wait).encode()))
        if error.status == 401:  # a browser asks for the key, which it sends as the password
            scheme = BASIC if request.route in BROWSER_PAGES else b"Bearer"
            headers.append((b"www-authenticate", scheme))
        if error.status == 405:
            headers.append((b"allow", b"GET, HEAD" if is_page else b"POST"))
        body = failure(error, request.request_id)
        return json_response(body, error.status, tuple(headers))

    def _note(self, request: Request, status: int, started: float) -> None:
        """Count an answered request, and write its line to the access log."""
        seconds = time.perf_counter() - started
        self.metrics.count(request.route, status, seconds)
        if self._access_log is not None and request.route not in HEALTH:
            self._access_log.add(
                datetime.datetime.now(datetime.UTC),
                request.request_id,
                request.route,
                status,
                1_000 * seconds,
                request.key_name,
                request.model_version,
            )

    def series(self) -> Series:
        """Return the counts and the status of this worker."""
        status = WorkerStatus(
            model=self.model,
            refused=BoundedConnection.refused,
            in_progress=self._in_progress,
            has_takeover_fault=self.fault is not None,
            has_keys_fault=self.guard.fault is not None,
            ledger_faults=self.calls.ledger.faults.causes,
            score_writer=self.calls.score_writer,
            shadow=self.calls.shadow,
        )
        if self.model is not None:
            self.metrics.count_attributes(self.model.scorer.cell_checks.counts)
        now = datetime.datetime.now(datetime.UTC)
        return self.metrics.series(worker_samples(self.metrics.worker, status, now))

    def flush(self) -> None:
        """Write the waiting lines of the access log."""
        if self._access_log is not None:
            self._access_log.flush()


def _check_host(request: Request) -> None:
    """Check that a page is opened at a name of this machine.

    Without keys, another site could read the pages through a browser on this machine: it lets its
    own name resolve to 127.0.0.1.
    """
    if not is_own_host(request.headers):
        raise RequestError(
            403,
            f"Without API keys, {request.path} opens at http://localhost only. To open it at "
            "another address, add a key with `leadscore keys add`.",
        )


def _id_of(headers: Headers) -> str:
    """Return the caller's X-Request-ID if it is well formed, else a new id."""
    sent_id = headers.get(b"x-request-id", b"").decode("latin-1")
    return sent_id if _request_id.fullmatch(sent_id) else f"{_process}{next(_number):012x}"
