"""Writes names in sentences: quoted, listed, split into words."""

import math
import re
import reprlib
from collections.abc import Iterable
from typing import Any

LISTED = 8


def quote(text: str) -> str:
    r"""Write a text in double quotes, with escapes as TOML has them, on one line.

    Examples
    --------
    >>> print(quote('a "b" \\ \n \x7f ü'))
    "a \"b\" \\ \u000A \u007F ü"
    """

    def escape(character: str) -> str:
        if character in '"\\':
            return "\\" + character
        if character.isprintable():
            return character
        code = ord(character)
        return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"

    return '"' + "".join(map(escape, text)) + '"'


def listed(names: Iterable[str]) -> str:
    """Return the first few names, quoted and separated by commas.

    Examples
    --------
    >>> print(listed("abcdefghij"))
    "a", "b", "c", "d", "e", "f", "g", "h", …
    """
    quoted = [quote(name) for name in names]
    if len(quoted) > LISTED:
        return ", ".join(quoted[:LISTED]) + ", …"
    return ", ".join(quoted)


def words_of(name: str) -> str:
    """Split a name into lower-case words.

    Examples
    --------
    >>> words_of("ClosedAt"), words_of("closed_at"), words_of("Closed at?")
    ('closed at', 'closed at', 'closed at')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", split)).casefold()


def first_few(values: Iterable[Any]) -> str:
    """Return the first five values, such as cells or numbers of lines.

    Examples
    --------
    >>> print(first_few(["a", 2, 3, 4, 5, 6]))
    'a', 2, 3, 4, 5, …
    """
    texts = [reprlib.repr(value) if isinstance(value, str) else str(value) for value in values]
    return ", ".join(texts[:5]) + (", …" if len(texts) > 5 else "")


def counted(n: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> counted(1, "lead"), counted(1200, "lead"), counted(2, "activity", "activities")
    ('1 lead', '1,200 leads', '2 activities')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def is_or_are(n: int) -> str:
    """Return the verb behind a count: "is" for one, otherwise "are"."""
    return "is" if n == 1 else "are"


def has_or_have(n: int) -> str:
    """Return the verb behind a count: "has" for one, otherwise "have"."""
    return "has" if n == 1 else "have"


def number_text(value: float) -> str:
    """Write a number to six digits, or to its unit place, and without an exponent below 1e15.

    Examples
    --------
    >>> number_text(1249840.25), number_text(1002.02), number_text(20), number_text(-0.00002)
    ('1,249,840', '1,002.02', '20', '-0.00002')
    """
    if not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.3g}"
    if value == round(value):
        return f"{value:,.0f}"
    decimals = min(20, max(0, 5 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
