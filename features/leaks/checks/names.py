"""The check of a column's name: LS107. The words of languages are listed in names.toml."""

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Final

from crm.text import quote, words_of
from features.leaks.check import Verdict, check
from features.leaks.measures import AuditedColumn, AuditedLeads


def word_of_later(name: str) -> str | None:
    """Return the words of a name that refer to an outcome or to the latest change, or None.

    A name that refers to an earlier time is honest, and so is a last name.

    Examples
    --------
    >>> word_of_later("Lost Reason"), word_of_later("previous_outcome"), word_of_later("last name")
    ('lost', None, None)
    """
    words = _plain(words_of(name))
    matches = (_NAMES[kind].search(words) for kind in ("later", "outcome"))
    match = next(filter(None, matches), None)
    if match is None or _NAMES["earlier"].search(words) or _NAMES["honest"].search(words):
        return None
    return unicodedata.normalize("NFC", match[0])


def _plain(text: str) -> str:
    """Return a text without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _read_names() -> dict[str, re.Pattern[str]]:
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {kind: re.compile(_plain("|".join(patterns))) for kind, patterns in listed.items()}


_NAMES: Final = _read_names()


@check("LS107", "Its name refers to an outcome or to the latest change.")
def named_after_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Read the name of the column."""
    word = word_of_later(column.name)
    return None if word is None else (Verdict.SUSPECT, f"Its name contains {quote(word)}.")
