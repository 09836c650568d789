"""Reads one cell of a CRM export, and a column cell by cell.

The same value arrives as text from CSV, as a typed value from Parquet or a database, and as JSON
from a caller. Each rule below is defined for one cell. A column is read by reading each distinct
cell once, so that one lead and a million leads are read alike.
"""

import datetime
import decimal
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Indexes, Objects

MAX_CELL_CHARACTERS = 100_000

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

# What `cell_text` changes: empty text, and white space other than one space between words.
_UNTIDY = (
    r"^$|^ | $|  |[\t-\r\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}"
    r"\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
)

FORMULA = re.compile(r"[\t\r]|\s*[=+\-@]")


def cell_text(cell: Any) -> str | None:
    """Read a cell as text: trimmed, with single spaces inside, None if it is empty.

    Whole numbers lose their decimal point, because a column of whole numbers with a missing cell
    arrives as floats from some sources.

    Examples
    --------
    >>> cell_text("  Paid   search "), cell_text(3.0), cell_text(True), cell_text(float("nan"))
    ('Paid search', '3', 'true', None)
    """
    if cell is None or cell is pd.NaT or cell is pd.NA:
        return None
    if isinstance(cell, str):
        return " ".join(cell.split()) or None
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating | decimal.Decimal):
        value = _as_float(cell)
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return str(cell)


def list_cell(items: list[Any]) -> Any:
    """Return a list of values as one cell: the text of its JSON.

    A list with one value is this value, and an empty list is missing.

    Examples
    --------
    >>> list_cell(["Demo", 3]), list_cell(["Demo"]), list_cell([3]), list_cell([])
    ('["Demo",3]', 'Demo', 3, None)
    """
    if len(items) == 1 and not isinstance(items[0], list | dict):
        return items[0]
    return msgspec.json.encode(items).decode() if items else None


def plain_cell(cell: Any) -> Any:
    """Return a cell of a table as the cell that a request would contain.

    A number or time of numpy becomes Python's; bytes become text; a list of plain values, also as
    a tuple or an array, becomes what `list_cell` returns. Objects, and lists that contain objects
    or lists, count as missing.

    Examples
    --------
    >>> plain_cell(np.array(50)), plain_cell(b"Web"), plain_cell(("Demo", 3)), plain_cell({"a": 1})
    (50, 'Web', '["Demo",3]', None)
    """
    if isinstance(cell, np.ndarray) and cell.ndim == 0:
        cell = cell[()]  # a scalar of numpy, or the object in an array of objects
    if isinstance(cell, np.datetime64):
        return pd.Timestamp(cell)
    if isinstance(cell, np.generic):
        return cell.item()
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).decode("utf-8", errors="replace")
    if isinstance(cell, np.ndarray | list | tuple):
        if any(map(pd.api.types.is_list_like, cell)):
            return None
        items = [plain_cell(item) for item in cell]
        is_plain = all(isinstance(item, str | bool | int | float | None) for item in items)
        return list_cell(items) if is_plain else None
    return None if is_object(cell) else cell


def is_object(cell: Any) -> bool:
    """Check whether a cell is an object, or a list that contains objects."""
    if isinstance(cell, np.ndarray | list | tuple):
        return np.ndim(cell) > 0 and any(map(is_object, cell))
    return isinstance(cell, dict | set | frozenset)


