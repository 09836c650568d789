"""Computes the intervals of a share and of a difference of shares, for the whole product."""

import math

LEVEL = 0.95
Z = 1.959964  # the standard normal quantile of `LEVEL`, two-sided


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Compute the Wilson score interval of a share.

    `n` need not be a whole number, which is why this is not
    ``scipy.stats.binomtest(...).proportion_ci(method="wilson")``.

    Parameters
    ----------
    share : float
        From 0 to 1.
    n : float
        The number of independent observations; 0 gives the interval from 0 to 1.
    z : float
        The standard normal quantile of the confidence level; that of 95 % by default.

    Returns
    -------
    tuple of float and float
        The lower and the upper bound, within 0 and 1.

    References
    ----------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.

    Examples
    --------
    >>> low, high = wilson(0.0, 10)
    >>> low, round(high, 2)
    (0.0, 0.28)
    >>> wilson(0.0, 0)
    (0.0, 1.0)
    """
    if not n:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def difference_interval(
    share: float, n: float, other: float, other_n: float, z: float = Z
) -> tuple[float, float]:
    """Compute Newcombe's interval of the difference of two independent shares.

    Parameters
    ----------
    share, other : float
        From 0 to 1.
    n, other_n : float
        The numbers of independent observations.
    z : float
        The standard normal quantile of the confidence level; that of 95 % by default.

    Returns
    -------
    tuple of float and float
        The lower and the upper bound of `share` minus `other`, within -1 and 1.

    References
    ----------
    Newcombe, "Interval Estimation for the Difference Between Independent Proportions: Comparison
    of Eleven Methods", Statistics in Medicine 17, 1998, method 10.

    Examples
    --------
    >>> low, high = difference_interval(56 / 70, 70, 48 / 80, 80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    low, high = wilson(share, n, z)
    other_low, other_high = wilson(other, other_n, z)
    difference = share - other
    return (
        difference - math.hypot(share - low, other_high - other),
        difference + math.hypot(high - share, other - other_low),
    )
