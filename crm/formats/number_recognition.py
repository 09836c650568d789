"""Recognises the format of the numbers of a column from its cells."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec.structs import replace

from crm.formats.numbers import (
    ANY_CURRENCY,
    CURRENCIES,
    GROUPINGS,
    PERCENT,
    NumberFormat,
    NumberParts,
    number_parts,
)
from crm.text import listed

MOSTLY: Final = 0.99  # the least share of one unit, or of one decimal sign, in a column
SURE: Final = 10  # from this many cells such as "1.250" next to "582", "." separates thousands
FEW_VALUES: Final = 25  # a column of fewer values such as "12 months" is a category


class RecognisedNumbers(NamedTuple):
    """The format of a column, and its evidence.

    Attributes
    ----------
    format : NumberFormat
    doubt : str
        A sentence about cells that can be read in two ways; empty if there is no doubt.
    doubtful_as : str
        The notation of the other reading; empty if there is no doubt.
    units : dict of str to int
        The number of distinct cells with each unit; "" for none.
    """

    format: NumberFormat
    doubt: str
    doubtful_as: str
    units: dict[str, int]


def recognise_numbers(
    texts: Iterable[str], decimal: str | None = None, any_currency: bool = False
) -> RecognisedNumbers | None:
    """Recognise the format of the numbers among some texts.

    Parameters
    ----------
    texts : iterable of str
        Distinct cells of one column.
    decimal : {".", ","}, optional
        The decimal sign for cells that do not show it: that of the project file, or of the other
        columns of the table.
    any_currency : bool
        Whether amounts in different currencies belong together, as in a column of revenues.

    Returns
    -------
    RecognisedNumbers or None
        None if no text is a number. The caller checks whether enough of them are numbers.

    Examples
    --------
    >>> recognise_numbers(["$2,017.71", "$95.10"]).format.notation
    '$1,234.56'
    >>> recognise_numbers(["49.267", "48.056"]).doubt
    '"49.267", "48.056" can be read in two ways: with a decimal point, or with thousands'
    """
    parts = [part for text in texts if (part := number_parts(text)) is not None]
    if not parts:
        return None
    units = Counter(part.unit for part in parts)
    unit = _unit(units, len(parts), any_currency)
    counted = [part for part in parts if part.unit in ("", unit) or unit == ANY_CURRENCY]
    if not counted:
        return None
    signs = _DecimalSigns(counted)
    sign, doubt = signs.decide(decimal)
    form = NumberFormat(sign, signs.grouping(sign), unit)
    other = NumberFormat(GROUPINGS[sign], sign, unit).notation if doubt else ""
    if not doubt and unit != ANY_CURRENCY and _are_mixed(units):
        doubt = f"amounts are in several currencies: {_counted(units)}"
        other = replace(form, unit=ANY_CURRENCY).notation
    return RecognisedNumbers(form, doubt, other, dict(units))


def _unit(units: Counter[str], n: int, any_currency: bool) -> str:
    """Choose the unit of a column: the most frequent one that enough cells have."""
    currencies = sum(count for unit, count in units.items() if unit in CURRENCIES)
    unit, count = max(
        ((unit, count) for unit, count in units.items() if unit),
        default=("", 0),
        key=lambda u: u[1],
    )
    if any_currency and currencies > count:
        return ANY_CURRENCY
    if _are_mixed(units):
        return max((count, unit) for unit, count in units.items() if unit in CURRENCIES)[1]
    if unit in CURRENCIES or unit == PERCENT:
        return unit if count * 2 > n else ""
    return unit if count >= MOSTLY * n and n > FEW_VALUES else ""


def _are_mixed(units: Counter[str]) -> bool:
    """Check whether more than a few amounts are in a second currency."""
    counts = sorted((count for unit, count in units.items() if unit in CURRENCIES), reverse=True)
    return len(counts) > 1 and sum(counts[1:]) > (1 - MOSTLY) * units.total()


def _counted(units: Counter[str]) -> str:
    named = {unit or "none": count for unit, count in units.most_common()}
    return ", ".join(f"{unit} ({count:,})" for unit, count in named.items())


class _DecimalSigns:
    """The counts of separators that can only be decimal signs, or only separate thousands."""

    def __init__(self, parts: list[NumberParts]) -> None:
        self.certain: Counter[str] = Counter()  # by decimal sign
        self.unclear: dict[str, list[str]] = {".": [], ",": []}  # digits such as 1.250, by sign
        self.groupings: Counter[str] = Counter()
        self.small = self.large = False  # whole numbers below 1,000, or from 1,000 on
        for part in parts:
            self._count(re.split("[eE]", part.digits)[0])

    def _count(self, digits: str) -> None:
        marks = [mark for mark in digits if not mark.isdigit()]
        if not marks:
            self.small |= len(digits) <= 3
            self.large |= len(digits) > 3
            return
        last = marks[-1]
        whole, _, rest = digits.rpartition(last)
        if len(set(marks)) > 1:  # 1,234.56
            self.certain[last] += 1
            self.groupings[marks[0]] += 1
        elif last in "' ":
            self.groupings[last] += 1
        elif len(marks) > 1:  # 1,234,567
            self.groupings[last] += 1
            self.certain[GROUPINGS[last]] += 1
        elif len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0"):
            self.unclear[last].append(digits)
        else:
            self.certain[last] += 1

    def decide(self, preferred: str | None) -> tuple[str, str]:
        """Choose the decimal sign; also return a sentence if the choice is in doubt."""
        if self.certain:
            sign, count = self.certain.most_common(1)[0]
            if count >= MOSTLY * self.certain.total():
                return sign, ""
            return sign, "some numbers have a decimal point, others a decimal comma"
        if preferred is not None:
            return preferred, ""
        points, commas = self.unclear["."], self.unclear[","]
        if commas and not points:
            return ".", self._doubt(commas, "a decimal comma") if self.large else ""
        if points and not commas:
            if self.large:
                return ".", ""
            if self.small and len(points) >= SURE:
                return ",", ""
            return ".", self._doubt(points, "a decimal point")
        if points and commas:
            return ".", self._doubt([points[0], commas[0]], "a decimal sign")
        return "", ""

    def grouping(self, decimal: str) -> str:
        """Return the most frequent thousands separator, or the usual one for the decimal sign."""
        likely = [mark for mark, _ in self.groupings.most_common() if mark != decimal]
        return likely[0] if likely else GROUPINGS.get(decimal, "")

    @staticmethod
    def _doubt(digits: list[str], way: str) -> str:
        return f"{listed(digits[:2])} can be read in two ways: with {way}, or with thousands"
