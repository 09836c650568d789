"""Features of pairs of attributes, and counts of the values of one attribute.

A table that was learned in training is looked up for the values of one lead. So a lead alone and
a lead among millions get the same numbers. `features.screening` finds the pairs that are useful.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from crm.arrays import Floats, Ints, Labels
from features.attributes.target import smoothed_log_odds
from features.feature import Feature
from features.looked_up import looked_up_features
from features.words import Words, distinct_keys, joined, words_of

MOST_VALUES = 100_000  # of a table, so that the file of a model does not become too large


@dataclass(frozen=True)
class Interactions:
    """The interactions that a pipeline is asked for.

    Attributes
    ----------
    pairs : tuple of pairs of str
        The columns of each pair.
    counts : tuple of str
        The columns whose values are counted.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    counts: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each interaction, in the order of the matrix's columns."""
        return (*self.pairs, *((column,) for column in self.counts))


NO_INTERACTIONS = Interactions()


@dataclass(frozen=True)
class Interaction(ABC):
    """Features that are looked up in a table by the words of some columns.

    Attributes
    ----------
    columns : tuple of str
        The columns whose words are looked up. Each is the column of a `WordAttribute`.
    kind : str
        The name of the kind in saved models.
    n_features : int
        The number of columns of the matrix.
    """

    columns: tuple[str, ...]
    kind: ClassVar[str]
    n_features: ClassVar[int]

    @property
    @abstractmethod
    def features(self) -> list[Feature]:
        """The descriptions of the columns of the matrix."""

    @abstractmethod
    def row(self, words: Sequence[str]) -> tuple[float, ...]:
        """Return the features of a lead whose columns contain these words."""

    @abstractmethod
    def has_seen(self, words: Sequence[str]) -> bool:
        """Check whether the table contains these words of the columns."""

    @property
    @abstractmethod
    def typical_words(self) -> Sequence[tuple[str, ...]]:
        """The words of each column in the table, to make up leads that are found in it."""

    @classmethod
    @abstractmethod
    def fit(
        cls,
        columns: tuple[str, ...],
        words: Sequence[Words],
        label: Labels,
        weight: Floats,
        total: float | None = None,
    ) -> Self:
        """Learn the table from moments.

        Parameters
        ----------
        columns : tuple of str
        words : sequence of Words, length n
            The words of the moments' leads, column by column.
        label : ndarray of int8, shape (n,)
        weight : ndarray of float64, shape (n,)
        total : float, optional
            The weight that the moments stand for. Counts are scaled to it, so that counts in a
            part of the moments are comparable with those in all of them.
        """

    def of_words(self, words: Sequence[Words]) -> Floats:
        """Compute the features of leads, shape (n, n_features), from the words of each column."""
        keys, place = distinct_keys(joined(words))
        rows = [self.row(key) for key in words_of(keys, words)]
        return np.array(rows, dtype=np.float64).reshape(len(keys), self.n_features)[place]


@dataclass(frozen=True)
class AttributePair(Interaction):
    """The smoothed log-odds of a win, and the log count, of the leads with the same two values.

    A pair that was not seen in training has the average log-odds and the count 0. A missing value
    is a value.

    Attributes
    ----------
    values : mapping of str to mapping of str to pair of float
        The log-odds and the log count by the word of the first and of the second column.
    average : float
        The log-odds of all leads.
    """

    values: Mapping[str, Mapping[str, tuple[float, float]]] = field(repr=False)
    average: float
    kind: ClassVar[str] = "pair"
    n_features: ClassVar[int] = 2

    @cached_property
    def _unseen(self) -> tuple[float, float]:
        return self.average, 0.0

    @property
    def features(self) -> list[Feature]:
        """The descriptions of the log-odds and of the count."""
        return [*looked_up_features(*self.columns)]

    def row(self, words: Sequence[str]) -> tuple[float, float]:
        """Return the log-odds and the log count of a pair of words."""
        of_first = self.values.get(words[0])
        return self._unseen if of_first is None else of_first.get(words[1], self._unseen)

    def has_seen(self, words: Sequence[str]) -> bool:
        """Check whether the pair of words was seen in training."""
        return words[1] in self.values.get(words[0], ())

    @property
    def typical_words(self) -> Sequence[tuple[str, str]]:
        """The pairs that were seen in training."""
        return [(a, b) for a, of_first in self.values.items() for b in of_first]

    @classmethod
    def fit(
        cls,
        columns: tuple[str, ...],
        words: Sequence[Words],
        label: Labels,
        weight: Floats,
        total: float | None = None,
    ) -> Self:
        """Learn the log-odds and the count of each pair of words.

        Examples
        --------
        >>> industry = Words(np.repeat([0, 1], 50), ["it", "retail"])
        >>> region = Words(np.zeros(100, dtype=np.int64), [""])
        >>> label = np.array([1] * 40 + [0] * 60, dtype=np.int8)
        >>> pair = AttributePair.fit(("a", "b"), [industry, region], label, np.ones(100))
        >>> pair.row(["it", ""]) > pair.row(["it", "north"]) > pair.row(["retail", ""])
        True
        >>> pair.row(["it", "north"])[1]
        0.0
        """
        keys, won, seen = _totals(words, label, weight)
        rate = (won.sum() + 0.5) / (seen.sum() + 1.0)
        log_odds = smoothed_log_odds(won, seen, rate).tolist()
        log_counts = _log_counts(seen, total).tolist()
        kept = _most_frequent(seen)
        values: dict[str, dict[str, tuple[float, float]]] = {}
        for place, (a, b) in zip(kept.tolist(), words_of(keys[kept], words), strict=True):
            values.setdefault(a, {})[b] = (log_odds[place], log_counts[place])
        return cls(columns, values, average=float(np.log(rate / (1 - rate))))


