"""The entry point of the scoring service for BentoML. `serving.app` answers the requests.

BentoML packs the service, starts its workers and stores the models. Requests go to `serving.app`
without passing through its framework: docs/decisions/0013.

A Bento is pinned to the model that its build found: the one named by
`bentoml build --arg model=TAG`, or the newest of the store. Outside a Bento the newest model is
served. With the setting `takeover`, the champion of the same name is served instead, from the
start and after each promotion. The supervisor loads the pinned model once before the service
binds its port, so that a model that does not verify ends the start with one message.
"""

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import bentoml
import pydantic
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel

from crm.errors import ConfigError, LeadScoringError, LedgerError
from crm.ledger.ledger import Ledger
from serving.app import ScoringApp
from serving.bento.private_api import Service, forget_tracking_choice, pinned_tag
from serving.bento.store import (
    STORE_NAME,
    load_from_store,
    named_champion,
    named_shadow,
    stored_name,
)
from serving.bento.takeover import SHADOW, TakeOver
from serving.http.connection import bound_connections
from serving.http.keys import KeyRing
from serving.http.logs import AccessLog, configure_logs
from serving.http.prometheus import QueuedScores, publish, published
from serving.http.report_files import check_report_folder
from serving.http.security import is_loopback
from serving.settings import Settings, check_keys_file, keys_file, read_settings

SHARED = "LEADSCORE_SHARED_FOLDER"  # that of the workers: counts, waiting entries, keys needed
TICK_SECONDS = 0.5
SWITCH_SECONDS = 0.001  # a thread that scores delays the event loop by at most about this

log = logging.getLogger("leadscore")


class BuildArguments(pydantic.BaseModel):
    """The arguments of `bentoml build --arg`."""

    model: str = f"{STORE_NAME}:latest"


