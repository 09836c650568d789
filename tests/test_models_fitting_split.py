"""Training and test sets are separate in leads and in time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import TIME_DTYPE
from features.moments import FEWEST_OUTCOMES, make_moments
from models.fitting.split import (
    LEAST_LEADS,
    Split,
    cut_offs,
    hold_out,
    split_newest,
    why_unusable,
)

START = pd.Timestamp("2025-01-01", tz="UTC")


def crm(
    days: Any, won: Any, close_after: float = 3.0, in_order: bool = True, has_times: bool = True
) -> Records:
    """Return one lead for each day, which is closed some days later and mature."""
    days = np.sort(np.asarray(days, dtype=float))
    ids = [f"l{i:04d}" for i in range(len(days))]
    created = pd.Series(START + pd.to_timedelta(days, unit="D")).astype(TIME_DTYPE)
    leads = pd.DataFrame({"lead_id": ids} | ({"created_at": created} if has_times else {}))
    outcomes = pd.DataFrame(
        {
            "lead_id": ids,
            "outcome": np.where(won, "won", "lost"),
            "closed_at": created + pd.Timedelta(days=close_after),
        }
    )
    return Records(
        leads=leads,
        outcomes=outcomes,
        observed_until=START + pd.Timedelta(days=1_000) if has_times else None,
        in_order=in_order,
    )


def learn(horizon: float = 10.0, ages: Sequence[float] = (0.0,)) -> LearnKeys:
    return LearnKeys(won=["won"], lost=["lost"], horizon_days=horizon, moments_days=list(ages))


def split(records: Records, keys: LearnKeys, share: float = 0.2, seed: int = 0) -> Split:
    return split_newest(records, make_moments(records, keys), share, seed)


# -- by time ---------------------------------------------------------------------------------


def test_split_holds_out_the_newest_leads() -> None:
    parts = split(crm(range(100), won=np.arange(100) % 2), learn())
    assert set(parts.test.lead) == set(range(80, 100))
    assert set(parts.train.lead) == set(range(71))
    assert parts.embargoed == 9
    assert parts.how == "newest 20% of leads"


def test_split_keeps_labels_known_when_the_test_begins() -> None:
    parts = split(crm(range(100), won=np.arange(100) % 2, close_after=0.5), learn(horizon=1.0))
    assert parts.embargoed == 0
    assert parts.train.known_at.max() == parts.test.as_of.min()


def test_split_of_leads_in_order_without_times_has_no_embargo() -> None:
    parts = split(crm(range(100), won=np.arange(100) % 2, has_times=False), learn())
    assert (len(parts.train), len(parts.test), parts.embargoed) == (80, 20, 0)


def test_split_holds_out_at_least_one_lead() -> None:
    # A single test lead has a single outcome.
    with pytest.raises(LearningError, match="All 1 test leads are won"):
        split(crm(range(20), won=np.arange(20) % 2), learn(), share=0.01)


# -- at random -------------------------------------------------------------------------------


def unordered() -> Records:
    return crm(range(200), np.arange(200) % 10 == 0, in_order=False, has_times=False)


def test_random_split_keeps_the_share_of_wins() -> None:
    parts = split(unordered(), learn(), share=0.25)
    assert (len(parts.test), parts.test.label.sum()) == (50, 5)
    assert (len(parts.train), parts.train.label.sum()) == (150, 15)
    assert parts.how == "random 25% of leads, because the project names no time or order"


def test_random_split_depends_on_the_seed() -> None:
    first, second, other_seed = (
        set(split(unordered(), learn(), share=0.25, seed=seed).test.lead) for seed in (0, 0, 1)
    )
    assert first == second != other_seed


def test_random_split_has_a_win_on_each_side() -> None:
    records = crm(range(100), np.arange(100) < 2, in_order=False, has_times=False)
    parts = split(records, learn(), share=0.05)
    assert (parts.train.label.sum(), parts.test.label.sum()) == (1, 1)
    assert len(parts.test) == 5


# -- what is refused -------------------------------------------------------------------------


def test_split_needs_twenty_leads() -> None:
    message = r"Only 19 leads have a certain outcome; at least 20 are needed .*Export more leads"
    with pytest.raises(LearningError, match=message):
        split(crm(range(LEAST_LEADS - 1), won=np.arange(LEAST_LEADS - 1) % 2), learn())
    parts = split(crm(range(0, 20 * LEAST_LEADS, 20), won=np.arange(LEAST_LEADS) % 2), learn())
    assert len(parts.test) == 4


def test_split_needs_labels_known_before_the_test() -> None:
    message = (
        r"No training leads remain: the labels of all 40 were not yet known when the test "
        r"period began\. Export a longer history, or shorten horizon_days"
    )
    with pytest.raises(LearningError, match=message):
        split(crm(np.arange(50) / 10, won=np.arange(50) % 2), learn())


@pytest.mark.parametrize(
    ("won", "message"),
    [
        (
            np.arange(50) % 2 * (np.arange(50) < 40),
            r"All 10 test leads are not won, so they cannot evaluate a model",
        ),
        (
            np.arange(50) >= 40,
            r"All 31 training leads are not won, so they cannot train .*or change test_share",
        ),
        (np.arange(50) != 45, r"All 31 training leads are won"),
    ],
)
def test_split_needs_both_outcomes_on_both_sides(won: Any, message: str) -> None:
    with pytest.raises(LearningError, match=message):
        split(crm(range(50), won), learn())


# -- the hold-out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "won", "why"),
    [
        (range(12), np.arange(12) % 2, "Only 12 leads"),
        (range(100), np.arange(100) < 30, "All 20 test leads are not won"),
        (np.arange(100) / 100, np.arange(100) % 2, "No training leads remain"),
        (range(100), np.arange(100) % 4 == 0, "When the test period began, only 18 leads"),
    ],
)
def test_hold_out_keeps_all_leads_for_training_if_they_cannot_be_split(
    days: Any, won: Any, why: str
) -> None:
    records = crm(days, won)
    moments = make_moments(records, learn())
    parts = hold_out(records, moments, learn())
    assert not parts.has_test
    assert (len(parts.train), len(parts.test), parts.embargoed) == (len(moments), 0, 0)
    assert parts.how.startswith(why)


def test_hold_out_says_how_many_outcomes_were_too_few() -> None:
    records = crm(range(100), np.arange(100) % 4 == 0)
    how = hold_out(records, make_moments(records, learn()), learn()).how
    assert f"a model needs at least {FEWEST_OUTCOMES}." in how
    assert "learned from all 100 leads, 25 of them with the rarer outcome" in how
    assert how.endswith("Export a longer history, or shorten horizon_days.")


def test_hold_out_without_times_does_not_mention_the_horizon() -> None:
    records = crm(range(100), np.arange(100) % 5 == 0, has_times=False)  # 16 older wins of 20
    how = hold_out(records, make_moments(records, learn()), learn()).how
    assert how.endswith("Export a longer history.")


@pytest.mark.parametrize(("wins", "has_test"), [(19, True), (20, False), (25, True)])
def test_hold_out_depends_on_whether_the_rest_trains_the_same_kind_of_model(
    wins: int, has_test: bool
) -> None:
    # The 80 older leads have all wins but one. 19 wins give a base rate with or without a test.
    # 20 wins give a blend, but the 19 older ones do not. 25 wins give a blend, and so do the 24.
    won = np.zeros(100, dtype=bool)
    won[: wins - 1] = True
    won[99] = True
    records = crm(range(100), won, has_times=False)
    parts = hold_out(records, make_moments(records, learn()), learn())
    assert parts.has_test is has_test


def test_hold_out_takes_its_share_from_the_project() -> None:
    records = crm(range(200), np.arange(200) % 2)
    parts = hold_out(records, make_moments(records, learn()), learn())
    assert parts.test.lead.tolist() == list(range(160, 200))


# -- the law ---------------------------------------------------------------------------------


@given(
    days=st.lists(st.floats(0, 300), min_size=100, max_size=120),
    horizon=st.sampled_from([0.5, 5.0, 20.0]),
    ages=st.lists(st.sampled_from([1.0, 2.5, 60.0]), max_size=3),
    close_share=st.floats(0.1, 1),
    share=st.floats(0.1, 0.5),
    kind=st.sampled_from(["times", "order", "nothing"]),
    seed=st.integers(0, 99),
)
def test_split_separates_leads_and_times(
    days: list[float],
    horizon: float,
    ages: list[float],
    close_share: float,
    share: float,
    kind: str,
    seed: int,
) -> None:
    """No lead is on both sides, and every training label was known when the test began."""
    won = np.random.default_rng(seed).random(len(days)) < 0.5
    records = crm(days, won, close_share * horizon, kind != "nothing", kind == "times")
    moments = make_moments(records, learn(horizon, [0.0, *ages]))
    try:
        parts = split_newest(records, moments, share, seed)
    except LearningError:
        reject()
    assert not set(parts.train.lead) & set(parts.test.lead)
    assert len(parts.train) + len(parts.test) + parts.embargoed == len(moments)
    n_test = max(1, round(len(np.unique(moments.lead)) * share))
    assert len(np.unique(parts.test.lead)) == n_test
    if kind != "nothing":
        assert parts.train.lead.max() < parts.test.lead.min()
    if kind == "times":
        assert parts.train.known_at.max() <= parts.test.as_of.min()
    else:
        assert parts.embargoed == 0
    for moments in (parts.train, parts.test):
        assert 0 < moments.label.sum() < len(moments)
        np.testing.assert_array_equal(moments.weight, 1)


# -- earlier cut-offs --------------------------------------------------------------------------


def earlier(records: Records, keys: LearnKeys, share: float = 0.2) -> list[Split]:
    return list(cut_offs(make_moments(records, keys), share, [1, 2]))


def test_earlier_cut_offs_are_the_blocks_before_the_test() -> None:
    first, second = earlier(crm(range(100), won=np.arange(100) % 2), learn())
    assert set(first.test.lead) == set(range(60, 80))
    assert set(second.test.lead) == set(range(40, 60))
    assert first.how == "20 leads that came before the 20 newest leads"
    assert second.how == "20 leads that came before the 40 newest leads"


def test_earlier_cut_offs_learn_only_what_was_known() -> None:
    first, second = earlier(crm(range(100), won=np.arange(100) % 2), learn(horizon=10.0))
    assert set(first.train.lead) == set(range(51))
    assert set(second.train.lead) == set(range(31))
    assert (first.embargoed, second.embargoed) == (9, 9)
    for cut_off in (first, second):
        assert cut_off.train.known_at.max() <= cut_off.test.as_of.min()


def test_earlier_cut_offs_keep_all_moments_of_a_lead_on_one_side() -> None:
    keys = learn(horizon=1.0, ages=(0.0, 1.0, 2.0))
    for cut_off in earlier(crm(range(100), won=np.arange(100) % 2), keys):
        assert len(cut_off.test) == 60
        assert not set(cut_off.test.lead) & set(cut_off.train.lead)


@pytest.mark.parametrize(("share", "n"), [(0.3, 2), (0.4, 1), (0.5, 0)])
def test_earlier_cut_offs_end_with_the_leads(share: float, n: int) -> None:
    assert len(earlier(crm(range(100), won=np.arange(100) % 2), learn(), share)) == n


def test_cut_offs_with_too_few_outcomes_are_unusable() -> None:
    won = np.arange(100) % 2
    first, _ = earlier(crm(range(100), won), learn())
    assert why_unusable(first) == ""
    few, _ = earlier(crm(range(100), won=won & (np.arange(100) >= 20)), learn())
    assert few.train.rarer < FEWEST_OUTCOMES
    assert "only 15 older leads with the rarer outcome were known" in why_unusable(few)
    lost, _ = earlier(crm(range(100), won=won & (np.arange(100) < 60)), learn())
    assert why_unusable(lost) == "all of them have the same outcome"
