"""Fits boosted trees: a bag of LightGBM models, combined into one for scoring."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from crm.arrays import Bools, Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from models.estimator.trees import BoostedTrees

OnShare = Callable[[float], None]

MAX_ROUNDS = 800
PATIENCE = 50
N_SEEDS = 3
MANY_ROWS = 50_000  # with fewer rows, threads that wait for a core cost more than they save
TREE_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 12,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 10.0,
    "max_cat_to_onehot": 32,
    "extra_trees": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
SCALED_LINES = re.compile(r"(?m)^(leaf_value|internal_value)=(.*)$")
FITTING_LINES = re.compile(r"(?m)^monotone_constraints=.*\n")  # scores do not depend on them


@dataclass(frozen=True)
class TreesFit:
    """A fitted bag of boosters.

    Attributes
    ----------
    trees : BoostedTrees
        The mean of the bag.
    rounds : tuple of int
        The number of trees of each booster.
    out_of_fold : ndarray of float64, shape (n,)
        Each row's margin from the booster that did not see its lead; nan for the rows whose margin
        is not needed.
    """

    trees: BoostedTrees
    rounds: tuple[int, ...]
    out_of_fold: Floats


def fit_trees(
    features: Floats,
    label: Labels,
    weight: Floats,
    lead: Ints,
    categorical: list[int],
    *,
    seed: int,
    rounds: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    directions: tuple[int, ...] = (),
    predicted: Bools | None = None,
    on_share: OnShare = lambda share: None,
) -> TreesFit:
    """Fit one booster for each fold, to all the other folds, and bag the boosters.

    Parameters
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        Rows of one lead stay in one fold.
    categorical : list of int
        Columns that contain codes.
    seed : int
        Same data and same seed give the same trees.
    rounds : int, optional
        The number of trees of each booster; without it each stops early on its held-out fold.
    parameters : mapping, optional
        LightGBM's parameters that replace those in `TREE_PARAMETERS`.
    directions : tuple of int, length k, or empty
        1 if a column may only raise the log-odds, -1 if it may only lower them, else 0.
    predicted : ndarray of bool, shape (n,), optional
        The rows whose margin out of fold is needed; all without it.
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1, for a progress bar.

    Returns
    -------
    TreesFit

    References
    ----------
    Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", 2017.
    Breiman, "Bagging Predictors", 1996.
    """
    fold_of = folds(label, lead, seed, N_FOLDS)
    n_folds = int(fold_of.max()) + 1
    out_of_fold = np.full(len(label), np.nan)
    most = rounds or MAX_ROUNDS
    settings = tree_settings(len(label), seed, parameters, directions)
    # Numbers are put into bins once; each fold takes its rows of the bins.
    rows = dataset(features, label, weight, categorical, settings).construct()
    boosters = []
    for fold in range(n_folds):
        held_out = fold_of == fold
        booster = fit_without(
            held_out,
            rows,
            settings | {"seed": seed + fold},
            rounds,
            [_progress(on_share, fold, n_folds, most)],
        )
        asked = held_out if predicted is None else held_out & predicted
        if asked.any():
            out_of_fold[asked] = np.asarray(booster.predict(features[asked], raw_score=True))
        boosters.append(booster)
    on_share(1.0)
    n_trees = tuple(max(1, rounds or booster.best_iteration) for booster in boosters)
    texts = [
        booster.model_to_string(num_iteration=n)
        for booster, n in zip(boosters, n_trees, strict=True)
    ]
    return TreesFit(BoostedTrees(mean_of_texts(texts)), n_trees, out_of_fold)


def fit_without(
    held_out: Bools,
    rows: lightgbm.Dataset,
    settings: Mapping[str, Any],
    rounds: int | None = None,
    callbacks: Sequence[Callable[..., Any]] = (),
) -> lightgbm.Booster:
    """Fit a booster to the rows outside a fold.

    Parameters
    ----------
    held_out : ndarray of bool, shape (n,)
        The fold.
    rows : lightgbm.Dataset
        All n rows, constructed.
    settings : mapping
        The result of `tree_settings`.
    rounds : int, optional
        The number of trees; without it the booster stops early on the fold.
    callbacks : sequence of callable
        LightGBM's callbacks.
    """
    stop_early: dict[str, Any] = {}
    if rounds is None:
        stop_early = {"valid_sets": [rows.subset(np.flatnonzero(held_out).tolist())]}
        callbacks = [lightgbm.early_stopping(PATIENCE, verbose=False), *callbacks]
    return lightgbm.train(
        dict(settings),
        rows.subset(np.flatnonzero(~held_out).tolist()),
        num_boost_round=rounds or MAX_ROUNDS,
        callbacks=list(callbacks),
        **stop_early,
    )


def find_rounds(
    older: tuple[Floats, Labels, Floats],
    newer: tuple[Floats, Labels, Floats],
    categorical: list[int],
    *,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    directions: tuple[int, ...] = (),
) -> tuple[int, Floats]:
    """Choose the number of trees that, fitted to older leads, predicts newer leads best.

    Parameters
    ----------
    older, newer : tuple of features, label, weight
        Arrays as for `fit_trees`. All labels of the older rows were known before the first
        newer row.

    Returns
    -------
    rounds : int
        The mean number of trees that early stopping on the newer rows chose for `N_SEEDS` seeds.
        With `MANY_ROWS` older rows it hardly depends on the seed, and one seed is used.
    margin : ndarray of float64, shape (n_newer,)
        The mean margin of the newer rows.
    """
    rounds, margins = [], []
    settings = tree_settings(len(older[1]), seed, parameters, directions)
    training = dataset(*older, categorical, settings)
    validation = training.create_valid(*newer)
    for i in range(N_SEEDS if len(older[1]) < MANY_ROWS else 1):
        booster = lightgbm.train(
            settings | {"seed": seed + i},
            training,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[validation],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        rounds.append(booster.best_iteration)
        margins.append(np.asarray(booster.predict(newer[0], raw_score=True)))
    return max(1, round(float(np.mean(rounds)))), np.mean(margins, axis=0)


def tree_settings(
    n_rows: int, seed: int, parameters: Mapping[str, Any] | None, directions: tuple[int, ...]
) -> dict[str, Any]:
    """Return LightGBM's parameters for this number of rows."""
    settings = TREE_PARAMETERS | dict(parameters or {})
    settings |= {"seed": seed, "num_threads": 1 if n_rows < MANY_ROWS else 0}
    if any(directions):
        settings["monotone_constraints"] = list(directions)
        settings["monotone_constraints_method"] = "advanced"
    return settings


