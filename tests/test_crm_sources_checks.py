"""Checks of every source: a missing file, an unusable header, a giant cell."""

from pathlib import Path

import pytest

from crm.errors import SchemaError, SourceError
from crm.project import TableKeys
from crm.sources.source import read_table
from tests.made_tables import ReadCsv

# -- files


def test_missing_file_suggests_the_nearest_name(read_csv: ReadCsv, tmp_path: Path) -> None:
    read_csv("id,won\n1,yes\n", name="leads_2024.csv")
    message = r"There is no file .*leads-2024\.csv\. Did you mean `leads_2024\.csv`\?"
    with pytest.raises(SourceError, match=message):
        read_table(TableKeys(source="leads-2024.csv"), tmp_path)


def test_missing_file_in_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*leads\.csv\. There are none"):
        read_table(TableKeys(source="leads.csv"), tmp_path)


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"There is no file .*, and no such folder\. Check `source`"
    ):
        read_table(TableKeys(source="nowhere/leads.csv"), tmp_path)


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is a folder\. Expected a file: CSV, .xlsx, JSON Lines"):
        read_table(TableKeys(source="."), tmp_path)


# -- headers


def test_file_without_a_header_is_refused(read_csv: ReadCsv) -> None:
    message = r"the first line looks like data.*\['1', '2\.5', '2025-01-01'\]\. Expected the names"
    with pytest.raises(SchemaError, match=message):
        read_csv("1,2.5,2025-01-01\n2,3.5,2025-01-02\n")


def test_repeated_column_name_gets_a_number(read_csv: ReadCsv, tmp_path: Path) -> None:
    read_csv("id,Phone,a,Phone (2), Phone,Phone\n1,2,3,4,5,6\n")
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert list(table.columns) == ["id", "Phone", "a", "Phone (2)", "Phone (3)", "Phone (4)"]
    assert notes == [
        'leads.csv: 3 columns have the name "Phone": "Phone", "Phone (3)", "Phone (4)".'
    ]


def test_column_without_a_name_is_numbered(read_csv: ReadCsv) -> None:
    table = read_csv("id,,b,,\n1,2,3,,\n4,5,6,7,\n")
    assert list(table.columns) == ["id", "column 2", "b", "column 4"]


def test_unclosed_quote_in_the_header_is_reported(read_csv: ReadCsv) -> None:
    message = r"2,\d{3} characters; expected at most 1,000\. Is a quote not closed in the first"
    with pytest.raises(SchemaError, match=message):
        read_csv('id,"name\n' + "1,a\n" * 500)


# -- cells


def test_giant_cell_is_refused(read_csv: ReadCsv) -> None:
    giant = "x" * 10_000_000
    message = r"`note` has a cell of 10,000,000 characters \(line 3\); expected at most 100,000\."
    with pytest.raises(SchemaError, match=message):
        read_csv(f"id,note\n1,a\n2,{giant}\n")
