"""Rows of a table with their lines, and chunks of such rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm.arrays import Bools


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, in the order of the source.

    Attributes
    ----------
    table : DataFrame
        Missing cells are missing, not empty text.
    lines : callable
        Returns the number of each row: its line, or its row in a sheet. It may be slow.
    """

    table: pd.DataFrame
    lines: Callable[[], Sequence[int]]

    def only(self, keep: Bools) -> "Rows":
        """Return the rows where `keep` is true."""
        if keep.all():
            return self
        return Rows(
            self.table[keep].reset_index(drop=True),
            lambda: np.asarray(self.lines())[keep].tolist(),
        )


def in_chunks(tables: Iterator[pd.DataFrame], chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Join tables, and split them again into chunks of `chunk_rows` rows."""
    pending: list[pd.DataFrame] = []
    n_pending = 0
    for table in tables:
        if not len(table):
            continue
        pending.append(table)
        n_pending += len(table)
        if n_pending < chunk_rows:
            continue
        rows = _joined(pending)
        n_whole = n_pending - n_pending % chunk_rows
        for start in range(0, n_whole, chunk_rows):
            yield rows.iloc[start : start + chunk_rows].reset_index(drop=True)
        pending = [rows.iloc[n_whole:].reset_index(drop=True)] if n_whole < n_pending else []
        n_pending -= n_whole
    if n_pending:
        yield _joined(pending)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
