"""Reads a table from a file or a database, in chunks of bounded size."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from crm.errors import SchemaError
from crm.formats.columns import DELIMITER
from crm.left_out import LeftOutRows
from crm.project import TableKeys, expand_variables
from crm.sources.checks import check_cells, check_file
from crm.sources.containers import find_container
from crm.sources.csv import iter_csv
from crm.sources.encoding import guess_of
from crm.sources.encoding_guess import EncodingGuess
from crm.sources.findings import Findings
from crm.sources.formula_cells import without_formulas
from crm.sources.json_lines import iter_json_lines
from crm.sources.rows import Rows, in_chunks
from crm.sources.texts_on_disk import with_texts_on_disk
from crm.sources.typed import count_parquet, iter_database, iter_parquet
from crm.sources.workbook import iter_workbook

LINES_CHUNK_ROWS = 50_000
TABLE_CHUNK_ROWS = 250_000  # more rows need more memory while they are converted


def read_table(
    keys: TableKeys,
    folder: Path,
    left_out: list[LeftOutRows] | None = None,
    notes: list[str] | None = None,
    table: str = "leads",
    rows_in_memory: int | None = None,
) -> pd.DataFrame:
    r"""Read a whole table.

    Parameters
    ----------
    keys : TableKeys
        The keys of the table in the project file.
    folder : Path
        The folder of relative paths.
    left_out : list of LeftOutRows, optional
        Receives the rows that are not records, such as titles, totals and footers.
    notes : list of str, optional
        Receives a sentence for each other decision, such as a new name for a second column "Phone".
    table : str
        "leads", "activities", "stages" or "outcomes", for `left_out`.
    rows_in_memory : int, optional
        The texts of further rows are in temporary files (`crm.sources.texts_on_disk`). By default
        all texts are in memory.

    Returns
    -------
    DataFrame
        Columns have the source's own names. Cells from CSV are text, and empty ones are
        missing. Cells from other sources keep their types; a list is the text of its JSON, and the
        keys of an object are columns. Text that is written as a formula, such as ="007", is read
        without the formula. `attrs` contains the delimiter of a CSV file.

    Raises
    ------
    SourceError
        If the source cannot be read.
    SchemaError
        If the table has no rows, no usable header, or a cell that is too long.

    Examples
    --------
    >>> import tempfile
    >>> folder, left_out = Path(tempfile.mkdtemp()), []
    >>> text = "id;plz\n1;007\n2;Zürich\nSumme;\n"
    >>> _ = (folder / "leads.csv").write_bytes(text.encode("latin-1"))
    >>> read_table(TableKeys(source="leads.csv"), folder, left_out)
      id     plz
    0  1     007
    1  2  Zürich
    >>> print(left_out[0])
    leads.csv: 1 row is left out (line 4): a total of other rows
    """
    chunks = []
    n_rows = 0
    for chunk in iter_table(keys, folder, TABLE_CHUNK_ROWS, left_out, notes, table):
        n_rows += len(chunk)
        is_stored = rows_in_memory is not None and n_rows > rows_in_memory
        chunks.append(with_texts_on_disk(chunk, name_of(keys)) if is_stored else chunk)
    if not chunks:
        raise SchemaError(name_of(keys), ["it has a header but no rows. Expected at least one."])
    return chunks[0] if len(chunks) == 1 else pd.concat(chunks, ignore_index=True)


def iter_table(
    keys: TableKeys,
    folder: Path,
    chunk_rows: int,
    left_out: list[LeftOutRows] | None = None,
    notes: list[str] | None = None,
    table: str = "leads",
) -> Generator[pd.DataFrame]:
    """Read a table in chunks of at most `chunk_rows` rows, in the source's order.

    A table with columns but no rows has no chunks. `read_table` describes the cells, the other
    parameters and the errors. `left_out` and `notes` are complete when the iterator ends. If it is
    closed earlier, they describe the rows that were read.
    """
    findings = Findings(table, _file_name(keys))
    n_rows = 0
    try:
        tables = (part.table for part in _iter_rows(keys, folder, chunk_rows, findings))
        for rows in in_chunks(tables, chunk_rows):
            chunk = without_formulas(rows, findings)
            check_cells(name_of(keys), chunk, _Place(keys, folder, n_rows))
            n_rows += len(chunk)
            if findings.delimiter:
                chunk.attrs[DELIMITER] = findings.delimiter
            yield chunk
    finally:
        if left_out is not None:
            left_out.extend(findings.left_out())
        if notes is not None:
            notes.extend(findings.sentences())


def lines_of(
    keys: TableKeys, folder: Path, rows: Sequence[int]
) -> tuple[list[int], Literal["line", "row"]]:
    r"""Return where rows of a table are in its source, for messages.

    The source is read again.

    Parameters
    ----------
    keys : TableKeys
    folder : Path
    rows : sequence of int
        Positions in the table that `read_table` returns, from 0.

    Returns
    -------
    list of int
        For text files, the first line of each row; the header is in line 1. For workbooks, the row
        as the sheet numbers it. For other sources, the row from 1 without the header.
    {"line", "row"}
        What the numbers count.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "leads.csv").write_text('id,note\n1,"two\nlines"\n\n2,x\n')
    >>> lines_of(TableKeys(source="leads.csv"), folder, [1, 0])
    ([5, 2], 'line')
    """
    wanted = set(rows)
    lines: dict[int, int] = {}
    first = 0
    findings = Findings("", "")
    for chunk in _iter_rows(keys, folder, LINES_CHUNK_ROWS, findings):
        here = [row for row in wanted if first <= row < first + len(chunk.table)]
        if here:
            numbers = chunk.lines()
            lines.update((row, int(numbers[row - first])) for row in here)
        first += len(chunk.table)
        if len(lines) == len(wanted):
            break
    return [lines[row] for row in rows], findings.unit


class _Place:
    """The places of a chunk's rows in their source, which are found if a message needs them."""

    def __init__(self, keys: TableKeys, folder: Path, first_row: int) -> None:
        self._keys, self._folder, self._first_row = keys, folder, first_row

    def __call__(self, row: int) -> str:
        lines, unit = lines_of(self._keys, self._folder, [self._first_row + row])
        return f"{unit} {lines[0]:,}"


