"""Finds cells of a sheet that would be lost or misread, repairs some of them, and adds notes.

Such cells are: errors, formulas without a saved result, merged cells, amounts in several
currencies, percentages beside other numbers, dates of which Excel has converted only some, and ids
that have lost digits.
"""

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from crm.cells import cell_text
from crm.errors import SchemaError
from crm.formats.columns import number_reader
from crm.formats.numbers import PERCENT, number_parts
from crm.lead_ids import has_lost_digits
from crm.left_out import listed_lines
from crm.project import TableKeys
from crm.sources.findings import Findings
from crm.sources.sheet_xml import SheetXml
from crm.tables import TABLES
from crm.text import counted, listed, quote

ERRORS: Final = frozenset(
    ("#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#GETTING_DATA")
    + ("#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!")
)
MOSTLY: Final = 0.5
HALF_SHARE: Final = 0.05  # the least share of dates, and of texts, in a half converted column
SHOWN: Final = 3
MONTHS: Final = 12
DAYS: Final = 31
_COMMA: Final = re.compile(r"\d,\d")
_DAY: Final = re.compile(r"\s*\d{1,4}\s?([./-])\s?\d{1,2}\s?\1\s?\d{1,4}\b.*")

Range = tuple[tuple[int, int], tuple[int, int]]


