"""Charts drawn once for all forms: pictures for print and wikis, specifications for the screen."""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from reports.content import Figure, Report
from reports.forms.fonts import register_font
from reports.forms.html_page import untitled
from reports.text import NO_BREAK, printable

PICTURE_PPI = 144
MOST_TEXT = 10_000  # characters; expressions of our own are far shorter
INHERITED = frozenset(  # what every object of JavaScript has
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
    """One chart in its forms; its title is the figure's finding and stands beside it.

    Attributes
    ----------
    svg : str
        Its names of parts are its own, so that many can stand on one page.
    png : bytes
    specification : str
        Vega-Lite as JSON.
    """

    svg: str
    png: bytes
    specification: str

    @property
    def is_light(self) -> bool:
        """Whether the SVG weighs less on a page than the PNG does."""
        return len(self.svg) <= len(self.png_address)

    @property
    def png_address(self) -> str:
        """The PNG as an address that holds it."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def draw(report: Report) -> dict[str, Drawing]:
    """Draw every chart of a report.

    Returns
    -------
    dict of str to Drawing
        By the figure's name; a table alone has none.
    """
    figures = (f for page in report.pages for section in page.sections for f in section.figures)
    return {figure.name: _drawing(figure) for figure in figures if figure.chart is not None}


def _drawing(figure: Figure) -> Drawing:
    register_font()
    with alt.data_transformers.enable("default", max_rows=None):
        chart: dict[str, Any] = _harmless(untitled(figure.chart).to_dict())
    chart.setdefault("config", {})["aria"] = False  # the page says in one text what is to be seen
    chart.pop("usermeta", None)  # it could tell the library on the page what to do
    svg = vl_convert.vegalite_to_svg(chart, vl_version=VEGA_LITE)
    own_names = _ID.sub(rf"\g<1>{figure.name}-", svg)
    return Drawing(
        own_names.replace("<svg ", '<svg aria-hidden="true" ', 1),
        _packed(vl_convert.svg_to_png(svg, ppi=PICTURE_PPI)),
        json.dumps(chart, separators=(",", ":")),
    )


def _packed(png: bytes) -> bytes:
    """Compress the pixels of a PNG well; they come compressed in a hurry.

    A PNG is its signature and chunks of length, kind, content and checksum; the pixels are the
    contents of all IDAT chunks, one stream of zlib.
    """
    parts, pixels, at = [png[:8]], b"", 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        kind = png[at + 4 : at + 8]
        if kind == b"IDAT":
            pixels += png[at + 8 : end - 4]
        elif kind == b"IEND":
            content = b"IDAT" + zlib.compress(zlib.decompress(pixels), 6)
            parts += [
                (len(content) - 4).to_bytes(4, "big"),
                content,
                zlib.crc32(content).to_bytes(4, "big"),
                png[at:end],
            ]
        else:
            parts.append(png[at:end])
        at = end
    return b"".join(parts)


def _harmless(part: Any) -> Any:
    """Make every text of a specification one that Vega takes as a text, whatever it says.

    Vega-Lite writes the names on a sorted axis into expressions, as quoted texts: a line
    separator in one would be the end of the line to its parser. And Vega looks names up in
    objects of JavaScript, where `constructor` is there before anyone put it there; such a
    name gets a space that nobody sees.
    """
    if isinstance(part, dict):
        return {_name(key): _harmless(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [_harmless(inner) for inner in part]
    return _name(part) if isinstance(part, str) else part


def _name(text: str) -> str:
    seen = printable(text, MOST_TEXT)
    return seen + NO_BREAK if seen in INHERITED else seen
