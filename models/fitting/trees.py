"""Fits boosted trees: a bag of LightGBM models, folded into one for scoring."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from crm.arrays import Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from models.estimator.trees import BoostedTrees

OnShare = Callable[[float], None]

MAX_ROUNDS = 800
PATIENCE = 50
MANY_ROWS = 50_000  # with fewer, threads that wait for a busy core cost far more than they save
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
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
SCALED_LINES = re.compile(r"(?m)^(leaf_value|internal_value)=(.*)$")
FITTING_LINES = re.compile(r"(?m)^monotone_constraints=.*\n")  # they say nothing of a score


@dataclass(frozen=True)
class TreesFit:
    """A bag of boosters, with what was found on the way.

    Attributes
    ----------
    trees : BoostedTrees
        The mean of the bag.
    rounds : tuple of int
        Trees in each booster.
    out_of_fold : ndarray of float64, shape (n,)
        Each row's log-odds from the booster that never saw its lead.
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
    on_share: OnShare = lambda share: None,
) -> TreesFit:
    """Fit one booster to each but one of the folds, and bag them.

    Parameters
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        Rows of one lead stay in one fold.
    categorical : list of int
        Columns that hold codes.
    seed : int
        Same data and same seed give the same trees.
    rounds : int, optional
        Trees in each booster; without it each stops early on the fold it does not see.
    parameters : mapping, optional
        LightGBM's, in place of those in `TREE_PARAMETERS`.
    directions : tuple of int, length k, or empty
        1 where a column may only raise the log-odds, -1 where only lower them, else 0.
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
    out_of_fold = np.empty(len(label))
    boosters = []
    for fold in range(n_folds):
        held = fold_of == fold
        most = rounds or MAX_ROUNDS
        settings = tree_settings(len(label), seed + fold, parameters, directions)
        training = dataset(features[~held], label[~held], weight[~held], categorical, settings)
        stop_early: dict[str, Any] = {}
        if rounds is None:
            stop_early = {
                "valid_sets": [training.create_valid(features[held], label[held], weight[held])]
            }
        booster = lightgbm.train(
            settings,
            training,
            num_boost_round=most,
            callbacks=[
                *([lightgbm.early_stopping(PATIENCE, verbose=False)] if rounds is None else []),
                _teller(on_share, fold, n_folds, most),
            ],
            **stop_early,
        )
        out_of_fold[held] = np.asarray(booster.predict(features[held], raw_score=True))
        boosters.append(booster)
    on_share(1.0)
    grown = tuple(max(1, rounds or booster.best_iteration) for booster in boosters)
    texts = [
        booster.model_to_string(num_iteration=n) for booster, n in zip(boosters, grown, strict=True)
    ]
    return TreesFit(BoostedTrees(fold_texts(texts)), grown, out_of_fold)


def find_rounds(
    older: tuple[Floats, Labels, Floats],
    newer: tuple[Floats, Labels, Floats],
    categorical: list[int],
    *,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    directions: tuple[int, ...] = (),
) -> tuple[int, Floats]:
    """Find how many trees older leads can teach about newer ones.

    Parameters
    ----------
    older, newer : tuple of features, label, weight
        As `fit_trees` takes them; the older ones' labels were known when the newer began.

    Returns
    -------
    rounds : int
        The mean of what early stopping on the newer rows chose for three seeds.
    margin : ndarray of float64, shape (n_newer,)
        Mean log-odds of the newer rows.
    """
    rounds, margins = [], []
    for i in range(3):
        settings = tree_settings(len(older[1]), seed + i, parameters, directions)
        training = dataset(*older, categorical, settings)
        booster = lightgbm.train(
            settings,
            training,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[training.create_valid(*newer)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        rounds.append(booster.best_iteration)
        margins.append(np.asarray(booster.predict(newer[0], raw_score=True)))
    return max(1, round(float(np.mean(rounds)))), np.mean(margins, axis=0)


def tree_settings(
    n_rows: int, seed: int, parameters: Mapping[str, Any] | None, directions: tuple[int, ...]
) -> dict[str, Any]:
    """LightGBM's parameters for so many rows."""
    found = TREE_PARAMETERS | dict(parameters or {})
    found |= {"seed": seed, "num_threads": 1 if n_rows < MANY_ROWS else 0}
    if any(directions):
        found["monotone_constraints"] = list(directions)
        found["monotone_constraints_method"] = "advanced"
    return found


def dataset(
    features: Floats,
    label: Labels,
    weight: Floats,
    categorical: list[int],
    settings: Mapping[str, Any],
) -> lightgbm.Dataset:
    """Rows as LightGBM takes them."""
    return lightgbm.Dataset(
        features, label, weight=weight, categorical_feature=categorical, params=dict(settings)
    )


def fold_texts(texts: Sequence[str]) -> str:
    """Fold the model texts of boosters into one, whose log-odds are the mean of theirs.

    Every tree is kept; what its leaves add is divided by the number of boosters.

    Parameters
    ----------
    texts : sequence of str
        As `lightgbm.Booster.model_to_string` writes them; for the same features.

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


def _divided(numbers: str, by: int) -> str:
    return " ".join(repr(float(number) / by) for number in numbers.split(" ") if number)


def _teller(on_share: OnShare, done: int, of: int, rounds: int) -> Callable[[Any], None]:
    return lambda state: on_share((done + (state.iteration + 1) / rounds) / of)
