"""Compares the mean of a group, such as its revenue per lead, with leads of the same time."""

from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Bools, Floats, Ints
from models.evaluation.comparisons import FEWEST_LEADS, Contrast
from models.evaluation.same_time import LEAST_CHANGE, Strata, share_changes


def compare_mean_within(group: Contrast, values: Floats, is_in: Bools, period: Ints) -> Contrast:
    """Compare a group's mean with leads of the same periods, if its share of the leads changes.

    This is `same_time.compare_within` for means: the same rule, the same weights, and the test of
    Mantel and Haenszel for sums of values instead of wins.

    Parameters
    ----------
    group : Contrast
        The group, compared with all leads by `comparisons.mean_ratio`, not corrected.
    values : ndarray of float64, shape (n,)
        A value of each lead, at least 0.
    is_in : ndarray of bool, shape (n,)
        True for the leads of the group.
    period : ndarray of int64, shape (n,)

    Returns
    -------
    Contrast
        `group`, or `group` with `ratio`, its interval, `p`, `time_value` and `time_average` within
        periods. The interval and `p` are None if those of `group` are None.

    References
    ----------
    Mantel, "Chi-Square Tests with One Degree of Freedom; Extensions of the Mantel-Haenszel
    Procedure", 1963, for the test; McCullagh and Nelder, "Generalized Linear Models", 1989, section
    9.2, for a variance in proportion to the mean.

    Examples
    --------
    >>> from models.evaluation.comparisons import mean_ratio
    >>> period = np.repeat(np.arange(10), 200)
    >>> is_in = np.arange(2_000) % 200 < 20 * period  # more of the leads with time
    >>> values = np.where(np.arange(2_000) % 2, 10.0 * (period + 1), 0.0)  # and more revenue
    >>> group = mean_ratio(values, is_in)
    >>> within = compare_mean_within(group, values, is_in, period)
    >>> round(group.ratio, 2), round(within.ratio, 2), group.is_significant, within.is_significant
    (1.33, 1.0, True, False)
    """
    k = int(period.max(initial=0)) + 1
    sides = [
        (np.bincount(period[side], minlength=k), values[side], period[side])
        for side in (is_in, ~is_in)
    ]
    (own, *_), (rest, *_) = sides
    if group.ratio is None or not share_changes(own, own + rest):
        return group
    both = (own > 0) & (rest > 0)
    n_own, n_rest = int(own[both].sum()), int(rest[both].sum())
    sums, squares = (
        [
            np.bincount(at, of_side**power, minlength=k)[both].astype(np.float64)
            for _, of_side, at in sides
        ]
        for power in (1, 2)
    )
    if min(n_own, n_rest) < FEWEST_LEADS or not (sums[0] + sums[1]).any():
        return replace(group, ratio=None, ratio_low=None, ratio_high=None, p=None, others=n_rest)
    strata = _MeanStrata(
        own[both].astype(np.float64),
        sums[0],
        rest[both].astype(np.float64),
        sums[1],
        own_squares=squares[0],
        rest_squares=squares[1],
    )
    ratio = strata.value / strata.average
    if group.ratio and 1 / LEAST_CHANGE < ratio / group.ratio < LEAST_CHANGE:
        return group
    has_interval = group.ratio_low is not None and strata.value > 0
    return replace(
        group,
        ratio=ratio,
        ratio_low=ratio / strata.spread if has_interval else None,
        ratio_high=ratio * strata.spread if has_interval else None,
        p=None if group.p is None else strata.p,
        others=n_rest,
        time_value=strata.value,
        time_average=strata.average,
    )


@dataclass(frozen=True)
class _MeanStrata(Strata):
    """The sums of the values, and of their squares, in each period."""

    own_squares: Floats
    rest_squares: Floats
    MOST = np.inf

    def variances(self, own_mean: Floats, rest_mean: Floats) -> tuple[Floats, Floats]:
        """Return variances in proportion to the means, as those of rare amounts are."""
        sides = (
            (self.own, self.own_sum, self.own_squares, own_mean),
            (self.rest, self.rest_sum, self.rest_squares, rest_mean),
        )
        own, rest = (
            mean * (squares - 2 * mean * total + n * mean**2).sum() / max((n * mean).sum(), 1e-12)
            for n, total, squares, mean in sides
        )
        return own, rest

    @property
    def p(self) -> float | None:
        """The p-value; None if the values do not vary within any period."""
        total, n = self.own_sum + self.rest_sum, self.own + self.rest
        return self.p_of_squares(self.own_squares + self.rest_squares - total**2 / n)
