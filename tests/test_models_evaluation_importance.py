"""Ranking signals: their strength in points, and their direction in words."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from crm.arrays import Floats
from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate
from models.evaluation import importance
from models.evaluation.importance import rank_signals
from models.reasons import Reasoner
from models.scale import POINTS, Scale
from models.scorer import LeadScorer
from training.train import Trained

TEN = 10 / POINTS  # log-odds that are ten points

Contribute = Callable[[Floats], Any]


@dataclass(frozen=True)
class FakeEstimator:
    """An estimator whose contributions, in tens of points, are a function of the matrix."""

    contribute: Contribute
    constant: float = 0.0

    def contributions(self, features: Floats) -> Floats:
        return TEN * np.asarray(self.contribute(features), dtype=np.float64)


def feature(unit: str = "number", **attributes: Any) -> Feature:
    sentence = attributes.pop("sentence", "size is {value}")
    return Feature("size", "leads", "size", unit, sentence, **attributes)


def two_features_of_one_signal() -> tuple[Feature, Feature]:
    return (
        Feature("b1", "leads", "b", "number", "b1 is {value}", signal="b", measure="b1"),
        Feature("b2", "leads", "b", "number", "b2 is {value}", signal="b", measure="b2"),
    )


def rank(
    rows: list[list[float]], contribute: Contribute, *described: Feature, seed: int = 0
) -> list[dict[str, Any]]:
    reasoner = Reasoner(described, FakeEstimator(contribute), Calibration(1.0, 0.0), Scale(0.0))
    return rank_signals(reasoner, np.array(rows, dtype=np.float64), seed)


def column(*cells: float) -> list[list[float]]:
    return [[cell] for cell in cells]


# -- strength ----------------------------------------------------------------------------------


def test_strength_is_the_mean_distance_from_0() -> None:
    described = (
        Feature("a", "leads", "a", "number", "a is {value}"),
        *two_features_of_one_signal(),
        Feature("c", "leads", "c", "number", "c is {value}"),
    )
    points = np.array([[0.1, 0.5, -0.1, 0.0], [-0.3, 0.1, 0.3, 0.0]])
    ranked = rank([[1, 2, 3, 4], [2, 3, 4, 5]], lambda features: points, *described)
    assert [row["signal"] for row in ranked] == ["b", "a"]  # c changes no score
    assert [row["points"] for row in ranked] == pytest.approx([4.0, 2.0])
    assert [row["share"] for row in ranked] == pytest.approx([2 / 3, 1 / 3])
    assert ranked[0].keys() == {"signal", "points", "share", "direction"}


def test_a_signal_whose_features_cancel_out_is_not_ranked() -> None:
    ranked = rank(
        [[1, 2], [3, 4]],
        lambda features: [[0.5, -0.5], [-0.2, 0.2]],
        *two_features_of_one_signal(),
    )
    assert ranked == []


def test_points_are_measured_from_their_mean_among_the_leads() -> None:
    described = tuple(
        Feature(name, "leads", name, "number", f"{name} is {{value}}") for name in ("a", "b", "c")
    )
    points = np.array([[0.9, 0.4, 0.0], [0.5, 0.5, 0.0]])  # those of b vary with those of a
    reasoner = Reasoner(
        described, FakeEstimator(lambda features: points), Calibration(1.0, 0.0), Scale(0.0)
    )
    features = np.array([[1.0, 7.0, 3.0], [2.0, 7.0, 4.0]])
    (ranked,) = rank_signals(reasoner, features, 0, from_mean=True)
    assert (ranked["signal"], ranked["share"]) == ("a", 1.0)
    everything = rank_signals(reasoner, features, 0)
    assert [row["signal"] for row in everything] == ["a", "b"]
    assert ranked["points"] / everything[0]["points"] == pytest.approx(0.2 / 0.7)


def test_the_base_rate_has_no_ranked_signals() -> None:
    reasoner = Reasoner((feature(),), BaseRate(-1.0), Calibration(1.0, 0.0), Scale(0.0))
    assert rank_signals(reasoner, np.ones((5, 1)), 0) == []


def test_many_leads_are_sampled_in_order_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MANY_ROWS", 50)
    samples: list[Floats] = []

    def contribute(features: Floats) -> Floats:
        samples.append(features[:, 0])
        return features / 1_000

    rows = column(*range(1, 401))
    first, again, other_seed = (rank(rows, contribute, feature(), seed=seed) for seed in (0, 0, 1))
    assert [len(sample) for sample in samples] == [50] * 3
    assert samples[0].tolist() == sorted(set(samples[0].tolist()))
    assert first == again != other_seed


def test_leads_up_to_the_limit_are_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MANY_ROWS", 4)
    (row,) = rank(column(1, 2, 3, 4), lambda x: x / 10, feature())
    assert row["points"] == pytest.approx(2.5)


# -- direction -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contribute", "direction"),
    [
        (lambda x: x, "size: a higher value raises the score"),
        (lambda x: -x, "size: a higher value lowers the score"),
        (lambda x: np.log(x), "size: a higher value raises the score"),
        (lambda x: (x - 5.5) ** 2, "size: no single direction"),
        (lambda x: np.ones_like(x), "no clear direction"),
    ],
)
def test_direction_of_a_number(contribute: Contribute, direction: str) -> None:
    (row,) = rank(column(*range(1, 11)), contribute, feature())
    assert row["direction"] == direction


@pytest.mark.parametrize("unit", ["days", "hours"])
def test_direction_of_a_duration_says_longer(unit: str) -> None:
    (row,) = rank(column(*range(1, 11)), lambda x: -x, feature(unit, measure="time since x"))
    assert row["direction"] == "time since x: a longer time lowers the score"


def test_direction_of_a_number_ignores_gaps() -> None:
    rows = column(*range(1, 11), *[math.nan] * 10)
    (row,) = rank(rows, lambda x: np.where(np.isnan(x), 50.0, x), feature())
    assert row["direction"] == "size: a higher value raises the score"


def test_direction_of_a_number_with_one_value_is_whether_it_is_known() -> None:
    rows = column(3, 3, math.nan, math.nan)
    (row,) = rank(rows, lambda x: np.where(np.isnan(x), -0.5, 0.5), feature())
    assert row["direction"] == "whether it is known"


def test_direction_of_a_category_names_its_best_and_worst_value() -> None:
    described = feature(
        "category",
        sentence='source is "{value}"',
        absent="no source",
        values=("", "a value that is rare or new", "Web", "Fair", "Call"),
    )
    points = {2.0: 0.3, 3.0: -0.2, 4.0: 0.1}
    rows = column(*[2.0] * 10, *[3.0] * 10, *[4.0] * 10)
    (row,) = rank(rows, lambda x: np.vectorize(points.get)(x), described)
    assert row["direction"] == 'most for: source is "Web" (+3); least for: source is "Fair" (-2)'


def test_points_below_one_have_a_decimal_and_zero_has_no_sign() -> None:
    (row,) = rank(column(0, 0, 1, 1), lambda x: 0.03 * (x - 1), feature("yes/no"))
    assert row["direction"] == "most for: size is yes (0); least for: size is no (-0.3)"


def test_a_rare_value_is_not_named() -> None:
    described = feature("category", sentence="{value}", values=("", "rare", "Web", "Fair", "Odd"))
    points = {2.0: 0.3, 3.0: -0.2, 4.0: 9.0}
    rows = column(*[2.0] * 200, *[3.0] * 200, 4.0)
    (row,) = rank(rows, lambda x: np.vectorize(points.get)(x), described)
    assert row["direction"] == "most for: Web (+3); least for: Fair (-2)"


@pytest.mark.parametrize(
    ("unit", "direction"),
    [
        ("yes/no", "most for: size is yes (+5); least for: size is no (-5)"),
        ("weekday", "most for: size is Tuesday (+5); least for: size is Monday (-5)"),
    ],
)
def test_direction_of_a_coded_unit_names_values(unit: str, direction: str) -> None:
    (row,) = rank(column(0, 0, 1, 1), lambda x: x - 0.5, feature(unit))
    assert row["direction"] == direction


def test_a_flag_with_one_value_has_no_direction() -> None:
    (row,) = rank(column(1, 1, 1), lambda x: x, feature("yes/no"))
    assert row["direction"] == "the same for all leads"


def test_not_known_counts_as_a_value() -> None:
    rows = column(*[1.0] * 8, math.nan, math.nan)
    (row,) = rank(rows, lambda x: np.where(np.isnan(x), -0.2, 0.1), feature("yes/no"))
    assert row["direction"] == "most for: size is yes (+1); least for: size is not known (-2)"


def test_a_rare_value_is_named_if_no_two_values_are_common() -> None:
    rows = column(*[0.0] * 300, 1.0)
    (row,) = rank(rows, lambda x: 0.4 * x, feature("yes/no"))
    assert row["direction"] == "most for: size is yes (+4); least for: size is no (0)"


@pytest.mark.parametrize("unit", ["number", "yes/no", "category"])
def test_a_feature_without_known_values_has_a_direction_text(unit: str) -> None:
    rows = column(math.nan, math.nan)
    (row,) = rank(rows, lambda x: np.ones_like(x), feature(unit, values=("",)))
    assert row["direction"]


def test_the_strongest_feature_of_a_signal_gives_the_direction() -> None:
    rows: list[list[float]] = [[x, -x] for x in range(1, 9)]
    (row,) = rank(rows, lambda x: x * [0.1, 0.4], *two_features_of_one_signal())
    assert row["direction"] == "b2: a higher value raises the score"


# -- on the simulated CRM --------------------------------------------------------------------


def test_the_card_ranks_the_signals_of_the_model(trained: Trained) -> None:
    ranked = trained.scorer.card.importance
    signals = trained.scorer.reasoner.signals
    assert len(ranked) > 5
    assert {row["signal"] for row in ranked} <= set(signals)
    assert len({row["signal"] for row in ranked}) == len(ranked)
    assert sum(row["share"] for row in ranked) == pytest.approx(1.0)
    points = [row["points"] for row in ranked]
    assert points == sorted(points, reverse=True)
    assert all(row["direction"] for row in ranked)


@pytest.mark.parametrize("kind", ["base rate", "blend 0.0", "blend 0.3", "blend 1.0"])
def test_every_kind_of_model_can_be_ranked(
    scorers: Mapping[str, LeadScorer], trained: Trained, kind: str
) -> None:
    reasoner = scorers[kind].reasoner
    features = scorers[kind].features_of(trained.golden_leads, trained.golden_as_of)
    ranked = rank_signals(reasoner, features, 0)
    assert (ranked == []) == (kind == "base rate")
    strength = np.abs(reasoner.parts(features).of_signals).mean(axis=0)
    expected = dict(zip(reasoner.signals, strength, strict=True))
    for row in ranked:
        assert row["points"] == pytest.approx(expected[row["signal"]])
