"""Tracking with a real MLflow: one run for each training, complete or absent."""

import datetime
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.errors import ArtifactError, TrackingError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from models.artifact import load_artifact, save_artifact
from models.evaluation.metrics import MODEL_METRICS
from models.registry.history import Gate, GateResults, history
from models.registry.reachable import shown
from models.registry.registry import ARTIFACT, CHALLENGER, Registry
from training.comparison.held_out import MOMENTS_FILE, StoredMoments
from training.gates import first_champion
from training.gates.checks import GATES
from training.gates.first_champion import Standing, promote_first
from training.gates.gates import GateInputs, run_gates
from training.tracking import TrackedModel, track
from training.train import Trained
from training.tuning import Trial

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow
    import mlflow.pyfunc

PASSWORD = "hunter2"
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Work:
    """A training, its artefact, and an empty MLflow database, made once."""

    project: Project
    records: Records
    trained: Trained
    artifact: Path
    digest: str
    database: Path


@pytest.fixture(scope="module")
def work(simulated_crm: Path, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("work")
    text = (simulated_crm / "leadscore.toml").read_text()
    text += f"# was: postgresql://crm:{PASSWORD}@db.example/crm\n"
    (folder / "leadscore.toml").write_text(text)
    project = load_project(folder)
    digest = save_artifact(
        trained.scorer, trained.golden_leads, folder / ARTIFACT, trained.golden_as_of
    )
    Registry(project)  # it takes seconds to make a database, and none to copy it
    records = read_records(load_project(simulated_crm))
    return Work(project, records, trained, folder / ARTIFACT, digest, folder / "mlflow.db")


@pytest.fixture
def project(work: Work, tmp_path: Path) -> Project:
    """Return a project with an empty MLflow database next to it."""
    shutil.copy(work.project.path, tmp_path)
    shutil.copy(work.database, tmp_path)
    return load_project(tmp_path)


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


@pytest.fixture(autouse=True)
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """Replace the gates by a list that a test can change."""
    gates = [Gate("LG101", "log loss", True, "It is better.")]

    def results(registry: Registry, project: Project, inputs: Any, version: Any) -> GateResults:
        scale = registry.load(version).scorer.scale
        return GateResults(version, registry.find_champion(), tuple(gates), scale)

    monkeypatch.setattr(first_champion, "run_gates", results)
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
    tracked = track(registry, project, work.records, trained, artifact or work.artifact, NOW)
    inputs = GateInputs(work.records, trained.moments, trained.audit)
    return tracked, promote_first(registry, project, inputs, tracked, NOW)


def trainings_of(registry: Registry) -> list[Any]:
    """Return the runs of trainings, without those of trials and of the history."""
    experiment = registry.find_experiment()
    runs = registry.client.search_runs([experiment]) if experiment else []
    return [run for run in runs if run.info.run_name.startswith("train ")]


# -- what a run holds ----------------------------------------------------------------------


def test_run_contains_the_whole_training(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    tracked, standing = register(registry, project, work)
    client = registry.client
    assert (tracked.name, tracked.version, tracked.digest) == ("demo", "1", work.digest)
    (run,) = trainings_of(registry)
    assert run.info.run_id == tracked.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "train demo"
    assert run.data.tags["leadscore.digest"] == work.digest
    assert run.data.tags["leadscore.simulated"] == "true"

    card = work.trained.scorer.card
    assert run.data.params["won"] == "won"
    assert run.data.params["horizon_days"] == "90.0"
    assert run.data.params["test_is"] == "newest 20% of leads"
    assert run.data.params["features"] == str(len(card.features))
    assert run.data.params["estimator.kind"] == card.estimator["kind"]
    assert run.data.params["estimator.parameters.learning_rate"] == "0.06"

    found = work.trained.evaluations
    expected = {
        f"{model}.{metric}{suffix}": value
        for model, evaluation in found.items()
        for metric in MODEL_METRICS
        for suffix, value in (
            ("", evaluation.values[metric]),
            (".low", evaluation.intervals[metric][0]),
            (".high", evaluation.intervals[metric][1]),
        )
    }
    assert len(expected) == 3 * len(found) * len(MODEL_METRICS)
    facts = {f"data.{k}": v for k, v in card.learned_from.items() if isinstance(v, int | float)}
    assert facts["data.leads"] == 1_500
    assert run.data.metrics == pytest.approx(expected | facts)

    inputs = {given.dataset.name: given.dataset.digest for given in run.inputs.dataset_inputs}
    assert inputs == {table: digest[:36] for table, digest in card.digests.items()}
    assert len(inputs) == 4

    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    logged = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert logged >= {
        "leadscore.toml",
        "card.json",
        "environment.txt",
        "plots/reliability.png",
        "plots/gains.png",
        "plots/log_loss.png",
    }
    for plot in (folder / "plots").iterdir():
        content = plot.read_bytes()
        assert content.startswith(b"\x89PNG\r\n")
        assert len(content) > 5_000
    assert json.loads((folder / "card.json").read_text()) == card.to_json()
    environment = (folder / "environment.txt").read_text().splitlines()
    assert f"mlflow=={mlflow.__version__}" in environment
    assert any(line.startswith("lightgbm==") for line in environment)
    stored = (folder / "leadscore.toml").read_text()
    assert "postgresql://crm:***@db.example/crm" in stored
    assert stored.replace("***", PASSWORD) == project.text


def test_run_contains_moments_and_their_test_margins(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, standing = register(registry, project, work)
    content = registry.run_file(tracked.version, MOMENTS_FILE)
    table, split = StoredMoments.from_parquet(content), work.trained.split
    assert dict(zip(*np.unique(table.role, return_counts=True), strict=True)) == {
        "train": len(split.train),
        "test": len(split.test),
        "embargoed": split.embargoed,
    }
    np.testing.assert_array_equal(table.margin[table.role == "test"], work.trained.test_margin)
    np.testing.assert_array_equal(table.label, work.trained.moments.label)
    assert np.isnan(table.margin[table.role != "test"]).all()
    assert registry.run_file(tracked.version, "nothing.parquet") is None


def test_tables_of_the_card_are_csv_files(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    card = work.trained.scorer.card
    evil, *others = card.segments
    card = replace(card, segments=[{**evil, "value": "=cmd()"}, *others])
    trained = replace(work.trained, scorer=replace(work.trained.scorer, card=card))
    tracked, standing = register(registry, project, work, trained)
    path = registry.client.download_artifacts(tracked.run_id, "tables", str(tmp_path))
    tables = {file.stem: pd.read_csv(file) for file in Path(path).iterdir()}
    assert tables.keys() >= {"by_age", "by_grade", "reliability", "gains", "segments"}
    assert list(tables["segments"]["value"])[0] == "'=cmd()"
    assert list(tables["segments"]["n"]) == [row["n"] for row in card.segments]
    assert list(tables["by_age"]["age_days"]) == [row["age_days"] for row in card.test["by_age"]]


def test_every_trial_is_a_nested_run(work: Work, project: Project, registry: Registry) -> None:
    trained = replace(work.trained, trials=TRIALS)
    tracked, standing = register(registry, project, work, trained)
    runs = registry.client.search_runs(
        [registry.find_experiment()], f"tags.`mlflow.parentRunId` = '{tracked.run_id}'"
    )
    found = {run.info.run_name: run for run in runs}
    assert found.keys() == {"trial 0", "trial 1"}
    assert found["trial 0"].data.params == {"num_leaves": "31"}
    assert found["trial 0"].data.metrics == {"log_loss": 0.41, "seconds": 2.5}
    assert found["trial 1"].data.metrics == {"seconds": 0.5}
    assert found["trial 1"].data.tags["leadscore.state"] == "pruned"


# -- the first champion --------------------------------------------------------------------


def test_first_model_passes_the_gates_and_is_recorded(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_champion, "run_gates", run_gates)
    tracked, standing = register(registry, project, work)
    assert [gate.number for gate in standing.gates] == list(GATES)
    passed = all(gate.passed for gate in standing.gates)
    (event,) = history(registry)
    assert (event.what, event.version, event.previous, event.at) == (
        "first champion" if passed else "refused",
        "1",
        None,
        NOW,
    )
    assert standing.is_champion is passed
    assert registry.find_champion() == ("1" if passed else None)


def test_first_model_that_fails_a_gate_stays_a_challenger(
    work: Work, project: Project, registry: Registry, verdicts: list[Gate]
) -> None:
    verdicts[:] = [Gate("LG103", "calibration", False, "It is far off.")]
    tracked, standing = register(registry, project, work)
    assert (standing.is_champion, standing.champion) == (False, None)
    assert standing.gates == tuple(verdicts)
    assert "LG103 calibration" in standing.refusal
    assert registry.find_champion() is None
    assert registry.find_alias(CHALLENGER) == "1"
    assert registry.pinned_scale() is None
    assert [(event.what, event.failed) for event in history(registry)] == [
        ("refused", ("LG103 calibration",))
    ]


def test_second_training_runs_no_gates(
    work: Work, project: Project, registry: Registry, verdicts: list[Gate]
) -> None:
    register(registry, project, work)
    assert registry.find_alias(CHALLENGER) is None
    assert registry.pinned_scale() == work.trained.scorer.scale
    verdicts[:] = [Gate("LG103", "calibration", False, "It is far off.")]
    second, standing = register(registry, project, work)
    assert (standing.gates, standing.refusal, standing.champion) == ((), "", "1")
    assert registry.find_alias(CHALLENGER) == "2"
    assert len(history(registry)) == 1


def test_no_password_is_stored_anywhere(work: Work, project: Project, registry: Registry) -> None:
    register(registry, project, work)
    for path in (*(project.folder / "mlartifacts").rglob("*"), project.folder / "mlflow.db"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_only_the_first_model_becomes_champion(
    work: Work, project: Project, registry: Registry
) -> None:
    assert registry.find_champion() is None
    first, first_standing = register(registry, project, work)
    second, standing = register(registry, project, work)
    assert (first.version, first_standing.is_champion, first_standing.champion) == ("1", True, "1")
    assert (second.version, standing.is_champion, standing.champion) == ("2", False, "1")
    assert registry.champion() == "1"
    versions = registry.client.search_model_versions("name='demo'")
    assert {str(made.version): made.tags["digest"] for made in versions} == {
        "1": work.digest,
        "2": work.digest,
    }
    assert {made.run_id for made in versions} == {first.run_id, second.run_id}
    registry.make_champion("2")
    assert registry.champion() == "2"


def test_loaded_champion_equals_the_trained_model(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, standing = register(registry, project, work)
    loaded, version = registry.load_champion()
    assert (loaded.digest, version) == (work.digest, "1")
    assert loaded.scorer == work.trained.scorer
    with registry.fetched(version) as folder:
        assert sorted(p.name for p in folder.iterdir()) == sorted(
            p.name for p in work.artifact.iterdir()
        )
    assert not folder.exists()
    kept = Path(tracked.artifact_uri.removeprefix("file://"))
    assert load_artifact(kept).digest == work.digest


def test_replaced_artefact_of_a_version_is_refused(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    tracked, standing = register(registry, project, work)
    trained = work.trained
    slope = trained.scorer.calibration.slope / 2
    other = replace(trained.scorer, calibration=replace(trained.scorer.calibration, slope=slope))
    shutil.rmtree(kept := Path(tracked.artifact_uri.removeprefix("file://")))
    digest = save_artifact(other, trained.golden_leads, kept, trained.golden_as_of)
    said = f"Version 1 of `demo` is not the model .* digest {digest[:12]}, the registry has "
    with pytest.raises(ArtifactError, match=said):
        registry.load_champion()


def test_store_is_beside_the_project_file(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    register(registry, project, work)
    assert {path.name for path in tmp_path.iterdir()} == {
        "leadscore.toml",
        "mlflow.db",
        "mlflow.db.lock",
        "mlartifacts",
    }


def test_altered_artefact_is_not_logged(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    damaged = shutil.copytree(work.artifact, tmp_path / "work" / ARTIFACT)
    (damaged / "booster.txt").write_text("other trees")
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        register(registry, project, work, artifact=damaged)
    assert trainings_of(registry) == []


# -- whole or not at all -------------------------------------------------------------------


def _fail_at(
    monkeypatch: pytest.MonkeyPatch, registry: Registry, step: str, failure: BaseException
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise failure

    target = {
        "log_metrics": (mlflow, "log_metrics"),
        "log_artifacts": (mlflow, "log_artifacts"),
        "log_model": (mlflow.pyfunc, "log_model"),
        "register": (registry, "register"),
        "find_champion": (registry, "find_champion"),
        "make_champion": (registry, "make_champion"),
        "make_challenger": (registry, "make_challenger"),
        "log_trial": (registry.client, "log_param"),
        "run_gates": (first_champion, "run_gates"),
        "record": (registry.client, "log_dict"),
        "get_logged_model": (registry.client, "get_logged_model"),
    }[step]
    monkeypatch.setattr(*target, fail)


TRIALS = (
    Trial(0, {"num_leaves": 31}, 0.41, "complete", 2.5),
    Trial(1, {"num_leaves": 7}, None, "pruned", 0.5),
)
STEPS = [
    "log_metrics",
    "log_artifacts",
    "log_model",
    "register",
    "log_trial",
    "find_champion",
    "make_champion",
    "make_challenger",
    "run_gates",
    "record",
    "get_logged_model",
]


@pytest.mark.parametrize("step", STEPS)
def test_failure_at_any_step_leaves_nothing(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    trained = replace(work.trained, trials=TRIALS)
    failure = mlflow.MlflowException(f"the disk is full\nat {step}")
    with monkeypatch.context() as patch:
        _fail_at(patch, registry, step, failure)
        with pytest.raises(TrackingError, match=f"mlflow.db refused: the disk is full at {step}$"):
            register(registry, project, work, trained)
    assert mlflow.active_run() is None
    assert _left_over(registry, project) == {
        "runs": [],
        "models": [],
        "versions": [],
        "champion": None,
        "files": [],
    }


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_unexpected_failure_is_undone(
    work: Work,
    project: Project,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    with monkeypatch.context() as patch:
        _fail_at(patch, registry, "make_champion", failure)
        with pytest.raises(type(failure), match=str(failure) or "^$"):
            register(registry, project, work)
    assert not any(_left_over(registry, project).values())
    assert register(registry, project, work)[1].is_champion


def test_failed_second_training_keeps_the_first(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(registry, project, work)
    before = _left_over(registry, project)
    with monkeypatch.context() as patch:
        _fail_at(patch, registry, "get_logged_model", mlflow.MlflowException("gone"))
        with pytest.raises(TrackingError, match="refused: gone"):
            register(registry, project, work)
    assert _left_over(registry, project) == before
    assert registry.load_champion()[0].digest == work.digest


def test_lost_store_does_not_hide_the_failure(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise mlflow.MlflowException("the store is gone")

    _fail_at(monkeypatch, registry, "make_champion", mlflow.MlflowException("the first failure"))
    for name in ("unregister",):
        monkeypatch.setattr(registry, name, gone)
    for name in ("get_run", "delete_run", "search_logged_models"):
        monkeypatch.setattr(registry.client, name, gone)
    with pytest.raises(TrackingError, match="refused: the first failure"):
        register(registry, project, work)


def _left_over(registry: Registry, project: Project) -> dict[str, object]:
    client = registry.client
    experiment = client.get_experiment_by_name(registry.name)
    ids = [experiment.experiment_id] if experiment else []
    files = (project.folder / "mlartifacts").rglob("*")
    return {
        "runs": [run.info.run_id for run in client.search_runs(ids)] if ids else [],
        "models": [model.model_id for model in client.search_logged_models(ids)] if ids else [],
        "versions": [str(made.version) for made in client.search_model_versions("name='demo'")],
        "champion": registry.find_champion(),
        "files": sorted(str(path) for path in files if path.is_file()),
    }


# -- where MLflow is -----------------------------------------------------------------------


@pytest.fixture
def other_server() -> Iterator[int]:
    """Return the port of a server that does not speak HTTP."""
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True)\n"
        "while True: c, _ = s.accept(); c.sendall(b'SSH-2.0-OpenSSH_9.6\\r\\n'); c.close()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("http://127.0.0.1:{port}", "at http://127.0.0.1:{port}: .*Connection refused"),
        ("https://127.0.0.1:{port}/", "Connection refused"),
        ("http://me:pw@127.0.0.1:{port}", r"at http://me:\*\*\*@127.0.0.1:{port}: .*refused"),
        ("http://127.0.0.1:{other_server}", "SSH-2.0-OpenSSH"),
        ("http://", "no host given"),
        ("http://[bad", "Invalid IPv6 URL"),
        ("http://a b/", "control characters"),
        ("postgresql://me:pw@127.0.0.1:{port}/ml", r"me:\*\*\*@127.0.0.1:{port}/ml: .*refused"),
        ("postgresql+psycopg://me:pw@127.0.0.1:{port}/ml", "refused"),
        ("postgresql://me:pw@127.0.0.1:port/ml", "invalid literal"),
        ("postgresql+nothing://me:pw@127.0.0.1/ml", "Can't load plugin"),
        ("gopher://127.0.0.1", "`gopher` is neither http nor a database"),
        ("file:///tmp/mlruns", "`file` is neither http nor a database"),
        ("databricks", "`databricks` is neither http nor a database"),
        ("sqlite:///{folder}/leadscore.toml", "file is not a database"),
        ("sqlite:///{folder}/leadscore.toml/mlflow.db", "Not a directory|File exists"),
        ("sqlite:///{folder}", "unable to open database file"),
    ],
)
def test_unreachable_address_is_refused_at_once(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    other_server: int,
    tmp_path: Path,
    uri: str,
    match: str,
) -> None:
    names = {"port": free_port(), "other_server": other_server, "folder": tmp_path}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(**names))
    began = time.monotonic()
    with pytest.raises(TrackingError, match=match.format(**names)) as refused:
        Registry(project)
    assert time.monotonic() - began < 5
    assert "MLflow cannot be reached at" in str(refused.value)
    assert "correct MLFLOW_TRACKING_URI" in str(refused.value)
    assert ":pw@" not in str(refused.value)


def test_foreign_database_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table alembic_version (version_num text)")
        other.execute("insert into alembic_version values ('of another product')")
    other.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(TrackingError, match="other.db refused: .*'of another product'"):
        Registry(project)


def test_project_without_a_champion_states_what_to_do(registry: Registry) -> None:
    with pytest.raises(TrackingError, match="`demo` has no champion in MLflow .*leadscore train"):
        registry.champion()
    with pytest.raises(TrackingError, match="has no champion"):
        registry.load_champion()


def test_unknown_version_is_refused(registry: Registry) -> None:
    with (
        pytest.raises(TrackingError, match="mlflow.db refused: .*not found"),
        registry.fetched("7"),
    ):
        pass


def test_two_registries_do_not_mix(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(work.project.path, tmp_path / "other")
    shutil.copy(work.database, tmp_path / "other")
    other = Registry(load_project(tmp_path / "other"))
    tracked, standing = register(registry, project, work)
    assert str(tmp_path / "mlartifacts") in tracked.artifact_uri
    assert "MLFLOW_TRACKING_URI" not in os.environ
    with pytest.raises(TrackingError, match="no champion"):
        other.load_champion()
    assert registry.load_champion()[0].digest == work.digest


def test_mlflow_sends_no_telemetry(project: Project, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from crm.project import load_project
from models.registry.registry import Registry
assert "mlflow" not in sys.modules
Registry(load_project(Path(sys.argv[1])))
from mlflow.telemetry.client import get_telemetry_client
print(get_telemetry_client())
"""
    signs = ("PYTEST", "CI", "GITHUB")  # of a test, where MLflow would be silent anyway
    environment = {name: v for name, v in os.environ.items() if not name.startswith(signs)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://host:5000/a", "http://host:5000/a"),
        ("http://me@host:5000", "http://me@host:5000"),
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p'w\"x@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "postgresql://host/db?user=me&password=secret",
            "postgresql://host/db?user=me&password=***",
        ),
        ("a = 'b://c:d@e'\nf = 'g://h:i@j'", "a = 'b://c:***@e'\nf = 'g://h:***@j'"),
    ],
)
def test_displayed_address_has_no_password(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_two_processes_can_open_a_new_store_at_once(work: Work, tmp_path: Path) -> None:
    shutil.copy(work.project.path, tmp_path)
    program = """
import sys
from pathlib import Path
from crm.project import load_project
from models.registry.registry import Registry
print(Registry(load_project(Path(sys.argv[1]))).find_champion())
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [(process.returncode, out) for process, (out, _) in zip(both, said, strict=True)] == [
        (0, "None\n")
    ] * 2, said


def test_server_stores_and_loads_models(
    work: Work,
    project: Project,
    mlflow_server: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    registry = Registry(project)
    assert registry.find_champion() is None
    tracked, standing = register(registry, project, work)
    assert (tracked.tracking_uri, tracked.version, standing.is_champion) == (
        mlflow_server,
        "1",
        True,
    )
    loaded, version = Registry(project).load_champion()
    assert (loaded.digest, version) == (work.digest, "1")
    assert loaded.scorer == work.trained.scorer
    assert not (tmp_path / "mlartifacts").exists()
    with monkeypatch.context() as patch:
        _fail_at(patch, registry, "log_model", mlflow.MlflowException("gone"))
        with pytest.raises(TrackingError, match=f"at {mlflow_server} refused: gone"):
            register(registry, project, work)
    versions = registry.client.search_model_versions("name='demo'")
    assert [str(made.version) for made in versions] == ["1"]
    assert len(trainings_of(registry)) == 1


def test_postgresql_stores_and_loads_models(
    work: Work, project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the files if nobody says otherwise
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_url)
    registry = Registry(project)
    with monkeypatch.context() as patch:
        _fail_at(patch, registry, "make_champion", mlflow.MlflowException("gone"))
        with pytest.raises(TrackingError, match="refused: gone"):
            register(registry, project, work)
    assert not any(_left_over(registry, project).values())
    assert not [path for path in tmp_path.rglob("*") if path.name in ("card.json", "MLmodel")]
    assert register(registry, project, work)[1].is_champion
    assert Registry(project).load_champion()[0].digest == work.digest
