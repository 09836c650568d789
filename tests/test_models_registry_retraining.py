import datetime
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

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
    clock.passes(days=8)
    with retraining(registry, clock) as again:
        assert again.run_id != run.run_id
        assert again.given_up.endswith(" UTC is not resumed: it began 8 days ago.")
    killed, running = last_retrainings(registry)
    assert (killed["status"], killed["sentence"]) == ("KILLED", "Not resumed: it began 8 days ago.")
    assert running["status"] == "RUNNING"


def test_retraining_is_resumed_within_a_week(registry: Registry, clock: Clock) -> None:
    """A timer that starts it once a day, with a random delay, comes after a day or later."""
    run = fail(registry, clock)
    clock.passes(days=1, hours=1)
    with suppress(TrackingError), retraining(registry, clock) as again:
        assert again.run_id == run.run_id
        raise TrackingError("MLflow is away")
    clock.passes(days=5, hours=22.9)
    with suppress(TrackingError), retraining(registry, clock) as again:
        assert again.run_id == run.run_id
        raise TrackingError("MLflow is away")
    clock.passes(hours=0.1)  # a week after it began, although it failed a moment ago
    with retraining(registry, clock) as last:
        assert last.run_id != run.run_id


@pytest.mark.parametrize("step", [None, "wait: nothing is due"])
def test_retraining_without_a_training_is_resumed_on_the_same_day_only(
    registry: Registry, clock: Clock, step: str | None
) -> None:
    """Otherwise the look of the next day would be left out."""

    def begin() -> Retraining:
        with suppress(TrackingError), retraining(registry, clock) as run:
            if step is not None:
                run.done("decision", step)
            raise TrackingError("MLflow is away")
        return run

    run = begin()
    clock.passes(hours=11.9)
    assert begin().run_id == run.run_id
    clock.passes(hours=0.1)
    anew = begin()
    assert anew.run_id != run.run_id
    assert "the champion is looked at again" in anew.given_up


def test_challenger_from_the_shadow_is_judged_after_a_day(registry: Registry, clock: Clock) -> None:
    with suppress(TrackingError), retraining(registry, clock) as run:
        run.done("decision", "wait: nothing is due")
        run.done("shadow", "4")
        raise TrackingError("MLflow is away")
    clock.passes(days=2)
    with retraining(registry, clock) as again:
        assert again.run_id == run.run_id


def begun_with(registry: Registry, clock: Clock, **steps: str) -> Retraining:
    with suppress(TrackingError), retraining(registry, clock, "settings") as run:
        for step, result in steps.items():
            run.done(step, result)
        raise TrackingError("MLflow is away")
    return run


@pytest.mark.parametrize("steps", [{}, {"train": "7"}])
def test_retraining_under_other_settings_is_given_up(
    registry: Registry, clock: Clock, steps: dict[str, str]
) -> None:
    run = begun_with(registry, clock, decision="train: due", **steps)
    with suppress(TrackingError), retraining(registry, clock, "settings") as again:
        assert again.run_id == run.run_id
        raise TrackingError("MLflow is away")
    with retraining(registry, clock, "other settings") as anew:
        assert anew.run_id != run.run_id
        assert anew.given_up.endswith("is not resumed: the project file has changed since.")


def test_what_follows_a_promotion_is_always_resumed(registry: Registry, clock: Clock) -> None:
    """The services have not taken over the champion yet."""
    run = begun_with(registry, clock, decision="train: due", train="7", judge="promoted")
    clock.passes(days=40)
    with retraining(registry, clock, "other settings", force=True) as again:
        assert (again.run_id, again.steps["judge"]) == (run.run_id, "promoted")


def test_refusal_is_told_whatever_the_settings(registry: Registry, clock: Clock) -> None:
    run = begun_with(registry, clock, decision="train: due", train="7", judge="refused")
    with retraining(registry, clock, "other settings") as again:
        assert again.run_id == run.run_id


def test_forced_training_does_not_resume_one_that_decided_to_wait(
    registry: Registry, clock: Clock
) -> None:
    run = begun_with(registry, clock, decision="wait: nothing is due")
    with retraining(registry, clock, "settings", force=True) as anew:
        assert anew.run_id != run.run_id
        assert anew.given_up.endswith("is not resumed: a training is requested now.")


def test_forced_training_resumes_one_that_trains(registry: Registry, clock: Clock) -> None:
    run = begun_with(registry, clock, decision="train: due")
    with retraining(registry, clock, "settings", force=True) as again:
        assert again.run_id == run.run_id


@pytest.mark.parametrize("is_trained", [True, False])
def test_decision_about_another_champion_is_made_again(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_trained: bool
) -> None:
    """A version that is trained is compared with the new champion by the gates."""
    run = begun_with(registry, clock, decision="train: LM201 says act.")
    if is_trained:
        training_of(registry, run.run_id, is_registered=True)
    monkeypatch.setattr(Registry, "find_champion", lambda self: "12")
    with retraining(registry, clock, "settings") as again:
        assert (again.run_id == run.run_id) is is_trained
        assert again.given_up.endswith("there is another champion now.") is not is_trained


