"""Projects of four tables, and of one, for the tests of reading them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from crm.project import PROJECT_FILE, load_project
from crm.reading import read_records
from crm.records import Records
from tests.made_projects import FOUR_TABLES

PROJECT = (
    FOUR_TABLES
    + """
[learn]
won = ["yes", 1]
lost = ["no"]
open = ["pending"]
horizon_days = 30
"""
)
LEADS = "Id,Created,Size\n" + "".join(f"{i},2025-01-{i:02d}T08:00Z,{i}\n" for i in range(1, 10))
FILES = {
    "leads.csv": LEADS,
    "activities.csv": "lead_id,type,occurred_at,activity_id,value\n"
    "2,call,2025-01-05T08:00Z,a,1\n1,mail,2025-01-04T08:00Z,b,\n1,call,2025-01-03T08:00Z,c,2.5\n",
    "stages.csv": "lead_id,stage,entered_at\n1,new,2025-01-01T08:00Z\n1,hot,2025-01-02T08:00Z\n",
    "outcomes.csv": "lead_id,outcome,closed_at\n"
    "1,yes,2025-02-01T08:00Z\n2,NO,2025-02-02T08:00Z\n3,pending,\n4,,\n5,1,\n",
}
FLAT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
outcome = "Status"
closed_at = "Close Date"
amount = "Deal"
[learn]
won = ["yes"]
lost = ["no"]
"""
FLAT_LEADS = (
    "Id,Created,Status,Close Date,Deal,Size\n"
    "2,2025-01-02,yes,2025-02-01,10.5,x\n1,2025-01-01,no,2025-02-02,,y\n3,2025-01-03,,,,z\n"
)
WITHOUT_TIMES = FLAT.replace('created_at = "Created"\n', "")
Read = Callable[..., Records]


def reader(folder: Path) -> Read:
    """Return a function that writes a project and its files, and reads the records."""

    def read(
        changes: Mapping[str, str] | None = None,
        project: str = PROJECT,
        files: Mapping[str, str] = FILES,
    ) -> Records:
        for name, content in {**files, **(changes or {})}.items():
            (folder / name).write_text(content, encoding="utf-8")
        (folder / PROJECT_FILE).write_text(project, encoding="utf-8")
        return read_records(load_project(folder))

    return read


def flat_reader(read: Read) -> Read:
    """Return a function that reads a project whose leads table contains the outcomes."""

    def read_flat(project: str = FLAT, leads: str = FLAT_LEADS) -> Records:
        return read(project=project, files={"leads.csv": leads})

    return read_flat


def outcomes_file(*rows: str) -> dict[str, str]:
    return {"outcomes.csv": "lead_id,outcome,closed_at\n" + "".join(f"{row}\n" for row in rows)}
