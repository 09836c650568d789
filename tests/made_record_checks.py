"""Records for the record checks, and what the tests read from their result."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from crm.formats.columns import ColumnFormat
from crm.project import load_project
from features.record_checks.result import CheckedColumn, RecordsCheck, RecordWarning
from features.record_checks.run import check_records

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
PROJECT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
closed_at = "Closed"
outcome = "Status"
amount = "Amount"
[learn]
won = ["Won"]
lost = ["Lost"]
[columns]
nothing = ["n/a"]
ignore = ["Note"]
"""
ACTIVITIES = (
    '[activities]\nsource = "calls.csv"\nlead_id = "Lead"\ntype = "Type"\noccurred_at = "At"\n'
)
Rows = list[dict[str, object]]
Check = Callable[..., RecordsCheck]


def private_reason(cells: pd.Series, form: ColumnFormat) -> str | None:
    """Return why a column is personal data, by its name."""
    reasons = {"E-mail": "e-mail addresses: personal data", "Phone": "phone numbers: personal data"}
    return reasons.get(str(cells.name))


def leads(n: int = 200, days: float = 1.0) -> Rows:
    """Make leads that raise no question."""
    first = datetime.datetime(2025, 1, 1, 9, tzinfo=datetime.UTC)
    rows: Rows = []
    for i in range(n):
        created = first + datetime.timedelta(days=days * i)
        closed = created + datetime.timedelta(days=3)
        rows.append(
            {
                "Id": f"L{i:04}",
                "Created": f"{created:%Y-%m-%d %H:%M}",
                "Closed": f"{closed:%Y-%m-%d %H:%M}" if i % 3 else "",
                "Status": ("", "Won", "Lost")[i % 3],
                "Amount": 100 + i if i % 3 == 1 else "",
                "Source": ("Web", "Fair", "Call")[i % 3],
                "Note": ("call", "write")[i % 2],
            }
        )
    return rows


def numbers(result: RecordsCheck) -> list[str]:
    """Return the numbers of the questions."""
    return [warning.number for warning in result.warnings]


def only(result: RecordsCheck) -> RecordWarning:
    """Return the only question."""
    (warning,) = result.warnings
    return warning


def column(result: RecordsCheck, name: str) -> CheckedColumn:
    """Return what is known about a column of the leads."""
    return next(column for column in result.tables[0].columns if column.name == name)


def run_checks(
    folder: Path, rows: Rows, calls: Rows | None = None, project: str = PROJECT
) -> RecordsCheck:
    """Write tables and a project file into a folder, and check the records."""
    pd.DataFrame(rows).to_csv(folder / "leads.csv", index=False)
    if calls is not None:
        pd.DataFrame(calls).to_csv(folder / "calls.csv", index=False)
        project += ACTIVITIES
    (folder / "leadscore.toml").write_text(project)
    return check_records(load_project(folder), NOW, private_reason)
