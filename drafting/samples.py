"""Reads the first rows of a file, and describes each column."""

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
from crm.formats.column_times import parse_times
from crm.project import TableKeys
from crm.sources.source import iter_table
from crm.tables import TABLES
from crm.text import words_of

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


class Column:
    """A column of a sample, with its texts, numbers and counts of values.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
        The cells, as they were read from the file.
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
        """Return which rows have a value, shape (n_rows,); `nothing` are case-folded words."""
        empty = {text for text in self.counts.index if text.casefold() in nothing}
        return np.array([text is not None and text not in empty for text in self.texts], bool)

    def number_share(self, nothing: Collection[str] = ()) -> float:
        """Compute the share of numbers among the filled cells; 0 if no cell is filled."""
        filled = self.filled(nothing)
        return float(np.isfinite(self.numbers[filled]).mean()) if filled.any() else 0.0

    def share(self, pattern: str) -> float:
        """Compute the share of distinct cells that match a pattern completely."""
        cells = self.counts.index[:2_000].tolist()
        return sum(re.fullmatch(pattern, cell) is not None for cell in cells) / max(1, len(cells))

    @cached_property
    def time_formats(self) -> list[str | None]:
        """The formats that read every filled cell as a time; None is ISO 8601, or typed times."""
        if pd.api.types.is_datetime64_any_dtype(self.cells.dtype):
            return [None, *TIME_FORMATS]
        cells = pd.Series(self.counts.index, dtype="str")
        if cells.empty or not cells.head(20).str.match(r"\d{1,4}[-/. ]\w{1,3}[-/. ]\d{2}").all():
            return []
        formats: Sequence[str | None] = TIME_FORMATS
        if cells.str.match(r"\d{4}-\d{2}-\d{2}").all():
            formats = [None]
        for sample in (cells.head(100), cells):  # few formats remain for all cells
            formats = [form for form in formats if self._times(form, sample).notna().all()]
        return list(formats)

    def times(self, form: str | None) -> pd.Series:
        """Read the cells as times, UTC, shape (n_rows,)."""
        return self._times(form, self.cells)

    def _times(self, form: str | None, cells: pd.Series) -> pd.Series:
        return parse_times(cells, self.name, time_format=form)[0]


@dataclass(frozen=True)
class Table:
    """The first rows of a file.

    Attributes
    ----------
    path : Path
    source : str
        The path as the project file will contain it.
    decimal : str
        The decimal sign of its numbers.
    kind : str or None
        The table that the user named, if any.
    columns : list of Column
    rows : int
        The number of sampled rows.
    is_whole : bool
        True if the file has no further rows.
    """

    path: Path
    source: str
    decimal: str
    kind: str | None
    columns: list[Column]
    rows: int
    is_whole: bool


def read_sample(source: str, folder: Path, limit: int) -> Table:
    """Read the first rows of a file, and detect its decimal sign.

    Parameters
    ----------
    source : str
        A file, relative to the working directory; `activities=calls.csv` names its table too.
    folder : Path
        The folder of the project file.
    limit : int
        The maximal number of rows.

    Returns
    -------
    Table

    Raises
    ------
    SourceError, SchemaError
        If the file cannot be read, or has no rows.
    """
    prefix, _, file = source.partition("=")
    kind = prefix if file and prefix in TABLES else None
    path = Path(os.path.abspath(Path(file if kind else source).expanduser()))
    home = Path(os.path.abspath(folder))
    shown = path.relative_to(home) if path.is_relative_to(home) else path
    decimal, columns = ".", _read(path, ".", limit)
    points = any(column.share(r"[+-]?\d+\.\d+") > 0.5 for column in columns)
    commas = any(column.share(r"[+-]?[\d.]*\d,(\d{1,2}|\d{4,})") > 0.5 for column in columns)
    if commas and not points:
        decimal, columns = ",", _read(path, ",", limit)
    rows = len(columns[0].cells)
    return Table(
        path=path,
        source=shown.as_posix(),
        decimal=decimal,
        kind=kind,
        columns=columns,
        rows=rows,
        is_whole=rows < limit,
    )


def _read(path: Path, decimal: str, limit: int) -> list[Column]:
    keys = TableKeys(source=str(path), decimal=decimal)
    rows = next(iter_table(keys, path.parent, limit), None)
    if rows is None:
        raise SchemaError(path.name, ["it has a header but no rows. Expected at least one row."])
    return [Column(rows[name]) for name in rows.columns]


def time_format(columns: Collection[Column]) -> str | None:
    """Return the first format that reads all times of one table; None is ISO 8601, or no times."""
    formats = [column.time_formats for column in columns if column.time_formats]
    if not formats:
        return None
    return next(form for form in formats[0] if all(form in fitting for fitting in formats))
