"""Pairs of values: what the two values alone suggest, also if the leads change over time."""

import numpy as np
import pytest

from features.intervals import Z, wilson
from models.evaluation.comparisons import CHANCE
from models.evaluation.differences import p_of
from models.evaluation.pairs import fit_pairs


@pytest.mark.parametrize("wins_of_pair", [240, 300, 340])
def test_residual_compares_the_share_with_the_expected_one(wins_of_pair: int) -> None:
    wins, n = np.array([[100, 100], [100, wins_of_pair]]), np.full((2, 2), 1_000)
    fit = fit_pairs(wins[:, :, None], n[:, :, None])
    expected = fit.expected[1, 1]
    z = (wins_of_pair - 1_000 * expected) / np.sqrt(1_000 * expected * (1 - expected))
    assert fit.residual[1, 1] == pytest.approx(z)
    low, high = wilson(wins_of_pair / 1_000, 1_000)
    assert (abs(z) > Z) == (not low < expected < high)
    assert not fit.is_same_time.any()


def test_residual_of_a_pair_with_few_leads_has_the_spread_of_few_leads() -> None:
    wins, n = np.array([[10, 10], [10, 2]]), np.array([[1_000, 1_000], [1_000, 2]])
    fit = fit_pairs(wins[:, :, None], n[:, :, None])
    expected = fit.expected[1, 1]
    spread = np.sqrt(2 * expected * (1 - expected))
    assert spread < 0.2
    assert fit.residual[1, 1] == pytest.approx((2 - 2 * expected) / spread)


def test_pair_without_leads_has_no_residual() -> None:
    n = np.array([[10, 0, 1], [20, 30, 9]])
    wins = np.array([[1, 0, 0], [5, 9, 2]])
    has_leads = (n > 0).tolist()
    fit = fit_pairs(wins[:, :, None], n[:, :, None])
    assert np.isfinite(fit.residual).tolist() == has_leads
    grows = np.array([1, 5, 10, 20, 40])
    n_in = n[:, :, None] * grows
    n_in[0, 2] = [1, 0, 0, 0, 0]
    within = fit_pairs(wins[:, :, None] * grows, n_in)
    assert np.isfinite(within.residual).tolist() == has_leads
    assert np.isfinite(within.expected).tolist() == has_leads


def test_pair_with_one_lead_is_compared_within_time() -> None:
    grows = 100 * np.arange(1, 11)
    n = np.array([[grows[::-1], grows], [grows, [1] + [0] * 9]])
    fit = fit_pairs(n // 10, n)
    assert fit.is_same_time[1, 1]
    assert fit.expected[1, 1] == pytest.approx(0.1, abs=0.001)
    assert fit.residual[1, 1] == pytest.approx(-0.1 / np.sqrt(0.09), abs=0.001)


def growing(effect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Count pairs of values that become frequent together, while wins grow from 4 to 40 of 100.

    The values have no effect, except that one pair is won `effect` times as often.
    """
    share = np.linspace(0.04, 0.4, 10)
    rare = np.linspace(0.1, 0.6, 10)
    first = np.stack([1 - rare, rare])
    n = np.rint(6_000 * first[:, None] * first).astype(np.int64)
    wins = n * share
    wins[1, 1] *= effect
    return np.rint(wins).astype(np.int64), n


def test_values_that_become_frequent_together_are_not_a_finding() -> None:
    wins, n = growing()
    of_all = fit_pairs(wins.sum(axis=2, keepdims=True), n.sum(axis=2, keepdims=True))
    assert p_of(of_all.residual[1, 1]) < CHANCE
    fit = fit_pairs(wins, n)
    assert fit.is_same_time.all()
    assert np.abs(fit.residual).max() < 0.1
    shares = wins.sum(axis=2) / n.sum(axis=2)
    assert fit.expected == pytest.approx(shares, abs=0.002)


def test_a_pair_that_differs_at_every_time_is_a_finding() -> None:
    fit = fit_pairs(*growing(effect=1.5))
    assert p_of(fit.residual[1, 1]) < CHANCE
    assert fit.residual[1, 1] > 0


def test_values_that_do_not_change_over_time_are_compared_with_all_leads() -> None:
    wins, n = growing()
    same = np.repeat(n.mean(axis=2, keepdims=True).astype(np.int64), 10, axis=2)
    fit = fit_pairs(np.minimum(wins, same), same)
    assert not fit.is_same_time.any()
    of_all = fit_pairs(
        np.minimum(wins, same).sum(axis=2, keepdims=True), same.sum(axis=2, keepdims=True)
    )
    assert fit.expected == pytest.approx(of_all.expected)


def test_a_value_that_changes_alone_is_enough() -> None:
    n = np.full((2, 3, 5), 1_000)
    n[:, 2] = [200, 400, 600, 800, 1_000]
    fit = fit_pairs(n // 10, n)
    assert fit.is_same_time.all()
    one = np.full((2, 3, 5), 1_000)
    one[0, 0], one[1, 0], one[0, 1], one[1, 1] = (
        [900, 950, 1_000, 1_050, 1_100],
        [1_100, 1_050, 1_000, 950, 900],
        [1_100, 1_050, 1_000, 950, 900],
        [900, 950, 1_000, 1_050, 1_100],
    )
    assert fit_pairs(one // 10, one).is_same_time.tolist() == [[True, True, False]] * 2
