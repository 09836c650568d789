"""Fits the logistic regression: the part of the estimator that extrapolates.

It is the mean of two fits, in log-odds: one has a line for each number, the other has steps. Lines
extrapolate and need few leads; steps bend.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from crm.arrays import Bools, Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from features.moments import leads_of_rarer
from models.estimator.logistic import DRIFT, Logistic, LogisticTerms
from models.evaluation.metrics import log_losses
from models.fitting.coefficients import curvature_of, fit_coefficients
from models.fitting.steps import (
    StepDesign,
    fit_steps,
    fit_steps_out_of_fold,
    mean_of_line_and_steps,
)

FittingRows = tuple[Floats, Labels, Floats, Ints]  # features, label, weight, lead

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C: smaller regularises more
STEP_STRENGTHS = (0.01, 0.1, 1.0)  # fewer, because steps take longer to fit
REACHES = (4.0, 20.0)  # standard deviations at which a number is clipped
FEW_OUTCOMES = 400  # leads of the rarer class; with fewer, numbers stay in the training range
MANY_ROWS = 10_000  # with more rows, the settings are chosen on a sample


def one_thread() -> Any:
    """Return a context in which linear algebra uses one thread.

    Sums that threads share out differ in the last digit from one number of threads to the next.
    And threads that wait for a busy core cost more than they save.
    """
    return threadpool_limits(1, user_api="blas")


@dataclass(frozen=True)
class LogisticSettings:
    """The settings of the logistic regression.

    Attributes
    ----------
    strength : float
        Scikit-learn's C of the lines: smaller values regularise more.
    step_strength : float or None
        That of the steps; None if there are only lines.
    reach : float
        Standard deviations at which numbers are clipped.
    drift : float
        Standard deviations within which a number may leave the training range.
    """

    strength: float = 1.0
    step_strength: float | None = None
    reach: float = REACHES[-1]
    drift: float = DRIFT


DEFAULTS = LogisticSettings()


def fit_logistic(
    features: Floats,
    label: Labels,
    weight: Floats,
    categorical: Sequence[int],
    *,
    growing: Sequence[int] = (),
    trees_only: Sequence[int] = (),
    settings: LogisticSettings = DEFAULTS,
    directions: tuple[int, ...] = (),
) -> Logistic:
    """Fit an L2-regularised logistic regression with a line for each number.

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
    trees_only : sequence of int
        Columns that are not used.
    settings : LogisticSettings
    directions : tuple of int, length k, or empty
        1 if a column may only raise the log-odds, -1 if it may only lower them, else 0. A
        number that would go the other way gets the slope 0.

    Returns
    -------
    Logistic
    """
    terms = LogisticTerms.fit(
        features, categorical, settings.reach, growing, settings.drift, trees_only
    )
    with one_thread():
        design = terms.design(features)
        return _fit_lines(
            terms,
            design,
            label,
            weight,
            settings.strength,
            curvature_of(design, label, weight),
            directions,
        )


def fit_bending(
    features: Floats,
    label: Labels,
    weight: Floats,
    categorical: Sequence[int],
    *,
    growing: Sequence[int] = (),
    trees_only: Sequence[int] = (),
    settings: LogisticSettings,
    directions: tuple[int, ...] = (),
) -> Logistic:
    """Fit a logistic regression on lines or, if the settings have steps, on lines and on steps.

    The result is then the mean of the two, in log-odds. The parameters are those of
    `fit_logistic`. A direction also holds for every step.

    Returns
    -------
    Logistic
    """
    lines = fit_logistic(
        features,
        label,
        weight,
        categorical,
        growing=growing,
        trees_only=trees_only,
        settings=settings,
        directions=directions,
    )
    if settings.step_strength is None:
        return lines
    design = StepDesign.of(lines.terms, features, directions)
    steps, _ = fit_steps(design, label, weight, settings.step_strength)
    return mean_of_line_and_steps(design, lines, steps, weight)


def bending_out_of_fold(
    features: Floats,
    label: Labels,
    weight: Floats,
    fold_of: Ints,
    categorical: Sequence[int],
    *,
    growing: Sequence[int] = (),
    trees_only: Sequence[int] = (),
    settings: LogisticSettings,
    directions: tuple[int, ...] = (),
) -> Floats:
    """Compute the log-odds of each row from fits of `fit_bending` that did not see its fold.

    The parameters are those of `fit_bending`; `fold_of`, shape (n,), is the fold of each row.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    held_outs = [fold_of == fold for fold in np.unique(fold_of)]
    terms = LogisticTerms.fit(
        features, categorical, settings.reach, growing, settings.drift, trees_only
    )
    log_odds = np.empty(len(label))
    design = terms.design(features)
    curvature = curvature_of(design, label, weight)
    start = None
    for out in held_outs:
        start = _fit_lines(
            terms,
            design[~out],
            label[~out],
            weight[~out],
            settings.strength,
            curvature,
            directions,
            start,
        )
        log_odds[out] = start.log_odds_of(features[out])
    if settings.step_strength is None:
        return log_odds
    steps = StepDesign.of(terms, features, directions)
    of_steps, _ = fit_steps_out_of_fold(
        steps, label, weight, held_outs, settings.step_strength, steps.curvature(label, weight)
    )
    for model, out in zip(of_steps, held_outs, strict=True):
        log_odds[out] = (log_odds[out] + model.log_odds_of(features[out])) / 2
    return log_odds


