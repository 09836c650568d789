"""Reads the first rows of a file, and describes each column."""

import os.path
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats
from crm.cells import number_column, text_column
from crm.continuation import ContinuedRows, continued_rows
from crm.errors import SchemaError
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, column_formats, number_reader, time_notation
from crm.left_out import LeftOutRows
from crm.project import TableKeys
from crm.sources.encoding_guess import EncodingGuess
from crm.sources.source import encoding_guess, iter_table, split_sheet
from crm.tables import TABLES
from crm.text import words_of
from drafting.nothing_words import is_nothing
from drafting.role_names import NO_RANK, rank

SHARE_OF = 2_000  # distinct cells that are compared with a pattern


class Column:
    """A column of a sample, with its texts, numbers and counts of values.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
        The cells, as they were read from the file.
    form : ColumnFormat, optional
        The format of the column. By default it is recognised from the cells.
    """

    def __init__(self, cells: pd.Series, form: ColumnFormat | None = None) -> None:
        self.name, self.cells = str(cells.name), cells
        self.words = words_of(self.name)
        self.texts = text_column(cells)
        self.counts = pd.Series(self.texts, dtype=object).value_counts()
        self.has_gaps = int(self.counts.sum()) < len(cells)
        self.is_key = not self.has_gaps and len(self.counts) == len(cells)
        if form is None:
            name = str(cells.name)
            form = column_formats(pd.DataFrame({name: cells}), [name], declared={})[name]
        self.form = form
        self.is_time = form.kind == "time"
        self.numbers = self._read_numbers()
        self.is_number = self.number_share() == 1

    def _read_numbers(self) -> Floats:
        if self.form.kind == "text":  # at most a few cells are numbers
            return number_column(self.cells)
        return number_reader(self.form.notation).read_column(self.cells)

    def filled(self, nothing: Collection[str] = ()) -> Bools:
        """Return which rows have a value, shape (n_rows,); `nothing` are case-folded words."""
        if not nothing:
            return self._has_text
        empty = {text for text in self.counts.index if text.casefold() in nothing}
        return np.array([text is not None and text not in empty for text in self.texts], bool)

    @cached_property
    def _has_text(self) -> Bools:
        return np.array([text is not None for text in self.texts], bool)

    def number_share(self, nothing: Collection[str] = ()) -> float:
        """Compute the share of numbers among the filled cells; 0 if no cell is filled."""
        filled = self.filled(nothing)
        return float(np.isfinite(self.numbers[filled]).mean()) if filled.any() else 0.0

    def share(self, pattern: str) -> float:
        """Compute the share of distinct cells that match a pattern completely."""
        cells = self.counts.index[:SHARE_OF].tolist()
        return sum(re.fullmatch(pattern, cell) is not None for cell in cells) / max(1, len(cells))

    @property
    def n_empty(self) -> int:
        """The number of cells without a value."""
        return len(self.cells) - int(self.counts.sum())

    @property
    def codes(self) -> list[str]:
        """The whole numbers that begin with 0, such as postal codes, if all are of one length.

        Read as numbers, they would lose the 0.
        """
        if not self.is_number or len(set(map(len, self.counts.index))) != 1:
            return []
        return [text for text in self.counts.index if re.fullmatch(r"0\d+", text)]

    @cached_property
    def times(self) -> pd.Series:
        """The cells as times, UTC, shape (n_rows,); missing where they are not times."""
        return self._parsed[0]

    @property
    def has_local_times(self) -> bool:
        """True if any time does not have a zone."""
        return self.is_time and self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[pd.Series, bool]:
        return parse_times(self.cells, self.name, time_format=time_notation(self.form.notation))


