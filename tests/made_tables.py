"""Helpers for the tests that read tables."""

from collections.abc import Callable

import pandas as pd

from crm.cells import text_column

# Writes content to a file and reads it as a table. Further arguments are keys of the project file.
ReadCsv = Callable[..., pd.DataFrame]


def cell_texts(table: pd.DataFrame) -> list[list[str | None]]:
    """Return the rows of a table as lists of text; a missing cell is None."""
    columns = [text_column(table[name]) for name in table]
    return [list(row) for row in zip(*columns, strict=True)]
