"""The logistic regression: its terms, what it learns, its directions, and its settings."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from crm.arrays import Floats, Ints, Labels
from features.fitting import folds
from models.estimator import logistic as estimator_module
from models.estimator.logistic import DRIFT, LARGEST, Logistic, LogisticTerms
from models.estimator.steps import Steps
from models.evaluation.metrics import log_losses
from models.fitting import logistic as logistic_module
from models.fitting.logistic import (
    FEW_OUTCOMES,
    REACHES,
    STEP_STRENGTHS,
    STRENGTHS,
    LogisticSettings,
    choose_logistic,
    fit_bending,
    fit_logistic,
)
from tests.made_examples import draw

UNSEEN = 1.0  # a code that `draw` does not draw


def learn(n: int, **settings: Any) -> Logistic:
    features, label = draw(n)
    return fit_logistic(features, label, np.ones(n), [2], **settings)


def rows(*cells: Any) -> Floats:
    return np.array(cells, dtype=np.float64)


# -- terms ---------------------------------------------------------------------------------


def test_terms_made_by_hand() -> None:
    features = rows([1, 2], [3, 5], [np.nan, 2])
    terms = LogisticTerms.fit(features, [1], 20.0)
    # With the gap filled by the median 2, the numbers are 1, 3, 2. Their mean is 2, their
    # standard deviation √(2/3).
    step = 1 / np.sqrt(2 / 3)
    assert terms.design(features) == pytest.approx(
        rows([-step, 0, 1, 0], [step, 0, 0, 1], [0, 1, 1, 0])
    )
    assert terms.n_terms == 4
    assert terms.codes == ((2.0, 5.0),)


def test_numbers_are_clipped_at_the_reach() -> None:
    features = rows([-1.0], [1.0])  # mean 0, standard deviation 1
    terms = LogisticTerms.fit(features, [], 4.0)
    numbers, is_missing = terms.numbers(rows([3.9], [4.1], [-4.1], [1e308], [-1e308], [np.nan]))
    assert numbers[:, 0].tolist() == [3.9, 4.0, -4.0, 4.0, -4.0, 0.0]
    assert is_missing[:, 0].tolist() == [False] * 5 + [True]


def test_growing_columns_are_clipped_to_the_training_range() -> None:
    features = rows([1, 1, 7], [3, 3, 7], [np.nan, np.nan, 7], [2, 2, 7])
    terms = LogisticTerms.fit(features, [2], 20.0, growing=[1, 2])
    assert terms.low[1] == 1
    assert terms.high[1] == 3
    outside, _ = terms.numbers(rows([1e9, 1e9, 0], [-1e9, -1e9, 0]))
    at_ends, _ = terms.numbers(rows([3, 3, 0], [1, 1, 0]))
    inside, _ = terms.numbers(rows([0, 1.5, 0], [0, 2.5, 0]))
    assert outside[:, 0] == pytest.approx([6.0, -6.0])  # not growing: it may drift
    assert outside[:, 1].tolist() == at_ends[:, 1].tolist()
    assert at_ends[1, 1] < inside[0, 1] < inside[1, 1] < at_ends[0, 1]


def test_long_tail_is_clipped_to_the_training_range() -> None:
    features = np.append(np.zeros(99), 50.0)[:, None]  # 50 is ten standard deviations away
    terms = LogisticTerms.fit(features, [], 20.0)
    largest, beyond, smallest, below = terms.numbers(rows([50], [1e6], [0], [-19]))[0][:, 0]
    assert beyond == largest > 9
    assert -6 < below < smallest  # the other end is near the mean
    assert terms.numbers(rows([-1e6]))[0].item() == pytest.approx(-6)


def test_empty_growing_column_has_no_effect() -> None:
    features = rows([np.nan, 0], [np.nan, 1], [np.nan, 0], [np.nan, 1])
    label = np.array([0, 1, 1, 0], dtype=np.int8)
    model = fit_logistic(features, label, np.ones(4), [], growing=[0])
    model.check(2)
    assert np.isfinite(model.log_odds_of(rows([np.nan, 0], [1e6, 0]))).all()


def test_constant_and_empty_columns_have_no_effect() -> None:
    terms = LogisticTerms.fit(rows([7, np.nan], [7, np.nan]), [], 4.0)
    assert terms.design(rows([7, np.nan])).tolist() == [[0, 0, 0, 1]]
    assert np.isfinite(terms.design(rows([9, 3]))).all()


# -- what it learns ------------------------------------------------------------------------


def test_fit_recovers_known_effects() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(20_000, 2))
    truth = 0.9 * features[:, 0] - 0.4 * features[:, 1] - 1.0
    label = (generator.random(20_000) < expit(truth)).astype(np.int8)
    margin = fit_logistic(features, label, np.ones(20_000), []).log_odds_of(features)
    assert np.abs(margin - truth).mean() < 0.06


def test_fit_equals_scikit_learn_on_the_terms() -> None:
    features, label = draw(300)
    weight = np.random.default_rng(3).uniform(0.2, 2, 300)
    model = fit_logistic(features, label, weight, [2], settings=LogisticSettings(0.3, reach=4.0))
    design = model.terms.design(features)
    expected = LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-10)
    expected.fit(design, label, weight)
    assert model.coefficients == pytest.approx(expected.coef_[0])
    assert model.intercept == pytest.approx(expected.intercept_[0])
    assert model.log_odds_of(features) == pytest.approx(
        model.intercept + design @ np.array(model.coefficients), abs=1e-9
    )


@pytest.mark.parametrize(
    ("columns", "categorical"),
    [([0, 1, 2], [2]), ([0, 1], []), ([2], [0]), ([0], []), ([1], []), ([2, 0], [0])],
    ids=["all", "no category", "category only", "number only", "gaps only", "category first"],
)
def test_fit_accepts_any_mix_of_columns(columns: list[int], categorical: list[int]) -> None:
    features, label = draw(200)
    features = features[:, columns]
    model = fit_logistic(features, label, np.ones(200), categorical)
    margin = model.log_odds_of(features)
    assert np.isfinite(margin).all()
    assert model.constant + model.contributions(features).sum(axis=1) == pytest.approx(margin)
    model.check(len(columns))


def test_margin_accepts_unseen_values() -> None:
    features, label = draw(200)
    features[:, 1] = np.nan
    model = fit_logistic(features, label, np.ones(200), [2])
    unseen = rows([np.nan, np.nan, 0], [0, 7, UNSEEN], [1e308, 0, 250], [-1e308, np.nan, 2])
    assert np.isfinite(model.log_odds_of(unseen)).all()


def test_all_unseen_codes_have_the_same_margin() -> None:
    first, second = learn(200).log_odds_of(rows([0, np.nan, UNSEEN], [0, np.nan, 99]))
    assert first == second


def test_fit_accepts_extreme_numbers() -> None:
    features, label = draw(200)
    features[3, 0], features[4, 0] = 1e308, -1e308
    model = fit_logistic(features, label, np.ones(200), [2])
    assert np.isfinite(model.log_odds_of(features)).all()
    assert max(map(abs, model.terms.scale)) < LARGEST
    model.check(3)


@pytest.mark.parametrize("reach", REACHES)
def test_extreme_number_has_the_margin_of_the_reach(reach: float) -> None:
    model = learn(400, settings=LogisticSettings(reach=reach))
    mean, scale = model.terms.mean[0], model.terms.scale[0]
    edge = mean + min(reach, DRIFT) * scale  # the training range is narrower
    inside, at_edge, extreme = model.log_odds_of(
        rows([edge - scale, 0, 2], [edge, 0, 2], [1e300, 0, 2])
    )
    assert extreme == pytest.approx(at_edge, abs=1e-12)
    assert inside != at_edge


def test_stronger_penalty_gives_smaller_coefficients() -> None:
    sizes = [
        np.square(learn(300, settings=LogisticSettings(strength)).coefficients).sum()
        for strength in STRENGTHS
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.5 * sizes[-1]


# -- contributions ---------------------------------------------------------------------------


def made_by_hand(steps: Steps | None = None) -> Logistic:
    """Return a model of a number in column 1 and a category with the codes 2 and 5 in column 0."""
    terms = LogisticTerms(
        numeric=(1,),
        categorical=(0,),
        low=(-5.0,),
        high=(50.0,),
        median=(3.0,),
        mean=(1.0,),
        scale=(2.0,),
        reach=4.0,
        codes=((2.0, 5.0),),
    )
    # The terms are the number, its gap, code 2 and code 5.
    coefficients, centre = (0.5, -1.0, 0.2, -0.6), (0.1, 0.25, 0.75, 0.25)
    return Logistic(terms, coefficients, centre, -2.0, steps)


STEPS = Steps(cuts=((0.0, 2.5),), levels=((-0.3, 0.1, 0.7),), average=(0.2,))


def test_contributions_made_by_hand() -> None:
    model = made_by_hand()
    assert model.constant == pytest.approx(-2.0 + 0.05 - 0.25 + 0.15 - 0.15)
    contributions = model.contributions(rows([2, 5], [5, np.nan], [9, 101]))
    number = [0.5 * (2 - 0.1) + 0.25, 0.5 * (1 - 0.1) - 0.75, 0.5 * (4 - 0.1) + 0.25]
    category = [0.2, -0.6, 0.0]  # minus the average category: 0.75 · 0.2 - 0.25 · 0.6 = 0
    assert contributions == pytest.approx(np.column_stack([category, number]))
    assert model.log_odds_of(rows([2, 5])) == pytest.approx([-2.0 + 0.5 * 2 + 0.2])


def test_steps_add_to_the_line_of_their_number() -> None:
    plain, stepped = made_by_hand(), made_by_hand(STEPS)
    features = rows([2, 5], [5, np.nan], [9, 101], [2, -9])  # standardised: 2, 1, 4 and -3
    added = np.array([0.1, 0.1, 0.7, -0.3]) - 0.2
    assert stepped.constant == pytest.approx(plain.constant + 0.2)
    assert stepped.contributions(features) == pytest.approx(
        plain.contributions(features) + np.column_stack([np.zeros(4), added])
    )
    assert stepped.log_odds_of(features) == pytest.approx(plain.log_odds_of(features) + added + 0.2)


def test_contributions_add_up_and_average_to_zero() -> None:
    features, label = draw(700)
    weight = np.random.default_rng(2).uniform(0.1, 3, 700)
    model = fit_logistic(features, label, weight, [2])
    contributions = model.contributions(features)
    margin = model.terms.design(features) @ np.array(model.coefficients) + model.intercept
    assert model.constant + contributions.sum(axis=1) == pytest.approx(margin, abs=1e-12)
    assert np.average(contributions, axis=0, weights=weight) == pytest.approx(
        np.zeros(3), abs=1e-12
    )


@pytest.mark.parametrize("method", ["log_odds_of", "contributions"])
def test_one_row_equals_the_same_row_in_a_batch(method: str) -> None:
    compute = getattr(learn(300), method)
    features, _ = draw(1_000, seed=8)
    features[::7, 2] = UNSEEN
    together = compute(features)
    alone = np.concatenate([compute(row[None, :]) for row in features])
    assert together.tobytes() == alone.tobytes()
    assert compute(np.asfortranarray(features)).tobytes() == together.tobytes()


def test_no_rows_get_no_margins() -> None:
    model = learn(60)
    assert model.log_odds_of(np.empty((0, 3))).shape == (0,)
    assert model.contributions(np.empty((0, 3))).shape == (0, 3)


# -- directions ------------------------------------------------------------------------------


def draw_correlated(n: int, seed: int) -> tuple[Floats, Labels]:
    """Draw correlated numbers, so that a fit without directions gives some the wrong sign."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=(n, 1))
    features = common + 0.4 * generator.normal(size=(n, 4))
    features[generator.random((n, 4)) < 0.1] = np.nan
    label = (generator.random(n) < expit(generator.normal() * common[:, 0])).astype(np.int8)
    label[:2] = (0, 1)
    return features, label


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    directions=st.tuples(*[st.sampled_from([-1, 0, 1]) for _ in "abcd"]),
)
def test_declared_direction_always_holds(seed: int, directions: tuple[int, ...]) -> None:
    features, label = draw_correlated(60, seed)
    model = fit_logistic(features, label, np.ones(60), [], directions=directions)
    grid = np.r_[-1e300, np.linspace(-30, 30, 61), 1e300]
    for column, direction in enumerate(directions):
        scanned = np.zeros((len(grid), 4))
        scanned[:, column] = grid
        steps = np.diff(model.log_odds_of(scanned))
        assert (direction * steps >= 0).all()


