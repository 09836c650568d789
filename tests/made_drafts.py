"""Tables to draft a project from, and helpers for the tests of drafts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crm.project import Project, TableKeys, load_project
from crm.reading import read_records
from crm.records import Records
from drafting.draft import draft_project

N_LEADS = 400


class Draft(NamedTuple):
    """A drafted project file: its text, the project, and the records that it reads."""

    text: str
    project: Project
    records: Records


def draft(folder: Path, sources: Sequence[str], name: str = "acme") -> Draft:
    """Draft a project file from files, load it and read its records."""
    text = draft_project(sources, folder, name)
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    project = load_project(folder)
    return Draft(text, project, read_records(project))


def draft_of(folder: Path, columns: Mapping[str, Any], **options: Any) -> Draft:
    """Write a table of leads and draft a project file from it."""
    return draft(folder, [write_csv(folder, "leads.csv", columns, **options)])


def write_csv(folder: Path, name: str, columns: Mapping[str, Any], **options: Any) -> str:
    """Write columns as CSV; return the path."""
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False, **options)
    return str(path)


def roles_of(keys: TableKeys | None) -> dict[str, str]:
    """Return the columns that the keys of a table name, by role."""
    assert keys is not None
    roles = set(keys.__struct_fields__) - set(TableKeys.__struct_fields__)
    return {role: column for role in roles if (column := keys.column_of(role)) is not None}


def without_line_breaks(text: str) -> str:
    """Join the lines of wrapped comments."""
    return text.replace("\n# ", " ")


def flat_leads(**columns: Any) -> dict[str, Any]:
    """Return 400 leads without times, every fourth of them won, with further columns."""
    numbers = np.arange(N_LEADS)
    return {"lead_id": [f"L{i}" for i in numbers], "converted": numbers % 4 == 0} | columns


def choose(condition: Any, value: Any, otherwise: Any = None) -> Any:
    """Return cells with one value where a condition is true, and another value elsewhere."""
    return np.where(condition, value, otherwise)


def yes_or_no() -> Any:
    """Return 400 cells that do not depend on the outcome."""
    return choose(np.arange(N_LEADS) % 3 == 0, "yes", "no")


def days(n: int, start: str = "2024-01-01", time_format: str = "%Y-%m-%dT%H:%M:%SZ") -> Any:
    """Return `n` days in a row, as text."""
    return pd.date_range(start, periods=n, freq="D").strftime(time_format)


def crm_tables(folder: Path, rename: Callable[[str], str] = str) -> dict[str, str]:
    """Write four small tables with common column names, as a CRM exports them.

    Returns
    -------
    dict of str to str
        The files by table.
    """
    ids = [f"c{i}" for i in range(40)]
    each_id_twice = [lead_id for lead_id in ids for _ in range(2)]
    leads = {"Contact ID": ids, "Create Date": days(40), "Country": ["DE", "US"] * 20}
    activities = {
        "Event ID": [f"e{i}" for i in range(80)],
        "Contact ID": each_id_twice,
        "Event Type": ["call", "mail"] * 40,
        "Timestamp": days(80),
        "Page URL": ["/pricing", "/demo"] * 40,
        "Duration": [3, 4.5] * 40,
    }
    stages = {"Contact ID": each_id_twice, "Stage": ["new", "qualified"] * 40, "Entered": days(80)}
    outcomes = {
        "Contact ID": ids[:30],
        "Result": ["Closed Won", "Closed Lost", "In progress"] * 10,
        "Close Date": days(30, "2024-03-01"),
        "Deal Value": [1000, None, None] * 10,
        "Loss Reason": [None, "price", None] * 10,
    }
    tables = {"leads": leads, "activities": activities, "stages": stages, "outcomes": outcomes}
    return {kind: write_csv(folder, f"{rename(kind)}.csv", tables[kind]) for kind in tables}
