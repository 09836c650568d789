"""Compares shares, medians and means of groups, with intervals and a correction for many looks.

Every takeaway of a report comes from this module. Among a hundred values, five differ "at 5 %" by
chance, and the highest share often belongs to the value with the fewest leads. So each value is
compared with all the other leads, the p-values of all comparisons made together are corrected by
Holm's procedure, and values with too few leads are not compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr
from scipy.stats import binom, hypergeom, mannwhitneyu, ttest_ind
from scipy.stats import t as student

from crm.arrays import Bools, Floats, Ints
from features.intervals import LEVEL, Z, wilson
from models.evaluation.intervals import holm

FEWEST_LEADS = 30  # of a value, to compare it: the share of fewer leads is too uncertain
FEWEST_EXPECTED = 5.0  # expected wins and losses; with fewer, the exact test is used
FEWEST_WINS = 10  # for an interval of a ratio on the log scale
CHANCE = 1 - LEVEL


class Verdict(StrEnum):
    """The result of a comparison, in words."""

    ABOVE = "above the others"
    BELOW = "below the others"
    UNCLEAR = "no clear difference"
    FEW_LEADS = "too few leads to tell"
    FEW_OTHERS = "too few others to tell"
    FEW_WINS = "too few wins to tell"

    @property
    def is_judged(self) -> bool:
        """True if there were enough leads to compare."""
        return self in (Verdict.ABOVE, Verdict.BELOW, Verdict.UNCLEAR)

    @property
    def is_difference(self) -> bool:
        """True if the group differs from the others by more than chance."""
        return self in (Verdict.ABOVE, Verdict.BELOW)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of leads with its 95 % interval.

    Attributes
    ----------
    n, wins : int
        The number of leads, and the number of them with the result.
    value, low, high : float
        The share, 0 … 1, with its interval; nan without leads.
    """

    n: int
    wins: int
    value: float
    low: float
    high: float

    def cells(self) -> dict[str, Any]:
        """Return the figures as cells of a table, by column; nan becomes None."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        return {
            "n": self.n,
            "wins": self.wins,
            **{key: None if np.isnan(end) else end for key, end in ends.items()},
        }


def share_of(wins: int, n: int) -> Share:
    """Compute a share with Wilson's interval.

    Examples
    --------
    >>> share = share_of(30, 100)
    >>> share.value, round(share.low, 3), round(share.high, 3)
    (0.3, 0.219, 0.396)
    >>> share_of(0, 0).cells()
    {'n': 0, 'wins': 0, 'value': None, 'low': None, 'high': None}
    """
    if n == 0:
        return Share(n=0, wins=0, value=np.nan, low=np.nan, high=np.nan)
    low, high = wilson(wins / n, n)
    return Share(n=n, wins=wins, value=wins / n, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Contrast(Share):
    """A group of leads compared with all leads.

    Attributes
    ----------
    n, wins : int
        The number of leads in the group, and the number of them with the result.
    value, low, high : float
        Their share, 0 … 1, with its 95 % interval; nan for a group without leads.
    ratio, ratio_low, ratio_high : float or None
        The share divided by that of all leads, with its 95 % interval; None if no lead has the
        result.
    p : float or None
        The p-value of the difference from the other leads: of this comparison alone, or, after
        `corrected`, of all comparisons together. None if there are too few leads to compare.
    others : int
        The number of leads outside the group.
    """

    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p: float | None = None
    others: int = 0

    @property
    def is_significant(self) -> bool:
        """True if the difference is more than chance."""
        return self.p is not None and self.p < CHANCE

    @property
    def verdict(self) -> Verdict:
        """The result of the comparison in words."""
        if self.p is None:
            if self.n < FEWEST_LEADS:
                return Verdict.FEW_LEADS
            return Verdict.FEW_OTHERS if self.others < FEWEST_LEADS else Verdict.FEW_WINS
        if not self.is_significant:
            return Verdict.UNCLEAR
        return Verdict.ABOVE if (self.ratio or 0.0) > 1 else Verdict.BELOW

    def cells(self) -> dict[str, Any]:
        """Return the figures as cells of a table, by column."""
        return {
            **super().cells(),
            "ratio": self.ratio,
            "ratio_low": self.ratio_low,
            "ratio_high": self.ratio_high,
            "p": self.p,
            "verdict": self.verdict.value,
        }


def contrast(wins: int, n: int, all_wins: int, all_n: int) -> Contrast:
    """Compare a group with the leads that are not in it.

    Parameters
    ----------
    wins, n : int
        The counts of the group. If `n` is 0, `value`, `low` and `high` are nan.
    all_wins, all_n : int
        The counts of all leads, those of the group included.

    Returns
    -------
    Contrast
        Not corrected for other comparisons.

    References
    ----------
    The interval of the ratio is the delta method's on the log scale; the group is part of all
    leads. With few wins it is Wilson's interval divided by the share of all leads.

    Examples
    --------
    >>> group = contrast(wins=30, n=100, all_wins=100, all_n=1_000)
    >>> round(group.ratio, 1), round(group.ratio_low, 1), round(group.ratio_high, 1)
    (3.0, 2.3, 3.9)
    >>> group.is_significant, group.verdict.value
    (True, 'above the others')
    >>> contrast(wins=3, n=10, all_wins=100, all_n=1_000).p is None
    True
    """
    if n == 0:
        return Contrast(n=0, wins=0, value=np.nan, low=np.nan, high=np.nan, others=all_n)
    share = wins / n
    low, high = wilson(share, n)
    group = Contrast(n=n, wins=wins, value=share, low=low, high=high, others=all_n - n)
    if all_wins == 0:
        return group
    base = all_wins / all_n
    group = replace(group, ratio=share / base, ratio_low=low / base, ratio_high=high / base)
    rest_n, rest_wins = all_n - n, all_wins - wins
    if wins >= FEWEST_WINS and rest_n > 0:
        rest = rest_wins / rest_n
        spread = _ratio_spread(
            share, rest, share * (1 - share) / n, rest * (1 - rest) / rest_n, n / all_n
        )
        ratio = share / base
        group = replace(group, ratio_low=ratio / spread, ratio_high=ratio * spread)
    if min(n, rest_n) < FEWEST_LEADS:
        return group
    return replace(group, p=shares_differ(wins, n, rest_wins, rest_n))


def _ratio_spread(
    own: float, rest: float, own_variance: float, rest_variance: float, part: float
) -> float:
    """Compute the factor between a ratio to the mean of all and the ends of its interval.

    Parameters
    ----------
    own, rest : float
        The means of the group and of the other leads.
    own_variance, rest_variance : float
        The squared standard errors of these means.
    part : float
        The group's share of all leads.
    """
    base = part * own + (1 - part) * rest
    own_part = (1 / own - part / base) ** 2 * own_variance
    rest_part = ((1 - part) / base) ** 2 * rest_variance
    return float(np.exp(Z * np.sqrt(own_part + rest_part)))


def shares_differ(wins: int, n: int, other_wins: int, other_n: int) -> float:
    """Compute the p-value of a difference of two shares.

    The score test; Fisher's exact test if few wins or few losses are expected.

    Examples
    --------
    >>> round(shares_differ(7, 10, 2, 10), 4)  # Fisher, by hand: 2 * 5,860 of 167,960
    0.0698
    >>> round(shares_differ(60, 100, 40, 100), 4)  # z = 2.828
    0.0047
    """
    total, all_n = wins + other_wins, n + other_n
    expected = min(total, all_n - total) * min(n, other_n) / all_n
    if expected < FEWEST_EXPECTED:
        null = hypergeom(all_n, total, n)
        return float(min(1.0, 2 * min(null.cdf(wins), null.sf(wins - 1))))
    share = total / all_n
    deviation = np.sqrt(share * (1 - share) * (1 / n + 1 / other_n))
    return p_of(float((wins / n - other_wins / other_n) / deviation))


def counts_differ(count: int, other: int) -> float:
    """Compute the p-value of a difference of two counts from periods of the same length.

    Examples
    --------
    >>> round(counts_differ(5, 15), 4), counts_differ(0, 0)
    (0.0414, 1.0)
    """
    fewer = min(count, other)
    return float(min(1.0, 2 * binom.cdf(fewer, count + other, 0.5)))


def corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Correct the p-values of comparisons made together, by Holm's procedure.

    It keeps the chance of any false finding below 5 %, whatever the dependence between them.

    Examples
    --------
    >>> looks = [contrast(18, 100, 1_000, 10_000), *[contrast(10, 100, 1_000, 10_000)] * 99]
    >>> looks[0].is_significant, corrected(looks)[0].is_significant
    (True, False)
    """
    judged = [i for i, group in enumerate(contrasts) if group.p is not None]
    ps = holm([float(contrasts[i].p or 0.0) for i in judged])
    result = list(contrasts)
    for i, p in zip(judged, ps, strict=True):
        result[i] = replace(result[i], p=p)
    return result


