"""Times as microseconds since 1970 UTC, and how a column of cells is read as times."""

import re
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Ints
from crm.cells import text_series
from crm.errors import ConfigError

TIME_DTYPE: Final = "datetime64[us, UTC]"
NOT_A_TIME: Final = np.iinfo(np.int64).min  # NumPy's own value of a missing time
HOUR: Final = 3_600_000_000  # in microseconds, like all durations between times
DAY: Final = 24 * HOUR
SECONDS_PER_DAY: Final = DAY // 1_000_000
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


def parse_times(
    column: pd.Series, subject: str, timezone: str = "UTC", time_format: str | None = None
) -> tuple[pd.Series, bool]:
    """Read a column as times in UTC; cells that are not valid times become missing.

    Times without a zone are in `timezone`. If the clocks show an hour twice, the first is meant. If
    the clocks skip an hour, the next hour is meant. Whole numbers of 13 digits are milliseconds
    since 1970, the format of HubSpot. Other numbers are not valid times.

    Parameters
    ----------
    column : Series
    subject : str
        The name of the table, for an error.
    timezone : str
        The zone of times that have none, such as "Europe/Berlin".
    time_format : str, optional
        The format of texts, in the directives of `strptime`. By default they are ISO 8601.

    Returns
    -------
    Series of datetime64, UTC
    bool
        Whether any time has no zone.

    Raises
    ------
    ConfigError
        If the zone or the format is not valid.

    Examples
    --------
    >>> cells = pd.Series(["2025-01-01 08:00", "2025-01-01T08:00Z", "soon"])
    >>> parse_times(cells, "leads.csv", timezone="Europe/Berlin")
    (0   2025-01-01 07:00:00+00:00
    1   2025-01-01 08:00:00+00:00
    2                         NaT
    dtype: datetime64[us, UTC], True)
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _of_milliseconds(text_series(column)), False
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").astype(TIME_DTYPE), False
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return _localize(column, timezone, subject), bool(column.notna().any())
    if time_format is not None:
        text = text_series(column)
        is_zoned = "%z" in time_format.lower()
        try:
            parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=is_zoned)
        except ValueError as error:
            raise ConfigError(
                f"{subject}: `{time_format}` cannot be read as a time_format: {error}. "
                "Expected directives such as %d.%m.%Y %H:%M."
            ) from None
        if is_zoned:
            return parsed.astype(TIME_DTYPE), False
        return _localize(parsed, timezone, subject), bool(parsed.notna().any())
    text = text_series(column)
    try:  # takes a tenth of the time, but every cell must be a complete time with its zone
        times = pc.cast(pa.array(text), pa.timestamp("us", "UTC")).to_numpy(zero_copy_only=False)
        return pd.Series(times, index=column.index).dt.tz_localize("UTC"), False
    except pa.ArrowInvalid:
        pass
    result = _of_milliseconds(text)
    text = text.where(
        text.str.match(r"\d{4}-\d|\d{8}(?:[T ]|$)", na=False)
    )  # pandas would guess other dates
    zoned = text.str.contains(r"\d[T ].*(?:Z|[+-][\d:]+)$", regex=True, na=False).astype(bool)
    if zoned.any():
        with_zone = pd.to_datetime(text[zoned], format="ISO8601", errors="coerce", utc=True)
        result[zoned] = with_zone.astype(TIME_DTYPE)
    bare = text.notna() & ~zoned
    if bare.any():
        local = pd.to_datetime(text[bare], format="ISO8601", errors="coerce")
        result[bare] = _localize(local, timezone, subject)
    return result, bool((bare & result.notna()).any())


def microseconds(times: pd.Series) -> Ints:
    """Return times as microseconds since 1970 UTC, shape (n,); `NOT_A_TIME` where missing."""
    return times.astype(TIME_DTYPE).to_numpy(dtype="datetime64[us]").astype(np.int64)


def _of_milliseconds(text: pd.Series) -> pd.Series:
    """Read cells that are milliseconds since 1970; the other cells become missing."""
    result = pd.Series(pd.NaT, index=text.index, dtype=TIME_DTYPE)
    is_milliseconds = text.str.fullmatch(MILLISECONDS.pattern).fillna(value=False).astype(bool)
    if is_milliseconds.any():
        times = text[is_milliseconds].astype("int64").to_numpy() * 1_000
        result[is_milliseconds] = (
            pd.Series(times.view("datetime64[us]")).dt.tz_localize("UTC").to_numpy()
        )
    return result


def _localize(times: pd.Series, zone: str, subject: str) -> pd.Series:
    try:
        aware = times.dt.tz_localize(
            zone,
            ambiguous=np.ones(len(times), dtype=bool),
            nonexistent="shift_forward",
        )
    except (LookupError, ValueError, OSError):
        raise ConfigError(
            f"{subject}: `{zone}` is not a valid time zone. "
            "Expected a name such as Europe/Berlin or UTC."
        ) from None
    return aware.dt.tz_convert("UTC").astype(TIME_DTYPE)
