"""A simulated CRM day by day: consistent with its tables, and ready for the service."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from crm.errors import ConfigError
from crm.simulation import days as simulated_days
from crm.simulation import drawing
from crm.simulation.days import SimulatedDay, days
from crm.simulation.drift import Drift
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.tables import EVENT_TABLES
from serving.errors import RequestError
from serving.payloads.events import read_items
from serving.payloads.score import read_score_request
from serving.settings import Settings

DRIFT = (Drift("broken_feed", "2024-04-01"), Drift("label_delay", "2024-05-01"))
SETTINGS = Simulation(leads=1_500, activities_per_lead=6, days=300, drifts=DRIFT)
EVENTS = {"activities": "occurred_at", "stages": "entered_at", "outcomes": "closed_at"}


@pytest.fixture(scope="module")
def small_chunks() -> Iterator[None]:
    """Draw 200 leads at a time, so that the events of a day come from several chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_CHUNK_LEADS", 200)
        yield


@pytest.fixture(scope="module")
def every_day(small_chunks: None) -> list[SimulatedDay]:
    return list(days(SETTINGS))


@pytest.fixture(scope="module")
def tables(small_chunks: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("crm")
    files = simulate(SETTINGS, folder, file_format="parquet")
    return {name: pd.read_parquet(file) for name, file in files.items()}


def lead_rows(leads: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [{**lead, **lead["attributes"]} for lead in leads]
    return pd.DataFrame(rows).drop(columns="attributes")


def assert_same_rows(sent: pd.DataFrame, written: pd.DataFrame, time: str) -> None:
    sent = sent[list(written.columns)].assign(**{time: pd.to_datetime(sent[time], utc=True)})
    keys = [name for name in ("lead_id", time, "activity_id") if name in written]
    both = [table.sort_values(keys, ignore_index=True) for table in (sent, written)]
    pd.testing.assert_frame_equal(both[0], both[1], check_dtype=False)


def test_there_is_each_day_of_the_window(every_day: list[SimulatedDay]) -> None:
    first = SETTINGS.opens_at.date()
    assert [day.day for day in every_day] == [first + timedelta(days=n) for n in range(300)]


@pytest.mark.parametrize(("table", "time"), EVENTS.items())
def test_events_of_all_days_are_the_table(
    every_day: list[SimulatedDay], tables: dict[str, pd.DataFrame], table: str, time: str
) -> None:
    sent = pd.DataFrame([row for day in every_day for row in getattr(day, table)])
    assert len(sent) > 500
    assert_same_rows(sent, tables[table], time)


def test_leads_of_all_days_are_the_table(
    every_day: list[SimulatedDay], tables: dict[str, pd.DataFrame]
) -> None:
    new = lead_rows([lead for day in every_day for lead in day.new_leads])
    assert_same_rows(new, tables["leads"].drop(columns="contract_type"), "created_at")
    changed = lead_rows([lead for day in every_day for lead in day.changed_leads])
    filled = tables["leads"][tables["leads"]["contract_type"].notna()]
    assert len(filled) > 100
    assert_same_rows(changed, filled, "created_at")


def test_truth_of_all_days_is_the_table(
    every_day: list[SimulatedDay], tables: dict[str, pd.DataFrame]
) -> None:
    truth = {lead_id: chance for day in every_day for lead_id, chance in day.truth.items()}
    assert truth == dict(tables["truth"].itertuples(index=False))
    assert [*every_day[7].truth] == [lead["lead_id"] for lead in every_day[7].new_leads]


def test_nothing_is_known_before_its_day(every_day: list[SimulatedDay]) -> None:
    created: dict[str, str] = {}
    n_early = 0
    for day in every_day:
        created |= {lead["lead_id"]: lead["created_at"] for lead in day.new_leads}
        today = day.day.isoformat()
        assert all(lead["created_at"].startswith(today) for lead in day.new_leads)
        for table, time in EVENTS.items():
            for event in getattr(day, table):
                is_early = event[time] < created[event["lead_id"]]
                at = created[event["lead_id"]] if is_early else event[time]
                assert at.startswith(today)
                n_early += is_early
    assert n_early > 20


def test_the_leak_is_known_on_the_day_of_the_closing_only(every_day: list[SimulatedDay]) -> None:
    n_changed = 0
    for day in every_day:
        assert not any("contract_type" in lead["attributes"] for lead in day.new_leads)
        closed = {outcome["lead_id"] for outcome in day.outcomes}
        assert {lead["lead_id"] for lead in day.changed_leads} <= closed
        assert all(lead["attributes"]["contract_type"] for lead in day.changed_leads)
        n_changed += len(day.changed_leads)
    assert n_changed > 100


def test_lists_are_in_the_order_of_time(every_day: list[SimulatedDay]) -> None:
    for day in every_day:
        for table in ("stages", "outcomes"):
            times = [event[EVENTS[table]] for event in getattr(day, table)]
            assert times == sorted(times)
        times = [lead["created_at"] for lead in day.new_leads]
        assert times == sorted(times)


def test_drift_shows_on_its_day(every_day: list[SimulatedDay]) -> None:
    opened = [
        day.day
        for day in every_day
        for activity in day.activities
        if activity["type"] == "email_open"
    ]
    assert max(opened) == date(2024, 3, 31)


def test_what_happens_at_the_time_of_the_export_is_sent_on_the_last_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_one_at_the_end(settings: Simulation) -> Iterator[tuple[int, dict[str, Any]]]:
        for done, tables in drawing.chunks(settings):
            stages = tables["stages"]
            times = [*stages["entered_at"].to_pylist()[:-1], settings.as_of]
            moved = pa.array(times, stages["entered_at"].type)
            yield done, tables | {"stages": stages.set_column(2, "entered_at", moved)}

    monkeypatch.setattr(simulated_days, "chunks", with_one_at_the_end)
    (last,) = days(SETTINGS, "2024-10-26")
    assert last.stages[-1]["entered_at"] == "2024-10-27T00:00:00Z"


def test_a_part_of_the_window_equals_the_same_days(every_day: list[SimulatedDay]) -> None:
    part = list(days(SETTINGS, "2024-03-10", date(2024, 6, 30)))
    numbers = slice(69, 182)
    assert part[0].day == date(2024, 3, 10)
    assert part == every_day[numbers]


@pytest.mark.parametrize("table", EVENTS)
def test_the_service_reads_the_events(every_day: list[SimulatedDay], table: str) -> None:
    ids = set()
    for day in every_day[100:200]:
        if rows := getattr(day, table):
            read = read_items(table, json.dumps({table: rows}).encode())
            assert not [row for row in read if isinstance(row, RequestError)]
            ids |= {row[EVENT_TABLES[table].event_id] for row in read if isinstance(row, dict)}
    assert len(ids) > 100


def test_the_service_reads_the_leads(every_day: list[SimulatedDay]) -> None:
    n_leads = 0
    for day in every_day[100:200]:
        if leads := day.new_leads + day.changed_leads:
            read, _, _ = read_score_request(json.dumps({"leads": leads}).encode(), Settings())
            assert not [lead for lead in read if isinstance(lead, RequestError)]
            n_leads += len(read)
    assert n_leads > 400


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2023-12-31", None, "`first` is 2023-12-31, outside the window. Expected a day from 2024"),
        (None, "2024-10-27", "`last` is 2024-10-27, outside the window. .* to 2024-10-26. Choose"),
        ("soon", None, "`first` is 'soon'. Expected a day"),
        ("2024-03-02", "2024-03-01", "`last` is 2024-03-01 and before `first`, which is 2024-03"),
    ],
)
def test_days_outside_the_window_are_refused(
    first: str | None, last: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        days(SETTINGS, first, last)
