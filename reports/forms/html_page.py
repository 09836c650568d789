"""A page that stands alone: HTML with pictures in it, no network, no scripts but our own.

Every text is escaped and cut unless it is `Html`, which only this module's functions make
from texts; so what comes from data cannot become markup by an oversight.
"""

import base64
import hashlib
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from reports.forms.fonts import FAMILY, font_faces, register_font
from reports.text import MOST_PROSE, printable, visible

_FONT = f"'{FAMILY}', system-ui, sans-serif"


class Html(str):
    """Markup that was made here; everything else is text."""

    __slots__ = ()


@dataclass(frozen=True)
class Picture:
    """A chart as SVG, with its title and subtitle beside it as texts."""

    title: str
    subtitle: str
    svg: str


def picture_of(chart: alt.Chart | alt.LayerChart) -> Picture:
    """Draw a chart; its title becomes text, which wraps on a narrow screen."""
    register_font()
    title = chart.title
    file = io.StringIO()
    untitled(chart).save(file, format="svg")
    return Picture(str(title.text), str(title.subtitle), file.getvalue())


def untitled(chart: Any) -> Any:
    """Give a chart in the page's letters and without its title, which stands beside it."""
    bare = chart.copy(deep=True)
    bare.title = alt.Undefined
    bare = bare.configure(font=f"{FAMILY}, sans-serif").configure_axis(
        labelFontSize=14, titleFontSize=14, titleFontWeight="normal", labelFlush=False
    )
    return bare.configure_legend(labelFontSize=14).configure_view(stroke=None)


def to_html(part: object) -> Html:
    """Escape a text; markup stays as it is."""
    if isinstance(part, Html):
        return part
    text = str(part)
    if len(text) > MOST_PROSE:
        text = printable(text, MOST_PROSE)
    return Html(html.escape(visible(text)))


def name(text: object, most: int = 60) -> Html:
    """Mark up a name that comes from data, whatever its direction of writing."""
    return Html(f"<bdi>{html.escape(printable(text, most))}</bdi>")


