"""Checks that a header contains the names of the columns, and that rows are split into cells."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from crm.errors import SchemaError, SourceError
from crm.sources.layout import DELIMITERS, Row, is_data_cell
from crm.sources.looks import find_look
from crm.text import first_few

LEAST_ROWS: Final = 2  # the least number of rows below the header to compare it with
DATA_SHARE: Final = 0.8  # the least share of data cells in a column of data
_GAP: Final = re.compile(r"\s{2,}")
_CLEAR: Final = re.compile(r".*(@|\d{4}|\d[-/.:]\d).*", re.DOTALL)
_TIME: Final = re.compile(r"\d[-/.]\d+[-/.]\d|\d:\d")
_YEAR: Final = re.compile(r"(19|20)\d\d")


def check_header_line(name: str, rows: Sequence[Row], position: int, unit: str) -> None:
    """Check that a header does not look like the rows below it.

    A header looks like them if each of its cells above numbers, times, addresses or ids is such a
    value too. In addition, one of these cells must be clear, such as a time, or most cells of the
    header must look like the cells below, or repeat one of them.

    Parameters
    ----------
    name : str
        The name of the source in messages.
    rows : sequence of Row
    position : int
        The position of the header.
    unit : {"line", "row"}
        The unit of the numbers of rows.

    Raises
    ------
    SchemaError

    Examples
    --------
    >>> rows = [Row([f"L{i}", f"a{i}@example.com", "web"], i, i + 1) for i in range(1, 9)]
    >>> check_header_line("leads.csv", rows, 0, "line")
    Traceback (most recent call last):
        ...
    crm.errors.SchemaError: leads.csv: line 1 looks like the rows below it: 'L1', \
'a1@example.com', 'web'. Write a header above it, with the names of the columns.
    """
    header, below = rows[position], rows[position + 1 :]
    if len(below) < LEAST_ROWS:
        return
    alike: list[str] = []
    n_repeated = n_names = 0
    for i, cell in enumerate(map(str.strip, header.cells)):
        column = [row.cells[i].strip() for row in below if i < len(row.cells)]
        column = list(filter(None, column))
        if not cell or not column:
            n_names += bool(cell)
            continue
        is_alike = _is_alike(cell, column)
        if is_alike is False:
            return
        if is_alike:
            alike.append(cell)
        elif cell in column:
            n_repeated += 1
        else:
            n_names += 1
    is_clear = any(_CLEAR.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in alike)
    are_years = len(alike) > 1 and all(map(_YEAR.fullmatch, alike)) and not n_repeated
    if is_clear or (alike and len(alike) + n_repeated > n_names and not are_years):
        cells = first_few(filter(None, map(str.strip, header.cells)))
        raise SchemaError(
            name,
            [
                f"{unit} {header.line:,} looks like the rows below it: {cells}. "
                "Write a header above it, with the names of the columns."
            ],
        )


def check_split(name: str, rows: Sequence[Row], position: int) -> None:
    """Check that each row of a text is split into cells.

    Parameters
    ----------
    name : str
    rows : sequence of Row
    position : int
        The position of the header.

    Raises
    ------
    SourceError
        If whole rows are in quotes, or the columns are separated by spaces.
    """
    header, below = rows[position], rows[position + 1 :]
    single = [row.cells[0] for row in below if row.width == 1]
    if not below or len(single) < DATA_SHARE * len(below):
        return
    heads = [header.cells[0]] if header.width == 1 else []
    for delimiter in DELIMITERS:
        expected = heads[0].count(delimiter) if heads else header.width - 1
        if expected and all(cell.count(delimiter) >= expected for cell in single):
            raise SourceError(
                f"{name}: each row is in quotes as a whole, so it is one cell, such as in line "
                f"{below[0].line:,}. Remove the quotes around the rows, or export the file again."
            )
    if heads and all(len(_GAP.split(cell.strip())) > 1 for cell in [*heads, *single]):
        raise SourceError(
            f"{name}: the columns are separated by several spaces. Save them with a delimiter, "
            "such as a comma or a tab, or as a workbook (.xlsx)."
        )


def _is_alike(cell: str, column: Sequence[str]) -> bool | None:
    """Return whether a cell looks like the cells below it; None if those are words."""
    look = find_look(column)
    if look is not None and look.fits(cell):
        return True
    kinds = Counter(map(_kind_of_data, column))
    kind, count = kinds.most_common(1)[0]
    if kind and count >= DATA_SHARE * len(column):
        return _kind_of_data(cell) == kind
    return None if look is None else False


def _kind_of_data(cell: str) -> str:
    """Return the kind of a number, a time or an address; empty text for other cells."""
    if not is_data_cell(cell):
        return ""
    if "@" in cell or "://" in cell:
        return "address"
    return "time" if _TIME.search(cell) else "number"
