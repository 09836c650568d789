"""Reading workbooks, JSON Lines and archives, and refusing other files."""

import datetime
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from crm.errors import ConfigError, SchemaError, SourceError
from crm.left_out import LeftOutRows
from crm.project import TABLE_KEYS, TableKeys
from crm.sources import containers
from crm.sources.source import lines_of, read_table
from tests.made_tables import ReadCsv, cell_texts
from tests.made_workbooks import Money, Unsaved, workbook

DAY = datetime.datetime(2025, 1, 31, 8, 15)  # noqa: DTZ001
Sheet = list[list[Any]]
LEADS: Sheet = [
    ["Lead ID", "Created", "Size", "Opted in"],
    ["L1", DAY, 582, True],
    ["L2", DAY, 7.5, False],
]
CSV = b"id,won\n1,yes\n2,no\n"


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()


# -- workbooks


@pytest.mark.parametrize("name", ["leads.xlsx", "leads.csv", "leads"])
def test_workbook_is_read_with_its_types(read_csv: ReadCsv, name: str) -> None:
    table = read_csv(workbook({"Leads": LEADS, "Empty": []}), name=name)
    assert list(table.columns) == LEADS[0]
    assert table["Created"].tolist() == [pd.Timestamp(DAY)] * 2
    assert table["Size"].tolist() == [582, 7.5]
    assert table["Opted in"].tolist() == [True, False]


def test_rows_of_a_workbook_that_are_not_records_are_named(tmp_path: Path) -> None:
    rows: Sheet = [
        ["Leads Report"],
        [None],
        *LEADS,
        [None],
        ["Summe", None, 589.5],
        ["Erstellt von A. P."],
    ]
    (tmp_path / "leads.xlsx").write_bytes(workbook({"Leads": rows}))
    keys = TableKeys(source="leads.xlsx")
    left_out: list[LeftOutRows] = []
    table = read_table(keys, tmp_path, left_out)
    assert table["Created"].dtype.kind == "M"
    assert table["Lead ID"].tolist() == ["L1", "L2"]
    assert {rows.unit for rows in left_out} == {"row"}
    assert sorted(line for rows in left_out for line in rows.lines) == [1, 6, 7, 8]
    assert lines_of(keys, tmp_path, [0, 1]) == ([4, 5], "row")


def test_formulas_errors_and_empty_cells_are_read(read_csv: ReadCsv) -> None:
    table = read_csv(workbook({"A": [["id", "n", "e"], ["a", "=1+6", "#N/A"], ["b", 2, None]]}))
    assert cell_texts(table) == [["a", "7", None], ["b", "2", None]]


def test_several_sheets_are_refused_with_the_line_to_write(read_csv: ReadCsv) -> None:
    message = r'2 sheets with cells: "Leads", "Old"\. Name one .*, such as `sheet = "Leads"` or'
    message += r".* `leadscore score`, write `leads\.[a-z]+#Leads`"
    with pytest.raises(SourceError, match=message):
        read_csv(workbook({"Leads": LEADS, "Old": LEADS}))


def test_sheet_is_chosen_by_its_name(read_csv: ReadCsv) -> None:
    content = workbook({"Leads": LEADS, "Old": LEADS[:2]})
    assert len(read_csv(content, sheet="Old")) == 1
    with pytest.raises(ConfigError, match=r'has no sheet "Lead"\. Did you mean `Leads`\?'):
        read_csv(content, sheet="Lead")


def test_hidden_sheets_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "leads.xlsx").write_bytes(workbook({"Codes": LEADS, "Leads": LEADS}, ["Codes"]))
    notes: list[str] = []
    read_table(TableKeys(source="leads.xlsx"), tmp_path, notes=notes)
    assert notes == ['leads.xlsx: the sheet "Leads" is read; hidden sheets are not: "Codes".']


