"""Reading CSV: delimiters, encodings, gzip and broken rows."""

import csv
import gzip
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import ConfigError, LeadScoringError, SourceError
from crm.project import TableKeys
from crm.sources import csv as sources_csv
from crm.sources import encoding as sources_encoding
from crm.sources import irregular
from crm.sources.source import encoding_guess, read_table
from tests.made_tables import ReadCsv, cell_texts

# -- the file itself


@pytest.mark.parametrize(
    "content", [b"", b"\n \n\t\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
def test_empty_or_blank_file_is_refused(read_csv: ReadCsv, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"leads\.csv is empty\. Expected a header line and rows"):
        read_csv(content)


def test_binary_file_is_refused(read_csv: ReadCsv) -> None:
    message = r"not a text file: it contains zero bytes\. Expected CSV, JSON Lines"
    with pytest.raises(SourceError, match=message):
        read_csv(bytes(range(256)) * 4)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_zero_bytes_in_a_text_are_named_with_their_line(read_csv: ReadCsv, ending: str) -> None:
    rows = [f"{i},Ger\x00many" if i in (7, 9) else f"{i},Germany" for i in range(40)]
    with pytest.raises(SourceError, match=r"leads\.csv: line 9 contains a zero byte"):
        read_csv(ending.join(["id,country", *rows]).encode())


# -- delimiters


def test_blank_lines_above_the_header_are_skipped(read_csv: ReadCsv) -> None:
    table = read_csv("\n;\n\nid;won\n1;yes\n2;no\n")
    assert cell_texts(table) == [["1", "yes"], ["2", "no"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected(read_csv: ReadCsv, delimiter: str) -> None:
    table = read_csv("id,name,note\n1,a,b\n2,c,d\n".replace(",", delimiter))
    assert list(table.columns) == ["id", "name", "note"]
    assert cell_texts(table) == [["1", "a", "b"], ["2", "c", "d"]]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Lead ID;Company", "Lead ID;Company\nL0;Acme, Inc.\nL1\nL2\n"),
        ("Lead ID;Note", 'Lead ID;Note\nL0\nL1\nL2;"x; y, z"\nL3;5,5\n'),
        ("Lead ID,Note", 'Report;Leads\n\n"Lead ID","Note"\n"L0"\n"L1","a | b"\n'),
        ("Lead ID;Note", 'Report,Leads\n\nLead ID;Note\nL0\nL1\nL2;"x; y, z"\n'),
        ("Lead ID|Company|City", "Report;Leads\n\nLead ID|Company|City\nL0\n"),
        ("Lead ID,Budget,Note", '"Lead ID","Budget","Note"\n"L0","a,b;c","1"\n"L1","","6;3"\n'),
    ],
)
def test_delimiter_of_small_tables_is_found(read_csv: ReadCsv, header: str, text: str) -> None:
    table = read_csv(text)
    assert list(table.columns) == re.split("[;,|]", header)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_quoted_delimiters_and_line_breaks_belong_to_the_cell(
    read_csv: ReadCsv, delimiter: str
) -> None:
    cell = f'a{delimiter}b\nc "d" , ; | e'
    name = f"na{delimiter}me"
    quoted_cell = cell.replace('"', '""')
    table = read_csv(f'id{delimiter}"{name}"\r\n1{delimiter}"{quoted_cell}"\r\n2{delimiter}x\r\n')
    assert list(table.columns) == ["id", name]
    assert table[name].tolist() == [cell, "x"]


@pytest.mark.parametrize("keys", [{}, {"delimiter": ";"}])
def test_single_column_is_a_table(read_csv: ReadCsv, keys: dict[str, str]) -> None:
    table = read_csv("id\n1\n2\n", **keys)
    assert cell_texts(table) == [["1"], ["2"]]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_line_ending_is_read(read_csv: ReadCsv, line_end: str) -> None:
    table = read_csv(f"id,won{line_end}1,yes{line_end}2,no{line_end}")
    assert cell_texts(table) == [["1", "yes"], ["2", "no"]]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["| Lead ID | Source |", "|---|---|", "| 1 | Web |"], 2),
        (["# Leads", "", "|Lead ID|Source|", "| :--- | ---: |", "|1|Web|"], 4),
        (["+----+-----+", "| id | won |", "+----+-----+", "|  1 | yes |", "+----+-----+"], 1),
        (["| id | won |", "|----+-----|", "|  1 | yes |"], 2),
    ],
)
def test_table_in_markdown_is_refused(read_csv: ReadCsv, lines: list[str], number: int) -> None:
    with pytest.raises(SourceError, match=rf"a table in Markdown .* line {number} is '[|+]"):
        read_csv("\n".join(lines).encode())


