"""Chooses the weights of the two parts of a blend."""

import numpy as np

from crm.arrays import Floats, Ints, Labels
from models.evaluation.metrics import log_losses

WEIGHTS = tuple(tenth / 10 for tenth in range(11))
EVEN = 0.5
ROUNDING = 1e-12
DOUBT = 2.0  # a weight that is worse by more standard errors is ruled out


def choose_weight(
    linear: Floats, grown: Floats, label: Labels, weight: Floats, lead: Ints
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Choose the weight of the logistic regression.

    Of all weights whose log loss is within `DOUBT` standard errors of the smallest, this is the
    one nearest to even.

    Parameters
    ----------
    linear, grown : ndarray of float64, shape (n,)
        Log-odds of the logistic regression and of the trees, for rows that neither has seen.
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        Rows of one lead err together, so the standard error is computed over leads.

    Returns
    -------
    float
        One of `WEIGHTS`.
    tuple of (float, float)
        Every weight with its log loss.

    Notes
    -----
    This is the one-standard-error rule (Breiman et al., "Classification and Regression Trees",
    1984) with two standard errors, towards the middle. On fourteen public data sets it came
    closest to the best weight in hindsight.

    Examples
    --------
    >>> label = np.array([1, 0] * 100, dtype=np.int8)
    >>> good, useless = np.where(label == 1, 2.0, -2.0), np.zeros(200)
    >>> choose_weight(good, good, label, np.ones(200), np.arange(200))[0]
    0.5
    >>> choose_weight(good, useless, label, np.ones(200), np.arange(200))[0]
    1.0
    """
    rows = np.array([log_losses(w * linear + (1 - w) * grown, label) for w in WEIGHTS])
    mean = np.average(rows, axis=1, weights=weight)
    excess = rows - rows[mean.argmin()]
    average = np.average(excess, axis=1, weights=weight)
    place = np.unique(lead, return_inverse=True)[1]
    by_lead = np.array(
        [np.bincount(place, values) for values in weight * (excess - average[:, None])]
    )
    error = np.sqrt((by_lead**2).sum(axis=1)) / weight.sum()
    allowed = [i for i in range(len(WEIGHTS)) if average[i] <= DOUBT * error[i] + ROUNDING]
    chosen = min(allowed, key=lambda i: (round(abs(WEIGHTS[i] - EVEN), 9), mean[i]))
    losses = tuple((w, float(loss)) for w, loss in zip(WEIGHTS, mean, strict=True))
    return WEIGHTS[chosen], losses
