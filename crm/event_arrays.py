"""Events as arrays, sorted by lead and then by time, before any model reads them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm.arrays import Codes, Indexes, Ints
from crm.cells import distinct_cells, text_column
from crm.tables import EVENT_TABLES
from crm.times import microseconds

TEXTS = {"activities": ("type", "channel", "content"), "stages": ("stage",)}


@dataclass(frozen=True)
class CodedTexts:
    """The texts of a column of events.

    Attributes
    ----------
    codes : ndarray of int32, shape (n,)
        The position of each event's text in `texts`; -1 if the cell is empty.
    texts : list of str
        The distinct texts, by the rule of `crm.cells.cell_text`.
    """

    codes: Codes
    texts: list[str]

    @classmethod
    def of_column(cls, column: pd.Series) -> "CodedTexts":
        """Read a column.

        Examples
        --------
        >>> coded = CodedTexts.of_column(pd.Series(["call", None, " call ", "e-mail"]))
        >>> coded.codes.tolist(), coded.texts
        ([0, -1, 0, 1], ['call', 'e-mail'])
        """
        positions, cells = distinct_cells(column)
        code_of_cell, texts = pd.factorize(text_column(cells))
        return cls(code_of_cell.astype(np.int32)[positions], [*map(str, texts)])


@dataclass(frozen=True)
class EventArrays:
    """The events of one table, sorted by lead and, within a lead, by time.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        The position of the lead, ascending.
    at : ndarray of int64, shape (n,)
        The time in microseconds since 1970 UTC.
    texts : mapping of str to CodedTexts
        The columns of texts that features read. Columns that the table lacks are absent.
    """

    lead: Ints
    at: Ints
    texts: Mapping[str, CodedTexts]

    def codes(self, column: str) -> Codes:
        """Return the position of each event's text in `distinct_texts`; -1 for empty cells."""
        if column not in self.texts:
            return np.full(len(self.at), -1, dtype=np.int32)
        return self.texts[column].codes

    def distinct_texts(self, column: str) -> list[str]:
        """Return the distinct texts of a column; none if the table lacks the column."""
        return self.texts[column].texts if column in self.texts else []

    @classmethod
    def of_table(cls, table: pd.DataFrame, name: str, lead: Ints) -> "EventArrays":
        """Convert a table of events.

        Parameters
        ----------
        table : DataFrame, n rows
            As `crm.reading` returns it.
        name : str
            "activities" or "stages".
        lead : ndarray of int64, shape (n,)
            The position of the lead of each row; rows with -1 are left out.
        """
        at = microseconds(table[EVENT_TABLES[name].event_time])
        known = np.flatnonzero(lead >= 0)
        rows = known[in_order(lead[known], at[known])]
        texts: dict[str, CodedTexts] = {}
        for column in TEXTS[name]:
            if column in table:  # all rows are read, because texts need more memory than codes
                coded = CodedTexts.of_column(table[column])
                texts[column] = CodedTexts(coded.codes[rows], coded.texts)
        return cls(lead[rows], at[rows], texts)


def in_order(lead: Ints, at: Ints) -> Indexes:
    """Return the order of events by lead and then by time; events that are equal keep theirs.

    Tables are usually in the order of time for each lead already, which takes one sort.

    Examples
    --------
    >>> in_order(np.array([1, 0, 1]), np.array([8, 9, 7])).tolist()
    [1, 2, 0]
    """
    order = np.argsort(lead, kind="stable")
    lead, at = lead[order], at[order]
    if ((lead[1:] == lead[:-1]) & (at[1:] < at[:-1])).any():
        order = order[np.lexsort((at, lead))]
    return order
