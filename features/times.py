"""Reads one cell as a time, in the same way in a request and in a column of dates."""

import datetime
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.cells import cell_text
from crm.formats.column_times import COMPLETE_ISO, iso_text, time_formats
from crm.formats.written import plain_text
from crm.times import MILLISECONDS, NOT_A_TIME

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def cell_time(cell: Any, zone: str = "UTC", time_format: str | None = None) -> int:
    """Read a cell as microseconds since 1970 UTC; `NOT_A_TIME` if it is not a time.

    A time without a time zone is read in `zone`, and a date as its midnight. A whole number of 13
    digits, as a number or as text, is milliseconds since 1970, as HubSpot writes times. Other
    numbers are not times, because they could be seconds or days. With a format, texts and numbers
    are read in this format, and complete dates in ISO 8601 too, as
    `crm.formats.column_times.parse_times` reads a column.

    Examples
    --------
    >>> cell_time("1970-01-01T01:00:00+01:00"), cell_time("1970-01-02"), cell_time("00:00:01Z")
    (0, 86400000000, -9223372036854775808)
    >>> cell_time(1735689600000) == cell_time("1735689600000") == cell_time("2025-01-01")
    True
    >>> cell_time("01.01.2025", time_format="%d.%m.%Y") == cell_time("2025-01-01")
    True
    """
    if time_format is not None and not isinstance(cell, datetime.date):
        text = plain_text(cell_text(cell) or "")
        time = _in_format(text, zone, time_format)
        return cell_time(text, zone) if time == NOT_A_TIME and COMPLETE_ISO.match(text) else time
    if isinstance(cell, str):
        text = plain_text(cell.strip())
        if MILLISECONDS.fullmatch(text):
            return int(text) * 1_000
        iso = iso_text(text)
        if iso is None:
            return NOT_A_TIME
        cell = datetime.datetime.fromisoformat(iso)
    if cell is pd.NaT or not isinstance(cell, datetime.date):
        text = cell_text(cell) or ""
        return int(text) * 1_000 if MILLISECONDS.fullmatch(text) else NOT_A_TIME
    if isinstance(cell, pd.Timestamp):
        cell = cell.to_pydatetime(warn=False)
    elif not isinstance(cell, datetime.datetime):
        cell = datetime.datetime.combine(cell, datetime.time())
    if cell.tzinfo is None:
        cell = cell.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return int((cell - _EPOCH) // _MICROSECOND)


def _in_format(text: str, zone: str, time_format: str) -> int:
    times = (form.read(text, zone) for form in time_formats(time_format))
    return next((time for time in times if time != NOT_A_TIME), NOT_A_TIME)


def local_days(days: Floats, zone: str) -> Floats:
    """Return days since 1970 UTC as days on the clocks of a zone, shape (n,); nan stays nan.

    Examples
    --------
    >>> local_days(np.array([19_723.625]), "Asia/Tokyo")
    array([19724.])
    """
    if zone == "UTC":
        return days
    clock = zoneinfo.ZoneInfo(zone)

    def offset(day: float) -> float:
        aware = (_EPOCH + datetime.timedelta(days=day)).astimezone(clock)
        shift = aware.utcoffset()
        return 0.0 if shift is None else shift / datetime.timedelta(days=1)

    distinct, position = np.unique(days, return_inverse=True)
    shifts = [0.0 if np.isnan(day) else offset(float(day)) for day in distinct]
    return np.asarray(days + np.array(shifts)[position])


def time_text(time: int) -> str:
    """Write microseconds since 1970 UTC as ISO 8601.

    Examples
    --------
    >>> time_text(1_500_000)
    '1970-01-01T00:00:01.500000+00:00'
    """
    return (_EPOCH + time * _MICROSECOND).isoformat()
