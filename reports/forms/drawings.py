"""Draws each chart once for all forms: as pictures, and as a specification for screens."""

import base64
import io
import json
import re
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert
from PIL import Image

from reports.content import Figure, Report
from reports.forms.fonts import register_font
from reports.forms.html_page import untitled
from reports.text import NO_BREAK, printable

PICTURE_PPI = 144
MOST_TEXT = 10_000  # characters; leadscore's own expressions are far shorter
INHERITED = frozenset(  # names that every object of JavaScript inherits
    (
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "__proto__",
    )
)
VEGA_LITE = alt.SCHEMA_VERSION.rpartition(".")[0]  # v6.4 of v6.4.1

_ID = re.compile(r'(\bid="|url\(#)(?=(clip|gradient)[\w-]*["()])')


@dataclass(frozen=True)
class Drawing:
    """One chart without its title; the finding of its figure is shown instead.

    Attributes
    ----------
    svg : str
        The ids of its parts begin with the name of the figure, so that they are unique on a page.
    png : bytes
    specification : str
        Vega-Lite as JSON.
    """

    svg: str
    png: bytes
    specification: str

    @property
    def is_light(self) -> bool:
        """Whether the SVG takes fewer bytes on a page than the PNG."""
        return len(self.svg) <= len(self.png_address)

    @property
    def png_address(self) -> str:
        """The PNG as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def draw(report: Report) -> dict[str, Drawing]:
    """Draw every chart of a report.

    Returns
    -------
    dict of str to Drawing
        The drawings by the name of their figure; a table without a chart has none.
    """
    figures = (f for page in report.pages for section in page.sections for f in section.figures)
    return {figure.name: _drawing(figure) for figure in figures if figure.chart is not None}


def _drawing(figure: Figure) -> Drawing:
    register_font()
    with alt.data_transformers.enable("default", max_rows=None):
        chart: dict[str, Any] = _harmless(untitled(figure.chart).to_dict())
    chart.setdefault("config", {})["aria"] = False  # the page describes it in one text
    chart.pop("usermeta", None)  # it could change the options of the library on the page
    svg = vl_convert.vegalite_to_svg(chart, vl_version=VEGA_LITE)
    own_names = _ID.sub(rf"\g<1>{figure.name}-", svg)
    return Drawing(
        own_names.replace("<svg ", '<svg aria-hidden="true" ', 1),
        _compressed(vl_convert.svg_to_png(svg, ppi=PICTURE_PPI)),
        json.dumps(chart, separators=(",", ":")),
    )


def _compressed(png: bytes) -> bytes:
    """Compress a PNG without loss; vl-convert prefers speed to size."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.save(file, format="PNG", optimize=True, dpi=image.info["dpi"])
    return file.getvalue()


def _harmless(part: Any) -> Any:
    """Make Vega treat every text of a specification as a text.

    Vega-Lite writes the names on a sorted axis into expressions, as quoted texts; its parser
    takes a line separator in one for the end of the line. And Vega looks names up in objects of
    JavaScript, which inherit names such as `constructor`; such a name gets an invisible space.
    """
    if isinstance(part, dict):
        return {_name(key): _harmless(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [_harmless(inner) for inner in part]
    return _name(part) if isinstance(part, str) else part


def _name(text: str) -> str:
    clean = printable(text, MOST_TEXT)
    return clean + NO_BREAK if clean in INHERITED else clean