@dataclass(frozen=True)
class Table:
    """The first rows of a file.

    Attributes
    ----------
    path : Path
    source : str
        The path as the project file will contain it.
    kind : str or None
        The table that the user named, if any.
    columns : list of Column
    rows : int
        The number of sampled rows.
    is_whole : bool
        True if the file has no further rows.
    findings : list of str
        Sentences about the lines of the sample that are left out or repaired.
    encoding : EncodingGuess or None
        The encoding, if it was guessed.
    sheet : str or None
        The sheet of a workbook that the user named.
    continued : ContinuedRows or None
        The rows of the sample that continue the row above; they are not in `columns`.
    """

    path: Path
    source: str
    kind: str | None
    columns: list[Column]
    rows: int
    is_whole: bool
    findings: list[str] = field(default_factory=list)
    encoding: EncodingGuess | None = None
    sheet: str | None = None
    continued: ContinuedRows | None = None

    @property
    def name(self) -> str:
        """The name of the file, with the sheet if the user named one."""
        return self.path.name if self.sheet is None else f"{self.path.name}#{self.sheet}"

    @property
    def title(self) -> str:
        """The part of the name that may suggest which table the file contains."""
        return self.sheet or self.path.name.partition(".")[0]

    @cached_property
    def is_repeated(self) -> Bools:
        """Which rows are equal to an earlier row in every cell, shape (n_rows,)."""
        if any(column.is_key for column in self.columns):
            return np.zeros(self.rows, dtype=bool)
        texts = pd.DataFrame({i: column.texts for i, column in enumerate(self.columns)})
        return np.asarray(texts.duplicated(), dtype=bool)


def read_sample(source: str, folder: Path, limit: int, encoding: str | None = None) -> Table:
    """Read the first rows of a file, and recognise the formats of its columns.

    Parameters
    ----------
    source : str
        A file, relative to the working directory; `activities=calls.csv` names its table too, and
        `crm.xlsx#Leads` the sheet of a workbook.
    folder : Path
        The folder of the project file.
    limit : int
        The maximal number of rows.
    encoding : str, optional
        The encoding of the file; by default it is detected.

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
    named, sheet = split_sheet(file if kind else source)
    path = Path(os.path.abspath(Path(named).expanduser()))
    home = Path(os.path.abspath(folder))
    shown = path.relative_to(home) if path.is_relative_to(home) else path
    findings: list[str] = []
    guess = None if encoding else encoding_guess(TableKeys(source=path.name), path.parent)
    keys = TableKeys(source=path.name, encoding=guess.encoding if guess else encoding, sheet=sheet)
    sample = _read(keys, path.parent, limit, findings)
    continued = _continued(sample)
    rows = sample if continued is None else sample[~continued.rows].reset_index(drop=True)
    return Table(
        path=path,
        source=shown.as_posix(),
        kind=kind,
        columns=_columns(rows),
        rows=len(rows),
        is_whole=len(sample) < limit,
        findings=findings,
        encoding=guess,
        sheet=sheet,
        continued=continued,
    )


def _read(keys: TableKeys, folder: Path, limit: int, findings: list[str]) -> pd.DataFrame:
    left_out: list[LeftOutRows] = []
    notes: list[str] = []
    chunks = iter_table(keys, folder, limit, left_out, notes)
    rows = next(chunks, None)
    if rows is not None and len(rows) < limit:
        next(chunks, None)  # text below the last row is found at the end of the file
    chunks.close()
    findings += [*map(str, left_out), *notes]
    if rows is None:
        raise SchemaError(keys.source, ["it has a header but no rows. Expected at least one row."])
    return rows


def _columns(rows: pd.DataFrame) -> list[Column]:
    texts = pd.unique(np.concatenate([text_column(rows[name]) for name in rows.columns]))
    nothing = {text.casefold() for text in texts if text is not None and is_nothing(text)}
    formats = column_formats(rows, list(rows.columns), declared={}, nothing=nothing)
    return [Column(rows[name], formats[name]) for name in rows.columns]


def _continued(rows: pd.DataFrame) -> ContinuedRows | None:
    """Find the rows that continue the row above, which lack the first column or a named id.

    In a table in which another column identifies every row, no row continues another.
    """
    if any(rows[name].is_unique and rows[name].notna().all() for name in rows.columns):
        return None
    names = sorted(rows.columns, key=lambda name: rank("lead_id", str(name)))
    named = [name for name in names if rank("lead_id", str(name)) < NO_RANK]
    for name in dict.fromkeys([*named, rows.columns[0]]):
        if rows[name].dropna().is_unique:
            continued = continued_rows(rows, name)
            if continued is not None:
                return continued
    return None
