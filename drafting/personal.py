"""Recognises columns of personal data and free text.

The names of columns, in several languages, and the patterns of cells are listed in personal.toml.
"""

import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from crm.lead_ids import SHORTENED
from crm.text import listed
from drafting.name_lists import NameLists
from drafting.samples import Column
from features.attributes.attribute import UndeclaredColumn
from features.attributes.choices import ChoiceAttribute
from features.attributes.flag import NO, YES

PERSONAL_SHARE: Final = 0.3  # of the different cells
SOME_CONTAIN: Final = 0.1  # enough, if at least `MANY_CONTAIN` cells contain personal data
MANY_CONTAIN: Final = 10
STREETS: Final = "street addresses"
FEWEST_CELLS: Final = 3  # the least number of different cells that are evidence for names, streets
FIRST_NAME_SHARE: Final = 0.3
FULL_NAME_SHARE: Final = 0.6  # of the different cells
MOST_WORDS_OF_NAME: Final = 4
FEWEST_NAMES: Final = 3  # so that a yes or no, such as "has address", is not a name
STREET_SHARE: Final = 0.6  # the least share of different cells with a house number
STREET_WORDS: Final = 0.3  # the least share of these cells with a word such as "road"
MOST_DIFFER: Final = 0.5  # the least share of different names, if few have such a word
FEWEST_PEOPLE: Final = 10  # the least number of different cells that may be names of people
MOST_REPEAT: Final = 0.5  # the least share of different cells that repeat names of people
SOME_PHONES: Final = 0.05  # the least share of numbers in a column with the name of a phone
SHORTEST_PHONE: Final = 100_000  # smaller numbers are counts
LOOKED_AT: Final = 2_000  # different cells that are checked


def personal_reason(column: Column) -> str | None:
    """Return why a column is personal data or free text; None if it is neither."""
    for kind, pattern in _CELLS.items():
        share = column.share(pattern)
        if kind == STREETS and share * len(column.counts) < FEWEST_CELLS:
            continue
        if share >= PERSONAL_SHARE:
            return f"{kind}: personal data"
    filled, values = int(column.counts.sum()), column.counts.index
    if reason := _phone_reason(column) or _contained_reason(column):
        return reason
    is_unlike = len(values) >= min(20, 0.5 * filled)
    if is_unlike and _NAMES.has("identity_numbers", column.name):
        return "numbers of documents or accounts: personal data"
    is_varied = is_unlike and _is_text(column)
    if is_varied and _NAMES.has("handles", column.name):
        return "accounts of people: personal data"
    if is_varied and _NAMES.has("introducers", column.name):
        return "names of people: personal data"
    has_names = (len(values) >= FEWEST_NAMES or _are_few_names(column)) and not column.is_number
    if has_names and _NAMES.has("names_and_addresses", column.name):
        return "names or addresses: personal data"
    if _is_text(column) and _NAMES.has("possible_names", column.name) and _look_like_names(column):
        return "first and last names: personal data"
    if is_varied and _are_names(column):
        return "first names in the cells: personal data"
    if is_unlike and not column.is_time and _are_streets(column):  # "12 Oak Road" is a number too
        return f"{STREETS}: personal data"
    return "free text: may contain anything, also personal data" if _is_free_text(column) else None


def names_of_people(columns: Sequence[Column], ignored: Collection[str]) -> dict[str, str]:
    """Find the columns that repeat the names of people in columns that are ignored.

    Returns
    -------
    dict of str to str
        The evidence, by the name of the column.
    """
    sources = [c for c in columns if c.name in ignored and _NAMES.has("names_of_people", c.name)]
    known = {word for column in sources for cell in column.counts.index for word in _words(cell)}
    named = listed([column.name for column in sources][:2])
    found = {}
    for column in columns:
        values = column.counts.index[:LOOKED_AT]
        if column.name in ignored or not _is_text(column) or len(values) < FEWEST_PEOPLE:
            continue
        cells = [_words(value) if _is_mostly_letters(value) else [] for value in values]
        are_known = [bool(cell) and known.issuperset(cell) for cell in cells]
        if sum(are_known) >= MOST_REPEAT * len(values):
            found[column.name] = f"repeats the names in {named}: personal data"
    return found


def _contained_reason(column: Column) -> str:
    """Return which personal data many cells contain besides other text; otherwise ""."""
    if not _is_text(column):
        return ""
    values = column.counts.index[:LOOKED_AT]
    for kind, pattern in _CONTAINED.items():
        n = sum(pattern.search(value) is not None for value in values)
        many = min(MANY_CONTAIN, PERSONAL_SHARE * len(values))
        if n and n >= max(many, SOME_CONTAIN * len(values)):
            return f"{kind} in the cells: personal data"
    return ""


def _phone_reason(column: Column) -> str:
    """Return why a column contains phone numbers, which may be rounded; otherwise ""."""
    if not _NAMES.has("phones", column.name):
        return ""
    rounded = column.share(SHORTENED)
    whole = column.share(r"(\D*\d){6,16}\D*")
    is_named = _NAMES.has("phone_names", column.name) and not _are_counts(column)
    if rounded + whole < (SOME_PHONES if is_named else 0.5):
        return ""
    destroyed = "; a spreadsheet rounded them, so some digits are lost" if rounded else ""
    return f"phone numbers: personal data{destroyed}"


