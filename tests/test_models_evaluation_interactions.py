"""Interactions of signals: none in an additive model, and computed by hand for a product."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.special import expit

from crm.arrays import Floats
from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate
from models.evaluation import interactions
from models.evaluation.interactions import best_split, find_interactions
from models.reasons import Reasoner
from models.scale import Scale
from models.scorer import LeadScorer
from reports.pages.features.labels import with_labels
from reports.pages.features.pairs import PairVerdict, ScoredLeads, pairs_section

TEN = math.log(2)  # log-odds of ten points
NAMES = ("a", "b", "c")
FEATURES = tuple(Feature(x, "leads", x, "number", f"{x} is {{value}}") for x in NAMES)


@dataclass(frozen=True)
class AdditiveEstimator:
    """An estimator in which each column contributes ten points for each unit of its value."""

    trees: str = "trees"
    constant: float = 0.0

    def contributions(self, features: Floats) -> Floats:
        return TEN * features


@dataclass(frozen=True)
class MadeUpScorer:
    """A scorer whose log-odds are a function of the matrix."""

    score: Callable[[Floats], Floats]
    estimator: object = AdditiveEstimator()

    def log_odds_of(self, features: Floats) -> Floats:
        return TEN * self.score(features)

    @property
    def reasoner(self) -> Reasoner:
        return Reasoner(FEATURES, AdditiveEstimator(), Calibration(1.0, 0.0), Scale(0.0))


def scorer(score: Callable[[Floats], Floats], **parts: Any) -> LeadScorer:
    """Build a scorer of a function; `find_interactions` uses no other part of a LeadScorer."""
    return cast(LeadScorer, MadeUpScorer(score, **parts))


def total(features: Floats) -> Floats:
    return np.asarray(features.sum(axis=1))


def total_and_product(features: Floats) -> Floats:
    return np.asarray(total(features) + 0.5 * features[:, 0] * features[:, 1])


@pytest.fixture(scope="module")
def leads() -> Floats:
    """Draw independent columns of minus one and one."""
    return np.random.default_rng(0).choice([-1.0, 1.0], (4_000, 3))


def test_additive_model_has_no_interaction(leads: Floats) -> None:
    pairs = find_interactions(scorer(total), leads, list(NAMES))
    assert len(pairs) == 3
    for pair in pairs:
        assert pair.strength < 1e-6
        assert max(abs(pair.low), abs(pair.high), abs(pair.difference)) < 1e-9


def test_interaction_of_a_product_by_hand(leads: Floats) -> None:
    strongest, *weaker_pairs = find_interactions(scorer(total_and_product), leads, list(NAMES))
    assert (strongest.first.words, strongest.second.words) == ("“a” above -1", "“b” above -1")
    # The product adds 5 · a · b points. The own effects of a and b have a variance of 100 each.
    assert strongest.low < 20 < strongest.high
    assert strongest.high - strongest.low < 4
    assert strongest.inside == pytest.approx(30, abs=2)
    assert strongest.outside == pytest.approx(10, abs=2)
    assert strongest.strength_low < 5 < strongest.strength_high
    assert strongest.share == pytest.approx(25 / 225, rel=0.2)
    assert all(pair.strength < 1e-6 for pair in weaker_pairs)


def test_interactions_are_reproducible(leads: Floats) -> None:
    first, second = (
        find_interactions(scorer(total_and_product), leads, list(NAMES)) for _ in range(2)
    )
    assert [pair.difference for pair in first] == [pair.difference for pair in second]


def test_wide_model_uses_fewer_leads(leads: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "MOST_CELLS", 7 * 4 * 3 * 60)  # 7 copies of 60 leads
    batch_sizes = []

    def counted(features: Floats) -> Floats:
        batch_sizes.append(len(features))
        return total_and_product(features)

    pairs = find_interactions(scorer(counted), leads, list(NAMES))
    assert {pair.n for pair in pairs} == {60}
    assert batch_sizes == [4 * 60] * 7


def test_identical_signals_are_left_out(leads: Floats) -> None:
    twins = np.column_stack([leads[:, 0], leads[:, 0], leads[:, 2]])
    pairs = find_interactions(scorer(total_and_product), twins, list(NAMES))
    assert {(pair.first.signal, pair.second.signal) for pair in pairs} == {("a", "c"), ("b", "c")}


def test_pair_of_attributes_is_not_combined_with_its_attributes(leads: Floats) -> None:
    model = scorer(total_and_product)
    reasoner = Reasoner(
        (FEATURES[0], replace(FEATURES[1], pair=("a", "x")), FEATURES[2]),
        AdditiveEstimator(),
        Calibration(1.0, 0.0),
        Scale(0.0),
    )
    pairs = find_interactions(model, leads, list(NAMES), reasoner=reasoner)
    names = {(pair.first.signal, pair.second.signal) for pair in pairs}
    assert names == {("a", "c"), ("b", "c")}


@pytest.mark.parametrize("estimator", [BaseRate(-1.0), SimpleNamespace(trees=None)])
def test_estimator_without_trees_has_no_interactions(leads: Floats, estimator: Any) -> None:
    additive = scorer(total_and_product, estimator=estimator)
    assert find_interactions(additive, leads, list(NAMES)) == []


def test_split_of_an_activity_names_the_least_number() -> None:
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
    assert split is not None
    assert split.words == 'number of "demo" at least 1'
    assert split.is_in.tolist() == [False, False, True, True]


def test_split_needs_a_twentieth_of_the_leads_in_each_part() -> None:
    values = np.where(np.arange(100) < 4, np.nan, 7.0)
    points = np.where(np.isnan(values), -9.0, 1.0)
    assert best_split(FEATURES[0], "a", values, points) is None


@pytest.mark.parametrize(
    ("truth", "verdict", "n_takeaways"),
    [(total_and_product, PairVerdict.AGREES, 1), (total, PairVerdict.UNCLEAR, 0)],
)
def test_pair_is_a_finding_only_if_the_outcomes_agree(
    leads: Floats,
    truth: Callable[[Floats], Floats],
    verdict: PairVerdict,
    n_takeaways: int,
) -> None:
    chance = expit(TEN * truth(leads))
    won = np.random.default_rng(1).random(len(leads)) < chance
    all_known = np.ones(len(leads), dtype=bool)
    scored = ScoredLeads(features=leads, has_outcome=all_known, won=won, about="all")
    model = scorer(total_and_product)
    section, takeaways = pairs_section(model, with_labels(model.reasoner), list(NAMES), scored)
    (figure,) = section.figures
    assert figure.rows[0]["verdict"] == verdict
    assert len(takeaways) == n_takeaways
    assert figure.finding.startswith("“A” above -1 moves the score by +30 points with “B” above")
    assert ("the outcomes agree" in figure.finding) == bool(n_takeaways)
