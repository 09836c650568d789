"""A report as one HTML file that opens from disk: every page, chart and number in it."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reports.content import Column, Figure, Page, Report, Row, Section, Takeaway
from reports.forms.about import about_of, notes_of
from reports.forms.cells import WORDS, sentence, written
from reports.forms.drawings import Drawing
from reports.forms.html_page import (
    STYLE,
    Html,
    bullets,
    facts,
    join,
    more,
    name,
    paragraph,
    table,
    to_html,
    whole,
)
from reports.forms.script import EARLY, script
from reports.forms.style import REPORT_STYLE, SHEET_STYLE
from reports.text import MOST_CHARACTERS, MOST_PROSE, printable

MOST_BYTES = 3_000_000
MOST_ROWS = 30  # of a table on a page; the CSV has all
SHORT = 8  # rows of a table that is printed on one sheet
MOST_AT_ONCE = 12  # of them before the others are folded away
SPARE_BYTES = 100_000  # for what is counted late
MOST_ON_SHEET = 15
ROWS_AT_FULL_SIZE = 30  # of all tables on a sheet; more are printed smaller, so that they fit
DEFINITIONS = "definitions"
SAME = "The same as a file: "
ARROWS = "The arrow keys read its points."
SHEET = "service-levels"  # the slug of the page that is a print form too


def html_of(report: Report, drawings: Mapping[str, Drawing]) -> str:
    """Write the whole report as one file of at most 3 MB.

    The charts come first as pictures; a script redraws those in sight from their
    specifications, so that they fit the screen and answer to the pointer. Where all of it
    would not fit into the file, the last charts stay pictures, or are links to them.

    Parameters
    ----------
    report : Report
    drawings : mapping of str to Drawing
        By the figure's name (`reports.forms.drawings.draw`).
    """
    late = script()
    bare = [_page(page, report, {name: Shown() for name in drawings}) for page in report.pages]
    room = MOST_BYTES - SPARE_BYTES - sum(len(text.encode()) for text in (late, *bare))
    charts = _fitting(drawings, room)
    pages = [_page(page, report, charts, is_first=i == 0) for i, page in enumerate(report.pages)]
    pages.append(_definitions(report.metrics))
    titles = {page.slug: printable(page.title, 60) for page in report.pages}
    links = "".join(
        f'<li><a href="#{html.escape(slug)}">{to_html(title)}</a></li>'
        for slug, title in {**titles, DEFINITIONS: "Definitions"}.items()
    )
    body = join(
        [
            Html('<a class="skip" href="#content">To the content</a>'),
            Html(f"<header>{_header(report)}</header>"),
            Html(f'<nav aria-label="Pages"><ul>{links}</ul></nav>'),
            Html(f'<main id="content" tabindex="-1">{join(pages)}</main>'),
            Html(f"<footer>{_footer()}</footer>"),
            Html('<div id="told" role="status" hidden></div>'),
        ]
    )
    return whole(f"{printable(report.name, 60)}: report", STYLE + REPORT_STYLE, body, EARLY, late)


@dataclass(frozen=True)
class Shown:
    """What of a drawing is on the page; without a picture, a link to it."""

    still: str = ""
    live: str = ""


def _fitting(drawings: Mapping[str, Drawing], room: int) -> dict[str, Shown]:
    """Choose what fits into so many bytes: pictures first, then specifications, in order."""
    charts = {}
    for each, drawing in drawings.items():
        still = (
            drawing.svg
            if drawing.is_light
            else f'<img alt="" src="{drawing.png_address}" loading="lazy">'
        )
        size = len(still.encode())
        charts[each] = Shown(still) if size <= room else Shown()
        room -= size if size <= room else 0
    for each, drawing in drawings.items():
        live = for_script(drawing.specification)
        size = len(live.encode())
        if charts[each].still and size <= room:
            charts[each] = replace(charts[each], live=live)
            room -= size
    return charts


def sheet_of(report: Report, page: Page) -> str:
    """Write one page alone, without a script and definitions, to be printed on one sheet."""
    # One sheet has room for the numbers of short tables; the chart of a long one is in the report.
    alone = replace(
        page,
        takeaways=tuple(replace(each, figure="") for each in page.takeaways),
        sections=tuple(
            replace(part, figures=tuple(f for f in part.figures if not _is_long_chart(f)))
            for part in page.sections
        ),
        changed=(),
    )
    body = join(
        [
            Html(f"<header>{_header(report)}</header>"),
            Html(f"<main>{_page(alone, report, {}, links=False)}</main>"),
            Html(
                '<footer class="signed"><p>Agreed for marketing: <span></span></p>'
                "<p>Agreed for sales: <span></span></p><p>On: <span></span></p></footer>"
            ),
        ]
    )
    title = f"{printable(report.name, 60)}: {printable(page.title, 60)}"
    rows = sum(len(figure.rows) for part in alone.sections for figure in part.figures)
    size = min(1.0, ROWS_AT_FULL_SIZE / max(rows, 1))
    smaller = f"@media print {{ main {{ zoom: {size:.2f}; }} }}"
    return whole(title, STYLE + REPORT_STYLE + SHEET_STYLE + smaller, body)


def _is_long_chart(figure: Figure) -> bool:
    return figure.chart is not None and len(figure.rows) > MOST_ON_SHEET


def for_script(text: str) -> str:
    r"""Make JSON harmless within a script element: it cannot end it or begin a comment.

    Examples
    --------
    >>> for_script('["</script>&\u2028"]')
    '["\\u003c/script\\u003e\\u0026\\u2028"]'
    """
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _header(report: Report) -> Html:
    simulated = "Simulated: made-up records. No figure here is about real leads."
    return join(
        [
            paragraph(simulated, kind="banner") if report.about.get("simulated") else "",
            Html(f"<h1>{name(report.name)}</h1>"),
            paragraph(f"As of {written(report.as_of, 'time')} UTC", kind="note"),
        ]
    )


def _footer() -> Html:
    return paragraph(
        "Every column of numbers has a definition; its heading leads there. All rows are in the "
        "folder ",
        Html("<code>csv</code>"),
        " beside this file, for machines in ",
        Html("<code>report.json</code>"),
        ".",
    )


def _page(
    page: Page,
    report: Report,
    charts: Mapping[str, Shown],
    is_first: bool = False,
    links: bool = True,
) -> Html:
    known = {str(metric["name"]) for metric in report.metrics} if links else set()
    slug = html.escape(page.slug)
    parts: list[object] = [
        Html(f'<h2 id="{slug}-title" tabindex="-1">{to_html(page.title)}</h2>'),
        paragraph(page.lead, kind="lead"),
        _about(report) if is_first else "",
        _takeaways(page.takeaways, known),
        *(_section(section, charts, known) for section in page.sections),
    ]
    if page.changed:
        parts += [Html("<h3>Since the last report</h3>"), bullets(page.changed)]
    opened = " is-open" if is_first else ""
    return Html(
        f'<article class="page{opened}" id="{slug}" aria-labelledby="{slug}-title">'
        f"{join(parts)}</article>"
    )


def _about(report: Report) -> Html:
    said = {label: name(text, 140) for label, text in about_of(report.about).items()}
    notes = notes_of(report.about)
    return join(
        [
            facts(said) if said else "",
            more(f"Notes on the data, {len(notes)}", bullets(notes)) if notes else "",
        ]
    )


def _takeaways(takeaways: Sequence[Takeaway], known: set[str]) -> Html:
    if not takeaways:
        return Html("")
    items = []
    for takeaway in takeaways:
        links = []
        if takeaway.figure:
            links.append(_link(f"fig-{takeaway.figure}", "see it"))
        if takeaway.metric in known:
            links.append(_link(f"metric-{takeaway.metric}", "how it is counted"))
        more_of_it = f" <small>{join(links, ' · ')}</small>" if links else ""
        items.append(Html(f"{to_html(printable(takeaway.sentence, MOST_PROSE))}{more_of_it}"))
    return Html(f'<div class="takeaways">{bullets(items)}</div>')


def _section(section: Section, charts: Mapping[str, Shown], known: set[str]) -> Html:
    top: list[object] = [
        Html(f"<h3>{to_html(section.heading)}</h3>"),
        *(paragraph(text) for text in section.paragraphs),
        paragraph(section.needs, kind="needs") if section.needs else "",
    ]
    figures = [_figure(figure, charts.get(figure.name), known) for figure in section.figures]
    kind = "top"
    if figures and (section.figures[0].name in charts or _is_short(section.figures[0])):
        kind = "whole"  # a heading is printed with its chart
        top.append(figures.pop(0))
    return Html(f'<div class="part"><div class="{kind}">{join(top)}</div>{join(figures)}</div>')


def _is_short(figure: Figure) -> bool:
    return len(figure.rows) <= SHORT


def _figure(figure: Figure, chart: Shown | None, known: set[str]) -> Html:
    anchor = html.escape(f"fig-{figure.name}")
    note = paragraph(figure.note, kind="note") if figure.note else Html("")
    if chart is None:
        kind = "alone short" if _is_short(figure) else "alone"
        return Html(
            f'<div class="{kind}" id="{anchor}"><p class="finding">{_finding(figure)}</p>'
            f"{join([note, _table(figure, known, is_alone=bool(known))])}</div>"
        )
    said = printable(f"{sentence(figure.finding)} {sentence(figure.about)}", 600)
    label = html.escape(said, quote=True)
    picture = (
        f'<div class="still" role="img" aria-label="{label}">{chart.still}</div>'
        if chart.still
        else f'<p class="note"><a href="pictures/{html.escape(figure.name)}.png">The chart</a></p>'
    )
    live = (
        f'<div class="live" role="img" tabindex="0" aria-label="{label} {ARROWS}"></div>'
        f'<script type="application/json">{chart.live}</script>'
        if chart.live
        else ""
    )
    rows = f"{len(figure.rows):,} row" + ("" if len(figure.rows) == 1 else "s")
    return Html(
        f'<figure id="{anchor}"{" data-live" if chart.live else ""}>'
        f"<figcaption>{_finding(figure)}</figcaption>"
        f"{picture}{live}{note}"
        f"{more(f'The numbers behind it, {rows}', _table(figure, known))}</figure>"
    )


def _finding(figure: Figure) -> Html:
    about = ""
    if figure.about:
        about = f"<span>{to_html(printable(sentence(figure.about), 300))}</span>"
    return Html(f"<strong>{to_html(printable(figure.finding, 300))}</strong>{about}")


def _table(figure: Figure, known: set[str], is_alone: bool = False) -> Html:
    header = [_heading(column, known) for column in figure.columns]
    texts = [i for i, column in enumerate(figure.columns) if column.form in WORDS]
    rows = [[_cell(row, column) for column in figure.columns] for row in figure.rows[:MOST_ROWS]]
    left = len(figure.rows) - len(rows)
    at_once, folded = rows, rows[:0]
    if is_alone and len(rows) > MOST_AT_ONCE + 3:
        at_once, folded = rows[:MOST_AT_ONCE], rows[MOST_AT_ONCE:]
    kind, said = ("note", f"{left:,} more rows are in ") if left else ("note same", SAME)
    whole_table = Html(
        f'<p class="{kind}">{said}'
        f'<a href="csv/{html.escape(figure.name)}.csv">{html.escape(figure.name)}.csv</a></p>'
    )
    caption = printable(f"{sentence(figure.finding)} {sentence(figure.about)}", 400)
    parts = [table(caption, header, at_once, texts)]
    if folded:
        parts.append(
            more(f"{len(folded)} more rows", table(f"{caption} More.", header, folded, texts))
        )
    return join([*parts, whole_table])


def _heading(column: Column, known: set[str]) -> Html:
    title = to_html(printable(column.title, 80))
    if column.metric not in known:
        return title
    return Html(f'<a href="#metric-{html.escape(column.metric)}">{title}</a>')


def _cell(row: Row, column: Column) -> object:
    value = row.get(column.key)
    text = written(value, column.form)
    is_name = column.form in ("text", "prose") and isinstance(value, str)
    return name(text, MOST_CHARACTERS) if is_name else text


def _link(anchor: str, text: str) -> Html:
    return Html(f'<a href="#{html.escape(anchor)}">{to_html(text)}</a>')


def _definitions(metrics: Sequence[Row]) -> Html:
    parts = []
    for metric in metrics:
        anchor = html.escape(f"metric-{metric['name']}")
        said = {
            label: sentence(metric[key])
            for key, label in (
                ("denominator", "Of"),
                ("window", "Window"),
                ("maturity", "Counted when"),
            )
            if metric.get(key)
        }
        parts.append(
            Html(
                f'<div class="part" id="{anchor}"><h3>{to_html(metric["title"])}</h3>'
                f"{paragraph(sentence(metric['definition']))}{facts(said) if said else ''}</div>"
            )
        )
    return Html(
        f'<article class="page" id="{DEFINITIONS}" aria-labelledby="{DEFINITIONS}-title">'
        f'<h2 id="{DEFINITIONS}-title" tabindex="-1">Definitions</h2>'
        f"{paragraph('How each number is counted, the same on every page.', kind='lead')}"
        f"{join(parts)}</article>"
    )
