"""Scores leads with a second model, the shadow, behind the answers.

The scores of the shadow are stored beside the given ones and never returned. A thread computes them
after the answers, a few leads at once, and rests after each of these batches for much longer than
it took, so that answers are hardly delayed. Leads that do not fit in its queue are dropped.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from crm.ledger.entries import Batch, GivenScore, ShadowScore
from models.scorer import LeadCells
from serving.batching import cost_in_leads
from serving.ledger.score_writer import ScoreWriter
from serving.served_model import ServedModel

MAX_QUEUED: Final = 10_000  # the cost of the waiting leads, in leads without events
COST_AT_ONCE: Final = 16.0  # of a batch; it takes about a millisecond
GATHER_SECONDS: Final = 0.2  # from the first lead that waits to its batch
REST: Final = 24.0  # the rest after a batch, in times of its processor time: a share of 4 %
END_SECONDS: Final = 1.0  # for the waiting leads when the worker ends

log = logging.getLogger("leadscore")


class WaitingLead(NamedTuple):
    """A lead as it was scored, its given score, and what it costs to score it again."""

    lead: LeadCells
    given: GivenScore
    cost: float


class Shadow:
    """Scores given leads again with the shadow model.

    Parameters
    ----------
    writer : ScoreWriter
        Writes the scores.
    max_queued : float
        The largest cost of waiting leads, in leads without events.

    Attributes
    ----------
    model : ServedModel or None
        None while it is not loaded: then leads are dropped.
    fault : str or None
        Why the model is not loaded.
    scored, dropped : int
        Number of leads that were scored, and of those that were not: there was no model, the queue
        was full, the model failed, or the worker ended.
    """

    def __init__(self, writer: ScoreWriter, max_queued: float = MAX_QUEUED) -> None:
        self.model: ServedModel | None = None
        self.fault: str | None = None
        self.scored = 0
        self.dropped = 0
        self._writer = writer
        self._max_queued = max_queued
        self._waiting: deque[WaitingLead] = deque()
        self._cost = 0.0
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._end_by = math.inf
        self._failed_digest = ""  # of the model whose failure was logged
        self._thread: threading.Thread | None = None

    def put(
        self, answered_by: ServedModel, leads: Sequence[LeadCells], given: Sequence[GivenScore]
    ) -> None:
        """Queue leads that were answered, or drop those for which there is no room.

        This method never waits. It does nothing if the shadow is the model that answered.

        Parameters
        ----------
        answered_by : ServedModel
            The model that gave the scores.
        leads : sequence of LeadCells
            The leads as that model scored them.
        given : sequence of GivenScore
            Their scores, in the same order.
        """
        model = self.model
        if model is not None and model.digest == answered_by.digest:
            return
        with self._changed:
            was_empty = not self._waiting
            for lead, score in zip(leads, given, strict=True):
                cost = cost_in_leads(1, len(lead.activities) + len(lead.stages))
                is_full = self._cost + cost > self._max_queued
                if model is None or is_full or self._ending.is_set():
                    self.dropped += 1
                    continue
                self._waiting.append(WaitingLead(lead, score, cost))
                self._cost += cost
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()
            if was_empty:  # waking the thread more often would delay answers
                self._changed.notify()

    def close(self, seconds: float = END_SECONDS) -> None:
        """Score what waits for at most `seconds`, and count the rest as dropped."""
        with self._changed:
            self._end_by = time.monotonic() + seconds
            self._ending.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds + 1)
        with self._changed:
            self.dropped += len(self._waiting)
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending.is_set())
            self._ending.wait(GATHER_SECONDS)
            while taken := self._taken():
                began = time.thread_time()
                self._score(taken)
                self._ending.wait(REST * (time.thread_time() - began))
            if self._ending.is_set():
                return

    def _score(self, taken: list[WaitingLead]) -> None:
        """Score some leads and queue their scores; leads that cannot be scored are dropped."""
        model = self.model
        if model is None:
            self._count(dropped=len(taken))
            return
        as_of = np.array([waiting.given.as_of for waiting in taken], dtype=np.int64)
        try:
            scores = model.scorer.score_leads([waiting.lead for waiting in taken], as_of)
        except Exception as error:  # the shadow may fail in any way, and answers go on
            if len(taken) > 1:  # the others are scored
                for waiting in taken:
                    self._score([waiting])
                return
            self._count(dropped=len(taken))
            if self._failed_digest != model.digest:
                self._failed_digest = model.digest
                extra = {"model": model.version, "fault": type(error).__name__}
                log.error("the shadow model failed; further failures are only counted", extra=extra)
            return
        shadow_scores = [
            ShadowScore(
                lead_id=given.lead_id,
                score_id=given.score_id,
                as_of=given.as_of,
                probability=score.probability,
                score=score.score,
                grade=score.grade,
                model=model.scorer.card.name,
                version=model.version,
                digest=model.short_digest,
                recorded_at=given.recorded_at,
            )
            for (_, given, _), score in zip(taken, scores, strict=True)
        ]
        self._count(scored=len(taken))
        self._writer.put(Batch(shadow_scores=shadow_scores), taken[-1].given.recorded_at)

    def _count(self, scored: int = 0, dropped: int = 0) -> None:
        with self._changed:
            self.scored += scored
            self.dropped += dropped

    def _taken(self) -> list[WaitingLead]:
        """Take the oldest leads that cost about as much as a batch may; none if time is over."""
        with self._changed:
            if time.monotonic() > self._end_by:
                return []
            taken: list[WaitingLead] = []
            cost = 0.0
            while self._waiting and (not taken or cost + self._waiting[0].cost <= COST_AT_ONCE):
                taken.append(self._waiting.popleft())
                cost += taken[-1].cost
            self._cost -= cost
            return taken
