"""What may be said: intervals, comparisons, and the correction for many looks.

A takeaway comes from here or not at all. Whoever looks at a hundred values sees five that
differ "at 5 %" by chance, and the tallest bar is mostly the one with the fewest leads. So each
value is compared with all the others, the p-values of all that were looked at together are
corrected by Holm's procedure, and what has too few leads is not compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr
from scipy.stats import binom, hypergeom
from scipy.stats import t as student

from crm.arrays import Bools, Floats, Ints
from features.intervals import LEVEL, Z, wilson
from models.evaluation.intervals import holm

FEWEST_LEADS = 30  # of a value, to compare it; fewer say nothing of a share
FEWEST_EXPECTED = 5.0  # wins and losses; below, the exact test is used
FEWEST_WINS = 10  # for an interval of a ratio on the log scale
CHANCE = 1 - LEVEL


@dataclass(frozen=True)
class Contrast:
    """A group of leads beside all leads.

    Attributes
    ----------
    n, wins : int
        Leads of the group, and how many of them did what is looked at.
    value, low, high : float
        Their share, 0 … 1, with its 95 % interval.
    ratio, ratio_low, ratio_high : float or None
        The share against that of all leads, with its 95 % interval; None where nobody did.
    p : float or None
        Of a difference to the other leads this large by chance: of this look alone, or, from
        `corrected`, of all of them. None if there are too few to judge.
    others : int
        Leads that are not of the group.
    """

    n: int
    wins: int
    value: float
    low: float
    high: float
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p: float | None = None
    others: int = 0

    @property
    def holds(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p is not None and self.p < CHANCE

    def row(self) -> dict[str, Any]:
        """Give the figures as cells of a table."""
        return {
            "n": self.n,
            "wins": self.wins,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "ratio": self.ratio,
            "ratio_low": self.ratio_low,
            "ratio_high": self.ratio_high,
            "p": self.p,
            "verdict": _verdict(self),
        }


def _verdict(found: Contrast) -> str:
    if found.p is None:
        if found.n < FEWEST_LEADS:
            return "too few to judge"
        few = "others" if found.others < FEWEST_LEADS else "wins"
        return f"too few {few} to judge"
    if not found.holds:
        return "within chance"
    return "above the others" if (found.ratio or 0.0) > 1 else "below the others"


def contrast(wins: int, n: int, all_wins: int, all_n: int) -> Contrast:
    """Compare a group with the leads that are not in it.

    Parameters
    ----------
    wins, n : int
        Of the group; `n` at least 1.
    all_wins, all_n : int
        Of all leads, the group's among them.

    Returns
    -------
    Contrast
        Not corrected for other looks.

    References
    ----------
    The interval of the ratio is the delta method's on the log scale, the group being part of
    all leads; with few wins it is Wilson's interval over the share of all.

    Examples
    --------
    >>> found = contrast(wins=30, n=100, all_wins=100, all_n=1_000)
    >>> round(found.ratio, 1), round(found.ratio_low, 1), round(found.ratio_high, 1), found.holds
    (3.0, 2.3, 3.9, True)
    >>> contrast(wins=3, n=10, all_wins=100, all_n=1_000).p is None
    True
    """
    low, high = wilson(wins / n, n)
    found = Contrast(n, wins, wins / n, low, high, others=all_n - n)
    if all_wins == 0:
        return found
    base = all_wins / all_n
    found = replace(found, ratio=found.value / base, ratio_low=low / base, ratio_high=high / base)
    rest_n, rest_wins = all_n - n, all_wins - wins
    if wins >= FEWEST_WINS and rest_n > 0:
        share, rest = found.value, rest_wins / rest_n
        part = n / all_n
        own = (1 / share - part / base) ** 2 * share * (1 - share) / n
        others = ((1 - part) / base) ** 2 * rest * (1 - rest) / rest_n
        spread = float(np.exp(Z * np.sqrt(own + others)))
        ratio = share / base
        found = replace(found, ratio_low=ratio / spread, ratio_high=ratio * spread)
    if min(n, rest_n) < FEWEST_LEADS:
        return found
    return replace(found, p=two_shares(wins, n, rest_wins, rest_n))


def two_shares(wins: int, n: int, other_wins: int, other_n: int) -> float:
    """Give the p-value of a difference of two shares: score test, or Fisher's where few are.

    Examples
    --------
    >>> round(two_shares(7, 10, 2, 10), 4)  # Fisher, by hand: 2 * 5,860 of 167,960
    0.0698
    >>> round(two_shares(60, 100, 40, 100), 4)  # z = 2.828
    0.0047
    """
    total, all_n = wins + other_wins, n + other_n
    expected = min(total, all_n - total) * min(n, other_n) / all_n
    if expected < FEWEST_EXPECTED:
        spread = hypergeom(all_n, total, n)
        return float(min(1.0, 2 * min(spread.cdf(wins), spread.sf(wins - 1))))
    share = total / all_n
    deviation = np.sqrt(share * (1 - share) * (1 / n + 1 / other_n))
    return float(2 * ndtr(-abs(wins / n - other_wins / other_n) / deviation))


def two_counts(count: int, other: int) -> float:
    """Give the p-value of a difference of two counts from windows of the same length.

    Examples
    --------
    >>> round(two_counts(5, 15), 4), two_counts(0, 0)
    (0.0414, 1.0)
    """
    fewer = min(count, other)
    return float(min(1.0, 2 * binom.cdf(fewer, count + other, 0.5)))


def corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Correct contrasts that are looked at together, by Holm's procedure.

    It keeps the chance of any false finding below 5 %, however they hang together.

    Examples
    --------
    >>> looks = [contrast(18, 100, 1_000, 10_000), *[contrast(10, 100, 1_000, 10_000)] * 99]
    >>> looks[0].holds, corrected(looks)[0].holds
    (True, False)
    """
    judged = [i for i, each in enumerate(contrasts) if each.p is not None]
    ps = holm([float(contrasts[i].p or 0.0) for i in judged])
    found = list(contrasts)
    for i, p in zip(judged, ps, strict=True):
        found[i] = replace(found[i], p=p)
    return found


