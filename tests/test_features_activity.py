"""Features of activities: equal to SQL, by hand, at the ends of windows, and what is fitted."""

from collections import Counter
from random import Random
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.arrays import Floats
from crm.times import DAY, HOUR, NOT_A_TIME
from features.activity import (
    MAX_TYPES,
    MIN_LEADS_PER_VALUE,
    PACE_DAYS,
    WINDOWS_DAYS,
    ActivityFeatures,
    ActivityLog,
    fit_activities,
)
from features.moments import Moments
from tests.made_histories import (
    ACTIVITIES,
    NOW,
    PIPELINE,
    Event,
    Histories,
    activities,
    assert_equal,
    by_name,
    histories_with_moments,
    lead_and_time,
    times,
)


def compute(log: ActivityLog, *pairs: tuple[int, int], created: int = NOT_A_TIME) -> Floats:
    """Compute the features of moments, each a pair of the position of a lead and a time."""
    lead, as_of = lead_and_time(pairs)
    return ACTIVITIES.compute(log, lead, as_of, np.full(len(lead), created))


def features_at_now(*events: Event, created: int = NOT_A_TIME) -> dict[str, float]:
    """Compute the features of a lead with these activities."""
    values = compute(ACTIVITIES.log_of_cells([events]), (0, NOW), created=created)
    return by_name(values, ACTIVITIES)


# -- ids of activities


@given(
    st.lists(activities, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), times), max_size=6),
    st.randoms(use_true_random=False),
)
def test_repeated_activity_counts_once(
    events: list[Event], repeats: list[tuple[int, int]], random: Random
) -> None:
    """Only the earliest of the activities with the same id counts, in any order of sending."""
    with_ids = [{**event, "activity_id": i} for i, event in enumerate(events)]
    later_copies = [
        {**with_ids[i % len(events)], "activity_id": f" {i % len(events)} ", "occurred_at": at}
        for i, at in repeats
        if at > with_ids[i % len(events)]["occurred_at"]
    ]
    mixed = [*with_ids, *later_copies]
    random.shuffle(mixed)
    expected = compute(ACTIVITIES.log_of_cells([with_ids]), (0, NOW))
    assert_equal(compute(ACTIVITIES.log_of_cells([mixed]), (0, NOW)), expected)


def test_activities_without_ids_are_distinct() -> None:
    event = {"type": "call", "occurred_at": NOW}
    features = features_at_now(event, event, {**event, "activity_id": ""})
    assert features["activity[call].count"] == 3


def test_same_activity_id_of_another_lead_is_distinct() -> None:
    event = {"type": "call", "occurred_at": NOW, "activity_id": "a"}
    values = compute(ACTIVITIES.log_of_cells([[event], [event]]), (0, NOW), (1, NOW))
    assert [by_name(row, ACTIVITIES)["activity.count"] for row in values] == [1, 1]


# -- equal to SQL


def sql_query() -> str:
    """Return the query that computes the same features in SQL."""
    columns = []
    for kind in (None, *ACTIVITIES.types):
        is_kind = "true" if kind is None else f"lower(trim(a.type)) = '{kind.lower()}'"
        columns.append(f"count(a.at) filter ({is_kind})")
        columns += [
            f"count(a.at) filter ({is_kind} and a.at > m.as_of - {days * DAY})"
            for days in WINDOWS_DAYS
        ]
        columns += [
            f"(any_value(m.as_of) - {end}(a.at) filter ({is_kind})) / {DAY}::double"
            for end in ("max", "min")
        ]
    short, long = (f"count(a.at) filter (a.at > m.as_of - {days * DAY})" for days in PACE_DAYS)
    columns += [
        "count(distinct nullif(trim(a.content), ''))",
        "count(distinct make_timestamp(a.at)::date)",
        f"({short} / {PACE_DAYS[0]}.0) / nullif({long} / {PACE_DAYS[1]}.0, 0)",
        f"min(a.at - m.created) filter (a.at >= m.created) / {HOUR}::double",
    ]
    columns += [
        f"coalesce(count(a.at) filter (lower(a.channel) = '{channel.lower()}')"
        " / nullif(count(a.at), 0), 0)"
        for channel in ACTIVITIES.channels
    ]
    return (
        f"select {', '.join(f'({column})::double' for column in columns)} from moments m "
        "left join activities a on a.lead = m.lead and a.at <= m.as_of group by m.n order by m.n"
    )


