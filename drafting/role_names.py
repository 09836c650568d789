"""Ranks names of columns and files by the roles and tables that they suggest.

The names of CRMs and languages are listed in role_names.toml.
"""

import re
import tomllib
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final

from crm.tables import TABLES
from crm.text import words_of

ROLE_NAMES: Final = frozenset(role.name for role in TABLES["leads"].file_columns)
NO_RANK: Final = 9  # the rank of a name that does not suggest the role
CLEAR_OUTCOME_NAMES: Final = 4  # a yes or no is an outcome only if its rank is lower
OTHER_STATUS: Final = 5  # from this rank on, `outcome` names may mean a status of something else
OTHER_NAMES: Final = 6  # yes and no in a column with this rank, or a higher one, are no outcome
CLOSING_NAMES: Final = 4  # names of `closed_at` with a lower rank mean a closing
WON_DATES: Final = 2  # the rank of names of `closed_at` that mean a win
NAMED_IDS: Final = 5  # names of `lead_id` with a lower rank name the lead or the row

_NOT_DECOMPOSED = str.maketrans("łøđıŁØĐ", "lodilod")


def rank(role: str, name: str) -> int:
    """Return the rank of a name among the names that suggest a role; 0 is the best.

    Parameters
    ----------
    role : str
        A role of a table, such as "created_at".
    name : str
        The name of a column.

    Returns
    -------
    int
        `NO_RANK` if the name does not suggest the role.

    Examples
    --------
    >>> rank("created_at", "Créé le"), rank("created_at", "Affaire - Affaire créée")
    (1, 1)
    >>> rank("closed_at", "lastmodifieddate"), rank("closed_at", "Expected Close Date")
    (9, 9)
    """
    if is_excluded(role, name):
        return NO_RANK
    ranks = _NAMES.get(role, [[role]])
    return next((place for place, names in enumerate(ranks) if _is_one_of(name, names)), NO_RANK)


def hints_at(kind: str, file_name: str) -> bool:
    """Check whether the name of a file suggests a table.

    Examples
    --------
    >>> hints_at("outcomes", "closed_deals"), hints_at("activities", "Aktivitäten")
    (True, True)
    """
    return _is_one_of(file_name, _FILES[kind])


@lru_cache(maxsize=4_096)
def plain_words(name: str) -> str:
    """Split a name into lower-case words without accents.

    Examples
    --------
    >>> plain_words("Créé le"), plain_words("Lead_Status__c"), plain_words("DateClôture")
    ('cree le', 'lead status', 'date cloture')
    """
    text = unicodedata.normalize("NFKC", name).removesuffix("__c").translate(_NOT_DECOMPOSED)
    letters = [c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f"]
    return words_of(unicodedata.normalize("NFC", "".join(letters)))


def is_named(list_name: str, name: str) -> bool:
    """Check whether a name is in one of the lists of role_names.toml that are not for a role."""
    return _is_one_of(name, _LISTED[list_name])


def is_excluded(role: str, name: str) -> bool:
    """Check whether the name of a column excludes it from a role, such as a former status."""
    lists = {
        "created_at": ["not_created_or_closed", "made_by"],
        "closed_at": ["not_created_or_closed", "not_closed", "made_by"],
        "outcome": ["not_outcome"],
        "lead_id": ["not_lead_id"],
    }
    return any(_is_one_of(name, _LISTED[listed]) for listed in lists.get(role, []))


def _is_one_of(name: str, listed: list[str]) -> bool:
    words = _YES_OR_NO.sub("", plain_words(name))
    forms = {words, _without_tables(words)}
    glued = {form.replace(" ", "") for form in forms}
    return any(
        any(re.search(text[1:], form) for form in forms)
        if text[0] == "~"
        else _glued(text) in glued
        for text in listed
    )


@lru_cache(maxsize=4_096)
def _without_tables(words: str) -> str:
    """Return the words of a name without words for its table, such as "deal" in "deal status".

    Examples
    --------
    >>> _without_tables("negocio negocio criado em"), _without_tables("etapa del negocio")
    ('criado em', 'etapa')
    """
    shorter = _TABLES_BEFORE.sub("", words)
    shorter = _TABLES_BEHIND.sub("", shorter)
    # A lead's own amount is not revenue.
    return words if shorter in ("", "amount") else shorter


@lru_cache(maxsize=4_096)
def _glued(name: str) -> str:
    return plain_words(name).replace(" ", "")


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_FILES: Final = _LISTED.pop("files")
_TABLES: Final = _LISTED.pop("table_words")
_WORDS: Final = "|".join(plain_words(word) for word in _TABLES["words"])
_GLUED: Final = "|".join(_TABLES["glued"])
_TABLES_BEFORE: Final = re.compile(rf"^(?:(?:{_WORDS}) |(?:{_GLUED})の? ?)+")
_TABLES_BEHIND: Final = re.compile(rf" (?:(?:{'|'.join(_TABLES['of'])}) )*(?:{_WORDS})$")
_YES_OR_NO: Final = re.compile(  # behind a name, as in "Won (Y/N)"
    " (?:y n|yn|yes no|true false|[01] [01]|j n|ja nein|ja nee|o n|oui non|s n|si no|sim nao|t n"
    "|tak nie)$"
)
_NAMES: Final = {role: ranks for role, ranks in _LISTED.items() if isinstance(ranks[0], list)}
