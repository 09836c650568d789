"""Formats numbers for sentences and tables."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from crm.times import SECONDS_PER_DAY
from reports.text import NO_BREAK

Row = Mapping[str, Any]
MOST_DIGITS = 4  # of a share


def percent(share: float, digits: int = 1) -> str:
    r"""Write a share, 0 … 1, with more digits if it would be 0 % or 100 % and is neither.

    Examples
    --------
    >>> percent(0.1234) == "12.3\u00a0%"
    True
    >>> [percent(share, 0).replace("\xa0", " ") for share in (0.0, 0.0026, 0.9996, 1.0)]
    ['0 %', '0.3 %', '99.96 %', '100 %']
    """
    if 0 < share < 1:
        enough = (n for n in range(digits, MOST_DIGITS + 1) if 0 < round(100 * share, n) < 100)
        digits = next(enough, digits)
    return f"{100 * share:.{digits}f}{NO_BREAK}%"


def counted_share(share: float, x: float | None, n: float | None, digits: int = 1) -> str:
    r"""Write a share with the counts behind it, if they are known.

    Examples
    --------
    >>> counted_share(0.25, 10, 40).replace("\xa0", " "), counted_share(0.25, None, None)
    ('25.0 % (10 of 40)', '25.0\xa0%')
    """
    text = percent(share, digits)
    return text if x is None or n is None else f"{text} ({x_of_n(x, n)})"


def x_of_n(x: float, n: float) -> str:
    """Write the two counts of a share; parts of a win, as attribution divides it, in tenths.

    Examples
    --------
    >>> x_of_n(10, 1_200), x_of_n(2.5, 8), x_of_n(43.999999, 106)
    ('10 of 1,200', '2.5 of 8', '44 of 106')
    """
    x = round(x, 1)
    return f"{x:,.{0 if float(x).is_integer() else 1}f} of {n:,.0f}"


def money(amount: float, currency: str) -> str:
    r"""Write an amount with its currency, if it is known.

    Examples
    --------
    >>> money(1_234.5, "EUR"), money(1_234.5, "")
    ('1,234\xa0EUR', '1,234')
    """
    return f"{amount:,.0f}{NO_BREAK}{currency}" if currency else f"{amount:,.0f}"


def two_digits(value: float) -> str:
    """Write a number such as a lift."""
    return f"{value:.2f}"


def count(n: int | None) -> str:
    """Write a count; "not known" if there is none."""
    return "not known" if n is None else f"{n:,}"


def cut_off_name(number: int, begin: str | None, end: str | None) -> str:
    """Name the leads after a cut-off by their first and last day, or by a number without times.

    Examples
    --------
    >>> cut_off_name(1, "2026-03-01T12:05:30+00:00", "2026-05-31T00:00:00+00:00")
    '2026-03-01 to 2026-05-31'
    >>> cut_off_name(1, None, None)
    'cut-off 1'
    """
    return f"cut-off {number}" if begin is None or end is None else f"{begin[:10]} to {end[:10]}"


def age_of(days: float) -> str:
    """Write the age of a lead.

    Examples
    --------
    >>> [age_of(days) for days in (0, 1 / 24, 0.5, 1, 7)]
    ['at creation', 'after 1 hour', 'after 12 hours', 'after 1 day', 'after 7 days']
    """
    if days == 0:
        return "at creation"
    n, unit = (24 * days, "hour") if days < 1 else (days, "day")
    text = f"{n:.3g}"
    return f"after {text} {unit}" + ("" if text == "1" else "s")


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign; a number that rounds to 0 has none.

    Examples
    --------
    >>> signed(-3.21), signed(7.6, 0), signed(-0.04)
    ('−3.2', '+8', '0.0')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def signed_points(share: float) -> str:
    """Write a difference of shares in points.

    Examples
    --------
    >>> signed_points(-0.0512), signed_points(0.2)
    ('−5.1', '+20.0')
    """
    return signed(100 * share)


def between(
    row: Row, low: str = "low", high: str = "high", write: Callable[[float], str] = percent
) -> str:
    """Write the interval of a row; a dash if there is none."""
    return f"{write(row[low])} to {write(row[high])}" if low in row else "–"


def duration(days: float) -> str:
    r"""Write a duration, given in days, in its largest unit; days up to ten with their hours.

    Examples
    --------
    >>> [duration(d).replace("\xa0", " ") for d in (0.0002, 0.02, 0.5, 1.0, 41.2)]
    ['17 seconds', '29 minutes', '12 hours', '1 day', '41 days']
    >>> [duration(d).replace("\xa0", " ") for d in (3.04, 2.125, 2.999)]
    ['3 days 1 hour', '2 days 3 hours', '3 days']
    """
    if not math.isfinite(days):
        return "not yet"
    if days < 1 / 1440:
        return _counted(days * SECONDS_PER_DAY, "second")
    if days < 1 / 24:
        return _counted(days * 1_440, "minute")
    if days < 1:
        return _counted(days * 24, "hour")
    whole, hours = divmod(round(24 * days), 24)
    if days >= 10 or not hours:
        return _counted(days, "day")
    return f"{_counted(whole, 'day')}{NO_BREAK}{_counted(hours, 'hour')}"


def _counted(amount: float, unit: str) -> str:
    """Write a rounded number with its unit."""
    n = round(amount)
    return f"{n}{NO_BREAK}{unit}" + ("" if n == 1 else "s")