def read_with_notes(folder: Path, content: bytes, **keys: Any) -> tuple[pd.DataFrame, list[str]]:
    (folder / "leads.xlsx").write_bytes(content)
    notes: list[str] = []
    table = read_table(TABLE_KEYS["leads"](source="leads.xlsx", **keys), folder, notes=notes)
    return table, notes


def test_errors_are_counted_by_column(tmp_path: Path) -> None:
    rows: Sheet = [["id", "size"], ["a", "#N/A"], ["b", 2], ["c", "#REF!"], ["d", 4]]
    table, notes = read_with_notes(tmp_path, workbook({"A": rows}))
    assert cell_texts(table) == [["a", None], ["b", "2"], ["c", None], ["d", "4"]]
    assert notes == [
        'leads.xlsx: 2 cells of "size" (rows 2, 4) are errors of Excel (#N/A, #REF!), and count as '
        "empty. Correct the formulas, or clear the cells if they mean nothing."
    ]


def test_errors_in_the_creation_time_are_shown(tmp_path: Path) -> None:
    rows: Sheet = [["id", "Created"], ["a", DAY], ["b", "#REF!"]]
    table, _ = read_with_notes(tmp_path, workbook({"A": rows}), created_at="Created")
    assert cell_texts(table)[1] == ["b", "#REF!"]


@pytest.mark.parametrize(
    ("result", "recalculated"), [(None, False), (None, True), ("", False), ("0", True)]
)
def test_formulas_without_a_saved_result_are_named(
    tmp_path: Path, result: str | None, recalculated: bool
) -> None:
    rows: Sheet = [
        ["id", "n"],
        ["a", Unsaved("1+1", result)],
        ["b", Unsaved("1+2", result)],
        ["c", 3],
    ]
    content = workbook({"A": rows}, recalculated=recalculated)
    table, notes = read_with_notes(tmp_path, content)
    assert [row[1] for row in cell_texts(table)] == [None, None, "3"]
    assert notes == [
        'leads.xlsx: 2 cells of "n" (rows 2, 3) are formulas without a saved result, and count as '
        "empty. Open the file in Excel, save it, and use the saved file."
    ]


def test_saved_results_of_formulas_raise_no_note(tmp_path: Path) -> None:
    rows: Sheet = [["id", "n"], ["a", Unsaved("1+1", "0")], ["b", Unsaved("1+2", "3")]]
    _, notes = read_with_notes(tmp_path, workbook({"A": rows}, recalculated=True))
    assert notes == []


def test_merged_cells_are_named(tmp_path: Path) -> None:
    rows: Sheet = [["id", "n", "city"], ["a", 1, "Bonn"], ["b", 2, None], ["c", 3, "Ulm"]]
    _, notes = read_with_notes(tmp_path, workbook({"A": rows}, merged=["A1:B1", "C2:C3"]))
    assert len(notes) == 1
    assert notes[0].startswith("leads.xlsx: 1 range of cells is merged: C2:C3.")


def test_currencies_of_number_formats_are_read(tmp_path: Path) -> None:
    rows: Sheet = [["id", "budget"], ["a", Money(1234.5, "€")], ["b", Money(1.125, "$")], ["c", 7]]
    table, notes = read_with_notes(tmp_path, workbook({"A": rows}))
    assert [row[1] for row in cell_texts(table)] == ["1234.50 €", "1.1250 $", "7.00"]
    assert "several currencies: € (1), $ (1), none (1)" in notes[0]


def test_one_currency_stays_a_number(tmp_path: Path) -> None:
    rows: Sheet = [["id", "budget"], ["a", Money(1234.5, "€")], ["b", Money(2, "€")]]
    table, notes = read_with_notes(tmp_path, workbook({"A": rows}))
    assert (table["budget"].tolist(), notes) == ([1234.5, 2], [])


