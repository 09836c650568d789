"""The MLflow run of a training: when it begins and ends, and what a failed training leaves."""

import datetime
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import training.train
from commands.train import train_and_track
from crm.errors import LearningError, SourceError, TrackingError
from crm.project import Project, load_project
from models.registry.history import history
from models.registry.registry import PROMOTION_RUNS, RUN_KIND, Registry
from tests.made_runs import PASSWORD, stored, training_runs
from training.tracking.commit import commit_of
from training.tracking.run import training_run
from training.tracking.settings import LONGEST_PARAM, settings_of

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow

ROWS = 200
PHASES = ["read", "check", "audit", "remedies", "select", "test", "roll", "fit"]
PHASES += ["describe", "log", "promote"]


@pytest.fixture
def project(empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Write an export of 200 leads with a project file and an empty MLflow store."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    folder = tmp_path / "crm"
    for path in (folder, tmp_path / "bentoml"):
        path.mkdir()
    shutil.copy(empty_mlflow, folder)
    won = ["yes" if (i * 7 % 11 > 6) != (i % 5 == 0) else "no" for i in range(ROWS)]
    rows = [f"{i},{i},{i * 7 % 11},{won[i]}" for i in range(ROWS)]
    (folder / "leads.csv").write_text("\n".join(["id,nr,visits,won", *rows]))
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "demo"\n'
        '[leads]\nsource = "leads.csv"\nlead_id = "id"\norder = "nr"\noutcome = "won"\n'
        '[learn]\nwon = ["yes"]\nlost = ["no"]\n'
    )
    return load_project(folder)


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


def the_run(registry: Registry) -> Any:
    """Return the only run of a training."""
    (run,) = training_runs(registry)
    return registry.client.get_run(run.info.run_id)


# -- the time of a run -----------------------------------------------------------------------


def test_run_lasts_as_long_as_the_training(project: Project, registry: Registry) -> None:
    before = datetime.datetime.now(datetime.UTC)
    outcome = train_and_track(project, quiet=True)
    run = the_run(registry)
    assert list(outcome.seconds) == PHASES
    seconds = {f"train_seconds.{phase}": value for phase, value in outcome.seconds.items()}
    logged = {name: v for name, v in run.data.metrics.items() if name.startswith("train_seconds.")}
    assert logged == pytest.approx(seconds)
    duration = (run.info.end_time - run.info.start_time) / 1000
    assert sum(seconds.values()) <= duration + 0.01
    assert run.info.start_time / 1000 >= before.timestamp() - 0.01


def test_system_metrics_cover_the_training(
    project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "1")
    train_and_track(project, quiet=True)
    run = the_run(registry)
    measured = registry.client.get_metric_history(
        run.info.run_id, "system/cpu_utilization_percentage"
    )
    assert len(measured) > 2
    first, last = measured[0].timestamp, measured[-1].timestamp
    assert run.info.start_time <= first < last <= run.info.end_time


# -- failures ------------------------------------------------------------------------------


