"""Fits a logistic regression on steps: each number adds a function that jumps at its deciles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from crm.arrays import Bools, Floats, Indexes, Labels
from models.estimator.blend import BaseRate
from models.estimator.logistic import Logistic, LogisticTerms
from models.estimator.steps import Steps, bins_of

N_BINS = 10
MOST_CELLS = 4096  # of the columns that are looked up together
MOST_ITERATIONS = 500
TOLERANCE = 1e-5  # the largest slope of the mean loss at which the fit ends
LEAST_DECREASE = 1e-9  # the share of the mean loss by which an iteration must reduce it
LOW, HIGH, FREE = (None, 0.0), (0.0, None), (None, None)  # bounds


@dataclass(frozen=True)
class _Column:
    """How the values of one column share parameters.

    Attributes
    ----------
    bins : ndarray of intp, shape (n,)
        The bin of each row.
    n_bins : int
    n_cuts : int or None
        The number of jumps between the bins of a number; None for a category.
    median : int
        The bin of the median. Rows with a gap have the last bin: the level of the median, and a
        parameter of their own. -1 if there are no gaps, and for a category.
    direction : int
        1 if no jump may be negative, -1 if none may be positive, else 0.
    """

    bins: Indexes
    n_bins: int
    n_cuts: int | None = None
    median: int = -1
    direction: int = 0

    @property
    def n_parameters(self) -> int:
        return self.n_bins if self.n_cuts is None else self.n_cuts + (self.median >= 0)

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        of_jumps = {1: HIGH, -1: LOW, 0: FREE}[self.direction]
        n_cuts = self.n_cuts or 0
        return [of_jumps] * n_cuts + [FREE] * (self.n_parameters - n_cuts)

    def levels(self, parameters: Floats) -> Floats:
        """Return what each bin adds to the log-odds, shape (n_bins,)."""
        if self.n_cuts is None:
            return parameters
        levels = np.concatenate([[0.0], np.cumsum(parameters[: self.n_cuts])])
        if self.median < 0:
            return levels
        return np.append(levels, levels[self.median] + parameters[-1])

    def gradient(self, of_bins: Floats) -> Floats:
        """Return the gradient of the parameters, given that of the bins."""
        if self.n_cuts is None:
            return of_bins
        of_levels = of_bins[: self.n_cuts + 1].copy()
        if self.median >= 0:
            of_levels[self.median] += of_bins[-1]
        of_jumps = np.cumsum(of_levels[::-1])[::-1][1:]
        return np.append(of_jumps, of_bins[-1]) if self.median >= 0 else of_jumps


@dataclass(frozen=True)
class _Group:
    """Columns whose bins are looked up together, as one cell of a small table."""

    columns: tuple[_Column, ...]
    cell: Indexes

    @classmethod
    def of(cls, columns: Sequence[_Column]) -> "_Group":
        cell = np.zeros(len(columns[0].bins), dtype=np.intp)
        for column in columns:
            cell = cell * column.n_bins + column.bins
        return cls(tuple(_without_rows(column) for column in columns), cell)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(column.n_bins for column in self.columns)

    def table(self, levels: Sequence[Floats]) -> Floats:
        """Return the sum of the columns' levels in each cell."""
        table = np.zeros(())
        for of_column in levels:
            table = np.add.outer(table, of_column)
        return table.ravel()

    def sums(self, of_rows: Floats) -> list[Floats]:
        """Return the sum of a number of each row in every bin of each column."""
        table = np.bincount(self.cell, of_rows, int(np.prod(self.shape))).reshape(self.shape)
        axes = range(len(self.shape))
        return [np.asarray(table.sum(axis=tuple(a for a in axes if a != axis))) for axis in axes]


def _without_rows(column: _Column) -> _Column:
    """Return the column without the bins of its rows, which its group has."""
    return replace(column, bins=np.empty(0, dtype=np.intp))


