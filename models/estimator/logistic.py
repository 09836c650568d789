"""The logistic regression that scores: columns become terms, and each column contributes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Ints
from models.contributions.value_classes import placed
from models.estimator.steps import Steps

DRIFT = 6.0  # standard deviations within which a line may leave the training range
BLOCK_ROWS = 20_000  # rows at a time, so that the contributions of many rows need little memory
LARGEST = 1e100  # larger numbers are clipped here, so that their squares are finite


@dataclass(frozen=True)
class LogisticTerms:
    """Turns feature columns into the terms of a linear model.

    A line is valid where it was learned. Numbers that grow with time are clipped to the range of
    the training data, because a line through young leads is not valid for old ones. Other numbers
    are clipped to that range too, but to `drift` standard deviations if it is narrower: the
    few large companies of a long tail say nothing of larger ones, while an interest rate may drift.
    Numbers are then standardised and clipped at `reach` standard deviations from their mean. Gaps
    are filled with the median and marked by a term of their own. Categories have one term for each
    code that occurred; other codes have none.

    Attributes
    ----------
    numeric, categorical : tuple of int
        Columns of the matrix.
    low, high, median, mean, scale : tuple of float, length n_numeric
    reach : float
        Standard deviations from the mean at which numbers are clipped.
    codes : tuple of tuple of float
        The codes of each categorical column, ascending.
    """

    numeric: tuple[int, ...]
    categorical: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    median: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    reach: float
    codes: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(
        cls,
        features: Floats,
        categorical: Sequence[int],
        reach: float,
        growing: Sequence[int] = (),
        drift: float = DRIFT,
        trees_only: Sequence[int] = (),
    ) -> "LogisticTerms":
        """Compute ranges, medians, scales and codes of a feature matrix, shape (n, k).

        The columns `trees_only` have no terms.
        """
        others = {*categorical, *trees_only}
        numeric = [i for i in range(features.shape[1]) if i not in others]
        numbers = np.clip(features[:, numeric], -LARGEST, LARGEST)
        is_empty = np.isnan(numbers).all(axis=0)
        median = np.where(is_empty, 0.0, np.nanmedian(np.where(is_empty, 0.0, numbers), axis=0))
        filled = np.where(np.isnan(numbers), median, numbers)
        mean, scale = filled.mean(axis=0), filled.std(axis=0)
        margin = np.where(np.isin(numeric, growing), 0.0, drift * scale)
        return cls(
            numeric=tuple(numeric),
            categorical=tuple(categorical),
            low=tuple(np.minimum(filled.min(axis=0), mean - margin).tolist()),
            high=tuple(np.maximum(filled.max(axis=0), mean + margin).tolist()),
            median=tuple(median.tolist()),
            mean=tuple(mean.tolist()),
            scale=tuple(np.where(scale > 0, scale, 1.0).tolist()),
            reach=reach,
            codes=tuple(tuple(np.unique(features[:, i]).tolist()) for i in categorical),
        )

    def numbers(self, features: Floats) -> tuple[Floats, Bools]:
        """Return standardised numbers and where they were missing, shapes (n, n_numeric)."""
        low, high, median, mean, scale = self._arrays
        numbers = features[:, self.columns[0]]
        is_missing = np.isnan(numbers)
        filled = np.where(is_missing, median, np.minimum(np.maximum(numbers, low), high))
        standardised = (filled - mean) / scale
        return np.minimum(np.maximum(standardised, -self.reach), self.reach), is_missing

    @cached_property
    def columns(self) -> tuple[Ints, Ints]:
        """The columns of the matrix that contain numbers, and those that contain categories."""
        return np.array(self.numeric, dtype=np.int64), np.array(self.categorical, dtype=np.int64)

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return (
            np.array(self.low),
            np.array(self.high),
            np.array(self.median),
            np.array(self.mean),
            np.array(self.scale),
        )

    def design(self, features: Floats) -> Floats:
        """Build the linear model's matrix: numbers, gaps, codes; shape (n, n_terms)."""
        standardised, is_missing = self.numbers(features)
        blocks = [standardised, is_missing.astype(np.float64)]
        for column, codes in zip(self.categorical, self.codes, strict=True):
            blocks.append((features[:, [column]] == np.array(codes)).astype(np.float64))
        return np.hstack(blocks)

    @property
    def n_terms(self) -> int:
        """The number of columns of `design`."""
        return 2 * len(self.numeric) + sum(map(len, self.codes))


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic regression.

    Attributes
    ----------
    terms : LogisticTerms
    coefficients : tuple of float, length n_terms
    centre : tuple of float, length n_terms
        The mean of each term over the training rows: the average lead.
    intercept : float
    steps : Steps or None
        The log-odds that each number adds in steps, besides its line; None in models that have
        only lines.
    """

    terms: LogisticTerms
    coefficients: tuple[float, ...]
    centre: tuple[float, ...]
    intercept: float
    steps: Steps | None = None

    def check(self, n_features: int) -> None:
        """Check that the state fits together, which an altered file may not.

        Parameters
        ----------
        n_features : int
            The number of columns that have terms: the first ones of the matrix.

        Raises
        ------
        ValueError
            If lengths differ, one of these columns has no terms or another column has some, a
            number is not finite, or a range is not valid.
        """
        terms = self.terms
        columns = (*terms.numeric, *terms.categorical)
        per_number = (terms.low, terms.high, terms.median, terms.mean, terms.scale)
        numbers = (
            *self.coefficients,
            *self.centre,
            self.intercept,
            terms.reach,
            *(number for row in (*per_number, *terms.codes) for number in row),
            *(self.steps.numbers if self.steps else ()),
        )
        fits = (
            sorted(columns) == list(range(n_features))
            and all(len(row) == len(terms.numeric) for row in per_number)
            and all(low <= high for low, high in zip(terms.low, terms.high, strict=True))
            and len(terms.codes) == len(terms.categorical)
            and all(list(codes) == sorted(set(codes)) != [] for codes in terms.codes)
            and len(self.coefficients) == len(self.centre) == terms.n_terms
            and all(map(math.isfinite, numbers))
            and min((*terms.scale, terms.reach), default=1.0) > 0
            and (self.steps is None or self.steps.is_valid(len(terms.numeric)))
        )
        if not fits:
            raise ValueError("the logistic regression's numbers do not fit together")

    @cached_property
    def constant(self) -> float:
        """The log-odds of a lead whose every term is average."""
        of_terms = self.intercept + float(np.array(self.coefficients) @ np.array(self.centre))
        return of_terms + math.fsum(self.steps.average) if self.steps else of_terms

    def contributions(self, features: Floats) -> Floats:
        """Compute what each feature adds to `constant`, in log-odds.

        For a linear model with independent features these are the exact Shapley values.

        Parameters
        ----------
        features : ndarray of float64, shape (n, k)

        Returns
        -------
        ndarray of float64, shape (n, k), C order

        References
        ----------
        Štrumbelj and Kononenko, "Explaining prediction models and individual predictions
        with feature contributions", Knowledge and Information Systems, 2014.
        """
        contributions = np.zeros(features.shape)  # columns without terms add nothing
        standardised, is_missing = self.terms.numbers(features)
        slope, centre, present, missing = self._of_numbers
        of_numbers = slope * (standardised - centre)
        of_numbers += np.where(is_missing, missing, present)
        if self.steps is not None:
            of_numbers += self.steps.contributions(standardised)
        contributions[:, self.terms.columns[0]] = of_numbers
        codes, coefficients, average = self._of_codes
        columns = self.terms.columns[1]
        codes_of_leads = placed(np.arange(len(columns)), features[:, columns])
        at = np.searchsorted(codes, codes_of_leads)
        contributions[:, columns] = (
            np.where(codes[at] == codes_of_leads, coefficients[at], 0.0) - average
        )
        return contributions

    @cached_property
    def _of_numbers(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The slope and centre of each number; what its gap term adds without and with a gap."""
        n = len(self.terms.numeric)
        slope, of_gap = np.array(self.coefficients[: 2 * n]).reshape(2, n)
        centre, gaps = np.array(self.centre[: 2 * n]).reshape(2, n)
        return slope, centre, of_gap * (0.0 - gaps), of_gap * (1.0 - gaps)

    @cached_property
    def _of_codes(self) -> tuple[NDArray[np.complex128], Floats, Floats]:
        """All codes, their coefficients, and the mean contribution of each categorical column."""
        start = 2 * len(self.terms.numeric)
        n_codes = list(map(len, self.terms.codes))
        place = np.repeat(np.arange(len(n_codes)), n_codes)
        codes = placed(place, np.concatenate([*self.terms.codes, []]))
        coefficients = np.array(self.coefficients[start:])
        at_centre = coefficients * np.array(self.centre[start:])
        average = np.asarray(np.bincount(place, at_centre, len(n_codes)), dtype=np.float64)
        beyond_all = placed(np.array([np.nan]), np.array([np.nan]))  # also for missing codes
        return np.concatenate([codes, beyond_all]), np.append(coefficients, 0.0), average

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute the log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        log_odds = np.empty(len(features))
        for start in range(0, len(features), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            log_odds[rows] = self.explained(features[rows])[0]
        return log_odds

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Compute log-odds and contributions together."""
        contributions = self.contributions(features)
        # In C order NumPy sums each row by itself, always in the same order.
        return self.constant + contributions.sum(axis=1), contributions
