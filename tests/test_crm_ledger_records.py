"""Learning from the ledger alone, or beside files."""

import datetime
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.cells import cell_text
from crm.errors import ConfigError, SchemaError, SourceError
from crm.ledger.export import TABLES, export_table
from crm.ledger.ledger import Batch, Ledger, SentLead
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from features.times import cell_time
from training.train import train

FILES = """
[project]
name = "acme"
[ledger]
url = "sqlite:///ledger.db"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
[activities]
source = "activities.csv"
[stages]
source = "stages.csv"
[outcomes]
source = "outcomes.csv"
[learn]
won = ["won"]
lost = ["lost"]
"""
ALONE = """
[project]
name = "acme"
[ledger]
url = "sqlite:///ledger.db"
[leads]
source = "ledger"
lead_id = "Id"
created_at = "Created"
[learn]
won = ["won"]
lost = ["lost"]
"""
Read = Callable[[str], Records]


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger("sqlite:///ledger.db", tmp_path) as opened:
        yield opened


@pytest.fixture
def read(tmp_path: Path) -> Read:
    (tmp_path / "leads.csv").write_text(
        "Id,Created,Source\nL1,1970-01-02,Web\nL2,1970-01-03,Fair\n"
    )
    (tmp_path / "activities.csv").write_text(
        "lead_id,type,occurred_at,activity_id,content\n"
        "L1,call,1970-01-04T00:00:00Z,a1,\nL1,mail,1970-01-05T00:00:00Z,,news\n"
        "L1,meeting,1970-01-04T00:00:00Z,a3,\n"
    )
    (tmp_path / "stages.csv").write_text("lead_id,stage,entered_at\nL1,new,1970-01-02T00:00:00Z\n")
    (tmp_path / "outcomes.csv").write_text(
        "lead_id,outcome,closed_at\nL1,won,1970-01-09T00:00:00Z\n"
    )

    def load(text: str) -> Records:
        (tmp_path / "leadscore.toml").write_text(text)
        return read_records(load_project(tmp_path))

    return load


def send(ledger: Ledger, lead_id: str, at: int, created_at: int | None, **attributes: Any) -> None:
    ledger.add_batch(Batch(leads=[(SentLead(lead_id, created_at, attributes), at)]), at)


def texts(column: pd.Series) -> list[str]:
    return [cell_text(cell) or "" for cell in column]


def test_empty_ledger_changes_nothing(read: Read, ledger: Ledger) -> None:
    beside = read(FILES)
    without = read(FILES.replace('[ledger]\nurl = "sqlite:///ledger.db"\n', ""))
    assert beside.digests == without.digests


def test_events_are_joined_by_id_or_by_values(read: Read, ledger: Ledger) -> None:
    call = {"lead_id": "L1", "type": "call", "occurred_at": 3 * DAY}
    mail = {"lead_id": "L1", "type": "mail", "occurred_at": 4 * DAY, "content": "news"}
    ledger.add(
        "activities",
        [
            call
            | {"activity_id": "a1", "occurred_at": 9 * DAY},  # the file's id: the file's row stays
            mail | {"activity_id": "m7"},  # says what the file says without an id
            call | {"activity_id": "a2"},  # another id: another one, though it says the same
            call | {"type": "meeting"},  # says what the file says with an id
            mail | {"occurred_at": 6 * DAY},
        ],
        0,
    )
    ledger.add(
        "stages",
        [
            {"lead_id": "L1", "stage": "new", "entered_at": DAY, "stage_id": "s1"},
            {"lead_id": "L1", "stage": "met", "entered_at": 5 * DAY},
        ],
        0,
    )
    ledger.add(
        "outcomes",
        [
            {"lead_id": "L1", "outcome": "won", "closed_at": 8 * DAY, "amount": 5.0},
            {"lead_id": "L2", "outcome": "lost", "closed_at": 8 * DAY, "amount": 7.0},
        ],
        0,
    )
    records = read(FILES)
    assert records.activities is not None
    assert records.stages is not None
    found = records.activities[["type", "occurred_at"]].astype(str).to_numpy().tolist()
    assert [(kind, time[8:10]) for kind, time in found] == [
        ("call", "04"),
        ("meeting", "04"),
        ("call", "04"),
        ("mail", "05"),
        ("mail", "07"),
    ]
    assert records.stages["stage"].tolist() == ["new", "met"]
    assert records.outcomes[["lead_id", "outcome"]].to_numpy().tolist() == [
        ["L1", "won"],
        ["L2", "lost"],
    ]
    assert records.outcomes["amount"].tolist()[1] == 7.0


