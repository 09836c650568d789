"""Measures of the audit: ranks and shares within slices of time, and the dates of cells."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.formats.columns import column_formats
from crm.project import ColumnsKeys, LearnKeys
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE
from features.leaks.columns import AuditedColumn, read_audited_column
from features.leaks.measures import SURE, Auc, AuditedLeads, TwoGroups, audited_leads
from features.moments import list_moments, make_moments


def test_likely_auc_is_one_standard_error_below_the_value() -> None:
    assert Auc(0.8, 0.8 - SURE * 0.1).likely == pytest.approx(0.7)


def test_auc_within_slices_equals_the_share_of_pairs() -> None:
    rng = np.random.default_rng(0)
    is_first, part, scores = rng.random(80) < 0.4, rng.integers(0, 3, 80), rng.integers(0, 6, 80)
    groups = TwoGroups(np.arange(80), is_first, part, np.zeros(80, int))
    correct = [
        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
        for i, j in itertools.product(range(80), repeat=2)
        if is_first[i] and not is_first[j] and part[i] == part[j]
    ]
    assert groups.auc(scores.astype(float)).value == pytest.approx(np.mean(correct))


def test_low_auc_is_that_of_hanley_and_mcneil() -> None:
    scores, is_first = np.arange(40.0), np.arange(40) % 4 == 3  # 10 leads against 30
    groups = TwoGroups(np.arange(40), is_first, np.zeros(40, int), np.zeros(40, int))
    auc = groups.auc(scores)
    value = 0.55  # on average 16.5 of the 30 have a lower score
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + 9 * (q1 - value**2) + 29 * (q2 - value**2)
    assert auc.value == pytest.approx(value)
    assert auc.low == pytest.approx(value - SURE * np.sqrt(variance / 300))


def test_auc_without_pairs_is_a_half() -> None:
    groups = TwoGroups(np.arange(2), np.array([True, False]), np.array([0, 1]), np.zeros(2, int))
    assert groups.auc(np.array([2.0, 1.0])) == Auc(0.5, 0.0)


def test_auc_either_way_ranks_downwards_if_that_is_better() -> None:
    groups = TwoGroups(np.arange(2), np.array([True, False]), np.zeros(2, int), np.zeros(2, int))
    assert groups.auc_either_way(np.array([1.0, 2.0])).value == 1


def test_base_is_the_share_of_the_first_group_in_the_slice() -> None:
    is_first, part = np.array([1, 1, 0], bool), np.array([0, 2, 2])  # no lead is in slice 1
    assert TwoGroups(np.arange(3), is_first, part, np.zeros(3, int)).base.tolist() == [1, 0.5, 0.5]


def test_rarer_counts_the_smaller_group() -> None:
    is_first = np.array([1, 1, 0], bool)
    groups = TwoGroups(np.arange(3), is_first, np.zeros(3, int), np.zeros(3, int))
    assert groups.rarer == 1


def test_take_keeps_the_selected_leads() -> None:
    is_first, order = np.array([1, 1, 0], bool), np.arange(3)
    taken = TwoGroups(order + 10, is_first, order + 20, order + 30).take(order > 0)
    assert (taken.rows.tolist(), taken.is_first.tolist()) == ([11, 12], [True, False])
    assert (taken.part.tolist(), taken.fold.tolist()) == ([21, 22], [31, 32])


def test_shares_compare_leads_of_the_same_time() -> None:
    groups = TwoGroups(
        np.arange(6),
        np.array([1, 1, 0, 1, 0, 0], bool),
        np.array([0, 0, 0, 1, 1, 1]),
        np.zeros(6, int),
    )
    assert groups.shares(np.array([1, 0, 0, 1, 1, 0])) == pytest.approx((0.75, 0.25))


def test_rates_of_a_constant_do_not_separate() -> None:
    rng = np.random.default_rng(0)
    groups = TwoGroups(np.arange(99), rng.random(99) < 0.3, np.zeros(99, int), np.arange(99) % 5)
    assert groups.auc(groups.rates(np.zeros(99, int))).value == 0.5


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-02-01", "2024-02-01T12:00:00Z", None], ["2024-02-01", "2024-02-01T12:00", None]),
        (["3.2.2024", "13.2.2024", ""], ["2024-02-03", "2024-02-13", None]),
        (["02/03/2024", "02/13/2024 08:00", "-"], ["2024-02-03", "2024-02-13 08:00", None]),
        (["02/03/2024", "13/02/2024", "-"], ["2024-03-02", "2024-02-13", None]),
        (["02-13-2024"], ["2024-02-13"]),
        ([pd.Timestamp("2024-02-01"), pd.NaT], ["2024-02-01", None]),
    ],
)
def test_dates_are_read_in_common_formats(cells: list[Any], expected: list[str | None]) -> None:
    created = np.full(len(cells), NOT_A_TIME)
    rules = ColumnsKeys(nothing=["-"])
    read = pd.Series(cells, name="x")
    formats = column_formats(pd.DataFrame({"x": read}), ["x"], declared={}, nothing=["-"])
    column = read_audited_column(read, rules, formats["x"].notation, "UTC", created)
    assert column.times is not None
    times = [None if at == NOT_A_TIME else pd.Timestamp(at, unit="us") for at in column.times]
    assert times == [None if text is None else pd.Timestamp(text) for text in expected]


def test_time_counts_in_days_from_the_creation_and_else_from_1970() -> None:
    created = np.array([2 * DAY, NOT_A_TIME, 2 * DAY])
    cells = pd.Series(["1970-01-13", "1970-01-13", None], name="x")
    numbers = read_audited_column(cells, ColumnsKeys(), None, "UTC", created).numbers
    assert numbers is not None
    np.testing.assert_array_equal(numbers, [10, 12, np.nan])


@pytest.mark.parametrize("cells", [["12.5", "3"], ["2024-13-45", "2024-02-01"], ["soon"], []])
def test_other_cells_are_not_dates(cells: list[str]) -> None:
    column = pd.Series(cells, name="x", dtype="str")
    created = np.full(len(cells), NOT_A_TIME)
    assert read_audited_column(column, ColumnsKeys(), "%d%m%Y", "UTC", created).times is None


def column_of_numbers(numbers: list[float]) -> AuditedColumn:
    """Return a column of distinct numbers; nan is a missing value."""
    is_filled = ~np.isnan(numbers)
    codes = np.where(is_filled, np.cumsum(is_filled) - 1, is_filled.sum())
    values = np.array([f"{number:g}" for number in np.array(numbers)[is_filled]], dtype=object)
    return AuditedColumn("x", values, values, codes, is_filled, np.array(numbers))


@pytest.mark.parametrize(("n_values", "n_levels"), [(20, 20), (21, 2)])
def test_levels_of_more_than_20_numbers_are_bins(n_values: int, n_levels: int) -> None:
    column = column_of_numbers(list(range(n_values)))
    assert len(np.unique(column.levels)) == n_levels


def test_missing_numbers_have_a_level_of_their_own() -> None:
    levels = column_of_numbers([*range(21), np.nan]).levels
    assert levels[-1] not in levels[:-1]


def test_levels_of_words_are_their_codes() -> None:
    words = np.array([f"word {i}" for i in range(21)], dtype=object)
    column = AuditedColumn("x", words, words, np.arange(21), np.ones(21, bool))
    assert column.levels.tolist() == list(range(21))


@pytest.mark.parametrize("numbers", [[np.nan, 3, 1, 2], [np.nan, 1, 2, 3]], ids=["above", "below"])
def test_best_auc_ranks_missing_numbers_above_or_below_all_others(numbers: list[float]) -> None:
    is_first, same = np.array([1, 1, 0, 0], bool), np.zeros(4, int)
    groups = TwoGroups(np.arange(4), is_first, same, same)
    assert column_of_numbers(numbers).best_auc(groups).value == 1


@pytest.fixture
def timed_leads() -> AuditedLeads:
    """Return leads, observed for 100 days, of which three closed after 10, 15 and 95 days."""
    start = pd.Timestamp("2024-01-01", tz="UTC")

    def times(days: list[float]) -> pd.Series:
        return (start + pd.to_timedelta(pd.Series(days), unit="D")).astype(TIME_DTYPE)

    leads = pd.DataFrame({"lead_id": list("abcde"), "created_at": times([0, 0, 1, 85, 86])})
    outcomes = pd.DataFrame(
        {
            "lead_id": ["a", "b", "c"],
            "outcome": ["won", "lost", "won"],
            "closed_at": times([10, 15, 96]),
        }
    )
    records = Records(leads, outcomes, observed_until=start + pd.Timedelta(days=100))
    return audited_leads(records, make_moments(records, LearnKeys(won=["won"], horizon_days=90)))


def test_a_win_after_the_horizon_counts_as_won(timed_leads: AuditedLeads) -> None:
    groups = timed_leads.by_outcome
    assert (groups.rows.tolist(), groups.is_first.tolist()) == ([0, 1, 2], [True, False, True])


def test_leads_younger_than_the_usual_life_are_not_compared_by_state(
    timed_leads: AuditedLeads,
) -> None:
    groups = timed_leads.by_state
    assert (groups.rows.tolist(), groups.is_first.tolist()) == ([0, 1, 2, 3], [True] * 3 + [False])


def test_all_leads_are_compared_by_state_if_no_end_of_observation_is_known() -> None:
    times = pd.Series(pd.to_datetime(["2124-01-01", "2124-01-03"], utc=True)).astype(TIME_DTYPE)
    leads = pd.DataFrame({"lead_id": ["a", "b"], "created_at": times})
    outcomes = pd.DataFrame({"lead_id": ["a"], "outcome": ["won"], "closed_at": times[1:]})
    records = Records(leads, outcomes)
    audited = audited_leads(records, list_moments(records, LearnKeys(won=["won"])))
    assert audited.by_state.rows.tolist() == [0, 1]


@pytest.mark.parametrize(("in_order", "second_half"), [(True, 1), (False, 0)])
def test_slices_of_time_follow_the_order_of_the_leads(in_order: bool, second_half: int) -> None:
    leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(100)]})
    outcomes = leads.assign(
        outcome=["won", "lost"] * 50,
        closed_at=pd.Series(pd.NaT, index=leads.index, dtype=TIME_DTYPE),
    )
    records = Records(leads, outcomes, in_order=in_order)
    audited = audited_leads(records, make_moments(records, LearnKeys(won=["won"])))
    assert audited.by_outcome.part.tolist() == [0] * 50 + [second_half] * 50
