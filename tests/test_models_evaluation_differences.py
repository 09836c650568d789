"""Tests of differences: equal to scipy, and the exact test for small counts."""

import numpy as np
import pytest
from scipy import stats

from models.evaluation.differences import counts_differ, means_differ, ranks_differ, shares_differ


@pytest.mark.parametrize("table", [(30, 100, 50, 300), (5, 40, 100, 300)])
def test_shares_differ_is_the_score_test(table: tuple[int, int, int, int]) -> None:
    wins, n, other_wins, other_n = table
    expected = stats.chi2_contingency(
        [[wins, n - wins], [other_wins, other_n - other_wins]], correction=False
    ).pvalue
    assert shares_differ(*table) == pytest.approx(expected)


def test_shares_differ_is_fishers_test_if_few_wins_are_expected() -> None:
    null = stats.hypergeom(120, 6, 40)
    assert shares_differ(5, 40, 1, 80) == pytest.approx(2 * null.sf(4))


def test_shares_differ_is_the_score_test_from_five_expected_wins_on() -> None:
    score_test = stats.chi2_contingency([[9, 41], [1, 49]], correction=False).pvalue
    assert shares_differ(9, 50, 1, 50) == pytest.approx(score_test)  # 10 wins: 5 expected
    exact = stats.fisher_exact(np.array([[8, 42], [1, 49]])).pvalue
    assert shares_differ(8, 50, 1, 50) == pytest.approx(exact)  # 9 wins: 4.5 expected


def test_counts_differ_is_the_binomial_test() -> None:
    assert counts_differ(12, 30) == pytest.approx(stats.binomtest(12, 42).pvalue)


def test_ranks_differ_is_mann_and_whitneys_test() -> None:
    values = np.array([1.0, 2, 2, 3, 5, 8, 13, 21, 3, 2])
    is_in = np.arange(10) < 4
    # By hand: rank sum 14 against 22 expected; variance 44 - 4 / 5 * 3.5 for the ties.
    variance = 4 * 6 / 12 * (11 - ((3**3 - 3) + (2**3 - 2)) / 90)
    z = (12.5 - 22) / np.sqrt(variance)
    assert ranks_differ(values, is_in) == pytest.approx(2 * stats.norm.cdf(z), rel=1e-12)


@pytest.mark.parametrize("is_in", [[True] * 3, [False] * 3, [True, False, False]])
def test_ranks_of_equal_values_or_one_side_do_not_differ(is_in: list[bool]) -> None:
    assert ranks_differ(np.ones(3), np.array(is_in)) == 1.0


def test_means_differ_is_welchs_statistic_against_the_normal_distribution() -> None:
    rng = np.random.default_rng(5)
    group, other_group = rng.normal(1.0, 1.0, 40), rng.normal(0.5, 3.0, 60)
    error = np.sqrt(group.var(ddof=1) / 40 + other_group.var(ddof=1) / 60)
    expected = 2 * stats.norm.sf(abs(group.mean() - other_group.mean()) / error)
    assert means_differ(group, other_group) == pytest.approx(expected, rel=1e-12)


def test_means_of_constant_values_do_not_differ() -> None:
    assert means_differ(np.ones(3), np.full(4, 2.0)) == 1.0


def test_mean_of_a_constant_group_is_compared_with_values_that_vary() -> None:
    varying = np.array([0.0, 1.0, 2.0, 3.0])
    error = np.sqrt(varying.var(ddof=1) / 4)
    expected = 2 * stats.norm.sf(abs(9 - varying.mean()) / error)
    assert means_differ(np.full(3, 9.0), varying) == pytest.approx(expected, rel=1e-12)