def compute_in_sql(leads: Histories, moments: Moments, has_creation: bool) -> Floats:
    """Compute the features of moments with DuckDB."""
    rows = [{"lead": i, **event} for i, events in enumerate(leads.activities) for event in events]
    table = pd.DataFrame(rows, columns=["lead", "type", "occurred_at", "channel", "content"])
    table = table.astype({"lead": "int64", "occurred_at": "int64"})
    created = np.array(leads.created)[moments.lead]
    moments_table = pd.DataFrame(
        {
            "n": range(len(moments)),
            "lead": moments.lead,
            "as_of": moments.as_of,
            "created": pd.array(created if has_creation else [pd.NA] * len(created), "Int64"),
        }
    )
    with duckdb.connect() as database:
        database.register("activities", table.rename(columns={"occurred_at": "at"}))
        database.register("moments", moments_table)
        return np.array(database.execute(sql_query()).fetchall(), dtype=np.float64)


def test_features_equal_those_of_sql() -> None:
    """Counts, recency, variety, pace and shares equal those that DuckDB computes."""
    cases: Counter[str | int] = Counter()  # how often a feature is not 0, or an edge is met

    @settings(max_examples=200)
    @given(histories_with_moments(), st.booleans())
    def compare(drawn: tuple[Histories, Moments], has_creation: bool) -> None:
        leads, moments = drawn
        created = np.array(leads.created)[moments.lead]
        values = ACTIVITIES.compute(
            ACTIVITIES.log_of_cells(leads.activities),
            moments.lead,
            moments.as_of,
            created if has_creation else np.full(len(created), NOT_A_TIME),
        )
        expected = compute_in_sql(leads, moments, has_creation)
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=0)
        for row in values:
            cases.update(name for name, value in by_name(row, ACTIVITIES).items() if value)
        ages = {NOW - event["occurred_at"] for events in leads.activities for event in events}
        cases.update(days for days in (0, *WINDOWS_DAYS) if days * DAY in ages)

    compare()
    names = {feature.name for feature in ACTIVITIES.features}
    assert cases.keys() >= names | {0, *WINDOWS_DAYS}
    assert min(cases.values()) >= 3, cases


# -- windows, and by hand


@pytest.mark.parametrize("days", WINDOWS_DAYS)
@pytest.mark.parametrize(("step", "count"), [(-1, 1), (0, 0), (1, 0)])
def test_window_excludes_its_far_end(days: int, step: int, count: int) -> None:
    features = features_at_now({"type": "call", "occurred_at": NOW - days * DAY - step})
    assert features[f"activity.count_{days}d"] == count
    assert features[f"activity[call].count_{days}d"] == count
    assert features["activity.count"] == 1


@pytest.mark.parametrize(("step", "count"), [(-1, 1), (0, 1), (1, 0)])
def test_event_at_as_of_counts(step: int, count: int) -> None:
    features = features_at_now({"type": "call", "occurred_at": NOW + step})
    assert features["activity.count"] == features["activity.count_1d"] == count


def test_features_by_hand() -> None:
    events = [
        {
            "type": activity_type,
            "occurred_at": NOW + int(days * DAY),
            "channel": channel,
            "content": content,
        }
        for activity_type, days, channel, content in [
            ("call", -100, "phone", "guide"),
            ("E-mail", -20, "web", "guide"),
            ("e-mail", -6, None, ""),
            ("visit", -2.5, "web", "prices"),
            ("CALL", -2.4, "fax", None),
            ("call", 0.1, "web", "x"),
        ]
    ]
    assert features_at_now(*events, created=NOW - 21 * DAY) == pytest.approx(FEATURES_BY_HAND)


