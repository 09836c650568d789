"""Features of a moment: what they do not depend on, and that files and requests give the same."""

import datetime
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest import mock
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.arrays import Floats
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features import events
from features.attributes.attribute import MISSING
from features.attributes.number import NumberAttribute
from features.fitting import fit_pipeline
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from features.times import time_text
from tests.made_histories import (
    NOW,
    PIPELINE,
    ZONES,
    Histories,
    assert_equal,
    by_name,
    event_tables,
    events_table,
    histories,
    histories_with_moments,
)

Drawn = tuple[Histories, Moments]


def transform(records: Records, moments: Moments) -> Floats:
    return PIPELINE.transform(records, moments.lead, moments.as_of)


# -- laws


@given(histories_with_moments())
def test_events_after_as_of_change_nothing(drawn: Drawn) -> None:
    leads, moments = drawn
    records = leads.records
    activities, stages = event_tables(records)
    together = transform(records, moments)
    assert together.shape == (len(moments), len(PIPELINE.names))
    for row, as_of in enumerate(moments.as_of.tolist()):
        moment = pd.Timestamp(as_of, unit="us", tz="UTC")
        is_past = np.array(leads.asked) <= as_of
        cut = replace(
            records,
            leads=records.leads.assign(asked_at=records.leads["asked_at"].where(is_past)),
            activities=activities[activities["occurred_at"] <= moment],
            stages=stages[stages["entered_at"] <= moment],
        )
        alone = PIPELINE.transform(cut, moments.lead[[row]], moments.as_of[[row]])
        assert_equal(alone, together[[row]])


def shuffled_events(records: Records, random: Random) -> Records:
    activities, stages = event_tables(records)
    return replace(
        records,
        activities=activities.sample(frac=1, random_state=random.randrange(2**31)),
        stages=stages.sample(frac=1, random_state=random.randrange(2**31)),
    )


@given(histories_with_moments(), st.randoms(use_true_random=False))
def test_order_of_events_does_not_matter(drawn: Drawn, random: Random) -> None:
    leads, moments = drawn
    records = leads.records
    assert_equal(transform(shuffled_events(records, random), moments), transform(records, moments))


@given(histories_with_moments(), st.randoms(use_true_random=False))
def test_tables_of_events_are_not_modified(drawn: Drawn, random: Random) -> None:
    leads, moments = drawn
    records = shuffled_events(leads.records, random)
    activities, stages = event_tables(records)
    activities_before, stages_before = activities.copy(), stages.copy()
    transform(records, moments)
    pd.testing.assert_frame_equal(activities, activities_before)
    pd.testing.assert_frame_equal(stages, stages_before)


@given(histories_with_moments(), st.sampled_from(ZONES))
def test_time_zone_does_not_matter(drawn: Drawn, zone: str) -> None:
    leads, moments = drawn
    records = leads.records
    activities, stages = event_tables(records)
    asked_at = [datetime.datetime.fromisoformat(cell["asked_at"]) for cell in leads.cells]
    moved = replace(
        records,
        leads=records.leads.assign(
            created_at=records.leads["created_at"].dt.tz_convert(zone),
            asked_at=[at.astimezone(ZoneInfo(zone)).isoformat() for at in asked_at],
        ),
        activities=activities.assign(occurred_at=activities["occurred_at"].dt.tz_convert(zone)),
        stages=stages.assign(entered_at=stages["entered_at"].dt.tz_convert(zone)),
    )
    assert_equal(transform(moved, moments), transform(records, moments))


@given(histories_with_moments(), st.integers(1, 6))
def test_block_size_does_not_matter(drawn: Drawn, size: int) -> None:
    leads, moments = drawn
    expected = transform(leads.records, moments)
    with mock.patch.object(events, "BLOCK_EVENTS", size):
        assert_equal(transform(leads.records, moments), expected)


