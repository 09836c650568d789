"""Reads a column of cells as times, in ISO 8601 or in the format of the column."""

import datetime
import re
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.cells import text_series
from crm.errors import ConfigError
from crm.formats.times import (
    EXCEL_DAYS,
    EXCEL_EPOCH,
    JOINED,
    NUMERIC_FORMATS,
    TimeFormat,
    time_text,
)
from crm.formats.written import plain_texts
from crm.times import (
    MILLISECONDS,
    NOT_A_TIME,
    TIME_DTYPE,
    as_times,
    check_zone,
    localize,
    microseconds,
)

# A date in ISO 8601, or a date and a clock, as CRMs and programs write it. A month, a week or a
# year alone is not a time, because the day is not known.
_ISO: Final = re.compile(
    r"(?:([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{4}-?W[0-9]{2}-?[1-7])"
    r"|((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9]))"
    r"(?:[Tt ]([0-9]{2}|[0-9](?=:))(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]*))?)?)?"
    r"(?: ?(?:([Zz]|UTC|GMT)|([+-][0-9]{2}):?([0-9]{2})?(?: (?:UTC|GMT))?))?)?"
)
# The form that `iso_text` returns.
_CANONICAL: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
# Times that are read as ISO 8601 even if the column has another format, because they have one
# meaning only. Callers may send them although the CRM's files have the other format.
COMPLETE_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|$)")
_EXAMPLE: Final = datetime.datetime(2026, 1, 31, 14, 30, tzinfo=datetime.UTC)


def written_time(notation: str | None) -> str:
    """Write the name of a format of times, with an example, for messages.

    Parameters
    ----------
    notation : str or None
        None means ISO 8601.

    Examples
    --------
    >>> written_time("%d.%m.%Y %H:%M or %d.%m.%Y"), written_time(None)
    ('%d.%m.%Y %H:%M or %d.%m.%Y, such as 31.01.2026 14:30', 'ISO 8601, such as 2026-01-31T14:30Z')
    """
    if notation is None:
        return "ISO 8601, such as 2026-01-31T14:30Z"
    first = notation.split(JOINED)[0]
    if first not in NUMERIC_FORMATS:
        return f"{notation}, such as {_EXAMPLE.strftime(first)}"
    time = round(_EXAMPLE.timestamp() * 1e6)
    if first == EXCEL_DAYS:
        return f"{notation}, such as {(time - EXCEL_EPOCH) / NUMERIC_FORMATS[first]:.10g}"
    return f"{notation}, such as {round(time / NUMERIC_FORMATS[first])}"


@lru_cache(4_096)
def time_formats(notation: str) -> tuple[TimeFormat, ...]:
    """Return the formats that a notation joins, compiled.

    Raises
    ------
    ConfigError
        If one of them is not valid.

    Examples
    --------
    >>> [form.notation for form in time_formats("%d.%m.%Y %H:%M or %d.%m.%Y")]
    ['%d.%m.%Y %H:%M', '%d.%m.%Y']
    """
    try:
        return tuple(TimeFormat(part) for part in notation.split(JOINED))
    except ValueError as error:
        raise ConfigError(
            f"`{notation}` cannot be read as a time_format: {error}. "
            "Expected directives such as %d.%m.%Y %H:%M."
        ) from None


