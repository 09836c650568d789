"""Contributions of features: computed by hand, equal to LightGBM's, independent of the batch."""

import math
import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contributions import tables as contribution_tables
from models.contributions import tree_contributions as contribution_module
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

# The root splits at x0 <= 0.5; its left branch splits at x1 <= 1.5.
# The two leaves on the left have 2 training rows each, the leaf on the right has 4.
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
    """Return a feature matrix with gaps, and labels that depend on it."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n, numeric + categorical))
    features[:, 0] = np.round(features[:, 0])
    features[:, 1] = np.where(generator.random(n) < 0.5, 0.0, features[:, 1])
    features[:, numeric:] = generator.geometric(0.15, (n, categorical)).clip(max=codes) - 1
    margin = features[:, 0] + features[:, 1] * features[:, 2] + np.sin(3 * features[:, -1])
    features[generator.random(features.shape) < 0.15] = np.nan
    return features, (margin + generator.normal(size=n) > 0.5).astype(np.int8)


def grow(
    features: Any, label: Any, *, rounds: int = 12, categorical: Any = (5, 6, 7), **settings: Any
) -> Any:
    """Train a LightGBM booster and read it again from its text."""
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "cat_smooth": 1.0}
    parameters |= {"min_data_in_leaf": 3, "num_leaves": 15} | settings
    training = lightgbm.Dataset(features, label, categorical_feature=list(categorical))
    booster = lightgbm.train(parameters, training, rounds)
    return lightgbm.Booster(model_str=booster.model_to_string())


def tree_contributions(booster: Any) -> TreeContributions:
    """Read leadscore's contributions from a booster."""
    text = booster.model_to_string()
    check_booster_text(text, booster.num_feature())
    return TreeContributions.from_text(text, booster.num_feature())


def lightgbm_contributions(booster: Any, features: Any) -> Any:
    """Compute LightGBM's own contributions."""
    return booster.predict(features, pred_contrib=True, num_threads=1)


def raw_margin(booster: Any, features: Any) -> Any:
    return booster.predict(features, raw_score=True)


def with_awkward(features: Any, seed: int) -> Any:
    """Replace almost a third of the cells by awkward numbers."""
    generator = np.random.default_rng(seed)
    awkward = features.copy()
    is_replaced = generator.random(features.shape) < 0.3
    awkward[is_replaced] = generator.choice(AWKWARD, is_replaced.sum())
    return awkward


def n_parts(trees: TreeContributions) -> set[int]:
    """Return the numbers of parts into which blocks are cut."""
    return {len(parts) for parts in trees._tables.lookups}


def test_contributions_of_one_tree_by_hand() -> None:
    trees = TreeContributions.from_text(BY_HAND, 3)
    assert trees.expected == 3.0  # (2 * 4 + 4 * 0 + 2 * 8) / 8
    # The lead (0, 2) ends in the leaf with 8. The expected value is 3 if no feature is known;
    # 6 if x0 is known, the mean of the left leaves; 4 if x1 is known, half of 8; 8 if both are
    # known. So x0 contributes ((6 - 3) + (8 - 4)) / 2.
    assert trees.contributions(np.array([[0.0, 2.0, 9.0]])) == pytest.approx(
        np.array([[3.5, 1.5, 0.0, 3.0]]), abs=1e-12
    )
    # The lead (1, 1) ends in the right leaf. The expected value is 0 if x0 is known; 2 if x1 is
    # known; 0 if both are known.
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
    leads = with_awkward(features[:150], seed)
    trees = tree_contributions(booster)
    assert trees.contributions(leads) == pytest.approx(
        lightgbm_contributions(booster, leads), abs=CLOSE
    )


@pytest.mark.parametrize("seed", range(3))
def test_explained_equals_margin_and_contributions(seed: int) -> None:
    features, label = draw(900, seed=seed)
    booster = grow(features, label)
    leads = with_awkward(features[:150], seed)
    trees = tree_contributions(booster)
    explained = trees.explained(leads)
    assert explained is not None
    margin, contributions = explained
    assert margin.tobytes() == raw_margin(booster, leads).tobytes()
    assert contributions.tobytes() == trees.contributions(leads)[:, :-1].tobytes()


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
    leads = np.array(rows)
    assert tree_contributions(booster).contributions(leads) == pytest.approx(
        lightgbm_contributions(booster, leads), abs=CLOSE
    )


@pytest.mark.parametrize("n", [70, 700])
@pytest.mark.parametrize("seed", range(3))
def test_deep_trees_are_exact_within_the_memory_limit(
    monkeypatch: pytest.MonkeyPatch, seed: int, n: int
) -> None:
    features, label = draw(4_000, seed=seed, numeric=16)
    settings = {"num_leaves": 400, "min_data_in_leaf": 2, "feature_fraction_bynode": 0.3}
    booster = grow(features, label, rounds=4, categorical=(16, 17, 18), **settings)
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", 0)
    trees = tree_contributions(booster)
    assert {1, 2, 3} <= n_parts(trees)
    sizes = [part.table.nbytes for parts in trees._tables.lookups for part in parts]
    assert sum(sizes) < 4 * 400 * 30_000  # bytes for a leaf, however deep
    leads = with_awkward(features[:n], seed)
    assert trees.contributions(leads) == pytest.approx(
        lightgbm_contributions(booster, leads), abs=CLOSE
    )


