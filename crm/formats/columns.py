"""Decides how each column of a table is read: as numbers, times or text, and in which format.

The decision is made once for a column, from its cells. The audit, training, batch scoring and the
service read the column in the format that was decided.
"""

import datetime
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import pandas as pd

from crm.cells import cell_number, text_series
from crm.formats.column_times import time_formats
from crm.formats.exchanged import EXPORT_AGAIN, exchanged_dates
from crm.formats.number_recognition import (
    RecognisedNumbers,
    SignEvidence,
    merged_units,
    recognise_numbers,
)
from crm.formats.numbers import NumberFormat, number_format, number_parts
from crm.formats.time_recognition import recognise_times
from crm.formats.times import COLUMN_WORDS, JOINED, is_time_format
from crm.formats.trouble import trouble_of
from crm.text import quote, words_of
from crm.times import NOT_A_TIME

SAMPLED_ROWS: Final = 100_000
SAMPLED_VALUES: Final = 4_000
SPELLINGS: Final = 4  # of a word for nothing, such as N/A and n/a
NO_NOTATION: Final = "the unit of the numbers cannot be written as a format"
NUMBERS: Final = 0.95  # the least share of numbers in a column of numbers
DELIMITER: Final = "delimiter"  # the key of the delimiter of a file in `DataFrame.attrs`
# Dates of countries with a decimal comma, and of the United States.
_DATES: Final = re.compile(r"(?:(%d\.%m\.%[Yy])|%m/%d/%[Yy])")
_DAY_AND_MONTH: Final = re.compile("%d.*%m|%m.*%d")
_NAMES: Final = re.compile(rf"\b(?:{COLUMN_WORDS})\b")


@dataclass(frozen=True)
class ColumnFormat:
    """The format of one column, and its evidence.

    Attributes
    ----------
    kind : {"number", "time", "text"}
    notation : str or None
        The format as the project file has it. None is the default: numbers such as 1234.56 or
        1,234.56, times in ISO 8601.
    doubt : str
        A sentence about cells that can be read in two ways; empty if there is no doubt.
    doubtful_as : str
        The notation of the other reading; empty if there is no doubt.
    examples : tuple of str
        The first cells.
    unread : tuple of str
        The first cells that do not fit the format.
    units : mapping of str to int
        The number of distinct sampled cells with each unit; "" for none.
    is_declared : bool
        Whether the project file declares the format.
    reason : str
        The evidence for the decimal sign if no cell shows it; empty otherwise.
    is_certain : bool
        Whether the cells show the decimal sign, or the project file declares the format.
    trouble : str
        For a column of text: a sentence about cells that look like numbers or times but are not
        read as such; empty if there are none.
    exchanged : str
        For a column of times: the evidence that a spreadsheet exchanged day and month in some
        cells, even if the project file declares the format; empty if there is none.
    """

    kind: Literal["number", "time", "text"]
    notation: str | None = None
    doubt: str = ""
    doubtful_as: str = ""
    examples: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    units: Mapping[str, int] = field(default_factory=dict)
    is_declared: bool = False
    reason: str = ""
    is_certain: bool = False
    trouble: str = ""
    exchanged: str = ""

    def question(self, section: str, column: str) -> str:
        """Return the sentence that asks for the format of a column in doubt.

        Examples
        --------
        >>> form = ColumnFormat("number", "1,234.56", '"1.250" can be read in two ways', "1.234,56")
        >>> print(form.question("leads", "Budget"))
        `Budget`: "1.250" can be read in two ways. Write one of these lines under
        [leads.formats]: "Budget" = "1,234.56" or "Budget" = "1.234,56"
        """
        lines = " or ".join(
            f"{quote(column)} = {quote(str(notation))}"
            for notation in (self.notation, self.doubtful_as)
        )
        write = f"rite one of these lines under\n[{section}.formats]: {lines}"
        write = f"{EXPORT_AGAIN}. Otherwise w{write}" if self.exchanged else f"W{write}"
        return f"`{column}`: {self.doubt}. {write}"


def number_reader(notation: str | None) -> NumberFormat:
    """Return the format that reads the numbers of a column: its own, or the default.

    Parameters
    ----------
    notation : str or None
        The format of the column. With None or a format of times, the default is returned.

    Examples
    --------
    >>> number_reader("1.234,56").read("2,5"), number_reader("%d.%m.%Y").read("2.5")
    (2.5, 2.5)
    """
    if notation is None or is_time_format(notation):
        return NumberFormat()
    return number_format(notation)


def time_notation(notation: str | None) -> str | None:
    """Return the format of a column if it is a format of times; otherwise None: ISO 8601."""
    return notation if notation is not None and is_time_format(notation) else None


def check_notation(notation: str) -> None:
    """Check that a text is the format of a number or of a time.

    Raises
    ------
    ConfigError
    """
    if is_time_format(notation):
        time_formats(notation)
    else:
        number_format(notation)


