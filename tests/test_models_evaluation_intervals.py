"""Intervals: resamples of whole leads, shares of repeated moments, and medians."""

import numpy as np
import pytest

from features.intervals import wilson
from models.evaluation.intervals import N_RESAMPLES, median_interval, resamples, share_interval


@pytest.mark.parametrize(
    ("n_moments", "n_resamples"), [(10, 300), (500_000, 200), (2_000_000, 100)]
)
def test_number_of_resamples_falls_with_moments(n_moments: int, n_resamples: int) -> None:
    lead = np.zeros(n_moments, dtype=np.int64)  # one lead makes a resample cheap
    assert sum(1 for _ in resamples(lead, seed=0)) == n_resamples


def test_resample_draws_whole_leads() -> None:
    lead = np.array([4, 9, 4, 4, 9, 2])
    draws = list(resamples(lead, seed=0))
    assert len(draws) == N_RESAMPLES
    for times in draws:
        assert times[0] == times[2] == times[3]
        assert times[1] == times[4]
        assert times[0] + times[1] + times[5] == 3


def test_share_interval_ignores_repeated_moments_of_a_lead() -> None:
    won = np.array([1] * 30 + [0] * 70)
    once = share_interval(won, np.ones(100), np.arange(100))
    twice = share_interval(np.repeat(won, 2), np.ones(200), np.repeat(np.arange(100), 2))
    assert once == pytest.approx(wilson(0.3, 100))
    assert twice == pytest.approx(once)


def test_share_interval_uses_moments_that_differ_within_a_lead() -> None:
    # Each lead is won at one of its two moments, so its moments are independent.
    low, high = share_interval(np.tile([0, 1], 50), np.ones(100), np.arange(100) // 2)
    assert (low, high) == pytest.approx(wilson(0.5, 50))


def test_interval_of_a_median_contains_it_in_19_of_20_samples() -> None:
    rng = np.random.default_rng(2)
    medians = [median_interval(rng.exponential(size=75)) for _ in range(1_000)]
    contains = [m.low <= np.log(2) <= m.high for m in medians if m is not None]
    assert np.mean(contains) > 0.94


def test_median_can_be_infinite() -> None:
    median = median_interval(np.array([1.0, np.inf, np.inf]))
    assert median is not None
    assert median.value == np.inf


def test_median_of_one_value_is_that_value() -> None:
    median = median_interval(np.array([4.0]))
    assert median is not None
    assert (median.n, median.value, median.low, median.high, median.late) == (1, 4, 4, 4, 4)


def test_empty_array_has_no_median() -> None:
    assert median_interval(np.zeros(0)) is None
