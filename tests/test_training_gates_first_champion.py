"""The first champion: it passes its gates, or a failure leaves nothing of it behind."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crm.errors import TrackingError
from crm.project import Project
from models.registry.history import Gate, history
from models.registry.registry import CHALLENGER, Registry
from tests.made_runs import (
    NOW,
    TRIALS,
    Work,
    copy_project,
    register,
    replace_gates,
    stored,
)
from training.gates import first_champion
from training.gates.checks import GATES
from training.gates.gates import run_gates

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow
    import mlflow.pyfunc

FAILED = Gate("LG103", "calibration", False, "It is far off.")


@pytest.fixture
def project(work: Work, tmp_path: Path) -> Project:
    """Return a project with an empty MLflow database next to it."""
    return copy_project(work, tmp_path)


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


@pytest.fixture(autouse=True)
def gates(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """Return the results of the gates for a first version; a test can change the list."""
    return replace_gates(monkeypatch)


# -- the gates of a first version ----------------------------------------------------------


def test_first_version_runs_every_gate_and_is_recorded(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_champion, "run_gates", run_gates)
    _, standing = register(registry, project, work)
    assert [gate.number for gate in standing.gates] == list(GATES)
    passed = all(gate.passed for gate in standing.gates)
    (event,) = history(registry)
    assert event.what == ("first champion" if passed else "refused")
    assert (event.version, event.previous, event.at) == ("1", None, NOW)
    assert standing.is_champion is passed
    assert registry.find_champion() == ("1" if passed else None)


def test_first_version_that_fails_a_gate_stays_a_challenger(
    work: Work, project: Project, registry: Registry, gates: list[Gate]
) -> None:
    gates[:] = [FAILED]
    _, standing = register(registry, project, work)
    assert (standing.is_champion, standing.champion) == (False, None)
    assert standing.gates == (FAILED,)
    assert "LG103 calibration" in standing.refusal
    assert registry.find_champion() is None
    assert registry.find_alias(CHALLENGER) == "1"
    assert registry.pinned_scale() is None
    (event,) = history(registry)
    assert (event.what, event.failed) == ("refused", ("LG103 calibration",))


def test_second_training_runs_no_gates(
    work: Work, project: Project, registry: Registry, gates: list[Gate]
) -> None:
    register(registry, project, work)
    assert registry.find_alias(CHALLENGER) is None
    assert registry.pinned_scale() == work.trained.scorer.scale
    gates[:] = [FAILED]
    _, standing = register(registry, project, work)
    assert (standing.gates, standing.refusal, standing.champion) == ((), "", "1")
    assert registry.find_alias(CHALLENGER) == "2"
    assert len(history(registry)) == 1


def test_only_the_first_version_becomes_champion(
    work: Work, project: Project, registry: Registry
) -> None:
    first, first_standing = register(registry, project, work)
    second, second_standing = register(registry, project, work)
    assert (first.version, second.version) == ("1", "2")
    assert (first_standing.is_champion, first_standing.champion) == (True, "1")
    assert (second_standing.is_champion, second_standing.champion) == (False, "1")
    assert registry.champion() == "1"
    versions = registry.client.search_model_versions("name='demo'")
    assert {str(version.version): version.run_id for version in versions} == {
        "1": first.run_id,
        "2": second.run_id,
    }
    assert {version.tags["digest"] for version in versions} == {work.digest}


# -- failures ------------------------------------------------------------------------------

# Where a step is a function: the object, and the function's name.
STEPS: dict[str, Callable[[Registry], tuple[Any, str]]] = {
    "log metrics": lambda registry: (mlflow, "log_metrics"),
    "log artifacts": lambda registry: (mlflow, "log_artifacts"),
    "log the model": lambda registry: (mlflow.pyfunc, "log_model"),
    "register": lambda registry: (registry, "register"),
    "log a trial": lambda registry: (registry.client, "log_batch"),
    "log the data sets": lambda registry: (registry.client, "log_inputs"),
    "name the run": lambda registry: (registry.client, "update_run"),
    "find the champion": lambda registry: (registry, "find_champion"),
    "make the champion": lambda registry: (registry, "make_champion"),
    "make the challenger": lambda registry: (registry, "make_challenger"),
    "run the gates": lambda registry: (first_champion, "run_gates"),
    "record the event": lambda registry: (registry.client, "log_dict"),
    "get the logged model": lambda registry: (registry.client, "get_logged_model"),
}


def fail_at(
    monkeypatch: pytest.MonkeyPatch, registry: Registry, step: str, failure: BaseException
) -> None:
    """Let a step of registering a training raise a failure."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr(*STEPS[step](registry), fail)


@pytest.mark.parametrize("step", STEPS)
def test_failure_at_any_step_leaves_nothing(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    trained = replace(work.trained, trials=TRIALS)
    failure = mlflow.MlflowException(f"the disk is full\nat: {step}")
    with monkeypatch.context() as patch:
        fail_at(patch, registry, step, failure)
        with pytest.raises(TrackingError, match=f"mlflow.db refused: the disk is full at: {step}$"):
            register(registry, project, work, trained)
    assert mlflow.active_run() is None
    assert not any(stored(registry, project).values())


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_unexpected_failure_is_undone(
    work: Work,
    project: Project,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, registry, "make the champion", failure)
        with pytest.raises(type(failure), match=str(failure) or "^$"):
            register(registry, project, work)
    assert not any(stored(registry, project).values())
    assert register(registry, project, work)[1].is_champion


def test_failed_second_training_keeps_the_first(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(registry, project, work)
    before = stored(registry, project)
    with monkeypatch.context() as patch:
        fail_at(patch, registry, "get the logged model", mlflow.MlflowException("gone"))
        with pytest.raises(TrackingError, match="refused: gone"):
            register(registry, project, work)
    assert stored(registry, project) == before
    assert registry.load_champion()[0].digest == work.digest


def test_failure_of_the_clean_up_does_not_hide_the_first_failure(
    work: Work, project: Project, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise mlflow.MlflowException("the store is gone")

    failure = mlflow.MlflowException("the first failure")
    fail_at(monkeypatch, registry, "make the champion", failure)
    monkeypatch.setattr(registry, "unregister", fail)
    for name in ("get_run", "delete_run", "search_logged_models"):
        monkeypatch.setattr(registry.client, name, fail)
    with pytest.raises(TrackingError, match="refused: the first failure"):
        register(registry, project, work)
