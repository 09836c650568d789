"""The calibration error: how far probabilities are off on average, and how certain that is.

The mean gap between probability and share of wins, over bins, is never below 0, and with few
leads it is never near 0: even correct probabilities seem to be off. A bootstrap starts from data
that are off by chance and adds more chance: its percentiles are above the true error, and often
above the measured one. So this interval is an inversion: it consists of the true errors under
which the measured error would be no surprise.

In simulations (200 tests each of 300, 1,000 and 10,000 leads; correct probabilities, and
probabilities that were off in eight ways by 0.004 to 0.07) 92 to 99 of 100 intervals contained
the true error, and all contained the measured one. No percentile interval contained a true error
of 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crm.arrays import Floats, Ints
from features.intervals import LEVEL

N_DRAWS = 4_000
LUCKY = 0.05  # a measured error below this quantile is raised to it, because draws are too few
HALVINGS = 30
SURELY = 6.0  # standard deviations above the measured error; no true error is larger


@dataclass(frozen=True)
class CalibrationError:
    """The mean gap between probability and share of wins.

    Attributes
    ----------
    value : float
        The measured error.
    low, high : float
        95 % interval of the true error; it contains `value`.
    by_chance : float
        The mean error that correct probabilities would show with as many leads.
    """

    value: float
    low: float
    high: float
    by_chance: float


def calibration_error(
    probability: Floats, label: Floats, weight: Floats, lead: Ints, bins: Ints
) -> CalibrationError:
    """Measure the calibration error in given bins.

    Parameters
    ----------
    probability : ndarray of float64, shape (n,)
    label : ndarray of 0 and 1, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each moment: the moments of one lead err together.
    bins : ndarray of int64, shape (n,)

    Returns
    -------
    CalibrationError

    Notes
    -----
    Each bin's gap is drawn from the normal distribution that it has if probabilities are correct,
    widened by the design effect of leads with several moments. A true error is modelled as the
    measured gaps, all multiplied by one factor. The lower end is the smallest true error under
    which an error as large as the measured one is not rare (2.5 %). The upper end is the largest
    true error under which an error as small as the measured one is not rare *among those that
    correct probabilities allow*: without this condition a very lucky test would leave no true
    error at all.

    References
    ----------
    Neyman, "Outline of a Theory of Statistical Estimation", 1937, for intervals by inversion;
    Read, "Presentation of Search Results: the CLs Technique", 2002, for the upper end; Bröcker,
    "Estimating Reliability and Resolution of Probability Forecasts", 2012, for the bias.

    Examples
    --------
    >>> half, won = np.full(100, 0.5), np.array([1.0, 0.0] * 50)
    >>> error = calibration_error(half, won, np.ones(100), np.arange(100), np.zeros(100, int))
    >>> error.value, error.low, round(error.high, 2), round(error.by_chance, 2)
    (0.0, 0.0, 0.13, 0.04)
    """
    _, bins = np.unique(bins, return_inverse=True)
    mass, n_bins = weight.sum(), int(bins.max()) + 1
    gap = np.bincount(bins, weight * (probability - label), n_bins) / mass
    value = float(np.abs(gap).sum())
    shape = gap / value if value > 0 else np.full(n_bins, 1 / n_bins)
    covariance = _covariance(probability, label, weight, lead, bins) / mass**2
    chance = np.random.default_rng(0).multivariate_normal(
        np.zeros(n_bins), covariance, N_DRAWS, method="eigh"
    )

    def measured_errors(true_error: float) -> Floats:
        """Draw the errors that a test may measure under a true error."""
        return np.asarray(np.abs(true_error * shape + chance).sum(axis=1))

    rare, if_correct = (1 - LEVEL) / 2, measured_errors(0.0)
    low = 0.0
    if (if_correct >= value).mean() < rare:
        low = _last_true(lambda true: (measured_errors(true) >= value).mean() < rare, 0.0, value)
    measured = max(value, float(np.quantile(if_correct, LUCKY)))
    as_small = (if_correct <= measured).mean()
    most = value + SURELY * float(np.sqrt(np.diag(covariance)).sum())
    high = _last_true(
        lambda true: (measured_errors(true) <= measured).mean() >= rare * as_small, value, most
    )
    return CalibrationError(
        value=value,
        low=min(low, value),
        high=min(high, 1.0),
        by_chance=float(if_correct.mean()),
    )


def _last_true(condition: Callable[[float], bool], start: float, end: float) -> float:
    """Find the last number for which a condition is true, by bisection; it is true at `start`."""
    for _ in range(HALVINGS):
        middle = (start + end) / 2
        if condition(middle):
            start = middle
        else:
            end = middle
    return start


def _covariance(
    probability: Floats, label: Floats, weight: Floats, lead: Ints, bins: Ints
) -> Floats:
    """Compute the covariance of the bins' sums of gaps if probabilities are correct."""
    n_bins = int(bins.max()) + 1
    variance = np.bincount(bins, weight**2 * probability * (1 - probability), n_bins)
    gap = probability - label
    residual = weight * (gap - (np.bincount(bins, weight * gap) / np.bincount(bins, weight))[bins])
    leads, of_lead = np.unique(lead, return_inverse=True)
    sums = np.bincount(of_lead * n_bins + bins, residual, len(leads) * n_bins).reshape(-1, n_bins)
    if_independent = np.sqrt(np.bincount(bins, residual**2, n_bins))
    if_independent = np.where(if_independent > 0, if_independent, np.inf)
    correlation = sums.T @ sums / np.outer(if_independent, if_independent)
    np.fill_diagonal(correlation, np.maximum(np.diag(correlation), 1.0))
    return np.asarray(correlation * np.sqrt(np.outer(variance, variance)))
