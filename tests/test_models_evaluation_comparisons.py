"""Comparisons of groups: tests, intervals, corrections, and no finding in random outcomes."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm.project import load_project
from crm.reading import read_records
from models.evaluation.comparisons import (
    Contrast,
    Verdict,
    additive_logit,
    contrast,
    corrected,
    counts_differ,
    effects_differ,
    lasting_trend,
    mean_ratio,
    means_differ,
    median_interval,
    ranks_differ,
    share_of,
    shares_differ,
    trend_z,
)
from reports.charts.report import rates_chart
from reports.report import build_report

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HALF = (50, 100)  # wins and leads


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
    own, others = rng.normal(1.0, 1.0, 40), rng.normal(0.5, 3.0, 60)
    error = np.sqrt(own.var(ddof=1) / 40 + others.var(ddof=1) / 60)
    expected = 2 * stats.norm.sf(abs(own.mean() - others.mean()) / error)
    assert means_differ(own, others) == pytest.approx(expected, rel=1e-12)


def test_the_sign_of_a_trend_is_its_direction() -> None:
    n = np.array([100, 100, 100])
    assert trend_z(np.array([30, 20, 10]), n) == -trend_z(np.array([10, 20, 30]), n) < -3


@pytest.mark.parametrize("wins", [[20, 20, 20], [0, 0, 0]])
def test_equal_shares_have_no_trend(wins: list[int]) -> None:
    assert trend_z(np.array(wins), np.array([100, 100, 100])) == 0


@pytest.mark.parametrize(("is_trending", "least", "most"), [(False, 0.0, 0.08), (True, 0.9, 1.0)])
def test_a_lasting_trend_is_more_than_scattered_months(
    is_trending: bool, least: float, most: float
) -> None:
    rng = np.random.default_rng(0)
    n, steps = np.full(12, 1_000), np.linspace(0.05, -0.05, 12)
    share = 0.15 + 0.02 * rng.standard_normal((400, 12))
    if is_trending:
        share += steps
    found = [lasting_trend(rng.binomial(n, row), n)[1] < 0.05 for row in share]
    assert least <= np.mean(found) <= most


@pytest.mark.parametrize(("wins", "n"), [([5, 50], [100, 100]), ([0] * 6, [9] * 6), ([], [])])
def test_two_months_or_no_wins_are_no_lasting_trend(wins: list[int], n: list[int]) -> None:
    months = np.array(wins, dtype=np.int64), np.array(n, dtype=np.int64)
    assert lasting_trend(*months) == (0.0, 1.0)


def test_three_months_can_be_a_lasting_trend() -> None:
    z, p = lasting_trend(np.array([1_000, 2_000, 3_000]), np.full(3, 10_000))
    assert z > 5
    assert p < 0.05


def test_halves_that_differ_against_the_trend_are_no_lasting_trend() -> None:
    wins = np.array([0, 60, 60, 50, 50, 0])
    z, p = lasting_trend(wins, np.array([10, 100, 100, 100, 100, 10]))
    assert z < 0
    assert p == 1.0 or p > 0.05


def test_the_interval_of_a_ratio_contains_it_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    own, rest = rng.binomial(300, 0.2, 2_000), rng.binomial(2_700, 0.1, 2_000)
    true = 0.2 / (0.1 * 0.2 + 0.9 * 0.1)
    contains = []
    for wins, rest_wins in zip(own, rest, strict=True):
        group = contrast(int(wins), 300, int(wins + rest_wins), 3_000)
        assert group.ratio_low is not None
        assert group.ratio_high is not None
        contains.append(group.ratio_low <= true <= group.ratio_high)
    assert np.mean(contains) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("wins", "is_on_log_scale"), [(10, True), (9, False)])
def test_the_interval_of_a_ratio_is_on_the_log_scale_from_ten_wins_on(
    wins: int, is_on_log_scale: bool
) -> None:
    group = contrast(wins, 100, 100, 1_000)
    assert group.ratio is not None
    assert group.ratio_low is not None
    assert group.ratio_high is not None
    is_symmetric = group.ratio_low * group.ratio_high == pytest.approx(group.ratio**2)
    assert is_symmetric == is_on_log_scale
    if not is_on_log_scale:
        assert group.ratio_low == pytest.approx(group.low / 0.1)


def test_a_group_of_all_leads_is_the_average() -> None:
    group = contrast(50, 500, 50, 500)
    assert (group.ratio, group.p, group.others) == (1, None, 0)


def test_without_any_win_there_is_no_ratio() -> None:
    group = contrast(0, 50, 0, 500)
    assert (group.value, group.ratio, group.is_significant) == (0, None, False)


def test_a_group_without_leads_has_no_value() -> None:
    group = contrast(0, 0, 5, 50)
    assert group.n == group.wins == 0
    assert np.isnan([group.value, group.low, group.high]).all()
    assert group.cells()["value"] is None
    assert group.verdict == Verdict.FEW_LEADS


@pytest.mark.parametrize(
    ("n", "all_n", "verdict"),
    [
        (30, 60, Verdict.ABOVE),
        (29, 1_000, Verdict.FEW_LEADS),
        (971, 1_000, Verdict.FEW_OTHERS),
    ],
)
def test_contrasts_need_30_leads_on_both_sides(n: int, all_n: int, verdict: Verdict) -> None:
    (group,) = corrected([contrast(n - 1, n, n, all_n)])
    assert group.verdict == verdict
    assert (group.p is None) != verdict.is_judged


@pytest.mark.parametrize(
    ("wins", "verdict", "is_difference"),
    [(80, Verdict.ABOVE, True), (20, Verdict.BELOW, True), (50, Verdict.UNCLEAR, False)],
)
def test_the_verdict_is_the_direction_of_a_clear_difference(
    wins: int, verdict: Verdict, is_difference: bool
) -> None:
    group = contrast(wins, 100, 500, 1_000)
    assert group.verdict == verdict
    assert group.is_significant == verdict.is_difference == is_difference


def amounts_of_a_cold_list() -> Contrast:
    amounts = np.zeros(1_000)
    amounts[:13] = amounts[400:460] = 500.0
    group = mean_ratio(amounts, np.arange(1_000) < 374)
    assert group is not None
    return group


def test_a_large_group_with_few_wins_has_too_few_wins() -> None:
    group = amounts_of_a_cold_list()
    assert (group.n, group.wins, group.p) == (374, 13, None)
    assert group.verdict == Verdict.FEW_WINS


def test_the_chart_marks_groups_with_too_few_wins() -> None:
    row = {**amounts_of_a_cold_list().cells(), "name": "Cold list"}
    drawn_chart = rates_chart([row], "", "", what="Revenue per lead", base=1.0, form=",")
    assert drawn_chart is not None
    chart = drawn_chart.to_dict()
    (kinds,) = {
        tuple(layer["encoding"]["color"]["scale"]["domain"])
        for layer in chart["layer"]
        if "color" in layer["encoding"]
    }
    (drawn,) = (row for rows in chart["datasets"].values() for row in rows if "legend" in row)
    assert kinds[-1] == drawn["legend"] == "too few to tell"


def test_correction_keeps_the_chance_of_a_false_finding_below_5_percent() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(300):
        wins = rng.binomial(200, 0.1, 40)
        groups = [contrast(int(w), 200, int(wins.sum()), 8_000) for w in wins]
        alarms += any(group.is_significant for group in corrected(groups))
    assert alarms / 300 < 0.08  # 0.05, and chance


def test_correction_ignores_groups_that_are_not_judged() -> None:
    small, large = contrast(5, 10, 100, 1_000), contrast(30, 100, 100, 1_000)
    assert corrected([small, large]) == [small, large]
    assert corrected([]) == []


def test_the_interval_of_a_median_contains_it_19_times_of_20() -> None:
    rng = np.random.default_rng(2)
    medians = [median_interval(rng.exponential(size=75)) for _ in range(1_000)]
    contains = [m.low <= np.log(2) <= m.high for m in medians if m is not None]
    assert np.mean(contains) > 0.94


def test_a_median_can_be_infinite() -> None:
    median = median_interval(np.array([1.0, np.inf, np.inf]))
    assert median is not None
    assert median.value == np.inf


def test_the_median_of_one_value_is_that_value() -> None:
    median = median_interval(np.array([4.0]))
    assert median is not None
    assert (median.n, median.value, median.low, median.high, median.late) == (1, 4, 4, 4, 4)


def test_an_empty_array_has_no_median() -> None:
    assert median_interval(np.zeros(0)) is None


def test_additive_effects_leave_no_residual() -> None:
    odds = np.outer([1.0, 3.0], [0.1, 0.2, 0.4])
    n = np.full((2, 3), 10_000)
    wins = np.rint(n * odds / (1 + odds)).astype(np.int64)
    fit = additive_logit(wins, n)
    assert np.abs(fit.residual).max() < 0.1
    assert fit.deviance < 0.1
    assert fit.expected == pytest.approx(wins / n, abs=1e-4)


def test_the_deviance_of_a_two_by_two_table_tests_the_interaction() -> None:
    wins, n = np.array([[100, 100], [100, 300]]), np.full((2, 2), 1_000)
    fit = additive_logit(wins, n)
    assert stats.chi2.sf(fit.deviance, 1) == pytest.approx(
        2 * stats.norm.sf(abs(fit.residual[0, 0])), abs=1e-6
    )
    assert fit.residual[0, 0] == pytest.approx(-fit.residual[0, 1])


def test_a_pair_without_leads_has_no_residual() -> None:
    fit = additive_logit(np.array([[1, 0], [5, 9]]), np.array([[10, 0], [20, 30]]))
    assert np.isnan(fit.residual[0, 1])


@pytest.mark.parametrize(("cell", "sign"), [((0, 0), 1), ((0, 1), -1), ((1, 0), -1), ((1, 1), 1)])
def test_the_contrast_of_effects_is_inside_minus_outside(cell: tuple[int, int], sign: int) -> None:
    wins, n = np.full((2, 2), 50), np.full((2, 2), 100)
    wins[cell] = 80
    log_odds = np.log(80.5 / 20.5)
    difference, p = effects_differ(wins, n)
    assert difference == pytest.approx(sign * log_odds)
    error = np.sqrt(6 / 50.5 + 1 / 80.5 + 1 / 20.5)
    assert p == pytest.approx(2 * stats.norm.sf(log_odds / error))


def test_a_mean_is_compared_as_a_share_is() -> None:
    rng = np.random.default_rng(3)
    values = (rng.random(5_000) < 0.1).astype(float)
    is_in = np.arange(5_000) < 1_000
    mean = mean_ratio(values, is_in)
    share = contrast(int(values[is_in].sum()), 1_000, int(values.sum()), 5_000)
    assert mean is not None
    assert mean.wins == share.wins
    assert mean.ratio_low == pytest.approx(share.ratio_low, rel=0.01)
    assert mean.ratio_high == pytest.approx(share.ratio_high, rel=0.01)
    assert mean.p == pytest.approx(share.p, abs=0.02)
    assert (mean.low, mean.high) == pytest.approx((share.low, share.high), abs=0.002)


@pytest.mark.parametrize(
    ("wins", "n", "others", "is_judged"),
    [(30, 40, 30, True), (29, 40, 30, False), (30, 40, 29, False)],
)
def test_a_mean_needs_30_wins_and_30_others(
    wins: int, n: int, others: int, is_judged: bool
) -> None:
    values = np.zeros(n + others)
    values[:wins] = np.arange(1, wins + 1)
    values[n] = 1.0
    group = mean_ratio(values, np.arange(n + others) < n)
    assert group is not None
    assert (group.p is not None) == (group.ratio_low is not None) == is_judged


def test_a_mean_of_one_lead_or_of_zeros_is_not_compared() -> None:
    assert mean_ratio(np.ones(50), np.arange(50) < 1) is None
    assert mean_ratio(np.zeros(50), np.arange(50) < 20) is None
    assert mean_ratio(np.ones(50), np.arange(50) < 2) is not None


def test_a_share_has_wilsons_interval() -> None:
    share = share_of(*HALF)
    expected = stats.binomtest(*HALF).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_random_outcomes_give_no_takeaways(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    n = 3_000
    created = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 500, n), "D")
    won = rng.random(n) < 0.2
    leads = pd.DataFrame(
        {
            "lead_id": [f"l{i}" for i in range(n)],
            "created_at": created,
            "source": rng.choice(list("abcdefghijkl"), n),
            "industry": rng.choice(list("mnopqrst"), n),
            "country": rng.choice(list("uvwxyz"), n),
        }
    )
    leads.to_csv(tmp_path / "leads.csv", index=False)
    pd.DataFrame(
        {
            "lead_id": leads["lead_id"],
            "outcome": np.where(won, "won", "lost"),
            "closed_at": created + pd.to_timedelta(rng.exponential(20, n) + 1, "D"),
        }
    ).to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv"}
        outcomes = {source = "outcomes.csv"}
        learn = {won = ["won"], lost = ["lost"]}
    """)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project, NOW), NOW)
    takeaways = [t.sentence for page in report.pages for t in page.takeaways if page.slug != "age"]
    figures = [f for page in report.pages for s in page.sections for f in s.figures]
    assert takeaways == []
    assert sum(len(figure.rows) for figure in figures) > 80
