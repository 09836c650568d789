"""Tables that a training keeps: read again, they give the same records and the same model."""

import datetime
import decimal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.errors import SourceError
from crm.project import Project, load_project
from crm.reading import read_records
from models.artifact import save_artifact
from models.registry.registry import Registry
from tests.made_runs import NOW, Work, begun_run, copy_project
from training.tracking.log import track
from training.tracking.snapshot import FACTS_FILE, FOLDER, read_snapshot, write_snapshot
from training.train import train


@pytest.fixture
def project(work: Work, tmp_path: Path) -> Project:
    return copy_project(work, tmp_path / "project")


def test_training_on_a_snapshot_gives_the_same_model(
    work: Work, project: Project, tmp_path: Path
) -> None:
    registry = Registry(project)
    with begun_run(registry, project) as run:
        tracked = track(run, work.records, work.trained, work.artifact, NOW, keep_tables=True)
    folder = registry.client.download_artifacts(tracked.run_id, FOLDER, str(tmp_path))
    records = read_snapshot(Path(folder))
    assert records.digests == work.records.digests
    again = train(work.project, records, now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    digest = save_artifact(again.scorer, again.golden_leads, tmp_path / "model", again.golden_as_of)
    assert digest == work.digest


@pytest.mark.parametrize(
    ("text", "kept"), [("", False), ("\n[mlflow]\nkeep_tables = true\n", True)]
)
def test_tables_are_kept_only_if_the_project_says_so(
    work: Work, project: Project, text: str, kept: bool
) -> None:
    project.path.write_text(project.text + text)
    project = load_project(project.folder)
    registry = Registry(project)
    with begun_run(registry, project) as run:
        tracked = track(run, work.records, work.trained, work.artifact, NOW)
    names = {entry.path for entry in registry.client.list_artifacts(tracked.run_id)}
    assert (FOLDER in names) == kept


def test_facts_and_types_survive(tmp_path: Path, simulated_crm: Path) -> None:
    records = read_records(load_project(simulated_crm))
    write_snapshot(tmp_path / "snapshot", records)
    again = read_snapshot(tmp_path / "snapshot")
    for name in ("leads", "activities", "stages", "outcomes"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(records, name))
    for name in ("observed_until", "in_order", "has_ids", "formats", "closing_zone", "notes"):
        assert getattr(again, name) == getattr(records, name), name
    without = replace(records, activities=None, stages=None, observed_until=None)
    write_snapshot(tmp_path / "few", without)
    assert read_snapshot(tmp_path / "few").activities is None
    assert read_snapshot(tmp_path / "few").observed_until is None


MIXED: dict[str, list[Any]] = {
    "numbers and texts": [7, "many"],
    "truth values and texts": [True, "no"],
    "decimals and numbers": [decimal.Decimal("1.5"), "2"],
}


@pytest.mark.parametrize("cells", MIXED.values(), ids=MIXED)
def test_columns_of_several_types_are_written_as_text(
    tmp_path: Path, simulated_crm: Path, cells: list[Any]
) -> None:
    records = read_records(load_project(simulated_crm))
    leads = records.leads.head(3).assign(mixed=pd.Series([*cells, None], dtype=object))
    write_snapshot(tmp_path / "snapshot", replace(records, leads=leads))
    column = read_snapshot(tmp_path / "snapshot").leads["mixed"]
    assert column.tolist()[:2] == [
        str(cell).lower() if cell is True else str(cell) for cell in cells
    ]
    assert column.isna().tolist() == [False, False, True]


def test_altered_or_missing_files_are_refused(tmp_path: Path, simulated_crm: Path) -> None:
    folder = tmp_path / "snapshot"
    write_snapshot(folder, read_records(load_project(simulated_crm)))
    outcomes = (folder / "outcomes.parquet").read_bytes()
    (folder / "outcomes.parquet").write_bytes((folder / "leads.parquet").read_bytes())
    with pytest.raises(SourceError, match="is not the file that the training wrote"):
        read_snapshot(folder)
    (folder / "outcomes.parquet").unlink()
    with pytest.raises(SourceError, match="is not a whole snapshot of a training: FileNot"):
        read_snapshot(folder)
    (folder / "outcomes.parquet").write_bytes(outcomes)
    (folder / FACTS_FILE).write_text("{}")
    with pytest.raises(SourceError, match="is not a whole snapshot of a training: KeyError"):
        read_snapshot(folder)