@dataclass(frozen=True)
class ValueCount(Interaction):
    """The log count of the leads with the same value; 0 if it was not seen in training.

    Attributes
    ----------
    values : mapping of str to float
        The log count by the word of the column; the empty one is "missing".
    """

    values: Mapping[str, float] = field(repr=False)
    kind: ClassVar[str] = "count"
    n_features: ClassVar[int] = 1

    @property
    def features(self) -> list[Feature]:
        """The description of the count."""
        _, count = looked_up_features(*self.columns)
        return [count]

    def row(self, words: Sequence[str]) -> tuple[float]:
        """Return the log count of a word."""
        return (self.values.get(words[0], 0.0),)

    def has_seen(self, words: Sequence[str]) -> bool:
        """Check whether the word was seen in training."""
        return words[0] in self.values

    @property
    def typical_words(self) -> Sequence[tuple[str]]:
        """The words that were seen in training."""
        return [(word,) for word in self.values]

    @classmethod
    def fit(
        cls,
        columns: tuple[str, ...],
        words: Sequence[Words],
        label: Labels,
        weight: Floats,
        total: float | None = None,
    ) -> Self:
        """Learn the count of each word.

        Examples
        --------
        >>> city = Words(np.array([0, 0, 0, 1]), ["bonn", "graz"])
        >>> count = ValueCount.fit(("city",), [city], np.zeros(4, dtype=np.int8), np.ones(4))
        >>> [round(float(np.expm1(count.row([word])[0])), 6) for word in ("bonn", "graz", "rome")]
        [3.0, 1.0, 0.0]
        """
        keys, _, seen = _totals(words, label, weight)
        log_counts = _log_counts(seen, total)
        kept = _most_frequent(seen)
        in_order = zip(words_of(keys[kept], words), log_counts[kept].tolist(), strict=True)
        return cls(columns, {word: count for (word,), count in in_order})


KINDS: dict[str, type[AttributePair | ValueCount]] = {
    kind.kind: kind for kind in (AttributePair, ValueCount)
}


def fit_interaction(
    columns: tuple[str, ...],
    words: Mapping[str, Words],
    label: Labels,
    weight: Floats,
    total: float | None = None,
) -> AttributePair | ValueCount:
    """Fit a pair if there are two columns, and a count if there is one; see `Interaction.fit`."""
    kind = AttributePair if len(columns) == 2 else ValueCount
    return kind.fit(columns, [words[column] for column in columns], label, weight, total)


def _totals(words: Sequence[Words], label: Labels, weight: Floats) -> tuple[Ints, Floats, Floats]:
    """Return each combination of words, the weight of its wins, and of all its moments."""
    keys, place = distinct_keys(joined(words))
    won: Floats = np.bincount(place, weight * label, len(keys)).astype(np.float64)
    seen: Floats = np.bincount(place, weight, len(keys)).astype(np.float64)
    return keys, won, seen


def _log_counts(seen: Floats, total: float | None) -> Floats:
    scale = 1.0 if total is None or len(seen) == 0 else total / seen.sum()
    return np.log1p(seen * scale)


def _most_frequent(seen: Floats) -> Ints:
    """Return the positions of the most frequent values, at most `MOST_VALUES`, ties together."""
    if len(seen) <= MOST_VALUES:
        return np.arange(len(seen))
    return np.flatnonzero(seen > np.sort(seen)[-MOST_VALUES - 1])
