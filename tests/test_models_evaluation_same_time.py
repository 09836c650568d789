"""Groups whose share of the leads changes over time are compared with leads of the same time."""

import datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from crm.project import load_project
from crm.reading import read_records
from features.groups import Groups
from features.intervals import wilson
from models.evaluation.comparisons import Contrast, Verdict, contrast
from models.evaluation.same_time import Strata, compare_within, periods_of
from reports.pages.averages import group_contrasts
from reports.pages.sources.page import sources_page
from reports.rows.building import make_rows

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def compared(own: list[int], own_wins: list[int], n: list[int], wins: list[int]) -> Contrast:
    group = contrast(sum(own_wins), sum(own), sum(wins), sum(n))
    return compare_within(group, *map(np.array, (own, own_wins, n, wins)))


def test_periods_have_as_many_leads_in_order_of_time() -> None:
    periods = periods_of(1_030)
    assert np.bincount(periods).tolist() == pytest.approx([51.5] * 20, abs=0.5)
    assert (np.diff(periods) >= 0).all()
    assert len(np.unique(periods_of(41_188))) == 100
    assert periods_of(0).tolist() == []


def test_a_group_of_the_early_leads_is_compared_with_the_early_leads() -> None:
    # In each period the group is won half as often as the others.
    own, n = [400, 300, 200, 100, 20], [500] * 5
    shares = [0.02, 0.04, 0.06, 0.1, 0.2]
    own_wins = [round(a * share) for a, share in zip(own, shares, strict=True)]
    wins = [
        w + round(2 * (m - a) * share)
        for w, m, a, share in zip(own_wins, n, own, shares, strict=True)
    ]
    group = compared(own, own_wins, n, wins)
    crude = (sum(own_wins) / sum(own)) / (sum(wins) / sum(n))
    assert crude == pytest.approx(0.30, abs=0.01)
    assert group.value == sum(own_wins) / sum(own)
    rest = [(m - a, w - x) for m, a, w, x in zip(n, own, wins, own_wins, strict=True)]
    weight = [a * b / m for a, (b, _), m in zip(own, rest, n, strict=True)]
    value = sum(v * x / a for v, x, a in zip(weight, own_wins, own, strict=True))
    average = sum(v * w / m for v, w, m in zip(weight, wins, n, strict=True))
    assert group.ratio == pytest.approx(value / average)
    assert group.ratio == pytest.approx(0.60, abs=0.01)
    assert (group.time_value or 0) / (group.time_average or 1) == pytest.approx(group.ratio)
    assert (group.ratio_low or 0) < (group.ratio or 0) < (group.ratio_high or 0) < 1
    assert group.verdict == Verdict.BELOW
    assert group.cells()["compared"] == "leads of the same time"


def test_a_group_that_only_came_at_a_bad_time_does_not_differ() -> None:
    own, n, shares = [400, 200, 100, 50, 20], [500] * 5, [0.02, 0.04, 0.1, 0.2, 0.3]
    own_wins = [round(a * share) for a, share in zip(own, shares, strict=True)]
    wins = [round(m * share) for m, share in zip(n, shares, strict=True)]
    assert contrast(sum(own_wins), sum(own), sum(wins), sum(n)).is_significant
    group = compared(own, own_wins, n, wins)
    assert group.ratio == pytest.approx(1.0)
    assert group.verdict == Verdict.UNCLEAR


def test_a_group_without_others_in_its_time_is_not_compared() -> None:
    own, n = [500, 500, 0, 0, 0], [500] * 5
    group = compared(own, [10, 10, 0, 0, 0], n, [10, 10, 100, 100, 100])
    assert (group.ratio, group.p, group.time_value) == (None, None, None)
    assert group.verdict == Verdict.FEW_OTHERS


@pytest.mark.parametrize(
    ("own", "own_wins"),
    [
        ([100] * 5, [2, 4, 6, 10, 20]),  # the same share of the leads all the time
        ([105, 95, 100, 98, 102], [2, 4, 6, 10, 20]),
    ],
)
def test_a_group_of_all_times_is_compared_with_all_leads(
    own: list[int], own_wins: list[int]
) -> None:
    n, wins = [500] * 5, [20, 40, 60, 80, 120]
    group = compared(own, own_wins, n, wins)
    assert group == contrast(sum(own_wins), sum(own), sum(wins), sum(n))


def test_a_group_without_wins_is_compared_with_its_own_time() -> None:
    own, n, wins = [180] * 5 + [20] * 5, [200] * 10, [6] * 5 + [58] * 5
    group = compared(own, [0] * 10, n, wins)
    assert group.ratio == 0
    assert group.ratio_high is not None
    assert group.time_value == 0
    assert group.time_average == pytest.approx(0.16, abs=0.01)


def test_the_test_in_one_period_is_that_of_a_table_of_four_cells() -> None:
    own, n = [400, 30, 30, 30, 30], [500, 30, 30, 30, 30]
    group = compared(own, [40, 12, 12, 12, 12], n, [90, 12, 12, 12, 12])
    table = [[40, 360], [50, 50]]
    expected = chi2_contingency(table, correction=False)
    z_squared = expected.statistic * 499 / 500  # the variance is that of draws without return
    assert group.p is not None
    assert group.ratio == pytest.approx(0.1 / 0.18)
    assert np.log(group.p) == pytest.approx(np.log(chi2.sf(z_squared, 1)), rel=1e-6)
    alone = contrast(40, 400, 90, 500)  # without the periods in which there are no others
    # The variances here are divided by 499 instead of 500.
    assert group.ratio_low == pytest.approx(alone.ratio_low, rel=1e-3)
    assert group.ratio_high == pytest.approx(alone.ratio_high, rel=1e-3)


