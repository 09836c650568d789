"""`BlendClassifier`: when it fits a blend, what decides its settings, and what it is fitted to."""

import re
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from crm.arrays import Floats, Ints, Labels
from features.moments import FEWEST_OUTCOMES
from models.estimator.blend import BaseRate, Blend
from models.fitting import blend as blend_module
from models.fitting import settings as settings_module
from models.fitting.blend import BlendClassifier
from models.fitting.blend_weight import EVEN, WEIGHTS, choose_weight
from models.fitting.examples import Examples
from models.fitting.logistic import LogisticSettings, fit_bending
from models.fitting.settings import ENOUGH_TO_WEIGH, BlendSettings, choose_settings
from tests.made_examples import draw

LOGISTIC = LogisticSettings(strength=1.0, step_strength=1.0, reach=4.0)


def with_settings(logistic_weight: float, rounds: int = 10, **options: Any) -> BlendClassifier:
    """Return a classifier with given settings, for the features of `draw`."""
    settings = BlendSettings(logistic_weight, LOGISTIC, rounds, "set by hand", ())
    return BlendClassifier(categorical=[2], settings=settings, **options)


def chosen_for(
    features: Floats, label: Labels, *, categorical: tuple[int, ...] = (2,), **options: Any
) -> BlendSettings:
    """Fit a blend whose settings are chosen on the newest rows, and return them."""
    model = BlendClassifier(categorical=categorical).fit(features, label, **options)
    assert isinstance(model.blend_, Blend)
    assert model.settings_ is not None
    assert model.settings_.logistic_weight == model.blend_.logistic_weight
    return model.settings_


# -- base rate or blend --------------------------------------------------------------------------


def labelled(n: int, wins: int) -> tuple[Floats, Labels]:
    """Draw features, and label the rows with the largest numbers as won."""
    features, _ = draw(n)
    label = np.zeros(n, dtype=np.int8)
    label[np.argsort(-features[:, 0])[:wins]] = 1
    return features, label


def with_new_wins(wins: int) -> tuple[Floats, Labels]:
    """Draw 200 leads; the newest 30 have this number of wins."""
    features, label = labelled(200, 30)
    label[170:] = 0
    label[170 : 170 + wins] = 1
    return features, label


def thrice(features: Floats, label: Labels) -> tuple[Floats, Labels, Ints]:
    """Repeat the row of each lead; return features, labels and leads."""
    lead = np.repeat(np.arange(len(label)), 3)
    return np.repeat(features, 3, axis=0), np.repeat(label, 3), lead


@pytest.mark.parametrize("are_losses_rare", [False, True], ids=["few wins", "few losses"])
def test_fewer_than_twenty_outcomes_fit_the_base_rate(are_losses_rare: bool) -> None:
    features, label = labelled(300, FEWEST_OUTCOMES - 1)
    label = 1 - label if are_losses_rare else label
    model = BlendClassifier(categorical=[2]).fit(features, label)
    share = (label.sum() + 0.5) / 301
    log_odds = float(logit(share))
    assert model.blend_ == BaseRate(log_odds)
    assert model.settings_ is None
    assert model.out_of_fold_.tolist() == [log_odds] * 300
    assert model.predict_proba(features)[:, 1] == pytest.approx(np.full(300, share))


def test_twenty_outcomes_fit_a_blend() -> None:
    features, label = labelled(300, FEWEST_OUTCOMES)
    model = BlendClassifier(categorical=[2]).fit(features, label)
    assert isinstance(model.blend_, Blend)
    assert model.decision_function(features)[label == 1].min() > np.log(20 / 280)


def test_repeated_moments_of_a_lead_are_one_outcome() -> None:
    features, label, lead = thrice(*labelled(300, FEWEST_OUTCOMES - 1))
    model = BlendClassifier(categorical=[2]).fit(features, label, lead=lead)
    assert isinstance(model.blend_, BaseRate)


# -- the choice of settings ----------------------------------------------------------------------


def test_too_few_new_outcomes_keep_equal_weights() -> None:
    settings = chosen_for(*with_new_wins(ENOUGH_TO_WEIGH - 1))
    assert settings.logistic_weight == EVEN
    assert settings.why == (
        "even, because there are too few outcomes among the newest leads (9) to choose the weight"
    )
    assert settings.losses == ()
    assert settings.rounds is None


