"""What may be said: intervals, tests, corrections, and no finding where there is none."""

import datetime

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crm.project import load_project
from crm.reading import read_records
from models.evaluation.comparisons import (
    additive,
    contrast,
    corrected,
    lasting_trend,
    mean_ratio,
    middle,
    ranks_differ,
    trend,
    two_counts,
    two_shares,
)
from reports.charts.report import rates_chart
from reports.report import build_report

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("table", [(30, 100, 50, 300), (5, 40, 100, 300)])
def test_two_shares_is_the_score_test(table) -> None:
    wins, n, other_wins, other_n = table
    expected = stats.chi2_contingency(
        [[wins, n - wins], [other_wins, other_n - other_wins]], correction=False
    ).pvalue
    assert two_shares(*table) == pytest.approx(expected)


def test_two_shares_is_fishers_where_few_are_expected() -> None:
    spread = stats.hypergeom(120, 6, 40)
    assert two_shares(5, 40, 1, 80) == pytest.approx(2 * spread.sf(4))


def test_two_counts_is_the_binomial_test() -> None:
    assert two_counts(12, 30) == pytest.approx(stats.binomtest(12, 42).pvalue)


def test_ranks_differ_is_mann_and_whitneys() -> None:
    values = np.array([1.0, 2, 2, 3, 5, 8, 13, 21, 3, 2])
    is_in = np.arange(10) < 4
    expected = stats.mannwhitneyu(
        values[is_in], values[~is_in], method="asymptotic", use_continuity=False
    ).pvalue
    assert ranks_differ(values, is_in) == pytest.approx(expected)


def test_a_trend_has_the_sign_of_its_direction() -> None:
    n = np.array([100, 100, 100])
    assert trend(np.array([30, 20, 10]), n) == -trend(np.array([10, 20, 30]), n) < -3
    assert trend(np.array([20, 20, 20]), n) == 0
    assert trend(np.zeros(3, dtype=int), n) == 0


def test_months_that_stand_out_by_themselves_are_no_trend() -> None:
    rng = np.random.default_rng(0)
    n, steps = np.full(12, 1_000), np.linspace(0.05, -0.05, 12)

    def found(trending: bool) -> float:
        share = 0.15 + 0.02 * rng.standard_normal((400, 12)) + steps * trending
        return float(np.mean([lasting_trend(rng.binomial(n, row), n)[1] < 0.05 for row in share]))

    assert found(trending=False) < 0.08
    assert found(trending=True) > 0.9
    assert lasting_trend(n[:2] // 2, n[:2]) == lasting_trend(n * 0, n) == (0.0, 1.0)


def test_the_interval_of_a_ratio_holds_it_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    own, rest = rng.binomial(300, 0.2, 2_000), rng.binomial(2_700, 0.1, 2_000)
    true = 0.2 / (0.1 * 0.2 + 0.9 * 0.1)
    held = [
        found.ratio_low <= true <= found.ratio_high
        for found in (
            contrast(int(a), 300, int(a + b), 3_000) for a, b in zip(own, rest, strict=True)
        )
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_a_group_of_all_leads_is_the_average() -> None:
    found = contrast(50, 500, 50, 500)
    assert (found.ratio, found.p) == (1, None)


def test_nobody_won_is_no_ratio() -> None:
    found = contrast(0, 50, 0, 500)
    assert (found.value, found.ratio, found.holds) == (0, None, False)


def test_few_leads_are_not_judged() -> None:
    assert contrast(20, 29, 100, 1_000).p is None
    assert corrected([contrast(20, 29, 100, 1_000)])[0].row()["verdict"] == "too few to judge"


def test_a_large_group_with_few_wins_is_told_apart_from_one_with_few_others() -> None:
    amounts = np.zeros(1_000)
    amounts[:13] = amounts[400:460] = 500.0
    is_in = np.arange(1_000) < 374
    found = mean_ratio(amounts, is_in)
    assert found is not None
    assert (found.n, found.wins, found.p) == (374, 13, None)
    assert found.row()["verdict"] == "too few wins to judge"
    assert contrast(90, 980, 100, 1_000).row()["verdict"] == "too few others to judge"
    row = {**found.row(), "name": "Cold list"}
    chart = rates_chart([row], "", "", what="Revenue per lead", base=1.0, form=",").to_dict()
    (kinds,) = {
        tuple(layer["encoding"]["color"]["scale"]["domain"])
        for layer in chart["layer"]
        if "color" in layer["encoding"]
    }
    assert kinds[-1] == "too few to judge"
    (drawn,) = (row for rows in chart["datasets"].values() for row in rows if "found" in row)
    assert drawn["found"] == "too few to judge"


def test_correction_keeps_any_false_finding_below_5_percent() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(300):
        wins = rng.binomial(200, 0.1, 40)
        looks = [contrast(int(w), 200, int(wins.sum()), 8_000) for w in wins]
        alarms += any(each.holds for each in corrected(looks))
    assert alarms / 300 < 0.08  # 0.05, and chance


def test_the_interval_of_a_median_holds_it_19_times_of_20() -> None:
    rng = np.random.default_rng(2)
    found = [middle(rng.exponential(size=75)) for _ in range(1_000)]
    held = [each.low <= np.log(2) <= each.high for each in found if each is not None]
    assert np.mean(held) > 0.94


def test_a_median_may_not_have_come_yet() -> None:
    found = middle(np.array([1.0, np.inf, np.inf]))
    assert found is not None
    assert found.value == np.inf
    assert middle(np.zeros(0)) is None


def test_effects_that_add_up_leave_no_residual() -> None:
    odds = np.outer([1.0, 3.0], [0.1, 0.2, 0.4])
    n = np.full((2, 3), 10_000)
    wins = np.rint(n * odds / (1 + odds)).astype(int)
    found = additive(wins, n)
    assert np.abs(found.residual).max() < 0.1
    assert found.deviance < 0.1


def test_an_empty_pair_has_no_residual() -> None:
    found = additive(np.array([[1, 0], [5, 9]]), np.array([[10, 0], [20, 30]]))
    assert np.isnan(found.residual[0, 1])


def test_a_mean_is_compared_as_a_share_is() -> None:
    rng = np.random.default_rng(3)
    values = (rng.random(5_000) < 0.1).astype(float)
    is_in = np.arange(5_000) < 1_000
    mean, share = (
        mean_ratio(values, is_in),
        contrast(int(values[is_in].sum()), 1_000, int(values.sum()), 5_000),
    )
    assert mean is not None
    assert mean.ratio_low == pytest.approx(share.ratio_low, rel=0.01)
    assert mean.p == pytest.approx(share.p, abs=0.02)


def test_nothing_is_said_of_leads_whose_outcomes_are_drawn_at_random(tmp_path) -> None:
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
    told = [t.sentence for page in report.pages for t in page.takeaways if page.slug != "age"]
    assert told == []
    figures = [f for page in report.pages for s in page.sections for f in s.figures]
    assert sum(len(f.rows) for f in figures) > 80
