"""A CRM whose records spell names in two ways."""

import csv
import datetime
from pathlib import Path

import numpy as np

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from tests.made_projects import project_of_tables

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PROJECT = (
    project_of_tables("activities", "outcomes")
    + """
[report]
stage_activities = ["DEMO", "offer"]
qualified_stage = "OFFER"
"""
)
NAMES = {  # the usual spelling, and a rarer one that comes first in the file
    "Healthcare": "HEALTHCARE",
    "education": "Education",
    "Trade fair": "TRADE FAIR",
    "Price list": "PRICE LIST",
    "E-mail": "E-MAIL",
    "Call": "CALL",
    "Demo": "DEMO",
    "Offer": "OFFER",
    "No budget": "NO BUDGET",
    "no need": "No Need",
}


def spelled(name: str, i: int) -> str:
    return NAMES[name] if i % 10 == 0 else name


def write_table(path: Path, header: str, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def write_crm(folder: Path) -> tuple[Project, Records]:
    """Write leads whose names are spelled in two ways, in all tables."""
    leads: list[tuple[object, ...]] = []
    activities: list[tuple[object, ...]] = []
    outcomes: list[tuple[object, ...]] = []
    start = np.datetime64("2025-01-01T00:00")
    for i in range(600):
        created = start + np.timedelta64(i * 10, "h")
        is_won = i % 4 == 0 if i % 2 else i % 3 == 0
        industry, source = (("Healthcare", "E-mail"), ("education", "Trade fair"))[i % 2]
        leads.append((i, created, spelled(industry, i // 2), spelled(source, i // 2)))
        reason = ("No budget", "no need")[i % 5 > 1]
        day = np.timedelta64(1, "D")
        activities.append((i, created + day, spelled("Call", i), spelled("Price list", i)))
        activities.append((i, created + 2 * day, spelled("Demo", i), ""))
        if i % 3 == 0:
            activities.append((i, created + 3 * day, spelled("Offer", i // 3), ""))
        ended = ("won", "") if is_won else ("lost", spelled(reason, i // 5))
        outcomes.append((i, ended[0], created + 20 * day, ended[1]))
    write_table(folder / "leads.csv", "lead_id,created_at,industry,source", leads)
    write_table(folder / "activities.csv", "lead_id,occurred_at,type,content", activities)
    write_table(folder / "outcomes.csv", "lead_id,outcome,closed_at,reason", outcomes)
    (folder / "leadscore.toml").write_text(PROJECT)
    project = load_project(folder)
    return project, read_records(project, NOW)