def test_first_champion_is_handed_over_under_other_settings(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun_with(registry, clock, decision="train: No model has been trained yet.")
    training_of(registry, run.run_id, is_registered=True)
    monkeypatch.setattr(Registry, "find_champion", lambda self: "1")
    with retraining(registry, clock, "other settings") as again:
        assert again.run_id == run.run_id


def test_training_of_a_retraining_that_is_given_up_is_deleted(
    registry: Registry, clock: Clock
) -> None:
    run = begun_with(registry, clock, decision="train: due")
    begun = training_of(registry, run.run_id, is_registered=False)
    with retraining(registry, clock, "other settings"):
        assert registry.client.get_run(begun).info.lifecycle_stage == "deleted"


def test_only_the_newest_unfinished_retraining_is_resumed(registry: Registry, clock: Clock) -> None:
    experiment = registry.experiment(RETRAIN_RUNS)
    started = [round(clock().timestamp() * 1000) - 1_000 * seconds for seconds in (9, 5)]
    _, newer = (registry.client.create_run(experiment, start_time=at).info.run_id for at in started)
    clock.passes(hours=1)
    assert module._claim(registry, clock()).run_id == newer
    assert [row["status"] for row in last_retrainings(registry)] == ["KILLED", "RUNNING"]


def test_sign_of_life_of_another_machine_lasts_three_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_machine", lambda: "here")
    tags = {module.ALIVE: NOW.isoformat(), module.HOST: "elsewhere", module.PID: "1"}

    def is_alive(seconds: float, **changed: str) -> bool:
        return module._is_alive({**tags, **changed}, NOW + datetime.timedelta(seconds=seconds))

    assert [is_alive(179.9), is_alive(180)] == [True, False]
    here = {module.HOST: "here"}
    assert is_alive(9, **here, **{module.PID: str(os.getpid())})
    assert not is_alive(9, **here, **{module.PID: "0"})
    assert not is_alive(9, **{module.ALIVE: ""})
    assert not module._is_alive({}, NOW)


def test_newest_retrainings_are_listed(registry: Registry, clock: Clock) -> None:
    for number in range(3):
        with retraining(registry, clock) as run:
            run.done("decision", f"wait: {number}")
            run.end(f"No training {number}.", {})
        clock.passes(days=1)
    rows = last_retrainings(registry, most=2)
    assert [(row["at"], row["sentence"]) for row in rows] == [
        ((NOW + datetime.timedelta(days=days)).isoformat(), f"No training {days}.")
        for days in (1, 2)
    ]
    assert rows[1]["steps"] == {"decision": "wait: 2"}


def test_long_results_are_cut(registry: Registry, clock: Clock) -> None:
    with retraining(registry, clock) as run:
        run.done("decision", "x" * 6_000)
        run.end("y" * 6_000, {"status": 2.0})
        assert run.steps == {"decision": "x" * 6_000}
    (row,) = last_retrainings(registry)
    assert (row["steps"], row["sentence"]) == ({"decision": "x" * 5_000}, "y" * 5_000)
    assert registry.client.get_run(run.run_id).data.metrics == {"status": 2.0}


def test_message_about_another_retraining_says_how_long_to_wait(
    registry: Registry, clock: Clock
) -> None:
    module._claim(registry, clock())
    with pytest.raises(BusyError, match="After 3 minutes without a sign of life, the next"):
        module._claim(registry, clock())


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


def training_of(registry: Registry, retraining_id: str, *, is_registered: bool) -> str:
    """Begin the run of a training of a retraining, as if the process had been killed then."""
    tags = {module.RETRAIN_TAG: retraining_id}
    run = registry.client.create_run(registry.experiment(), tags=tags).info
    if is_registered:
        with suppress(MlflowException):  # it exists
            registry.client.create_registered_model(registry.name)
        registry.client.create_model_version(registry.name, run.artifact_uri, run.run_id)
    return str(run.run_id)


def test_version_that_a_killed_retraining_registered_is_found(
    registry: Registry, clock: Clock
) -> None:
    with retraining(registry, clock) as run:
        assert run.version_trained() is None
        registered = training_of(registry, run.run_id, is_registered=True)
        of_another = training_of(registry, "another", is_registered=True)
        begun = training_of(registry, run.run_id, is_registered=False)
        assert run.version_trained() == "1"

    def status(run_id: str) -> tuple[str, str]:
        info = registry.client.get_run(run_id).info
        return info.status, info.lifecycle_stage

    # The run of the version ends, and that of a training that was killed before is deleted.
    assert status(registered) == ("FINISHED", "active")
    assert status(of_another) == ("RUNNING", "active")
    assert status(begun) == ("FAILED", "deleted")


def test_first_process_of_a_container_lives() -> None:
    assert module._runs(1)
