"""Reads a table from CSV, Parquet or a database, in pieces of bounded size.

A CSV file is read as text, cell by cell as it stands: what a column means is
decided later and in one place (`crm.cells`), so `007` stays `007`. The encoding and
the delimiter are found from the file unless the project file names them.
"""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import charset_normalizer
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from crm.cells import MAX_CELL_CHARACTERS
from crm.errors import ConfigError, SchemaError, SourceError
from crm.project import TableKeys, expand_variables, nearest

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 1 << 18
CSV_BLOCK_BYTES = 1 << 24


def read_table(keys: TableKeys, folder: Path) -> pd.DataFrame:
    """Read a whole table.

    Parameters
    ----------
    keys : TableKeys
        Where the table is.
    folder : Path
        What a relative path is relative to.

    Returns
    -------
    DataFrame
        Columns under the names that the source gives them. Text from CSV, with
        missing cells where the file has nothing; typed from Parquet and databases.

    Raises
    ------
    SourceError
        If the source cannot be read.
    SchemaError
        If it has no rows, no usable header, or cells of absurd size.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "leads.csv").write_bytes("id;plz\\n1;007\\n2;Zürich\\n".encode("latin-1"))
    >>> read_table(TableKeys(source="leads.csv"), folder)
      id     plz
    0  1     007
    1  2  Zürich
    """
    chunks = list(iter_table(keys, folder, chunk_rows=1_000_000))
    if not chunks:
        raise SchemaError(name_of(keys), ["it has a header but no rows. Expected at least one."])
    return chunks[0] if len(chunks) == 1 else pd.concat(chunks, ignore_index=True)