def column_formats(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    declared: Mapping[str, str],
    decimal: str | None = None,
    nothing: Collection[str] = (),
    amounts: Collection[str] = (),
) -> dict[str, ColumnFormat]:
    """Decide how some columns of a table are read.

    If the cells of a column do not show its decimal sign or the order of its dates, those of the
    other columns are used.

    Parameters
    ----------
    table : DataFrame
        The table, as it was read from the source.
    columns : sequence of str
        The columns that get a format.
    declared : mapping of str to str
        The formats that the project file declares, by column.
    decimal : {".", ","}, optional
        The decimal sign that the project file declares for the table.
    nothing : collection of str
        The case-folded words that mean "no value".
    amounts : collection of str
        Columns in which amounts of different currencies belong together.

    Returns
    -------
    dict of str to ColumnFormat

    Examples
    --------
    >>> table = pd.DataFrame({"Umsatz": ["2.017,71", "9,5"], "Budget": ["1.250", "3.100"]})
    >>> formats = column_formats(table, ["Umsatz", "Budget"], declared={})
    >>> formats["Umsatz"].notation, formats["Budget"].notation, formats["Budget"].doubt
    ('1.234,56', '1.234,56', '')
    """
    values = {column: sampled_values(table[column], nothing) for column in columns}
    decided = {
        column: column_format(
            values[column],
            column,
            declared.get(column),
            None if decimal is None else SignEvidence(decimal),
            any_currency=column in amounts,
        )
        for column in columns
    }
    for column in columns:
        if pd.api.types.is_datetime64_any_dtype(table[column].dtype):
            decided[column] = ColumnFormat("time")
    is_open = [column for column, form in decided.items() if _is_open(form)]
    if not is_open:
        return decided
    known = decided | {
        column: column_format(sampled_values(table[column], nothing), str(column))
        for column in table.columns
        if column not in decided
    }
    evidence = None if decimal is not None else sign_evidence(known, table.attrs.get(DELIMITER))
    order = _common(
        match[1]
        for form in known.values()
        if form.kind == "time"
        and not form.doubt
        and (match := re.match("%([dm])", form.notation or ""))
    )
    for column in is_open:
        if evidence or order:
            sign = evidence if decimal is None else SignEvidence(decimal)
            decided[column] = column_format(
                values[column], column, None, sign, order or "", column in amounts
            )
    return decided


def sign_evidence(
    formats: Mapping[str, ColumnFormat], delimiter: str | None = None
) -> SignEvidence | None:
    """Return the evidence of a table for the decimal sign of its columns; None without evidence.

    Numbers count before dates and the delimiter. Numbers that contradict each other are not
    evidence, and neither are dates that contradict the delimiter.

    Parameters
    ----------
    formats : mapping of str to ColumnFormat
        The formats of the columns of the table.
    delimiter : str, optional
        The delimiter of the file.

    Examples
    --------
    >>> sign_evidence({"Am": ColumnFormat("time", "%d.%m.%Y")}).reason
    'dates such as 31.12.2024 in the column "Am"'
    """
    signs = {
        column: number_format(form.notation).decimal if form.notation else "."
        for column, form in formats.items()
        if form.kind == "number" and form.is_certain and not form.doubt
    }
    if any(signs.values()):
        sign = _common(signs.values())
        if sign is None:
            return None
        column = next(column for column in signs if signs[column] == sign)
        return SignEvidence(sign, f"numbers of the column {quote(column)}")
    votes = {",": "cells separated by semicolons"} if delimiter == ";" else {}
    dated: set[str] = set()
    for column, form in formats.items():
        match = _DATES.match(form.notation or "") if form.kind == "time" else None
        sign = "" if match is None or form.doubt else "," if match[1] else "."
        if sign and sign not in dated:
            dated.add(sign)
            example = "31.12.2024" if sign == "," else "12/31/2024"
            dates = f"dates such as {example} in the column {quote(column)}"
            votes[sign] = " and ".join(filter(None, [dates, votes.get(sign, "")]))
    if len(votes) != 1:
        return None
    ((sign, reason),) = votes.items()
    return SignEvidence(sign, reason, is_of_numbers=False)