def test_cells_of_dashes_are_not_markdown(read_csv: ReadCsv) -> None:
    table = read_csv(b"id|won|x\n1|--|--\n2|yes|--\n")
    assert table["won"].tolist() == ["--", "yes"]


def test_wrong_declared_delimiter_is_reported(read_csv: ReadCsv) -> None:
    message = r"only one column when split at ';'\. The delimiter looks like ','\. Change or remove"
    with pytest.raises(SourceError, match=message):
        read_csv("id,won\n1,yes\n", delimiter=";")


@pytest.mark.parametrize("delimiter", ["§", '"', "\n"])
def test_invalid_delimiter_is_refused(read_csv: ReadCsv, delimiter: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be a delimiter\. Expected one ASCII character"):
        read_csv("id,won\n1,yes\n", delimiter=delimiter)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    cells=st.lists(st.tuples(words, words), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    is_gzip=st.booleans(),
)
def test_csv_writer_output_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    delimiter: str,
    encoding: str,
    is_gzip: bool,
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    leads = [[f"L{i}", *row] for i, row in enumerate(cells)]
    writer.writerows([("id", "name", "note"), *leads])
    content = text.getvalue().encode(encoding)
    (folder / "leads.csv").write_bytes(gzip.compress(content) if is_gzip else content)
    table = read_table(TableKeys(source="leads.csv", delimiter=delimiter), folder)
    rows = table.astype(object).where(table.notna(), "").to_numpy().tolist()
    assert rows == leads


# -- encodings

WESTERN = "id,name\n1,Zürich\n2,L’Oréal – 5 €\n3,São Paulo\n4,Ærø\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("is_gzip", [False, True])
def test_encoding_is_detected(read_csv: ReadCsv, encoding: str, is_gzip: bool) -> None:
    content = WESTERN.encode(encoding)
    table = read_csv(gzip.compress(content) if is_gzip else content)
    assert list(table.columns) == ["id", "name"]
    assert table["name"].tolist() == ["Zürich", "L’Oréal – 5 €", "São Paulo", "Ærø"]


@pytest.mark.parametrize("city", ["Köln", "Málaga", "Besançon", "Kööpenhamina", "Straße"])
def test_one_western_letter_is_enough(read_csv: ReadCsv, city: str) -> None:
    table = read_csv(f"id,city\n1,{city}\n2,Bonn\n".encode("latin-1"))
    assert table["city"].tolist() == [city, "Bonn"]


@pytest.mark.parametrize("delimiter", ["|", "^", "~"])
def test_delimiter_between_letters_does_not_hide_the_encoding(
    read_csv: ReadCsv, delimiter: str
) -> None:
    names = ["id", "Fecha de creación", "Empleados", "Estado", "Fecha"]
    content = delimiter.join(names) + "\n" + delimiter.join("12345") + "\n"
    assert list(read_csv(content.encode("cp1252")).columns) == names


def test_accents_between_pipes_are_not_marks_of_thai(read_csv: ReadCsv) -> None:
    rows = [f"L{i}|{i}|{'Gagné' if i % 2 else 'Perdu'}|{100 + i}" for i in range(40)]
    text = "\n".join(["ID du lead|Créé le|Statut|Effectif", *rows])
    table = read_csv(text.encode("cp1252"))
    assert table.columns[1] == "Créé le"
    assert set(table["Statut"]) == {"Gagné", "Perdu"}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Łódź i Wrocław są dużymi miastami; a Gdańsk leży nad morzem"),
        ("cp1251", "Москва Санкт-Петербург Новосибирск Екатеринбург"),
        ("cp1254", "İstanbul Şişli Beyoğlu Kadıköy Üsküdar"),
        ("cp932", "東京都渋谷区 大阪府大阪市 株式会社"),
    ],
)
def test_other_code_pages_are_detected_in_long_text(
    read_csv: ReadCsv, encoding: str, text: str
) -> None:
    content = "id,name\n" + f"1,{text}\n" * 20
    table = read_csv(content.encode(encoding), delimiter=",")
    assert set(table["name"]) == {text}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Škoda"),
        ("cp1252", "L’Oréal"),
        ("cp1250", "Łódź"),
        ("iso8859_2", "Łomża"),
        ("cp1251", "Партнёр"),
        ("koi8_r", "Партнёр"),
        ("cp866", "Москва"),
        ("cp932", "紹介"),
        ("cp932", "展示会"),
        ("iso2022_jp", "展示会"),
        ("gbk", "推荐"),
        ("gbk", "展会"),
        ("big5", "推薦"),
        ("cp949", "추천"),
        ("cp1253", "Έκθεση"),
        ("cp1254", "Kadıköy"),
        ("cp1255", "תערוכה"),
        ("cp1256", "معرض"),
        ("cp874", "แนะนำ"),
        ("mac_roman", "Köln"),
        ("cp437", "Köln"),
        ("cp852", "Łódź"),
    ],
)
def test_encoding_of_one_word_is_guessed_and_noted(
    tmp_path: Path, encoding: str, text: str
) -> None:
    (tmp_path / "leads.csv").write_bytes(f"id,source\n1,{text}\n2,Web\n3,{text}\n".encode(encoding))
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert table["source"].tolist() == [text, "Web", text]
    assert len(notes) == 1
    assert notes[0].startswith("leads.csv: the file is not in UTF-8. Its encoding is a guess: ")
    assert f'reads "{text}"' in notes[0]


