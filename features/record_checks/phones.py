"""Compares phone numbers in different spellings."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_DATA: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_COUNTRIES: Final = frozenset(_DATA["countries"])
_TRUNK: Final[dict[str, str]] = _DATA["trunk"]
_EXTENSION: Final = re.compile(
    r"\s*(?:[,;]?\s*(?:\bext|\bextension|\bdurchwahl|\bdw|\bposte|\bint)\b\.?|[,;]|#|x)\s*\d{1,6}\s*$",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"^\s*(?:tel|phone|mobile?|fax|cell)\b[.:]?\s*|^'", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\(?(\+|00|011(?=[\s.-]))?([\d\s()./\u2010-\u2014-]+)")
# Forms that only phone numbers have: +49 30 1234567, (415) 555-1000, 415.555.1000, 030/1234567.
_CLEAR: Final = re.compile(
    r"\(?(?:\+|00)[\d\s()./-]{7,}|(?:1 ?)?\(\d{2,5}\) ?[\d\s./-]{5,}"
    r"|(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}|0\d{1,4}[ /-]\d[\d\s./-]{4,}"
)
_NORTH_AMERICA: Final = re.compile(r"1[2-9]\d\d[2-9]\d{6}")
_DATE: Final = re.compile(r"\d{1,2}([./ -])\d{1,2}\1\d{2,4}|\d{4}([./ -])\d{1,2}\2\d{1,2}")
MOSTLY: Final = 0.3  # the least share of numbers in a form that only phone numbers have
PRIVATE: Final = 0.8  # the least share of possible numbers in a private column
FEWEST_DIGITS: Final = 7
MOST_DIGITS: Final = 15


class Phone(NamedTuple):
    """The digits of a phone number.

    Attributes
    ----------
    country : str
        The code of the country; empty if the number has none.
    digits : str
        The number inside the country, without the 0 in front.
    """

    country: str
    digits: str


def read_phone(text: str) -> Phone | None:
    """Read a phone number without its extension; None if the text is not one.

    Examples
    --------
    >>> read_phone("+49 (0)30 / 123 45 67"), read_phone("(415) 555-1000 ext. 12")
    (Phone(country='49', digits='301234567'), Phone(country='', digits='4155551000'))
    """
    text = _without_extension(text)
    match = _NUMBER.fullmatch(text)
    if match is None or _DATE.fullmatch(text):
        return None
    digits = re.sub(r"\D", "", match[2].replace("(0)", "") if match[1] else match[2])
    if not FEWEST_DIGITS <= len(digits) <= MOST_DIGITS or len(set(digits)) <= 2:
        return None
    if not match[1]:
        return Phone("", digits)
    length = next((n for n in (1, 2, 3) if digits[:n] in _COUNTRIES), 0)
    return Phone(digits[:length], digits[length:].lstrip("0"))


def _without_extension(text: str) -> str:
    return _EXTENSION.sub("", _LABEL.sub("", text)).strip()


def same_phones(texts: Sequence[str]) -> list[str | None]:
    """Return the form that all spellings of a number share, for each text; None for other texts.

    A number without a country counts as one of the most frequent country among the other numbers.

    Examples
    --------
    >>> same_phones(["+49 30 1234567", "030/123 45 67", "(0049) 30-1234567", "n/a"])
    ['49301234567', '49301234567', '49301234567', None]
    >>> same_phones(["(415) 555-1000", "415.555.1000", "1-415-555-1000 x7"])
    ['4155551000', '4155551000', '4155551000']
    """
    phones = [read_phone(text) for text in texts]
    countries = Counter(phone.country for phone in phones if phone and phone.country)
    home = countries.most_common(1)[0][0] if countries else ""
    return [None if phone is None else _key(phone, home) for phone in phones]


def _key(phone: Phone, home: str) -> str:
    if phone.country:
        return phone.country + phone.digits
    digits, trunk = phone.digits, _TRUNK.get(home, "0")
    if home in ("", "1") and _NORTH_AMERICA.fullmatch(digits):
        return home + digits[1:]
    if trunk != "0" and len(digits) > FEWEST_DIGITS + len(trunk):
        digits = digits.removeprefix(trunk)
    return home + digits.lstrip("0")


def are_phones(texts: Iterable[str], is_private: bool) -> bool:
    """Check whether some texts are phone numbers.

    Parameters
    ----------
    texts : iterable of str
    is_private : bool
        Whether the column is personal. Then numbers without signs may be phone numbers too.
    """
    cells = list(texts)
    n_clear = sum(
        _CLEAR.match(_without_extension(text)) is not None and bool(read_phone(text))
        for text in cells
    )
    if n_clear > MOSTLY * len(cells):
        return True
    return is_private and sum(map(bool, map(read_phone, cells))) > PRIVATE * len(cells)