def _fit_lines(
    terms: LogisticTerms,
    design: Floats,
    label: Labels,
    weight: Floats,
    strength: float,
    curvature: Floats,
    directions: tuple[int, ...] = (),
    start: Logistic | None = None,
) -> Logistic:
    """Fit lines to a design, from the coefficients of a similar fit with the same terms."""
    signs = np.zeros(terms.n_terms)
    if directions:
        signs[: len(terms.numeric)] = np.array(directions)[list(terms.numeric)]
    begin = None if start is None else np.array([start.intercept, *start.coefficients])
    intercept, *coefficients = fit_coefficients(
        design, label, weight, strength, curvature, signs=signs, start=begin
    ).tolist()
    centre = weight @ design / weight.sum()
    return Logistic(terms, tuple(coefficients), tuple(centre.tolist()), intercept)


def choose_logistic(
    older: FittingRows,
    newer: FittingRows | None,
    categorical: Sequence[int],
    seed: int,
    growing: Sequence[int] = (),
    trees_only: Sequence[int] = (),
) -> LogisticSettings:
    """Choose how strongly to regularise, and where to clip numbers.

    Each setting is fitted to folds of whole leads of the older rows. Its loss is the loss on the
    held-out folds plus the loss on the newer rows: the first shows how complex a model so few
    rows allow, the second what stays valid when the data change. With more than `MANY_ROWS`
    older or newer rows a sample of their leads is used: the choice then matters little.

    With fewer than `FEW_OUTCOMES` leads of the rarer class, there are only lines, and numbers are
    clipped to the training range, at the smaller reach: few rows cannot show where a line stops
    being valid.

    Parameters
    ----------
    older, newer : tuple of features, label, weight, lead
        `newer` is None if there are too few newer rows.
    categorical : sequence of int
    seed : int
    growing, trees_only : sequence of int
        As for `fit_logistic`.

    Returns
    -------
    LogisticSettings
        The settings with the smallest loss.
    """
    has_few = leads_of_rarer(older[1], older[3]) < FEW_OUTCOMES
    drift, reaches = (0.0, REACHES[:1]) if has_few else (DRIFT, REACHES)
    rows = _sample(older, seed)
    trial = _Trial.of(rows, None if newer is None else _sample(newer, seed), seed)
    of_reach = {
        reach: LogisticTerms.fit(rows[0], categorical, reach, growing, drift, trees_only)
        for reach in reaches
    }
    tried = [fits for terms in of_reach.values() for fits in _lines(trial, terms, drift)]
    lines = min(tried, key=lambda fits: fits.loss).settings
    if has_few:
        return lines
    steps = _steps(trial, of_reach[lines.reach], lines)
    return min(steps, key=lambda fits: fits.loss).settings


