"""Reads facts about the cells of a sheet that only the XML of the workbook contains.

These facts are: errors, formulas without a saved result, hidden rows, the currencies, percent signs
and leading zeros of number formats, and all digits of long numbers.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import PurePosixPath
from typing import BinaryIO, Final
from xml.etree import ElementTree

_CELL: Final = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_ROW: Final = re.compile(rb"<(?:\w+:)?row\b([^>]*?)(?:/>|>(.*?)</(?:\w+:)?row>)", re.DOTALL)
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f\b")
_VALUE: Final = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]*)<")
_PLACE: Final = re.compile(rb'\br="([A-Z]+)?(\d+)"')
_TYPE: Final = re.compile(rb'\bt="(\w+)"')
_LONG: Final = re.compile(rb"-?\d{16,}(?:\.0*)?|-?\d\.?\d*[eE]\+?(?:1[5-9]|[2-9]\d)")
_SPECIAL: Final = re.compile(rb'\bt="e"|>(?:' + _LONG.pattern + rb")<")
_STYLE: Final = re.compile(rb'\bs="(\d+)"')
_RECALCULATE: Final = re.compile(rb'\bfullCalcOnLoad="(?:1|true)"')
_HIDDEN: Final = re.compile(rb'\bhidden="(?:1|true)"')
_ZEROS: Final = re.compile("0{2,}")
_BUILT_IN: Final = {"9": "0%", "10": "0.00%"}  # formats that workbooks do not define
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_LOCALE: Final = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
_CURRENCY: Final = re.compile(r"[$€£¥₹₽₩₺₴₪฿₫₦]|\b[A-Z]{3}\b|zł|Kč|Ft|\bkr\b|Fr\.|R\$")


@dataclass
class SheetXml:
    """Facts about the cells of a sheet, from its XML.

    Attributes
    ----------
    unsaved : dict of int to list of int
        The rows of formulas without a saved result, by column; both from 0.
    currencies : dict of int to dict of int to str
        The currency that the format of a number shows, by column and row.
    errors : dict of int to dict of int to str
        The errors, such as #N/A, by column and row.
    long : dict of int to dict of int to str
        The digits of whole numbers with more than 15 digits, by column and row.
    widths : dict of int to dict of int to int
        The number of digits that a format with leading zeros shows, by column and row.
    percentages : dict of int to set of int
        The rows of numbers whose format shows 0.285 as 28.5%, by column.
    hidden : list of int
        The hidden rows, from 0.
    """

    unsaved: dict[int, list[int]] = field(default_factory=dict)
    currencies: dict[int, dict[int, str]] = field(default_factory=dict)
    errors: dict[int, dict[int, str]] = field(default_factory=dict)
    long: dict[int, dict[int, str]] = field(default_factory=dict)
    widths: dict[int, dict[int, int]] = field(default_factory=dict)
    percentages: dict[int, set[int]] = field(default_factory=dict)
    hidden: list[int] = field(default_factory=list)


def read_sheet_xml(file: BinaryIO, sheet: str) -> SheetXml:
    """Read the XML of a sheet.

    Parameters
    ----------
    file : binary file
        A workbook (.xlsx); it must be seekable.
    sheet : str
        The name of the sheet.

    Returns
    -------
    SheetXml
        Empty if the workbook is not built as expected.
    """
    found = SheetXml()
    with zipfile.ZipFile(file) as archive:
        try:
            main = archive.read("xl/workbook.xml")
            xml = archive.read(_path_of(archive, main, sheet))
            formats = _formats_of_styles(archive)
        except (KeyError, ElementTree.ParseError):
            return found
    currencies = {style: mark for style, code in formats.items() if (mark := currency_of(code))}
    widths = {style: len(code) for style, code in formats.items() if _ZEROS.fullmatch(code)}
    percentages = {style for style, code in formats.items() if is_percentage(code)}
    if _HIDDEN.search(xml):
        found.hidden = [row for row, attributes, _ in _rows(xml) if _HIDDEN.search(attributes)]
    has_formulas = _FORMULA.search(xml) is not None
    has_formats = bool(currencies or widths or percentages)
    if not has_formulas and not has_formats and _SPECIAL.search(xml) is None:
        return found
    zeros: dict[int, list[int]] = {}
    others: set[int] = set()
    for row, column, attributes, content in _cells(xml):
        style = _STYLE.search(attributes)
        number = int(style[1]) if style else 0
        currency = currencies.get(number)
        value = _VALUE.search(content)
        text = value[1].strip() if value else b""
        kind = _TYPE.search(attributes)
        if kind is not None and kind[1] == b"e":
            found.errors.setdefault(column, {})[row] = text.decode("utf-8", errors="replace")
        elif (kind is None or kind[1] == b"n") and _LONG.fullmatch(text):
            found.long.setdefault(column, {})[row] = str(int(Decimal(text.decode())))
        elif currency and text:
            found.currencies.setdefault(column, {})[row] = currency
        elif number in percentages and text:
            found.percentages.setdefault(column, set()).add(row)
        elif number in widths and text.isdigit():
            found.widths.setdefault(column, {})[row] = widths[number]
        if has_formulas and _FORMULA.search(content):
            if not text and (kind is None or kind[1] != b"str"):
                found.unsaved.setdefault(column, []).append(row)
            elif text == b"0":
                zeros.setdefault(column, []).append(row)
            else:
                others.add(column)
    if _RECALCULATE.search(main):  # some programs write 0 and leave the result to Excel
        for column in zeros.keys() - others:
            found.unsaved.setdefault(column, []).extend(zeros[column])
    return found


def _rows(xml: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number of each row, from 0, its attributes and its content."""
    row = -1
    for found in _ROW.finditer(xml):
        place = _PLACE.search(found[1])
        row = int(place[2]) - 1 if place else row + 1
        yield row, found[1], found[2] or b""


