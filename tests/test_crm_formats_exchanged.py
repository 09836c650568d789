"""Dates in which a spreadsheet may have exchanged day and month."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crm.errors import SchemaError
from crm.formats.columns import ColumnFormat, column_format
from crm.formats.exchanged import exchanged_dates
from crm.project import load_project
from crm.reading import read_records
from drafting.draft import draft_project

DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(330)]
Written = Callable[[datetime.date], str]
# How a spreadsheet writes the dates that it converted, and how the others stay in the export.
DAMAGES: dict[str, tuple[Written, Written]] = {
    "year and clock": (
        lambda d: f"{d.month}/{d.day}/24 9:15 AM",
        lambda d: f"{d:%d/%m/%Y} 09:15",
    ),
    "zeros": (lambda d: f"{d.month}/{d.day}/2024 11:17", lambda d: f"{d:%d/%m/%Y} 18:27"),
    "seconds": (lambda d: f"{d:%m/%d/%Y} 11:17", lambda d: f"{d:%d/%m/%Y} 18:27:05"),
    "month first": (lambda d: f"{d:%d/%m/%Y} 11:17", lambda d: f"{d.month}/{d.day}/2024 6:27 PM"),
}


def damaged(name: str) -> list[str]:
    converted, left = DAMAGES[name]
    return [converted(day) if day.day <= 12 else left(day) for day in DAYS]


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_dates_are_in_doubt(name: str) -> None:
    cells = damaged(name)
    form = column_format(cells, "Created Date")
    assert form.kind == "time"
    assert "as if a spreadsheet exchanged day and month" in form.exchanged
    assert form.doubt == form.exchanged
    assert form.notation != form.doubtful_as
    assert "Export the table again" in form.question("leads", "Created Date")
    declared = column_format(cells, "Created Date", declared=form.notation)
    assert declared.exchanged == form.exchanged
    assert not declared.doubt


@pytest.mark.parametrize("name", DAMAGES)
def test_one_of_the_two_formats_reads_the_true_days(name: str) -> None:
    cells = damaged(name)
    form = column_format(cells, "Created Date")
    true = [f"{day}" for day in DAYS]
    assert true in [days_of(cells, notation) for notation in (form.notation, form.doubtful_as)]


def days_of(cells: list[str], notation: str | None) -> list[str]:
    from crm.formats.column_times import parse_times

    times, _ = parse_times(pd.Series(cells, dtype="str"), "leads.csv", "UTC", notation)
    return times.dt.strftime("%Y-%m-%d").tolist()


@pytest.mark.parametrize(
    "written",
    [
        lambda d: f"{d:%d/%m/%Y}",
        lambda d: f"{d.day}/{d.month}/{d.year}",
        lambda d: f"{d.day}/{d:%m/%Y}",
        lambda d: f"{d:%d}/{d.month}/{d.year}",
        lambda d: f"{d:%d.%m.%Y}" + (" 10:17" if d.day % 3 else ""),
        lambda d: f"{d:%d.%m.%y}" if d.month < 4 else f"{d:%d.%m.%Y}",
        lambda d: f"{d.day}.{d.month}.{d.year}" if d.month < 7 else f"{d:%d.%m.%Y}",
        lambda d: f"{d:%d.%m.%Y}" if (d.month, d.day) > (11, 12) else f"{d:%d.%m.%Y} 08:00",
        lambda d: f"{d:%d.%m.%Y %H:%M}" if d.month != 3 or d.day > 12 else f"{d:%d.%m.%Y}",
        lambda d: f"{d:%Y-%m-%d}",
    ],
)
def test_dates_in_order_are_not_in_doubt(written: Written) -> None:
    assert exchanged_dates([written(day) for day in DAYS]) is None


def test_few_dates_are_not_in_doubt() -> None:
    assert exchanged_dates(["1/2/2024", "3/4/2024", "25/12/2024 10:17"]) is None
    assert ColumnFormat("time").exchanged == ""


def test_dates_that_excel_left_beside_iso_dates_are_found() -> None:
    cells = [f"2024-{d:%d-%m} 11:17" if d.day <= 12 else f"{d:%d/%m/%Y} 18:27" for d in DAYS]
    found = exchanged_dates(cells)
    assert found is not None
    assert found.other == "13/01/2024 18:27"


def alike_damaged(days: list[datetime.date]) -> list[str]:
    """Write days with exchanged numbers if both are at most 12, all in one way."""
    return [f"{d:%m/%d/%Y} 11:17" if d.day <= 12 else f"{d:%d/%m/%Y} 11:17" for d in days]


@pytest.mark.parametrize("is_newest_first", [False, True])
def test_dates_written_alike_are_found_by_the_order_of_the_rows(is_newest_first: bool) -> None:
    days = DAYS[::-1] if is_newest_first else DAYS
    form = column_format(alike_damaged(days), "Created Date")
    assert "the rows are in the order of time only if day and month are exchanged" in form.doubt
    readings = [days_of(alike_damaged(days), n) for n in (form.notation, form.doubtful_as)]
    assert [f"{day}" for day in days] in readings


def test_dates_written_alike_in_no_order_are_not_in_doubt() -> None:
    mixed = [DAYS[(i * 97) % len(DAYS)] for i in range(len(DAYS))]
    assert exchanged_dates(alike_damaged(mixed)) is None
    assert exchanged_dates([f"{day:%d/%m/%Y}" for day in mixed]) is None
    assert exchanged_dates(sorted(f"{day:%d/%m/%Y}" for day in mixed)) is None
    assert exchanged_dates(sorted(f"{day:%m/%d/%Y}" for day in mixed)) is None


def write_leads(folder: Path) -> None:
    rows = [
        {"Lead ID": f"L{i:04}", "Created Date": cell, "Status": ("Won", "Lost", "Open")[i % 3]}
        for i, cell in enumerate(damaged("year and clock"))
    ]
    pd.DataFrame(rows).to_csv(folder / "leads.csv", index=False)


def test_draft_asks_for_damaged_dates(tmp_path: Path) -> None:
    write_leads(tmp_path)
    draft = draft_project([str(tmp_path / "leads.csv")], tmp_path)
    line = next(line for line in draft.splitlines() if line.startswith('"Created Date" = '))
    assert "CHECK: cells are written in two ways" in line
    assert "the other format is" in line
    (tmp_path / "leadscore.toml").write_text(draft)
    notes = read_records(load_project(tmp_path)).notes
    assert any("exchanged day and month" in note for note in notes)


def test_damaged_dates_without_a_format_are_refused(tmp_path: Path) -> None:
    write_leads(tmp_path)
    draft = draft_project([str(tmp_path / "leads.csv")], tmp_path)
    lines = [line for line in draft.splitlines() if not line.startswith('"Created Date" = ')]
    (tmp_path / "leadscore.toml").write_text("\n".join(lines))
    with pytest.raises(SchemaError, match=r"(?s)exchanged day and month.*Otherwise write one of"):
        read_records(load_project(tmp_path))
