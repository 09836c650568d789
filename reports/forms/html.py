"""Writes a report as one HTML file that opens from disk, with all pages, charts and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup

from reports.content import Column, Figure, Page, Report, Row
from reports.forms.about import about_of, notes_of, part_of, stamp_of
from reports.forms.cells import WORDS, cell_of
from reports.forms.drawings import Drawing
from reports.forms.html_page import document, isolated, name, render, static, with_code
from reports.forms.script import script
from reports.text import MOST_CHARACTERS, printable

MOST_BYTES = 3_000_000
MOST_ROWS = 30  # of a table on a page; the CSV file contains all
SHORT = 8  # rows of a table that is printed on one sheet
MOST_AT_ONCE = 12  # rows of a long table that are not folded
SPARE_BYTES = 100_000  # for markup around the charts
STACKED = 5  # if one column in 5 is prose, the cells of a row are stacked on a narrow screen
MOST_ON_SHEET = 15
ROWS_AT_FULL_SIZE = 30  # of all tables on a sheet; more are printed smaller, so that they fit


@dataclass(frozen=True)
class ChartOnPage:
    """The forms in which a page contains a chart.

    Attributes
    ----------
    still : Markup
        The picture. If it is empty, the page links to the picture's file.
    live : Markup
        The specification from which the script draws the chart. If it is empty, the picture stays.
    """

    still: Markup = Markup()
    live: Markup = Markup()


def html_of(report: Report, drawings: Mapping[str, Drawing]) -> str:
    """Write the whole report as one file of at most 3 MB.

    Each chart is a picture at first. A script redraws the charts in sight from their
    specifications, so that they fit the screen and respond to the pointer. If the file would be
    too large, the last charts stay pictures or become links to pictures.

    Parameters
    ----------
    report : Report
    drawings : mapping of str to Drawing
        The result of `reports.forms.drawings.draw`: the drawings by the name of their figure.
    """
    without_charts = _document(report, dict.fromkeys(drawings, ChartOnPage()))
    room = MOST_BYTES - SPARE_BYTES - len(without_charts.encode())
    return _document(report, _fitting(drawings, room))


def _document(report: Report, charts: Mapping[str, ChartOnPage]) -> str:
    body = _body(
        "report.html.j2", report, charts, defined={str(metric["name"]) for metric in report.metrics}
    )
    title = f"{printable(report.name, 60)}: report"
    return document(title, ["page.css", "report.css"], body, static("early.js"), script())


def _body(
    template: str, report: Report, charts: Mapping[str, ChartOnPage], **values: object
) -> Markup:
    return render(
        template,
        report=report,
        stamp=stamp_of(report),
        only_leads=part_of(report.about),
        about=about_of(report.about),
        notes=notes_of(report.about),
        charts=charts,
        cells=_cells,
        columns_of_words=_columns_of_words,
        stacked_titles=_stacked_titles,
        is_short=_is_short,
        most_at_once=MOST_AT_ONCE,
        **values,
    )


def _fitting(drawings: Mapping[str, Drawing], room: int) -> dict[str, ChartOnPage]:
    """Choose the pictures, then the specifications, that fit into `room` bytes, in order."""
    charts = {}
    for figure, drawing in drawings.items():
        still = (
            Markup(drawing.svg)
            if drawing.is_light
            else Markup('<img alt="" src="{}" loading="lazy">').format(drawing.png_address)
        )
        size = len(still.encode())
        if size <= room:
            charts[figure] = ChartOnPage(still)
            room -= size
        else:
            charts[figure] = ChartOnPage()
    for figure, drawing in drawings.items():
        live = Markup(for_script(drawing.specification))
        size = len(live.encode())
        if charts[figure].still and size <= room:
            charts[figure] = replace(charts[figure], live=live)
            room -= size
    return charts


def sheet_of(report: Report, page: Page) -> str:
    """Write one page alone, without scripts and definitions, to be printed on one sheet."""
    # A sheet has room for short tables only; the report contains the charts of long ones.
    alone = replace(
        page,
        takeaways=tuple(replace(takeaway, figure="") for takeaway in page.takeaways),
        sections=tuple(
            replace(part, figures=tuple(f for f in part.figures if not _is_long_chart(f)))
            for part in page.sections
        ),
        changed=(),
    )
    rows = sum(len(figure.rows) for part in alone.sections for figure in part.figures)
    zoom = min(1.0, ROWS_AT_FULL_SIZE / max(rows, 1))
    title = f"{printable(report.name, 60)}: {printable(page.title, 60)}"
    body = _body("sheet.html.j2", report, {}, defined=set(), page=alone, zoom=zoom)
    return document(title, ["page.css", "report.css", "sheet.css"], body)


def _is_long_chart(figure: Figure) -> bool:
    return figure.chart is not None and len(figure.rows) > MOST_ON_SHEET


def for_script(text: str) -> str:
    r"""Make JSON harmless within a script element: it can neither end it nor begin a comment.

    Examples
    --------
    >>> for_script('["</script>&\u2028"]')
    '["\\u003c/script\\u003e\\u0026\\u2028"]'
    """
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _is_short(figure: Figure) -> bool:
    return len(figure.rows) <= SHORT


def _columns_of_words(figure: Figure) -> list[int]:
    return [i for i, column in enumerate(figure.columns) if column.form in WORDS]


def _stacked_titles(figure: Figure) -> list[str]:
    """Return the titles of the columns, if many of them are too wide for a narrow screen."""
    wide = sum(column.form == "prose" for column in figure.columns)
    many = wide and STACKED * wide >= len(figure.columns)
    return [printable(column.title, 80) for column in figure.columns] if many else []


def _cells(figure: Figure) -> list[list[object]]:
    return [
        [_cell(figure, row, column) for column in figure.columns] for row in figure.rows[:MOST_ROWS]
    ]


def _cell(figure: Figure, row: Row, column: Column) -> object:
    value = row.get(column.key)
    text = cell_of(figure, row, column)
    if column.form == "prose" and isinstance(value, str):
        return isolated(with_code(text))
    is_name = column.form == "text" and isinstance(value, str)
    return name(text, MOST_CHARACTERS) if is_name else text