def test_number_against_its_direction_gets_the_slope_zero() -> None:
    without_directions = learn(2_000)
    assert without_directions.coefficients[0] > 0.5
    model = learn(2_000, directions=(-1, 0, 0))
    assert model.coefficients[0] == 0
    assert model.coefficients[4:] != without_directions.coefficients[4:]  # fitted again


@pytest.mark.parametrize("directions", [(1, 0, 0), (0, 0, 0)])
def test_direction_that_the_fit_already_has_changes_nothing(directions: tuple[int, ...]) -> None:
    assert learn(2_000, directions=directions) == learn(2_000)


def test_directions_refer_to_columns() -> None:
    generator = np.random.default_rng(0)
    code = generator.integers(2, 5, 500).astype(np.float64)
    number = generator.normal(size=500)
    label = (generator.random(500) < expit(-number)).astype(np.int8)
    features = np.column_stack([code, number])
    rising = fit_logistic(features, label, np.ones(500), [0], directions=(0, 1))
    assert rising.coefficients[0] == 0
    falling = fit_logistic(features, label, np.ones(500), [0], directions=(0, -1))
    assert falling.coefficients[0] < -0.5


# -- altered state ---------------------------------------------------------------------------


def test_check_accepts_a_fitted_model() -> None:
    learn(100).check(3)
    made_by_hand().check(2)
    made_by_hand(STEPS).check(2)


