"""Contributions of features: by hand, against LightGBM's own, and one lead as among many."""

import math
import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contributions import tables as contribution_tables
from models.contributions import tree_contributions as contributions
from models.contributions.booster_text import check_booster_text
from models.contributions.tree_contributions import TreeContributions

CLOSE = 1e-9
ZERO = float(np.float32(1e-35))
AWKWARD = (
    math.nan,
    0.0,
    -0.0,
    ZERO,
    2 * ZERO,
    -ZERO,
    math.inf,
    -math.inf,
    1e300,
    -1e300,
    0.5,
    -0.5,
    -1.0,
    -7.0,
    2.0**31,
    2.0**31 + 3,
    2.0**32 + 1,
    2.7,
    31.0,
    32.0,
    1e6,
)

# x0 <= 0.5, then x1 <= 1.5 on the left; rows: 2 and 2 in the left leaves, 4 in the right one.
BY_HAND = """
Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
threshold=0.5 1.5
decision_type=8 8
left_child=1 -1
right_child=-2 -3
leaf_value=4 0 8
leaf_count=2 4 2
internal_count=8 4
"""


def draw(n: int, *, seed: int, numeric: int = 5, categorical: int = 3, codes: int = 40) -> Any:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n, numeric + categorical))
    features[:, 0] = np.round(features[:, 0])
    features[:, 1] = np.where(generator.random(n) < 0.5, 0.0, features[:, 1])
    features[:, numeric:] = generator.geometric(0.15, (n, categorical)).clip(max=codes) - 1
    told = features[:, 0] + features[:, 1] * features[:, 2] + np.sin(3 * features[:, -1])
    features[generator.random(features.shape) < 0.15] = np.nan
    return features, (told + generator.normal(size=n) > 0.5).astype(np.int8)


def grow(
    features: Any, label: Any, *, rounds: int = 12, categorical: Any = (5, 6, 7), **settings: Any
) -> Any:
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "cat_smooth": 1.0}
    parameters |= {"min_data_in_leaf": 3, "num_leaves": 15} | settings
    training = lightgbm.Dataset(features, label, categorical_feature=list(categorical))
    booster = lightgbm.train(parameters, training, rounds)
    return lightgbm.Booster(model_str=booster.model_to_string())


def ours(booster: Any) -> TreeContributions:
    text = booster.model_to_string()
    check_booster_text(text, booster.num_feature())
    return TreeContributions.from_text(text, booster.num_feature())


def theirs(booster: Any, features: Any) -> Any:
    return booster.predict(features, pred_contrib=True, num_threads=1)


def with_awkward(features: Any, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    awkward = features.copy()
    where = generator.random(features.shape) < 0.3
    awkward[where] = generator.choice(AWKWARD, where.sum())
    return awkward


def n_parts(trees: TreeContributions) -> set[int]:
    return {len(parts) for parts in trees._tables.lookups}


def test_contributions_of_one_tree_by_hand() -> None:
    trees = TreeContributions.from_text(BY_HAND, 3)
    assert trees.expected == 3.0  # (2 * 4 + 4 * 0 + 2 * 8) / 8
    # The lead (0, 2) ends in the leaf with 8. Known of it: nothing 3; x0 alone 6, the mean of
    # the left leaves; x1 alone 4, half of 8; both 8. So x0 gives ((6 - 3) + (8 - 4)) / 2.
    assert trees.contributions(np.array([[0.0, 2.0, 9.0]])) == pytest.approx(
        np.array([[3.5, 1.5, 0.0, 3.0]]), abs=1e-12
    )
    # The lead (1, 1) ends on the right, with 0: x0 alone 0; x1 alone 2; both 0.
    assert trees.contributions(np.array([[1.0, 1.0, 9.0]])) == pytest.approx(
        np.array([[-2.5, -0.5, 0.0, 3.0]]), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"num_leaves": 2},
        {"num_leaves": 47, "max_cat_to_onehot": 2, "lambda_l2": 1.0},
        {"boosting": "dart", "drop_rate": 0.5},
        {"max_cat_to_onehot": 64},
        {"max_bin": 5, "num_leaves": 60},
    ],
    ids=str,
)
def test_contributions_equal_lightgbm(settings: Any, seed: int) -> None:
    features, label = draw(900, seed=seed)
    booster = grow(features, label, **settings)
    asked = with_awkward(features[:150], seed)
    trees = ours(booster)
    assert trees.contributions(asked) == pytest.approx(theirs(booster, asked), abs=CLOSE)
    explained = trees.explained(asked)
    assert explained is not None
    assert explained[0].tobytes() == booster.predict(asked, raw_score=True).tobytes()
    assert explained[1].tobytes() == trees.contributions(asked)[:, :-1].tobytes()


@given(
    seed=st.integers(0, 10_000),
    leaves=st.integers(2, 40),
    rows=st.lists(
        st.lists(st.one_of(st.sampled_from(AWKWARD), st.floats(-50, 50)), min_size=8, max_size=8),
        min_size=1,
        max_size=5,
    ),
)
def test_contributions_equal_lightgbm_for_any_lead(seed: int, leaves: int, rows: Any) -> None:
    booster = grow(*draw(150, seed=seed), rounds=3, num_leaves=leaves)
    asked = np.array(rows)
    assert ours(booster).contributions(asked) == pytest.approx(theirs(booster, asked), abs=CLOSE)


