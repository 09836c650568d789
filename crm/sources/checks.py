"""Checks of every source: the file exists, the header is usable, no cell is too long."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.cells import MAX_CELL_CHARACTERS
from crm.errors import SchemaError, SourceError
from crm.sources.findings import Findings
from crm.sources.formula_cells import formula_text
from crm.suggest import nearest
from crm.text import listed, quote

MAX_NAME_CHARACTERS = 1_000
# Characters that are removed from the ends of a name: a byte order mark, and all white space.
_AROUND: Final = "\ufeff" + "".join(filter(str.isspace, map(chr, range(0x3001))))


def check_file(path: Path) -> None:
    """Raise an error if a file does not exist or is empty; suggest a similar name.

    Raises
    ------
    SourceError
    """
    if path.is_dir():
        raise SourceError(
            f"{path} is a folder. Expected a file: CSV, .xlsx, JSON Lines, Parquet or SQLite."
        )
    if not path.is_file():
        if not path.parent.is_dir():
            raise SourceError(f"There is no file {path}, and no such folder. Check `source`.")
        siblings = sorted(p.name for p in path.parent.iterdir())
        raise SourceError(f"There is no file {path}. {nearest(path.name, siblings)}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty. Expected a header line and rows.")


def check_header(name: str, header: list[str], findings: Findings | None = None) -> list[str]:
    """Check a header, and return the names of the columns, trimmed.

    A blank name becomes "column 3", by its place. If a name is repeated, the second column gets
    the name "Phone (2)", or the next number that is free.

    Parameters
    ----------
    name : str
        The name of the source in messages.
    header : list of str
    findings : Findings, optional
        Receives a note of repeated names.

    Raises
    ------
    SchemaError
        If a name is too long, or the line looks like data.
    """
    longest = max(map(len, header), default=0)
    if longest > MAX_NAME_CHARACTERS:
        raise SchemaError(
            name,
            [
                f"a column's name has {longest:,} characters; expected at most "
                f"{MAX_NAME_CHARACTERS:,}. Is a quote not closed in the first line?"
            ],
        )
    columns = [column_name(formula_text(column)) for column in header]
    columns = [column or f"column {i}" for i, column in enumerate(columns, start=1)]
    if len(columns) > 1 and all(re.fullmatch(r"[\d.,:+\-/ ]*", column) for column in columns):
        raise SchemaError(
            name,
            [
                f"the first line looks like data, not like a header: {columns[:4]}. "
                "Expected the names of the columns in the first line."
            ],
        )
    return _with_numbers(columns, findings)


def _with_numbers(columns: list[str], findings: Findings | None) -> list[str]:
    """Add a number to each name that another column has already."""
    taken = {*columns}
    numbered: list[str] = []
    copies: dict[str, list[str]] = {}
    for column in columns:
        name, number = column, 2
        while name in numbered or (name != column and name in taken):
            name, number = f"{column} ({number})", number + 1
        numbered.append(name)
        taken.add(name)
        if name != column:
            copies.setdefault(column, [column]).append(name)
    for column, names in copies.items():
        if findings is not None:
            findings.note(f"{len(names)} columns have the name {quote(column)}: {listed(names)}.")
    return numbered


def column_name(text: str) -> str:
    """Return a column's name without white space around it.

    Examples
    --------
    >>> column_name("\ufeff Lead  Source ")
    'Lead  Source'
    """
    return text.strip(_AROUND)


def named_cells(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return cells under names that are valid names of columns.

    Cells with a blank or too long name are left out. If names differ only in the white space
    around them, the name without white space counts, or else the first.

    Examples
    --------
    >>> named_cells({"size ": 1, " size": 2, "": 3, "city ": "Bonn", "city": "Ulm"})
    {'size': 1, 'city': 'Ulm'}
    """
    if all(map(_is_column_name, cells)):
        return cells
    named: dict[str, Any] = {}
    for name, cell in cells.items():
        bare = column_name(name)
        if 0 < len(bare) <= MAX_NAME_CHARACTERS and (bare == name or bare not in named):
            named[bare] = cell
    return named


@lru_cache(4_096)  # every lead has the same few names
def _is_column_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARACTERS and column_name(name) == name


def check_cells(name: str, table: pd.DataFrame, place: Callable[[int], str]) -> None:
    """Check that no cell of a chunk is too long.

    Parameters
    ----------
    name : str
    table : DataFrame
    place : callable
        Returns where a row of the chunk is in the source, such as "line 7".

    Raises
    ------
    SchemaError
    """
    problems = []
    for column in table.columns:
        cells = table[column]
        if cells.dtype == object:
            cells = cells.map(lambda cell: cell if isinstance(cell, str) else None).astype("str")
        if not isinstance(cells.dtype, pd.StringDtype) or not len(cells):
            continue
        longest = pc.max(pc.binary_length(pa.array(cells))).as_py() or 0
        if longest <= MAX_CELL_CHARACTERS:  # in bytes, which is never less than in characters
            continue
        lengths = cells.str.len().fillna(0).to_numpy()
        row = int(np.argmax(lengths))
        if lengths[row] > MAX_CELL_CHARACTERS:
            problems.append(
                f"`{column}` has a cell of {int(lengths[row]):,} characters ({place(row)}); "
                f"expected at most {MAX_CELL_CHARACTERS:,}. Is a quote not closed there?"
            )
    if problems:
        raise SchemaError(name, problems)