def with_terms(model: Logistic, **terms: Any) -> Logistic:
    return replace(model, terms=replace(model.terms, **terms))


def with_steps(model: Logistic, **steps: Any) -> Logistic:
    return replace(model, steps=replace(STEPS, **steps))


ALTERED: dict[str, Callable[[Logistic], Logistic]] = {
    "too few coefficients": lambda m: replace(m, coefficients=m.coefficients[:-1]),
    "too many centres": lambda m: replace(m, centre=(*m.centre, 0.0)),
    "a missing coefficient": lambda m: replace(m, coefficients=(np.nan, *m.coefficients[1:])),
    "an infinite intercept": lambda m: replace(m, intercept=np.inf),
    "an infinite centre": lambda m: replace(m, centre=(-np.inf, *m.centre[1:])),
    "no scale": lambda m: with_terms(m, scale=()),
    "a scale of zero": lambda m: with_terms(m, scale=(0.0,)),
    "a negative scale": lambda m: with_terms(m, scale=(-1.0,)),
    "a missing median": lambda m: with_terms(m, median=(np.nan,)),
    "too many means": lambda m: with_terms(m, mean=(1.0, 1.0)),
    "a low end above the high end": lambda m: with_terms(m, low=(60.0,)),
    "no low end": lambda m: with_terms(m, low=()),
    "an infinite high end": lambda m: with_terms(m, high=(np.inf,)),
    "a reach of zero": lambda m: with_terms(m, reach=0.0),
    "an infinite reach": lambda m: with_terms(m, reach=np.inf),
    "a column that does not exist": lambda m: with_terms(m, numeric=(2,)),
    "a negative column": lambda m: with_terms(m, numeric=(-1,)),
    "a column twice": lambda m: with_terms(m, numeric=(0,)),
    "no codes": lambda m: with_terms(m, codes=((),)),
    "codes without a column": lambda m: with_terms(m, codes=((2.0, 5.0), (1.0,))),
    "codes out of order": lambda m: with_terms(m, codes=((5.0, 2.0),)),
    "a code twice": lambda m: with_terms(m, codes=((2.0, 2.0),)),
    "a missing code": lambda m: with_terms(m, codes=((2.0, np.nan),)),
    "steps of no number": lambda m: replace(m, steps=Steps((), (), ())),
    "steps of two numbers": lambda m: replace(
        m, steps=Steps(2 * STEPS.cuts, 2 * STEPS.levels, 2 * STEPS.average)
    ),
    "a missing cut": lambda m: with_steps(m, cuts=((np.nan, 2.5),)),
    "an infinite cut": lambda m: with_steps(m, cuts=((0.0, np.inf),)),
    "cuts out of order": lambda m: with_steps(m, cuts=((2.5, 0.0),)),
    "a cut twice": lambda m: with_steps(m, cuts=((2.5, 2.5),)),
    "no cuts": lambda m: with_steps(m, cuts=((),)),
    "a missing level": lambda m: with_steps(m, levels=((-0.3, np.nan, 0.7),)),
    "an infinite level": lambda m: with_steps(m, levels=((-np.inf, 0.1, 0.7),)),
    "too few levels": lambda m: with_steps(m, levels=((-0.3, 0.1),)),
    "too many levels": lambda m: with_steps(m, levels=((-0.3, 0.1, 0.7, 0.9),)),
    "a missing average level": lambda m: with_steps(m, average=(np.nan,)),
    "no average level": lambda m: with_steps(m, average=()),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_check_refuses_altered_state(alter: Callable[[Logistic], Logistic]) -> None:
    with pytest.raises(ValueError, match="the logistic regression's numbers do not fit together"):
        alter(made_by_hand(STEPS)).check(2)


@pytest.mark.parametrize("n_features", [1, 3])
def test_check_refuses_another_number_of_columns(n_features: int) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        made_by_hand().check(n_features)


# -- choice of settings ----------------------------------------------------------------------


def test_choice_is_reproducible_and_from_the_grid() -> None:
    features, label = draw(2_000)
    older = (features, label, np.ones(2_000), np.arange(2_000))
    settings = choose_logistic(older, None, [2], 0)
    assert settings in {
        LogisticSettings(strength, step_strength, reach, DRIFT)
        for strength in STRENGTHS
        for step_strength in STEP_STRENGTHS
        for reach in REACHES
    }
    assert choose_logistic(older, None, [2], 0) == settings


def with_wins(wins: int, rows_per_lead: int = 1) -> tuple[Floats, Labels, Floats, Ints]:
    """Return rows of 900 leads, of which this number are won."""
    features, _ = draw(900)
    label = np.zeros(900, dtype=np.int8)
    label[np.argsort(-features[:, 0])[:wins]] = 1
    lead = np.repeat(np.arange(900), rows_per_lead)
    return features[lead], label[lead], np.ones(len(lead)), lead


@pytest.mark.parametrize("are_losses_rare", [False, True], ids=["few wins", "few losses"])
def test_few_outcomes_choose_lines_within_the_training_range(are_losses_rare: bool) -> None:
    features, label, weight, lead = with_wins(FEW_OUTCOMES - 1)
    label = 1 - label if are_losses_rare else label
    settings = choose_logistic((features, label, weight, lead), None, [2], 0)
    assert settings.strength in STRENGTHS
    assert replace(settings, strength=1.0) == LogisticSettings(1.0, None, 4.0, 0.0)
    model = fit_bending(features, label, weight, [2], settings=settings)
    assert model.steps is None
    lowest, highest = features[:, 0].min(), features[:, 0].max()
    at_ends, outside = (
        model.log_odds_of(rows([low, 0, 2], [high, 0, 2]))
        for low, high in ((lowest, highest), (lowest - 1, highest + 1))
    )
    assert at_ends.tolist() == outside.tolist()


def test_enough_outcomes_choose_steps_and_drift() -> None:
    settings = choose_logistic(with_wins(FEW_OUTCOMES), None, [2], 0)
    assert settings.step_strength in STEP_STRENGTHS
    assert settings.drift == DRIFT


def test_outcomes_are_counted_in_leads_to_choose_steps() -> None:
    settings = choose_logistic(with_wins(FEW_OUTCOMES - 1, rows_per_lead=2), None, [2], 0)
    assert settings.step_strength is None


def test_numbers_within_the_drift_are_not_clipped() -> None:
    features = rows([-1.0], [1.0])  # mean 0, standard deviation 1
    numbers = rows([-9], [-2.5], [-1], [0.5], [2.5], [9])
    for drift, ends in ((0.0, 1.0), (2.0, 2.0), (DRIFT, 6.0)):
        terms = LogisticTerms.fit(features, [], 20.0, drift=drift)
        assert terms.numbers(numbers)[0] == pytest.approx(np.clip(numbers, -ends, ends))


def test_steps_are_penalised_more_for_noise_than_for_signal() -> None:
    generator = np.random.default_rng(4)
    features = generator.normal(size=(1_500, 10))
    bent = (np.abs(features[:, 0]) < 0.7).astype(np.int8)
    noise = generator.permutation(bent)
    of_noise, of_signal = (
        choose_logistic((features, label, np.ones(1_500), np.arange(1_500)), None, [], 0)
        for label in (noise, bent)
    )
    assert of_noise.step_strength == STEP_STRENGTHS[0]
    assert of_signal.step_strength == STEP_STRENGTHS[-1]


def test_settings_follow_the_newer_rows() -> None:
    # Among the older rows the number has no limit; the newer ones are beyond it, and lost.
    generator = np.random.default_rng(0)
    number = generator.normal(size=2_000)
    label = (generator.random(2_000) < expit(2 * number)).astype(np.int8)
    older = (number[:, None], label, np.ones(2_000), np.arange(2_000))
    far = np.r_[np.full(300, 15.0), generator.normal(size=100)]
    lost = np.r_[np.arange(300) % 2, far[300:] > 0].astype(np.int8)
    newer = (far[:, None], lost, np.ones(400), np.arange(2_000, 2_400))
    chosen = choose_logistic(older, newer, [], 0)
    assert chosen.reach == REACHES[0]
    assert chosen.strength < choose_logistic(older, None, [], 0).strength


def test_noise_gets_a_stronger_penalty_than_signal() -> None:
    generator = np.random.default_rng(4)
    features = generator.normal(size=(200, 30))
    noise = (generator.random(200) < 0.5).astype(np.int8)
    signal = (features[:, 0] + features[:, 1] > 0).astype(np.int8)
    strength_of_noise, strength_of_signal = (
        choose_logistic((features, label, np.ones(200), np.arange(200)), None, [], 0).strength
        for label in (noise, signal)
    )
    assert strength_of_noise < strength_of_signal


def test_choice_uses_a_sample_of_leads_if_there_are_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, label = draw(400)
    two_rows_per_lead = np.arange(400) // 2
    samples: list[Ints] = []

    def record_leads(label: Labels, lead: Ints, seed: int, n_folds: int) -> Ints:
        samples.append(lead)
        return folds(label, lead, seed, n_folds)

    monkeypatch.setattr(logistic_module, "folds", record_leads)
    monkeypatch.setattr(logistic_module, "MANY_ROWS", 100)
    choose_logistic((features, label, np.ones(400), two_rows_per_lead), None, [2], 0)
    (sample,) = samples
    leads, rows_of_leads = np.unique(sample, return_counts=True)
    assert len(leads) == 50  # a quarter
    assert rows_of_leads.tolist() == [2] * 50


def test_choice_uses_a_sample_of_many_newer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(400)
    older = features[:80], label[:80], np.ones(80), np.arange(80)
    newer = features[80:], label[80:], np.ones(320), np.arange(80, 400)
    sizes: list[int] = []

    def record_rows(log_odds: Floats, label: Labels) -> Floats:
        sizes.append(len(label))
        return log_losses(log_odds, label)

    monkeypatch.setattr(logistic_module, "log_losses", record_rows)
    monkeypatch.setattr(logistic_module, "MANY_ROWS", 100)
    choose_logistic(older, newer, [2], 0)
    assert set(sizes) == {16, 100}  # a fold of the older rows, and a sample of the newer ones


def test_log_odds_of_many_rows_equal_those_of_each_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (features, _) = learn(200), draw(70)
    together = model.explained(features)[0]
    monkeypatch.setattr(estimator_module, "BLOCK_ROWS", 32)
    assert model.log_odds_of(features).tolist() == together.tolist()


def test_fit_needs_no_further_copies_of_the_design() -> None:
    generator = np.random.default_rng(0)
    features = np.asfortranarray(generator.normal(size=(5_000, 60)))
    label = (features[:, 0] + generator.normal(size=5_000) > 0).astype(np.int8)
    fit_logistic(features, label, np.ones(5_000), [])  # what is imported first is not measured
    tracemalloc.start()
    fit_logistic(features, label, np.ones(5_000), [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 7 * features.nbytes


def test_log_odds_of_many_rows_need_little_memory() -> None:
    model, features = learn(200), np.tile(draw(1_000)[0], (200, 1))
    tracemalloc.start()
    model.log_odds_of(features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * features.nbytes  # all contributions at once need several times as much