def test_ten_new_outcomes_decide_the_weight() -> None:
    settings = chosen_for(*with_new_wins(ENOUGH_TO_WEIGH))
    assert settings.why.startswith("chosen on the newest 30 training moments")


def test_repeated_moments_of_new_leads_are_one_outcome() -> None:
    features, label, lead = thrice(*with_new_wins(ENOUGH_TO_WEIGH - 1))
    settings = chosen_for(features, label, lead=lead)
    assert "too few outcomes among the newest leads (9)" in settings.why


def test_explanation_names_the_rows_and_losses() -> None:
    settings = chosen_for(*draw(1_000))
    losses = dict(settings.losses)
    assert tuple(losses) == WEIGHTS
    match = re.fullmatch(
        r"chosen on the newest 150 training moments, where the log loss is (\S+) for the logistic "
        r"regression, (\S+) for the trees and (\S+) for this blend. The weight is the mean of all "
        r"weights from 0 to 1, and each counts as much as it makes these outcomes likely. So it is "
        r"near 0.5 if the outcomes are few or do not tell the two parts apart",
        settings.why,
    )
    assert match is not None
    expected = (losses[1.0], losses[0.0], losses[settings.logistic_weight])
    assert match.groups() == tuple(f"{loss:.4f}" for loss in expected)


