"""What signals do together: nothing for a model that adds up, and the product's share by hand."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate
from models.evaluation import interactions
from models.evaluation.interactions import best_split, find_interactions
from models.reasons import Reasoner
from models.scale import Scale
from reports.pages.features.pairs import PairVerdict, ScoredLeads, pairs_section

TEN = math.log(2)  # log-odds of ten points
NAMES = ("a", "b", "c")
FEATURES = tuple(Feature(x, "leads", x, "number", f"{x} is {{value}}") for x in NAMES)


@dataclass(frozen=True)
class Adds:
    """What of an estimator takes scores apart: each column adds itself, in points of ten."""

    trees: object = "some"
    constant: float = 0.0

    def contributions(self, features: Any) -> Any:
        return TEN * features


@dataclass(frozen=True)
class Scorer:
    """A scorer whose log-odds are a function of the matrix."""

    score: Callable
    estimator: object = Adds()

    def log_odds_of(self, features: Any) -> Any:
        return TEN * self.score(features)

    @property
    def reasoner(self) -> Any:
        return Reasoner(FEATURES, Adds(), Calibration(1.0, 0.0), Scale(0.0))


def adds(features: Any) -> Any:
    return features.sum(axis=1)


def multiplies(features: Any) -> Any:
    return adds(features) + 0.5 * features[:, 0] * features[:, 1]


@pytest.fixture(scope="module")
def leads() -> Any:
    """Columns of minus one and one, independent of each other."""
    return np.random.default_rng(0).choice([-1.0, 1.0], (4_000, 3))


def test_additive_model_has_no_interaction(leads: Any) -> None:
    result = find_interactions(Scorer(adds), leads, list(NAMES))
    assert len(result) == 3
    for each in result:
        assert each.strength < 1e-6
        assert max(abs(each.low), abs(each.high), abs(each.difference)) < 1e-9


def test_interaction_of_a_product_by_hand(leads: Any) -> None:
    result = find_interactions(Scorer(multiplies), leads, list(NAMES))
    first, *others = result
    assert (first.first.words, first.second.words) == ("“a” above -1", "“b” above -1")
    # 5 points times a times b, in four groups; the two own effects have a variance of 100 each.
    assert first.low < 20 < first.high
    assert first.high - first.low < 4
    assert first.inside == pytest.approx(30, abs=2)
    assert first.outside == pytest.approx(10, abs=2)
    assert first.strength_low < 5 < first.strength_high
    assert first.share == pytest.approx(25 / 225, rel=0.2)
    assert all(each.strength < 1e-6 for each in others)


def test_interactions_are_reproducible(leads: Any) -> None:
    first, again = (find_interactions(Scorer(multiplies), leads, list(NAMES)) for _ in range(2))
    assert [each.difference for each in first] == [each.difference for each in again]


def test_wide_model_uses_fewer_leads(leads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "MOST_CELLS", 7 * 4 * 3 * 60)  # 7 copies of 60 leads
    asked = []

    def counted(features: Any) -> Any:
        asked.append(len(features))
        return multiplies(features)

    result = find_interactions(Scorer(counted), leads, list(NAMES))
    assert {each.n for each in result} == {60}
    assert asked == [4 * 60] * 7


def test_identical_signals_are_left_out(leads: Any) -> None:
    twins = np.column_stack([leads[:, 0], leads[:, 0], leads[:, 2]])
    result = find_interactions(Scorer(multiplies), twins, list(NAMES))
    assert {(e.first.signal, e.second.signal) for e in result} == {("a", "c"), ("b", "c")}


@pytest.mark.parametrize("estimator", [BaseRate(-1.0), SimpleNamespace(trees=None)])
def test_estimator_without_interactions_is_not_evaluated(leads: Any, estimator: Any) -> None:
    assert find_interactions(Scorer(multiplies, estimator), leads, list(NAMES)) == []


def test_activity_signals_come_before_attributes() -> None:
    demos = Feature(
        "n",
        "activities",
        "type",
        "count",
        '{value} × "demo"',
        absent='no "demo" yet',
        measure='number of "demo"',
    )
    split = best_split(
        demos, "demo", np.array([0.0, 0.0, 1.0, 2.0]), np.array([-1.0, -1.0, 2.0, 2.0])
    )
    assert split.words == 'number of "demo" at least 1'
    assert split.is_in.tolist() == [False, False, True, True]


def test_threshold_needs_a_twentieth_of_the_leads() -> None:
    values = np.where(np.arange(100) < 4, np.nan, 7.0)
    assert best_split(FEATURES[0], "a", values, np.where(np.isnan(values), -9.0, 1.0)) is None


@pytest.mark.parametrize(
    ("truth", "verdict", "n_takeaways"),
    [(multiplies, PairVerdict.AGREES, 1), (adds, PairVerdict.UNCLEAR, 0)],
)
def test_pair_is_a_finding_only_if_the_outcomes_agree(
    leads: Any, truth: Any, verdict: Any, n_takeaways: int
) -> None:
    chance = expit(TEN * truth(leads))
    won = np.random.default_rng(1).random(len(leads)) < chance
    everyone = np.ones(len(leads), dtype=bool)
    scored = ScoredLeads(features=leads, known=everyone, won=won, about="all")
    section, takeaways = pairs_section(Scorer(multiplies), list(NAMES), scored)
    (figure,) = section.figures
    assert figure.rows[0]["verdict"] == verdict
    assert len(takeaways) == n_takeaways
    assert figure.finding.startswith("“a” above -1 moves the score by +30 points with “b” above")
    assert ("the outcomes agree" in figure.finding) == bool(n_takeaways)