FEATURES_BY_HAND = {
    "activity.count": 5,
    "activity.count_90d": 4,
    "activity.count_30d": 4,
    "activity.count_7d": 3,
    "activity.count_1d": 0,
    "activity.days_since_last": 2.4,
    "activity.days_since_first": 100,
    "activity[call].count": 2,
    "activity[call].count_90d": 1,
    "activity[call].count_30d": 1,
    "activity[call].count_7d": 1,
    "activity[call].count_1d": 0,
    "activity[call].days_since_last": 2.4,
    "activity[call].days_since_first": 100,
    "activity[E-Mail].count": 2,
    "activity[E-Mail].count_90d": 2,
    "activity[E-Mail].count_30d": 2,
    "activity[E-Mail].count_7d": 1,
    "activity[E-Mail].count_1d": 0,
    "activity[E-Mail].days_since_last": 6,
    "activity[E-Mail].days_since_first": 20,
    "activity.contents_count": 2,
    "activity.active_days_count": 4,
    "activity.pace_7d_to_30d": (3 / 7) / (4 / 30),
    "activity.first_response_hours": 24,
    "activity.channel[web].share": 0.4,
    "activity.channel[Phone].share": 0.2,
}


def test_times_before_1970_are_valid() -> None:
    log = ACTIVITIES.log_of_cells([[{"type": "call", "occurred_at": at} for at in (-1, -DAY, 0)]])
    features = by_name(compute(log, (0, 0)), ACTIVITIES)
    assert (features["activity.count"], features["activity.count_1d"]) == (3, 2)
    assert features["activity.active_days_count"] == 2


# -- what is fitted


def used_by(*values: tuple[str | None, int], column: str = "type") -> pd.DataFrame:
    """Build a table of activities in which a number of leads has each value."""
    rows = [{"lead_id": f"L{i}", column: value} for value, n in values for i in range(n)]
    return pd.DataFrame(rows).reindex(columns=["lead_id", "type", "channel"])


ENOUGH = MIN_LEADS_PER_VALUE


def test_types_need_enough_leads() -> None:
    fitted = fit_activities(used_by(("mail", ENOUGH), ("Call", ENOUGH + 1), ("rare", ENOUGH - 1)))
    assert fitted == ActivityFeatures(types=("Call", "mail"), channels=())


def test_many_activities_of_a_lead_are_one_lead() -> None:
    table = pd.DataFrame({"lead_id": ["L1"] * 99, "type": "call", "channel": None})
    assert fit_activities(table) == ActivityFeatures((), ())


def test_channels_have_their_usual_spelling() -> None:
    table = used_by(("Web", ENOUGH), ("web", ENOUGH + 5), (None, 50), column="channel")
    assert fit_activities(table).channels == ("web",)


def test_only_the_most_common_types_are_fitted() -> None:
    values: list[Any] = [(f"t{i:02}", ENOUGH + i) for i in range(MAX_TYPES + 6)]
    types = fit_activities(used_by(*values)).types
    assert types == tuple(name for name, _ in values[:5:-1])
    assert len(types) == MAX_TYPES


def test_features_have_unique_names() -> None:
    assert len(PIPELINE.names) == len(set(PIPELINE.names)) == 2 + 3 + 3 * 7 + 4 + 2 + 3


def test_counts_have_every_window() -> None:
    windows = {feature.window_days for feature in ACTIVITIES.features if feature.unit == "count"}
    assert windows == {None, *WINDOWS_DAYS}


def test_sentences_have_a_placeholder_for_the_value_only() -> None:
    for feature in PIPELINE.features:
        assert feature.sentence.format(value=1.0)