def draw_drifting(n: int) -> tuple[Floats, Labels]:
    """Draw leads; the newest are far from all older ones, and only a line extrapolates."""
    generator = np.random.default_rng(2)
    number = np.r_[generator.normal(0, 1, n - n // 5), generator.normal(-6, 1, n // 5)]
    label = (generator.random(n) < expit(0.8 * number + 0.4)).astype(np.int8)
    label[-n // 5 :: 8] = 1
    return number[:, None], label


def draw_not_linear(n: int) -> tuple[Floats, Labels]:
    """Draw leads that are won if the first number is near 0: no line describes this."""
    features = np.random.default_rng(3).normal(size=(n, 2))
    return features, (np.abs(features[:, 0]) < 0.7).astype(np.int8)


def draw_linear(n: int) -> tuple[Floats, Labels]:
    """Draw leads that are won if the sum of all numbers is large."""
    generator = np.random.default_rng(2)
    features = generator.normal(size=(n, 12))
    label = (features.sum(axis=1) + generator.normal(size=n) > 0).astype(np.int8)
    return features, label


def test_trees_get_more_weight_if_no_line_describes_the_data() -> None:
    settings = chosen_for(*draw_not_linear(1_200), categorical=())
    assert settings.logistic_weight < EVEN


def test_logistic_regression_gets_more_weight_if_a_line_describes_the_data() -> None:
    settings = chosen_for(*draw_linear(1_200), categorical=())
    assert settings.logistic_weight > EVEN


def test_drift_raises_the_logistic_weight() -> None:
    settings = chosen_for(*draw_drifting(1_000), categorical=())
    losses = dict(settings.losses)
    assert losses[1.0] < losses[0.0]
    assert settings.logistic_weight > EVEN


def test_given_settings_are_used_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(400)
    first = BlendClassifier(categorical=[2]).fit(features, label)
    for name in ("choose_logistic", "choose_weight", "find_rounds"):
        monkeypatch.setattr(settings_module, name, None)
    second = BlendClassifier(categorical=[2], settings=first.settings_).fit(features, label)
    assert second.settings_ is first.settings_
    assert second.blend_ == first.blend_
    assert second.out_of_fold_.tobytes() == first.out_of_fold_.tobytes()


def test_same_seed_gives_the_same_blend() -> None:
    features, label = draw(400)
    first, second, other_seed = (
        BlendClassifier(categorical=[2], seed=seed).fit(features, label) for seed in (3, 3, 4)
    )
    assert first.blend_ == second.blend_
    assert first.settings_ == second.settings_
    assert first.out_of_fold_.tobytes() == second.out_of_fold_.tobytes()
    assert first.blend_ != other_seed.blend_


def test_rounds_are_not_chosen_on_few_new_outcomes() -> None:
    assert chosen_for(*draw(600)).rounds is None


def test_rounds_are_chosen_on_enough_new_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "ENOUGH_TO_STOP", ENOUGH_TO_WEIGH)
    model = BlendClassifier(categorical=[2]).fit(*draw(600))
    assert model.settings_ is not None
    assert model.settings_.rounds is not None
    assert model.settings_.rounds >= 1
    assert isinstance(model.blend_, Blend)
    if model.blend_.trees is not None:
        assert model.blend_.trees.text.count("\nTree=") == 5 * model.settings_.rounds
    assert chosen_for(*with_new_wins(ENOUGH_TO_WEIGH)).rounds is not None


def test_settings_are_chosen_on_the_given_rows() -> None:
    # The given rows have other columns than those that the blend is fitted to.
    (old_features, old_label), (new_features, new_label) = (
        draw_not_linear(1_000),
        draw_not_linear(300),
    )
    older = Examples(old_features, old_label, np.ones(1_000), np.arange(1_000))
    newer = Examples(new_features, new_label, np.ones(300), np.arange(1_000, 1_300))
    choice = choose_settings(older, newer, seed=0)
    model = BlendClassifier(categorical=[2]).fit(*draw(400), choice=choice)
    assert model.settings_ is not None
    assert "newest 300 training moments" in model.settings_.why
    assert model.settings_.logistic_weight < EVEN
    assert model.n_features_in_ == 3
    assert len(model.out_of_fold_) == 400


def test_choice_of_the_weight_fits_lines_to_a_sample_of_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, label = draw(600)
    sizes = []

    def record_rows(features: Floats, *arguments: Any, **named: Any) -> Any:
        sizes.append(len(features))
        return fit_bending(features, *arguments, **named)

    for module in (settings_module, blend_module):
        monkeypatch.setattr(module, "fit_bending", record_rows)
        monkeypatch.setattr(module, "MOST_LINEAR_ROWS", 300)
    chosen_for(features, label)
    assert sizes == [300, 300]  # to choose the weight, and for the blend


def test_newest_rows_contain_whole_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = np.sort(np.random.default_rng(0).integers(0, 100, 400))
    leads_of_newest_rows = []

    def record_leads(
        linear: Floats, grown: Floats, label: Labels, weight: Floats, lead: Ints
    ) -> tuple[float, tuple[tuple[float, float], ...]]:
        leads_of_newest_rows.append(lead)
        return choose_weight(linear, grown, label, weight, lead)

    monkeypatch.setattr(settings_module, "choose_weight", record_leads)
    BlendClassifier(categorical=[2]).fit(*draw(400), lead=lead)
    (newest,) = leads_of_newest_rows
    assert set(newest) == set(np.unique(lead)[-15:])
    assert len(newest) == np.isin(lead, newest).sum()


# -- the fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_noise_labels_are_not_predicted_out_of_fold(weight: float) -> None:
    # The rows of a lead have equal features and labels, so a model that saw one knows all.
    generator = np.random.default_rng(1)
    lead = np.repeat(np.arange(120), 4)
    features = generator.normal(size=(120, 60))[lead]
    label = (generator.random(120) < 0.5).astype(np.int8)[lead]
    logistic = LogisticSettings(strength=3.0, step_strength=1.0, reach=4.0)
    settings = BlendSettings(weight, logistic, 40, "set by hand", ())
    overfitting = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.3}
    model = BlendClassifier(settings=settings, tree_parameters=overfitting)
    model.fit(features, label, lead=lead)
    assert model.score(features, label) > 0.95
    assert 0.3 < ((model.out_of_fold_ > 0) == label).mean() < 0.7


def test_out_of_fold_loss_equals_loss_on_new_leads() -> None:
    features, label = draw(2_000)
    model = with_settings(0.5).fit(features, label)
    out_of_fold_loss = log_loss(label, expit(model.out_of_fold_))
    new_features, new_label = draw(4_000, seed=9)
    new_loss = log_loss(new_label, model.predict_proba(new_features))
    assert out_of_fold_loss == pytest.approx(new_loss, abs=0.03)


@pytest.mark.parametrize("logistic_weight", [0.0, 1.0])
def test_row_weights_reach_both_parts(logistic_weight: float) -> None:
    features, label = draw(600)
    is_first_half = np.arange(600) < 300
    half_reversed = np.where(is_first_half, label, 1 - label).astype(np.int8)
    weight = np.where(is_first_half, 1.0, 1e-9)
    model = with_settings(logistic_weight).fit(features, half_reversed, sample_weight=weight)
    log_odds = model.decision_function(features)
    assert log_odds[label == 1].mean() > log_odds[label == 0].mean() + 0.1


def test_tree_parameters_reach_the_trees() -> None:
    model = with_settings(0.0, tree_parameters={"num_leaves": 2}).fit(*draw(300))
    assert isinstance(model.blend_, Blend)
    assert model.blend_.trees is not None
    assert set(re.findall(r"num_leaves=(\d+)", model.blend_.trees.text)) == {"2"}


@pytest.mark.parametrize(("column", "direction"), [(0, -1), (1, 1)])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_declared_direction_always_holds(weight: float, column: int, direction: int) -> None:
    # In truth the first number raises the chance, and the second has no effect.
    small_leaves = {"min_data_in_leaf": 3}
    model = with_settings(
        weight, rounds=30, directions=(-1, 1, 0), tree_parameters=small_leaves
    ).fit(*draw(500))
    grid = np.linspace(-5, 5, 101)
    rows, _ = draw(20, seed=4)
    for row in rows:
        features = np.tile(row, (len(grid), 1))
        features[:, column] = grid
        steps = np.diff(model.decision_function(features))
        assert (direction * steps >= -1e-12).all()


@pytest.mark.parametrize(
    "model", [BlendClassifier(categorical=[2]), with_settings(0.5)], ids=["search", "no search"]
)
def test_progress_rises_to_one(model: BlendClassifier) -> None:
    shares: list[float] = []
    model.fit(*draw(400), on_share=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.3
    assert shares[-1] == 1.0


# -- what the choice of settings leaves -----------------------------------------------------------


def test_newer_log_odds_have_the_loss_of_the_chosen_weight() -> None:
    features, label = draw(1_000)
    model = BlendClassifier(categorical=[2]).fit(features, label)
    assert model.settings_ is not None
    assert model.newer_log_odds_ is not None
    assert len(model.newer_log_odds_) == 150
    chosen = dict(model.settings_.losses)[model.settings_.logistic_weight]
    assert log_loss(label[-150:], expit(model.newer_log_odds_)) == pytest.approx(chosen)
    # They are those of the fit to the older leads, and not of the final fit.
    assert np.abs(model.newer_log_odds_ - model.decision_function(features[-150:])).max() > 0.01


def test_newer_log_odds_need_newer_rows() -> None:
    given = with_settings(0.5).fit(*draw(300))
    assert given.newer_log_odds_ is None
    few = BlendClassifier(categorical=[2]).fit(*with_new_wins(ENOUGH_TO_WEIGH - 1))
    assert few.newer_log_odds_ is None


def test_columns_for_trees_are_used_by_the_trees_alone() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(800, 2))
    label = (features[:, 1] + 0.3 * generator.normal(size=800) > 0).astype(np.int8)
    blends = {}
    for weight in (0.0, 1.0):
        settings = BlendSettings(weight, LOGISTIC, 20, "set by hand", ())
        model = BlendClassifier(settings=settings, trees_only=[1]).fit(features, label)
        blends[weight] = np.abs(model.blend_.contributions(features)[:, 1]).mean()
    assert blends[0.0] > 0.5
    assert blends[1.0] == 0.0


def test_columns_for_trees_are_not_used_to_choose_the_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(1_500, 2))
    label = (features[:, 1] + 0.3 * generator.normal(size=1_500) > 0).astype(np.int8)
    of_all, of_trees = (
        BlendClassifier(trees_only=trees_only).fit(features, label).settings_
        for trees_only in ([], [1])
    )
    assert of_all is not None
    assert of_trees is not None
    assert of_all.logistic.strength > of_trees.logistic.strength  # the other column is noise
    assert dict(of_trees.losses)[1.0] > 0.68  # an even chance has 0.693
    assert of_trees.logistic_weight < 0.25
