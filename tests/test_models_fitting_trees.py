"""The trees: what they learn, what they do not see, their directions, and the bag of boosters."""

import hashlib
import re
from functools import partial
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from crm.arrays import Floats, Labels
from features.fitting import N_FOLDS, folds
from models.contributions.booster_text import check_booster_text
from models.contributions.tree_contributions import TreeContributions
from models.estimator.trees import BoostedTrees
from models.fitting.trees import (
    MAX_ROUNDS,
    PATIENCE,
    TREE_PARAMETERS,
    TreesFit,
    find_rounds,
    fit_trees,
    mean_of_texts,
    tree_settings,
)
from tests.made_examples import draw


def grow(n: int, *, seed: int = 0, label: Labels | None = None, **options: Any) -> TreesFit:
    """Fit trees to n leads of one row each."""
    features, drawn_label = draw(n)
    label = drawn_label if label is None else label
    return fit_trees(features, label, np.ones(n), np.arange(n), [2], seed=seed, **options)


def raw_margin(booster: lightgbm.Booster, features: Floats) -> Floats:
    return np.asarray(booster.predict(features, raw_score=True))


def rows(*cells: Any) -> Floats:
    return np.array(cells, dtype=np.float64)


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
    assert min(fit.rounds) >= 1
    assert np.isfinite(fit.out_of_fold).all()
    assert np.isfinite(fit.trees.contributions(draw(20)[0])).all()


@pytest.mark.parametrize("wins", [1, 2, 10, 19])
def test_trees_of_twenty_rows_state_the_base_rates_of_the_folds(wins: int) -> None:
    label = np.zeros(20, dtype=np.int8)
    label[:wins] = 1
    margin = grow(20, label=label).trees.log_odds_of(draw(20)[0])
    assert np.ptp(margin) == 0  # too few rows for two leaves
    fold_of = folds(label, np.arange(20), 0, N_FOLDS)
    shares = [label[fold_of != fold].mean() for fold in range(N_FOLDS)]
    # LightGBM clips shares of 0 and 1 at this distance.
    assert margin[0] == pytest.approx(logit(np.clip(shares, 1e-15, 1 - 1e-15)).mean(), rel=1e-3)


def test_same_seed_gives_the_same_trees() -> None:
    first, second = grow(400, seed=3), grow(400, seed=3)
    assert digest(first.trees.text) == digest(second.trees.text)
    assert first.out_of_fold.tobytes() == second.out_of_fold.tobytes()
    assert first.rounds == second.rounds
    assert digest(first.trees.text) != digest(grow(400, seed=4).trees.text)


def test_rows_of_weight_zero_have_no_effect() -> None:
    features, label = draw(600)
    weight = np.ones(600)
    weight[300:] = 0
    lead = np.arange(600)
    half_reversed = np.where(np.arange(600) < 300, label, 1 - label).astype(np.int8)
    fit = fit_trees(
        features,
        half_reversed,
        weight,
        lead,
        [2],
        seed=0,
        rounds=20,
        parameters={"bagging_fraction": 1.0},
    )
    margin = fit.trees.log_odds_of(features)
    assert margin[label == 1].mean() > margin[label == 0].mean() + 0.3


# -- rounds ------------------------------------------------------------------------------------


def test_given_rounds_are_used() -> None:
    fit = grow(300, rounds=7)
    assert fit.rounds == (7,) * N_FOLDS
    assert fit.trees.text.count("\nTree=") == 7 * N_FOLDS


def test_without_rounds_each_booster_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    train = lightgbm.train
    losses_of_boosters: list[list[float]] = []

    def record_losses(parameters: Any, training: Any, callbacks: Any, **options: Any) -> Any:
        losses: dict[str, Any] = {}
        callbacks = [lightgbm.record_evaluation(losses), *callbacks]
        booster = train(parameters, training, callbacks=callbacks, **options)
        losses_of_boosters.append(losses["valid_0"]["binary_logloss"])
        return booster

    monkeypatch.setattr(lightgbm, "train", record_losses)
    fit = grow(400)
    assert fit.rounds == tuple(1 + int(np.argmin(losses)) for losses in losses_of_boosters)
    assert [len(losses) for losses in losses_of_boosters] == [
        rounds + PATIENCE for rounds in fit.rounds
    ]
    assert max(fit.rounds) < MAX_ROUNDS - PATIENCE
    assert fit.trees.text.count("\nTree=") == sum(fit.rounds)


TreeRows = tuple[Floats, Labels, Floats]


