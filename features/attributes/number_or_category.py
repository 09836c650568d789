"""Decides whether a column is a number or a category, and fits it."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Objects
from crm.cells import distinct_cells, folded_words, text_column
from crm.errors import SchemaError
from crm.formats.numbers import NumberFormat
from crm.text import words_of
from features.attributes.attribute import MOSTLY, NEARLY_UNIQUE, LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import TRUTHS, NumberAttribute

MAX_VOCABULARY = 254
MIN_ROWS_PER_VALUE = 5
SMALL_VOCABULARY = 50
MIN_IDENTIFIERS = 100  # identifiers are recognised only among at least so many numbers
IDENTIFIERS_SPREAD = 3  # identifiers almost without gaps span less than this number per lead
IDENTIFIERS_IN_ORDER = 0.9  # the least share of steps from row to row in one direction
IDENTIFIERS_ROUND = 0.25  # the highest share of numbers that end in 0; about 0.1 is expected
IDENTIFIER_DIGITS = 5
_ID_NAME = re.compile(r"\b(?:id|uuid|guid)\b")


def fit_attribute(
    column: pd.Series,
    *,
    nothing: Sequence[str],
    kind: Literal["number", "category"] | None = None,
    notation: str | None = None,
) -> NumberAttribute | CategoryAttribute | LeftOut:
    """Decide what a column is and learn how to read it.

    Parameters
    ----------
    column : Series, shape (n_leads,)
        The training leads' cells, as read.
    nothing : sequence of str
        What means "no value" besides an empty cell.
    kind : {"number", "category"}, optional
        Declared by the project; found from the cells otherwise.
    notation : str, optional
        The format of its numbers, as `crm.formats` has it.

    Returns
    -------
    NumberAttribute, CategoryAttribute or LeftOut

    Raises
    ------
    SchemaError
        If a number column contains infinities, or if a column is half numbers and half text
        and has too many values for a category.

    Examples
    --------
    >>> visits = fit_attribute(pd.Series(["1", "2.5", "-"] * 20, name="visits"), nothing=["-"])
    >>> visits.kind, visits.median, visits.notation, visits.lowest, visits.highest
    ('number', 1.75, '1,234.56', 1.0, 2.5)
    >>> fit_attribute(pd.Series(["EU", "eu ", "US"] * 20, name="region"), nothing=[])
    CategoryAttribute(column='region', nothing=frozenset(), vocabulary=('EU', 'US'))
    """
    name = str(column.name)
    folded = folded_words(nothing)
    reader = NumberAttribute(name, folded, math.nan, notation or NumberFormat().notation)
    codes, cells = distinct_cells(column)
    read = _read_cells(cells, reader)
    filled = read.filled[codes]
    n_filled = int(filled.sum())
    if n_filled == 0:
        return LeftOut(name, "it is empty")
    distinct = set(read.texts[read.filled])
    if len(distinct) == 1 and n_filled == len(column):
        return LeftOut(name, f"it is always {distinct.pop()[:40]!r}")
    share = float(read.is_number[codes][filled].mean())
    is_declared = kind is not None
    is_id = not is_declared and _ID_NAME.search(words_of(name)) is not None
    if kind is None:
        kind = _kind(name, share, n_distinct=len(distinct), n=n_filled)
        if kind == "number" and is_id:  # ids are names, not amounts
            kind = "category"
    if kind == "number":
        if read.infinite.any():
            raise SchemaError("leads", [_infinities(name, int(read.infinite[codes].sum()))])
        numbers = read.numbers[codes]
        if not np.isfinite(numbers).any():
            return LeftOut(name, "it is listed as a number and contains none")
        if not is_declared and (evidence := _why_identifiers(numbers[filled], len(distinct))):
            return LeftOut(name, f"each lead has a number of its own, {evidence}: an identifier")
        known = numbers[np.isfinite(numbers)]
        as_whole = replace(reader, is_whole=True).encode_column(cells)
        is_clear = np.array_equal(as_whole, read.numbers, equal_nan=True)
        return replace(
            reader,
            median=float(np.median(known)),
            lowest=float(known.min()),
            highest=float(known.max()),
            is_whole=is_clear and not (known % 1).any(),
        )
    if (n_filled >= 100 or is_id) and len(distinct) > NEARLY_UNIQUE * n_filled:
        return LeftOut(name, "nearly each lead has a value of its own: an identifier or free text")
    counts = pd.Series(read.texts[codes][filled]).value_counts()
    spellings = counts.groupby([text.casefold() for text in counts.index], sort=False)
    totals = spellings.sum().sort_values(ascending=False, kind="stable")
    often = totals[totals >= min(MIN_ROWS_PER_VALUE, totals.iloc[0])].head(MAX_VOCABULARY)
    spelled = spellings.idxmax()
    return CategoryAttribute(name, folded, tuple(str(spelled[value]) for value in often.index))


class _ReadCells(NamedTuple):
    """The distinct cells of a column, read as texts and as numbers.

    Attributes
    ----------
    texts : ndarray of str, shape (n_distinct,)
        None for "no value".
    filled : ndarray of bool, shape (n_distinct,)
        True for a value.
    numbers : ndarray of float64, shape (n_distinct,)
        nan for what is not a number.
    infinite : ndarray of bool, shape (n_distinct,)
    is_number : ndarray of bool, shape (n_distinct,)
        True for numbers and infinities. True and false are numbers only among others.
    """

    texts: Objects
    filled: Bools
    numbers: Floats
    infinite: Bools
    is_number: Bools


def _read_cells(cells: pd.Series, reader: NumberAttribute) -> _ReadCells:
    """Read the distinct cells of a column, once each."""
    texts = text_column(cells)
    words = [None if text is None else text.casefold() for text in texts]
    texts[[word in reader.nothing for word in words]] = None
    is_truth = np.array([word in TRUTHS and word not in reader.nothing for word in words], bool)
    if reader.nothing_numbers:
        is_nothing = np.isin(reader.format.read_column(cells), list(reader.nothing_numbers))
        texts[is_nothing & ~is_truth] = None
    filled = np.array([text is not None for text in texts], dtype=bool)
    numbers = reader.encode_column(cells)
    infinite = filled & np.isnan(numbers)
    infinite[infinite] = [_is_infinite(text) for text in texts[infinite]]
    is_number = np.isfinite(numbers) | infinite
    if not is_number[~is_truth].any():
        is_number &= ~is_truth
    return _ReadCells(texts, filled, numbers, infinite, is_number)


def _kind(name: str, share_numbers: float, n_distinct: int, n: int) -> Any:
    if share_numbers >= MOSTLY:
        return "number"
    if share_numbers <= 1 - MOSTLY or n_distinct <= SMALL_VOCABULARY:
        return "category"
    if share_numbers < 0.05 or share_numbers > 0.95:
        return "number" if share_numbers > 0.95 else "category"
    raise SchemaError(
        "leads",
        [
            f"`{name}` is a number in {share_numbers:.0%} and text in {1 - share_numbers:.0%} of "
            f"{n:,} rows. Say which it is: list it in [columns] number (the text then counts as "
            "missing), category or ignore."
        ],
    )


def _why_identifiers(numbers: Floats, n_distinct: int) -> str:
    """Return the evidence that numbers are identifiers; empty if they do not seem to be.

    Identifiers are whole numbers that all differ. Amounts can differ from lead to lead as well. But
    amounts have gaps and are not in order, and many are round or differ in their numbers of digits.
    """
    n = len(numbers)
    if n < MIN_IDENTIFIERS or n_distinct < n or (numbers % 1 != 0).any():
        return ""
    if numbers.max() - numbers.min() < IDENTIFIERS_SPREAD * n:
        return "almost without gaps"
    steps = np.diff(numbers)
    if max((steps > 0).mean(), (steps < 0).mean()) >= IDENTIFIERS_IN_ORDER:
        return "in the order of the rows"
    digits = {len(f"{abs(number):.0f}") for number in numbers}
    is_round = (numbers % 10 == 0).mean() > IDENTIFIERS_ROUND
    if len(digits) == 1 and min(digits) >= IDENTIFIER_DIGITS and not is_round:
        return f"with {min(digits)} digits each"
    return ""


def _infinities(name: str, n: int) -> str:
    return (
        f"`{name}` is infinite in {n:,} rows. Expected finite numbers or empty cells; "
        "correct the export, or list the word in [columns] nothing."
    )


def _is_infinite(text: str) -> bool:
    return text.lower().lstrip("+-") in ("inf", "infinity")
