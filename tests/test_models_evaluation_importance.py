"""What drives the scores: strengths that are the reasons' own, and directions in words."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate
from models.evaluation import importance
from models.evaluation.importance import judge_importance
from models.reasons import Reasoner
from models.scale import Scale

TEN = math.log(2)  # log-odds of ten points


@dataclass(frozen=True)
class Told:
    """An estimator whose contributions are told by a function of the matrix."""

    given: object
    constant: float = 0.0

    def contributions(self, features):
        return TEN * np.asarray(self.given(features), dtype=np.float64)


def feature(unit: str = "number", **more) -> Feature:
    return Feature("size", "leads", "size", unit, more.pop("sentence", "size is {value}"), **more)


def judge(features, given, *described: Feature, seed: int = 0):
    reasoner = Reasoner(described, Told(given), Calibration(1.0, 0.0), Scale(0.0))
    return judge_importance(reasoner, np.array(features, dtype=np.float64), seed)


def column(*cells: float):
    return [[cell] for cell in cells]


# -- strength ----------------------------------------------------------------------------------


def test_strength_by_hand() -> None:
    described = (
        Feature("a", "leads", "a", "number", "a is {value}"),
        Feature("b1", "leads", "b", "number", "b1 is {value}", signal="b"),
        Feature("b2", "leads", "b", "number", "b2 is {value}", signal="b"),
        Feature("c", "leads", "c", "number", "c is {value}"),
    )
    points = np.array([[0.1, 0.5, -0.1, 0.0], [-0.3, 0.1, 0.3, 0.0]])
    result = judge([[1, 2, 3, 4], [2, 3, 4, 5]], lambda features: points, *described)
    assert [row["signal"] for row in result] == ["b", "a"]  # c moves nothing
    assert [row["points"] for row in result] == pytest.approx([4.0, 2.0])
    assert [row["share"] for row in result] == pytest.approx([2 / 3, 1 / 3])
    assert result[0].keys() == {"signal", "points", "share", "direction"}


def test_features_that_cancel_have_no_strength() -> None:
    described = [
        Feature(name, "leads", "b", "number", "{value}", signal="b") for name in ("b1", "b2")
    ]
    result = judge([[1, 2], [3, 4]], lambda features: [[0.5, -0.5], [-0.2, 0.2]], *described)
    assert result == []


def test_nothing_drives_the_base_rate() -> None:
    reasoner = Reasoner((feature(),), BaseRate(-1.0), Calibration(1.0, 0.0), Scale(0.0))
    assert judge_importance(reasoner, np.ones((5, 1)), 0) == []


def test_importance_samples_very_many_leads(monkeypatch) -> None:
    monkeypatch.setattr(importance, "MANY_ROWS", 50)
    seen = []

    def given(features):
        seen.append(features[:, 0])
        return features / 1_000

    rows = column(*range(1, 401))
    first, again, other = (judge(rows, given, feature(), seed=seed) for seed in (0, 0, 1))
    assert [len(each) for each in seen] == [50] * 3
    assert seen[0].tolist() == sorted(set(seen[0].tolist()))
    assert first == again != other


# -- direction -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "direction"),
    [
        (lambda x: x, "size: more raises the score"),
        (lambda x: -x, "size: more lowers the score"),
        (lambda x: np.log(x), "size: more raises the score"),
        (lambda x: (x - 5.5) ** 2, "size: no single direction"),
        (lambda x: np.ones_like(x), "no clear direction"),
    ],
)
def test_direction_of_a_number(given, direction: str) -> None:
    (result,) = judge(column(*range(1, 11)), given, feature())
    assert result["direction"] == direction


def test_missing_values_do_not_affect_the_direction() -> None:
    rows = column(*range(1, 11), *[math.nan] * 10)
    (result,) = judge(rows, lambda x: np.where(np.isnan(x), 50.0, x), feature())
    assert result["direction"] == "size: more raises the score"


def test_direction_names_whether_a_number_is_known() -> None:
    rows = column(3, 3, math.nan, math.nan)
    (result,) = judge(rows, lambda x: np.where(np.isnan(x), -0.5, 0.5), feature())
    assert result["direction"] == "whether it is known"


def test_direction_of_a_category_names_its_best_and_worst_value() -> None:
    described = feature(
        "category",
        sentence='source is "{value}"',
        absent="no source",
        values=("", "a value that is rare or new", "Web", "Fair", "Call"),
    )
    points = {2.0: 0.3, 3.0: -0.2, 4.0: 0.1}
    rows = column(*[2.0] * 10, *[3.0] * 10, *[4.0] * 10)
    (result,) = judge(rows, lambda x: np.vectorize(points.get)(x), described)
    assert result["direction"] == (
        'most for: source is "Web" (+3); least for: source is "Fair" (-2)'
    )


def test_small_points_have_a_decimal_and_zero_has_no_sign() -> None:
    (result,) = judge(column(0, 0, 1, 1), lambda x: 0.03 * (x - 1), feature("yes/no"))
    assert result["direction"] == "most for: size is yes (0); least for: size is no (-0.3)"


def test_direction_ignores_rare_values() -> None:
    described = feature("category", sentence="{value}", values=("", "rare", "Web", "Fair", "Odd"))
    points = {2.0: 0.3, 3.0: -0.2, 4.0: 9.0}
    rows = column(*[2.0] * 200, *[3.0] * 200, 4.0)
    (result,) = judge(rows, lambda x: np.vectorize(points.get)(x), described)
    assert result["direction"] == "most for: Web (+3); least for: Fair (-2)"


@pytest.mark.parametrize(
    ("unit", "direction"),
    [
        ("yes/no", "most for: size is yes (+5); least for: size is no (-5)"),
        ("weekday", "most for: size is Tuesday (+5); least for: size is Monday (-5)"),
    ],
)
def test_direction_of_few_values(unit: str, direction: str) -> None:
    (result,) = judge(column(0, 0, 1, 1), lambda x: x - 0.5, feature(unit))
    assert result["direction"] == direction


def test_constant_feature_has_no_direction() -> None:
    (result,) = judge(column(1, 1, 1), lambda x: x, feature("yes/no"))
    assert result["direction"] == "the same for all leads"


def test_direction_treats_not_known_as_a_value() -> None:
    rows = column(*[1.0] * 8, math.nan, math.nan)
    (result,) = judge(rows, lambda x: np.where(np.isnan(x), -0.2, 0.1), feature("yes/no"))
    assert result["direction"] == "most for: size is yes (+1); least for: size is not known (-2)"


def test_direction_names_a_rare_value_if_nothing_else_differs() -> None:
    rows = column(*[0.0] * 300, 1.0)
    (result,) = judge(rows, lambda x: 0.4 * x, feature("yes/no"))
    assert result["direction"] == "most for: size is yes (+4); least for: size is no (0)"


def test_direction_handles_a_column_without_known_values() -> None:
    for unit in ("number", "yes/no", "category"):
        rows = column(math.nan, math.nan)
        (result,) = judge(rows, lambda x: np.ones_like(x), feature(unit, values=("",)))
        assert result["direction"]


def test_direction_comes_from_the_strongest_feature() -> None:
    described = [
        Feature("b1", "leads", "b", "number", "b1 is {value}", signal="b"),
        Feature("b2", "leads", "b", "number", "b2 is {value}", signal="b"),
    ]
    rows = [[x, -x] for x in range(1, 9)]
    (result,) = judge(rows, lambda x: x * [0.1, 0.4], *described)
    assert result["direction"] == "b2: more raises the score"


def test_direction_keeps_braces_in_a_name() -> None:
    described = feature(sentence="a {{b}} is {value}")
    (result,) = judge(column(1, 2, 3), lambda x: x, described)
    assert result["direction"] == "a {b}: more raises the score"


# -- on the simulated CRM --------------------------------------------------------------------


def test_card_ranks_the_signals_of_the_model(trained) -> None:
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
def test_every_kind_of_model_can_be_ranked(scorers, trained, kind: str) -> None:
    reasoner = scorers[kind].reasoner
    features = scorers[kind].features_of(trained.golden_leads, trained.golden_as_of)
    ranked = judge_importance(reasoner, features, 0)
    assert (ranked == []) == (kind == "base rate")
    expected = dict(
        zip(reasoner.signals, np.abs(reasoner.parts(features).of_signals).mean(axis=0), strict=True)
    )
    for row in ranked:
        assert row["points"] == pytest.approx(expected[row["signal"]])
