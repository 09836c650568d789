"""What is refused of any source: no file, no usable header, cells of absurd size."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from crm.cells import MAX_CELL_CHARACTERS
from crm.errors import SchemaError, SourceError
from crm.project import nearest

MAX_NAME_CHARACTERS = 1_000


def check_file(path: Path) -> None:
    """Refuse a file that is not there, or empty; say which one may have been meant."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder. Expected a file: CSV, Parquet or SQLite.")
    if not path.is_file():
        if not path.parent.is_dir():
            raise SourceError(f"There is no file {path}, nor its folder. Check `source`.")
        siblings = sorted(p.name for p in path.parent.iterdir())
        raise SourceError(f"There is no file {path}. {nearest(path.name, siblings)}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty. Expected a header line and rows.")


def check_header(name: str, header: list[str]) -> list[str]:
    """Refuse what is no header; give the columns' names, trimmed, the blank ones numbered."""
    longest = max(map(len, header), default=0)
    if longest > MAX_NAME_CHARACTERS:
        raise SchemaError(
            name,
            [
                f"a column's name has {longest:,} characters; expected at most "
                f"{MAX_NAME_CHARACTERS:,}. Is a quote left open in the first line?"
            ],
        )
    columns = [column.strip().lstrip("\ufeff") for column in header]
    columns = [column or f"column {i}" for i, column in enumerate(columns, start=1)]
    if len(columns) > 1 and all(re.fullmatch(r"[\d.,:+\-/ ]*", column) for column in columns):
        raise SchemaError(
            name,
            [
                f"the first line looks like data, not like a header: {columns[:4]}. "
                "Expected the columns' names there."
            ],
        )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise SchemaError(name, [f"two columns share a name: {twice}. Rename one of each."])
    return columns


def check_cells(name: str, table: pd.DataFrame, first_row: int) -> None:
    """Refuse a chunk with a cell of absurd size; `first_row` is what its first row is called."""
    problems = []
    for column in table.columns:
        cells = table[column]
        if cells.dtype == object:
            cells = cells.map(lambda cell: cell if isinstance(cell, str) else None).astype("str")
        if isinstance(cells.dtype, pd.StringDtype):
            lengths = cells.str.len().fillna(0).to_numpy()
            row = int(np.argmax(lengths)) if len(lengths) else 0
            if len(lengths) and lengths[row] > MAX_CELL_CHARACTERS:
                problems.append(
                    f"`{column}` has a cell of {int(lengths[row]):,} characters "
                    f"(row {first_row + row:,}); "
                    f"expected at most {MAX_CELL_CHARACTERS:,}. Is a quote left open there?"
                )
    if problems:
        raise SchemaError(name, problems)
