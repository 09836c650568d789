"""Text that is written as a formula, and byte order marks inside a file."""

import codecs
import io
from pathlib import Path

import pandas as pd
import pytest

from crm.project import TableKeys
from crm.sources.encoding import decoded
from crm.sources.formula_cells import formula_text
from crm.sources.source import read_table
from tests.made_drafts import draft, write_csv
from tests.made_tables import ReadCsv, cell_texts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('="000123"', "000123"),
        (' = "000123" ', "000123"),
        ('="5 "" wide"', '5 " wide'),
        ('=HYPERLINK("https://crm.example/5","5000")', "5000"),
        ('=hyperlink("https://crm.example/5"; "5000")', "5000"),
        ('=HYPERLINK("https://crm.example/5",5000)', "5000"),
        ('=HYPERLINK("https://crm.example/5")', "https://crm.example/5"),
        ("=1+1", "=1+1"),
        ('="a"&"b"', '="a"&"b"'),
        ('=HYPERLINK(A1,"5000")', '=HYPERLINK(A1,"5000")'),
        ("=", "="),
        ("= later", "= later"),
    ],
)
def test_formula_of_text_is_read_as_its_text(text: str, shown: str) -> None:
    assert formula_text(text) == shown


@pytest.mark.parametrize("is_quoted", [True, False])
def test_formulas_of_a_file_are_read_as_text(tmp_path: Path, is_quoted: bool) -> None:
    cell = '"=""007"""' if is_quoted else '="007"'
    (tmp_path / "leads.csv").write_text(f'="Id",Size,Note\n{cell},3,=1+1\n008,="",x\n')
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert list(table.columns) == ["Id", "Size", "Note"]
    assert cell_texts(table.astype("str")[["Id", "Note"]]) == [["007", "=1+1"], ["008", "x"]]
    assert table["Size"].isna().tolist() == [False, True]
    assert [note for note in notes if '"Id" are written as formulas' in note]
    assert not [note for note in notes if '"Note"' in note]


def test_ids_written_as_formulas_match_other_tables(tmp_path: Path) -> None:
    ids = [f"{i:05}" for i in range(200)]
    days = [f"2024-{1 + i % 9:02}-{1 + i % 28:02}" for i in range(200)]
    written = [f'=HYPERLINK("https://crm.example/{i}","{i}")' if i > "00100" else f'="{i}"'
               for i in ids]  # fmt: skip
    status = [("Won", "Lost", "Open", "Lost")[i % 4] for i in range(200)]
    leads = write_csv(
        tmp_path, "leads.csv", {"Lead ID": written, "Created Date": days, "Status": status}
    )
    calls = write_csv(
        tmp_path, "activities.csv", {"Lead ID": ids, "Type": ["Call"] * 200, "Date": days}
    )
    records = draft(tmp_path, [leads, calls]).records
    assert records.activities is not None
    assert len(records.activities) == 200
    assert records.leads["lead_id"].isin(ids).all()


@pytest.mark.parametrize("line", ["\ufeffL3,b\n", '\ufeff"L3",b\n', "\ufeff\ufeffL3,b\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_byte_order_mark_before_a_row_is_not_part_of_the_id(
    read_csv: ReadCsv, line: str, encoding: str
) -> None:
    table = read_csv(f"Id,Size\nL1,a\nL2,a\n{line}".encode(encoding))
    assert table["Id"].tolist() == ["L1", "L2", "L3"]


@pytest.mark.parametrize("block_bytes", [4, 5, 6, 7, 100])
def test_marks_at_the_ends_of_blocks_are_removed(block_bytes: int) -> None:
    text = "a\n\ufeffb\r\n\ufeff\ufeffc\r\ufeffé\ufeff\n"
    raw = io.BytesIO(codecs.BOM_UTF8 + text.encode())
    read = b"".join(decoded(raw, "utf-8-sig", block_bytes)).decode()
    assert read == "a\nb\r\nc\ré\ufeff\n"


def test_tables_without_formulas_have_no_note(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("Id,Size\n1,=\n2,x\n")
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert notes == []
    assert table["Size"].tolist() == ["=", "x"]
    assert isinstance(table, pd.DataFrame)
