"""BlendClassifier passes scikit-learn's checks; an expected failure has a reason.

Most of these checks fit fewer than twenty leads, for which leadscore fits the base rate only. So
they run twice: as the product is, and on blends that may be fitted to any number of leads.
"""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.estimator.blend import BaseRate, Blend
from models.fitting import blend as blend_module
from models.fitting.blend import BlendClassifier
from models.fitting.logistic import LogisticSettings
from models.fitting.settings import BlendSettings

CHECKS = 62  # the number of checks in scikit-learn 1.9 for such a classifier


def classifier_of(logistic_weight: float) -> BlendClassifier:
    """Return a classifier of ten rounds with given settings."""
    logistic = LogisticSettings(strength=1.0, step_strength=1.0, reach=4.0)
    settings = BlendSettings(logistic_weight, logistic, 10, "set by hand", ())
    return BlendClassifier(settings=settings, tree_parameters={"min_data_in_leaf": 1})


PRODUCT_CHECKS: pytest.MarkDecorator = parametrize_with_checks([BlendClassifier()])
BLEND_CHECKS: pytest.MarkDecorator = parametrize_with_checks(
    [classifier_of(0.0), classifier_of(0.5), classifier_of(1.0)],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 is one lead, not two: "
        "folds, the scale of numbers and the draws of each tree count leads instead of weights"
    },
)


@PRODUCT_CHECKS
def test_classifier_passes_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@BLEND_CHECKS
def test_blend_passes_scikit_learns_checks(
    estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blend_module, "FEWEST_OUTCOMES", 1)
    check(estimator)


@pytest.mark.parametrize(
    ("checks", "n_estimators"), [(PRODUCT_CHECKS, 1), (BLEND_CHECKS, 3)], ids=["product", "blend"]
)
def test_every_scikit_learn_check_is_collected(checks: Any, n_estimators: int) -> None:
    collected = [getattr(case, "values", case)[1] for case in checks.args[1]]
    assert len(collected) == n_estimators * CHECKS
    names = {getattr(check, "func", check).__name__ for check in collected}
    assert names >= {
        "check_classifiers_train",
        "check_estimators_unfitted",
        "check_n_features_in_after_fitting",
        "check_sample_weights_shape",
        "check_sample_weight_equivalence_on_dense_data",
        "check_supervised_y_no_nan",
        "check_fit1d",
        "check_classifier_not_supporting_multiclass",
    }


# -- what those checks do not cover ------------------------------------------------------------


