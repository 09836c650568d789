"""Describes each column of a table: its kind, its format in words, and what its cells contain."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import pandas as pd

from crm.arrays import Bools
from crm.errors import LeadScoringError
from crm.formats.column_times import written_time
from crm.formats.columns import ColumnFormat
from crm.formats.numbers import ANY_CURRENCY, PERCENT, NumberFormat, number_format
from crm.formats.times import is_time_format
from crm.tables import TABLES
from crm.times import NOT_A_TIME
from features.attributes.attribute import LeftOut
from features.fitting import recognise_attributes
from features.record_checks.masking import masked
from features.record_checks.result import CheckedColumn, UnreadCells
from features.record_checks.tables import ColumnCells, ReadTable, ReadTables

SAMPLED_ROWS: Final = 20_000  # rows that decide the kind of a column
EXAMPLES: Final = 3
MIXED: Final = "numbers and text"
MOST_CHARACTERS: Final = 60  # of an example
_KINDS: Final = {
    "email": "e-mail",
    "date": "time",
    "target": "category",
    "choice": "category of several values",
}
_LOCAL: Final = "local time of "


def describe_column(
    tables: ReadTables, table: ReadTable, name: str, problems: list[str]
) -> CheckedColumn:
    """Describe one column; the lines of cells that cannot be read are added later.

    Parameters
    ----------
    tables : ReadTables
    table : ReadTable
    name : str
    problems : list of str
        Receives the error that training would raise for the column.

    Returns
    -------
    CheckedColumn
        `unread` has the count and the examples, without lines.
    """
    column = table.column(name)
    use, why = _use(tables, table, name)
    try:
        kind = _kind(tables, table, column) if column.filled.any() else "empty"
    except LeadScoringError as error:
        kind = MIXED
        if use == "attribute":
            problems.append(str(error))
    private = tables.private.get(table.name, {}).get(name, "")
    is_private = bool(private) or use == "ignored"
    n_missing = int((column.codes < 0).sum())
    n_filled = int(column.filled.sum())
    facts = CheckedColumn(
        name=name,
        use="left out" if use == "ignored" else use,
        why="; ".join(dict.fromkeys(filter(None, (why, private)))),
        kind=kind,
        format=format_in_words(column.form, table.keys.timezone) if n_filled else "",
        filled=n_filled,
        empty=n_missing,
        nothing=len(column.cells) - n_missing - n_filled,
        distinct=len(column.distinct),
        is_private=is_private,
    )
    n_unread = int(column.unread.sum())
    extra = {} if is_private else _values(column, kind)
    if n_unread:
        examples = () if is_private else tuple(_examples(column, column.unread))
        extra["unread"] = UnreadCells(n_unread, (), "line", examples)
    return msgspec.structs.replace(facts, **extra)


def format_in_words(form: ColumnFormat, timezone: str) -> str:
    """Return how a column is read, in words; empty for text.

    Examples
    --------
    >>> format_in_words(ColumnFormat("number", "$1,234.56"), "UTC")
    '1,234.56 with $'
    >>> format_in_words(ColumnFormat("time", "%d.%m.%Y %H:%M"), "Europe/Berlin")
    'day.month.year hour:minute, local time of Europe/Berlin'
    >>> format_in_words(ColumnFormat("time", "%d-%b-%Y"), "UTC")
    'day-month name-year, such as 31-Jan-2026, UTC'
    >>> format_in_words(ColumnFormat("time"), "UTC")
    'ISO 8601; times without a zone are UTC'
    """
    if form.kind == "number":
        return _numbers_in_words(form.notation)
    if form.kind != "time":
        return ""
    zone = "UTC" if timezone == "UTC" else f"{_LOCAL}{timezone}"
    if form.notation is None:
        return f"ISO 8601; times without a zone are {zone}"
    words = form.notation
    for directive, word in _DIRECTIVES.items():
        words = words.replace(directive, word)
    if "month name" in words:  # "day-month name-year" alone is not clear
        words += f", such as {written_time(form.notation).partition(', such as ')[2]}"
    has_zone = "%z" in form.notation.lower() or not is_time_format(form.notation)
    return words if has_zone or "%" not in form.notation else f"{words}, {zone}"


_DIRECTIVES: Final = {
    "%d": "day", "%m": "month", "%Y": "year", "%y": "year of two digits", "%H": "hour",
    "%I": "hour of 12", "%M": "minute", "%S": "second", "%p": "am/pm", "%b": "month name",
    "%B": "month name", "%a": "weekday", "%A": "weekday", "%z": "offset", "%Z": "zone",
    "%f": "fraction", "%T": "hour:minute:second", "%R": "hour:minute", "%F": "year-month-day",
    "%D": "month/day/year of two digits",
}  # fmt: skip


def _numbers_in_words(notation: str | None) -> str:
    if notation is None:
        return "1234.56 or 1,234.56"
    form = number_format(notation)
    unit, digits = form.unit, NumberFormat(form.decimal, form.grouping).notation
    if unit == ANY_CURRENCY:
        return f"{digits} with any currency"
    if unit == PERCENT:
        return f"{digits} with %: 20% is read as 20"
    return f"{digits} with {unit}" if unit else digits


def _use(tables: ReadTables, table: ReadTable, name: str) -> tuple[str, str]:
    """Return the use of a column, and why it is left out."""
    if name in table.role_of:
        return table.role_of[name], ""
    if table.name != "leads":
        return "not used", ""
    rules = tables.project.columns
    if name in rules.ignore:
        return "ignored", "the project ignores it"
    if name in rules.known_later:
        return "left out", "it is known later than the moment of scoring"
    if name in rules.sensitive and name not in rules.allow_sensitive:
        return "left out", "it is sensitive"
    return "attribute", ""


def _kind(tables: ReadTables, table: ReadTable, column: ColumnCells) -> str:
    role = table.role_of.get(column.name)
    kinds = {declared.name: declared.kind for declared in TABLES[table.name].file_columns}
    kinds |= {declared.name: declared.kind for declared in TABLES["outcomes"].file_columns}
    if role == "order":
        return "number"
    if role is not None:
        return {"value": "category"}.get(kinds[role], kinds[role])
    if table.name != "leads":
        return column.form.kind
    step = max(1, len(column.cells) // SAMPLED_ROWS)
    rules = tables.project.columns
    found = recognise_attributes(
        column.cells.iloc[::step], rules, column.form.notation, table.keys.timezone
    )
    if isinstance(found, LeftOut) or not found:
        return "constant" if len(column.distinct) == 1 else column.form.kind
    return _KINDS.get(found[0].kind, found[0].kind)


def _values(column: ColumnCells, kind: str) -> dict[str, object]:
    """Return the examples of a column, and the range of its numbers or times."""
    values: dict[str, object] = {
        "examples": tuple(_shortened(value) for value in column.distinct[:EXAMPLES])
    }
    if column.form.kind == "number" and kind not in ("id", "flag", "category"):
        numbers = column.numbers[np.isfinite(column.numbers)]
        if len(numbers):
            values |= {
                "smallest": float(numbers.min()),
                "median": float(np.median(numbers)),
                "largest": float(numbers.max()),
            }
    if column.form.kind == "time":
        times = column.times[column.times != NOT_A_TIME]
        if len(times):
            values |= {"first": _iso(times.min()), "last": _iso(times.max())}
    return values


def _examples(column: ColumnCells, rows: Bools) -> Sequence[str]:
    codes = dict.fromkeys(column.codes[np.flatnonzero(rows)].tolist())
    return [_shortened(column.values[code]) for code in [*codes][:EXAMPLES]]


def _shortened(value: str) -> str:
    value = masked(value)
    return value if len(value) <= MOST_CHARACTERS else value[: MOST_CHARACTERS - 1] + "…"


def _iso(time: np.int64) -> str:
    return pd.Timestamp(time, unit="us", tz="UTC").isoformat(timespec="seconds")