def iter_table(keys: TableKeys, folder: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Read a table in chunks of at most `chunk_rows` rows, in the source's order.

    Yields nothing where the table has columns but no rows. See `read_table` for
    what the chunks hold and what is refused.
    """
    source = expand_variables(keys.source)
    if "://" in source:
        chunks = _iter_database(keys, source, chunk_rows)
    else:
        path = folder / Path(source).expanduser()
        _refuse_no_file(path)
        if path.suffix.lower() in (".parquet", ".pq"):
            chunks = _iter_parquet(path, chunk_rows)
        else:
            chunks = _iter_csv(path, keys, chunk_rows)
    for chunk in chunks:
        _refuse_giant_cells(name_of(keys), chunk)
        yield chunk


def count_rows(keys: TableKeys, folder: Path) -> int | None:
    """Rows of a Parquet table, for a progress bar; None where counting means reading."""
    path = folder / Path(expand_variables(keys.source)).expanduser()
    if path.suffix.lower() in (".parquet", ".pq") and path.is_file():
        with _parquet_errors(path):
            return int(pyarrow.parquet.read_metadata(path).num_rows)
    return None


def name_of(keys: TableKeys) -> str:
    """Name a source in a message, never with its password."""
    if "://" in keys.source:
        return f"the database table {keys.table}" if keys.table else "the database query"
    return keys.source


def decimal_point(column: pd.Series, keys: TableKeys) -> pd.Series:
    """Turn numbers written with another decimal sign into ones with a point.

    Only cells that are wholly a number are changed; text keeps its commas.

    Examples
    --------
    >>> keys = TableKeys(source="leads.csv", decimal=",")
    >>> decimal_point(pd.Series(["1.234,50", "7,5", "Bonn, Köln"]), keys).tolist()
    ['1234.50', '7.5', 'Bonn, Köln']
    """
    if keys.decimal == "." or not pd.api.types.is_string_dtype(column.dtype):
        return column
    grouping = "." if keys.decimal == "," else ","
    number = re.compile(
        rf"\s*[+-]?\d{{1,3}}(?:{re.escape(grouping)}\d{{3}})*(?:{re.escape(keys.decimal)}\d+)?\s*"
        rf"|\s*[+-]?\d+(?:{re.escape(keys.decimal)}\d+)?\s*"
    )
    is_number = column.str.fullmatch(number.pattern).fillna(False).astype(bool)
    pointed = column.str.replace(grouping, "", regex=False).str.replace(
        keys.decimal, ".", regex=False
    )
    return column.where(~is_number, pointed)


# -- CSV -----------------------------------------------------------------------------------


def _iter_csv(path: Path, keys: TableKeys, chunk_rows: int) -> Iterator[pd.DataFrame]:
    encoding = keys.encoding or _find_encoding(path)
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ConfigError(
            f"{path.name}: `{encoding}` is no encoding that Python knows. Try utf-8 or latin-1."
        ) from None
    head = _decode_head(path, encoding)
    delimiter = keys.delimiter or _find_delimiter(head)
    columns = _check_header(path.name, next(csv.reader(io.StringIO(head), delimiter=delimiter)))
    if len(columns) == 1 and keys.delimiter:
        raise SourceError(
            f"{path.name} has one column only when split at {keys.delimiter!r}. "
            f"The delimiter looks like {_find_delimiter(head)!r}: change or remove `delimiter`."
        )
    open_stream = gzip.open if _is_gzip(path) else open
    try:
        with open_stream(path, "rb") as raw:
            reader = pyarrow.csv.open_csv(
                pa.PythonFile(_Utf8Stream(raw, encoding), mode="r"),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=columns, skip_rows_after_names=1, block_size=CSV_BLOCK_BYTES
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.large_string()),
                    strings_can_be_null=True,
                    null_values=[""],
                    quoted_strings_can_be_null=True,
                ),
            )
            yield from _rechunk(
                (decimal_points(batch.to_pandas(), keys) for batch in reader), chunk_rows
            )
    except (pa.ArrowInvalid, UnicodeDecodeError, EOFError, OSError) as error:
        raise SourceError(_csv_message(path.name, delimiter, str(error))) from None


def decimal_points(table: pd.DataFrame, keys: TableKeys) -> pd.DataFrame:
    """Apply `decimal_point` to every column."""
    if keys.decimal == ".":
        return table
    return table.apply(decimal_point, args=(keys,))


class _Utf8Stream(io.RawIOBase):
    """A byte stream re-encoded to UTF-8, with its byte order mark taken off."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self._text = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if len(self._rest) < size or size < 0:
            text = self._text.read(size)
            self._rest += text.encode("utf-8", errors="replace")
        if size < 0:
            size = len(self._rest)
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as raw:
        return raw.read(2) == b"\x1f\x8b"


def _find_encoding(path: Path) -> str:
    open_stream = gzip.open if _is_gzip(path) else open
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_stream(path, "rb") as raw:
            sample = raw.read(SAMPLE_BYTES)
            if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            if sample.startswith(codecs.BOM_UTF8):
                return "utf-8-sig"
            if b"\x00" in sample:
                raise SourceError(
                    f"{path.name} is no text file: it holds zero bytes. "
                    "Expected CSV (optionally gzipped) or Parquet with the suffix .parquet."
                )
            block = sample
            while block:
                decoder.decode(block)
                sample, block = block, raw.read(1 << 22)
            decoder.decode(b"", final=True)
        return "utf-8"
    except UnicodeDecodeError:
        guess = charset_normalizer.from_bytes(sample[:SAMPLE_BYTES] + block[:SAMPLE_BYTES]).best()
        return "cp1252" if guess is None or "latin" in guess.encoding else guess.encoding
    except (EOFError, OSError) as error:
        raise SourceError(
            f"{path.name} cannot be read: {error}. Is it cut off? Export or copy it again."
        ) from None


def _decode_head(path: Path, encoding: str) -> str:
    open_stream = gzip.open if _is_gzip(path) else open
    with open_stream(path, "rb") as raw:
        sample = raw.read(SAMPLE_BYTES)
    head = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    head = head.lstrip("\ufeff")
    if not head.strip():
        raise SourceError(f"{path.name} is empty. Expected a header line and rows.")
    return head


def _find_delimiter(head: str) -> str:
    """The delimiter that splits the first lines into most columns, evenly."""

    def evenness(delimiter: str) -> tuple[float, int]:
        rows = list(csv.reader(io.StringIO(head), delimiter=delimiter))[:50]
        width = len(rows[0])
        even = sum(len(row) == width for row in rows[1:] if row)
        return (width > 1) * even / max(1, len(rows) - 1), width

    csv.field_size_limit(1 << 30)
    return max(DELIMITERS, key=evenness)


def _check_header(name: str, header: list[str]) -> list[str]:
    columns = [column.strip().lstrip("\ufeff") for column in header]
    columns = [column or f"column {i}" for i, column in enumerate(columns, start=1)]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise SchemaError(name, [f"two columns share a name: {twice}. Rename one of each."])
    if len(columns) > 1 and all(re.fullmatch(r"[\d.,:+\-/ ]*", column) for column in columns):
        raise SchemaError(
            name,
            [f"the first line looks like data, not like a header: {columns[:4]}. "
             "Expected the columns' names there."],
        )
    return columns


def _csv_message(name: str, delimiter: str, error: str) -> str:
    if "straddling" in error or "block" in error:
        return (
            f"{name} has a row of more than {CSV_BLOCK_BYTES >> 20} MB. "
            "Is a quote left open somewhere? Otherwise leave that column out of the export."
        )
    if "Expected" in error and "columns" in error:
        error = re.sub(r"^CSV parse error: ", "", error).split(":", maxsplit=2)
        where = ":".join(error[:2]).strip()
        return (
            f"{name} is uneven when split at {delimiter!r}: {where}. Expected as many cells in each "
            "row as in the header; name the right `delimiter`, or mend the row's quotes."
        )
    if "codec" in error:
        return f"{name}: {error}. Name the file's `encoding` in the project file."
    return f"{name} cannot be read as CSV: {error}."


# -- Parquet -------------------------------------------------------------------------------


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{path.name} is not a whole Parquet file: {str(error).splitlines()[0][:200]} "
            "Is it cut off? Write or copy it again."
        ) from None


