"""Declares `ReadingNotes`, the notes about tables that are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crm.cells import folded_words
from crm.left_out import LISTED_LINES, LeftOutRows
from crm.project import Project, TableKeys
from crm.sources.source import lines_of, name_of


@dataclass
class ReadingNotes:
    """Notes about the tables of a project that are read: assumptions, repairs and rows left out.

    Attributes
    ----------
    folder : Path
        The folder of relative sources.
    nothing : frozenset of str
        The case-folded words that mean "no value", as the project file lists them.
    sentences : list of str
        Sentences about what was assumed or repaired.
    left_out : list of LeftOutRows
        Rows that are left out, by table and reason.
    days : dict of str to str
        The tables of events whose times are days without a clock, and the zone of these days.
    closing_zone : str or None
        The zone of closing dates without a clock.
    """

    folder: Path = Path()
    nothing: frozenset[str] = frozenset()
    sentences: list[str] = field(default_factory=list)
    left_out: list[LeftOutRows] = field(default_factory=list)
    days: dict[str, str] = field(default_factory=dict)
    closing_zone: str | None = None

    @classmethod
    def of_project(cls, project: Project) -> "ReadingNotes":
        """Return empty notes for the tables of a project."""
        nothing = folded_words(project.columns.nothing)
        return cls(folder=project.folder, nothing=nothing)

    def leave_out(self, table: str, keys: TableKeys, rows: Sequence[int], reason: str) -> None:
        """Add rows that are left out; `rows` are their positions in the source, from 0."""
        lines, unit = self.lines(keys, rows)
        self.left_out.append(
            LeftOutRows(table, name_of(keys), reason, len(rows), lines[:LISTED_LINES], unit)
        )

    def lines(
        self, keys: TableKeys, rows: Sequence[int]
    ) -> tuple[tuple[int, ...], Literal["line", "row"]]:
        """Return where the first rows are in their source, and what the numbers count.

        Parameters
        ----------
        keys : TableKeys
        rows : sequence of int
            Positions in the table as it was read, from 0.
        """
        lines, unit = lines_of(keys, self.folder, rows[:LISTED_LINES])
        return tuple(lines), unit
