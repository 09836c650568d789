"""The check of formats that `leadscore init` has marked: LC128."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import tomlkit
from tomlkit.items import AbstractTable, Item

from crm.formats.number_recognition import SEVERAL_CURRENCIES
from crm.text import quote
from features.record_checks.check import Finding, check
from features.record_checks.tables import ReadTables

MARK: Final = "# CHECK: "  # before the doubt in the comment behind a format


@check("LC128", "A format is marked CHECK in the project file.")
def marked_formats(tables: ReadTables) -> Iterator[Finding]:
    """Find the formats that `leadscore init` has proposed with a doubt, and that are still marked.

    Several currencies, and dates with exchanged day and month, are left out, because LC103 and
    LC124 ask about them.
    """
    path = tables.project.path
    for section, column, notation, doubt in _marked_formats(path):
        table = tables.tables.get(section)
        if table is None or column not in table.formats or table.formats[column].exchanged:
            continue
        if doubt.startswith(SEVERAL_CURRENCIES) or not tables.is_read(table, column):
            continue
        is_private = tables.is_private(table, column)
        about = "some cells can be read in two ways" if is_private else doubt
        yield Finding(
            table,
            f"Does {quote(notation)} show how {quote(column)} is written?",
            f"The line is marked CHECK in {path.name}: {about}.",
            f"If it does, remove the comment behind the line under [{section}.formats]. Otherwise "
            "correct the format.",
        )


def _marked_formats(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield the table, the column, the format and the doubt of each format marked CHECK."""
    project = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    for section, table in project.items():
        formats = table.get("formats") if isinstance(table, Mapping) else None
        if not isinstance(formats, AbstractTable):
            continue
        for column in formats:
            item = formats.value.item(column)
            if isinstance(item, Item) and item.trivia.comment.startswith(MARK):
                yield section, column, str(item), item.trivia.comment.removeprefix(MARK)
