"""The coefficients of a penalised logistic regression, compared with independent fits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from crm.arrays import Floats, Labels
from models.fitting import coefficients as coefficients_module
from models.fitting.coefficients import curvature_of, fit_coefficients

K = 5


def draw(n: int, seed: int = 0) -> tuple[Floats, Labels, Floats]:
    """Draw rows whose columns depend on one another, with two outcomes and weights."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(n, K)) + 0.9 * generator.normal(size=(n, 1))
    rows *= 10.0 ** np.arange(-2, K - 2)  # very different scales
    log_odds = rows @ (0.5 / 10.0 ** np.arange(-2, K - 2) * [1, -1, 1, -2, 0]) - 1
    label = (generator.random(n) < expit(log_odds)).astype(np.int8)
    label[:2] = (0, 1)
    return rows, label, generator.uniform(0.2, 2.0, n)


def fit(rows: Any, label: Labels, weight: Floats, strength: float = 0.3, **options: Any) -> Floats:
    curvature = curvature_of(rows, label, weight, options.get("levels"))
    return fit_coefficients(rows, label, weight, strength, curvature, **options)


def scikit_learns(rows: Floats, label: Labels, weight: Floats, strength: float) -> Floats:
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12, max_iter=1_000)
    model.fit(rows, label, weight)
    return np.append(model.intercept_, model.coef_[0])


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("n", [12, 3_000, 20_000])
def test_fit_equals_scikit_learns(n: int, strength: float) -> None:
    data = draw(n)
    expected = scikit_learns(*data, strength)
    scale = np.append(1.0, data[0].std(axis=0))
    assert fit(*data, strength) * scale == pytest.approx(expected * scale, rel=1e-5, abs=1e-6)


def test_curvature_is_the_second_derivative_at_the_base_rate() -> None:
    rows, label, weight = draw(200)
    share = weight[label == 1].sum() / weight.sum()
    design = np.column_stack([np.ones(200), rows])
    expected = sum(
        w * share * (1 - share) * np.outer(row, row) for w, row in zip(weight, design, strict=True)
    )
    assert curvature_of(rows, label, weight) == pytest.approx(expected / weight.sum(), rel=0.02)


def test_curvature_of_many_rows_is_that_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, label, weight = draw(3_000)
    whole = curvature_of(rows, label, weight)
    monkeypatch.setattr(coefficients_module, "CURVATURE_ROWS", 1_000)
    of_sample = curvature_of(rows, label, weight)
    scale = np.sqrt(np.diag(whole))
    assert of_sample / scale / scale[:, None] == pytest.approx(
        whole / scale / scale[:, None], abs=0.15
    )
    assert not np.array_equal(of_sample, whole)
    assert fit(rows, label, weight) == pytest.approx(
        fit_coefficients(rows, label, weight, 0.3, whole), rel=1e-4, abs=1e-6
    )


def test_sample_skips_rows_without_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, label, weight = draw(400)
    weight[:350] = 0.0
    weight[350:352] = 1.0
    label[350:352] = (0, 1)
    monkeypatch.setattr(coefficients_module, "CURVATURE_ROWS", 30)
    assert np.isfinite(curvature_of(rows, label, weight)).all()
    expected = fit(rows[350:], label[350:], weight[350:])
    assert fit(rows, label, weight) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_poor_curvature_takes_longer_and_ends_at_the_same_fit() -> None:
    rows, label, weight = draw(500)
    rows /= rows.std(axis=0)
    poor = np.diag(np.r_[1.0, 50.0, 0.1, 1.0, 1.0, 3.0])
    assert fit_coefficients(rows, label, weight, 0.3, poor) == pytest.approx(
        fit(rows, label, weight), abs=1e-5
    )


def test_start_does_not_change_the_fit() -> None:
    data = draw(500)
    start = np.r_[3.0, np.full(K, -0.01)]
    assert fit(*data, start=start) == pytest.approx(fit(*data), rel=1e-4, abs=1e-6)


def test_levels_are_a_product_of_the_design() -> None:
    rows, label, weight = draw(500)
    levels = sparse.csr_array(np.random.default_rng(1).normal(size=(K, 3)))
    expected = fit(rows @ levels.toarray(), label, weight)
    assert fit(rows, label, weight, levels=levels) == pytest.approx(expected, abs=1e-6)
    of_sparse = fit(sparse.csr_array(rows), label, weight, levels=levels)
    assert of_sparse == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), signs=st.tuples(*[st.sampled_from([-1.0, 0.0, 1.0])] * K))
def test_fit_with_signs_has_the_least_loss_of_those_allowed(
    seed: int, signs: tuple[float, ...]
) -> None:
    rows, label, weight = draw(80, seed)
    rows /= rows.std(axis=0)
    found = fit(rows, label, weight, signs=np.array(signs))
    assert (np.array(signs) * found[1:] >= 0).all()

    def loss(coefficients: Floats) -> float:
        log_odds = np.where(label == 1, 1, -1) * (coefficients[0] + rows @ coefficients[1:])
        of_rows = (weight * np.logaddexp(0, -log_odds)).sum()
        return float(of_rows + (coefficients[1:] ** 2).sum() / 2 / 0.3)

    bounds_of = {0.0: (None, None), 1.0: (0.0, None), -1.0: (None, 0.0)}
    bounds = [(None, None), *(bounds_of[sign] for sign in signs)]
    best = minimize(loss, np.zeros(1 + K), method="L-BFGS-B", bounds=bounds, tol=1e-13)
    assert loss(found) <= best.fun + 1e-6
    assert found == pytest.approx(best.x, abs=1e-2)


def test_signs_that_the_fit_has_already_change_nothing() -> None:
    data = draw(500)
    without = fit(*data)
    assert fit(*data, signs=np.sign(without[1:])).tolist() == without.tolist()


def test_coefficient_of_the_wrong_sign_is_exactly_zero() -> None:
    data = draw(500)
    without = fit(*data)
    signs = np.zeros(K)
    signs[0] = -np.sign(without[1])
    found = fit(*data, signs=signs)
    assert found[1] == 0.0
    rows = np.delete(data[0], 0, axis=1)
    assert np.delete(found, 1) == pytest.approx(fit(rows, *data[1:]), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("weight", [1e-12, 1e9, 1e16])
def test_columns_that_repeat_others_are_accepted_with_any_weight(weight: float) -> None:
    rows, label, _ = draw(300)
    rows /= rows.std(axis=0)
    repeated = np.column_stack([rows, rows[:, 0], 2 * rows[:, 1], np.zeros(300)])
    found = fit(repeated, label, np.full(300, weight))
    assert np.isfinite(found).all()
    log_odds = found[0] + repeated @ found[1:]
    if weight > 1:  # then the penalty is next to nothing
        expected = fit(rows, label, np.full(300, weight))
        assert log_odds == pytest.approx(expected[0] + rows @ expected[1:], abs=1e-3)
    else:
        assert np.ptp(log_odds) < 1e-6
