"""Intervals at 95 % for figures about moments, several of which may belong to one lead.

Metrics get the percentiles of a bootstrap that draws leads, not moments: the outcome of a lead
is one fact, however many moments the lead has. The calibration error has its own interval
(`models.evaluation.calibration_error`), because no resample makes it smaller. Shares get
Wilson's interval for the number of independent leads that would be as uncertain. Wilson's
interval is also right if no lead or every lead was won, which a resample cannot show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from crm.arrays import Floats, Ints
from features.intervals import LEVEL, Z, wilson
from features.moments import leads_of_rarer

N_RESAMPLES = 300
FEWEST_RESAMPLES = 100
MOMENTS_TO_DRAW = 100_000_000  # in all resamples together; with many moments they are fewer


def resamples(lead: Ints, seed: int) -> Iterator[Floats]:
    """Draw all leads with replacement, many times; the only bootstrap of the product.

    There are `N_RESAMPLES` resamples. From a third of a million moments on there are fewer, down
    to `FEWEST_RESAMPLES`, because intervals are narrow there.

    Parameters
    ----------
    lead : ndarray of int64, shape (n,)
        The lead of each moment.
    seed : int

    Yields
    ------
    ndarray of float64, shape (n,)
        How often each moment is drawn; moments of one lead are drawn together.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993; Field & Welsh,
    "Bootstrapping Clustered Data", 2007, for drawing whole leads.

    Examples
    --------
    >>> next(resamples(np.array([7, 7, 8, 9]), seed=0)).tolist()
    [0.0, 0.0, 2.0, 1.0]
    """
    leads, of_lead = np.unique(lead, return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(min(N_RESAMPLES, max(MOMENTS_TO_DRAW // len(lead), FEWEST_RESAMPLES))):
        drawn = generator.integers(len(leads), size=len(leads))
        yield np.bincount(drawn, minlength=len(leads)).astype(np.float64)[of_lead]


def percentiles(draws: Sequence[float] | Floats) -> tuple[float, float]:
    """Return the interval that contains the middle 95 % of the draws."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def share_interval(label: NDArray[Any], weight: Floats, lead: Ints) -> tuple[float, float]:
    """Compute the 95 % interval of a share of wins among moments.

    This is Wilson's interval for the number of independent leads that would be equally
    uncertain; with one moment per lead and equal weights this is the number of leads. If none
    or all of the moments were won, they do not show how alike the moments of one lead are, and
    each lead counts once.

    Parameters
    ----------
    label : ndarray of 0 and 1, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)

    References
    ----------
    Korn & Graubard, "Confidence Intervals for Proportions with Small Expected Number of
    Positive Counts Estimated from Survey Data", 1998.

    Examples
    --------
    >>> won = np.array([1] * 5 + [0] * 5)
    >>> share_interval(won, np.ones(10), np.arange(10)) == wilson(0.5, 10)
    True
    >>> twice = np.repeat(won, 2), np.ones(20), np.repeat(np.arange(10), 2)
    >>> share_interval(*twice) == wilson(0.5, 10)
    True
    """
    share = float(np.average(label, weights=weight))
    uncertainty = squares_by_lead(weight * (label - share), lead) / weight.sum() ** 2
    if uncertainty == 0:
        return wilson(share, len(np.unique(lead)))
    return wilson(share, min(share * (1 - share) / uncertainty, len(label)))


def mean_interval(values: Floats, weight: Floats, lead: Ints) -> tuple[float, float]:
    """Compute the 95 % interval of a mean over moments; those of one lead count together.

    Examples
    --------
    >>> low, high = mean_interval(np.array([0.0, 1.0] * 50), np.ones(100), np.arange(100))
    >>> round(low, 3), round(high, 3)
    (0.402, 0.598)
    """
    mean = float(np.average(values, weights=weight))
    half = Z * float(np.sqrt(squares_by_lead(weight * (values - mean), lead)) / weight.sum())
    return mean - half, mean + half


