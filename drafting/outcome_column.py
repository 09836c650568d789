"""Chooses the column that shows how leads ended, and collects the evidence for and against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crm.errors import ConfigError
from crm.suggest import nearest
from crm.text import listed, quote
from drafting.about_person import is_sensitive
from drafting.outcome_meaning import meaning_of, yes_means_lost
from drafting.outcome_words import OutcomeWords, declared_values, sort_values
from drafting.role_names import (
    CLEAR_OUTCOME_NAMES,
    CLOSING_NAMES,
    NO_RANK,
    OTHER_STATUS,
    is_excluded,
    is_named,
    rank,
)
from drafting.samples import Column

MOSTLY_CLEAR = 0.5  # share of clear rows from which a column that shows open leads is preferred
CERTAIN = 0.95  # share of clear rows from which a column with any name may be the outcome
SOME_DATED = 0.05  # the least share of "lost" rows with, and without, a time of closing
FEWEST_PAIRS = 10  # leads that are won or lost in two columns, to compare these
FEW_OPEN = 0.01  # share of "lost" rows that another column may show as open


@dataclass(frozen=True)
class Declared:
    """The column and the values of the outcome, as a person declares them.

    Attributes
    ----------
    outcome : str or None
        The name of its column.
    won, lost : tuple of str
        The values that mean won and lost.
    """

    outcome: str | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def sort(self, column: Column) -> OutcomeWords | None:
        """Sort the values of a column; the declared values come first."""
        if self.won or self.lost:
            return declared_values(column, self.won, self.lost)
        return sort_values(column)


@dataclass(frozen=True)
class OpenEvidence:
    """Rows that the outcome shows as lost, and another column as open.

    Attributes
    ----------
    column : str
        The other column.
    rows : int
    is_time : bool
        True if the other column has the times of closing, and no time in these rows.
    """

    column: str
    rows: int
    is_time: bool = False

    @property
    def text(self) -> str:
        """The words behind the number of rows, such as "are open in "Stage"."""
        return f"{'are without a time' if self.is_time else 'are open'} in {quote(self.column)}"


@dataclass(frozen=True)
class OutcomeChoice:
    """The column of the outcome, and why it was chosen.

    Attributes
    ----------
    column : Column
    words : OutcomeWords
    still_open : OpenEvidence or None
        Rows that are lost here and open in another column.
    others : dict of str to str
        The other columns that may be the outcome, and why they were not chosen.
    same : list of str
        The other columns that show the same outcome of nearly all leads. They are later facts too.
    """

    column: Column
    words: OutcomeWords
    still_open: OpenEvidence | None = None
    others: dict[str, str] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)

    @property
    def rank(self) -> int:
        """The rank of the column's name."""
        return rank("outcome", self.column.name)

    @property
    def certainty(self) -> float:
        """The share of rows with a clear value; a yes or no needs a clear name."""
        is_clear = self.rank < CLEAR_OUTCOME_NAMES or not self.words.is_yes_or_no
        return round(self.words.known_share * (1.0 if is_clear else 0.5), 1)

    def outcomes(self) -> list[str]:
        """Return "won", "lost" or "" for each row."""
        known = {value.casefold(): "won" for value in self.words.won}
        known |= {value.casefold(): "lost" for value in self.words.lost}
        return [known.get((text or "").casefold(), "") for text in self.column.texts]

    @property
    def is_incomplete(self) -> bool:
        """True if the column does not distinguish lost leads from open leads."""
        return self.still_open is not None or not self.words.lost

    @property
    def order(self) -> tuple[bool, bool, bool, bool, bool, float, int]:
        """The key that sorts the columns, the best first."""
        is_unnamed, is_guess = self.rank == NO_RANK, bool(self.words.guess)
        is_other, is_unclear = self.rank >= OTHER_STATUS, self.certainty < MOSTLY_CLEAR
        kept = (is_unnamed, is_guess, is_other, is_unclear, self.is_incomplete)
        return (*kept, -self.certainty, self.rank)


def choose_outcome(
    columns: Sequence[Column], declared: Declared = Declared()
) -> OutcomeChoice | None:
    """Choose the column that shows how leads ended; return None if there is none.

    A column whose words are known comes before one whose meaning would be guessed, and a column
    that tells open leads from lost ones comes before one that does not. Then the names decide.

    Parameters
    ----------
    columns : sequence of Column
        The columns of one table.
    declared : Declared
        If it names a column, only that column is considered.

    Returns
    -------
    OutcomeChoice or None

    Raises
    ------
    ConfigError
        If the declared column has no declared value.
    """
    if declared.outcome is not None:
        named = [column for column in columns if column.name == declared.outcome]
        words = declared.sort(named[0]) if named else None
        return (
            OutcomeChoice(named[0], words, _open_evidence(named[0], words, columns))
            if words
            else None
        )
    choices = [
        OutcomeChoice(column, words, _open_evidence(column, words, columns))
        for column in columns
        if not is_sensitive(column) and (words := sort_values(column)) and _is_likely(column, words)
    ]
    choices.sort(key=lambda choice: choice.order)
    if not choices:
        return None
    best = choices[0]
    others = {choice.column.name: _why_not(choice, best) for choice in choices[1:4]}
    same = [choice.column.name for choice in choices[1:] if _agreement(choice, best) >= CERTAIN]
    words = declared.sort(best.column)
    return OutcomeChoice(best.column, words, best.still_open, others, same) if words else None