def _iter_parquet(path: Path, chunk_rows: int) -> Iterator[pd.DataFrame]:
    with _parquet_errors(path), pyarrow.parquet.ParquetFile(path) as file:
        _check_header(path.name, list(file.schema_arrow.names))
        nested = [column.name for column in file.schema_arrow if pa.types.is_nested(column.type)]
        flat = [column for column in file.schema_arrow.names if column not in nested]
        for batch in file.iter_batches(batch_size=chunk_rows, columns=flat):
            yield _plain(batch.to_pandas())


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Unpack what pandas would treat specially: dictionary columns, decimals, dates."""
    for column in table.columns[table.dtypes == "category"]:
        table[column] = table[column].astype(table[column].cat.categories.dtype)
    return table


# -- databases -----------------------------------------------------------------------------


def _iter_database(keys: TableKeys, url: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.drivername.startswith("sqlite"):
            _refuse_no_file(Path(parsed.database or ""))
        engine = sqlalchemy.create_engine(parsed)
    except (SQLAlchemyError, ImportError):
        raise ConfigError(
            "A database URL in the project file cannot be used. Expected "
            "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            if keys.table:
                statement: Any = sqlalchemy.select(_reflect(connection, keys.table))
            else:
                statement = sqlalchemy.text(str(keys.query))
            result = connection.execute(statement)
            columns = _check_header(name_of(keys), list(result.keys()))
            while rows := result.fetchmany(chunk_rows):
                table = pd.DataFrame.from_records(rows, columns=columns)
                yield _plain(table)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
        cause = cause.replace(str(parsed.password), "***") if parsed.password else cause
        raise SourceError(
            f"{name_of(keys)} cannot be read from {parsed.render_as_string(hide_password=True)}: "
            f"{cause}"
        ) from None
    finally:
        engine.dispose()


def _reflect(connection: sqlalchemy.Connection, name: str) -> sqlalchemy.Table:
    schema, _, table = name.rpartition(".")
    inspector = sqlalchemy.inspect(connection)
    known = [
        *inspector.get_table_names(schema=schema or None),
        *inspector.get_view_names(schema=schema or None),
    ]
    if table not in known:
        raise SourceError(f"The database has no table `{name}`. {nearest(table, known)}")
    return sqlalchemy.Table(
        table, sqlalchemy.MetaData(), schema=schema or None, autoload_with=connection
    )


# -- what every kind shares ----------------------------------------------------------------


def _refuse_no_file(path: Path) -> None:
    if path.is_dir():
        raise SourceError(f"{path} is a folder. Expected a CSV or Parquet file.")
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = f" {nearest(path.name, siblings)}" if siblings else ""
        raise SourceError(f"There is no file {path}.{hint}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty. Expected a header line and rows.")


def _rechunk(batches: Iterator[pd.DataFrame], chunk_rows: int) -> Iterator[pd.DataFrame]:
    held: list[pd.DataFrame] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += len(batch)
        while count >= chunk_rows:
            whole = pd.concat(held, ignore_index=True)
            yield whole.iloc[:chunk_rows]
            held = [whole.iloc[chunk_rows:].reset_index(drop=True)]
            count -= chunk_rows
    if count:
        yield pd.concat(held, ignore_index=True)


def _refuse_giant_cells(name: str, table: pd.DataFrame) -> None:
    problems = []
    for column in table.columns:
        if pd.api.types.is_string_dtype(table[column].dtype):
            lengths = table[column].str.len().fillna(0).to_numpy()
            row = int(np.argmax(lengths)) if len(lengths) else 0
            if len(lengths) and lengths[row] > MAX_CELL_CHARACTERS:
                problems.append(
                    f"`{column}` has a cell of {int(lengths[row]):,} characters (row {row + 1}); "
                    f"expected at most {MAX_CELL_CHARACTERS:,}. Is a quote left open there?"
                )
    if problems:
        raise SchemaError(name, problems)
