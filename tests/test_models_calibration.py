"""Calibration: affine in log-odds, and always increasing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from crm.arrays import Floats, Labels
from models.calibration import SLOPE_RANGE, Calibration, fit_calibration


def draw(n: int, slope: float, intercept: float, seed: int = 0) -> Any:
    """Draw margins whose true log-odds are `slope` · margin + `intercept`, and labels."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(-1.0, 1.5, n)
    label = (generator.random(n) < expit(slope * raw + intercept)).astype(np.int8)
    return raw, label


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -0.7), (0.8, 0.4)])
def test_fit_recovers_a_known_distortion(slope: float, intercept: float) -> None:
    raw, label = draw(50_000, slope, intercept)
    calibration = fit_calibration(raw, label, np.ones(50_000))
    assert calibration.slope == pytest.approx(slope, abs=0.06)
    assert calibration.intercept == pytest.approx(intercept, abs=0.06)
    assert calibration.probability(raw).mean() == pytest.approx(label.mean(), abs=0.001)


@pytest.mark.parametrize(
    ("slope", "fitted"), [(-1.0, SLOPE_RANGE[0]), (0.0, SLOPE_RANGE[0]), (5.0, SLOPE_RANGE[1])]
)
def test_slope_is_clipped_to_its_range(slope: float, fitted: float) -> None:
    raw, label = draw(20_000, slope, 0.0)
    assert fit_calibration(raw, label, np.ones(20_000)).slope == pytest.approx(fitted)


def test_slope_above_one_needs_many_leads() -> None:
    def fitted(n: int) -> list[float]:
        drawn = [draw(n, 1.25, 0.0, seed) for seed in range(20)]
        return [fit_calibration(raw, label, np.ones(n)).slope for raw, label in drawn]

    assert max(fitted(50)) < 1.1
    assert 1.03 < np.mean(fitted(500)) < 1.15
    assert np.mean(fitted(20_000)) == pytest.approx(1.25, abs=0.03)


def test_weights_equal_repeated_rows() -> None:
    raw, label = draw(300, 0.8, -0.2)
    times = np.random.default_rng(1).integers(1, 4, 300)
    weighted = fit_calibration(raw, label, times.astype(np.float64))
    repeated = fit_calibration(np.repeat(raw, times), np.repeat(label, times), np.ones(times.sum()))
    assert (weighted.slope, weighted.intercept) == pytest.approx(
        (repeated.slope, repeated.intercept), abs=1e-3
    )


@settings(deadline=None, max_examples=50)
@given(
    raw=st.lists(st.floats(-40, 40), min_size=2, max_size=40),
    data=st.data(),
)
def test_calibration_is_increasing_and_finite(raw: list[float], data: Any) -> None:
    label = data.draw(st.lists(st.integers(0, 1), min_size=len(raw), max_size=len(raw)))
    labels = np.array(label, dtype=np.int8)
    calibration = fit_calibration(np.array(raw), labels, np.ones(len(raw)))
    low, high = SLOPE_RANGE
    assert low <= calibration.slope <= high
    probability = calibration.probability(np.sort(np.array(raw)))
    assert np.isfinite(probability).all()
    assert (probability >= 0).all()
    assert (probability <= 1).all()
    assert (np.diff(probability) >= 0).all()


def test_calibrated_contributions_add_up_to_the_margin() -> None:
    calibration = Calibration(slope=0.5, intercept=-1.0)
    parts = np.array([[0.3, -0.2, 1.1]])
    log_odds = calibration.log_odds_of(parts.sum(axis=1))
    assert log_odds == pytest.approx((calibration.slope * parts).sum(axis=1) - 1.0)
    assert calibration.probability(parts.sum(axis=1)) == pytest.approx(expit(log_odds))


@pytest.mark.parametrize(("wins", "losses"), [(3, 7), (0, 5), (40, 0), (300, 700)])
def test_targets_are_smoothed_and_pulled_to_the_estimate(wins: int, losses: int) -> None:
    """If the margins contain no information, the probability is the mean of the targets.

    They are those of Platt, and ten more with the probability that the estimator gives.
    """
    label = np.array([1] * wins + [0] * losses, dtype=np.int8)
    for margin in (0.0, -1.5):
        raw = np.full(len(label), margin)
        calibration = fit_calibration(raw, label, np.ones(len(label)))
        targets = wins * (wins + 1) / (wins + 2) + losses * 1 / (losses + 2)
        expected = (targets + 10 * expit(margin)) / (wins + losses + 10)
        assert calibration.probability(raw[:1]) == pytest.approx([expected], abs=1e-4)


# -- the pull to slope 1 and intercept 0 -----------------------------------------------------


def by_newton(raw: Floats, label: Labels, weight: Floats) -> tuple[float, float]:
    """Fit slope and intercept to the targets and ten more rows, by Newton's method."""
    won, lost = weight[label == 1].sum(), weight[label == 0].sum()
    target = np.where(label == 1, (won + 1) / (won + 2), 1 / (lost + 2))
    # Ten rows in all, which are distributed as the rows are and say that the estimator is right.
    rows = np.r_[raw, raw]
    targets = np.r_[target, expit(raw)]
    weights = np.r_[weight, 10 * weight / weight.sum()]
    design = np.column_stack([rows, np.ones(len(rows))])
    fitted = np.array([0.5, 0.0])
    for _ in range(100):
        probability = expit(design @ fitted)
        gradient = design.T @ (weights * (targets - probability))
        hessian = (design * (weights * probability * (1 - probability))[:, None]).T @ design
        fitted = fitted + np.linalg.solve(hessian, gradient)
    return float(fitted[0]), float(fitted[1])


@pytest.mark.parametrize("n", [12, 60, 600])
@pytest.mark.parametrize("seed", range(5))
def test_fit_equals_newtons_method_with_ten_more_rows(n: int, seed: int) -> None:
    raw, label = draw(n, 0.5, -0.4, seed)
    weight = np.random.default_rng(seed).uniform(0.2, 2, n)
    calibration = fit_calibration(raw, label, weight)
    slope, intercept = by_newton(raw, label, weight)
    if SLOPE_RANGE[0] <= slope <= 1.0:
        assert (calibration.slope, calibration.intercept) == pytest.approx(
            (slope, intercept), abs=1e-3
        )
    else:
        assert (calibration.slope == SLOPE_RANGE[0]) == (slope < SLOPE_RANGE[0])
        assert (1.0 <= calibration.slope < slope) == (slope > 1.0)


def test_pull_is_weaker_with_more_rows() -> None:
    raw, label = np.tile([-2.0, 2.0], 6), np.tile(np.array([0, 1, 1, 0], dtype=np.int8), 3)
    slopes = [
        fit_calibration(np.tile(raw, times), np.tile(label, times), np.ones(12 * times)).slope
        for times in (1, 5, 50)
    ]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] > 0.35
    assert slopes[-1] == pytest.approx(SLOPE_RANGE[0])


def test_calibrated_estimates_stay_as_they_are() -> None:
    raw = np.repeat(np.random.default_rng(0).normal(-1, 1.5, 10_000), 2)
    label = np.tile(np.array([0, 1], dtype=np.int8), 10_000)
    calibration = fit_calibration(raw, label, np.where(label == 1, expit(raw), expit(-raw)))
    assert calibration.slope == pytest.approx(1.0, abs=0.002)
    assert calibration.intercept == pytest.approx(0.0, abs=0.002)
