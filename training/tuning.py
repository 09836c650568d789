"""Searches for settings of the trees within a time budget."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.fitting import N_FOLDS, folds
from models.evaluation.metrics import log_losses
from models.fitting.examples import Examples
from models.fitting.trees import dataset, fit_without, tree_settings

OnTrial = Callable[["Trial", float], None]


@dataclass(frozen=True)
class Trial:
    """One combination of settings that was tried.

    Attributes
    ----------
    number : int
        From 0, in the order of the trials; trial 0 has the settings of the project file.
    parameters : mapping of str to number
        Parameters for LightGBM that replace the defaults.
    log_loss : float or None
        The mean of the log loss on held-out folds of the older leads and that on the newest
        leads; None if the trial was stopped early.
    state : {"complete", "pruned"}
    seconds : float
        The duration.
    """

    number: int
    parameters: Mapping[str, Any]
    log_loss: float | None
    state: str
    seconds: float


def tune(
    older: Examples,
    newer: Examples,
    *,
    minutes: float,
    seed: int,
    start: Mapping[str, Any] | None = None,
    on_trial: OnTrial = lambda trial, share: None,
) -> tuple[Mapping[str, Any], tuple[Trial, ...]]:
    """Try settings of the trees until the time is over.

    Each trial fits a bag of boosters to folds of the older leads. Its log loss is the mean of
    that on the held-out folds and that on the newest leads, so neither chance among few new
    leads nor a change since the older ones decides alone. A trial that is worse than the
    median of the others after the same number of folds is stopped.

    Parameters
    ----------
    older, newer : Examples
        The selection sets of `training.selection.selection_sets`.
    minutes : float
        After this time no further fold is fitted, except those of trial 0.
    seed : int
    start : mapping, optional
        The parameters of trial 0, in place of the defaults.
    on_trial : callable, optional
        Called after each trial with the trial and the share of the time that is used.

    Returns
    -------
    parameters : mapping
        Parameters of the best trial.
    trials : tuple of Trial
        All trials, at least trial 0.

    References
    ----------
    Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", 2019.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    ends = began + 60 * minutes
    trials: list[Trial] = []
    fold_of = folds(older.label, older.lead, seed, N_FOLDS)

    def objective(trial: "optuna.Trial") -> float:
        started = time.monotonic()
        parameters = _suggest(trial) if trial.number else dict(start or {})
        losses: list[float] = []
        value, state = None, "pruned"
        try:
            margins = np.zeros(len(newer.label))
            for fold in range(int(fold_of.max()) + 1):
                if trials and time.monotonic() > ends:
                    raise optuna.TrialPruned
                loss, margin = _fold(older, newer, fold_of == fold, parameters, seed + fold)
                losses.append(loss)
                margins += margin
                new = np.average(
                    log_losses(margins / len(losses), newer.label), weights=newer.weight
                )
                trial.report((float(np.mean(losses)) + float(new)) / 2, fold)
                if trials and trial.should_prune():
                    raise optuna.TrialPruned
            value, state = (float(np.mean(losses)) + float(new)) / 2, "complete"
            return value
        finally:
            now = time.monotonic()
            trials.append(Trial(trial.number, parameters, value, state, now - started))
            on_trial(trials[-1], min(1.0, (now - began) / max(60 * minutes, 1e-9)))

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )
    study.optimize(objective, n_trials=1)
    while time.monotonic() < ends:
        study.optimize(objective, n_trials=1)
    return best_of(trials).parameters, tuple(trials)


def best_of(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the lowest log loss, the first of equal ones."""
    complete = [trial for trial in trials if trial.log_loss is not None]
    return min(complete, key=lambda trial: (trial.log_loss, trial.number))


def _fold(
    older: Examples,
    newer: Examples,
    held_out: Any,
    parameters: Mapping[str, Any],
    seed: int,
) -> tuple[float, Any]:
    settings = tree_settings(len(older.label), seed, parameters, older.directions)
    rows = dataset(*older.columns[:3], list(older.categorical), settings).construct()
    booster = fit_without(held_out, rows, settings)
    unseen = older.take(held_out)
    loss = log_losses(np.asarray(booster.predict(unseen.features, raw_score=True)), unseen.label)
    margin = np.asarray(booster.predict(newer.features, raw_score=True))
    return float(np.average(loss, weights=unseen.weight)), margin


def _suggest(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 48, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 100, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 50.0, log=True),
        "cat_smooth": trial.suggest_float("cat_smooth", 1.0, 100.0, log=True),
        "max_cat_to_onehot": trial.suggest_categorical("max_cat_to_onehot", [4, 32]),
        "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
    }