@pytest.fixture(scope="module")
def older_and_newer() -> tuple[TreeRows, TreeRows]:
    """Draw features, labels and weights of 1,000 older and 500 newer rows."""
    features, label = draw(1_500)
    older = (features[:1_000], label[:1_000], np.ones(1_000))
    newer = (features[1_000:], label[1_000:], np.ones(500))
    return older, newer


def test_find_rounds_predicts_the_newer_rows(older_and_newer: tuple[TreeRows, TreeRows]) -> None:
    older, newer = older_and_newer
    rounds, margin = find_rounds(older, newer, [2], seed=0)
    assert 1 <= rounds < MAX_ROUNDS
    assert margin.shape == (500,)
    assert margin[newer[1] == 1].mean() > margin[newer[1] == 0].mean() + 0.3


def test_find_rounds_is_reproducible(older_and_newer: tuple[TreeRows, TreeRows]) -> None:
    rounds, margin = find_rounds(*older_and_newer, [2], seed=0)
    same_rounds, same_margin = find_rounds(*older_and_newer, [2], seed=0)
    assert same_rounds == rounds
    assert same_margin.tobytes() == margin.tobytes()


def test_fewer_rounds_are_chosen_if_newer_rows_contradict_older_ones(
    older_and_newer: tuple[TreeRows, TreeRows],
) -> None:
    older, newer = older_and_newer
    rounds, _ = find_rounds(older, newer, [2], seed=0)
    features, label, weight = newer
    contradicting = (features, (1 - label).astype(np.int8), weight)
    assert find_rounds(older, contradicting, [2], seed=0)[0] < rounds


# -- out of fold -------------------------------------------------------------------------------


def test_no_booster_is_trained_on_a_lead_of_its_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = np.random.default_rng(5).integers(0, 60, 300)
    features, label = draw(300)
    features[:, 0] = lead  # so that a LightGBM data set shows its leads
    leads_of_boosters: list[tuple[set[float], set[float]]] = []
    train = lightgbm.train

    def record_leads(parameters: Any, training: Any, **options: Any) -> Any:
        booster = train(parameters, training, **options)
        (held_out,) = options["valid_sets"]
        leads_of_boosters.append((set(training.get_data()[:, 0]), set(held_out.get_data()[:, 0])))
        return booster

    monkeypatch.setattr(lightgbm, "Dataset", partial(lightgbm.Dataset, free_raw_data=False))
    monkeypatch.setattr(lightgbm, "train", record_leads)
    fit_trees(features, label, np.ones(300), lead, [2], seed=0)
    assert len(leads_of_boosters) == N_FOLDS
    for training_leads, held_out_leads in leads_of_boosters:
        assert training_leads.isdisjoint(held_out_leads)
        assert training_leads | held_out_leads == set(lead)
    assert set.union(*(held_out_leads for _, held_out_leads in leads_of_boosters)) == set(lead)


def test_noise_labels_are_not_predicted_out_of_fold() -> None:
    # The rows of a lead have equal features and labels, so a model that saw one knows all.
    generator = np.random.default_rng(1)
    lead = np.repeat(np.arange(150), 4)
    features = generator.normal(size=(150, 5))[lead]
    label = (generator.random(150) < 0.5).astype(np.int8)[lead]
    overfitting = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.3}
    fit = fit_trees(
        features, label, np.ones(600), lead, [], seed=0, rounds=40, parameters=overfitting
    )
    in_sample = fit.trees.log_odds_of(features)
    assert ((in_sample > 0) == label).mean() > 0.95
    assert 0.3 < ((fit.out_of_fold > 0) == label).mean() < 0.7


def test_out_of_fold_margin_comes_from_the_booster_of_the_fold() -> None:
    features, label = draw(300)
    fit = grow(300, rounds=5)
    fold_of = folds(label, np.arange(300), 0, N_FOLDS)
    texts = boosters_of_bag(fit.trees.text, trees_per_booster=5)
    for fold, text in enumerate(texts):
        held_out = fold_of == fold
        # The leaves of each tree were divided by the number of boosters.
        margin = N_FOLDS * raw_margin(lightgbm.Booster(model_str=text), features[held_out])
        assert margin == pytest.approx(fit.out_of_fold[held_out], abs=1e-9)


