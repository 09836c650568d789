"""Masks e-mail addresses and phone numbers in the cells that `leadscore check` shows.

Columns of personal data are not shown at all. Other columns can contain such cells too, such as
"ask ada@acme.com" in a column of notes or numbers.
"""

import re
from typing import Final

from features.record_checks.phones import read_phone

ADDRESS: Final = "(e-mail address)"
PHONE: Final = "(phone number)"
_ADDRESS: Final = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
# Forms that only phone numbers have: +49 30 1234567, (415) 555-1000, 415-555-1000, 030 1234567.
_PHONE: Final = re.compile(
    r"(?<![\w.,+])(?:\+[1-9][\d\s()/.-]{6,}\d|00[1-9]\d{0,2}[\s/-][\d\s()/.-]{5,}\d"
    r"|\(0?\d{2,5}\)\s?\d[\d\s/-]{4,}\d|[2-9]\d{2}([ .-])[2-9]\d{2}\1\d{4}"
    r"|0\d{2,4}[ /-]\d{3,}(?:[ -]\d{2,})*)(?!\w)"
)
_AMOUNT: Final = re.compile(r"\+\d+(?:\.\d{0,3})?")
_CELL: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'""")
LEAST_DIGITS: Final = 9  # of a phone number without a country
LEAST_PLAIN_DIGITS: Final = 11  # of a phone number without separators


def masked(cell: str) -> str:
    """Return a cell without e-mail addresses and phone numbers.

    Examples
    --------
    >>> masked("ask ada@acme.com, tel. +49 30 1234567"), masked("2025-01-31 08:15")
    ('ask (e-mail address), tel. (phone number)', '2025-01-31 08:15')
    >>> masked("+1234.50"), masked("01/02/2024 08:15"), masked("030/1234567")
    ('+1234.50', '01/02/2024 08:15', '(phone number)')
    """
    return _PHONE.sub(_masked_phone, _ADDRESS.sub(ADDRESS, cell))


def masked_sentence(sentence: str) -> str:
    """Return a sentence whose cells, which are between quotes, are masked.

    Examples
    --------
    >>> masked_sentence('2 cells, such as "ada@acme.com" and "Bonn"')
    '2 cells, such as "(e-mail address)" and "Bonn"'
    """
    return _CELL.sub(lambda cell: masked(cell[0]), _ADDRESS.sub(ADDRESS, sentence))


def _masked_phone(found: re.Match[str]) -> str:
    text = found[0]
    n_digits = sum(map(str.isdigit, text))
    least = LEAST_PLAIN_DIGITS if _AMOUNT.fullmatch(text) else LEAST_DIGITS
    return text if n_digits < least or read_phone(text) is None else PHONE
