"""The trees: what they learn, what they never see, that they repeat themselves, and the fold."""

import hashlib
import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.fitting import folds
from models.contributions.booster_text import check_booster_text
from models.contributions.tree_contributions import TreeContributions
from models.estimator.trees import BoostedTrees
from models.fitting import trees as trees_module
from models.fitting.trees import (
    MAX_ROUNDS,
    N_FOLDS,
    PATIENCE,
    TREE_PARAMETERS,
    TreesFit,
    find_rounds,
    fit_trees,
    mean_of_texts,
    tree_settings,
)
from tests.made_examples import draw


def grow(n: int, *, seed: int = 0, lead: Any = None, label: Any = None, **more: Any) -> TreesFit:
    features, drawn = draw(n)
    lead = np.arange(n) if lead is None else lead
    label = drawn if label is None else label
    return fit_trees(features, label, np.ones(n), lead, [2], seed=seed, **more)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# -- what they learn -------------------------------------------------------------------------


def test_trees_learn_a_known_effect() -> None:
    trees = grow(2_000).trees
    fresh, fresh_label = draw(2_000, seed=9)
    margin = trees.log_odds_of(fresh)
    assert margin[fresh_label == 1].mean() > margin[fresh_label == 0].mean() + 0.3
    high, low = (np.array([[x, np.nan, 2.0]]) for x in (2.0, -2.0))
    assert trees.log_odds_of(high) > trees.log_odds_of(low)


@pytest.mark.parametrize("wins", [1, 2, 10, 19])
def test_twenty_rows_can_be_fitted(wins: int) -> None:
    label = np.zeros(20, dtype=np.int8)
    label[:wins] = 1
    fit = grow(20, label=label)
    margin = fit.trees.log_odds_of(draw(20)[0])
    assert min(fit.rounds) >= 1
    assert np.isfinite(fit.out_of_fold).all()
    # Twenty rows hold no leaf of twenty beside another: the trees say the folds' base rates.
    assert np.ptp(margin) == 0
    fold_of = folds(label, np.arange(20), 0, N_FOLDS)
    shares = [label[fold_of != fold].mean() for fold in range(N_FOLDS)]
    # LightGBM keeps a share of 0 or 1 off the end by this much.
    assert margin[0] == pytest.approx(logit(np.clip(shares, 1e-15, 1 - 1e-15)).mean(), rel=1e-3)
    assert np.isfinite(fit.trees.contributions(draw(20)[0])).all()


def test_same_seed_gives_the_same_trees() -> None:
    one, same, other = grow(400, seed=3), grow(400, seed=3), grow(400, seed=4)
    assert digest(one.trees.text) == digest(same.trees.text)
    assert one.out_of_fold.tobytes() == same.out_of_fold.tobytes()
    assert one.rounds == same.rounds
    assert digest(one.trees.text) != digest(other.trees.text)


def test_rows_of_weight_zero_have_no_effect() -> None:
    features, label = draw(600)
    weight = np.ones(600)
    weight[300:] = 0
    lead = np.arange(600)
    turned = np.where(np.arange(600) < 300, label, 1 - label).astype(np.int8)
    # The same folds for both: what is won decides them.
    keep = {"seed": 0, "rounds": 20, "parameters": {"bagging_fraction": 1.0}}
    margin = fit_trees(features, turned, weight, lead, [2], **keep).trees.log_odds_of(features)
    assert margin[label == 1].mean() > margin[label == 0].mean() + 0.3


# -- rounds ------------------------------------------------------------------------------------


def test_given_rounds_are_used() -> None:
    fit = grow(300, rounds=7)
    assert fit.rounds == (7,) * N_FOLDS
    assert fit.trees.text.count("\nTree=") == 7 * N_FOLDS