@pytest.mark.parametrize(
    "own",
    [[1] * 100, [2] * 50 + [1] * 50, [49] * 50 + [48] * 50],
    ids=["one lead a period", "one or two", "one or two others"],
)
def test_the_interval_holds_with_one_lead_in_a_period(own: list[int]) -> None:
    random, n, k = np.random.default_rng(0), np.array([50.0] * 100), 300
    share = np.linspace(0.2, 0.4, 100)
    n_own = np.array(own, dtype=float)
    n_inside = 0
    for _ in range(k):
        own_wins = random.binomial(n_own.astype(int), share).astype(float)
        rest_wins = random.binomial((n - n_own).astype(int), share).astype(float)
        strata = Strata(n_own, own_wins, n - n_own, rest_wins)
        ratio = strata.value / strata.average
        n_inside += ratio / strata.spread <= 1 <= ratio * strata.spread
    assert 0.92 <= n_inside / k <= 0.98


def test_few_expected_wins_of_the_others_are_not_tested() -> None:
    # 2 % of the others are won: 4 wins are expected of them.
    own, rest = np.array([38.0, 48.0] * 50), np.array([2.0] * 100)
    own_wins, rest_wins = np.array([1.0] * 100), np.zeros(100)
    strata = Strata(own, own_wins, rest, rest_wins)
    assert (rest * own_wins / (own + rest)).sum() < 5
    assert strata.p is None
    assert Strata(own, own_wins, 2 * rest, rest_wins).p is not None


@pytest.mark.parametrize(("n_rest", "is_compared"), [(29, False), (30, True)])
def test_fewer_than_30_others_of_the_same_time_are_not_compared(
    n_rest: int, is_compared: bool
) -> None:
    own, n = [400, 30, 30, 30, 30], [400 + n_rest, 100, 100, 100, 100]
    own[1:] = [0] * 4
    group = compared(own, [40, 0, 0, 0, 0], n, [60, 60, 60, 60, 60])
    assert (group.time_average is not None) == is_compared
    assert (group.ratio is not None) == is_compared
    assert group.others == n_rest


def test_the_interval_ends_where_all_leads_of_the_group_are_won() -> None:
    own, n = [1_000, 0, 0, 0, 0], [2_000] * 5
    group = compared(own, [990, 0, 0, 0, 0], n, [1_490, 400, 400, 400, 400])
    assert group.ratio_high == pytest.approx(2_000 / 1_490)


@pytest.mark.parametrize(
    ("won", "is_on_log_scale"), [(9, False), (10, True), (90, True), (91, False)]
)
def test_the_interval_is_on_the_log_scale_from_ten_wins_and_ten_others(
    won: int, is_on_log_scale: bool
) -> None:
    # The leads of the second period have no others to compare with: half of them are won.
    own, n = [100, 100, 0, 0, 0], [500, 100, 500, 500, 500]
    group = compared(own, [won, 50, 0, 0, 0], n, [won + 180, 50, 20, 20, 20])
    assert group.ratio is not None
    assert group.ratio_low is not None
    assert group.ratio_high is not None
    average = (won + 180) / 500
    assert group.ratio == pytest.approx(won / 100 / average)
    is_symmetric = group.ratio_low * group.ratio_high == pytest.approx(group.ratio**2)
    assert is_symmetric == is_on_log_scale
    if not is_on_log_scale:
        ends = [end / average for end in wilson(won / 100, 100)]
        assert [group.ratio_low, group.ratio_high] == pytest.approx(ends)


def test_groups_of_leads_are_compared_by_their_periods() -> None:
    period = np.repeat(np.arange(5), 200)
    is_old = np.arange(1_000) % 200 < np.repeat([180, 150, 60, 20, 10], 200)
    won = np.arange(1_000) % 20 < np.repeat([1, 1, 4, 8, 12], 200)
    groups = Groups("contact", ("telephone", "cellular"), np.where(is_old, 0, 1))
    everyone = np.ones(1_000, dtype=bool)
    crude, _ = group_contrasts(groups, everyone, won)
    within, _ = group_contrasts(groups, everyone, won, period)
    assert crude.ratio is not None
    assert crude.ratio < 0.7
    assert within.ratio == pytest.approx(1.0, abs=0.2)
    assert not within.is_significant
    assert (within.n, within.wins) == (crude.n, crude.wins)


def test_the_telephone_of_the_bank_is_compared_with_its_own_time(public_data: Path) -> None:
    project = load_project(EXAMPLES / "bank_marketing.toml")
    rows = make_rows(project, read_records(project, NOW), NOW)
    page = sources_page(rows)
    (figure,) = (f for section in page.sections for f in section.figures if f.name == "sources-won")
    (telephone,) = (row for row in figure.rows if row["name"] == "telephone")
    assert (telephone["n"], telephone["wins"]) == (15_044, 787)
    assert round(telephone["ratio"], 2) == 0.68  # 0.46 of all leads
    assert page.takeaways[0].sentence.replace("\u00a0", " ") == (
        "Leads from “telephone” are won less often than the average at the same time: 12 % "
        "where the average is 18 % (between 0.62 and 0.74 times as often). Over all times, 5.2 % "
        "(787 of 15,044) are won."
    )
    finding = figure.finding.replace("\u00a0", " ")
    assert finding.endswith("where the average is 18 % (over all times 787 of 15,044)")
    shown = telephone["time_value"] / telephone["time_average"]
    assert shown == pytest.approx(telephone["ratio"])
    assert "“telephone” in the leads changes over time" in figure.note
