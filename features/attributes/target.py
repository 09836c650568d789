"""Attributes that are categories of many values, encoded by how often their leads are won."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from crm.arrays import Floats, Labels, Objects
from crm.cells import read_column
from features.attributes.attribute import (
    MISSING_GROUP,
    UNSEEN_GROUP,
    UndeclaredColumn,
    WordAttribute,
    spellings,
)
from features.attributes.category import MANY_VALUES
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature
from features.looked_up import looked_up_features

PRIOR_ROWS = 20.0  # leads of the average rate that are added to each value


@dataclass(frozen=True)
class TargetAttribute(WordAttribute):
    """A category with many values, as the smoothed log-odds of a win among each value's leads.

    A value that was not seen in training becomes the average. So does a missing one, unless
    it was missing for some leads in training.

    Attributes
    ----------
    log_odds : mapping of str to float
        The log-odds by case-folded value; the empty string is "missing".
    average : float
        The log-odds of all leads.

    References
    ----------
    Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes in
    Classification and Prediction Problems", SIGKDD Explorations, 2001.
    """

    log_odds: Mapping[str, float] = field(repr=False)
    average: float
    kind: ClassVar[str] = "target"
    note: ClassVar[str] = (
        f"more than {MANY_VALUES} values: smoothed log-odds of a win, learned out of fold"
    )
    learns_from_labels: ClassVar[bool] = True

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return nothing: a category with more than `MANY_VALUES` values becomes this kind."""
        return ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return a category of many values, for the data dictionary."""
        return [cls("COLUMN", frozenset(), log_odds={}, average=0.0)]

    @property
    def missing_value(self) -> float:
        """The encoded value of a missing cell; nan if no training lead lacked a value.

        Then a missing cell is encoded as an unseen value.
        """
        return self.log_odds.get("", math.nan)

    @property
    def odd_value(self) -> float:
        """The encoded value of a value that was unseen in training."""
        return self.average

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        rate, _ = looked_up_features(self.column)
        return rate

    def encode(self, cell: Any) -> float:
        """Read one cell as the log-odds of its value."""
        return self.log_odds.get(self.word(cell), self.average)

    def has_seen(self, words: Sequence[str]) -> bool:
        """Check whether the word of a cell was seen in training."""
        return words[0] in self.log_odds

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = self.word(cell)
        if not word or word in self.log_odds:
            return None
        return cell_warning("unseen_value", self.column)

    def refit(self, column: pd.Series, label: Labels, weight: Floats) -> "TargetAttribute":
        """Return the attribute fitted on other moments."""
        return fit_target(column, self.nothing, label, weight)

    def group_names(self, column: pd.Series) -> Objects:
        """Return the spelling of each lead's value, shape (n_leads,)."""
        texts = spellings(column, self.nothing)
        is_seen = [text == MISSING_GROUP or text.casefold() in self.log_odds for text in texts]
        return np.where(is_seen, texts, UNSEEN_GROUP).astype(object)

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return the values that were seen in training."""
        return list(self.log_odds)


def fit_target(
    column: pd.Series,
    nothing: frozenset[str],
    label: Labels,
    weight: Floats,
) -> TargetAttribute:
    """Fit the smoothed log-odds of a win for each value.

    Parameters
    ----------
    column : Series, shape (n,)
        The cell of each moment's lead.
    nothing : frozenset of str
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)

    Returns
    -------
    TargetAttribute

    Examples
    --------
    >>> column = pd.Series(["Bonn"] * 50 + ["Graz"] * 50, name="city")
    >>> label = np.array([1] * 40 + [0] * 60, dtype=np.int8)
    >>> city = fit_target(column, frozenset(), label, np.ones(100))
    >>> city.encode("BONN ") > city.encode("Rome") == city.average > city.encode("Graz")
    True
    """
    empty = TargetAttribute(str(column.name), nothing, log_odds={}, average=0.0)
    words = read_column(column, empty.word, object)
    codes, values = pd.factorize(words)
    won: Floats = np.bincount(codes, weight * label, len(values)).astype(np.float64)
    seen: Floats = np.bincount(codes, weight, len(values)).astype(np.float64)
    rate = (won.sum() + 0.5) / (seen.sum() + 1.0)
    log_odds = smoothed_log_odds(won, seen, rate)
    return TargetAttribute(
        column=empty.column,
        nothing=nothing,
        log_odds=dict(zip(map(str, values), map(float, log_odds), strict=True)),
        average=float(np.log(rate / (1 - rate))),
    )


def smoothed_log_odds(won: Floats, seen: Floats, rate: float | Floats) -> Floats:
    """Compute the log-odds of a win of some values, as if `PRIOR_ROWS` average leads had each.

    Parameters
    ----------
    won, seen : ndarray of float64
        The weight of the moments that were won, and of all moments, with each value.
    rate : float, or ndarray of float64
        The average rate of wins.

    Returns
    -------
    ndarray of float64, shape of `won`

    Examples
    --------
    >>> smoothed_log_odds(np.array([0.0, 10.0]), np.array([0.0, 20.0]), 0.5)
    array([0., 0.])
    """
    smoothed = (won + PRIOR_ROWS * rate) / (seen + PRIOR_ROWS)
    return np.asarray(np.log(smoothed / (1 - smoothed)))
