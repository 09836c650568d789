"""The logistic regression on steps: what it learns, compared with scikit-learn, and its limits."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from crm.arrays import Bools, Floats, Labels
from models.estimator.logistic import Logistic, LogisticTerms
from models.estimator.steps import MANY_ROWS
from models.fitting.logistic import STEP_STRENGTHS, LogisticSettings, fit_bending, fit_logistic
from models.fitting.steps import (
    N_BINS,
    StepDesign,
    fit_steps,
    fit_steps_out_of_fold,
    mean_of_line_and_steps,
)
from tests.made_processes import output_of

NUMBERS = 4  # columns of `draw` that contain numbers; the last column contains codes
UNSEEN = 99.0


def draw(n: int, seed: int = 0) -> tuple[Floats, Labels, Floats]:
    """Draw features, labels and weights.

    The columns are a number whose extremes win, a number with gaps that win, a number of few
    values, a number that is mostly its minimum, and a code.
    """
    generator = np.random.default_rng(seed)
    bent = generator.normal(size=n)
    gaps = np.where(generator.random(n) < 0.3, np.nan, generator.exponential(size=n))
    few = generator.integers(0, 4, n).astype(np.float64)
    rare = np.where(generator.random(n) < 0.95, 0.0, generator.uniform(1, 9, n))
    code = generator.integers(2, 7, n).astype(np.float64)
    log_odds = 1.5 * np.abs(bent) - 1.5 + 0.7 * np.isnan(gaps) - 0.3 * few + 0.5 * (code == 3)
    label = (generator.random(n) < expit(log_odds + (rare > 0))).astype(np.int8)
    label[:2] = (0, 1)
    features = np.column_stack([bent, gaps, few, rare, code])
    return features, label, generator.uniform(0.2, 2, n)


def terms_of(features: Floats, reach: float = 4.0) -> LogisticTerms:
    return LogisticTerms.fit(features, [features.shape[1] - 1], reach)


def fit(n: int = 600, strength: float = 0.3, **options: Any) -> Logistic:
    """Fit steps to rows of `draw`."""
    features, label, weight = draw(n)
    design = StepDesign.of(terms_of(features), features, **options)
    return fit_steps(design, label, weight, strength)[0]


# -- an independent fit ----------------------------------------------------------------------


def deciles(numbers: Floats) -> list[float]:
    """Return the numbers at which a step begins: nine deciles, and the first above the minimum."""
    in_order = np.sort(numbers)
    at = [in_order[(len(numbers) - 1) * i // 10] for i in range(1, 10)]
    above = in_order[in_order > in_order[0]]
    return sorted({*at, *above[:1].tolist()} - {in_order[0]})


def thermometer(terms: LogisticTerms, learned: Floats, features: Floats) -> Floats:
    """Build scikit-learn's design: for each cut whether it is reached, gaps, and codes."""
    of_learned, was_missing = terms.numbers(learned)
    numbers, is_missing = terms.numbers(features)
    columns: list[Bools] = []
    for i in range(numbers.shape[1]):
        columns += [numbers[:, i] >= cut for cut in deciles(of_learned[:, i])]
        if was_missing[:, i].any():
            columns.append(is_missing[:, i])
    for position, codes in zip(terms.categorical, terms.codes, strict=True):
        columns += [features[:, position] == code for code in codes]
    return np.column_stack(columns).astype(np.float64)


@pytest.mark.parametrize("strength", STEP_STRENGTHS)
@pytest.mark.parametrize("n", [40, 900])
def test_fit_equals_scikit_learn_on_a_thermometer(n: int, strength: float) -> None:
    features, label, weight = draw(n)
    terms = terms_of(features)
    model, _ = fit_steps(StepDesign.of(terms, features), label, weight, strength)
    design = thermometer(terms, features, features)
    expected = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    expected.fit(design, label, weight)
    assert model.log_odds_of(features) == pytest.approx(
        expected.decision_function(design), rel=0, abs=1e-6
    )
    unseen, _, _ = draw(500, seed=5)
    unseen[:100, 0] *= 1e9
    assert model.log_odds_of(unseen) == pytest.approx(
        expected.decision_function(thermometer(terms, features, unseen)), rel=0, abs=1e-6
    )


