"""Made-up scored moments for tests of monitoring."""

from dataclasses import replace

import numpy as np
from scipy.special import expit

from crm.arrays import Floats
from crm.times import DAY
from features.first_closings import NEVER
from models.reasons import Parts
from models.scale import Scale
from monitoring.champion import ChampionMoments
from monitoring.promise import Promise
from monitoring.scored_moments import LeadOutcomes, ScoredMoments

HORIZON_DAYS = 90
SCALE = Scale(float(np.log(0.2 / 0.8)))
PROMISE = Promise(
    roc_auc=0.75,
    roc_auc_low=0.72,
    log_loss=0.45,
    won_by_grade={"A": 0.5, "B": 0.3, "C": 0.15, "D": 0.05},
)


def scored_moments(
    n: int = 2_000,
    *,
    per_day: int = 5,
    shift: float = 0.0,
    slope: float = 1.0,
    changed_from: int = 0,
    known_days: int | None = None,
    seed: int = 0,
) -> ScoredMoments:
    """Make scored moments whose outcomes follow the stated log-odds, or others from a day on.

    Parameters
    ----------
    n, per_day : int
        The number of leads, each with one moment, and how many come on each day.
    shift, slope : float
        The true log-odds are `slope` times the stated ones (around their mean), plus `shift`.
    changed_from : int
        The day from which on this is so.
    known_days : int, optional
        The number of days until which outcomes are known; all by default.
    """
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-1.5, 1.0, n)
    day = np.arange(n) // per_day
    changed = -1.5 + slope * (log_odds + 1.5) + shift
    true = np.where(day >= changed_from, changed, log_odds)
    won = rng.random(n) < expit(true)
    delay = 1 + rng.integers(0, HORIZON_DAYS - 1, n)
    as_of = day * DAY
    known_at = as_of + HORIZON_DAYS * DAY
    until = np.inf if known_days is None else known_days * DAY
    return ScoredMoments(
        lead=np.arange(n),
        as_of=as_of,
        log_odds=log_odds,
        grade=SCALE.grade(SCALE.score(expit(log_odds))),
        version=np.full(n, "1"),
        label=np.where(known_at <= until, won.astype(np.float64), np.nan),
        known_at=known_at,
        won_at=np.where(won, as_of + delay * DAY, NEVER),
    )


def outcomes_of(scored: ScoredMoments, until_days: int) -> LeadOutcomes:
    """Return the outcomes of made-up moments, as they are known on a day."""
    return LeadOutcomes(
        closed_at=np.where(scored.won_at == NEVER, scored.as_of + 40 * DAY, scored.won_at),
        won_at=scored.won_at,
        is_known=np.ones(len(scored), dtype=bool),
        until=until_days * DAY,
        horizon=HORIZON_DAYS * DAY,
    )


def repeated(scored: ScoredMoments, times: int) -> ScoredMoments:
    """Repeat each moment, as if the lead had been scored several times with the same score."""
    rows = np.repeat(np.arange(len(scored)), times)
    return replace(scored.take(rows))


def uniform_delays(steps: int = 20) -> list[float]:
    """Return the delays of wins of `scored_moments`, as a reference stores them."""
    delays: Floats = np.linspace(1, HORIZON_DAYS - 1, steps + 1)
    return delays.tolist()


def champion_of(scored: ScoredMoments) -> ChampionMoments:
    """Return made-up moments as those of a champion, each at the creation of its lead."""
    n = len(scored)
    return ChampionMoments(
        moments=scored,
        matrix=np.empty((n, 0)),
        parts=Parts(50.0, np.empty((n, 0)), np.empty((n, 0))),
        age_days=np.zeros(n),
        n_leads=scored.n_leads,
        since=0,
        ages=(0.0,),
    )


def moments_by_hand(
    log_odds: Floats | list[float],
    label: Floats | list[float],
    day: Floats | list[int] | None = None,
    lead: Floats | list[int] | None = None,
) -> ScoredMoments:
    """Return moments of version "1" in grade A, one on each day by default.

    Wins come a day after the moment. A label of nan is an outcome that is not known yet.
    """
    labels = np.asarray(label, dtype=np.float64)
    n = len(labels)
    as_of = np.asarray(np.arange(n) if day is None else day, dtype=np.int64) * DAY
    return ScoredMoments(
        lead=np.asarray(np.arange(n) if lead is None else lead, dtype=np.int64),
        as_of=as_of,
        log_odds=np.asarray(log_odds, dtype=np.float64),
        grade=np.full(n, "A"),
        version=np.full(n, "1"),
        label=labels,
        known_at=as_of + HORIZON_DAYS * DAY,
        won_at=np.where(labels == 1, as_of + DAY, NEVER),
    )
