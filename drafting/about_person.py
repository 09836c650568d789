"""Recognises columns about the person, such as their age or gender, by their names and cells.

The names of columns, in several languages, and the words of cells are listed in about_person.toml.
"""

import datetime
import itertools
import re
import tomllib
from pathlib import Path
from typing import Final

import pandas as pd

from crm.text import listed
from drafting.name_lists import NameLists
from drafting.role_names import plain_words
from drafting.samples import Column

BY_NAME: Final = "about the person, not about their interest"
MOSTLY: Final = 0.95  # the least share of filled cells with words about the person
NEARLY_ALL: Final = 0.99  # the least share of dates that are not recent
MOST_VALUES: Final = 40  # the most values of a column of genders, salutations or bands of ages
OLDEST: Final = 1900  # the earliest year of birth
YEARS_BEFORE: Final = 5  # the years from the last birth to the first record
SPAN: Final = 10  # the least years between most births, if the start of the records is known
SPAN_UNTIL_TODAY: Final = 20  # the same, if it is not known, because the records may be old
FEWEST_DAYS: Final = 8  # the least number of different days or years
FIRST_ADULTS: Final = range(13, 22)  # the ages at which the first band may begin
WIDEST: Final = 17  # the most years of the first band
DAY_MILLISECONDS: Final = 86_400_000
FAR: Final = 3_650 * DAY_MILLISECONDS


def is_sensitive(column: Column) -> bool:
    """Check whether a column describes the person, by its name and the words of its cells."""
    return _reason_of_words(column) is not None


def sensitive_reason(
    column: Column,
    first_lead: pd.Timestamp | None = None,
    now: datetime.datetime | None = None,
) -> str | None:
    """Return why a column is about the person; None if it is not.

    Parameters
    ----------
    column : Column
    first_lead : Timestamp, UTC, optional
        The creation of the first lead. Dates of birth end years before it.
    now : datetime, timezone-aware, optional
        If the creation of the first lead is not known, dates of birth end years before `now`.
        Without both arguments, dates of birth are not recognised.

    Returns
    -------
    str or None
        The evidence, in words.
    """
    reason = _reason_of_words(column)
    if reason is None and first_lead is not None:
        reason = _reason_of_births(column, first_lead, "the first lead", SPAN)
    elif reason is None and now is not None:
        reason = _reason_of_births(column, pd.Timestamp(now), "today", SPAN_UNTIL_TODAY)
    return reason


def _reason_of_words(column: Column) -> str | None:
    name = _TABLE.sub("", column.name)  # "Lead - Age" is a person's age, "Lead age" a lead's
    if _NAMES.has("about_the_person", name):
        return BY_NAME
    if _NAMES.has("about_a_person_or_thing", name) and not _NAMES.has("things", name):
        return BY_NAME
    if not 0 < len(column.counts) <= MOST_VALUES:
        return None
    for kind, words in _WORDS.items():
        if _has_words(column, words):
            return f"{kind} in the cells, such as {_examples(column)}: about the person"
    if _are_age_bands(column):
        return f"ages in the cells, such as {_examples(column)}: about the person"
    return None


def _examples(column: Column) -> str:
    return listed(map(str, column.counts.index[:2]))


class _PersonWords:
    """The words of cells for one property of people, such as their gender."""

    def __init__(self, listed_words: dict[str, str | list[str]]) -> None:
        self.certain = frozenset(plain_words(str(listed_words["words"])).split())
        self.pairs = [frozenset(plain_words(pair).split()) for pair in listed_words["pairs"]]
        others = frozenset(plain_words(str(listed_words["others"])).split())
        self.known = self.certain.union(others, *self.pairs)


def _has_words(column: Column, words: _PersonWords) -> bool:
    cells = {value: plain_words(value).split() for value in column.counts.index}
    of_words = [value for value, cell in cells.items() if cell and words.known.issuperset(cell)]
    if int(column.counts[of_words].sum()) < MOSTLY * int(column.counts.sum()):
        return False
    seen = frozenset().union(*(cells[value] for value in of_words))
    return bool(seen & words.certain) or any(pair <= seen for pair in words.pairs)