def plain_column(column: pd.Series) -> pd.Series:
    """Return a column with each cell as `plain_cell` returns it, and without a categorical type."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype)
    if column.dtype != object or pd.api.types.infer_dtype(column) in ("string", "empty"):
        return column
    return pd.Series([plain_cell(cell) for cell in column], column.index, object, column.name)


def cell_number(cell: Any) -> float:
    """Read a cell as a number: nan if it is missing, infinite, or not a number.

    Examples
    --------
    >>> cell_number(" 12.50 "), cell_number(True), cell_number("12 apples"), cell_number("inf")
    (12.5, 1.0, nan, nan)
    """
    if type(cell) is float:
        return cell if math.isfinite(cell) else math.nan
    if isinstance(cell, str):
        match = _NUMBER.fullmatch(cell.strip())
        value = float(match[0]) if match else math.nan
    elif isinstance(cell, int | float | np.integer | np.floating | np.bool_ | decimal.Decimal):
        value = _as_float(cell)
    else:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _as_float(cell: Any) -> float:
    try:
        return float(cell)
    except (OverflowError, ValueError):  # an integer too long, a signalling nan
        return math.nan


def read_column(column: pd.Series, read: Callable[[Any], Any], dtype: Any) -> NDArray[Any]:
    """Read every cell of a column, each distinct cell once.

    Parameters
    ----------
    column : Series, shape (n,)
        Any dtype.
    read : callable
        Turns one cell into one value. A missing cell is passed as None, or as it is.
    dtype : numpy dtype
        The type of the values that `read` returns.

    Returns
    -------
    ndarray of `dtype`, shape (n,)

    Examples
    --------
    >>> read_column(pd.Series(["1", "x", None, "1"]), cell_number, float)
    array([ 1., nan, nan,  1.])
    """
    if not _is_uniform(column):
        return np.fromiter((read(cell) for cell in column), dtype=dtype, count=len(column))
    codes, cells = pd.factorize(column, use_na_sentinel=True)
    values = np.empty(len(cells) + 1, dtype=dtype)
    values[: len(cells)] = [read(cell) for cell in cells.tolist()]
    values[len(cells)] = read(None)
    return values[codes]


def distinct_cells(column: pd.Series) -> tuple[Indexes, pd.Series]:
    """Return the distinct cells of a column, and the position of each cell among them.

    Returns
    -------
    ndarray of intp, shape (n,)
    Series, shape (n_distinct,)
        In the order of their first cells; all missing cells are one. In a column of mixed types
        each cell is distinct, because equal cells may be read differently.

    Examples
    --------
    >>> positions, cells = distinct_cells(pd.Series(["b", "a", "b"]))
    >>> positions.tolist(), cells.tolist()
    ([0, 1, 0], ['b', 'a'])
    """
    if not _is_uniform(column):
        return np.arange(len(column)), column
    positions, cells = pd.factorize(column, use_na_sentinel=False)
    return positions, pd.Series(cells, name=column.name)


def _is_uniform(column: pd.Series) -> bool:
    """Check that cells of a column which compare as equal are also read alike.

    In a column of objects they may differ: 1 equals True, and 8:00 UTC equals 9:00 in Berlin.
    """
    return column.dtype != object or pd.api.types.infer_dtype(column) in ("string", "empty")


def number_column(column: pd.Series) -> Floats:
    """Read a column as numbers, shape (n,), by the rule of `cell_number`."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan)
    return read_column(column, cell_number, np.float64)