@pytest.mark.parametrize("strength", STEP_STRENGTHS)
def test_fit_ends_near_the_best_loss(strength: float) -> None:
    features, label, weight = draw(3_000)
    terms = terms_of(features)
    model, parameters = fit_steps(StepDesign.of(terms, features), label, weight, strength)
    design = thermometer(terms, features, features)
    best = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    best.fit(design, label, weight)

    def objective(log_odds: Floats, coefficients: Floats) -> float:
        loss = log_loss(label, expit(log_odds), sample_weight=weight)
        return float(loss + np.square(coefficients).sum() / 2 / strength / weight.sum())

    reached = objective(model.log_odds_of(features), parameters[1:])
    least = objective(best.decision_function(design), best.coef_[0])
    assert least - 1e-12 <= reached < least + 1e-12


def test_start_does_not_change_the_fit() -> None:
    features, label, weight = draw(600)
    design = StepDesign.of(terms_of(features), features)
    model, parameters = fit_steps(design, label, weight, 0.1)
    _, start = fit_steps(design, label, weight, 1.0)
    again, same_parameters = fit_steps(design, label, weight, 0.1, start=start)
    assert same_parameters == pytest.approx(parameters, abs=1e-6)
    assert again.log_odds_of(features) == pytest.approx(model.log_odds_of(features), abs=1e-6)


def test_weights_equal_repeated_rows() -> None:
    features, label, _ = draw(300)
    times = np.random.default_rng(1).integers(1, 4, 300)
    design = StepDesign.of(terms_of(features), features)
    weighted, _ = fit_steps(design, label, times.astype(np.float64), 0.1)
    # The same cuts, which are those of the rows without repetition.
    repeated_design = replace(design, rows=design.rows[np.repeat(np.arange(300), times)])
    repeated, _ = fit_steps(repeated_design, np.repeat(label, times), np.ones(times.sum()), 0.1)
    assert repeated.log_odds_of(features) == pytest.approx(weighted.log_odds_of(features), abs=1e-6)


def test_fit_finds_what_no_line_describes() -> None:
    features, label, weight = draw(20_000)
    model, _ = fit_steps(StepDesign.of(terms_of(features), features), label, weight, 1.0)
    edges = np.r_[-np.inf, np.quantile(features[:, 0], np.arange(1, 10) / 10), np.inf]
    decile = np.searchsorted(edges, features[:, 0]) - 1
    truth = np.array([1.5 * np.abs(features[decile == i, 0]).mean() for i in range(10)])
    scanned = np.tile(features[:1], (10, 1))
    scanned[:, 0] = [features[decile == i, 0].mean() for i in range(10)]
    levels = model.log_odds_of(scanned)
    assert levels - levels.mean() == pytest.approx(truth - truth.mean(), abs=0.2)
    gap = model.log_odds_of(np.array([[0, np.nan, 0, 0, 2.0], [0, 0.7, 0, 0, 2.0]]))
    assert gap[0] - gap[1] == pytest.approx(0.7, abs=0.2)


def test_stronger_penalty_gives_smaller_steps() -> None:
    sizes = [
        sum(np.square(np.diff(levels)).sum() for levels in steps_of(fit(600, strength)).levels)
        for strength in (0.01, 0.1, 1.0)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.5 * sizes[-1]


# -- cuts and bins ---------------------------------------------------------------------------


def steps_of(model: Logistic) -> Any:
    assert model.steps is not None
    return model.steps


def test_cuts_made_by_hand() -> None:
    # The mean is 5.5 and the standard deviation of 0 … 11 is √(143/12).
    features = np.column_stack([np.arange(12.0), np.repeat([3.0, 4.0], 6), np.full(12, 7.0)])
    design = StepDesign.of(LogisticTerms.fit(features, [], 20.0), features)
    numbers = np.array(design.cuts[0]) * np.sqrt(143 / 12) + 5.5
    assert numbers == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert design.cuts[1] == (1.0,)  # two values, at one standard deviation from their mean
    assert design.cuts[2] == ()


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=300))
def test_cuts_are_deciles_and_the_first_number_above_the_minimum(numbers: list[int]) -> None:
    features = np.array(numbers, dtype=np.float64)[:, None]
    terms = LogisticTerms.fit(features, [], 20.0)
    (cuts,) = StepDesign.of(terms, features).cuts
    assert list(cuts) == deciles(terms.numbers(features)[0][:, 0])
    assert len(cuts) <= N_BINS


