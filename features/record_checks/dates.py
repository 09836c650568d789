"""Days of times in a zone, for the record checks."""

import numpy as np
import pandas as pd

from crm.arrays import Ints
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
