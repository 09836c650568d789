"""Reads the head of a CSV file: its delimiter, its quotes, its header and where its rows begin."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.errors import ConfigError, SourceError
from crm.project import TableKeys
from crm.sources.checks import check_header
from crm.sources.encoding import SAMPLE_BYTES, decoded
from crm.sources.findings import ABOVE, BLANK, COMMENT, DELIMITER, Findings
from crm.sources.header_line import check_header_line, check_split
from crm.sources.layout import (
    TOP_ROWS,
    Row,
    find_delimiter,
    find_header,
    find_quote,
    lines_of_text,
    read_rows,
    separator_line,
)
from crm.sources.source_file import SourceFile
from crm.text import quote

# A line of dashes below a header in Markdown, such as |---|:--:|, or of a table drawn with +.
_RULE: Final = re.compile(r"[|+](?:\s*:?(?:-{2,}|={2,}):?\s*[|+])+")


@dataclass(frozen=True)
class Head:
    r"""The delimiter, quotes and header of a CSV file, and the place of its first row.

    Attributes
    ----------
    delimiter : str
    quote : str
        The character around cells that contain the delimiter.
    escape : str or None
        The character before a quote that belongs to the cell, if quotes are not doubled.
    skips_spaces : bool
        Whether spaces between a delimiter and a quote are not part of the cell.
    header : list of str
        The names in the file, without blank names at the end.
    columns : list of str
        The names of the columns, as `check_header` returns them.
    width : int
        The number of cells that most rows have; the cells beyond the header are empty.
    line : int
        The first line below the header.
    byte : int
        The position of that line in the text, in bytes of UTF-8 without the byte order mark.
    has_returns : bool
        Whether lines end in "\r" alone.
    """

    delimiter: str
    quote: str
    escape: str | None
    skips_spaces: bool
    header: list[str]
    columns: list[str]
    width: int
    line: int
    byte: int
    has_returns: bool


def read_head(file: SourceFile, encoding: str, keys: TableKeys, findings: Findings) -> Head:
    """Find the delimiter and the header of a CSV file, and add the lines above to `findings`.

    Raises
    ------
    ConfigError
        If the declared delimiter is not valid.
    SourceError
        If the file is blank, the declared delimiter does not split it, or its quotes are not
        readable.
    SchemaError
        If the header is not usable.
    """
    _check_delimiter(file.name, keys.delimiter)
    text, is_whole = _read_text(file, encoding)
    lines = list(lines_of_text(text))
    if len(lines) > 1 and not is_whole:
        lines.pop()
    _check_markdown(file.name, lines[:TOP_ROWS])
    named = separator_line(lines[0]) if lines else None
    rest = lines if named is None else ["\n", *lines[1:]]
    quotes = _find_quotes(file.name, rest, findings)
    delimiter = keys.delimiter or named or find_delimiter(rest, quotes)
    escape = _find_escape(rest, delimiter, quotes, findings)
    skips_spaces = _skips_spaces(rest, delimiter, quotes, escape)
    rows = read_rows(rest, delimiter, quotes, escape, skips_spaces)
    if not rows:
        raise SourceError(f"{file.name} is empty. Expected a header line and rows.")
    position = find_header(rows)
    if rows[position].width == 1 and (keys.delimiter or named):
        detected = find_delimiter(rest, quotes)
        if detected != delimiter and detected in "".join(rows[position].cells):
            if keys.delimiter:
                raise SourceError(
                    f"{file.name} has only one column when split at {delimiter!r}. "
                    f"The delimiter looks like {detected!r}. Change or remove `delimiter`."
                )
            delimiter = detected
            rows = read_rows(rest, delimiter, quotes, escape, skips_spaces)
            position = find_header(rows)
    check_split(file.name, rows, position)
    check_header_line(file.name, rows, position, "line")
    _name_lines_above(rows, position, named is not None, findings)
    row, below = rows[position], rows[position + 1 :]
    n_named = max(
        [row.width, *(min(other.width, len(row.cells)) for other in below)],
    )
    header = row.cells[:n_named]
    columns = check_header(file.name, header, findings)
    widths = Counter(len(other.cells) for other in below)
    return Head(
        delimiter=delimiter,
        quote=quotes,
        escape=escape,
        skips_spaces=skips_spaces,
        header=header,
        columns=columns,
        width=max(n_named, widths.most_common(1)[0][0] if below else 0),
        line=row.end,
        byte=sum(len(line.encode("utf-8", errors="replace")) for line in lines[: row.end - 1]),
        has_returns="\r" in text and "\n" not in text,
    )


def _read_text(file: SourceFile, encoding: str) -> tuple[str, bool]:
    """Return the first part of a text, and whether it is the whole text."""
    head = b""
    with file.open() as raw:
        for block in decoded(raw, encoding, SAMPLE_BYTES):
            head += block
            if len(head) > SAMPLE_BYTES:
                return head[:SAMPLE_BYTES].decode("utf-8", errors="ignore"), False
    return head.decode("utf-8", errors="replace"), True


def _check_markdown(name: str, lines: Sequence[str]) -> None:
    """Raise an error if the lines are a table in Markdown, or one drawn with | and +."""
    tidy = [line.strip() for line in lines]
    for i, line in enumerate(tidy):
        near = tidy[max(0, i - 1) : i + 2]
        if _RULE.fullmatch(line) and any(
            other.startswith("|") and not _RULE.fullmatch(other) for other in near
        ):
            raise SourceError(
                f"{name} is a table in Markdown or drawn with | and +, not CSV: line {i + 1} is "
                f"{line[:40]!r}. Export the table as CSV, or remove the | at both ends of each "
                "line and the lines of dashes."
            )


def _check_delimiter(name: str, delimiter: str | None) -> None:
    if delimiter is not None and (not delimiter.isascii() or delimiter in '"\r\n'):
        raise ConfigError(
            f"{name}: {delimiter!r} cannot be a delimiter. "
            r"Expected one ASCII character, such as a comma, a semicolon or a tab (\t)."
        )


def _name_lines_above(
    rows: Sequence[Row], position: int, has_separator: bool, findings: Findings
) -> None:
    if has_separator:
        findings.leave_out(DELIMITER, [1])
    filled = {1} if has_separator else set()
    for row in rows[:position]:
        is_comment = row.cells[0].lstrip().startswith("#")
        findings.leave_out(COMMENT if is_comment else ABOVE, range(row.line, row.end))
        filled |= {*range(row.line, row.end)}
    blank = [line for line in range(1, rows[position].line) if line not in filled]
    if blank:
        findings.leave_out(BLANK, blank)


def _find_quotes(name: str, lines: Sequence[str], findings: Findings) -> str:
    """Return the character around cells, and add a note if it is not a double quote."""
    quotes = find_quote(lines)
    if quotes == '"':
        return quotes
    if not quotes.isascii():
        raise SourceError(
            f"{name}: the cells are in the quotes {quotes}, which only text programs use. "
            "Replace them by straight double quotes, or export the file again."
        )
    findings.note(f"the cells are in {quotes} instead of double quotes. These are read as quotes.")
    return quotes


def _find_escape(
    lines: Sequence[str], delimiter: str, quotes: str, findings: Findings
) -> str | None:
    """Return a backslash if the quotes inside cells are escaped by it; None if they are doubled."""
    if not any(f"\\{quotes}" in line for line in lines):
        return None

    def count_rows(escape: str | None) -> int:
        reader = csv.reader(
            iter(lines), delimiter=delimiter, quotechar=quotes, escapechar=escape, strict=True
        )
        count = 0
        try:
            for _ in reader:
                count += 1
        except csv.Error:
            pass
        return count

    if count_rows("\\") <= count_rows(None):
        return None
    written = quote(chr(92) + quotes)
    findings.note(f"quotes inside cells are written {written}. These are read as quotes.")
    return "\\"


def _skips_spaces(lines: Sequence[str], delimiter: str, quotes: str, escape: str | None) -> bool:
    """Return whether more rows have equal widths if spaces before quotes are ignored."""
    if not any(f"{delimiter} {quotes}" in line for line in lines):
        return False

    def count_even(skips_spaces: bool) -> int:
        rows = read_rows(lines, delimiter, quotes, escape, skips_spaces)
        return Counter(len(row.cells) for row in rows).most_common(1)[0][1] if rows else 0

    return count_even(True) > count_even(False)
