"""Fits the estimator: a logistic regression and bagged trees, blended in log-odds.

A linear model extrapolates, and stays valid with few leads or when the data change. Trees find
relations that are not linear. Their weights are chosen on the newest part of the training data
(docs/decisions/0009).
"""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

from crm.arrays import Bools, Floats, Ints, Labels
from features.fitting import N_FOLDS, folds
from features.moments import FEWEST_OUTCOMES, leads_of_rarer
from models.estimator.blend import BaseRate, Blend
from models.estimator.logistic import Logistic
from models.fitting.blend_weight import EVEN, choose_weight
from models.fitting.logistic import (
    LogisticSettings,
    bending_out_of_fold,
    choose_logistic,
    fit_bending,
    one_thread,
    sample_of_leads,
)
from models.fitting.trees import TreesFit, find_rounds, fit_trees

ENOUGH_TO_WEIGH = 10  # leads of the rarer class among the newest leads, to choose the weight
ENOUGH_TO_STOP = 100  # leads of the rarer class among the newest leads, to choose `rounds`
NEWEST_SHARE = 0.15
MOST_LINEAR_ROWS = 100_000  # of more rows, the logistic regression and calibration use a sample


@dataclass(frozen=True)
class Examples:
    """Training rows, in the order of time.

    Attributes
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each row: rows of one lead stay together.
    categorical : tuple of int
        Columns that contain codes.
    directions : tuple of int, length k, or empty
        1 if a column may only raise the log-odds, -1 if it may only lower them, else 0.
    growing : tuple of int
        Columns that grow with time: see `fit_logistic`.
    trees_only : tuple of int
        Columns that the logistic regression does not use.
    """

    features: Floats
    label: Labels
    weight: Floats
    lead: Ints
    categorical: tuple[int, ...] = ()
    directions: tuple[int, ...] = ()
    growing: tuple[int, ...] = ()
    trees_only: tuple[int, ...] = ()

    def take(self, rows: Bools) -> "Examples":
        """Return the examples of the selected rows."""
        return replace(
            self,
            features=self.features[rows],
            label=self.label[rows],
            weight=self.weight[rows],
            lead=self.lead[rows],
        )

    @property
    def columns(self) -> tuple[Floats, Labels, Floats, Ints]:
        """The features, labels, weights and leads."""
        return self.features, self.label, self.weight, self.lead

    @property
    def rarer(self) -> int:
        """The number of leads with the rarer outcome."""
        return leads_of_rarer(self.label, self.lead)