def test_attributes_of_the_file_take_precedence(read: Read, ledger: Ledger) -> None:
    send(ledger, "L1", 0, DAY, Source="Ledger", Size=5)
    send(ledger, "L3", 0, 2 * DAY, Source="Ledger", Size=5)
    leads = read(FILES).leads.set_index("lead_id")
    assert leads["Source"].to_dict() == {"L1": "Web", "L2": "Fair", "L3": "Ledger"}
    assert leads["Size"].isna().to_dict() == {"L1": True, "L2": True, "L3": False}
    assert str(leads.loc["L3", "created_at"]) == "1970-01-03 00:00:00+00:00"


def test_ledger_alone_is_enough(read: Read, ledger: Ledger) -> None:
    send(ledger, "L1", 0, DAY, Source="Web", Size=1)
    send(ledger, "L2", 0, 2 * DAY, Source=None)
    ledger.add("outcomes", [{"lead_id": "L2", "outcome": "WON", "closed_at": 5 * DAY}], 0)
    records = read(ALONE)
    assert records.leads["lead_id"].tolist() == ["L1", "L2"]
    assert records.leads["Source"].tolist()[0] == "Web"
    assert records.outcomes["outcome"].tolist() == ["won"]
    assert records.activities is None
    assert records.observed_until == pd.Timestamp(5 * DAY, unit="us", tz="UTC")


def test_attributes_are_the_last_before_the_lead_closed(read: Read, ledger: Ledger) -> None:
    for at, size in ((2, 1), (4, 2), (6, 3)):
        send(ledger, "L1", at * DAY, DAY, Size=size)
        send(ledger, "L2", at * DAY, DAY, Size=size)
        send(ledger, "L3", at * DAY, DAY, Size=size)
    ledger.add(
        "outcomes",
        [
            {"lead_id": "L1", "outcome": "won", "closed_at": 5 * DAY},
            {"lead_id": "L2", "outcome": "lost", "closed_at": DAY},
        ],
        0,
    )
    sizes = read(ALONE).leads.set_index("lead_id")["Size"].to_dict()
    assert sizes == {"L1": 2, "L2": 1, "L3": 3}


def test_undeclared_outcome_is_left_out(read: Read, ledger: Ledger) -> None:
    before = read(FILES)
    ended = [("L1", "1.5"), ("L2", "Closed Won"), ("L2", "signed"), ("nobody", "1.5")]
    rows = [{"lead_id": lead_id, "outcome": word, "closed_at": 9 * DAY} for lead_id, word in ended]
    ledger.add("outcomes", rows, 0)
    ledger.add("stages", [{"lead_id": "L2", "stage": "new", "entered_at": DAY}], 0)
    records = read(FILES)
    assert records.leads["lead_id"].tolist() == ["L1"]  # L2 may be won: it is no example of a loss
    pd.testing.assert_frame_equal(records.outcomes, before.outcomes)
    (note,) = (note for note in records.notes if note.startswith("the ledger: "))
    assert "declared: '1.5' (2 rows), " in note
    assert "'Closed Won' (1 rows)" in note
    assert "of leads such as 'L1', 'L2', 'nobody', and also 1 leads that have no other" in note
    assert read(FILES.replace('["won"]', '["won", "signed"]')).leads["lead_id"].tolist() == [
        "L1",
        "L2",
    ]


def test_ledger_with_only_undeclared_outcomes_is_refused(read: Read, ledger: Ledger) -> None:
    send(ledger, "L1", 0, DAY, Source="Web")
    ledger.add("outcomes", [{"lead_id": "L1", "outcome": "Closed Won"}], 0)
    with pytest.raises(SchemaError, match=r"the ledger: outcome values .*'Closed Won' \(1 rows\)"):
        read(ALONE)


def test_role_columns_are_not_attributes_of_the_ledger(read: Read, ledger: Ledger) -> None:
    odd = {"Created": "soon", "Id": "x", "created_at": "?", "Source": "Web"}
    ledger.add_batch(Batch(leads=[(SentLead("L1", DAY, odd), 0)]), 0)
    assert list(read(ALONE).leads.columns) == ["lead_id", "created_at", "Source"]


