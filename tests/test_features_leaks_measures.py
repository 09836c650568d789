"""What the audit measures: ranks and shares within slices of time, and the dates of cells."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import ColumnsKeys
from crm.times import NOT_A_TIME
from features.leaks.measures import TwoGroups, read_audited_column


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
        (["02/03/2024", "02/13/2024 08:00", "-"], ["2024-02-03", "2024-02-13", None]),
        (["02/03/2024", "13/02/2024", "-"], ["2024-03-02", "2024-02-13", None]),
        ([pd.Timestamp("2024-02-01"), pd.NaT], ["2024-02-01", None]),
    ],
)
def test_dates_are_read_in_common_formats(cells: list[Any], expected: list[str | None]) -> None:
    created = np.full(len(cells), NOT_A_TIME)
    rules = ColumnsKeys(nothing=["-"])
    column = read_audited_column(pd.Series(cells, name="x"), rules, None, created)
    assert column.times is not None
    times = [None if at == NOT_A_TIME else pd.Timestamp(at, unit="us") for at in column.times]
    assert times == [None if text is None else pd.Timestamp(text) for text in expected]


@pytest.mark.parametrize("cells", [["12.5", "3"], ["2024-13-45", "2024-02-01"], ["soon"], []])
def test_other_cells_are_not_dates(cells: list[str]) -> None:
    column = pd.Series(cells, name="x", dtype="str")
    created = np.full(len(cells), NOT_A_TIME)
    assert read_audited_column(column, ColumnsKeys(), "%d%m%Y", created).times is None