@dataclass(frozen=True)
class BlendSettings:
    """The settings of a blend, which later fits can use again.

    Attributes
    ----------
    logistic_weight : float
    logistic : LogisticSettings
    rounds : int or None
        The number of trees of each booster; None: each booster stops early on its own fold.
    why : str
        The reason for the weight, in a sentence.
    losses : tuple of (float, float)
        Each weight that was tried, with its log loss on the newer rows.
    """

    logistic_weight: float
    logistic: LogisticSettings
    rounds: int | None
    why: str
    losses: tuple[tuple[float, float], ...]


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
        The log-odds of the newer rows, with the chosen settings and fitted to the older rows; None
        if no settings were chosen on newer rows.
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
        choosing: tuple[Examples, Examples] | None = None,
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
        choosing : pair of Examples, optional
            Older and newer rows on which the settings are chosen; they may have other columns.
            Without it the newest `NEWEST_SHARE` of the leads are the newer rows.
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
        done = 0.5 if self.settings is None else 0.0
        with one_thread():
            if self.settings is None:
                older, newer = choosing or _newest(rows)
                self.settings_ = self._choose(rows, older, newer, lambda s: on_share(0.5 * s))
            else:
                self.settings_ = self.settings
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

    def _choose(
        self, rows: Examples, older: Examples, newer: Examples, on_share: Callable[[float], None]
    ) -> BlendSettings:
        can_weigh = min(older.rarer, newer.rarer) >= ENOUGH_TO_WEIGH
        learned_from = older if can_weigh else rows
        logistic = choose_logistic(
            learned_from.columns,
            newer.columns if can_weigh else None,
            learned_from.categorical,
            self.seed,
            learned_from.growing,
            learned_from.trees_only,
        )
        on_share(0.4)
        if not can_weigh:
            part, n = min(("newest", newer.rarer), ("older", older.rarer), key=lambda side: side[1])
            return BlendSettings(
                logistic_weight=EVEN,
                logistic=logistic,
                rounds=None,
                why=f"even, because there are too few outcomes among the {part} leads ({n}) to "
                "choose the weight",
                losses=(),
            )
        sample = older.take(sample_of_leads(older.lead, MOST_LINEAR_ROWS, self.seed))
        linear = self._logistic(sample, logistic).log_odds_of(newer.features)
        rounds = None
        if newer.rarer >= ENOUGH_TO_STOP:
            rounds, grown = find_rounds(
                older.columns[:3],
                newer.columns[:3],
                list(older.categorical),
                seed=self.seed,
                parameters=self.tree_parameters,
                directions=older.directions,
            )
        else:
            grown = self._trees(older, None).trees.log_odds_of(newer.features)
        on_share(1.0)
        weight, losses = choose_weight(linear, grown, newer.label, newer.weight, newer.lead)
        self.newer_log_odds_ = weight * linear + (1 - weight) * grown
        why = (
            f"chosen on the newest {len(newer.label):,} training moments, where the log loss is "
            f"{losses[-1][1]:.4f} for the logistic regression, {losses[0][1]:.4f} for the trees "
            f"and {dict(losses)[weight]:.4f} for this blend. The weight is the mean of all weights "
            "from 0 to 1, and each counts as much as it makes these outcomes likely. So it is "
            f"near {EVEN:g} if the outcomes are few or do not tell the two parts apart"
        )
        return BlendSettings(
            logistic_weight=weight,
            logistic=logistic,
            rounds=rounds,
            why=why,
            losses=losses,
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
            logistic = self._logistic(sample, settings.logistic)
            out_of_fold += weight * self._out_of_fold(sample, settings.logistic)
        on_share(0.2)
        if weight < 1:
            fit = self._trees(
                rows, settings.rounds, sampled, lambda share: on_share(0.2 + 0.8 * share)
            )
            trees = fit.trees
            out_of_fold += (1 - weight) * fit.out_of_fold[sampled]
        on_share(1.0)
        self.out_of_fold_ = np.full(len(rows.label), np.nan)
        self.out_of_fold_[sampled] = out_of_fold
        self.blend_ = Blend(weight, logistic, trees)

    def _logistic(self, rows: Examples, settings: LogisticSettings) -> Logistic:
        return fit_bending(
            rows.features, rows.label, rows.weight, rows.categorical, **_options(rows, settings)
        )

    def _out_of_fold(self, rows: Examples, settings: LogisticSettings) -> Floats:
        """Compute the log-odds of each row from logistic regressions that did not see its lead."""
        fold_of = folds(rows.label, rows.lead, self.seed, N_FOLDS)
        return bending_out_of_fold(
            rows.features,
            rows.label,
            rows.weight,
            fold_of,
            rows.categorical,
            **_options(rows, settings),
        )

    def _trees(
        self,
        rows: Examples,
        rounds: int | None,
        predicted: Bools | None = None,
        on_share: Callable[[float], None] = lambda share: None,
    ) -> TreesFit:
        return fit_trees(
            rows.features,
            rows.label,
            rows.weight,
            rows.lead,
            list(rows.categorical),
            seed=self.seed,
            rounds=rounds,
            parameters=self.tree_parameters,
            directions=rows.directions,
            predicted=predicted,
            on_share=on_share,
        )

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


def _options(rows: Examples, settings: LogisticSettings) -> dict[str, Any]:
    """Return what the logistic regression needs to know besides the rows."""
    return {
        "growing": rows.growing,
        "trees_only": rows.trees_only,
        "settings": settings,
        "directions": rows.directions,
    }


def _newest(rows: Examples) -> tuple[Examples, Examples]:
    """Split the rows into those of older leads and those of the newest leads."""
    leads = np.unique(rows.lead)
    newest = leads[-max(1, round(NEWEST_SHARE * len(leads))) :]
    is_new = np.isin(rows.lead, newest)
    return rows.take(~is_new), rows.take(is_new)