@dataclass(frozen=True)
class _Fits:
    """Fits with one combination of settings.

    Attributes
    ----------
    settings : LogisticSettings
    models : list of Logistic
        The model of each fold.
    loss : float
        On held-out rows, plus on newer rows.
    """

    settings: LogisticSettings
    models: list[Logistic]
    loss: float


@dataclass(frozen=True)
class _Trial:
    """Rows in folds, on which settings are compared."""

    rows: FittingRows
    newer: FittingRows | None
    held_outs: tuple[Bools, ...]

    @classmethod
    def of(cls, rows: FittingRows, newer: FittingRows | None, seed: int) -> "_Trial":
        _, label, _, lead = rows
        fold_of = folds(label, lead, seed, N_FOLDS)
        held_outs = [fold_of == fold for fold in np.unique(fold_of)]
        return cls(rows, newer, tuple(out for out in held_outs if len(np.unique(label[~out])) > 1))

    def fits(self, settings: LogisticSettings, models: list[Logistic]) -> _Fits:
        """Compute the loss of the models of each fold."""
        features, label, weight, _ = self.rows
        unseen = sum(
            float((weight[out] * log_losses(model.log_odds_of(features[out]), label[out])).sum())
            for model, out in zip(models, self.held_outs, strict=True)
        )
        loss = unseen / float(weight[np.any(self.held_outs, axis=0)].sum())
        if self.newer is not None:
            features, label, weight, _ = self.newer
            log_odds = np.mean([model.log_odds_of(features) for model in models], axis=0)
            loss += float(np.average(log_losses(log_odds, label), weights=weight))
        return _Fits(settings, models, loss)


def _lines(trial: _Trial, terms: LogisticTerms, drift: float) -> Iterator[_Fits]:
    """Fit lines of every strength to each fold."""
    features, label, weight, _ = trial.rows
    design = terms.design(features)
    curvature = curvature_of(design, label, weight)
    folds_of_design = [design[~out] for out in trial.held_outs]
    start: Logistic | None = None
    for strength in STRENGTHS:
        models = []
        for out, of_fold in zip(trial.held_outs, folds_of_design, strict=True):
            start = _fit_lines(
                terms, of_fold, label[~out], weight[~out], strength, curvature, start=start
            )
            models.append(start)
        settings = LogisticSettings(strength, reach=terms.reach, drift=drift)
        yield trial.fits(settings, models)


def _steps(trial: _Trial, terms: LogisticTerms, lines: LogisticSettings) -> Iterator[_Fits]:
    """Fit steps of every strength to each fold."""
    features, label, weight, _ = trial.rows
    design = StepDesign.of(terms, features)
    curvature = design.curvature(label, weight)
    start: Floats | None = None
    for strength in STEP_STRENGTHS:
        models, start = fit_steps_out_of_fold(
            design, label, weight, trial.held_outs, strength, curvature, start
        )
        yield trial.fits(replace(lines, step_strength=strength), models)


def _sample(rows: FittingRows, seed: int) -> FittingRows:
    """Return the rows of a sample of leads, about `MANY_ROWS`, or all if they are fewer."""
    features, label, weight, lead = rows
    sampled = sample_of_leads(lead, MANY_ROWS, seed)
    return features[sampled], label[sampled], weight[sampled], lead[sampled]


def sample_of_leads(lead: Ints, most: int, seed: int) -> Bools:
    """Return which rows belong to a sample of leads: about `most` rows, or all if they are fewer.

    Examples
    --------
    >>> sample_of_leads(np.arange(6) // 2, 4, seed=0).tolist()
    [False, False, True, True, True, True]
    """
    if len(lead) <= most:
        return np.ones(len(lead), dtype=bool)
    leads = np.unique(lead)
    n_leads = max(1, int(most * len(leads) / len(lead)))
    return np.isin(lead, np.random.default_rng(seed).choice(leads, n_leads, replace=False))
