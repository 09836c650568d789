"""Writes the page that describes the tables and their columns, from `crm.tables`."""

from typing import Final

from crm.tables import TABLES

HEAD: Final = """# Tables

The tables that leadscore reads, stores and receives. Generated from the code by `make docs`.

A key of the project file names the column of your table. Without the key, leadscore uses the column
with the same name, if there is one. Columns that are not in files exist in the service only. The
ledger adds `recorded_at` to each row.
"""


def tables_page() -> str:
    """Format the tables as Markdown.

    Returns
    -------
    str
    """
    lines = [HEAD]
    for table in TABLES.values():
        lines += [f"## {table.name}\n", f"{table.description}\n"]
        lines += ["| column | cells | required | in files | meaning |", "|---|---|---|---|---|"]
        for column in table.columns:
            required = "yes" if column.required else "no"
            in_files = "yes" if column.in_files else "no"
            facts = (f"`{column.name}`", column.kind, required, in_files, column.description)
            lines.append(f"| {' | '.join(facts)} |")
        lines.append("")
    return "\n".join(lines)
