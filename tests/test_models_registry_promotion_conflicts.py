"""Promotions that meet another one, a lock or a failure."""

import datetime
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from crm.errors import GateError, TrackingError
from crm.project import load_project
from models.registry.history import begin_record, history
from models.registry.lock import ABANDONED_AFTER, register_name
from models.registry.promotion import (
    _event,
    promote,
    update_challenger,
)
from models.registry.registry import CHALLENGER, Registry
from models.scale import Scale
from tests.made_promotions import (
    FAILED,
    SCALE,
    at,
    events,
    new_registry,
    promote_each,
    register,
    registered_names,
    results_of,
)

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow


@pytest.fixture
def registry(empty_mlflow: Path, tmp_path: Path) -> Registry:
    """Return a registry with versions 1, 2 and 3; they have no artefacts."""
    return new_registry(empty_mlflow, tmp_path)


# -- races ---------------------------------------------------------------------------------

RACER = """
import datetime, sys
from pathlib import Path
from crm.errors import GateError
from crm.project import load_project
from models.registry.history import Gate, GateResults
from models.registry.promotion import promote
from models.registry.registry import Registry
from models.scale import Scale
folder, version, who = sys.argv[1:]
registry = Registry(load_project(Path(folder)))
results = GateResults(version, "1", (Gate("LG101", "log loss", True, ""),), Scale(-1.5))
print("ready", flush=True)
sys.stdin.readline()
try:
    promote(registry, results, who=who, at=datetime.datetime.now(datetime.UTC))
    print("won")
except GateError as refused:
    print("lost", refused)
"""


def race(folder: Path) -> dict[str, str]:
    """Let two processes promote versions 2 and 3 at the same time; return what each printed."""
    racers = {
        who: subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder), version, who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for version, who in (("2", "ann"), ("3", "bob"))
    }
    for process in racers.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in racers.values():
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = {who: process.communicate(timeout=60) for who, process in racers.items()}
    assert [err for _, err in outputs.values()] == ["", ""]
    return {who: out.strip() for who, (out, _) in outputs.items()}


def check_race(registry: Registry, folder: Path) -> None:
    promote_each(registry, "1")
    outputs = race(folder)
    (winner,) = [who for who, out in outputs.items() if out == "won"]
    (loser,) = [who for who, out in outputs.items() if out.startswith("lost")]
    assert winner in outputs[loser]
    version_of = {"ann": "2", "bob": "3"}
    assert registry.champion() == version_of[winner]
    assert sorted((event.what, event.version, event.who) for event in history(registry)[1:]) == [
        ("promoted", version_of[winner], winner),
        ("refused", version_of[loser], loser),
    ]
    assert registered_names(registry) == [registry.name]


def test_concurrent_promotions_have_one_winner(registry: Registry, tmp_path: Path) -> None:
    check_race(registry, tmp_path)


def test_concurrent_promotions_on_postgresql(
    registry: Registry, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_url)
    file = tmp_path / "leadscore.toml"  # other tests use the name `demo` in this database
    file.write_text(file.read_text().replace('"demo"', '"race"'))
    registry_there = Registry(load_project(tmp_path))
    register(registry_there, 3)
    check_race(registry_there, tmp_path)


