"""Sorts the values of an outcome into won, lost, open, and not clear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crm.cells import cell_number
from crm.errors import ConfigError
from crm.suggest import nearest
from crm.text import quote
from drafting.nothing_words import is_nothing
from drafting.outcome_meaning import (
    CODE,
    UNKNOWN,
    Meaning,
    is_negated_win,
    meaning_of,
    yes_means_lost,
)
from drafting.role_names import CLEAR_OUTCOME_NAMES, rank
from drafting.samples import Column

MAX_VALUES = 200
MARKS = {"x": "won", "checked": "won", "unchecked": "lost"}  # in columns without other values
EVERY_ROW = "won"  # the outcome of each row of a table of wins without a column of outcomes
MAX_UNKNOWN = 30  # values that are not clear, unless others clearly mean won and lost


@dataclass(frozen=True)
class OutcomeWords:
    """The values of an outcome, by what they mean.

    Attributes
    ----------
    won, lost, still_open : list of str
    unclear : dict of str to str
        The values that are not clear, and why.
    guess : str
        A sentence about what was guessed; empty if nothing was guessed.
    notes : dict of str to str
        Remarks about some values.
    known_share : float
        The share of filled rows whose value is clear without a guess, from 0 to 1.
    is_yes_or_no : bool
        True if won and lost are yes and no, so that the name of the column decides what they mean.
    """

    won: list[str]
    lost: list[str]
    still_open: list[str]
    unclear: dict[str, str] = field(default_factory=dict)
    guess: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    known_share: float = 1.0
    is_yes_or_no: bool = False

    @property
    def open(self) -> list[str]:
        """The values for the list `open`: those that are still open, and those not clear."""
        return [*self.still_open, *self.unclear]

    def outcomes(self, column: Column) -> list[str]:
        """Return "won", "lost" or "" for each row of the column."""
        known = {value.casefold(): "won" for value in self.won}
        known |= {value.casefold(): "lost" for value in self.lost}
        return [known.get((text or "").casefold(), "") for text in column.texts]


def sort_values(column: Column) -> OutcomeWords | None:
    """Sort the values of an outcome by their words; return None if no value means won.

    If values differ only in case, the most frequent spelling is used. If no value means won, one is
    guessed: the value that means won in some companies, or an unknown value beside one that means
    lost. Of two unknown values, the rarer one is guessed, if the column clearly has the name of an
    outcome.

    Examples
    --------
    >>> import pandas as pd
    >>> words = sort_values(Column(pd.Series(["Won", "Lost", "New", "Blue"], name="status")))
    >>> words.won, words.lost, words.still_open, words.unclear
    (['Won'], ['Lost'], ['New'], {'Blue': 'its words are not known'})
    """
    if not 0 < len(column.counts) <= MAX_VALUES:
        return None
    meanings = _meanings(column)
    lists: dict[str | None, list[str]] = {"won": [], "lost": [], "open": [], None: []}
    for value, meaning in meanings.items():
        lists[meaning.outcome].append(value)
    if len(lists[None]) > MAX_UNKNOWN and not (lists["won"] and lists["lost"]):
        return None
    is_clear_name = rank("outcome", column.name) < CLEAR_OUTCOME_NAMES
    guess = _guess(lists, meanings, is_clear_name)
    if not lists["won"]:
        return None
    return OutcomeWords(
        won=lists["won"],
        lost=lists["lost"],
        still_open=lists["open"],
        unclear={value: meanings[value].why for value in lists[None]},
        guess=guess,
        notes={
            value: _note(meaning) for value, meaning in meanings.items() if value not in lists[None]
        },
        known_share=_known_share(column, meanings),
        is_yes_or_no=any(meanings[value].is_yes_or_no for value in lists["won"]),
    )


def declared_values(column: Column, won: Sequence[str], lost: Sequence[str]) -> OutcomeWords | None:
    """Sort the values of an outcome as a person declared them, and the others by their words.

    Parameters
    ----------
    column : Column
    won, lost : sequence of str
        The values that mean won and lost. If one list is given, no other value has its meaning.

    Returns
    -------
    OutcomeWords or None
        None if no value means won.

    Raises
    ------
    ConfigError
        If the column has no such value, or a value is in both lists.
    """
    spelling = {value.casefold(): value for value in reversed(column.counts.index.tolist())}
    declared: dict[str, str] = {}
    for option, values in (("won", won), ("lost", lost)):
        for value in values:
            found = spelling.get(" ".join(value.split()).casefold())
            if found is None:
                raise ConfigError(
                    f"The column {quote(column.name)} has no value {quote(value)} (--{option}). "
                    f"{nearest(value, list(spelling.values()))}"
                )
            if declared.setdefault(found, option) != option:
                raise ConfigError(f"{quote(found)} cannot be both --won and --lost.")
    meanings = _meanings(column)
    words = OutcomeWords([], [], [], notes=dict.fromkeys(declared, "as declared"))
    for value, meaning in meanings.items():
        outcome = declared.get(value, meaning.outcome)
        is_excluded = value not in declared and (
            (outcome == "won" and won) or (outcome == "lost" and lost)
        )
        if outcome is None or is_excluded:
            why = f"its words mean {outcome}, but --{outcome} does not name it"
            words.unclear[value] = why if outcome else meaning.why
        else:
            {"won": words.won, "lost": words.lost, "open": words.still_open}[outcome].append(value)
    return words if words.won else None


def _meanings(column: Column) -> dict[str, Meaning]:
    """Return the meaning of each value, the most frequent value and spelling first."""
    spellings: dict[str, str] = {}
    for value in column.counts.index:
        spellings.setdefault(value.casefold(), value)
    values = list(spellings.values())
    meanings = {value: meaning_of(value, column.words) for value in values}
    has_codes = any(meaning.why == CODE for meaning in meanings.values())
    numbers = {cell_number(value) for value in values}
    if not has_codes and numbers <= {-1.0, 0.0, 1.0}:
        yes = -1.0 if numbers == {-1.0, 0.0} else 1.0  # Access writes -1 for yes
        for value in values:
            outcome = "won" if cell_number(value) == yes else "lost"
            meanings[value] = Meaning(outcome, is_yes_or_no=True)
        return _by_name(meanings, column.name)
    filled = [value for value in values if not is_nothing(value)]
    if all(value.casefold() in MARKS for value in filled):
        for value in filled:
            meanings[value] = Meaning(MARKS[value.casefold()], is_yes_or_no=True)
    for value in values:  # a number that is not yes or no means nothing, except as a known code
        if np.isfinite(cell_number(value)) and meanings[value].is_yes_or_no:
            meanings[value] = Meaning(None, UNKNOWN)
    return _by_name(meanings, column.name)


def _by_name(meanings: dict[str, Meaning], name: str) -> dict[str, Meaning]:
    """Return what yes and no mean in a column such as "Not won", where a yes means lost."""
    if not yes_means_lost(name):
        return meanings
    likely = "won" if is_negated_win(name) else None
    of_no = Meaning(None, "a lead that is not lost can be won or open", likely=likely)
    of_yes = Meaning("lost", is_yes_or_no=True)
    return {
        value: (of_yes if meaning.outcome == "won" else of_no) if meaning.is_yes_or_no else meaning
        for value, meaning in meanings.items()
    }


def _note(meaning: Meaning) -> str:
    """Return the remark about a value that is won, lost or open, perhaps as a guess."""
    return meaning.why if meaning.outcome else f"CHECK: {meaning.why}"


def _guess(
    lists: dict[str | None, list[str]], meanings: Mapping[str, Meaning], is_clear_name: bool
) -> str:
    """Move values whose meaning can be guessed out of the unclear ones, and describe the guess."""
    unclear, guesses = lists[None], []
    is_pair = len(meanings) == 2 and (len(unclear) == 1 or (len(unclear) == 2 and is_clear_name))
    likely = {
        outcome: [value for value in unclear if meanings[value].likely == outcome]
        for outcome in ("won", "lost")
    }
    if not lists["won"] and len(likely["won"]) == 1:
        guesses.append(f"no value clearly means won, so {quote(likely['won'][0])} was taken")
        lists["won"] = likely["won"]
        unclear.remove(likely["won"][0])
    elif is_pair and not lists["won"] and not lists["open"] and _is_unknown(meanings[unclear[-1]]):
        lists["won"] = [unclear.pop()]
        guesses.append("no value means won, so the rarer of the unclear values was taken")
    if lists["won"] and not lists["lost"]:
        if len(likely["lost"]) == 1:
            guesses.append(f"no value clearly means lost, so {quote(likely['lost'][0])} was taken")
            lists["lost"] = likely["lost"]
            unclear.remove(likely["lost"][0])
        elif is_pair and len(unclear) == 1 and _is_unknown(meanings[unclear[0]]):
            lists["lost"] = [unclear.pop()]
            guesses = guesses or ["no value means lost, so the other value was taken"]
    return "; ".join(guesses)


def _is_unknown(meaning: Meaning) -> bool:
    """Check that the words of a value are not known, so that the other value may decide."""
    return meaning.outcome is None and meaning.why == UNKNOWN


def _known_share(column: Column, meanings: Mapping[str, Meaning]) -> float:
    is_known = {value.casefold() for value, meaning in meanings.items() if meaning.outcome}
    known = sum(
        count for value, count in column.counts.items() if str(value).casefold() in is_known
    )
    return float(known) / float(column.counts.sum())
