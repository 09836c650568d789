"""Moments to learn from: mature ones only, and only while the lead was open."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY as MICROSECONDS_PER_DAY
from crm.times import NOT_A_TIME, TIME_DTYPE, microseconds
from features.moments import Moments, leads_of_rarer, make_moments
from reports.rows.coverage import coverage_of

DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2025-01-01", tz="UTC")


def learn(**keys: Any) -> LearnKeys:
    defaults: dict[str, Any] = {"won": ["won"], "lost": ["lost"], "horizon_days": 10.0}
    return LearnKeys(**(defaults | keys))


Leads = Sequence[tuple[str, float]]  # id, day of creation
Outcomes = Sequence[tuple[str, str, float | None]]  # id, outcome, day of closing


def crm(leads: Leads, outcomes: Outcomes, until: float | None = None) -> Records:
    """Build records; they are observed until the last day unless `until` is another day."""
    leads_table = pd.DataFrame(leads, columns=["lead_id", "day"])
    leads_table = leads_table.sort_values(["day", "lead_id"], ignore_index=True)
    created = (START + pd.to_timedelta(leads_table["day"], unit="D")).astype(TIME_DTYPE)
    outcomes_table = pd.DataFrame(outcomes, columns=["lead_id", "outcome", "day"])
    closed = START + pd.to_timedelta(outcomes_table["day"].astype(float), unit="D")
    days = [*leads_table["day"], *outcomes_table["day"].dropna()]
    return Records(
        leads=pd.DataFrame({"lead_id": leads_table["lead_id"], "created_at": created}),
        outcomes=outcomes_table.assign(closed_at=closed.astype(TIME_DTYPE)).drop(columns="day"),
        observed_until=START + (max(days) if until is None else until) * DAY,
        in_order=True,
    )


def labels_of(records: Records, moments: Moments) -> list[tuple[str, float, int]]:
    """Return the moments as id of the lead, day and label, sorted."""
    ids = records.leads["lead_id"].to_numpy()[moments.lead]
    days = (moments.as_of - START.value // 1_000) / MICROSECONDS_PER_DAY
    return sorted(zip(ids.tolist(), days.tolist(), moments.label.tolist(), strict=True))


TWO: Leads = [("a", 0), ("b", 0)]


@pytest.mark.parametrize(("day", "label"), [(0.5, 1), (10, 1), (10.001, 0), (30, 0)])
def test_moment_is_won_within_its_horizon_and_not_after(day: float, label: int) -> None:
    outcomes: Outcomes = [("a", "won", day), ("b", "won", 5), ("c", "lost", 5)]
    records = crm([*TWO, ("c", 0)], outcomes, until=100)
    assert labels_of(records, make_moments(records, learn()))[0] == ("a", 0, label)


def test_moment_needs_an_observed_horizon() -> None:
    leads: Leads = [*TWO, ("c", 90), ("d", 90.001)]
    records = crm(leads, [("a", "won", 5), ("c", "won", 91), ("d", "won", 91)], until=100)
    moments = make_moments(records, learn())
    assert labels_of(records, moments) == [("a", 0, 1), ("b", 0, 0), ("c", 90, 1)]
    assert moments.counts["not_mature"] == 1


def late_outcomes(n_early: int = 40) -> Records:
    """Return two leads a day. From day 100 on, every second lead is won after 2 days."""
    leads: Leads = [(f"l{i}", i / 2) for i in range(400)]
    begin = 200 - n_early
    won: Outcomes = [(f"l{i}", "won", i / 2 + 2) for i in range(begin, 400, 2)]
    return crm(leads, [outcome for outcome in won if (outcome[2] or 0) >= 100], until=300)


def test_leads_created_before_the_outcomes_begin_have_no_moments() -> None:
    # Leads of day 98 and 99 are won on day 100 and 101: the others of these days may be, too.
    records = late_outcomes()
    moments = make_moments(records, learn(moments_days=[0, 1]))
    created = [day for _, day, _ in labels_of(records, moments)]
    assert min(created) == 100.0
    assert moments.counts["leads_before_the_outcomes"] == 200
    assert moments.counts["before_the_outcomes"] == 400
    assert moments.counts["moments"] == len(moments) == 400
    assert moments.label.mean() == 0.5


def test_reports_and_training_leave_out_the_same_leads() -> None:
    records = late_outcomes()
    moments = make_moments(records, learn())
    as_of = int(microseconds(pd.Series([records.observed_until]))[0])
    coverage = coverage_of(replace(records, outcomes=records.outcomes.assign(amount=0.0)), as_of)
    assert int(moments.as_of.min()) == coverage.outcomes_from


def test_outcomes_that_begin_with_the_leads_leave_no_lead_out() -> None:
    leads: Leads = [(f"l{i}", i / 2) for i in range(400)]
    records = crm(leads, [(f"l{i}", "won", i / 2 + 2) for i in range(0, 400, 2)], until=300)
    moments = make_moments(records, learn())
    assert len(moments) == 400
    assert moments.counts["leads_before_the_outcomes"] == 0
    assert moments.counts["before_the_outcomes"] == 0


def test_only_unknown_outcomes_are_refused_by_their_reason() -> None:
    records = late_outcomes()
    with pytest.raises(LearningError, match="were created before the outcomes begin"):
        make_moments(records, learn(horizon_days=250.0))


def test_closed_lead_has_no_further_moments() -> None:
    records = crm(TWO, [("a", "won", 5), ("b", "lost", 3)], until=100)
    moments = make_moments(records, learn(moments_days=[0, 3, 4, 5, 7]))
    assert labels_of(records, moments) == [("a", 0, 1), ("a", 3, 1), ("a", 4, 1), ("b", 0, 0)]
    assert moments.counts["closed_before_the_moment"] == 6
    np.testing.assert_array_equal(moments.weight, 1)


def test_lead_with_an_outcome_at_or_before_creation_has_no_moment() -> None:
    leads: Leads = [*TWO, ("c", 5), ("d", 5)]
    outcomes: Outcomes = [("a", "won", 5), ("c", "won", 5), ("d", "lost", 4)]
    records = crm(leads, outcomes, until=100)
    assert labels_of(records, make_moments(records, learn())) == [("a", 0, 1), ("b", 0, 0)]


def test_lost_lead_that_is_won_later_within_the_horizon_is_won() -> None:
    records = crm(TWO, [("a", "lost", 2), ("a", "won", 8), ("b", "lost", 5)], until=100)
    moments = make_moments(records, learn(moments_days=[0, 4]))
    assert labels_of(records, moments) == [("a", 0, 1), ("b", 0, 0), ("b", 4, 0)]


def test_outcome_without_a_date_counts_at_creation_only() -> None:
    records = crm(TWO, [("a", "won", None), ("b", "lost", None)], until=100)
    moments = make_moments(records, learn(moments_days=[0, 4]))
    assert labels_of(records, moments) == [("a", 0, 1), ("b", 0, 0)]
    assert moments.counts["undated_outcomes"] == 2


def test_repeated_moments_count_once() -> None:
    records = crm(TWO, [("a", "won", 5)], until=100)
    assert len(make_moments(records, learn(moments_days=[0, 0.0, 3, 3]))) == 4


def test_labels_are_known_when_the_horizon_ends() -> None:
    records = crm(TWO, [("a", "won", 1)], until=100)
    moments = make_moments(records, learn(horizon_days=7))
    assert set(moments.known_at - moments.as_of) == {7 * MICROSECONDS_PER_DAY}


def test_moments_are_in_the_order_of_time() -> None:
    records = crm([("a", 3), ("b", 0), ("c", 1)], [("a", "won", 5)], until=100)
    moments = make_moments(records, learn(moments_days=[0, 2]))
    assert (np.diff(moments.as_of) >= 0).all()


def test_selected_moments_keep_their_weight() -> None:
    records = crm(TWO, [("a", "won", 50)], until=100)
    moments = make_moments(records, learn(moments_days=[0, 2, 45]))
    later = moments.take(moments.as_of > moments.as_of[0])
    np.testing.assert_array_equal(later.weight, 1)
    assert len(later) == 4
    assert later.has_times


@pytest.mark.parametrize(("label", "rarer"), [([1, 0, 0], 1), ([1, 1, 0], 1), ([0, 0, 0], 0)])
def test_leads_of_the_rarer_outcome_are_counted_once(label: list[int], rarer: int) -> None:
    twice = np.repeat(np.array(label, dtype=np.int8), 2)
    assert leads_of_rarer(twice, np.repeat(np.arange(3), 2)) == rarer


def test_moments_have_times_unless_there_are_none() -> None:
    moments = make_moments(crm(TWO, [("a", "won", 5)], until=100), learn())
    assert moments.take(np.array([0])).has_times
    assert not moments.take(np.array([], dtype=np.int64)).has_times


# -- without times


def without_times(outcomes: Sequence[tuple[str, str]], leads: str = "abc") -> Records:
    """Build records of leads, one for each letter, without times."""
    return Records(
        leads=pd.DataFrame({"lead_id": list(leads)}),
        outcomes=pd.DataFrame(outcomes, columns=["lead_id", "outcome"]).assign(
            closed_at=pd.Series(dtype=TIME_DTYPE)
        ),
    )


def test_without_times_each_outcome_is_a_moment() -> None:
    moments = make_moments(without_times([("c", "won"), ("a", "lost")]), learn())
    assert moments.lead.tolist() == [0, 2]
    assert moments.label.tolist() == [0, 1]
    assert moments.label.dtype == np.int8
    assert set(moments.as_of) == set(moments.known_at) == {NOT_A_TIME}
    assert not moments.has_times
    assert moments.counts == {"leads": 3, "moments": 2, "won": 1, "without_outcome": 1}


# -- nothing to learn


@pytest.mark.parametrize(("outcome", "word"), [("won", "won"), ("lost", "not won")])
def test_outcomes_of_one_kind_are_refused(outcome: str, word: str) -> None:
    message = rf"All 2 leads with a certain outcome are {word}\. Both kinds are needed .* check \["
    outcomes: Outcomes = [("a", outcome, 5), ("b", outcome, 6)]
    with pytest.raises(LearningError, match=message):
        make_moments(crm(TWO, outcomes, until=100), learn(moments_days=[0, 2]))
    with pytest.raises(LearningError, match=message):
        make_moments(without_times([("a", outcome), ("b", outcome)]), learn())


def test_leads_without_any_outcome_are_refused() -> None:
    message = r"None of the 3 leads has a known outcome\. Check \[learn\] won and lost, and that"
    with pytest.raises(LearningError, match=message):
        make_moments(without_times([]), learn())
    with pytest.raises(LearningError, match=r"All 2 leads .* are not won"):
        make_moments(crm(TWO, [], until=100), learn())


def test_empty_leads_are_refused() -> None:
    with pytest.raises(LearningError, match=r"None of the 0 leads has a known outcome"):
        make_moments(without_times([], leads=""), learn())


def test_leads_that_are_too_young_are_refused() -> None:
    message = (
        r"None of the 2 leads is old enough to learn from: each needs 10 days under observation\. "
        r"Shorten horizon_days, or export older leads"
    )
    with pytest.raises(LearningError, match=message):
        make_moments(crm(TWO, [("a", "won", 5)], until=9), learn())


# -- laws


def labels_by_definition(records: Records, keys: LearnKeys) -> list[tuple[str, float, int]]:
    """Apply the definition of a moment and its label to one lead and one age at a time."""
    assert records.observed_until is not None
    expected: list[tuple[str, float, int]] = []
    lead: Any  # a row has columns of many types
    for lead in records.leads.itertuples():
        outcomes = records.outcomes[records.outcomes["lead_id"] == lead.lead_id]
        dated = outcomes[outcomes["closed_at"].notna()]
        undated = outcomes[outcomes["closed_at"].isna()]
        for age in sorted(set(keys.moments_days)):
            as_of = lead.created_at + age * DAY
            ends = as_of + keys.horizon_days * DAY
            if ends > records.observed_until or (dated["closed_at"] <= as_of).any():
                continue
            if len(undated) and age > 0:
                continue
            wins = dated.loc[dated["outcome"] == "won", "closed_at"]
            label = (wins <= ends).any() or (undated["outcome"] == "won").any()
            expected.append((lead.lead_id, (as_of - START) / DAY, int(label)))
    return sorted(expected)


days = st.integers(0, 60 * 8).map(lambda eighths: eighths / 8)
histories = st.lists(
    st.tuples(
        days,
        st.lists(st.tuples(st.sampled_from(["won", "lost"]), st.none() | days), max_size=3),
    ),
    min_size=1,
    max_size=12,
)
learn_keys = st.builds(
    learn,
    horizon_days=st.sampled_from([0.5, 1.0, 7.25, 20.0]),
    moments_days=st.lists(st.sampled_from([0.125, 1.0, 5.5, 30.0]), max_size=4).map(
        lambda ages: [0.0, *ages]
    ),
)


History = tuple[float, list[tuple[str, float | None]]]  # day of creation; outcomes and days


def records_of(histories: list[History], until: float) -> Records:
    """Build records with one further won lead and one open lead, so that both labels exist."""
    leads = [(f"l{i:02d}", day) for i, (day, _) in enumerate(histories)]
    outcomes = [(f"l{i:02d}", *row) for i, (_, rows) in enumerate(histories) for row in rows]
    return crm([*leads, ("won", 0), ("open", 0)], [*outcomes, ("won", "won", 0.5)], until)


@given(histories, learn_keys, st.integers(20, 90))
def test_labels_equal_those_of_the_definition(
    histories: list[History], keys: LearnKeys, until: int
) -> None:
    """A label uses only outcomes within its horizon, and no moment is after the closing."""
    records = records_of(histories, until)
    moments = make_moments(records, keys)
    assert labels_of(records, moments) == labels_by_definition(records, keys)
    np.testing.assert_array_equal(moments.weight, 1)


@given(histories, learn_keys)
def test_records_are_not_modified(histories: list[History], keys: LearnKeys) -> None:
    records = records_of(histories, 80)
    leads, outcomes = records.leads.copy(), records.outcomes.copy()
    make_moments(records, keys)
    pd.testing.assert_frame_equal(records.leads, leads)
    pd.testing.assert_frame_equal(records.outcomes, outcomes)


@given(histories, learn_keys, st.randoms(use_true_random=False))
def test_row_order_does_not_change_labels(
    histories: list[History], keys: LearnKeys, random: Random
) -> None:
    records = records_of(histories, 80)
    moments = make_moments(records, keys)
    leads = records.leads.sample(frac=1, random_state=random.randrange(2**31))
    outcomes = records.outcomes.sample(frac=1, random_state=random.randrange(2**31))
    shuffled = Records(
        leads=leads.reset_index(drop=True),
        outcomes=outcomes.reset_index(drop=True),
        observed_until=records.observed_until,
    )
    assert labels_of(shuffled, make_moments(shuffled, keys)) == labels_of(records, moments)


@given(histories, learn_keys, st.integers(20, 60))
def test_outcomes_after_the_observed_time_change_nothing(
    histories: list[History], keys: LearnKeys, until: int
) -> None:
    records = records_of(histories, until)
    is_later = records.outcomes["closed_at"] > records.observed_until
    cut = Records(
        leads=records.leads,
        outcomes=records.outcomes[~is_later].reset_index(drop=True),
        observed_until=records.observed_until,
    )
    expected = labels_of(records, make_moments(records, keys))
    assert labels_of(cut, make_moments(cut, keys)) == expected
