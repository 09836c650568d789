"""Decides when simulated leads are created, and how often they come from each source."""

import numpy as np

from crm.arrays import Floats, Ints
from crm.simulation.drift import midnight
from crm.simulation.effects import (
    CHOICES,
    COVARIATE_MIX,
    SEASON_MIX,
    SEASON_PEAK,
    SEASON_VOLUME,
    SURGE_DAYS,
    SURGE_FACTOR,
    SURGE_SOURCE,
)
from crm.simulation.world import Simulation
from crm.times import SECONDS_PER_DAY


def arrivals(settings: Simulation) -> tuple[Floats, Ints]:
    """Return the share of leads created by each hour of the window, and the hours in seconds.

    Most leads are created in office hours, few at weekends.

    Returns
    -------
    array of float64, shape (1 + 24 * days,)
        From 0 to 1.
    array of int64, shape (1 + 24 * days,)
        Seconds since the window opened.
    """
    hours = np.arange(settings.days * 24)
    weekend = (settings.opens_at.weekday() + hours // 24) % 7 >= 5
    office = (hours % 24 >= 7) & (hours % 24 < 18)
    rate = np.where(office, 1.0, 0.15) * np.where(weekend, 0.3, 1.0)
    at = int(settings.opens_at.timestamp()) + hours * 3600
    mix = _mix(settings, at)
    rate *= np.exp(SEASON_VOLUME * season(settings, at))
    rate *= (mix * _surge(settings, at)).sum(axis=1) / mix.sum(axis=1)
    cumulative = np.cumsum(rate)
    return np.append(0, cumulative / cumulative[-1]), np.append(0, hours + 1) * 3600


def source_weights(settings: Simulation, at: Ints) -> Floats:
    """Return how often leads that are created at these times come from each source.

    Parameters
    ----------
    settings : Simulation
    at : array of int64, shape (n,)
        Seconds since 1970 UTC.

    Returns
    -------
    array of float64, shape (n, n_sources)
        Positive weights; the sum of a row has no meaning.
    """
    return _mix(settings, at) * _surge(settings, at)


def season(settings: Simulation, at: Ints) -> Floats:
    """Return the height of the yearly cycle, from -seasonality to +seasonality.

    It is a cosine of the share of the calendar year that has passed, so it is the same every year.

    Examples
    --------
    >>> days = np.array(["2024-04-01", "2025-04-01"], "datetime64[s]").astype(np.int64)
    >>> season(Simulation(seasonality=2.0), days).round(2)
    array([2., 2.])
    """
    years = at.astype("datetime64[s]").astype("datetime64[Y]")
    first = years.astype("datetime64[s]").astype(np.int64)
    length = (years + 1).astype("datetime64[s]").astype(np.int64) - first
    return settings.seasonality * np.cos(2 * np.pi * ((at - first) / length - SEASON_PEAK))


def _mix(settings: Simulation, at: Ints) -> Floats:
    """Return the weight of each source without a surge, shape (n, n_sources)."""
    change = np.outer(settings.strength("covariate", at), COVARIATE_MIX)
    change += np.outer(season(settings, at), SEASON_MIX)
    return CHOICES["source"].shares * np.exp(change)


def _surge(settings: Simulation, at: Ints) -> Floats:
    """Return the factor by which the leads of each source multiply, shape (n, n_sources)."""
    factors = np.ones((len(at), len(CHOICES["source"].names)))
    if settings.surge_at is not None:
        first = midnight(settings.surge_at).timestamp()
        during = (at >= first) & (at < first + SURGE_DAYS * SECONDS_PER_DAY)
        factors[during, CHOICES["source"].names.index(SURGE_SOURCE)] = SURGE_FACTOR
    return factors
