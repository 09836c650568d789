"""Reads CSV, gzipped or not, and detects its encoding, delimiter and header.

Cells stay text, so `007` stays `007`. Only `crm.cells` decides later what a cell means.
"""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import charset_normalizer
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from crm.errors import ConfigError, SourceError
from crm.project import TableKeys
from crm.sources.checks import check_header

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 1 << 18
CSV_BLOCK_BYTES = 1 << 24
MIN_FOREIGN_BYTES = 50  # with fewer, code pages cannot be distinguished
OTHER_ENCODINGS = [
    *(f"cp{page}" for page in (*range(1250, 1252), *range(1253, 1258), 932, 949)),
    "euc_jp",
    "gb18030",
    "big5",
    "koi8_r",
    "mac_roman",
]
# Matches what Western European text in Windows-1252 never contains: rare characters, and long runs
# of accented characters.
_NOT_WESTERN = re.compile(
    r"[^\x00-\x7f€‚„…‘’“”•–—™Œœ\xa0¡£§©ª«®°²´µ·º»¿À-ÏÑ-ÖØ-Üß-ïñ-öø-üÿ]|[À-ÿ]{4}"
)


def iter_csv(path: Path, keys: TableKeys, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Read a CSV file as text in chunks of at most `chunk_rows` rows."""
    with _csv_errors(path):
        encoding = _check_encoding(path, keys.encoding) or _find_encoding(path)
        head = _decode_head(path, encoding)
        delimiter = _check_delimiter(path, keys.delimiter) or _find_delimiter(head)
        blank, header = _find_header(head, delimiter)
        columns = check_header(path.name, header)
        if len(columns) == 1 and keys.delimiter and _find_delimiter(head) in columns[0]:
            raise SourceError(
                f"{path.name} has only one column when split at {keys.delimiter!r}. "
                f"The delimiter looks like {_find_delimiter(head)!r}. "
                "Change or remove `delimiter`."
            )
        with _open(path) as raw, _Utf8Stream(raw, encoding) as stream:
            batches = _csv_batches(stream, path, delimiter, blank, columns)
            yield from _rechunk((batch.to_pandas() for batch in batches), chunk_rows)


class _Utf8Stream(io.RawIOBase):
    """A byte stream re-encoded to UTF-8, without its byte order mark.

    The stream always ends in a line break. So a header alone is a complete row. If a quote is not
    closed, the last cell ends in a line break.
    """

    def __init__(self, raw: BinaryIO, encoding: str) -> None:
        self.encoding = encoding
        self.last_character = ""
        self._text = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._text.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        while (len(self._rest) < size or size < 0) and not self._ended:
            text = self._text.read(size)
            self._ended = not text
            self.last_character = text.rstrip()[-1:] or self.last_character
            self._rest += text.encode("utf-8", errors="replace")
            if self._ended:
                self._rest += b"\n"
        if size < 0:
            size = len(self._rest)
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def _csv_batches(
    stream: _Utf8Stream, path: Path, delimiter: str, blank: int, columns: list[str]
) -> Iterator[Any]:
    """Parse a stream as text cells.

    Raises
    ------
    SourceError
        If a row has more or fewer cells than the header, or a quote is not closed. The message
        contains the line.
    """
    last = None
    try:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                column_names=columns, skip_rows_after_names=blank + 1, block_size=CSV_BLOCK_BYTES
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.large_string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
        for batch in reader:
            yield batch
            last = batch if batch.num_rows else last
    except pa.ArrowInvalid:
        problem = _find_uneven_row(path, stream.encoding, delimiter, blank, len(columns))
        if problem is None:
            raise
        raise SourceError(
            f"{path.name} cannot be split at {delimiter!r}: {problem}. "
            "Set the right `delimiter`, or fix the quotes of that row."
        ) from None
    cell = last.columns[-1][-1].as_py() if last is not None else None
    if cell is not None and cell.endswith("\n") and stream.last_character != '"':
        raise SourceError(
            f"{path.name} ends inside a quote: its last {cell.rstrip().count(chr(10)) + 1:,} lines "
            "are one cell. Close the quote."
        )


@contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise SourceError(
            f"{path.name} cannot be decoded: {error}. Set `encoding` in the project file."
        ) from None
    except (EOFError, OSError, zlib.error) as error:
        raise SourceError(
            f"{path.name} cannot be read: {error}. Is it cut off? Export or copy it again."
        ) from None
    except (pa.ArrowException, csv.Error) as error:
        raise SourceError(
            f"{path.name} cannot be read as CSV: {error}. "
            "Expected a header line, and rows with as many cells as the header. Export it again."
        ) from None


def _find_uneven_row(
    path: Path, encoding: str, delimiter: str, blank: int, width: int
) -> str | None:
    """Describe the first row that does not fit the header; return None if all rows fit.

    Reads the file again with Python's own parser, which is slow but counts lines.
    """
    with _open(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        rows = _rows(text, delimiter)
        first_line = 1
        for i, row in enumerate(rows):
            if len(delimiter.join(row).encode()) > CSV_BLOCK_BYTES:
                return (
                    f"the row that starts in line {first_line:,} has more than "
                    f"{CSV_BLOCK_BYTES >> 20} MB; a quote may not be closed"
                )
            if i > blank and row and len(row) != width:
                lines = f"line {first_line:,}"
                if rows.line_num > first_line:
                    lines += f" to {rows.line_num:,}"
                return f"the row in {lines} has {len(row):,} cells, the header has {width:,}"
            first_line = rows.line_num + 1
    return None


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb") if is_gzip else path.open("rb"))


def _check_encoding(path: Path, encoding: str | None) -> str | None:
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, UnicodeError):
        raise ConfigError(
            f"{path.name}: `{encoding}` is not a text encoding that Python supports. "
            "Try utf-8 or cp1252."
        ) from None
    is_utf8 = encoding is not None and codecs.lookup(encoding).name == "utf-8"
    return "utf-8-sig" if is_utf8 else encoding


def _check_delimiter(path: Path, delimiter: str | None) -> str | None:
    if delimiter is not None and (not delimiter.isascii() or delimiter in '"\r\n'):
        raise ConfigError(
            f"{path.name}: {delimiter!r} cannot be a delimiter. "
            r"Expected one ASCII character, such as a comma, a semicolon or a tab (\t)."
        )
    return delimiter


def _find_encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _open(path) as raw:
            block = raw.read(SAMPLE_BYTES)
            if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            if b"\x00" in block:
                raise SourceError(
                    f"{path.name} is not a text file: it contains zero bytes. Expected CSV, "
                    "gzipped or not, or Parquet with the suffix .parquet."
                )
            while block:
                decoder.decode(block)
                block = raw.read(1 << 22)
            decoder.decode(b"", final=True)
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        return _guess_encoding(path, error.object[max(0, error.start - 100) :][:SAMPLE_BYTES])


def _guess_encoding(path: Path, sample: bytes) -> str:
    """Guess an encoding; prefer Windows-1252, the encoding of most European exports."""
    if not _NOT_WESTERN.search(sample.decode("cp1252", errors="replace")):
        return "cp1252"
    guess = charset_normalizer.from_bytes(sample, cp_isolation=OTHER_ENCODINGS).best()
    if guess is None or sum(byte > 127 for byte in sample) < MIN_FOREIGN_BYTES:
        raise SourceError(
            f"{path.name} is not in UTF-8, and its encoding cannot be detected. "
            "Set `encoding` in the project file, such as cp1250."
        )
    return guess.encoding


def _decode_head(path: Path, encoding: str) -> str:
    with _open(path) as raw:
        sample = raw.read(SAMPLE_BYTES)
    head = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    head = head.lstrip("\ufeff")
    if not head.strip():
        raise SourceError(f"{path.name} is empty. Expected a header line and rows.")
    return head


def _find_delimiter(head: str) -> str:
    """Return the delimiter that splits the first lines most evenly, into the most columns."""

    def evenness(delimiter: str) -> tuple[float, int]:
        lines = _rows(io.StringIO(head, newline=""), delimiter)
        rows = list(itertools.islice(filter(_is_not_blank, lines), 50))
        width = len(rows[0])
        if width == 1:
            return 0.0, width
        even = sum(len(row) == width for row in rows[1:])
        return even / max(1, len(rows) - 1), width

    return max(DELIMITERS, key=evenness)


def _find_header(head: str, delimiter: str) -> tuple[int, list[str]]:
    """Return the number of blank rows at the top, and the row that follows."""
    rows = enumerate(_rows(io.StringIO(head, newline=""), delimiter))
    return next((i, row) for i, row in rows if _is_not_blank(row))


def _rows(text: io.TextIOBase, delimiter: str) -> Any:
    csv.field_size_limit(1 << 30)  # `check_cells` refuses long cells and reports the row
    return csv.reader(text, delimiter=delimiter)


def _is_not_blank(row: list[str]) -> bool:
    return any(cell.strip() for cell in row)


def _rechunk(batches: Iterator[pd.DataFrame], chunk_rows: int) -> Iterator[pd.DataFrame]:
    pending: list[pd.DataFrame] = []
    n_pending = 0
    for batch in batches:
        pending.append(batch)
        n_pending += len(batch)
        while n_pending >= chunk_rows:
            rows = pd.concat(pending, ignore_index=True)
            yield rows.iloc[:chunk_rows]
            pending = [rows.iloc[chunk_rows:].reset_index(drop=True)]
            n_pending -= chunk_rows
    if n_pending:
        yield pd.concat(pending, ignore_index=True)
