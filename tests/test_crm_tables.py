"""The declared tables, and that a new column needs one edit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crm.errors import ConfigError
from crm.ledger import migrating
from crm.ledger.ledger import Ledger
from crm.ledger.schema import EVENTS
from crm.tables import EVENT_TABLES, TABLES

ROOT = Path(__file__).resolve().parent.parent
LAST = """                DeclaredColumn(
                    "value", "number", "A number, such as minutes of a call.", identifies=True
                ),
"""
ADDED = """                DeclaredColumn("campaign", "text", "The campaign that caused it."),
"""
CALL = {"lead_id": "L1", "type": "call", "occurred_at": 7}

# Sends a value of the added column through every path, in a process whose crm/tables.py declares
# the column. It prints what arrives at the end of each path.
SCRIPT = r"""
import importlib.util, json, sys
from pathlib import Path

folder, source, root = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, root)
spec = importlib.util.spec_from_file_location("crm.tables", source)
tables = sys.modules["crm.tables"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)

import pandas as pd
from crm.contracts import shape_table
from crm.ledger.export import export_table
from crm.ledger.ledger import Ledger
from crm.ledger.records import events_table
from crm.project import load_project
from crm.reading_notes import ReadingNotes
from serving.contract.openapi import openapi
from serving.payloads.events import read_items
from serving.payloads.score import LeadPayload, lead_cells, read_body

arrived = {}
keys = load_project(folder).activities
arrived["project key"] = keys.column_of("campaign")
raw = pd.DataFrame(
    {"lead_id": ["L1"], "type": ["call"], "occurred_at": ["2025-03-01T08:00Z"], "Source": ["fair"]}
)
arrived["contract"] = shape_table(raw, "activities", keys, ReadingNotes())["campaign"].tolist()
sent = {"lead_id": "L1", "type": "mail", "occurred_at": "2025-03-02", "campaign": 7}
(row,) = read_items("activities", json.dumps({"activities": [sent]}).encode())
arrived["payload"] = row["campaign"]
del sent["lead_id"]
lead, _ = read_body(json.dumps({"lead_id": "L1", "activities": [sent]}).encode(), LeadPayload)
arrived["lead payload"] = lead.activities[0].campaign
with Ledger("sqlite:///ledger.db", folder) as ledger:
    same_call = {"lead_id": "L1", "type": "call", "occurred_at": 7}
    arrived["stored before"] = ledger.add("activities", [same_call], 8)[0].status
    arrived["ledger"] = ledger.add("activities", [row], 9)[0].status
    activities = ledger.stored_leads(["L1"])["L1"].activities
    arrived["stored lead"] = [activity["campaign"] for activity in activities]
    cells = events_table(ledger, "activities")["campaign"]
    arrived["records"] = cells.astype(object).where(cells.notna(), None).tolist()
    export_table(ledger, "activities", folder / "activities.csv")
arrived["export"] = pd.read_csv(folder / "activities.csv", dtype=object)["campaign"].tolist()[1]
schemas = openapi("http://localhost", {})["components"]["schemas"]
for name in ("ActivityPayload", "ActivityItem"):
    arrived[name] = schemas[name]["properties"]["campaign"]["description"]