def test_erased_leads_are_left_out_of_files(read: Read, ledger: Ledger) -> None:
    ledger.forget("L1", 0)
    records = read(FILES)
    assert records.leads["lead_id"].tolist() == ["L2"]
    assert "leads: 1 were erased and are left out." in records.notes
    assert records.outcomes.empty


def test_leads_without_a_creation_time_are_left_out(read: Read, ledger: Ledger) -> None:
    send(ledger, "L1", 0, DAY, Size=1)
    send(ledger, "L2", 0, None, Size=2)
    records = read(ALONE)
    assert records.leads["lead_id"].tolist() == ["L1"]
    assert "ledger: 1 leads without a time of creation are left out." in records.notes


def test_empty_ledger_alone_is_refused(read: Read, ledger: Ledger) -> None:
    with pytest.raises(SchemaError, match="it has no leads"):
        read(ALONE)


def test_ledger_alone_needs_an_address(
    read: Read, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ALONE.replace('[ledger]\nurl = "sqlite:///ledger.db"\n', "")
    with pytest.raises(ConfigError, match="set LEADSCORE_LEDGER_URL"):
        read(text)
    monkeypatch.setenv("LEADSCORE_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    send(ledger, "L1", 0, DAY, Size=1)
    assert len(read(text).leads) == 1


def test_password_in_the_address_is_not_shown(read: Read, tmp_path: Path) -> None:
    text = ALONE.replace("sqlite:///ledger.db", "postgresql://a:secret@h/d")
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    assert project.ledger_url == "postgresql://a:secret@h/d"
    assert "ledger_url" not in repr(project)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export_equals_the_ledger(read: Read, ledger: Ledger, tmp_path: Path, suffix: str) -> None:
    send(ledger, "L1", 0, DAY + 1, Source=' "odd", \n', Size=1.5, **{"a;b": True})
    send(ledger, "L1", 1, DAY + 1, Source=' "odd", \n', Size=2.5, **{"a;b": True})
    send(ledger, "L2", 0, 2 * DAY, Source="=1+1", Size=None, more=3)
    ledger.add(
        "activities",
        [
            {"lead_id": "L1", "type": "call", "occurred_at": 3 * DAY, "value": 0.1 + 0.2},
            {"lead_id": "L2", "type": "mail", "occurred_at": 4, "activity_id": "7", "content": "c"},
        ],
        0,
    )
    ledger.add("stages", [{"lead_id": "L1", "stage": "new", "entered_at": DAY}], 0)
    ledger.add("outcomes", [{"lead_id": "L2", "outcome": "won", "amount": 1e9}], 0)
    alone = read(ALONE)
    names = {"lead_id": "Id", "created_at": "Created"}
    rows = {
        name: export_table(ledger, name, tmp_path / f"{name}.{suffix}", names) for name in TABLES
    }
    assert rows == {
        "leads": 2,
        "activities": 2,
        "stages": 1,
        "outcomes": 1,
        "scores": 0,
        "erasures": 0,
    }
    again = read(
        FILES.replace(".csv", f".{suffix}").replace('[ledger]\nurl = "sqlite:///ledger.db"\n', "")
    )
    assert again.activities is not None
    assert alone.activities is not None
    columns = ["lead_id", "type", "occurred_at", "content", "value"]
    pd.testing.assert_frame_equal(
        again.activities[columns], alone.activities[columns], check_dtype=False
    )
    assert again.activities["activity_id"].str[:6].tolist() == ["sha256", "7"]
    assert again.stages is not None
    pd.testing.assert_frame_equal(again.stages, alone.stages, check_dtype=False)
    pd.testing.assert_frame_equal(again.outcomes, alone.outcomes, check_dtype=False)
    assert again.leads["created_at"].tolist() == alone.leads["created_at"].tolist()
    assert texts(again.leads["Source"]) == ['"odd",', "=1+1"]
    assert texts(again.leads["Size"]) == ["2.5", ""]
    assert texts(again.leads["a;b"]) == ["true", ""]
    assert texts(again.leads["more"]) == ["", "3"]


def test_failed_export_keeps_the_old_files(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "leads.csv"
    target.write_text("before")
    with pytest.raises(ConfigError, match=r"ending in \.csv or \.parquet"):
        export_table(ledger, "leads", tmp_path / "leads.xlsx")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SourceError, match=r"cannot be written: No space left on device\."):
        export_table(ledger, "leads", target)
    assert target.read_text() == "before"
    assert not list(tmp_path.glob(".leads.csv-*"))


@pytest.fixture
def filled(simulated_crm: Path, tmp_path: Path) -> Path:
    """The simulated CRM as a service's ledger holds it, and a project file of the ledger alone."""
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        tables = {
            name: pd.read_csv(simulated_crm / f"{name}.csv", dtype=object).to_dict("records")
            for name in ("leads", "activities", "stages", "outcomes")
        }
        sent = []
        for row in tables.pop("leads"):
            cells = {name: cell for name, cell in row.items() if isinstance(cell, str)}
            created_at = cell_time(cells.pop("created_at"))
            sent.append((SentLead(cells.pop("lead_id"), created_at, cells), created_at))
        ledger.add_batch(Batch(leads=sent), 0)
        for kind, rows in tables.items():
            ledger.add(kind, [event_row(row) for row in rows], 0)
    text = (simulated_crm / "leadscore.toml").read_text()
    tables_of_files = re.compile(r"(?ms)^\[(activities|stages|outcomes)\]\n.*?\n\n")
    text = tables_of_files.sub("", text).replace('source = "leads.csv"', 'source = "ledger"')
    (tmp_path / "leadscore.toml").write_text(text + '[ledger]\nurl = "sqlite:///ledger.db"\n')
    return tmp_path


def event_row(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: cell for name, cell in row.items() if isinstance(cell, str)}
    read = {name: cell_time(cell) for name, cell in told.items() if name.endswith("_at")}
    numbers = {name: float(cell) for name, cell in told.items() if name in ("value", "amount")}
    return told | read | numbers


def test_ledger_records_equal_file_records(filled: Path, simulated_crm: Path) -> None:
    held, read = read_records(load_project(filled)), read_records(load_project(simulated_crm))
    assert held.leads["lead_id"].tolist() == read.leads["lead_id"].tolist()
    for name in read.leads.columns:
        assert texts(held.leads[name]) == texts(read.leads[name]), name
    for table in ("activities", "stages", "outcomes"):
        one, other = getattr(held, table), getattr(read, table)
        order = list(other.columns)
        one, other = (frame[order].sort_values(order, ignore_index=True) for frame in (one, other))
        pd.testing.assert_frame_equal(one, other, check_dtype=False)
    assert held.observed_until == read.observed_until


def test_model_is_trained_from_the_ledger_alone(filled: Path, trained: Any) -> None:
    project = load_project(filled)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    learned = train(project, read_records(project), now=now)
    auc, auc_of_files = (one.scorer.card.test["roc_auc"] for one in (learned, trained))
    assert auc == pytest.approx(auc_of_files, abs=0.03)
    assert set(learned.scorer.pipeline.names) == set(trained.scorer.pipeline.names)


def test_equal_files_and_ledger_count_once(filled: Path, simulated_crm: Path) -> None:
    for path in simulated_crm.glob("*.csv"):
        shutil.copy(path, filled)
    text = (simulated_crm / "leadscore.toml").read_text()
    (filled / "leadscore.toml").write_text(text + '[ledger]\nurl = "sqlite:///ledger.db"\n')
    both, files = read_records(load_project(filled)), read_records(load_project(simulated_crm))
    assert both.digests == files.digests


def test_export_command_writes_the_ledger(filled: Path) -> None:
    from typer.testing import CliRunner

    from leadscore import app

    found = CliRunner().invoke(
        app,
        [
            "ledger",
            "export",
            str(filled / "out"),
            "-p",
            str(filled),
            "--format",
            "parquet",
            "--table",
            "leads",
            "--table",
            "stages",
            "--json",
        ],
    )
    assert found.exit_code == 0, found.output
    rows = json.loads(found.output)["rows"]
    assert rows["leads"] == 1_500
    assert sorted(path.name for path in (filled / "out").iterdir()) == [
        "leads.parquet",
        "stages.parquet",
    ]
    assert len(pd.read_parquet(filled / "out" / "stages.parquet")) == rows["stages"]
    migrated = CliRunner().invoke(app, ["ledger", "migrate", "-p", str(filled)])
    assert "The ledger has schema 0002." in migrated.output
