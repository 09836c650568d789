"""Rows of a table that are left out: how many, which, and why."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

LISTED_LINES: Final = 20  # of each reason; all rows are counted


class LeftOutRows(msgspec.Struct, frozen=True):
    """Rows that are left out of a table for one reason.

    Attributes
    ----------
    table : str
        "leads", "activities", "stages" or "outcomes".
    file : str
        The name of the source, as in messages.
    reason : str
        What is wrong with the rows, as the end of the sentence "3 rows are left out: …".
    count : int
    lines : tuple of int
        Where the first `LISTED_LINES` of the rows are, from 1. Rows of the ledger have none.
    unit : {"line", "row"}
        What `lines` counts: lines of a text file, the header included, or rows of a table
        without lines, the header excluded.
    """

    table: str
    file: str
    reason: str
    count: int
    lines: tuple[int, ...]
    unit: Literal["line", "row"] = "line"

    def __str__(self) -> str:
        """Return the sentence for people.

        Examples
        --------
        >>> print(LeftOutRows("leads", "leads.csv", "they have no Created At", 3, (5, 9, 77)))
        leads.csv: 3 rows are left out (lines 5, 9, 77): they have no Created At
        """
        rows = "1 row is" if self.count == 1 else f"{self.count:,} rows are"
        unit = self.unit if self.count == 1 else f"{self.unit}s"
        where = f" ({unit} {listed_lines(self.lines, self.count)})" if self.lines else ""
        return f"{self.file}: {rows} left out{where}: {self.reason}"


def left_out_rows(left_out: Iterable[LeftOutRows]) -> list[dict[str, Any]]:
    """Return rows that are left out as plain data, one object for each table and reason.

    Examples
    --------
    >>> left_out_rows([LeftOutRows("leads", "leads.csv", "`Id` is empty", 1, (5,))])[0]["lines"]
    [5]
    """
    return [
        {**msgspec.structs.asdict(rows), "lines": list(rows.lines), "sentence": str(rows)}
        for rows in left_out
    ]


def listed_lines(lines: Sequence[int], count: int) -> str:
    """Return the first few numbers of lines in words.

    Examples
    --------
    >>> listed_lines((2, 3, 4, 5, 6, 7, 8), 30)
    '2, 3, 4, 5, 6, …'
    """
    shown = ", ".join(f"{line:,}" for line in lines[:5])
    return f"{shown}, …" if count > min(5, len(lines)) else shown