def boosters_of_bag(bag: str, trees_per_booster: int) -> list[str]:
    """Split the model text of a bag into the texts of its boosters."""
    head, *blocks = re.split(r"(?m)^Tree=\d+\n", bag.partition("end of trees")[0])
    texts = []
    for start in range(0, len(blocks), trees_per_booster):
        blocks_of_booster = blocks[start : start + trees_per_booster]
        trees = [f"Tree={i}\n{block}" for i, block in enumerate(blocks_of_booster)]
        sizes = " ".join(str(len(tree)) for tree in trees)
        head_of_booster = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head)
        texts.append(f"{head_of_booster}{''.join(trees)}end of trees\n")
    return texts


def test_every_fold_has_the_same_share_of_wins() -> None:
    label = np.zeros(100, dtype=np.int8)
    label[:15] = 1
    fold_of = folds(label, np.arange(100), 2, N_FOLDS)
    assert np.bincount(fold_of, minlength=N_FOLDS).tolist() == [20] * N_FOLDS
    assert np.bincount(fold_of, weights=label).tolist() == [3.0] * N_FOLDS


# -- the bag of boosters -----------------------------------------------------------------------


def train_booster(n: int, seed: int, rounds: int, **parameters: Any) -> lightgbm.Booster:
    features, label = draw(n, seed)
    settings = TREE_PARAMETERS | {"min_data_in_leaf": 3, "seed": seed, "num_threads": 1}
    settings |= parameters
    dataset = lightgbm.Dataset(features, label, categorical_feature=[2], params=settings)
    return lightgbm.train(settings, dataset, num_boost_round=rounds)


def mean_margin(boosters: list[lightgbm.Booster], features: Floats) -> Floats:
    return np.mean([raw_margin(booster, features) for booster in boosters], axis=0)


@settings(max_examples=20)
@given(
    sizes=st.lists(
        st.tuples(st.integers(20, 200), st.integers(1, 12), st.integers(2, 16)),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 1_000),
)
def test_bag_is_the_mean_of_its_boosters(sizes: Any, seed: int) -> None:
    boosters = [
        train_booster(n, seed + i, rounds, num_leaves=leaves)
        for i, (n, rounds, leaves) in enumerate(sizes)
    ]
    bag = mean_of_texts([booster.model_to_string() for booster in boosters])
    check_booster_text(bag, 3)
    features, _ = draw(300, seed=seed + 77)
    features[:4] = rows([np.nan] * 3, [1e308, -1e308, -1], [0, 0, 400], [np.inf, -np.inf, 2.5])
    assert BoostedTrees(bag).log_odds_of(features) == pytest.approx(
        mean_margin(boosters, features), rel=0, abs=1e-12
    )


@pytest.mark.parametrize(
    ("rounds", "min_data_in_leaf"),
    [((1,), 3), ((1, 1), 3), ((1, 9), 3), ((4, 2), 500), ((1,), 500)],
    ids=["one tree", "two of one", "one and nine", "two with one leaf", "one with one leaf"],
)
def test_smallest_boosters_can_be_bagged(rounds: tuple[int, ...], min_data_in_leaf: int) -> None:
    boosters = [
        train_booster(200, i, n, min_data_in_leaf=min_data_in_leaf) for i, n in enumerate(rounds)
    ]
    bag = mean_of_texts([booster.model_to_string() for booster in boosters])
    check_booster_text(bag, 3)
    features, _ = draw(50, seed=5)
    expected = mean_margin(boosters, features)
    trees = BoostedTrees(bag)
    assert trees.log_odds_of(features) == pytest.approx(expected, rel=0, abs=1e-12)
    assert np.ptp(trees.log_odds_of(features)) == 0 or min_data_in_leaf == 3
    assert trees.constant + trees.contributions(features).sum(axis=1) == pytest.approx(
        expected, rel=0, abs=1e-9
    )


def test_bag_of_one_booster_has_its_margin_bit_for_bit() -> None:
    text = train_booster(200, 0, 6).model_to_string()
    bag = mean_of_texts([text])
    features, _ = draw(100, seed=3)
    margin = raw_margin(lightgbm.Booster(model_str=text), features)
    assert BoostedTrees(bag).log_odds_of(features).tobytes() == margin.tobytes()
    assert mean_of_texts([bag]) == bag


@pytest.mark.parametrize(
    "line", ["leaf_count", "internal_count", "leaf_weight", "threshold", "cat_threshold"]
)
def test_bag_keeps_the_counts_of_its_boosters(line: str) -> None:
    # Counts weigh the branches in contributions, so other counts would change the reasons.
    texts = [train_booster(200, i, 3).model_to_string() for i in range(2)]
    pattern = rf"(?m)^{line}=(.*)$"
    expected = [values for text in texts for values in re.findall(pattern, text)]
    assert re.findall(pattern, mean_of_texts(texts)) == expected