def code(text: object) -> Html:
    """Mark up what is to be typed or compared letter by letter."""
    return Html(f"<code>{html.escape(printable(text, 300))}</code>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Put parts side by side."""
    return Html(html.escape(between).join(to_html(part) for part in parts))


def paragraph(*parts: object, kind: str = "") -> Html:
    """Make a paragraph, of a class of the style sheet if need be."""
    of_class = f' class="{html.escape(kind)}"' if kind else ""
    return Html(f"<p{of_class}>{join(parts)}</p>")


def bullets(items: Iterable[object]) -> Html:
    """Make a list."""
    return Html("<ul>" + "".join(f"<li>{to_html(item)}</li>" for item in items) + "</ul>")


def facts(pairs: Mapping[str, object]) -> Html:
    """Make a list of terms and what is said of each."""
    said = (f"<div><dt>{to_html(k)}</dt><dd>{to_html(v)}</dd></div>" for k, v in pairs.items())
    return Html(f"<dl>{''.join(said)}</dl>")


def table(
    caption: str,
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    texts: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> Html:
    """Make a table; the first cell of a row names it.

    Parameters
    ----------
    caption : str
    header : sequence
        Of the columns.
    rows : iterable of sequences
        Cells; None is told as a dash.
    texts : sequence of int
        Columns, from 0, that hold words; the others hold numbers and stand to the right.
    marked : sequence of int
        Rows, from 0, that stand out.
    """
    head = "".join(
        f'<th scope="col"{_words(i, texts)}>{to_html(title)}</th>' for i, title in enumerate(header)
    )
    body = []
    for i, row in enumerate(rows):
        first, *rest = (to_html("–" if cell is None else cell) for cell in row)
        cells = "".join(f"<td{_words(j, texts)}>{cell}</td>" for j, cell in enumerate(rest, 1))
        kind = ' class="marked"' if i in marked else ""
        body.append(f'<tr{kind}><th scope="row">{first}</th>{cells}</tr>')
    label = html.escape(printable(caption), quote=True)
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption>{to_html(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _words(column: int, texts: Sequence[int]) -> str:
    return ' class="words"' if column == 0 or column in texts else ""


def side_by_side(*parts: object) -> Html:
    """Put parts beside each other where there is room, else below."""
    return Html(
        f'<div class="pair">{"".join(f"<div>{to_html(part)}</div>" for part in parts)}</div>'
    )


def figure(picture: Picture) -> Html:
    """Show a picture with its title, which is its text for those who cannot see it."""
    label = html.escape(printable(f"{picture.title}. {picture.subtitle}", 600), quote=True)
    return Html(
        f"<figure><figcaption><strong>{to_html(picture.title)}</strong>"
        f"<span>{to_html(picture.subtitle)}</span></figcaption>"
        f'<div role="img" aria-label="{label}">{picture.svg}</div></figure>'
    )


def drawn(pictures: Mapping[str, Picture], which: str) -> Html:
    """Show one of the pictures, if it is there."""
    return figure(pictures[which]) if which in pictures else Html("")


def missing(what: str) -> Html:
    """Say that something is not on the page because nobody gave it."""
    return paragraph(f"This card holds no {what}.", kind="note")


def more(summary: str, *parts: object) -> Html:
    """Fold parts away until they are asked for; print shows them."""
    return Html(f"<details><summary>{to_html(summary)}</summary>{join(parts)}</details>")


def section(anchor: str, title: str, *parts: object) -> Html:
    """Make a section with a heading of its own."""
    anchor = html.escape(anchor, quote=True)
    return Html(
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{to_html(title)}</h2>'
        f"{join(parts)}</section>"
    )


def document(title: str, header: Html, sections: Mapping[str, Html], footer: Html) -> str:
    """Put a whole page together, with links to its sections.

    Parameters
    ----------
    title : str
        Of the window.
    header : Html
    sections : mapping of str to Html
        By what the link says; each begins with its heading.
    footer : Html
    """
    links = "".join(
        f'<li><a href="#{_anchor(part)}">{to_html(label)}</a></li>'
        for label, part in sections.items()
    )
    body = (
        f'<header>{header}</header><nav aria-label="Sections"><ul>{links}</ul></nav>'
        f"<main>{join(sections.values())}</main><footer>{footer}</footer>"
    )
    return whole(title, STYLE, Html(body))


def whole(title: str, style: str, body: Html, early: str = "", late: str = "") -> str:
    """Put a file together that loads nothing, and runs no scripts but those given here.

    Parameters
    ----------
    title : str
        Of the window.
    style : str
        The style sheet.
    body : Html
    early, late : str
        JavaScript before and after the body; made here, never from data.
    """
    scripts = [script for script in (early, late) if script]
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; "
    policy += "style-src 'unsafe-inline'; img-src data:; font-src data:"
    policy += f"; script-src {allowed}" if allowed else ""
    style = f"{font_faces()}\n{style}"
    before, after = (f"<script>{script}</script>" if script else "" for script in (early, late))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{to_html(title)}</title><style>{style}</style>{before}</head>"
        f"<body>{body}{after}</body></html>\n"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _anchor(part: Html) -> str:
    return part.split('aria-labelledby="', 1)[1].split('"', 1)[0]


STYLE = f"""
:root {{ --ink: #1d2430; --soft: #566072; --line: #d5dae2; --blue: #0072b2; --wash: #f4f6f9;
  --green: #00674c; --amber: #8a5a00; --red: #a33c00; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 0 1.25rem 3rem; max-width: 62rem; color: var(--ink);
  background: #fff; font: 1rem/1.55 {_FONT}; overflow-wrap: anywhere; }}
header {{ padding: 2.5rem 0 .5rem; }}
h1 {{ margin: 0 0 .25rem; font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.15; }}
h2 {{ margin: 0 0 .75rem; font-size: 1.3rem; line-height: 1.25; }}
p {{ margin: .5rem 0; max-width: 44rem; }}
.lead {{ font-size: 1.15rem; }}
.note, dt, figcaption span, caption {{ color: var(--soft); }}
.banner {{ margin: 0 0 1.2rem; padding: .7rem 1rem; max-width: none;
  border: 2px solid var(--red); color: var(--red);
  font-weight: 600; border-radius: .5rem; }}
.verdict {{ display: inline-block; margin: .5rem 0; padding: .2rem .9rem; border-radius: 2rem;
  color: #fff; font-weight: 600; background: var(--soft); }}
.verdict.ready {{ background: var(--green); }}
.verdict.usable {{ background: var(--amber); }}
.verdict.not {{ background: var(--red); }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: 0; padding: .7rem 0;
  list-style: none; border-bottom: 1px solid var(--line); font-size: .95rem; }}
a {{ color: var(--blue); }}
section {{ padding: 1.6rem 0; border-bottom: 1px solid var(--line); }}
ul {{ padding-left: 1.2rem; }}
li {{ margin: .3rem 0; max-width: 46rem; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .8rem 2rem;
  margin: .5rem 0; }}
dt {{ font-size: .88rem; }}
dd {{ margin: 0; font-weight: 500; }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1.5rem 2.5rem; align-items: start; }}
figure {{ margin: 1rem 0; }}
figcaption strong, figcaption span {{ display: block; }}
figcaption span {{ font-size: .88rem; margin-bottom: .4rem; }}
figure svg {{ max-width: 100%; height: auto; display: block; overflow: visible; }}
.scroll {{ overflow-x: auto; margin: 1rem 0; }}
table {{ border-collapse: collapse; width: 100%; font-size: .93rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }}
caption {{ max-width: calc(100vw - 2rem); padding-bottom: .4rem; text-align: left;
  font-size: .88rem; }}
th, td {{ padding: .35rem .7rem .35rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; white-space: nowrap; }}
td small, th small {{ display: block; color: var(--soft); font-weight: 400; }}
th {{ font-weight: 500; }}
thead th {{ color: var(--soft); font-size: .88rem; vertical-align: bottom; }}
thead th, th[scope=row], .words {{ white-space: normal; }}
th[scope=row], .words {{ text-align: left; overflow-wrap: anywhere; }}
td.words, th[scope=row] {{ min-width: 6rem; }}
tr.marked > * {{ background: #fff3e6; }}
tr.marked > th:first-child {{ box-shadow: inset .25rem 0 #d55e00; padding-left: .7rem; }}
code {{ font-size: .85rem; overflow-wrap: anywhere; }}
summary {{ cursor: pointer; color: var(--blue); margin: .5rem 0; }}
footer {{ padding-top: 1rem; color: var(--soft); font-size: .88rem; }}
@media (max-width: 40rem) {{
  body {{ padding: 0 .9rem 2rem; }}
  header {{ padding-top: 1.4rem; }}
  th, td {{ padding-right: .55rem; font-size: .88rem; }}
}}
@media print {{
  body {{ max-width: none; font-size: 10pt; }}
  nav {{ display: none; }}
  h2, figure, tr {{ break-inside: avoid; }}
  h2 {{ break-after: avoid; }}
  .scroll {{ overflow: visible; }}
  details::details-content {{ content-visibility: visible; height: auto; }}
  .verdict, tr.marked > * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