def _are_counts(column: Column) -> bool:
    return column.is_number and bool(np.nanmax(np.abs(column.numbers)) < SHORTEST_PHONE)


def _are_few_names(column: Column) -> bool:
    """Check whether all rows have different values, and no value means yes or no."""
    values = {value.casefold() for value in column.counts.index}
    return len(values) == int(column.counts.sum()) > 0 and values.isdisjoint(YES | NO)


def _is_free_text(column: Column) -> bool:
    filled, values = int(column.counts.sum()), column.counts.index
    if column.is_number or not filled or len(values) < min(20, 0.5 * filled):
        return False
    mean_words = float(np.mean([value.count(" ") + 1 for value in values]))
    is_note = _NAMES.has("texts", column.name) and mean_words >= 2 and len(values) >= 0.2 * filled
    if not is_note and (mean_words < 6 or len(values) < 0.5 * filled):
        return False
    return not ChoiceAttribute.recognise(UndeclaredColumn(column.cells, frozenset()))


def _are_names(column: Column) -> bool:
    """Check whether enough cells are one to four words with a common first name."""
    values = column.counts.index[:LOOKED_AT]
    words = [_words(value) for value in values]
    n_names = sum(0 < len(cell) <= 4 and not _FIRST_NAMES.isdisjoint(cell) for cell in words)
    return n_names >= max(FEWEST_CELLS, FIRST_NAME_SHARE * len(values))


def _look_like_names(column: Column) -> bool:
    """Check whether most cells are a few words with capital letters, such as "Ann van Dyck"."""
    values = column.counts.index[:LOOKED_AT]
    if len(values) < FEWEST_PEOPLE:  # "Existing Customer" and "New Customer"
        return False
    parts = [value.split() for value in values if not re.search(r"\d", value)]
    n_names = sum(
        1 < len(words) <= MOST_WORDS_OF_NAME and words[0][0].isupper() and words[-1][0].isupper()
        for words in parts
    )
    return n_names >= FULL_NAME_SHARE * len(values)


def _are_streets(column: Column) -> bool:
    """Check whether most cells are names with house numbers, and these are streets.

    Many names must have a word such as "road", or most names must differ, because products and
    campaigns have numbers too.
    """
    values = column.counts.index[:LOOKED_AT]
    matches = filter(None, (_HOUSE.fullmatch(value) for value in values))
    names = [match["behind"] or match["before"] for match in matches]
    if len(names) < max(FEWEST_CELLS, STREET_SHARE * len(values)):
        return False
    differ = len({name.casefold() for name in names}) >= MOST_DIFFER * len(values)
    return differ or sum(map(_is_street, names)) >= STREET_WORDS * len(names)


def _is_street(name: str) -> bool:
    """Check whether a name contains the word of a street.

    >>> _is_street("Musterstraße"), _is_street("Rue de Lyon"), _is_street("Campaign")
    (True, True, False)
    """
    words = _words(name)
    is_named = words[0] in _BEFORE_STREETS or words[-1] in _BEHIND_STREETS
    return len(words) > 1 and is_named or words[-1].endswith(_ENDS_OF_STREETS)


def _is_text(column: Column) -> bool:
    return not column.is_number and not column.is_time


def _is_mostly_letters(text: str) -> bool:
    """Check whether a text may be a name; times such as 2026-01-28T03:58Z have letters too."""
    return sum(map(str.isdigit, text)) < sum(map(str.isalpha, text))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_CELLS: Final = _LISTED.pop("cells")
_CONTAINED: Final = {
    kind: re.compile(pattern, re.VERBOSE) for kind, pattern in _LISTED.pop("contained").items()
}
_FIRST_NAMES: Final = frozenset(_LISTED.pop("first_names")["names"].split())
_STREETS: Final = _LISTED.pop("streets")
_BEFORE_STREETS: Final = frozenset(_STREETS["before"].casefold().split())
_BEHIND_STREETS: Final = frozenset(_STREETS["behind"].casefold().split())
_ENDS_OF_STREETS: Final = tuple(_STREETS["ends"].casefold().split())
_NAMES: Final = NameLists(_LISTED, around=_LISTED.pop("around_a_name"))
# "12b Baker Street, London" and "Baker Street 12b, London".
_HOUSE: Final = re.compile(
    r"(?!(?:19|20)\d\d )(?:\d{1,5} ?[A-Za-z]?(?:[-/]\d{1,4})?(?: (?:bis|ter))?,? "
    r"(?P<before>[^\W\d_][^\d,;]{2,40}))(?:,.*| \D.*)?"
    r"|(?P<behind>[^\W\d_][^\d,;]{2,40})[ ,] ?(?:(?:nr|no|n°|nº)\.? ?)?"
    r"\d{1,4} ?[A-Za-z]?(?: ?[-/] ?\d{1,4}[A-Za-z]?)?(?:[, ].*)?"
)
