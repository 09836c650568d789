"""A logistic regression of few columns, the same in each bit for any number of threads.

Sums are computed by numpy alone and in one order, because BLAS sums in an order that depends on the
number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from crm.arrays import Floats

RIDGE: Final = 1e-3  # keeps a coefficient finite if its column is constant
MOST_STEPS: Final = 30
CONVERGED: Final = 1e-8


@dataclass(frozen=True)
class SmallLogistic:
    """A logistic regression of few columns.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (n_columns + 1,)
        The intercept is the last one.
    loss : float
        The sum of the log losses of the rows that it was fitted on.
    """

    coefficients: Floats
    loss: float

    def log_odds_of(self, columns: Sequence[Floats]) -> Floats:
        """Compute the log-odds of rows, shape (n,)."""
        return _weighted_sum(self.coefficients, columns)


def fit_small_logistic(columns: Sequence[Floats], won: Floats, seen: Floats) -> SmallLogistic:
    """Fit a logistic regression by Newton's method; each row is `seen` moments, `won` of them won.

    The log losses are those of probabilities, without the penalty of `RIDGE`.
    """
    rate = float((won.sum() + 0.5) / (seen.sum() + 1.0))
    coefficients = np.zeros(len(columns) + 1)
    coefficients[-1] = np.log(rate / (1 - rate))
    inputs = [*columns, np.ones(len(won))]
    penalty = np.full(len(inputs), RIDGE)
    penalty[-1] = 0.0

    def penalised(at: Floats) -> tuple[Floats, float]:
        log_odds = _weighted_sum(at, columns)
        losses = log_losses(log_odds, won, seen)
        return log_odds, float(losses.sum() + 0.5 * (penalty * at**2).sum())

    log_odds, loss = penalised(coefficients)
    for _ in range(MOST_STEPS):
        probability = expit(log_odds)
        residual = won - seen * probability
        curvature = seen * probability * (1 - probability)
        gradient = np.array([(x * residual).sum() for x in inputs]) - penalty * coefficients
        hessian = np.diag(penalty)
        for i, x in enumerate(inputs):
            weighted = curvature * x
            for j in range(i + 1):
                hessian[i, j] = hessian[j, i] = (weighted * inputs[j]).sum() + hessian[i, j]
        step = np.linalg.solve(hessian, gradient)
        before = loss
        log_odds, loss = penalised(coefficients + step)
        while loss > before and np.abs(step).max() > CONVERGED:
            step = step / 2
            log_odds, loss = penalised(coefficients + step)
        coefficients = coefficients + step
        if before - loss <= CONVERGED * max(1.0, before):
            break
    return SmallLogistic(coefficients, float(log_losses(log_odds, won, seen).sum()))


def _weighted_sum(coefficients: Floats, columns: Sequence[Floats]) -> Floats:
    total = np.full(len(columns[0]), coefficients[-1])
    for coefficient, column in zip(coefficients, columns, strict=False):
        total += coefficient * column
    return total


def log_losses(log_odds: Floats, won: Floats, seen: Floats) -> Floats:
    """Compute the log loss of the moments of each row, shape (n,)."""
    return np.asarray(seen * np.logaddexp(0.0, log_odds) - won * log_odds)
