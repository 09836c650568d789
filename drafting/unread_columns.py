"""Writes comments about columns that look like times or numbers but are not read as such."""

import re
from collections.abc import Sequence
from typing import Final

from tomlkit.items import Table as TomlTable

from crm.formats.exchanged import EXPORT_AGAIN, exchanged_dates
from crm.formats.time_recognition import (
    are_of_our_era,
    likely_notation,
    mixed_notation,
    recognise_times,
)
from crm.formats.times import unknown_zone
from crm.text import quote
from drafting.nothing_words import is_nothing
from drafting.outcome_meaning import meaning_of
from drafting.role_names import CLOSING_NAMES, NO_RANK, rank
from drafting.samples import Column
from drafting.toml_text import add_comment

MOST: Final = 0.5  # the least share of distinct cells with a digit
IDS: Final = 0.5  # the least share of distinct cells that are ids
# Ids of Salesforce, GUIDs and e-mail addresses.
_ID: Final = (
    r"(?=.*\d)(?=.*[A-Za-z])[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?"
    r"|\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?|\S+@\S+"
)
_CLEAR_DAY: Final = re.compile(r"(?<![\d:])(?:1[3-9]|2\d|3[01])(?![\d:])")  # not a month
MOST_WORDS: Final = 7  # before a time
CLEAR_NAMES: Final = 2  # numbers are unread times only if the rank of the name is lower
_ROLES: Final = {
    "created_at": (NO_RANK, "the time when each lead was created"),
    "closed_at": (CLOSING_NAMES, "the time when each lead was won or lost"),
}


def unread_times(column: Column) -> str:
    """Return why a column with the name of a creation or closing is ignored; otherwise "".

    Examples
    --------
    >>> import pandas as pd
    >>> unread_times(Column(pd.Series(["Q1 2025", "Q2 2025"], name="Created At")))
    'its name means the time when each lead was created, but cells such as "Q1 2025" are not times'
    >>> unread_times(Column(pd.Series(["Ann", "Bob"], name="Created By")))
    ''
    """
    role = _role(column)
    if not role:
        return ""
    shown = shown_cells(column)
    example = quote(shown[0])
    if mixed_notation(shown_values(column)):
        both = " and ".join(map(quote, shown))
        return f"its name means {_ROLES[role][1]}, but its cells have two formats, as in {both}"
    return f"its name means {_ROLES[role][1]}, but cells such as {example} are not times"


def add_unread_times(section: TomlTable, attributes: Sequence[Column]) -> None:
    """Add a comment for each column of creations or closings, by its name, that is not read."""
    for column in attributes:
        role = _role(column)
        if not role:
            continue
        name, shown = quote(column.name), shown_cells(column)
        cells = " and ".join(map(quote, shown))
        both = mixed_notation(shown_values(column))
        are = "have two formats" if both else "are not read as times"
        why, form = _reason(column, shown, both)
        if both:
            write = "If both formats are right, write them under [leads.formats], as in "
        elif form:
            write = "Export it with times such as 2025-03-01 08:00, or write its format under "
            write += "[leads.formats], such as "
        else:
            write = "Export it with times such as 2025-03-01 08:00"
        if form:
            write += f"{name} = {quote(form)}"
            if unknown_zone(shown[0]):
                write += " and the name of the zone as `timezone`"
        add_comment(
            section,
            f"CHECK: the name of {name} means {_ROLES[role][1]}, but its cells, such as {cells}, "
            f"{are}.{why} The column is not used. {write}. Then remove {name} from `ignore`, and "
            f"write {role} = {name} here.",
        )


def _reason(column: Column, shown: Sequence[str], both: str) -> tuple[str, str]:
    """Return why cells are not read as times, and a format that fits them; "" if not known.

    `both` is the format of cells in two formats.
    """
    values = shown_values(column)
    exchanged = exchanged_dates(values)
    if exchanged is not None:
        sentence = exchanged.sentence
        return f" {sentence[0].upper()}{sentence[1:]}. {EXPORT_AGAIN}.", both
    if before := text_before_time(shown[0]):
        return f" The text {quote(before)} is before the time: export the time alone.", ""
    zone = unknown_zone(shown[0])
    why = f" {quote(zone)} is not a zone with one meaning." if zone else ""
    form = likely_notation(values) or likely_notation(shown[:1])
    if form and not both and not are_of_our_era(values, form):
        return (
            f"{why} The years are of another calendar. Export them in the Gregorian calendar.",
            "",
        )
    return why, both or form


def text_before_time(cell: str) -> str:
    """Return the words before a time, such as the name of a person; "" without such words.

    Examples
    --------
    >>> text_before_time("Ben Keller Jan 3, 2024 11:18 PM"), text_before_time("Jan 3, 2024")
    ('Ben Keller', '')
    """
    if recognise_times([cell]) is not None:
        return ""
    words, before = cell.split(), ""
    for i in range(1, min(len(words), MOST_WORDS)):
        if any(letter.isdigit() for letter in words[i - 1]):
            break
        if recognise_times([" ".join(words[i:])]) is not None:
            before = " ".join(words[:i])
    return before


def shown_values(column: Column) -> list[str]:
    """Return the different cells of a column, without words that mean "no value"."""
    return [str(cell) for cell in column.counts.index if not is_nothing(str(cell))]


def shown_cells(column: Column) -> list[str]:
    """Return a cell of each of the two most frequent shapes, or two cells if there is one shape.

    >>> import pandas as pd
    >>> cells = ["2026-12-31", "2026-11-30", "TBC", "15/07/2026"]
    >>> shown_cells(Column(pd.Series(cells, name="CloseDate")))
    ['2026-12-31', '15/07/2026']
    """
    of_shape: dict[str, list[str]] = {}
    for cell in shown_values(column):
        of_shape.setdefault(re.sub(r"\d+", "0", cell), []).append(cell)
    shapes = sorted(of_shape.values(), key=len, reverse=True)
    if not shapes:
        return [str(cell) for cell in column.counts.index[:2]]
    clear = [next((c for c in cells if _CLEAR_DAY.search(c)), cells[0]) for cells in shapes[:2]]
    return clear if len(clear) > 1 else [shapes[0][0], shapes[0][-1]]


def add_unread_numbers(section: TomlTable, attributes: Sequence[Column]) -> None:
    """Add a comment for each column of text whose cells look like numbers or times."""
    for column in attributes:
        if column.form.trouble:
            add_comment(
                section,
                f"CHECK: in {quote(column.name)}, {column.form.trouble}. The column is read as "
                "text. Correct the export, or write the format of the column under "
                f"[leads.formats]{_example(column)}. "
                "If it is text, list it under `category` or `ignore`.",
            )


def _example(column: Column) -> str:
    """Return an example of the line that declares a format; "" if none is known to fit."""
    is_timed = "times" in column.form.trouble
    form = likely_notation(shown_values(column)) if is_timed else "1,234.56"
    return f", such as {quote(column.name)} = {quote(form)}" if form else ""


def _role(column: Column) -> str:
    """Return the role that the name of a column suggests, if its cells are not read as times."""
    if column.is_time or len(column.counts) == 0 or column.share(_ID) >= IDS:
        return ""
    if all(meaning_of(str(value)).is_yes_or_no for value in column.counts.index):
        return ""
    if column.share(r"(?s:.*\d.*)") < MOST:
        return ""
    for role, (worst, _) in _ROLES.items():
        limit = CLEAR_NAMES if column.form.kind == "number" else worst
        if rank(role, column.name) < limit:
            return role
    return ""
