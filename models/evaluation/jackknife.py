"""The standard error of a mean over pairs of periods, which are alike if they share a period."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import t

from features.intervals import LEVEL


def pairs_error(value_without: Callable[[int], float], periods: Sequence[int]) -> float:
    """Compute the standard error of a statistic of pairs of periods.

    The statistic is computed without each period in turn, which removes all of its pairs. Two
    pairs that share a period are alike, so the pairs cannot be left out one by one.

    Parameters
    ----------
    value_without : callable
        Return the statistic of the pairs that do not contain a period.
    periods : sequence of int
        The periods of all pairs, three or more.

    Returns
    -------
    float

    References
    ----------
    Snijders & Borgatti, "Non-Parametric Standard Errors and Tests for Network Statistics",
    Connections 22(2), 1999: the jackknife for pairs.

    Examples
    --------
    Where no two pairs share a period, it is the standard error of a mean of the pairs.

    >>> pairs = {(0, 1): 1.0, (2, 3): 2.0, (4, 5): 6.0}
    >>> def without(period):
    ...     return float(np.mean([v for pair, v in pairs.items() if period not in pair]))
    >>> error = pairs_error(without, range(6))
    >>> bool(np.isclose(error, np.std([1.0, 2.0, 6.0], ddof=1) / np.sqrt(3)))
    True
    """
    values = np.array([value_without(period) for period in periods])
    n = len(values)
    return float(np.sqrt((n - 2) / (2 * n) * ((values - values.mean()) ** 2).sum()))


def t_quantile(n: int) -> float:
    """Return how many standard errors of n values a 95 % interval extends to each side.

    Examples
    --------
    >>> round(t_quantile(3), 2), round(t_quantile(1_000), 2)
    (4.3, 1.96)
    """
    return float(t.ppf((1 + LEVEL) / 2, n - 1))
