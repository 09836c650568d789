"""A training on the simulated CRM for tests to track in MLflow, and gates with given results."""

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from models.artifact import save_artifact
from models.registry.history import Gate, GateResults
from models.registry.registry import ARTIFACT, PROMOTION_RUNS, RUN_KIND, Registry
from training.gates import first_champion
from training.gates.first_champion import Standing, promote_first
from training.gates.gates import GateInputs
from training.tracking.log import TrackedModel, track
from training.tracking.run import TrainingRun, training_run
from training.train import Trained
from training.tuning import Trial

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
PASSWORD = "hunter2"
TRIALS = (
    Trial(0, {"num_leaves": 31}, 0.41, "complete", 2.5),
    Trial(1, {"num_leaves": 7}, None, "pruned", 0.5),
)


@dataclass(frozen=True)
class Work:
    """A training that can be tracked.

    Attributes
    ----------
    project : Project
        Its text contains `PASSWORD`.
    records : Records
    trained : Trained
    artifact : Path
        The folder of the saved model.
    digest : str
        The digest of the saved model.
    database : Path
        An empty MLflow database.
    """

    project: Project
    records: Records
    trained: Trained
    artifact: Path
    digest: str
    database: Path


def make_work(simulated_crm: Path, trained: Trained, database: Path, folder: Path) -> Work:
    """Write the project file of a training to a folder, and save its model there."""
    text = (simulated_crm / "leadscore.toml").read_text()
    text += f"# was: postgresql://crm:{PASSWORD}@db.example/crm\n"
    (folder / "leadscore.toml").write_text(text)
    artifact = folder / ARTIFACT
    digest = save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
    records = read_records(load_project(simulated_crm))
    return Work(load_project(folder), records, trained, artifact, digest, database)


def copy_project(work: Work, folder: Path) -> Project:
    """Copy the project file and an empty MLflow database to a folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(work.project.path, folder)
    shutil.copy(work.database, folder)
    return load_project(folder)


def replace_gates(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """Replace the results of the gates for a first version by a list that a test can change."""
    gates = [Gate("LG101", "log loss", True, "It is better.")]

    def run_gates(registry: Registry, project: Project, inputs: Any, version: str) -> GateResults:
        scale = registry.load(version).scorer.scale
        return GateResults(version, registry.find_champion(), tuple(gates), scale)

    monkeypatch.setattr(first_champion, "run_gates", run_gates)
    return gates


def register(
    registry: Registry,
    project: Project,
    work: Work,
    trained: Trained | None = None,
    artifact: Path | None = None,
) -> tuple[TrackedModel, Standing]:
    """Track a training, and make it the champion if there is none, as `leadscore train` does."""
    trained = trained or work.trained
    with begun_run(registry, project) as run:
        tracked = track(run, work.records, trained, artifact or work.artifact, NOW)
        inputs = GateInputs(work.records, trained.moments, trained.audit)
        return tracked, promote_first(registry, project, inputs, tracked, NOW)


def track_training(
    registry: Registry,
    project: Project,
    records: Records,
    trained: Trained,
    artifact: Path,
    at: datetime.datetime = NOW,
) -> TrackedModel:
    """Track a training without making it the champion."""
    with begun_run(registry, project) as run:
        return track(run, records, trained, artifact, at)


@contextmanager
def begun_run(registry: Registry, project: Project) -> Iterator[TrainingRun]:
    """Begin the run of a training whose records are read."""
    with training_run(registry, project, NOW) as run:
        with run.reading():
            pass
        yield run


def training_runs(registry: Registry) -> list[Any]:
    """Return the runs of trainings, without those of trials and of the history."""
    experiment = registry.find_experiment()
    runs = registry.client.search_runs([experiment]) if experiment else []
    return [run for run in runs if run.data.tags.get(RUN_KIND) == "training"]


def stored(registry: Registry, project: Project) -> dict[str, object]:
    """Return what MLflow stores for a project, without failed trainings, and the champion."""
    client = registry.client
    found = map(registry.find_experiment, ("", PROMOTION_RUNS))
    experiments = [experiment for experiment in found if experiment]
    files = (project.folder / "mlartifacts").rglob("*")
    versions = client.search_model_versions(f"name='{registry.name}'")
    return {
        "runs": [
            run.info.run_id
            for run in (client.search_runs(experiments) if experiments else [])
            if run.info.status not in ("FAILED", "KILLED")
        ],
        "models": [model.model_id for model in client.search_logged_models(experiments)]
        if experiments
        else [],
        "versions": [str(version.version) for version in versions],
        "champion": registry.find_champion(),
        "files": sorted(str(path) for path in files if path.is_file()),
    }


def local_path(uri: str) -> Path:
    """Return the path of a file URI."""
    return Path(uri.removeprefix("file://"))
