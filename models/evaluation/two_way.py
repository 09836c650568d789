"""Shares in tables of two properties: additive effects, and what they do not explain."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crm.arrays import Floats, Ints
from models.evaluation.differences import p_of


@dataclass(frozen=True, kw_only=True)
class AdditiveFit:
    """The shares of a table if each row and each column has an effect, without interactions.

    Attributes
    ----------
    expected : ndarray of float64, shape (a, b)
        The share of wins in each pair of values.
    residual : ndarray of float64, shape (a, b)
        The wins minus those expected, in standard deviations of as many leads with the expected
        share; nan in pairs without leads. It compares the share of a pair with the expected one,
        as Wilson's interval of the share does.
    deviance : float
        The deviance of the whole table.
    """

    expected: Floats
    residual: Floats
    deviance: float


def additive_logit(wins: Ints, n: Ints) -> AdditiveFit:
    """Fit an effect in log-odds to each row and each column of a table of shares.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (a, b)

    References
    ----------
    Agresti, "Categorical Data Analysis", 2013, sections 5.3 and 6.2: Pearson residuals. Adjusted
    residuals are larger: they are divided by the spread that the fit leaves, which is close to 0
    for a pair with most of the leads of its row and its column. The share of such a pair differs
    from the expected share by less than a tenth of a point, so it must not be reported.

    Examples
    --------
    >>> n = np.full((2, 2), 1_000)
    >>> fit = additive_logit(np.array([[100, 100], [100, 300]]), n)
    >>> np.round(fit.residual[1, 1], 1), np.round(fit.expected[1, 1], 2)
    (np.float64(2.6), np.float64(0.26))
    """
    a, b = n.shape
    rows, columns = np.divmod(np.arange(a * b), b)
    design = np.zeros((a * b, a + b - 1))
    design[np.arange(a * b), rows] = 1
    later = columns > 0
    design[later, a - 1 + columns[later]] = 1
    count, won = n.ravel().astype(np.float64), wins.ravel().astype(np.float64)
    effects = np.zeros(design.shape[1])
    ridge = 1e-6 * np.eye(len(effects))  # so that a value that never wins stays finite
    for _ in range(50):
        share = expit(design @ effects)
        information = design.T @ (design * (count * share * (1 - share))[:, None]) + ridge
        step = np.linalg.solve(information, design.T @ (won - count * share) - 1e-6 * effects)
        effects += np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    share = expit(design @ effects)
    weight = count * share * (1 - share)
    spread = np.sqrt(np.maximum(weight, 1e-12))
    residual = np.where(count > 0, (won - count * share) / spread, np.nan)
    likely = np.clip(share, 1e-12, 1 - 1e-12)
    seen = np.divide(won, count, out=np.full_like(won, 0.5), where=count > 0)
    seen = np.clip(seen, 1e-12, 1 - 1e-12)
    gain = won * np.log(seen / likely) + (count - won) * np.log((1 - seen) / (1 - likely))
    return AdditiveFit(
        expected=share.reshape(a, b),
        residual=residual.reshape(a, b),
        deviance=float(2 * gain.sum()),
    )


def effects_differ(wins: NDArray[Any], n: NDArray[Any]) -> tuple[float, float]:
    """Test whether the effect of one group on the odds differs inside and outside a second group.

    Parameters
    ----------
    wins, n : ndarray of numbers, shape (2, 2)
        Rows: leads outside and inside the first group. Columns: outside and inside the second.

    Returns
    -------
    tuple of float
        The effect of the first group inside the second minus that outside it, in log-odds, and
        its two-sided p-value.

    References
    ----------
    Woolf, "On Estimating the Relation Between Blood Group and Disease", 1955, for the variance
    of log-odds; Haldane, 1956, for the half that keeps empty cells finite.

    Examples
    --------
    >>> effects_differ(np.array([[10, 10], [20, 20]]), np.full((2, 2), 100))
    (0.0, 1.0)
    >>> difference, p = effects_differ(np.array([[10, 10], [10, 50]]), np.full((2, 2), 100))
    >>> round(difference, 1), p < 0.001
    (2.2, True)
    """
    won, lost = wins + 0.5, n - wins + 0.5
    log_odds = np.log(won / lost)
    difference = float(log_odds[1, 1] - log_odds[0, 1] - log_odds[1, 0] + log_odds[0, 0])
    return difference, p_of(difference / float(np.sqrt((1 / won + 1 / lost).sum())))