def features_at_now(leads: Histories) -> Floats:
    """Compute the features of all leads from their tables."""
    return PIPELINE.transform(leads.records, np.arange(len(leads)), np.full(len(leads), NOW))


def features_of_cells(leads: Histories) -> Floats:
    """Compute the features of all leads from cells of a request."""
    history = PIPELINE.history_of_cells(leads.created, leads.activities, leads.stages)
    return PIPELINE.rows(leads.cells, history, NOW)


def take(leads: Histories, i: int) -> Histories:
    """Return the history of one lead."""
    return Histories(*([values[i]] for values in vars(leads).values()))


@given(histories)
def test_request_equals_the_tables(leads: Histories) -> None:
    assert_equal(features_of_cells(leads), features_at_now(leads))


@given(histories)
def test_one_lead_equals_the_same_lead_in_a_batch(leads: Histories) -> None:
    together = features_at_now(leads)
    for i in range(len(leads)):
        assert_equal(features_at_now(take(leads, i)), together[[i]])
        assert_equal(features_of_cells(take(leads, i)), together[[i]])


@given(histories)
def test_events_of_other_leads_in_the_tables_do_not_matter(leads: Histories) -> None:
    records, together = leads.records, features_at_now(leads)
    for i in range(len(leads)):
        lead = records.leads.iloc[[i]].reset_index(drop=True)
        alone = replace(records, leads=lead)
        assert_equal(PIPELINE.transform(alone, np.array([0]), np.array([NOW])), together[[i]])
        tables = [("activities", records.activities), ("stages", records.stages)]
        created = np.array(leads.created[i : i + 1])
        history = PIPELINE.event_logs(tables).history_of(lead["lead_id"], created)
        assert_equal(PIPELINE.matrix(lead, history, NOW), together[[i]])


@given(histories)
def test_without_as_of_no_event_counts(leads: Histories) -> None:
    no_events: list[tuple[()]] = [()] * len(leads)
    history = PIPELINE.history_of_cells(leads.created, leads.activities, leads.stages)
    empty_history = PIPELINE.history_of_cells(leads.created, no_events, no_events)
    assert_equal(PIPELINE.rows(leads.cells, history), PIPELINE.rows(leads.cells, empty_history))


# -- leads without a history

WITHOUT_EVENTS = Histories([NOW - 3 * DAY], [NOW + 1], [[]], [[]])
WITH_A_CALL = Histories([NOW], [NOW], [[{"type": "call", "occurred_at": NOW}]], [[]])
BOTH = Histories(
    *(a + b for a, b in zip(vars(WITHOUT_EVENTS).values(), vars(WITH_A_CALL).values(), strict=True))
)


@pytest.mark.parametrize("leads", [WITHOUT_EVENTS, BOTH], ids=["alone", "with another lead"])
def test_features_of_a_lead_without_events(leads: Histories) -> None:
    features = by_name(PIPELINE.transform(leads.records, np.array([0]), np.array([NOW])))
    assert features.pop("lead.age_days") == 3
    assert features.pop("lead.created_weekday") == 6  # the Sunday before 1 January 2025
    assert features.pop("lead.created_hour") == 8
    assert features.pop("stage.current") == MISSING
    missing = {name for name, value in features.items() if np.isnan(value)}
    assert missing == {
        "asked_at.age_days",
        "asked_at.weekday",
        "stage.days_in",
        "activity.pace_7d_to_30d",
        "activity.first_response_hours",
        *(
            f"{stem}.days_since_{end}"
            for end in ("last", "first")
            for stem in ("activity", "activity[call]", "activity[E-Mail]")
        ),
    }
    assert {features[name] for name in features.keys() - missing} == {0.0}


