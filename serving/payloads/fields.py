"""Reads single fields of a request: times, and texts that must not be empty."""

import datetime
import math
from typing import Final, NamedTuple

from crm.cells import cell_text
from crm.days import day_end
from crm.formats.column_times import written_time
from crm.formats.numbers import ANY_CURRENCY, NumberFormat
from crm.times import NOT_A_TIME
from features.times import cell_time
from serving.errors import RequestError
from serving.payloads.columns import Cell

EARLIEST, LATEST = cell_time("1970-01-01"), cell_time("2100-01-01")
MAX_NUMBER_CHARACTERS: Final = 100
ANY_NUMBER: Final = NumberFormat("", "", ANY_CURRENCY)  # reads numbers with one meaning only


class LocalTimes(NamedTuple):
    """The format of the times in a column of the CRM's files.

    Attributes
    ----------
    time_format : str or None
        A format of `crm.formats.times`; None means ISO 8601.
    timezone : str
        The zone of times in this format that do not name a zone.
    """

    time_format: str | None = None
    timezone: str = "UTC"


ISO_TIMES: Final = LocalTimes()


def read_time(sent: str | int, field: str, local: LocalTimes = ISO_TIMES) -> int:
    """Read a time as microseconds since 1970 UTC.

    Parameters
    ----------
    sent : str or int
        A time in ISO 8601, which is UTC if it names no zone, milliseconds since 1970, or a time in
        the format of the column.
    field : str
        The path of the field, for an error.
    local : LocalTimes

    Raises
    ------
    RequestError
        422 if it is not a valid time, or not in the years 1970 to 2099.

    Examples
    --------
    >>> local = LocalTimes("%d.%m.%Y %H:%M", "Europe/Berlin")
    >>> read_time("01.03.2025 09:00", "", local) == read_time("2025-03-01T08:00Z", "")
    True
    """
    time = cell_time(sent)
    if local.time_format is not None and not EARLIEST <= time < LATEST:
        in_format = cell_time(sent, local.timezone, local.time_format)
        time = time if in_format == NOT_A_TIME else in_format
    shown = repr(sent)[:60]
    if time == NOT_A_TIME:
        also = f", or {written_time(local.time_format)}" if local.time_format else ""
        raise RequestError(
            422,
            f"{shown} is not a valid time. Expected ISO 8601 such as 2025-03-01T08:00:00Z, or "
            f"milliseconds since 1970, which have 13 digits{also}.",
            field,
        )
    if not EARLIEST <= time < LATEST:
        raise RequestError(
            422, f"{shown} is not in the years 1970 to 2099. Check the format of the time.", field
        )
    return time


def read_optional_time(sent: str | int | None, field: str, local: LocalTimes = ISO_TIMES) -> int:
    """Read a time as `read_time` does; `NOT_A_TIME` if it is null or a blank text.

    Raises
    ------
    RequestError
        As `read_time`.

    Examples
    --------
    >>> read_optional_time(" ", "") == NOT_A_TIME
    True
    """
    if sent is None or cell_text(sent) is None:
        return NOT_A_TIME
    return read_time(sent, field, local)


def read_event_time(sent: str | int, field: str) -> int:
    """Read a time as `read_time` does, and a day without a clock as its last moment.

    Raises
    ------
    RequestError
        As `read_time`.

    Examples
    --------
    >>> read_event_time("2025-03-01", "") == read_time("2025-03-01T23:59:59.999999Z", "")
    True
    >>> read_event_time("2025-03-01T00:00Z", "") == read_time("2025-03-01", "")
    True
    """
    time = read_time(sent, field)
    return day_end(time) if isinstance(sent, str) and _is_day(sent) else time


def _is_day(sent: str) -> bool:
    try:
        datetime.date.fromisoformat(sent.strip())
    except ValueError:
        return False
    return True


def read_number(cell: float | str | None, field: str) -> float | None:
    """Read a number that may be text, such as an amount with separators and a currency.

    Parameters
    ----------
    cell : float, str or None
        A blank text counts as null.
    field : str
        The path of the field, for an error.

    Raises
    ------
    RequestError
        422 if a text is not a number, or can mean two numbers, as 1.234 can.

    Examples
    --------
    >>> read_number("1.234,56", ""), read_number("$1,200.50", ""), read_number("12345678.91", "")
    (1234.56, 1200.5, 12345678.91)
    """
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    number = ANY_NUMBER.read(cell) if len(cell) <= MAX_NUMBER_CHARACTERS else math.nan
    if math.isnan(number):
        name = field.rpartition(".")[2]
        raise RequestError(
            422,
            f"`{name}` is {cell[:40]!r}, which is not a number, or can mean two numbers, with "
            "thousands or with a decimal sign. Send a JSON number such as 1234.56.",
            field,
        )
    return number


def read_text(cell: Cell, field: str) -> str:
    """Read a text that must not be empty.

    Raises
    ------
    RequestError
        422 if it is missing or blank.
    """
    text = cell_text(cell)
    if text is None:
        raise empty_error(field)
    return text


def empty_error(field: str) -> RequestError:
    """Build the error for an empty field."""
    return RequestError(422, f"`{field.rpartition('.')[2]}` is empty. Send a value.", field)