def _are_age_bands(column: Column) -> bool:
    """Check whether values are bands of ages: without gaps, the first one of young adults.

    Bands of sizes, amounts or years of experience begin lower, are wider or continue beyond 100.
    """
    bands = [_age_band(value) for value in column.counts.index]
    known = [ages for ages in bands if ages is not None]
    if len(known) < 2 or len(known) < MOSTLY * len(bands):
        return False
    if all(_AGE_UNITS.search(value) for value in column.counts.index):
        return True
    closed = sorted(ages for ages in known if len(ages) == 2)
    if not closed or closed[0][0] not in FIRST_ADULTS or closed[0][1] - closed[0][0] > WIDEST:
        return False
    return all(high[0] - low[1] in (0, 1) for low, high in itertools.pairwise(closed))


def _age_band(value: str) -> list[int] | None:
    """Read the ages of a band, which are one or two; None if the text is not a band of ages.

    >>> _age_band("25 bis 34 Jahre"), _age_band("65+"), _age_band("100-249"), _age_band("5 GB")
    ([25, 34], [65], None, None)
    """
    ages = [int(digits) for digits in re.findall(r"\d+", value)]
    words = re.findall(r"[^\W\d_]+", value.casefold())
    if not 1 <= len(ages) <= 2 or max(ages) >= 100 or not _BAND_WORDS.issuperset(words):
        return None
    return None if re.search(r"[^\w\s~〜～+<>≤≥=.\-–—]", value) else ages


def _reason_of_births(column: Column, limit: pd.Timestamp, what: str, span: int) -> str | None:
    """Return why values are dates or years of birth; None if they do not seem to be.

    Most dates of birth span at least `span` years, and nearly all are years before `limit`. `what`
    is the name of the limit in the sentence.
    """
    if _NAMES.has("dates_of_things", column.name) or len(column.counts) < FEWEST_DAYS:
        return None
    numbers = pd.Series(column.numbers).dropna() if column.is_number else pd.Series(dtype=float)
    if column.is_time or _are_days(numbers):
        times = column.times if column.is_time else pd.to_datetime(numbers, unit="ms", utc=True)
        times = times.dropna()
        if "%y" in (column.form.notation or ""):  # 12.03.55 was read as a day of 2055
            times = times.where(times < limit, times - pd.DateOffset(years=100))
        years, unit = times.dt.year, "dates"
    elif column.is_number and column.share(r"(19|20)\d\d(\.0)?") == 1:
        years, unit, span = numbers, "years", SPAN_UNTIL_TODAY
    else:
        return None
    low, high = years.quantile(0.05), years.quantile(0.95)
    is_recent = years >= limit.year - YEARS_BEFORE
    if is_recent.mean() > 1 - NEARLY_ALL or low < OLDEST or high - low < span:
        return None
    none = "nearly none" if is_recent.any() else "none"
    return (
        f"most are from {int(low)} to {int(high)}, and {none} from {limit.year - YEARS_BEFORE} to "
        f"{what} in {limit.year}: like {unit} of birth, which are about the person"
    )


def _are_days(numbers: pd.Series) -> bool:
    """Check whether numbers are whole days in milliseconds since 1970, as HubSpot writes them."""
    return bool(
        len(numbers) and (numbers % DAY_MILLISECONDS == 0).all() and numbers.abs().max() > FAR
    )


_TABLE: Final = re.compile(r"^\s*(leads?|deals?|contacts?|persons?)\s*[-:–]\s+", re.IGNORECASE)
_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_WORDS: Final = {
    kind: _PersonWords(words) for kind, words in _LISTED.pop("words_about_the_person").items()
}
_BANDS: Final = _LISTED.pop("age_bands")
_BAND_WORDS: Final = frozenset(_BANDS["words"].casefold().split())
_AGE_UNITS: Final = re.compile(_BANDS["units_of_ages"])
_NAMES: Final = NameLists(_LISTED, around=_LISTED.pop("around_a_name"))
