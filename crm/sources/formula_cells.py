"""Reads text that is written as a formula, such as ="000123", so that spreadsheets keep it as text.

Exports write ids in this way, because a spreadsheet would turn 000123 into 123. Other tables have
the same ids without the formula.
"""

import re
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.sources.findings import Findings
from crm.text import quote

_FORMULA: Final = re.compile(
    r'\s*=\s*(?:"(?P<text>(?:[^"]|"")*)"'
    r'|HYPERLINK\(\s*"(?P<link>(?:[^"]|"")*)"\s*'
    r'(?:[,;]\s*(?:"(?P<label>(?:[^"]|"")*)"|(?P<number>[0-9.]+))\s*)?\))\s*',
    re.IGNORECASE,
)


def formula_text(text: str) -> str:
    """Return the text that a formula shows; other text as it is.

    Examples
    --------
    >>> formula_text('="000123"'), formula_text('=HYPERLINK("https://crm.example/5","5000")')
    ('000123', '5000')
    >>> formula_text("=SUM(A1:A3)"), formula_text("a = b")
    ('=SUM(A1:A3)', 'a = b')
    """
    match = _FORMULA.fullmatch(text)
    if match is None:
        return text
    shown = next(
        part for part in match.group("text", "label", "number", "link") if part is not None
    )
    return shown.replace('""', '"')


def without_formulas(table: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """Return a table in which the cells of text contain what their formulas show.

    Empty text becomes missing. A note names each column with such cells.
    """
    changed: dict[str, pd.Series] = {}
    for name in table.columns:
        column = table[name]
        rows = _rows_with_formulas(column)
        if not len(rows):
            continue
        cells = column.iloc[rows]
        texts = cells.map({cell: formula_text(cell) for cell in cells.unique()})
        is_read = (texts != cells).to_numpy(dtype=bool)
        if is_read.any():
            column = column.copy()
            column.iloc[rows[is_read]] = texts[is_read].where(texts[is_read] != "", None)
            changed[str(name)] = column
            findings.note(
                f'cells of {quote(str(name))} are written as formulas, such as ="text" or '
                '=HYPERLINK("address","text"). Their text is read.'
            )
    return table.assign(**changed) if changed else table


def _rows_with_formulas(column: pd.Series) -> "np.ndarray[Any, np.dtype[np.intp]]":
    """Return the positions of the cells that may be formulas."""
    if isinstance(column.dtype, pd.StringDtype):
        starts = pc.starts_with(pa.array(column), "=")
        if not pc.any(starts).as_py():
            return np.array([], dtype=np.intp)
        return np.flatnonzero(starts.fill_null(False).to_numpy(zero_copy_only=False))
    if column.dtype == object:
        starts = [isinstance(cell, str) and cell.startswith("=") for cell in column]
        return np.flatnonzero(starts)
    return np.array([], dtype=np.intp)