print(json.dumps(arrived))
"""


def test_new_column_of_activities_needs_one_edit(tmp_path: Path) -> None:
    source = (ROOT / "crm" / "tables.py").read_text()
    assert source.count(LAST) == 1
    (tmp_path / "edited_tables.py").write_text(source.replace(LAST, LAST + ADDED))
    (tmp_path / "leadscore.toml").write_text(
        '[project]\nname = "acme"\n[leads]\nsource = "leads.csv"\noutcome = "won"\n'
        '[activities]\nsource = "activities.csv"\ncampaign = "Source"\n[learn]\nwon = ["yes"]\n'
    )
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.add("activities", [CALL], 1)
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path, tmp_path / "edited_tables.py", ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "project key": "Source",
        "contract": ["fair"],
        "payload": "7",
        "lead payload": 7,
        "stored before": "duplicate",
        "ledger": "accepted",
        "stored lead": [None, "7"],
        "records": [None, "7"],
        "export": "7",
        "ActivityPayload": "The campaign that caused it.",
        "ActivityItem": "The campaign that caused it.",
    }


def test_older_leadscore_ignores_an_added_column(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.database.prepare()
        with ledger.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE activities ADD COLUMN campaign TEXT")
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        assert ledger.add("activities", [CALL], 1)[0].status == "accepted"
        (rows,) = ledger.rows("activities")
    assert "campaign" not in rows[0]


def drop_column(ledger: Ledger, column: str) -> None:
    """Drop a column, so that the ledger is older than its declaration."""
    ledger.database.prepare()
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE activities DROP COLUMN {column}")


def test_required_column_is_not_added_to_stored_rows(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        drop_column(ledger, "type")
    message = "table `activities` has no column `type`, and its rows .* as optional"
    with (
        Ledger("sqlite:///ledger.db", tmp_path) as ledger,
        pytest.raises(ConfigError, match=message),
    ):
        ledger.add("activities", [CALL], 1)


def test_columns_are_added_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        drop_column(ledger, "channel")
        drop_column(ledger, "value")
    add_column, columns = migrating._add_column, []

    def interrupt_at_the_second(connection: object, column: object) -> None:
        columns.append(column)
        if len(columns) == 2:
            raise KeyboardInterrupt
        add_column(connection, column)  # type: ignore[arg-type]

    monkeypatch.setattr(migrating, "_add_column", interrupt_at_the_second)
    with (
        Ledger("sqlite:///ledger.db", tmp_path) as ledger,
        pytest.raises(KeyboardInterrupt),
    ):
        ledger.database.prepare()
    with (
        Ledger("sqlite:///ledger.db", tmp_path) as ledger,
        ledger.database.engine.connect() as connection,
    ):
        missing = [column.name for column in migrating._missing_columns(connection)]
    assert missing == ["channel", "value"]


@pytest.mark.parametrize("name", TABLES)
def test_the_first_column_is_the_leads_id(name: str) -> None:
    assert TABLES[name].columns[0].name == "lead_id"


def test_every_column_has_a_sentence_that_describes_it() -> None:
    columns = [column for table in TABLES.values() for column in table.columns]
    assert all(column.description.endswith(".") for column in columns)


def test_the_id_and_the_time_of_events_are_derived() -> None:
    ids = {name: (table.event_id, table.event_time) for name, table in EVENT_TABLES.items()}
    assert ids == {
        "activities": ("activity_id", "occurred_at"),
        "stages": ("stage_id", "entered_at"),
        "outcomes": ("outcome_id", "closed_at"),
    }


def test_files_have_no_ids_of_stages_and_outcomes() -> None:
    stored_only = {
        column.name
        for table in TABLES.values()
        for column in table.columns
        if column not in table.file_columns
    }
    assert stored_only == {"stage_id", "outcome_id"}


def test_events_are_identified_by_what_happened() -> None:
    columns = {
        name: [column.name for column in table.content if column.identifies]
        for name, table in EVENT_TABLES.items()
    }
    assert columns == {
        "activities": ["type", "occurred_at", "content", "channel", "value"],
        "stages": ["stage", "entered_at"],
        "outcomes": ["outcome", "closed_at"],
    }


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("leads", []),
        ("activities", ["lead_id", "type", "occurred_at"]),
        ("stages", ["lead_id", "stage", "entered_at"]),
        ("outcomes", ["lead_id", "outcome"]),
    ],
)
def test_required_columns_are_never_missing_in_the_ledger(name: str, required: list[str]) -> None:
    assert [column.name for column in TABLES[name].columns if column.required] == required
    if name in EVENTS:
        stored = EVENTS[name].table.c
        never_missing = {column.name for column in stored if not column.nullable}
        assert never_missing == {*required, "seq", EVENTS[name].id, "recorded_at"}


def test_derived_ids_ignore_a_later_column_without_a_value() -> None:
    event = EVENTS["stages"]
    row = {"lead_id": "L1", "stage": "new", "entered_at": 0}
    with_campaign = type(event)(event.table, event.id, event.time, (*event.content, "campaign"))
    assert with_campaign.derived_id(row) == event.derived_id(row)
    assert with_campaign.derived_id(row | {"campaign": None}) == event.derived_id(row)
    assert with_campaign.derived_id(row | {"campaign": "fair"}) != event.derived_id(row)
