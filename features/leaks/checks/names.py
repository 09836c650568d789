"""The check of a column's name: LS107. The words of languages are listed in names.toml."""

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Final

from crm.text import quote, words_of
from features.leaks.check import Verdict, check
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads


def word_of_later(name: str) -> str | None:
    """Return the words of a name that refer to an outcome, to the latest change or to a duration.

    A name that refers to an earlier time is honest. So are words that mean something else where
    they are: a last name, an amount that was converted into another currency, the Korean won.

    Examples
    --------
    >>> word_of_later("Lost Reason"), word_of_later("previous_outcome"), word_of_later("last name")
    ('lost', None, None)
    >>> word_of_later("Amount (converted)"), word_of_later("Converted Opportunity")
    (None, 'converted')
    """
    words = _plain(words_of(name))
    if _NAMES["earlier"].search(words):
        return None
    words = _NAMES["honest"].sub(" … ", words)
    matches = (_NAMES[kind].search(words) for kind in ("later", "outcome", "duration"))
    match = next(filter(None, matches), None)
    return None if match is None else unicodedata.normalize("NFC", match[0].strip())


def is_assessment(name: str) -> bool:
    """Check whether a name is that of a score or a rating, which people or programs assign.

    Examples
    --------
    >>> is_assessment("Activity Score"), is_assessment("Which course?")
    (True, False)
    """
    return _NAMES["assessment"].search(_plain(words_of(name))) is not None


def _plain(text: str) -> str:
    """Return a text without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _read_names() -> dict[str, re.Pattern[str]]:
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    texts = {kind: "|".join(patterns) for kind, patterns in listed.items()}
    money, unit = texts.pop("money"), texts.pop("unit")
    return {
        kind: re.compile(_plain(text.replace("MONEY", money).replace("UNIT", unit)))
        for kind, text in texts.items()
    }


_NAMES: Final = _read_names()


@check(
    "LS107",
    "Its name refers to an outcome, to the latest change, or to how long the lead was worked on.",
)
def named_after_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Read the name of the column."""
    word = word_of_later(column.name)
    return None if word is None else (Verdict.SUSPECT, f"Its name contains {quote(word)}.")
