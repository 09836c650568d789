"""Tests that a lead scores the same online and offline, from an export of the ledger."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.ledger.entries import Batch, SentLead
from crm.ledger.export import export_table
from crm.ledger.ledger import Ledger
from crm.project import TableKeys, load_project
from crm.reading_events import read_events
from crm.reading_notes import ReadingNotes
from crm.sources.source import iter_table
from crm.times import DAY, microseconds
from features.times import cell_time
from models.batch import score_file
from serving.calls import Calls
from serving.errors import RequestError
from serving.payloads.fields import LocalTimes, read_time
from serving.payloads.score import LeadPayload, lead_cells, read_score_request
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import LEAD, Ask, written
from tests.made_projects import FOUR_TABLES, WON_AND_LOST

ScoreOffline = Callable[..., dict[str, float]]


@pytest.fixture
def score_offline(model: ServedModel, tmp_path: Path) -> ScoreOffline:
    """Return a function that scores a file of leads and returns probabilities by lead id."""

    def score(leads: Path, as_of: str, **events: pd.DataFrame | None) -> dict[str, float]:
        target = tmp_path / f"scored{leads.suffix}"
        score_file(
            model.scorer,
            TableKeys(source=str(leads)),
            target,
            as_of=datetime.datetime.fromisoformat(as_of),
            events=model.scorer.pipeline.event_logs(events.items()),
        )
        is_csv = target.suffix == ".csv"
        scored = pd.read_csv(target) if is_csv else pd.read_parquet(target)
        return dict(zip(scored["lead_id"], scored["probability"], strict=True))

    return score


def probabilities(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {score["lead_id"]: score["probability"] for score in scores}


def leads_to_send(leads: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a leads table as `/score` reads them."""
    attributes = leads.drop(columns=["lead_id", "created_at"]).to_dict("records")
    return [
        {"lead_id": lead_id, "created_at": created_at, "attributes": row}
        for lead_id, created_at, row in zip(
            leads["lead_id"], leads["created_at"], attributes, strict=True
        )
    ]