def auc_interval(
    log_odds: Floats, label: NDArray[Any], weight: Floats, lead: Ints
) -> tuple[float, float]:
    """Compute the 95 % interval of ROC AUC, the share of pairs of a win and a loss in order.

    The variance is DeLong's, with the moments of one lead taken together as by Obuchowski. The
    interval is Wilson's for the number of leads that would make a share as uncertain, so it
    stays within 0 and 1. If all pairs are in order, it is the interval for as many leads as the
    rarer outcome has.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
    label : ndarray of 0 and 1, shape (n,)
        Both must occur.
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, "Comparing the Areas under Two or More Correlated ROC
    Curves", 1988; Obuchowski, "Nonparametric Analysis of Clustered ROC Curve Data", 1997.

    Examples
    --------
    >>> won = np.array([1] * 20 + [0] * 20)
    >>> low, high = auc_interval(won.astype(float), won, np.ones(40), np.arange(40))
    >>> low == wilson(1.0, 20)[0], high
    (True, 1.0)
    """
    place = np.unique(log_odds, return_inverse=True)[1]
    won, lost = (
        np.bincount(place, weight * (label == outcome), int(place.max()) + 1) for outcome in (1, 0)
    )
    # For each win the share of losses below it, for each loss the share of wins above it.
    below = ((np.cumsum(lost) - lost / 2) / lost.sum())[place]
    above = (1 - (np.cumsum(won) - won / 2) / won.sum())[place]
    area = float(np.average(below, weights=weight * label))
    parts = np.where(
        label == 1, weight * (below - area) / won.sum(), weight * (above - area) / lost.sum()
    )
    variance = squares_by_lead(parts, lead)
    n = area * (1 - area) / variance if variance > 0 else leads_of_rarer(label, lead)
    return wilson(area, n)


def squares_by_lead(values: Floats, lead: Ints) -> float:
    """Sum the values of each lead, and return the sum of the squares of these sums."""
    _, of_lead = np.unique(lead, return_inverse=True)
    return float((np.bincount(of_lead, values) ** 2).sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, by Holm's step-down procedure.

    Parameters
    ----------
    p_values : sequence of float
        From 0 to 1.

    Returns
    -------
    list of float
        Corrected p-values in the same order; reject those below the level.

    References
    ----------
    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    >>> holm([])
    []
    """
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.take(p_values, order) * times), 1.0)
    return [float(p) for p in corrected]


@dataclass(frozen=True, kw_only=True)
class MedianInterval:
    """A median with its 95 % interval.

    Attributes
    ----------
    n : int
        The number of values.
    value, low, high : float
        The median and its interval. Of an even number of values, the median is the mean of the two
        in the middle; infinite if the upper one is. Up to five values have no interval, and its
        ends are nan: even all of them contain the median in less than 95 % of samples.
    late : float
        The smallest value that nine of ten do not exceed.
    """

    n: int
    value: float
    low: float
    high: float
    late: float


def median_interval(values: Floats) -> MedianInterval | None:
    """Compute the median of values, with its interval from order statistics.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Infinite values are those that have not happened yet.

    Returns
    -------
    MedianInterval or None
        None for an empty array.

    References
    ----------
    Conover, "Practical Nonparametric Statistics", 1999, section 3.2.

    Examples
    --------
    >>> median = median_interval(np.arange(1.0, 12.0))
    >>> median.value, median.low, median.high, median.late
    (6.0, 2.0, 10.0, 10.0)
    >>> median_interval(np.array([1.0, 2.0, 4.0, 9.0])).value
    3.0
    >>> five, six = median_interval(np.arange(5.0)), median_interval(np.arange(6.0))
    >>> five.low, five.high, six.low, six.high
    (nan, nan, 0.0, 5.0)
    """
    n = len(values)
    if n == 0:
        return None
    below = int(binom.ppf((1 - LEVEL) / 2, n, 0.5))
    late_place = (9 * n + 9) // 10 - 1
    places = [max(below - 1, 0), (n - 1) // 2, n // 2, min(n - below, n - 1), late_place]
    low, lower, upper, high, late = map(float, np.partition(values, sorted(set(places)))[places])
    if not below:  # the interval between the smallest and the largest value is too short
        low, high = np.nan, np.nan
    return MedianInterval(n=n, value=(lower + upper) / 2, low=low, high=high, late=late)