def _cells(xml: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield the row and the column of each cell, from 0, its attributes and its content."""
    for row, _, content in _rows(xml):
        column = -1
        for cell in _CELL.finditer(content):
            place = _PLACE.search(cell[1])
            column = _column(place[1]) if place and place[1] else column + 1
            yield row, column, cell[1], cell[2] or b""


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _path_of(archive: zipfile.ZipFile, main: bytes, sheet: str) -> str:
    """Return the path of the XML of a sheet; raise KeyError if there is none."""
    related = {
        element.get("Id"): element.get("Target", "")
        for element in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    }
    for element in ElementTree.fromstring(main).iter():
        if _local(element) == "sheet" and element.get("name") == sheet:
            ids = [value for key, value in element.attrib.items() if key.endswith("}id")]
            target = related[ids[0]] if ids else ""
            return (
                target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl", target))
            )
    raise KeyError(sheet)


def _formats_of_styles(archive: zipfile.ZipFile) -> dict[int, str]:
    """Return the number format of each style, except for built-in formats of other numbers."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    formats = _BUILT_IN | {
        element.get("numFmtId", ""): element.get("formatCode", "")
        for element in root.iter()
        if _local(element) == "numFmt"
    }
    styles = next((element for element in root if _local(element) == "cellXfs"), ())
    return {
        number: code
        for number, style in enumerate(styles)
        if (code := formats.get(style.get("numFmtId", "")))
    }


def currency_of(code: str) -> str:
    r"""Return the currency of a number format; empty text if the format does not show one.

    Examples
    --------
    >>> currency_of('#,##0.00\\ "€"'), currency_of("[$$-409]#,##0.00"), currency_of("[$CHF] 0.00")
    ('€', '$', 'CHF')
    >>> currency_of("[$-409]d-mmm-yy"), currency_of("0.00%")
    ('', '')
    """
    first = code.split(";")[0]
    marked = [mark for mark in _LOCALE.findall(first) if mark.strip()]
    if marked:
        return str(marked[0]).strip()
    plain = _LOCALE.sub("", first).replace("\\", "").replace('"', " ")
    found = _CURRENCY.search(re.sub(r"\[[^\]]*\]", "", plain))
    return found[0] if found else ""


def is_percentage(code: str) -> bool:
    r"""Check whether a number format multiplies by 100 and shows a percent sign.

    Examples
    --------
    >>> is_percentage("0.0%"), is_percentage('0.0" %"'), is_percentage("0.0\\%")
    (True, False, False)
    """
    return "%" in _LITERAL.sub("", code.split(";")[0])


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
