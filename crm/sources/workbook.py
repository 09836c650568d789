"""Reads a sheet of an Excel workbook (.xlsx)."""

import datetime
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import python_calamine as calamine

from crm.cells import cell_text
from crm.errors import ConfigError, SourceError
from crm.project import TableKeys
from crm.sources.checks import check_header
from crm.sources.containers import seekable
from crm.sources.findings import ABOVE, BLANK, Findings
from crm.sources.header_line import check_header_line
from crm.sources.json_lines import typed_table
from crm.sources.layout import HEAD_ROWS, Row, find_header
from crm.sources.not_records import RowJudge
from crm.sources.rows import Rows
from crm.sources.sheet_cells import SheetCells
from crm.sources.sheet_xml import read_sheet_xml
from crm.sources.source_file import SourceFile
from crm.suggest import nearest
from crm.text import listed, quote

MIDNIGHT: Final = datetime.time()


def iter_workbook(file: SourceFile, keys: TableKeys, findings: Findings) -> Iterator[Rows]:
    """Read a sheet of a workbook, and add the rows that are not records to `findings`.

    Cells have the types of the sheet: numbers, times, truth values and text. Formulas have the
    values that were last computed. Empty cells and errors, such as #N/A, are missing. A note names
    each column in which a value would be lost (`crm.sources.sheet_cells`).

    Parameters
    ----------
    file : SourceFile
    keys : TableKeys
        `sheet` is the name of the sheet. By default the only one that is visible and not empty.
    findings : Findings
        Rows have their numbers in the sheet.

    Raises
    ------
    ConfigError
        If the workbook has no sheet with this name.
    SourceError
        If the workbook cannot be read, or several sheets contain a table.
    SchemaError
        If the header is not usable, or dates or ids of a column with a role were damaged.
    """
    with file.open() as raw:
        try:
            with calamine.CalamineWorkbook.from_filelike(raw) as workbook:
                sheet = _choose_sheet(file.name, workbook, keys.sheet, findings)
                merged = workbook.get_sheet_by_name(sheet).merged_cell_ranges or ()
                cells = _cells(workbook, sheet)
        except calamine.CalamineError as error:
            raise SourceError(
                f"{file.name} cannot be read as a workbook: {str(error)[:200]}. "
                "Save or copy it again."
            ) from None
    filled = [i for i, row in enumerate(cells) if any(cell is not None for cell in row)]
    if not filled:
        raise SourceError(f"{file.name} is empty. Expected a header and rows.")
    head = [
        Row([cell_text(cell) or "" for cell in cells[i]], i + 1, i + 2) for i in filled[:HEAD_ROWS]
    ]
    position = find_header(head)
    check_header_line(file.name, head, position, "row")
    start = filled[position]
    if position:
        findings.leave_out(ABOVE, [i + 1 for i in filled[:position]])
    blank = sorted({*range(start + 1, filled[-1])} - {*filled})
    if blank:
        findings.leave_out(BLANK, [i + 1 for i in blank])
    body = [i for i in filled if i > start]
    header = head[position].cells
    used = [
        k
        for k, column in enumerate(header)
        if column.strip() or any(cells[i][k] is not None for i in body)
    ]
    names = check_header(file.name, [header[k] for k in used], findings)
    with file.open() as raw:
        xml = read_sheet_xml(seekable(raw), sheet)
    columns = dict(zip(used, names, strict=True))
    SheetCells(file.name, cells, body, columns, xml, merged).repair(keys, findings)
    table = typed_table([[cells[i][k] for k in used] for i in body], names)
    numbers = [i + 1 for i in body]
    above = {start, *filled}
    gaps = {row for row, i in enumerate(body) if i - 1 not in above}
    judge = RowJudge([header[k] for k in used], table)
    keep = judge.records(table, lambda: numbers, findings, is_first=True, is_last=True, gaps=gaps)
    kept = np.flatnonzero(keep).tolist()  # without its total, a column may have a type
    table = typed_table([[cells[body[row]][k] for k in used] for row in kept], names)
    yield Rows(table, lambda: [numbers[row] for row in kept])


def _choose_sheet(
    name: str, workbook: calamine.CalamineWorkbook, sheet: str | None, findings: Findings
) -> str:
    visible = [
        about.name
        for about in workbook.sheets_metadata
        if about.typ == calamine.SheetTypeEnum.WorkSheet
        and about.visible == calamine.SheetVisibleEnum.Visible
    ]
    if sheet is not None:
        if sheet not in workbook.sheet_names:
            raise ConfigError(
                f"{name} has no sheet {quote(sheet)}. {nearest(sheet, workbook.sheet_names)}"
            )
        return sheet
    filled = [title for title in visible if workbook.get_sheet_by_name(title).end is not None]
    if len(filled) > 1:
        lines = " or ".join(f"`sheet = {quote(title)}`" for title in filled[:2])
        raise SourceError(
            f"{name} has {len(filled):,} sheets with cells: {listed(filled)}. "
            f"Name one in the project file, such as {lines}. For `leadscore init` and `leadscore "
            f"score`, write `{name}#{filled[0]}`."
        )
    if not filled:
        raise SourceError(f"{name} has no visible sheet with cells. Expected a header and rows.")
    hidden = [title for title in workbook.sheet_names if title not in visible]
    if hidden:
        findings.note(
            f"the sheet {quote(filled[0])} is read; hidden sheets are not: {listed(hidden)}."
        )
    return filled[0]


def _cells(workbook: calamine.CalamineWorkbook, sheet: str) -> list[list[Any]]:
    rows = workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    return [[_cell(cell) for cell in row] for row in rows]


def _cell(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, datetime.datetime):
        return cell
    if isinstance(cell, datetime.date):
        return datetime.datetime.combine(cell, MIDNIGHT)
    if isinstance(cell, datetime.time | datetime.timedelta):
        return str(cell)
    return cell