def test_without_rounds_each_booster_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    train, grown = lightgbm.train, []

    def spy(parameters: Any, training: Any, callbacks: Any, **rest: Any) -> Any:
        losses: dict = {}
        callbacks = [lightgbm.record_evaluation(losses), *callbacks]
        booster = train(parameters, training, callbacks=callbacks, **rest)
        grown.append(losses["valid_0"]["binary_logloss"])
        return booster

    monkeypatch.setattr(trees_module.lightgbm, "train", spy)
    fit = grow(400)
    assert fit.rounds == tuple(1 + int(np.argmin(losses)) for losses in grown)
    assert [len(losses) for losses in grown] == [best + PATIENCE for best in fit.rounds]
    assert max(fit.rounds) < MAX_ROUNDS - PATIENCE
    assert fit.trees.text.count("\nTree=") == sum(fit.rounds)


def test_early_stopping_uses_rows_outside_the_training() -> None:
    features, label = draw(1_500)
    older = (features[:1_000], label[:1_000], np.ones(1_000))
    newer = (features[1_000:], label[1_000:], np.ones(500))
    rounds, margin = find_rounds(older, newer, [2], seed=0)
    assert 1 <= rounds < MAX_ROUNDS
    assert margin.shape == (500,)
    assert margin[newer[1] == 1].mean() > margin[newer[1] == 0].mean() + 0.3
    again = find_rounds(older, newer, [2], seed=0)
    assert again[0] == rounds
    assert again[1].tobytes() == margin.tobytes()
    # Where newer rows deny what older ones teach, the best forest is hardly any.
    turned = (newer[0], (1 - newer[1]).astype(np.int8), newer[2])
    assert find_rounds(older, turned, [2], seed=0)[0] < rounds


# -- out of fold -------------------------------------------------------------------------------


def test_no_booster_is_trained_on_a_lead_of_its_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = np.random.default_rng(5).integers(0, 60, 300)
    features, label = draw(300)
    features[:, 0] = lead  # so that a training set can be asked which leads it holds
    train, seen = lightgbm.train, []

    def spy(parameters: Any, training: Any, **rest: Any) -> Any:
        booster = train(parameters, training, **rest)
        held = [set(valid.get_data()[:, 0]) for valid in rest.get("valid_sets", [])]
        seen.append((set(training.get_data()[:, 0]), *held))
        return booster

    monkeypatch.setattr(
        trees_module.lightgbm, "Dataset", lambda *a, **k: Dataset(*a, **k, free_raw_data=False)
    )
    monkeypatch.setattr(trees_module.lightgbm, "train", spy)
    fit_trees(features, label, np.ones(300), lead, [2], seed=0)
    assert len(seen) == N_FOLDS
    for trained, held in seen:
        assert trained.isdisjoint(held)
        assert trained | held == set(lead)
    assert set.union(*(held for _, held in seen)) == set(lead)


Dataset = lightgbm.Dataset


def test_noise_labels_are_not_predicted_out_of_fold() -> None:
    # Rows of one lead share label and features: whoever saw one of them knows the others.
    generator = np.random.default_rng(1)
    lead = np.repeat(np.arange(150), 4)
    features = generator.normal(size=(150, 5))[lead]
    label = (generator.random(150) < 0.5).astype(np.int8)[lead]
    keen = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.3}
    fit = fit_trees(features, label, np.ones(600), lead, [], seed=0, rounds=40, parameters=keen)
    inside = fit.trees.log_odds_of(features)
    assert ((inside > 0) == label).mean() > 0.95
    assert 0.3 < ((fit.out_of_fold > 0) == label).mean() < 0.7


def test_out_of_fold_margin_comes_from_the_booster_of_the_fold() -> None:
    features, label = draw(300)
    fit = grow(300, rounds=5)
    fold_of = folds(label, np.arange(300), 0, N_FOLDS)
    texts = _texts_of(fit.trees.text, per_booster=5)
    for fold, text in enumerate(texts):
        held = fold_of == fold
        # Each tree's leaves were divided by the number of boosters.
        own = lightgbm.Booster(model_str=text).predict(features[held], raw_score=True)
        assert own * N_FOLDS == pytest.approx(fit.out_of_fold[held], abs=1e-9)


