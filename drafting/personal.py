"""Recognises columns of personal data, free text, and columns about the person.

The names of columns, in several languages, and the patterns of cells are listed in personal.toml.
"""

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from drafting.role_names import plain_words
from drafting.samples import Column

PERSONAL_SHARE: Final = 0.3  # of the different cells
FIRST_NAME_SHARE: Final = 0.3
FEWEST_NAMES: Final = 3  # so that a yes or no, such as "has address", is not a name


def is_sensitive(column: Column) -> bool:
    """Check by the column's name whether it describes the person, such as their age."""
    return _is_named("about_the_person", column.name)


def personal_reason(column: Column) -> str | None:
    """Return why a column is personal data or free text; None if it is neither."""
    for kind, pattern in _CELLS.items():
        if column.share(pattern) >= PERSONAL_SHARE:
            return f"{kind}: personal data"
    filled, values = int(column.counts.sum()), column.counts.index
    if _is_named("phones", column.name) and column.share(r"(\D*\d){6,16}\D*") >= 0.5:
        return "phone numbers: personal data"
    is_varied = len(values) >= min(20, 0.5 * filled) and not column.is_number
    has_names = len(values) >= FEWEST_NAMES and not column.is_number
    if has_names and _is_named("names_and_addresses", column.name):
        return "names or addresses: personal data"
    if is_varied and _first_name_share(column) >= FIRST_NAME_SHARE:
        return "first names in the cells: personal data"
    mean_words = float(np.mean([value.count(" ") + 1 for value in values])) if filled else 0.0
    has_texts = mean_words >= 2 and len(values) >= 0.2 * filled
    is_note = _is_named("texts", column.name) and has_texts
    if is_varied and (is_note or (mean_words >= 6 and len(values) >= 0.5 * filled)):
        return "free text: may contain anything, also personal data"
    return None


def _first_name_share(column: Column) -> float:
    """Compute the share of different cells that are one to four words with a common first name."""
    values = column.counts.index[:2_000]
    words = [re.findall(r"[^\W\d_]+", value.casefold()) for value in values]
    is_name = [0 < len(cell) <= 4 and not _FIRST_NAMES.isdisjoint(cell) for cell in words]
    return sum(is_name) / max(1, len(values))


@lru_cache(maxsize=4_096)
def _is_named(key: str, name: str) -> bool:
    words = plain_words(name)
    return any(pattern.search(words) is not None for pattern in _NAMES[key])


def _pattern(entry: str) -> re.Pattern[str]:
    if entry[0] == "~":
        return re.compile(entry[1:])
    return re.compile(rf"^{re.escape(plain_words(entry))}$")


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_CELLS: Final = _LISTED.pop("cells")
_FIRST_NAMES: Final = frozenset(_LISTED.pop("first_names")["names"].split())
_NAMES: Final = {key: [_pattern(entry) for entry in entries] for key, entries in _LISTED.items()}