def compare_groups(groups: Mapping[Any, tuple[int, int]], whole: tuple[int, int]) -> list[Contrast]:
    """Compare each of some groups, given as wins and n, with all others, without correction."""
    return [contrast(wins, n, *whole) for wins, n in groups.values()]


@dataclass(frozen=True)
class Middle:
    """A median with its 95 % interval, of `n` values; `late` is what nine of ten stay below."""

    n: int
    value: float
    low: float
    high: float
    late: float


def middle(values: Floats) -> Middle | None:
    """Give the median of some values with its interval from order statistics; None of none.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Infinite ones are those that have not happened yet.

    References
    ----------
    Conover, "Practical Nonparametric Statistics", 1999, section 3.2.

    Examples
    --------
    >>> found = middle(np.arange(1.0, 12.0))
    >>> found.value, found.low, found.high, found.late
    (6.0, 2.0, 10.0, 10.0)
    """
    n = len(values)
    if n == 0:
        return None
    below = int(binom.ppf(CHANCE / 2, n, 0.5)) if n > 1 else 0
    places = [max(below - 1, 0), (n - 1) // 2, min(n - max(below, 1), n - 1), _place(0.9, n)]
    low, value, high, late = np.partition(values, sorted(set(places)))[places]
    return Middle(n, float(value), float(low), float(high), float(late))


def _place(share: float, n: int) -> int:
    return min(int(np.ceil(share * n)) - 1, n - 1)


def ranks_differ(values: Floats, is_in: Bools) -> float:
    """Give the p-value of Mann and Whitney's test that a group's values differ from the others'.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    is_in : ndarray of bool, shape (n,)
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, inside = len(values), int(is_in.sum())
    outside = n - inside
    ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / (n * (n - 1))
    variance = inside * outside / 12 * (n + 1 - ties)
    if variance <= 0:
        return 1.0
    excess = float(rank[is_in].sum()) - inside * (n + 1) / 2
    return float(2 * ndtr(-abs(excess) / np.sqrt(variance)))


def trend(wins: Ints, n: Ints) -> float:
    """Give z of a rising (positive) or falling share over the rows: Cochran and Armitage's test.

    Examples
    --------
    >>> round(trend(np.array([10, 20, 30]), np.array([100, 100, 100])), 2)
    3.54
    """
    x = np.arange(len(n), dtype=np.float64)
    share = wins.sum() / n.sum()
    centre = (n * x).sum() / n.sum()
    variance = share * (1 - share) * (n * (x - centre) ** 2).sum()
    return float((wins * (x - centre)).sum() / np.sqrt(variance)) if variance > 0 else 0.0


def lasting_trend(wins: Ints, n: Ints) -> tuple[float, float]:
    """Give z of a trend of a share over months, and the p-value of one that lasts.

    One month that stands out makes a trend of few months. So the trend is judged by how far the
    months lie from their line, where that is more than chance explains, and the first and the
    last half, which share no lead, have to differ the same way: p is the larger of both.

    Parameters
    ----------
    wins, n : ndarray of int64, shape (k,)
        By month; with fewer than three months there is no trend, and p is 1.

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
    z = trend(wins, n)
    x = np.arange(k) - (n * np.arange(k)).sum() / n.sum()
    line = share + x * (wins * x).sum() / (n * x**2).sum()
    scatter = float(((wins - n * line) ** 2 / (n * share * (1 - share))).sum()) / (k - 2)
    p = float(2 * student.sf(abs(z) / np.sqrt(max(scatter, 1.0)), k - 2))
    first, last = (
        (int(wins[part].sum()), int(n[part].sum())) for part in (slice(half), slice(k - half, k))
    )
    way = last[0] / last[1] - first[0] / first[1]
    return z, max(p, two_shares(*first, *last)) if way * z > 0 else 1.0


@dataclass(frozen=True)
class Additive:
    """What two columns would give if each value had its own effect and no more.

    Attributes
    ----------
    expected : ndarray of float64, shape (a, b)
        Share of wins in each pair of values.
    residual : ndarray of float64, shape (a, b)
        How many standard deviations the wins lie above it; nan in empty pairs.
    deviance : float
        Of the whole table.
    """

    expected: Floats
    residual: Floats
    deviance: float


def additive(wins: Ints, n: Ints) -> Additive:
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
    >>> found = additive(np.array([[100, 100], [100, 300]]), n)
    >>> np.round(found.residual[1, 1], 1), np.round(found.expected[1, 1], 2)
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
    return Additive(share.reshape(a, b), residual.reshape(a, b), float(2 * gain.sum()))


def effects_differ(wins: NDArray[Any], n: NDArray[Any]) -> tuple[float, float]:
    """Ask whether being in a group moves the odds otherwise inside another group than outside.

    Parameters
    ----------
    wins, n : ndarray of numbers, shape (2, 2)
        Of leads not in the first group and in it, by rows; in the second, by columns.

    Returns
    -------
    tuple of float
        The effect inside less that outside, in log-odds, and its two-sided p-value.

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
    odds = np.log(won / lost)
    difference = float(odds[1, 1] - odds[0, 1] - odds[1, 0] + odds[0, 0])
    return difference, p_of(difference / float(np.sqrt((1 / won + 1 / lost).sum())))


def p_of(z: float) -> float:
    """Give the two-sided p-value of a standard normal deviate."""
    return float(2 * ndtr(-abs(z)))


def mean_ratio(values: Floats, is_in: Bools) -> Contrast | None:
    """Compare a group's mean with that of all leads, as `contrast` compares shares.

    `value`, `low` and `high` are the mean with its interval; `wins` counts what is not 0.
    None where the mean of all is 0.
    """
    n, rest_n, base = int(is_in.sum()), int((~is_in).sum()), float(values.mean())
    if n < 2 or base <= 0:
        return None
    own, rest = values[is_in], values[~is_in]
    mean, part = float(own.mean()), n / (n + rest_n)
    error = float(own.var(ddof=1)) / n
    rest_error = float(rest.var(ddof=1)) / rest_n if rest_n > 1 else 0.0
    low, high = max(0.0, mean - Z * np.sqrt(error)), mean + Z * np.sqrt(error)
    wins = int((own != 0).sum())
    found = Contrast(n, wins, mean, float(low), float(high), mean / base, others=rest_n)
    if wins < FEWEST_LEADS or mean <= 0 or rest_n < FEWEST_LEADS:
        return found  # a few large amounts say little
    spread_of_log = (1 / mean - part / base) ** 2 * error + ((1 - part) / base) ** 2 * rest_error
    spread = float(np.exp(Z * np.sqrt(spread_of_log)))
    deviation = float(np.sqrt(error + rest_error))
    p = p_of((mean - float(rest.mean())) / deviation) if deviation > 0 else 1.0
    return replace(found, ratio_low=mean / base / spread, ratio_high=mean / base * spread, p=p)
