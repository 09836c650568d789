"""Tables of two properties: additive effects, their residuals, and the contrast of effects."""

import numpy as np
import pytest
from scipy import stats

from models.evaluation.two_way import additive_logit, effects_differ


def test_additive_effects_leave_no_residual() -> None:
    odds = np.outer([1.0, 3.0], [0.1, 0.2, 0.4])
    n = np.full((2, 3), 10_000)
    wins = np.rint(n * odds / (1 + odds)).astype(np.int64)
    fit = additive_logit(wins, n)
    assert fit.deviance < 0.1
    assert fit.expected == pytest.approx(wins / n, abs=1e-4)


def test_deviance_of_a_two_by_two_table_tests_the_interaction() -> None:
    wins, n = np.array([[100, 100], [100, 300]]), np.full((2, 2), 1_000)
    fit = additive_logit(wins, n)
    error = np.sqrt((1 / wins + 1 / (n - wins)).sum())
    odds = np.log(wins / (n - wins))
    z = (odds[1, 1] - odds[0, 1] - odds[1, 0] + odds[0, 0]) / error
    assert fit.deviance == pytest.approx(z**2, rel=0.05)


@pytest.mark.parametrize(("cell", "sign"), [((0, 0), 1), ((0, 1), -1), ((1, 0), -1), ((1, 1), 1)])
def test_contrast_of_effects_is_inside_minus_outside(cell: tuple[int, int], sign: int) -> None:
    wins, n = np.full((2, 2), 50), np.full((2, 2), 100)
    wins[cell] = 80
    log_odds = np.log(80.5 / 20.5)
    difference, p = effects_differ(wins, n)
    assert difference == pytest.approx(sign * log_odds)
    error = np.sqrt(6 / 50.5 + 1 / 80.5 + 1 / 20.5)
    assert p == pytest.approx(2 * stats.norm.sf(log_odds / error))
