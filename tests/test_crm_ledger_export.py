"""Exports of the ledger as CSV and Parquet files."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from crm.cells import cell_text
from crm.errors import ConfigError, SourceError
from crm.ledger.entries import Batch, SentLead
from crm.ledger.export import TABLES, export_table
from crm.ledger.ledger import Ledger
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from leadscore.command import app
from tests.made_calls import given, shadow_of
from tests.made_projects import FOUR_TABLES, LEDGER, LEDGER_ALONE, WON_AND_LOST

IN_LEDGER = LEDGER_ALONE + LEDGER + WON_AND_LOST
IN_FILES = FOUR_TABLES + WON_AND_LOST
GIVEN = replace(
    given(1),
    lane="control",
    start=41.5,
    points={"visits": 0.1 + 0.2},
    warnings=[{"code": "unseen_value", "column": "Source"}],
)
SHADOW = shadow_of(GIVEN, "d2")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Store two leads, one of them sent twice, and events of each kind."""
    unusual = {"Source": ' "odd", \n', "a;b": True}
    batch = [
        (SentLead("L1", DAY + 1, unusual | {"Size": 1.5}), 0),
        (SentLead("L1", DAY + 1, unusual | {"Size": 2.5}), 1),
        (SentLead("L2", 2 * DAY, {"Source": "=1+1", "Size": None, "visits": 3}), 0),
    ]
    ledger.add_batch(Batch(leads=batch), 1)
    call = {"lead_id": "L1", "type": "call", "occurred_at": 3 * DAY, "value": 0.1 + 0.2}
    mail = {"lead_id": "L2", "type": "mail", "occurred_at": 4, "activity_id": "7", "content": "c"}
    ledger.add("activities", [call, mail], 0)
    ledger.add("stages", [{"lead_id": "L1", "stage": "new", "entered_at": DAY}], 0)
    ledger.add("outcomes", [{"lead_id": "L2", "outcome": "won", "amount": 1e9}], 0)
    ledger.add_batch(Batch(scores=[GIVEN], shadow_scores=[SHADOW]), 0)
    return ledger


def export(ledger: Ledger, folder: Path, suffix: str) -> dict[str, int]:
    """Export every table; return the number of rows of each."""
    names = {"lead_id": "Id", "created_at": "Created"}
    return {
        table: export_table(ledger, table, folder / f"{table}.{suffix}", names) for table in TABLES
    }


def read(project_file: str, folder: Path) -> Records:
    (folder / "leadscore.toml").write_text(project_file)
    return read_records(load_project(folder))


def texts(column: pd.Series) -> list[str]:
    return [cell_text(cell) or "" for cell in column]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export_counts_the_rows(filled: Ledger, tmp_path: Path, suffix: str) -> None:
    assert export(filled, tmp_path, suffix) == {
        "leads": 2,
        "activities": 2,
        "stages": 1,
        "outcomes": 1,
        "scores": 1,
        "shadow_scores": 1,
        "erasures": 0,
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_exported_leads_have_the_attributes_that_were_sent_last(
    filled: Ledger, tmp_path: Path, suffix: str
) -> None:
    of_ledger = read(IN_LEDGER, tmp_path).leads
    export(filled, tmp_path, suffix)
    of_export = read(IN_FILES.replace(".csv", f".{suffix}"), tmp_path).leads
    assert of_export["created_at"].tolist() == of_ledger["created_at"].tolist()
    assert texts(of_export["Source"]) == ['"odd",', "=1+1"]
    assert texts(of_export["Size"]) == ["2.5", ""]
    assert texts(of_export["a;b"]) == ["true", ""]
    assert texts(of_export["visits"]) == ["", "3"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("table", ["activities", "stages", "outcomes"])
def test_exported_events_equal_those_of_the_ledger(
    filled: Ledger, tmp_path: Path, suffix: str, table: str
) -> None:
    of_ledger = getattr(read(IN_LEDGER, tmp_path), table)
    export(filled, tmp_path, suffix)
    of_export = getattr(read(IN_FILES.replace(".csv", f".{suffix}"), tmp_path), table)
    columns = [name for name in of_ledger.columns if name != "activity_id"]
    pd.testing.assert_frame_equal(of_export[columns], of_ledger[columns], check_dtype=False)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_exported_activities_have_ids(filled: Ledger, tmp_path: Path, suffix: str) -> None:
    export(filled, tmp_path, suffix)
    activities = read(IN_FILES.replace(".csv", f".{suffix}"), tmp_path).activities
    assert activities is not None
    assert activities["activity_id"].str[:6].tolist() == ["sha256", "7"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_exported_scores_have_lane_points_and_warnings(
    filled: Ledger, tmp_path: Path, suffix: str
) -> None:
    export(filled, tmp_path, suffix)
    read_file = pd.read_csv if suffix == "csv" else pd.read_parquet
    (score,) = read_file(tmp_path / f"scores.{suffix}").to_dict("records")
    assert (score["lane"], score["start"]) == ("control", 41.5)
    assert json.loads(score["points"]) == GIVEN.points
    assert json.loads(score["warnings"]) == GIVEN.warnings
    (shadow,) = read_file(tmp_path / f"shadow_scores.{suffix}").to_dict("records")
    assert (shadow["score_id"], shadow["digest"]) == (GIVEN.score_id, "d2")


def test_export_to_an_unknown_format_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ending in \.csv or \.parquet"):
        export_table(ledger, "leads", tmp_path / "leads.xlsx")


def test_failed_export_keeps_the_old_file(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "leads.csv"
    target.write_text("before")

    def raise_disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", raise_disk_full)
    with pytest.raises(SourceError, match=r"cannot be written: No space left on device\."):
        export_table(ledger, "leads", target)
    assert target.read_text() == "before"
    assert not list(tmp_path.glob(".leads.csv-*"))


def test_export_command_writes_the_tables_that_it_names(filled: Ledger, tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text(IN_LEDGER)
    command = ["ledger", "export", str(tmp_path / "out"), "-p", str(tmp_path)]
    options = ["--format", "parquet", "--table", "leads", "--table", "stages", "--json"]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["rows"] == {"leads": 2, "stages": 1}
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["leads.parquet", "stages.parquet"]
    assert len(pd.read_parquet(tmp_path / "out" / "leads.parquet")) == 2


def test_migrate_command_shows_the_schema(filled: Ledger, tmp_path: Path) -> None:
    (tmp_path / "leadscore.toml").write_text(IN_LEDGER)
    result = CliRunner().invoke(app, ["ledger", "migrate", "-p", str(tmp_path)])
    assert "The ledger has schema 0004." in result.output
