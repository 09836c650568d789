"""Tests that events are found by ids, however they are ordered, and that arrays are built once."""

import gc
import weakref
from dataclasses import replace
from random import Random
from unittest import mock

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from crm.event_arrays import EventArrays
from crm.records import Records
from features.activity import ActivityFeatures
from features.history import EventLogs
from features.pipeline import FeaturePipeline
from tests.made_histories import (
    NOW,
    PIPELINE,
    Histories,
    assert_equal,
    by_name,
    event_tables,
    events_table,
    histories,
)

CALL = {"type": "call", "occurred_at": NOW}


def logs_of(leads: Histories, random: Random | None = None) -> EventLogs:
    """Return the events of leads, in random order."""
    tables = zip(("activities", "stages"), event_tables(leads.records), strict=True)
    return PIPELINE.event_logs(
        (name, table if random is None else table.sample(frac=1, random_state=random.randrange(99)))
        for name, table in tables
    )


@given(histories, st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_part_of_the_leads_has_its_own_events(
    leads: Histories, random: Random, size: int
) -> None:
    records = leads.records
    expected = PIPELINE.transform(records, np.arange(len(leads)), np.full(len(leads), NOW))
    logs, created = logs_of(leads, random), np.array(leads.created)
    rows = list(range(len(leads)))
    random.shuffle(rows)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        history = logs.history_of(records.leads["lead_id"].iloc[part], created[part])
        assert_equal(PIPELINE.matrix(records.leads.iloc[part], history, NOW), expected[part])


def test_rows_with_the_same_id_share_their_events() -> None:
    activities = events_table(["A", "B"], [[CALL], [CALL, CALL]], ["type", "occurred_at"])
    logs = PIPELINE.event_logs([("activities", activities), ("stages", None)])
    ids = pd.Series(["B", "X", "A", None, "B", "X", "A"], dtype="str")
    history = logs.history_of(ids, np.full(7, NOW))
    assert history.position.tolist() == [0, 1, 2, 3, 0, 5, 2]
    leads = pd.DataFrame({"asked_at": [None] * 7})
    values = PIPELINE.matrix(leads, history, NOW)
    assert [by_name(row)["activity.count"] for row in values] == [2, 0, 1, 0, 2, 0, 1]


def test_lead_with_stages_only_has_no_activities() -> None:
    activities = events_table(["A"], [[CALL]], ["type", "occurred_at"])
    stages = events_table(["B"], [[{"stage": "new", "entered_at": NOW}]], ["stage", "entered_at"])
    logs = PIPELINE.event_logs([("activities", activities), ("stages", stages)])
    assert logs.ids.texts.tolist() == ["A", "B"]
    history = logs.history_of(pd.Series(["B", "A"], dtype="str"), np.full(2, NOW))
    assert (history.activities.lead.tolist(), history.stages.lead.tolist()) == ([1], [0])


def test_ids_of_tables_that_the_pipeline_does_not_read_are_known() -> None:
    activities = events_table(["B", "A"], [[CALL], [CALL]], ["type", "occurred_at"])
    logs = FeaturePipeline((), ()).event_logs([("activities", activities)])
    assert (logs.ids.texts.tolist(), logs.example) == (["B", "A"], "A")
    history = logs.history_of(pd.Series(["A"], dtype="str"), np.full(1, NOW))
    assert len(history.activities) == 0
    assert FeaturePipeline((), ()).event_logs([]).example is None


@given(histories)
def test_arrays_of_events_are_built_once_for_the_records(leads: Histories) -> None:
    records = replace(leads.records)
    moments = np.arange(len(leads)), np.full(len(leads), NOW)
    with mock.patch.object(EventArrays, "of_table", side_effect=EventArrays.of_table) as of_table:
        first = PIPELINE.transform(records, *moments)
        other = replace(PIPELINE, activities=ActivityFeatures(("visit",), ()))
        other.transform(records, *moments)
        assert_equal(PIPELINE.transform(records, *moments), first)
    assert of_table.call_count == 2  # activities and stages


def test_arrays_of_events_are_freed_with_the_records() -> None:
    table = events_table(["A"], [[CALL]], ["type", "occurred_at"])
    leads = pd.DataFrame({"lead_id": ["A"], "created_at": pd.to_datetime([0], utc=True)})
    records = Records(leads=leads, outcomes=pd.DataFrame(), activities=table)
    PIPELINE.transform(records, np.array([0]), np.array([NOW]))
    arrays = weakref.ref(records.activity_events)
    assert arrays() is not None
    del records
    gc.collect()
    assert arrays() is None
