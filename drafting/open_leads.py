"""Finds open leads that a yes-or-no outcome shows as lost, by the other columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crm.arrays import Bools
from crm.text import quote
from drafting.outcome_meaning import meaning_of, yes_means_lost
from drafting.outcome_words import OutcomeWords
from drafting.role_names import CLOSING_NAMES, NO_RANK, OTHER_NAMES, is_excluded, is_named, rank
from drafting.samples import Column

SOME_DATED = 0.05  # the least share of "lost" rows with, and without, a time of closing
FEW_OPEN = 0.01  # the highest share of "lost" rows with another state that is not evidence
CERTAIN = 0.95  # the least share of equal outcomes, if two columns show the same
FEWEST_PAIRS = 10  # leads that are won or lost in two columns, to compare these
NO_IN_ODOO = frozenset({"false"})  # the text of an empty field in exports of Odoo
MOST_STATES = 60  # the most values of a status

Sorted = Sequence[tuple[Column, OutcomeWords | None]]


@dataclass(frozen=True)
class OpenEvidence:
    """Rows that the outcome shows as lost, and another column as open.

    Attributes
    ----------
    column : str
        The other column.
    rows : int
    state : {"are open", "are not closed", "are without a time"}
        What the other column shows in these rows.
    """

    column: str
    rows: int
    state: str

    @property
    def text(self) -> str:
        """The words behind the number of rows, such as "are open in "Stage"."""
        return f"{self.state} in {quote(self.column)}"

    def advice(self, outcome: str) -> str:
        """Return what to export so that lost leads are known; `outcome` is the yes-or-no column."""
        advice = "Export a column that tells lost leads from open ones"
        if self.state != "are not closed":
            return f"{advice}."
        return (
            f"{advice}, or add one in a spreadsheet: write won where {quote(outcome)} is yes, and "
            f"lost where {quote(self.column)} is yes and {quote(outcome)} is no. Leave the other "
            "cells empty."
        )


def open_evidence(
    column: Column, words: OutcomeWords | None, columns: Sorted
) -> OpenEvidence | None:
    """Find the other column that shows the most rows with a "no" as open.

    Such a column is a status by its name, or its values show the same leads as won and lost. A
    column of closing times shows this if it has times in other such rows.

    Parameters
    ----------
    column : Column
    words : OutcomeWords or None
        Its values by meaning.
    columns : sequence of (Column, OutcomeWords or None)
        The columns of the table, with their values by meaning.

    Returns
    -------
    OpenEvidence or None
    """
    if words is None or not words.is_yes_or_no or not words.lost:
        return None
    outcomes = words.outcomes(column)
    is_lost = np.array([outcome == "lost" for outcome in outcomes])
    found = []
    for other, of_other in columns:
        if other is column:
            continue
        if other.is_time and rank("closed_at", other.name) < CLOSING_NAMES:
            is_dated = other.times.notna().to_numpy()[is_lost]
            if SOME_DATED <= is_dated.mean() <= 1 - SOME_DATED:
                n_undated = int((~is_dated).sum())
                found.append(OpenEvidence(other.name, n_undated, "are without a time"))
        rows = int((_is_open(other, of_other, outcomes) & is_lost).sum())
        if rows > FEW_OPEN * is_lost.sum():
            state = "are not closed" if is_named("is_closed", other.name) else "are open"
            found.append(OpenEvidence(other.name, rows, state))
    return max(found, key=lambda evidence: evidence.rows, default=None)


def may_hide_open_leads(column: Column, words: OutcomeWords, columns: Sorted) -> bool:
    """Check that no column shows whether leads with a "no" are lost or still open.

    Another column shows that they are lost if nearly all of them have a closing date there, are
    closed or lost, or have a reason. Cells of the column itself that are empty or open show it too.

    Parameters
    ----------
    column, words, columns
        As for `open_evidence`.
    """
    has_open = words.open or column.n_empty > FEW_OPEN * len(column.texts)
    if not words.is_yes_or_no or not words.lost or has_open:
        return False
    is_lost = np.array([outcome == "lost" for outcome in words.outcomes(column)])
    others = ((other, of_other) for other, of_other in columns if other is not column)
    return not any(_is_ended(*other)[is_lost].mean() >= CERTAIN for other in others)


