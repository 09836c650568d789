"""Writes the pieces of a TOML file that a person will read: texts, lists, comments."""

import re
from collections.abc import Iterable, Mapping

from crm.text import quote

COMMENT_WIDTH = 95


def comment(text: str) -> list[str]:
    """Wrap a comment; names in it must be quoted, so that it holds no line breaks of its own."""
    lines = ["#"]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > COMMENT_WIDTH and lines[-1] != "#":
            lines.append("#")
        lines[-1] += " " + word
    return lines


def noted_list(key: str, notes: Mapping[str, str], heading: str) -> list[str]:
    r"""Write a list under a heading, each entry on its own line with its note.

    Examples
    --------
    >>> print(*noted_list("ignore", {"tel": "phone numbers"}, "Never read."), sep="\n")
    # Never read.
    ignore = [
        "tel",  # phone numbers
    ]
    """
    if not notes:
        return [*comment(heading), f"{key} = []"]
    entries = [f"    {quote(entry)},  # {note}" for entry, note in notes.items()]
    return [*comment(heading), f"{key} = [", *entries, "]"]


def values_list(values: Iterable[str]) -> str:
    """Write cells as a list on one line; whole numbers as such.

    Examples
    --------
    >>> print(values_list(["1", "007", "won"]))
    [1, "007", "won"]
    """
    whole = r"0|-?[1-9]\d{0,8}"
    return f"[{', '.join(v if re.fullmatch(whole, v) else quote(v) for v in values)}]"
