"""Tests that may be looked at every day without raising false alarms.

A test that is repeated every day finds something by chance sooner or later. The tests here are
*e-detectors*: each day multiplies a statistic by an *e-value*, whose mean is at most 1 as long as
nothing has changed, however the days are looked at. The statistic of Shiryaev and Roberts sums
these products over all days on which a change may have begun, so it reacts to a recent change
as quickly after three years as after three months. Without a change, it takes on average at
least N days until the statistic reaches N.

References
----------
Shin, Ramdas & Rinaldo, "E-detectors: A Nonparametric Framework for Sequential Change Detection",
2022 (the bound of the time between false alarms); Ramdas, Grünwald, Vovk & Shafer, "Game-Theoretic
Statistics and Safe Anytime-Valid Inference", 2023 (e-values); Waudby-Smith & Ramdas, "Estimating
Means of Bounded Random Variables by Betting", 2024 (the e-values of means); Waudby-Smith, Arbour,
Sinha, Kennedy & Ramdas, "Time-Uniform Central Limit Theory and Asymptotic Confidence Sequences",
2024 (`sequence_half_width`).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp

from crm.arrays import Floats, Ints

ACT_DAYS: Final = 10_000  # of looks until a false alarm, on average: 27 years
WATCH_DAYS: Final = 1_000
SHIFTS: Final = (0.2, 0.5, 1.0)  # beyond the tolerance, in log-odds
TIGHTEST: Final = 500
BETS: Final = (0.25, 0.5, 0.75)  # of the largest bet that cannot lose everything


@dataclass(frozen=True)
class Detection:
    """The state of a test after its last day.

    Attributes
    ----------
    days : float
        The statistic. Without a change, it takes on average at least this number of days until it
        is as large.
    since : int or None
        The day from which on the change is most likely; None without days.
    reached : int or None
        The first day of the present stretch of days on which the statistic is at least `ACT_DAYS`;
        None if it is less.
    leading : int
        The position of the kind of change that is most likely.
    """

    days: float
    since: int | None
    reached: int | None
    leading: int = 0

    @property
    def is_alarm(self) -> bool:
        """True if a change is certain enough to act."""
        return self.days >= ACT_DAYS

    @property
    def is_notable(self) -> bool:
        """True if a change is likely enough to watch."""
        return self.days >= WATCH_DAYS


NOTHING: Final = Detection(0.0, None, None)


def detect(day: Ints, log_e_values: Floats, n_tests: float = 1) -> Detection:
    """Compute the statistic of Shiryaev and Roberts from the e-values of days.

    Parameters
    ----------
    day : ndarray of int64, shape (n_days,)
        The numbers of the days, ascending; days without data may be absent.
    log_e_values : ndarray of float64, shape (n_days, n_alternatives)
        The logarithm of each day's e-value, for each kind of change that is looked for. The
        statistics of the kinds are averaged.
    n_tests : float
        The number of tests of which this is one. The statistic is divided by it, so that all tests
        together keep the rate of false alarms. For a test that may use the share w of all false
        alarms, it is 1/w.

    Returns
    -------
    Detection

    Examples
    --------
    Each day is twice as likely after a change as before it.

    >>> detection = detect(np.arange(20), np.full((20, 1), np.log(2.0)))
    >>> detection.is_alarm, detection.since, detection.reached
    (True, 0, 12)
    >>> detect(np.arange(20), np.full((20, 1), np.log(0.9))).is_notable
    False
    """
    n, n_alternatives = log_e_values.shape
    if not n:
        return NOTHING
    statistic = np.full(n_alternatives, -np.inf)
    statistics = np.empty((n, n_alternatives))
    for i, log_e in enumerate(log_e_values):
        statistics[i] = statistic = log_e + np.logaddexp(statistic, 0.0)
    combined = logsumexp(statistics, axis=1)
    combined -= np.log(n_alternatives * n_tests)
    below = np.flatnonzero(combined < np.log(ACT_DAYS))
    first = 0 if not len(below) else int(below[-1]) + 1
    leading = int(np.argmax(statistic))
    return Detection(
        days=float(np.exp(min(combined[-1], 700.0))),
        since=int(day[_begin(log_e_values[:, leading])]),
        reached=int(day[first]) if first < n else None,
        leading=leading,
    )


def _begin(log_e_values: Floats) -> int:
    """Return the position from which on the product of the e-values is largest.

    It is where the statistic of CUSUM was last reset.
    """
    before = np.append(0.0, np.cumsum(log_e_values[:-1]))
    return len(before) - 1 - int(np.argmin(before[::-1]))


def by_day(day: Ints, log_e_values: Floats, group: Ints | None = None) -> tuple[Ints, Floats]:
    """Multiply the e-values of each day, and of each group of observations.

    Observations that depend on each other, such as two moments of one lead, belong to different
    groups. The mean of the statistics of several groups keeps the rate of false alarms, however
    the groups depend on each other.

    Parameters
    ----------
    day : ndarray of int64, shape (n,)
        The day of each observation, in any order.
    log_e_values : ndarray of float64, shape (n, n_alternatives)
    group : ndarray of int64, shape (n,), optional
        From 0 to n_groups - 1. Without it, all observations are one group.

    Returns
    -------
    ndarray of int64, shape (n_days,)
        The days, ascending.
    ndarray of float64, shape (n_days, n_groups * n_alternatives)

    Examples
    --------
    >>> days, sums = by_day(np.array([3, 3, 5]), np.array([[1.0], [2.0], [4.0]]))
    >>> days.tolist(), sums.tolist()
    ([3, 5], [[3.0], [4.0]])
    >>> by_day(np.array([3, 3]), np.array([[1.0], [2.0]]), np.array([0, 1]))[1].tolist()
    [[1.0, 2.0]]
    """
    group = np.zeros(len(day), dtype=np.int64) if group is None else group
    days, of_day = np.unique(day, return_inverse=True)
    n_groups = int(group.max(initial=0)) + 1
    n_alternatives = log_e_values.shape[1]
    sums = np.zeros((len(days), n_groups, n_alternatives))
    np.add.at(sums, (of_day, group), log_e_values)
    return days, sums.reshape(len(days), n_groups * n_alternatives)


def higher_share(log_odds: Floats, label: NDArray[Any], tolerance: float) -> Floats:
    """Compute e-values against "outcomes are at most this likely, within the tolerance".

    The e-value of an outcome is the ratio of its likelihoods under odds that are shifted by more
    than the tolerance, and by the tolerance. Its mean is at most 1 for each smaller probability,
    because the ratio grows with the outcome.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
        The stated log-odds.
    label : ndarray of 0 and 1, shape (n,)
    tolerance : float
        In log-odds.

    Returns
    -------
    ndarray of float64, shape (n, len(SHIFTS))
        The logarithms of the e-values, for each shift.

    Examples
    --------
    The mean e-value is 1 at the edge of the tolerance.

    >>> won, lost = np.exp(higher_share(np.zeros(2), np.array([1, 0]), 0.0))
    >>> ((won + lost) / 2).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    edge = log_odds + tolerance
    shifted = edge[:, None] + np.array(SHIFTS)[None, :]
    won = log_expit(shifted) - log_expit(edge)[:, None]
    lost = log_expit(-shifted) - log_expit(-edge)[:, None]
    return np.asarray(np.where(np.asarray(label)[:, None] == 1, won, lost))


