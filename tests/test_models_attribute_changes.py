"""Tests of changes of attributes: which are found, how rarely by chance, and how reliably."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from models.attribute_changes import (
    FEWEST_LEADS,
    AttributeChange,
    AttributeShare,
    attribute_changes,
    attribute_uses,
    read_shares,
)
from models.attribute_counts import AttributeTally

Generator = np.random.Generator
N_COLUMNS = 60
COLUMNS = [f"column {i}" for i in range(N_COLUMNS)]


def tally(n: int, missing: Any, unseen: Any = 0) -> AttributeTally:
    counts = np.atleast_1d(np.asarray(missing))
    return AttributeTally(n, counts, np.broadcast_to(np.asarray(unseen), counts.shape))


def changes(n: int, missing: int, earlier: float, leads: int = 2_000) -> list[AttributeChange]:
    shares = [AttributeShare("Budget", leads, earlier, 0.0)]
    return attribute_changes(["Budget"], tally(n, missing), shares)


def test_vanished_column_is_found_with_the_fewest_leads() -> None:
    (change,) = changes(FEWEST_LEADS, FEWEST_LEADS, 0.3)
    assert change == AttributeChange("Budget", "missing", FEWEST_LEADS, 1.0, 0.3)
    assert changes(FEWEST_LEADS - 1, FEWEST_LEADS - 1, 0.3) == []


def test_rarely_filled_column_that_vanished_is_found_with_more_leads() -> None:
    assert changes(100, 100, 0.92) == []
    assert len(changes(500, 500, 0.92)) == 1  # 0 of 500 are filled, where 40 are expected
    assert changes(500, 480, 0.92) == []


@pytest.mark.parametrize(("missing", "n_found"), [(0, 0), (20_000, 0), (25_000, 0), (40_000, 1)])
def test_small_rises_and_falls_among_many_leads_are_not_reported(
    missing: int, n_found: int
) -> None:
    assert len(changes(100_000, missing, 0.2, leads=100_000)) == n_found


def test_few_training_leads_need_a_larger_difference() -> None:
    assert len(changes(200, 100, 0.2, leads=2_000)) == 1
    assert changes(200, 100, 0.2, leads=20) == []


def test_new_values_are_found_by_their_own_share() -> None:
    shares = [AttributeShare("City", 900, 0.0, 0.1), AttributeShare("Source", 900, 0.0, 0.6)]
    found = attribute_changes(["City", "Source"], tally(300, [0, 0], [200, 200]), shares)
    assert [(change.column, change.state) for change in found] == [("City", "unseen")]


def test_columns_without_a_share_are_not_compared() -> None:
    assert attribute_changes(["Budget"], tally(100, 100), []) == []
    shares = read_shares([{"column": "City", "leads": 900, "missing": 0.0, "unseen": 0.0}])
    assert attribute_changes(["Budget"], tally(100, 100), shares) == []
    (use,) = attribute_uses(["Budget"], tally(100, 90, 3), shares)
    assert (use.missing, use.unseen, use.missing_in_training) == (90, 3, None)


def test_largest_difference_is_first() -> None:
    shares = [AttributeShare(name, 900, 0.1, 0.0) for name in ("a", "b")]
    found = attribute_changes(["a", "b"], tally(300, [150, 300]), shares)
    assert [change.column for change in found] == ["b", "a"]


@pytest.mark.parametrize(
    ("share", "words"), [(1.0, "100 %"), (0.999, "99 %"), (0.001, "1 %"), (0.0, "0 %")]
)
def test_only_shares_of_all_and_none_are_shown_as_100_and_0_percent(
    share: float, words: str
) -> None:
    change = AttributeChange("Budget", "unseen", 300, share, 0.5)
    assert f"value in {words} of these leads, and in 50 % of" in change.sentence("these leads", "x")


def draw(generator: Generator, truth: Any, n: int) -> AttributeTally:
    return tally(n, generator.binomial(n, truth), generator.binomial(n, truth / 3))


def learned(generator: Generator, truth: Any, leads: int) -> list[AttributeShare]:
    counts = draw(generator, truth, leads)
    return [
        AttributeShare(column, leads, missing / leads, unseen / leads)
        for column, missing, unseen in zip(COLUMNS, counts.missing, counts.unseen, strict=True)
    ]


@pytest.mark.parametrize("leads", [50, 300, 5_000])
def test_same_leads_rarely_show_a_change(leads: int) -> None:
    """60 columns at 100 sizes of samples, 6,000 pairs of shares for each number of leads."""
    generator = np.random.default_rng(leads)
    found = 0
    for n in np.geomspace(FEWEST_LEADS, 3_000, 100).astype(int):
        truth = generator.beta(0.5, 0.5, N_COLUMNS)
        shares = learned(generator, truth, leads)
        found += len(attribute_changes(COLUMNS, draw(generator, truth, int(n)), shares))
    assert found == 0


def test_repeated_looks_at_the_same_stream_rarely_show_a_change() -> None:
    """A worker looks at its newest leads again and again, here after each of 200 leads."""
    generator = np.random.default_rng(7)
    truth = generator.beta(0.5, 0.5, N_COLUMNS)
    shares = learned(generator, truth, 2_000)
    is_missing = generator.random((20_000, N_COLUMNS)) < truth
    for start, end in pairwise(range(0, 20_001, 200)):
        for n in (40, 200):
            seen = is_missing[start : start + n] if n < 200 else is_missing[start:end]
            assert attribute_changes(COLUMNS, tally(len(seen), seen.sum(axis=0)), shares) == []


@pytest.mark.parametrize(
    ("before", "after", "n"),
    [(0.05, 1.0, 30), (0.5, 1.0, 60), (0.05, 0.4, 150), (0.3, 0.6, 300), (0.02, 0.2, 1_000)],
)
def test_real_changes_are_found_reliably(before: float, after: float, n: int) -> None:
    generator = np.random.default_rng(3)
    n_found = 0
    for _ in range(50):
        truth = np.r_[before, generator.beta(0.5, 0.5, N_COLUMNS - 1)]
        shares = learned(generator, truth, 1_500)
        truth[0] = after
        found = attribute_changes(COLUMNS, draw(generator, truth, n), shares)
        n_found += "column 0" in [change.column for change in found]
    assert n_found >= 48
