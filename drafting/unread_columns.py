"""Writes about columns whose cells look like times or numbers but are not read as such."""

import re
from collections.abc import Sequence
from typing import Final

from tomlkit.items import Table as TomlTable

from crm.formats.times import unknown_zone
from crm.text import quote
from drafting.role_names import CLOSING_NAMES, NO_RANK, rank
from drafting.samples import Column
from drafting.toml_text import add_comment

MOST: Final = 0.5  # the least share of distinct cells with a digit
CLEAR_NAMES: Final = 2  # numbers are unread times only if the rank of the name is lower
_ROLES: Final = {
    "created_at": (NO_RANK, "when each lead was created"),
    "closed_at": (CLOSING_NAMES, "when each lead was won or lost"),
}


def unread_times(column: Column) -> str:
    """Return why a column is ignored whose name means a creation or closing; else "".

    Examples
    --------
    >>> import pandas as pd
    >>> unread_times(Column(pd.Series(["Q1 2025", "Q2 2025"], name="Created At")))
    'its name says when each lead was created, but cells such as "Q1 2025" are not read as times'
    >>> unread_times(Column(pd.Series(["Ann", "Bob"], name="Created By")))
    ''
    """
    role = _role(column)
    if not role:
        return ""
    example = quote(str(column.counts.index[0]))
    return f"its name says {_ROLES[role][1]}, but cells such as {example} are not read as times"


def add_unread_times(section: TomlTable, attributes: Sequence[Column]) -> None:
    """Add a comment for each column whose name means a creation or closing, but not its cells."""
    for column in attributes:
        role = _role(column)
        if not role:
            continue
        name, cells = quote(column.name), [str(cell) for cell in column.counts.index]
        shapes = [re.sub(r"\d+", "0", cell) for cell in cells]
        other = next((c for c, s in zip(cells, shapes, strict=True) if s != shapes[0]), cells[-1])
        zone = unknown_zone(cells[0])
        why = f" {quote(zone)} is not a zone with one meaning." if zone else ""
        form = "%d.%m.%Y %H:%M" + (f" {zone}" if zone else "")
        with_zone = " and the name of the zone as `timezone`" if zone else ""
        add_comment(
            section,
            f"CHECK: the name {name} says {_ROLES[role][1]}, but its cells, such as "
            f"{quote(cells[0])} and {quote(other)}, are not read as times.{why} It is not used. "
            "Export it with times such as 2025-03-01 08:00, or write its format under "
            f"[leads.formats], such as {name} = {quote(form)}{with_zone}. Then remove it from "
            f"`ignore`, and write {role} = {name} here.",
        )


def add_unread_numbers(section: TomlTable, attributes: Sequence[Column]) -> None:
    """Add a comment for each column of text whose cells look like numbers or times."""
    for column in attributes:
        if column.form.trouble:
            add_comment(
                section,
                f"CHECK: in {quote(column.name)}, {column.form.trouble}. The column is read as "
                "text. Correct the export, or write the format of the column under "
                f"[leads.formats], such as {quote(column.name)} = "
                f"{quote('%d.%m.%Y' if 'times' in column.form.trouble else '1,234.56')}. "
                "If it is text, list it under `category` or `ignore`.",
            )


def _role(column: Column) -> str:
    """Return the role that the name of a column suggests, if its cells are not read as times."""
    cells = column.counts.index
    if column.is_time or len(cells) == 0:
        return ""
    if sum(re.search(r"\d", str(cell)) is not None for cell in cells) < MOST * len(cells):
        return ""
    for role, (worst, _) in _ROLES.items():
        limit = CLEAR_NAMES if column.form.kind == "number" else worst
        if rank(role, column.name) < limit:
            return role
    return ""
