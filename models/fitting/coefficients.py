"""Fits the coefficients of a logistic regression with an L2 penalty."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

from crm.arrays import Floats, Labels
from models.estimator.blend import BaseRate

Matrix = Any  # an ndarray or a sparse array of SciPy, which has no types
MOST_ITERATIONS: Final = 500
TOLERANCE: Final = 1e-8  # the largest slope of the mean loss at which the fit ends
LEAST_DECREASE: Final = 1e-15  # the share of the mean loss by which an iteration must reduce it
LEAST_CURVATURE: Final = 1e-8  # of any direction, so that the curvature always has a factor
CURVATURE_ROWS: Final = 4_000  # of more rows, the curvature is that of a sample


def curvature_of(
    matrix: Matrix, label: Labels, weight: Floats, levels: Matrix | None = None
) -> Floats:
    """Compute the curvature of the mean loss where all rows have the base rate.

    It need not be exact: `fit_coefficients` finds the same coefficients with the curvature of a
    sample of the rows, in a few more iterations.

    Parameters
    ----------
    matrix : ndarray or sparse array of float64, shape (n, m)
    label : ndarray of int8, shape (n,)
        Both classes must occur.
    weight : ndarray of float64, shape (n,)
    levels : sparse array of float64, shape (m, k), optional
        The columns of the design are `matrix @ levels`.

    Returns
    -------
    ndarray of float64, shape (1 + k, 1 + k)
        The second derivatives with respect to the intercept and the coefficients, without penalty.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0]])
    >>> curvature_of(rows, np.array([0, 1], dtype=np.int8), np.ones(2)).tolist()
    [[0.25, 0.125], [0.125, 0.125]]
    """
    share = float(expit(BaseRate.fit(label, weight).log_odds))
    weighty = np.flatnonzero(weight)
    if len(weighty) > CURVATURE_ROWS:
        weighty = weighty[np.linspace(0, len(weighty) - 1, CURVATURE_ROWS, dtype=np.intp)]
    rows = matrix[weighty]
    if not isinstance(rows, np.ndarray):
        rows = rows.toarray()
    if levels is not None:
        rows = rows @ levels
    design = np.column_stack([np.ones(len(rows)), rows])
    of_rows = weight[weighty] / weight[weighty].sum()
    return np.asarray(share * (1 - share) * (design.T @ (design * of_rows[:, None])))


def fit_coefficients(
    matrix: Matrix,
    label: Labels,
    weight: Floats,
    strength: float,
    curvature: Floats,
    *,
    levels: Matrix | None = None,
    signs: Floats | None = None,
    start: Floats | None = None,
) -> Floats:
    """Fit the intercept and the coefficients of a logistic regression.

    Parameters
    ----------
    matrix : ndarray or sparse array of float64, shape (n, m)
    label : ndarray of int8, shape (n,)
        Both classes must occur.
    weight : ndarray of float64, shape (n,)
    strength : float
        As scikit-learn's C: smaller values regularise more.
    curvature : ndarray of float64, shape (1 + k, 1 + k)
        The result of `curvature_of` for these rows, or for rows that are similar.
    levels : sparse array of float64, shape (m, k), optional
        The columns of the design are `matrix @ levels`; without it they are those of `matrix`.
    signs : ndarray of float64, shape (k,), optional
        1 if a coefficient may not be less than 0, -1 if it may not be greater, else 0.
    start : ndarray of float64, shape (1 + k,), optional
        Coefficients to start from.

    Returns
    -------
    ndarray of float64, shape (1 + k,)
        The intercept, which has no penalty, then the coefficients.

    Notes
    -----
    The loss is convex, so there is one best fit. Coefficients are scaled with a Cholesky factor of
    the curvature before L-BFGS-B searches: the loss is then almost as curved in all directions, and
    ten to twenty iterations are enough. Sums are never computed by several threads.

    References
    ----------
    Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization",
    SIAM Journal on Scientific Computing, 1995.

    Examples
    --------
    >>> rows = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    >>> label, weight = np.array([0, 1, 0, 1, 1], dtype=np.int8), np.ones(5)
    >>> curvature = curvature_of(rows, label, weight)
    >>> fit_coefficients(rows, label, weight, 1e9, curvature).round(3).tolist()
    [0.0, 0.693]
    """
    if start is None:
        start = np.zeros(len(curvature))
        start[0] = BaseRate.fit(label, weight).log_odds
    penalty = np.full(len(curvature), 1 / strength / weight.sum())
    penalty[0] = 0.0
    loss = _loss(matrix, label, weight, penalty, levels)
    curvature = curvature + np.diag(penalty + LEAST_CURVATURE)
    free = np.ones(len(curvature), dtype=bool)
    found = _minimum(loss, curvature, free, np.zeros(len(curvature)), start)
    if signs is not None and (signs * found[1:] < 0).any():
        bounded = np.append(0.0, signs)
        found = _minimum(loss, curvature, bounded == 0, bounded, found)
    return found


def _loss(
    matrix: Matrix, label: Labels, weight: Floats, penalty: Floats, levels: Matrix | None
) -> Callable[[Floats], tuple[float, Floats]]:
    """Return a function that computes the penalised mean loss and its slopes."""
    sign = np.where(label == 1, 1.0, -1.0)
    share = weight / weight.sum()
    to_columns = matrix.T if isinstance(matrix, np.ndarray) else matrix.T.tocsr()
    to_coefficients = None if levels is None else levels.T.tocsr()

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        of_columns = coefficients[1:] if levels is None else levels @ coefficients[1:]
        signed = sign * (coefficients[0] + matrix @ of_columns)
        error = -share * sign * expit(-signed)
        slopes = to_columns @ error
        if to_coefficients is not None:
            slopes = to_coefficients @ slopes
        of_penalty = penalty * coefficients
        value = share @ np.logaddexp(0.0, -signed) + of_penalty @ coefficients / 2
        return float(value), np.append(error.sum(), slopes) + of_penalty

    return loss


def _minimum(
    loss: Callable[[Floats], tuple[float, Floats]],
    curvature: Floats,
    free: Any,
    signs: Floats,
    start: Floats,
) -> Floats:
    """Search for the smallest loss; coefficients that are not free keep their sign.

    Free coefficients are scaled together, by a factor of the curvature. The others are scaled one
    by one, so that their bounds stay bounds.
    """
    factor = cholesky(curvature[np.ix_(free, free)])
    scale = np.sqrt(np.diag(curvature)[~free])

    def unscaled(scaled: Floats) -> Floats:
        coefficients = np.empty(len(scaled))
        coefficients[free] = solve_triangular(factor, scaled[free])
        coefficients[~free] = scaled[~free] / scale
        return coefficients

    def scaled_loss(scaled: Floats) -> tuple[float, Floats]:
        value, slopes = loss(unscaled(scaled))
        slopes[free] = solve_triangular(factor, slopes[free], trans=1)
        slopes[~free] /= scale
        return value, slopes

    begin = np.empty(len(start))
    begin[free] = factor @ start[free]
    begin[~free] = start[~free] * scale  # the search clips it to the bounds
    bounds = {0: (None, None), 1: (0.0, None), -1: (None, 0.0)}
    found = minimize(
        scaled_loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds[sign] for sign in signs],
        options={
            "maxiter": MOST_ITERATIONS,
            "gtol": TOLERANCE,
            "ftol": LEAST_DECREASE,
            "maxcor": 20,
        },
    )
    return unscaled(found.x)
