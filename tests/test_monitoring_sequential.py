import numpy as np
import pytest
from scipy.special import expit

from monitoring.sequential import (
    ACT_DAYS,
    NOTHING,
    SHIFTS,
    WATCH_DAYS,
    by_day,
    detect,
    higher_share,
    lower_mean,
    lower_share,
    sequence_half_width,
)
from monitoring.spread import spread


def test_statistic_sums_the_products_from_each_day() -> None:
    e_values = np.array([2.0, 0.5, 3.0, 4.0])
    by_hand = 2 * 0.5 * 3 * 4 + 0.5 * 3 * 4 + 3 * 4 + 4
    detection = detect(np.array([5, 6, 8, 9]), np.log(e_values)[:, None])
    assert detection.days == pytest.approx(by_hand)
    assert detection.since == 8
    assert not detection.is_notable


def test_change_of_a_value_that_cannot_become_rarer_is_never_found() -> None:
    impossible = np.full((3, 1), -np.inf)
    detection = detect(np.arange(3), np.hstack([impossible, np.log([[2.0], [0.1], [3.0]])]))
    assert detection.days == pytest.approx((2 * 0.1 * 3 + 0.1 * 3 + 3) / 2)
    assert (detection.leading, detection.since) == (1, 2)
    assert detect(np.arange(3), impossible).days == 0


def test_statistics_of_kinds_are_averaged_and_divided_by_the_tests() -> None:
    one = detect(np.array([1]), np.log([[10.0, 30.0]]))
    assert one.days == pytest.approx(20.0)
    assert one.leading == 1
    assert detect(np.array([1]), np.log([[10.0, 30.0]]), n_tests=4).days == pytest.approx(5.0)


def test_without_days_nothing_is_detected() -> None:
    assert detect(np.empty(0, dtype=np.int64), np.empty((0, 3))) == NOTHING


def test_alarm_begins_on_the_first_day_of_its_last_stretch() -> None:
    days = np.arange(40)
    e_values = np.where(days < 20, 2.0, np.where(days < 30, 0.05, 4.0))
    detection = detect(days, np.log(e_values)[:, None])
    assert detection.is_alarm
    assert detection.reached is not None
    assert detection.reached >= 30
    assert detection.since == 30


def test_alarm_may_begin_on_the_first_day() -> None:
    assert detect(np.array([4, 5]), np.log([[2.0 * ACT_DAYS], [1.0]])).reached == 4
    assert detect(np.array([4]), np.log([[0.5 * ACT_DAYS]])).reached is None


def test_limits_are_days_until_a_false_alarm() -> None:
    assert detect(np.array([0]), np.log([[WATCH_DAYS * 1.001]])).is_notable
    assert not detect(np.array([0]), np.log([[WATCH_DAYS * 0.999]])).is_notable
    assert detect(np.array([0]), np.log([[ACT_DAYS * 1.001]])).is_alarm
    assert not detect(np.array([0]), np.log([[ACT_DAYS * 0.999]])).is_alarm


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.3, 0.8])
def test_mean_e_value_is_at_most_one_within_the_tolerance(probability: float) -> None:
    tolerance = 0.25
    stated = np.log(probability / (1 - probability))
    outcomes = np.array([1, 0])
    higher, lower = (
        np.exp(of_side(np.full(2, stated), outcomes, tolerance))
        for of_side in (higher_share, lower_share)
    )
    for true_log_odds in stated + np.linspace(-2, 2, 41):
        true = expit(true_log_odds)
        weights = np.array([true, 1 - true])
        if true_log_odds <= stated + tolerance:
            assert (weights @ higher <= 1 + 1e-12).all()
        if true_log_odds >= stated - tolerance:
            assert (weights @ lower <= 1 + 1e-12).all()
        if true_log_odds > stated + tolerance + max(SHIFTS):
            assert (weights @ higher > 1).all()


