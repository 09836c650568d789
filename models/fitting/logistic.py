"""Fits the logistic regression: the part of the estimator that extrapolates."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from crm.arrays import Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from models.estimator.logistic import Logistic, LogisticTerms
from models.evaluation.metrics import log_losses

FittingRows = tuple[Floats, Labels, Floats, Ints]  # features, label, weight, lead

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C: smaller regularises more
REACHES = (4.0, 20.0)  # standard deviations at which a number is clipped
MANY_ROWS = 10_000  # with more rows, the settings are chosen on a sample
MANY_CELLS = 2e10  # rows · terms²: above it Newton's steps cost more than those of L-BFGS


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
        Both classes must occur.
    weight : ndarray of float64, shape (n,)
    categorical : sequence of int
        Columns that contain codes.
    growing : sequence of int
        Columns that grow with time. They are clipped to the range that they have here.
    strength : float
        Scikit-learn's C: smaller values regularise more.
    reach : float
        Standard deviations at which numbers are clipped.
    directions : tuple of int, length k, or empty
        1 if a column may only raise the log-odds, -1 if it may only lower them, else 0. A
        number that would go the other way gets the slope 0.

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
    directions_of_terms = np.zeros(terms.n_terms)
    if directions:
        directions_of_terms[: len(terms.numeric)] = np.array(directions)[list(terms.numeric)]
    is_fitted = np.ones(terms.n_terms, dtype=bool)
    coefficients = np.zeros(terms.n_terms)
    while True:
        model = LogisticRegression(C=strength, max_iter=1000, solver=solver)
        model.fit(design[:, is_fitted], label, sample_weight=weight)
        coefficients[:] = 0.0
        coefficients[is_fitted] = model.coef_[0]
        is_opposed = directions_of_terms * coefficients < 0
        if not is_opposed.any():
            break
        is_fitted &= ~is_opposed
    centre = np.average(design, axis=0, weights=weight)
    return Logistic(
        terms, tuple(coefficients.tolist()), tuple(centre.tolist()), float(model.intercept_[0])
    )


def choose_logistic(
    older: FittingRows,
    newer: FittingRows | None,
    categorical: Sequence[int],
    seed: int,
    growing: Sequence[int] = (),
) -> tuple[float, float]:
    """Choose how strongly to regularise, and where to clip numbers.

    Each pair of settings is fitted to folds of whole leads of the older rows. Its loss is the
    loss on the held-out folds plus the loss on the newer rows: the first shows how complex a
    model so few rows allow, the second what stays valid when the data change. With more than
    `MANY_ROWS` older rows a sample of leads is used: the choice then matters little.

    Parameters
    ----------
    older, newer : tuple of features, label, weight, lead
        `newer` is None if there are too few newer rows.
    categorical : sequence of int
    seed : int
    growing : sequence of int
        Columns that grow with time, as for `fit_logistic`.

    Returns
    -------
    strength, reach : float
        The pair of settings with the smallest loss.
    """
    features, label, weight, lead = older
    if len(label) > MANY_ROWS:
        leads = np.unique(lead)
        n_leads = max(1, int(MANY_ROWS * len(leads) / len(label)))
        chosen = np.random.default_rng(seed).choice(leads, n_leads, replace=False)
        rows = np.isin(lead, chosen)
        features, label, weight, lead = features[rows], label[rows], weight[rows], lead[rows]
    fold_of = folds(label, lead, seed, N_FOLDS)
    held_outs = [
        fold_of == fold for fold in np.unique(fold_of) if len(np.unique(label[fold_of != fold])) > 1
    ]
    in_a_fold = np.any(held_outs, axis=0)
    losses: dict[tuple[float, float], float] = {}
    with threadpool_limits(1):
        for reach in REACHES:
            terms = [
                LogisticTerms.fit(features[~held_out], categorical, reach, growing)
                for held_out in held_outs
            ]
            designs = [
                terms_of_fold.design(features[~held_out])
                for terms_of_fold, held_out in zip(terms, held_outs, strict=True)
            ]
            for strength in STRENGTHS:
                models = [
                    _fit_terms(terms_of_fold, design, label[~held_out], weight[~held_out], strength)
                    for terms_of_fold, design, held_out in zip(
                        terms, designs, held_outs, strict=True
                    )
                ]
                unseen = np.concatenate(
                    [
                        weight[held_out]
                        * log_losses(model.log_odds_of(features[held_out]), label[held_out])
                        for model, held_out in zip(models, held_outs, strict=True)
                    ]
                )
                losses[strength, reach] = float(unseen.sum() / weight[in_a_fold].sum())
                if newer is not None:
                    new_features, new_label, new_weight, _ = newer
                    log_odds = np.mean(
                        [model.log_odds_of(new_features) for model in models], axis=0
                    )
                    new_loss = np.average(log_losses(log_odds, new_label), weights=new_weight)
                    losses[strength, reach] += float(new_loss)
    return min(losses, key=lambda pair: losses[pair])
