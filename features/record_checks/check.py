"""Defines a numbered record check.

To add a check, write one function under `@check(number, title)` in a module of
`features/record_checks/checks/`. A check is a question to the person who knows the CRM. It asks
only if the counts leave little doubt, because people do not read long lists.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from crm.arrays import Bools, Ints
from features.record_checks.tables import ReadTable, ReadTables


@dataclass(frozen=True)
class Finding:
    """A question that a check asks about records.

    Attributes
    ----------
    table : ReadTable
        The table that the question is about.
    question, evidence, to_do : str
        One to three sentences each.
    rows : ndarray of int64
        The rows that the question is about; empty if it is not about some rows.
    """

    table: ReadTable
    question: str
    evidence: str
    to_do: str
    rows: Ints = field(default_factory=lambda: np.array([], dtype=np.int64))


FindingsOf = Callable[[ReadTables], Iterator[Finding]]


@dataclass(frozen=True)
class RecordCheck:
    """A declared check.

    Attributes
    ----------
    number : str
        A number that is never reused.
    title : str
        One sentence about the records that the check finds.
    run : callable
        Yields a finding for each question.
    """

    number: str
    title: str
    run: FindingsOf


def check(number: str, title: str) -> Callable[[FindingsOf], RecordCheck]:
    """Declare a function as a record check."""

    def declare(function: FindingsOf) -> RecordCheck:
        return RecordCheck(number, title, function)

    return declare


def rows_of(is_chosen: Bools) -> Ints:
    """Return the positions of the chosen rows."""
    return np.flatnonzero(is_chosen)


def share(part: float, whole: float) -> str:
    """Write a part of a whole in words.

    Examples
    --------
    >>> share(5, 20), share(1, 2_000)
    ('25 %', 'less than 1 %')
    """
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 1:
        return "less than 1 %"
    return "more than 99 %" if 99 < percent < 100 else f"{percent:.0f} %"
