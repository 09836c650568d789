"""Fits a logistic regression on steps: each number adds a function that jumps at its deciles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from crm.arrays import Bools, Floats, Indexes, Labels
from models.estimator.logistic import Logistic, LogisticTerms
from models.estimator.steps import Steps, bins_of
from models.fitting.coefficients import curvature_of, fit_coefficients

N_BINS = 10
Sparse = Any  # SciPy has no types


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
    signs : ndarray of float64, shape (n_parameters,)
        1 if a parameter may not be less than 0, -1 if it may not be greater, else 0.
    """

    terms: LogisticTerms
    cuts: tuple[tuple[float, ...], ...]
    rows: Sparse
    levels: Sparse
    first: Indexes
    median: Indexes
    signs: Floats

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
            signs=_signs(terms, list(map(len, cuts)), directions),
        )

    def take(self, rows: Bools) -> "StepDesign":
        """Return the design of some of the rows, with the same cuts."""
        return replace(self, rows=self.rows[np.flatnonzero(rows)])

    def curvature(self, label: Labels, weight: Floats) -> Floats:
        """Compute the curvature of the loss, for `fit_steps` on these rows or on some of them."""
        return curvature_of(self.rows, label, weight, self.levels)

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


def _signs(terms: LogisticTerms, n_cuts: Sequence[int], directions: tuple[int, ...]) -> Floats:
    others = np.zeros(len(n_cuts) + sum(map(len, terms.codes)))
    if not directions:
        return np.append(np.zeros(sum(n_cuts)), others)
    return np.append(np.repeat(np.array(directions)[list(terms.numeric)], n_cuts), others)


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
    curvature: Floats | None = None,
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
    curvature : ndarray of float64, optional
        The result of `StepDesign.curvature` for similar rows; it is computed without it.
    start : ndarray of float64, optional
        Parameters to start from, of a fit to the same design.

    Returns
    -------
    Logistic
        Its lines have the slope 0.
    ndarray of float64
        The parameters.
    """
    if curvature is None:
        curvature = design.curvature(label, weight)
    parameters = fit_coefficients(
        design.rows,
        label,
        weight,
        strength,
        curvature,
        levels=design.levels,
        signs=design.signs,
        start=start,
    )
    return _logistic(design, parameters), parameters


def fit_steps_out_of_fold(
    design: StepDesign,
    label: Labels,
    weight: Floats,
    held_outs: Sequence[Bools],
    strength: float,
    curvature: Floats,
    start: Floats | None = None,
) -> tuple[list[Logistic], Floats | None]:
    """Fit steps once for each fold, to the other rows; see `fit_steps`.

    The folds share the cuts, so that each fit can start near the one before it.

    Parameters
    ----------
    held_outs : sequence of ndarray of bool, shape (n,)
        The rows of each fold.
    curvature : ndarray of float64
        The result of `StepDesign.curvature` for all rows.

    Returns
    -------
    list of Logistic
        The fit without each fold.
    ndarray of float64 or None
        The parameters of the last fit.
    """
    models = []
    for out in held_outs:
        model, start = fit_steps(
            design.take(~out), label[~out], weight[~out], strength, curvature, start
        )
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