def test_zeros_of_number_formats_are_read(tmp_path: Path) -> None:
    rows: Sheet = [["id", "zip"], ["a", Money(1067, "zeros")], ["b", Money(53111, "zeros")]]
    table, notes = read_with_notes(tmp_path, workbook({"A": rows}))
    assert table["zip"].tolist() == ["01067", "53111"]
    assert notes == [
        'leads.xlsx: "zip" is read with the zeros that the formats of its cells show, such as '
        '"01067".'
    ]


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        ([0.285, 1, -0.0705], [0.285, 1, -0.0705]),  # all are percentages: fractions
        ([0.285, "n/a", None], [0.285, "n/a", None]),
        ([0.285, "34.5%", 1], ["28.5%", "34.5%", "100%"]),
        ([0.285, "34,5 %", 1], ["28,5%", "34,5 %", "100%"]),
    ],
)
def test_percentages_beside_text_are_text(
    tmp_path: Path, cells: list[Any], read: list[Any]
) -> None:
    typed = [Money(cell, "%") if isinstance(cell, int | float) else cell for cell in cells]
    sheet: Sheet = [["id", "rate"], *([f"L{i}", cell] for i, cell in enumerate(typed))]
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}))
    assert table["rate"].astype(object).where(table["rate"].notna(), None).tolist() == read
    assert (notes != []) == (read[0] != cells[0])


def test_percentages_beside_other_numbers_are_text(tmp_path: Path) -> None:
    sheet: Sheet = [["id", "rate"], ["a", Money(0.285, "%")], ["b", 34.5], ["c", Money(0.1, "%")]]
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}))
    assert table["rate"].tolist() == ["28.5%", 34.5, "10%"]
    assert notes == [
        'leads.xlsx: "rate" contains 2 numbers with a format of percentages (rows 2, 4) and 1 '
        "number without. The percent sign is read as a part of each cell."
    ]
    sheet[2][1] = 0.345
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}))
    assert (table["rate"].tolist(), notes) == ([0.285, 0.345, 0.1], [])


@pytest.mark.parametrize(
    ("notation", "read"), [("20%", "28.5%"), ("1.234,56%", "28,5%"), ("1,234.56", 0.285)]
)
def test_percentages_are_read_in_the_declared_format(
    tmp_path: Path, notation: str, read: str | float
) -> None:
    sheet: Sheet = [["id", "rate"], ["a", Money(0.285, "%")], ["b", Money(1, "%")]]
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}), formats={"rate": notation})
    assert (table["rate"].tolist()[0], notes) == (read, [])


def test_hidden_rows_are_named(tmp_path: Path) -> None:
    content = workbook({"A": [["id"], ["a"], ["b"], ["c"]]}, hidden_rows=[3])
    table, notes = read_with_notes(tmp_path, content)
    assert table["id"].tolist() == ["a", "b", "c"]
    assert notes == [
        "leads.xlsx: 1 hidden row (row 3) is read too. Delete them if they do not belong to the "
        "table."
    ]


HALF_CONVERTED: Sheet = [["id", "Created"], ["a", DAY], ["b", "06/13/2025 12:28"], ["c", DAY]]


def test_half_converted_dates_have_a_note_to_check(tmp_path: Path) -> None:
    _, notes = read_with_notes(tmp_path, workbook({"A": HALF_CONVERTED}))
    assert (
        'CHECK: "Created" mixes 2 dates (row 2: 2025-01-31 08:15) and 1 text such as ' in notes[0]
    )
    assert '"06/13/2025 12:28" (row 3)' in notes[0]
    assert "no date has a day above" not in notes[0]
    typed: Sheet = [["id", "Created"], *([i, datetime.datetime(2025, i, 6)] for i in range(1, 9))]  # noqa: DTZ001
    _, notes = read_with_notes(tmp_path, workbook({"A": [*typed, [9, "06/13/2025 12:28"]]}))
    assert "exchanged: no date has a day above 12, and every text has a larger number" in notes[0]


