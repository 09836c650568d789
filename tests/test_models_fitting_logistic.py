"""The logistic regression: what it learns, how far it reaches, and which way it may go."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from models.estimator.logistic import LARGEST, Logistic, LogisticTerms
from models.evaluation.metrics import log_losses
from models.fitting import logistic
from models.fitting.logistic import REACHES, STRENGTHS, choose_logistic, fit_logistic
from tests.made_examples import draw

UNSEEN = 1.0


def learn(n: int, *, seed: int = 0, categorical: Any = (2,), **settings: Any) -> Logistic:
    features, label = draw(n, seed)
    return fit_logistic(features, label, np.ones(n), list(categorical), **settings)


def rows(*cells: Any) -> np.ndarray:
    return np.array(cells, dtype=np.float64)


# -- terms ---------------------------------------------------------------------------------


def test_terms_by_hand() -> None:
    features = rows([1, 2], [3, 5], [np.nan, 2])
    terms = LogisticTerms.fit(features, [1], 20.0)
    # Filled with the median 2 the numbers are 1, 3, 2: mean 2, standard deviation √(2/3).
    step = 1 / np.sqrt(2 / 3)
    assert terms.design(features) == pytest.approx(
        rows([-step, 0, 1, 0], [step, 0, 0, 1], [0, 1, 1, 0])
    )
    assert terms.n_terms == 4
    assert terms.codes == ((2.0, 5.0),)


def test_numbers_are_clipped_at_the_reach() -> None:
    features = rows([-1.0], [1.0])  # mean 0, standard deviation 1
    terms = LogisticTerms.fit(features, [], 4.0)
    far = rows([3.9], [4.1], [-4.1], [1e308], [-1e308], [np.nan])
    numbers, is_missing = terms.numbers(far)
    assert numbers[:, 0].tolist() == [3.9, 4.0, -4.0, 4.0, -4.0, 0.0]
    assert is_missing[:, 0].tolist() == [False] * 5 + [True]


def test_growing_columns_are_clipped_to_the_training_range() -> None:
    features = rows([1, 1, 7], [3, 3, 7], [np.nan, np.nan, 7], [2, 2, 7])
    terms = LogisticTerms.fit(features, [2], 20.0, growing=[1, 2])
    beyond = terms.numbers(rows([1e9, 1e9, 0], [-1e9, -1e9, 0]))[0]
    ends = terms.numbers(rows([3, 3, 0], [1, 1, 0]))[0]
    assert beyond[:, 1].tolist() == ends[:, 1].tolist()
    assert beyond[:, 0].tolist() == [20.0, -20.0]
    between = terms.numbers(rows([0, 1.5, 0], [0, 2.5, 0]))[0][:, 1]
    assert ends[1, 1] < between[0] < between[1] < ends[0, 1]
    assert terms.low[1] == 1
    assert terms.high[1] == 3


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
    model = fit_logistic(features, label, weight, [2], strength=0.3, reach=4.0)
    design = model.terms.design(features)
    expected = LogisticRegression(C=0.3, solver="newton-cholesky").fit(design, label, weight)
    assert model.coefficients == pytest.approx(expected.coef_[0])
    assert model.log_odds_of(features) == pytest.approx(
        expected.decision_function(design), abs=1e-9
    )
    assert model.centre == pytest.approx(np.average(design, axis=0, weights=weight))


@pytest.mark.parametrize(
    ("columns", "categorical"),
    [([0, 1, 2], [2]), ([0, 1], []), ([2], [0]), ([0], []), ([1], []), ([2, 0], [0])],
    ids=["all", "no category", "no number", "one number", "one with gaps", "category first"],
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
    strange = rows([np.nan, np.nan, 0], [0, 7, UNSEEN], [1e308, 0, 250], [-1e308, np.nan, 2])
    assert np.isfinite(model.log_odds_of(strange)).all()
    # A code that was not there has no term of its own: it counts as no category at all.
    unseen, other = model.log_odds_of(rows([0, np.nan, UNSEEN], [0, np.nan, 99]))
    assert unseen == other


def test_extreme_numbers_in_training_do_no_harm() -> None:
    features, label = draw(200)
    features[3, 0], features[4, 0] = 1e308, -1e308
    model = fit_logistic(features, label, np.ones(200), [2])
    assert np.isfinite(model.log_odds_of(features)).all()
    assert max(map(abs, model.terms.scale)) < LARGEST
    model.check(3)


@pytest.mark.parametrize("reach", REACHES)
def test_extreme_number_counts_like_the_reach(reach: float) -> None:
    model = learn(400, reach=reach)
    mean, scale = model.terms.mean[0], model.terms.scale[0]
    edge = mean + reach * scale
    at_edge, absurd = model.log_odds_of(rows([edge, 0, 2], [1e300, 0, 2]))
    assert absurd == pytest.approx(at_edge, abs=1e-12)
    inside, outside = model.log_odds_of(rows([edge - scale, 0, 2], [edge, 0, 2]))
    assert inside != outside


def test_solver_for_many_cells_gives_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"strength": 0.3, "reach": 4.0}
    newton = learn(500, **settings)
    monkeypatch.setattr(logistic, "MANY_CELLS", 0)
    other = learn(500, **settings)
    assert other != newton  # it was another solver indeed
    assert other.coefficients == pytest.approx(newton.coefficients, abs=2e-3)
    assert other.log_odds_of(draw(500)[0]) == pytest.approx(
        newton.log_odds_of(draw(500)[0]), abs=5e-3
    )


def test_stronger_penalty_gives_smaller_coefficients() -> None:
    sizes = [np.square(learn(300, strength=strength).coefficients).sum() for strength in STRENGTHS]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.5 * sizes[-1]


# -- contributions ---------------------------------------------------------------------------


def by_hand() -> Logistic:
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
    # Terms: the number, its gap, code 2, code 5.
    return Logistic(terms, (0.5, -1.0, 0.2, -0.6), (0.1, 0.25, 0.75, 0.25), -2.0)


def test_contributions_by_hand() -> None:
    model = by_hand()
    assert model.constant == pytest.approx(-2.0 + 0.05 - 0.25 + 0.15 - 0.15)
    result = model.contributions(rows([2, 5], [5, np.nan], [9, 101]))
    number = [0.5 * (2 - 0.1) + 0.25, 0.5 * (1 - 0.1) - 0.75, 0.5 * (4 - 0.1) + 0.25]
    category = [0.2 - 0.0, -0.6 - 0.0, 0.0]  # an average category contributes 0.75·.2 - .25·.6 = 0
    assert result == pytest.approx(np.column_stack([category, number]))
    assert model.log_odds_of(rows([2, 5])) == pytest.approx([-2.0 + 0.5 * 2 + 0.2])


def test_contributions_add_up_and_average_to_zero() -> None:
    features, label = draw(700)
    weight = np.random.default_rng(2).uniform(0.1, 3, 700)
    model = fit_logistic(features, label, weight, [2])
    result = model.contributions(features)
    margin = model.terms.design(features) @ np.array(model.coefficients) + model.intercept
    assert model.constant + result.sum(axis=1) == pytest.approx(margin, abs=1e-12)
    assert np.average(result, axis=0, weights=weight) == pytest.approx(np.zeros(3), abs=1e-12)


def test_one_row_equals_the_same_row_in_a_batch() -> None:
    model = learn(300)
    features, _ = draw(1_000, seed=8)
    features[::7, 2] = UNSEEN
    for ask in (model.log_odds_of, model.contributions):
        together = ask(features)
        alone = np.concatenate([ask(row[None, :]) for row in features])
        assert together.tobytes() == alone.tobytes()
        assert ask(np.asfortranarray(features)).tobytes() == together.tobytes()


def test_no_rows_get_no_margins() -> None:
    model = learn(60)
    assert model.log_odds_of(np.empty((0, 3))).shape == (0,)
    assert model.contributions(np.empty((0, 3))).shape == (0, 3)


# -- directions ------------------------------------------------------------------------------


def correlated(n: int, seed: int) -> Any:
    """Numbers that go together, so that a free fit turns some of them the wrong way."""
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
def test_declared_direction_always_holds(seed: int, directions: Any) -> None:
    features, label = correlated(60, seed)
    model = fit_logistic(features, label, np.ones(60), [], directions=directions)
    grid = np.r_[-1e300, np.linspace(-30, 30, 61), 1e300]
    for column, direction in enumerate(directions):
        scanned = np.zeros((len(grid), 4))
        scanned[:, column] = grid
        steps = np.diff(model.log_odds_of(scanned))
        assert (direction * steps >= 0).all()


def test_column_without_direction_is_fitted_freely() -> None:
    features, label = draw(2_000)
    free = learn(2_000)
    assert free.coefficients[0] > 0.5
    held = learn(2_000, directions=(-1, 0, 0))
    assert held.coefficients[0] == 0
    assert held.coefficients[4:] != free.coefficients[4:]  # the others were fitted again
    assert learn(2_000, directions=(1, 0, 0)) == free
    assert learn(2_000, directions=(0, 0, 0)) == free


def test_directions_refer_to_columns() -> None:
    generator = np.random.default_rng(0)
    code = generator.integers(2, 5, 500).astype(np.float64)
    number = generator.normal(size=500)
    label = (generator.random(500) < expit(-number)).astype(np.int8)
    features = np.column_stack([code, number])
    held = fit_logistic(features, label, np.ones(500), [0], directions=(0, 1))
    assert held.coefficients[0] == 0
    free = fit_logistic(features, label, np.ones(500), [0], directions=(0, -1))
    assert free.coefficients[0] < -0.5


# -- altered state ---------------------------------------------------------------------------


def test_fitted_state_is_consistent() -> None:
    learn(100).check(3)
    by_hand().check(2)


ALTERED = {
    "a coefficient too few": lambda m: replace(m, coefficients=m.coefficients[:-1]),
    "a centre too many": lambda m: replace(m, centre=(*m.centre, 0.0)),
    "a coefficient that is none": lambda m: replace(m, coefficients=(np.nan, *m.coefficients[1:])),
    "an endless intercept": lambda m: replace(m, intercept=np.inf),
    "an endless centre": lambda m: replace(m, centre=(-np.inf, *m.centre[1:])),
    "no scale": lambda m: replace(m, terms=replace(m.terms, scale=())),
    "a scale of nothing": lambda m: replace(m, terms=replace(m.terms, scale=(0.0,))),
    "a scale below nothing": lambda m: replace(m, terms=replace(m.terms, scale=(-1.0,))),
    "a median that is none": lambda m: replace(m, terms=replace(m.terms, median=(np.nan,))),
    "two means": lambda m: replace(m, terms=replace(m.terms, mean=(1.0, 1.0))),
    "a least number above the greatest": lambda m: replace(m, terms=replace(m.terms, low=(60.0,))),
    "no least number": lambda m: replace(m, terms=replace(m.terms, low=())),
    "an endless greatest number": lambda m: replace(m, terms=replace(m.terms, high=(np.inf,))),
    "no reach": lambda m: replace(m, terms=replace(m.terms, reach=0.0)),
    "an endless reach": lambda m: replace(m, terms=replace(m.terms, reach=np.inf)),
    "another column": lambda m: replace(m, terms=replace(m.terms, numeric=(2,))),
    "a column below the first": lambda m: replace(m, terms=replace(m.terms, numeric=(-1,))),
    "a column twice": lambda m: replace(m, terms=replace(m.terms, numeric=(0,))),
    "no codes": lambda m: replace(m, terms=replace(m.terms, codes=((),))),
    "codes of no column": lambda m: replace(m, terms=replace(m.terms, codes=((2.0, 5.0), (1.0,)))),
    "codes out of order": lambda m: replace(m, terms=replace(m.terms, codes=((5.0, 2.0),))),
    "a code twice": lambda m: replace(m, terms=replace(m.terms, codes=((2.0, 2.0),))),
    "a code that is none": lambda m: replace(m, terms=replace(m.terms, codes=((2.0, np.nan),))),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_from_state_refuses_altered_state(alter: Any) -> None:
    with pytest.raises(ValueError, match="the logistic regression's numbers do not fit together"):
        alter(by_hand()).check(2)


def test_from_state_refuses_another_number_of_columns() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        by_hand().check(3)


# -- how strongly to pull --------------------------------------------------------------------


def test_choice_is_reproducible_and_from_the_grid() -> None:
    features, label = draw(300)
    older = (features, label, np.ones(300), np.arange(300))
    result = choose_logistic(older, None, [2], 0)
    assert result in {(strength, reach) for strength in STRENGTHS for reach in REACHES}
    assert choose_logistic(older, None, [2], 0) == result


def test_noise_gets_a_stronger_penalty_than_signal() -> None:
    generator = np.random.default_rng(4)
    features = generator.normal(size=(200, 30))
    noise = (generator.random(200) < 0.5).astype(np.int8)
    signal = (features[:, 0] + features[:, 1] > 0).astype(np.int8)
    strengths = [
        choose_logistic((features, label, np.ones(200), np.arange(200)), None, [], 0)[0]
        for label in (noise, signal)
    ]
    assert strengths[0] < strengths[1]


def test_choice_samples_very_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label = draw(400)
    lead = np.arange(400) // 2
    monkeypatch.setattr(logistic, "MANY_ROWS", 100)
    folds, seen = logistic.folds, []

    def spy(label: Any, lead: Any, seed: Any, n_folds: Any) -> Any:
        seen.append(lead)
        return folds(label, lead, seed, n_folds)

    monkeypatch.setattr(logistic, "folds", spy)
    choose_logistic((features, label, np.ones(400), lead), None, [2], 0)
    (looked_at,) = seen
    # A quarter of the leads, and all rows of each.
    assert len(np.unique(looked_at)) == 50
    assert np.unique(looked_at, return_counts=True)[1].tolist() == [2] * 50


@pytest.mark.parametrize(
    ("margin", "label", "loss"),
    [
        (0.0, 1, np.log(2)),
        (np.log(3), 1, -np.log(0.75)),
        (np.log(3), 0, -np.log(0.25)),
        (900.0, 0, 900.0),
        (-900.0, 0, 0.0),
    ],
)
def test_log_loss_of_a_row_by_hand(margin: float, label: int, loss: float) -> None:
    result = log_losses(np.array([margin]), np.array([label], dtype=np.int8))
    assert result == pytest.approx([loss])
