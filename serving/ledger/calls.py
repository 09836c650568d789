"""The calls that store, show and erase leads in the ledger.

Separate threads read and write the database, never the event loop, so that a slow or unavailable
database delays no other request.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import UNSET

from crm.errors import LeadScoringError, LedgerError
from crm.lanes import Lanes
from crm.ledger.entries import GivenScore, LeadOverview, NewestEvents, StoredLead
from crm.ledger.ledger import Ledger
from crm.ledger.long_history import HistoryQuery, LongHistory
from crm.ledger.trend import trend
from crm.tables import EVENT_TABLES
from features.times import time_text
from serving.errors import RequestError
from serving.ledger.changes import change_answer
from serving.ledger.faults import LedgerFaults, Work
from serving.ledger.pending import EVERYTHING, WAIT_SECONDS, PendingWrites
from serving.payloads.answers import (
    ActivityCount,
    ChangeAnswer,
    ErasedAnswer,
    ItemWarning,
    LeadAnswer,
    PastScore,
    ReasonAnswer,
    StoredAnswer,
    StoredItem,
    Trend,
    item_error,
)
from serving.payloads.columns import StoredOutcome, StoredStage
from serving.payloads.events import read_items, read_lead_id
from serving.payloads.plausibility import stored_warnings
from serving.served_model import ServedModel

THREADS: Final = 6  # the ledger has 8 connections
LONG_READS: Final = 2  # of leads with very many events, besides `THREADS`
READS: Final = 4  # of many leads at once; the other threads write
READ_SECONDS: Final = 5.0  # after this time, leads are scored without the ledger
SLOW_SECONDS: Final = 0.1  # after this time, a read of many leads does not hold up the next one
OPEN_AGAIN_SECONDS: Final = 5.0
MISSING_HERE: Final = ItemWarning(
    "not_yet_written",
    None,
    "scores, activities or attributes of this lead that were sent a moment ago are missing here: "
    "they wait to be written, usually for less than a second",
)

log = logging.getLogger("leadscore")

Result = TypeVar("Result")


class _ReadLead(NamedTuple):
    """What `/lead` reads about a lead."""

    stored: LeadOverview
    scores: list[GivenScore]
    by_day: list[tuple[int, int]]
    change: ChangeAnswer | None


class LedgerCalls:
    """Answers the calls about the ledger.

    Parameters
    ----------
    ledger : Ledger or None
        None if there is no ledger; then every call is refused.
    pending : PendingWrites, optional

    Attributes
    ----------
    faults : LedgerFaults
        The work that fails at the moment.
    pending : PendingWrites
        What waits to be written, in all workers.
    """

    def __init__(self, ledger: Ledger | None, pending: PendingWrites | None = None) -> None:
        self.ledger = ledger
        self.faults = LedgerFaults()
        self.pending = pending or PendingWrites()
        self._threads = anyio.CapacityLimiter(THREADS)
        self._next_lead_ids: dict[str, None] = {}  # an ordered set
        self._next_read: asyncio.Task[dict[str, StoredLead]] | None = None
        self._next_since = 0.0
        self._newest_read: asyncio.Future[dict[str, StoredLead]] | None = None
        self._few_reads = asyncio.Semaphore(READS)
        self._long_reads = anyio.CapacityLimiter(LONG_READS)

    async def open(self) -> None:
        """Open the ledger and check its rights; repeat this until it succeeds.

        So a fault of the ledger shows before the first request needs the ledger.
        """
        ledger = self._open()

        def check() -> None:
            ledger.database.prepare()
            ledger.database.check_rights()

        while True:
            try:
                await self._in_thread(check)
            except LeadScoringError as error:
                self.faults.failed("opened", error)
            else:
                self.faults.worked("opened")
                return
            await asyncio.sleep(OPEN_AGAIN_SECONDS)

    async def add(
        self, table: str, model: ServedModel, body: bytes, now: int, request_id: str
    ) -> StoredAnswer:
        """Store activities, stages or outcomes. The answer has the status of each item, in order.

        Events that are unlikely, such as an outcome that is not among the model's `outcome_words`,
        are stored with the warnings of `serving.payloads.plausibility`.

        Raises
        ------
        RequestError
            422 if no item can be read; 503 if the ledger cannot store them now.
        """
        ledger = self._open()
        items = read_items(table, body)
        rows = [item for item in items if not isinstance(item, RequestError)]
        errors = [item for item in items if isinstance(item, RequestError)]
        if errors and not rows:
            raise errors[0]
        added = iter(await self._run(lambda: ledger.add(table, rows, now), "written"))
        answers: list[StoredItem] = []
        for item in items:
            if isinstance(item, RequestError):
                answers.append(StoredItem(None, "invalid", error=item_error(item)))
            else:
                row = next(added)
                warnings = stored_warnings(table, item, model.outcome_words, now)
                answers.append(StoredItem(row.id, row.status, warnings=warnings or UNSET))
        counts = Counter(answer.status for answer in answers)
        return StoredAnswer(
            accepted=counts["accepted"],
            duplicate=counts["duplicate"],
            conflict=counts["conflict"],
            erased=counts["erased"],
            invalid=counts["invalid"],
            items=answers,
            request_id=request_id,
            model=model.identity,
        )

    async def lead(self, model: ServedModel, body: bytes, request_id: str) -> LeadAnswer:
        """Return everything stored about a lead: last score, reasons, trend, history, events.

        The answer waits for what this service scored or received before, for up to a second. If
        that is not written by then, there is a warning.

        Raises
        ------
        RequestError
            404 if nothing is stored; 503 if the ledger cannot be read now, or everything about the
            lead waits to be written.
        """
        ledger = self._open()
        lead_id = read_lead_id(body)
        is_complete = await self.wait_until_written([lead_id], EVERYTHING)

        def read() -> _ReadLead:
            scores = ledger.scores_of(lead_id)
            change = change_answer(model, ledger, lead_id, scores)
            by_day = ledger.scores_by_day(lead_id)
            return _ReadLead(ledger.overview(lead_id), scores, by_day, change)

        stored, scores, by_day, change = await self._run(read, "read")
        if stored.is_empty and not scores and not is_complete:
            raise RequestError(
                503,
                "What was sent about this lead waits to be written to the ledger. Repeat the "
                "request in a few seconds.",
            )
        if stored.is_empty and not scores:
            raise RequestError(
                404, "The ledger has no data about this lead. Check its id.", "lead_id"
            )
        direction, points = trend(by_day)
        created_at = stored.sent.created_at if stored.sent else None
        return LeadAnswer(
            lead_id=lead_id,
            created_at=None if created_at is None else time_text(created_at),
            attributes=dict(stored.sent.attributes) if stored.sent else None,
            last_score=_past_score(scores[0], with_reasons=True) if scores else None,
            trend=Trend(direction, points),
            change=change,
            history=[_past_score(score) for score in scores],
            activities=_activity_count(stored.activities),
            stages=_stored_events("stages", StoredStage, stored.stages.rows),
            stages_count=stored.stages.count,
            outcomes=_stored_events("outcomes", StoredOutcome, stored.outcomes.rows),
            outcomes_count=stored.outcomes.count,
            warnings=[] if is_complete else [MISSING_HERE],
            request_id=request_id,
            model=model.identity,
        )

    async def erase(
        self, model: ServedModel, body: bytes, now: int, request_id: str
    ) -> ErasedAnswer:
        """Erase a lead. Nothing about it is stored from now on, even if nothing was stored before.

        Raises
        ------
        RequestError
            503 if the ledger cannot erase it now.
        """
        ledger = self._open()
        lead_id = read_lead_id(body)
        deleted = await self._run(lambda: ledger.forget(lead_id, now), "erased")
        return ErasedAnswer(lead_id, True, deleted, request_id, model.identity)

    async def wait_until_written(self, lead_ids: Sequence[str], kinds: Sequence[int]) -> bool:
        """Wait until what was sent about leads before is written; return whether it is.

        While this worker cannot write, this does not wait.
        """
        seconds = 0.0 if "written" in self.faults.causes else WAIT_SECONDS
        return await self.pending.wait_until_written(lead_ids, kinds, seconds)

    async def stored_leads(self, lead_ids: Sequence[str]) -> dict[str, StoredLead] | None:
        """Read what the ledger stores about leads to be scored; None if it cannot be read now.

        Requests that arrive during a read share the next one: reading many leads takes little
        longer than reading one. So the result may contain the leads of other requests too. A read
        that takes longer than `SLOW_SECONDS` does not hold up the next one. If the next one cannot
        begin for `READ_SECONDS`, because no read ends, further requests do not wait for it.
        """
        if self.ledger is None or not lead_ids:
            return {}
        if self._next_read is not None and time.monotonic() - self._next_since > READ_SECONDS:
            return None
        self._next_lead_ids |= dict.fromkeys(lead_ids)
        if self._next_read is None:
            self._next_since = time.monotonic()
            self._next_read = asyncio.create_task(self._read_next(self.ledger))
            self._next_read.add_done_callback(_retrieve_exception)
        try:
            async with asyncio.timeout(READ_SECONDS):
                stored = await asyncio.shield(self._next_read)
        except LeadScoringError as error:
            self.faults.failed("read", error)
            return None
        except TimeoutError:
            problem = "The ledger's database takes too long to read."
            self.faults.failed("read", LedgerError(problem, cause="locked"))
            return None
        self.faults.worked("read")
        return stored

    async def _read_next(self, ledger: Ledger) -> dict[str, StoredLead]:
        if self._newest_read is not None and not self._newest_read.done():
            await asyncio.wait([self._newest_read], timeout=SLOW_SECONDS)
        async with self._few_reads:
            lead_ids, self._next_lead_ids, self._next_read = list(self._next_lead_ids), {}, None
            read = asyncio.ensure_future(self._in_thread(partial(ledger.stored_leads, lead_ids)))
            self._newest_read = read
            return await read

    async def long_history(self, query: HistoryQuery, end: float) -> LongHistory | None:
        """Read the totals of a lead with very many events; None if they cannot be read now.

        Few of these reads run at once, so that they leave connections to other work.

        Parameters
        ----------
        query : HistoryQuery
        end : float
            The time at which the read is given up, on the clock of `time.monotonic`.

        Returns
        -------
        LongHistory or None
        """
        ledger = self._open()

        def read() -> LongHistory:
            return ledger.long_history(query, end - time.monotonic())

        fault = "no time is left"
        try:
            async with asyncio.timeout(end - time.monotonic()):
                return await self._in_thread(read, self._long_reads)
        except LeadScoringError as error:
            fault = str(error)
        except TimeoutError:
            pass
        log.warning("the history of a lead cannot be read", extra={"fault": fault})
        return None

    async def lanes(self, share: float) -> Lanes | None:
        """Read the key of the lanes; None if the ledger cannot be read now."""
        ledger = self._open()
        try:
            return await self._in_thread(partial(ledger.lanes, share))
        except LeadScoringError as error:
            self.faults.failed("read", error)
            return None

    def _open(self) -> Ledger:
        if self.ledger is None:
            raise RequestError(
                404,
                "This service stores nothing, because it has no ledger. Set LEADSCORE_LEDGER_URL.",
            )
        return self.ledger

    async def _run(self, work: Callable[[], Result], kind: Work) -> Result:
        try:
            result = await self._in_thread(work)
        except LeadScoringError as error:
            if isinstance(error, LedgerError) and not error.is_passing:
                raise
            self.faults.failed(kind, error)
            raise RequestError(
                503,
                "The ledger cannot answer now, so nothing of this request is acknowledged. "
                "Repeat it in a few seconds; what is stored already is not stored twice.",
            ) from error
        self.faults.worked(kind)
        return result

    async def _in_thread(
        self, work: Callable[[], Result], limiter: anyio.CapacityLimiter | None = None
    ) -> Result:
        return await anyio.to_thread.run_sync(
            work, limiter=limiter or self._threads, abandon_on_cancel=True
        )


def _retrieve_exception(read: "asyncio.Task[dict[str, StoredLead]]") -> None:
    """Retrieve a read's exception, in case all requests that wait for it have been cancelled."""
    if not read.cancelled():
        read.exception()


def _past_score(score: GivenScore, with_reasons: bool = False) -> PastScore:
    return PastScore(
        as_of=time_text(score.as_of),
        probability=score.probability,
        score=score.score,
        grade=score.grade,
        model_version=score.version,
        reasons=[ReasonAnswer(**reason) for reason in score.reasons] if with_reasons else UNSET,
    )


def _activity_count(stored: NewestEvents) -> ActivityCount:
    newest = time_text(stored.rows[-1]["occurred_at"]) if stored.rows else None
    return ActivityCount(stored.count, newest)


def _stored_events(
    table: str, kind: type[Result], rows: Sequence[Mapping[str, Any]]
) -> list[Result]:
    """Return a lead's rows of a table as they are in an answer."""
    declared = EVENT_TABLES[table]
    events = []
    for row in rows:
        cells = {column.name: row[column.name] for column in declared.columns[1:]}
        if (time := cells[declared.event_time]) is not None:
            cells[declared.event_time] = time_text(time)
        events.append(msgspec.convert(cells, type=kind))
    return events