def lower_share(log_odds: Floats, label: NDArray[Any], tolerance: float) -> Floats:
    """Compute e-values against "outcomes are at least this likely, within the tolerance".

    The parameters and the result are those of `higher_share`.
    """
    return higher_share(-log_odds, 1 - np.asarray(label), tolerance)


def lower_mean(values: Floats, mean: float) -> Floats:
    """Compute e-values against "the mean of these values is at least `mean`".

    Each e-value is the wealth of a bet that the next value is below the mean.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        From 0 to 1.
    mean : float
        Between 0 and 1.

    Returns
    -------
    ndarray of float64, shape (n, len(BETS))
        The logarithms of the e-values, for each bet.

    Examples
    --------
    >>> lower_mean(np.array([0.2, 0.9]), 0.8).round(2).tolist()
    [[0.56, 0.92, 1.18], [-0.13, -0.29, -0.47]]
    """
    bets = np.array(BETS) / (1 - mean)
    return np.asarray(np.log1p(bets[None, :] * (mean - values[:, None])))


def sequence_half_width(n: float, spread: float, level: float = 0.95) -> float:
    """Compute the half width of an interval of a mean that holds at every look.

    Parameters
    ----------
    n : float
        The number of values.
    spread : float
        Their standard deviation.
    level : float
        The probability that the interval contains the mean at all looks together. It holds for many
        values, like an interval from the central limit theorem.

    Returns
    -------
    float
        Infinite without values. Narrowest, compared with an interval for one look, at about
        `TIGHTEST` values.

    Examples
    --------
    >>> round(sequence_half_width(500, 1.0), 3), round(1.96 / 500**0.5, 3)
    (0.136, 0.088)
    """
    if n <= 0:
        return float("inf")
    alpha = 1 - level
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha)) + 1) / TIGHTEST
    inside = 2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha)
    return float(spread * np.sqrt(inside))
