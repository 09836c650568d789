"""Finds rows of CSV that a line break without quotes cuts in two."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from crm.cells import cell_text
from crm.errors import SourceError
from crm.sources.not_records import RowJudge
from crm.text import quote

SHOWN_CHARACTERS: Final = 40
MOST_PARTS: Final = 5  # the most parts of one row
RARE_ROWS: Final = 2  # up to this number, rows with fewer cells than the header are rare
RARE_SHARE: Final = 0.01  # the same, as a share of all rows


def check_cut_rows(
    name: str,
    table: pd.DataFrame,
    lines: Callable[[], Sequence[int]],
    short: Mapping[int, int],
    judge: RowJudge,
) -> None:
    """Check that no short row is the second part of a row that a line break cuts in two.

    Such a part lacks most cells, and its first cell does not look like the cells of the first
    column. Or it has the cells of one row together with the short rows above it.

    Parameters
    ----------
    name : str
        The name of the file in messages.
    table : DataFrame
        Rows, filled to the width of the header.
    lines : callable
        Returns the line of each row.
    short : mapping of int to int
        The number of cells of each row that has fewer than the header.
    judge : RowJudge

    Raises
    ------
    SourceError
    """
    is_ragged = len(short) > max(RARE_ROWS, RARE_SHARE * len(table))
    for row, width in short.items():
        cells = table.iloc[row].tolist()
        text = cell_text(cells[0]) or ""
        is_alike = judge.is_first_alike(0, text)
        if width == 1 and _is_unlike(table, row + 1, short, judge):
            numbers = lines()
            raise SourceError(
                f"{name}: lines {numbers[row]:,} and {numbers[row + 1]:,} are one row: the first "
                f"line contains only {quote(text[:SHOWN_CHARACTERS])}, and the second line does "
                f"not begin like the cells of {quote(judge.header[0])}. Remove the line break."
            )
        if is_alike:
            continue
        parts = _parts(row, short, len(cells))
        if parts and _are_one_row(table, parts, short, judge):
            numbers = lines()
            places = " and ".join(f"{numbers[part]:,}" for part in parts)
            counts = " and ".join(f"{short[part]:,}" for part in parts)
            raise SourceError(
                f"{name}: lines {places} have {counts} of {len(cells):,} cells, and together they "
                "are one row, so a line break cuts a cell in two. Put that cell in quotes, or "
                "remove the line break."
            )
        if not judge.is_sparse(cells, 0):
            continue
        shown = quote(text[:SHOWN_CHARACTERS])
        if is_alike is False:
            raise SourceError(
                f"{name}: line {lines()[row]:,} has {width:,} of {len(cells):,} cells, and its "
                f"first one, {shown}, does not look like those of {quote(judge.header[0])}. If a "
                "line break cuts the row above, put its cell in quotes; otherwise remove the line."
            )
        if width == 1 and row and row - 1 not in short and not is_ragged:
            raise SourceError(
                f"{name}: line {lines()[row]:,} has only one cell, {shown}. If a line break cuts "
                "the row above, put its cell in quotes; otherwise write the delimiters of the "
                "other cells."
            )


def _is_unlike(table: pd.DataFrame, row: int, short: Mapping[int, int], judge: RowJudge) -> bool:
    """Return whether a row has all its cells, but does not begin like the other rows."""
    if row >= len(table) or row in short:
        return False
    return judge.is_first_alike(0, cell_text(table.iat[row, 0]) or "") is False


def _parts(row: int, short: Mapping[int, int], width: int) -> list[int]:
    """Return the short rows, down to `row`, that together have the cells of one row.

    A cell that a line break cuts in two counts twice. The list is empty if the cells do not add up
    to one row.
    """
    total = short[row]
    for first in range(row - 1, row - MOST_PARTS, -1):
        if first not in short:
            return []
        total += short[first]
        if total in (width, width + row - first):
            return list(range(first, row + 1))
    return []


def _are_one_row(
    table: pd.DataFrame, parts: Sequence[int], short: Mapping[int, int], judge: RowJudge
) -> bool:
    """Return whether short rows look more like parts of one row than like several rows."""
    texts = [
        [cell_text(cell) or "" for cell in table.iloc[part].tolist()][: short[part]]
        for part in parts
    ]
    joined: list[str] = []
    is_broken = sum(map(len, texts)) > table.shape[1]
    for cells in texts:
        if joined and is_broken:
            joined[-1] = f"{joined[-1]} {cells[0]}".strip()
            cells = cells[1:]
        joined += cells
    n_unlike = sum(judge.n_alike(cells)[1] for cells in texts)
    if judge.n_alike(joined)[1] != n_unlike:
        return judge.n_alike(joined)[1] < n_unlike
    return all(_lacks_usual(cells, judge) for cells in texts) and not _lacks_usual(joined, judge)


def _lacks_usual(cells: Sequence[Any], judge: RowJudge) -> bool:
    """Return whether a row lacks a cell that nearly every row has."""
    return any(i >= len(cells) or not cells[i] for i in judge.always)
