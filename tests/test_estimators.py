"""The estimators: what they learn, what they never see, and that they repeat themselves."""

import hashlib

import lightgbm
import numpy as np
import pytest
from scipy.special import expit, logit

from features.fitting import folds
from models import estimators
from models.estimators import (
    N_FOLDS,
    BaseRate,
    Logistic,
    LogisticTerms,
    fit_trees,
)

UNSEEN = 1.0


def draw(n: int, seed: int = 0):
    """Two numbers, one of them with gaps, and a category; both kinds matter."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=n)
    noise = np.where(generator.random(n) < 0.3, np.nan, generator.normal(size=n))
    code = generator.integers(2, 6, n).astype(np.float64)
    chance = expit(number + 0.8 * (code == 3) - 1.2)
    label = (generator.random(n) < chance).astype(np.int8)
    label[:2] = (0, 1)
    return np.column_stack([number, noise, code]), label


def grow(n: int, *, seed: int = 0, lead=None, label=None):
    features, drawn = draw(n)
    lead = np.arange(n) if lead is None else lead
    return fit_trees(features, drawn if label is None else label, np.ones(n), lead, [2], seed=seed)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("label", "weight", "share"),
    [
        ([0, 0, 0, 1], [1.0, 1, 1, 1], 1.5 / 5),
        ([0, 1], [3.0, 1], 1.5 / 5),
        ([0, 0, 0], [1.0, 1, 1], 0.5 / 4),
        ([1, 1, 1], [1.0, 1, 1], 3.5 / 4),
    ],
)
def test_base_rate_by_hand(label, weight, share: float) -> None:
    found = BaseRate.fit(np.array(label, dtype=np.int8), np.array(weight))
    assert expit(found.log_odds) == pytest.approx(share)
    assert found.margin(np.zeros((3, 2))).tolist() == [found.log_odds] * 3


def test_logistic_recovers_known_effects() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(20_000, 2))
    truth = 0.9 * features[:, 0] - 0.4 * features[:, 1] - 1.0
    label = (generator.random(20_000) < expit(truth)).astype(np.int8)
    margin = Logistic.fit(features, label, np.ones(20_000), []).margin(features)
    assert np.abs(margin - truth).mean() < 0.06


@pytest.mark.parametrize(
    ("columns", "categorical"),
    [([0, 1, 2], [2]), ([0, 1], []), ([2], [0]), ([0], []), ([1], [])],
    ids=["all", "no category", "no number", "one number", "a number with gaps"],
)
def test_logistic_takes_any_mix_of_columns(columns: list[int], categorical: list[int]) -> None:
    features, label = draw(200)
    model = Logistic.fit(features[:, columns], label, np.ones(200), categorical)
    assert np.isfinite(model.margin(features[:, columns])).all()


def test_logistic_takes_what_it_never_saw() -> None:
    features, label = draw(200)
    features[:, 1] = np.nan
    model = Logistic.fit(features, label, np.ones(200), [2])
    strange = np.array(
        [[np.nan, np.nan, 0.0], [0.0, 7.0, UNSEEN], [1e308, 0.0, 250.0], [-1e308, np.nan, 2.0]]
    )
    assert np.isfinite(model.margin(strange)).all()
    # A code that was not there has no term of its own: it counts as no category at all.
    unseen, other = model.margin(np.array([[0.0, np.nan, UNSEEN], [0.0, np.nan, 99.0]]))
    assert unseen == other


def test_logistic_survives_absurd_numbers_in_training() -> None:
    features, label = draw(200)
    features[3, 0], features[4, 0] = 1e308, -1e308
    model = Logistic.fit(features, label, np.ones(200), [2])
    assert np.isfinite(model.margin(features)).all()


def test_logistic_terms_by_hand() -> None:
    features = np.array([[1.0, 2.0], [3.0, 5.0], [np.nan, 2.0]])
    design = LogisticTerms.fit(features, [1]).design(features).toarray()
    # Filled with the median 2 the numbers are 1, 3, 2: mean 2, standard deviation √(2/3).
    step = 1 / np.sqrt(2 / 3)
    assert design == pytest.approx(
        np.array([[-step, 0, 1, 0], [step, 0, 0, 1], [0, 1, 1, 0]], dtype=np.float64)
    )


def test_the_same_seed_grows_the_same_trees() -> None:
    one, same, other = grow(400, seed=3), grow(400, seed=3), grow(400, seed=4)
    assert digest(one.trees.text) == digest(same.trees.text)
    assert one.out_of_fold.tobytes() == same.out_of_fold.tobytes()
    assert one.rounds == same.rounds
    assert digest(one.trees.text) != digest(other.trees.text)


def test_trees_find_what_matters() -> None:
    features, label = draw(2_000)
    fit = fit_trees(features, label, np.ones(2_000), np.arange(2_000), [2], seed=0)
    fresh, fresh_label = draw(2_000, seed=9)
    margin = fit.trees.margin(fresh)
    assert margin[fresh_label == 1].mean() > margin[fresh_label == 0].mean() + 0.3
    high, low = (np.array([[x, np.nan, 2.0]]) for x in (2.0, -2.0))
    assert fit.trees.margin(high) > fit.trees.margin(low)


def test_no_lead_is_split_over_folds(monkeypatch) -> None:
    lead = np.random.default_rng(5).integers(0, 60, 300)
    features, label = draw(300)
    features[:, 0] = lead  # so that a training set can be asked which leads it holds
    train, seen = lightgbm.train, []

    def spy(parameters, training, **rest):
        booster = train(parameters, training, **rest)
        held = [set(valid.get_data()[:, 0]) for valid in rest.get("valid_sets", [])]
        seen.append((set(training.get_data()[:, 0]), *held))
        return booster

    monkeypatch.setattr(
        estimators.lightgbm, "Dataset", lambda *a, **k: Dataset(*a, **k, free_raw_data=False)
    )
    monkeypatch.setattr(estimators.lightgbm, "train", spy)
    fit_trees(features, label, np.ones(300), lead, [2], seed=0)
    assert len(seen) == N_FOLDS + 1
    for trained, held in seen[:-1]:
        assert trained.isdisjoint(held)
        assert trained | held == set(lead)
    assert set.union(*(held for _, held in seen[:-1])) == set(lead)
    assert seen[-1] == (set(lead),)


Dataset = lightgbm.Dataset


def test_each_fold_has_its_share_of_wins() -> None:
    label = np.zeros(100, dtype=np.int8)
    label[:15] = 1
    fold_of = folds(label, np.arange(100), 2, N_FOLDS)
    assert np.bincount(fold_of, minlength=N_FOLDS).tolist() == [20] * N_FOLDS
    assert np.bincount(fold_of, weights=label).tolist() == [3.0] * N_FOLDS


@pytest.mark.parametrize("wins", [1, 2, 10, 19])
def test_twenty_rows_are_enough_to_train(wins: int) -> None:
    label = np.zeros(20, dtype=np.int8)
    label[:wins] = 1
    fit = grow(20, label=label)
    features, _ = draw(20)
    assert fit.rounds >= 1
    assert np.isfinite(fit.out_of_fold).all()
    assert np.isfinite(fit.trees.margin(features)).all()
    # Twenty rows hold no leaf of twenty beside another: the trees say the base rate.
    assert np.ptp(fit.trees.margin(features)) == 0
    assert fit.trees.margin(features)[0] == pytest.approx(logit(wins / 20), abs=1e-6)


def test_trees_give_no_rows_no_margins() -> None:
    assert grow(60).trees.margin(np.empty((0, 3))).shape == (0,)


def test_one_row_and_many_rows_get_the_same_margin() -> None:
    trees = grow(500).trees
    features, _ = draw(1_000, seed=8)
    together = trees.margin(features)  # on all threads
    alone = np.concatenate([trees.margin(row[None, :]) for row in features])  # on one
    assert together.tobytes() == alone.tobytes()


def test_progress_climbs_from_nothing_to_all() -> None:
    features, label = draw(300)
    told: list[float] = []
    fit_trees(features, label, np.ones(300), np.arange(300), [2], seed=0, on_share=told.append)
    assert told == sorted(told)
    assert 0 < told[0] < 0.01
    assert told[-1] == 1.0
