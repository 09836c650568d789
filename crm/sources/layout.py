"""Finds the delimiter of a text, and the header of a table in a text or a sheet."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from crm.sources.looks import shape

DELIMITERS: Final = ",;\t|^~\x1f\x01"
HEAD_ROWS: Final = 300
TOP_ROWS: Final = 100  # the header is one of these
_SEPARATOR_LINE: Final = re.compile(r'\s*"?sep=(.)"?[\s,;]*', re.IGNORECASE | re.DOTALL)
_DATA: Final = re.compile(
    r"[-+(]?[$€£¥]?\s?[\d.,:/\s-]*\d[\d.,:/\s-]*[%)]?|\S+@\S+\.\S+|https?://\S+"
    r"|\d{4}-\d\d-\d\d[T ]\S+"
)
# Lines of at least two cells that are all in quotes, for each pair of quotes except "".
_QUOTED_LINES: Final = tuple(
    re.compile(
        f"({first})[^{first}{last}]*{last}"
        f"(?:\\s*[{re.escape(DELIMITERS)}]\\s*{first}[^{first}{last}]*{last})+"
    )
    for first, last in ("''", "``", "“”", "„“", "””", "‘’", "«»", "「」")
)


@dataclass(frozen=True)
class Row:
    """A row of the head of a table.

    Attributes
    ----------
    cells : list of str
        The cells with their white space; a missing cell is empty text.
    line : int
        The number of its first line, from 1.
    end : int
        The number of the line after it.
    """

    cells: list[str]
    line: int
    end: int

    @property
    def n_filled(self) -> int:
        """The number of cells that are not blank."""
        return sum(bool(cell.strip()) for cell in self.cells)

    @property
    def width(self) -> int:
        """The number of cells up to the last that is not blank."""
        return max((i for i, cell in enumerate(self.cells, 1) if cell.strip()), default=0)


def read_rows(
    lines: Sequence[str],
    delimiter: str,
    quote: str = '"',
    escape: str | None = None,
    skips_spaces: bool = False,
) -> list[Row]:
    """Split the first lines of a text into rows; blank rows are left out."""
    csv.field_size_limit(1 << 30)  # `check_cells` refuses long cells and names the line
    reader = csv.reader(
        iter(lines),
        delimiter=delimiter,
        quotechar=quote,
        escapechar=escape,
        skipinitialspace=skips_spaces,
    )
    rows: list[Row] = []
    line = 1
    for cells in reader:
        row = Row(cells, line, reader.line_num + 1)
        line = row.end
        if row.n_filled:
            rows.append(row)
        if len(rows) >= HEAD_ROWS:
            break
    return rows


def separator_line(line: str) -> str | None:
    r"""Return the delimiter that the first line of a file names; None if it names none.

    Examples
    --------
    >>> separator_line("sep=;\n"), separator_line('"SEP=,"'), separator_line("sepal;petal")
    (';', ',', None)
    """
    match = _SEPARATOR_LINE.fullmatch(line.rstrip("\r\n"))
    return match[1] if match else None


def find_quote(lines: Sequence[str]) -> str:
    """Return the character around cells: that of the first line whose cells are all in quotes.

    Examples
    --------
    >>> find_quote(["'id','name'"]), find_quote(["id,name"]), find_quote(['“id”;“name”'])
    ("'", '"', '“')
    """
    for line in lines[:TOP_ROWS]:
        for pattern in _QUOTED_LINES:
            match = pattern.fullmatch(line.strip("\ufeff \r\n"))
            if match:
                return match[1]
    return '"'


def find_delimiter(lines: Sequence[str], quote: str = '"') -> str:
    """Return the delimiter that splits the most rows into cells that fit below the header.

    A row fits if it has several cells and at most as many as the header, or as many as most rows.
    A delimiter counts less if its header looks like data, or if quotes are inside its cells.

    Examples
    --------
    >>> find_delimiter(["id;amount", "1;2,50", "2;3,10"])
    ';'
    """

    def evenness(delimiter: str) -> tuple[float, int]:
        rows = read_rows(lines, delimiter, quote)
        if all(len(row.cells) == 1 for row in rows):
            return 0.0, 1
        start = find_header(rows)
        header, below = rows[start], rows[start + 1 :]
        if len(header.cells) == 1:
            return 0.0, 1
        widths = Counter(len(row.cells) for row in below)
        width, n_even = widths.most_common(1)[0] if below else (len(header.cells), 0)
        n_fitting = sum(1 < len(row.cells) <= len(header.cells) for row in below)
        share = (1 + max(n_even if width > 1 else 0, n_fitting)) / len(rows)
        if is_data(rows, start):
            share /= 10
        return share * _quote_share(text, delimiter, quote), max(width, len(header.cells))

    text = "".join(lines)
    return max(DELIMITERS, key=evenness)


def _quote_share(text: str, delimiter: str, quote: str) -> float:
    """Return the share of quotes at the start or the end of a cell; 1 for a text without quotes."""
    n_quotes = text.count(quote)
    inside = rf"[^{re.escape(delimiter)}\r\n]"
    at_edge = rf"(?<!{inside}){quote}|{quote}(?!{inside})"
    return len(re.findall(at_edge, text)) / n_quotes if n_quotes else 1.0


def find_header(rows: Sequence[Row]) -> int:
    """Return the position of the header among the rows at the top of a table.

    The header is the first row that fills at least half as many cells as a usual row. A later row
    that is just above the first row of data is the header if the earlier row is text of a report,
    has another number of cells, or groups the columns.

    Parameters
    ----------
    rows : sequence of Row
        The first rows, without blank ones. At least one.

    Examples
    --------
    >>> rows = read_rows(["Leads, January: 2", "", "id,won", "1,yes", "2,no"], ",")
    >>> rows[find_header(rows)].cells
    ['id', 'won']
    """
    usual = _usual_filled(rows)
    top = range(min(TOP_ROWS, len(rows)))
    if usual < 2:
        return next((i for i in top if not _is_comment(rows[i])), 0)
    candidates = [i for i in top if rows[i].n_filled >= max(2, usual / 2) and _has_words(rows[i])]
    if not candidates:
        return 0
    columns = _Columns([row for row in rows if row.n_filled >= max(2, usual / 2)])
    data = next(
        (i for i in candidates if columns.is_data(rows[i]) and not _is_report_text(rows[i])), None
    )
    if data is None:
        return next((i for i in candidates if not _is_report_text(rows[i])), candidates[0])
    last = data - 1
    if last not in candidates or last == candidates[0]:
        return candidates[0]
    above = [i for i in candidates if i < last]
    is_moved = all(_is_above(rows[i], rows[i + 1], rows[last], rows[data]) for i in above)
    if (
        len(above) > 1
        and rows[last].line > rows[last - 1].end
        and rows[last].end == rows[data].line
    ):
        is_moved = True  # a blank line ends a list of filters
    return last if is_moved else candidates[0]


def is_data(rows: Sequence[Row], position: int) -> bool:
    """Return whether at least half of the cells of a row look like data of their columns."""
    return _Columns(rows[position:]).is_data(rows[position])


def is_data_cell(cell: str) -> bool:
    """Return whether a cell is a number, a time, or the address of a person or a page.

    Examples
    --------
    >>> is_data_cell("2025-01-31"), is_data_cell("a.b@c.de"), is_data_cell("Q1 2025")
    (True, True, False)
    """
    return _DATA.fullmatch(cell) is not None


class _Columns:
    """The counts of the cells of each column, and of their shapes, over the distinct rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        distinct = {tuple(map(str.strip, row.cells)) for row in rows}
        width = max(map(len, distinct), default=0)
        columns = [[row[i] for row in distinct if len(row) > i] for i in range(width)]
        self.counts = [Counter(column) for column in columns]
        self._shapes: dict[int, Counter[str]] = {}

    def is_data(self, row: Row) -> bool:
        filled = [(i, cell.strip()) for i, cell in enumerate(row.cells) if cell.strip()]
        return 2 * sum(self._is_data_cell(i, cell) for i, cell in filled) >= len(filled)

    def _is_data_cell(self, column: int, cell: str) -> bool:
        if is_data_cell(cell) or self.counts[column][cell] > 2:
            return True
        if not any(map(str.isdigit, cell)):
            return False
        if column not in self._shapes:
            self._shapes[column] = Counter(map(shape, self.counts[column].elements()))
        shapes = self._shapes[column]
        return shapes[shape(cell)] - 1 >= max(1, 0.3 * (shapes.total() - 1))


