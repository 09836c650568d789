"""The regression of the screening is scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from features.small_logistic import fit_small_logistic


@pytest.mark.parametrize("intercept", [0.0, 6.0])
def test_small_regression_is_that_of_scikit_learn(intercept: float) -> None:
    generator = np.random.default_rng(3)
    columns = [generator.normal(size=4_000), generator.normal(size=4_000) * 3]
    seen = generator.integers(1, 5, 4_000)
    chance = 1 / (1 + np.exp(intercept - columns[0] + 0.2 * columns[1]))
    won = generator.binomial(seen, chance).astype(np.float64)
    model = fit_small_logistic(columns, won, seen.astype(np.float64))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(
        np.vstack([np.column_stack(columns)] * 2),
        np.repeat([1, 0], 4_000),
        np.concatenate([won, seen - won]),
    )
    expected = [*reference.coef_[0], reference.intercept_[0]]
    np.testing.assert_allclose(model.coefficients, expected, rtol=1e-3)
    log_odds = model.log_odds_of(columns)
    losses = seen * np.logaddexp(0, log_odds) - won * log_odds
    assert model.loss == pytest.approx(losses.sum())


def test_regression_of_a_constant_column_is_finite() -> None:
    won, seen = np.array([1.0, 0.0, 1.0]), np.ones(3)
    model = fit_small_logistic([np.full(3, 2.0)], won, seen)
    np.testing.assert_allclose(model.log_odds_of([np.full(3, 2.0)]), np.log(2), rtol=1e-3)
