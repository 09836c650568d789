"""Times that are given as days, without a clock.

A day is stored as its first moment. What happened on a day may have happened until its last
moment. So an activity or a stage that is given as a day counts from the end of the day, and a
closing that is given as a day may have come later than a creation on the same day
(docs/decisions/0017).
"""

from typing import Final, TypeVar

import numpy as np
import pandas as pd

from crm.arrays import Bools, Ints
from crm.times import DAY, TIME_DTYPE

Time = TypeVar("Time", int, Ints)
_MOMENT: Final = pd.Timedelta(1, "us")
_SAMPLE: Final = 1_000  # times that are tested first


def is_day_start(times: pd.Series, zone: str) -> Bools:
    """Return which times are the first moment of a day in a zone, shape (n,).

    Missing times are not. The clocks of some zones skip midnight on the day of a change.

    Parameters
    ----------
    times : Series of datetime64, UTC, shape (n,)
    zone : str

    Examples
    --------
    >>> times = pd.to_datetime(pd.Series(["2024-01-31T23:00Z", "2024-02-01T00:00Z", None]))
    >>> is_day_start(times, "Europe/Berlin").tolist()
    [True, False, False]
    """
    local = times.dt.tz_convert(zone)
    before = (times - _MOMENT).dt.tz_convert(zone)
    is_start = (local.dt.day != before.dt.day) & times.notna()
    return is_start.to_numpy(dtype=bool)


def zone_of_days(times: pd.Series, zone: str) -> str | None:
    """Return the zone in which all times of a column are days; None if some have a clock.

    Parameters
    ----------
    times : Series of datetime64, UTC, shape (n,)
    zone : str
        The table's zone. Some sources store days as midnight in UTC instead.

    Examples
    --------
    >>> times = pd.to_datetime(pd.Series(["2024-02-01T00:00Z", None]))
    >>> zone_of_days(times, "Europe/Berlin"), zone_of_days(times + pd.Timedelta("1h"), "UTC")
    ('UTC', None)
    """
    known = times.dropna()
    for days_of in dict.fromkeys((zone, "UTC")):
        sample = known.head(_SAMPLE)
        if (
            len(known)
            and is_day_start(sample, days_of).all()
            and is_day_start(known, days_of).all()
        ):
            return days_of
    return None


def day_ends(times: pd.Series, zone: str) -> pd.Series:
    """Return the last moment of the day of each time; missing times stay missing.

    Parameters
    ----------
    times : Series of datetime64, UTC, shape (n,)
        First moments of days in `zone`.
    zone : str

    Examples
    --------
    >>> day_ends(pd.to_datetime(pd.Series(["2024-02-01T00:00Z"])), "UTC")[0].isoformat()
    '2024-02-01T23:59:59.999999+00:00'
    """
    date = times.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    following = (date + pd.Timedelta(1, "D")).dt.tz_localize(
        zone, ambiguous=np.ones(len(times), dtype=bool), nonexistent="shift_forward"
    )
    return (following.dt.tz_convert("UTC") - _MOMENT).astype(TIME_DTYPE)


def day_end(time: int) -> int:
    """Return the last microsecond of the day, in UTC, that begins at a time.

    Examples
    --------
    >>> day_end(0) == DAY - 1
    True
    """
    return time + DAY - 1


def without_day_end(time: Time) -> Time:
    """Return the start of the day, in UTC, of a time at the end of a day; else the time.

    So an event that is given as a day is equal to the same event as earlier versions stored it.

    Parameters
    ----------
    time : int, or ndarray of int64, shape (n,)
        Microseconds since 1970 UTC.

    Examples
    --------
    >>> without_day_end(day_end(DAY)) == DAY, without_day_end(day_end(DAY) - 1) == DAY
    (True, False)
    """
    return time - (time % DAY == DAY - 1) * (DAY - 1)
