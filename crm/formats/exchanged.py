"""Finds dates in which a spreadsheet may have exchanged day and month.

A spreadsheet that opens dates in a foreign order converts only those whose two first numbers are
both at most 12. It writes them in its own way, so the column then has two ways of writing, and one
of them never has a number above 12. If both ways are alike, the order of the rows may show it.
"""

import itertools
import operator
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from crm.formats.times import time_text
from crm.text import counted, quote

MONTHS: Final = 12
# The least numbers of different dates: beside dates that all have a larger number, and beside dates
# of which only some have one. Random days are all at most 12 with a chance of 1 in 2,000.
FEWEST_APART: Final = 4
FEWEST_BESIDE: Final = 8
FEWEST_NUMBERS: Final = 3  # different days, and different months
FEWEST_IN_ORDER: Final = 10  # dates with, and without, a number above 12
NEARLY_ALL: Final = 0.99  # the least share of rows in order with exchanged days and months
FEWER_IN_ORDER: Final = 0.04  # the least share of rows that are out of order as they are written
EXPORT_AGAIN: Final = "Export the table again, and do not open and save the export in a spreadsheet"
_DATE: Final = re.compile(r"(\d{1,2})([-/.] ?)(\d{1,2})([-/.] ?)(\d{4}|\d{2})(?!\d)(.*)")
_ISO_DATE: Final = re.compile(r"(\d{4})([-/.])(\d{1,2})([-/.])(\d{1,2})(?!\d)(.*)")


class _Date(NamedTuple):
    """The first two numbers of a date, as texts, and how the text is written without them."""

    text: str
    first: str
    second: str
    form: str
    year: int

    @property
    def is_large(self) -> bool:
        return int(self.first) > MONTHS or int(self.second) > MONTHS


class ExchangedDates(NamedTuple):
    """The evidence that day and month are exchanged in some cells of a column.

    Attributes
    ----------
    example : str
        A cell in which they may be exchanged.
    other : str
        A cell that is written in the other way.
    dates : int
        The number of different days and months in the cells that are written like `example`.
    by_order : bool
        Whether the order of the rows is the evidence, and not the ways of writing.
    """

    example: str
    other: str
    dates: int
    by_order: bool = False

    @property
    def sentence(self) -> str:
        """The evidence in words, without a full stop."""
        if self.by_order:
            return (
                "the rows are in the order of time only if day and month are exchanged in the "
                f"cells in which both are at most 12, such as {quote(self.example)} "
                f"({counted(self.dates, 'date')}), but not in the others, such as "
                f"{quote(self.other)}, so it looks as if a spreadsheet exchanged them"
            )
        return (
            f"cells are written in two ways, such as {quote(self.example)} and "
            f"{quote(self.other)}. In those like the first ({counted(self.dates, 'date')}), "
            "neither the day nor the month is above 12, so it looks as if a spreadsheet exchanged "
            "day and month in them"
        )


def exchanged_dates(texts: Sequence[str]) -> ExchangedDates | None:
    """Find cells in which day and month may be exchanged; None if nothing suggests it.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells of one column, in the order of the rows.

    Examples
    --------
    >>> converted = [f"{day}/{day % 4 + 1}/24 9:15 AM" for day in range(1, 13)]
    >>> left = [f"{day}/01/2024 09:15" for day in range(13, 29)]
    >>> found = exchanged_dates(converted + left)
    >>> found.example, found.other, found.dates
    ('1/2/24 9:15 AM', '13/01/2024 09:15', 12)
    >>> exchanged_dates(left)
    """
    dates = [date for text in texts if (date := _date(text)) is not None]
    if not any(date.is_large for date in dates):
        return None
    found = [_compared(alike, others) for alike, others in _written_alike(dates)]
    largest = max(filter(None, found), key=lambda some: some.dates, default=None)
    return largest or _by_order(dates)


def _date(text: str) -> _Date | None:
    plain = time_text(text)
    if (match := _DATE.match(plain)) is not None:
        first, mark, second, mark_2, year, rest = match.groups()
        form = f"x{mark}x{mark_2}{len(year)}"
    elif (match := _ISO_DATE.match(plain)) is not None:
        year, mark, first, mark_2, second, rest = match.groups()
        form = f"Y{mark}x{mark_2}x"
    else:
        return None
    form += re.sub(r"\d+", "0", rest).casefold()
    return _Date(text, first, second, form, int(year))


def _written_alike(dates: Sequence[_Date]) -> Iterator[tuple[list[_Date], list[_Date]]]:
    """Yield the dates that are written in one way, and those that are written in other ways.

    The ways differ in the marks, the clock, the length of the year, or zeros before a number.
    """
    by_form: dict[str, list[_Date]] = defaultdict(list)
    for date in dates:
        by_form[date.form].append(date)
    if len(by_form) > 1:
        for form, alike in by_form.items():
            yield alike, [date for date in dates if date.form != form]
    for number in (operator.attrgetter("first"), operator.attrgetter("second")):
        short = [date for date in dates if len(number(date)) == 1]
        padded = [date for date in dates if number(date).startswith("0")]
        if short and padded:
            yield short, padded


def _compared(alike: Sequence[_Date], others: Sequence[_Date]) -> ExchangedDates | None:
    """Return the evidence if no date that is written alike has a number above 12, by no chance."""
    if any(date.is_large for date in alike):
        return None
    other = next((date for date in others if date.is_large), None)
    days = {(int(date.first), int(date.second)) for date in alike}
    fewest = FEWEST_APART if all(date.is_large for date in others) else FEWEST_BESIDE
    differ = min(len({day[i] for day in days}) for i in (0, 1)) >= FEWEST_NUMBERS
    if other is None or len(days) < fewest or not differ:
        return None
    clear = next((date for date in alike if int(date.first) != int(date.second)), alike[0])
    return ExchangedDates(clear.text, other.text, len(days))


def _by_order(dates: Sequence[_Date]) -> ExchangedDates | None:
    """Return the evidence if the dates are in order only with exchanged days and months."""
    large = [date for date in dates if date.is_large]
    small = [date for date in dates if not date.is_large and int(date.first) != int(date.second)]
    if min(len(large), len(small)) < FEWEST_IN_ORDER:
        return None
    is_day_first = int(large[0].first) > MONTHS
    as_written = [
        (date.year, int(date.second), int(date.first))
        if is_day_first
        else (date.year, int(date.first), int(date.second))
        for date in dates
    ]
    exchanged = [
        day if date.is_large else (day[0], day[2], day[1])
        for date, day in zip(dates, as_written, strict=True)
    ]
    if _in_order(exchanged) < NEARLY_ALL or _in_order(as_written) > NEARLY_ALL - FEWER_IN_ORDER:
        return None
    days = {(int(date.first), int(date.second)) for date in small}
    return ExchangedDates(small[0].text, large[0].text, len(days), by_order=True)


def _in_order(days: Sequence[tuple[int, int, int]]) -> float:
    """Compute the share of days that are not before the one above, or not after it."""
    pairs = list(itertools.pairwise(days))
    return max(sum(a <= b for a, b in pairs), sum(a >= b for a, b in pairs)) / len(pairs)
