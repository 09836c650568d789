"""Renders HTML from templates: pages that load nothing and run only the scripts they contain.

A template escapes and cuts every value that is not `Markup`, and removes its invisible characters.
Only the results of templates, and the charts, styles and scripts of leadscore itself, are `Markup`.
So no text from data becomes markup by mistake.
"""

import base64
import functools
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.forms.cells import sentence, written
from reports.forms.fonts import FAMILY, font_faces, register_font
from reports.text import MOST_PROSE, printable, visible

_CODE = re.compile(r"`([^`]+)`")
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A chart as SVG, with its title and subtitle as texts."""

    title: str
    subtitle: str
    svg: Markup


@dataclass(frozen=True)
class Section:
    """A part of a document that has a heading.

    Attributes
    ----------
    anchor : str
        The address of the heading within the document.
    title : str
    parts : tuple
        Markup or texts, in order.
    """

    anchor: str
    title: str
    parts: tuple[object, ...]


def picture_of(chart: alt.Chart | alt.LayerChart) -> Picture:
    """Draw a chart; its title becomes text, which wraps on a narrow screen."""
    register_font()
    title = chart.title
    file = io.StringIO()
    untitled(chart).save(file, format="svg")
    return Picture(str(title.text), str(title.subtitle), Markup(file.getvalue()))


def untitled(chart: Any) -> Any:
    """Return a copy of a chart in the font of the pages and without its title."""
    bare = chart.copy(deep=True)
    bare.title = alt.Undefined
    bare = bare.configure(font=f"{FAMILY}, sans-serif").configure_axis(
        labelFontSize=14, titleFontSize=14, titleFontWeight="normal", labelFlush=False
    )
    bare = bare.configure_axisXQuantitative(labelSeparation=8)
    return bare.configure_legend(labelFontSize=14).configure_view(stroke=None)


def render(template: str, **values: object) -> Markup:
    """Render a template of `templates/` with these values."""
    return Markup(environment().get_template(template).render(values))


def document(
    title: str, styles: Sequence[str], body: Markup, early: str = "", late: str = ""
) -> str:
    """Return a whole document that loads nothing and runs only the scripts given here.

    Parameters
    ----------
    title : str
        The title of the window.
    styles : sequence of str
        The names of style sheets in `static/`.
    body : Markup
    early, late : str
        JavaScript to run before and after the body; never made from data.
    """
    scripts = [script for script in (early, late) if script]
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        "style-src 'unsafe-inline'; img-src data:; font-src data:"
    )
    if allowed:
        policy += f"; script-src {allowed}"
    return render(
        "page.html.j2",
        title=title,
        policy=Markup(policy),
        style=Markup("\n".join([font_faces(), *map(static, styles)])),
        body=body,
        early=Markup(early),
        late=Markup(late),
    )


@functools.cache
def static(name: str) -> str:
    """Read a style sheet or script from `static/`."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@functools.cache
def environment() -> Environment:
    """Return the environment that all templates share."""
    shared = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shared.filters.update(
        printable=printable, sentence=sentence, with_code=with_code, written=written
    )
    return shared


def _finalized(value: object) -> object:
    """Cut a text and remove its invisible characters; markup stays as it is."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    return visible(text if len(text) <= MOST_PROSE else printable(text, MOST_PROSE))


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# The macros of templates/parts.html.j2, for code that assembles a page.


def section(anchor: str, title: str, *parts: object) -> Section:
    """Return a section of these parts."""
    return Section(anchor=anchor, title=title, parts=parts)


def name(text: object, most: int = 60) -> Markup:
    """Mark up a name from data, in whatever direction it is written."""
    return _part("name", text=printable(text, most))


def isolated(text: Markup) -> Markup:
    """Mark up a text that contains markup, in whatever direction it is written."""
    return _part("name", text=text)


def code(text: object) -> Markup:
    """Mark up a text that is to be typed or compared letter by letter."""
    return _part("code", text=printable(text, 300))


def with_code(text: object) -> Markup:
    """Mark up what is between two backticks in a text as code; markup stays as it is.

    Everything is escaped, so a text from data can become nothing but text in another font.

    Examples
    --------
    >>> print(with_code("Run `leadscore monitor <b>`. A ` alone stays."))
    Run <code>leadscore monitor &lt;b&gt;</code>. A ` alone stays.
    """
    if isinstance(text, Markup):
        return text
    parts = _CODE.split(str(_finalized(text)))
    return join(code(part) if i % 2 else part for i, part in enumerate(parts))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Join texts and markup."""
    return _part("join", parts=list(parts), between=between)


def paragraph(*parts: object, kind: str = "") -> Markup:
    """Return a paragraph; `kind` is a class of the style sheet."""
    return _part("paragraph", parts=parts, kind=kind)


def bullets(items: Iterable[object]) -> Markup:
    """Return a list."""
    return _part("bullets", items=list(items))


def facts(pairs: Mapping[str, object]) -> Markup:
    """Return a list of terms and descriptions."""
    return _part("facts", pairs=pairs)


def with_small(value: object, small: object) -> Markup:
    """Return a value with a smaller text below it."""
    return _part("with_small", value=value, small=small)


def table(
    caption: str,
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    texts: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> Markup:
    """Return a table; the first cell of a row names it.

    Parameters
    ----------
    caption : str
    header : sequence
        The titles of the columns.
    rows : iterable of sequences
        The cells; None is shown as a dash.
    texts : sequence of int
        The columns, from 0, that contain words. The others contain numbers and are aligned right.
    marked : sequence of int
        The rows, from 0, that are highlighted.
    """
    label = printable(caption)
    return _part(
        "table",
        caption=caption,
        label=label,
        header=header,
        rows=list(rows),
        texts=texts,
        marked=marked,
    )


def side_by_side(*parts: object) -> Markup:
    """Return parts next to each other; on a narrow screen, below each other."""
    return _part("side_by_side", parts=parts)


def drawn(pictures: Mapping[str, Picture], which: str) -> Markup:
    """Return one of the pictures with its title; empty markup if the picture is absent."""
    if which not in pictures:
        return Markup()
    picture = pictures[which]
    label = printable(f"{picture.title}. {picture.subtitle}", 600)
    return _part("figure", picture=picture, label=label)


def fold(summary: str, *parts: object) -> Markup:
    """Return parts that are folded until a reader opens them. They are printed."""
    return _part("fold", summary=summary, parts=parts)


def _part(macro: str, **arguments: object) -> Markup:
    return getattr(_parts(), macro)(**arguments)


@functools.cache
def _parts() -> Any:
    return environment().get_template("parts.html.j2").module