def _iter_rows(
    keys: TableKeys, folder: Path, chunk_rows: int, findings: Findings
) -> Iterator[Rows]:
    source = expand_variables(keys.source)
    if "://" in source:
        findings.unit = "row"
        tables = iter_database(keys, name_of(keys), source, folder, chunk_rows, findings)
        yield from _numbered(tables)
        return
    path = folder / Path(source).expanduser()
    check_file(path)
    container = find_container(path, findings)
    if keys.sheet is not None and container.kind != "workbook":
        findings.note("the file has no sheets; `sheet` is not used.")
    if container.kind == "text":
        yield from iter_csv(container.file, keys, findings)
    elif container.kind == "json lines":
        yield from iter_json_lines(container.file, keys.encoding, findings)
    elif container.kind == "workbook":
        findings.unit = "row"
        yield from iter_workbook(container.file, keys, findings)
    else:
        findings.unit = "row"
        yield from _numbered(iter_parquet(container.file, chunk_rows, findings))


def _numbered(tables: Iterator[pd.DataFrame]) -> Iterator[Rows]:
    """Return the tables of a source without lines, with the numbers of their rows."""
    first = 1
    for table in tables:
        numbers = range(first, first + len(table))
        yield Rows(table, lambda numbers=numbers: numbers)  # type: ignore[misc]
        first += len(table)


def _file_name(keys: TableKeys) -> str:
    name = name_of(keys)
    return name if "://" in keys.source else Path(name).name


def count_rows(keys: TableKeys, folder: Path) -> int | None:
    """Return the number of rows of a Parquet table; None for sources that must be read to count."""
    source = expand_variables(keys.source)
    path = folder / Path(source).expanduser()
    if "://" in source or not path.is_file():
        return None
    container = find_container(path)
    return count_parquet(container.file) if container.kind == "parquet" else None


def encoding_guess(keys: TableKeys, folder: Path) -> EncodingGuess | None:
    """Return the guess of the encoding of a table's file.

    None means that the source is not a text file, or that its encoding is certain.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    source = expand_variables(keys.source)
    path = folder / Path(source).expanduser()
    if "://" in source or not path.is_file():
        return None
    container = find_container(path)
    return guess_of(container.file) if container.kind in ("text", "json lines") else None


def split_sheet(source: str) -> tuple[str, str | None]:
    """Split a source into its file and the sheet of a workbook, if it names one.

    Examples
    --------
    >>> split_sheet("crm.xlsx#Leads"), split_sheet("leads#2.csv")
    (('crm.xlsx', 'Leads'), ('leads#2.csv', None))
    """
    file, _, sheet = source.rpartition("#")
    is_sheet = file.lower().endswith(".xlsx") and not Path(source).expanduser().exists()
    return (file, sheet) if is_sheet else (source, None)


def name_of(keys: TableKeys) -> str:
    """Return a source's name for messages, without its password."""
    if "://" in keys.source:
        return f"the database table {keys.table}" if keys.table else "the database query"
    return keys.source
