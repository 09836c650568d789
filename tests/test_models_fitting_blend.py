"""The estimator: the base rate, the blend, and how much say each half of it gets."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from models.estimator.blend import BaseRate, Blend
from models.estimator.logistic import Logistic
from models.estimator.trees import BoostedTrees
from models.fitting import blend as estimators
from models.fitting.blend import (
    ENOUGH_TO_WEIGH,
    EVEN,
    FEWEST_OUTCOMES,
    WEIGHTS,
    BlendClassifier,
    BlendSettings,
    Examples,
    choose_weight,
)
from models.fitting.logistic import fit_logistic
from models.fitting.trees import fit_trees
from tests.made_examples import draw


def settled(logistic_weight: float, rounds: int = 10, **more: Any) -> BlendClassifier:
    result = BlendSettings(logistic_weight, 1.0, 4.0, rounds, "set by hand", ())
    return BlendClassifier(categorical=[2], settings=result, **more)


@pytest.fixture(scope="module")
def halves() -> tuple[Logistic, BoostedTrees]:
    features, label = draw(400)
    weight, lead = np.ones(400), np.arange(400)
    trees = fit_trees(features, label, weight, lead, [2], seed=0, rounds=10).trees
    return fit_logistic(features, label, weight, [2]), trees


# -- the base rate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "weight", "share"),
    [
        ([0, 0, 0, 1], [1.0, 1, 1, 1], 1.5 / 5),
        ([0, 1], [3.0, 1], 1.5 / 5),
        ([0, 0, 0], [1.0, 1, 1], 0.5 / 4),
        ([1, 1, 1], [1.0, 1, 1], 3.5 / 4),
        ([1, 0], [0.0, 0.0], 0.5),
    ],
)
def test_base_rate_by_hand(label: Any, weight: Any, share: float) -> None:
    result = BaseRate.fit(np.array(label, dtype=np.int8), np.array(weight))
    assert expit(result.log_odds) == pytest.approx(share)
    assert result.log_odds_of(np.zeros((3, 2))).tolist() == [result.log_odds] * 3


def test_base_rate_has_no_contributions() -> None:
    base_rate = BaseRate(-1.5)
    features = np.array([[np.nan, 1e300], [-1e300, 0.0]])
    assert base_rate.constant == -1.5
    assert base_rate.contributions(features).tolist() == [[0, 0], [0, 0]]
    assert base_rate.contributions(np.empty((0, 2))).shape == (0, 2)


# -- the blend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_blend_is_the_weighted_sum_of_its_parts(
    halves: tuple[Logistic, BoostedTrees], weight: float
) -> None:
    linear, trees = halves
    blend = Blend(weight, linear if weight else None, trees if weight < 1 else None)
    features, _ = draw(1_000, seed=3)
    margin = weight * linear.log_odds_of(features) + (1 - weight) * trees.log_odds_of(features)
    assert blend.log_odds_of(features) == pytest.approx(margin, rel=0, abs=1e-12)
    contributions = blend.contributions(features)
    assert contributions.flags.c_contiguous
    assert blend.constant == pytest.approx(weight * linear.constant + (1 - weight) * trees.constant)
    assert blend.constant + contributions.sum(axis=1) == pytest.approx(margin, rel=0, abs=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_one_row_equals_the_same_row_in_a_batch(
    halves: tuple[Logistic, BoostedTrees], weight: float
) -> None:
    linear, trees = halves
    blend = Blend(weight, linear if weight else None, trees if weight < 1 else None)
    features, _ = draw(1_000, seed=8)
    for ask in (blend.log_odds_of, blend.contributions):
        alone = np.concatenate([ask(row[None, :]) for row in features])
        assert ask(features).tobytes() == alone.tobytes()
    assert blend.log_odds_of(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("weight", "has_linear", "has_trees"),
    [
        (0.5, False, True),
        (0.5, True, False),
        (0.5, False, False),
        (0.0, True, True),
        (1.0, True, True),
        (1.0, False, True),
        (0.0, True, False),
        (-0.1, True, True),
        (1.1, True, True),
        (np.nan, True, True),
        (np.inf, True, True),
    ],
)
def test_blend_refuses_a_missing_or_unused_part(
    halves: tuple[Logistic, BoostedTrees], weight: float, has_linear: bool, has_trees: bool
) -> None:
    linear, trees = halves
    with pytest.raises(ValueError, match="a part of the blend is missing, or has no weight"):
        Blend(weight, linear if has_linear else None, trees if has_trees else None)


# -- how much say each half gets -----------------------------------------------------------------


def margins(n: int, *skills: float, seed: int = 0) -> Any:
    """Margins of as many halves, each right to its own degree, and the labels."""
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < 0.4).astype(np.int8)
    truth = 2.0 * label - 1
    return [skill * truth + generator.normal(scale=0.5, size=n) for skill in skills], label


def choose(linear: Any, grown: Any, label: Any, weight: Any = None, lead: Any = None) -> Any:
    n = len(label)
    weight = np.ones(n) if weight is None else weight
    return choose_weight(linear, grown, label, weight, np.arange(n) if lead is None else lead)


def test_identical_parts_get_equal_weights() -> None:
    label = np.array([1, 0] * 100, dtype=np.int8)
    half = np.where(label == 1, 2.0, -1.0)
    assert choose(half, half, label)[0] == EVEN
    assert choose(np.zeros(200), np.zeros(200), label)[0] == EVEN
    for seed in range(20):
        (half,), label = margins(300, 1.0, seed=seed)
        weight, tried = choose(half, half, label)
        losses = [loss for _, loss in tried]
        assert weight == EVEN
        assert losses == pytest.approx([losses[0]] * len(WEIGHTS), rel=1e-12)


def test_equally_good_parts_usually_get_equal_weights() -> None:
    for n in (20, 2_000):
        drawn = (margins(n, 0.6, 0.6, seed=seed) for seed in range(50))
        weights = [choose(*halves, label)[0] for halves, label in drawn]
        assert weights.count(EVEN) >= 45


def test_much_better_part_gets_most_of_the_weight() -> None:
    (good, bad), label = margins(2_000, 2.0, -1.0)
    assert choose(good, bad, label)[0] >= 0.9
    assert choose(bad, good, label)[0] <= 0.1


def test_few_rows_keep_equal_weights() -> None:
    (good, bad), label = margins(20, 0.6, 0.5)
    assert choose(good, bad, label)[0] == EVEN
    (good, bad), label = margins(20_000, 0.6, 0.5)
    assert EVEN < choose(good, bad, label)[0] < 1


def test_row_weights_count() -> None:
    (good, bad), label = margins(2_000, 2.0, -1.0)
    first = np.arange(2_000) < 1_000
    linear, grown = np.where(first, good, bad), np.where(first, bad, good)
    assert choose(linear, grown, label, np.where(first, 1.0, 0.0))[0] >= 0.9
    assert choose(linear, grown, label, np.where(first, 0.0, 1.0))[0] <= 0.1


def test_repeated_rows_of_a_lead_add_no_certainty() -> None:
    (good, bad), label = margins(60, 0.6, 0.5)
    many = [np.repeat(each, 100) for each in (good, bad, label)]
    weight, losses = choose(*many, lead=np.repeat(np.arange(60), 100))
    once, its_losses = choose(good, bad, label)
    assert weight == once == EVEN
    assert dict(losses) == pytest.approx(dict(its_losses))
    assert choose(*many)[0] != EVEN  # as many leads would be another matter


@settings(max_examples=40)
@given(
    n=st.integers(2, 400),
    skills=st.tuples(st.floats(-1, 3), st.floats(-1, 3)),
    seed=st.integers(0, 1_000),
    power=st.integers(-20, 20),
)
def test_the_laws_of_the_weight(n: int, skills: Any, seed: int, power: int) -> None:
    (linear, grown), label = margins(n, *skills, seed=seed)
    generator = np.random.default_rng(seed)
    weight, lead = generator.uniform(0.1, 2, n), generator.integers(0, n, n)
    chosen, losses = choose(linear, grown, label, weight, lead)
    assert tuple(w for w, _ in losses) == WEIGHTS
    assert chosen in WEIGHTS
    # The scale of all weights says nothing.
    assert choose(linear, grown, label, weight * 2.0**power, lead)[0] == chosen
    # Nor does the order of rows.
    order = generator.permutation(n)
    shuffled = choose(*(each[order] for each in (linear, grown, label, weight, lead)))
    assert dict(shuffled[1]) == pytest.approx(dict(losses))
    # Turning every sign and label round turns nothing.
    turned = choose(-linear, -grown, (1 - label).astype(np.int8), weight, lead)
    assert dict(turned[1]) == pytest.approx(dict(losses))
    # A weight between even and the best one is never worse than even.
    by_weight = dict(losses)
    best = min(by_weight, key=by_weight.__getitem__)
    assert min(best, EVEN) <= chosen <= max(best, EVEN)
    assert by_weight[chosen] <= by_weight[EVEN] + 1e-12


def test_losses_equal_scikit_learn() -> None:
    (linear, grown), label = margins(300, 1.0, 0.5)
    weight = np.random.default_rng(1).uniform(0.1, 2, 300)
    _, losses = choose(linear, grown, label, weight)
    assert len(losses) == len(WEIGHTS) == 11
    for share, loss in losses:
        probability = expit(share * linear + (1 - share) * grown)
        assert loss == pytest.approx(log_loss(label, probability, sample_weight=weight))


# -- the classifier ------------------------------------------------------------------------------


def labelled(n: int, wins: int) -> tuple[np.ndarray, np.ndarray]:
    features, _ = draw(n)
    label = np.zeros(n, dtype=np.int8)
    label[np.argsort(-features[:, 0])[:wins]] = 1
    return features, label


@pytest.mark.parametrize("turned", [False, True], ids=["few wins", "few losses"])
def test_fewer_than_twenty_outcomes_fit_the_base_rate(turned: bool) -> None:
    features, label = labelled(300, FEWEST_OUTCOMES - 1)
    label = 1 - label if turned else label
    model = BlendClassifier(categorical=[2]).fit(features, label)
    share = (label.sum() + 0.5) / 301
    assert model.blend_ == BaseRate(float(logit(share)))
    assert model.settings_ is None
    assert model.out_of_fold_.tolist() == [model.blend_.log_odds] * 300
    assert model.predict_proba(features)[:, 1] == pytest.approx(np.full(300, share))


def test_twenty_outcomes_fit_a_blend() -> None:
    features, label = labelled(300, FEWEST_OUTCOMES)
    model = BlendClassifier(categorical=[2]).fit(features, label)
    assert isinstance(model.blend_, Blend)
    assert model.decision_function(features)[label == 1].min() > np.log(20 / 280)


def test_repeated_moments_of_a_lead_are_one_outcome() -> None:
    features, label = labelled(300, FEWEST_OUTCOMES - 1)
    thrice, lead = np.repeat(features, 3, axis=0), np.repeat(np.arange(300), 3)
    model = BlendClassifier(categorical=[2]).fit(thrice, np.repeat(label, 3), lead=lead)
    assert isinstance(model.blend_, BaseRate)
    # ... and nine leads that were won are too few to weigh by, though their rows are 27.
    features, label = labelled(200, 30)
    label[170:] = 0
    label[170 : 170 + ENOUGH_TO_WEIGH - 1] = 1
    thrice, lead = np.repeat(features, 3, axis=0), np.repeat(np.arange(200), 3)
    model = BlendClassifier(categorical=[2]).fit(thrice, np.repeat(label, 3), lead=lead)
    assert "too few outcomes among the newest leads (9)" in model.settings_.why


def test_too_few_new_outcomes_keep_equal_weights() -> None:
    features, label = labelled(200, 30)
    newest = slice(170, 200)
    label[newest] = 0
    label[170 : 170 + ENOUGH_TO_WEIGH - 1] = 1
    model = BlendClassifier(categorical=[2]).fit(features, label)
    assert model.settings_.logistic_weight == model.blend_.logistic_weight == EVEN
    assert model.settings_.why == (
        "even, because there are too few outcomes among the newest leads (9) to choose the weight"
    )
    assert model.settings_.losses == ()
    assert model.settings_.rounds is None


def test_explanation_names_the_rows_and_losses() -> None:
    features, label = draw(1_000)
    settings = BlendClassifier(categorical=[2]).fit(features, label).settings_
    losses = dict(settings.losses)
    assert tuple(losses) == WEIGHTS
    numbers = re.fullmatch(
        r"chosen on the newest 150 training moments: log loss (\S+) for the logistic regression, "
        r"(\S+) for the trees, (\S+) for this blend",
        settings.why,
    ).groups()
    expected = (losses[1.0], losses[0.0], losses[settings.logistic_weight])
    assert numbers == tuple(f"{loss:.4f}" for loss in expected)


def drifting(n: int) -> Any:
    """A world whose newest leads lie where no older one did: lines hold there, trees do not."""
    generator = np.random.default_rng(2)
    number = np.r_[generator.normal(0, 1, n - n // 5), generator.normal(-6, 1, n // 5)]
    label = (generator.random(n) < expit(0.8 * number + 0.4)).astype(np.int8)
    label[-n // 5 :: 8] = 1
    return number[:, None], label


def bent(n: int) -> Any:
    """A world that no line can describe: what lies in the middle is won."""
    features = np.random.default_rng(3).normal(size=(n, 2))
    return features, (np.abs(features[:, 0]) < 0.7).astype(np.int8)


def test_weight_follows_the_better_part() -> None:
    chosen = BlendClassifier().fit(*bent(1_200)).settings_
    assert chosen.logistic_weight < EVEN
    generator = np.random.default_rng(2)
    features = generator.normal(size=(1_200, 12))
    label = (features.sum(axis=1) + generator.normal(size=1_200) > 0).astype(np.int8)
    assert BlendClassifier().fit(features, label).settings_.logistic_weight > EVEN


def test_drift_raises_the_logistic_weight() -> None:
    features, label = drifting(1_000)
    model = BlendClassifier().fit(features, label)
    losses = dict(model.settings_.losses)
    assert losses[1.0] < losses[0.0]
    assert model.settings_.logistic_weight >= EVEN


def test_given_settings_are_used_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(400)
    first = BlendClassifier(categorical=[2]).fit(features, label)
    for name in ("choose_logistic", "choose_weight", "find_rounds"):
        monkeypatch.setattr(estimators, name, None)
    again = BlendClassifier(categorical=[2], settings=first.settings_).fit(features, label)
    assert again.settings_ is first.settings_
    assert again.blend_ == first.blend_
    assert again.out_of_fold_.tobytes() == first.out_of_fold_.tobytes()


def test_seed_determines_the_blend() -> None:
    features, label = draw(400)
    one, same, other = (
        BlendClassifier(categorical=[2], seed=seed).fit(features, label) for seed in (3, 3, 4)
    )
    assert one.blend_ == same.blend_
    assert one.settings_ == same.settings_
    assert one.out_of_fold_.tobytes() == same.out_of_fold_.tobytes()
    assert one.blend_ != other.blend_


def test_rounds_come_from_the_newest_rows_if_they_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(600)
    assert BlendClassifier(categorical=[2]).fit(features, label).settings_.rounds is None
    monkeypatch.setattr(estimators, "ENOUGH_TO_STOP", ENOUGH_TO_WEIGH)
    model = BlendClassifier(categorical=[2]).fit(features, label)
    assert model.settings_.rounds >= 1
    trees = model.blend_.trees
    if trees is not None:
        assert trees.text.count("\nTree=") == 5 * model.settings_.rounds


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_noise_labels_are_not_predicted_out_of_fold(weight: float) -> None:
    # Rows of one lead share label and features: whoever saw one of them knows the others.
    generator = np.random.default_rng(1)
    lead = np.repeat(np.arange(120), 4)
    features = generator.normal(size=(120, 60))[lead]
    label = (generator.random(120) < 0.5).astype(np.int8)[lead]
    keen = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.3}
    result = BlendSettings(weight, 3.0, 4.0, 40, "set by hand", ())
    model = BlendClassifier(settings=result, tree_parameters=keen)
    model.fit(features, label, lead=lead)
    assert model.score(features, label) > 0.95
    assert 0.3 < ((model.out_of_fold_ > 0) == label).mean() < 0.7


def test_out_of_fold_loss_equals_loss_on_new_leads() -> None:
    features, label = draw(2_000)
    model = settled(0.5).fit(features, label)
    fresh, fresh_label = draw(4_000, seed=9)
    unseen = log_loss(label, expit(model.out_of_fold_))
    assert unseen == pytest.approx(log_loss(fresh_label, model.predict_proba(fresh)), abs=0.03)


def test_settings_are_chosen_on_the_given_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(400)
    older, newer = bent(1_000), bent(300)
    lead = [np.arange(1_000), np.arange(1_000, 1_300)]
    sides = tuple(
        Examples(X, y, np.ones(len(y)), who)
        for (X, y), who in zip((older, newer), lead, strict=True)
    )
    # They have columns of their own, and the blend is fitted to X none the less.
    model = BlendClassifier(categorical=[2]).fit(features, label, choosing=sides)
    assert "newest 300 training moments" in model.settings_.why
    assert model.settings_.logistic_weight < EVEN
    assert model.n_features_in_ == 3
    assert len(model.out_of_fold_) == 400


def test_newest_rows_contain_whole_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = np.sort(np.random.default_rng(0).integers(0, 100, 400))
    features, label = draw(400)
    seen = []
    choose = estimators.choose_weight

    def spy(linear: Any, grown: Any, label: Any, weight: Any, lead: Any) -> Any:
        seen.append(lead)
        return choose(linear, grown, label, weight, lead)

    monkeypatch.setattr(estimators, "choose_weight", spy)
    BlendClassifier(categorical=[2]).fit(features, label, lead=lead)
    (newest,) = seen
    assert set(newest) == set(np.unique(lead)[-15:])
    assert len(newest) == np.isin(lead, newest).sum()


def test_row_weights_reach_both_parts() -> None:
    features, label = draw(600)
    turned = np.where(np.arange(600) < 300, label, 1 - label).astype(np.int8)
    weight = np.where(np.arange(600) < 300, 1.0, 1e-9)
    for share in (0.0, 1.0):
        model = settled(share).fit(features, turned, sample_weight=weight)
        margin = model.decision_function(features)
        assert margin[label == 1].mean() > margin[label == 0].mean() + 0.1


def test_tree_parameters_reach_the_trees() -> None:
    features, label = draw(300)
    model = settled(0.0, tree_parameters={"num_leaves": 2}).fit(features, label)
    leaves = set(re.findall(r"num_leaves=(\d+)", model.blend_.trees.text))
    assert leaves == {"2"}


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_declared_direction_always_holds(weight: float) -> None:
    features, label = draw(500)
    keen = {"min_data_in_leaf": 3}
    model = settled(weight, rounds=30, directions=(-1, 1, 0), tree_parameters=keen)
    model.fit(features, label)  # the first column truly rises, the second is noise
    grid = np.linspace(-5, 5, 101)
    for row in draw(20, seed=4)[0]:
        for column, direction in ((0, -1), (1, 1)):
            scanned = np.tile(row, (len(grid), 1))
            scanned[:, column] = grid
            steps = np.diff(model.decision_function(scanned))
            assert (direction * steps >= -1e-12).all()


def test_progress_rises_to_one() -> None:
    features, label = draw(400)
    for model in (BlendClassifier(categorical=[2]), settled(0.5)):
        shares: list[float] = []
        model.fit(features, label, on_share=shares.append)
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.3
        assert shares[-1] == 1.0
