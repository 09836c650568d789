"""Fits additive effects to the shares in tables of properties."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crm.arrays import Floats, Ints
from models.evaluation.differences import p_of


@dataclass(frozen=True, kw_only=True)
class AdditiveFit:
    """The shares of a table if each value of each property has an effect, without interactions.

    Attributes
    ----------
    expected : ndarray of float64, shape of the table
        The share of wins in each cell.
    deviance : float
        The deviance of the whole table.
    """

    expected: Floats
    deviance: float


def additive_logit(wins: Ints, n: Ints) -> AdditiveFit:
    """Fit an effect in log-odds to each value of each property of a table of shares.

    Parameters
    ----------
    wins, n : ndarray of int64, of the same shape
        One axis for each property.

    Examples
    --------
    >>> n = np.full((2, 2), 1_000)
    >>> fit = additive_logit(np.array([[100, 100], [100, 300]]), n)
    >>> np.round(fit.expected[1, 1], 2)
    np.float64(0.26)
    """
    count, won = n.astype(np.float64), wins.astype(np.float64)
    begins = np.cumsum([0, *n.shape])
    is_free = np.ones(begins[-1], dtype=bool)
    is_free[begins[1:-1]] = False  # the first value of each further property has no effect
    free = np.flatnonzero(is_free)
    effects = np.zeros(begins[-1])
    ridge = 1e-6  # so that a value that never wins stays finite
    for _ in range(50):
        share = _shares(effects, n.shape)
        score = np.concatenate(_margins(won - count * share)) - ridge * effects
        information = _information(count * share * (1 - share)) + ridge * np.eye(len(effects))
        step = np.linalg.solve(information[np.ix_(free, free)], score[free])
        effects[free] += np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    share = _shares(effects, n.shape)
    likely = np.clip(share, 1e-12, 1 - 1e-12)
    seen = np.divide(won, count, out=np.full_like(won, 0.5), where=count > 0)
    seen = np.clip(seen, 1e-12, 1 - 1e-12)
    gain = won * np.log(seen / likely) + (count - won) * np.log((1 - seen) / (1 - likely))
    return AdditiveFit(expected=share, deviance=float(2 * gain.sum()))


def _shares(effects: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the share in each cell of a table whose values have effects."""
    parts = np.split(effects, np.cumsum(shape)[:-1])
    return np.asarray(expit(sum(np.ix_(*parts))))


def _margins(table: Floats) -> list[Floats]:
    """Sum a table for each value of each of its axes."""
    axes = range(table.ndim)
    return [table.sum(axis=tuple(summed for summed in axes if summed != axis)) for axis in axes]


def _information(weight: Floats) -> Floats:
    """Return the information about the effects of all values, whose cells have weights."""
    axes = range(weight.ndim)

    def block(i: int, j: int) -> Floats:
        both = weight.sum(axis=tuple(axis for axis in axes if axis not in (i, j)))
        if i == j:
            return np.diag(both)
        return both if i < j else both.T

    return np.block([[block(i, j) for j in axes] for i in axes])


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