def text_column(column: pd.Series) -> Objects:
    """Read a column as text, shape (n,), by the rule of `cell_text`."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) and str(column.dtype.tz) == "UTC":
        return _time_texts(column)
    if column.dtype != "str":
        return read_column(column, cell_text, object)
    codes, cells = pd.factorize(column, use_na_sentinel=True)
    texts = np.empty(len(cells) + 1, dtype=object)  # the last one is None, for missing cells
    texts[:-1] = cells.to_numpy(dtype=object)
    for place in _untidy(cells.array):
        texts[place] = cell_text(texts[place])
    return np.asarray(texts[codes])


def _time_texts(column: pd.Series) -> Objects:
    """Return times in UTC as text, shape (n,); a tenth of the time of one cell after the other."""
    texts = np.full(len(column), None, dtype=object)
    times = column.to_numpy(dtype="datetime64[us]")
    is_known = column.notna().to_numpy()
    is_late = (column.dt.year > datetime.MAXYEAR).to_numpy()
    is_read_alone = is_known & (is_late | (column.dt.nanosecond > 0).to_numpy())
    has_fraction = times != times.astype("datetime64[s]")
    for unit, rows in (("s", ~has_fraction), ("us", has_fraction)):
        chosen = is_known & ~is_read_alone & rows
        written = np.datetime_as_string(times[chosen], unit=unit).tolist()  # type: ignore[call-overload]
        texts[chosen] = [f"{text}+00:00" for text in written]
    texts[is_read_alone] = [cell_text(cell) for cell in column[is_read_alone]]
    return texts


def has_content(column: pd.Series) -> Bools:
    """Check which cells are not empty by the rule of `cell_text`, shape (n,).

    Examples
    --------
    >>> has_content(pd.Series(["Web", " ", None])).tolist(), has_content(pd.Series([0.0])).tolist()
    ([True, False, False], [True])
    """
    has_type = pd.api.types.is_numeric_dtype(column.dtype) or isinstance(
        column.dtype, pd.DatetimeTZDtype
    )
    filled = column if has_type else pd.Series(text_column(column), dtype=object)
    return filled.notna().to_numpy()


def distinct_texts(column: pd.Series) -> list[str]:
    """Return the different texts of a column by the rule of `cell_text`, without missing cells.

    Returns
    -------
    list of str
        In the order of their first cells.

    Examples
    --------
    >>> distinct_texts(pd.Series(["b", " a", None, "b", "a"]))
    ['b', 'a']
    """
    _, cells = distinct_cells(column)
    return list(dict.fromkeys(text for text in text_column(cells) if text is not None))


def text_series(column: pd.Series) -> pd.Series:
    """Read a column as text by the rule of `cell_text`, as a series with the same index.

    If most of millions of cells differ, such as ids and times, this takes a tenth of the time
    and memory of `text_column`. The reason is that tidy text does not become Python objects.

    Examples
    --------
    >>> text_series(pd.Series(["A7", " A8 ", None])).tolist()
    ['A7', 'A8', nan]
    """
    if column.dtype != "str":
        return pd.Series(text_column(column), index=column.index, dtype="str")
    untidy = _untidy(column.array)
    if len(untidy):
        column = column.copy()
        column.iloc[untidy] = text_column(column.iloc[untidy])
    return column


def _untidy(texts: Any) -> Indexes:
    """Return the positions of the texts that `cell_text` changes."""
    is_untidy = pc.match_substring_regex(pa.array(texts), _UNTIDY).fill_null(False)
    return np.flatnonzero(is_untidy.to_numpy(zero_copy_only=False))


def is_among(texts: pd.Series, others: pd.Series) -> Bools:
    """Check which texts are among others, shape (n,).

    This takes an eighth of the time of `Series.isin`, which makes a Python object of each of the
    others.

    Parameters
    ----------
    texts, others : Series of str
        A missing text is among the others if one of them is missing.

    Examples
    --------
    >>> is_among(pd.Series(["7", "8"]), pd.Series(["8", "9"])).tolist()
    [False, True]
    """
    text = pa.large_string()
    found = pc.is_in(pa.array(texts.array, text), value_set=pa.array(others.array, text))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def folded_words(words: Iterable[Any]) -> frozenset[str]:
    """Return words as the cells that mean the same are compared with them: trimmed, case-folded.

    Examples
    --------
    >>> sorted(folded_words([" Select ", "", -1]))
    ['-1', 'select']
    """
    texts = (cell_text(word) for word in words)
    return frozenset(text.casefold() for text in texts if text is not None)


def harmless(cell: Any) -> Any:
    """Return a cell that no spreadsheet reads as a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("Webinar"), harmless(-3.5)
    ("'=1+1", 'Webinar', -3.5)
    """
    is_formula = isinstance(cell, str) and FORMULA.match(cell) is not None
    return f"'{cell}" if is_formula else cell
