"""The estimator that scores: the base rate, and the blend as the sum of its parts."""

import numpy as np
import pytest
from scipy.special import expit

from models.estimator.blend import BaseRate, Blend
from models.estimator.logistic import Logistic
from models.estimator.trees import BoostedTrees
from models.fitting.logistic import fit_logistic
from models.fitting.trees import fit_trees
from tests.made_examples import draw


@pytest.fixture(scope="module")
def parts() -> tuple[Logistic, BoostedTrees]:
    """Fit the two parts of a blend."""
    features, label = draw(400)
    weight, lead = np.ones(400), np.arange(400)
    trees = fit_trees(features, label, weight, lead, [2], seed=0, rounds=10).trees
    return fit_logistic(features, label, weight, [2]), trees


def make_blend(parts: tuple[Logistic, BoostedTrees], weight: float) -> Blend:
    """Build a blend of the parts that have a weight."""
    logistic, trees = parts
    return Blend(weight, logistic if weight > 0 else None, trees if weight < 1 else None)


# -- the base rate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "weight", "share"),
    [
        ([0, 0, 0, 1], [1.0, 1, 1, 1], 1.5 / 5),
        ([0, 1], [3.0, 1], 1.5 / 5),
        ([0, 0, 0], [1.0, 1, 1], 0.5 / 4),
        ([1, 1, 1], [1.0, 1, 1], 3.5 / 4),
        ([1, 0], [0.0, 0.0], 0.5),
    ],
)
def test_base_rate_by_hand(label: list[int], weight: list[float], share: float) -> None:
    base_rate = BaseRate.fit(np.array(label, dtype=np.int8), np.array(weight))
    assert expit(base_rate.log_odds) == pytest.approx(share)
    assert base_rate.log_odds_of(np.zeros((3, 2))).tolist() == [base_rate.log_odds] * 3


def test_base_rate_has_no_contributions() -> None:
    base_rate = BaseRate(-1.5)
    features = np.array([[np.nan, 1e300], [-1e300, 0.0]])
    assert base_rate.constant == -1.5
    assert base_rate.contributions(features).tolist() == [[0, 0], [0, 0]]
    assert base_rate.contributions(np.empty((0, 2))).shape == (0, 2)


# -- the blend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_blend_is_the_weighted_sum_of_its_parts(
    parts: tuple[Logistic, BoostedTrees], weight: float
) -> None:
    logistic, trees = parts
    blend = make_blend(parts, weight)
    features, _ = draw(1_000, seed=3)
    margin = weight * logistic.log_odds_of(features) + (1 - weight) * trees.log_odds_of(features)
    assert blend.log_odds_of(features) == pytest.approx(margin, rel=0, abs=1e-12)
    constant = weight * logistic.constant + (1 - weight) * trees.constant
    assert blend.constant == pytest.approx(constant)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_constant_and_contributions_of_a_blend_add_up(
    parts: tuple[Logistic, BoostedTrees], weight: float
) -> None:
    blend = make_blend(parts, weight)
    features, _ = draw(1_000, seed=3)
    contributions = blend.contributions(features)
    assert contributions.flags.c_contiguous
    assert blend.constant + contributions.sum(axis=1) == pytest.approx(
        blend.log_odds_of(features), rel=0, abs=1e-9
    )


@pytest.mark.parametrize("method", ["log_odds_of", "contributions"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_one_row_equals_the_same_row_in_a_batch(
    parts: tuple[Logistic, BoostedTrees], weight: float, method: str
) -> None:
    compute = getattr(make_blend(parts, weight), method)
    features, _ = draw(1_000, seed=8)
    alone = np.concatenate([compute(row[None, :]) for row in features])
    assert compute(features).tobytes() == alone.tobytes()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_no_rows_get_no_log_odds(parts: tuple[Logistic, BoostedTrees], weight: float) -> None:
    assert make_blend(parts, weight).log_odds_of(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("weight", "has_logistic", "has_trees"),
    [
        (0.5, False, True),
        (0.5, True, False),
        (0.5, False, False),
        (0.0, True, True),
        (1.0, True, True),
        (1.0, False, True),
        (0.0, True, False),
        (-0.1, True, True),
        (1.1, True, True),
        (np.nan, True, True),
        (np.inf, True, True),
    ],
)
def test_blend_refuses_a_missing_or_unused_part(
    parts: tuple[Logistic, BoostedTrees], weight: float, has_logistic: bool, has_trees: bool
) -> None:
    logistic, trees = parts
    with pytest.raises(ValueError, match="a part of the blend is missing, or has no weight"):
        Blend(weight, logistic if has_logistic else None, trees if has_trees else None)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_growing_number_outside_the_training_range_counts_as_the_nearest(weight: float) -> None:
    features, label = draw(400)
    learned, lead = np.ones(400), np.arange(400)
    trees = fit_trees(features, label, learned, lead, [2], seed=0, rounds=10).trees
    parts = fit_logistic(features, label, learned, [2], growing=[0, 1]), trees
    blend = make_blend(parts, weight)
    low, high = np.nanmin(features[:, :2], axis=0), np.nanmax(features[:, :2], axis=0)
    outside_of = [(high, high + 0.01), (high, high * 1e6), (low, low - 1), (low, low - 1e9)]
    for edge, beyond in outside_of:
        at_edge, outside = np.array([[*edge, 3.0]]), np.array([[*beyond, 3.0]])
        expected, result = blend.explained(at_edge), blend.explained(outside)
        assert [part.tobytes() for part in result] == [part.tobytes() for part in expected]
    inside = np.array([[high[0] - 0.3, np.nan, 3.0]])
    assert blend.log_odds_of(inside) != blend.log_odds_of(np.array([[*high, 3.0]]))