@dataclass(frozen=True)
class StepDesign:
    """The bins of all columns: what `fit_steps` needs to know of the training rows.

    Attributes
    ----------
    terms : LogisticTerms
    cuts : tuple of tuple of float, length n_numeric
    groups : tuple of _Group
    """

    terms: LogisticTerms
    cuts: tuple[tuple[float, ...], ...]
    groups: tuple[_Group, ...]

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
        columns, cuts_of = [], []
        for i, position in enumerate(terms.numeric):
            numbers, gaps = standardised[:, i], is_missing[:, i]
            cuts = _cuts(numbers)
            bins = bins_of(numbers, cuts)
            has_gaps = bool(gaps.any())
            median = int(bins[gaps][0]) if has_gaps else -1
            bins[gaps] = len(cuts) + 1
            direction = directions[position] if directions else 0
            columns.append(_Column(bins, len(cuts) + 1 + has_gaps, len(cuts), median, direction))
            cuts_of.append(tuple(cuts.tolist()))
        for position, codes in zip(terms.categorical, terms.codes, strict=True):
            bins = np.searchsorted(np.array(codes), features[:, position])
            columns.append(_Column(bins, len(codes)))
        return cls(terms, tuple(cuts_of), tuple(_grouped(columns)))

    def take(self, rows: Bools) -> "StepDesign":
        """Return the design of some of the rows, with the same cuts."""
        groups = tuple(replace(group, cell=group.cell[rows]) for group in self.groups)
        return replace(self, groups=groups)

    @property
    def columns(self) -> list[_Column]:
        """The columns, in the order of the terms: numbers, then categories."""
        return [column for group in self.groups for column in group.columns]

    def sums(self, of_rows: Floats) -> list[Floats]:
        """Return the sum of a number of each row in every bin of each column."""
        return [sums for group in self.groups for sums in group.sums(of_rows)]

    def log_odds(self, levels: Sequence[Floats]) -> Floats:
        """Return the sum of the levels that each row reaches, shape (n,)."""
        log_odds = np.zeros(len(self.groups[0].cell))
        at = 0
        for group in self.groups:
            n = len(group.columns)
            log_odds += group.table(levels[at : at + n])[group.cell]
            at += n
        return log_odds

    def shares(self, weight: Floats) -> list[Floats]:
        """Return the share of the rows in each level of each number; a gap has the median's."""
        shares = []
        for column, cuts, sums in zip(self.columns, self.cuts, self.sums(weight), strict=False):
            if column.median >= 0:
                sums[column.median] += sums[-1]
            shares.append(sums[: len(cuts) + 1] / weight.sum())
        return shares


def _cuts(numbers: Floats) -> Floats:
    """Return the deciles of a column, and the smallest number above its minimum."""
    lowest = numbers.min()
    deciles = np.quantile(numbers, np.arange(1, N_BINS) / N_BINS, method="lower")
    above = numbers[numbers > lowest]
    if len(above) == 0:
        return above
    cuts = np.unique(np.append(deciles, above.min()))
    return cuts[cuts > lowest]


def _grouped(columns: Sequence[_Column]) -> list[_Group]:
    """Group columns in their order, as many as have at most `MOST_CELLS` cells together."""
    groups: list[_Group] = []
    pending: list[_Column] = []
    n_cells = 1
    for column in columns:
        if pending and n_cells * column.n_bins > MOST_CELLS:
            groups.append(_Group.of(pending))
            pending, n_cells = [], 1
        pending.append(column)
        n_cells *= column.n_bins
    return [*groups, _Group.of(pending)] if pending else groups


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
    columns = design.columns
    ends = np.cumsum([1, *(column.n_parameters for column in columns)])
    total = float(weight.sum())
    if start is None:
        start = np.zeros(int(ends[-1]))
        start[0] = BaseRate.fit(label, weight).log_odds
    sign = np.where(label == 1, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        intercept, *parts = np.split(parameters, ends[:-1])
        levels = [column.levels(part) for column, part in zip(columns, parts, strict=True)]
        signed = sign * (intercept + design.log_odds(levels))
        error = -weight * sign * expit(-signed)
        of_columns = [
            column.gradient(sums) for column, sums in zip(columns, design.sums(error), strict=True)
        ]
        penalised = np.append(0.0, parameters[1:])
        value = (weight * np.logaddexp(0.0, -signed)).sum() + (penalised**2).sum() / 2 / strength
        gradient = np.concatenate([[error.sum()], *of_columns]) + penalised / strength
        return float(value) / total, gradient / total

    fitted = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[FREE, *(bound for column in columns for bound in column.bounds)],
        options={
            "maxiter": MOST_ITERATIONS,
            "gtol": TOLERANCE,
            "ftol": LEAST_DECREASE,
            "maxcor": 20,
        },
    )
    return _logistic(design, columns, np.split(fitted.x, ends[:-1])), fitted.x


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


def _logistic(
    design: StepDesign, columns: Sequence[_Column], parameters: Sequence[Floats]
) -> Logistic:
    """Build the logistic regression from the intercept and the parameters of each column."""
    n = len(design.terms.numeric)
    of_numbers, of_codes = parameters[1 : n + 1], parameters[n + 1 :]
    levels = [
        column.levels(part)[: len(cuts) + 1]
        for column, part, cuts in zip(columns[:n], of_numbers, design.cuts, strict=True)
    ]
    gaps = [
        part[-1] if column.median >= 0 else 0.0
        for column, part in zip(columns[:n], of_numbers, strict=True)
    ]
    coefficients = np.concatenate([np.zeros(n), gaps, *of_codes])
    return Logistic(
        design.terms,
        tuple(coefficients.tolist()),
        centre=(0.0,) * len(coefficients),
        intercept=float(parameters[0][0]),
        steps=Steps(
            design.cuts,
            tuple(tuple(of_bins.tolist()) for of_bins in levels),
            average=(0.0,) * n,
        ),
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