def events_to_send(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table of events as the service reads them, without empty cells."""
    return [
        {
            str(name): float(cell) if name == "value" else cell
            for name, cell in row.items()
            if isinstance(cell, str)
        }
        for row in table.to_dict("records")
    ]


def test_export_scores_the_same_offline(
    ask: Ask,
    calls: Calls,
    ledger: Ledger,
    score_offline: ScoreOffline,
    simulated_crm: Path,
    tmp_path: Path,
) -> None:
    leads = pd.read_csv(simulated_crm / "leads.csv", dtype=object, keep_default_na=False).head(40)
    for name, n_columns in (("activities", 7), ("stages", 3)):
        table = pd.read_csv(simulated_crm / f"{name}.csv", dtype=object)
        items = events_to_send(table[table["lead_id"].isin(leads["lead_id"])])
        assert len(table.columns) == n_columns
        assert ask(f"/{name}", {name: items})["accepted"] == len(items) > 40
    as_of = "2025-12-31T00:00:00+00:00"
    online = ask("/score", {"leads": leads_to_send(leads), "as_of": as_of})["scores"]
    assert sum(score["used"]["activities"] for score in online) > 40
    written(calls)

    for name in ("leads", "activities", "stages"):
        export_table(ledger, name, tmp_path / f"{name}.csv")
    shutil.copy(simulated_crm / "leadscore.toml", tmp_path)
    project = load_project(tmp_path)
    events = dict(read_events(project, ReadingNotes.of_project(project)))
    assert score_offline(tmp_path / "leads.csv", as_of, **events) == probabilities(online)


def test_days_of_events_count_from_their_end_online_and_offline(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("Id,Created,Source\nL1,2025-01-01,Web\n")
    (tmp_path / "stages.csv").write_text("lead_id,stage,entered_at\nL1,met,2025-01-05\n")
    (tmp_path / "activities.csv").write_text("lead_id,type,occurred_at\nL1,call,2025-01-05\n")
    (tmp_path / "leadscore.toml").write_text(FOUR_TABLES + WON_AND_LOST)
    project = load_project(tmp_path)
    events = dict(read_events(project, ReadingNotes.of_project(project)))
    lead = (
        b'{"leads": [{"stages": [{"stage": "met", "entered_at": "2025-01-05"}],'
        b'"activities": [{"type": "call", "occurred_at": " 2025-01-05 "},'
        b'{"type": "mail", "occurred_at": "2025-01-05T00:00:00"}]}]}'
    )
    (sent,), _, _ = read_score_request(lead, Settings())
    assert isinstance(sent, LeadPayload)
    cells = lead_cells(sent, "", {"lead_id": "Id"}, set())
    call, mail = cells.activities
    for name, time, row in (
        ("activities", "occurred_at", call),
        ("stages", "entered_at", cells.stages[0]),
    ):
        table = events[name]
        assert table is not None
        assert microseconds(table[time]).tolist() == [row[time]]
    assert mail["occurred_at"] == cell_time("2025-01-05") == call["occurred_at"] - DAY + 1


def test_service_reads_creations_and_lists_as_batch_scoring_does(tmp_path: Path) -> None:
    local = LocalTimes("%d.%m.%Y %H:%M", "Europe/Berlin")
    body = (
        b'{"leads": [{"created_at": "08.07.2026 03:04", "attributes": '
        b'{"Interests": ["API", "Demo"], "None": [], "One": "API"}}]}'
    )
    (sent,), _, _ = read_score_request(body, Settings())
    assert isinstance(sent, LeadPayload)
    lead = lead_cells(sent, "", {"lead_id": "Id"}, set(), local)
    assert lead.created_at == cell_time("2026-07-08T01:04Z")
    (tmp_path / "leads.jsonl").write_text(
        '{"Interests": ["API", "Demo"], "None": [], "One": "API"}\n'
    )
    (table,) = iter_table(TableKeys(source="leads.jsonl"), tmp_path, 9)
    of_file = table.astype(object).where(table.notna(), None).to_dict("records")
    assert of_file == [{name: lead.cells[name] for name in ("Interests", "None", "One")}]


@pytest.mark.parametrize(
    ("sent", "time"),
    [
        ("2026-07-08 03:04", "2026-07-08T03:04Z"),
        ("2026-07-08T03:04+02:00", "2026-07-08T01:04Z"),
        (1783479840000, "2026-07-08T03:04Z"),
        ("08.07.2026 03:04", "2026-07-08T01:04Z"),
    ],
)
def test_creation_in_iso_8601_is_utc_whatever_the_files_have(sent: str | int, time: str) -> None:
    local = LocalTimes("%d.%m.%Y %H:%M", "Europe/Berlin")
    assert read_time(sent, "created_at", local) == cell_time(time)


def test_error_about_a_creation_names_the_format_of_the_files() -> None:
    expected = r"13 digits, or %d\.%m\.%Y, such as 31\.01\.2026\."
    with pytest.raises(RequestError, match=expected):
        read_time("31.02.2026", "created_at", LocalTimes("%d.%m.%Y", "UTC"))


ODD_CELLS = [
    True,
    False,
    "true",
    "FALSE",
    1,
    0,
    3,
    3.5,
    -0.0,
    5e-324,
    1e22,
    1e308,
    2**53 + 1,
    10**30,
    10**400,
    "12",
    " 12.50 ",
    "1e3",
    "1.200,50",
    None,
    "",
    "  ",
    "NA",
    "null",
    "None",
    "nan",
    "inf",
    "Select",
    "unknown",
    20250301,
    "2025-03-01  08:00",
    "DE",
    " de ",
    "Paid  search",
    "Müller",
    "M\u0075\u0308ller",
    "\N{GRINNING FACE}",
    "\N{NO-BREAK SPACE}DE",
    "=1+1",
    'a"b,c;d',
    "first\nsecond\r\nthird",
    "\ufeffDE",
    "007",
    "x" * 5_000,
    # Numbers and words that the model has seen: others often score alike.
    25,
    75.0,
    "150",
    "400",
    1500,
    "Software",
    "Web",
    "Director",
]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_odd_cells_of_an_export_score_the_same_offline(
    ask: Ask,
    calls: Calls,
    ledger: Ledger,
    model: ServedModel,
    score_offline: ScoreOffline,
    tmp_path: Path,
    file_format: str,
) -> None:
    calls.settings = Settings()
    columns = model.scorer.pipeline.columns
    kinds = {type(column).kind for column in model.scorer.pipeline.attributes}
    assert {"number", "category", "flag"} <= kinds
    leads = [
        {"lead_id": f"{column} {i}", "attributes": {"country": "DE", column: cell}}
        for column in columns
        for i, cell in enumerate(ODD_CELLS)
    ]
    as_of = "2026-01-09T00:00:00+00:00"
    online: dict[str, float] = {}
    for start in range(0, len(leads), 500):
        answer = ask("/score", {"leads": leads[start : start + 500], "as_of": as_of})
        online |= probabilities(answer["scores"])
    assert len(set(online.values())) > 3 * len(columns)
    written(calls)
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == len(leads) == len(online)
    assert score_offline(file, as_of) == online


ODD_NAMES = {"employees ": 120, "two\nlines": 1, "\ufeffcomma,": "x", 'quote"': 2, "x" * 1_000: 3}
WITHOUT_EMPLOYEES = {
    name: value for name, value in LEAD["attributes"].items() if name != "employees"
}
ODD_LEAD = LEAD | {"lead_id": "L9", "attributes": WITHOUT_EMPLOYEES | ODD_NAMES}


@pytest.mark.parametrize(
    ("attributes", "name", "message"),
    [
        ({" employees": 1, "employees": 2}, " employees", "is sent twice"),
        ({" \n": 1}, " \n", "is blank"),
        ({"x" * 1_001: 1}, "x" * 100, "has 1,001 characters"),
    ],
)
def test_invalid_attribute_names_are_refused(
    ask: Ask, attributes: dict[str, Any], name: str, message: str
) -> None:
    lead = LEAD | {"attributes": LEAD["attributes"] | attributes}
    _, refused = ask("/score", {"leads": [LEAD, lead]})["scores"]
    assert message in refused["error"]["message"]
    assert refused["error"]["field"] == f"leads[1].attributes.{name}"


def test_white_space_around_attribute_names_does_not_count(ask: Ask) -> None:
    plain, odd = ask("/score", {"leads": [LEAD, ODD_LEAD]})["scores"]
    assert odd["probability"] == plain["probability"]
    flat = {"lead_id": "L9", "created_at": LEAD["created_at"], " employees ": 120}
    assert ask("/score_lead", flat | WITHOUT_EMPLOYEES)["score"] == plain["score"]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_odd_attribute_names_of_an_export_score_the_same_offline(
    ask: Ask,
    calls: Calls,
    ledger: Ledger,
    score_offline: ScoreOffline,
    tmp_path: Path,
    file_format: str,
) -> None:
    as_of = "2026-01-10T00:00:00+00:00"
    ask("/score", {"leads": [ODD_LEAD]})
    written(calls)
    # Leads that the ledger stored before the service checked the names of attributes.
    unchecked = {" country": "FR", "employees ": 5, "employees": 120, "": 1, "y" * 1_001: 2}
    old_lead = SentLead("old", cell_time(LEAD["created_at"]), unchecked | WITHOUT_EMPLOYEES)
    ledger.add_batch(Batch(leads=[(old_lead, 0)]), 0)
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == 2
    online = ask("/score", {"leads": [{"lead_id": "old"}, ODD_LEAD], "as_of": as_of})["scores"]
    assert score_offline(file, as_of) == probabilities(online)
