"""The font of pages and pictures. README.md in this folder describes how it was made."""

import base64
import functools
from pathlib import Path

import vl_convert

FAMILY = "Leadscore Sans"

_FOLDER = Path(__file__).parent
_WEIGHTS = {"regular": "400 500", "semibold": "600 900"}  # CSS weights that each file serves


@functools.cache
def font_faces() -> str:
    """Return CSS that defines the font, its files included, and the variable `--sans`."""
    faces = (
        f'@font-face {{ font-family: "{FAMILY}"; font-weight: {weights}; '
        f'src: url("data:font/woff2;base64,{_base64(name)}") format("woff2"); }}'
        for name, weights in _WEIGHTS.items()
    )
    return "\n".join([*faces, f':root {{ --sans: "{FAMILY}", system-ui, sans-serif; }}'])


@functools.cache
def register_font() -> None:
    """Make vl-convert draw with the font, once per process."""
    vl_convert.register_font_directory(str(_FOLDER))


def _base64(name: str) -> str:
    return base64.b64encode((_FOLDER / f"{name}.woff2").read_bytes()).decode()
