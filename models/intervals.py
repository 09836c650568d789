"""Intervals, all at 95 %, for figures about leads that were looked at once or several times.

Metrics get the percentiles of a bootstrap that draws leads, not moments: what becomes of a
lead is one fact, however often it was looked at. (The calibration error, which no draw makes
less, has an interval of its own: `models.calibration_error`.) Shares get Wilson's interval over
the number of independent leads that would be as uncertain; it says something where nothing or
everything was won, which no resample can.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.95
Z = 1.959964  # standard deviations to either side that hold it
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


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of `n`.

    References
    ----------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Examples
    --------
    >>> low, high = wilson(0.0, 10)
    >>> low, round(high, 2)
    (0.0, 0.28)
    """
    z = Z
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


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