def test_concurrent_promotions_on_a_server(
    registry: Registry, mlflow_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    registry_there = Registry(load_project(tmp_path))
    register(registry_there, 3)
    check_race(registry_there, tmp_path)


def test_late_forced_promotion_is_recorded_with_its_gates(registry: Registry) -> None:
    promote_each(registry, "1", "2")
    with pytest.raises(GateError, match="was made champion by ann"):
        promote(
            registry, results_of("3", "1", FAILED), who="bob", at=at(5), because="now", forced=True
        )
    last = history(registry)[-1]
    assert (last.what, last.forced, last.because) == ("refused", True, "now")
    assert last.failed == ("LG103 calibration",)
    assert "was made champion by ann" in last.said
    assert last.to_json()["forced"] is True
    assert [event.forced for event in history(registry)[:-1]] == [False, False]


def test_gates_against_another_champion_do_not_count(registry: Registry) -> None:
    promote_each(registry, "1", "2")
    message = (
        "^Version 2 .* by ann at 2026-03-01 12:01:00 UTC, while version 3 was compared with "
        r"version 1\. Run the command again"
    )
    with pytest.raises(GateError, match=message):
        promote(registry, results_of("3", "1"), who="bob", at=at(5))
    assert registry.champion() == "2"
    assert events(registry)[-1] == ("refused", "3", "1")


# -- the lock ------------------------------------------------------------------------------


def take_lock(registry: Registry, name: str = "demo.promoting", token: str = "dead") -> None:
    """Take the lock like a process that does not release it."""
    tags = {"leadscore.who": "carl", "leadscore.token": token}
    assert register_name(registry.client, name, tags)


def now(minutes: float = 0) -> datetime.datetime:
    """Return the real time, because the age of a lock comes from MLflow's clock."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


def test_promotion_under_a_lock_names_its_holder(registry: Registry) -> None:
    take_lock(registry)
    with pytest.raises(GateError, match="^carl is changing the champion .* right now, since "):
        promote(registry, results_of("2", None), who="bob", at=now())
    assert registry.find_champion() is None
    assert events(registry) == [("refused", "2", None)]
    assert "demo.promoting" in registered_names(registry)


def test_lock_of_a_dead_process_is_taken_over(registry: Registry) -> None:
    take_lock(registry)
    take_lock(registry, "demo.promoting.dead", "dead too")
    promote(
        registry, results_of("2", None), who="bob", at=now(ABANDONED_AFTER.total_seconds() / 60)
    )
    assert registry.champion() == "2"
    assert registered_names(registry) == ["demo"]


def test_abandoned_lock_is_taken_over_by_one_process(registry: Registry) -> None:
    take_lock(registry)
    registry.client.create_registered_model(
        "demo.promoting.dead", tags={"leadscore.who": "dora", "leadscore.token": "alive"}
    )
    with pytest.raises(GateError, match="^(carl|dora) is changing"):
        promote(registry, results_of("2", None), who="bob", at=now())


# -- failures halfway --------------------------------------------------------------------


@pytest.mark.parametrize("step", ["pin_scale", "make_champion", "make_challenger"])
def test_failed_promotion_leaves_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    promote_each(registry, "1")
    update_challenger(registry)
    results = results_of("2", "1", FAILED, scale=Scale(-0.5))
    original = getattr(registry, step)
    calls: list[tuple[Any, ...]] = []

    def fail_once(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise mlflow.MlflowException("gone")
        original(*arguments)

    monkeypatch.setattr(registry, step, fail_once)
    with pytest.raises(TrackingError, match="refused: gone"):
        promote(registry, results, who="bob", at=at(5), because="b", forced=True)
    assert calls
    assert registry.champion() == "1"
    assert registry.find_alias(CHALLENGER) == "3"
    assert registry.pinned_scale() == SCALE
    assert events(registry) == [("first champion", "1", None)]
    assert registered_names(registry) == ["demo"]


def test_next_promotion_undoes_one_killed_before_the_change(registry: Registry) -> None:
    promote_each(registry, "1")
    results = results_of("2", "1", scale=Scale(-0.5))
    tags = {"scale": Scale(-0.5).to_text(), "scale_before": SCALE.to_text()}
    begin_record(
        registry, _event("forced", results, "carl", at(3), "b", forced=True), results, tags
    )
    registry.pin_scale(Scale(-0.5))
    assert events(registry) == [("first champion", "1", None)]
    promote(registry, results_of("3", "1"), who="bob", at=at(5))
    assert events(registry) == [("first champion", "1", None), ("promoted", "3", "1")]
    assert registry.pinned_scale() == SCALE


def test_next_promotion_finishes_one_killed_after_the_change(registry: Registry) -> None:
    promote_each(registry, "1")
    results = results_of("2", "1")
    begin_record(registry, _event("promoted", results, "carl", at(3), ""), results, {})
    registry.make_champion("2")
    promote(registry, results_of("3", "2"), who="bob", at=at(5))
    assert events(registry)[1:] == [("promoted", "2", "1"), ("promoted", "3", "2")]