def test_half_converted_dates_of_a_role_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r'day and month may be exchanged.*"Created" = "%m/%d'):
        read_with_notes(tmp_path, workbook({"A": HALF_CONVERTED}), created_at="Created")
    formats = {"Created": "%m/%d/%Y %H:%M"}
    content = workbook({"A": HALF_CONVERTED})
    _, notes = read_with_notes(tmp_path, content, created_at="Created", formats=formats)
    assert "The dates are read as they are, and the texts in the format" in notes[0]


@pytest.mark.parametrize("typed", ["", ' t="n"'])
def test_ids_in_scientific_notation_have_lost_digits(tmp_path: Path, typed: str) -> None:
    """Programs write the 16 or 17 digits that a float keeps, with an exponent."""
    sheet: Sheet = [["Lead ID", "n"], *([f"ID{i}", 1] for i in range(4))]
    content = workbook({"A": sheet})
    for i in range(4):
        text = f't="inlineStr"><is><t>ID{i}</t></is>'.encode()
        content = replaced(content, text, f"{typed}><v>1.23456789012345{i + 1}e+18</v>".encode())
    table, notes = read_with_notes(tmp_path, content, lead_id="Lead ID")
    assert table["Lead ID"].tolist() == [f"123456789012345{i + 1}000" for i in range(4)]
    assert "so these ids have lost their last digits" in notes[0]


def replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a workbook with another text in its first sheet."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as other:
        for name in archive.namelist():
            part = archive.read(name)
            other.writestr(name, part.replace(old, new) if name.endswith("s1.xml") else part)
    return made.getvalue()


def test_ids_that_lost_digits_are_named(tmp_path: Path) -> None:
    ids = [12345678901234500000 + 100_000 * i for i in range(4)]
    sheet: Sheet = [["Lead ID", "n"], *([i, 1] for i in ids)]
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}))
    assert table["Lead ID"].tolist() == [str(i) for i in ids]
    assert 'CHECK: "Lead ID" contains numbers of more than 15 digits' in notes[0]
    rows: Sheet = [["Lead ID", "n"], [ids[0], 1], [ids[0], 2]]
    with pytest.raises(SchemaError, match='different leads have the same id: "12345678901234'):
        read_with_notes(tmp_path, workbook({"A": rows}), lead_id="Lead ID")


def test_damaged_workbook_is_refused(read_csv: ReadCsv) -> None:
    with pytest.raises(SourceError, match=r"leads\.csv is a damaged zip archive or workbook"):
        read_csv(workbook({"Leads": LEADS})[:-30])


def test_long_ids_of_a_workbook_keep_the_digits_of_the_file(tmp_path: Path) -> None:
    sheet: Sheet = [["Lead ID", "n"], *([12345678901234567123 + i, 1] for i in range(4))]
    table, notes = read_with_notes(tmp_path, workbook({"A": sheet}), lead_id="Lead ID")
    assert table["Lead ID"].tolist() == [str(12345678901234567123 + i) for i in range(4)]
    assert notes == []


# -- JSON Lines


def test_json_lines_are_read_with_their_types(tmp_path: Path) -> None:
    lines = [
        '{"id": 1, "city": "Köln"}',
        "",
        '{"id": 2, "tags": ["a"], "won": true}',
        '{"city": ""}',
    ]
    (tmp_path / "leads.txt").write_text("\n".join(lines))
    left_out: list[LeftOutRows] = []
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.txt"), tmp_path, left_out, notes)
    assert cell_texts(table) == [
        ["1", "Köln", None, None],
        ["2", None, "a", "true"],
        [None, None, None, None],
    ]
    assert notes == []
    assert [rows.lines for rows in left_out] == [(2,)]


