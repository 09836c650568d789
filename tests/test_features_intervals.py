"""Wilson's interval, against published values, scipy and its own definition."""

import math

import pytest
from scipy.stats import binomtest

from features.intervals import LEVEL, Z, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_the_intervals_published_by_newcombe(
    hits: int, n: int, low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I, method 3."""
    assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 40, 1_000])
def test_wilson_equals_scipy_for_whole_numbers(n: int) -> None:
    for hits in range(0, n + 1, max(1, n // 7)):
        expected = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
        assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-7)


@pytest.mark.parametrize("z", [1.0, 1.96, Z, 2.576])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
@pytest.mark.parametrize("n", [3.7, 25.5, 9_000.25])
def test_wilson_bounds_are_z_standard_errors_from_the_share(
    share: float, n: float, z: float
) -> None:
    """At a bound p the share lies z standard errors of p away, which defines the interval."""
    for bound in wilson(share, n, z):
        distance = abs(share - bound) / math.sqrt(bound * (1 - bound) / n)
        assert distance == pytest.approx(z, rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_wilson_stays_within_0_and_1(share: float) -> None:
    for n in range(1, 200):
        low, high = wilson(share, n)
        assert 0.0 <= low < high <= 1.0
        assert share in (low, high) or abs(share - (low if share == 0 else high)) < 1e-12


def test_wilson_of_no_observations_is_the_whole_range() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)
