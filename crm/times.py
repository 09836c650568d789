"""Times as microseconds since 1970 UTC, and times of the clocks of a zone."""

import re
import zoneinfo
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.errors import ConfigError

TIME_DTYPE: Final = "datetime64[us, UTC]"
NOT_A_TIME: Final = np.iinfo(np.int64).min  # NumPy's own value of a missing time
HOUR: Final = 3_600_000_000  # in microseconds, like all durations between times
DAY: Final = 24 * HOUR
SECONDS_PER_DAY: Final = DAY // 1_000_000
LONG_BEFORE: Final = 730 * DAY  # an event this much older than its lead is unlikely
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MILLISECONDS: Final = re.compile("[1-9][0-9]{12}")  # since 1970: from 2001 to 2286


def microseconds(times: pd.Series) -> Ints:
    """Return times as microseconds since 1970 UTC, shape (n,); `NOT_A_TIME` where missing."""
    return times.astype(TIME_DTYPE).to_numpy(dtype="datetime64[us]").astype(np.int64)


def as_times(values: Ints, index: pd.Index) -> pd.Series:
    """Return microseconds since 1970 UTC, shape (n,), as a series of times.

    Examples
    --------
    >>> as_times(np.array([0, NOT_A_TIME]), pd.RangeIndex(2)).isna().tolist()
    [False, True]
    """
    times = pd.Series(values.view("datetime64[us]"), index=index)
    return times.dt.tz_localize("UTC").astype(TIME_DTYPE)


def check_zone(zone: str, subject: str) -> None:
    """Raise an error if a text is not the name of a time zone.

    Raises
    ------
    ConfigError
    """
    try:
        zoneinfo.ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            f"{subject}: `{zone}` is not a valid time zone. "
            "Expected a name such as Europe/Berlin or UTC."
        ) from None


def localize(times: pd.Series, zone: str, subject: str) -> pd.Series:
    """Return times of the clocks of a zone as UTC.

    If the clocks show an hour twice, the first is meant. If the clocks skip an hour, the next hour
    is meant.

    Raises
    ------
    ConfigError
        If the zone is not valid; the message begins with `subject`.
    """
    check_zone(zone, subject)
    if zone == "UTC":
        return times.dt.tz_localize("UTC").astype(TIME_DTYPE)
    aware = times.dt.tz_localize(
        zone,
        ambiguous=np.ones(len(times), dtype=bool),
        nonexistent=pd.Timedelta(1, "h"),
    )
    return aware.dt.tz_convert("UTC").astype(TIME_DTYPE)
