"""Screening finds pairs that tell more than their attributes, and nothing in noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from crm.arrays import Floats, Ints
from crm.project import PROJECT_FILE, load_project
from crm.records import Records
from crm.times import NOT_A_TIME
from features import screening
from features.fitting import fit_pipeline, training_matrix
from features.interactions import Interactions
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.screening import (
    Candidate,
    _agreement,
    _Leads,
    interactions_of,
    screen_interactions,
)
from features.words import Words

N = 30_000
N_LONG, N_SHORT = 2_000, 36
NEWEST = 0.15


def words(name: str, codes: Ints) -> list[str]:
    return [f"{name}{code}" for code in codes.tolist()]


def won_with(log_odds: Any, n: int = N, seed: int = 9) -> Ints:
    generator = np.random.default_rng(seed)
    return (generator.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)


class Made:
    """Leads with a long and two short categories, and other columns without an effect."""

    def __init__(self, seed: int = 0, n: int = N) -> None:
        generator = np.random.default_rng(seed)
        self.n, self.generator = n, generator
        self.long = generator.integers(0, N_LONG, n)
        self.short = generator.integers(0, N_SHORT, n)
        self.plan = generator.integers(0, 4, n)
        self.colour = generator.integers(0, 9, n)
        self.cells: dict[str, Any] = {
            "long": words("l", self.long),
            "short": words("s", self.short),
            "plan": words("p", self.plan),
            "colour": words("c", self.colour),
            "opted_in": generator.choice(["yes", "no"], n),
            "size": generator.random(n),
        }

    def effect(self, *shape: int) -> Floats:
        """Draw the effect of each value, or of each pair of values."""
        return self.generator.normal(0, 1.3, shape)


class Screened:
    """The moments and the pipeline of made leads, and the candidates among them."""

    def __init__(
        self, folder: Path, cells: Mapping[str, Any], won: Ints, repeats: int = 1, seed: int = 0
    ) -> None:
        n = len(won)
        (folder / PROJECT_FILE).write_text(
            'project.name = "acme"\nleads = {source = "leads.csv", outcome = "won"}\n'
            'learn = {won = ["yes"], lost = ["no"]}\n'
        )
        self.project, self.seed = load_project(folder), seed
        leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(n)], **cells})
        self.records = Records(leads, pd.DataFrame())
        lead = np.repeat(np.arange(n), repeats)
        no_times, label = np.full(len(lead), NOT_A_TIME), np.repeat(won, repeats).astype(np.int8)
        moments = Moments(lead, no_times, label, no_times, np.ones(len(lead)), {})
        is_newer = lead >= n - round(NEWEST * n)
        self.older, self.newer = moments.take(~is_newer), moments.take(is_newer)
        self.pipeline: FeaturePipeline = fit_pipeline(self.records, self.older, self.project)

    def candidates(self) -> list[Candidate]:
        return screen_interactions(self.pipeline, self.records, self.older, self.newer, self.seed)

    def columns(self) -> list[tuple[str, ...]]:
        return [candidate.columns for candidate in self.candidates()]


def test_signal_that_is_only_in_a_pair_is_found(tmp_path: Path) -> None:
    made = Made()
    won = won_with(made.effect(N_LONG, N_SHORT)[made.long, made.short])
    (candidate,) = Screened(tmp_path, made.cells, won).candidates()
    assert candidate.columns == ("long", "short")
    assert candidate.chi2 > 5 * screening.LEAST_CHI2
    assert candidate.gain > 3 * candidate.gain_error > 0


def test_signal_in_a_pair_with_a_flag_is_found(tmp_path: Path) -> None:
    made = Made()
    is_in = np.array(made.cells["opted_in"]) == "yes"
    won = won_with(made.effect(4, 2)[made.plan, is_in.astype(np.int64)] - 1)
    assert Screened(tmp_path, made.cells, won).columns() == [("opted_in", "plan")]


@pytest.mark.parametrize("repeats", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_candidates(tmp_path: Path, seed: int, repeats: int) -> None:
    made = Made(seed, n=12_000)
    won = won_with(np.full(made.n, -1.0), made.n, seed)
    assert Screened(tmp_path, made.cells, won, repeats, seed).candidates() == []


@pytest.mark.parametrize("seed", range(3))
def test_effects_that_add_up_have_no_candidates(tmp_path: Path, seed: int) -> None:
    made = Made(seed)
    log_odds = made.effect(N_LONG)[made.long] + made.effect(N_SHORT)[made.short]
    log_odds += made.effect(4)[made.plan] - 1
    assert Screened(tmp_path, made.cells, won_with(log_odds), seed=seed).candidates() == []


def test_count_of_a_long_category_is_found(tmp_path: Path) -> None:
    """Rare values are won more often, each too rarely seen for a rate of its own."""
    made = Made()
    rank = made.generator.zipf(1.3, N) % 9_000
    seen = np.bincount(rank)[rank]
    cells = {**made.cells, "company": words("x", rank)}
    found = Screened(tmp_path, cells, won_with(1 - 0.5 * np.log(seen))).candidates()
    assert ("company",) in [candidate.columns for candidate in found]
    assert interactions_of(found).counts == ("company",)


def test_effect_that_ends_before_the_newest_leads_is_no_candidate(tmp_path: Path) -> None:
    made = Made()
    effect = made.effect(N_LONG, N_SHORT)[made.long, made.short]
    effect[N - round(NEWEST * N) :] = 0.0
    assert Screened(tmp_path, made.cells, won_with(effect)).candidates() == []


def test_many_pairs_are_ranked_on_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made()
    won = won_with(made.effect(N_LONG, N_SHORT)[made.long, made.short])
    screened = Screened(tmp_path, made.cells, won)
    of_all = screened.candidates()
    monkeypatch.setattr(screening, "MOST_TESTED", 1)
    monkeypatch.setattr(screening, "RANKED_LEADS", 8_000)
    assert screened.candidates() == of_all


def test_best_pairs_come_first_and_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made()
    effect = made.effect(N_SHORT, 4)[made.short, made.plan]
    effect += 0.4 * made.effect(N_SHORT, 9)[made.short, made.colour]
    screened = Screened(tmp_path, made.cells, won_with(effect))
    found = screened.candidates()
    assert found[0].columns == ("plan", "short")
    assert [c.gain for c in found] == sorted((c.gain for c in found), reverse=True)
    assert len(found) == 2
    monkeypatch.setattr(screening, "MOST_PAIRS", 1)
    assert screened.candidates() == found[:1]
    assert interactions_of(found[:1]) == Interactions(pairs=(("plan", "short"),))


def test_result_does_not_depend_on_threads_or_on_the_order_of_columns(tmp_path: Path) -> None:
    made = Made()
    won = won_with(made.effect(N_LONG, N_SHORT)[made.long, made.short])
    with threadpool_limits(1):
        alone = Screened(tmp_path, made.cells, won).candidates()
    with threadpool_limits(2):
        together = Screened(tmp_path, made.cells, won).candidates()
    in_other_order = Screened(tmp_path, dict(reversed(made.cells.items())), won).candidates()
    assert alone == together == in_other_order


def test_moments_of_one_lead_count_as_one_observation(tmp_path: Path) -> None:
    """More moments of the same leads tell nothing new, so the error of the gain stays."""
    made = Made(n=12_000)
    won = won_with(made.effect(N_SHORT, 4)[made.short, made.plan], made.n)
    once, often = (Screened(tmp_path, made.cells, won, repeats) for repeats in (1, 5))
    (of_once,), (of_often,) = once.candidates(), often.candidates()
    assert of_often.gain_error == pytest.approx(of_once.gain_error, rel=0.25)


def test_values_of_a_candidate_are_those_of_the_training_matrix(tmp_path: Path) -> None:
    """The screening judges the columns that the model would get."""
    made = Made(n=6_000)
    won = won_with(made.effect(N_SHORT, 4)[made.short, made.plan], made.n)
    screened = Screened(tmp_path, made.cells, won)
    # The rate of a short category is not a feature. It is the rate of its pair with itself.
    asked = Interactions(pairs=(("plan", "plan"), ("short", "short"), ("plan", "short")))
    older, newer = screened.older, screened.newer
    pipeline = fit_pipeline(screened.records, older, screened.project, interactions=asked)
    single, both = [-6, -4], [-6, -4, -2, -1]
    in_training = training_matrix(pipeline, screened.records, older, screened.seed)
    of_newer = pipeline.transform(screened.records, newer.lead, newer.as_of)

    def losses(columns: list[int]) -> tuple[Floats, Floats]:
        model = LogisticRegression(C=np.inf, tol=1e-10)
        model.fit(in_training[:, columns], older.label)
        z, newer_z = (model.decision_function(x[:, columns]) for x in (in_training, of_newer))
        return (
            np.logaddexp(0, z) - older.label * z,
            np.logaddexp(0, newer_z) - newer.label * newer_z,
        )

    (older_without, newer_without), (older_with, newer_with) = losses(single), losses(both)
    gains = newer_without - newer_with
    (candidate,) = screened.candidates()
    assert candidate.chi2 == pytest.approx(2 * (older_without - older_with).sum(), rel=1e-3)
    assert candidate.gain == pytest.approx(gains.mean(), rel=1e-3)
    assert candidate.gain_error == pytest.approx(gains.std() / np.sqrt(len(gains)), rel=1e-3)


@pytest.mark.parametrize("won", [0, 1])
def test_one_outcome_has_no_candidates(tmp_path: Path, won: int) -> None:
    made = Made(n=500)
    assert Screened(tmp_path, made.cells, np.full(500, won)).candidates() == []


@pytest.mark.parametrize("side", ["older", "newer"])
def test_nothing_is_found_without_moments_on_a_side(tmp_path: Path, side: str) -> None:
    made = Made(n=2_000)
    screened = Screened(tmp_path, made.cells, won_with(made.effect(4)[made.plan], 2_000))
    setattr(screened, side, getattr(screened, side).take(np.zeros(0, dtype=np.int64)))
    assert screened.candidates() == []


def test_agreement_of_noise_is_in_standard_errors(tmp_path: Path) -> None:
    """Without an effect, the measure that ranks pairs has the mean 0 and the deviation 1."""
    generator = np.random.default_rng(4)
    n, strengths = 3_000, []
    for _ in range(150):
        of_columns = {
            name: Words(generator.integers(0, size, n), words(name, np.arange(size)))
            for name, size in (("a", 30), ("b", 9))
        }
        leads = _Leads(of_columns, np.zeros(n), np.ones(n))
        fold = generator.integers(0, 5, n)
        residual = generator.choice([-0.2, 0.8], n, p=[0.8, 0.2])
        strengths.append(_agreement(leads, fold, residual, ("a", "b")))
    assert abs(np.mean(strengths)) < 0.25
    assert 0.85 < np.std(strengths) < 1.15


def test_leads_without_categories_have_no_candidates(tmp_path: Path) -> None:
    size = np.random.default_rng(0).random(500)
    assert Screened(tmp_path, {"size": size}, won_with(size, 500)).candidates() == []
