"""Tests of whether two groups differ: in shares, counts, ranks and means."""

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom, hypergeom, mannwhitneyu, ttest_ind_from_stats

from crm.arrays import Bools, Floats

FEWEST_EXPECTED = 5.0  # expected wins and losses; with fewer, the exact test is used


def shares_differ(wins: int, n: int, other_wins: int, other_n: int) -> float:
    """Compute the p-value of a difference of two shares.

    This is the score test, or Fisher's exact test if few wins or few losses are expected.

    Examples
    --------
    >>> round(shares_differ(7, 10, 2, 10), 4)  # Fisher, by hand: 2 * 5,860 of 167,960
    0.0698
    >>> round(shares_differ(60, 100, 40, 100), 4)  # z = 2.828
    0.0047
    """
    total, all_n = wins + other_wins, n + other_n
    expected = min(total, all_n - total) * min(n, other_n) / all_n
    if expected < FEWEST_EXPECTED:
        null = hypergeom(all_n, total, n)
        return float(min(1.0, 2 * min(null.cdf(wins), null.sf(wins - 1))))
    share = total / all_n
    deviation = np.sqrt(share * (1 - share) * (1 / n + 1 / other_n))
    return p_of(float((wins / n - other_wins / other_n) / deviation))


def counts_differ(count: int, other: int) -> float:
    """Compute the p-value of a difference of two counts from periods of the same length.

    Examples
    --------
    >>> round(counts_differ(5, 15), 4), counts_differ(0, 0)
    (0.0414, 1.0)
    """
    fewer = min(count, other)
    return float(min(1.0, 2 * binom.cdf(fewer, count + other, 0.5)))


def ranks_differ(values: Floats, is_in: Bools) -> float:
    """Compute the p-value of Mann and Whitney's test of a group against the others.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    is_in : ndarray of bool, shape (n,)
        True for the values of the group.

    Returns
    -------
    float
        1.0 if either side is empty or all values are equal.
    """
    own, others = values[is_in], values[~is_in]
    if min(len(own), len(others)) == 0 or (values == values[0]).all():
        return 1.0
    test = mannwhitneyu(own, others, method="asymptotic", use_continuity=False)
    return float(test.pvalue)


def means_differ(own: Floats, others: Floats) -> float:
    """Compute the p-value of a difference of two means: Welch's test for large samples.

    The statistic is compared with the normal distribution; both sides need at least two values.
    1.0 if neither side varies.

    Examples
    --------
    >>> means_differ(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    >>> means_differ(np.ones(3), np.ones(3))
    1.0
    """
    if own.var() == 0 and others.var() == 0:
        return 1.0
    welch = ttest_ind_from_stats(
        own.mean(),
        own.std(ddof=1),
        len(own),
        others.mean(),
        others.std(ddof=1),
        len(others),
        equal_var=False,
    )
    return p_of(float(welch.statistic))


def p_of(z: float) -> float:
    """Compute the two-sided p-value of a standard normal deviate."""
    return float(2 * ndtr(-abs(z)))
