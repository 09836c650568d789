"""Fits a logistic regression on steps: each number adds a function that jumps at its deciles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from crm.arrays import Bools, Floats, Indexes, Labels
from models.estimator.blend import BaseRate
from models.estimator.logistic import Logistic, LogisticTerms
from models.estimator.steps import Steps, bins_of

N_BINS = 10
MOST_ITERATIONS = 500
TOLERANCE = 1e-5  # the largest slope of the mean loss at which the fit ends
LEAST_DECREASE = 1e-9  # the share of the mean loss by which an iteration must reduce it
Sparse = Any  # SciPy has no types
LOW, HIGH, FREE = (None, 0.0), (0.0, None), (None, None)  # bounds


@dataclass(frozen=True)
class StepDesign:
    """The bins of all columns: what `fit_steps` needs to know of the training rows.

    Attributes
    ----------
    terms : LogisticTerms
    cuts : tuple of tuple of float, length n_numeric
    rows : sparse array of float64, shape (n, n_bins)
        1 in the bin that each column of a row has. The bins of a number lie between its cuts, and
        a gap has a bin of its own; a category has one for each code.
    levels : sparse array of float64, shape (n_bins, n_parameters)
        What each parameter adds to each bin. The parameters are the jumps of each number at its
        cuts, then what a gap adds to the level of the median, for each number, then the
        coefficient of each code.
    first : ndarray of intp, shape (n_numeric,)
        The first bin of each number.
    median : ndarray of intp, shape (n_numeric,)
        The position of the median among the bins of each number.
    bounds : list of pairs of float or None, length n_parameters
        The least and the greatest value of each parameter.
    """

    terms: LogisticTerms
    cuts: tuple[tuple[float, ...], ...]
    rows: Sparse
    levels: Sparse
    first: Indexes
    median: Indexes
    bounds: list[tuple[float | None, float | None]]

    @classmethod
    def of(
        cls, terms: LogisticTerms, features: Floats, directions: tuple[int, ...] = ()
    ) -> "StepDesign":
        """Cut each number at its deciles, and find the bin of each value.

        Parameters
        ----------
        terms : LogisticTerms
            Fitted on the same features.
        features : ndarray of float64, shape (n, k)
        directions : tuple of int, length k, or empty
        """
        standardised, is_missing = terms.numbers(features)
        cuts = [_cuts(standardised[:, i]) for i in range(len(terms.numeric))]
        n_bins = [len(of_column) + 2 for of_column in cuts] + list(map(len, terms.codes))
        first = np.cumsum([0, *n_bins])
        bins = np.empty((len(features), len(n_bins)), dtype=np.int32)
        median = np.zeros(len(cuts), dtype=np.intp)
        for i, of_column in enumerate(cuts):
            reached = bins_of(standardised[:, i], of_column)
            if is_missing[:, i].any():
                median[i] = reached[is_missing[:, i]][0]  # gaps are filled with the median
            bins[:, i] = np.where(is_missing[:, i], len(of_column) + 1, reached)
        for i, (position, codes) in enumerate(zip(terms.categorical, terms.codes, strict=True)):
            bins[:, len(cuts) + i] = np.searchsorted(np.array(codes), features[:, position])
        return cls(
            terms=terms,
            cuts=tuple(tuple(of_column.tolist()) for of_column in cuts),
            rows=_one_hot(bins + first[:-1], int(first[-1])),
            levels=_levels(list(map(len, cuts)), median, sum(map(len, terms.codes))),
            first=first[: len(cuts)],
            median=median,
            bounds=_bounds(terms, list(map(len, cuts)), directions),
        )

    def take(self, rows: Bools) -> "StepDesign":
        """Return the design of some of the rows, with the same cuts."""
        return replace(self, rows=self.rows[np.flatnonzero(rows)])

    def shares(self, weight: Floats) -> list[Floats]:
        """Return the share of the rows in each level of each number; a gap has the median's."""
        of_bins = self.rows.T @ weight / weight.sum()
        shares = []
        for begin, cuts, median in zip(self.first, self.cuts, self.median, strict=True):
            share = of_bins[begin : begin + len(cuts) + 1].copy()
            share[median] += of_bins[begin + len(cuts) + 1]
            shares.append(share)
        return shares


def _one_hot(bins: Indexes, n_bins: int) -> Sparse:
    n, width = bins.shape
    starts = np.arange(n + 1, dtype=np.int64) * width
    return sparse.csr_array((np.ones(n * width), bins.ravel(), starts), shape=(n, n_bins))


def _levels(n_cuts: Sequence[int], median: Indexes, n_codes: int) -> Sparse:
    """Build the matrix from parameters to bins: see `StepDesign.levels`."""
    n_jumps = sum(n_cuts)
    blocks, begin = [], 0
    for i, n in enumerate(n_cuts):
        block = np.zeros((n + 2, n_jumps + len(n_cuts)))
        block[:-1, begin : begin + n] = np.tri(n + 1, n, -1)  # bin b is above its first b cuts
        block[-1] = block[median[i]]
        block[-1, n_jumps + i] = 1.0
        blocks.append(sparse.csr_array(block))
        begin += n
    of_numbers = sparse.vstack(blocks) if blocks else sparse.csr_array((0, 0))
    return sparse.csr_array(sparse.block_diag([of_numbers, sparse.eye_array(n_codes)]))


