"""Time zones in the names of columns."""

from pathlib import Path

import pandas as pd
import pytest

from crm.times import check_zone
from drafting.header_zones import HeaderZone, header_zone
from drafting.samples import Column
from tests.made_drafts import draft_of, flat_leads


def zone_of(*names: str) -> HeaderZone | None:
    return header_zone([Column(pd.Series(["2025-01-31"], name=name)) for name in names])


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Created Date (America/New_York)", "America/New_York"),
        ("Created (Europe/Berlin time)", "Europe/Berlin"),
        ("Created Date [GMT]", "UTC"),
        ("created_at_utc", "UTC"),
        ("CreatedDateUTC", "UTC"),
        ("Created (in UTC)", "UTC"),
        ("Created (UTC+2)", "Etc/GMT-2"),
        ("Created (-03:00)", "Etc/GMT+3"),
        ("Created GMT -3", "Etc/GMT+3"),
        ("Created (PST)", "Etc/GMT+8"),
        ("Created (Central European Time)", "Etc/GMT-1"),
    ],
)
def test_zone_of_a_name_is_proposed(name: str, zone: str) -> None:
    found = zone_of(name)
    assert found is not None
    assert found.name == zone
    assert found.note.startswith(f'from the name "{name}"')
    assert ("CHECK: if its clocks change in summer" in found.note) == zone.startswith("Etc")
    check_zone(zone, "leads.csv")


@pytest.mark.parametrize("name", ["Created (PT)", "Created (GMT+05:30)", "Created (UTC+19)"])
def test_zone_without_one_name_is_asked_for(name: str) -> None:
    found = zone_of(name)
    assert found is not None
    assert found.name == "UTC"
    assert found.note.startswith("CHECK: the name of")


@pytest.mark.parametrize(
    "name", ["Created", "Created (Lead)", "Created (local)", "Created (WON)", "Created (Mars/Base)"]
)
def test_other_names_have_no_zone(name: str) -> None:
    assert zone_of(name) is None


def test_different_zones_of_a_table_are_asked_about() -> None:
    found = zone_of("Created (UTC)", "Closed (Europe/Berlin)")
    assert found is not None
    assert found.name == "UTC"
    assert "contain different zones" in found.note


def test_columns_without_a_zone_are_named() -> None:
    found = zone_of("Created (Europe/Berlin)", "Closed")
    assert found is not None
    assert found.note.endswith('CHECK: the times of "Closed" are read in this zone too')


def test_draft_has_the_zone_of_the_name(tmp_path: Path) -> None:
    days = [f"2024-01-{1 + i % 28:02} 10:00" for i in range(400)]
    leads = flat_leads() | {"Created Date (America/New_York)": days}
    text, project, records = draft_of(tmp_path, leads)
    assert project.leads.timezone == "America/New_York"
    assert '# from the name "Created Date (America/New_York)"' in text
    assert records.leads["created_at"].min() == pd.Timestamp("2024-01-01 15:00", tz="UTC")
