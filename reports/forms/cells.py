"""One cell of a report's table, as people read it and as a file holds it."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from reports.numbers import percent, signed, two_digits
from reports.text import MOST_CHARACTERS, MOST_PROSE, printable

WORDS = ("text", "prose", "time")  # forms that stand to the left
NOTHING = "–"
MOST_IN_TABLE = 60  # characters of a name


def written(value: Any, form: str, most: int = MOST_IN_TABLE) -> str:
    r"""Write a cell of a column of this form (`reports.content.Column`).

    What is missing is a dash. A text in a column of numbers stays a text.

    Parameters
    ----------
    value : number, str or None
        A share is 0 … 1; points, days and amounts are as they are.
    form : str
    most : int
        Characters of a text.

    Returns
    -------
    str
        Not escaped for any form of page.

    Examples
    --------
    >>> [written(0.125, "share"), written(2.4, "ratio"), written(None, "count")]
    ['12.5\xa0%', '2.40', '–']
    >>> written(1234.4, "amount"), written(-3.2, "points"), written("too few", "share")
    ('1,234', '−3.2', 'too few')
    """
    if is_missing(value):
        return NOTHING
    if form == "time":
        return printable(value, MOST_CHARACTERS)[:16].replace("T", " ")
    if form == "prose":
        return printable(value, MOST_CHARACTERS)
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
    digits = {"count": 0, "amount": 0, "days": 1, "score": 0}.get(form, 2)
    text = f"{number:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.removeprefix("-")


def _free(number: float) -> str:
    """Write a number of no known size: a ratio, a p-value, a figure among others.

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
    """Begin a text with a capital and end it with a full stop.

    Examples
    --------
    >>> sentence("leads won in time"), sentence("")
    ('Leads won in time.', '')
    """
    words = printable(text, MOST_PROSE)
    return f"{words[:1].upper()}{words[1:]}" + "." * (words[-1:] not in (".", "…", ""))


def is_missing(value: Any) -> bool:
    """Tell whether there is nothing in a cell."""
    return value is None or (isinstance(value, numbers.Real) and math.isnan(value))


def is_number(value: Any) -> bool:
    """Tell whether a cell holds a number; True and False are words."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Give a value as JSON and CSV hold it: mappings, numbers of numpy and times become plain.

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