def test_objects_in_objects_become_columns(read_csv: ReadCsv) -> None:
    table = read_csv(
        '{"id": "1", "properties": {"createdate": "2025-01-05", "owner": {"name": "A"}}}\n'
        '{"id": "2", "properties": {"createdate": "2025-01-06", "owner": null}}\n'
        '{"id": "3", "properties": null}\n'
    )
    assert list(table.columns) == ["id", "properties.createdate", "properties.owner.name"]
    assert cell_texts(table) == [
        ["1", "2025-01-05", "A"],
        ["2", "2025-01-06", None],
        ["3"] + [None] * 2,
    ]
    with pytest.raises(SourceError, match=r'line 1 has two keys that become the column "a\.b"'):
        read_csv('{"a.b": 1, "a": {"b": 2}}\n')


def test_lists_of_objects_are_named(tmp_path: Path) -> None:
    line = '{"id": 1, "name": "x", "items": [{"sku": 7}]}\n'
    (tmp_path / "leads.jsonl").write_text(line)
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.jsonl"), tmp_path, notes=notes)
    assert cell_texts(table) == [["1", "x", None]]
    assert notes == [
        'leads.jsonl: "items" contains lists of objects in 1 row; they count as missing.'
    ]


@pytest.mark.parametrize("key", ["results", "records", "value"])
def test_answer_of_an_api_is_refused_with_advice(read_csv: ReadCsv, key: str) -> None:
    page = {key: [{"id": i, "properties": {"a": 1, "b": 2}} for i in range(9)], "total": 9}
    message = rf'is the answer of an API .* "{key}" contains a list of 9 objects.*jq -c'
    with pytest.raises(SourceError, match=message):
        read_csv(json.dumps(page) + "\n")
    with pytest.raises(SourceError, match="contains a list of 18 objects"):
        read_csv(2 * (json.dumps(page) + "\n"))


def test_truth_values_beside_texts_and_numbers_are_truth_values(read_csv: ReadCsv) -> None:
    cells = ["true", '"true"', "1", '"FALSE"', "0", "null"]
    table = read_csv("".join(f'{{"id": {i}, "x": {cell}}}\n' for i, cell in enumerate(cells)))
    assert table["x"].tolist() == [True, True, True, False, False, None]
    cells = ["true", '"yes"', "2", "false"]
    table = read_csv("".join(f'{{"id": {i}, "x": {cell}}}\n' for i, cell in enumerate(cells)))
    assert table["x"].tolist() == ["true", "yes", 2, "false"]


def test_lists_and_objects_of_parquet_are_read(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "owner": {"name": "A"}, "tags": ["x", "y"], "items": [{"sku": 1}]},
        {"id": 2, "tags": []},
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "leads.parquet")
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.parquet"), tmp_path, notes=notes)
    assert list(table.columns) == ["id", "owner.name", "tags", "items"]
    assert cell_texts(table) == [["1", "A", '["x","y"]', None], ["2", None, None, None]]
    assert notes == ['leads.parquet: "items" contains objects; they count as missing.']


def test_long_numbers_of_json_keep_their_digits(read_csv: ReadCsv) -> None:
    table = read_csv('{"id": 12345678901234567}\n{"x": 1}\n')
    assert cell_texts(table)[0] == ["12345678901234567", None]


def test_broken_line_of_json_is_named(read_csv: ReadCsv) -> None:
    with pytest.raises(SourceError, match=r"leads\.csv: line 2 is not one JSON object: "):
        read_csv('{"id": 1}\n{"id": \n{"id": 3}\n')
    with pytest.raises(SourceError, match="line 2 is not one JSON object: .*`array`"):
        read_csv('{"id": 1}\n[2]\n')


def test_keys_that_differ_in_white_space_are_refused(read_csv: ReadCsv) -> None:
    with pytest.raises(SchemaError, match="differ only in white space"):
        read_csv('{"id": 1, "id ": 2}\n')


# -- archives


