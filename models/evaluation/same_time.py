"""Compares a group with leads of the same time, if its share of the leads changes over time.

If most early leads have a value, and few later leads have it, a comparison with all leads compares
different years. So the leads are divided into periods, and the group is compared with the others of
each period, by the method of Mantel and Haenszel.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.stats import chi2

from crm.arrays import Floats, Ints
from features.intervals import Z, wilson
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, FEWEST_OUTCOMES, Contrast
from models.evaluation.differences import FEWEST_EXPECTED, p_of

MOST_PERIODS = 100  # little time passes within one
FEWEST_IN_PERIOD = 50
PARTS = 5  # of the time, in which the share of a group has to change
LEAST_CHANGE = 1.1  # of the ratio, as a factor, for another comparison than with all leads


def periods_of(n: int) -> Ints:
    """Return the period of each of n leads in order of time; periods have equally many leads.

    Returns
    -------
    ndarray of int64, shape (n,)
        Ascending, from 0.

    Examples
    --------
    >>> np.bincount(periods_of(150)).tolist(), periods_of(3).tolist()
    ([50, 50, 50], [0, 0, 0])
    """
    k = min(max(n // FEWEST_IN_PERIOD, 1), MOST_PERIODS)
    return np.arange(n) * k // max(n, 1)


def compare_within(group: Contrast, own: Ints, own_wins: Ints, n: Ints, wins: Ints) -> Contrast:
    """Compare a group with the leads of the same periods, if its share of the leads changes.

    Parameters
    ----------
    group : Contrast
        The group, compared with all leads, not corrected for other comparisons.
    own, own_wins : ndarray of int64, shape (n_periods,)
        The leads of the group in each period, and the wins among them.
    n, wins : ndarray of int64, shape (n_periods,)
        All leads of the period that the group is compared with, its own included.

    Returns
    -------
    Contrast
        `group` if its share of the leads does not clearly change, or if the ratio changes by less
        than `LEAST_CHANGE`. Otherwise `ratio`, its interval and `p` are within periods, and
        `time_value` divided by `time_average` is `ratio`. All of these are None if fewer than
        `FEWEST_LEADS` leads can be compared, or none of them is won.

    References
    ----------
    Mantel and Haenszel, "Statistical Aspects of the Analysis of Data from Retrospective Studies of
    Disease", 1959, for the weights and the test; Mantel and Fleiss, "Minimum Expected Cell Size
    Requirements for the Mantel-Haenszel One-Degree-of-Freedom Chi-Square Test", 1980, for the
    fewest expected wins; Mickey and Greenland, "The Impact of Confounder Selection Criteria on
    Effect Estimation", 1989, for the change of a tenth.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> own, own_wins = np.repeat([180, 20], 5), np.repeat([5, 4], 5)
    >>> n, wins = np.repeat([200, 200], 5), np.repeat([6, 58], 5)
    >>> group = contrast(45, 1_000, 320, 2_000)
    >>> within = compare_within(group, own, own_wins, n, wins)
    >>> round(group.ratio, 2), round(within.ratio, 2), within.is_significant
    (0.28, 0.71, True)
    """
    rest, rest_wins = n - own, wins - own_wins
    if group.ratio is None or not share_changes(own, n):
        return group
    both = (own > 0) & (rest > 0)
    n_own, n_rest = int(own[both].sum()), int(rest[both].sum())
    if min(n_own, n_rest) < FEWEST_LEADS or not wins[both].any():
        return replace(group, ratio=None, ratio_low=None, ratio_high=None, p=None, others=n_rest)
    strata = Strata(*(a[both].astype(np.float64) for a in (own, own_wins, rest, rest_wins)))
    value, average = strata.value, strata.average
    ratio = value / average
    if group.ratio and 1 / LEAST_CHANGE < ratio / group.ratio < LEAST_CHANGE:
        return group
    low, high = (end / average for end in wilson(value, n_own))
    n_won = int(own_wins[both].sum())
    if min(n_won, n_own - n_won) >= FEWEST_OUTCOMES:
        low, high = ratio / strata.spread, ratio * strata.spread
    return replace(
        group,
        ratio=ratio,
        ratio_low=low,
        ratio_high=min(high, 1 / average),
        p=None if group.p is None else strata.p,
        others=n_rest,
        time_value=value,
        time_average=average,
    )


def share_changes(own: Ints, n: Ints) -> bool:
    """Test whether a group's share of the leads differs between parts of the time.

    Parameters
    ----------
    own, n : ndarray of int64, shape (n_periods,)
        The leads of the group, and all leads, in each period.
    """
    edges = np.arange(PARTS) * len(n) // PARTS
    if len(n) < PARTS:
        return False
    own, n = np.add.reduceat(own, edges), np.add.reduceat(n, edges)
    own, n = own[n > 0], n[n > 0]
    share = own.sum() / max(n.sum(), 1)
    if not 0 < share < 1 or (n * min(share, 1 - share)).min() < 1:
        return False
    squares = (own - n * share) ** 2 / (n * share * (1 - share))
    return bool(chi2.sf(squares.sum(), len(n) - 1) < CHANCE)


@dataclass(frozen=True)
class Strata:
    """The leads of a group, and the others, in each period that has both, with the sums of a value.

    The value of a lead is 1 if it is won and 0 if not, so that the sums are wins.
    """

    own: Floats
    own_sum: Floats
    rest: Floats
    rest_sum: Floats
    MOST: ClassVar[float] = 1.0  # a mean cannot be larger

    @cached_property
    def weight(self) -> Floats:
        """The weight of each period by Mantel and Haenszel; they add up to 1."""
        weight = self.own * self.rest / (self.own + self.rest)
        return np.asarray(weight / weight.sum())

    @property
    def value(self) -> float:
        """The weighted share of the group, or its mean."""
        return float(self.weight @ (self.own_sum / self.own))

    @property
    def average(self) -> float:
        """The weighted share of all leads, or their mean."""
        return float(self.weight @ ((self.own_sum + self.rest_sum) / (self.own + self.rest)))

    @cached_property
    def spread(self) -> float:
        """The factor between the ratio and the ends of its interval, by the delta method.

        The variance in each period is computed from the shares that the period would have if all
        periods had the same ratio. The observed share of one or two leads cannot be used: for one
        lead it is 0 or 1, and its variance would be 0.
        """
        n = self.own + self.rest
        part, mean = self.own / n, (self.own_sum + self.rest_sum) / n
        own_mean = np.clip(mean * self.value / self.average, 0, self.MOST)
        rest_mean = np.clip((n * mean - self.own * own_mean) / self.rest, 0, self.MOST)
        by_own = self.weight * (1 / self.value - part / self.average)
        by_rest = self.weight * (1 - part) / self.average
        own_variance, rest_variance = self.variances(own_mean, rest_mean)
        variances = by_own**2 * own_variance / self.own
        variances += by_rest**2 * rest_variance / self.rest
        return float(np.exp(Z * np.sqrt(variances @ (n / (n - 1)))))

    def variances(self, own_mean: Floats, rest_mean: Floats) -> tuple[Floats, Floats]:
        """Return the variance of one lead of the group, and of one other, in each period."""
        return own_mean * (1 - own_mean), rest_mean * (1 - rest_mean)

    @property
    def p(self) -> float | None:
        """The p-value of the test of Mantel and Haenszel; None if too few wins are expected.

        The expected wins have to be at least `FEWEST_EXPECTED` away from the fewest and the most
        wins that the group can have, as Mantel and Fleiss require.
        """
        n, wins = self.own + self.rest, self.own_sum + self.rest_sum
        expected = self.own * wins / n
        fewest, most = np.maximum(self.own + wins - n, 0), np.minimum(self.own, wins)
        least = min((expected - fewest).sum(), (most - expected).sum())
        if least < FEWEST_EXPECTED:
            return None
        return self.p_of_squares(wins * (n - wins) / n)

    def p_of_squares(self, squares: Floats) -> float | None:
        """Compute the p-value of the group's sum, if it is a random part of each period.

        Parameters
        ----------
        squares : ndarray of float64, shape (n_periods,)
            The sum of the squared differences from the mean of each period.

        Returns
        -------
        float or None
            None if the values do not vary within any period.
        """
        n = self.own + self.rest
        expected = self.own * (self.own_sum + self.rest_sum) / n
        variance = self.own * self.rest * squares / (n * (n - 1))
        if variance.sum() <= 0:
            return None
        return p_of(float((self.own_sum - expected).sum() / np.sqrt(variance.sum())))
