"""Intervals, all at 95 %, for figures about leads that were looked at once or several times.

Metrics get the percentiles of a bootstrap that draws leads, not moments: what becomes of a
lead is one fact, however often it was looked at. (The calibration error, which no draw makes
less, has its own interval: `models.evaluation.calibration_error`.) Shares get Wilson's
interval over the number of independent leads that would be as uncertain. It also holds where no
lead or every lead was won, which a resample cannot show.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Floats, Ints
from features.intervals import LEVEL, Z, wilson
from features.moments import leads_of_rarer

N_RESAMPLES = 300
FEWEST_RESAMPLES = 100
MOMENTS_TO_DRAW = 100_000_000  # in all resamples together: fewer of them where moments are many


def resamples(lead: Ints, seed: int) -> Iterator[Floats]:
    """Draw leads with replacement, as many as there are, again and again.

    The one bootstrap of this product. There are `N_RESAMPLES` of them, and fewer, down to
    `FEWEST_RESAMPLES`, from a third of a million moments on: intervals are narrow there.

    Parameters
    ----------
    lead : ndarray of int64, shape (n,)
        Whose moments they are.
    seed : int

    Yields
    ------
    ndarray of float64, shape (n,)
        How often each moment is drawn; moments of one lead together.

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
    """Give the interval that holds the middle 95 % of what was drawn."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def share_interval(label: NDArray[Any], weight: Floats, lead: Ints) -> tuple[float, float]:
    """95 % interval of a share of wins among moments, some of which belong to one lead.

    Wilson's interval for as many independent leads as would be equally uncertain: with one
    moment a lead and equal weights, their number. Where nothing or everything was won the
    moments do not tell how alike those of one lead are, and each lead counts once.

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
    """95 % interval of the mean of what moments have, those of one lead together.

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
    margin: Floats, label: NDArray[Any], weight: Floats, lead: Ints
) -> tuple[float, float]:
    """95 % interval of ROC AUC, the share of pairs of a win and a loss that are in order.

    DeLong's variance, with the moments of one lead taken together as Obuchowski does, and
    Wilson's interval for as many leads as would make a share as uncertain: it stays within 0 and
    1 and says something where all pairs are in order, for as many leads as the rarer outcome has.

    Parameters
    ----------
    margin : ndarray of float64, shape (n,)
    label : ndarray of 0 and 1, shape (n,)
        Both must be there.
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
    place = np.unique(margin, return_inverse=True)[1]
    won, lost = (
        np.bincount(place, weight * (label == outcome), int(place.max()) + 1) for outcome in (1, 0)
    )
    # Of each win the share of losses that stand below it, of each loss the share of wins above.
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
    """Sum the values of each lead, then add up the squares of these sums."""
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
        In the same order; reject where one is below the level.

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
