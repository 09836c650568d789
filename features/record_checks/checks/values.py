"""The checks of values: LC116 to LC120, and LC123."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from crm.arrays import Bools, Objects
from crm.cells import cell_number
from crm.sources.mojibake import meant_text
from crm.text import counted, is_or_are, listed, number_text, quote
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.tables import ColumnCells, ReadTable, ReadTables

LIMITS: Final = (255, 256, 500, 512, 1_000, 1_024, 2_000, 2_048, 4_000, 4_096, 32_000, 32_767)
MIN_CUT: Final = 3  # values of exactly the limit
SHOWN: Final = 3
MANY_VALUES: Final = 1_000
NUMBERS: Final = (0.5, 0.99)  # the share of numbers in a column that is half numbers
# Nines, their negatives, -1, and the ends of the range of whole numbers of 32 bits.
PLACEHOLDERS: Final = (
    -1.0,
    *(sign * (10.0**n - 1) for n in range(1, 13) for sign in (1, -1) if n > 1 or sign < 0),
    2.0**31 - 1,
    -(2.0**31),
)
# UTF-8 that was read as Windows-1252: "MÃ¼nchen", "donâ€™t", "5Â €".
MOJIBAKE: Final = re.compile(
    "[ÃÂ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a"
    "\u20ac\u2122]|â€|ï»¿"
)
MAY_BE_DAMAGED: Final = re.compile(r"[^\x00-\x7f]{2}|&#?\w{2,8};")
MOST_COMPARED: Final = 5_000  # values of a column that are compared in all encodings
REPLACED: Final = "\ufffd"
FAR: Final = 0.5  # the distance to the other numbers, as a share of their range
ENDS_IN_NINE: Final = 0.3  # the share of numbers that end in 9 in a column of prices
QUESTION_MARK: Final = re.compile(r"[^\W\d_]\?[^\W\d_]")
ADDRESS: Final = re.compile(r"[/=&@]|www\.")


@check("LC116", "Texts are cut at the same length.")
def text_cut(tables: ReadTables) -> Iterator[Finding]:
    """Find columns with several texts of exactly a usual limit, and no longer texts."""
    for table, column in _columns(tables):
        if str(column.cells.dtype) != "str":
            continue
        lengths = column.cells.str.len().fillna(0).to_numpy(dtype=np.int64)
        longest = int(lengths.max(initial=0))
        rows = lengths == longest
        n_cut = column.cells[rows].nunique() if longest in LIMITS else 0
        if n_cut >= MIN_CUT:
            yield Finding(
                table,
                f"Is {quote(column.name)} cut at {longest:,} characters?",
                f"{counted(int(rows.sum()), 'cell')} with {n_cut:,} different texts have exactly "
                f"{longest:,} characters, and none has more.",
                "If the column matters, raise the limit of the export.",
                rows_of(rows),
            )


@check("LC117", "Letters are damaged.")
def letters_damaged(tables: ReadTables) -> Iterator[Finding]:
    """Find text that was read in a wrong encoding, and for question marks inside words."""
    for table in tables.tables.values():
        columns = [str(name) for name in table.raw.columns]
        names = [columns[i] for i in np.flatnonzero(_damaged_values(columns))]
        if names:
            yield _damaged(table, f"the names of {counted(len(names), 'column')}", names, None)
    for table, column in _columns(tables):
        values = column.values
        is_odd = _damaged_values(values.tolist())
        if len(values) <= MANY_VALUES:
            question = [QUESTION_MARK.search(v) and not ADDRESS.search(v) for v in values]
            if sum(map(bool, question)) >= 2:
                is_odd |= np.array(question, dtype=bool)
        if is_odd.any():
            private = tables.is_private(table, column.name)
            shown = [] if private else list(values[is_odd][:SHOWN])
            yield _damaged(table, quote(column.name), shown, column.rows_with(is_odd))


def _is_damaged(text: str) -> bool:
    return REPLACED in text or MOJIBAKE.search(text) is not None


def _damaged_values(values: Sequence[str]) -> Bools:
    """Return which values are damaged, shape (n_values,)."""
    is_odd = np.array([not value.isascii() and _is_damaged(value) for value in values], bool)
    n_compared = 0
    for i, value in enumerate(values):
        if not is_odd[i] and MAY_BE_DAMAGED.search(value) and n_compared < MOST_COMPARED:
            n_compared += 1
            is_odd[i] = meant_text(value) is not None
    return is_odd


def _damaged(table: ReadTable, where: str, shown: list[str], rows: Bools | None) -> Finding:
    n_cells = 0 if rows is None else int(rows.sum())
    count = "" if rows is None else f"{counted(n_cells, 'cell')} of "
    contain = "contains" if n_cells == 1 else "contain"
    examples = f", such as {listed(shown)}" if shown else ""
    meant = [text for value in shown if (text := meant_text(value)) is not None]
    examples += f", which may mean {listed(meant)}" if meant else ""
    return Finding(
        table,
        f"Which letters are right in {where}?",
        f"{count}{where} {contain} signs that a wrong encoding leaves behind{examples}.",
        "Export the file again as UTF-8. If the CRM shows the same signs, an earlier import "
        "damaged them. If only this file does, set `encoding` of the table.",
        np.array([], dtype=np.int64) if rows is None else rows_of(rows),
    )


@check("LC118", "Values differ only in case or white space.")
def spellings_differ(tables: ReadTables) -> Iterator[Finding]:
    """Compare the values of a column of few values without case and white space."""
    for table, column in _columns(tables):
        if tables.is_private(table, column.name) or len(column.distinct) > MANY_VALUES:
            continue
        if column.form.kind != "text" or table.role_of.get(column.name, "").endswith("_id"):
            continue
        if len(column.distinct) > 0.5 * column.filled.sum():
            continue
        spellings: dict[str, list[str]] = {}
        for value in _raw_values(column):
            spellings.setdefault(" ".join(value.split()).casefold(), []).append(value)
        differing = [texts for texts in spellings.values() if len(texts) > 1]
        if differing:
            examples = ", ".join(f"{quote(t[0])} and {quote(t[1])}" for t in differing[:SHOWN])
            yield Finding(
                table,
                f"Are these values of {quote(column.name)} the same?",
                f"{counted(len(differing), 'value')} of {len(spellings):,} "
                f"{is_or_are(len(differing))} written in several ways: {examples}.",
                "They count as one value here. Make one value of them in the CRM, so that its own "
                "reports do the same.",
            )


@check("LC119", "A column of numbers contains text.")
def half_numbers(tables: ReadTables) -> Iterator[Finding]:
    """Find columns that are mostly numbers, and for cells that are not in the format."""
    for table, column in _columns(tables):
        filled = column.filled
        n_filled = int(filled.sum())
        if column.form.kind == "text":
            if column.form.trouble:  # LC123
                continue
            if table.role_of.get(column.name) is not None or table.name != "leads":
                continue
            first = [np.isfinite(cell_number(v)) for v in column.distinct[:MANY_VALUES]]
            if len(first) < 10 or not 0.3 < np.mean(first) < 1:
                continue
            is_number = np.array([np.isfinite(cell_number(v)) for v in column.values], bool)
            is_text = filled & ~column.rows_with(is_number)
            n_text = int(is_text.sum())
            low, high = NUMBERS
            if not low <= 1 - n_text / max(1, n_filled) <= high:
                continue
        else:
            is_text = column.unread
            n_text = int(is_text.sum())
            if not n_text:
                continue
        private = tables.is_private(table, column.name)
        shown = "" if private else f", such as {listed(_examples(column, is_text))}"
        one = "time" if column.form.kind == "time" else "number"
        yield Finding(
            table,
            f"What do the other cells of {quote(column.name)} mean?",
            f"{counted(n_filled - n_text, 'cell')} ({share(n_filled - n_text, n_filled)}) "
            f"{is_or_are(n_filled - n_text)} {one if n_filled - n_text == 1 else one + 's'}; "
            f"{counted(n_text, 'cell')} {is_or_are(n_text)} not a {one} in "
            f"this format{shown}.",
            "If they stand for a missing value, list them in `nothing` of [columns]. Otherwise "
            f"correct them, or set the format of the column under [{table.name}.formats].",
            rows_of(is_text),
        )


@check("LC120", "A number such as 999 stands for no value.")
def placeholder_numbers(tables: ReadTables) -> Iterator[Finding]:
    """Find well-known placeholders at the end of the range, far from the other numbers."""
    for table, column in _columns(tables):
        if column.form.kind != "number" or tables.is_private(table, column.name):
            continue
        if table.role_of.get(column.name) == "order":
            continue
        numbers = column.numbers[np.isfinite(column.numbers)]
        others = numbers[~np.isin(numbers, PLACEHOLDERS)]
        if len(others) < 20:
            continue
        low, high = float(others.min()), float(others.max())
        are_prices = (others % 10 == 9).mean() > ENDS_IN_NINE
        for value in np.intersect1d(numbers, PLACEHOLDERS):
            n = int((numbers == value).sum())
            if n < max(3, 0.002 * len(numbers)) or (value > 0 and are_prices):
                continue
            if not _is_apart(float(value), low, high):
                continue
            yield Finding(
                table,
                f"Does {number_text(value)} in {quote(column.name)} stand for a missing value?",
                f"{counted(n, 'row')} ({share(n, len(numbers))}) have it. The other numbers "
                f"are between {number_text(low)} and {number_text(high)}.",
                "If it does, export an empty cell. If it has this meaning in all columns, you can "
                f'also add "{value:.0f}" to `nothing` of [columns].',
                rows_of(column.numbers == value),
            )


def _is_apart(value: float, low: float, high: float) -> bool:
    """Check whether a number is far above the others, or the only negative one.

    Some programs store yes as -1 and no as 0, so -1 among zeros is a flag.
    """
    if value < 0:
        return low >= 0 and high > 0
    return low >= 0 and value - high > FAR * (high - low) and high > 0


@check("LC123", "A column of text looks like numbers or times.")
def unread_column(tables: ReadTables) -> Iterator[Finding]:
    """Find attributes whose cells look like numbers or times but are read as text."""
    declared = {*tables.project.columns.category, *tables.project.columns.number}
    for column in tables.attributes():
        if tables.leads is None or not column.form.trouble or column.name in declared:
            continue
        if tables.is_private(tables.leads, column.name):
            continue
        yield Finding(
            tables.leads,
            f"Does {quote(column.name)} contain numbers or times?",
            f"In {quote(column.name)}, {column.form.trouble}. leadscore reads the column as text.",
            "If it does, correct the export, or write the format of the column under "
            "[leads.formats]. If it is text, list it in `category` or `ignore` of [columns].",
        )


def _columns(tables: ReadTables) -> Iterator[tuple[ReadTable, ColumnCells]]:
    """Yield the columns that leadscore reads: all of the leads, and those with a role."""
    rules = tables.project.columns
    for table in tables.tables.values():
        for name in table.raw.columns:
            is_read = name in table.role_of or (table.name == "leads" and name not in rules.ignore)
            if is_read:
                yield table, table.column(name)


def _raw_values(column: ColumnCells) -> Objects:
    """Return the distinct texts of a column as they are written, white space included."""
    cells = column.cells
    is_text = cells.dtype == object or str(cells.dtype) == "str"
    if not is_text:
        return column.distinct
    return np.array([v for v in cells.dropna().unique() if isinstance(v, str)], dtype=object)


def _examples(column: ColumnCells, rows: Bools) -> list[str]:
    return [str(column.values[code]) for code in dict.fromkeys(column.codes[rows]) if code >= 0][
        :SHOWN
    ]
