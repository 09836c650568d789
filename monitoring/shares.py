"""Looks for changes of shares: whether values are more or less frequent than in training."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy.special import expit, logit

from crm.arrays import Floats, Ints
from monitoring.sequential import Detection, detect
from monitoring.spread import spread

TOLERANCE: Final = 0.3  # in log-odds of a share
MOST_TOLERANCE: Final = 1.5
SHIFTS: Final = (0.4, 1.2)  # beyond the tolerance, in log-odds
FEWEST_MONTHS: Final = 6
FEWEST_MOMENTS: Final = 30  # of a month, to show how much months differ
LEAST_SHARE: Final = 0.002
BUSY_DAY: Final = 3.0  # times the median day: a busier day counts as one like this


class ShareChange(NamedTuple):
    """The most likely change of the shares of some values.

    Attributes
    ----------
    detection : Detection
    value : int
        The position of the value whose share changes most clearly.
    rises : bool
        True if the share is larger than in training.
    """

    detection: Detection
    value: int
    rises: bool


@dataclass(frozen=True)
class UsualShares:
    """The shares of values in training, and the range within which they may move.

    Attributes
    ----------
    shares, low, high : ndarray of float64, shape (n_values,)
        The share of each value over all months, and the ends of its range. Values whose shares
        differ between months have a wider range.
    """

    shares: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, by_month: Floats, least_tolerance: float = TOLERANCE) -> "UsualShares":
        """Compute the shares from counts, shape (n_months, n_values).

        The range is `least_tolerance` or wider to each side, in log-odds.

        Examples
        --------
        >>> usual = UsualShares.of(np.array([[50.0, 50.0]] * 8))
        >>> usual.shares.tolist(), usual.high.round(2).tolist()
        ([0.5, 0.5], [0.57, 0.57])
        """
        n_values = by_month.shape[1]
        total = by_month.sum(axis=0)
        smoothed = (total + 0.5) / (total.sum() + 0.5 * n_values)
        shares = np.clip(smoothed, LEAST_SHARE, 1 - LEAST_SHARE)
        months = by_month[by_month.sum(axis=1) >= FEWEST_MOMENTS]
        between = np.zeros(n_values)
        if len(months) >= FEWEST_MONTHS:
            n = months.sum(axis=1, keepdims=True)
            of_months = (months + 0.5) / (n + 1)
            between = spread(logit(of_months), n * shares * (1 - shares))
        tolerance = np.clip(2 * between, least_tolerance, MOST_TOLERANCE)
        return cls(shares, expit(logit(shares) - tolerance), expit(logit(shares) + tolerance))

    def change(self, day: Ints, value: Ints, weight: Floats, n_tests: float = 1) -> ShareChange:
        """Look for values whose share leaves its range.

        The observations of a day are those of leads that may have come together, such as from one
        event. So a day counts as at most `BUSY_DAY` times the median day.

        Parameters
        ----------
        day, value : ndarray of int64, shape (n,)
            The day of each observation, and the position of its value.
        weight : ndarray of float64, shape (n,)
            How much each observation counts, at most 1.
        n_tests : float
            As for `detect`.

        Returns
        -------
        ShareChange

        Examples
        --------
        >>> usual = UsualShares.of(np.array([[900.0, 100.0]] * 8))
        >>> day = np.repeat(np.arange(30), 10)
        >>> usual.change(day, np.tile([0, 1], 150), np.ones(300)).detection.is_alarm
        True
        >>> as_before = np.tile([0] * 9 + [1], 30)
        >>> usual.change(day, as_before, np.ones(300)).detection.is_notable
        False
        """
        counted = weight > 0
        day, value, weight = day[counted], value[counted], weight[counted]
        days, of_day = np.unique(day, return_inverse=True)
        n_values = len(self.shares)
        flat = np.bincount(of_day * n_values + value, weight, len(days) * n_values)
        counts = flat.reshape(len(days), n_values)
        n = counts.sum(axis=1, keepdims=True)
        if len(days):
            busy = BUSY_DAY * float(np.median(n))
            counts, n = counts * np.minimum(1, busy / n), np.minimum(n, busy)
        blocks = []
        # A share that is 0 or 1 in training has no range on that side: it cannot become rarer.
        is_all, is_none = self.shares >= 1 - LEAST_SHARE, self.shares <= LEAST_SHARE
        for edge, direction, is_open in ((self.high, 1.0, is_all), (self.low, -1.0, is_none)):
            for shift in SHIFTS:
                other = expit(logit(edge) + direction * shift)
                log_e = counts * np.log(other / edge)
                log_e += (n - counts) * np.log((1 - other) / (1 - edge))
                blocks.append(np.where(is_open, -np.inf, log_e))
        detection = detect(days, np.hstack(blocks), n_tests)
        block, place = divmod(detection.leading, n_values)
        return ShareChange(detection, place, block < len(SHIFTS))


def stability_index(now: Floats, before: Floats) -> float:
    """Compute the population stability index of two distributions, shape (n_values,).

    References
    ----------
    Siddiqi, "Credit Risk Scorecards", 2006.

    Examples
    --------
    >>> round(stability_index(np.array([0.5, 0.5]), np.array([0.8, 0.2])), 3)
    0.416
    """
    return float(((now - before) * np.log(now / before)).sum())


def jensen_shannon(now: Floats, before: Floats) -> float:
    """Compute the Jensen-Shannon distance of two distributions, 0 … 1.

    References
    ----------
    Lin, "Divergence Measures Based on the Shannon Entropy", 1991; the root, in bits.

    Examples
    --------
    >>> jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    1.0
    """
    middle = (now + before) / 2

    def divergence(part: Floats) -> float:
        is_used = part > 0
        return float((part[is_used] * np.log2(part[is_used] / middle[is_used])).sum())

    return float(np.sqrt(max(0.0, (divergence(now) + divergence(before)) / 2)))


def rank_distance(now: Floats, before: Floats) -> float:
    """Compute the Wasserstein distance of two distributions over ordered bins, 0 … 1.

    A bin counts as the middle of its part of the earlier distribution, so the unit is a share of
    the earlier leads: 0.1 means that the values moved past a tenth of them on average.

    Examples
    --------
    >>> round(rank_distance(np.array([0.0, 1.0]), np.array([0.5, 0.5])), 2)
    0.25
    """
    if len(now) < 2:
        return 0.0
    middle = np.cumsum(before) - before / 2
    behind = np.cumsum(now - before)[:-1]
    return float((np.abs(behind) * np.diff(middle)).sum())