def draw(n: int = 120) -> Any:
    """Draw three numbers and the class of each row."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, 3))
    return X, np.where(X[:, 0] + generator.normal(size=n) > 0, "won", "lost")


def test_text_classes_are_sorted_and_the_second_is_a_win() -> None:
    X, y = draw()
    model = classifier_of(0.5).fit(X, y)
    assert model.classes_.tolist() == ["lost", "won"]
    predicted = model.predict(X)
    assert set(predicted) == {"lost", "won"}
    assert (predicted == y).mean() > 0.7
    assert model.score(X, y) == (predicted == y).mean()
    chance = model.predict_proba(X)[:, 1]
    assert chance[y == "won"].mean() > chance[y == "lost"].mean() + 0.2
    assert ((model.decision_function(X) > 0) == (predicted == "won")).all()


def test_missing_values_are_accepted() -> None:
    X, y = draw()
    X[::3, 1] = np.nan
    model = classifier_of(0.5).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_infinities_are_refused() -> None:
    X, y = draw()
    model = classifier_of(0.5).fit(X, y)
    X[5, 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        classifier_of(0.5).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.predict(X)


INVALID_INPUT = {
    "one class": (lambda X, y: (X, ["won"] * len(X)), {}, r"y has 1 class; expected lost and won"),
    "three classes": (
        lambda X, y: (X, (["won", "lost", "open"] * len(X))[: len(X)]),
        {},
        r"Only binary classification is supported\. y has 3 classes; expected lost and won",
    ),
    "numbers for labels": (lambda X, y: (X, X[:, 0]), {}, r"Unknown label type: continuous"),
    "one dimension": (lambda X, y: (X[:, 0], y), {}, r"Expected 2D array, got 1D array"),
    "no rows": (lambda X, y: (X[:0], y[:0]), {}, r"Found array with 0 sample\(s\)"),
    "no columns": (lambda X, y: (X[:, :0], y), {}, r"Found array with 0 feature\(s\)"),
    "too few labels": (lambda X, y: (X, y[:-1]), {}, r"inconsistent numbers of samples"),
    "too few weights": (
        lambda X, y: (X, y),
        {"sample_weight": np.ones(7)},
        r"sample_weight\.shape == \(7,\), expected \(120,\)",
    ),
    "negative weights": (
        lambda X, y: (X, y),
        {"sample_weight": np.r_[-1.0, np.ones(119)]},
        r"Negative values in data passed to `sample_weight`",
    ),
    "weights of zero": (
        lambda X, y: (X, y),
        {"sample_weight": np.zeros(120)},
        r"Sample weights must contain at least one non-zero number",
    ),
    "too few leads": (
        lambda X, y: (X, y),
        {"lead": np.arange(7)},
        r"inconsistent numbers of samples",
    ),
}


@pytest.mark.parametrize(
    ("change", "arguments", "match"), INVALID_INPUT.values(), ids=INVALID_INPUT
)
def test_fit_refuses_invalid_input(change: Any, arguments: Any, match: str) -> None:
    X, y = change(*draw())
    with pytest.raises(ValueError, match=match):
        classifier_of(0.5).fit(X, y, **arguments)


@pytest.mark.parametrize(
    "directions",
    [(1,), (0, 1, 0, 0), (0, 2, 0), (0, 1, 0)],
    ids=["too few", "too many", "not a direction", "direction of a category"],
)
def test_fit_refuses_invalid_directions(directions: tuple[int, ...]) -> None:
    X, y = draw()
    X[:, 1] = np.arange(120) % 4
    model = classifier_of(0.5).set_params(directions=directions, categorical=[1])
    with pytest.raises(ValueError, match=r"directions are .*; expected 1, -1 or 0 for each of 3"):
        model.fit(X, y)


PREDICTING = ("predict", "predict_proba", "decision_function")


@pytest.mark.parametrize("method", PREDICTING)
def test_predict_refuses_another_number_of_columns(method: str) -> None:
    model = classifier_of(0.5).fit(*draw())
    with pytest.raises(ValueError, match="X has 2 features, but BlendClassifier is expecting 3"):
        getattr(model, method)(np.zeros((4, 2)))


@pytest.mark.parametrize("method", PREDICTING)
def test_predict_needs_a_fitted_classifier(method: str) -> None:
    with pytest.raises(NotFittedError, match="BlendClassifier instance is not fitted yet"):
        getattr(BlendClassifier(), method)(np.zeros((4, 2)))


def test_clone_is_unfitted_and_fits_equally() -> None:
    X, y = draw()
    model = classifier_of(0.5).fit(X, y)
    copy = clone(model)
    assert not hasattr(copy, "blend_")
    assert copy.get_params() == model.get_params()
    assert copy.fit(X, y).blend_ == model.blend_


def test_classifier_can_be_cross_validated() -> None:
    X, y = draw(200)
    assert cross_val_score(classifier_of(0.5), X, y, cv=3, scoring="roc_auc").mean() > 0.7


def test_second_fit_replaces_the_first() -> None:
    X, y = draw()
    model = BlendClassifier().fit(X, y)
    assert isinstance(model.blend_, Blend)
    model.fit(X[:30], y[:30])
    assert isinstance(model.blend_, BaseRate)
    assert model.settings_ is None
    assert len(model.out_of_fold_) == 30


def test_repr_shows_the_parameters_that_were_set() -> None:
    text = repr(BlendClassifier(seed=3, categorical=[1]))
    assert text == "BlendClassifier(categorical=[1], seed=3)"