@dataclass
class SheetCells:
    """The cells of a sheet, with its columns and the facts from its XML.

    Attributes
    ----------
    file : str
    cells : list of list
        The rows of the sheet; None if a cell is empty.
    body : list of int
        The rows below the header that have cells, from 0.
    names : dict of int to str
        The name of each column that is used, by its position.
    xml : SheetXml
    merged : sequence
        The ranges of merged cells: first and last row and column, from 0.
    """

    file: str
    cells: list[list[Any]]
    body: list[int]
    names: dict[int, str]
    xml: SheetXml
    merged: Sequence[Range]

    def repair(self, keys: TableKeys, findings: Findings) -> None:
        """Change cells whose value would be lost, and add a note for each column.

        Raises
        ------
        SchemaError
            If Excel has converted only some dates of a column with a role, or if ids of leads
            repeat because they have lost digits.
        """
        needed = _needed_times(keys, findings.table)
        for column, name in self.names.items():
            self._note_unsaved(column, name, findings)
            self._remove_errors(column, name, name in needed, findings)
            self._add_currencies(column, findings)
            self._add_percent_signs(column, name, keys, findings)
            self._add_zeros(column, name, findings)
            self._check_dates(column, name, keys, findings)
            self._keep_long_numbers(column, name, keys, findings)
        self._note_merged(findings)
        hidden = sorted({*self.xml.hidden} & {*self.body})
        if hidden:
            verb = "is" if len(hidden) == 1 else "are"
            findings.note(
                f"{counted(len(hidden), 'hidden row')} ({_places(hidden)}) {verb} read too. Delete "
                "them if they do not belong to the table."
            )

    def _note_unsaved(self, column: int, name: str, findings: Findings) -> None:
        rows = sorted({*self.xml.unsaved.get(column, ())} & {*self.body})
        for row in rows:
            self.cells[row][column] = None
        if rows:
            findings.note(
                f"{counted(len(rows), 'cell')} of {quote(name)} ({_places(rows)}) "
                f"{'is a formula' if len(rows) == 1 else 'are formulas'} without a saved result, "
                "and count as empty. Open the file in Excel, save it, and use the saved file."
            )

    def _remove_errors(self, column: int, name: str, is_needed: bool, findings: Findings) -> None:
        typed = self.xml.errors.get(column, {})
        errors = {
            row: typed.get(row) or str(self.cells[row][column])
            for row in self.body
            if row in typed or self.cells[row][column] in ERRORS
        }
        if not errors:
            return
        rows = [*errors]
        for row, error in errors.items():  # a later message shows errors in needed times
            self.cells[row][column] = error if is_needed else None
        kinds = [*dict.fromkeys(errors.values())]
        verb = "is an error" if len(rows) == 1 else "are errors"
        findings.note(
            f"{counted(len(rows), 'cell')} of {quote(name)} ({_places(rows)}) {verb} of Excel "
            f"({', '.join(kinds)}), and {'counts' if len(rows) == 1 else 'count'} as "
            f"empty. Correct the formulas, or clear the cells if they mean nothing."
        )

    def _add_currencies(self, column: int, findings: Findings) -> None:
        """Write the currency behind each number, if the formats of a column show several."""
        currencies = self.xml.currencies.get(column, {})
        rows = [row for row in self.body if _is_number(self.cells[row][column])]
        counts = Counter(currencies.get(row, "") for row in rows)
        if sum(bool(currency) for currency in counts) < 2:
            return
        for row in rows:
            amount = float(self.cells[row][column])
            digits = f"{amount:.2f}" if round(amount, 2) == amount else f"{amount:.4f}"
            self.cells[row][column] = f"{digits} {currencies.get(row, '')}".strip()
        found = ", ".join(f"{currency or 'none'} ({n:,})" for currency, n in counts.items())
        findings.note(
            f"the formats of the numbers of {quote(self.names[column])} have several currencies: "
            f"{found}. The currency is read as a part of each cell."
        )

    def _add_percent_signs(
        self, column: int, name: str, keys: TableKeys, findings: Findings
    ) -> None:
        """Replace numbers such as 0.285 by the text that their format shows, such as 28.5%.

        This is done in a column whose declared format has a percent sign. Without a declared
        format, it is done if the column has other numbers too: text such as 28.5%, or numbers such
        as 28.5 without a format of percentages. If all numbers have such a format, they stay
        fractions.
        """
        percentages = self.xml.percentages.get(column, set())
        cells = {row: self.cells[row][column] for row in self.body}
        rows = [row for row, cell in cells.items() if row in percentages and _is_number(cell)]
        if not rows:
            return
        others = [cell for row, cell in cells.items() if row not in percentages]
        texts = [cell for cell in others if isinstance(cell, str) and number_parts(cell)]
        large = [cell for cell in others if _is_number(cell) and abs(cell) > 1]
        declared = keys.formats.get(name)
        decimal = "," if any(_COMMA.search(text) for text in texts) else "."
        if declared is not None:
            form = number_reader(declared)
            if form.unit != PERCENT:
                return
            decimal = form.decimal or "."
        elif not texts and len(large) < max(1, HALF_SHARE * (len(rows) + len(large))):
            return
        for row in rows:
            self.cells[row][column] = _percentage(cells[row]).replace(".", decimal)
        if declared is None:
            findings.note(
                f"{quote(name)} contains {counted(len(rows), 'number')} with a format of "
                f"percentages ({_places(rows)}) and {counted(len(texts) + len(large), 'number')} "
                "without. The percent sign is read as a part of each cell."
            )

    def _add_zeros(self, column: int, name: str, findings: Findings) -> None:
        """Write numbers with the zeros before them that their format shows, as in postal codes."""
        widths = self.xml.widths.get(column, {})
        rows = [row for row in self.body if row in widths and _is_number(self.cells[row][column])]
        texts = {row: f"{int(self.cells[row][column]):0{widths[row]}d}" for row in rows}
        example = next((text for text in texts.values() if text.startswith("0")), None)
        if example is None:
            return
        for row, text in texts.items():
            self.cells[row][column] = text
        findings.note(
            f"{quote(name)} is read with the zeros that the formats of its cells show, such as "
            f"{quote(example)}."
        )

    def _check_dates(self, column: int, name: str, keys: TableKeys, findings: Findings) -> None:
        """Check for a column of which Excel has converted some dates and left others as text."""
        cells = [(row, self.cells[row][column]) for row in self.body]
        filled = [(row, cell) for row, cell in cells if cell is not None]
        typed = [(row, cell) for row, cell in filled if isinstance(cell, datetime.datetime)]
        texts = [(r, cell) for r, cell in filled if isinstance(cell, str) and _DAY.fullmatch(cell)]
        if min(len(typed), len(texts)) < max(1, HALF_SHARE * len(filled)):
            return
        (first_row, first), (text_row, text) = typed[0], texts[0]
        sentence = (
            f"{quote(name)} mixes {counted(len(typed), 'date')} (row {first_row + 1:,}: "
            f"{first:%Y-%m-%d %H:%M}) and {counted(len(texts), 'text')} such as {quote(text)} "
            f"(row {text_row + 1:,}). Excel does this if it opens dates in a foreign order: in the "
            f"cells that became dates, day and month may be exchanged{_evidence(typed, texts)}"
        )
        if name in keys.formats:
            findings.note(
                f"{sentence}. The dates are read as they are, and the texts in the format that the "
                "project file declares."
            )
            return
        role = next((r for r in _time_roles(findings.table) if keys.column_of(r) == name), None)
        if role is None:
            findings.note(
                f"CHECK: {sentence}. Export the table again, and do not open the export in Excel."
            )
            return
        raise SchemaError(
            self.file,
            [
                f"{sentence}. Export the table again as CSV, and do not open the CSV in Excel. "
                f"If the dates are right, write the format of the texts under "
                f'[{findings.table}.formats], such as {quote(name)} = "%m/%d/%Y %H:%M".'
            ],
        )

    def _keep_long_numbers(
        self, column: int, name: str, keys: TableKeys, findings: Findings
    ) -> None:
        """Turn whole numbers of 16 digits and more into text: they are ids, not amounts."""
        digits = self.xml.long.get(column, {})
        numbers = [(row, self.cells[row][column]) for row in self.body]
        numbers = [(row, cell) for row, cell in numbers if _is_number(cell)]
        long = [row for row, _ in numbers if row in digits]
        if len(long) < max(1, MOSTLY * len(numbers)):
            return
        for row, cell in numbers:
            self.cells[row][column] = digits.get(row) or cell_text(cell)
        texts = [str(self.cells[row][column]) for row in long]
        if sum(has_lost_digits(text.lstrip("-")) for text in texts) < MOSTLY * len(texts):
            return
        repeated = [text for text, n in Counter(texts).items() if n > 1]
        sentence = (
            f"{quote(name)} contains numbers of more than 15 digits, such as {texts[0]} (row "
            f"{long[0] + 1:,}). Excel keeps 15 digits, and other programs keep 16 or 17, so these "
            "ids have lost their last digits"
        )
        if findings.table == "leads" and keys.column_of("lead_id") == name and repeated:
            raise SchemaError(
                self.file,
                [
                    f"{sentence}, and different leads have the same id: "
                    f"{listed(repeated[:SHOWN])}. Export the table again as CSV, and do not open "
                    "the CSV in Excel, or format the column as text before the ids are entered."
                ],
            )
        findings.note(
            f"CHECK: {sentence}. They do not match the ids of other tables, and different leads "
            "may have the same id. They are read as text. Export the table again as CSV, and do "
            "not open the CSV in Excel."
        )

    def _note_merged(self, findings: Findings) -> None:
        body = {*self.body}
        inside = [
            (first, last)
            for first, last in self.merged
            if first[0] != last[0] and {*range(first[0] + 1, last[0] + 1)} & body
        ]
        if not inside:
            return
        n_cells = sum((b[0] - a[0] + 1) * (b[1] - a[1] + 1) - 1 for a, b in inside)
        shown = ", ".join(f"{_place(*a)}:{_place(*b)}" for a, b in inside[:SHOWN])
        more = ", …" if len(inside) > SHOWN else ""
        findings.note(
            f"{counted(len(inside), 'range')} of cells {'is' if len(inside) == 1 else 'are'} "
            f"merged: {shown}{more}. Only the first cell of each has the value. The others "
            f"({counted(n_cells, 'cell')}) count as empty. Unmerge the cells and fill them."
        )


