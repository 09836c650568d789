"""Weighs moments so that leads of all ages count as they do while as many leads come as before."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from crm.arrays import Floats, Ints
from crm.times import DAY

FEWEST_DAYS: Final = 7  # of a block, so that all days of the week are in it
FEWEST_MOMENTS: Final = 20  # of each age in a block, on average


def age_weight(as_of: Ints, age_days: Floats, since: int, ages: Sequence[float]) -> Floats:
    """Compute how much each moment counts in comparisons with moments of training.

    Features that grow with the age of a lead, such as counts of activities, change if the leads
    of a time are older or younger than in training: in the first days after a training, when fewer
    leads come, or when they have stopped. So the ages of each block of days are weighed as those of
    the leads that have reached all ages. In a block without one of the ages, no moment counts.

    Parameters
    ----------
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC, ascending.
    age_days : ndarray of float64, shape (n,)
        The age of the lead at each moment, one of `ages`.
    since : int
        Only leads that were created later have moments, in microseconds since 1970 UTC.
    ages : sequence of float
        The ages of the moments of training, in days, ascending.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 … 1. All 1 if there is one age.

    Examples
    --------
    Leads come every day and are scored at the ages 0 and 7, until none come after day 40.

    >>> day = np.repeat(np.arange(60), 10)
    >>> age = np.tile([0.0, 7.0], 300)
    >>> rows = (day >= age) & (day - age <= 40)
    >>> weight = age_weight(day[rows] * DAY, age[rows], since=-1, ages=[0, 7])
    >>> [float(weight[day[rows] == d].max()) for d in (0, 6, 7, 30, 45)]
    [0.0, 0.0, 1.0, 1.0, 0.0]
    """
    if len(ages) < 2 or not len(as_of):
        return np.ones(len(as_of))
    of_age = np.searchsorted((np.array(ages[1:]) + np.array(ages[:-1])) / 2, age_days)
    oldest, last = int(ages[-1] * DAY), int(as_of.max())
    counts = as_of >= since + oldest
    created = as_of - (age_days * DAY).astype(np.int64)
    steady = np.bincount(of_age[created <= last - oldest], minlength=len(ages))
    if not counts.any() or not steady.all():
        return np.zeros(len(as_of))
    day = (as_of - since - oldest) // DAY
    n_days = int(day[counts].max()) + 1
    length = max(FEWEST_DAYS, FEWEST_MOMENTS * len(ages) * n_days / counts.sum())
    block = (np.maximum(day, 0) / length).astype(np.int64)
    place = block * len(ages) + of_age
    found = np.bincount(place[counts], minlength=(int(block.max()) + 1) * len(ages))
    found = found.reshape(-1, len(ages))
    with np.errstate(divide="ignore"):
        ratio = np.where((found > 0).all(axis=1, keepdims=True), steady / found, 0.0)
    largest = ratio.max(axis=1, keepdims=True)
    weight = np.divide(ratio, largest, out=np.zeros_like(ratio), where=largest > 0)
    return np.asarray(np.where(counts, weight.ravel()[place], 0.0))
