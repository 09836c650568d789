"""Calibration: affine in log-odds, and always increasing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.calibration import SLOPE_RANGE, Calibration, fit_calibration


def draw(n: int, slope: float, intercept: float, seed: int = 0) -> Any:
    """Draw margins whose true log-odds are `slope` · margin + `intercept`, and labels."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(-1.0, 1.5, n)
    label = (generator.random(n) < expit(slope * raw + intercept)).astype(np.int8)
    return raw, label


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -0.7), (1.6, 0.4)])
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


@pytest.mark.parametrize(("wins", "losses"), [(3, 7), (0, 5), (40, 0)])
def test_targets_are_smoothed_as_platt_proposed(wins: int, losses: int) -> None:
    """If the margins contain no information, the probability is the mean of the targets."""
    label = np.array([1] * wins + [0] * losses, dtype=np.int8)
    calibration = fit_calibration(np.zeros(len(label)), label, np.ones(len(label)))
    targets = wins * (wins + 1) / (wins + 2) + losses * 1 / (losses + 2)
    expected = targets / (wins + losses)
    assert calibration.probability(np.zeros(1)) == pytest.approx([expected], abs=1e-4)
