"""Writes scores to the ledger in the background: in batches, from a bounded queue.

Answers do not promise that a score is stored. While the database is unavailable the queue keeps
as many scores as it can, and counts those that it drops. With each score, the writer also writes
the attributes, activities and stages that were sent with the lead. If no reasons were requested, it
computes the points of the signals first (`serving.ledger.later_points`).

In SQLite a writer locks the whole database. The threads of this process take turns. A writer of
another process looks for the lock at least every 0.1 seconds. So that it gets its turn, this writer
pauses for longer than that after each `TURN_SECONDS` of writing.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from crm.errors import LeadScoringError, LedgerError
from crm.ledger.entries import Batch, Row
from crm.ledger.ledger import Ledger
from serving.ledger.faults import LedgerFaults
from serving.ledger.later_points import LaterPoints, Unexplained
from serving.ledger.pending import PendingWrites

MAX_QUEUED: Final = 50_000  # scores and leads; activities and stages count less
EVENTS_PER_SCORE: Final = 4  # this many events take the memory of one score
ROWS_AT_ONCE: Final = 1_000  # in one transaction
GATHER_SECONDS: Final = 0.2
RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
TURN_SECONDS: Final = 0.5  # of writing without a pause
PAUSE_SECONDS: Final = 0.11

# In the order of writing.
TABLES: Final = ("leads", "activities", "stages", "scores", "shadow_scores")

log = logging.getLogger("leadscore")


class Waiting(NamedTuple):
    """A batch in the queue, or a piece of one; the pieces of a batch have the same number."""

    batch: Batch
    now: int
    number: int


class ScoreWriter:
    """Queues scores, and writes them in a thread.

    Parameters
    ----------
    ledger : Ledger
    faults : LedgerFaults, optional
        Gets the failures and successes of writing.
    pending : PendingWrites, optional
        Gets what is queued and what is written.
    max_queued : int
        The size of the queue, in scores and leads. Events count as parts of a score.

    Attributes
    ----------
    written, dropped : int
        Number of scores written, and of scores lost: the queue was full, the database refused
        the score for good, or the service ended while the database was unavailable. Scores of
        erased leads count as neither.
    dropped_shadows : int
        Number of shadow scores lost in the same ways.
    on_queued : callable
        Called with the number of queued scores whenever it changes.
    """

    def __init__(
        self,
        ledger: Ledger,
        faults: LedgerFaults | None = None,
        pending: PendingWrites | None = None,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self.written = 0
        self.dropped = 0
        self.dropped_shadows = 0
        self.on_queued: Callable[[int], None] = lambda queued: None
        self._ledger = ledger
        self._faults = faults or LedgerFaults()
        self._max_queued = max_queued
        self._pending = pending or PendingWrites()
        self._pending.hurry = self.hurry
        self._points = LaterPoints()
        self._is_hurried = False
        self._rows_at_once = ROWS_AT_ONCE  # fewer while the writer looks for a refused row
        self._waiting: deque[Waiting] = deque()
        self._rows = self._queued = 0
        self._load = 0.0
        self._changed = threading.Condition()
        self._end_by: float | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """The number of scores that wait to be written."""
        return self._queued

    def put(self, batch: Batch, now: int, unexplained: Unexplained | None = None) -> None:
        """Queue a batch, or drop it if the queue is full. This method never waits.

        An empty queue accepts a batch of any size. A batch that is too large for one transaction
        is written in several.

        Parameters
        ----------
        batch : Batch
        now : int
            Microseconds since 1970 UTC.
        unexplained : Unexplained, optional
            The leads of the scores whose points are to be computed.
        """
        with self._changed:
            is_full = self._load + _load(batch) > self._max_queued
            if self._end_by is not None or (is_full and self._waiting):
                self.dropped += len(batch.scores)
                self.dropped_shadows += len(batch.shadow_scores)
                return
            number = self._pending.add(batch)
            if unexplained is not None:
                self._points.keep(unexplained)
            pieces = _pieces(batch, ROWS_AT_ONCE)
            self._waiting.extend(Waiting(piece, now, number) for piece in pieces)
            self._rows += len(batch)
            self._load += _load(batch)
            self._count_queued(len(batch.scores))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="score-writer", daemon=True)
                self._thread.start()
            if len(self._waiting) == 1 or self._rows >= self._rows_at_once:
                self._changed.notify()

    def hurry(self) -> None:
        """Write what is queued now, without gathering more."""
        with self._changed:
            self._is_hurried = bool(self._waiting)
            self._changed.notify()

    def close(self, seconds: float = 5.0) -> None:
        """Write the queue for at most `seconds`, and count what could not be written as dropped."""
        with self._changed:
            self._end_by = time.monotonic() + seconds
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds + 1)
        with self._changed:
            self._is_closed = True
            self.dropped += self._queued
            self.dropped_shadows += sum(len(batch.shadow_scores) for batch, _, _ in self._waiting)
            if self._queued:
                log.error("scores were not written", extra={"count": self._queued})
            if self._waiting:
                self._pending.written(self._waiting[-1].number)  # they are lost; nobody waits
            for batch, _, _ in self._waiting:
                self._points.forget(batch.scores)
            self._waiting.clear()
            self._rows = 0
            self._count_queued(-self._queued)
            self._load = 0.0

    def _run(self) -> None:
        failures = 0
        turn = 0.0  # seconds of writing since the last pause
        while True:
            with self._changed:
                idle_from = time.monotonic()
                if turn >= TURN_SECONDS and self._ledger.database.has_one_writer:
                    self._changed.wait_for(self._is_ending, PAUSE_SECONDS)
                if failures:
                    self._changed.wait_for(self._is_ending, RETRY_SECONDS[min(failures, 4) - 1])
                else:
                    self._changed.wait_for(lambda: self._waiting or self._is_ending())
                    self._changed.wait_for(self._is_batch_ready, GATHER_SECONDS)
                self._is_hurried = False
                taken = self._taken()
                if not taken and self._is_ending():
                    return
            if self._has_time_for_points():
                self._points.compute([s for batch, _, _ in taken for s in batch.scores], self._rest)
            writing_from = time.monotonic()
            if writing_from - idle_from >= PAUSE_SECONDS:
                turn = 0.0
            if taken:
                failures = 0 if self._write(taken) else failures + 1
                turn += time.monotonic() - writing_from
            if failures and self._end_by is not None:
                if time.monotonic() > self._end_by:
                    return
                time.sleep(0.1)

    def _write(self, taken: list[Waiting]) -> bool:
        """Write some batches in one transaction. Return whether the database could be used.

        If the database refuses the batches for good, the next transactions are smaller, until the
        refused row is alone in one. Only this row is dropped.
        """
        joined = Batch(
            scores=self._points.completed([s for batch, _, _ in taken for s in batch.scores]),
            leads=[lead for batch, _, _ in taken for lead in batch.leads],
            activities=_recorded(taken, "activities"),
            stages=_recorded(taken, "stages"),
            shadow_scores=[score for batch, _, _ in taken for score in batch.shadow_scores],
        )
        written = lost = lost_shadows = 0
        try:
            written = self._ledger.add_batch(joined, taken[-1].now)
            self._faults.worked("written")
        except Exception as error:
            if isinstance(error, LeadScoringError) and not _is_refusal(error):
                self._faults.failed("written", error)
                return False
            if len(joined) > 1:
                self._rows_at_once = len(joined) // 2
                return True
            lost, lost_shadows = len(joined.scores), len(joined.shadow_scores)
            _log_refused(joined, error)
        self._rows_at_once = min(2 * self._rows_at_once, ROWS_AT_ONCE)
        self._points.forget(joined.scores)
        with self._changed:
            if self._is_closed:  # `close` did not wait, and has counted these scores as dropped
                return True
            for _ in taken:
                self._waiting.popleft()
            is_split = self._waiting and self._waiting[0].number == taken[-1].number
            self._pending.written(taken[-1].number - bool(is_split))
            self._rows -= len(joined)
            self._load -= _load(joined)
            self._count_queued(-len(joined.scores))
            self.written += written
            self.dropped += lost
            self.dropped_shadows += lost_shadows
        return True

    def _has_time_for_points(self) -> bool:
        """Whether scores may wait for their points: a lost score is worse than one without them."""
        if self._is_ending():
            return self._rows <= ROWS_AT_ONCE
        return self._load <= self._max_queued / 2

    def _rest(self, seconds: float) -> None:
        """Let answers go first, unless many scores wait, or somebody waits for them."""
        with self._changed:
            if self._rows <= ROWS_AT_ONCE:
                self._changed.wait_for(lambda: self._is_hurried or self._is_ending(), seconds)

    def _count_queued(self, change: int) -> None:
        self._queued += change
        self.on_queued(self._queued)

    def _taken(self) -> list[Waiting]:
        """Return the oldest batches that fit one transaction, or a piece of the oldest batch."""
        if self._waiting and len(self._waiting[0].batch) > self._rows_at_once:
            batch, now, number = self._waiting.popleft()
            pieces = [Waiting(piece, now, number) for piece in _pieces(batch, self._rows_at_once)]
            self._waiting.extendleft(reversed(pieces))
        taken: list[Waiting] = []
        rows = 0
        for waiting in self._waiting:
            rows += len(waiting.batch)
            if rows > self._rows_at_once:
                break
            taken.append(waiting)
        return taken

    def _is_ending(self) -> bool:
        return self._end_by is not None

    def _is_batch_ready(self) -> bool:
        return self._rows >= self._rows_at_once or self._is_hurried or self._is_ending()


def _recorded(taken: list[Waiting], table: str) -> list[Row]:
    """Return the events of some batches, each with the time of its own request."""
    return [{**row, "recorded_at": now} for batch, now, _ in taken for row in getattr(batch, table)]


def _load(batch: Batch) -> float:
    """Estimate the memory of a batch, in scores."""
    events = len(batch.activities) + len(batch.stages)
    scores = len(batch.scores) + len(batch.shadow_scores)
    return scores + len(batch.leads) + events / EVENTS_PER_SCORE


def _pieces(batch: Batch, most: int) -> Iterator[Batch]:
    """Split a batch that has more than `most` rows, which is too large for one transaction."""
    if len(batch) <= most:
        yield batch
        return
    for table in TABLES:
        rows = getattr(batch, table)
        for start in range(0, len(rows), most):
            yield Batch(**{table: rows[start : start + most]})


def _is_refusal(error: LeadScoringError) -> bool:
    return isinstance(error, LedgerError) and not error.is_passing


def _log_refused(batch: Batch, error: Exception) -> None:
    """Log why the database refused a row for good, its table, and the request that it is from."""
    (table,) = (name for name in TABLES if getattr(batch, name))
    extra = {"fault": str(error) if isinstance(error, LedgerError) else type(error).__name__}
    if isinstance(error, LedgerError):
        extra["cause"] = error.cause
    for score in batch.scores:
        extra["request_id"] = score.request_id
    log.error("a row of the table %s was refused and dropped", table, extra=extra)