# -- contributions -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 400])
def test_contributions_equal_lightgbm(n: int) -> None:
    trees = grow(n, rounds=30, parameters={"min_data_in_leaf": 3}).trees
    features, _ = draw(600, seed=4)
    features[:3] = rows([np.nan] * 3, [50, -50, 99], [0, 0, 0])
    booster = lightgbm.Booster(model_str=trees.text)
    expected = np.asarray(booster.predict(features, pred_contrib=True))
    assert trees.contributions(features) == pytest.approx(expected[:, :-1], rel=0, abs=1e-9)
    assert trees.constant == pytest.approx(expected[0, -1], rel=0, abs=1e-9)
    assert np.abs(expected[:, :-1]).max() > 0.05


def test_contributions_equal_those_of_the_tables() -> None:
    trees = grow(400, rounds=30).trees
    features, _ = draw(600, seed=4)
    tables = TreeContributions.from_text(trees.text, 3)
    contributions = tables.contributions(features)[:, :-1]
    assert contributions.tobytes() == trees.contributions(features).tobytes()


# -- directions --------------------------------------------------------------------------------


GRID = np.linspace(-4, 4, 81)


def fit_with_directions(seed: int, directions: tuple[int, ...]) -> BoostedTrees:
    """Fit trees to leads whose chance first rises and then falls with column 0."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(300, 3))
    chance = expit(2 - 2 * features[:, 0] ** 2 - features[:, 1])
    label = (generator.random(300) < chance).astype(np.int8)
    return fit_trees(
        features,
        label,
        np.ones(300),
        np.arange(300),
        [],
        seed=seed,
        rounds=40,
        parameters={"min_data_in_leaf": 3, "num_leaves": 16},
        directions=directions,
    ).trees


def steps_along(trees: BoostedTrees, row: Floats, column: int) -> Floats:
    """Return how the margin of a row changes as one column passes along the grid."""
    features = np.tile(row, (len(GRID), 1))
    features[:, column] = GRID
    return np.diff(trees.log_odds_of(features))


@pytest.mark.parametrize("seed", range(4))
def test_declared_direction_always_holds(seed: int) -> None:
    trees = fit_with_directions(seed, (1, -1, 0))
    for row in np.random.default_rng(seed).normal(size=(20, 3)):
        assert (steps_along(trees, row, 0) >= -1e-12).all()
        assert (steps_along(trees, row, 1) <= 1e-12).all()


@pytest.mark.parametrize("seed", range(4))
def test_margin_falls_and_rises_without_a_direction(seed: int) -> None:
    trees = fit_with_directions(seed, ())
    assert (steps_along(trees, np.zeros(3), 0) < -0.01).any()


def test_tree_settings_contain_the_given_parameters() -> None:
    settings = tree_settings(1_000, 7, {"num_leaves": 5}, (0, 1))
    assert settings["num_leaves"] == 5
    assert settings["seed"] == 7
    assert settings["monotone_constraints"] == [0, 1]
    assert settings["deterministic"]


def test_tree_settings_are_the_defaults_without_parameters() -> None:
    settings = tree_settings(1_000, 7, None, (0, 0))
    assert "monotone_constraints" not in settings
    assert settings["num_threads"] == 1
    assert {name: settings[name] for name in TREE_PARAMETERS} == TREE_PARAMETERS


# -- scoring -----------------------------------------------------------------------------------


def test_no_rows_get_no_margins() -> None:
    trees = grow(60).trees
    assert trees.log_odds_of(np.empty((0, 3))).shape == (0,)
    assert trees.contributions(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("method", ["log_odds_of", "contributions"])
def test_one_row_equals_the_same_row_in_a_batch(method: str) -> None:
    compute = getattr(grow(500).trees, method)
    features, _ = draw(1_000, seed=8)
    together = np.ascontiguousarray(compute(features))  # on all threads
    alone = np.concatenate([compute(row[None, :]) for row in features])  # on one thread
    assert together.tobytes() == np.ascontiguousarray(alone).tobytes()


def test_repr_omits_the_model_text() -> None:
    assert re.fullmatch(r"BoostedTrees\([\d,]+ characters\)", repr(grow(60).trees))


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    grow(300, on_share=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.01
    assert shares[-1] == 1.0
