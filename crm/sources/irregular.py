"""Reads irregular rows of CSV one by one: their quotes or their numbers of cells differ.

This takes ten times as long as with pyarrow, but the line of each row is known.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from crm.errors import SourceError
from crm.sources.findings import BELOW, BLANK, TOTAL, Findings
from crm.sources.head import Head
from crm.sources.header_names import HeaderNames
from crm.sources.report_words import is_of_report, is_total
from crm.text import quote

MAX_ROW_BYTES = 1 << 24
SHOWN_CHARACTERS = 40
TABLE_ROWS = 50_000
HELD_ROWS = 500  # kept for the next table, so that the last table contains the whole end


@dataclass
class Irregular:
    """Irregular rows, filled or cut to the width of the header.

    Attributes
    ----------
    cells : list of list of str
    lines : list of int
        The first line of each row.
    gaps : set of int
        Rows with a blank line above them.
    short : dict of int to int
        The number of cells of each row that had fewer than the header.
    """

    cells: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    gaps: set[int] = field(default_factory=set)
    short: dict[int, int] = field(default_factory=dict)

    def table(self, columns: list[str]) -> pd.DataFrame:
        """Return the cells as text; empty ones are missing."""
        by_column = zip(*self.cells, strict=True) if self.cells else ([] for _ in columns)
        arrays = [
            pa.array([cell or None for cell in cells], pa.large_string()) for cells in by_column
        ]
        return pa.table(arrays, names=columns).to_pandas()

    def split(self, count: int) -> tuple["Irregular", "Irregular"]:
        """Return the first `count` rows, and the others."""
        first = Irregular(
            self.cells[:count],
            self.lines[:count],
            {row for row in self.gaps if row < count},
            {row: width for row, width in self.short.items() if row < count},
        )
        rest = Irregular(
            self.cells[count:],
            self.lines[count:],
            {row - count for row in self.gaps if row >= count},
            {row - count: width for row, width in self.short.items() if row >= count},
        )
        return first, rest


def read_irregular(
    name: str, lines: Iterator[str], first_line: int, head: Head, findings: Findings
) -> Iterator[Irregular]:
    """Read rows, and fill or cut them to the width of the header.

    Parameters
    ----------
    name : str
        The name of the file in messages.
    lines : iterator of str
        Lines with their ends; the first begins a row.
    first_line : int
        The number of the first line.
    head : Head
    findings : Findings
        Receives blank rows, and texts of a report that are longer than the header.

    Yields
    ------
    Irregular
        The last one contains at least `HELD_ROWS` rows, if there are that many.

    Raises
    ------
    SourceError
        If a row has content beyond the header, or a quote is not closed or not doubled.
    """
    width = len(head.columns)
    rows = Irregular()
    is_gap = False
    for cells, start, end in _split(name, lines, first_line, head):
        if not any(map(str.strip, cells)):
            findings.leave_out(BLANK, range(start, end + 1))
            is_gap = True
            continue
        if len(cells) > width:
            reason = _reason_beyond(name, cells, start, end, head)
            if reason is not None:
                findings.leave_out(reason, [start])
                continue
            cells = cells[:width]
        if len(cells) < width:
            _check_swallowed(name, cells, start, end, head)
            rows.short[len(rows.cells)] = len(cells)
            cells = cells + [""] * (width - len(cells))
        if is_gap:
            rows.gaps.add(len(rows.cells))
            is_gap = False
        rows.cells.append(cells)
        rows.lines.append(start)
        if len(rows.cells) >= TABLE_ROWS + HELD_ROWS:
            whole, rows = rows.split(TABLE_ROWS)
            yield whole
    yield rows


def _split(
    name: str, lines: Iterator[str], first_line: int, head: Head
) -> Iterator[tuple[list[str], int, int]]:
    """Split lines into rows with the numbers of their first and last lines."""
    size = 0

    def measured() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line)
            if size > MAX_ROW_BYTES:
                raise SourceError(
                    f"{name}: the row that starts in line {start:,} has more than "
                    f"{MAX_ROW_BYTES >> 20} MB. A quote may not be closed there."
                )
            yield line

    reader = csv.reader(
        measured(),
        delimiter=head.delimiter,
        quotechar=head.quote,
        escapechar=head.escape,
        skipinitialspace=head.skips_spaces,
        strict=True,
    )
    start = first_line
    while True:
        size = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            end = first_line + reader.line_num - 1
            raise SourceError(
                f"{name}: the row in {_lines(start, end)} has a quote that is not closed, or a "
                "quote inside a quoted cell. Close it, write a quote inside a cell twice, or "
                "remove it."
            ) from None
        end = first_line + reader.line_num - 1
        yield cells, start, end
        start = end + 1


def _lines(start: int, end: int) -> str:
    return f"line {start:,}" if end <= start else f"lines {start:,} to {end:,}"


def _reason_beyond(name: str, cells: list[str], start: int, end: int, head: Head) -> str | None:
    """Return why a row with content beyond the header is left out; None without such content."""
    width = len(head.columns)
    beyond = next((i for i, cell in enumerate(cells) if i >= width and cell.strip()), None)
    if beyond is None:
        return None
    first = next(cell for cell in cells if cell.strip())
    names = HeaderNames(head.header)
    position = names.misplaced(cells)
    position = names.renamed(cells) if position is None else position
    if position is not None:
        raise names.error(cells, position, name, _lines(start, end))
    if is_of_report(first) and len(first.split()) > 1:
        return BELOW
    if is_total(first) and sum(not cell.strip() for cell in cells) > len(cells) / 2:
        return TOTAL
    raise SourceError(
        f"{name}: {_lines(start, end)} has {len(cells):,} cells, and the header has {width:,}. "
        f"Cell {beyond + 1:,} is {quote(_shortened(cells[beyond]))}. If a cell contains "
        f"{quote(head.delimiter)}, put it in quotes; if the column has no name, name it in the "
        "header; if the delimiter is another one, set `delimiter`."
    )


def _check_swallowed(name: str, cells: list[str], start: int, end: int, head: Head) -> None:
    """Check that no cell of a short row contains whole rows, as after an unclosed quote."""
    if end == start:
        return
    needed = len(head.columns) - 1
    if any(line.count(head.delimiter) >= needed for cell in cells for line in cell.split("\n")[1:]):
        raise SourceError(
            f"{name}: a cell of the row in {_lines(start, end)} contains whole rows, and the row "
            f"has {len(cells):,} of {len(head.columns):,} cells. Close the quote in line {start:,}."
        )


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
