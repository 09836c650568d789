"""Recognises files and columns that are about something other than leads, such as owners.

The names, in several languages, are listed in other_tables.toml.
"""

import tomllib
from pathlib import Path
from typing import Final

from drafting.name_lists import NameLists


def names_other_id(column: str) -> bool:
    """Check whether a column is named after an owner, a campaign, a product or the like.

    Examples
    --------
    >>> [names_other_id(name) for name in ("OwnerId", "Campaign ID", "Lead ID", "Kontakt-ID")]
    [True, True, False, False]
    """
    return _NAMES.has("columns", column)


def names_company(column: str) -> bool:
    """Check whether a column is named after a company or an account.

    Examples
    --------
    >>> [names_company(name) for name in ("Account ID", "Firmen-ID", "Record ID")]
    [True, True, False]
    """
    return _NAMES.has("companies", column)


def is_file_of_others(title: str) -> bool:
    """Check whether the name of a file means owners, campaigns, products or the like.

    Examples
    --------
    >>> [is_file_of_others(title) for title in ("users", "Kampagnen", "leads", "companies")]
    [True, True, False, False]
    """
    return _NAMES.has("files", title)


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_NAMES: Final = NameLists(_LISTED)
