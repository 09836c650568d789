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
    contrast,
    corrected,
    mean_ratio,
    share_of,
)
from reports.charts.groups import (
    rates_chart,
)
from reports.report import build_report

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HALF = (50, 100)  # wins and leads


def test_interval_of_a_ratio_contains_it_in_19_of_20_samples() -> None:
    rng = np.random.default_rng(0)
    wins_of_group, wins_of_others = rng.binomial(300, 0.2, 2_000), rng.binomial(2_700, 0.1, 2_000)
    true_ratio = 0.2 / (0.1 * 0.2 + 0.9 * 0.1)
    contains = []
    for wins, other_wins in zip(wins_of_group, wins_of_others, strict=True):
        group = contrast(int(wins), 300, int(wins + other_wins), 3_000)
        assert group.ratio_low is not None
        assert group.ratio_high is not None
        contains.append(group.ratio_low <= true_ratio <= group.ratio_high)
    assert np.mean(contains) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("wins", "is_on_log_scale"), [(9, False), (10, True), (90, True), (91, False), (100, False)]
)
def test_interval_of_a_ratio_is_on_the_log_scale_from_ten_wins_and_ten_others(
    wins: int, is_on_log_scale: bool
) -> None:
    group = contrast(wins, 100, 200, 1_000)
    assert group.ratio is not None
    assert group.ratio_low is not None
    assert group.ratio_high is not None
    is_symmetric = group.ratio_low * group.ratio_high == pytest.approx(group.ratio**2)
    assert is_symmetric == is_on_log_scale
    if not is_on_log_scale:
        assert (group.ratio_low, group.ratio_high) == pytest.approx(
            (group.low / 0.2, group.high / 0.2)
        )


@pytest.mark.parametrize(("wins", "n"), [(50, 500), (3, 500), (500, 500), (2, 9)])
def test_group_of_all_leads_is_the_average_and_has_no_interval(wins: int, n: int) -> None:
    group = contrast(wins, n, wins, n)
    assert (group.ratio, group.ratio_low, group.ratio_high, group.p) == (1, None, None, None)
    assert group.verdict == Verdict.SAME
    assert not group.verdict.is_judged
    assert (group.low, group.high) == (share_of(wins, n).low, share_of(wins, n).high)


def test_group_is_not_compared_if_all_leads_have_the_result() -> None:
    group = contrast(100, 100, 1_000, 1_000)
    assert (group.ratio, group.ratio_low, group.ratio_high, group.p) == (1, None, None, None)
    assert group.verdict == Verdict.SAME
    assert contrast(100, 100, 999, 1_000).verdict == Verdict.UNCLEAR


def test_mean_of_all_leads_is_the_average_and_has_no_interval() -> None:
    group = mean_ratio(np.arange(100.0), np.ones(100, dtype=bool))
    assert group is not None
    assert (group.ratio, group.ratio_low, group.ratio_high, group.p) == (1, None, None, None)
    assert group.verdict == Verdict.SAME


def test_groups_without_any_win_have_no_ratio() -> None:
    group = contrast(0, 50, 0, 500)
    assert (group.value, group.ratio, group.is_significant) == (0, None, False)


def test_group_without_leads_has_no_value() -> None:
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
def test_verdict_is_the_direction_of_a_clear_difference(
    wins: int, verdict: Verdict, is_difference: bool
) -> None:
    group = contrast(wins, 100, 500, 1_000)
    assert group.verdict == verdict
    assert group.is_significant == verdict.is_difference == is_difference


def amounts_of_a_cold_list() -> Contrast:
    """Compare the amounts of 374 leads, 13 of which bought something, with those of all leads."""
    amounts = np.zeros(1_000)
    amounts[:13] = amounts[400:460] = 500.0
    group = mean_ratio(amounts, np.arange(1_000) < 374)
    assert group is not None
    return group


def test_large_group_with_few_wins_has_too_few_wins() -> None:
    group = amounts_of_a_cold_list()
    assert (group.n, group.wins, group.p) == (374, 13, None)
    assert group.verdict == Verdict.FEW_WINS


def test_chart_marks_groups_with_too_few_wins() -> None:
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


def test_mean_is_compared_like_a_share() -> None:
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
    ("wins", "n", "n_others", "is_judged"),
    [(30, 40, 30, True), (29, 40, 30, False), (30, 40, 29, False)],
)
def test_mean_needs_30_wins_and_30_others(
    wins: int, n: int, n_others: int, is_judged: bool
) -> None:
    values = np.zeros(n + n_others)
    values[:wins] = np.arange(1, wins + 1)
    values[n] = 1.0
    group = mean_ratio(values, np.arange(n + n_others) < n)
    assert group is not None
    assert (group.p is not None) == (group.ratio_low is not None) == is_judged


def test_mean_of_one_lead_or_of_zeros_is_not_compared() -> None:
    assert mean_ratio(np.ones(50), np.arange(50) < 1) is None
    assert mean_ratio(np.zeros(50), np.arange(50) < 20) is None
    assert mean_ratio(np.ones(50), np.arange(50) < 2) is not None


def test_share_has_wilsons_interval() -> None:
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
    pages = [page for page in report.pages if page.slug != "age"]
    assert [takeaway.sentence for page in pages for takeaway in page.takeaways] == []
    sections = [section for page in report.pages for section in page.sections]
    n_rows = sum(len(figure.rows) for section in sections for figure in section.figures)
    assert n_rows > 80
