"""Declares `Findings`, the notes about a table that is read from a source."""

from collections.abc import Iterable
from typing import Final, Literal

from crm.left_out import LISTED_LINES, LeftOutRows, listed_lines

ABOVE: Final = "text above the column names"
BELOW: Final = "text of the report around the table, not a record"
BLANK: Final = "blank"
COMMENT: Final = "a comment"
DELIMITER: Final = "the line that names the delimiter"
HEADER_AGAIN: Final = "the column names again"
LABELS: Final = "more names, types or units of the columns"
TOTAL: Final = "a total of other rows"


class Findings:
    """Notes about a table that is read: rows left out, rows completed, and sentences.

    Parameters
    ----------
    table : str
        "leads", "activities", "stages" or "outcomes".
    file : str
        The name of the source in messages.
    unit : {"line", "row"}
        The unit of the numbers of rows: lines of a text, or rows of the table.
    """

    def __init__(self, table: str, file: str, unit: Literal["line", "row"] = "line") -> None:
        self.table, self.file, self.unit = table, file, unit
        self.notes: list[str] = []
        self.delimiter = ""  # of a CSV file
        self._left_out: dict[str, _Places] = {}
        self._short = _Places()

    def leave_out(self, reason: str, places: Iterable[int]) -> None:
        """Count rows that are left out for a reason; `places` are their numbers."""
        self._left_out.setdefault(reason, _Places()).add(places)

    def complete(self, places: Iterable[int]) -> None:
        """Count rows with fewer cells than the header; `places` are their numbers."""
        self._short.add(places)

    def note(self, sentence: str) -> None:
        """Add a sentence about the source, once."""
        sentence = f"{self.file}: {sentence}"
        if sentence not in self.notes:
            self.notes.append(sentence)

    def left_out(self) -> list[LeftOutRows]:
        """Return the rows that were left out so far, by reason, sorted by the first row of each."""
        return [
            LeftOutRows(
                self.table, self.file, reason, found.count, tuple(sorted(found.lines)), self.unit
            )
            for reason, found in sorted(
                self._left_out.items(), key=lambda item: min(item[1].lines, default=0)
            )
        ]

    def sentences(self) -> list[str]:
        """Return the notes so far, with the count of completed rows."""
        if not self._short.count:
            return self.notes
        rows = "1 row has" if self._short.count == 1 else f"{self._short.count:,} rows have"
        unit = self.unit if self._short.count == 1 else f"{self.unit}s"
        shown = listed_lines(self._short.lines, self._short.count)
        return [
            *self.notes,
            f"{self.file}: {rows} fewer cells than the header ({unit} {shown}). "
            "The missing cells are empty.",
        ]


class _Places:
    """A count of rows, and the numbers of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.lines: list[int] = []

    def add(self, places: Iterable[int]) -> None:
        for place in places:
            self.count += 1
            if len(self.lines) < LISTED_LINES:
                self.lines.append(int(place))
