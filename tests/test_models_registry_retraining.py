import datetime
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from crm.errors import BusyError, TrackingError
from models.registry import history as history_module
from models.registry import retraining as module
from models.registry.history import Event, refused_since_promotion
from models.registry.registry import RETRAIN_RUNS, Registry
from models.registry.retraining import Retraining, last_retrainings, retraining
from tests.made_runs import NOW, Work, copy_project


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime.datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += datetime.timedelta(**time)


@pytest.fixture
def registry(work: Work, tmp_path: Path) -> Registry:
    return Registry(copy_project(work, tmp_path / "p"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(registry: Registry, clock: Clock) -> Retraining:
    """Begin a retraining that fails after its first step."""
    with suppress(TrackingError), retraining(registry, clock) as run:
        run.done("decision", "train: due")
        raise TrackingError("MLflow is away")
    return run


def test_finished_retraining_is_not_resumed(registry: Registry, clock: Clock) -> None:
    with retraining(registry, clock) as run:
        run.done("decision", "wait: nothing")
        run.end("No training.", {"status": 0.0})
    clock.passes(days=1)
    with retraining(registry, clock) as again:
        assert not again.is_resumed
        assert again.steps == {}
        assert again.run_id != run.run_id
        again.end("No training.", {})
    first, second = last_retrainings(registry)
    assert (first["status"], first["steps"]) == ("FINISHED", {"decision": "wait: nothing"})
    assert second["sentence"] == "No training."


def test_failed_retraining_is_resumed_behind_its_last_step(
    registry: Registry, clock: Clock
) -> None:
    run = fail(registry, clock)
    clock.passes(hours=1)
    with retraining(registry, clock) as again:
        assert (again.is_resumed, again.run_id) == (True, run.run_id)
        assert again.steps == {"decision": "train: due"}
        assert again.at == run.at


def test_only_one_retraining_at_a_time(registry: Registry, clock: Clock) -> None:
    with retraining(registry, clock), pytest.raises(BusyError, match=f"process {os.getpid()} on "):  # noqa: SIM117
        with retraining(registry, clock):
            pass


def test_retraining_of_another_machine_is_resumed_after_its_silence(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    run = module._claim(registry, clock())
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    clock.passes(minutes=2)
    with pytest.raises(BusyError, match="on elsewhere "), retraining(registry, clock):
        pass
    clock.passes(minutes=2)
    with retraining(registry, clock) as again:
        assert again.run_id == run.run_id


def test_retraining_of_a_dead_process_is_resumed_at_once(registry: Registry, clock: Clock) -> None:
    run = module._claim(registry, clock())
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    registry.client.set_tag(run.run_id, module.PID, dead.stdout.decode().strip())
    with retraining(registry, clock) as again:
        assert again.run_id == run.run_id


def test_old_retraining_is_given_up(registry: Registry, clock: Clock) -> None:
    run = fail(registry, clock)
    clock.passes(days=2)
    with retraining(registry, clock) as again:
        assert again.run_id != run.run_id
    assert [row["status"] for row in last_retrainings(registry)] == ["KILLED", "RUNNING"]


def test_sign_of_life_is_renewed(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWED_EVERY", 0.05)
    with retraining(registry, clock) as run:
        clock.passes(hours=5)
        for _ in range(200):
            alive = registry.client.get_run(run.run_id).data.tags[module.ALIVE]
            if alive == clock().isoformat():
                break
            threading.Event().wait(0.05)
        assert alive == clock().isoformat()


def test_retrainings_have_an_experiment_of_their_own(registry: Registry, clock: Clock) -> None:
    assert last_retrainings(registry) == []
    with retraining(registry, clock):
        pass
    assert registry.find_experiment(RETRAIN_RUNS) is not None
    assert registry.find_experiment() is None


def test_containers_with_the_name_of_their_host_do_not_know_each_others_processes(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_machine", lambda: "host (pid:[1])")
    module._claim(registry, clock())
    monkeypatch.setattr(module, "_runs", lambda pid: False)
    monkeypatch.setattr(module, "_machine", lambda: "host (pid:[2])")
    with pytest.raises(BusyError), retraining(registry, clock):
        pass


def test_refusals_since_the_last_promotion_are_counted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def event(what: str, version: str) -> Event:
        return Event(what, version, None, "ann", "", NOW, (), False, "", "")

    events = [event("refused", "2"), event("promoted", "3"), event("refused", "4")]
    events += [event("refused", "4"), event("refused", "5")]
    monkeypatch.setattr(history_module, "history", lambda registry: events)
    assert refused_since_promotion(registry) == 2
    events.append(event("rolled back", "2"))
    assert refused_since_promotion(registry) == 0