@pytest.mark.parametrize("n", [70, 700])
@pytest.mark.parametrize("seed", range(3))
def test_deep_trees_stay_exact_within_the_memory_limit(
    monkeypatch: pytest.MonkeyPatch, seed: int, n: int
) -> None:
    features, label = draw(4_000, seed=seed, numeric=16)
    settings = {"num_leaves": 400, "min_data_in_leaf": 2, "feature_fraction_bynode": 0.3}
    booster = grow(features, label, rounds=4, categorical=(16, 17, 18), **settings)
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", 0)
    trees = ours(booster)
    assert {1, 2, 3} <= n_parts(trees)
    sizes = [part.table.nbytes for parts in trees._tables.lookups for part in parts]
    assert sum(sizes) < 4 * 400 * 30_000  # bytes for a leaf, however deep
    asked = with_awkward(features[:n], seed)
    assert trees.contributions(asked) == pytest.approx(theirs(booster, asked), abs=CLOSE)


def test_memory_limit_does_not_change_contributions(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(2_000, seed=3)
    booster = grow(features, label, num_leaves=100)
    with_room = ours(booster)
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", 0)
    without = ours(booster)
    assert n_parts(with_room) == {1}
    assert 2 in n_parts(without)
    assert with_room.contributions(features[:99]) == pytest.approx(
        without.contributions(features[:99]), abs=1e-12
    )


def test_tree_of_one_leaf_contributes_a_constant() -> None:
    features, label = draw(60, seed=0)
    booster = grow(features, label, rounds=2, min_data_in_leaf=50)
    assert booster.num_trees() == 1
    result = ours(booster).contributions(features)
    assert (result[:, :-1] == 0).all()
    assert result == pytest.approx(theirs(booster, features), abs=CLOSE)


def test_one_leaf_trees_mix_with_other_trees() -> None:
    features, label = draw(300, seed=1)
    text = grow(features, label, rounds=3).model_to_string()
    blocks = re.split(r"(?=Tree=\d+\n)|(?=end of trees\n)", text)
    stump = "Tree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nis_linear=0\nshrinkage=1\n\n\n"
    sizes = " ".join(str(len(block)) for block in (blocks[1], stump, blocks[3]))
    blocks[0] = re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", blocks[0])
    booster = lightgbm.Booster(model_str="".join([*blocks[:2], stump, *blocks[3:]]))
    trees = ours(booster)
    assert trees.contributions(features) == pytest.approx(theirs(booster, features), abs=CLOSE)
    explained = trees.explained(features)
    assert explained is not None
    assert explained[0].tobytes() == booster.predict(features, raw_score=True).tobytes()


@pytest.mark.parametrize("memory", [contribution_tables.LARGEST_TABLES, 0])
def test_one_lead_equals_the_same_lead_in_a_batch(
    monkeypatch: pytest.MonkeyPatch, memory: Any
) -> None:
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", memory)
    features, label = draw(2_000, seed=4, numeric=9)
    trees = ours(grow(features, label, categorical=(9, 10, 11), num_leaves=120))
    assert (3 in n_parts(trees)) == (memory == 0)
    features = with_awkward(features, 4)
    assert len(features) > contributions.MANY > 100
    together = trees.contributions(features)
    alone = np.concatenate([trees.contributions(row[None, :]) for row in features])
    assert alone.tobytes() == together.tobytes()
    assert trees.contributions(features[:100]).tobytes() == together[:100].tobytes()
    assert trees.contributions(features[:777]).tobytes() == together[:777].tobytes()
    order = np.random.default_rng(0).permutation(len(features))
    assert trees.contributions(features[order]).tobytes() == together[order].tobytes()
    assert (trees.explained(features[:5]) is None) == (memory == 0)
    assert trees.explained(features) is trees.explained(features[:0]) is None


def test_batch_size_does_not_change_contributions(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(1_500, seed=5)
    trees = ours(grow(features, label))
    whole = trees.contributions(features)
    monkeypatch.setattr(contributions, "LEADS_AT_ONCE", 600)
    assert trees.contributions(features).tobytes() == whole.tobytes()


def test_contributions_add_up_to_the_margin() -> None:
    features, label = draw(1_000, seed=6)
    booster = grow(features, label, rounds=60)
    asked = with_awkward(features, 6)
    margin = booster.predict(asked, raw_score=True)
    trees = ours(booster)
    result = trees.contributions(asked)
    assert result.sum(axis=1) == pytest.approx(margin, abs=CLOSE)
    assert (result[:, -1] == trees.expected).all()


@pytest.mark.parametrize("n", [1, 600])
def test_contributions_do_not_modify_the_input(n: int) -> None:
    features, label = draw(600, seed=7)
    trees = ours(grow(features, label))
    asked = with_awkward(features[:n], 7)
    before = asked.copy()
    trees.contributions(asked)
    assert asked.tobytes() == before.tobytes()


def test_memory_layout_does_not_change_contributions() -> None:
    features, label = draw(100, seed=8)
    trees = ours(grow(features, label))
    expected = trees.contributions(features)
    assert (trees.contributions(np.asfortranarray(features)) == expected).all()
    assert (trees.contributions(features[::-1])[::-1] == expected).all()


def test_no_leads_have_no_contributions() -> None:
    trees = TreeContributions.from_text(BY_HAND, 2)
    assert trees.contributions(np.empty((0, 2))).shape == (0, 3)


def test_model_text_with_a_shared_node_is_refused() -> None:
    text = BY_HAND.replace("right_child=-2 -3", "right_child=1 -3")
    with pytest.raises(ValueError, match="branches of a tree meet again"):
        TreeContributions.from_text(text, 2)


def test_model_text_with_an_empty_node_is_refused() -> None:
    text = BY_HAND.replace("internal_count=8 4", "internal_count=8 0")
    with pytest.raises(ValueError, match="no training row came to a node"):
        TreeContributions.from_text(text, 2)


def test_repr_is_short() -> None:
    shown = repr(TreeContributions.from_text(BY_HAND, 2))
    assert shown == "TreeContributions(2 features, expected 3.0000)"