def _texts_of(folded: str, per_booster: int) -> list[str]:
    head, *blocks = re.split(r"(?m)^Tree=\d+\n", folded.partition("end of trees")[0])
    texts = []
    for start in range(0, len(blocks), per_booster):
        own = [f"Tree={i}\n{block}" for i, block in enumerate(blocks[start : start + per_booster])]
        sizes = " ".join(str(len(block)) for block in own)
        stated = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
        texts.append(f"{stated}{''.join(own)}end of trees\n")
    return texts


def test_each_fold_has_its_share_of_wins() -> None:
    label = np.zeros(100, dtype=np.int8)
    label[:15] = 1
    fold_of = folds(label, np.arange(100), 2, N_FOLDS)
    assert np.bincount(fold_of, minlength=N_FOLDS).tolist() == [20] * N_FOLDS
    assert np.bincount(fold_of, weights=label).tolist() == [3.0] * N_FOLDS


# -- the fold of boosters ----------------------------------------------------------------------


def booster(n: int, seed: int, rounds: int, **parameters: Any) -> lightgbm.Booster:
    features, label = draw(n, seed)
    own = {**TREE_PARAMETERS, "min_data_in_leaf": 3, "seed": seed, "num_threads": 1, **parameters}
    dataset = lightgbm.Dataset(features, label, categorical_feature=[2], params=own)
    return lightgbm.train(own, dataset, num_boost_round=rounds)


@settings(max_examples=20)
@given(
    sizes=st.lists(
        st.tuples(st.integers(20, 200), st.integers(1, 12), st.integers(2, 16)),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 1_000),
)
def test_folded_model_is_the_mean_of_its_boosters(sizes: Any, seed: int) -> None:
    grown = [
        booster(n, seed + i, rounds, num_leaves=leaves)
        for i, (n, rounds, leaves) in enumerate(sizes)
    ]
    folded = mean_of_texts([each.model_to_string() for each in grown])
    check_booster_text(folded, 3)
    features, _ = draw(300, seed=seed + 77)
    features[:4] = [[np.nan] * 3, [1e308, -1e308, -1], [0, 0, 400], [np.inf, -np.inf, 2.5]]
    expected = np.mean([each.predict(features, raw_score=True) for each in grown], axis=0)
    assert BoostedTrees(folded).log_odds_of(features) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    ("rounds", "least"),
    [((1,), 3), ((1, 1), 3), ((1, 9), 3), ((4, 2), 500), ((1,), 500)],
    ids=["one tree", "two of one", "one and nine", "one leaf each", "one leaf alone"],
)
def test_smallest_boosters_can_be_folded(rounds: Any, least: int) -> None:
    grown = [booster(200, i, n, min_data_in_leaf=least) for i, n in enumerate(rounds)]
    folded = mean_of_texts([each.model_to_string() for each in grown])
    check_booster_text(folded, 3)
    features, _ = draw(50, seed=5)
    expected = np.mean([each.predict(features, raw_score=True) for each in grown], axis=0)
    trees = BoostedTrees(folded)
    assert trees.log_odds_of(features) == pytest.approx(expected, rel=0, abs=1e-12)
    assert np.ptp(trees.log_odds_of(features)) == 0 or least == 3
    assert trees.constant + trees.contributions(features).sum(axis=1) == pytest.approx(
        expected, rel=0, abs=1e-9
    )


def test_folding_one_booster_changes_nothing() -> None:
    text = booster(200, 0, 6).model_to_string()
    folded = mean_of_texts([text])
    features, _ = draw(100, seed=3)
    own = lightgbm.Booster(model_str=text).predict(features, raw_score=True)
    assert BoostedTrees(folded).log_odds_of(features).tobytes() == own.tobytes()
    assert mean_of_texts([folded]) == folded