def check_declared(columns: Sequence[Column], declared: Declared) -> None:
    """Check that the declared outcome is a column with a value that means won.

    Raises
    ------
    ConfigError
    """
    names = [column.name for column in columns]
    if declared.outcome is None:
        return
    if declared.outcome not in names:
        raise ConfigError(
            f"There is no column {quote(declared.outcome)} (--outcome). "
            f"{nearest(declared.outcome, names)}"
        )
    column = next(column for column in columns if column.name == declared.outcome)
    if declared.sort(column) is None:
        values = listed(column.counts.index)
        raise ConfigError(
            f"It is not known which value of {quote(column.name)} means won. Its values are: "
            f"{values or 'none'}. Name each value that means won, as in: --won {quote('VALUE')}"
        )


def _agreement(choice: OutcomeChoice, best: OutcomeChoice) -> float:
    """Compute the share of leads, won or lost in both columns, whose outcome is the same."""
    pairs = [
        (of_choice, of_best)
        for of_choice, of_best in zip(choice.outcomes(), best.outcomes(), strict=True)
        if of_choice and of_best
    ]
    return sum(a == b for a, b in pairs) / len(pairs) if len(pairs) >= FEWEST_PAIRS else 0.0


def _is_likely(column: Column, words: OutcomeWords) -> bool:
    place = rank("outcome", column.name)
    if place < CLEAR_OUTCOME_NAMES:
        return True
    if place == NO_RANK:
        is_certain = words.known_share >= CERTAIN and bool(words.lost) and not words.is_yes_or_no
        return is_certain and not words.guess and not is_excluded("outcome", column.name)
    return not words.guess or bool(words.lost)  # such as Disqualified, next to a guess of won


def _open_evidence(
    column: Column, words: OutcomeWords | None, columns: Sequence[Column]
) -> OpenEvidence | None:
    """Find the other column that shows the most rows with a "no" as open.

    A column of closing times shows this if it has times in other such rows.
    """
    if words is None or not words.is_yes_or_no or not words.lost:
        return None
    lost = {value.casefold() for value in words.lost}
    is_lost = np.array([text is not None and text.casefold() in lost for text in column.texts])
    found = []
    for other in columns:
        if other is column:
            continue
        if other.is_time and rank("closed_at", other.name) < CLOSING_NAMES:
            is_dated = other.times.notna().to_numpy()[is_lost]
            if SOME_DATED <= is_dated.mean() <= 1 - SOME_DATED:
                found.append(OpenEvidence(other.name, int((~is_dated).sum()), is_time=True))
        if not _is_status(other):
            continue
        is_open = {value for value in other.counts.index if _is_open(value, other)}
        rows = sum(
            lost_here and text in is_open
            for lost_here, text in zip(is_lost, other.texts, strict=True)
        )
        if rows > FEW_OPEN * sum(is_lost):
            found.append(OpenEvidence(other.name, rows))
    return max(found, key=lambda evidence: evidence.rows, default=None)


def _is_status(column: Column) -> bool:
    is_flag = yes_means_lost(column.name) and not is_excluded("outcome", column.name)
    is_named_so = is_named("is_closed", column.name) or is_flag
    is_named_so |= rank("outcome", column.name) != NO_RANK
    return is_named_so and 0 < len(column.counts) <= 60


def _is_open(value: str, column: Column) -> bool:
    meaning = meaning_of(value, column.words)
    if is_named("is_closed", column.name) or yes_means_lost(column.name):
        return meaning.is_yes_or_no and meaning.outcome == "lost"
    return meaning.outcome == "open" and not meaning.why


def _why_not(choice: OutcomeChoice, best: OutcomeChoice) -> str:
    """Return the first reason why another column was preferred."""
    if choice.rank == NO_RANK != best.rank:
        return "its name does not suggest an outcome"
    if choice.words.guess and not best.words.guess:
        return "it is not clear which of its values means won"
    if choice.rank >= OTHER_STATUS > best.rank:
        return "its name suggests the status of something other than the lead"
    if choice.still_open and not best.is_incomplete:
        return f"{choice.still_open.rows:,} of its leads that are not won {choice.still_open.text}"
    if not choice.words.lost and best.words.lost:
        return "none of its values is known to mean lost"
    if choice.certainty < best.certainty:
        return f"only {choice.words.known_share:.0%} of its cells have a clear meaning"
    less_usual = "its name is a less usual name for an outcome"
    return less_usual if choice.rank > best.rank else "it is further right in the file"