def test_zip_with_one_table_is_read(read_csv: ReadCsv) -> None:
    parquet = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"id": [1, 2], "won": ["yes", "no"]}), parquet)
    lines = b'{"id": 1, "won": "yes"}\n{"id": 2, "won": "no"}\n'
    sheet = workbook({"A": [["id", "won"], [1, "yes"], [2, "no"]]})
    for content in (CSV, gzip.compress(CSV), parquet.getvalue(), lines, sheet):
        packed = archive({"__MACOSX/._x": b"x", "folder/leads.csv": content, "README.txt": b"a"})
        for source in (packed, gzip.compress(content)):
            assert cell_texts(read_csv(source)) == [["1", "yes"], ["2", "no"]]


def test_zip_with_several_tables_is_refused(read_csv: ReadCsv) -> None:
    message = r'zip archive with 2 files: "a\.csv", "b\.csv"\. Expected one table\. Unpack it'
    with pytest.raises(SourceError, match=message):
        read_csv(archive({"a.csv": CSV, "b.csv": CSV}))


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: archive({"a.csv": data})])
def test_archive_that_unpacks_to_too_much_is_refused(
    read_csv: ReadCsv, monkeypatch: pytest.MonkeyPatch, pack: object
) -> None:
    monkeypatch.setattr(containers, "FREE_BYTES", 1_000)
    assert callable(pack)
    with pytest.raises(SourceError, match="unpacks to more than 250 times its size"):
        read_csv(pack(b"id,x\n" + b"1,2\n" * 2_000_000))


# -- other files


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), r"an old Excel workbook \(\.xls\)"),
        (b"<html><table><tr><td>L1</td></tr></table></html>", r"a web page \(HTML\)"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html>", r"a web page \(HTML\)"),
        ("<meta charset='x'><table>".encode("utf-16"), r"a web page \(HTML\)"),
        (
            b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook x="y">',
            "XML",
        ),
        (b'<?xml version="1.0"?><leads><lead/></leads>', "an XML document"),
        (json.dumps([{"id": 1}]).encode(), "a JSON array"),
        (json.dumps([{"id": 1}], indent=2).encode(), "a JSON array"),
        (b'["id", "city"]\n[1, "Bonn"]\n[2, "Ulm"]\n', "a text with a JSON array on each line"),
        (
            json.dumps({"columns": ["id", "city"], "data": [[1, "Bonn"], [2, "Ulm"]]}).encode(),
            "the names of the columns in one list",
        ),
        (
            json.dumps({"columns": ["id"], "index": [0], "data": [[1]]}, indent=1).encode(),
            "the names of the columns in one list",
        ),
        (
            json.dumps({"leads": [{"id": 1}]}, indent=2).encode(),
            "a JSON document .* the answer of an",
        ),
        (json.dumps({"id": 1, "name": {"first": "A"}}, indent=2).encode(), "objects over several"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"SQLite format 3\x00" + bytes(90), "a SQLite database"),
        (archive({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "OpenDocument"),
        (archive({"word/document.xml": b"<a/>"}), "a Word document"),
        (b"BZh91AY&SY", "a file packed with bzip2"),
    ],
)
def test_other_files_are_refused_with_the_name_of_their_kind(
    read_csv: ReadCsv, content: bytes, what: str
) -> None:
    with pytest.raises(SourceError, match=rf"leads\.csv is (an? )?.*{what}.*Expected CSV, \.xlsx"):
        read_csv(content)


def test_sheet_of_another_file_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes(CSV)
    notes: list[str] = []
    read_table(TableKeys(source="leads.csv", sheet="Leads"), tmp_path, notes=notes)
    assert notes == ["leads.csv: the file has no sheets; `sheet` is not used."]


def test_list_with_one_value_is_this_value(tmp_path: Path) -> None:
    lines = ['{"n": [5], "source": ["Web"], "x": [""]}', '{"n": 7, "source": ["A", "B"], "x": "y"}']
    (tmp_path / "leads.jsonl").write_text("\n".join(lines))
    table = read_table(TableKeys(source="leads.jsonl"), tmp_path)
    assert table["n"].tolist() == [5, 7]
    assert table["source"].tolist() == ["Web", '["A","B"]']
    assert table["x"].isna().tolist() == [True, False]
