"""The calibration error: its interval holds the true one, and what chance makes of right ones."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from models.evaluation.calibration_error import calibration_error
from models.evaluation.metrics import N_BINS

RUNS = 120


def tenths(probability: np.ndarray) -> np.ndarray:
    place = np.argsort(np.argsort(-probability, kind="stable"))
    return place * N_BINS // len(probability)


# What is stated of a lead that is truly won with these log-odds.
STATED = {
    "right": lambda margin: margin,
    "too high": lambda margin: margin + 0.14,
    "far too high": lambda margin: margin + 0.45,
    "too spread": lambda margin: 1.16 * margin + 0.22,
    "up and down": lambda margin: margin + 0.25 * np.sin(2 * margin),
    "rare and right": lambda margin: margin - 3.0,
}


@pytest.mark.parametrize(
    ("kind", "times"), [*((kind, 1) for kind in STATED), ("right", 3), ("too high", 3)]
)
def test_interval_contains_the_true_error_in_nine_of_ten_runs(kind: Any, times: Any) -> None:
    generator = np.random.default_rng(1)

    def world(n: int) -> tuple[np.ndarray, np.ndarray]:
        margin = generator.normal(-1.4, 1.2, n)
        stated = STATED[kind](margin)
        return expit(margin - 3.0 if "rare" in kind else margin), expit(stated)

    true, stated = world(400_000)
    bins = tenths(stated)
    error = np.abs(np.bincount(bins, stated - true)).sum() / len(bins)
    held, lead = 0, np.repeat(np.arange(600), times)
    values, chance = [], []
    for _ in range(RUNS):
        true, stated = world(600)
        # Moments of one lead end the same way: three of them tell no more than one.
        won = np.repeat((generator.random(600) < true).astype(float), times)
        stated = np.repeat(stated, times)
        result = calibration_error(stated, won, np.ones(len(won)), lead, tenths(stated))
        assert result.low <= result.value <= result.high
        held += result.low <= error <= result.high
        values.append(result.value)
        chance.append(result.by_chance)
    assert held >= 0.9 * RUNS
    if "right" in kind:
        assert np.mean(values) == pytest.approx(np.mean(chance), rel=0.1)


def test_interval_is_narrow_for_a_large_error() -> None:
    won = (np.arange(4_000) % 5 == 0).astype(float)
    stated = np.full(4_000, expit(logit(0.2) + 0.5))
    one_bin = np.zeros(4_000, dtype=np.int64)
    result = calibration_error(stated, won, np.ones(4_000), np.arange(4_000), one_bin)
    assert result.value == pytest.approx(stated[0] - 0.2)
    half = 1.96 * np.sqrt(stated[0] * (1 - stated[0]) / 4_000)
    assert (result.low, result.high) == pytest.approx(
        (result.value - half, result.value + half), abs=0.001
    )


@pytest.mark.parametrize("won", [0.0, 1.0])
def test_bins_with_one_outcome_keep_an_uncertain_interval(won: float) -> None:
    n = 30
    result = calibration_error(
        np.full(n, 0.1 if won == 0 else 0.9),
        np.full(n, won),
        np.ones(n),
        np.arange(n),
        np.arange(n) * N_BINS // n,
    )
    assert result.value == pytest.approx(0.1)
    assert result.low == 0
    assert result.high > 0.15
