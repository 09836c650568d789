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


@pytest.mark.parametrize(
    "row",
    [
        "L{0},2025-01-05 10:17,Web,52{1},Won,2025-02-06 02:24",
        "L{0};05.01.2025;Web;Won",
        "L{0}\tWeb\t52{1}\tWon",
        "a{0}@example.com,Ada {2},Acme {1},Bonn",
        "00Q5g00000{0}AbCEA{2},Web,Open",
        "{0},Ada {2},2025-01-0{1}",
    ],
)
@pytest.mark.parametrize("above", ["", "Leads of January\n\n"])
def test_first_line_that_looks_like_the_rows_below_is_refused(
    read_csv: ReadCsv, row: str, above: str
) -> None:
    rows = "".join(row.format(1000 + i, i % 9 + 1, chr(65 + i)) + "\n" for i in range(20))
    line = above.count("\n") + 1
    with pytest.raises(SchemaError, match=rf"line {line} looks like the rows below it: '.*Write a"):
        read_csv(above + rows)


@pytest.mark.parametrize(
    "header",
    ["name,2023,2024", "name,2025-01-01,2025-02-01", "name,Q1,Q2", "V1,V2,V3", "id 1,id 2,id 3"],
)
def test_header_with_digits_is_a_header(read_csv: ReadCsv, header: str) -> None:
    rows = "".join(f"Firm {chr(65 + i)},{2000 + i},{1990 + i}\n" for i in range(20))
    assert list(read_csv(f"{header}\n{rows}").columns) == header.split(",")


def test_rule_below_the_header_is_not_the_header(read_csv: ReadCsv) -> None:
    table = read_csv("id|won|city\n---|---|---\n1|yes|Bonn\n2|no|Ulm\n")
    assert list(table.columns) == ["id", "won", "city"]
    assert len(table) == 2


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
