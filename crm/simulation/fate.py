"""Computes true probabilities, and draws how simulated leads end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from crm.arrays import Floats, Ints
from crm.simulation.arrivals import season
from crm.simulation.effects import (
    CAMPAIGN_EFFECTS,
    CHOICES,
    CONCEPT,
    CONCEPT_BASE,
    DELAY,
    DRIFT,
    FUNCTIONS,
    INTERCEPT,
    MONTH_EFFECTS,
    SEASON_BASE,
    TITLE_EFFECTS,
)
from crm.simulation.traits import Arrays, have
from crm.simulation.world import HORIZON_DAYS, Simulation
from crm.times import SECONDS_PER_DAY

# A win within the horizon closes after so many days at least, spread by a beta distribution.
_SOONEST, _SPREAD, _SHAPE = 3, HORIZON_DAYS - 3.1, (1.7, 1.9)


def log_odds(settings: Simulation, traits: Arrays, created: NDArray[Any]) -> NDArray[Any]:
    """Compute the log-odds of a win within 90 days if closings are not delayed.

    They depend on what is recorded at creation, and on the date.
    """
    opened = settings.opens_at.timestamp()
    drifted = created >= opened + settings.drift_at * settings.days * SECONDS_PER_DAY
    month = created.astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12
    effects = INTERCEPT + MONTH_EFFECTS[month] + drifted * DRIFT["base"]
    effects += CAMPAIGN_EFFECTS[traits["campaign"]] + TITLE_EFFECTS[traits["title"]]
    for name, choice in CHOICES.items():
        effects += choice.effects[traits[name]]
    # Mid-sized companies buy most often. Each further visit or euro of budget helps less.
    size = np.log10(traits["employees"])
    effects += np.where(np.isnan(size), -0.3, 0.5 - 0.6 * (size - 2.3) ** 2).clip(-1.5)
    effects += 0.35 * np.log1p(traits["visits"].clip(0, 50))
    budget = 0.4 * np.log2(traits["budget"] / 20_000)
    effects += np.where(np.isnan(budget), -0.7, 0.2 + budget.clip(-1, 1))
    # Interactions: a referred decision maker, a software firm at a webinar, a large firm on a
    # cold list.
    decides = traits["title"] < 4 * len(FUNCTIONS.names)
    effects += 0.8 * (have(traits, "source", "Referral") & decides)
    effects += 0.9 * (have(traits, "source", "Webinar") & have(traits, "industry", "Software"))
    effects -= 1.0 * (have(traits, "source", "Cold list") & (size > 3))
    effects += DRIFT["Paid search"] * (have(traits, "source", "Paid search") & drifted)
    effects += DRIFT["Manufacturing"] * (have(traits, "industry", "Manufacturing") & drifted)
    changed = settings.strength("concept", created)
    effects += changed * CONCEPT_BASE
    for name, changes in CONCEPT.items():
        effects += changed * changes[traits[name]]
    effects += SEASON_BASE * season(settings, created)
    return np.asarray(effects)


def on_time_share(settings: Simulation, created: Ints) -> Floats:
    """Compute the share of wins within 90 days that stay within them if closings are delayed.

    Parameters
    ----------
    settings : Simulation
    created : array of int64, shape (n,)
        Seconds since 1970 UTC.

    Returns
    -------
    array of float64, shape (n,)
        From 0 to 1; 1 without a delay.

    Examples
    --------
    >>> from crm.simulation.drift import Drift
    >>> settings = Simulation(drifts=(Drift("label_delay", "2024-06-01"),))
    >>> june = int(settings.drifts[0].begins_at.timestamp())
    >>> on_time_share(settings, np.array([june - 1, june])).round(2)
    array([1.  , 0.52])
    """
    latest = HORIZON_DAYS / _delay(settings, created)
    return betainc(*_SHAPE, ((latest - _SOONEST) / _SPREAD).clip(0, 1))


def _delay(settings: Simulation, created: Ints) -> Floats:
    """Return the factor by which the time to closing is longer, shape (n,)."""
    return 1 + DELAY * settings.strength("label_delay", created)


def draw_fate(
    rng: np.random.Generator, settings: Simulation, created: NDArray[Any], chance: NDArray[Any]
) -> Arrays:
    """Draw how each lead ends, and the seconds until it is closed or has no more activities."""
    n = len(created)
    in_time = rng.random(n) < chance
    late = ~in_time & (rng.random(n) < 0.3 * chance)
    won = in_time | late
    lost = ~won & (rng.random(n) < 0.6)
    days = np.clip(rng.exponential(60, n), 1, 400)  # open leads are never closed
    days = np.where(lost, 5 + 195 * rng.beta(1.2, 2.6, n), days)
    days = np.where(late, 91 + 170 * rng.beta(1.0, 2.0, n), days)
    days = np.where(in_time, _SOONEST + _SPREAD * rng.beta(*_SHAPE, n), days)
    days = np.where(won | lost, days * _delay(settings, created), days)
    life = (days * SECONDS_PER_DAY).astype(np.int64)
    recorded = (won | lost) & (created + life <= settings.as_of.timestamp())
    engagement = rng.normal(0.9 * in_time + 0.6 * late - 0.1 * lost, 1.0)
    return {
        "won": won,
        "lost": lost,
        "life": life,
        "closed": created + life,
        "recorded": recorded,
        "engagement": engagement,
    }
