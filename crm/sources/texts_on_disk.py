"""Keeps the texts of a large table in temporary files instead of memory."""

import tempfile
from typing import Any

import pandas as pd
import pyarrow as pa

from crm.errors import SourceError


def with_texts_on_disk(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a table whose columns of text are in a file that is mapped into memory.

    The system reads parts of the file when they are needed, and may forget them when other memory
    is needed. The file is deleted at once: the system keeps its content as long as the columns
    exist, and also frees it if the process is killed.

    Parameters
    ----------
    table : DataFrame
    source : str
        The name of the source, for an error.

    Raises
    ------
    SourceError
        If the file cannot be written.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["A7", None], "n": [1, 2]})
    >>> with_texts_on_disk(table, "leads.csv").equals(table)
    True
    """
    columns = [i for i, kind in enumerate(table.dtypes) if isinstance(kind, pd.StringDtype)]
    texts: Any = pa.table(
        {str(i): pa.array(table.iloc[:, i].array, pa.large_string()) for i in columns}
    )
    try:
        with tempfile.NamedTemporaryFile(prefix="leadscore-", suffix=".arrow") as file:
            with pa.ipc.new_file(file, texts.schema) as writer:
                writer.write_table(texts)
            file.flush()
            mapped = pa.ipc.open_file(pa.memory_map(file.name)).read_all()
    except OSError as error:
        raise SourceError(
            f"{source} is large, and its texts cannot be stored in {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Set TMPDIR to a folder with more space."
        ) from None
    stored = {
        table.columns[i]: pd.Series(mapped[str(i)], table.index, dtype=table.dtypes.iloc[i])
        for i in columns
    }
    return table.assign(**stored)
