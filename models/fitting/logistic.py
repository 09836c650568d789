"""Fits the logistic regression: the half of the estimator that extrapolates."""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from crm.arrays import Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from models.estimator.logistic import Logistic, LogisticTerms

Rows = tuple[Floats, Labels, Floats, Ints]  # features, label, weight, lead

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C: smaller pulls more towards 0
REACHES = (4.0, 20.0)  # standard deviations at which a number is held
MANY_ROWS = 10_000  # with more, how strongly to pull is found on a sample of them
MANY_CELLS = 2e10  # rows · terms²: above it Newton's steps cost more than the other solver's


def fit_logistic(
    features: Floats,
    label: Labels,
    weight: Floats,
    categorical: Sequence[int],
    *,
    growing: Sequence[int] = (),
    strength: float = 1.0,
    reach: float = REACHES[-1],
    directions: tuple[int, ...] = (),
) -> Logistic:
    """Fit an L2-regularised logistic regression.

    Parameters
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
        Both classes must be there.
    weight : ndarray of float64, shape (n,)
    categorical : sequence of int
        Columns that hold codes.
    growing : sequence of int
        Columns that grow with time, to be held in the range that they have here.
    strength : float
        Scikit-learn's C.
    reach : float
        Standard deviations at which numbers are held.
    directions : tuple of int, length k, or empty
        1 where a column may only raise the log-odds, -1 where it may only lower them, else
        0. A number that would go the other way gets no say: its slope is 0.

    Returns
    -------
    Logistic
    """
    terms = LogisticTerms.fit(features, categorical, reach, growing)
    with threadpool_limits(1):  # threads that wait for a busy core cost more than they save
        return _fit_terms(terms, terms.design(features), label, weight, strength, directions)


def _fit_terms(
    terms: LogisticTerms,
    design: Floats,
    label: Labels,
    weight: Floats,
    strength: float,
    directions: tuple[int, ...] = (),
) -> Logistic:
    is_small = len(design) * terms.n_terms**2 < MANY_CELLS
    solver = "newton-cholesky" if is_small else "lbfgs"
    wanted = np.zeros(terms.n_terms)
    if directions:
        wanted[: len(terms.numeric)] = np.array(directions)[list(terms.numeric)]
    kept = np.ones(terms.n_terms, dtype=bool)
    coefficients = np.zeros(terms.n_terms)
    while True:
        model = LogisticRegression(C=strength, max_iter=1000, solver=solver)
        model.fit(design[:, kept], label, sample_weight=weight)
        coefficients[:] = 0.0
        coefficients[kept] = model.coef_[0]
        against = wanted * coefficients < 0
        if not against.any():
            break
        kept &= ~against
    centre = np.average(design, axis=0, weights=weight)
    return Logistic(
        terms, tuple(coefficients.tolist()), tuple(centre.tolist()), float(model.intercept_[0])
    )


def choose_logistic(
    older: Rows,
    newer: Rows | None,
    categorical: Sequence[int],
    seed: int,
    growing: Sequence[int] = (),
) -> tuple[float, float]:
    """Find how strongly to pull the coefficients towards 0, and where to hold numbers.

    Each pair is fitted to folds of whole leads of the older rows and judged half by what it
    had not seen of them, half by the newer rows: the one tells what so few rows can carry,
    the other what holds when the world changes. Of more than `MANY_ROWS` older rows a
    sample of leads is taken: with many rows the choice matters little.

    Parameters
    ----------
    older, newer : tuple of features, label, weight, lead
        `newer` is None where there are too few to judge by.
    categorical : sequence of int
    seed : int
    growing : sequence of int
        As `fit_logistic` takes them.

    Returns
    -------
    strength, reach : float
        The pair with the least log loss.
    """
    features, label, weight, lead = older
    if len(label) > MANY_ROWS:
        leads = np.unique(lead)
        n_leads = max(1, int(MANY_ROWS * len(leads) / len(label)))
        chosen = np.random.default_rng(seed).choice(leads, n_leads, replace=False)
        rows = np.isin(lead, chosen)
        features, label, weight, lead = features[rows], label[rows], weight[rows], lead[rows]
    fold_of = folds(label, lead, seed, N_FOLDS)
    kept = [
        fold_of == fold for fold in np.unique(fold_of) if len(np.unique(label[fold_of != fold])) > 1
    ]
    losses: dict[tuple[float, float], float] = {}
    with threadpool_limits(1):
        for reach in REACHES:
            terms = [
                LogisticTerms.fit(features[~held], categorical, reach, growing) for held in kept
            ]
            designs = [each.design(features[~held]) for each, held in zip(terms, kept, strict=True)]
            for strength in STRENGTHS:
                fitted = [
                    _fit_terms(each, design, label[~held], weight[~held], strength)
                    for each, design, held in zip(terms, designs, kept, strict=True)
                ]
                unseen = np.concatenate(
                    [
                        weight[held] * row_losses(each.log_odds_of(features[held]), label[held])
                        for each, held in zip(fitted, kept, strict=True)
                    ]
                )
                losses[strength, reach] = float(unseen.sum() / weight[np.any(kept, axis=0)].sum())
                if newer is not None:
                    margin = np.mean([each.log_odds_of(newer[0]) for each in fitted], axis=0)
                    new = np.average(row_losses(margin, newer[1]), weights=newer[2])
                    losses[strength, reach] += float(new)
    return min(losses, key=lambda pair: losses[pair])


def row_losses(margin: Floats, label: Labels) -> Floats:
    """Log loss of each row, shape (n,)."""
    return -np.asarray(label * log_expit(margin) + (1 - label) * log_expit(-margin))
