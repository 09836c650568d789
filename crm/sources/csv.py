"""Reads CSV: regular blocks of rows with pyarrow, and irregular ones row by row.

Cells stay text, so `007` stays `007`. `crm.cells` and `crm.formats` interpret them later.
"""

import csv
import itertools
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from crm.arrays import Indexes
from crm.errors import SourceError
from crm.project import TableKeys
from crm.sources.cut_rows import check_cut_rows
from crm.sources.encoding import decoded, find_encoding
from crm.sources.findings import Findings
from crm.sources.head import Head, read_head
from crm.sources.irregular import MAX_ROW_BYTES, Irregular, read_irregular
from crm.sources.layout import lines_of_text
from crm.sources.not_records import RowJudge
from crm.sources.rows import Rows
from crm.sources.source_file import SourceFile

BLOCK_BYTES = 1 << 22
END_BYTES = 1 << 16  # the last block has at least this size, so that it contains a whole footer
HALVED_BYTES = 1 << 17  # larger blocks with irregular rows are halved
PARSED_BYTES = 1 << 20  # pyarrow parses this many bytes in one thread
NEWLINE, RETURN = b"\n\r"


def iter_csv(file: SourceFile, keys: TableKeys, findings: Findings) -> Iterator[Rows]:
    """Read a CSV file as text, and add the lines that are not records to `findings`.

    Parameters
    ----------
    file : SourceFile
    keys : TableKeys
    findings : Findings

    Yields
    ------
    Rows

    Raises
    ------
    ConfigError
        If the declared encoding is not known, or the declared delimiter is not valid.
    SourceError
        If the file cannot be decoded, a row has content beyond the header, or a quote is not
        closed. The message names the line.
    SchemaError
        If the header is not usable.
    """
    with _errors(file.name):
        encoding = find_encoding(file, keys.encoding, findings)
        head = read_head(file, encoding, keys, findings)
        findings.delimiter = head.delimiter
        with file.open() as raw:
            parts = _parts(file.name, decoded(raw, encoding, BLOCK_BYTES), head, findings)
            judge = None
            for part, following in itertools.pairwise(itertools.chain(parts, [None])):
                assert part is not None
                judge = judge or RowJudge(head.header, part.table)
                keep = judge.records(
                    part.table,
                    part.lines,
                    findings,
                    is_first=part.is_first,
                    is_last=following is None,
                    gaps=part.gaps,
                    short=part.short,
                )
                if part.short:
                    short = {row: width for row, width in part.short.items() if keep[row]}
                    check_cut_rows(file.name, part.table, part.lines, short, judge)
                    numbers = part.lines()
                    findings.complete(numbers[row] for row in short)
                yield Rows(part.table, part.lines).only(keep)


@dataclass(frozen=True)
class _Part:
    """Rows of a file, before those that are not records are left out."""

    table: pd.DataFrame
    lines: Callable[[], list[int]]
    is_first: bool
    gaps: set[int] = field(default_factory=set)
    short: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Block:
    """A block of whole rows, as UTF-8.

    Attributes
    ----------
    data : memoryview
    line : int
        The number of the first line.
    newlines : ndarray
        The positions of all line ends.
    ends : ndarray
        The positions of those line ends that are not inside quotes.
    is_regular : bool
        Whether every quote opens a cell, closes it, or is doubled.
    """

    data: memoryview
    line: int
    newlines: Indexes
    ends: Indexes
    is_regular: bool

    def lines(self) -> list[int]:
        """Return the first line of each row."""
        starts = np.concatenate([[0], self.ends[:-1] + 1])
        return (self.line + np.searchsorted(self.newlines, starts)).tolist()

    def halves(self) -> list["_Block"]:
        """Return two blocks with half of the rows each. There must be at least two rows."""
        n_rows = len(self.ends) // 2
        n_bytes = int(self.ends[n_rows - 1]) + 1
        n_lines = int(np.searchsorted(self.newlines, n_bytes))
        return [
            _Block(
                self.data[:n_bytes],
                self.line,
                self.newlines[:n_lines],
                self.ends[:n_rows],
                is_regular=True,
            ),
            _Block(
                self.data[n_bytes:],
                self.line + n_lines,
                self.newlines[n_lines:] - n_bytes,
                self.ends[n_rows:] - n_bytes,
                is_regular=True,
            ),
        ]


def _parts(name: str, stream: Iterator[bytes], head: Head, findings: Findings) -> Iterator[_Part]:
    is_first = True
    for block, table in _in_halves(_parsed(name, stream, head), head):
        if table is not None:
            yield _Part(table, block.lines, is_first)
            is_first = False
            continue
        text = bytes(block.data)
        if block.is_regular:
            lines = lines_of_text(text.decode("utf-8"))
        else:  # the end of the block may be inside quotes
            lines = _lines_of_stream(text, stream, head)
        for rows in read_irregular(name, lines, block.line, head, findings):
            yield _irregular_part(rows, head, is_first)
            is_first = False


def _in_halves(
    blocks: Iterator[tuple[_Block, pd.DataFrame | None]], head: Head
) -> Iterator[tuple[_Block, pd.DataFrame | None]]:
    """Halve blocks that pyarrow cannot parse, so that few rows are read one by one."""
    for block, table in blocks:
        can_halve = block.is_regular and len(block.data) > HALVED_BYTES and len(block.ends) > 1
        if table is None and can_halve:
            halves = ((half, _parse(half, head)) for half in block.halves())
            yield from _in_halves(halves, head)
        else:
            yield block, table