def _evidence(
    typed: Sequence[tuple[int, datetime.datetime]], texts: Sequence[tuple[int, str]]
) -> str:
    """Return the evidence that day and month were exchanged in all dates; "" if there is none."""
    days = [[int(n) for n in re.findall(r"\d+", text)[:3] if int(n) <= DAYS] for _, text in texts]
    is_large = [max(numbers, default=0) > MONTHS for numbers in days]
    if len(typed) > 1 and all(is_large) and all(day.day <= MONTHS for _, day in typed):
        return f": no date has a day above {MONTHS}, and every text has a larger number"
    return ""


def _percentage(fraction: float) -> str:
    """Return a fraction as a percentage.

    Examples
    --------
    >>> _percentage(0.285), _percentage(1), _percentage(1e-7)
    ('28.5%', '100%', '0.00001%')
    """
    digits = f"{Decimal(repr(fraction)) * 100:f}"
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}{PERCENT}"


def _needed_times(keys: TableKeys, table: str) -> set[str]:
    """Return the columns with the times that every row of a table needs."""
    needed = ("created_at", "occurred_at", "entered_at")
    return {column for role in needed if (column := keys.column_of(role)) is not None}


def _time_roles(table: str) -> list[str]:
    roles = [*TABLES[table].file_columns] if table in TABLES else []
    roles += [*TABLES["outcomes"].file_columns]
    return [role.name for role in roles if role.kind == "time"]


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _places(rows: Sequence[int]) -> str:
    unit = "row" if len(rows) == 1 else "rows"
    return f"{unit} {listed_lines([row + 1 for row in rows], len(rows))}"


def _place(row: int, column: int) -> str:
    """Return the name of a cell.

    Examples
    --------
    >>> _place(1, 2), _place(0, 27)
    ('C2', 'AB1')
    """
    letters = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"
