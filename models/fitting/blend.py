"""Fits the estimator: a logistic regression and bagged trees, blended in log-odds.

A linear model extrapolates, and stays valid with few leads or when the data change. Trees find
relations that are not linear. Their weights are chosen on the newest part of the training data
(docs/decisions/0009).
"""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from crm.arrays import Floats, Ints
from features.fitting import N_FOLDS, folds
from features.moments import FEWEST_OUTCOMES
from models.estimator.blend import BaseRate, Blend
from models.fitting.examples import Examples
from models.fitting.logistic import (
    bending_out_of_fold,
    fit_bending,
    one_thread,
    sample_of_leads,
)
from models.fitting.settings import MOST_LINEAR_ROWS, BlendSettings, Choice, choose_settings
from models.fitting.trees import fit_trees


class BlendClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fits a `Blend` and obeys scikit-learn.

    Parameters
    ----------
    categorical : sequence of int
        Columns that contain category codes.
    seed : int
        Same data and same seed give the same blend.
    settings : BlendSettings, optional
        The settings of an earlier fit; without them they are chosen on the newest rows.
    tree_parameters : mapping, optional
        LightGBM's parameters that replace the defaults.
    directions : sequence of int
        For each column 1 if it may only raise the log-odds, -1 if it may only lower them, else
        0; empty for none.
    growing : sequence of int
        Columns that grow with time.
    trees_only : sequence of int
        Columns that the logistic regression does not use.

    Attributes
    ----------
    blend_ : Blend or BaseRate
        The base rate if the rarer class has fewer than `FEWEST_OUTCOMES` leads.
    settings_ : BlendSettings or None
    out_of_fold_ : ndarray of float64, shape (n,)
        Each row's log-odds from models that did not see its lead; calibration learns from them.
        With more than `MOST_LINEAR_ROWS` rows, nan for the leads outside a sample.
    newer_log_odds_ : ndarray of float64, shape (n_newer,), or None
        The log-odds of the newest rows, with the chosen settings and fitted to the older rows; None
        if the settings were given, or the newest rows have too few outcomes.
    classes_ : ndarray, shape (2,)
    n_features_in_ : int

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> X = generator.normal(size=(400, 2))
    >>> y = X[:, 0] + generator.normal(size=400) > 0
    >>> model = BlendClassifier().fit(X, y)
    >>> model.predict(np.array([[3.0, 0.0], [-3.0, 0.0]])).tolist()
    [True, False]
    """

    def __init__(
        self,
        categorical: Sequence[int] = (),
        seed: int = 0,
        settings: BlendSettings | None = None,
        tree_parameters: Mapping[str, Any] | None = None,
        directions: Sequence[int] = (),
        growing: Sequence[int] = (),
        trees_only: Sequence[int] = (),
    ) -> None:
        self.categorical = categorical
        self.seed = seed
        self.settings = settings
        self.tree_parameters = tree_parameters
        self.directions = directions
        self.growing = growing
        self.trees_only = trees_only

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lead: Ints | None = None,
        choice: Choice | None = None,
        on_share: Callable[[float], None] = lambda share: None,
    ) -> "BlendClassifier":
        """Fit to rows in the order of time.

        Parameters
        ----------
        X : array-like of float, shape (n, k)
            The features; nan for a missing number.
        y : array-like, shape (n,)
            Two classes; the greater one is a win.
        sample_weight : array-like of float, shape (n,), optional
        lead : ndarray of int64, shape (n,), optional
            The lead of each row; without it each row is a lead of its own.
        choice : Choice, optional
            The settings that were chosen on newer rows. Without it they are chosen on the newest
            `NEWEST_SHARE` of the leads.
        on_share : callable, optional
            Called with the share of the work that is done, 0 … 1.

        Returns
        -------
        BlendClassifier

        Raises
        ------
        ValueError
            If X or y is not valid for scikit-learn, y does not have two classes, or the
            directions do not fit the columns.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise ValueError(
                f"Only binary classification is supported. y has {len(self.classes_)} "
                f"class{'' if len(self.classes_) == 1 else 'es'}; expected lost and won."
            )
        label = (y == self.classes_[1]).astype(np.int8)
        lead = np.arange(len(y)) if lead is None else lead
        check_consistent_length(X, lead)
        self._check_directions(X.shape[1])
        rows = Examples(
            features=X,
            label=label,
            weight=weight,
            lead=lead,
            categorical=tuple(self.categorical),
            directions=tuple(self.directions),
            growing=tuple(self.growing),
            trees_only=tuple(self.trees_only),
        )
        self.settings_: BlendSettings | None = None
        self.newer_log_odds_: Floats | None = None
        self.blend_: Blend | BaseRate
        if rows.rarer < FEWEST_OUTCOMES:
            self.blend_ = BaseRate.fit(label, weight)
            self.out_of_fold_ = self.blend_.log_odds_of(X)
            return self
        done = 0.0
        with one_thread():
            self.settings_ = self.settings
            if self.settings_ is None:
                if choice is None:
                    done = 0.5
                    choice = choose_settings(
                        *rows.newest,
                        seed=self.seed,
                        tree_parameters=self.tree_parameters,
                        on_share=lambda share: on_share(done * share),
                    )
                    self.newer_log_odds_ = choice.newer_log_odds
                self.settings_ = choice.settings_for(rows, self.seed)
            self._fit_parts(rows, lambda share: on_share(done + (1 - done) * share))
        return self

    def _check_directions(self, n_features: int) -> None:
        """Check the directions: LightGBM ends the process if they are not valid."""
        directions = self.directions
        if len(directions) and (
            len(directions) != n_features
            or not {-1, 0, 1}.issuperset(directions)
            or any(directions[i] for i in self.categorical)
        ):
            raise ValueError(
                f"The directions are {reprlib.repr(directions)}; expected 1, -1 or 0 for each of "
                f"{n_features} columns, and 0 for categories."
            )

    def _fit_parts(self, rows: Examples, on_share: Callable[[float], None]) -> None:
        settings = self.settings_
        assert settings is not None
        weight = settings.logistic_weight
        logistic = trees = None
        sampled = sample_of_leads(rows.lead, MOST_LINEAR_ROWS, self.seed)
        sample = rows.take(sampled)
        out_of_fold = np.zeros(len(sample.label))
        if weight > 0:
            options = {"settings": settings.logistic, **sample.of_columns}
            logistic = fit_bending(*sample.columns[:3], sample.categorical, **options)
            fold_of = folds(sample.label, sample.lead, self.seed, N_FOLDS)
            out_of_fold += weight * bending_out_of_fold(
                *sample.columns[:3], fold_of, sample.categorical, **options
            )
        on_share(0.2)
        if weight < 1:
            fit = fit_trees(
                *rows.columns,
                list(rows.categorical),
                seed=self.seed,
                rounds=settings.rounds,
                parameters=self.tree_parameters,
                directions=rows.directions,
                predicted=sampled,
                on_share=lambda share: on_share(0.2 + 0.8 * share),
            )
            trees = fit.trees
            out_of_fold += (1 - weight) * fit.out_of_fold[sampled]
        on_share(1.0)
        self.out_of_fold_ = np.full(len(rows.label), np.nan)
        self.out_of_fold_[sampled] = out_of_fold
        self.blend_ = Blend(weight, logistic, trees)

    def decision_function(self, X: Any) -> Floats:
        """Compute the log-odds of a win, shape (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return self.blend_.log_odds_of(X)

    def predict_proba(self, X: Any) -> Floats:
        """Compute uncalibrated probabilities of a loss and of a win, shape (n, 2)."""
        won = expit(self.decision_function(X))
        return np.column_stack([1 - won, won])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class, shape (n,)."""
        is_won = self.decision_function(X) > 0
        return np.asarray(self.classes_[is_won.astype(int)])

    def __sklearn_tags__(self) -> Any:
        """Declare to scikit-learn that X may contain nan and that y has two classes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags
