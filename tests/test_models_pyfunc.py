"""A registered model scores through MLflow as it scores in leadscore."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from models.artifact import load_artifact, save_artifact
from models.registry.registry import ARTIFACT, Registry
from models.scorer import LeadCells, LeadScorer
from training.tracking import track

ANSWERS = """
import json, sys, warnings
from pathlib import Path
import mlflow
import pandas as pd
uri, folder = sys.argv[1], Path(sys.argv[2])
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model("models:/demo@champion")
assert not [name for name in sys.modules if name.split(".")[0] in ("training", "serving")]
for path in sorted(folder.glob("*.csv")):
    scores = model.predict(pd.read_csv(path))
    assert list(scores.columns) == ["lead_id", "probability", "score", "grade"]
    scores.to_parquet(path.with_suffix(".parquet"))
lead = {"source": "Partner", "employees": 120, "email_opt_in": True}
print(json.dumps(model.predict([lead])["probability"].tolist()))
print(json.dumps(model.metadata.metadata))
"""


@pytest.fixture(scope="module")
def crm(simulated_crm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crm")
    for name in ("leads.csv", "leadscore.toml"):
        shutil.copy(simulated_crm / name, folder)
    return folder


@pytest.fixture(scope="module")
def digest(crm: Path, trained: Any, simulated_crm: Path) -> str:
    project = load_project(crm)
    save_artifact(
        trained.scorer, trained.golden_leads, crm / "work" / ARTIFACT, trained.golden_as_of
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    # This folder has the leads only, so the records come from where the model was trained.
    records = read_records(load_project(simulated_crm))
    registry = Registry(project)
    tracked = track(registry, project, records, trained, crm / "work" / ARTIFACT, now)
    registry.make_champion(tracked.version)
    shutil.rmtree(crm / "work")  # the logged model must not need it
    return tracked.digest


@pytest.fixture(scope="module")
def scorer(crm: Path, digest: str) -> LeadScorer:
    loaded, _ = Registry(load_project(crm)).load_champion()
    assert loaded.digest == digest
    return loaded.scorer


def frames(leads: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return tables that pandas reads back as integers, floats, text, booleans or a mixture."""
    n = len(leads)
    return {
        "as_exported": leads,
        "numbers": leads.assign(
            employees=np.arange(n), budget_eur=np.linspace(0.5, 9e5, n), region=np.nan
        ),
        "booleans": leads.assign(email_opt_in=True, phone_opt_in=np.arange(n) % 2 == 0),
        "booleans_with_gaps": leads.assign(email_opt_in=["True", "False", "", "yes"] * (n // 4)),
        "codes": leads.assign(
            source=np.arange(n) % 7, employees=["many", "12", "", "3.0"] * (n // 4)
        ),
        "fewer_columns": leads[["lead_id", "country", "industry"]],
        "more_columns": leads.assign(mood="good", shoe_size=43, email="x@example.com"),
        "no_known_column": leads[["lead_id", "company_name"]],
        "no_id": leads.drop(columns="lead_id"),
    }


def test_pyfunc_scores_equal_the_scorer(crm: Path, scorer: LeadScorer, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    leads = pd.read_csv(crm / "leads.csv").iloc[:200]
    for name, frame in frames(leads).items():
        frame.to_csv(tables / f"{name}.csv", index=False)
    empty_folder = tmp_path / "empty"
    empty_folder.mkdir()
    process = subprocess.run(
        [sys.executable, "-c", ANSWERS, f"sqlite:///{crm}/mlflow.db", str(tables)],
        cwd=empty_folder,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    for name in frames(leads):
        expected = scorer.score_table(pd.read_csv(tables / f"{name}.csv"))
        scores = pd.read_parquet(tables / f"{name}.parquet")
        for column in ("probability", "score", "grade"):
            assert scores[column].tolist() == expected[column].tolist(), (name, column)
        if name != "no_id":
            assert scores["lead_id"].tolist() == leads["lead_id"].tolist()
    probabilities, metadata = map(json.loads, process.stdout.splitlines()[-2:])
    lead = {"source": "Partner", "employees": 120, "email_opt_in": True}
    assert probabilities == [scorer.score_leads([LeadCells(lead)])[0].probability]
    assert metadata["columns"] == scorer.pipeline.names
    assert list(empty_folder.iterdir()) == []


def test_mlflow_stores_data_and_one_script(crm: Path, digest: str) -> None:
    (model,) = (crm / "mlartifacts" / "models").iterdir()
    files = {str(path.relative_to(model)): path for path in model.rglob("*") if path.is_file()}
    assert {Path(name).suffix for name in files} == {".py", ".json", ".txt", ".yaml", ""}
    files.pop("artifacts/registered_model_meta", None)  # MLflow writes it at the first download
    assert {name for name in files if Path(name).suffix in (".py", "")} == {
        "artifacts/pyfunc.py",
        "artifacts/MLmodel",
    }
    for name, path in files.items():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY")), name
    (folder,) = model.rglob(ARTIFACT)
    assert load_artifact(folder).digest == digest


def test_damaged_registered_model_does_not_load(crm: Path, digest: str, tmp_path: Path) -> None:
    copy = shutil.copytree(crm / "mlartifacts" / "models", tmp_path / "models")
    (folder,) = copy.rglob(ARTIFACT)
    (folder / "booster.txt").write_text("other trees")
    program = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"
    process = subprocess.run(
        [sys.executable, "-c", program, str(folder.parent.parent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert "scorer/booster.txt is not the file that was saved" in process.stderr
