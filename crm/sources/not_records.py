"""Finds the rows of a table that are not records: totals, footers, repeated headers, blank rows.

A row is left out only on evidence: columns that nearly every row fills are empty in it, and its
text is a word for a total or a phrase of a report, is below the table, or does not look like the
ids above it. A lead whose company is called "Total" has its other cells, so it stays.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from crm.arrays import Bools
from crm.cells import cell_number, cell_text, text_column
from crm.sources.findings import (
    BELOW,
    BLANK,
    COMMENT,
    HEADER_AGAIN,
    LABELS,
    TOTAL,
    Findings,
)
from crm.sources.header_names import HeaderNames
from crm.sources.looks import Look, find_look
from crm.sources.report_words import begins_with_total, is_measure, is_of_report, is_total

FILLED_SHARE: Final = 0.9  # of the rows, in a column that nearly every row fills
EDGE_ROWS: Final = 30  # rows at the top and the end that are checked one by one
LABEL_ROWS: Final = 3  # rows at the top that may be more names of the columns
LEAST_LABELS: Final = 2  # the least number of cells of such a row that differ from their columns
LEAST_NAMES: Final = 3  # columns of a second table below a blank line
LEAST_BELOW: Final = 3  # rows of it
LEARNED_ROWS: Final = 1_000
TAIL_ROWS: Final = 200  # rows at the end that may be text below the table
_AMOUNT: Final = re.compile(r"[^\w\s]?\s?([A-Z]{3})?\s?[-(]?\d[\d.,'’\s]*\)?\s?([A-Z]{3}|[%€$£¥])?")


class RowJudge:
    """The rule that decides which rows of a table are records.

    It learns from the first rows of the table which columns are nearly always filled, and how the
    cells of the first columns look.

    Parameters
    ----------
    header : sequence of str
        The column names as the source has them.
    first : DataFrame
        The first rows of the table; missing cells are missing, not empty text.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["L1", "L2", "Total"], "day": ["1.1.", "2.1.", None]})
    >>> findings = Findings("leads", "leads.csv")
    >>> judge = RowJudge(["id", "day"], table)
    >>> judge.records(table, lambda: [2, 3, 4], findings, is_first=True, is_last=True)
    array([ True,  True, False])
    >>> print(findings.left_out()[0])
    leads.csv: 1 row is left out (line 4): a total of other rows
    """

    def __init__(self, header: Sequence[str], first: pd.DataFrame) -> None:
        self.header = list(header)
        self.names = HeaderNames(header)
        rows: pd.DataFrame = first.iloc[:LEARNED_ROWS]
        is_filled = rows.notna().to_numpy(dtype=bool)
        self._continued = _filled_again(is_filled)
        is_plain = is_filled.sum(axis=1) > (1 if len(self.header) > 2 else 0)
        for row, cells in enumerate(rows.to_numpy(dtype=object).tolist()):
            _, text = _first_text(cells)
            if text is not None and (
                begins_with_total(text) or is_of_report(text) or self.names.is_again(_texts(cells))
            ):
                is_plain[row] = False
        if is_plain.any():
            rows, is_filled = rows[is_plain], is_filled[is_plain]
        share = is_filled.mean(axis=0) if len(rows) else np.zeros(len(self.header))
        self.always = [int(i) for i in np.flatnonzero(share >= FILLED_SHARE)]
        is_whole = rows.iloc[:, self.always].notna().all(axis=1)
        has_whole = 2 * int(is_whole.sum()) >= len(rows)
        self._rows: pd.DataFrame = rows.loc[is_whole] if has_whole else rows
        self._looks: dict[int, Look | None] = {}

    def is_alike(self, column: int, text: str) -> bool | None:
        """Return whether a text looks like the cells of a column; None if they differ too much."""
        look = self._look(column)
        return None if look is None else look.fits(text)

    def is_first_alike(self, first: int, text: str) -> bool | None:
        """Return whether the first filled cell of a row looks like its column; None if unclear.

        It is unclear beyond the third column, and if the row lacks an id that the other rows have.
        """
        return None if first > 2 or self._lacks_id(first) else self.is_alike(first, text)

    def _look(self, column: int) -> Look | None:
        if column not in self._looks:
            texts = text_column(self._rows.iloc[:, column])
            self._looks[column] = find_look([text for text in texts if text is not None])
        return self._looks[column]

    def n_alike(self, cells: Sequence[str]) -> tuple[int, int]:
        """Return how many cells look like their columns, and how many do not."""
        answers = [self.is_alike(i, cell) for i, cell in enumerate(cells) if cell]
        return answers.count(True), answers.count(False)

    def records(
        self,
        table: pd.DataFrame,
        lines: Callable[[], Sequence[int]],
        findings: Findings,
        *,
        is_first: bool,
        is_last: bool,
        gaps: Collection[int] = (),
        short: Collection[int] = (),
    ) -> Bools:
        """Return which rows are records, shape (n_rows,); add the other rows to `findings`.

        Parameters
        ----------
        table : DataFrame, shape (n_rows, n_columns)
        lines : callable
            Returns the line of each row. It is called only if a row is left out.
        findings : Findings
        is_first, is_last : bool
            Whether the table begins or ends with these rows.
        gaps : collection of int
            Rows with a blank line above them.
        short : collection of int
            Rows with fewer cells than the header.

        Raises
        ------
        SourceError
            If a row is the header of another table.
        """
        found: dict[int, str] = {}
        has_names = self._may_have_names(table)
        doubtful = np.flatnonzero(self._doubtful(table, is_first, is_last) | has_names)
        content = table.iloc[doubtful].to_numpy(dtype=object).tolist() if len(doubtful) else []
        for row, cells in zip(doubtful.tolist(), content, strict=True):
            if has_names[row]:
                self._check_header(table, row, lines, findings)
            reason = self._reason(cells, row in short)
            if reason is None and is_first and row < LABEL_ROWS and self._are_labels(cells):
                reason = LABELS
            if reason is not None:
                found[row] = reason
        self._find_titles(table, found, short)
        if is_last:
            self._find_text_below(table, found, gaps, short)
        for row in sorted(set(gaps) - found.keys()):
            if self._is_header_below(table, row):
                place = f"{findings.unit} {lines()[row]:,}"
                raise self.names.error(_texts(table.iloc[row].tolist()), 0, findings.file, place)
        keep = np.ones(len(table), dtype=bool)
        if found:
            numbers = lines()
            for row in sorted(found):
                findings.leave_out(found[row], [numbers[row]])
            keep[list(found)] = False
        return keep

    def _may_have_names(self, table: pd.DataFrame) -> Bools:
        """Return which rows may be another header; a row that begins with an id is not one."""
        may_be = np.ones(len(table), dtype=bool)
        look = self._look(0)
        if look is not None and isinstance(table.dtypes.iloc[0], pd.StringDtype):
            may_be = ~look.surely_fits(pa.array(table.iloc[:, 0]))
        rows = np.flatnonzero(may_be)
        if len(rows):  # a selection of no rows copies each column as well
            may_be[rows] = self.names.may_be_in(table.iloc[rows])
        return may_be

    def _doubtful(self, table: pd.DataFrame, is_first: bool, is_last: bool) -> Bools:
        """Return the rows to check one by one: rows with gaps, and rows at the top and the end."""
        n_empty = np.zeros(len(table), dtype=np.int64)
        for i in self.always:
            n_empty += table.iloc[:, i].isna().to_numpy(dtype=bool)
        doubtful = n_empty > max(0.0, (len(self.always) - 1) / 2)
        if len(self.always) < 2:
            doubtful |= table.notna().sum(axis=1).to_numpy() <= 1
        with_gap = np.flatnonzero(n_empty > 0)
        if len(with_gap) and self._look(0) is not None:  # words for totals do not look like ids
            texts = text_column(table.iloc[with_gap, 0])
            doubtful[
                [
                    row
                    for row, text in zip(with_gap.tolist(), texts, strict=True)
                    if text is not None and not self.is_alike(0, text)
                ]
            ] = True
        if is_first:
            doubtful[:EDGE_ROWS] = True
        if is_last:
            doubtful[-EDGE_ROWS:] = True
        return doubtful

    def _reason(self, cells: list[Any], is_short: bool) -> str | None:
        """Return why a row is not a record, at any place in the table; None if it may be one."""
        first, text = _first_text(cells)
        if text is None:
            return BLANK
        is_alike = self.is_first_alike(first, text)
        if self.names.is_again(_texts(cells)) and not is_alike:
            return HEADER_AGAIN
        if is_alike:
            return None
        is_sparse = self.is_sparse(cells, first)
        if self._is_total(cells, first, text):
            return TOTAL
        if is_alike is False and " " in text and is_of_report(text):
            return BELOW
        if is_alike is False and not is_short and sum(not _is_nothing(cell) for cell in cells) == 1:
            return BELOW  # the title of a group of rows
        if not is_sparse:
            return None
        if text.startswith("#"):
            return COMMENT
        return BELOW if is_of_report(text) else None

    def _is_total(self, cells: list[Any], first: int, text: str) -> bool:
        is_alike = self.is_first_alike(first, text)
        is_sum = self._is_sum(cells, first)
        if is_total(text):
            return is_alike is False or is_sum or self.is_sparse(cells, first)
        if not is_sum:
            return False
        if is_alike is False or self._lacks_id(first):
            return begins_with_total(text) or not any(map(str.isdigit, text))
        return is_measure(text)

    def _check_header(
        self, table: pd.DataFrame, row: int, lines: Callable[[], Sequence[int]], findings: Findings
    ) -> None:
        """Check that a row is not the header of another table, appended to this one."""
        texts = _texts(table.iloc[row].tolist())
        if self.names.is_again(texts):
            return
        position = self.names.misplaced(texts)
        n_alike, n_unlike = self.n_alike(texts)
        if position is None and n_unlike:
            position = self.names.renamed(texts)
        if position is not None and n_alike <= n_unlike and not self.is_alike(0, texts[0]):
            place = f"{findings.unit} {lines()[row]:,}"
            rows = table[self.names.may_be_in(table)].to_numpy(dtype=object).tolist()
            n_equal = [_texts(cells) for cells in rows].count(texts)
            raise self.names.error(texts, position, findings.file, place, n_equal)

    def _is_header_below(self, table: pd.DataFrame, row: int) -> bool:
        """Return whether a row below a blank line is the header of a second, narrower table.

        Its cells are different names. The rows below are not wider than it, and one of their
        columns has digits. The rows above are wider.
        """
        names = _texts(table.iloc[row].tolist())
        while names and not names[-1]:
            names.pop()
        width, below = len(names), table.iloc[row + 1 :]
        if len({*names} - {""}) < width or any(map(str.isdigit, "".join(names))):
            return False
        if not LEAST_NAMES <= width < table.shape[1] or len(below) < LEAST_BELOW or row == 0:
            return False
        is_wide = table.iloc[:, width:].notna().any(axis=1)
        if is_wide.iloc[row:].any() or is_wide.iloc[:row].mean() < FILLED_SHARE:
            return False
        texts = (text_column(column) for _, column in below.items())
        has_digit = ([any(map(str.isdigit, text or "")) for text in column] for column in texts)
        return any(np.mean(cells) >= FILLED_SHARE for cells in has_digit)

    def _are_labels(self, cells: list[Any]) -> bool:
        """Return whether a row names the types or the units of the columns."""
        texts = _texts(cells)
        unlike = [text for i, text in enumerate(texts) if text and self.is_alike(i, text) is False]
        n_alike, _ = self.n_alike(texts)
        is_id_unlike = self._look(0) is not None and not (texts[0] and self.is_alike(0, texts[0]))
        least = LEAST_LABELS if is_id_unlike else LEAST_LABELS + 1
        return not n_alike and len({*unlike}) >= least

    def is_sparse(self, cells: list[Any], first: int) -> bool:
        """Return whether a row lacks most of the usual cells; the cell `first` does not count."""
        others = [i for i in self.always if i != first]
        if not others:
            return len(cells) > 1 and sum(not _is_nothing(cell) for cell in cells) <= 1
        return 2 * sum(_is_nothing(cells[i]) for i in others) > len(others)

    def _is_sum(self, cells: list[Any], first: int) -> bool:
        """Return whether a row lacks usual cells, and its cells except `first` are amounts.

        A lead whose company is called "Total" has other cells too, such as its day of creation.
        """
        texts = [cell_text(cell) for i, cell in enumerate(cells) if i != first]
        filled = [text for text in texts if text is not None and any(map(str.isalnum, text))]
        lacks_usual = any(_is_nothing(cells[i]) for i in self.always if i != first)
        lacks_many = len(cells) > 2 and 2 * (len(filled) + 1) <= len(cells)
        return (lacks_usual or lacks_many) and bool(filled) and all(map(_is_amount, filled))

    def _find_titles(
        self, table: pd.DataFrame, found: dict[int, str], short: Collection[int]
    ) -> None:
        """Add the lines of text directly above a repeated header to `found`."""
        for header in [row for row, reason in found.items() if reason == HEADER_AGAIN]:
            for row in range(header - 1, -1, -1):
                texts = _texts(table.iloc[row].tolist())
                is_title = row in short and sum(map(bool, texts)) == 1 and bool(texts[0])
                if not is_title or self.is_first_alike(0, texts[0]):
                    break
                found.setdefault(row, BELOW)

    def _find_text_below(
        self,
        table: pd.DataFrame,
        found: dict[int, str],
        gaps: Collection[int],
        short: Collection[int],
    ) -> None:
        """Add the rows of text and sums below the last record to `found`."""
        tail: list[tuple[int, list[Any]]] = []
        for row in range(len(table) - 1, max(-1, len(table) - TAIL_ROWS), -1):
            cells = table.iloc[row].tolist()
            if row not in found and not self._is_odd(cells):
                break
            tail.append((row, cells))
        is_below = False
        for row, cells in reversed(tail):
            first, text = _first_text(cells)
            is_below = is_below or row in gaps or row in found
            is_filled = tuple(not _is_missing(cell) for cell in cells)
            if row in found or text is None or is_filled in self._continued:
                continue
            is_alike = self.is_first_alike(first, text)
            has_numbers_only = not any(
                math.isnan(cell_number(cell)) for cell in cells if not _is_missing(cell)
            )
            lacks_first = bool(self.always) and first > self.always[0]
            is_sum = has_numbers_only and (lacks_first or (not self.always and not is_alike))
            if is_sum or (is_alike is False and self._is_sum(cells, first)):
                found[row] = TOTAL
                continue
            is_unlike = is_alike is False and (" " in text.strip() or row not in short)
            if not is_alike and (is_below or is_unlike or self._lacks_id(first)):
                found[row] = BELOW

    def _is_odd(self, cells: list[Any]) -> bool:
        """Return whether a row is sparse, or is a sum whose first cell does not look like an id."""
        first, text = _first_text(cells)
        if text is None or self.is_sparse(cells, first):
            return True
        return self.is_first_alike(first, text) is False and self._is_sum(cells, first)

    def _lacks_id(self, first: int) -> bool:
        """Return whether a row that begins in column `first` lacks an id that the others have."""
        return first > 0 and 0 in self.always and self._look(0) is not None


def _filled_again(is_filled: Bools) -> set[tuple[bool, ...]]:
    """Return the patterns of filled cells that several rows without a first cell have.

    Exports of leads with several products write such rows below each lead. Rows at the end, such
    as the text below a table, do not count.
    """
    with_first = np.flatnonzero(is_filled[:, 0])
    between = is_filled[: with_first[-1]] if len(with_first) else is_filled[:0]
    kinds = Counter(map(tuple, between[~between[:, 0]].tolist()))
    return {kind for kind, count in kinds.items() if count > 1}


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NaT or cell is pd.NA or cell != cell


def _is_nothing(cell: Any) -> bool:
    """Return whether a cell is missing or contains only signs, such as "--"."""
    return _is_missing(cell) or (isinstance(cell, str) and not any(map(str.isalnum, cell)))


def _is_amount(text: str) -> bool:
    """Return whether a text is a number, with or without a unit, and not a date."""
    is_day = re.search(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?!\d)", text) is not None
    return _AMOUNT.fullmatch(text) is not None and not is_day


def _first_text(cells: list[Any]) -> tuple[int, str | None]:
    """Return the position and the text of the first filled cell; None if the row is blank."""
    for i, cell in enumerate(cells):
        text = cell_text(cell)
        if text is not None:
            return i, text
    return 0, None


def _texts(cells: Sequence[Any]) -> list[str]:
    return [cell_text(cell) or "" for cell in cells]
