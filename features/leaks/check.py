"""Defines a numbered check of the leak audit, and what the checks share.

The thresholds of the checks were chosen on public data with known leaks: 202 attributes, 29 of
which leak. By itself, the strongest honest attribute in these data ranks 79 % of the pairs of leads
of the same time correctly. Where a margin is thin, the lower bound of the measured share must pass
as well, so with few leads the verdict is suspect at most.

To add a check, write one function under `@check(number, title)` in a module of
`features/leaks/checks/`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from features.intervals import wilson
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads

MIN_OUTCOMES = 10  # leads of the rarer outcome, for the checks that compare outcomes
MIN_OUTCOMES_OF_LEAK = 30  # leads of the rarer outcome, to call a column a leak


class Verdict(StrEnum):
    """The result of a check, or of an audit, for one column."""

    LEAK = "leak"
    SUSPECT = "suspect"
    FINE = "fine"


@dataclass(frozen=True)
class Finding:
    """The result of one check of one column.

    Attributes
    ----------
    number : str
        The number of the check, a key of `features.leaks.registry.CHECKS`.
    verdict : Verdict
        FINE if the finding is for information only.
    evidence : str
        A sentence with the figures.
    """

    number: str
    verdict: Verdict
    evidence: str


ColumnCheck = Callable[[AuditedColumn, AuditedLeads], tuple[Verdict, str] | None]
ModelCheck = Callable[
    [Sequence[AuditedColumn], AuditedLeads], Iterator[tuple[str, tuple[Verdict, str]]]
]


@dataclass(frozen=True)
class Check:
    """A declared check.

    Attributes
    ----------
    number : str
        A number that is never reused.
    title : str
        One sentence about a column that the check finds.
    of_column : callable or None
        Checks one column; returns a verdict and the evidence, or None.
    of_all : callable or None
        Checks all columns together; yields the name of a column, its verdict and the evidence.
    compares_outcomes : bool
        True if the check needs at least `MIN_OUTCOMES` leads of either outcome.
    finds_closing : bool
        True if the check finds columns that are filled, emptied or changed when a lead is closed.
    """

    number: str
    title: str
    of_column: ColumnCheck | None = None
    of_all: ModelCheck | None = None
    compares_outcomes: bool = False
    finds_closing: bool = False


def check(
    number: str, title: str, compares_outcomes: bool = False, finds_closing: bool = False
) -> Callable[[ColumnCheck], Check]:
    """Declare a function as a check of one column."""

    def declare(function: ColumnCheck) -> Check:
        return Check(
            number=number,
            title=title,
            of_column=function,
            compares_outcomes=compares_outcomes,
            finds_closing=finds_closing,
        )

    return declare


def check_together(number: str, title: str) -> Callable[[ModelCheck], Check]:
    """Declare a function as a check of all columns together."""

    def declare(function: ModelCheck) -> Check:
        return Check(number=number, title=title, of_all=function)

    return declare


def leak_or_suspect(leads: AuditedLeads, is_leak: bool) -> Verdict:
    """Return LEAK only if there are enough leads of the rarer outcome."""
    has_enough = leads.by_outcome.rarer >= MIN_OUTCOMES_OF_LEAK
    return Verdict.LEAK if is_leak and has_enough else Verdict.SUSPECT


def of_the_same_time(leads: AuditedLeads) -> str:
    """Return the words that follow a comparison of leads, if it was made within slices of time."""
    return " of the same time" if leads.in_order else ""


def lower_bound(hits: float, count: int) -> float:
    """Compute the lower bound of a share; z is 1.96, with which the thresholds were chosen."""
    return wilson(hits / max(1, count), count, z=1.96)[0]


def rounded(share: float) -> str:
    """Format a share in whole percent; "100%" and "0%" mean all and none.

    Examples
    --------
    >>> rounded(0.914), rounded(841 / 842), rounded(1.0), rounded(0.001), rounded(0.0)
    ('91%', 'more than 99%', '100%', 'less than 1%', '0%')
    """
    text = f"{share:.0%}"
    if text == "100%" and not math.isclose(share, 1.0):
        return "more than 99%"
    return "less than 1%" if text == "0%" and not math.isclose(share, 0.0, abs_tol=1e-9) else text
