"""Builds small Excel workbooks for the tests."""

import datetime
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_FORMATS = {
    "€": '#,##0.00\\ "€"',
    "$": "[$$-409]#,##0.00",
    "CHF": "[$CHF-807] #,##0.00",
    "zeros": "00000",
    "%": "0.0%",
}
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><numFmts count="5">'
    + "".join(
        f'<numFmt numFmtId="{164 + i}" formatCode={quoteattr(code)}/>'
        for i, code in enumerate(_FORMATS.values())
    )
    + '</numFmts><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="7"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/>'
    '<xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="167"/>'
    '<xf numFmtId="168"/>'
    "</cellXfs></styleSheet>"
)


class Money(NamedTuple):
    """A number whose format shows a currency (€, $ or CHF), percent, or five digits ("zeros")."""

    amount: float
    currency: str


class Unsaved(NamedTuple):
    """A formula without a saved result, or with the result that a program wrote instead."""

    formula: str
    result: str | None = None


def workbook(
    sheets: Mapping[str, Sequence[Sequence[Any]]],
    hidden: Sequence[str] = (),
    merged: Sequence[str] = (),
    recalculated: bool = False,
    hidden_rows: Sequence[int] = (),
) -> bytes:
    """Return the bytes of an .xlsx file.

    A cell is a number, text, truth value, time, `Money`, `Unsaved` or None. `merged` are ranges of
    every sheet. `recalculated` means that Excel shall compute all formulas when it opens the file.
    """
    content = io.BytesIO()
    listed, related, typed = "", "", ""
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, (name, rows) in enumerate(sheets.items(), start=1):
            state = ' state="hidden"' if name in hidden else ""
            listed += f'<sheet name={quoteattr(name)} sheetId="{i}"{state} r:id="r{i}"/>'
            related += (
                f'<Relationship Id="r{i}" Type="{_OFFICE}/worksheet" Target="worksheets/s{i}.xml"/>'
            )
            archive.writestr(f"xl/worksheets/s{i}.xml", _sheet(rows, merged, hidden_rows))
        related += f'<Relationship Id="r0" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        typed = '<Default Extension="xml" ContentType="application/xml"/>'
        archive.writestr(
            "[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{typed}</Types>'
        )
        main = f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{main}</Relationships>',
        )
        archive.writestr("xl/styles.xml", _STYLES)
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{related}</Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets>'
            + ('<calcPr fullCalcOnLoad="1"/>' if recalculated else "")
            + "</workbook>",
        )
    return content.getvalue()


def _sheet(rows: Sequence[Sequence[Any]], merged: Sequence[str], hidden: Sequence[int]) -> str:
    xml = f'<worksheet xmlns="{_MAIN}"><sheetData>'
    for number, row in enumerate(rows, start=1):
        cells = "".join(_cell(f"{chr(65 + i)}{number}", cell) for i, cell in enumerate(row))
        state = ' hidden="1"' if number in hidden else ""
        xml += f'<row r="{number}"{state}>{cells}</row>' if cells else ""
    ranges = "".join(f'<mergeCell ref="{place}"/>' for place in merged)
    return f"{xml}</sheetData>{f'<mergeCells>{ranges}</mergeCells>' if merged else ''}</worksheet>"


def _cell(place: str, cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Money):
        style = 2 + [*_FORMATS].index(cell.currency)
        return f'<c r="{place}" s="{style}"><v>{cell.amount!r}</v></c>'
    if isinstance(cell, Unsaved):
        value = "<v/>" if cell.result is None else f"<v>{cell.result}</v>"
        return f'<c r="{place}"><f>{escape(cell.formula)}</f>{value}</c>'
    if isinstance(cell, bool):
        return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, datetime.datetime):
        days = (cell - datetime.datetime(1899, 12, 30)) / datetime.timedelta(days=1)  # noqa: DTZ001
        return f'<c r="{place}" s="1"><v>{days!r}</v></c>'
    if isinstance(cell, int | float):
        return f'<c r="{place}"><v>{cell!r}</v></c>'
    if cell.startswith("#"):
        return f'<c r="{place}" t="e"><v>{cell}</v></c>'
    if cell.startswith("="):
        return f'<c r="{place}"><f>{escape(cell[1:])}</f><v>7</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