def test_next_likely_encoding_is_shown_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes("id,city\n1,Łódź\n2,Gdańsk\n".encode("cp1250"))
    guess = encoding_guess(TableKeys(source="leads.csv"), tmp_path)
    assert guess is not None
    assert (guess.encoding, guess.other) == ("cp1250", "cp1252")
    assert guess.examples == ("Łódź", "Gdańsk")
    assert guess.other_examples == ("£ódŸ", "Gdañsk")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_unicode_are_certain(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "leads.csv").write_bytes("id,city\n1,Łódź\n".encode(encoding))
    notes: list[str] = []
    read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert notes == []
    assert encoding_guess(TableKeys(source="leads.csv"), tmp_path) is None


@pytest.mark.parametrize("n_utf8", [1, 3, 20])
def test_file_of_two_encodings_is_refused(read_csv: ReadCsv, n_utf8: int) -> None:
    rows = [b"id,city\n1,Bonn\n", *["2,Köln\n".encode("cp1252")] * 3]
    rows += ["3,Köln\n".encode()] * n_utf8
    message = (
        rf"leads\.csv mixes two encodings: {n_utf8} lines? .* \(first line 6: \"Köln\"\), and "
        r"3 lines are not \(first line 3, which cp1252 reads as \"Köln\"\).*set `encoding`"
    )
    with pytest.raises(SourceError, match=message):
        read_csv(b"".join(rows))


def test_few_lines_in_utf8_between_characters_of_two_bytes_are_counted(tmp_path: Path) -> None:
    rows = [b"id,source\n", "1,展会\n".encode(), *["2,推荐\n".encode("gbk")] * 40]
    (tmp_path / "leads.csv").write_bytes(b"".join(rows))
    notes: list[str] = []
    read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert "1 line may be in UTF-8 (first line 2)." in notes[0]


def test_few_lines_that_may_be_in_utf8_are_counted(tmp_path: Path) -> None:
    rows = ["id,city\n", *["1,Köln\n"] * 40, "2,MÃ¼nchen\n"]
    (tmp_path / "leads.csv").write_bytes("".join(rows).encode("cp1252"))
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert table["city"].iloc[-1] == "MÃ¼nchen"
    assert "1 line may be in UTF-8 (first line 42)." in notes[0]


def test_utf8_file_is_read_as_such_whatever_is_declared(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes("id,city\n1,Köln\n".encode())
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv", encoding="cp1252"), tmp_path, notes=notes)
    assert table["city"].tolist() == ["Köln"]
    assert notes == [
        'leads.csv: the file is in UTF-8 (line 2 contains "Köln") and is read as UTF-8, although '
        'its `encoding` is "cp1252".'
    ]


def test_line_of_a_word_in_utf8_is_right_in_later_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_encoding, "BLOCK_BYTES", 100)
    (tmp_path / "leads.csv").write_text("id,city\n" + "1,Bonn\n" * 50 + "2,Köln\n", "utf-8")
    notes: list[str] = []
    read_table(TableKeys(source="leads.csv", encoding="cp1252"), tmp_path, notes=notes)
    assert 'line 52 contains "Köln"' in notes[0]


