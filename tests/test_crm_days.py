"""Times that are given as days: their ends, closings on the day of creation, and law 1."""

from pathlib import Path

import pandas as pd
import pytest

from crm.days import day_end, day_ends, is_day_start, without_day_end, zone_of_days
from crm.outcomes import after_creation
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY, microseconds
from features.times import cell_time
from tests.made_histories import PIPELINE, moments_of
from tests.made_projects import FOUR_TABLES, WON_AND_LOST


def times(*texts: str | None) -> pd.Series:
    return pd.to_datetime(pd.Series(list(texts)), utc=True).astype("datetime64[us, UTC]")


@pytest.mark.parametrize(
    ("texts", "zone"),
    [
        (["2024-02-01T00:00Z", None], "UTC"),
        (["2024-01-31T23:00Z", "2024-06-30T22:00Z"], "Europe/Berlin"),
        (["2024-01-31T23:00Z", "2024-02-01T00:00Z"], None),
        (["2024-02-01T00:00Z", "2024-02-01T08:00Z"], None),
        ([None], None),
    ],
)
def test_zone_of_days_needs_every_time_to_be_a_day(texts: list[str], zone: str | None) -> None:
    assert zone_of_days(times(*texts), "Europe/Berlin") == zone


def test_day_starts_late_if_the_clocks_skip_midnight() -> None:
    """In Beirut, the clocks went from 0:00 to 1:00 on 26 March 2022, 22:00 UTC."""
    starts = times("2022-03-26T22:00Z", "2022-03-26T23:00Z")
    assert is_day_start(starts, "Asia/Beirut").tolist() == [True, False]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-30T23:00Z", "2024-03-31T21:59:59.999999Z"),  # 23 hours
        ("2024-10-26T22:00Z", "2024-10-27T22:59:59.999999Z"),  # 25 hours
    ],
)
def test_days_end_with_the_clocks_of_their_zone(start: str, end: str) -> None:
    assert day_ends(times(start), "Europe/Berlin").tolist() == times(end).tolist()
    assert day_ends(times(None), "Europe/Berlin").isna().all()


def test_day_ends_of_single_times_equal_those_of_a_column() -> None:
    start = cell_time("2024-02-01")
    assert microseconds(day_ends(times("2024-02-01"), "UTC")).tolist() == [day_end(start)]
    assert without_day_end(day_end(start)) == start
    assert without_day_end(start) == start


@pytest.mark.parametrize(
    ("created", "closed", "closed_by", "expected"),
    [
        ("2024-02-01T09:00", "2024-02-01", "2024-02-01T23:59:59", "2024-02-01T09:00:01"),
        ("2024-02-01T00:00", "2024-02-01", "2024-02-01T23:59:59", "2024-02-01T00:00:01"),
        ("2024-02-01T23:59:58.5", "2024-02-01", "2024-02-01T23:59:59", "2024-02-01T23:59:59"),
        ("2024-01-31T09:00", "2024-02-01", "2024-02-01T23:59:59", "2024-02-01"),
        ("2024-02-02T09:00", "2024-02-01", "2024-02-01T23:59:59", "2024-02-01"),  # an error
        ("2024-02-01T09:00", "2024-02-01T08:00", "2024-02-01T08:00", "2024-02-01T08:00"),
    ],
)
def test_closing_as_a_day_comes_after_a_creation_on_this_day(
    created: str, closed: str, closed_by: str, expected: str
) -> None:
    outcomes = pd.DataFrame(
        {"lead_id": ["L1"], "closed_at": times(closed), "closed_by": times(closed_by)}
    )
    leads = pd.DataFrame({"lead_id": ["L1"], "created_at": times(created)})
    assert after_creation(outcomes, leads)["closed_at"].tolist() == times(expected).tolist()


# -- law 1: features as of a moment come from what was known then


DAYS = ["2025-01-02", "2025-01-03", "2025-01-04", "2025-01-05"]


def records_until(folder: Path, last: str) -> Records:
    """Return the records of an export that was made on a day."""
    days = [day for day in DAYS if day <= last]
    calls = "".join(f"L1,call,{day}\n" for day in days)
    stages = "".join(f"L1,{stage},{day}\n" for stage, day in zip("abcd", days, strict=False))
    (folder / "leads.csv").write_text("Id,Created,asked_at\nL1,2025-01-01T08:00Z,2025-01-01\n")
    (folder / "activities.csv").write_text("lead_id,type,occurred_at\n" + calls)
    (folder / "stages.csv").write_text("lead_id,stage,entered_at\n" + stages)
    (folder / "outcomes.csv").write_text("lead_id,outcome,closed_at\nL1,won,2025-02-01\n")
    (folder / "leadscore.toml").write_text(FOUR_TABLES + WON_AND_LOST)
    return read_records(load_project(folder))


def features(records: Records, as_of: int) -> list[float]:
    moments = moments_of([(0, as_of)])
    row: list[float] = PIPELINE.transform(records, moments.lead, moments.as_of)[0].tolist()
    return row


def test_events_given_as_days_are_known_when_their_day_is_over(tmp_path: Path) -> None:
    whole = records_until(tmp_path, DAYS[-1])
    noon = cell_time("2025-01-04T12:00Z")
    at_noon = pytest.approx(features(whole, noon), nan_ok=True, abs=0)
    for last in DAYS[1:3]:  # whether the export contains the events of this day already or not
        assert features(records_until(tmp_path, last), noon) == at_noon
    assert features(records_until(tmp_path, DAYS[0]), noon) != at_noon
    midnight = noon + DAY // 2
    at_midnight = pytest.approx(features(whole, midnight), nan_ok=True, abs=0)
    assert features(records_until(tmp_path, DAYS[2]), midnight) == at_midnight
    assert features(records_until(tmp_path, DAYS[1]), midnight) != at_midnight
