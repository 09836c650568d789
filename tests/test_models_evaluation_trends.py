"""Trends of a share: their direction, and what makes a trend last."""

import numpy as np
import pytest

from models.evaluation.trends import lasting_trend, trend_z


def test_sign_of_a_trend_is_its_direction() -> None:
    n = np.array([100, 100, 100])
    assert trend_z(np.array([30, 20, 10]), n) == -trend_z(np.array([10, 20, 30]), n) < -3


@pytest.mark.parametrize("wins", [[20, 20, 20], [0, 0, 0]])
def test_equal_shares_have_no_trend(wins: list[int]) -> None:
    assert trend_z(np.array(wins), np.array([100, 100, 100])) == 0


@pytest.mark.parametrize(("is_trending", "least", "most"), [(False, 0.0, 0.08), (True, 0.9, 1.0)])
def test_lasting_trend_is_more_than_scattered_months(
    is_trending: bool, least: float, most: float
) -> None:
    rng = np.random.default_rng(0)
    n, steps = np.full(12, 1_000), np.linspace(0.05, -0.05, 12)
    share = 0.15 + 0.02 * rng.standard_normal((400, 12))
    if is_trending:
        share += steps
    is_lasting = [lasting_trend(rng.binomial(n, row), n)[1] < 0.05 for row in share]
    assert least <= np.mean(is_lasting) <= most


@pytest.mark.parametrize(("wins", "n"), [([5, 50], [100, 100]), ([0] * 6, [9] * 6), ([], [])])
def test_two_months_or_no_wins_are_not_a_lasting_trend(wins: list[int], n: list[int]) -> None:
    months = np.array(wins, dtype=np.int64), np.array(n, dtype=np.int64)
    assert lasting_trend(*months) == (0.0, 1.0)


def test_three_months_can_be_a_lasting_trend() -> None:
    z, p = lasting_trend(np.array([1_000, 2_000, 3_000]), np.full(3, 10_000))
    assert z > 5
    assert p < 0.05


def test_halves_that_differ_against_the_trend_are_not_a_lasting_trend() -> None:
    wins = np.array([0, 60, 60, 50, 50, 0])
    z, p = lasting_trend(wins, np.array([10, 100, 100, 100, 100, 10]))
    assert z < 0
    assert p == 1.0 or p > 0.05
