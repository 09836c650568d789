"""Names in sentences: their words, and how they are quoted."""

import re
from collections.abc import Iterable

LISTED = 8


def quote(text: str) -> str:
    r"""Write a TOML basic string that also may stand in a comment: nothing breaks out.

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
    """Name the first few, quoted, for a sentence.

    Examples
    --------
    >>> print(listed("abcdefghij"))
    "a", "b", "c", "d", "e", "f", "g", "h", …
    """
    quoted = [quote(name) for name in names]
    return ", ".join(quoted[:LISTED]) + (", …" if len(quoted) > LISTED else "")


def words_of(name: str) -> str:
    """Split a name into lower-case words.

    Examples
    --------
    >>> words_of("ClosedAt"), words_of("closed_at"), words_of("Closed at?")
    ('closed at', 'closed at', 'closed at')
    """
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", split)).casefold()
