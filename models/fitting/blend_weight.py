"""Chooses the weights of the two parts of a blend."""

import numpy as np

from crm.arrays import Floats, Ints, Labels
from models.evaluation.metrics import log_losses

WEIGHTS = tuple(hundredth / 100 for hundredth in range(101))
EVEN = 0.5


def choose_weight(
    linear: Floats, grown: Floats, label: Labels, weight: Floats, lead: Ints
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Choose the weight of the logistic regression: the mean of all weights, by their likelihood.

    Before the rows are seen, every weight is equally likely. Each weight then counts as much as
    it makes the outcomes of the rows likely. With few rows the mean stays near even, with many it
    comes near to the weight that predicts them best.

    Parameters
    ----------
    linear, grown : ndarray of float64, shape (n,)
        Log-odds of the logistic regression and of the trees, for rows that neither has seen.
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        Rows of one lead tell little more than one row, so all together count as one.

    Returns
    -------
    float
        One of `WEIGHTS`.
    tuple of (float, float)
        Every weight with its log loss.

    Notes
    -----
    The mean of a posterior distribution has the smallest expected squared error (Gelman et al.,
    "Bayesian Data Analysis", 2013, section 2.4).

    Examples
    --------
    >>> label = np.array([1, 0] * 100, dtype=np.int8)
    >>> good, useless = np.where(label == 1, 2.0, -2.0), np.zeros(200)
    >>> choose_weight(good, good, label, np.ones(200), np.arange(200))[0]
    0.5
    >>> choose_weight(good, useless, label, np.ones(200), np.arange(200))[0]
    0.98
    """
    losses = np.array(
        [
            np.average(log_losses(w * linear + (1 - w) * grown, label), weights=weight)
            for w in WEIGHTS
        ]
    )
    n_leads = len(np.unique(lead[weight > 0]))
    likelihood = np.exp(-n_leads * (losses - losses.min()))
    mean = float((likelihood * np.array(WEIGHTS)).sum() / likelihood.sum())
    chosen = round(100 * mean)
    return WEIGHTS[chosen], tuple(zip(WEIGHTS, losses.tolist(), strict=True))
