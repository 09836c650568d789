"""Builds the parts of a commented TOML file: comments, notes and lists."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.items import Array, Item, Table

COMMENT_WIDTH = 95
WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,8}")


def add_comment(container: tomlkit.TOMLDocument | Table, text: str) -> None:
    """Add a comment, wrapped. It must not contain line breaks; `crm.text.quote` escapes them."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= COMMENT_WIDTH:
            container.add(tomlkit.comment(line))
            line = ""
        line += f" {word}" if line else word
    container.add(tomlkit.comment(line))


def new_section(heading: str) -> Table:
    """Return an empty section that begins with a comment."""
    section = tomlkit.table()
    add_comment(section, heading)
    return section


def noted(value: Any, note: str = "") -> Item:
    r"""Return a value with a note behind it.

    Examples
    --------
    >>> table = tomlkit.table()
    >>> table["order"] = noted("rows", "the oldest first")
    >>> print(table.as_string(), end="")
    order = "rows" # the oldest first
    """
    item = tomlkit.item(value)
    return item.comment(note) if note else item


def noted_list(notes: Mapping[Any, str]) -> Array:
    r"""Return a list of names or values, each on its own line with its note.

    Examples
    --------
    >>> print(noted_list({"tel": "phone numbers"}).as_string())
    [
        "tel", # phone numbers
    ]
    """
    names = tomlkit.array()
    for name, note in notes.items():
        names.add_line(name, comment=note)
    if notes:
        names.add_line(indent="")
    return names


def cell_values(values: Iterable[str]) -> list[str | int]:
    """Return cells as TOML values: whole numbers as integers, all else as text.

    Examples
    --------
    >>> cell_values(["1", "007", "won"])
    [1, '007', 'won']
    """
    return [int(value) if WHOLE_NUMBER.fullmatch(value) else value for value in values]
