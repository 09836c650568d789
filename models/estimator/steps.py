"""Step functions of numbers, as a part of the logistic regression that scores."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crm.arrays import Floats, Indexes
from models.contributions.value_classes import placed

MANY_ROWS = 64  # from this number on, comparing column by column is faster than one search
MOST_CUTS = 255  # of a column, because `bins_of` counts in bytes


@dataclass(frozen=True)
class Steps:
    """Step functions: the log-odds that each number adds, constant between cuts.

    Attributes
    ----------
    cuts : tuple of tuple of float, length n_numeric
        The standardised numbers at which the function of each column jumps, ascending. A number
        equal to a cut is above it. A column without cuts adds nothing.
    levels : tuple of tuple of float, length n_numeric
        The log-odds below the first cut, between the cuts and above the last one.
    average : tuple of float, length n_numeric
        The mean level of each column over the training rows.
    """

    cuts: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]
    average: tuple[float, ...]

    def is_valid(self, n_numeric: int) -> bool:
        """Return whether the state fits together, which an altered file may not."""
        return (
            len(self.cuts) == len(self.levels) == len(self.average) == n_numeric
            and all(list(cuts) == sorted(set(cuts)) for cuts in self.cuts)
            and all(len(cuts) <= MOST_CUTS for cuts in self.cuts)
            and all(
                len(levels) == len(cuts) + 1
                for cuts, levels in zip(self.cuts, self.levels, strict=True)
            )
        )

    @property
    def numbers(self) -> tuple[float, ...]:
        """All numbers of the state."""
        return (*self.average, *(x for row in (*self.cuts, *self.levels) for x in row))

    def contributions(self, standardised: Floats) -> Floats:
        """Compute what each number adds, less the average; shape (n, n_numeric).

        Parameters
        ----------
        standardised : ndarray of float64, shape (n, n_numeric)
            The result of `LogisticTerms.numbers`, without gaps.
        """
        if len(standardised) < MANY_ROWS:
            at = self._search(standardised)
        else:
            at = np.empty(standardised.shape, dtype=np.intp)
            for i, cuts in enumerate(self.cuts):
                at[:, i] = bins_of(standardised[:, i], np.array(cuts))
            at += self._first
        return self._levels[at] - np.array(self.average)

    def _search(self, standardised: Floats) -> Indexes:
        """Find the position in `_levels` of each number, all columns at once."""
        of_column = np.arange(standardised.shape[1])
        place = np.searchsorted(self._cuts, placed(of_column, standardised), side="right")
        return np.asarray(place + of_column)  # each column has one level more than cuts

    @cached_property
    def _cuts(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.complex128]]":
        of_column = np.repeat(np.arange(len(self.cuts)), list(map(len, self.cuts)))
        return placed(of_column, np.array([cut for cuts in self.cuts for cut in cuts]))

    @cached_property
    def _levels(self) -> Floats:
        return np.array([level for levels in self.levels for level in levels])

    @cached_property
    def _first(self) -> Indexes:
        n_levels = np.array(list(map(len, self.levels)), dtype=np.intp)
        return np.cumsum(n_levels) - n_levels


def bins_of(numbers: Floats, cuts: Floats) -> Indexes:
    """Return the number of cuts that each number reaches, shape (n,).

    Examples
    --------
    >>> bins_of(np.array([-1.0, 0.0, 0.5, 9.0]), np.array([0.0, 2.0])).tolist()
    [0, 1, 1, 2]
    """
    reached = np.zeros(len(numbers), dtype=np.uint8)
    for cut in cuts:
        reached += numbers >= cut
    return reached.astype(np.intp)
