"""Compares leads with two values at once with what the two values alone suggest."""

from dataclasses import dataclass

import numpy as np

from crm.arrays import Bools, Floats, Ints
from models.evaluation.same_time import share_changes
from models.evaluation.two_way import additive_logit


@dataclass(frozen=True, kw_only=True)
class PairFit:
    """The shares of pairs of values if neither value changed the effect of the other.

    Attributes
    ----------
    expected : ndarray of float64, shape (a, b)
        The share of wins that is expected in each pair; nan in pairs without leads.
    residual : ndarray of float64, shape (a, b)
        The share minus the expected one, in standard deviations of as many leads with the expected
        share, as Wilson's interval of the share compares them; nan in pairs without leads.
    is_same_time : ndarray of bool, shape (a, b)
        True if the share is expected of leads of the same time.

    References
    ----------
    Agresti, "Categorical Data Analysis", 2013, sections 5.3 and 6.2: Pearson residuals. Adjusted
    residuals are larger: they are divided by the spread that the fit leaves, which is close to 0
    for a pair with most of the leads of its row and its column. The share of such a pair differs
    from the expected share by less than a tenth of a point, so it must not be reported.
    """

    expected: Floats
    residual: Floats
    is_same_time: Bools


def fit_pairs(wins: Ints, n: Ints) -> PairFit:
    """Compute the share of each pair that its two values alone suggest.

    A pair is compared within time if the share of the pair, or of one of its two values, in the
    leads clearly changes over time. Then each period has an effect too. The change need not be
    large: the effect of a pair may be as small.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (a, b, n_periods)
        The counts of each pair in each period. With one period nothing is compared within time.

    Returns
    -------
    PairFit

    Examples
    --------
    >>> n = np.array([[[900, 10], [300, 300]], [[300, 300], [10, 900]]])
    >>> wins = (n * [0.02, 0.2]).astype(np.int64)  # the values have no effect, the time has
    >>> of_all = fit_pairs(wins.sum(axis=2, keepdims=True), n.sum(axis=2, keepdims=True))
    >>> np.round(of_all.residual, 1)
    array([[-2.2,  1.7],
           [ 1.7, -1. ]])
    >>> within = fit_pairs(np.repeat(wins, 5, axis=2), np.repeat(n, 5, axis=2))
    >>> np.abs(within.residual).max() < 0.1
    np.True_
    """
    n_pair, wins_pair = n.sum(axis=2), wins.sum(axis=2)
    expected = additive_logit(wins_pair, n_pair).expected
    is_same_time = np.zeros(n_pair.shape, dtype=bool)
    if n.shape[2] > 1:
        fitted = (n * additive_logit(wins, n).expected).sum(axis=2)
        within = np.divide(fitted, n_pair, out=np.full(n_pair.shape, np.nan), where=n_pair > 0)
        is_same_time = _changes(n)
        expected = np.where(is_same_time, within, expected)
    expected = np.where(n_pair > 0, expected, np.nan)
    spread = np.sqrt(np.maximum(n_pair * expected * (1 - expected), 1e-12))
    return PairFit(
        expected=expected,
        residual=(wins_pair - n_pair * expected) / spread,
        is_same_time=is_same_time,
    )


def _changes(n: Ints) -> Bools:
    """Check for each pair whether its share, or that of one of its values, changes over time."""
    everyone = n.sum(axis=(0, 1))
    by_row, by_column = (
        np.array([share_changes(own, everyone) for own in n.sum(axis=axis)]) for axis in (1, 0)
    )
    by_pair = np.array([[share_changes(own, everyone) for own in row] for row in n])
    return np.asarray(by_pair | by_row[:, None] | by_column)
