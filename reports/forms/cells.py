"""Formats one cell of a report's table, for readers and for files."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.evaluation.comparisons import FEWEST_LEADS
from reports.content import Column, Figure, Row
from reports.numbers import duration, percent, signed, two_digits, x_of_n
from reports.text import MOST_CHARACTERS, MOST_PROSE, printable

WORDS = ("text", "prose", "time")  # forms that are aligned left
NOTHING = "–"
MOST_IN_TABLE = 60  # characters of a text


def written(value: Any, form: str, most: int = MOST_IN_TABLE) -> str:
    r"""Format a cell of a column of this form (`reports.content.Column`).

    A missing value becomes a dash. A text in a column of numbers stays a text.

    Parameters
    ----------
    value : number, str or None
        A share is a number from 0 to 1.
    form : str
        The format of the column.
    most : int
        The greatest length of a text, in characters.

    Returns
    -------
    str
        The text, not escaped.

    Examples
    --------
    >>> [written(0.125, "share"), written(2.4, "ratio"), written(None, "count")]
    ['12.5\xa0%', '2.40', '–']
    >>> written(1234.4, "amount"), written(-3.2, "points"), written("too few", "share")
    ('1,234', '−3.2', 'too few')
    >>> written(2.125, "days"), written(51.0, "hours")
    ('2\xa0days\xa03\xa0hours', '2\xa0days\xa03\xa0hours')
    """
    if is_missing(value):
        return NOTHING
    if form == "time":
        return printable(value, MOST_CHARACTERS)[:16].replace("T", " ")
    if form == "prose":
        return printable(value, MOST_PROSE)
    if not is_number(value) or form == "text":
        return printable(value, most)
    number = float(value)
    if not math.isfinite(number):
        return NOTHING
    if form == "share":
        return percent(number)
    if form == "ratio":
        return _free(number)
    if form == "points":
        return signed(number)
    if form in ("days", "hours"):
        return duration(number if form == "days" else number / 24)
    digits = {"count": 0, "amount": 0, "score": 0}.get(form, 2)
    text = f"{number:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.removeprefix("-")


def cell_of(figure: Figure, row: Row, column: Column) -> str:
    r"""Format a cell of a figure's table.

    A share of few leads is written as its counts. A share whose counts have no columns of their
    own is followed by them.

    Examples
    --------
    >>> share = Column("value", "Won", "share", of=("wins", "n"))
    >>> figure = Figure("won", "", "", (share,), ())
    >>> cell_of(figure, {"value": 0.25, "wins": 10, "n": 40}, share).replace("\xa0", " ")
    '25.0 % (10 of 40)'
    >>> cell_of(figure, {"value": 0.25, "wins": 1, "n": 4}, share)
    '1 of 4'
    """
    form = str(row[column.form_key]) if column.form_key else column.form
    text = written(row.get(column.key), form)
    x, n = (row.get(key) for key in column.of or ("", ""))
    if n is None or x is None or not is_number(row.get(column.key)):
        return text
    counts = x_of_n(x, n)
    if n < FEWEST_LEADS:
        return counts
    return text if figure.has_columns(column.of or ()) else f"{text} ({counts})"


def _free(number: float) -> str:
    """Format a number whose size is not known in advance, such as a ratio or a p-value.

    Examples
    --------
    >>> _free(0.00002), _free(-0.00002), _free(0.0031), _free(1_234.0)
    ('< 0.0001', '> −0.0001', '0.003', '1,234')
    """
    size = abs(number)
    if 0 < size < 0.01:
        near_zero = "< 0.0001" if number > 0 else "> -0.0001"
        text = f"{number:.1g}" if size >= 0.0001 else near_zero
    else:
        text = f"{number:,.0f}" if size >= 1_000 or number.is_integer() else two_digits(number)
    return text.replace("-", "−")


def sentence(text: Any) -> str:
    """Return a text that begins with a capital and ends with a full stop.

    Examples
    --------
    >>> sentence("leads won in time"), sentence("")
    ('Leads won in time.', '')
    """
    words = printable(text, MOST_PROSE)
    if not words:
        return ""
    end = "" if words.endswith((".", "…")) else "."
    return f"{words[0].upper()}{words[1:]}{end}"


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty."""
    return value is None or (isinstance(value, numbers.Real) and math.isnan(value))


def is_number(value: Any) -> bool:
    """Return whether a cell contains a number; True and False are words."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Convert a value for JSON and CSV: mappings, NumPy scalars and times become plain values.

    Examples
    --------
    >>> plain(float("nan")), plain((1, {"a": float("inf")}))
    (None, [1, {'a': None}])
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