def test_leads_without_an_id_have_no_history() -> None:
    call = {"type": "call", "occurred_at": NOW}
    activities = events_table(["0", "1", "A"], [[call], [call], [call]], ["type", "occurred_at"])
    ids = pd.Series([None, "A", None], dtype=object)
    logs = PIPELINE.event_logs([("activities", activities), ("stages", None)])
    history = logs.history_of(ids, np.full(3, NOW))
    leads = pd.DataFrame({"asked_at": ["2024-12-31", None, None]})
    values = PIPELINE.matrix(leads, history, NOW)
    assert [by_name(row)["activity.count"] for row in values] == [0, 1, 0]


# -- from files

PROJECT = """
project.name = "acme"
[leads]
source = "{folder}/leads.csv"
outcome = "won"
closed_at = "closed_at"
{zone}
[activities]
source = "{folder}/activities.csv"
{zone}
[stages]
source = "{folder}/stages.csv"
{zone}
[learn]
won = ["yes"]
lost = ["no"]
horizon_days = 10
moments_days = [0, 0.5, 3.25]
observed_until = "2025-05-01"
"""
TIME_COLUMNS = ("created_at", "closed_at", "asked_at", "occurred_at", "entered_at")

Tables = dict[str, pd.DataFrame]
WriteTime = Callable[[int, datetime.datetime], str]  # from the position of the row and the time


def iso_8601(row: int, at: datetime.datetime) -> str:
    return at.isoformat()


def iso_8601_in_several_zones(row: int, at: datetime.datetime) -> str:
    return at.astimezone(ZoneInfo(ZONES[row % len(ZONES)])).isoformat()


def tokyo_without_zone(row: int, at: datetime.datetime) -> str:
    return at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture(scope="module")
def export() -> Tables:
    """Draw the tables of 80 leads; times are microseconds."""
    generator = np.random.default_rng(8)
    created = NOW + np.sort(generator.integers(0, 90 * DAY, 80))
    ids = [f"L{i}" for i in range(80)]
    leads = pd.DataFrame(
        {
            "lead_id": ids,
            "created_at": created,
            "closed_at": created + 4 * DAY,
            "won": generator.choice(["yes", "no"], 80),
            "asked_at": created + generator.integers(-9 * DAY, 2 * DAY, 80),
        }
    )

    def draw_events(n: int, time: str) -> pd.DataFrame:
        lead = generator.integers(0, 70, n)
        at = created[lead] + generator.integers(-2 * DAY, 6 * DAY, n)
        return pd.DataFrame({"lead_id": np.array(ids)[lead], time: at})

    activities = draw_events(900, "occurred_at").assign(
        activity_id=[f"A{i}" for i in range(900)],
        type=generator.choice(["call", "mail", "visit"], 900),
        channel=generator.choice(np.array(["web", "phone", None], dtype=object), 900),
        content=generator.choice(np.array(["guide", "prices", None], dtype=object), 900),
    )
    stages = draw_events(200, "entered_at").assign(stage=generator.choice(["New", "Offer"], 200))
    return {"leads": leads, "activities": activities, "stages": stages}


@dataclass(frozen=True)
class Fitted:
    """A pipeline that was fitted on files, its moments, and their features."""

    pipeline: FeaturePipeline
    moments: Moments
    features: Floats


def fit_files(
    tables: Tables, folder: Path, write_time: WriteTime = iso_8601, zone: str = ""
) -> Fitted:
    """Write the tables as CSV, fit a pipeline on them, and compute the features."""
    folder.mkdir()
    for name, table in tables.items():
        texts = {
            column: [
                write_time(row, datetime.datetime.fromisoformat(time_text(at)))
                for row, at in enumerate(table[column].tolist())
            ]
            for column in TIME_COLUMNS
            if column in table
        }
        table.assign(**texts).to_csv(folder / f"{name}.csv", index=False)
    zone_key = f'timezone = "{zone}"' if zone else ""
    (folder / "leadscore.toml").write_text(PROJECT.format(folder=folder, zone=zone_key))
    project = load_project(folder)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    pipeline = fit_pipeline(records, moments, project)
    return Fitted(pipeline, moments, pipeline.transform(records, moments.lead, moments.as_of))


