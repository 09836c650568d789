"""Scores what arrived together in one go: a lead among others costs half of what it costs alone.

Nobody waits for others to come. Where several requests have arrived already, each leaves its
leads and lets the next one be read; when all are read, all are scored.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.scorer import LeadCells, LeadScorer, Score

LEADS_AT_ONCE = 64  # more would hold up the answers of those that are done
EVENTS_LIKE_A_LEAD = 8  # so many activities and stages take as long as a lead


@dataclass(frozen=True)
class Asked:
    """The leads of one request, of how many they are worth the work, and who awaits them."""

    scorer: LeadScorer
    leads: Sequence[LeadCells]
    worth: float
    as_of: int
    n_reasons: int
    scores: "asyncio.Future[list[Score]]"


class Together:
    """Scores the leads of requests, of several at once where several have arrived.

    Each lead gets what it would get alone, to the last bit: that is a law of the scorer.

    Parameters
    ----------
    has_company : callable
        Tells whether other requests are at work as well.
    """

    def __init__(self, has_company: Callable[[], bool]) -> None:
        self._has_company = has_company
        self._waiting: list[Asked] = []

    async def score(
        self, scorer: LeadScorer, leads: Sequence[LeadCells], as_of: int, n_reasons: int
    ) -> list[Score]:
        """Score leads as of one moment; arguments are those of `LeadScorer.score_leads`."""
        if not self._waiting and not self._has_company():
            return scorer.score_leads(leads, as_of, n_reasons)
        loop = asyncio.get_running_loop()
        events = sum(len(lead.activities) + len(lead.stages) for lead in leads)
        worth = len(leads) + events / EVENTS_LIKE_A_LEAD
        asked = Asked(scorer, leads, worth, as_of, n_reasons, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._score_all)  # after the requests that are ready to be read
        self._waiting.append(asked)
        if sum(other.worth for other in self._waiting) >= LEADS_AT_ONCE:
            self._score_all()
        return await asked.scores

    def _score_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        alike: dict[tuple[int, int], list[Asked]] = {}
        for asked in waiting:
            if not asked.scores.done():  # else its caller has gone
                alike.setdefault((id(asked.scorer), asked.n_reasons), []).append(asked)
        for some in alike.values():
            try:
                _score(some)
            except Exception:  # whoever it was, the others get their scores
                for asked in some:
                    _score_alone(asked)


def _score(some: Sequence[Asked]) -> None:
    first = some[0]
    leads = [lead for asked in some for lead in asked.leads]
    as_of = np.repeat([asked.as_of for asked in some], [len(asked.leads) for asked in some])
    scores = iter(first.scorer.score_leads(leads, as_of, first.n_reasons))
    found = [[next(scores) for _ in asked.leads] for asked in some]
    for asked, own in zip(some, found, strict=True):
        asked.scores.set_result(own)


def _score_alone(asked: Asked) -> None:
    try:
        _score([asked])
    except Exception as error:
        asked.scores.set_exception(error)