def find_active(columns: Sequence[Column]) -> Column | None:
    """Find the column whose "no" means that a lead is archived, as "active" of Odoo."""
    for column in columns:
        meanings = [meaning_of(str(value)) for value in column.counts.index]
        is_flag = all(meaning.is_yes_or_no for meaning in meanings)
        if is_flag and len(meanings) == 2 and is_named("is_active", column.name):
            return column
    return None


def agreement(outcomes: Sequence[str], others: Sequence[str]) -> float:
    """Compute the share of leads, won or lost in both columns, whose outcome is the same.

    Examples
    --------
    >>> agreement(["won", "lost"] * 10, ["won", ""] * 10), agreement(["won"], ["won"])
    (1.0, 0.0)
    """
    pairs = [(a, b) for a, b in zip(outcomes, others, strict=True) if a and b]
    return sum(a == b for a, b in pairs) / len(pairs) if len(pairs) >= FEWEST_PAIRS else 0.0


def has_same_wins(words: OutcomeWords, column: Column, flag_outcomes: Sequence[str]) -> bool:
    """Check whether the values of a column show the same leads as won as a yes-or-no column.

    Parameters
    ----------
    words : OutcomeWords
        The values of the column by meaning.
    column : Column
    flag_outcomes : sequence of str
        The outcomes in the yes-or-no column.
    """
    if words.is_yes_or_no or words.guess or not words.lost:
        return False
    outcomes = words.outcomes(column)
    wins = [outcome for outcome, flag in zip(outcomes, flag_outcomes, strict=True) if flag == "won"]
    is_same = agreement(outcomes, flag_outcomes) >= CERTAIN
    return is_same and "lost" in outcomes and wins.count("won") >= CERTAIN * len(wins)


def _is_open(column: Column, words: OutcomeWords | None, outcomes: Sequence[str]) -> Bools:
    """Return the rows that a column shows as open, shape (n_rows,).

    A column that is not a status shows no row as open.
    """
    is_same = False
    if words is not None and words.lost and not words.is_yes_or_no and not words.guess:
        is_same = agreement(words.outcomes(column), outcomes) >= CERTAIN
    if not is_same and not _is_status(column):
        return np.zeros(len(column.texts), dtype=bool)
    values: set[str | None] = {value for value in column.counts.index if _means_open(value, column)}
    if is_same:
        values.add(None)
    return np.array([text in values for text in column.texts], dtype=bool)


def _is_ended(column: Column, words: OutcomeWords | None) -> Bools:
    """Return the rows that a column shows as ended, shape (n_rows,)."""
    if column.is_time:
        is_closing = rank("closed_at", column.name) < CLOSING_NAMES
        return column.times.notna().to_numpy() & is_closing
    if rank("reason", column.name) != NO_RANK:
        return column.filled(NO_IN_ODOO)
    if is_named("is_closed", column.name):
        values = {value for value in column.counts.index if not _means_open(value, column)}
        return np.array([text in values for text in column.texts], dtype=bool)
    if words is not None and not words.is_yes_or_no and not words.guess:
        return np.array([outcome != "" for outcome in words.outcomes(column)], dtype=bool)
    if yes_means_lost(column.name):
        return np.array([meaning_of(text or "no").outcome == "won" for text in column.texts], bool)
    return np.zeros(len(column.texts), dtype=bool)


def _is_status(column: Column) -> bool:
    is_flag = yes_means_lost(column.name) and not is_excluded("outcome", column.name)
    is_named_so = is_named("is_closed", column.name) or is_flag
    is_named_so |= rank("outcome", column.name) < OTHER_NAMES
    return is_named_so and 0 < len(column.counts) <= MOST_STATES


def _means_open(value: str, column: Column) -> bool:
    meaning = meaning_of(value, column.words)
    if is_named("is_closed", column.name) or yes_means_lost(column.name):
        return meaning.is_yes_or_no and meaning.outcome == "lost"
    return meaning.outcome == "open" and not meaning.why