def dataset(
    features: Floats,
    label: Labels,
    weight: Floats,
    categorical: list[int],
    settings: Mapping[str, Any],
) -> lightgbm.Dataset:
    """Return the rows as LightGBM's data set."""
    return lightgbm.Dataset(
        features, label, weight=weight, categorical_feature=categorical, params=dict(settings)
    )


def mean_of_texts(texts: Sequence[str]) -> str:
    """Combine the model texts of boosters into one whose margin is the mean of their margins.

    Every tree is kept; the values of its leaves are divided by the number of boosters.

    Parameters
    ----------
    texts : sequence of str
        The texts that `lightgbm.Booster.model_to_string` writes, for the same features.

    Returns
    -------
    str
    """
    blocks: list[str] = []
    for text in texts:
        trees = text.partition("\n\nTree=")[2].partition("end of trees")[0]
        for tree in trees.split("\n\nTree="):
            body = SCALED_LINES.sub(
                lambda line: f"{line[1]}={_divided(line[2], len(texts))}", tree.partition("\n")[2]
            )
            blocks.append(f"Tree={len(blocks)}\n{body.rstrip()}\n\n\n")
    head = FITTING_LINES.sub("", texts[0].partition("\n\nTree=")[0])
    sizes = " ".join(str(len(block)) for block in blocks)
    head = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
    return f"{head}\n\n{''.join(blocks)}end of trees\n"


def _divided(numbers: str, divisor: int) -> str:
    return " ".join(repr(float(number) / divisor) for number in numbers.split(" ") if number)


def _progress(on_share: OnShare, fold: int, n_folds: int, rounds: int) -> Callable[[Any], None]:
    """Return a callback for LightGBM that reports the share of the work that is done."""
    return lambda state: on_share((fold + (state.iteration + 1) / rounds) / n_folds)