@pytest.mark.parametrize("change", [0.2, 0.5, 1.0])
def test_slight_and_large_changes_are_found_as_fast_as_possible(change: float) -> None:
    """The logarithm of an e-value grows at most by the Kullback-Leibler divergence, on average."""
    edge, true = expit(0.25), expit(0.25 + change)
    of_outcomes = higher_share(np.zeros(2), np.array([1, 0]), 0.25)
    grows = np.array([true, 1 - true]) @ of_outcomes
    divergence = true * np.log(true / edge) + (1 - true) * np.log((1 - true) / (1 - edge))
    assert grows.max() == pytest.approx(divergence)


def test_mean_bet_is_at_most_one_while_the_mean_is_not_lower() -> None:
    for values in ([0.5, 0.9], [0.7, 0.7], [0.4, 1.0]):
        assert (np.exp(lower_mean(np.array(values), 0.7)).mean(axis=0) <= 1 + 1e-12).all()
    assert (np.exp(lower_mean(np.array([0.3, 0.5]), 0.7)).mean(axis=0) > 1).all()


def test_no_bet_loses_everything() -> None:
    assert np.isfinite(lower_mean(np.array([1.0]), 0.9)).all()


def test_days_are_multiplied_in_order() -> None:
    days, e_values = by_day(np.array([3, 1, 3]), np.array([[1.0], [2.0], [4.0]]))
    assert days.tolist() == [1, 3]
    assert e_values.tolist() == [[2.0], [5.0]]


def simulated(shift: float, years: int, begins: int = 100) -> list[int | None]:
    """Return the day of the first alarm after a change, for each of some simulated years."""
    rng = np.random.default_rng(7)
    alarms: list[int | None] = []
    for _ in range(years):
        log_odds = rng.normal(-1.5, 1.0, 365 * 5)
        day = np.arange(365 * 5) // 5
        true = expit(log_odds + np.where(day >= begins, shift, 0.0))
        label = (rng.random(len(true)) < true).astype(float)
        sides = [f(log_odds, label, 0.2) for f in (higher_share, lower_share)]
        detection = detect(*by_day(day, np.hstack(sides)))
        alarms.append(detection.reached)
    return alarms


def test_right_probabilities_raise_no_alarm_in_a_hundred_years() -> None:
    assert simulated(0.0, 100) == [None] * 100


def test_differences_within_the_tolerance_raise_no_alarm() -> None:
    assert simulated(0.2, 30) == [None] * 30


def test_wrong_probabilities_are_found_within_three_months() -> None:
    for shift in (1.0, -1.0):
        alarms = simulated(shift, 20)
        days = [day for day in alarms if day is not None]
        assert len(days) == len(alarms)
        assert min(days) > 100
        assert np.median(days) < 100 + 90
        assert max(days) < 220


def test_spread_of_months_that_differ_by_chance_is_small() -> None:
    rng = np.random.default_rng(0)
    by_chance = rng.normal(0, 0.2, (12, 200))
    assert np.median(spread(by_chance, np.full((12, 200), 25.0))) < 0.05
    with_seasons = by_chance + rng.normal(0, 0.5, (12, 200))
    assert 0.4 < np.median(spread(with_seasons, np.full((12, 200), 25.0))) < 0.6


def test_spread_without_precision_is_zero() -> None:
    assert spread(np.zeros((3, 2)), np.zeros((3, 2))).tolist() == [0.0, 0.0]


def test_interval_of_a_mean_holds_at_every_look() -> None:
    rng = np.random.default_rng(3)
    n = np.arange(1, 2_001)
    half = np.array([sequence_half_width(float(k), 1.0) for k in n])
    outside = 0
    for _ in range(400):
        means = np.cumsum(rng.normal(size=2_000)) / n
        outside += bool((np.abs(means) > half)[20:].any())
    assert outside <= 30  # 20 are expected at most


def test_interval_at_every_look_by_hand() -> None:
    # r = (a + log(a) + 1) / 500 with a = -2 log(0.05); the half width is the root of
    # 2 (n r + 1) / (n^2 r) log(sqrt(n r + 1) / 0.05).
    assert sequence_half_width(500, 1.0) == pytest.approx(0.135750, rel=1e-5)
    assert sequence_half_width(2_000, 3.0) == pytest.approx(3 * 0.0701827, rel=1e-5)
    assert np.isfinite(sequence_half_width(1, 1.0))
    assert sequence_half_width(0, 1.0) == float("inf")