def column_format(
    values: Sequence[str],
    name: str,
    declared: str | None = None,
    evidence: SignEvidence | None = None,
    order: str = "",
    any_currency: bool = False,
) -> ColumnFormat:
    """Decide how a column is read, from its distinct values.

    Parameters
    ----------
    values : sequence of str
        Distinct values, without those that mean "no value".
    name : str
        The name of the column. Large numbers are times only if the name means a time.
    declared : str, optional
        The format that the project file declares.
    evidence : SignEvidence, optional
        The decimal sign for cells that do not show it.
    order : {"d", "m", ""}
        The order of dates to prefer.
    any_currency : bool
        Whether amounts of different currencies belong together.

    Returns
    -------
    ColumnFormat
    """
    examples = tuple(values[:3])
    if declared is not None:
        if is_time_format(declared):
            return ColumnFormat(
                "time",
                declared,
                examples=examples,
                is_declared=True,
                exchanged=_exchanged(values, declared)[0],
            )
        parts = [part for value in values if (part := number_parts(value)) is not None]
        units = merged_units(Counter(part.unit for part in parts))
        return ColumnFormat(
            "number", declared, examples=examples, units=units, is_declared=True, is_certain=True
        )
    if not values:
        return ColumnFormat("text")
    is_timed = _names_time(name)
    times = recognise_times(values, may_be_numbers=is_timed, order=order)
    if times is not None:
        examples = tuple([value for value in values if value not in times.unread][:3])
        exchanged, other = "", ""
        if times.notation is not None and not times.doubt:
            exchanged, other = _exchanged(values, times.notation)
        return ColumnFormat(
            "time",
            times.notation,
            times.doubt or exchanged,
            times.doubtful_as or other,
            examples,
            times.unread,
            exchanged=exchanged,
        )
    numbers = recognise_numbers(values, evidence, any_currency)
    if numbers is None:
        return ColumnFormat("text", examples=examples, trouble=trouble_of(values, is_timed))
    if not numbers.can_be_declared:
        return ColumnFormat("text", examples=examples, trouble=NO_NOTATION)
    is_read = np.isfinite([numbers.format.read(value) for value in values])
    if is_read.mean() < NUMBERS and not _reads_other(numbers, values):
        trouble = trouble_of(values, is_timed, numbers)
        return ColumnFormat("text", examples=examples, units=numbers.units, trouble=trouble)
    unread = tuple(value for value, read in zip(values, is_read, strict=True) if not read)[:5]
    notation: str | None = numbers.format.notation
    are_plain = all(np.isfinite(cell_number(value)) for value in values)
    if numbers.format == NumberFormat() and are_plain and not numbers.doubt:
        notation = None
    return ColumnFormat(
        "number",
        notation,
        numbers.doubt,
        numbers.doubtful_as,
        examples,
        unread,
        numbers.units,
        reason=numbers.reason,
        is_certain=numbers.is_certain,
    )


def _exchanged(values: Sequence[str], notation: str) -> tuple[str, str]:
    """Return the evidence that day and month are exchanged in some cells, and the other format.

    Both are empty without evidence, or if the format has no number for the month.
    """
    if not _DAY_AND_MONTH.search(notation) or (found := exchanged_dates(values)) is None:
        return "", ""
    formats = time_formats(notation)
    read = [form for form in formats if form.read(found.example, "UTC") != NOT_A_TIME]
    if not read:
        return "", ""
    first = read[0]
    swapped = re.sub("%[dm]", lambda part: "%m" if part[0] == "%d" else "%d", first.notation)
    parts = [form.notation for form in formats]
    if first.read(found.other, "UTC") == NOT_A_TIME:
        parts.remove(first.notation)
    return found.sentence, JOINED.join(dict.fromkeys([swapped, *parts]))


def _reads_other(numbers: RecognisedNumbers, values: Sequence[str]) -> bool:
    """Check whether the other reading fits the values, as for amounts in several currencies."""
    if not numbers.doubtful_as:
        return False
    other = number_format(numbers.doubtful_as)
    return float(np.isfinite([other.read(value) for value in values]).mean()) >= NUMBERS


def sampled_values(cells: pd.Series, nothing: Collection[str] = ()) -> list[str]:
    """Return distinct values of a column of text, without those that mean "no value".

    Numbers count as text only if the name of the column means a time. Columns of other types have
    no format, so the result is empty for them.

    Examples
    --------
    >>> sampled_values(pd.Series([" 1,5", "-", None, "1,5"]), nothing=["-"])
    ['1,5']
    """
    is_text = cells.dtype == object or pd.api.types.is_string_dtype(cells.dtype)
    if not is_text and not (
        pd.api.types.is_numeric_dtype(cells.dtype) and _names_time(str(cells.name))
    ):
        return []
    step = max(1, len(cells) // SAMPLED_ROWS)
    values = text_series(cells.iloc[::step]).dropna().drop_duplicates()
    if cells.dtype == object:
        has_format = cells[values.index].map(lambda cell: isinstance(cell, str | datetime.date))
        values = values[has_format.astype(bool)]
    values = values.head(SAMPLED_VALUES + len(nothing) * SPELLINGS)
    words = [value for value in values.to_list() if value.casefold() not in nothing]
    return words[:SAMPLED_VALUES]


def _names_time(name: str) -> bool:
    return _NAMES.search(words_of(name)) is not None


def _is_open(form: ColumnFormat) -> bool:
    """Check whether other columns may decide how a column is read."""
    return not form.is_declared and (
        form.doubt != "" or (form.kind == "number" and not form.is_certain)
    )


def _common(marks: Iterable[str]) -> str | None:
    """Return the mark if all marks that are not empty are equal; otherwise None."""
    distinct = set(filter(None, marks))
    return distinct.pop() if len(distinct) == 1 else None