def parse_times(
    column: pd.Series, subject: str, timezone: str = "UTC", time_format: str | None = None
) -> tuple[pd.Series, bool]:
    """Read a column as times in UTC; cells that are not valid times become missing.

    Times without a zone are in `timezone`. If the clocks show an hour twice, the first is meant. If
    the clocks skip an hour, the next hour is meant. Without a format, whole numbers of 13 digits
    are milliseconds since 1970, the format of HubSpot; other numbers are not valid times.

    Parameters
    ----------
    column : Series
    subject : str
        The name of the table, for an error.
    timezone : str
        The zone of times that have none, such as "Europe/Berlin".
    time_format : str, optional
        The format of texts and numbers, as `crm.formats.times` defines it. By default they are
        ISO 8601. Complete dates in ISO 8601 are read in any case.

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
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").astype(TIME_DTYPE), False
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return localize(column, timezone, subject), bool(column.notna().any())
    text = plain_texts(text_series(column))
    if time_format is not None:
        return _in_format(text, subject, timezone, time_format)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _of_milliseconds(text), False
    return _iso_times(text, subject, timezone)


def _in_format(
    text: pd.Series, subject: str, timezone: str, notation: str
) -> tuple[pd.Series, bool]:
    try:
        formats = time_formats(notation)
    except ConfigError as error:
        raise ConfigError(f"{subject}: {error}") from None
    check_zone(timezone, subject)
    values = np.full(len(text), NOT_A_TIME, dtype=np.int64)
    has_local = False
    for form in formats:
        unread = np.flatnonzero((values == NOT_A_TIME) & text.notna().to_numpy())
        if len(unread) == 0:
            break
        values[unread] = microseconds(form.read_column(text.iloc[unread], timezone, subject))
        has_local |= form.is_local and bool((values[unread] != NOT_A_TIME).any())
    is_iso = (values == NOT_A_TIME) & text.str.match(COMPLETE_ISO.pattern, na=False).to_numpy(bool)
    if is_iso.any():
        times, is_bare = _iso_times(text[is_iso], subject, timezone)
        values[is_iso] = microseconds(times)
        has_local |= is_bare
    return as_times(values, text.index), has_local


def _iso_times(text: pd.Series, subject: str, timezone: str) -> tuple[pd.Series, bool]:
    cells = pa.array(text)
    for zone in ("UTC", None):  # ten times faster, if all cells are complete and alike
        try:
            times = pc.cast(cells, pa.timestamp("us", zone)).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            continue
        clocks = pd.Series(times, index=text.index)
        has_times = bool(clocks.notna().any())
        if zone is None and has_times:
            return localize(clocks, timezone, subject), True
        return clocks.dt.tz_localize("UTC"), False
    result = _of_milliseconds(text)
    is_canonical = text.str.fullmatch(_CANONICAL, na=False).to_numpy(dtype=bool)
    others = ~is_canonical & text.notna().to_numpy() & result.isna().to_numpy()
    canonical = text.where(is_canonical)  # pandas would guess other dates
    if others.any():
        canonical[others] = text[others].map(iso_text)
    text = canonical
    zoned = text.str.contains(r"\d[T ].*(?:Z|[+-][\d:]+)$", regex=True, na=False).astype(bool)
    if zoned.any():
        with_zone = pd.to_datetime(text[zoned], format="ISO8601", errors="coerce", utc=True)
        result[zoned] = with_zone.astype(TIME_DTYPE)
    bare = text.notna() & ~zoned
    if bare.any():
        local = pd.to_datetime(text[bare], format="ISO8601", errors="coerce")
        result[bare] = localize(local, timezone, subject)
    return result, bool((bare & result.notna()).any())


@lru_cache(1 << 16)
def iso_text(text: str) -> str | None:
    """Return a day, with or without a clock, in the usual form of ISO 8601; None for other text.

    A month or a week is not a time, because the day is not known.

    Examples
    --------
    >>> iso_text("2025-03-01 08:00 UTC"), iso_text("20250301T080005,5+0100")
    ('2025-03-01T08:00:00Z', '2025-03-01T08:00:05.5+01:00')
    >>> iso_text("2025-W03-1"), iso_text("2025-W03"), iso_text("2025-03")
    ('2025-01-13', None, None)
    """
    match = _ISO.fullmatch(time_text(text))
    if match is None:
        return None
    *of_parts, week, year, month, day, hour, minute, second, part, utc, offset, rest = (
        match.groups()
    )
    compact = [year, month, day]
    clock = ""
    if hour is not None:
        clock = f"T{hour:0>2}:{minute or '00'}:{second or '00'}"
        clock += f".{part[:6]}" if part else ""
        clock += f"{offset}:{rest or '00'}" if offset else "Z" if utc else ""
    try:
        if week is not None:
            date = datetime.date.fromisoformat(week).isoformat()
        else:
            date = "-".join(
                digits.rjust(2, "0") for digits in (compact if compact[0] else of_parts)
            )
        datetime.datetime.fromisoformat(date + clock)
    except ValueError:
        return None
    return date + clock


def _of_milliseconds(text: pd.Series) -> pd.Series:
    """Read cells that are milliseconds since 1970; the other cells become missing."""
    values = np.full(len(text), NOT_A_TIME, dtype=np.int64)
    matches = text.str.fullmatch(MILLISECONDS.pattern).fillna(value=False)
    is_milliseconds = matches.to_numpy(dtype=bool)
    values[is_milliseconds] = text[is_milliseconds].astype("int64").to_numpy() * 1_000
    return as_times(values, text.index)
