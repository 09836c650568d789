"""Chooses the column that shows how leads ended, and collects the evidence for and against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from crm.errors import ConfigError
from crm.suggest import nearest
from crm.text import listed, quote
from drafting.about_person import is_sensitive
from drafting.no_outcome import is_of_wins, outcome_from_filled
from drafting.open_leads import (
    CERTAIN,
    OpenEvidence,
    agreement,
    has_same_wins,
    may_hide_open_leads,
    open_evidence,
)
from drafting.outcome_words import OutcomeWords, declared_values, sort_values
from drafting.role_names import (
    CLEAR_OUTCOME_NAMES,
    NO_RANK,
    OTHER_NAMES,
    OTHER_STATUS,
    is_excluded,
    rank,
)
from drafting.samples import Column

MOSTLY_CLEAR = 0.5  # share of clear rows from which a column that shows open leads is preferred
CLEAR_VALUES = 0.95  # share of clear rows from which a column with any name may be the outcome


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
        The other columns that show the same outcome of nearly all leads, or which leads are open.
        They are later facts too.
    is_confirmed : bool
        True if the won leads are those of a yes-or-no column with the name of an outcome. Then the
        name of this column does not matter.
    may_hide_open : bool
        True if the column is yes or no, and nothing shows whether a "no" is lost or still open.
    """

    column: Column
    words: OutcomeWords
    still_open: OpenEvidence | None = None
    others: dict[str, str] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    is_confirmed: bool = False
    may_hide_open: bool = False

    @property
    def rank(self) -> int:
        """The rank of the column's name."""
        return rank("outcome", self.column.name)

    @property
    def certainty(self) -> float:
        """The share of rows with a clear value; a yes or no needs a clear name."""
        is_clear = self.rank < CLEAR_OUTCOME_NAMES or not self.words.is_yes_or_no
        return round(self.words.known_share * (1.0 if is_clear else 0.5), 1)

    @property
    def is_incomplete(self) -> bool:
        """True if the column does not distinguish lost leads from open leads."""
        return self.still_open is not None or not self.words.lost

    @property
    def order(self) -> tuple[bool, bool, bool, bool, bool, float, int]:
        """The key that sorts the columns, the best first."""
        is_guess, is_unclear = bool(self.words.guess), self.certainty < MOSTLY_CLEAR
        is_unnamed = self.rank == NO_RANK and not self.is_confirmed
        is_other = self.rank >= OTHER_STATUS and not self.is_confirmed
        kept = (is_unnamed, is_guess, is_other, is_unclear, self.is_incomplete)
        return (*kept, -self.certainty, self.rank)


def choose_outcome(
    columns: Sequence[Column], declared: Declared = Declared()
) -> OutcomeChoice | None:
    """Choose the column that shows how leads ended; return None if there is none.

    A column whose words are known comes before one whose meaning would be guessed, and a column
    that tells open leads from lost ones comes before one that does not. Then the names decide. A
    column with any name is considered if its values show won and lost leads, and its won leads are
    those of a yes-or-no column with the name of an outcome.

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
    by_meaning = [(column, sort_values(column)) for column in columns if not is_sensitive(column)]
    if declared.outcome is not None:
        named = [column for column in columns if column.name == declared.outcome]
        words = declared.sort(named[0]) if named else None
        if words is None:
            return None
        evidence = open_evidence(named[0], words, by_meaning)
        may_hide = not declared.lost and may_hide_open_leads(named[0], words, by_meaning)
        return OutcomeChoice(named[0], words, evidence, may_hide_open=may_hide)
    choices = [
        OutcomeChoice(column, words, open_evidence(column, words, by_meaning))
        for column, words in by_meaning
        if words and _may_be_outcome(column, words)
    ]
    choices = [
        choice for choice in _confirmed(choices) if choice.is_confirmed or _is_likely(choice)
    ]
    choices.sort(key=lambda choice: choice.order)
    if not choices:
        return None
    best = choices[0]
    others = {choice.column.name: _why_not(choice, best) for choice in choices[1:4]}
    outcomes = best.words.outcomes(best.column)
    same = [
        choice.column.name
        for choice in choices[1:]
        if agreement(choice.words.outcomes(choice.column), outcomes) >= CERTAIN
    ]
    same += [best.still_open.column] if best.still_open else []
    words = declared.sort(best.column)
    if words is None:
        return None
    may_hide = not declared.lost and may_hide_open_leads(best.column, words, by_meaning)
    return replace(best, words=words, others=others, same=same, may_hide_open=may_hide)


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
        if is_of_wins(column) and (advice := outcome_from_filled(columns)):
            raise ConfigError(
                f"The values of {quote(column.name)} do not show how leads ended. {advice}"
            )
        values = listed(column.counts.index)
        raise ConfigError(
            f"It is not known which value of {quote(column.name)} means won. Its values are: "
            f"{values or 'none'}. Name each value that means won, as in: --won {quote('VALUE')}"
        )


def _may_be_outcome(column: Column, words: OutcomeWords) -> bool:
    """Check whether a column is an outcome, or becomes one if a flag shows the same wins."""
    place = rank("outcome", column.name)
    if place < OTHER_NAMES:
        return place < CLEAR_OUTCOME_NAMES or not words.guess or bool(words.lost)
    is_clear = words.known_share >= MOSTLY_CLEAR and bool(words.lost) and not words.is_yes_or_no
    return is_clear and not words.guess and not is_excluded("outcome", column.name)


def _is_likely(choice: OutcomeChoice) -> bool:
    """Check whether the name, the values or the wins of a column show that it is an outcome."""
    return choice.is_confirmed or choice.rank != NO_RANK or choice.words.known_share >= CLEAR_VALUES


def _confirmed(choices: Sequence[OutcomeChoice]) -> list[OutcomeChoice]:
    """Mark the columns whose won leads are those of a yes-or-no column with a clear name."""
    flags = [
        choice.words.outcomes(choice.column)
        for choice in choices
        if choice.words.is_yes_or_no and choice.rank < CLEAR_OUTCOME_NAMES
    ]
    return [
        replace(choice, is_confirmed=True)
        if choice.rank >= OTHER_STATUS
        and any(has_same_wins(choice.words, choice.column, flag) for flag in flags)
        else choice
        for choice in choices
    ]


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
