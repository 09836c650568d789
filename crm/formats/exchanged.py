"""Finds dates in which a spreadsheet may have exchanged day and month.

A spreadsheet that opens dates in a foreign order converts only those whose two first numbers are
both at most 12. It writes them in its own way, so the column then has two ways of writing, and one
of them never has a number above 12.
"""

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
EXPORT_AGAIN: Final = "Export the table again, and do not open and save the export in a spreadsheet"
_DATE: Final = re.compile(r"(\d{1,2})([-/.] ?)(\d{1,2})([-/.] ?)(\d{4}|\d{2})(?!\d)(.*)")
_ISO_DATE: Final = re.compile(r"(\d{4})([-/.])(\d{1,2})([-/.])(\d{1,2})(?!\d)(.*)")


class _Date(NamedTuple):
    """The first two numbers of a date, as texts, and how the text is written without them."""

    text: str
    first: str
    second: str
    form: str

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
    """

    example: str
    other: str
    dates: int

    @property
    def sentence(self) -> str:
        """The evidence in words, without a full stop."""
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
        Distinct cells of one column.

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
    return max(filter(None, found), key=lambda some: some.dates, default=None)


def _date(text: str) -> _Date | None:
    plain = time_text(text)
    if (match := _DATE.match(plain)) is not None:
        first, mark, second, mark_2, year, rest = match.groups()
        form = f"x{mark}x{mark_2}{len(year)}"
    elif (match := _ISO_DATE.match(plain)) is not None:
        _, mark, first, mark_2, second, rest = match.groups()
        form = f"Y{mark}x{mark_2}x"
    else:
        return None
    return _Date(text, first, second, form + re.sub(r"\d+", "0", rest).casefold())


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
    for i in (1, 2):
        short = [date for date in dates if len(date[i]) == 1]
        padded = [date for date in dates if date[i].startswith("0")]
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
