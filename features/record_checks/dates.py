"""Computes and writes days and lengths of time, for the record checks."""

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.text import counted
from crm.times import DAY, NOT_A_TIME, as_times


def days_of(times: Ints, zone: str) -> Ints:
    """Return the day of each time in a zone, in days since 1970; `NOT_A_TIME` where missing.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC, or `NOT_A_TIME`.
    zone : str

    Examples
    --------
    >>> days_of(np.array([0, -1, NOT_A_TIME]), "Europe/Berlin").tolist()[:2]
    [0, 0]
    """
    local = as_times(times, pd.RangeIndex(len(times))).dt.tz_convert(zone).dt.tz_localize(None)
    values = local.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return np.where(times == NOT_A_TIME, NOT_A_TIME, values // DAY)


def day_of(time: int, zone: str) -> str:
    """Return the day of a time in a zone, ISO 8601.

    Examples
    --------
    >>> day_of(0, "UTC")
    '1970-01-01'
    """
    return str(days_of(np.array([time], dtype=np.int64), zone).astype("datetime64[D]")[0])


def duration(length: int) -> str:
    """Write a length of time, in microseconds, in its largest unit.

    Examples
    --------
    >>> duration(3 * DAY), duration(DAY // 4), duration(DAY // 48), duration(1)
    ('3 days', '6 hours', '30 minutes', 'a few seconds')
    """
    for unit, size in (("day", DAY), ("hour", DAY // 24), ("minute", DAY // 1440)):
        if length >= size:
            return counted(round(length / size), unit)
    return "a few seconds"
