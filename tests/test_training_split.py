"""Training and test are apart in leads and in time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import TIME_DTYPE
from features.moments import make_moments
from training.split import LEAST_LEADS, hold_out, split_newest

START = pd.Timestamp("2025-01-01", tz="UTC")


def crm(days, won, close_after=3.0, in_order=True, has_times=True):
    """One lead per day of creation, each closed some days later, watched to the end."""
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


def learn(horizon=10.0, ages=(0.0,)):
    return LearnKeys(won=["won"], lost=["lost"], horizon_days=horizon, moments_days=list(ages))


def split(records, keys, share=0.2, seed=0):
    return split_newest(records, make_moments(records, keys), share, seed)


def test_the_newest_leads_are_the_test():
    records = crm(range(100), won=np.arange(100) % 2)
    found = split(records, learn())
    assert set(found.test.lead) == set(range(80, 100))
    assert set(found.train.lead) == set(range(71))
    assert found.embargoed == 9
    assert found.how == "newest 20% of leads"


def test_a_label_known_at_the_very_beginning_of_the_test_may_be_learned():
    records = crm(range(100), won=np.arange(100) % 2, close_after=0.5)
    found = split(records, learn(horizon=1.0))
    assert found.embargoed == 0
    assert found.train.known_at.max() == found.test.as_of.min()


def test_the_same_share_of_wins_where_there_is_no_order():
    won = np.arange(200) % 10 == 0
    records = crm(range(200), won, in_order=False, has_times=False)
    found = split(records, learn(), share=0.25)
    assert (len(found.test), found.test.label.sum()) == (50, 5)
    assert (len(found.train), found.train.label.sum()) == (150, 15)
    assert found.how == "random 25% of leads, because the project names no time or order"
    again, other = split(records, learn(), share=0.25), split(records, learn(), 0.25, seed=1)
    assert set(again.test.lead) == set(found.test.lead) != set(other.test.lead)


def test_too_few_leads():
    message = r"Only 19 leads have a certain outcome; at least 20 are needed .*Export more of them"
    with pytest.raises(LearningError, match=message):
        split(crm(range(LEAST_LEADS - 1), won=np.arange(LEAST_LEADS - 1) % 2), learn())


def test_no_training_label_is_known_in_time():
    message = (
        r"No training leads are left: the labels of all 40 were not yet known when the test "
        r"period began\. Export a longer history, or shorten horizon_days"
    )
    with pytest.raises(LearningError, match=message):
        split(crm(np.arange(50) / 10, won=np.arange(50) % 2), learn())


@pytest.mark.parametrize(
    ("won", "message"),
    [
        (
            np.arange(50) % 2 * (np.arange(50) < 40),
            r"All 10 test leads are unwon, so they cannot",
        ),
        (np.arange(50) >= 40, r"All 31 training leads are unwon, so .*or change test_share"),
        (np.arange(50) != 45, r"All 31 training leads are won"),
    ],
)
def test_one_outcome_on_one_side(won, message):
    with pytest.raises(LearningError, match=message):
        split(crm(range(50), won), learn())


def test_leads_that_cannot_judge_are_learned_from():
    for days, won, why in (
        (range(12), np.arange(12) % 2, "Only 12 leads"),
        (range(100), np.arange(100) < 30, "All 20 test leads are unwon"),
        (np.arange(100) / 100, np.arange(100) % 2, "No training leads are left"),
        (range(100), np.arange(100) % 4 == 0, "Before the test began, 18 leads"),
    ):
        records = crm(days, won)
        moments = make_moments(records, learn())
        found = hold_out(records, moments, learn())
        assert not found.is_judged
        assert (len(found.train), len(found.test), found.embargoed) == (len(moments), 0, 0)
        assert found.how.startswith(why)
    records = crm(range(200), np.arange(200) % 2)
    moments = make_moments(records, learn())
    assert hold_out(records, moments, learn()).test.lead.tolist() == list(range(160, 200))


@given(
    days=st.lists(st.floats(0, 300), min_size=100, max_size=120),
    horizon=st.sampled_from([0.5, 5.0, 20.0]),
    ages=st.lists(st.sampled_from([1.0, 2.5, 60.0]), max_size=3),
    close_share=st.floats(0.1, 1),
    share=st.floats(0.1, 0.5),
    kind=st.sampled_from(["times", "order", "nothing"]),
    seed=st.integers(0, 99),
)
def test_the_sides_are_apart(days, horizon, ages, close_share, share, kind, seed):
    """No lead is on both sides, and no training label was unknown when the test begins."""
    won = np.random.default_rng(seed).random(len(days)) < 0.5
    records = crm(days, won, close_share * horizon, kind != "nothing", kind == "times")
    moments = make_moments(records, learn(horizon, [0.0, *ages]))
    try:
        found = split_newest(records, moments, share, seed)
    except LearningError:
        reject()
    assert not set(found.train.lead) & set(found.test.lead)
    assert len(found.train) + len(found.test) + found.embargoed == len(moments)
    n_test = max(1, round(len(np.unique(moments.lead)) * share))
    assert len(np.unique(found.test.lead)) == n_test
    if kind != "nothing":
        assert found.train.lead.max() < found.test.lead.min()
    if kind == "times":
        assert found.train.known_at.max() <= found.test.as_of.min()
    else:
        assert found.embargoed == 0
    for side in (found.train, found.test):
        assert 0 < side.label.sum() < len(side)
        np.testing.assert_array_equal(side.weight, 1)
