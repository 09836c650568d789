"""Trends of a share over time, and whether they last."""

import numpy as np
from scipy.stats import t as student

from crm.arrays import Ints
from models.evaluation.differences import shares_differ


def trend_z(wins: Ints, n: Ints) -> float:
    """Compute z of a rising (positive) or falling share over the rows.

    Cochran and Armitage's test.

    Examples
    --------
    >>> round(trend_z(np.array([10, 20, 30]), np.array([100, 100, 100])), 2)
    3.54
    """
    x = np.arange(len(n), dtype=np.float64)
    share = wins.sum() / n.sum()
    centre = (n * x).sum() / n.sum()
    variance = share * (1 - share) * (n * (x - centre) ** 2).sum()
    return float((wins * (x - centre)).sum() / np.sqrt(variance)) if variance > 0 else 0.0


def lasting_trend(wins: Ints, n: Ints) -> tuple[float, float]:
    """Compute z of a trend of a share over months, and the p-value of a trend that lasts.

    A single exceptional month looks like a trend if there are few months. So a lasting trend
    meets two conditions. It is larger than the scatter of the months around their line, if they
    scatter more than by chance. The first and the last half, which have no lead in common, differ
    in the same direction. p is the larger of the p-values of the two conditions.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (k,)
        By month. With fewer than three months there is no trend, and p is 1.

    Examples
    --------
    >>> n = np.full(6, 1_000)
    >>> z, p = lasting_trend(np.array([100, 110, 120, 130, 140, 150]), n)
    >>> z > 3, p < 0.05
    (True, True)
    >>> z, p = lasting_trend(np.array([200, 140, 140, 140, 140, 140]), n)  # the first month alone
    >>> z < -2.5, p > 0.1
    (True, True)
    """
    k, half = len(n), len(n) // 2
    share = wins.sum() / max(n.sum(), 1)
    if k < 3 or not 0 < share < 1:
        return 0.0, 1.0
    z = trend_z(wins, n)
    x = np.arange(k) - (n * np.arange(k)).sum() / n.sum()
    line = share + x * (wins * x).sum() / (n * x**2).sum()
    scatter = float(((wins - n * line) ** 2 / (n * share * (1 - share))).sum()) / (k - 2)
    p = float(2 * student.sf(abs(z) / np.sqrt(max(scatter, 1.0)), k - 2))
    first, last = (
        (int(wins[part].sum()), int(n[part].sum())) for part in (slice(half), slice(k - half, k))
    )
    change = last[0] / last[1] - first[0] / first[1]
    return z, max(p, shares_differ(*first, *last)) if change * z > 0 else 1.0
