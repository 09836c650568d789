import numpy as np
import pytest
from scipy.special import expit, logit

from monitoring.shares import LEAST_SHARE, SHIFTS, TOLERANCE, UsualShares, rank_distance
from monitoring.spread import spread

EVEN = UsualShares.of(np.array([[50.0, 50.0]] * 2))


def half_ranges(usual: UsualShares) -> list[float]:
    """Return the range of the first value, in log-odds below and above its share."""
    at = logit(usual.shares[0])
    return [float(at - logit(usual.low[0])), float(logit(usual.high[0]) - at)]


def test_spread_of_months_by_hand() -> None:
    # The mean is 0.75, so Q = 4 · 0.75² + 12 · 0.25² = 3, and the scale is 16 - 160/16 = 6.
    one = spread(np.array([0.0, 1.0]), np.array([4.0, 12.0]))
    assert one == pytest.approx(np.sqrt((3 - 1) / 6))
    # Months of the same size: the variance between them, less that of chance.
    same = spread(np.array([0.0, 1.0, 2.0]), np.full(3, 4.0))
    assert same == pytest.approx(np.sqrt(1.0 - 1 / 4))


def test_shares_are_those_of_all_months() -> None:
    usual = UsualShares.of(np.array([[60.0, 40.0], [20.0, 80.0]]))
    assert usual.shares.tolist() == pytest.approx([80.5 / 201, 120.5 / 201])
    assert half_ranges(usual) == pytest.approx([TOLERANCE, TOLERANCE])
    assert half_ranges(UsualShares.of(np.array([[60.0, 40.0]]), 0.8)) == pytest.approx([0.8, 0.8])
    assert UsualShares.of(np.array([[0.0, 1e6]])).shares.tolist() == [LEAST_SHARE, 1 - LEAST_SHARE]


def test_range_is_twice_the_spread_of_the_months() -> None:
    counts, n = np.array([300.0, 400.0] * 3), 1_000.0
    usual = UsualShares.of(np.column_stack([counts, n - counts]))
    share = usual.shares[0]
    between = np.var(logit((counts + 0.5) / (n + 1)), ddof=1) - 1 / (n * share * (1 - share))
    assert TOLERANCE < 2 * np.sqrt(between) < 1.5
    assert half_ranges(usual) == pytest.approx([2 * np.sqrt(between)] * 2)
    five = UsualShares.of(np.column_stack([counts, n - counts])[:5])
    assert half_ranges(five) == pytest.approx([TOLERANCE, TOLERANCE])


def test_range_has_a_largest_width() -> None:
    usual = UsualShares.of(np.array([[990.0, 10.0], [10.0, 990.0]] * 3))
    assert half_ranges(usual) == pytest.approx([1.5, 1.5])


def test_months_with_few_leads_do_not_widen_the_range() -> None:
    def months(n: int) -> UsualShares:
        return UsualShares.of(np.array([[float(n), 0.0], [0.0, float(n)]] * 3))

    assert half_ranges(months(29)) == pytest.approx([TOLERANCE, TOLERANCE])
    assert half_ranges(months(30)) == pytest.approx([1.5, 1.5])


def test_statistic_of_one_lead_by_hand() -> None:
    # One lead with the first of two even values: the share of the first may rise or fall, and so
    # may that of the second.
    change = EVEN.change(np.array([9]), np.array([0]), np.ones(1), n_tests=2)
    shifts = np.array(SHIFTS)
    rises = expit(TOLERANCE + shifts) / expit(TOLERANCE)
    falls = expit(-TOLERANCE - shifts) / expit(-TOLERANCE)
    # The range is symmetric, so that the second value falls as likely as the first one rises.
    assert change.detection.days == pytest.approx((2 * rises.sum() + 2 * falls.sum()) / 8 / 2)
    assert change.detection.since == 9


def test_value_that_becomes_rarer_is_named() -> None:
    usual = UsualShares.of(np.array([[50.0, 30.0, 20.0]]))
    # Of three values, the first is never seen again; the others keep their relation.
    day, value = np.arange(50), np.tile([1, 2, 1, 2, 1], 10)
    change = usual.change(day, value, np.ones(50))
    assert change.detection.is_alarm
    assert (change.value, change.rises) == (0, False)


def test_value_that_becomes_a_little_rarer_is_named() -> None:
    usual = UsualShares.of(np.array([[50.0, 30.0, 20.0]]))
    # The first value falls from a half to a third.
    value = np.tile([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 1], 60)
    change = usual.change(np.arange(900), value, np.ones(900))
    assert change.detection.is_notable
    assert (change.value, change.rises) == (0, False)


def test_ranks_of_uneven_bins() -> None:
    # Half of the leads move from the middle of the first fifth to that of the others: 0.1 to 0.6.
    assert rank_distance(np.array([0.7, 0.3]), np.array([0.2, 0.8])) == pytest.approx(0.5 * 0.5)


def test_day_counts_at_most_three_times_the_median_day() -> None:
    def days(n_last: int) -> float:
        day = np.array([0, 1, *[2] * n_last])
        return EVEN.change(
            day, np.zeros(len(day), dtype=np.int64), np.ones(len(day))
        ).detection.days

    assert days(2) < days(3)
    assert days(3) == pytest.approx(days(4)) == pytest.approx(days(500))


def test_moments_without_weight_do_not_count() -> None:
    day, value = np.arange(6), np.array([0, 1, 0, 1, 0, 1])
    weight = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert EVEN.change(day, value, weight) == EVEN.change(day[:4], value[:4], weight[:4])