def test_gap_has_the_level_of_the_median_and_one_of_its_own() -> None:
    model = fit()
    median = model.terms.median[1]
    at = [[0.3, value, 1.0, 0.0, 3.0] for value in (np.nan, median)]
    gap, at_median = model.log_odds_of(np.array(at))
    assert gap - at_median == pytest.approx(model.coefficients[NUMBERS + 1])
    assert gap - at_median > 0.2
    without_gaps = [0, 2, 3]
    assert [model.coefficients[NUMBERS + i] for i in without_gaps] == [0.0, 0.0, 0.0]


def test_gap_in_a_column_that_had_none_is_its_median() -> None:
    model = fit()
    rows = np.array([[value, 0.5, 1.0, 0.0, 3.0] for value in (np.nan, model.terms.median[0])])
    gap, at_median = model.log_odds_of(rows)
    assert gap == at_median


def test_constant_and_empty_columns_add_nothing() -> None:
    features, label, weight = draw(500)
    features = np.column_stack([np.full(500, 7.0), np.full(500, np.nan), features])
    model = fit_bending(
        features, label, weight, [6], settings=LogisticSettings(1.0, 0.3, reach=4.0)
    )
    steps = steps_of(model)
    assert (steps.cuts[:2], steps.levels[:2]) == (((), ()), ((0.0,), (0.0,)))
    contributions = model.contributions(features)
    assert contributions[:, :2] == pytest.approx(np.zeros((500, 2)), abs=1e-12)
    elsewhere = features.copy()
    elsewhere[:, 0] = 1e9
    assert model.log_odds_of(elsewhere).tobytes() == model.log_odds_of(features).tobytes()
    model.check(7)


@pytest.mark.parametrize(
    ("columns", "categorical"),
    [([4], [0]), ([0], []), ([1], []), ([4, 1], [0]), ([4, 0, 4], [0, 2])],
    ids=["code only", "number only", "gaps only", "code first", "two codes"],
)
def test_fit_accepts_any_mix_of_columns(columns: list[int], categorical: list[int]) -> None:
    features, label, weight = draw(500)
    features = features[:, columns]
    model = fit_bending(
        features, label, weight, categorical, settings=LogisticSettings(1.0, 0.3, reach=4.0)
    )
    model.check(len(columns))
    log_odds = model.log_odds_of(features)
    assert np.isfinite(log_odds).all()
    assert len(np.unique(log_odds)) > 2
    assert log_loss(label, expit(log_odds)) < log_loss(label, np.full(500, label.mean()))


def test_fits_out_of_fold_are_those_to_the_other_rows() -> None:
    features, label, weight = draw(600)
    design = StepDesign.of(terms_of(features), features)
    held_outs = [np.arange(600) % 3 == fold for fold in range(3)]
    models, start = fit_steps_out_of_fold(
        design, label, weight, held_outs, 0.3, design.curvature(label, weight)
    )
    assert len(models) == 3
    for model, out in zip(models, held_outs, strict=True):
        alone, parameters = fit_steps(design.take(~out), label[~out], weight[~out], 0.3)
        assert model.log_odds_of(features) == pytest.approx(alone.log_odds_of(features), abs=1e-6)
    assert start == pytest.approx(parameters, abs=1e-6)  # of the last fold


def test_fit_near_a_start_hardly_knows_the_rows_of_the_start() -> None:
    # The label is noise, so what is known of held-out rows would reduce the loss.
    features, label, weight = draw(3_000)
    label = np.random.default_rng(1).permutation(label)
    design = StepDesign.of(terms_of(features), features)
    _, start = fit_steps(design, label, weight, 1.0)
    held_outs = [np.arange(3_000) % 5 == fold for fold in range(5)]
    losses = []
    for begin in (None, start):
        models, _ = fit_steps_out_of_fold(
            design, label, weight, held_outs, 1.0, design.curvature(label, weight), begin
        )
        log_odds = np.empty(3_000)
        for model, out in zip(models, held_outs, strict=True):
            log_odds[out] = model.log_odds_of(features[out])
        losses.append(log_loss(label, expit(log_odds), sample_weight=weight))
    assert losses[1] > losses[0] - 1e-4


