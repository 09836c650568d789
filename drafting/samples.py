"""The first rows of a file, and what can be seen of each column in them."""

import os.path
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from crm.arrays import Bools
from crm.cells import number_column, text_column
from crm.errors import SchemaError
from crm.project import TableKeys
from crm.sources.source import iter_table
from crm.tables import TABLES
from crm.text import words_of
from crm.times import parse_times

DAYS = (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d %b %Y",
    "%d-%b-%Y",
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
TIME_FORMATS = tuple(day + clock for day in DAYS for clock in CLOCKS)
NOTHING = frozenset(
    """select|unknown|n/a|na|#n/a|none|null|nil|nan|-|--|---|?|.|nonexistent|
not available|not specified|unspecified|undefined|(blank)|inf|-inf|keine angabe""".replace(
        "\n", ""
    ).split("|")
)


class Column:
    """A column of a sample, and what can be seen of it.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
        As read from the file.
    """

    def __init__(self, cells: pd.Series) -> None:
        self.name, self.cells = str(cells.name), cells
        self.words = words_of(self.name)
        self.texts, self.numbers = text_column(cells), number_column(cells)
        self.counts = pd.Series(self.texts, dtype=object).value_counts()
        self.has_gaps = int(self.counts.sum()) < len(cells)
        self.is_key = not self.has_gaps and len(self.counts) == len(cells)
        self.is_number = self.number_share() == 1

    def filled(self, nothing: Collection[str] = ()) -> Bools:
        """Tell which rows hold something, shape (n_rows,); `nothing` are case-folded words."""
        empty = {text for text in self.counts.index if text.casefold() in nothing}
        return np.array([text is not None and text not in empty for text in self.texts], bool)

    def number_share(self, nothing: Collection[str] = ()) -> float:
        """Share of numbers among the filled cells, 0 if there are none."""
        filled = self.filled(nothing)
        return float(np.isfinite(self.numbers[filled]).mean()) if filled.any() else 0.0

    def share(self, pattern: str) -> float:
        """Share of the distinct cells that are wholly of a pattern."""
        cells = self.counts.index[:2_000].tolist()
        return sum(re.fullmatch(pattern, cell) is not None for cell in cells) / max(1, len(cells))

    @cached_property
    def time_formats(self) -> list[str | None]:
        """Formats that read every filled cell as a time; None is ISO 8601, or typed times."""
        if pd.api.types.is_datetime64_any_dtype(self.cells.dtype):
            return [None, *TIME_FORMATS]
        cells = pd.Series(self.counts.index, dtype="str")
        if cells.empty or not cells.head(20).str.match(r"\d{1,4}[-/. ]\w{1,3}[-/. ]\d{2}").all():
            return []
        formats: Sequence[str | None] = TIME_FORMATS
        if cells.str.match(r"\d{4}-\d{2}-\d{2}").all():
            formats = [None]
        for some in (cells.head(100), cells):  # few formats are left to try on every cell
            formats = [form for form in formats if self._times(form, some).notna().all()]
        return list(formats)

    def times(self, form: str | None) -> pd.Series:
        """Read the cells as times, UTC, shape (n_rows,)."""
        return self._times(form, self.cells)

    def _times(self, form: str | None, cells: pd.Series) -> pd.Series:
        return parse_times(cells, self.name, time_format=form)[0]


@dataclass(frozen=True)
class Table:
    """The first rows of a file, and which table the user said it is, if any."""

    path: Path
    source: str  # as the project file will name it
    decimal: str
    kind: str | None
    columns: list[Column]
    rows: int
    is_whole: bool


def read_sample(source: str, folder: Path, limit: int) -> Table:
    """Read the first rows of a file, and find out which decimal sign it uses.

    Parameters
    ----------
    source : str
        A file, relative to the working directory; `activities=calls.csv` says its table too.
    folder : Path
        Where the project file will stand.
    limit : int
        How many rows at most.

    Returns
    -------
    Table

    Raises
    ------
    SourceError, SchemaError
        If the file cannot be read, or has no rows.
    """
    said, _, rest = source.partition("=")
    kind = said if rest and said in TABLES else None
    path = Path(os.path.abspath(Path(rest if kind else source).expanduser()))
    home = Path(os.path.abspath(folder))
    written = path.relative_to(home) if path.is_relative_to(home) else path
    decimal, columns = ".", _read(path, ".", limit)
    points = any(column.share(r"[+-]?\d+\.\d+") > 0.5 for column in columns)
    commas = any(column.share(r"[+-]?[\d.]*\d,(\d{1,2}|\d{4,})") > 0.5 for column in columns)
    if commas and not points:
        decimal, columns = ",", _read(path, ",", limit)
    rows = len(columns[0].cells)
    return Table(path, written.as_posix(), decimal, kind, columns, rows, rows < limit)


def _read(path: Path, decimal: str, limit: int) -> list[Column]:
    keys = TableKeys(source=str(path), decimal=decimal)
    rows = next(iter_table(keys, path.parent, limit), None)
    if rows is None:
        raise SchemaError(path.name, ["it has a header but no rows. Expected at least one."])
    return [Column(rows[name]) for name in rows.columns]


def time_format(columns: Collection[Column]) -> str | None:
    """Return the first format that reads all times of one table; None is ISO 8601, or no times."""
    formats = [column.time_formats for column in columns if column.time_formats]
    if not formats:
        return None
    return next(form for form in formats[0] if all(form in fitting for fitting in formats))


def nothing_words(
    columns: Collection[Column],
) -> tuple[dict[str, tuple[str, list[str]]], list[str]]:
    """Find the words that stand for "no value".

    "none" beside empty cells may be an answer, so it is in doubt and not listed.

    Returns
    -------
    dict of str to (str, list of str)
        By the case-folded word: how it is written, and in which columns.
    list of str
        Columns where "none" is in doubt.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for column in columns:
        for text in column.counts.index:
            if text.casefold() in NOTHING:
                found.setdefault(text.casefold(), (text, []))[1].append(column.name)
    gappy = {column.name for column in columns if column.has_gaps}
    doubt = [name for name in found.get("none", ("", []))[1] if name in gappy]
    if doubt:
        del found["none"]
    return found, doubt
