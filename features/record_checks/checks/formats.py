"""The check of formats that `leadscore init` has marked: LC128."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crm.formats.number_recognition import SEVERAL_CURRENCIES
from crm.text import quote
from features.record_checks.check import Finding, check
from features.record_checks.tables import ReadTables

_SECTION: Final = re.compile(r"\s*\[(\w+)\.formats\]\s*(?:#.*)?")
_MARKED: Final = re.compile(r"(.+?)\s*#\s*CHECK:\s*(.+)")


@check("LC128", "A format is marked CHECK in the project file.")
def marked_formats(tables: ReadTables) -> Iterator[Finding]:
    """Find the formats that `leadscore init` has proposed with a doubt, and that are still marked.

    Several currencies, and dates with exchanged day and month, are left out, because LC103 and
    LC124 ask about them.
    """
    path = tables.project.path
    for section, column, notation, doubt in _marked_lines(path):
        table = tables.tables.get(section)
        if table is None or column not in table.formats or table.formats[column].exchanged:
            continue
        if doubt.startswith(SEVERAL_CURRENCIES):
            continue
        if column not in table.role_of and column in tables.project.columns.ignore:
            continue
        about = doubt
        if tables.is_private(table, column):
            about = "some cells can be read in two ways"
        yield Finding(
            table,
            f"Does {quote(notation)} show how {quote(column)} is written?",
            f"The line is marked CHECK in {path.name}: {about}.",
            f"If it does, remove the mark from the line under [{section}.formats]. Otherwise "
            "correct the format.",
        )


def _marked_lines(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield the table, the column, the format and the doubt of each marked line of formats."""
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("["):
            match = _SECTION.fullmatch(line)
            section = match[1] if match else ""
        if not section or (marked := _MARKED.fullmatch(line)) is None:
            continue
        try:
            ((column, notation),) = tomllib.loads(marked[1]).items()
        except (tomllib.TOMLDecodeError, ValueError):  # a comment, or a sign in a name
            continue
        yield section, column, str(notation), marked[2]
