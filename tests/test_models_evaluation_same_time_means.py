"""Means of groups, such as revenue per lead, compared with leads of the same time."""

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.comparisons import Contrast, Verdict, contrast, mean_ratio
from models.evaluation.same_time import compare_within, periods_of
from models.evaluation.same_time_means import compare_mean_within


def compared(
    values: np.ndarray, is_in: np.ndarray, period: np.ndarray
) -> tuple[Contrast, Contrast]:
    """Return the comparison with all leads, and the one within periods."""
    group = mean_ratio(values, is_in)
    assert group is not None
    return group, compare_mean_within(group, values, is_in, period)


def by_hand(own: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make five periods of 100 leads; a lead of the group brings half as much as the others.

    The others bring 8 or 12 in the first period, and as much more in each later one.
    """
    period = np.repeat(np.arange(5), 100)
    is_in = np.arange(500) % 100 < np.repeat(own, 100)
    values = np.where(np.arange(500) % 2, 12.0, 8.0) * (period + 1) * np.where(is_in, 0.5, 1)
    return values, is_in, period


def test_a_mean_is_compared_with_the_mean_of_the_same_time() -> None:
    group, within = compared(*by_hand([10, 30, 50, 70, 90]))
    assert (group.value, group.ratio) == pytest.approx((19, 19 / 20.5))
    # The weights are 9, 21, 25, 21 and 9; the means 5, 10, … of the group, 9.5, 17, 22.5, 26, 27.5.
    assert (within.time_value, within.time_average) == pytest.approx((15, 1_798.5 / 85))
    assert within.ratio == pytest.approx(15 / (1_798.5 / 85))
    assert within.ratio_low is not None
    assert within.ratio_high is not None
    assert within.ratio_low < 0.709 < within.ratio_high < 1
    assert within.verdict == Verdict.BELOW
    assert (within.value, within.n, within.wins) == (group.value, group.n, group.wins)
    assert within.others == 250


def test_the_interval_of_a_mean_follows_the_delta_method() -> None:
    values, is_in, period = by_hand([10, 30, 50, 70, 90])
    _, within = compared(values, is_in, period)
    value, average = 15, 1_798.5 / 85
    means: dict[bool, list[float]] = {True: [], False: []}
    for t, own in enumerate([0.1, 0.3, 0.5, 0.7, 0.9]):
        everyone = 10 * (t + 1) * (1 - own / 2)
        means[True].append(everyone * value / average)
        means[False].append((everyone - own * means[True][-1]) / (1 - own))
    # One lead's variance is in proportion to the mean of its period: it is this much of the mean.
    factor = {
        side: sum((v - means[side][t]) ** 2 for v, t in zip(values[of], period[of], strict=True))
        / sum(means[side][t] for t in period[of])
        for side, of in ((True, is_in), (False, ~is_in))
    }
    variance = 0.0
    for t, own in enumerate([0.1, 0.3, 0.5, 0.7, 0.9]):
        weight = 100 * own * (1 - own) / 85
        by_own, by_rest = weight * (1 / value - own / average), weight * (1 - own) / average
        by_lead = by_own**2 * factor[True] * means[True][t] / (100 * own)
        by_lead += by_rest**2 * factor[False] * means[False][t] / (100 * (1 - own))
        variance += by_lead * 100 / 99
    spread = np.exp(1.959964 * np.sqrt(variance))
    ratio = value / average
    assert (within.ratio_low, within.ratio_high) == pytest.approx((ratio / spread, ratio * spread))


def test_periods_with_one_lead_of_a_side_count() -> None:
    values, is_in, period = by_hand([1, 30, 50, 70, 99])
    _, within = compared(values, is_in, period)
    weight = np.array([0.99, 21, 25, 21, 0.99])
    assert within.time_value == pytest.approx(weight @ [4, 10, 15, 20, 25] / weight.sum(), rel=0.01)
    assert within.others == 99 + 70 + 50 + 30 + 1


def test_a_group_whose_share_does_not_change_is_compared_with_all() -> None:
    group, within = compared(*by_hand([50] * 5))
    assert within is group


def test_a_share_that_changes_by_chance_only_is_compared_with_all() -> None:
    _, is_in, period = by_hand([8, 9, 10, 11, 12])
    values = np.where(np.arange(500) % 2, 12.0, 8.0) * 10.0**period
    group, within = compared(values, is_in, period)
    assert group.ratio is not None
    assert group.ratio > 1.15  # within periods it is 1
    assert within is group


def test_the_unit_of_the_values_does_not_matter() -> None:
    values, is_in, period = by_hand([10, 30, 50, 70, 90])
    _, within = compared(values, is_in, period)
    _, in_millions = compared(values / 1e6, is_in, period)
    for name in ("ratio", "ratio_low", "ratio_high", "p"):
        assert getattr(in_millions, name) == pytest.approx(getattr(within, name))


def test_a_ratio_that_changes_by_less_than_a_tenth_stays() -> None:
    _, is_in, period = by_hand([10, 30, 50, 70, 90])
    group, within = compared(np.where(is_in, 1.0, 2.0) + np.arange(500) % 2, is_in, period)
    assert within is group


def test_a_group_without_others_of_its_time_is_not_compared() -> None:
    group, within = compared(*by_hand([0, 0, 0, 100, 100]))
    assert group.ratio is not None
    assert (within.ratio, within.ratio_low, within.p, within.others) == (None, None, None, 0)
    assert within.verdict == Verdict.FEW_OTHERS


def test_a_group_without_an_interval_gets_none() -> None:
    values, is_in, period = by_hand([10, 30, 50, 70, 90])
    few = np.where(np.arange(500) % 100 % 17 == 0, values, 0.0)
    group, within = compared(few, is_in, period)
    assert (group.p, group.ratio_low) == (None, None)
    assert within.ratio != group.ratio
    assert (within.p, within.ratio_low, within.ratio_high) == (None, None, None)


def test_a_group_that_brings_nothing_at_the_time_of_others_has_no_interval() -> None:
    values, is_in, period = by_hand([100, 30, 50, 70, 90])
    group, within = compared(np.where(is_in & (period > 0), 0.0, values), is_in, period)
    assert group.ratio_low is not None
    assert (within.ratio, within.ratio_low, within.ratio_high) == (0, None, None)
    assert within.p is not None


def test_sums_of_wins_are_tested_as_wins() -> None:
    random = np.random.default_rng(0)
    n = 4_000
    period, time = periods_of(n), np.linspace(0, 1, n)
    is_in, won = random.random(n) < 0.2 + 0.5 * time, random.random(n) < 0.1 + 0.3 * time
    group, means = compared(won.astype(float), is_in, period)
    crude = contrast(int(won[is_in].sum()), int(is_in.sum()), int(won.sum()), n)
    own, own_wins, everyone, wins = (
        np.bincount(period[leads], minlength=period.max() + 1)
        for leads in (is_in, is_in & won, np.ones(n, dtype=bool), won)
    )
    shares = compare_within(crude, own, own_wins, everyone, wins)
    assert shares.is_same_time
    for name in ("ratio", "p", "time_value", "time_average", "others"):
        assert getattr(means, name) == pytest.approx(getattr(shares, name))
    assert means.ratio_low == pytest.approx(shares.ratio_low, abs=0.02)


@pytest.mark.parametrize(("effect", "least", "most"), [(1.0, 0.0, 0.1), (0.5, 0.9, 1.0)])
def test_revenue_that_changes_with_time_only_is_seldom_a_finding(
    effect: float, least: float, most: float
) -> None:
    random = np.random.default_rng(1)
    n, k = 4_000, 150
    period, time = periods_of(n), np.linspace(0, 1, n)
    found, inside = [], []
    for _ in range(k):
        is_in = random.random(n) < 0.1 + 0.5 * time
        share = 0.05 + 0.2 * time
        won = random.random(n) < share * np.where(is_in, effect, 1)
        _, within = compared(np.where(won, random.lognormal(8, 1, n), 0), is_in, period)
        own, everyone = np.bincount(period[is_in], minlength=80), np.bincount(period)
        expected = np.bincount(period, share) / everyone
        weight = own * (1 - own / everyone)
        average = expected * (1 + (effect - 1) * own / everyone)
        true_ratio = effect * (weight @ expected) / (weight @ average)
        if within.is_same_time:
            found.append(within.is_significant)
            assert within.ratio_low is not None
            assert within.ratio_high is not None
            inside.append(within.ratio_low <= true_ratio <= within.ratio_high)
    assert len(found) >= 100
    assert least <= np.mean(found) <= most
    assert np.mean(inside) > 0.9


def test_one_value_for_all_leads_of_a_period_is_not_tested() -> None:
    values, is_in, period = by_hand([10, 30, 50, 70, 90])
    group = mean_ratio(values, is_in)
    assert group is not None
    flat = compare_mean_within(replace(group, ratio=2.0), period + 1.0, is_in, period)
    assert flat.ratio == pytest.approx(1)
    assert flat.p is None