def test_memory_limit_does_not_change_contributions(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(2_000, seed=3)
    booster = grow(features, label, num_leaves=100)
    unlimited = tree_contributions(booster)
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", 0)
    limited = tree_contributions(booster)
    assert n_parts(unlimited) == {1}
    assert 2 in n_parts(limited)
    assert unlimited.contributions(features[:99]) == pytest.approx(
        limited.contributions(features[:99]), abs=1e-12
    )


def test_tree_of_one_leaf_contributes_a_constant() -> None:
    features, label = draw(60, seed=0)
    booster = grow(features, label, rounds=2, min_data_in_leaf=50)
    assert booster.num_trees() == 1
    contributions = tree_contributions(booster).contributions(features)
    assert (contributions[:, :-1] == 0).all()
    assert contributions == pytest.approx(lightgbm_contributions(booster, features), abs=CLOSE)


def with_stump(text: str) -> str:
    """Replace the second of three trees by a tree of one leaf."""
    blocks = re.split(r"(?=Tree=\d+\n)|(?=end of trees\n)", text)
    stump = "Tree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nis_linear=0\nshrinkage=1\n\n\n"
    sizes = " ".join(str(len(block)) for block in (blocks[1], stump, blocks[3]))
    blocks[0] = re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", blocks[0])
    return "".join([*blocks[:2], stump, *blocks[3:]])


def test_one_leaf_trees_mix_with_other_trees() -> None:
    features, label = draw(300, seed=1)
    text = with_stump(grow(features, label, rounds=3).model_to_string())
    booster = lightgbm.Booster(model_str=text)
    trees = tree_contributions(booster)
    assert trees.contributions(features) == pytest.approx(
        lightgbm_contributions(booster, features), abs=CLOSE
    )
    explained = trees.explained(features)
    assert explained is not None
    assert explained[0].tobytes() == raw_margin(booster, features).tobytes()


@pytest.fixture(
    params=[contribution_tables.LARGEST_TABLES, 0], ids=["large tables", "small tables"]
)
def trees_and_leads(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[TreeContributions, Any]:
    """Return the contributions of trees, with large and with small tables, and 2,000 leads."""
    monkeypatch.setattr(contribution_tables, "LARGEST_TABLES", request.param)
    features, label = draw(2_000, seed=4, numeric=9)
    booster = grow(features, label, categorical=(9, 10, 11), num_leaves=120)
    trees = tree_contributions(booster)
    assert (3 in n_parts(trees)) == (request.param == 0)
    return trees, with_awkward(features, 4)


def test_one_lead_equals_the_same_lead_in_a_batch(trees_and_leads: Any) -> None:
    trees, leads = trees_and_leads
    together = trees.contributions(leads)
    alone = np.concatenate([trees.contributions(row[None, :]) for row in leads])
    assert alone.tobytes() == together.tobytes()


def test_contributions_do_not_depend_on_the_batch(trees_and_leads: Any) -> None:
    trees, leads = trees_and_leads
    assert len(leads) > contribution_module.MANY > 777
    together = trees.contributions(leads)
    assert trees.contributions(leads[:100]).tobytes() == together[:100].tobytes()
    assert trees.contributions(leads[:777]).tobytes() == together[:777].tobytes()
    order = np.random.default_rng(0).permutation(len(leads))
    assert trees.contributions(leads[order]).tobytes() == together[order].tobytes()


def test_explained_needs_a_few_leads_and_large_tables(trees_and_leads: Any) -> None:
    trees, leads = trees_and_leads
    has_small_tables = 3 in n_parts(trees)
    assert (trees.explained(leads[:5]) is None) == has_small_tables
    assert trees.explained(leads) is None
    assert trees.explained(leads[:0]) is None


def test_batch_size_does_not_change_contributions(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(1_500, seed=5)
    trees = tree_contributions(grow(features, label))
    in_one_batch = trees.contributions(features)
    monkeypatch.setattr(contribution_module, "LEADS_AT_ONCE", 600)
    assert trees.contributions(features).tobytes() == in_one_batch.tobytes()


def test_contributions_add_up_to_the_margin() -> None:
    features, label = draw(1_000, seed=6)
    booster = grow(features, label, rounds=60)
    leads = with_awkward(features, 6)
    margin = raw_margin(booster, leads)
    trees = tree_contributions(booster)
    contributions = trees.contributions(leads)
    assert contributions.sum(axis=1) == pytest.approx(margin, abs=CLOSE)
    assert (contributions[:, -1] == trees.expected).all()


@pytest.mark.parametrize("n", [1, 600])
def test_contributions_do_not_modify_the_input(n: int) -> None:
    features, label = draw(600, seed=7)
    trees = tree_contributions(grow(features, label))
    leads = with_awkward(features[:n], 7)
    before = leads.copy()
    trees.contributions(leads)
    assert leads.tobytes() == before.tobytes()


def test_memory_layout_does_not_change_contributions() -> None:
    features, label = draw(100, seed=8)
    trees = tree_contributions(grow(features, label))
    expected = trees.contributions(features)
    assert (trees.contributions(np.asfortranarray(features)) == expected).all()
    assert (trees.contributions(features[::-1])[::-1] == expected).all()


def test_no_leads_have_no_contributions() -> None:
    trees = TreeContributions.from_text(BY_HAND, 2)
    assert trees.contributions(np.empty((0, 2))).shape == (0, 3)


def test_model_text_with_a_shared_node_is_refused() -> None:
    text = BY_HAND.replace("right_child=-2 -3", "right_child=1 -3")
    with pytest.raises(ValueError, match="a node of a tree has several parents"):
        TreeContributions.from_text(text, 2)


def test_model_text_with_an_empty_node_is_refused() -> None:
    text = BY_HAND.replace("internal_count=8 4", "internal_count=8 0")
    with pytest.raises(ValueError, match="no training row reached a node"):
        TreeContributions.from_text(text, 2)


def test_repr_is_short() -> None:
    text = repr(TreeContributions.from_text(BY_HAND, 2))
    assert text == "TreeContributions(2 features, expected 3.0000)"
