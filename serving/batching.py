"""Micro-batches: requests that have arrived together are scored together.

A lead in a batch costs half as much as a lead alone. No request waits for requests that have not
arrived yet. If several requests have arrived, each adds its leads to the batch, and the event loop
reads the next request. The batch is scored when all of them are read.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.scorer import LeadCells, LeadScorer, Score

MAX_BATCH_COST = 64  # in leads; a larger batch would delay the answers that are ready
EVENTS_PER_LEAD = 8  # this many activities and stages take as long to score as one lead


@dataclass(frozen=True)
class PendingRequest:
    """A pending request: its leads, their cost, and the future that gets the scores."""

    scorer: LeadScorer
    leads: Sequence[LeadCells]
    cost: float
    as_of: int
    n_reasons: int
    scores: "asyncio.Future[list[Score]]"


class MicroBatcher:
    """Scores the leads of requests, several requests at once if several have arrived.

    Each lead gets the same score as alone, to the last bit: the scorer guarantees it.

    Parameters
    ----------
    others_in_flight : callable
        Returns whether other requests are being answered too.
    """

    def __init__(self, others_in_flight: Callable[[], bool]) -> None:
        self._others_in_flight = others_in_flight
        self._pending: list[PendingRequest] = []

    async def score(
        self, scorer: LeadScorer, leads: Sequence[LeadCells], as_of: int, n_reasons: int
    ) -> list[Score]:
        """Score leads as of one moment. The arguments are those of `LeadScorer.score_leads`."""
        if not self._pending and not self._others_in_flight():
            return scorer.score_leads(leads, as_of, n_reasons)
        loop = asyncio.get_running_loop()
        n_events = sum(len(lead.activities) + len(lead.stages) for lead in leads)
        cost = cost_in_leads(len(leads), n_events)
        request = PendingRequest(
            scorer=scorer,
            leads=leads,
            cost=cost,
            as_of=as_of,
            n_reasons=n_reasons,
            scores=loop.create_future(),
        )
        if not self._pending:
            loop.call_soon(self._score_pending)  # after requests that can be read now
        self._pending.append(request)
        if sum(pending.cost for pending in self._pending) >= MAX_BATCH_COST:
            self._score_pending()
        return await request.scores

    def _score_pending(self) -> None:
        pending, self._pending = self._pending, []
        batches: dict[tuple[int, int], list[PendingRequest]] = {}
        for request in pending:
            if not request.scores.done():  # a request that is cancelled cancels its future
                batches.setdefault((id(request.scorer), request.n_reasons), []).append(request)
        for batch in batches.values():
            try:
                _score_batch(batch)
            except Exception:  # one request fails; the other requests still get their scores
                for request in batch:
                    _score_alone(request)


def cost_in_leads(n_leads: int, n_events: int) -> float:
    """Estimate the cost of scoring, in leads.

    Examples
    --------
    >>> cost_in_leads(n_leads=2, n_events=12)
    3.5
    """
    return n_leads + n_events / EVENTS_PER_LEAD


def _score_batch(batch: Sequence[PendingRequest]) -> None:
    """Score the leads of requests with the same scorer and the same number of reasons."""
    scorer, n_reasons = batch[0].scorer, batch[0].n_reasons
    leads = [lead for request in batch for lead in request.leads]
    as_of = np.repeat(
        [request.as_of for request in batch], [len(request.leads) for request in batch]
    )
    scores = iter(scorer.score_leads(leads, as_of, n_reasons))
    scores_by_request = [[next(scores) for _ in request.leads] for request in batch]
    for request, own_scores in zip(batch, scores_by_request, strict=True):
        request.scores.set_result(own_scores)


def _score_alone(request: PendingRequest) -> None:
    try:
        _score_batch([request])
    except Exception as error:
        request.scores.set_exception(error)
