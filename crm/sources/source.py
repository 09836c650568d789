"""Reads a table from CSV, Parquet or a database, in chunks of bounded size."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from crm.errors import SchemaError
from crm.project import TableKeys, expand_variables
from crm.sources.checks import check_cells, check_file
from crm.sources.csv import iter_csv
from crm.sources.typed import count_parquet, iter_database, iter_parquet


def read_table(keys: TableKeys, folder: Path) -> pd.DataFrame:
    r"""Read a whole table.

    Parameters
    ----------
    keys : TableKeys
        The keys that say where the table is.
    folder : Path
        The folder of relative paths.

    Returns
    -------
    DataFrame
        Columns have the source's own names. Cells from CSV are text, and empty ones are
        missing. Cells from Parquet and databases keep their types; lists and objects in a cell
        count as missing.

    Raises
    ------
    SourceError
        If the source cannot be read.
    SchemaError
        If the table has no rows, no usable header, or a cell that is too long.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "leads.csv").write_bytes("id;plz\n1;007\n2;Zürich\n".encode("latin-1"))
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

    A table with columns but no rows has no chunks. `read_table` describes the cells and the
    errors.
    """
    source = expand_variables(keys.source)
    if "://" in source:
        chunks = iter_database(keys, name_of(keys), source, folder, chunk_rows)
    else:
        path = folder / Path(source).expanduser()
        check_file(path)
        if path.suffix.lower() in (".parquet", ".pq"):
            chunks = iter_parquet(path, chunk_rows)
        else:
            chunks = iter_csv(path, keys, chunk_rows)
    first_row = 1
    for chunk in chunks:
        check_cells(name_of(keys), chunk, first_row)
        first_row += len(chunk)
        yield chunk


def count_rows(keys: TableKeys, folder: Path) -> int | None:
    """Return the number of rows of a Parquet table; None for sources that must be read to count."""
    path = folder / Path(expand_variables(keys.source)).expanduser()
    if path.suffix.lower() in (".parquet", ".pq") and path.is_file():
        return count_parquet(path)
    return None


def name_of(keys: TableKeys) -> str:
    """Return a source's name for messages, without its password."""
    if "://" in keys.source:
        return f"the database table {keys.table}" if keys.table else "the database query"
    return keys.source
