"""Reading tables: every file and database that a CRM may hand over, whole or broken."""

import csv
import datetime
import decimal
import gzip
import io
import re
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.cells import number_column, text_column
from crm.errors import ConfigError, LeadScoringError, SchemaError, SourceError
from crm.project import TableKeys, load_project
from crm.reading import read_records
from crm.sources import csv as sources_csv
from crm.sources.csv import decimal_point
from crm.sources.source import count_rows, iter_table, name_of, read_table
from features.fitting import fit_pipeline
from features.moments import make_moments


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Write some content to a file and read it as a table."""

    def read(content: Any, name: str = "leads.csv", **keys: Any) -> Any:
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return read_table(TableKeys(source=name, **keys), tmp_path)

    return read


def rows(table: Any) -> Any:
    """The cells of a table as text, None where there is nothing."""
    return [list(row) for row in zip(*(text_column(table[c]) for c in table), strict=True)]


# -- the file itself


def test_missing_file_suggests_the_nearest_name(read: Any, tmp_path: Path) -> None:
    read("id,won\n1,yes\n", name="leads_2024.csv")
    message = r"There is no file .*leads-2024\.csv\. Did you mean `leads_2024\.csv`\?"
    with pytest.raises(SourceError, match=message):
        read_table(TableKeys(source="leads-2024.csv"), tmp_path)


def test_missing_file_in_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*leads\.csv\. There are none"):
        read_table(TableKeys(source="leads.csv"), tmp_path)


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*, nor its folder\. Check `source`"):
        read_table(TableKeys(source="nowhere/leads.csv"), tmp_path)


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is a folder\. Expected a file: CSV, Parquet or SQLite"):
        read_table(TableKeys(source="."), tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\n \n\t\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
def test_empty_or_blank_file_is_refused(read: Any, content: Any) -> None:
    with pytest.raises(SourceError, match=r"leads\.csv is empty\. Expected a header line and rows"):
        read(content)


@pytest.mark.parametrize("content", ["id,won", "id,won\n", "id\n", "id;won\r\n\r\n"])
def test_header_without_rows_is_refused(read: Any, content: str) -> None:
    message = r"leads\.csv: it has a header but no rows\. Expected at least one"
    with pytest.raises(SchemaError, match=message):
        read(content)


def test_binary_file_is_refused(read: Any) -> None:
    with pytest.raises(
        SourceError, match=r"not a text file: it contains zero bytes\. Expected CSV, gzip"
    ):
        read(bytes(range(256)) * 4)


def test_variable_in_a_path_is_replaced(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read("id,won\n1,yes\n")
    monkeypatch.setenv("EXPORTS", str(tmp_path))
    assert len(read_table(TableKeys(source="${EXPORTS}/leads.csv"), tmp_path / "elsewhere")) == 1


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        ("xeducation/Leads.csv", (9_240, 37)),
        ("bank_marketing/bank-additional-full.csv.gz", (41_188, 21)),
    ],
)
def test_real_exports_are_read_completely(public_data: Path, source: str, shape: Any) -> None:
    assert read_table(TableKeys(source=source), public_data).shape == shape


# -- headers


def test_file_without_a_header_is_refused(read: Any) -> None:
    message = r"the first line looks like data.*\['1', '2\.5', '2025-01-01'\]\. Expected the col"
    with pytest.raises(SchemaError, match=message):
        read("1,2.5,2025-01-01\n2,3.5,2025-01-02\n")


def test_blank_lines_above_the_header_are_skipped(read: Any) -> None:
    assert rows(read("\n;\n\nid;won\n1;yes\n2;no\n")) == [["1", "yes"], ["2", "no"]]


def test_repeated_column_name_is_refused(read: Any) -> None:
    with pytest.raises(
        SchemaError, match=r"two columns share a name: \['a'\]\. Rename one of each"
    ):
        read("id,a, a\n1,2,3\n")


def test_column_without_a_name_is_numbered(read: Any) -> None:
    assert list(read("id,,b,\n1,2,3,\n").columns) == ["id", "column 2", "b", "column 4"]


def test_unclosed_quote_in_the_header_is_reported(read: Any) -> None:
    message = (
        r"name has 2,\d{3} characters; expected at most 1,000\. Is a quote not closed in the f"
    )
    with pytest.raises(SchemaError, match=message):
        read('id,"name\n' + "1,a\n" * 500)


# -- delimiters


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(read: Any, delimiter: str) -> None:
    table = read("id,name,note\n1,a,b\n2,c,d\n".replace(",", delimiter))
    assert list(table.columns) == ["id", "name", "note"]
    assert rows(table) == [["1", "a", "b"], ["2", "c", "d"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_quoted_delimiters_and_line_breaks_belong_to_the_cell(read: Any, delimiter: str) -> None:
    cell = f'a{delimiter}b\nc ""d"" , ; | e'
    table = read(f'id{delimiter}"na{delimiter}me"\r\n1{delimiter}"{cell}"\r\n2{delimiter}x\r\n')
    assert list(table.columns) == ["id", f"na{delimiter}me"]
    assert table.iloc[:, 1].tolist() == [cell.replace('""', '"'), "x"]


@pytest.mark.parametrize("keys", [{}, {"delimiter": ";"}])
def test_single_column_is_a_table(read: Any, keys: Any) -> None:
    assert rows(read("id\n1\n2\n", **keys)) == [["1"], ["2"]]


def test_any_line_ending_is_read(read: Any) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert rows(read(f"id,won{end}1,yes{end}2,no{end}")) == [["1", "yes"], ["2", "no"]]


def test_wrong_declared_delimiter_is_reported(read: Any) -> None:
    message = r"one column only when split at ';'\. The delimiter looks like ',': change or remove"
    with pytest.raises(SourceError, match=message):
        read("id,won\n1,yes\n", delimiter=";")


@pytest.mark.parametrize("delimiter", ["§", '"', "\n"])
def test_invalid_delimiter_is_refused(read: Any, delimiter: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be a delimiter\. Expected one ASCII character"):
        read("id,won\n1,yes\n", delimiter=delimiter)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    cells=st.lists(st.tuples(words, words, words), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    is_gzip=st.booleans(),
)
def test_csv_writer_output_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    cells: Any,
    delimiter: Any,
    encoding: Any,
    is_gzip: Any,
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "name", "note"), *cells])
    content = text.getvalue().encode(encoding)
    (folder / "a.csv").write_bytes(gzip.compress(content) if is_gzip else content)
    table = read_table(TableKeys(source="a.csv", delimiter=delimiter), folder)
    found = table.astype(object).where(table.notna(), "").to_numpy().tolist()
    assert found == [list(row) for row in cells]


# -- encodings

WESTERN = "id,name\n1,Zürich\n2,L’Oréal – 5 €\n3,São Paulo\n4,Ærø\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("is_gzip", [False, True])
def test_encoding_is_detected(read: Any, encoding: str, is_gzip: bool) -> None:
    content = WESTERN.encode(encoding)
    table = read(gzip.compress(content) if is_gzip else content)
    assert list(table.columns) == ["id", "name"]
    assert table["name"].tolist() == ["Zürich", "L’Oréal – 5 €", "São Paulo", "Ærø"]


@pytest.mark.parametrize("city", ["Köln", "Málaga", "Besançon", "Kööpenhamina", "Straße"])
def test_one_western_letter_is_enough(read: Any, city: str) -> None:
    assert rows(read(f"id,city\n1,{city}\n2,Bonn\n".encode("latin-1")))[0] == ["1", city]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Łódź i Wrocław są dużymi miastami; a Gdańsk leży nad morzem"),
        ("cp1251", "Москва Санкт-Петербург Новосибирск Екатеринбург"),
        ("cp1254", "İstanbul Şişli Beyoğlu Kadıköy Üsküdar"),
        ("cp932", "東京都渋谷区 大阪府大阪市 株式会社"),
    ],
)
def test_other_code_pages_are_found_in_enough_text(read: Any, encoding: str, text: str) -> None:
    table = read(("id,name\n" + f"1,{text}\n" * 20).encode(encoding), delimiter=",")
    assert set(table["name"]) == {text}


def test_undetectable_encoding_is_reported(read: Any) -> None:
    message = r"leads\.csv is not in UTF-8, .* cannot be told .*Name its `encoding`"
    for encoding, text in (("cp1250", "Łódź"), ("cp1251", "Москва"), ("cp932", "東京都")):
        with pytest.raises(SourceError, match=message):
            read(f"id,name\n1,{text}\n".encode(encoding))


def test_invalid_utf8_is_detected_anywhere(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_csv, "SAMPLE_BYTES", 100)
    table = read(("id,name\n" + "1,Bonn\n" * 50 + "2,Köln\n").encode("latin-1"))
    assert table["name"].iloc[-1] == "Köln"


def test_byte_order_mark_is_not_part_of_a_name(read: Any) -> None:
    for keys in ({}, {"encoding": "utf-8"}, {"encoding": "utf-8-sig"}):
        table = read(b'\xef\xbb\xbf"id, all",won\n1,yes\n', **keys)
        assert list(table.columns) == ["id, all", "won"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "cp1251", "UTF8", "latin-1"])
def test_declared_encoding_is_used(read: Any, encoding: str) -> None:
    text = "id,name\n1,Москва\n" if encoding == "cp1251" else "id,name\n1,Köln\n"
    assert rows(read(text.encode(encoding), encoding=encoding))[0][1] in ("Москва", "Köln")


@pytest.mark.parametrize(
    ("written", "declared"), [("cp1252", "utf-8"), ("utf-8", "utf-16"), ("latin-1", "ascii")]
)
def test_wrong_declared_encoding_is_reported(read: Any, written: str, declared: str) -> None:
    message = r"leads\.csv cannot be decoded: .*\. Name its `encoding` in the project file"
    with pytest.raises(SourceError, match=message):
        read("id,name\n1,Köln\n".encode(written), encoding=declared)


@pytest.mark.parametrize("encoding", ["utf-9", "zip", "undefined"])
def test_unknown_encoding_is_refused(read: Any, encoding: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"`{encoding}` is not an encoding of text .* Try utf-8 or"
    ):
        read("id,won\n1,yes\n", encoding=encoding)


# -- gzip


@pytest.mark.parametrize("name", ["leads.csv.gz", "leads.csv", "leads"])
def test_gzip_is_detected_by_its_bytes(read: Any, name: str) -> None:
    assert rows(read(gzip.compress(b"id,won\n1,yes\n"), name=name)) == [["1", "yes"]]


@pytest.mark.parametrize("keys", [{}, {"encoding": "utf-8"}])
def test_truncated_gzip_is_refused(read: Any, keys: Any) -> None:
    noise = "\n".join(f"{i},{i * 7919 % 1000}" for i in range(5_000))
    content = gzip.compress(f"id,n\n{noise}\n".encode())
    message = r"leads\.csv cannot be read: .*\. Is it cut off\? Export or copy it again"
    with pytest.raises(SourceError, match=message):
        read(content[: len(content) // 2], **keys)
    with pytest.raises(SourceError, match=message):
        read(content[:9_000] + b"\xff" * 50 + content[9_050:], **keys)


# -- rows


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("a,b,c\n1,2,3\n1,2\n", "the row in line 3 has 2 cells, the header has 3"),
        ("a,b\n1,2\n\n1,block\n1,2,codec\n", "the row in line 5 has 3 cells, the header has 2"),
        ('a,b\n1,"x\ny"\n2,"x\ny",3\n', "the row in line 4 to 5 has 3 cells, the header has 2"),
        ('a,b,c\n1,"2,3\n4,5,6\n7,8,9\n', "the row in line 2 to 4 has 2 cells, the header has 3"),
        ('a,b\n1,"say \\"hi\\", ok"\n', "the row in line 2 has 3 cells, the header has 2"),
    ],
    ids=["short", "long", "after line breaks", "unclosed quote", "backslash for a quote"],
)
def test_uneven_row_is_named_by_its_line(read: Any, content: str, where: str) -> None:
    message = rf"uneven when split at ',': {where}\. Expected as many cells .*fix the row's quotes"
    with pytest.raises(SourceError, match=message):
        read(content)


def test_uneven_row_message_shows_no_data(read: Any) -> None:
    with pytest.raises(SourceError, match="uneven") as refusal:
        read("id,mail\n1,eve@example.com,5\n")
    assert "example" not in str(refusal.value)


def test_unclosed_quote_in_the_last_column_is_reported(read: Any) -> None:
    message = r"leads\.csv ends inside a quote: its last 3 lines are one cell\. Expected each quote"
    with pytest.raises(SourceError, match=message):
        read('id,name\n1,a\n2,"b\n3,c\n4,d\n')


def test_last_cell_may_end_with_a_line_break(read: Any) -> None:
    assert read('id,name\n1,"a\n"\n')["name"].tolist() == ["a\n"]
    assert read('id,name\n1,"a\n"')["name"].tolist() == ["a\n"]


def test_giant_cell_is_refused(read: Any) -> None:
    message = (
        r"`note` has a cell of 10,000,000 characters \(row 2\); expected at most 100,000\. Is a"
    )
    with pytest.raises(SchemaError, match=message):
        read("id,note\n1,a\n2," + "x" * 10_000_000 + "\n")


def test_giant_cell_is_named_by_its_row(read: Any, tmp_path: Path) -> None:
    content = "id,note\n" + "1,a\n" * 25 + f"2,{'x' * 200_000}\n"
    (tmp_path / "a.csv").write_text(content)
    chunks = iter_table(TableKeys(source="a.csv"), tmp_path, chunk_rows=10)
    assert len(next(chunks)) == 10
    assert len(next(chunks)) == 10
    with pytest.raises(SchemaError, match=r"\(row 26\)"):
        next(chunks)


@pytest.mark.parametrize("quote", ["", '"'])
def test_row_above_the_block_size_is_read(
    read: Any, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setattr(sources_csv, "CSV_BLOCK_BYTES", 1 << 20)
    giant = "x" * (3 << 20)
    message = r"line 3 on has more than 1 MB, as if a quote were not closed|cell of 3,145,728 char"
    with pytest.raises(LeadScoringError, match=message):
        read(f"id,note\n1,a\n2,{quote}{giant}{quote}\n3,b\n")


def test_chunk_size_does_not_matter(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_csv, "CSV_BLOCK_BYTES", 256)
    whole = read("id,note\n" + "".join(f'{i},"n\n{i}"\n' for i in range(500)))
    keys = TableKeys(source="leads.csv")
    for chunk_rows in (1, 7, 500, 501):
        chunks = list(iter_table(keys, tmp_path, chunk_rows))
        assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_rows}
        pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)


def test_an_all_missing_column_is_read(read: Any) -> None:
    table = read('id,note,x\n1,,\n2,"",\n')
    assert table["note"].isna().all()
    assert table["id"].tolist() == ["1", "2"]


def test_text_is_not_changed(read: Any) -> None:
    table = read("id,zip,n\n1,007,1.50\n2, 8 ,NA\n")
    assert table["zip"].tolist() == ["007", " 8 "]
    assert table["n"].tolist() == ["1.50", "NA"]


# -- decimal signs


def test_decimal_comma_is_read(read: Any) -> None:
    table = read("id;amount;text\n1;1.234,50;a, b\n2;-7,5;1.2.3\n3;;x\n", decimal=",")
    np.testing.assert_array_equal(number_column(table["amount"]), [1234.5, -7.5, np.nan])
    assert table["text"].tolist() == ["a, b", "1.2.3", "x"]


@pytest.mark.parametrize(
    ("cell", "pointed"),
    [
        ("1.234.567,8", "1234567.8"),
        (" +0,5 ", " +0.5 "),
        ("12", "12"),
        ("1234,5", "1234.5"),
        ("1.23", "1.23"),
        ("01.02.2025", "01.02.2025"),
        ("1,2,3", "1,2,3"),
        (None, None),
    ],
)
def test_decimal_comma_does_not_change_whole_numbers(cell: str | None, pointed: str | None) -> None:
    keys = TableKeys(source="leads.csv", decimal=",")
    assert text_column(decimal_point(pd.Series([cell], dtype="str"), keys)).tolist() == [
        None if pointed is None else pointed.strip()
    ]


# -- Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Any:
    def parquet(columns: Any, name: str = "leads.parquet", share: float = 1.0) -> Any:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pyarrow.parquet.write_table(table, tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        return read_table(TableKeys(source=name), tmp_path)

    return parquet


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_truncated_parquet_is_refused(parquet: Any, share: float) -> None:
    message = r"leads\.parquet is not a complete Parquet file: .* Is it cut off\? Write or copy it"
    with pytest.raises(SourceError, match=message):
        parquet({"id": list(range(1_000))}, share=share)


def test_csv_named_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.parquet").write_text("id,won\n1,yes\n")
    with pytest.raises(SourceError, match="is not a complete Parquet file"):
        read_table(TableKeys(source="leads.parquet"), tmp_path)


def test_parquet_without_rows_is_refused(parquet: Any) -> None:
    with pytest.raises(SchemaError, match="it has a header but no rows"):
        parquet({"id": pa.array([], pa.int64())})


DECIMALS = pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2))
NEW_YEAR = datetime.datetime(2025, 1, 1, 8)  # noqa: DTZ001
PARQUET = {
    "integer": (pa.array([7, None]), ["7", None], [7, np.nan]),
    "float": (pa.array([0.5, float("inf")]), ["0.5", "inf"], [0.5, np.nan]),
    "boolean": (pa.array([True, None]), ["true", None], [1, np.nan]),
    "decimal": (DECIMALS, ["1.5", None], [1.5, np.nan]),
    "dictionary of text": (pa.array(["a", None]).dictionary_encode(), ["a", None], [np.nan] * 2),
    "dictionary of numbers": (pa.array([3, None]).dictionary_encode(), ["3", None], [3, np.nan]),
    "binary": (pa.array(["Köln".encode(), b"\xff"]), ["Köln", "\ufffd"], [np.nan] * 2),
    "date": (pa.array([NEW_YEAR.date(), None]), ["2025-01-01", None], [np.nan] * 2),
    "time": (pa.array([NEW_YEAR.time(), None]), ["08:00:00", None], [np.nan] * 2),
    "timestamp": (pa.array([NEW_YEAR, None]), ["2025-01-01T08:00:00", None], [np.nan] * 2),
    "timestamp with a zone": (
        pa.array([NEW_YEAR, None], pa.timestamp("ms", "Europe/Berlin")),
        ["2025-01-01T09:00:00+01:00", None],
        [np.nan] * 2,
    ),
    "duration": (
        pa.array([datetime.timedelta(days=1), None]),
        ["1 day, 0:00:00", None],
        [np.nan] * 2,
    ),
    "list": (pa.array([[1], [2, 3]]), [None, None], [np.nan] * 2),
    "struct": (pa.array([{"a": 1}, None]), [None, None], [np.nan] * 2),
    "nothing": (pa.nulls(2), [None, None], [np.nan] * 2),
}


@pytest.mark.parametrize(("array", "texts", "numbers"), PARQUET.values(), ids=PARQUET)
def test_every_parquet_type_is_read(parquet: Any, array: Any, texts: Any, numbers: Any) -> None:
    column = parquet({"id": [1, 2], "x": array})["x"]
    assert [str(t).replace("1 days 00", "1 day, 0") if t else t for t in text_column(column)] == (
        texts
    )
    np.testing.assert_array_equal(number_column(column), numbers)


def test_parquet_column_names_are_read_like_csv(parquet: Any) -> None:
    assert list(parquet({" id ": [1], "": [2]}).columns) == ["id", "column 2"]
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a "])
    with pytest.raises(SchemaError, match=r"two columns share a name: \['a'\]"):
        parquet(table)


def test_named_pandas_index_is_a_column(parquet: Any) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    assert list(parquet(pa.Table.from_pandas(frame)).columns) == ["x"]
    named = parquet(pa.Table.from_pandas(frame.rename_axis("lead_id")))
    assert sorted(named.columns) == ["lead_id", "x"]


def test_row_count_is_known_for_cheap_sources(parquet: Any, read: Any, tmp_path: Path) -> None:
    parquet({"id": [1, 2, 3]})
    read("id\n1\n")
    assert count_rows(TableKeys(source="leads.parquet"), tmp_path) == 3
    assert count_rows(TableKeys(source="leads.csv"), tmp_path) is None
    assert count_rows(TableKeys(source="sqlite:///leads.parquet", table="a"), tmp_path) is None


# -- SQLite


@pytest.fixture
def sqlite(tmp_path: Path) -> Any:
    """Run a script on crm.db, then read a table or query of it."""
    connection = sqlite3.connect(tmp_path / "crm.db")
    connection.executescript(
        """
        create table leads (id integer, name text, created timestamp, amount numeric(10, 2),
                            flag boolean, born date, file blob);
        insert into leads values
            (1, 'a', '2025-03-01T08:00:00Z', '12.5', 1, '2025-03-01', x'61'),
            (2, null, 'soon', 7, 0, 'never', null);
        create table "Odd Name" ("a b" text);
        insert into "Odd Name" values ('x');
        create table empty (id integer);
        create view everyone as select id from leads;
        """
    )
    connection.close()

    def sqlite(source: str = "sqlite:///crm.db", **keys: Any) -> Any:
        return read_table(TableKeys(source=source, **keys), tmp_path)

    return sqlite


def test_sqlite_table_is_read_with_any_declared_types(sqlite: Any) -> None:
    assert rows(sqlite(table="leads")) == [
        ["1", "a", "2025-03-01T08:00:00Z", "12.5", "1", "2025-03-01", "a"],
        ["2", None, "soon", "7", "0", "never", None],
    ]


def test_sqlite_path_is_relative_to_the_project(sqlite: Any, tmp_path: Path) -> None:
    assert len(sqlite(f"sqlite:///{tmp_path}/crm.db", table="everyone")) == 2
    assert list(sqlite(table="Odd Name").columns) == ["a b"]


def test_query_is_read(sqlite: Any) -> None:
    table = sqlite(query="select ':x' as a, 7 % 4 as \"b:c\", '%s' as c;")
    assert table.to_dict("records") == [{"a": ":x", "b:c": 3, "c": "%s"}]


def test_missing_table_suggests_the_nearest_name(sqlite: Any) -> None:
    message = r"The database has no table `lead`\. Did you mean `leads`\?"
    with pytest.raises(SourceError, match=message):
        sqlite(table="lead")


def test_empty_table_is_refused(sqlite: Any) -> None:
    message = r"the database table empty: it has a header but no rows"
    with pytest.raises(SchemaError, match=message):
        sqlite(table="empty")


def test_failing_query_is_reported(sqlite: Any) -> None:
    message = (
        r"the database query cannot be read from sqlite:.*: no such column: nope\. Check `sour"
    )
    with pytest.raises(SourceError, match=message):
        sqlite(query="select nope from leads")


def test_query_cannot_change_data(sqlite: Any) -> None:
    with pytest.raises(SourceError, match="attempt to write a readonly database"):
        sqlite(query="delete from leads")
    assert len(sqlite(table="leads")) == 2


def test_table_or_query_is_required(sqlite: Any) -> None:
    with pytest.raises(ConfigError, match=r"needs `table` or `query` too"):
        sqlite()


def test_repeated_column_name_in_a_query_is_refused(sqlite: Any) -> None:
    with pytest.raises(SchemaError, match=r"the database query: two columns share a name: \['a'\]"):
        sqlite(query="select 1 as a, 2 as a")


def test_missing_sqlite_file_is_not_created(sqlite: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*crn\.db\. Did you mean `crm\.db`\?"):
        sqlite("sqlite:///crn.db", table="leads")
    assert [path.name for path in tmp_path.iterdir()] == ["crm.db"]


def test_file_that_is_not_a_database_is_refused(sqlite: Any, tmp_path: Path) -> None:
    (tmp_path / "no.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(SourceError, match="table leads cannot be read .*: file is not a database"):
        sqlite("sqlite:///no.db", table="leads")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@h/d",
        "postgresql://u:hunter2@x:hunter2@h:port/d",
        "https://u:hunter2@h/leads.csv",
        "://hunter2",
    ],
)
def test_unusable_url_is_refused(tmp_path: Path, url: str) -> None:
    message = r"A database URL .* Expected sqlite:///FILE or postgresql://USER.*written as %40"
    with pytest.raises(ConfigError, match=message) as refusal:
        read_table(TableKeys(source=url, table="leads"), tmp_path)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://eve:hunter2@127.0.0.1:1/crm",
        "postgresql://127.0.0.1:1/crm?user=eve&password=hunter2",
        "postgresql://eve:hunter2@127.0.0.1:1/crm?hunter2=1",
    ],
)
def test_password_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CRM_URL", url)
    for keys in (TableKeys(source=url, table="leads"), TableKeys("${CRM_URL}", query="select 1")):
        with pytest.raises(
            SourceError, match=r"cannot be read from postgresql.*Check `s"
        ) as refusal:
            read_table(keys, tmp_path)
        assert "hunter2" not in str(refusal.value)
        assert "hunter2" not in name_of(keys)


# -- PostgreSQL


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Any]:
    """A schema of its own; executes statements, and reads tables and queries."""
    schema = f"s{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create schema {schema}")
        connection.execute(f"set search_path to {schema}")

        def postgres(*statements: Any, url: Any = postgres_url, **keys: Any) -> Any:
            for statement in statements:
                connection.execute(statement)
            keys = {key: value.replace("SCHEMA", schema) for key, value in keys.items()}
            return read_table(TableKeys(source=url, **keys), None)

        yield postgres
        connection.execute(f"drop schema {schema} cascade")


POSTGRES = {
    "numeric": ("12.50::numeric", "12.5", 12.5),
    "numeric nan": ("'NaN'::numeric", None, np.nan),
    "integer": ("7", "7", 7),
    "bigint": ("9007199254740993::bigint", "9007199254740993", 9007199254740992),
    "double": ("0.5::float8", "0.5", 0.5),
    "boolean": ("true", "true", 1),
    "text": ("' a  b '", "a b", np.nan),
    "uuid": (
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        np.nan,
    ),
    "timestamptz": ("'2025-01-01 08:00+02'::timestamptz", "2025-01-01T06:00:00+00:00", np.nan),
    "timestamp": ("'2025-01-01 08:00'::timestamp", "2025-01-01T08:00:00", np.nan),
    "date": ("'2025-01-01'::date", "2025-01-01", np.nan),
    "json object": ("""'{"a": 1}'::jsonb""", None, np.nan),
    "json list": ("'[1, 2]'::json", None, np.nan),
    "json text": ("""'"a"'::jsonb""", "a", np.nan),
    "array": ("array[1, 2]", None, np.nan),
    "bytea": ("'\\x61'::bytea", "a", np.nan),
    "enum-like char": ("'a'::char(3)", "a", np.nan),
    "null": ("null::text", None, np.nan),
}


@pytest.mark.parametrize(("sql", "text", "number"), POSTGRES.values(), ids=POSTGRES)
def test_every_postgres_type_is_read(postgres: Any, sql: Any, text: Any, number: Any) -> None:
    column = postgres("set timezone to 'UTC'", query=f"select 1 as id, {sql} as x")["x"]
    if "timestamptz" in sql:
        column = column.dt.tz_convert("UTC")
    assert text_column(column).tolist() == [text]
    np.testing.assert_array_equal(number_column(column), [number])


def test_postgres_table_is_read_with_nulls(postgres: Any) -> None:
    table = postgres(
        "create table leads (id int, n numeric, b bool, t timestamptz, j jsonb)",
        "insert into leads values (1, 1.5, true, '2025-01-01 08:00+00', '{}')",
        "insert into leads values (2)",
        table="SCHEMA.leads",
    )
    assert number_column(table["n"]).tolist()[:1] == [1.5]
    assert text_column(table["b"]).tolist() == ["true", None]
    assert table["t"].iloc[0] == pd.Timestamp("2025-01-01 08:00", tz="UTC")
    assert table["j"].isna().all()
    assert table.iloc[1, 1:].isna().all()


def test_missing_postgres_table_suggests_the_nearest_name(postgres: Any) -> None:
    message = r"no table `s\w+\.leads`\. Did you mean `leads_2024`\?"
    with pytest.raises(SourceError, match=message):
        postgres("create table leads_2024 (id int)", table="SCHEMA.leads")


def test_postgres_query_cannot_change_data(postgres: Any) -> None:
    postgres("create table leads as select 1 as id", table="SCHEMA.leads")
    postgres("create sequence numbers", query="select 1 as id")
    with pytest.raises(SourceError, match=r"cannot execute nextval\(\) in a read-only trans"):
        postgres(query="select nextval('SCHEMA.numbers')")
    with pytest.raises(SourceError, match="syntax error"):
        postgres(query="delete from SCHEMA.leads returning id")
    assert len(postgres(table="SCHEMA.leads")) == 1


def test_postgres_query_may_contain_colons_and_percent_signs(postgres: Any) -> None:
    table = postgres(query="select ':x' as a, '08:00'::time::text as b, '50%' as c;")
    assert table.to_dict("records") == [{"a": ":x", "b": "08:00:00", "c": "50%"}]


def test_time_beyond_pythons_range_is_reported(postgres: Any) -> None:
    with pytest.raises(SourceError, match=r"the database query cannot be read .*infinity"):
        postgres(query="select 'infinity'::timestamptz as t")


def test_postgres_password_is_never_shown(postgres: Any, postgres_url: str) -> None:
    url = re.sub("postgres:?@/postgres", "eve:hunter%402@/crm", postgres_url)
    with pytest.raises(SourceError, match=r"from postgresql\+psycopg://eve:\*\*\*@") as refusal:
        postgres(url=url, table="leads")
    assert "hunter" not in str(refusal.value)


def test_postgres_rows_come_in_chunks(postgres: Any, postgres_url: str) -> None:
    postgres(query="select 1")
    keys = TableKeys(source=postgres_url, query="select generate_series(1, 25) as id")
    chunks = [chunk["id"].tolist() for chunk in iter_table(keys, None, chunk_rows=10)]
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert sum(chunks, []) == list(range(1, 26))


# -- one table from everywhere

PROJECT = """
[project]
name = "acme"
[leads]
{source}
lead_id = "id"
created_at = "created"
outcome = "status"
closed_at = "closed"
[learn]
won = ["won"]
lost = ["lost"]
horizon_days = 10
"""


def test_every_source_gives_equal_features(
    tmp_path: Path, postgres: Any, postgres_url: str
) -> None:
    """Reading the same table from any source gives equal features matrices."""
    generator = np.random.default_rng(5)
    n = 200
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(range(n), unit="h")
    leads = pd.DataFrame(
        {
            "id": range(1, n + 1),
            "created": created,
            "status": generator.choice(["won", "lost"], n),
            "closed": created + pd.Timedelta(days=2),
            "region": generator.choice(["EU", "eu ", "US", None, "Köln"], n),
            "employees": pd.array(generator.integers(0, 9, n), dtype="Int64"),
            "revenue": np.where(generator.random(n) < 0.2, np.nan, generator.random(n) * 1e6),
            "opted_in": generator.random(n) < 0.5,
        }
    )
    leads.loc[3, "employees"] = pd.NA
    leads.loc[n - 1, "closed"] = created[0] + pd.Timedelta(days=60)
    text = leads.assign(
        **{name: leads[name].map(pd.Timestamp.isoformat) for name in ("created", "closed")},
        opted_in=leads["opted_in"].map({True: "true", False: "false"}),
    )
    text.to_csv(tmp_path / "leads.csv", index=False)
    leads.to_parquet(tmp_path / "leads.parquet")
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        text.to_sql("leads", connection, index=False)
    connection.close()
    columns = (
        "id int, created timestamptz, status text, closed timestamptz, region text, "
        "employees numeric, revenue float8, opted_in bool"
    )
    filled = leads.astype(object).where(leads.notna(), None)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create table same_leads ({columns})")
        with connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(leads.columns))
            cursor.executemany(
                f"insert into same_leads values ({places})", filled.to_numpy().tolist()
            )
    found = {}
    for name, source in {
        "csv": 'source = "leads.csv"',
        "parquet": 'source = "leads.parquet"',
        "sqlite": 'source = "sqlite:///crm.db"\ntable = "leads"',
        "postgres": f'source = "{postgres_url}"\ntable = "same_leads"',
    }.items():
        path = tmp_path / f"{name}.toml"
        path.write_text(PROJECT.format(source=source))
        project = load_project(path)
        records = read_records(project)
        moments = make_moments(records, project.learn)
        pipeline = fit_pipeline(records, moments, project)
        found[name] = (
            pipeline.to_json(),
            moments.label,
            pipeline.transform(records, moments.lead, moments.as_of),
        )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("drop table same_leads")
    state, label, matrix = found["csv"]
    assert {"region", "employees", "revenue", "opted_in"} <= {
        f["column"] for f in state["attributes"]
    }
    assert 0 < label.sum() < len(label) == n
    for name, (other_state, other_label, other_matrix) in found.items():
        assert other_state == state, name
        np.testing.assert_array_equal(other_label, label, err_msg=name)
        np.testing.assert_array_equal(other_matrix, matrix, err_msg=name)
