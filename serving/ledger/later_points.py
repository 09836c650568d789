"""Computes the points of scores that were answered without reasons, before they are stored.

Points cost more than a score without them, so an answer that does not need them does not wait for
them. The writer of scores computes them behind the answers, a few leads at once, and rests after
each of these batches, so that answers are hardly delayed.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from crm.ledger.entries import GivenScore
from models.scorer import LeadCells, LeadScorer
from serving.batching import cost_in_leads

COST_AT_ONCE: Final = 16.0  # in leads; it takes about two milliseconds
REST: Final = 9.0  # after each batch, in times of its processor time: a tenth of a core

log = logging.getLogger("leadscore")


class Unexplained(NamedTuple):
    """Leads whose scores have no points yet, by the id of the score, and the model's scorer."""

    scorer: LeadScorer
    leads: Mapping[str, LeadCells]


class LaterPoints:
    """The leads whose scores wait for their points."""

    def __init__(self) -> None:
        self._leads: dict[str, tuple[LeadScorer, LeadCells]] = {}
        self._explained: dict[str, GivenScore] = {}
        self._is_failure_logged = False

    def __len__(self) -> int:
        return len(self._leads)

    def keep(self, unexplained: Unexplained) -> None:
        """Keep leads until their scores are written."""
        scorer = unexplained.scorer
        self._leads.update({key: (scorer, lead) for key, lead in unexplained.leads.items()})

    def compute(self, scores: Sequence[GivenScore], rest: Callable[[float], None]) -> None:
        """Compute the points of scores that have none yet, and keep them until they are written.

        Parameters
        ----------
        scores : sequence of GivenScore
        rest : callable
            Called with the seconds to rest after each batch.
        """
        kept = [(score, self._leads.get(score.score_id)) for score in scores]
        waiting = [
            _Waiting(score, *lead)
            for score, lead in kept
            if lead is not None and score.score_id not in self._explained
        ]
        for batch in _batches(waiting):
            began = time.thread_time()
            try:
                self._compute(batch)
            except Exception as error:  # the scores are stored without points
                if not self._is_failure_logged:
                    log.error("points were not computed", extra={"fault": type(error).__name__})
                self._is_failure_logged = True
            rest(REST * (time.thread_time() - began))

    def completed(self, scores: Sequence[GivenScore]) -> list[GivenScore]:
        """Return scores with the points that are computed."""
        return [self._explained.get(score.score_id, score) for score in scores]

    def forget(self, scores: Sequence[GivenScore]) -> None:
        """Forget leads whose scores are written or lost."""
        for score in scores:
            self._leads.pop(score.score_id, None)
            self._explained.pop(score.score_id, None)

    def _compute(self, batch: Sequence["_Waiting"]) -> None:
        scorer = batch[0].scorer
        as_of = np.array([waiting.score.as_of for waiting in batch], dtype=np.int64)
        parts = scorer.parts_of_leads([waiting.lead for waiting in batch], as_of)
        for (score, _, _), points in zip(batch, parts.of_signals.tolist(), strict=True):
            self._explained[score.score_id] = replace(
                score, start=parts.start, points=signal_points(scorer.reasoner.signals, points)
            )


class _Waiting(NamedTuple):
    score: GivenScore
    scorer: LeadScorer
    lead: LeadCells


def _batches(waiting: Sequence[_Waiting]) -> Iterator[list[_Waiting]]:
    """Split scores into batches of one scorer that cost at most `COST_AT_ONCE`, or of one lead."""
    batch: list[_Waiting] = []
    cost = 0.0
    for next_one in waiting:
        lead = next_one.lead
        of_lead = cost_in_leads(1, len(lead.activities) + len(lead.stages))
        is_other = batch and batch[0].scorer is not next_one.scorer
        if batch and (is_other or cost + of_lead > COST_AT_ONCE):
            yield batch
            batch, cost = [], 0.0
        batch.append(next_one)
        cost += of_lead
    if batch:
        yield batch


def signal_points(signals: Sequence[str], points: Sequence[float]) -> dict[str, float]:
    """Return the points by signal, without signals of 0 points.

    Examples
    --------
    >>> signal_points(["source", "visits"], [0.0, -2.25])
    {'visits': -2.25}
    """
    return {signal: part for signal, part in zip(signals, points, strict=True) if part}
