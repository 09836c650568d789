"""Finds rows of a table that contain names of its columns: its header again, or another header."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools
from crm.errors import SourceError
from crm.text import quote

_AROUND = "\ufeff\"'“”`"  # marks around a name in a file that was appended to another file


class HeaderNames:
    """The names of a header, to compare rows with.

    Parameters
    ----------
    header : sequence of str
        The names as the source has them.

    Examples
    --------
    >>> names = HeaderNames(["Id", "Source", "Won"])
    >>> names.is_again(["ID", "source", "Won"]), names.misplaced(["Id", "Won", "Source"])
    (True, 1)
    >>> names.renamed(["Id", "Source", "Outcome"]), names.renamed(["17", "Source", "yes"])
    (2, None)
    """

    def __init__(self, header: Sequence[str]) -> None:
        self._header = list(header)
        self._keys = [_key(name) for name in header]
        self._names = {*self._keys} - {""}
        written = {" ".join(name.split()) for name in header} | {*header}
        forms = {form(name) for name in written for form in (str, str.lower, str.upper, str.title)}
        self._forms = pa.array(sorted(forms | {f"\ufeff{name}" for name in forms}))

    def may_be_in(self, table: pd.DataFrame) -> Bools:
        """Return for each row whether at least half of its filled cells are names of columns."""
        n_names = np.zeros(len(table), dtype=np.int64)
        n_filled = np.zeros(len(table), dtype=np.int64)
        for i in range(table.shape[1]):
            column = table.iloc[:, i]
            n_filled += column.notna().to_numpy(dtype=bool)
            if column.dtype == object:
                n_names += column.isin(self._forms.to_pylist()).to_numpy(dtype=bool)
            elif isinstance(column.dtype, pd.StringDtype):
                cells = pa.array(column)
                n_names += pc.is_in(cells, self._forms.cast(cells.type)).to_numpy(False)
        return (n_names > 0) & (2 * n_names >= n_filled)

    def is_again(self, cells: Sequence[str]) -> bool:
        """Return whether the cells are the whole header, or at least its first half."""
        keys = [_key(cell) for cell in cells]
        while keys and not keys[-1]:
            keys.pop()
        n_named = sum(map(bool, self._keys))
        is_part = len(keys) < len(self._keys) and 2 * len(keys) > n_named and bool(keys[0])
        return keys == self._keys[: len(keys)] and (is_part or sum(map(bool, keys)) == n_named > 0)

    def misplaced(self, cells: Sequence[str]) -> int | None:
        """Return the position of the first name that is not in its own column.

        None if every name is in its own column, or if most cells are not names of columns.
        """
        keys = self._of_header(cells)
        for i, key in enumerate(keys):
            if key in self._names and key != self._key_of(i):
                return i
        return None

    def renamed(self, cells: Sequence[str]) -> int | None:
        """Return the position of the first cell that is not the name of its column.

        None if every cell is, or if most cells are not names of columns.
        """
        for i, key in enumerate(self._of_header(cells)):
            if key and key != self._key_of(i):
                return i
        return None

    def error(
        self, cells: Sequence[str], position: int, file: str, place: str, n_equal: int = 1
    ) -> SourceError:
        """Build the error about a row that is another header, of `n_equal` equal ones.

        `place` is, for example, "line 7".
        """
        above = self._header[position] if position < len(self._header) else ""
        column = quote(above) if above else f"{position + 1:,}"
        start = (
            f"{file}: {place} looks like the header of another table: {quote(cells[position])} is "
            f"in column {column}."
        )
        if n_equal > 1:
            return SourceError(
                f"{start} {n_equal:,} rows are this header. If the export contains subitems of "
                "each item, as boards of monday.com do, export the items without their subitems."
            )
        return SourceError(
            f"{start} Save {place} and the rows below it as another file, or write "
            "them in the order of the first header."
        )

    def _key_of(self, position: int) -> str:
        return self._keys[position] if position < len(self._keys) else ""

    def _of_header(self, cells: Sequence[str]) -> list[str]:
        """Return the keys of the cells if at least half of them are names; otherwise no keys."""
        keys = [_key(cell) for cell in cells]
        n_filled = sum(map(bool, keys))
        n_names = len(self._names & {*keys})
        return keys if n_names >= 2 and 2 * n_names >= n_filled else []


def _key(name: str) -> str:
    return " ".join(name.strip().strip(_AROUND).split()).casefold()
