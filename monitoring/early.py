"""Compares early wins and losses with those of training, long before the horizon is over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from crm.arrays import Floats
from crm.times import DAY
from features.first_closings import NEVER
from models.reference import QUANTILES, Reference, delay_key
from monitoring.champion import ChampionMoments
from monitoring.check import Check, Verdict, unknown
from monitoring.promise import Promise
from monitoring.scored_moments import LeadOutcomes, ScoredMoments
from monitoring.sequential import Detection
from monitoring.truth import (
    chance_detections,
    chance_verdict,
    clearest,
    day_text,
    figures_of,
    verdict_of,
)

PARTS: Final = (1 / 6, 1 / 3, 2 / 3)  # of the horizon, at which early outcomes are counted
FEWEST_EXPECTED: Final = 10.0
MORE_TOLERANCE: Final = 0.1  # in log-odds, because the speed of wins differs between leads too
LOSS_TOLERANCE: Final = 0.4


@dataclass(frozen=True)
class EarlyChange:
    """The clearest change of early outcomes.

    Attributes
    ----------
    detection : Detection
    days : float
        The age of the leads at which the outcomes are counted.
    leads : int
        The number of leads since the change began, or of all leads if there is no change.
    happened, expected : float
        The outcomes of these leads.
    """

    detection: Detection
    days: float
    leads: int
    happened: float
    expected: float

    @property
    def verdict(self) -> Verdict:
        """The verdict of the test."""
        return verdict_of(self.detection)

    def sentence(self, what: str) -> str:
        """Describe the outcomes; `what` happened to the leads, such as "won"."""
        since = self.detection.since
        begin = f"Since {day_text(since)}, " if self.verdict is not Verdict.FINE else ""
        return (
            f"{begin}{self.happened:,.0f} of {self.leads:,} leads were {what} within "
            f"{self.days:.0f} days; {self.expected:,.0f} were expected."
        )


def early_wins_check(
    champion: ChampionMoments, outcomes: LeadOutcomes, reference: Reference | None, promise: Promise
) -> Check:
    """Check whether as many leads are won early as the scores and the usual delays state.

    A lead with the probability p counts as p F(d), where F(d) is the share of wins that come within
    d days, by age and grade, in training.
    """
    number = "LM204"
    if reference is None or not reference.win_delays:
        return unknown(
            number,
            "The champion does not know how long wins take: it was trained by an earlier version, "
            "or from too few wins.",
        )
    known = reference

    def changes(tolerance: float) -> list[EarlyChange]:
        return list(_early_wins(champion, outcomes, known, tolerance))

    found = changes(promise.tolerance)
    if not found:
        return unknown(number, "Too few early wins are expected so far to tell.")
    change = max(found, key=lambda change: change.detection.days)
    verdict = chance_verdict(
        change.detection, promise, lambda t: clearest(*(c.detection for c in changes(t)))
    )
    evidence, next_step = change.sentence("won"), ""
    if verdict is not Verdict.FINE:
        evidence += promise.season_caveat
        next_step = (
            "Data science: if LM306 says that outcomes come later, wait until the leads are old "
            "enough. Otherwise train again."
        )
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            "won": change.happened,
            "expected": change.expected,
            **figures_of(change.detection),
        },
    )


def _early_wins(
    champion: ChampionMoments, outcomes: LeadOutcomes, reference: Reference, tolerance: float
) -> Iterator[EarlyChange]:
    """Look for more, and for fewer early wins than expected, at each early age."""
    for span, due, age in _due(champion, outcomes):
        keys = [delay_key(*of) for of in zip(age.tolist(), due.grade.tolist(), strict=True)]
        share = reference.wins_by(span / DAY, keys)
        probability = np.clip(expit(due.log_odds) * share, 1e-6, 1 - 1e-6)
        if float(due.weight @ probability) < FEWEST_EXPECTED:
            continue
        won = ((due.won_at != NEVER) & (due.won_at <= due.as_of + span)).astype(np.float64)
        day = (due.as_of + span) // DAY
        for detection in chance_detections(
            due, logit(probability), won, day, tolerance + MORE_TOLERANCE, n_tests=len(PARTS)
        ):
            yield _change(due, span, won, probability, detection)


def early_losses(
    champion: ChampionMoments, outcomes: LeadOutcomes, reference: Reference | None
) -> EarlyChange | None:
    """Look for leads that are closed without a win later than in training.

    Returns
    -------
    EarlyChange or None
        None if losses are rare, or too few are expected so far.
    """
    if reference is None:
        return None
    steps = np.linspace(0, 1, QUANTILES + 1)
    changes = []
    for span, due, age in _due(champion, outcomes):
        part = span / outcomes.horizon
        shares = {
            days: float(np.interp(part, steps, reference.loss_shares[f"{days:g}"]))
            for days in np.unique(age).tolist()
            if f"{days:g}" in reference.loss_shares
        }
        probability = np.array([shares.get(days, 0.0) for days in age.tolist()])
        used = probability > 0
        due, probability = due.take(used), np.minimum(probability[used], 1 - 1e-6)
        if due.weight @ probability < FEWEST_EXPECTED:
            continue
        closed_at = outcomes.closed_at[due.lead]
        is_lost = (closed_at <= due.as_of + span) & (due.won_at > due.as_of + span)
        lost = is_lost.astype(np.float64)
        day = (due.as_of + span) // DAY
        _, fewer = chance_detections(
            due, logit(probability), lost, day, LOSS_TOLERANCE, n_tests=len(PARTS)
        )
        changes.append(_change(due, span, lost, probability, fewer))
    return max(changes, key=lambda change: change.detection.days, default=None)


def _due(
    champion: ChampionMoments, outcomes: LeadOutcomes
) -> Iterator[tuple[int, ScoredMoments, Floats]]:
    """Yield each early age, in microseconds, the moments that are older, and the leads' ages."""
    scored = champion.moments
    for part in PARTS:
        span = int(part * outcomes.horizon)
        rows = scored.as_of + span <= outcomes.until
        if rows.any():
            yield span, scored.take(rows), champion.age_days[rows]


def _change(
    due: ScoredMoments, span: int, happened: Floats, probability: Floats, detection: Detection
) -> EarlyChange:
    recent = np.ones(len(due), dtype=bool)
    if detection.is_notable and detection.since is not None:
        recent = (due.as_of + span) // DAY >= detection.since
    of_recent = due.take(recent)
    weight = of_recent.weight
    return EarlyChange(
        detection=detection,
        days=span / DAY,
        leads=of_recent.n_leads,
        happened=float(weight @ happened[recent]),
        expected=float(weight @ probability[recent]),
    )
