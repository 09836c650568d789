"""Intervals: resamples of whole leads, shares of repeated moments, and medians."""

import numpy as np
import pytest
from scipy.stats import binom

from features.intervals import wilson
from models.evaluation.intervals import (
    N_RESAMPLES,
    auc_interval,
    holm,
    mean_interval,
    median_interval,
    resamples,
    share_interval,
)


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


def test_mean_interval_takes_the_moments_of_a_lead_together() -> None:
    values, weight = np.array([0.0, 2.0, 5.0, 5.0]), np.array([1.0, 3.0, 1.0, 1.0])
    mean = (0 + 6 + 5 + 5) / 6
    sums = np.array([-mean + 3 * (2 - mean), 5 - mean, 5 - mean])  # two moments of the first lead
    half = 1.959964 * np.sqrt((sums**2).sum()) / 6
    low, high = mean_interval(values, weight, np.array([0, 0, 1, 2]))
    assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-6)


def test_auc_interval_is_delongs_over_all_pairs_of_moments() -> None:
    rng = np.random.default_rng(4)
    n = 60
    label, lead = (rng.random(n) < 0.4).astype(int), rng.integers(0, 25, n)
    log_odds, weight = np.round(rng.normal(label, 1.5), 1), rng.uniform(0.5, 3.0, n)
    won, lost = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    in_order = np.sign(log_odds[won][:, None] - log_odds[lost]) / 2 + 0.5  # ties count half
    of_won = np.average(in_order, axis=1, weights=weight[lost])
    of_lost = np.average(in_order, axis=0, weights=weight[won])
    area = np.average(of_won, weights=weight[won])
    parts = np.zeros(n)
    parts[won] = weight[won] * (of_won - area) / weight[won].sum()
    parts[lost] = weight[lost] * (of_lost - area) / weight[lost].sum()
    variance = sum(parts[lead == one].sum() ** 2 for one in range(25))
    expected = wilson(area, area * (1 - area) / variance)
    assert auc_interval(log_odds, label, weight, lead) == pytest.approx(expected, rel=1e-9)


def test_auc_interval_of_pairs_all_in_order_uses_the_leads_of_the_rarer_outcome() -> None:
    label = np.array([1] * 20 + [0] * 30)
    low, high = auc_interval(label.astype(float), label, np.ones(50), np.arange(50))
    assert (low, high) == pytest.approx(wilson(1.0, 20))


def test_holm_multiplies_by_the_number_of_p_values_that_are_not_smaller() -> None:
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


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
    assert (median.n, median.value, median.late) == (1, 4, 4)


@pytest.mark.parametrize("n", range(1, 30))
def test_interval_of_a_median_reaches_95_percent_or_is_not_shown(n: int) -> None:
    values = np.arange(float(n))
    median = median_interval(values)
    assert median is not None
    assert np.isnan([median.low, median.high]).all() == (n < 6)
    if n >= 6:
        # The interval contains the true median unless all values outside are on one side of it.
        outside = binom.cdf(median.low, n, 0.5) + binom.sf(median.high, n, 0.5)
        assert 1 - outside >= 0.95
        assert median.low + median.high == n - 1


def test_empty_array_has_no_median() -> None:
    assert median_interval(np.zeros(0)) is None
