"""Estimators of the log-odds of a win: the base rate, a logistic regression, boosted trees."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightgbm
import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from features.fitting import N_FOLDS, folds

Floats = NDArray[np.float64]

MAX_ROUNDS = 800
PATIENCE = 50
LARGEST = 1e100
MANY_ROWS = 50_000  # with fewer, threads that wait for a busy core cost far more than they save
TREE_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "cat_smooth": 10.0,
    "max_cat_to_onehot": 8,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class BaseRate:
    """The same log-odds for every lead: what is known without looking at it."""

    log_odds: float

    @classmethod
    def fit(cls, label: NDArray[np.int8], weight: Floats) -> "BaseRate":
        """Learn the weighted share of wins; kept off 0 and 1 by half a lead."""
        won = float(weight @ label) + 0.5
        return cls(float(logit(won / (float(weight.sum()) + 1.0))))

    def margin(self, features: Floats) -> Floats:
        """Log-odds, shape (n,)."""
        return np.full(len(features), self.log_odds)


@dataclass(frozen=True)
class LogisticTerms:
    """How feature columns become the columns of a linear model.

    Numbers are standardised, their gaps filled with the median and marked by a column
    of their own; absurdly large ones are held at `LARGEST`, whose square is still finite.
    Categories become one column per code.
    """

    categorical: tuple[int, ...]
    median: Floats
    mean: Floats
    scale: Floats
    codes: tuple[Floats, ...]

    @classmethod
    def fit(cls, features: Floats, categorical: list[int]) -> "LogisticTerms":
        """Learn medians, scales and codes from a feature matrix, shape (n, k)."""
        numeric = [i for i in range(features.shape[1]) if i not in set(categorical)]
        numbers = np.clip(features[:, numeric], -LARGEST, LARGEST)
        is_empty = np.isnan(numbers).all(axis=0)
        median = np.where(is_empty, 0.0, np.nanmedian(np.where(is_empty, 0.0, numbers), axis=0))
        filled = np.where(np.isnan(numbers), median, numbers)
        scale = filled.std(axis=0)
        return cls(
            categorical=tuple(categorical),
            median=median,
            mean=filled.mean(axis=0) if len(numeric) else np.empty(0),
            scale=np.where(scale > 0, scale, 1.0),
            codes=tuple(np.unique(features[:, i]) for i in categorical),
        )

    def design(self, features: Floats) -> scipy.sparse.csr_array:
        """Build the linear model's matrix, shape (n, n_terms), sparse."""
        numeric = [i for i in range(features.shape[1]) if i not in set(self.categorical)]
        numbers = np.clip(features[:, numeric], -LARGEST, LARGEST)
        is_missing = np.isnan(numbers)
        filled = (np.where(is_missing, self.median, numbers) - self.mean) / self.scale
        blocks: list[Any] = [
            scipy.sparse.csr_array(filled),
            scipy.sparse.csr_array(is_missing.astype(np.float64)),
        ]
        for column, codes in zip(self.categorical, self.codes, strict=True):
            at = np.searchsorted(codes, features[:, column])
            at_known = np.minimum(at, len(codes) - 1)
            rows = np.flatnonzero(codes[at_known] == features[:, column])
            shape = (len(features), len(codes))
            ones = np.ones(len(rows))
            blocks.append(scipy.sparse.csr_array((ones, (rows, at_known[rows])), shape=shape))
        return scipy.sparse.csr_array(scipy.sparse.hstack(blocks, format="csr"))


@dataclass(frozen=True)
class Logistic:
    """L2-regularised logistic regression on `LogisticTerms`."""

    terms: LogisticTerms
    coefficients: Floats
    intercept: float

    @classmethod
    def fit(
        cls, features: Floats, label: NDArray[np.int8], weight: Floats, categorical: list[int]
    ) -> "Logistic":
        """Fit to a feature matrix, shape (n, k), with labels and weights, shape (n,)."""
        terms = LogisticTerms.fit(features, categorical)
        model = LogisticRegression(C=1.0, max_iter=2000, solver="lbfgs")
        model.fit(terms.design(features), label, sample_weight=weight)
        return cls(terms, model.coef_[0], float(model.intercept_[0]))

    def margin(self, features: Floats) -> Floats:
        """Log-odds, shape (n,)."""
        return np.asarray(self.terms.design(features) @ self.coefficients + self.intercept)


@dataclass(frozen=True, repr=False)
class BoostedTrees:
    """LightGBM trees, held as LightGBM's own model text.

    Attributes
    ----------
    text : str
        As `lightgbm.Booster.model_to_string` writes it.
    """

    text: str

    def __repr__(self) -> str:
        """Name it without its text, which fills pages."""
        return f"BoostedTrees({len(self.text):,} characters)"

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        return lightgbm.Booster(model_str=self.text)

    def margin(self, features: Floats) -> Floats:
        """Log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        threads = 1 if len(features) < 256 else 0
        return np.asarray(
            self._booster.predict(features, raw_score=True, num_threads=threads), dtype=np.float64
        )


@dataclass(frozen=True)
class TreesFit:
    """Boosted trees refitted on all rows, with what was found on the way.

    Attributes
    ----------
    trees : BoostedTrees
    rounds : int
        Trees grown: the mean of what each fold's early stopping chose, raised in the
        proportion in which all rows are more than a fold's training rows.
    out_of_fold : ndarray of float64, shape (n,)
        Each row's log-odds from trees that never saw its lead.
    """

    trees: BoostedTrees
    rounds: int
    out_of_fold: Floats


def fit_trees(
    features: Floats,
    label: NDArray[np.int8],
    weight: Floats,
    lead: NDArray[np.int64],
    categorical: list[int],
    *,
    seed: int,
    on_share: Callable[[float], None] = lambda share: None,
) -> TreesFit:
    """Fit boosted trees: folds by lead find the number of rounds, then all rows are used.

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
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1, for a progress bar.

    Returns
    -------
    TreesFit

    References
    ----------
    Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", 2017.
    """
    threads = 1 if len(features) < MANY_ROWS else 0
    parameters = TREE_PARAMETERS | {"seed": seed, "num_threads": threads}
    fold_of = folds(label, lead, seed, N_FOLDS)
    out_of_fold = np.empty(len(label))
    rounds = []

    n_folds = int(fold_of.max()) + 1

    def teller(fits_done: int, rounds: int) -> Callable[[Any], None]:
        return lambda state: on_share((fits_done + (state.iteration + 1) / rounds) / (n_folds + 1))

    for fold in range(n_folds):
        held = fold_of == fold
        training = lightgbm.Dataset(
            features[~held],
            label[~held],
            weight=weight[~held],
            categorical_feature=categorical,
            params=parameters,
        )
        booster = lightgbm.train(
            parameters,
            training,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[training.create_valid(features[held], label[held], weight=weight[held])],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False), teller(fold, MAX_ROUNDS)],
        )
        rounds.append(booster.best_iteration)
        out_of_fold[held] = np.asarray(
            booster.predict(features[held], raw_score=True, num_iteration=booster.best_iteration)
        )
    n_rounds = max(1, round(float(np.mean(rounds)) * N_FOLDS / (N_FOLDS - 1)))
    booster = lightgbm.train(
        parameters,
        lightgbm.Dataset(
            features, label, weight=weight, categorical_feature=categorical, params=parameters
        ),
        num_boost_round=n_rounds,
        callbacks=[teller(n_folds, n_rounds)],
    )
    return TreesFit(BoostedTrees(booster.model_to_string()), n_rounds, out_of_fold)