class DirectService(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose requests go to `ScoringApp` alone."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Build an application that leaves only the start and the end to BentoML."""
        bound_connections()
        framework = super().to_asgi(is_main=is_main)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            target = framework if scope["type"] == "lifespan" else scoring
            await target(scope, receive, send)

        return application


def _disable_tracking() -> None:
    """Turn off BentoML's reports. Its command line has cached the setting before this runs."""
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    forget_tracking_choice()


def _workers() -> int:
    """Read the number of workers. `Leadscore.check` refuses an invalid setting later."""
    try:
        return read_settings(os.environ).workers
    except ConfigError:
        return 1


_disable_tracking()
arguments = bentoml.use_arguments(BuildArguments)
scoring = ScoringApp(Settings())


@bentoml.service(
    name=STORE_NAME,
    service_class=DirectService,
    workers=_workers(),
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
)
class Leadscore:
    """Scores leads by how likely they are to convert."""

    model = BentoModel(arguments.model)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def check() -> None:
        """Check settings, keys, ledger and model. If one is invalid, end with one message."""
        os.environ[SHARED] = tempfile.mkdtemp(prefix="leadscore-shared-")
        atexit.register(shutil.rmtree, os.environ[SHARED], ignore_errors=True)
        try:
            settings = read_settings(os.environ)
            check_keys_file(settings)
            _check_report_folder(settings.report_dir)
            keys = _key_ring(settings)
            if settings.host and not is_loopback(settings.host) and not len(keys):
                raise ConfigError(
                    f"Other machines can reach {settings.host}, and there are no API keys. Add "
                    "one with `leadscore keys add`, or listen on 127.0.0.1."
                )
            if settings.ledger_url:
                _open_ledger(settings.ledger_url)
            load_from_store(pinned_tag(Leadscore))
        except LeadScoringError as error:
            raise BentoMLException(f"leadscore refuses to start: {error}") from None
        configure_logs()

    def __init__(self) -> None:
        """Load the model in a worker."""
        configure_logs()
        sys.setswitchinterval(SWITCH_SECONDS)
        settings = read_settings(os.environ)
        keys = _key_ring(settings)
        worker = str(bentoml.server_context.worker_index or 1)
        log = AccessLog(sys.stdout.fileno()) if settings.access_log else None
        scoring.configure(settings, keys, worker, log)
        ledger = Ledger(settings.ledger_url) if settings.ledger_url else None
        scoring.calls.use_ledger(ledger, _shared_folder())
        pinned = pinned_tag(Leadscore)
        scoring.model = load_from_store(pinned)
        self._upkeep = _Upkeep(scoring, keys, settings, pinned)
        gc.collect()
        gc.freeze()

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Start the upkeep."""
        await self._upkeep.begin()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def end(self) -> None:
        """End the upkeep, and write all queued scores, log lines and counts."""
        await self._upkeep.end()


def _key_ring(settings: Settings) -> KeyRing:
    """Read the keys. A worker that starts later needs keys if an earlier one needed them."""
    shared = _shared_folder()
    marker = shared / "keys-needed" if shared is not None else None
    return KeyRing(keys_file(settings), bool(settings.keys_file), marker)


def _shared_folder() -> Path | None:
    return Path(os.environ[SHARED]) if SHARED in os.environ else None


def _open_ledger(url: str) -> None:
    """Prepare the ledger. If the database is unavailable now, only log it: it may come back."""
    with Ledger(url) as ledger:
        try:
            ledger.database.prepare()
        except LedgerError as error:
            configure_logs()
            log.error("the ledger cannot be opened at the start", extra={"fault": str(error)})


def _check_report_folder(name: str) -> None:
    """Check the folder of the report. If its disk does not answer, only log it."""
    if not check_report_folder(name):
        configure_logs()
        log.warning("the folder of the report does not answer at the start")


class _Upkeep:
    """The work of a worker besides answering requests: twice a second, and at its end."""

    def __init__(self, app: ScoringApp, keys: KeyRing, settings: Settings, pinned: str) -> None:
        self._app = app
        self._keys = keys
        self._settings = settings
        self._shared = _shared_folder()
        self._tasks: list[asyncio.Task[None]] = []
        self._takeover = TakeOver(
            champion_tag=partial(named_champion, stored_name(pinned)),
            load=load_from_store,
            swap=partial(setattr, app, "model"),
            current_tag=pinned,
            count=app.metrics.count_event,
        )
        self._shadow: TakeOver | None = None
        if app.calls.shadow is not None:
            self._shadow = TakeOver(
                champion_tag=partial(named_shadow, stored_name(pinned), settings.shadow),
                load=load_from_store,
                swap=partial(setattr, app.calls.shadow, "model"),
                current_tag="",
                count=app.metrics.count_event,
                role=SHADOW,
            )
        if self._shared is not None:
            app.other_workers = partial(published, self._shared)
            if app.calls.score_writer is not None:
                app.calls.score_writer.on_queued = QueuedScores(self._shared).write

    async def begin(self) -> None:
        if self._settings.takeover:
            await self._takeover.check()
        await self._check_shadow()
        self._tasks = [asyncio.create_task(self._tick())]
        if self._app.calls.ledger.ledger is not None:
            self._tasks.append(asyncio.create_task(self._app.calls.ledger.open()))
        earlier = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()

        def drain(number: int, frame: Any) -> None:
            if self._app.is_draining or not callable(earlier):
                return
            self._app.is_draining = True
            seconds = self._settings.drain_seconds
            loop.call_soon_threadsafe(loop.call_later, seconds, earlier, number, frame)

        with contextlib.suppress(ValueError):  # outside the main thread there are no signals
            signal.signal(signal.SIGTERM, drain)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await anyio.to_thread.run_sync(self._app.calls.close)
        self._app.flush()
        self._publish()

    async def _tick(self) -> None:
        while True:
            try:
                await self._run_once()
            except Exception:
                log.exception("the worker's upkeep failed")
            await asyncio.sleep(TICK_SECONDS)

    async def _run_once(self) -> None:
        self._app.flush()
        self._keys.refresh()
        self._app.calls.ledger.pending.find_others()
        if self._settings.takeover:
            await self._takeover.check()
            self._app.fault = self._takeover.fault
        await self._check_shadow()
        self._publish()

    async def _check_shadow(self) -> None:
        if self._shadow is not None and self._app.calls.shadow is not None:
            await self._shadow.check()
            self._app.calls.shadow.fault = self._shadow.fault

    def _publish(self) -> None:
        if self._shared is not None:
            publish(self._shared, self._app.series())
