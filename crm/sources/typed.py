"""Reads tables whose cells have types: Parquet and databases."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from crm.cells import is_object, plain_column
from crm.errors import ConfigError, SourceError
from crm.project import TableKeys
from crm.sources.checks import check_file, check_header
from crm.sources.findings import Findings
from crm.sources.source_file import SourceFile
from crm.suggest import nearest
from crm.text import quote as quote_text

PANDAS_INDEX = "__index_level_"  # how pandas names an index without a name


def iter_parquet(file: SourceFile, chunk_rows: int, findings: Findings) -> Iterator[pd.DataFrame]:
    """Read a Parquet file in chunks of at most `chunk_rows` rows."""
    with _parquet_errors(file.name), _opened(file) as parquet:
        empty = _flat(parquet.schema_arrow.empty_table())
        columns = check_header(file.name, empty.column_names, findings)
        for batch in parquet.iter_batches(batch_size=chunk_rows):
            # Ignore pandas' metadata, so that an index that was saved becomes a column.
            table = _flat(pa.Table.from_batches([batch])).rename_columns(columns)
            kept = [column for column in columns if not column.startswith(PANDAS_INDEX)]
            yield _plain(table.select(kept).to_pandas(ignore_metadata=True), findings)


def _flat(table: pa.Table) -> pa.Table:
    """Return a table with the fields of objects as columns, such as `properties.createdate`."""
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def count_parquet(file: SourceFile) -> int:
    """Count the rows of a Parquet file without reading them."""
    with _parquet_errors(file.name), _opened(file) as parquet:
        return int(parquet.metadata.num_rows)


@contextmanager
def _opened(file: SourceFile) -> Iterator[Any]:
    with file.open() as raw:
        source = raw if raw.seekable() else pa.BufferReader(raw.read())
        with pyarrow.parquet.ParquetFile(source) as parquet:
            yield parquet


def iter_database(
    keys: TableKeys, name: str, url: str, folder: Path, chunk_rows: int, findings: Findings
) -> Iterator[pd.DataFrame]:
    """Read a table or query of a database in chunks, read-only.

    Parameters
    ----------
    keys : TableKeys
        The keys with the `table` or `query`.
    name : str
        The name of the source in messages.
    url : str
        The address of the database, its variables expanded. A SQLite file is relative to
        `folder`.
    folder : Path
    chunk_rows : int
    findings : Findings
        Receives a note of repeated names.

    Yields
    ------
    DataFrame
        At most `chunk_rows` rows.
    """
    if keys.table is None and keys.query is None:
        raise ConfigError("A source that is a database also needs `table` or `query`.")
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        parsed = sqlalchemy.make_url(url)
        is_sqlite = parsed.drivername.startswith("sqlite")
        if is_sqlite:
            parsed = parsed.set(database=str(folder / (parsed.database or "")))
            check_file(Path(str(parsed.database)))
        engine = sqlalchemy.create_engine(parsed)
    except (SQLAlchemyError, ImportError, ValueError):
        raise ConfigError(
            "A database URL in the project file cannot be used. Expected sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE, with @ : / % in a password written as "
            "%40 %3A %2F %25."
        ) from None
    options = {"stream_results": True, "postgresql_readonly": True}
    try:
        with engine.connect().execution_options(**options) as connection:
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA query_only = ON")
            if keys.table:
                statement: Any = _select_all(connection, keys.table)
            else:  # without the backslash, SQLAlchemy reads a colon as a parameter
                statement = sqlalchemy.text(re.sub(r"(?<![:\w]):(?=\w)", r"\:", str(keys.query)))
            result = connection.execute(statement)
            columns = check_header(name, list(result.keys()), findings)
            while rows := result.fetchmany(chunk_rows):
                table = pd.DataFrame.from_records(rows, columns=columns)
                yield _plain(table, findings)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0][:300]
        for secret in filter(None, (parsed.password, parsed.query.get("password"))):
            cause = cause.replace(str(secret), "***").replace(quote(str(secret)), "***")
        shown = parsed.set(query={}).render_as_string(hide_password=True)
        raise SourceError(
            f"{name} cannot be read from {shown}: {cause}. Check `source`, and `table` or `query`."
        ) from None
    finally:
        engine.dispose()


def _select_all(connection: sqlalchemy.Connection, name: str) -> sqlalchemy.Select[Any]:
    """Select every column as the driver returns it, whatever type the database declares."""
    schema, _, table = name.rpartition(".")
    inspector = sqlalchemy.inspect(connection)
    tables = [
        *inspector.get_table_names(schema=schema or None),
        *inspector.get_view_names(schema=schema or None),
    ]
    if table not in tables:
        raise SourceError(f"The database has no table `{name}`. {nearest(table, tables)}")
    source = sqlalchemy.table(table, schema=schema or None)
    return sqlalchemy.select(sqlalchemy.text("*")).select_from(source)


@contextmanager
def _parquet_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{name} is not a complete Parquet file: {str(error).splitlines()[0][:200]} "
            "Is it cut off? Write or copy it again."
        ) from None


def _plain(table: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """Turn dictionary columns, bytes and lists into plain cells; a list is the text of its JSON.

    Objects, and lists that contain objects, count as missing; a note names their column.
    """
    for column in table.columns:
        cells = plain_column(table[column])
        if cells.dtype == object:
            objects = table[column][cells.isna()].map(is_object)
            if objects.any():
                findings.note(f"{quote_text(str(column))} contains objects; they count as missing.")
        table[column] = cells
    return table
