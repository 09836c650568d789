"""Finds the files of Swagger UI in BentoML's package, without importing the package."""

import importlib.util
from functools import cache
from pathlib import Path

STYLE, SCRIPT = "swagger-ui.css", "swagger-ui-bundle.js"


@cache
def swagger_ui_file(name: str) -> bytes:
    """Read a file of Swagger UI as BentoML ships it.

    Parameters
    ----------
    name : str
        `STYLE` or `SCRIPT`.

    Raises
    ------
    FileNotFoundError
        If this version of BentoML has no such file.

    Examples
    --------
    >>> b"SwaggerUIBundle" in swagger_ui_file(SCRIPT)
    True
    """
    package = importlib.util.find_spec("bentoml")
    (folder, *_) = (package and package.submodule_search_locations) or [""]
    return (Path(folder) / "_internal" / "server" / "static_content" / name).read_bytes()