def test_codes_have_levels_and_unseen_codes_have_none() -> None:
    model = fit()
    row = [0.3, 0.5, 1.0, 0.0]
    codes = [*model.terms.codes[0], UNSEEN, 1.0, np.nan]
    log_odds = model.log_odds_of(np.array([[*row, code] for code in codes]))
    levels = np.array([*model.coefficients[2 * NUMBERS :], 0.0, 0.0, 0.0])
    assert log_odds - log_odds[-1] == pytest.approx(levels, abs=1e-12)
    assert np.ptp(levels) > 0.1


# -- the mean of lines and steps ---------------------------------------------------------------


@pytest.fixture
def parts() -> tuple[StepDesign, Logistic, Logistic]:
    """Return a design of 700 rows, with a fit on lines and a fit on steps."""
    features, label, weight = draw(700)
    lines = fit_logistic(features, label, weight, [4], settings=LogisticSettings(0.1, reach=4.0))
    design = StepDesign.of(lines.terms, features)
    return design, lines, fit_steps(design, label, weight, 0.3)[0]


def test_mean_has_the_mean_log_odds_of_lines_and_steps(
    parts: tuple[StepDesign, Logistic, Logistic],
) -> None:
    design, lines, steps = parts
    _, _, weight = draw(700)
    model = mean_of_line_and_steps(design, lines, steps, weight)
    features, _, _ = draw(300, seed=7)
    features[:50, 0] *= 1e12
    features[50:90, 4] = UNSEEN
    expected = (lines.log_odds_of(features) + steps.log_odds_of(features)) / 2
    assert model.log_odds_of(features) == pytest.approx(expected, rel=0, abs=1e-12)


def test_bending_fit_is_the_mean_of_its_parts(
    parts: tuple[StepDesign, Logistic, Logistic],
) -> None:
    features, label, weight = draw(700)
    model = fit_bending(features, label, weight, [4], settings=LogisticSettings(0.1, 0.3, 4.0))
    assert model == mean_of_line_and_steps(*parts, weight)


def test_bending_fit_without_steps_is_a_line() -> None:
    features, label, weight = draw(700)
    settings = LogisticSettings(0.1, None, 4.0)
    model = fit_bending(features, label, weight, [4], settings=settings)
    assert model.steps is None
    assert model == fit_logistic(features, label, weight, [4], settings=settings)


def test_contributions_add_up_and_average_to_zero() -> None:
    features, label, weight = draw(700)
    model = fit_bending(features, label, weight, [4], settings=LogisticSettings(0.1, 0.3, 4.0))
    contributions = model.contributions(features)
    log_odds = model.log_odds_of(features)
    assert model.constant + contributions.sum(axis=1) == pytest.approx(log_odds, rel=0, abs=1e-12)
    assert np.average(contributions, axis=0, weights=weight) == pytest.approx(
        np.zeros(5), abs=1e-12
    )
    assert model.constant == pytest.approx(np.average(log_odds, weights=weight))


@pytest.mark.parametrize("n", [2, MANY_ROWS - 1, MANY_ROWS, MANY_ROWS + 1, 1_000])
def test_one_row_equals_the_same_row_in_a_batch(n: int) -> None:
    features, label, weight = draw(700)
    model = fit_bending(features, label, weight, [4], settings=LogisticSettings(0.1, 0.3, 4.0))
    batch, _, _ = draw(n, seed=8)
    batch[::3] = features[: len(batch[::3])]  # numbers that were learned, some equal to a cut
    batch[::7, 4] = UNSEEN
    for method in (model.log_odds_of, model.contributions):
        together = method(batch)
        alone = np.concatenate([method(row[None, :]) for row in batch])
        assert together.tobytes() == alone.tobytes()


def test_number_equal_to_a_cut_is_above_it() -> None:
    features = np.arange(100.0)[:, None]
    label = (features[:, 0] >= 50).astype(np.int8)
    label[::9] = 1 - label[::9]
    terms = LogisticTerms.fit(features, [], 4.0)
    model, _ = fit_steps(StepDesign.of(terms, features), label, np.ones(100), 1.0)
    cut = features[49]  # the fifth decile of the numbers 0 … 99 is 49
    at, below, above = model.log_odds_of(np.array([cut, cut - 0.5, cut + 0.5]))
    assert at == above
    assert at > below + 0.5


