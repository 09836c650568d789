"""Sorts the values of an outcome into won, lost and open."""

import re
from typing import NamedTuple

import numpy as np

from crm.cells import cell_number
from crm.text import words_of
from drafting.nothing_words import is_nothing
from drafting.samples import Column

MAX_VALUES = 30
WON_VALUE = (
    r"^(yes|y|true|t|ok)$|\b(won|win|approved|converted|accepted|sold|customer|signed|"
    r"purchased|bought|subscribed|enrolled|granted|funded|success(ful)?)\b"
)
LOST_VALUE = (
    r"^(no|n|false|f|dead|junk)$|\b(not|non|never|lost|declined|rejected|refused|"
    r"cancell?ed|denied|disqualified|unqualified|unsuccessful|failed|failure|abandoned|"
    r"expired|withdrawn|churned)\b"
)
OPEN_VALUE = r"\b(open|pending|new|progress|working|active|hold|waiting|negotiation)\b"


class OutcomeWords(NamedTuple):
    """The values of an outcome, by what they mean.

    Attributes
    ----------
    won, lost, still_open : list of str
    guess : str
        A sentence about what was guessed; empty if nothing was guessed.
    """

    won: list[str]
    lost: list[str]
    still_open: list[str]
    guess: str


def sort_values(column: Column) -> OutcomeWords | None:
    """Sort the values of an outcome into won, lost and open; return None if no value means won.

    If values differ only in case, the most frequent spelling is used. If there are two values
    and none means won, the rarer unclear value is guessed to mean won, unless it sounds open.
    """
    if len(column.counts) > MAX_VALUES:
        return None
    spellings: dict[str, str] = {}
    for value in column.counts.index:  # the most frequent first
        spellings.setdefault(value.casefold(), value)
    values = list(spellings.values())
    binary = {cell_number(value) for value in values} <= {-1.0, 0.0, 1.0}
    means = {value: _meaning(value, binary) for value in values}
    won, lost, unclear = ([v for v in values if means[v] == word] for word in ("won", "lost", None))
    guess = ""
    can_guess = not won and len(unclear) > 0 and len(values) == 2
    if can_guess and not re.search(OPEN_VALUE, words_of(unclear[-1])):
        won = [unclear.pop()]
        guess = "no value means won, so the rarer of the unclear values was taken"
    if won and not lost and len(unclear) == 1 and not is_nothing(unclear[0]):
        lost, unclear = unclear, []
        guess = guess or "no value means lost, so the other value was taken"
    return OutcomeWords(won, lost, unclear, guess) if won else None


def _meaning(value: str, binary: bool) -> str | None:
    if np.isfinite(number := cell_number(value)):
        return ("won" if number == 1 else "lost") if binary else None
    if re.search(LOST_VALUE, words_of(value)):
        return "lost"
    return "won" if re.search(WON_VALUE, words_of(value)) else None
