"""Logistic regression on the features: the half of the estimator that extrapolates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from features.fitting import N_FOLDS, folds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = tuple[Floats, NDArray[np.int8], Floats, Ints]  # features, label, weight, lead

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # scikit-learn's C: smaller pulls more towards 0
REACHES = (4.0, 20.0)  # standard deviations at which a number is held
LARGEST = 1e100  # larger numbers are held here: their squares are still finite
MANY_ROWS = 10_000  # with more, how strongly to pull is found on a sample of them
MANY_CELLS = 2e10  # rows · terms²: above it Newton's steps cost more than the other solver's


@dataclass(frozen=True)
class LogisticTerms:
    """How feature columns become the terms of a linear model.

    Numbers are standardised and held at `reach` standard deviations from their mean, so
    that a number far beyond anything learned from cannot outweigh all the rest. What grows
    with time is held in the range that it had: a line drawn through young leads says nothing
    of old ones. Gaps are filled with the median and marked by a term of their own. Categories
    have one term per code that occurred; other codes have none.

    Attributes
    ----------
    numeric, categorical : tuple of int
        Columns of the matrix.
    low, high, median, mean, scale : tuple of float, length n_numeric
    reach : float
    codes : tuple of tuple of float
        Of each categorical column, ascending.
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
    ) -> "LogisticTerms":
        """Learn ranges, medians, scales and codes from a feature matrix, shape (n, k)."""
        numeric = [i for i in range(features.shape[1]) if i not in set(categorical)]
        numbers = np.clip(features[:, numeric], -LARGEST, LARGEST)
        is_empty = np.isnan(numbers).all(axis=0)
        median = np.where(is_empty, 0.0, np.nanmedian(np.where(is_empty, 0.0, numbers), axis=0))
        filled = np.where(np.isnan(numbers), median, numbers)
        scale = filled.std(axis=0)
        is_growing = np.isin(numeric, growing)
        return cls(
            numeric=tuple(numeric),
            categorical=tuple(categorical),
            low=tuple(np.where(is_growing, filled.min(axis=0), -LARGEST).tolist()),
            high=tuple(np.where(is_growing, filled.max(axis=0), LARGEST).tolist()),
            median=tuple(median.tolist()),
            mean=tuple(filled.mean(axis=0).tolist()),
            scale=tuple(np.where(scale > 0, scale, 1.0).tolist()),
            reach=reach,
            codes=tuple(tuple(np.unique(features[:, i]).tolist()) for i in categorical),
        )

    def numbers(self, features: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Standardised numbers and where they were missing, each shape (n, n_numeric)."""
        columns, low, high, median, mean, scale = self._arrays
        numbers = features[:, columns]
        is_missing = np.isnan(numbers)
        filled = np.where(is_missing, median, np.clip(numbers, low, high))
        return np.clip((filled - mean) / scale, -self.reach, self.reach), is_missing

    @cached_property
    def _arrays(self) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
        return (
            np.array(self.numeric, dtype=np.int64),
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
        """Columns of `design`."""
        return 2 * len(self.numeric) + sum(map(len, self.codes))


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic regression.

    Attributes
    ----------
    terms : LogisticTerms
    coefficients : tuple of float, length n_terms
    centre : tuple of float, length n_terms
        Mean of each term over the rows it was fitted on: where the average lead starts.
    intercept : float
    """

    terms: LogisticTerms
    coefficients: tuple[float, ...]
    centre: tuple[float, ...]
    intercept: float

    def check(self, n_features: int) -> None:
        """Refuse state that does not fit together, as an altered file may hold it.

        Raises
        ------
        ValueError
            If lengths differ, a column is not there, a number is not finite, or a range is none.
        """
        terms = self.terms
        columns = (*terms.numeric, *terms.categorical)
        per_number = (terms.low, terms.high, terms.median, terms.mean, terms.scale)
        numbers = (*self.coefficients, *self.centre, self.intercept, terms.reach,
                   *(number for row in (*per_number, *terms.codes) for number in row))  # fmt: skip
        fits = (
            sorted(columns) == list(range(n_features))
            and all(len(row) == len(terms.numeric) for row in per_number)
            and all(low <= high for low, high in zip(terms.low, terms.high, strict=True))
            and len(terms.codes) == len(terms.categorical)
            and all(list(codes) == sorted(set(codes)) != [] for codes in terms.codes)
            and len(self.coefficients) == len(self.centre) == terms.n_terms
            and all(map(math.isfinite, numbers))
            and min((*terms.scale, terms.reach), default=1.0) > 0
        )
        if not fits:
            raise ValueError("the logistic regression's numbers do not fit together")

    @cached_property
    def constant(self) -> float:
        """Log-odds of a lead whose every term is average."""
        return self.intercept + float(np.array(self.coefficients) @ np.array(self.centre))

    def contributions(self, features: Floats) -> Floats:
        """Give what each feature adds to `constant`, in log-odds.

        For a linear model these are its exact Shapley values, features taken as
        independent.

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
        found = np.empty(features.shape)
        standardised, is_missing = self.terms.numbers(features)
        n = len(self.terms.numeric)
        coefficients, centre = np.array(self.coefficients), np.array(self.centre)
        of_numbers = coefficients[:n] * (standardised - centre[:n])
        of_numbers += coefficients[n : 2 * n] * (is_missing - centre[n : 2 * n])
        found[:, self.terms.numeric] = of_numbers
        for column, codes, own, average in self._categories:
            at = np.minimum(np.searchsorted(codes, features[:, column]), len(codes) - 1)
            is_known = codes[at] == features[:, column]
            found[:, column] = np.where(is_known, own[at], 0.0) - average
        return found

    @cached_property
    def _categories(self) -> list[tuple[int, Floats, Floats, float]]:
        """Each categorical column's codes, their coefficients, and the average of these."""
        found, start = [], 2 * len(self.terms.numeric)
        for column, codes in zip(self.terms.categorical, self.terms.codes, strict=True):
            own = np.array(self.coefficients[start : start + len(codes)])
            average = float(own @ np.array(self.centre[start : start + len(codes)]))
            found.append((column, np.array(codes), own, average))
            start += len(codes)
        return found

    def margin(self, features: Floats) -> Floats:
        """Log-odds, shape (n,)."""
        # Along rows of a matrix in C order numpy adds each row up by itself, in one order.
        return self.constant + self.contributions(features).sum(axis=1)


def fit_logistic(
    features: Floats,
    label: NDArray[np.int8],
    weight: Floats,
    categorical: Sequence[int],
    *,
    growing: Sequence[int] = (),
    strength: float = 1.0,
    reach: float = REACHES[-1],
    directions: tuple[int, ...] = (),
) -> Logistic:
    """Fit an L2-regularised logistic regression.

    Parameters
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
        Both classes must be there.
    weight : ndarray of float64, shape (n,)
    categorical : sequence of int
        Columns that hold codes.
    growing : sequence of int
        Columns that grow with time, to be held in the range that they have here.
    strength : float
        Scikit-learn's C.
    reach : float
        Standard deviations at which numbers are held.
    directions : tuple of int, length k, or empty
        1 where a column may only raise the log-odds, -1 where it may only lower them, else
        0. A number that would go the other way gets no say: its slope is 0.

    Returns
    -------
    Logistic
    """
    terms = LogisticTerms.fit(features, categorical, reach, growing)
    return _fit_terms(terms, terms.design(features), label, weight, strength, directions)


def _fit_terms(
    terms: LogisticTerms,
    design: Floats,
    label: NDArray[np.int8],
    weight: Floats,
    strength: float,
    directions: tuple[int, ...] = (),
) -> Logistic:
    is_small = len(design) * terms.n_terms**2 < MANY_CELLS
    solver = "newton-cholesky" if is_small else "lbfgs"
    wanted = np.zeros(terms.n_terms)
    if directions:
        wanted[: len(terms.numeric)] = np.array(directions)[list(terms.numeric)]
    kept = np.ones(terms.n_terms, dtype=bool)
    coefficients = np.zeros(terms.n_terms)
    while True:
        model = LogisticRegression(C=strength, max_iter=1000, solver=solver)
        with threadpool_limits(1):  # threads that wait for a busy core cost more than they save
            model.fit(design[:, kept], label, sample_weight=weight)
        coefficients[:] = 0.0
        coefficients[kept] = model.coef_[0]
        against = wanted * coefficients < 0
        if not against.any():
            break
        kept &= ~against
    centre = np.average(design, axis=0, weights=weight)
    return Logistic(
        terms, tuple(coefficients.tolist()), tuple(centre.tolist()), float(model.intercept_[0])
    )


def choose_logistic(
    older: Rows,
    newer: Rows | None,
    categorical: Sequence[int],
    seed: int,
    growing: Sequence[int] = (),
) -> tuple[float, float]:
    """Find how strongly to pull the coefficients towards 0, and where to hold numbers.

    Each pair is fitted to folds of whole leads of the older rows and judged half by what it
    had not seen of them, half by the newer rows: the one tells what so few rows can carry,
    the other what holds when the world changes. Of more than `MANY_ROWS` older rows a
    sample of leads is taken: with many rows the choice matters little.

    Parameters
    ----------
    older, newer : tuple of features, label, weight, lead
        `newer` is None where there are too few to judge by.
    categorical : sequence of int
    seed : int
    growing : sequence of int
        As `fit_logistic` takes them.

    Returns
    -------
    strength, reach : float
        The pair with the least log loss.
    """
    features, label, weight, lead = older
    if len(label) > MANY_ROWS:
        leads = np.unique(lead)
        n_leads = max(1, int(MANY_ROWS * len(leads) / len(label)))
        chosen = np.random.default_rng(seed).choice(leads, n_leads, replace=False)
        rows = np.isin(lead, chosen)
        features, label, weight, lead = features[rows], label[rows], weight[rows], lead[rows]
    fold_of = folds(label, lead, seed, N_FOLDS)
    kept = [
        fold_of == fold for fold in np.unique(fold_of) if len(np.unique(label[fold_of != fold])) > 1
    ]
    losses: dict[tuple[float, float], float] = {}
    for reach in REACHES:
        terms = [LogisticTerms.fit(features[~held], categorical, reach, growing) for held in kept]
        designs = [each.design(features[~held]) for each, held in zip(terms, kept, strict=True)]
        for strength in STRENGTHS:
            fitted = [
                _fit_terms(each, design, label[~held], weight[~held], strength)
                for each, design, held in zip(terms, designs, kept, strict=True)
            ]
            unseen = np.concatenate([
                weight[held] * row_losses(each.margin(features[held]), label[held])
                for each, held in zip(fitted, kept, strict=True)
            ])  # fmt: skip
            losses[strength, reach] = float(unseen.sum() / weight[np.any(kept, axis=0)].sum())
            if newer is not None:
                margin = np.mean([each.margin(newer[0]) for each in fitted], axis=0)
                new = np.average(row_losses(margin, newer[1]), weights=newer[2])
                losses[strength, reach] += float(new)
    return min(losses, key=lambda pair: losses[pair])


def row_losses(margin: Floats, label: NDArray[np.int8]) -> Floats:
    """Log loss of each row, shape (n,)."""
    return -np.asarray(label * log_expit(margin) + (1 - label) * log_expit(-margin))
