"""Compares groups of leads with all leads, with intervals and a correction for many comparisons.

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

from crm.arrays import Bools, Floats
from features import groups
from features.intervals import LEVEL, Z, wilson
from models.evaluation.differences import means_differ, shares_differ
from models.evaluation.intervals import holm

FEWEST_LEADS = groups.FEWEST_LEADS  # to compare a value: the share of fewer is too uncertain
FEWEST_OUTCOMES = 10  # leads with the result, and without: for an interval on the log scale
CHANCE = 1 - LEVEL


class Verdict(StrEnum):
    """The result of a comparison, in words."""

    ABOVE = "above the others"
    BELOW = "below the others"
    UNCLEAR = "no clear difference"
    FEW_LEADS = "too few leads to tell"
    FEW_OTHERS = "too few others to tell"
    FEW_WINS = "too few wins to tell"
    APART = "no value, so not compared"
    SAME = "the same for all, so not compared"

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
    is_apart : bool
        True for the leads without a value: they are counted, and not compared.
    is_same : bool
        True if the group is all leads, or if all leads have the result. The ratio is 1 and has no
        interval.
    time_value, time_average : float or None
        The shares of the group and of all leads of the same time, whose ratio `ratio` is, if the
        group is compared within periods (`models.evaluation.same_time`); else None.
    """

    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p: float | None = None
    others: int = 0
    is_apart: bool = False
    is_same: bool = False
    time_value: float | None = None
    time_average: float | None = None

    @property
    def is_same_time(self) -> bool:
        """True if the ratio is to leads of the same time, and not to all leads."""
        return self.time_average is not None

    @property
    def is_significant(self) -> bool:
        """True if the difference is more than chance."""
        return self.p is not None and self.p < CHANCE

    @property
    def verdict(self) -> Verdict:
        """The result of the comparison in words."""
        if self.is_apart:
            return Verdict.APART
        if self.is_same:
            return Verdict.SAME
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
            "compared": "leads of the same time" if self.is_same_time else None,
            "time_value": self.time_value,
            "time_average": self.time_average,
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
        Not corrected for other comparisons. The interval of the ratio ends at the ratio that a
        group has if all of its leads have the result. If the group is all leads, or
        all leads have the result, the ratio can only be 1 and its interval is None.

    References
    ----------
    The interval of the ratio is the delta method's on the log scale; the group is part of all
    leads. If few leads of the group have the result, or few do not, it is Wilson's interval
    divided by the share of all leads.

    Examples
    --------
    >>> group = contrast(wins=30, n=100, all_wins=100, all_n=1_000)
    >>> round(group.ratio, 1), round(group.ratio_low, 1), round(group.ratio_high, 1)
    (3.0, 2.3, 3.9)
    >>> group.is_significant, group.verdict.value
    (True, 'above the others')
    >>> contrast(wins=3, n=10, all_wins=100, all_n=1_000).p is None
    True
    >>> contrast(wins=990, n=1_000, all_wins=1_490, all_n=2_000).ratio_high == 2_000 / 1_490
    True
    >>> everyone = contrast(wins=30, n=100, all_wins=30, all_n=100)
    >>> everyone.ratio, everyone.ratio_low, everyone.verdict.value
    (1.0, None, 'the same for all, so not compared')
    """
    if n == 0:
        return Contrast(n=0, wins=0, value=np.nan, low=np.nan, high=np.nan, others=all_n)
    share = wins / n
    low, high = wilson(share, n)
    group = Contrast(n=n, wins=wins, value=share, low=low, high=high, others=all_n - n)
    if all_wins == 0:
        return group
    if n == all_n or all_wins == all_n:
        return replace(group, ratio=1.0, is_same=True)
    base = all_wins / all_n
    group = replace(group, ratio=share / base, ratio_low=low / base, ratio_high=high / base)
    rest_n, rest_wins = all_n - n, all_wins - wins
    if min(wins, n - wins) >= FEWEST_OUTCOMES:
        rest_share = rest_wins / rest_n
        spread = _ratio_spread(
            share,
            rest_share,
            share * (1 - share) / n,
            rest_share * (1 - rest_share) / rest_n,
            n / all_n,
        )
        ratio = share / base
        high = min(ratio * spread, 1 / base)
        group = replace(group, ratio_low=ratio / spread, ratio_high=high)
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


def corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Correct the p-values of comparisons made together, by Holm's procedure.

    The chance of any false finding is below 5 %, even if the comparisons depend on each other.

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
    own_values, rest_values = values[is_in], values[~is_in]
    mean = float(own_values.mean())
    variance = float(own_values.var(ddof=1)) / n
    half = Z * np.sqrt(variance)
    wins = int((own_values != 0).sum())
    group = Contrast(
        n=n,
        wins=wins,
        value=mean,
        low=float(max(0.0, mean - half)),
        high=float(mean + half),
        ratio=mean / base,
        others=rest_n,
        is_same=not rest_n,
    )
    if wins < FEWEST_LEADS or mean <= 0 or rest_n < FEWEST_LEADS:
        return group  # a few large amounts say little
    rest_variance = float(rest_values.var(ddof=1)) / rest_n
    spread = _ratio_spread(
        mean, float(rest_values.mean()), variance, rest_variance, n / (n + rest_n)
    )
    return replace(
        group,
        ratio_low=mean / base / spread,
        ratio_high=mean / base * spread,
        p=means_differ(own_values, rest_values),
    )