def _usual_filled(rows: Sequence[Row]) -> int:
    """Return how many cells the rows of the table usually fill."""
    counts = sorted(row.n_filled for row in rows)
    upper = counts[len(counts) // 2 :]  # short lines of a report are in the lower half
    return upper[len(upper) // 2]


def _has_words(row: Row) -> bool:
    """Return whether a row has letters or digits, unlike a rule such as "---|---"."""
    return any(character.isalnum() for cell in row.cells for character in cell)


def _is_comment(row: Row) -> bool:
    return row.cells[0].lstrip().startswith("#") and row.n_filled == 1


def _is_report_text(row: Row) -> bool:
    """Return whether a row is a comment, or text such as "Date: January 5, 2025"."""
    text = "; ".join(filter(None, map(str.strip, row.cells)))
    return bool(re.search(r"\w:(\s|;|$)", text)) or text.startswith("#")


def _is_sentence(row: Row) -> bool:
    """Return whether every cell after the first begins with a space, as after a comma in a text."""
    return row.width > 1 and all(cell.startswith(" ") for cell in row.cells[1 : row.width])


def _is_above(row: Row, following: Row, header: Row, data: Row) -> bool:
    """Return whether a row with several cells is text above the header, not the header."""
    if _is_report_text(row) or len(row.cells) < len(data.cells) == len(header.cells):
        return True
    if _is_sentence(row) and not _is_sentence(header):
        return True
    if row.n_filled >= header.n_filled:
        return False
    if following.line > row.end:
        return True
    return row.n_filled < row.width and header.n_filled == header.width  # it groups the columns


def lines_of_text(text: str) -> Iterator[str]:
    r"""Split a text at line ends \n, \r\n and \r, and keep these.

    Examples
    --------
    >>> list(lines_of_text("a\r\nb\u2028c\rd"))
    ['a\r\n', 'b\u2028c\r', 'd']
    """
    return iter(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text))