@pytest.fixture(scope="module")
def fitted(export: Tables, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Fit the export as it is."""
    return fit_files(export, tmp_path_factory.mktemp("files") / "export")


def test_files_give_features_at_every_moment(fitted: Fitted) -> None:
    assert len(fitted.moments) == 240
    assert set(np.unique(fitted.moments.lead, return_counts=True)[1]) == {3}
    assert fitted.pipeline.activities is not None
    assert set(fitted.pipeline.activities.types) == {"call", "mail", "visit"}
    columns = dict(zip(fitted.pipeline.names, fitted.features.T, strict=True))
    for name in ("activity.count", "activity[call].count_1d", "stage.days_in", "asked_at.age_days"):
        assert len(np.unique(columns[name])) > 3


def test_transform_needs_the_memory_of_one_matrix() -> None:
    names = [f"number_{i}" for i in range(60)]
    attributes = tuple(
        NumberAttribute(column=name, nothing=frozenset(), median=0.0) for name in names
    )
    pipeline = FeaturePipeline(attributes, left_out=())
    leads = pd.DataFrame({name: np.arange(10_000.0) for name in names})
    leads["lead_id"] = leads.index.astype(str)
    records = Records(leads, pd.DataFrame())
    lead = np.repeat(np.arange(10_000), 3)  # three moments of each lead
    tracemalloc.start()
    matrix = pipeline.transform(records, lead, np.full(len(lead), NOT_A_TIME))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert matrix.flags.f_contiguous
    assert matrix[:, 7].tolist() == lead.tolist()
    assert peak < 1.3 * matrix.nbytes


def test_times_of_an_export_may_have_any_zone(
    fitted: Fitted, export: Tables, tmp_path: Path
) -> None:
    in_zones = fit_files(export, tmp_path / "zones", iso_8601_in_several_zones)
    assert in_zones.pipeline == fitted.pipeline
    assert_equal(in_zones.features, fitted.features)


def test_rows_of_an_export_may_have_any_order_and_repeats(
    fitted: Fitted, export: Tables, tmp_path: Path
) -> None:
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in export.items()}
    activities = shuffled["activities"]
    later_copies = activities.head(50).assign(occurred_at=lambda table: table["occurred_at"] + 1)
    shuffled["activities"] = pd.concat([later_copies, activities])
    again = fit_files(shuffled, tmp_path / "shuffled", iso_8601_in_several_zones)
    assert again.pipeline == fitted.pipeline
    assert_equal(again.features, fitted.features)


def test_times_without_a_zone_are_in_the_zone_of_the_project(
    export: Tables, tmp_path: Path
) -> None:
    # A date attribute has no zone of its own, so it is left out.
    tables = {**export, "leads": export["leads"].drop(columns="asked_at")}
    in_utc = fit_files(tables, tmp_path / "utc")
    in_tokyo = fit_files(tables, tmp_path / "tokyo", tokyo_without_zone, "Asia/Tokyo")
    assert_equal(in_tokyo.features, in_utc.features)


def test_fit_ignores_events_after_the_moments(
    fitted: Fitted, export: Tables, tmp_path: Path
) -> None:
    lead_id, time = export["leads"]["lead_id"], export["leads"]["created_at"] + 5 * DAY
    invoices = pd.DataFrame(
        {"lead_id": lead_id, "occurred_at": time, "type": "invoice", "channel": "post"}
    )
    entries = pd.DataFrame({"lead_id": lead_id, "entered_at": time, "stage": "invoice"})
    tables = {
        **export,
        "activities": pd.concat([export["activities"], invoices]),
        "stages": pd.concat([export["stages"], entries]),
    }
    with_later_events = fit_files(tables, tmp_path / "later")
    assert with_later_events.pipeline == fitted.pipeline
    assert_equal(with_later_events.features, fitted.features)