def _parsed(
    name: str, stream: Iterator[bytes], head: Head
) -> Iterator[tuple[_Block, pd.DataFrame | None]]:
    """Parse each block in a thread while the next one is read; None if pyarrow cannot parse it."""
    with ThreadPoolExecutor(1) as thread:
        waiting: tuple[_Block, Future[pd.DataFrame | None]] | None = None
        for block in _blocks(name, stream, head):
            parsing = thread.submit(_parse, block, head)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = block, parsing
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def _irregular_part(rows: Irregular, head: Head, is_first: bool) -> _Part:
    return _Part(rows.table(head.columns), lambda: rows.lines, is_first, rows.gaps, rows.short)


def _blocks(name: str, stream: Iterator[bytes], head: Head) -> Iterator[_Block]:
    """Cut a stream of UTF-8 into blocks of whole rows, without the header.

    A block whose quotes are not regular is the last block. The stream then contains what follows
    that block.
    """
    data, skipped, line = b"", head.byte, head.line
    for piece in itertools.chain(stream, [None]):
        if piece:
            data += piece[skipped:]
            skipped = max(0, skipped - len(piece))
            if head.has_returns:
                data = data.replace(b"\r", b"\n")
            if len(data) < BLOCK_BYTES:
                continue
        is_last = piece is None
        if is_last and not data:
            return
        if is_last and not data.endswith(b"\n"):
            data += b"\n"
        block = _cut(data, line, head, 0 if is_last else min(END_BYTES, BLOCK_BYTES // 2))
        if block is None:
            if len(data) > MAX_ROW_BYTES + BLOCK_BYTES:
                raise SourceError(
                    f"{name}: the row that starts in line {line:,} has more than "
                    f"{MAX_ROW_BYTES >> 20} MB. A quote may not be closed there."
                )
            continue
        yield block
        if not block.is_regular:
            return
        data = data[len(block.data) :]
        line += len(block.newlines)


def _cut(data: bytes, line: int, head: Head, n_held: int) -> _Block | None:
    """Return the whole rows at the beginning of a text; None if it does not contain a whole row.

    Parameters
    ----------
    data : bytes
        A text that begins with a row.
    line : int
    head : Head
    n_held : int
        The least number of bytes at the end that are not cut; 0 at the end of the file.
    """
    array = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(array == NEWLINE)
    if head.escape:
        return _Block(memoryview(data), line, newlines, newlines, is_regular=False)
    quote_byte = ord(head.quote)
    if head.quote.encode() not in data:
        n_rows = int(np.searchsorted(newlines, len(data) - n_held))
        if not n_rows:
            return None
        ends = newlines[:n_rows]
        return _Block(memoryview(data)[: int(ends[-1]) + 1], line, ends, ends, is_regular=True)
    quotes = np.flatnonzero(array == quote_byte)
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    ends = ends[: np.searchsorted(ends, len(data) - n_held)]
    n_bytes = int(ends[-1]) + 1 if len(ends) else 0
    if not n_held and n_bytes < len(data):  # the file ends inside quotes
        return _Block(memoryview(data), line, newlines, ends, is_regular=False)
    if not len(ends):
        return None
    quotes = quotes[: np.searchsorted(quotes, n_bytes)]
    fits = np.zeros(256, dtype=bool)
    fits[[ord(head.delimiter), NEWLINE, RETURN, quote_byte]] = True
    opening, closing = quotes[::2], quotes[1::2]
    is_regular = bool(
        (fits[array[opening - 1]] | (opening == 0)).all() and fits[array[closing + 1]].all()
    )
    if not is_regular:
        return _Block(memoryview(data), line, newlines, ends, is_regular=False)
    newlines = newlines[: np.searchsorted(newlines, n_bytes)]
    return _Block(memoryview(data)[:n_bytes], line, newlines, ends, is_regular=True)


def _parse(block: _Block, head: Head) -> pd.DataFrame | None:
    """Parse a block with pyarrow; return None if it has rows that do not fit the header."""
    if not block.is_regular:
        return None
    beyond = [f"beyond {i}" for i in range(len(head.columns), head.width)]
    names = [f"{i}" for i in range(len(head.columns))] + beyond
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(block.data)),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=PARSED_BYTES),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=head.delimiter,
                quote_char=head.quote,
                newlines_in_values=len(block.ends) < len(block.newlines),
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(block.ends):  # it has blank lines, or lines that end in "\r"
        return None
    if any(table[name].null_count < table.num_rows for name in beyond):
        return None
    return table.select(names[: len(head.columns)]).rename_columns(head.columns).to_pandas()


def _lines_of_stream(data: bytes, stream: Iterator[bytes], head: Head) -> Iterator[str]:
    """Split UTF-8 into lines, with line ends; only the last one may lack its end."""
    for piece in itertools.chain([b""], stream):
        data += piece.replace(b"\r", b"\n") if head.has_returns else piece
        end = data.rfind(b"\n") + 1
        yield from lines_of_text(data[:end].decode("utf-8"))
        data = data[end:]
    yield from lines_of_text(data.decode("utf-8"))


@contextmanager
def _errors(name: str) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise SourceError(
            f"{name} cannot be decoded: {error}. Set `encoding` in the project file."
        ) from None
    except (EOFError, OSError, zlib.error) as error:
        raise SourceError(
            f"{name} cannot be read: {error}. Is it cut off? Export or copy it again."
        ) from None
    except (pa.ArrowException, csv.Error) as error:
        raise SourceError(
            f"{name} cannot be read as CSV: {error}. "
            "Expected a header line, and rows with as many cells as the header. Export it again."
        ) from None
