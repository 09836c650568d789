"""Writes the message that no column shows how leads ended.

The names of columns, in several languages, are listed in no_outcome.toml.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crm.text import quote
from drafting.about_person import is_sensitive
from drafting.name_lists import NameLists
from drafting.outcome_meaning import meaning_of, yes_means_lost
from drafting.personal import personal_reason
from drafting.role_names import NO_RANK, OTHER_STATUS, WON_DATES, rank
from drafting.samples import Column, Table

MOST_VALUES: Final = 200  # the most values of a column that could be the outcome
MOST_OF_ROWS: Final = 0.2  # the most values of such a column, as a share of its rows
FEW_VALUES: Final = 20  # up to this number, the share of values does not matter
FEW_NUMBERS: Final = 5  # more different numbers are an amount or a count
FEW_CODES: Final = 4  # more different codes of two letters are states or countries
FEW_STATES: Final = 8  # more values of a column named "state" are parts of a country
MOST_KNOWN: Final = 0.2  # the share of such values that may mean won, lost or open
SHOWN_COLUMNS: Final = 5
SHOWN_VALUES: Final = 6
SHOWN_CHARACTERS: Final = 40


def no_outcome(
    file: str,
    columns: Sequence[Column],
    others: Sequence[Table] = (),
    is_outcomes: bool = False,
    in_file: Sequence[Column] = (),
) -> str:
    """Write the message, with the columns that could be the outcome and the option to use.

    Columns with two values and the name of an outcome come first, then columns with the name of a
    status or stage, then other columns with two values. Of these, the last column of the file comes
    first. The message shows the most frequent values. It never shows personal columns, ids, times,
    and numbers with many values.

    Parameters
    ----------
    file : str
        The name of the file.
    columns : sequence of Column
        In the order of the file.
    others : sequence of Table
        The other files, which may contain the outcome.
    is_outcomes : bool
        True if the file was named as the table of outcomes.
    in_file : sequence of Column
        All columns of the file. Of those that only won or lost leads have, the message writes how
        to make a column of outcomes.
    """
    likely = _likely(columns)
    start = f"No column of {file} shows how leads ended."
    if advice := outcome_from_filled(in_file):
        start = f"{start} {advice}"
    in_other = named_in_other(others)
    if advice and not in_other and not any(map(_is_named, likely)):
        return start
    if not likely:
        instead = in_other or (
            "Leave the file out, or add the column."
            if is_outcomes
            else "Add a file of outcomes, as in: `leads=people.csv outcomes=deals.csv`"
        )
        return (
            f"{start} Expected a column with a name such as converted, won, outcome or status, and "
            f"values such as yes and no. {instead}"
        )
    shown = "; ".join(map(_with_values, likely[:SHOWN_COLUMNS]))
    name = quote(likely[0].name) if _is_named(likely[0]) else "COLUMN"
    instead = "leave the file out" if is_outcomes else "add a file as `outcomes=FILE`"
    return (
        f"{start} {in_other}{' ' if in_other else ''}"
        f"These columns may show it, with their most frequent values: {shown}. "
        f"Name the column and each value that means won, as in: --outcome {name} --won VALUE; "
        f"or {instead}."
    )


def named_in_other(tables: Sequence[Table]) -> str:
    """Write a sentence about the first column of other files with the name of an outcome.

    The sentence is empty if no file has such a column.
    """
    for table in tables:
        named = [column for column in _likely(table.columns) if _is_named(column)]
        if named:
            return (
                f"Perhaps {_with_values(named[0])} of {table.name} shows it. If so, name the file, "
                f"the column and each value that means won, as in: outcomes={table.name} "
                f"--outcome {quote(named[0].name)} --won VALUE."
            )
    return ""


def outcome_from_filled(columns: Sequence[Column]) -> str:
    """Write how to make a column of outcomes from columns that only won or lost leads have.

    Such columns are times of winning or losing and numbers of orders, by their names, that are
    empty in some rows. The text is empty if no column is that of won leads.

    Parameters
    ----------
    columns : sequence of Column
        All columns of the file, in its order.
    """
    partly = [column for column in columns if 0 < column.n_empty < len(column.cells)]
    won = [column for column in partly if is_of_wins(column)]
    lost = [column for column in partly if column.is_time and yes_means_lost(column.name)]
    if not won:
        return ""
    named = [won[0], *lost[:1]]
    cells = [f"{_letters(columns.index(column))}2" for column in named]
    otherwise = f'IF({cells[1]}<>"","lost","")' if lost else '""'
    filled = _counts(named)
    return (
        f"{filled}. If these are the {'won and the lost' if lost else 'won'} leads, add a column "
        "named Outcome in a spreadsheet, and fill it from row 2 with the formula "
        f'=IF({cells[0]}<>"","won",{otherwise}). Leads whose cell is empty there count as open.'
    )


def is_of_wins(column: Column) -> bool:
    """Check whether a column contains times of winning, or numbers that only won leads have."""
    is_won_date = column.is_time and rank("closed_at", column.name) == WON_DATES
    return is_won_date or _NAMES.has("of_wins", column.name)


def has_status(columns: Sequence[Column]) -> bool:
    """Check whether a column with several values has the name of an outcome, status or stage."""
    named = [column for column in columns if rank("outcome", column.name) < OTHER_STATUS]
    return any(map(_could_be, named))


def _counts(columns: Sequence[Column]) -> str:
    """Return in how many rows columns are filled, in words."""
    return " and ".join(
        f"{quote(column.name)} is filled for {len(column.cells) - column.n_empty:,} of "
        f"{len(column.cells):,} leads"
        for column in columns
    )


def _letters(place: int) -> str:
    """Return the letters of a spreadsheet's column; the first is at place 0.

    >>> _letters(0), _letters(25), _letters(26)
    ('A', 'Z', 'AA')
    """
    before, place = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + place)


def _likely(columns: Sequence[Column]) -> list[Column]:
    """Return the columns that could be the outcome, the likeliest first."""
    likely = [column for column in columns if _could_be(column)]
    return sorted(likely, key=lambda column: _order(column, is_last=column is columns[-1]))


def _is_named(column: Column) -> bool:
    return rank("outcome", column.name) < NO_RANK or _has_likely_name(column)


def _could_be(column: Column) -> bool:
    n_values = len(column.counts)
    most = min(MOST_VALUES, max(FEW_VALUES, MOST_OF_ROWS * len(column.cells)))
    if not 2 <= n_values <= most or column.is_time or _is_place(column):
        return False
    if _NAMES.has("about_people", column.name) or is_sensitive(column):
        return False
    is_named = rank("outcome", column.name) < NO_RANK
    is_count = column.is_number and n_values > FEW_NUMBERS
    if not is_named and (is_count or (n_values > 2 and _NAMES.has("ids", column.name))):
        return False
    return personal_reason(column) is None


def _order(column: Column, is_last: bool) -> tuple[int, int, bool]:
    """Return the key that sorts the columns, the likeliest outcome first."""
    place, has_two = rank("outcome", column.name), len(column.counts) == 2
    if _has_likely_name(column):
        return 0, 0, not is_last
    if place < NO_RANK:
        return 1, place, not is_last
    if has_two and (is_last or _NAMES.has("perhaps", column.name)):
        return 2, 0, not is_last
    return (3 if has_two else 4), 0, not is_last


def _has_likely_name(column: Column) -> bool:
    return len(column.counts) == 2 and _NAMES.has("likely", column.name)


def _is_place(column: Column) -> bool:
    """Check whether a column contains states or countries, and not the status of a lead."""
    values = column.counts.index
    if len(values) > FEW_CODES and column.share("[A-Z]{2}") == 1:
        return True
    if len(values) <= FEW_STATES or not _NAMES.has("states", column.name):
        return False
    known = sum(meaning_of(value, column.words).outcome is not None for value in values)
    return known <= MOST_KNOWN * len(values)


def _with_values(column: Column) -> str:
    """Return the name of a column and its most frequent values."""
    shown = [str(value)[:SHOWN_CHARACTERS] for value in column.counts.index[:SHOWN_VALUES]]
    more = ", …" if len(column.counts) > SHOWN_VALUES else ""
    return f"{quote(column.name)} ({', '.join(map(quote, shown))}{more})"


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_NAMES: Final = NameLists(_LISTED, around=_LISTED.pop("around_a_name"))
