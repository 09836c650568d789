"""The script of a report's page, with the libraries that it needs.

Without it the page is complete as well: all pages are below each other, and every chart is a
picture. The script draws from the specifications on the page. Vega interprets its expressions and
never compiles them, and nothing can be loaded; the page's policy forbids both anyway.
"""

import functools

import vl_convert

from reports.forms.drawings import VEGA_LITE
from reports.forms.html_page import static


@functools.cache
def script() -> str:
    """Return Vega, Vega-Lite and `static/report.js` as one script of 0.9 MB."""
    # A text in one of the modules may contain `</script`, which would end the script there.
    bundle: str = vl_convert.javascript_bundle(static("report.js"), vl_version=VEGA_LITE)
    return bundle.replace("</script", r"<\/script").replace("<!--", r"<\!--")