def _bounds(
    terms: LogisticTerms, n_cuts: Sequence[int], directions: tuple[int, ...]
) -> list[tuple[float | None, float | None]]:
    of_jumps = [
        {1: HIGH, -1: LOW, 0: FREE}[directions[position] if directions else 0]
        for position, n in zip(terms.numeric, n_cuts, strict=True)
        for _ in range(n)
    ]
    return of_jumps + [FREE] * (len(n_cuts) + sum(map(len, terms.codes)))


def _cuts(numbers: Floats) -> Floats:
    """Return the deciles of a column, and the smallest number above its minimum."""
    lowest = numbers.min()
    deciles = np.quantile(numbers, np.arange(1, N_BINS) / N_BINS, method="lower")
    above = numbers[numbers > lowest]
    if len(above) == 0:
        return above
    cuts = np.unique(np.append(deciles, above.min()))
    return cuts[cuts > lowest]


def fit_steps(
    design: StepDesign,
    label: Labels,
    weight: Floats,
    strength: float,
    start: Floats | None = None,
) -> tuple[Logistic, Floats]:
    """Fit a logistic regression on steps, with an L2 penalty on each jump.

    Parameters
    ----------
    design : StepDesign
    label : ndarray of int8, shape (n,)
        Both classes must occur.
    weight : ndarray of float64, shape (n,)
    strength : float
        As scikit-learn's C: smaller values regularise more.
    start : ndarray of float64, optional
        Parameters to start from, of a fit to the same design.

    Returns
    -------
    Logistic
        Its lines have the slope 0.
    ndarray of float64
        The parameters.

    Notes
    -----
    The loss is convex, so there is one best fit. Sums are computed row by row in a fixed order,
    and never by threads.
    """
    total = float(weight.sum())
    if start is None:
        start = np.zeros(1 + design.levels.shape[1])
        start[0] = BaseRate.fit(label, weight).log_odds
    sign = np.where(label == 1, 1.0, -1.0)
    to_bins, to_parameters = design.rows.T.tocsr(), design.levels.T.tocsr()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        log_odds = parameters[0] + design.rows @ (design.levels @ parameters[1:])
        signed = sign * log_odds
        error = -weight * sign * expit(-signed)
        penalised = np.append(0.0, parameters[1:])
        value = (weight * np.logaddexp(0.0, -signed)).sum() + (penalised**2).sum() / 2 / strength
        of_parameters = to_parameters @ (to_bins @ error)
        gradient = np.append(error.sum(), of_parameters) + penalised / strength
        return float(value) / total, gradient / total

    fitted = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[FREE, *design.bounds],
        options={
            "maxiter": MOST_ITERATIONS,
            "gtol": TOLERANCE,
            "ftol": LEAST_DECREASE,
            "maxcor": 20,
        },
    )
    return _logistic(design, fitted.x), fitted.x


def fit_steps_out_of_fold(
    design: StepDesign,
    label: Labels,
    weight: Floats,
    held_outs: Sequence[Bools],
    strength: float,
    start: Floats | None = None,
) -> tuple[list[Logistic], Floats | None]:
    """Fit steps once for each fold, to the other rows; see `fit_steps`.

    The folds share the cuts, so that each fit can start near the one before it.

    Parameters
    ----------
    held_outs : sequence of ndarray of bool, shape (n,)
        The rows of each fold.

    Returns
    -------
    list of Logistic
        The fit without each fold.
    ndarray of float64 or None
        The parameters of the last fit.
    """
    models = []
    for out in held_outs:
        model, start = fit_steps(design.take(~out), label[~out], weight[~out], strength, start)
        models.append(model)
    return models, start


def _logistic(design: StepDesign, parameters: Floats) -> Logistic:
    """Build the logistic regression from the intercept and the other parameters."""
    of_bins = design.levels @ parameters[1:]
    levels = tuple(
        tuple(of_bins[begin : begin + len(cuts) + 1].tolist())
        for begin, cuts in zip(design.first, design.cuts, strict=True)
    )
    n = len(design.cuts)
    gaps_and_codes = parameters[1 + sum(map(len, design.cuts)) :]
    coefficients = np.concatenate([np.zeros(n), gaps_and_codes])
    return Logistic(
        design.terms,
        tuple(coefficients.tolist()),
        centre=(0.0,) * len(coefficients),
        intercept=float(parameters[0]),
        steps=Steps(design.cuts, levels, average=(0.0,) * n),
    )


def mean_of_line_and_steps(
    design: StepDesign, line: Logistic, steps: Logistic, weight: Floats
) -> Logistic:
    """Return the logistic regression whose log-odds are the mean of those of the two.

    Parameters
    ----------
    design : StepDesign
    line, steps : Logistic
        Fitted on the rows of the design, with the terms of the design.
    weight : ndarray of float64, shape (n,)
        The weight of each row in the average lead.
    """
    assert steps.steps is not None
    levels = [np.array(of_bins) / 2 for of_bins in steps.steps.levels]
    shares = design.shares(weight)
    average = [
        float((share * of_bins).sum()) for share, of_bins in zip(shares, levels, strict=True)
    ]
    coefficients = (np.array(line.coefficients) + np.array(steps.coefficients)) / 2
    return replace(
        line,
        coefficients=tuple(coefficients.tolist()),
        intercept=(line.intercept + steps.intercept) / 2,
        steps=Steps(
            steps.steps.cuts,
            tuple(tuple(of_bins.tolist()) for of_bins in levels),
            tuple(average),
        ),
    )