def test_records_that_cannot_be_read_leave_no_run(project: Project, registry: Registry) -> None:
    (project.folder / "leads.csv").unlink()
    with pytest.raises(SourceError):
        train_and_track(project, quiet=True)
    assert training_runs(registry) == []
    assert not any(stored(registry, project).values())
    assert mlflow.active_run() is None


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    """Let the fit on all leads raise a failure."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr(training.train, "describe", fail)


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (RuntimeError("a bug"), "FAILED", "RuntimeError: a bug"),
        (LearningError("too little"), "FAILED", "LearningError: too little"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
        (OSError(f"postgresql://me:{PASSWORD}@db"), "FAILED", "OSError: postgresql://me:***@db"),
    ],
)
def test_failed_training_leaves_a_run_with_its_error(
    project: Project,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    status: str,
    error: str,
) -> None:
    with monkeypatch.context() as patch:
        fail_with(patch, failure)
        with pytest.raises(type(failure)):
            train_and_track(project, quiet=True)
    run = the_run(registry)
    assert run.info.status == status
    assert run.data.tags["leadscore.error"] == error
    assert run.data.tags["mlflow.note.content"] == f"The training failed. {error}"
    assert run.data.params["half_life_days"] == "none"
    assert mlflow.active_run() is None
    assert not any(stored(registry, project).values())
    outcome = train_and_track(project, quiet=True)
    assert outcome.standing.is_champion


def test_nothing_to_learn_is_a_failed_run(project: Project, registry: Registry) -> None:
    text = (project.folder / "leads.csv").read_text()
    (project.folder / "leads.csv").write_text(text.replace("yes", "no"))
    with pytest.raises(LearningError) as raised:
        train_and_track(project, quiet=True)
    run = the_run(registry)
    assert (run.info.status, run.data.tags["leadscore.error"]) == (
        "FAILED",
        f"LearningError: {raised.value}",
    )


def test_failure_at_the_end_keeps_what_is_stored(
    project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mlflow, "log_metrics", _fail_at_seconds(mlflow.log_metrics))
        outcome = train_and_track(project, quiet=True)
    assert outcome.standing.is_champion
    run = the_run(registry)
    assert run.info.status == "FINISHED"
    assert "train_seconds.read" not in run.data.metrics
    assert registry.load_champion()[1] == "1"
    assert mlflow.active_run() is None


def _fail_at_seconds(log: Callable[..., Any]) -> Callable[..., Any]:
    def log_or_fail(metrics: dict[str, float], **options: Any) -> Any:
        if any(name.startswith("train_seconds.") for name in metrics):
            raise mlflow.MlflowException("the store is gone")
        return log(metrics, **options)

    return log_or_fail


def test_active_run_of_the_caller_is_not_ended(project: Project, registry: Registry) -> None:
    registry.select()
    with mlflow.start_run(experiment_id=registry.experiment()) as own:
        with pytest.raises(Exception, match="already active"):
            train_and_track(project, quiet=True)
        active = mlflow.active_run()
        assert active is not None
        assert active.info.run_id == own.info.run_id
    assert registry.client.get_run(own.info.run_id).info.status == "FINISHED"
    assert training_runs(registry) == []


# -- promotions ----------------------------------------------------------------------------


def test_promotions_have_an_experiment_of_their_own(project: Project, registry: Registry) -> None:
    train_and_track(project, quiet=True)
    client = registry.client
    (training_,) = client.search_runs([registry.find_experiment()])
    (promotion,) = client.search_runs([registry.find_experiment(PROMOTION_RUNS)])
    assert training_.data.tags[RUN_KIND] == "training"
    assert promotion.data.tags[RUN_KIND] == "promotion"
    assert promotion.info.run_name == "promote version 1"
    experiment = client.get_experiment(promotion.info.experiment_id)
    assert experiment.name == "demo promotions"
    assert [event.version for event in history(registry)] == ["1"]


# -- the settings --------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    """Run git, and return what it prints."""
    names = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *names, *arguments],
        env=environment | {"GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_commit_of_the_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.folder
    assert commit_of(project.path) is None
    git(folder, "init", "-q")
    assert commit_of(project.path) is None
    git(folder, "add", "leads.csv")
    git(folder, "commit", "-qm", "leads")
    untracked = commit_of(project.path)
    assert untracked is not None
    assert untracked.is_dirty
    git(folder, "add", "leadscore.toml")
    git(folder, "commit", "-qm", "project")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    clean = commit_of(project.path)
    assert clean is not None
    assert (clean.digest, clean.is_dirty) == (git(folder, "rev-parse", "HEAD"), False)
    project.path.write_text(project.text + "\n")
    changed = commit_of(project.path)
    assert changed is not None
    assert (changed.digest, changed.is_dirty) == (clean.digest, True)
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of(project.path) is None


def test_run_has_the_commit(project: Project, registry: Registry) -> None:
    git(project.folder, "init", "-q")
    git(project.folder, "add", "leadscore.toml", "leads.csv")
    git(project.folder, "commit", "-qm", "project")
    head = git(project.folder, "rev-parse", "HEAD")
    with training_run(registry, project, datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)):
        pass
    run = the_run(registry)
    assert run.data.params["git_commit"] == head
    assert run.data.params["git_dirty"] == "false"
    assert run.data.tags["mlflow.source.git.commit"] == head


def test_long_lists_are_shortened_and_still_differ(project: Project, registry: Registry) -> None:
    names = [f"column {i}" for i in range(1_000)]
    logged = []
    for last in ("a", "b"):
        project.columns.ignore[:] = [*names, last]
        with training_run(registry, project, datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)):
            pass
        newest = training_runs(registry)[0]
        logged.append(newest.data.params["columns.ignore"])
        assert logged[-1] == settings_of(project, None, None)["columns.ignore"]
    assert logged[0] != logged[1]
    assert all(len(text) <= LONGEST_PARAM for text in logged)
    assert logged[0].startswith("column 0, column 1, ")
    assert "characters, SHA-256 " in logged[0]


def test_unreachable_store_is_the_only_error(
    project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise mlflow.MlflowException("the store is gone")

    monkeypatch.setattr(mlflow, "log_params", fail)
    with pytest.raises(TrackingError, match="the store is gone"):
        train_and_track(project, quiet=True)
    assert training_runs(registry) == []