def test_extreme_numbers_have_the_level_of_the_ends() -> None:
    features, label, weight = draw(700)
    features[3, 0], features[4, 0] = 1e308, -1e308
    model = fit_bending(features, label, weight, [4], settings=LogisticSettings(0.1, 0.3, 4.0))
    model.check(5)
    assert np.isfinite(model.log_odds_of(features)).all()
    steps = fit()
    rows = np.array([[value, 0.5, 1, 0, 3] for value in (-np.inf, -1e308, -9, 9, 1e308, np.inf)])
    log_odds = steps.log_odds_of(rows)
    assert len(set(log_odds[:3])) == len(set(log_odds[3:])) == 1


def test_columns_for_trees_have_no_terms() -> None:
    features, label, weight = draw(500)
    settings = LogisticSettings(0.1, 0.3, 4.0)
    model = fit_bending(features, label, weight, [4], trees_only=[1, 3], settings=settings)
    assert model.terms.numeric == (0, 2)
    without = features[:, [0, 2, 4]]
    expected = fit_bending(without, label, weight, [2], settings=settings)
    assert model.log_odds_of(features).tobytes() == expected.log_odds_of(without).tobytes()
    assert not model.contributions(features)[:, [1, 3]].any()


# -- directions ------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    directions=st.tuples(*[st.sampled_from([-1, 0, 1]) for _ in "abcd"]),
)
def test_declared_direction_always_holds(seed: int, directions: tuple[int, ...]) -> None:
    features, label, weight = draw(150, seed)
    model = fit_bending(
        features,
        label,
        weight,
        [4],
        settings=LogisticSettings(1.0, 1.0, 20.0),
        directions=(*directions, 0),
    )
    grid = np.r_[-1e300, np.linspace(-30, 30, 601), 1e300]
    for column, direction in enumerate(directions):
        scanned = np.tile([0.1, 0.5, 1.0, 0.0, 3.0], (len(grid), 1))
        scanned[:, column] = grid
        differences = np.diff(model.log_odds_of(scanned))
        assert (direction * differences >= 0).all()
        levels = steps_of(model).levels[column]
        assert all(direction * (b - a) >= 0 for a, b in itertools.pairwise(levels))


def test_number_against_its_direction_has_no_steps() -> None:
    features, label, weight = draw(2_000)
    design = StepDesign.of(terms_of(features), features, (0, 0, 1, 0, 0))
    model, _ = fit_steps(design, label, weight, 1.0)
    assert steps_of(fit(2_000, 1.0)).levels[2][-1] < -0.5
    assert set(steps_of(model).levels[2]) == {0.0}


def test_direction_holds_only_the_jumps_and_not_the_gap() -> None:
    features, label, weight = draw(2_000)
    design = StepDesign.of(terms_of(features), features, (0, -1, 0, 0, 0))
    model, _ = fit_steps(design, label, weight, 1.0)
    assert max(np.diff(steps_of(model).levels[1])) <= 0
    assert model.coefficients[NUMBERS + 1] > 0.3


# -- repeatability ---------------------------------------------------------------------------

FIT = """
import numpy as np
from models.calibration import fit_calibration
from models.estimator.blend import BaseRate
from models.fitting.logistic import LogisticSettings, fit_bending
from tests.test_models_fitting_steps import draw
for seed in range(40):
    _, label, weight = draw(20_000, seed)
    print(BaseRate.fit(label, weight), fit_calibration(weight, label, weight))
features, label, weight = draw(12_000)
model = fit_bending(features, label, weight, [4], settings=LogisticSettings(0.1, 0.1, 4.0))
log_odds = model.log_odds_of(features)
print(repr(model), log_odds.tobytes().hex()[:400])
print(fit_calibration(log_odds, label, weight))
"""


def test_number_of_threads_does_not_change_a_bit() -> None:
    outputs = {output_of(FIT, threads=threads) for threads in (1, 2)}
    assert len(outputs) == 1
    assert "Calibration(slope=" in outputs.pop()
