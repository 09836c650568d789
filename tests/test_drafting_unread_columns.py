"""Columns whose cells look like times or numbers but are not read as such, in a draft."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomlkit

from drafting.draft import draft_project
from drafting.samples import Column
from drafting.unread_columns import add_unread_numbers, add_unread_times, unread_times
from tests.made_drafts import write_csv


def column(name: str, cells: Sequence[str]) -> Column:
    return Column(pd.Series(cells, name=name))


def times_comment(columns: Sequence[Column]) -> str:
    section = tomlkit.table()
    add_unread_times(section, columns)
    return " ".join(section.as_string().replace("# ", "").split())


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Created At", ["2025-01", "2025-02"]),
        ("Erstellt am", ["Q1 2025", "Q2 2025"]),
        ("Closed Date", ["01/13/2024 9:05 AM PT", "01/14/2024 9:05 AM PT"]),
        ("Created At", ["01.02.2025", "2025/02/01", "Feb 2025"]),
    ],
)
def test_column_of_a_creation_or_closing_without_times_is_unread(
    name: str, cells: list[str]
) -> None:
    assert unread_times(column(name, cells)).startswith("its name means the time when each lead")


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Created At", ["2025-01-31", "2025-02-01"]),
        ("Erstellt am", ["5 mrt. 2025 10:17", "17 mei 2025 8:05"]),
        ("Created At", ["45662,4285", "45663,5"]),
        ("Geschlossen", ["1", "0"]),
        ("Fermé", ["Oui", "Non"]),
        ("Created By", ["Ann", "Bob", "Cem 2"]),
        ("Days since created", ["3", "4"]),
        ("Size", ["2025-01", "2025-02"]),
    ],
)
def test_other_columns_are_not_unread_times(name: str, cells: list[str]) -> None:
    assert unread_times(column(name, cells)) == ""
    assert times_comment([column(name, cells)]) == ""


def test_comment_names_two_cells_of_different_forms_and_the_zone() -> None:
    cells = ["01/13/2024 9:05 PT", "02/13/2024 9:05 PT", "02/13/2024"]
    comment = times_comment([column("Created At", cells)])
    assert 'such as "01/13/2024 9:05 PT" and "02/13/2024", are not read as times' in comment
    assert '"PT" is not a zone with one meaning.' in comment
    assert '"Created At" = "%m/%d/%Y %H:%M PT" and the name of the zone as `timezone`' in comment


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["13 May 2024 / 18:27 (new)", "9 June 2024 / 9:05 (new)"], "%d %b %Y / %H:%M new"),
        (["13/01/2024 18:27 XY 1", "14/01/2024 18:27 XY 1"], "%d/%m/%Y %H:%M XY 1"),
        (["13012024", "01022024"], "%d%m%Y"),
        (["Q1 2025", "Q2 2025"], ""),
        (["422 days ago", "364 days ago"], ""),
        (["17:00.0", "18:00.0"], ""),
        (["01/02/2024 18:27 XY 1", "03/04/2024 18:27 XY 1"], ""),
    ],
)
def test_comment_proposes_only_a_format_that_fits(cells: list[str], form: str) -> None:
    comment = times_comment([column("Created At", cells)])
    proposed = f', such as "Created At" = "{form}". Then' if form else "2025-03-01 08:00. Then"
    assert proposed in comment
    assert ("%" in comment) == (form != "")


def test_name_before_a_time_is_named() -> None:
    cells = ["Ben Keller Jan 3, 2024 11:18 PM", "Ann Lo Jan 4, 2024 9:05 AM"]
    comment = times_comment([column("Creation Log", cells)])
    assert 'The text "Ben Keller" is before the time: export the time alone.' in comment
    assert "zone" not in comment
    assert "%" not in comment


def test_comment_names_dates_that_a_spreadsheet_converted() -> None:
    days = [f"2024-{month:02}-{day:02}" for day in range(1, 5) for month in range(1, 13)]
    left = [f"{day}/{month:02}/2024" for day in range(13, 28) for month in range(1, 4)]
    comment = times_comment([column("Created At", days + left)])
    assert "as if a spreadsheet exchanged day and month" in comment
    assert '"Created At" = "%Y-%m-%d or %d/%m/%Y"' in comment


def test_column_of_text_that_looks_like_numbers_has_a_comment() -> None:
    section = tomlkit.table()
    columns = [column("Rate", ["1,234.50", "1.234,50"]), column("City", ["Bonn", "Rom"])]
    add_unread_numbers(section, columns)
    comment = section.as_string()
    assert "City" not in comment
    assert 'CHECK: in "Rate", some numbers have a decimal point' in comment
    assert "%d" not in comment


def test_draft_contains_formats_with_their_evidence(tmp_path: Path) -> None:
    rows = range(120)
    columns = {
        "Id": [f"L{i:03}" for i in rows],
        "Created At": [f"{i % 28 + 1:02}.{i % 12 + 1:02}.2025" for i in rows],
        "Created on": [f"2025-W{i % 50 + 1:02}" for i in rows],
        "Status": [("Won", "Lost", "Open")[i % 3] for i in rows],
        "Gewicht": [f"{i % 9 + 1},{100 + 7 * i:03}" for i in rows],
        "Budget": [f"{'$€£'[i % 3]}{1000 + i:,}.50" for i in rows],
        "Fee": [f"{1000 + i}.50" if i % 2 else f"{1000 + i},50" for i in rows],
        "Amount": [
            ("1,007.50", "", "")[i % 3] if i % 2 else ("1.007,50", "", "")[i % 3] for i in rows
        ],
    }
    path = write_csv(tmp_path, "leads.csv", columns, sep=";")
    text = draft_project([path], tmp_path, "acme")
    draft = tomlkit.parse(text).unwrap()
    assert draft["leads"]["formats"] == {
        "Created At": "%d.%m.%Y",
        "Gewicht": "1.234,56",
        "Budget": "¤1,234.56",
    }
    assert draft["columns"]["ignore"] == ["Created on"]
    assert draft["columns"]["category"] == ["Fee"]
    words = " ".join(text.replace("\n#", " ").split())
    assert (
        'such as 31.12.2024 in the column "Created At" and cells separated by semicolons' in words
    )
    assert "which are not converted: $ (40), EUR (40), GBP (40)" in words
    assert 'CHECK: the name of "Created on"' in words
    assert "numbers, the rest text" not in words
    assert draft["columns"]["known_later"] == ["Amount"]
    assert 'CHECK: in "Amount", some numbers have a decimal point' in words
    assert 'CHECK: in "Fee", some numbers have a decimal point' in words


def test_cells_that_are_not_dates_are_named_beside_the_format(tmp_path: Path) -> None:
    days = pd.Series(pd.date_range("2024-01-01", periods=200))
    columns: dict[str, Any] = {
        "Id": [f"L{i}" for i in range(200)],
        "Created": days.dt.strftime("%Y-%m-%d 10:00"),
        "Status": ["Won", "Lost", "Open", "Lost"] * 50,
        "Due": ["folgt", "2024", *days[2:].dt.strftime("%d.%m.%Y")],
        "Seen": ["folgt", "2024", *days[2:].dt.strftime("%Y-%m-%d")],
        "Source": ["Web", "Fair"] * 100,
    }
    for i in range(2, 12):
        columns["Due"][i] = columns["Seen"][i] = f"folgt {i}"
    text = " ".join(
        draft_project([write_csv(tmp_path, "leads.csv", columns)], tmp_path)
        .replace("# ", "")
        .split()
    )
    assert 'Due = "%d.%m.%Y" as in' in text
    assert 'CHECK: "folgt", "2024", "folgt 2", "folgt 3", "folgt 4" cannot be read' in text
    assert '"folgt 4" in the times of "Seen" cannot be read and would count as missing' in text


@pytest.mark.parametrize(
    "name", ["CreatedById", "created_by_id", "Created By", "Erstellt von", "Creato da", "作成者"]
)
def test_column_of_the_person_who_created_is_not_a_time(name: str) -> None:
    assert unread_times(column(name, ["0053i000000urgcAAA", "0053i000000urgdAAA"])) == ""
    assert unread_times(column(name, ["User 1", "User 2"])) == ""


@pytest.mark.parametrize("year", [1404, 1446, 2568])
def test_years_of_another_calendar_are_named(year: int) -> None:
    cells = [f"{day:02d}/03/{year}" for day in range(1, 29)]
    comment = times_comment([column("Created At", cells)])
    assert "The years are of another calendar. Export them in the Gregorian calendar." in comment
    assert "%d" not in comment


def test_ids_are_not_unread_times() -> None:
    assert unread_times(column("Created", ["0053i000000urgcAAA", "0053i000000urgdAAA"])) == ""
    assert unread_times(column("Created", ["a1@example.org", "b2@example.org"])) == ""


def test_postal_codes_are_not_unread_numbers() -> None:
    cells = [f"{27700 + i}-{6800 + i}" if i % 2 else f"{27700 + i}" for i in range(60)]
    assert column("postal_code", cells).form.trouble == ""


def test_closings_in_two_formats_have_a_line_with_both() -> None:
    cells = [*pd.date_range("2026-01-01", periods=60).strftime("%Y-%m-%d"), "TBC"]
    cells += pd.date_range("2026-07-05", periods=20).strftime("%d/%m/%Y").tolist()
    comment = times_comment([column("CloseDate", cells)])
    assert 'such as "2026-01-13" and "13/07/2026", have two formats.' in comment
    assert '"CloseDate" = "%Y-%m-%d or %d/%m/%Y"' in comment


def test_comment_does_not_show_words_for_nothing() -> None:
    cells = ["1/18/2026", "TBC", *[f"1/{day}/26 or so" for day in range(10, 28)]]
    comment = times_comment([column("Created At", cells)])
    assert '"1/10/26 or so" and "1/18/2026"' in comment


def test_order_by_numbers_with_the_name_of_a_creation_is_asked_about(tmp_path: Path) -> None:
    leads = {
        "Lead ID": [f"L{i}" for i in range(100)],
        "Created Date": [f"{1.7 + i / 10_000:.5f}E+12" for i in range(100)],
        "Status": ["Won", "Lost"] * 50,
    }
    draft = draft_project([write_csv(tmp_path, "leads.csv", leads)], tmp_path)
    (line,) = [line for line in draft.splitlines() if line.startswith("order = ")]
    assert (
        'CHECK: its name means the time when each lead was created, but cells such as "1.' in line
    )