@dataclass(frozen=True, kw_only=True)
class MedianInterval:
    """A median with its 95 % interval.

    Attributes
    ----------
    n : int
        The number of values.
    value, low, high : float
        The median and its interval.
    late : float
        The value that nine of ten do not exceed.
    """

    n: int
    value: float
    low: float
    high: float
    late: float


def median_interval(values: Floats) -> MedianInterval | None:
    """Compute the median of values, with its interval from order statistics.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Infinite values are those that have not happened yet.

    Returns
    -------
    MedianInterval or None
        None for an empty array.

    References
    ----------
    Conover, "Practical Nonparametric Statistics", 1999, section 3.2.

    Examples
    --------
    >>> median = median_interval(np.arange(1.0, 12.0))
    >>> median.value, median.low, median.high, median.late
    (6.0, 2.0, 10.0, 10.0)
    """
    n = len(values)
    if n == 0:
        return None
    below = int(binom.ppf(CHANCE / 2, n, 0.5)) if n > 1 else 0
    late_place = min(int(np.ceil(0.9 * n)) - 1, n - 1)
    places = [max(below - 1, 0), (n - 1) // 2, min(n - max(below, 1), n - 1), late_place]
    low, value, high, late = np.partition(values, sorted(set(places)))[places]
    return MedianInterval(
        n=n, value=float(value), low=float(low), high=float(high), late=float(late)
    )


def ranks_differ(values: Floats, is_in: Bools) -> float:
    """Compute the p-value of Mann and Whitney's test of a group against the others.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    is_in : ndarray of bool, shape (n,)
        True for the values of the group.

    Returns
    -------
    float
        1.0 if either side is empty or all values are equal.
    """
    own, others = values[is_in], values[~is_in]
    if min(len(own), len(others)) == 0 or (values == values[0]).all():
        return 1.0
    test = mannwhitneyu(own, others, method="asymptotic", use_continuity=False)
    return float(test.pvalue)


def means_differ(own: Floats, others: Floats) -> float:
    """Compute the p-value of a difference of two means: Welch's test for large samples.

    The statistic is compared with the normal distribution; both sides need at least two values.
    1.0 if neither side varies.

    Examples
    --------
    >>> means_differ(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    >>> means_differ(np.ones(3), np.ones(3))
    1.0
    """
    if own.var() == 0 and others.var() == 0:
        return 1.0
    return p_of(float(ttest_ind(own, others, equal_var=False).statistic))


def trend_z(wins: Ints, n: Ints) -> float:
    """Compute z of a rising (positive) or falling share over the rows.

    Cochran and Armitage's test.

    Examples
    --------
    >>> round(trend_z(np.array([10, 20, 30]), np.array([100, 100, 100])), 2)
    3.54
    """
    x = np.arange(len(n), dtype=np.float64)
    share = wins.sum() / n.sum()
    centre = (n * x).sum() / n.sum()
    variance = share * (1 - share) * (n * (x - centre) ** 2).sum()
    return float((wins * (x - centre)).sum() / np.sqrt(variance)) if variance > 0 else 0.0


def lasting_trend(wins: Ints, n: Ints) -> tuple[float, float]:
    """Compute z of a trend of a share over months, and the p-value of a trend that lasts.

    One exceptional month makes a trend of a few months. So two conditions hold for a lasting
    trend. It is judged by the scatter of the months around their line, where that is more than
    chance explains. And the first and the last half, which share no lead, have to differ in the
    same direction. p is the larger of both.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (k,)
        By month. With fewer than three months there is no trend, and p is 1.

    Examples
    --------
    >>> n = np.full(6, 1_000)
    >>> z, p = lasting_trend(np.array([100, 110, 120, 130, 140, 150]), n)
    >>> z > 3, p < 0.05
    (True, True)
    >>> z, p = lasting_trend(np.array([200, 140, 140, 140, 140, 140]), n)  # the first month alone
    >>> z < -2.5, p > 0.1
    (True, True)
    """
    k, half = len(n), len(n) // 2
    share = wins.sum() / max(n.sum(), 1)
    if k < 3 or not 0 < share < 1:
        return 0.0, 1.0
    z = trend_z(wins, n)
    x = np.arange(k) - (n * np.arange(k)).sum() / n.sum()
    line = share + x * (wins * x).sum() / (n * x**2).sum()
    scatter = float(((wins - n * line) ** 2 / (n * share * (1 - share))).sum()) / (k - 2)
    p = float(2 * student.sf(abs(z) / np.sqrt(max(scatter, 1.0)), k - 2))
    first, last = (
        (int(wins[part].sum()), int(n[part].sum())) for part in (slice(half), slice(k - half, k))
    )
    change = last[0] / last[1] - first[0] / first[1]
    return z, max(p, shares_differ(*first, *last)) if change * z > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class AdditiveFit:
    """The shares of a table if each row and each column has its own effect and no more.

    Attributes
    ----------
    expected : ndarray of float64, shape (a, b)
        The share of wins in each pair of values.
    residual : ndarray of float64, shape (a, b)
        The wins minus those expected, in standard deviations; nan in pairs without leads.
    deviance : float
        Of the whole table.
    """

    expected: Floats
    residual: Floats
    deviance: float


def additive_logit(wins: Ints, n: Ints) -> AdditiveFit:
    """Fit an effect in log-odds to each row and each column of a table of shares.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (a, b)

    References
    ----------
    Agresti, "Categorical Data Analysis", 2013, sections 5.3 and 6.2: adjusted residuals.

    Examples
    --------
    >>> n = np.full((2, 2), 1_000)
    >>> fit = additive_logit(np.array([[100, 100], [100, 300]]), n)
    >>> np.round(fit.residual[1, 1], 1), np.round(fit.expected[1, 1], 2)
    (np.float64(7.0), np.float64(0.26))
    """
    a, b = n.shape
    rows, columns = np.divmod(np.arange(a * b), b)
    design = np.zeros((a * b, a + b - 1))
    design[np.arange(a * b), rows] = 1
    later = columns > 0
    design[later, a - 1 + columns[later]] = 1
    count, won = n.ravel().astype(np.float64), wins.ravel().astype(np.float64)
    effects = np.zeros(design.shape[1])
    ridge = 1e-6 * np.eye(len(effects))  # so that a value that never wins stays finite
    for _ in range(50):
        share = expit(design @ effects)
        information = design.T @ (design * (count * share * (1 - share))[:, None]) + ridge
        step = np.linalg.solve(information, design.T @ (won - count * share) - 1e-6 * effects)
        effects += np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    share = expit(design @ effects)
    weight = count * share * (1 - share)
    information = design.T @ (design * weight[:, None]) + ridge
    lever = weight * np.einsum("ij,ji->i", design, np.linalg.solve(information, design.T))
    spread = np.sqrt(np.maximum(weight * (1 - lever), 1e-12))
    residual = np.where(count > 0, (won - count * share) / spread, np.nan)
    likely = np.clip(share, 1e-12, 1 - 1e-12)
    seen = np.divide(won, count, out=np.full_like(won, 0.5), where=count > 0)
    seen = np.clip(seen, 1e-12, 1 - 1e-12)
    gain = won * np.log(seen / likely) + (count - won) * np.log((1 - seen) / (1 - likely))
    return AdditiveFit(
        expected=share.reshape(a, b),
        residual=residual.reshape(a, b),
        deviance=float(2 * gain.sum()),
    )


def effects_differ(wins: NDArray[Any], n: NDArray[Any]) -> tuple[float, float]:
    """Test whether the effect of one group on the odds is another inside a second group.

    Parameters
    ----------
    wins, n : ndarray of numbers, shape (2, 2)
        Rows: leads outside and inside the first group. Columns: outside and inside the second.

    Returns
    -------
    tuple of float
        The effect of the first group inside the second minus that outside it, in log-odds, and
        its two-sided p-value.

    References
    ----------
    Woolf, "On Estimating the Relation Between Blood Group and Disease", 1955, for the variance
    of log-odds; Haldane, 1956, for the half that keeps empty cells finite.

    Examples
    --------
    >>> effects_differ(np.array([[10, 10], [20, 20]]), np.full((2, 2), 100))
    (0.0, 1.0)
    >>> difference, p = effects_differ(np.array([[10, 10], [10, 50]]), np.full((2, 2), 100))
    >>> round(difference, 1), p < 0.001
    (2.2, True)
    """
    won, lost = wins + 0.5, n - wins + 0.5
    log_odds = np.log(won / lost)
    difference = float(log_odds[1, 1] - log_odds[0, 1] - log_odds[1, 0] + log_odds[0, 0])
    return difference, p_of(difference / float(np.sqrt((1 / won + 1 / lost).sum())))


def p_of(z: float) -> float:
    """Compute the two-sided p-value of a standard normal deviate."""
    return float(2 * ndtr(-abs(z)))


def mean_ratio(values: Floats, is_in: Bools) -> Contrast | None:
    """Compare a group's mean with that of all leads, as `contrast` compares shares.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        A value of each lead, at least 0, such as its revenue.
    is_in : ndarray of bool, shape (n,)
        True for the leads of the group.

    Returns
    -------
    Contrast or None
        `value`, `low` and `high` are the mean with its interval; `wins` counts values other than
        0. None if the mean of all leads is 0 or the group has fewer than two leads.
    """
    n, rest_n, base = int(is_in.sum()), int((~is_in).sum()), float(values.mean())
    if n < 2 or base <= 0:
        return None
    own, rest = values[is_in], values[~is_in]
    mean = float(own.mean())
    variance = float(own.var(ddof=1)) / n
    half = Z * np.sqrt(variance)
    wins = int((own != 0).sum())
    group = Contrast(
        n=n,
        wins=wins,
        value=mean,
        low=float(max(0.0, mean - half)),
        high=float(mean + half),
        ratio=mean / base,
        others=rest_n,
    )
    if wins < FEWEST_LEADS or mean <= 0 or rest_n < FEWEST_LEADS:
        return group  # a few large amounts say little
    rest_variance = float(rest.var(ddof=1)) / rest_n
    spread = _ratio_spread(mean, float(rest.mean()), variance, rest_variance, n / (n + rest_n))
    return replace(
        group,
        ratio_low=mean / base / spread,
        ratio_high=mean / base * spread,
        p=means_differ(own, rest),
    )
