"""The calibration error: its interval contains the true error, and its value by chance is right."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, logit

from crm.arrays import Floats, Ints
from models.evaluation.calibration_error import CalibrationError, calibration_error
from models.evaluation.metrics import N_BINS

RUNS = 120
N_LEADS = 600


def tenths(probability: Floats) -> Ints:
    """Return the bin of each probability, ten bins of equal size, highest first."""
    place = np.argsort(np.argsort(-probability, kind="stable"))
    return place * N_BINS // len(probability)


# The log-odds that a model states, from the log-odds with which a lead is truly won.
STATED: dict[str, Callable[[Floats], Floats]] = {
    "right": lambda log_odds: log_odds,
    "too high": lambda log_odds: log_odds + 0.14,
    "far too high": lambda log_odds: log_odds + 0.45,
    "too spread": lambda log_odds: 1.16 * log_odds + 0.22,
    "up and down": lambda log_odds: log_odds + 0.25 * np.sin(2 * log_odds),
    "rare and right": lambda log_odds: log_odds - 3.0,
}


def draw_leads(kind: str, n: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the true and the stated probabilities of leads."""
    log_odds = generator.normal(-1.4, 1.2, n)
    true_log_odds = log_odds - 3.0 if kind == "rare and right" else log_odds
    return expit(true_log_odds), expit(STATED[kind](log_odds))


def true_error(kind: str, generator: np.random.Generator) -> float:
    """Compute the calibration error on so many leads that chance hardly matters."""
    true, stated = draw_leads(kind, 400_000, generator)
    bins = tenths(stated)
    return float(np.abs(np.bincount(bins, stated - true)).sum() / len(bins))


def measure(kind: str, times: int, generator: np.random.Generator) -> CalibrationError:
    """Measure the error on new leads, each with some moments that all end in the same way."""
    true, stated = draw_leads(kind, N_LEADS, generator)
    won = np.repeat((generator.random(N_LEADS) < true).astype(float), times)
    stated = np.repeat(stated, times)
    lead = np.repeat(np.arange(N_LEADS), times)
    return calibration_error(stated, won, np.ones(len(won)), lead, tenths(stated))


@pytest.mark.parametrize(
    ("kind", "times"), [*((kind, 1) for kind in STATED), ("right", 3), ("too high", 3)]
)
def test_interval_contains_the_true_error_in_nine_of_ten_runs(kind: str, times: int) -> None:
    generator = np.random.default_rng(1)
    error = true_error(kind, generator)
    measured = [measure(kind, times, generator) for _ in range(RUNS)]
    assert all(result.low <= result.value <= result.high for result in measured)
    assert sum(result.low <= error <= result.high for result in measured) >= 0.9 * RUNS


@pytest.mark.parametrize(("kind", "times"), [("right", 1), ("rare and right", 1), ("right", 3)])
def test_error_of_correct_probabilities_is_the_error_by_chance(kind: str, times: int) -> None:
    generator = np.random.default_rng(1)
    measured = [measure(kind, times, generator) for _ in range(RUNS)]
    by_chance = np.mean([result.by_chance for result in measured])
    assert np.mean([result.value for result in measured]) == pytest.approx(by_chance, rel=0.1)


def test_interval_is_narrow_for_a_large_error() -> None:
    won = (np.arange(4_000) % 5 == 0).astype(float)
    stated = np.full(4_000, expit(logit(0.2) + 0.5))
    one_bin = np.zeros(4_000, dtype=np.int64)
    result = calibration_error(stated, won, np.ones(4_000), np.arange(4_000), one_bin)
    assert result.value == pytest.approx(stated[0] - 0.2)
    half_width = 1.96 * np.sqrt(stated[0] * (1 - stated[0]) / 4_000)
    assert (result.low, result.high) == pytest.approx(
        (result.value - half_width, result.value + half_width), abs=0.001
    )


@pytest.mark.parametrize("won", [0.0, 1.0])
def test_interval_of_leads_with_equal_outcomes_is_wide(won: float) -> None:
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
