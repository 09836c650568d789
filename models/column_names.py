"""Finds a model's columns under names that differ in case, spaces or punctuation only."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.cells import cell_text, text_column

MEANINGFUL: Final = frozenset("%#&@*")  # punctuation that distinguishes columns


class ColumnNames:
    """The names of the columns that a model knows, and how other names match them.

    A name matches a known column if the two are equal without case, spaces and punctuation, no
    other known column is equal to it, and the lead or table has no column with the known column's
    own name. If several names match one column, the first filled cell is used. A lead in a table
    has the same cells as in a request.

    Parameters
    ----------
    known : collection of str
    """

    def __init__(self, known: Collection[str]) -> None:
        self.known = frozenset(known)

    @cached_property
    def _column_of_bare(self) -> dict[str, str]:
        by_bare: dict[str, list[str]] = {}
        for column in sorted(self.known):
            by_bare.setdefault(_bare(column), []).append(column)
        return {bare: columns[0] for bare, columns in by_bare.items() if bare and len(columns) == 1}

    def matches(self, names: Collection[str]) -> dict[str, str]:
        """Return the known column of each name that is not known itself but matches one.

        Examples
        --------
        >>> ColumnNames(["Lead Source", "Size"]).matches(["lead_source", "Size", "City"])
        {'lead_source': 'Lead Source'}
        >>> ColumnNames(["Lead Source"]).matches(["lead_source", "Lead Source"])
        {}
        """
        return {
            name: column
            for name in names
            if (column := self.column_of(name)) is not None and column not in names
        }

    def column_of(self, name: str) -> str | None:
        """Return the known column that a name means without being its own name; otherwise None.

        Examples
        --------
        >>> names = ColumnNames(["Lead Source"])
        >>> names.column_of("LEAD_SOURCE"), names.column_of("Lead Source")
        ('Lead Source', None)
        """
        return None if name in self.known else self._column_of_bare.get(_bare(name))

    def used_names(self, cells: Mapping[str, Any]) -> dict[str, str]:
        """Return the name that is read for each known column that a lead has under other names.

        Examples
        --------
        >>> ColumnNames(["City"]).used_names({"CITY": None, "city": "Graz", "city ": "Bonn"})
        {'City': 'city'}
        """
        used: dict[str, str] = {}
        for name, column in self.matches(cells.keys()).items():
            if column not in used or cell_text(cells[used[column]]) is None:
                used[column] = name
        return used

    def of_lead(self, cells: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the cells of a lead under the names of the known columns.

        Examples
        --------
        >>> ColumnNames(["Lead Source"]).of_lead({"lead source": "Web", "City": "Graz"})
        {'City': 'Graz', 'Lead Source': 'Web'}
        """
        if cells.keys() <= self.known or not (matches := self.matches(cells.keys())):
            return cells
        renamed = {name: cell for name, cell in cells.items() if name not in matches}
        return renamed | {column: cells[name] for column, name in self.used_names(cells).items()}

    def of_table(self, leads: pd.DataFrame) -> pd.DataFrame:
        """Return a table whose matching columns have the names of the known columns."""
        matches = self.matches([name for name in leads.columns if isinstance(name, str)])
        if not matches:
            return leads
        names_of: dict[str, list[str]] = {}
        for name, column in matches.items():
            names_of.setdefault(column, []).append(name)
        renamed = leads.drop(columns=list(matches))
        for column, names in names_of.items():
            renamed[column] = leads[names[0]] if len(names) == 1 else _combined(leads, names)
        return renamed


def _combined(leads: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Combine the columns that match one known column: the first filled cell of each row."""
    cells = np.full(len(leads), None, dtype=object)
    is_open = np.ones(len(leads), dtype=bool)
    for name in names:
        is_filled = pd.Series(text_column(leads[name])).notna().to_numpy()
        cells[is_open & is_filled] = leads[name].to_numpy(dtype=object)[is_open & is_filled]
        is_open &= ~is_filled
    return pd.Series(cells, index=leads.index, dtype=object)


def _bare(name: str) -> str:
    """Return a name without case, spaces and punctuation; signs such as % and $ stay."""
    return "".join(
        character
        for character in name.casefold()
        if character in MEANINGFUL
        or not (character.isspace() or unicodedata.category(character).startswith("P"))
    )
