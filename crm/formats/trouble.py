"""Finds columns of text whose cells look like numbers or times but are not read as such."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from crm.formats.number_recognition import MIXED_SIGNS, RecognisedNumbers, counted_units
from crm.formats.numbers import GROUPINGS, NumberFormat
from crm.formats.times import unknown_zone
from crm.formats.written import plain_text
from crm.text import listed, quote

MOSTLY: Final = 0.5  # the least share of cells that look like numbers or times
NEARLY_ALL: Final = 0.95  # the least share of numbers that are written in two ways
MANY_VALUES: Final = 25  # a column of fewer values is a category
FEW: Final = 3  # the least number of cells with a unit that a sentence names
MANY_FORMS: Final = 12  # forms of the text around numbers that count, the most frequent ones
# One number with some text before and behind it. Text before a whole number makes it a code.
_NUMBER: Final = re.compile(
    r"([^\d/:@#_+]{0,12}?)((?:\d{1,3}(?:[.,' ]\d{2,3})+|\d+)(?:[.,]\d+)?)([^\d:@#_]{0,20})"
)
# Ranges such as 10-20 and 5 x 7, clocks such as 1:30, and durations such as 2 h 15 min.
_NUMBERS: Final = re.compile(
    r"[^\w]{0,3}[1-9][\d.,]*[^\d:@#-]{0,4}(?:[-–—~x×/]|\b(?:to|bis|à|a)\b)[^\w]{0,3}[1-9][\d.,]*\D{0,6}"
    r"|\d{1,3}:\d{2}(?::\d{2})?|(?:\d{1,4} ?[^\W\d_]{1,7}\.? ?){2,4}"
)
# Postal codes such as 27723-6809 and 01310-100, phone numbers, and ids of Salesforce.
_CODE: Final = re.compile(
    r"\d{5}-\d{3,4}|\d{4,5}|\+\d[\d ()./-]{6,}|\(?\d{2,4}\)?[ ./-]\d{3,4}[ ./-]\d{3,5}"
    r"|(?=.*[A-Za-z])[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?"
)
_DAY_OR_CLOCK: Final = re.compile(r"\d{1,4}[-/.]\d{1,4}|\d{4}|\d{1,2}:\d{2}|\d{5,}|\d{1,2}[年月日]")


def trouble_of(
    values: Sequence[str], is_timed: bool, numbers: RecognisedNumbers | None = None
) -> str:
    """Return a sentence about values that look like numbers or times but are not; otherwise "".

    Parameters
    ----------
    values : sequence of str
        Distinct values of a column that is read as text.
    is_timed : bool
        Whether the name of the column means a time.
    numbers : RecognisedNumbers, optional
        The format of those values that are numbers.

    Examples
    --------
    >>> trouble_of(["01/13/2024 9:05 AM PT", "01/14/2024 9:05 AM PT"], is_timed=True)
    'times such as "01/13/2024 9:05 AM PT" are not read: "PT" is not a zone with one meaning'
    >>> trouble_of(["Bonn", "Room 12"], is_timed=False)
    ''
    """
    if numbers is not None and numbers.doubt.startswith(MIXED_SIGNS):
        forms = [NumberFormat(sign, GROUPINGS[sign], numbers.format.unit) for sign in ".,"]
        is_read = [any(np.isfinite(form.read(value)) for form in forms) for value in values]
        if np.mean(is_read) >= NEARLY_ALL:
            return numbers.doubt
    if is_timed and (unread := _unread_times(values)):
        return unread
    return _unread_numbers(values, numbers)


def _unread_times(values: Sequence[str]) -> str:
    timed = [value for value in values if _DAY_OR_CLOCK.search(plain_text(value))]
    if len(timed) < MOSTLY * len(values):
        return ""
    for value in timed:
        if zone := unknown_zone(value):
            return (
                f"times such as {quote(value)} are not read: {quote(zone)} is not a zone with one "
                "meaning"
            )
    return f"cells such as {listed(_different(timed))} are not read as times"


def _unread_numbers(values: Sequence[str], numbers: RecognisedNumbers | None) -> str:
    if len(values) <= MANY_VALUES:
        return ""
    units = {} if numbers is None else {unit: n for unit, n in numbers.units.items() if n >= FEW}
    if len(units) > 1 and sum(units.values()) >= NEARLY_ALL * len(values):
        return f"numbers have several units: {counted_units(Counter(units))}"
    alike = [value for value in values if _looks_like_number(value)]
    if len(alike) < MOSTLY * len(values):
        return ""
    forms = Counter(_form(value) for value in alike)
    if sum(count for _, count in forms.most_common(MANY_FORMS)) < MOSTLY * len(values):
        return ""
    read: Callable[[str], float] = (
        numbers.format.read if numbers is not None else NumberFormat().read
    )
    unread = [value for value in values if np.isnan(read(value))]
    codes = [value for value in unread if _CODE.fullmatch(plain_text(value))]
    if len(codes) >= MOSTLY * len(unread):
        return ""
    return f"cells such as {listed(_different(unread))} are not read as numbers"


def _looks_like_number(value: str) -> bool:
    text = plain_text(value)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _NUMBERS.fullmatch(text) is not None
    before, digits = match[1], match[2]
    has_sign = not digits.isdigit()
    has_letters = any(letter.isalpha() for letter in before) or before.endswith("-")
    is_code = re.match(r"0[\d ]", digits) is not None
    return (has_sign or not has_letters) and not is_code


def _form(value: str) -> str:
    """Return a text with each number replaced by 0."""
    return re.sub(r"\d[\d.,' ]*", "0 ", plain_text(value))


def _different(values: Sequence[str]) -> list[str]:
    """Return two values, if possible in different forms."""
    forms = [re.sub(r"\d+", "0", plain_text(value)) for value in values]
    first = values[0]
    pairs = zip(values, forms, strict=True)
    other = next((value for value, form in pairs if form != forms[0]), None)
    return [first, *([other] if other is not None else values[1:2])]
