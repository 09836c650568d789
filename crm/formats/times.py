"""The format of the times of one column, and how a column of cells is read as times.

A format is written in the directives of `strptime`, or as one of `NUMERIC_FORMATS`. Several
formats of one column are joined by " or ".
"""

import datetime
import re
import tomllib
import unicodedata
import zoneinfo
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Ints
from crm.cells import cell_number
from crm.formats.written import MARKS, plain_text
from crm.times import (
    DAY,
    HOUR,
    NOT_A_TIME,
    TIME_DTYPE,
    as_times,
    check_zone,
    localize,
)

UNIX_SECONDS: Final = "unix seconds"
UNIX_MILLISECONDS: Final = "unix milliseconds"
UNIX_MICROSECONDS: Final = "unix microseconds"
UNIX_NANOSECONDS: Final = "unix nanoseconds"
EXCEL_DAYS: Final = "excel days"
NUMERIC_FORMATS: Final = {
    UNIX_SECONDS: 1e6,
    UNIX_MILLISECONDS: 1e3,
    UNIX_MICROSECONDS: 1.0,
    UNIX_NANOSECONDS: 1e-3,
    EXCEL_DAYS: float(DAY),
}
JOINED: Final = " or "
SHORTEST_NAME: Final = 3  # letters of a month that is cut off
EXCEL_EPOCH: Final = -25_569 * DAY  # 30 December 1899
_EARLIEST, _LATEST = -80 * 365 * DAY, 330 * 365 * DAY  # the years 1890 to 2300
_SECOND: Final = 1_000_000
MINUTE: Final = 60 * _SECOND
_WORDS = tomllib.loads(Path(__file__).with_name("time_words.toml").read_text(encoding="utf-8"))
COLUMN_WORDS: Final = "|".join(_WORDS["column_words"])
_DIRECTIVES: Final = {
    "d": "(?P<d>[0-9]{1,2})(?:st|nd|rd|th|er|º)?",
    "m": "(?P<m>[0-9]{1,2})",
    "b": r"(?P<b>[^0-9\s.,/-]{2,12})\.?",
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "M": "(?P<M>[0-9]{2})",
    "S": "(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?",
    "p": r"(?P<p>[ap]\.? ?m\.?|午前|午後|上午|下午|오전|오후)",
    "a": r"[^0-9\s.,/-]{1,12}\.?",
    "z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "Z": "(?P<Z>[A-Z]{1,5}(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?|[A-Z]+(?:/[A-Z_]+)+|(?:[A-Z]+ )+TIME)",
}
# The parts that have two digits if no mark is between them and the next part: 20240103.
_TWO_DIGITS: Final = {name: f"(?P<{name}>[0-9]{{2}})" for name in "dmHI"}
_OF_DIGITS: Final = re.compile("%[dmYyHIMS]")
_SAME: Final = {"B": "b", "A": "a"}
_SHORT: Final = {"%T": "%H:%M:%S", "%R": "%H:%M", "%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%S.%f": "%S"}
_ZONE: Final = re.compile("([A-Z]*)(?:([+-])([01]?[0-9]|2[0-3])(?::?([0-5][0-9]))?)?")
_BRACKETS: Final = re.compile(r"(.*?) ?(?:\(([^()]*)\)|\[([^\[\]]*)\])")
_IN_BRACKETS: Final = re.compile(r"\(([^()]*)\)")
_WITH_BRACKETS: Final = rf"[)\]]|{MARKS}"
_LAST_ZONE: Final = re.compile(
    r"(?:(?:[A-Z]{1,5})?[+-][0-9]{1,2}(?::?[0-9]{2})?|(?<=[ 0-9])[A-Za-z]{1,5})$"
)
_UNKNOWN_ZONE: Final = re.compile(
    r".*[0-9][:.h][0-9]{2}(?: ?[AaPp]\.? ?[Mm]\.?)? ?(?![AaPp][Mm]\b)"
    r"([A-Z]{2,5}|[A-Z][A-Za-z]+(?:[ /][A-Za-z_]+)+)"
)


def is_time_format(text: str) -> bool:
    """Check whether a text is meant as the format of a time, valid or not.

    Examples
    --------
    >>> is_time_format("%d.%m.%Y"), is_time_format("unix seconds"), is_time_format("1.234,56")
    (True, True, False)
    """
    return text in NUMERIC_FORMATS or re.search("%[A-Za-z]", text) is not None


@lru_cache(1 << 14)
def time_text(text: str) -> str:
    """Return the text of a time without brackets.

    A zone in brackets stays. A weekday in brackets is removed, and so is text in brackets behind
    a zone, which explains the zone.

    Examples
    --------
    >>> time_text("01/13/2024 09:05 AM (PST)"), time_text("13.01.2024 (Sa)")
    ('01/13/2024 09:05 AM PST', '13.01.2024')
    >>> time_text("Sat Jan 13 2024 09:05:00 GMT+0100 (Central European Time)")
    'Sat Jan 13 2024 09:05:00 GMT+0100'
    """
    text = plain_text(text)
    if "(" in text:
        text = _IN_BRACKETS.sub(lambda note: " " if _is_weekday(note[1]) else note[0], text)
    text = " ".join(text.split())
    match = _BRACKETS.fullmatch(text) if text.endswith((")", "]")) else None
    if match is None:
        return text
    time, note = match[1], match[2] or match[3] or ""
    zone = _LAST_ZONE.search(time)
    if zone is not None and zone_offset(zone[0]) is not None:
        return time
    return f"{time} {note}"


def _is_weekday(name: str) -> bool:
    return name.strip().rstrip(".").casefold() in _WORDS["weekdays"]


def unknown_zone(text: str) -> str:
    """Return the zone at the end of a time if its meaning is unknown or unclear; otherwise "".

    Examples
    --------
    >>> unknown_zone("01/13/2024 09:05 AM (PT)"), unknown_zone("01/13/2024 09:05 AM (PST)")
    ('PT', '')
    """
    match = _UNKNOWN_ZONE.fullmatch(time_text(text))
    return match[1] if match is not None and zone_offset(match[1]) is None else ""


def excel_number(text: str) -> float:
    """Read a number of days, with a decimal point or comma; nan if the text is not a number."""
    return cell_number(text.replace(",", ".") if text.count(",") == 1 else text)


class TimeFormat:
    """One format of times, compiled.

    Parameters
    ----------
    notation : str
        A numeric format, or text with the directives %d %m %b %B %Y %y %H %I %M %S %f %p %z %Z %a
        %A. A fraction of seconds may always follow %S. Names of months may be in any of the
        languages of time_words.toml.

    Raises
    ------
    ValueError
        If a directive is not known or is repeated.

    Examples
    --------
    >>> time = TimeFormat("%d. %B %Y, %H:%M").read("1. März 2025, 08:30", "Europe/Berlin")
    >>> datetime.datetime.fromtimestamp(time / 1e6, datetime.UTC).isoformat()
    '2025-03-01T07:30:00+00:00'
    """

    def __init__(self, notation: str) -> None:
        self.notation = notation
        self.is_numeric = notation in NUMERIC_FORMATS
        expanded = notation
        for short, long in _SHORT.items():
            expanded = expanded.replace(short, long)
        self._pattern = "" if self.is_numeric else _pattern(expanded)
        self._regex = re.compile(self._pattern, re.IGNORECASE)
        self._has_clock = re.search("%[HI]", expanded) is not None
        self.has_zone = re.search("%[zZ]", expanded) is not None

    @property
    def is_day(self) -> bool:
        """True if the format has no clock."""
        return not self.is_numeric and not self._has_clock

    @property
    def is_local(self) -> bool:
        """True if the times have no zone of their own."""
        return self.notation == EXCEL_DAYS if self.is_numeric else not self.has_zone

    def read(self, text: str, zone: str) -> int:
        """Read a text as microseconds since 1970 UTC; `NOT_A_TIME` if it does not fit."""
        if self.is_numeric:
            return self._of_number(self._number(plain_text(text)), zone)
        match = self._regex.fullmatch(time_text(text))
        if match is None:
            return NOT_A_TIME
        fields = match.groupdict()
        try:
            local = datetime.datetime(  # noqa: DTZ001  # the zone is added below
                _year(fields), _month(fields), int(fields["d"]), *_clock(fields)
            )
        except (KeyError, OverflowError, ValueError):
            return NOT_A_TIME
        named = fields.get("z") or fields.get("Z")
        offset = 0 if named is None else zone_offset(named)
        if offset is None:
            return NOT_A_TIME
        if isinstance(offset, str) or named is None:
            return _utc(local, zone if named is None else str(offset))
        return (local - _EPOCH) // _MICROSECOND - offset

    def _number(self, text: str) -> float:
        is_excel = self.notation == EXCEL_DAYS
        return excel_number(text) if is_excel else cell_number(text)

    def _of_number(self, number: float, zone: str) -> int:
        if not np.isfinite(number) or abs(number) > 1e19:
            return NOT_A_TIME
        time = round(number * NUMERIC_FORMATS[self.notation])
        if self.notation == EXCEL_DAYS:
            time = (time + _SECOND // 2) // _SECOND * _SECOND + EXCEL_EPOCH
        if not _EARLIEST < time < _LATEST or number <= 0:
            return NOT_A_TIME
        if self.notation != EXCEL_DAYS or zone == "UTC":
            return time
        return _utc(_EPOCH + time * _MICROSECOND, zone)

    def read_column(self, text: pd.Series, zone: str, subject: str) -> pd.Series:
        """Read a column of tidy text, as `crm.cells.text_series` returns it.

        Returns
        -------
        Series of datetime64, UTC
            Missing where `read` returns `NOT_A_TIME`.
        """
        if self.is_numeric or len(text) < 100:
            read = lru_cache(None)(lambda cell: self.read(cell, zone))
            check_zone(zone, subject)
            values = [NOT_A_TIME if pd.isna(cell) else read(cell) for cell in text]
            return as_times(np.array(values, dtype=np.int64), text.index)
        has_marks = text.str.contains(_WITH_BRACKETS, na=False).to_numpy(dtype=bool)
        if has_marks.any():
            text = text.copy()
            text[has_marks] = text[has_marks].map(time_text)
        cells = pa.array(text, type=pa.large_string())
        fields = pc.extract_regex(cells, f"(?i)^(?:{self._pattern})$")
        local, is_valid = self._local(fields)
        local[~is_valid] = NOT_A_TIME
        naive = pd.Series(local.view("datetime64[us]"), index=text.index)
        names = [name for name in ("z", "Z") if name in self._regex.groupindex]
        if not names:
            return localize(naive, zone, subject)
        result = pd.Series(pd.NaT, index=text.index, dtype=TIME_DTYPE)
        zones = pc.struct_field(fields, names[0]).to_pandas()
        for name in zones[is_valid].dropna().unique():
            rows, offset = (zones == name).to_numpy() & is_valid, zone_offset(name)
            if isinstance(offset, str):
                result[rows] = localize(naive[rows], offset, subject)
            elif offset is not None:
                shifted = naive[rows] - pd.Timedelta(offset, "us")
                result[rows] = shifted.dt.tz_localize("UTC").astype(TIME_DTYPE)
        return result

    def _local(self, fields: pa.StructArray) -> tuple[Ints, Any]:
        """Compute local microseconds since 1970, and whether each cell is a valid time."""
        n = len(fields)

        def numbers(name: str, default: int = 0) -> Ints:
            if name not in self._regex.groupindex:
                return np.full(n, default, dtype=np.int64)
            texts = pc.struct_field(fields, name)
            texts = pc.if_else(pc.equal(texts, ""), None, texts)
            return pc.fill_null(pc.cast(texts, pa.int64()), default).to_numpy(zero_copy_only=False)

        def mapped(name: str, read: Any) -> Ints:
            codes, texts = pd.factorize(pc.struct_field(fields, name).to_pandas())
            values = np.array([*(read(text) for text in texts), -1], dtype=np.int64)
            return values[codes]

        is_valid = pc.is_valid(fields).to_numpy(zero_copy_only=False)
        if "Y" in self._regex.groupindex:
            year = numbers("Y")
        else:
            year = numbers("y")
            year = np.where(year < _PIVOT, year + 2000, year + 1900)
        month = mapped("b", month_of) if "b" in self._regex.groupindex else numbers("m")
        day, hour, minute, second = numbers("d"), numbers("H"), numbers("M"), numbers("S")
        if "I" in self._regex.groupindex:
            hour = numbers("I")
            is_valid &= (hour >= 1) & (hour <= 12)
            is_pm = mapped("p", _is_afternoon) if "p" in self._regex.groupindex else 0
            hour = hour % 12 + 12 * is_pm
        micro = np.zeros(n, dtype=np.int64)
        if "f" in self._regex.groupindex:
            padded = pc.utf8_slice_codeunits(
                pc.utf8_rpad(pc.struct_field(fields, "f"), 6, padding="0"), 0, 6
            )
            micro = pc.fill_null(pc.cast(padded, pa.int64()), 0).to_numpy(zero_copy_only=False)
        is_valid &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        is_valid &= (hour < 24) & (minute < 60) & (second < 60)
        months = np.where(is_valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
        days = months.astype("datetime64[D]").astype(np.int64) + np.where(is_valid, day, 1) - 1
        is_valid &= days.astype("datetime64[D]").astype("datetime64[M]") == months
        seconds = (hour * 60 + minute) * 60 + second
        return days * DAY + seconds * _SECOND + micro, is_valid


_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001  # local times are compared with it
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_PIVOT: Final = 69  # two-digit years from it on are of the 20th century, as in `strptime`


def _pattern(notation: str) -> str:
    """Build the regular expression of a format; RE2 and Python read it alike."""
    parts, used = [], set()
    pieces = [piece for piece in re.split(r"(%.|\s+)", notation) if piece]
    for i, piece in enumerate(pieces):
        if piece.startswith("%") and len(piece) == 2:
            name = _SAME.get(piece[1], piece[1])
            if name not in _DIRECTIVES:
                raise ValueError(f"{piece} is not a directive")
            if name in used and name != "a":
                raise ValueError(f"{piece} is repeated")
            used.add(name)
            beside = (*pieces[max(0, i - 1) : i], *pieces[i + 1 : i + 2])
            is_compact = any(_OF_DIGITS.fullmatch(other) for other in beside)
            parts.append(
                _TWO_DIGITS[name] if is_compact and name in _TWO_DIGITS else _DIRECTIVES[name]
            )
        else:
            parts.append(" " if piece.isspace() else re.escape(piece))
    return "".join(parts)


def _year(fields: dict[str, Any]) -> int:
    if fields.get("Y"):
        return int(fields["Y"])
    year = int(fields["y"])
    return year + (2000 if year < _PIVOT else 1900)


def _month(fields: dict[str, Any]) -> int:
    return month_of(fields["b"]) if fields.get("b") else int(fields["m"])


def _clock(fields: dict[str, Any]) -> tuple[int, int, int, int]:
    hour = int(fields.get("H") or 0)
    if fields.get("I"):
        hour = int(fields["I"])
        if not 1 <= hour <= 12:
            raise ValueError("the hour is not on a clock of twelve hours")
        hour = hour % 12 + 12 * _is_afternoon(fields.get("p") or "am")
    micro = int((fields.get("f") or "0").ljust(6, "0")[:6])
    return hour, int(fields.get("M") or 0), int(fields.get("S") or 0), micro


def _is_afternoon(text: str) -> int:
    return int(text.casefold().replace(".", "").replace(" ", "") in _WORDS["afternoon"])


@lru_cache(4_096)
def month_of(name: str) -> int:
    """Return the month that a name means, from 1; 0 if it means none, or several.

    Examples
    --------
    >>> month_of("März"), month_of("DÉC."), month_of("Ma"), month_of("3月")
    (3, 12, 0, 0)
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).rstrip(".")
    plain = plain.replace("ł", "l").replace("ı", "i")
    numbered = [(i, name) for months in _WORDS["months"] for i, name in enumerate(months, 1)]
    meant = {i for i, name in numbered if name == plain}
    if len(plain) >= SHORTEST_NAME and not meant:
        meant = {i for i, name in numbered if name.startswith(plain)}
    return meant.pop() if len(meant) == 1 else 0


@lru_cache(4_096)
def zone_offset(name: str) -> int | str | None:
    """Return what a zone in a cell means.

    Returns
    -------
    int, str or None
        Microseconds to the east of UTC; the name of a zone whose offset depends on the time;
        None if it means nothing.

    Examples
    --------
    >>> zone_offset("EST") // HOUR, zone_offset("+01:30") / HOUR, zone_offset("Europe/Berlin")
    (-5, 1.5, 'Europe/Berlin')
    """
    named: float | None = _WORDS["zones"].get(" ".join(name.upper().split()))
    if named is not None:
        return int(named * HOUR)
    if "/" in name:
        try:
            return zoneinfo.ZoneInfo(name).key
        except (LookupError, ValueError, OSError):
            return None
    match = _ZONE.fullmatch(name.upper())
    hours = _WORDS["zones"].get(match[1] or "UTC") if match else None
    if match is None or hours is None:
        return None
    minutes = int(match[3] or 0) * 60 + int(match[4] or 0)
    sign = -1 if match[2] == "-" else 1
    return int(hours * HOUR) + sign * minutes * MINUTE


def _utc(local: datetime.datetime, zone: str) -> int:
    """Return local time as UTC; the first of two equal times, the next hour of a skipped one."""
    aware = local.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return int((aware - _UTC_EPOCH) // _MICROSECOND)


_UTC_EPOCH: Final = _EPOCH.replace(tzinfo=datetime.UTC)