def test_declared_encoding_with_implausible_words_has_a_note(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes("id,city\n1,Партнёр\n".encode("cp1251"))
    notes: list[str] = []
    table = read_table(TableKeys(source="leads.csv", encoding="latin-1"), tmp_path, notes=notes)
    assert table["city"].tolist() == ["Ïàðòí¸ð"]
    assert 'cp1251 would read "Партнёр". Is `encoding` right?' in notes[0]


def test_encoding_is_detected_after_the_first_block(
    read_csv: ReadCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_encoding, "BLOCK_BYTES", 100)
    content = "id,name\n" + "1,Bonn\n" * 50 + "2,Köln\n"
    table = read_csv(content.encode("latin-1"))
    assert table["name"].iloc[-1] == "Köln"


@pytest.mark.parametrize("keys", [{}, {"encoding": "utf-8"}, {"encoding": "utf-8-sig"}])
def test_byte_order_mark_is_not_part_of_a_name(read_csv: ReadCsv, keys: dict[str, str]) -> None:
    table = read_csv(b'\xef\xbb\xbf"id, all",won\n1,yes\n', **keys)
    assert list(table.columns) == ["id, all", "won"]


@pytest.mark.parametrize(
    ("encoding", "city"),
    [("utf-16-le", "Köln"), ("cp1251", "Москва"), ("UTF8", "Köln"), ("latin-1", "Köln")],
)
def test_declared_encoding_is_used(read_csv: ReadCsv, encoding: str, city: str) -> None:
    table = read_csv(f"id,city\n1,{city}\n".encode(encoding), encoding=encoding)
    assert table["city"].tolist() == [city]


@pytest.mark.parametrize(
    ("actual", "declared"), [("cp1252", "utf-8"), ("utf-8", "utf-16"), ("latin-1", "ascii")]
)
def test_wrong_declared_encoding_is_reported(read_csv: ReadCsv, actual: str, declared: str) -> None:
    message = r"leads\.csv cannot be decoded: .*\. Set `encoding` in the project file"
    with pytest.raises(SourceError, match=message):
        read_csv("id,name\n1,Köln\n".encode(actual), encoding=declared)


@pytest.mark.parametrize("encoding", ["utf-9", "zip", "undefined"])
def test_unknown_encoding_is_refused(read_csv: ReadCsv, encoding: str) -> None:
    message = f"`{encoding}` is not a text encoding that Python supports. Try utf-8 or"
    with pytest.raises(ConfigError, match=message):
        read_csv("id,won\n1,yes\n", encoding=encoding)


# -- gzip


@pytest.mark.parametrize("name", ["leads.csv.gz", "leads.csv", "leads"])
def test_gzip_is_detected_by_its_bytes(read_csv: ReadCsv, name: str) -> None:
    table = read_csv(gzip.compress(b"id,won\n1,yes\n"), name=name)
    assert cell_texts(table) == [["1", "yes"]]


CUT_OFF = r"leads\.csv cannot be read: .*\. Is it cut off\? Export or copy it again"


@pytest.fixture(scope="module")
def gzipped() -> bytes:
    """Build a gzipped CSV file of 5,000 rows."""
    lines = "\n".join(f"{i},{i * 7919 % 1000}" for i in range(5_000))
    return gzip.compress(f"id,n\n{lines}\n".encode())


@pytest.mark.parametrize("keys", [{}, {"encoding": "utf-8"}])
def test_truncated_gzip_is_refused(read_csv: ReadCsv, gzipped: bytes, keys: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=CUT_OFF):
        read_csv(gzipped[: len(gzipped) // 2], **keys)


@pytest.mark.parametrize("keys", [{}, {"encoding": "utf-8"}])
def test_damaged_gzip_is_refused(read_csv: ReadCsv, gzipped: bytes, keys: dict[str, str]) -> None:
    damaged = gzipped[:9_000] + b"\xff" * 50 + gzipped[9_050:]
    with pytest.raises(SourceError, match=CUT_OFF):
        read_csv(damaged, **keys)


# -- rows


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a,b\n1,2\n\n1,block\n1,2,codec\n", 'line 5 has 3 cells, and .* 2. Cell 3 is "codec"'),
        ('a,b\n1,"x\ny"\n2,"x\ny",3\n', 'lines 4 to 5 has 3 cells, and .* 2. Cell 3 is "3"'),
        ('a,b,c\n1,"2,3\n4,5,6\n7,8,9\n', "the row in lines 2 to 4 has a quote that is not closed"),
        ('a,b,c\n1,"x,3\n4,"y",6\n', "the row in lines 2 to 3 has a quote that is not closed"),
        ('a,b\n1,"say "hi" now"\n2,x\n', "the row in line 2 has a quote that is not closed"),
        ('a,b,c\n1,"x,3\n4,5,"\n7,8,9\n', "a cell of the row in lines 2 to 3 contains whole rows"),
        ('id,name\n1,a\n2,"b\n3,c\n4,d\n', "the row in lines 3 to 5 has a quote that is not"),
    ],
)
def test_row_that_cannot_be_read_is_named_by_its_line(
    read_csv: ReadCsv, content: str, problem: str
) -> None:
    with pytest.raises(SourceError, match=rf"leads\.csv: {problem}"):
        read_csv(content)


def test_row_that_a_line_break_cuts_is_refused(read_csv: ReadCsv) -> None:
    rows = "".join(f"L{i},2025-01-01,web,x\n" for i in range(20))
    message = r'line 23 has 1 of 4 cells, and its first one, "the note", does not look like .*"id"'
    with pytest.raises(SourceError, match=message):
        read_csv(f"id,day,source,note\n{rows}L20,2025-01-01,web,half of\nthe note\n{rows}")


def cut_lead(position: int, lead: str, header: str, leads: list[str]) -> str:
    """Return a table whose 51st lead has a line break at a position."""
    cut = f"{lead[:position]}\n{lead[position:]}"
    return "\n".join([header, *leads[:50], cut, *leads[50:], ""])


@pytest.mark.parametrize(
    ("position", "problem"),
    [
        (3, "lines 52 and 53 are one row: the first line contains only"),
        (9, "lines 52 and 53 have 2 and 5 of 6 cells, and together they are one row"),
        (19, "lines 52 and 53 have 3 and 4 of 6 cells, and together they are one row"),
        (21, "lines 52 and 53 have 4 and 3 of 6 cells, and together they are one row"),
        (26, "lines 52 and 53 have 5 and 2 of 6 cells, and together they are one row"),
        (30, 'line 53 has 1 of 6 cells, and its first one, ".*", does not look like'),
    ],
)
def test_line_break_in_any_cell_is_refused(read_csv: ReadCsv, position: int, problem: str) -> None:
    leads = [f"L{i + 1000},2025-01-05,Web,{i + 100},Lost,x" for i in range(100)]
    text = cut_lead(position, "L2000,2025-01-05,Web,210,Lost,call 7", "a,b,c,d,e,f", leads)
    with pytest.raises(SourceError, match=problem):
        read_csv(text)


@pytest.mark.parametrize(
    ("position", "problem"),
    [
        (7, "lines 52 and 53 have 2 and 3 of 4 cells, and together they are one row"),
        (13, "lines 52 and 53 have 3 and 2 of 4 cells, and together they are one row"),
        (16, 'line 53 has only one cell, "n"'),
    ],
)
def test_line_break_is_refused_in_a_table_without_ids(
    read_csv: ReadCsv, position: int, problem: str
) -> None:
    leads = [f"Firm {chr(97 + i % 26)},Ulm,Fair,{('Won', 'Lost')[i % 2]}" for i in range(100)]
    text = cut_lead(position, "Firm,Bonn,Web,Won", "Company,City,Source,Status", leads)
    with pytest.raises(SourceError, match=problem):
        read_csv(text)


def test_rows_without_their_last_empty_cells_are_read(read_csv: ReadCsv) -> None:
    rows = [f"Firm {i % 9},Bonn" + ",Web,Won" * (i % 2) for i in range(60)]
    table = read_csv("\n".join(["Company,City,Source,Status", *rows, ""]))
    assert table["Status"].isna().tolist() == [True, False] * 30


@pytest.mark.parametrize("quotes", ["'", "`"])
def test_other_quotes_around_cells_are_read_and_named(
    read_csv: ReadCsv, tmp_path: Path, quotes: str
) -> None:
    text = io.StringIO(newline="")
    rows = [("Lead ID", "Note"), ("1", "two\nlines, or"), ("2", f"o{quotes}clock"), ("3", 'a "b"')]
    csv.writer(text, quotechar=quotes, quoting=csv.QUOTE_ALL).writerows(rows)
    table = read_csv(text.getvalue())
    assert list(table.columns) == ["Lead ID", "Note"]
    assert cell_texts(table)[1:] == [["2", f"o{quotes}clock"], ["3", 'a "b"']]
    notes: list[str] = []
    read_table(TableKeys(source="leads.csv"), tmp_path, notes=notes)
    assert notes == [
        f"leads.csv: the cells are in {quotes} instead of double quotes. These are read as quotes."
    ]


@pytest.mark.parametrize("quotes", ["“”", "„“", "«»"])
def test_typographic_quotes_around_cells_are_refused(read_csv: ReadCsv, quotes: str) -> None:
    line = "{0}{2}{1};{0}{3}{1}\n"
    text = "".join(line.format(*quotes, *cells) for cells in [("Id", "Won"), ("1", "yes")])
    with pytest.raises(SourceError, match="which only text programs use. Replace them by straight"):
        read_csv(text)


def test_rows_in_quotes_as_a_whole_are_refused(read_csv: ReadCsv) -> None:
    rows = "".join(f'"{i},2025-01-05,Web"\n' for i in range(9))
    for header in ("Lead ID,Created,Source", '"Lead ID,Created,Source"'):
        with pytest.raises(SourceError, match=r"each row is in quotes .* in line 2\. Remove the"):
            read_csv(f"{header}\n{rows}")


def test_columns_separated_by_spaces_are_refused(read_csv: ReadCsv) -> None:
    rows = "".join(f"L{i}     2025-01-05   Web\n" for i in range(9))
    with pytest.raises(SourceError, match="the columns are separated by several spaces"):
        read_csv(f"Lead   Created      Source\n{rows}")


def test_backslash_before_a_quote_is_read(read_csv: ReadCsv) -> None:
    table = read_csv('a,b\n1,"say \\"hi\\", ok"\n2,x\n')
    assert table["b"].tolist() == ['say "hi", ok', "x"]


def test_quote_inside_an_unquoted_cell_is_text(read_csv: ReadCsv) -> None:
    table = read_csv('id,size,note\n1,5" pipe,"a\nb"\n2,6\'2",x\n3,7,"c"\n')
    assert table["size"].tolist() == ['5" pipe', "6'2\"", "7"]
    assert table["note"].tolist() == ["a\nb", "x", "c"]


@pytest.mark.parametrize("end_of_file", ["", "\n"])
def test_last_cell_may_end_with_a_line_break(read_csv: ReadCsv, end_of_file: str) -> None:
    table = read_csv(f'id,name\n1,"a\n"{end_of_file}')
    assert table["name"].tolist() == ["a\n"]


@pytest.mark.parametrize("quote", ["", '"'])
def test_row_above_the_block_size_is_refused(
    read_csv: ReadCsv, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setattr(sources_csv, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(sources_csv, "MAX_ROW_BYTES", 1 << 20)
    monkeypatch.setattr(irregular, "MAX_ROW_BYTES", 1 << 20)
    giant = "x" * (3 << 20)
    message = r"the row that starts in line 3 has more than 1 MB\. A quote may not be closed"
    with pytest.raises(LeadScoringError, match=message):
        read_csv(f"id,note\n1,a\n2,{quote}{giant}{quote}\n3,b\n")


def test_column_without_values_is_read(read_csv: ReadCsv) -> None:
    table = read_csv('id,note,x\n1,,\n2,"",\n')
    assert table["note"].isna().all()
    assert table["id"].tolist() == ["1", "2"]


def test_text_is_not_changed(read_csv: ReadCsv) -> None:
    table = read_csv("id,zip,n\n1,007,1.50\n2, 8 ,NA\n")
    assert table["zip"].tolist() == ["007", " 8 "]
    assert table["n"].tolist() == ["1.50", "NA"]
