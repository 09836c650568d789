"""How far stated probabilities are off on average, and how sure that is.

The mean gap of stated and true shares, in bins, is never below 0 and in few leads never near it:
right probabilities seem to be off as well. A bootstrap draws from what is off by chance already,
and adds chance to it: its percentiles lie above the true error, and often above the error that
was measured. So the interval is made the other way round, of the true errors under which the
measured one would be no surprise.

In 200 simulated tests each of 300, 1,000 and 10,000 leads, with right probabilities and with such
as were off in eight ways by 0.004 to 0.07, 92 to 99 of 100 intervals held the true error, and all
of them the measured one. Of percentile intervals none held a true error of 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crm.arrays import Floats, Ints
from features.intervals import LEVEL

N_DRAWS = 4_000
LUCKY = 0.05  # no test is taken for a luckier one: draws do not tell how rare it is
HALVINGS = 30
SURELY = 6.0  # standard deviations


@dataclass(frozen=True)
class CalibrationError:
    """The mean gap of stated and true shares of wins.

    Attributes
    ----------
    value : float
    low, high : float
        95 % interval of the true one; it holds `value`.
    by_chance : float
        What right probabilities would show on average in as many leads.
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
        Whose moments they are: those of one lead err together.
    bins : ndarray of int64, shape (n,)

    Returns
    -------
    CalibrationError

    Notes
    -----
    Each bin's gap is drawn from a normal distribution as wide as right probabilities make it,
    widened by the design effect of leads with several moments. A true error is imagined as the
    measured gaps, all drawn out or in by one factor. The lower end is the one above which as
    large an error as was measured stops being rare (2.5 %); the upper end is the one from which
    on as small an error is rare *among those that right probabilities allow*: without the last,
    a very lucky test would leave no true error at all.

    References
    ----------
    Neyman, "Outline of a Theory of Statistical Estimation", 1937, for intervals by inversion;
    Read, "Presentation of Search Results: the CLs Technique", 2002, for the upper end; Bröcker,
    "Estimating Reliability and Resolution of Probability Forecasts", 2012, for the bias.

    Examples
    --------
    >>> stated, won = np.full(100, 0.5), np.array([1.0, 0.0] * 50)
    >>> found = calibration_error(stated, won, np.ones(100), np.arange(100), np.zeros(100, int))
    >>> found.value, found.low, round(found.high, 2), round(found.by_chance, 2)
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

    def shown(true: float) -> Floats:
        return np.asarray(np.abs(true * shape + chance).sum(axis=1))

    rare, right = (1 - LEVEL) / 2, shown(0.0)
    low = 0.0
    if (right >= value).mean() < rare:
        low = _turn(lambda true: (shown(true) >= value).mean() < rare, 0.0, value)
    measured = max(value, float(np.quantile(right, LUCKY)))
    as_small = (right <= measured).mean()
    most = value + SURELY * float(np.sqrt(np.diag(covariance)).sum())
    high = _turn(lambda true: (shown(true) <= measured).mean() >= rare * as_small, value, most)
    return CalibrationError(value, min(low, value), min(high, 1.0), float(right.mean()))


def _turn(holds: Callable[[float], bool], start: float, end: float) -> float:
    """Find where a condition that holds at the start stops to hold, by halving."""
    for _ in range(HALVINGS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start


def _covariance(
    probability: Floats, label: Floats, weight: Floats, lead: Ints, bins: Ints
) -> Floats:
    """Say how the bins' sums of gaps vary, and with each other, if probabilities are right."""
    n_bins = int(bins.max()) + 1
    if_right = np.bincount(bins, weight**2 * probability * (1 - probability), n_bins)
    gap = probability - label
    rest = weight * (gap - (np.bincount(bins, weight * gap) / np.bincount(bins, weight))[bins])
    leads, of_lead = np.unique(lead, return_inverse=True)
    sums = np.bincount(of_lead * n_bins + bins, rest, len(leads) * n_bins).reshape(-1, n_bins)
    alone = np.sqrt(np.bincount(bins, rest**2, n_bins))
    alone = np.where(alone > 0, alone, np.inf)
    together = sums.T @ sums / np.outer(alone, alone)
    np.fill_diagonal(together, np.maximum(np.diag(together), 1.0))
    return np.asarray(together * np.sqrt(np.outer(if_right, if_right)))
