"""Creation times that are found by their cells, because no name means a creation."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drafting.draft import draft_project

DAYS = [datetime.date(2025, 1, 1) + datetime.timedelta(days=i) for i in range(80)]
BIRTHS = [datetime.date(1950, 1, 1) + datetime.timedelta(days=200 * i) for i in range(80)]
STATES = ["Won", "Lost", "Open", "Open"]


def draft(folder: Path, **columns: Any) -> str:
    """Draft a project for leads with these columns, an id and a status."""
    n = len(next(iter(columns.values())))
    leads = pd.DataFrame({"Lead ID": [f"L{i}" for i in range(n)], "Status": (STATES * n)[:n]})
    for name, cells in columns.items():
        leads[name.replace("_", " ")] = pd.Series(cells, dtype=object)
    leads.to_csv(folder / "leads.csv", index=False)
    return draft_project([str(folder / "leads.csv")], folder, name="acme")


@pytest.mark.parametrize("name", ["Zeitstempel", "Horodateur", "Submission Date", "タイムスタンプ"])
def test_time_of_a_form_is_the_creation(tmp_path: Path, name: str) -> None:
    line = next(row for row in draft(tmp_path, **{name: DAYS}).splitlines() if "created_at" in row)
    assert line.startswith(f'created_at = "{name}"')
    assert "CHECK" not in line


def test_only_time_of_most_leads_is_the_creation(tmp_path: Path) -> None:
    days = ["", *DAYS[1:]]
    text = draft(tmp_path, Point_in_time=days, Last_call=DAYS)
    assert 'created_at = "Point in time" # when the lead was created; CHECK: its name' in text


@pytest.mark.parametrize(
    "columns",
    [
        {"Point in time": DAYS, "Other time": DAYS},
        {"Renewal due": DAYS},
        {"Last call": DAYS},
        {"Expected end": DAYS},
        {"Special day": BIRTHS},
        {"Point in time": [day if i % 4 else "" for i, day in enumerate(DAYS)]},
        {"Point in time": DAYS[:9]},
    ],
    ids=["two", "due", "last", "expected", "births", "quarter empty", "few"],
)
def test_other_times_are_not_the_creation(
    tmp_path: Path, columns: dict[str, Sequence[object]]
) -> None:
    assert "\ncreated_at" not in draft(tmp_path, **columns)


def test_time_after_the_closing_is_not_the_creation(tmp_path: Path) -> None:
    closed = [str(day) if i % 4 < 2 else "" for i, day in enumerate(DAYS)]
    later = [day + datetime.timedelta(days=9) for day in DAYS]
    assert "\ncreated_at" not in draft(tmp_path, Close_Date=closed, Point_in_time=later)
    assert "\ncreated_at" in draft(tmp_path, Close_Date=closed, Point_in_time=DAYS)


def test_several_times_are_asked_about(tmp_path: Path) -> None:
    text = draft(tmp_path, First_point=DAYS, Second_point=DAYS)
    assert (
        "# CHECK: if one of these columns contains the time at which each lead was created" in text
    )
    assert '"First point", "Second point"' in text


def test_number_with_a_unit_is_not_the_order(tmp_path: Path) -> None:
    text = draft(tmp_path, Created=[f"{700 - i} days ago" for i in range(80)])
    assert 'order = "Created"' not in text
