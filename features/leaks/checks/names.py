"""The check of a column's name: LS107."""

import re
import unicodedata

from crm.text import quote, words_of
from features.leaks.check import Verdict, check
from features.leaks.measures import AuditedColumn, AuditedLeads

EARLIER = re.compile(
    r"\b(previous(ly)?|prior|former|past|first|initial|original|before|earlier|"
    r"vorherig\w*|erste[rs]?|premiere?|anterior|primer[ao]?)\b"
)
LATER_NAMES = (
    re.compile(
        r"\b(last|latest|recent)\b(?! (name|year|quarter|month|funding|round|employer|job|"
        r"school|degree|mile|digits?)\b)|\b(modified|updated|changed)\b|"
        r"\b(letzte[nrs]?|zuletzt|geandert|aktualisiert|derniere?|modifiee?|ultim[ao]|"
        r"modificad[ao])\b"
    ),
    re.compile(
        r"\b(convert\w*|conversion|closed|closing|won|lost|churn\w*|signed(?! up)|"
        r"invoiced?|disposition|disqualif\w+|rejected|rejection|outcome)\b|"
        r"\bclose (date|day|time|reason|at|on)\b|\b(cancel\w*|cancelled) (date|reason|at)\b|"
        r"\b(loss|win|exit|decline) reason\b|^reason$|^reason (closed|code)$|"
        r"\b(customer|client) since\b|\b(became|is) (a )?(customer|client)\b|"
        r"\b(lead|deal|opportunity|sales|life ?cycle|pipeline|funnel) (status|stage)\b|"
        r"^(status|stage)$|"
        r"\b(gewonnen|verloren|abgeschlossen|abschluss(datum)?|verlustgrund|gekundigt|"
        r"rechnung\w*|gagnee?|perdue?|cloture\w*|facture|ganad[ao]|perdid[ao]|cerrad[ao]|"
        r"factura)\b"
    ),
)


def word_of_later(name: str) -> str | None:
    """Return the words of a name that refer to an outcome or to the latest change, or None.

    A name that refers to an earlier time is honest, and so is a last name.

    Examples
    --------
    >>> word_of_later("Lost Reason"), word_of_later("previous_outcome"), word_of_later("last name")
    ('lost', None, None)
    """
    words = unicodedata.normalize("NFKD", words_of(name))
    words = "".join(letter for letter in words if not unicodedata.combining(letter))
    matches = (pattern.search(words) for pattern in LATER_NAMES)
    match = next(filter(None, matches), None)
    if match is None or EARLIER.search(words) or words == "name last":
        return None
    return match[0]


@check("LS107", "Its name refers to an outcome or to the latest change.")
def named_after_later(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Read the name of the column."""
    word = word_of_later(column.name)
    return None if word is None else (Verdict.SUSPECT, f"Its name contains {quote(word)}.")
