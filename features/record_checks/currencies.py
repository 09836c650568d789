"""Finds the columns that contain the currencies of amounts in other columns."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from crm.arrays import Objects
from crm.formats.numbers import CURRENCIES, currency_unit
from crm.text import words_of
from features.record_checks.tables import ColumnCells, ReadTable

_NAMES: Final[dict[str, str]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_CODE: Final = re.compile(r"\b[A-Z]{3}\b")
MOSTLY: Final = 0.9  # the least share of currencies in such a column
MOST_VALUES: Final = 60
MOST_AMOUNTS: Final = 10  # a column with at most so many distinct numbers hardly contains amounts


def currency_of(text: str) -> str | None:
    """Return the currency that a text names; None if it does not name exactly one.

    Examples
    --------
    >>> currency_of("eur"), currency_of("USD - U.S. Dollar"), currency_of("€"), currency_of("Web")
    ('EUR', 'USD', 'EUR', None)
    """
    currency = currency_unit(text) or _NAMES.get(text.casefold())
    if currency is not None:
        return currency
    codes = {code for code in _CODE.findall(text) if code in CURRENCIES}
    return codes.pop() if len(codes) == 1 else None


def currency_columns(table: ReadTable) -> Iterator[tuple[str, Objects, list[str]]]:
    """Yield each column of currencies of a table, and the columns of its amounts.

    Parameters
    ----------
    table : ReadTable

    Yields
    ------
    str
        The name of the column.
    ndarray of str, shape (n_rows,)
        The currency of each row; "" for a row without one.
    list of str
        The columns of numbers that the currencies belong to: those whose names begin the name of
        the column of currencies; else the column with the role of the amount; else the columns next
        to the column of currencies; else all columns of amounts.
    """
    names = [str(name) for name in table.raw.columns]
    for place, name in enumerate(names):
        column = table.column(name)
        if column.form.kind != "text" or not 2 <= len(column.distinct) <= MOST_VALUES:
            continue
        read = np.array([currency_of(value) or "" for value in column.values], dtype=object)
        is_currency = column.rows_with(read != "")
        if is_currency.sum() < MOSTLY * column.filled.sum():
            continue
        amounts = _amounts_of(table, name, names[max(0, place - 1) : place + 2])
        if amounts:
            yield name, np.where(is_currency, read[column.codes], ""), amounts


def _amounts_of(table: ReadTable, name: str, near: list[str]) -> list[str]:
    numbers = [
        str(other)
        for other in table.raw.columns
        if table.column(str(other)).form.kind == "number" and _may_be_amounts(table, str(other))
    ]
    words = words_of(name)
    alike = [other for other in numbers if words.startswith(words_of(other) + " ")]
    role = [other for other in numbers if other == table.roles.get("amount")]
    beside = [other for other in numbers if other in near]
    return alike or role or beside or numbers


def _may_be_amounts(table: ReadTable, name: str) -> bool:
    if table.role_of.get(name, "amount") not in ("amount", "value"):
        return False
    column: ColumnCells = table.column(name)
    return len(column.distinct) > MOST_AMOUNTS or table.role_of.get(name) == "amount"