def test_folded_model_keeps_the_counts_of_the_boosters() -> None:
    # Counts weigh the branches in contributions: dividing them would change reasons.
    grown = [booster(200, i, 3).model_to_string() for i in range(2)]
    folded = mean_of_texts(grown)
    for line in ("leaf_count", "internal_count", "leaf_weight", "threshold", "cat_threshold"):
        pattern = rf"(?m)^{line}=(.*)$"
        kept = [result for text in grown for result in re.findall(pattern, text)]
        assert re.findall(pattern, folded) == kept


# -- contributions -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 400])
def test_contributions_equal_lightgbm(n: int) -> None:
    trees = grow(n, rounds=30, parameters={"min_data_in_leaf": 3}).trees
    features, _ = draw(600, seed=4)
    features[:3] = [[np.nan] * 3, [50, -50, 99], [0, 0, 0]]
    expected = lightgbm.Booster(model_str=trees.text).predict(features, pred_contrib=True)
    assert trees.contributions(features) == pytest.approx(expected[:, :-1], rel=0, abs=1e-9)
    assert trees.constant == pytest.approx(expected[0, -1], rel=0, abs=1e-9)
    assert np.abs(expected[:, :-1]).max() > 0.05
    explained = TreeContributions.from_text(trees.text, 3)
    assert explained.contributions(features)[:, :-1].tobytes() == (
        trees.contributions(features).tobytes()
    )


# -- directions --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_declared_direction_always_holds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(300, 3))
    # Column 0 truly rises and falls again, column 1 falls.
    chance = expit(2 - 2 * features[:, 0] ** 2 - features[:, 1])
    label = (generator.random(300) < chance).astype(np.int8)
    fit = fit_trees(
        features,
        label,
        np.ones(300),
        np.arange(300),
        [],
        seed=seed,
        rounds=40,
        parameters={"min_data_in_leaf": 3, "num_leaves": 16},
        directions=(1, -1, 0),
    )
    grid = np.linspace(-4, 4, 81)
    for row in generator.normal(size=(20, 3)):
        for column, direction in ((0, 1), (1, -1)):
            scanned = np.tile(row, (len(grid), 1))
            scanned[:, column] = grid
            assert (direction * np.diff(fit.trees.log_odds_of(scanned)) >= -1e-12).all()
    free = fit_trees(
        features,
        label,
        np.ones(300),
        np.arange(300),
        [],
        seed=seed,
        rounds=40,
        parameters={"min_data_in_leaf": 3, "num_leaves": 16},
    )
    scanned = np.zeros((len(grid), 3))
    scanned[:, 0] = grid
    assert (np.diff(free.trees.log_odds_of(scanned)) < -0.01).any()


def test_tree_settings_contain_the_given_parameters() -> None:
    result = tree_settings(1_000, 7, {"num_leaves": 5}, (0, 1))
    assert result["num_leaves"] == 5
    assert result["seed"] == 7
    assert result["monotone_constraints"] == [0, 1]
    assert result["deterministic"]
    plain = tree_settings(1_000, 7, None, (0, 0))
    assert "monotone_constraints" not in plain
    assert plain["num_threads"] == 1
    assert {name: plain[name] for name in TREE_PARAMETERS} == TREE_PARAMETERS


# -- scoring -----------------------------------------------------------------------------------


def test_no_rows_get_no_margins() -> None:
    trees = grow(60).trees
    assert trees.log_odds_of(np.empty((0, 3))).shape == (0,)
    assert trees.contributions(np.empty((0, 3))).shape == (0, 3)


def test_one_row_equals_the_same_row_in_a_batch() -> None:
    trees = grow(500).trees
    features, _ = draw(1_000, seed=8)
    for ask in (trees.log_odds_of, trees.contributions):
        together = np.ascontiguousarray(ask(features))  # on all threads
        alone = np.concatenate([ask(row[None, :]) for row in features])  # on one
        assert together.tobytes() == np.ascontiguousarray(alone).tobytes()


def test_repr_omits_the_model_text() -> None:
    assert re.fullmatch(r"BoostedTrees\([\d,]+ characters\)", repr(grow(60).trees))


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    grow(300, on_share=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.01
    assert shares[-1] == 1.0
