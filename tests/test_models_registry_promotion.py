"""Promotions for real: one at a time, on record, and with a way back."""

import datetime
import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from crm.errors import ConfigError, GateError, TrackingError
from crm.project import load_project
from models.registry.history import Gate, GateResults, begin_record, history, previous_champion
from models.registry.lock import ABANDONED_AFTER, register_name
from models.registry.promotion import (
    SCALE_MOVED,
    _event,
    promote,
    rollback,
    update_challenger,
    user_name,
)
from models.registry.registry import CHALLENGER, SCALE_TAG, Registry
from models.scale import Scale

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
PASSED = Gate("LG101", "log loss", True, "It is better.")
FAILED = Gate("LG103", "calibration", False, "It is far off.")
SCALE = Scale(-1.5)


@pytest.fixture
def registry(empty_mlflow: Path, tmp_path: Path) -> Registry:
    """Give a registry with versions 1, 2 and 3, whose artefacts nobody looks at."""
    shutil.copy(empty_mlflow, tmp_path)
    shutil.copy(empty_mlflow.with_name("leadscore.toml"), tmp_path)
    registry = Registry(load_project(tmp_path))
    register(registry, 3)
    return registry


def register(registry: Registry, n: int) -> None:
    for _ in range(n):
        run = registry.client.create_run(registry.experiment())
        source = f"{run.info.artifact_uri}/scorer"
        registry.register(source, run.info.run_id, None, {"digest": "d"})


def judged(version: str, against: str | None, *gates: Gate, scale: Scale | None = SCALE) -> Any:
    return GateResults(version, against, gates or (PASSED,), scale)


def at(minutes: float = 0) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def reign(registry: Registry, *versions: str) -> None:
    """Let versions become champion one after the other."""
    against = registry.find_champion()
    for i, version in enumerate(versions):
        promote(registry, judged(version, against), who="ann", at=at(i))
        against = version


def told(registry: Registry) -> list[tuple[str, str, str | None]]:
    return [(event.what, event.version, event.previous) for event in history(registry)]


def names_left(registry: Registry) -> list[str]:
    """The project's own name, and locks that nobody released."""
    names = [model.name for model in registry.client.search_registered_models()]
    return [name for name in names if name.startswith(registry.name)]


# -- promoting -----------------------------------------------------------------------------


def test_challenger_that_passes_becomes_champion(registry: Registry) -> None:
    reign(registry, "1")
    event = promote(registry, judged("2", "1"), who="bob", at=at(5), because="newer data")
    assert registry.champion() == "2"
    assert (event.what, event.version, event.previous, event.who) == ("promoted", "2", "1", "bob")
    assert history(registry)[-1] == event
    assert names_left(registry) == ["demo"]


def test_event_run_records_who_when_why_and_verdicts(registry: Registry, tmp_path: Path) -> None:
    reign(registry, "1")
    event = promote(registry, judged("2", "1"), who="bob", at=at(5), because=" newer data ")
    run = registry.client.get_run(event.run_id)
    assert (run.info.run_name, run.info.status) == ("promote version 2", "FINISHED")
    assert run.info.start_time == at(5).timestamp() * 1000
    tags = {k: v for k, v in run.data.tags.items() if k.startswith("leadscore.")}
    assert tags == {
        "leadscore.event": "promoted",
        "leadscore.version": "2",
        "leadscore.previous": "1",
        "leadscore.who": "bob",
        "leadscore.because": "newer data",
        "leadscore.forced": "false",
        "leadscore.failed": "",
        "leadscore.said": "",
    }
    assert run.data.tags["mlflow.user"] == "bob"
    path = registry.client.download_artifacts(event.run_id, "gates.json", str(tmp_path))
    assert json.loads(Path(path).read_text()) == {
        "against": "1",
        "gates": [
            {"number": "LG101", "name": "log loss", "passed": True, "evidence": "It is better."}
        ],
    }


def test_refusal_is_recorded_and_keeps_the_champion(registry: Registry) -> None:
    reign(registry, "1")
    with pytest.raises(GateError, match=r"1 of 2 gates: LG103 calibration\..*--because") as refused:
        promote(registry, judged("2", "1", PASSED, FAILED), who="bob", at=at(5))
    assert refused.value.gates == (PASSED, FAILED)
    assert registry.champion() == "1"
    assert registry.find_alias(CHALLENGER) == "3"
    last = history(registry)[-1]
    assert (last.what, last.version, last.failed) == ("refused", "2", ("LG103 calibration",))
    assert last.said == str(refused.value)


def test_forced_promotion_is_recorded_as_forced(registry: Registry) -> None:
    reign(registry, "1")
    judgement = judged("2", "1", FAILED)
    promote(registry, judgement, who="bob", at=at(5), because="the fair is over", forced=True)
    assert registry.champion() == "2"
    last = history(registry)[-1]
    assert (last.what, last.forced, last.because) == ("forced", True, "the fair is over")
    assert last.failed == ("LG103 calibration",)
    assert registry.client.get_run(last.run_id).data.tags["leadscore.forced"] == "true"


def test_unneeded_force_is_recorded_as_promotion(registry: Registry) -> None:
    reign(registry, "1")
    promote(registry, judged("2", "1"), who="bob", at=at(5), because="to be sure", forced=True)
    assert told(registry)[-1] == ("promoted", "2", "1")


@pytest.mark.parametrize("because", ["", "  "])
def test_force_without_a_reason_is_refused(registry: Registry, because: str) -> None:
    with pytest.raises(ConfigError, match="needs a reason"):
        promote(registry, judged("2", None), who="bob", at=NOON, because=because, forced=True)
    assert history(registry) == []


def test_version_that_does_not_load_cannot_be_forced(registry: Registry) -> None:
    judgement = judged("2", None, FAILED, scale=None)
    with pytest.raises(GateError, match="does not load cannot be made champion"):
        promote(registry, judgement, who="bob", at=NOON, because="please", forced=True)
    assert registry.find_champion() is None
    assert told(registry) == [("refused", "2", None)]


def test_champion_is_not_promoted_again(registry: Registry) -> None:
    reign(registry, "1")
    with pytest.raises(ConfigError, match="is already the champion"):
        promote(registry, judged("1", "1"), who="bob", at=at(5))


# -- challengers ---------------------------------------------------------------------------


def test_challenger_is_the_newest_version_never_promoted(registry: Registry) -> None:
    update_challenger(registry)
    assert registry.find_alias(CHALLENGER) == "3"
    reign(registry, "1", "3")
    assert registry.find_alias(CHALLENGER) == "2"
    rollback(registry, judged("1", "3"), who="ann", at=at(9))
    assert registry.find_alias(CHALLENGER) == "2"
    reign(registry, "2")
    assert registry.find_alias(CHALLENGER) is None


def test_versions_are_found_by_number_and_alias(registry: Registry) -> None:
    reign(registry, "1")
    assert registry.resolve("champion").version == "1"
    assert registry.resolve("challenger").version == "3"
    assert registry.resolve("2").aliases == ()
    with pytest.raises(ConfigError, match=r"no version '9'\. .* 1 \(champion\), 2, 3 \(chall"):
        registry.resolve("9")


# -- the way back --------------------------------------------------------------------------


def test_rollback_restores_the_previous_champion(registry: Registry) -> None:
    reign(registry, "1", "2")
    assert previous_champion(registry) == "1"
    rollback(registry, judged("1", "2"), who="bob", at=at(5), because="sales complained")
    assert registry.champion() == "1"
    assert told(registry) == [
        ("first champion", "1", None),
        ("promoted", "2", "1"),
        ("rolled back", "1", "2"),
    ]
    event = history(registry)[-1]
    assert registry.client.get_run(event.run_id).info.run_name == "roll back to version 1"


def test_second_rollback_goes_further_back(registry: Registry) -> None:
    reign(registry, "1", "2", "3")
    rollback(registry, judged("2", "3"), who="bob", at=at(5))
    assert previous_champion(registry) == "1"
    rollback(registry, judged("1", "2"), who="bob", at=at(6))
    with pytest.raises(ConfigError, match="Version 1 .* is the first champion"):
        previous_champion(registry)


def test_rollback_after_a_rollback_and_promotion_restores_the_predecessor(
    registry: Registry,
) -> None:
    reign(registry, "1", "2")
    rollback(registry, judged("1", "2"), who="bob", at=at(5))
    promote(registry, judged("3", "1"), who="bob", at=at(6))
    assert previous_champion(registry) == "1"


def test_rollback_accepts_only_past_champions(registry: Registry) -> None:
    reign(registry, "1", "2")
    with pytest.raises(GateError):
        promote(registry, judged("3", "2", FAILED), who="bob", at=at(5))
    way_back = r"Version 3 .* never was champion.* back to: 1\. .*leadscore models promote 3"
    with pytest.raises(ConfigError, match=way_back):
        rollback(registry, judged("3", "2"), who="bob", at=at(6))
    assert registry.champion() == "2"
    assert told(registry)[-1] == ("refused", "3", "2")


def test_rollback_refuses_a_version_that_does_not_load(registry: Registry) -> None:
    reign(registry, "1", "2")
    with pytest.raises(GateError, match="did not pass 1 of 1 gates"):
        rollback(registry, judged("1", "2", FAILED, scale=None), who="bob", at=at(5))
    assert registry.champion() == "2"
    assert told(registry)[-1] == ("refused", "1", "2")


# -- the scale -----------------------------------------------------------------------------


def test_first_promotion_pins_the_scale(registry: Registry) -> None:
    assert registry.pinned_scale() is None
    reign(registry, "1")
    assert registry.pinned_scale() == SCALE
    tag = registry.client.get_registered_model("demo").tags[SCALE_TAG]
    assert json.loads(tag) == {"base_log_odds": -1.5, "grades": {"A": 65, "B": 50, "C": 35}}


def test_forced_promotion_moves_the_pinned_scale(registry: Registry) -> None:
    reign(registry, "1")
    other = Scale(-0.5, (("A", 70), ("B", 50), ("C", 35)))
    judgement = judged("2", "1", FAILED, scale=other)
    event = promote(registry, judgement, who="bob", at=at(5), because="new market", forced=True)
    assert event.said == SCALE_MOVED
    assert registry.pinned_scale() == other
    rollback(registry, judged("1", "2"), who="bob", at=at(6))
    assert registry.pinned_scale() == SCALE


def test_invalid_pinned_scale_is_refused(registry: Registry) -> None:
    registry.client.set_registered_model_tag("demo", SCALE_TAG, '{"grades": []}')
    with pytest.raises(TrackingError, match="is not valid"):
        registry.pinned_scale()


# -- two at once ---------------------------------------------------------------------------

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
judgement = GateResults(version, "1", (Gate("LG101", "log loss", True, ""),), Scale(-1.5))
print("ready", flush=True)
sys.stdin.readline()
try:
    promote(registry, judgement, who=who, at=datetime.datetime.now(datetime.UTC))
    print("won")
except GateError as refused:
    print("lost", refused)
"""


def race(folder: Path) -> dict[str, str]:
    """Let two processes promote versions 2 and 3 at the same time; what each said."""
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
    said = {who: process.communicate(timeout=60) for who, process in racers.items()}
    assert [err for _, err in said.values()] == ["", ""]
    return {who: out.strip() for who, (out, _) in said.items()}


def check_race(registry: Registry, folder: Path) -> None:
    reign(registry, "1")
    said = race(folder)
    (winner,) = [who for who, out in said.items() if out == "won"]
    (loser,) = [who for who, out in said.items() if out.startswith("lost")]
    assert winner in said[loser]
    version = {"ann": "2", "bob": "3"}
    assert registry.champion() == version[winner]
    assert sorted((e.what, e.version, e.who) for e in history(registry)[1:]) == [
        ("promoted", version[winner], winner),
        ("refused", version[loser], loser),
    ]
    assert names_left(registry) == [registry.name]


def test_concurrent_promotions_have_one_winner(registry: Registry, tmp_path: Path) -> None:
    check_race(registry, tmp_path)


def test_concurrent_promotions_on_postgresql(
    registry: Registry, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_url)
    file = tmp_path / "leadscore.toml"  # other tests have a `demo` in the same database
    file.write_text(file.read_text().replace('"demo"', '"race"'))
    there = Registry(load_project(tmp_path))
    register(there, 3)
    check_race(there, tmp_path)


def test_concurrent_promotions_on_a_server(
    registry: Registry, mlflow_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    there = Registry(load_project(tmp_path))
    register(there, 3)
    check_race(there, tmp_path)


def test_late_forced_promotion_is_recorded_with_its_gates(registry: Registry) -> None:
    reign(registry, "1", "2")
    with pytest.raises(GateError, match="was made champion by ann"):
        promote(registry, judged("3", "1", FAILED), who="bob", at=at(5), because="now", forced=True)
    last = history(registry)[-1]
    assert (last.what, last.forced, last.because) == ("refused", True, "now")
    assert last.failed == ("LG103 calibration",)
    assert "was made champion by ann" in last.said
    assert last.to_json()["forced"] is True
    assert [event.forced for event in history(registry)[:-1]] == [False, False]


def test_gates_against_another_champion_do_not_count(registry: Registry) -> None:
    reign(registry, "1", "2")
    first = "^Version 2 .* by ann at 2026-03-01 12:01:00 UTC, while version 3 was compared with"
    with pytest.raises(GateError, match=rf"{first} version 1\. Run the command again"):
        promote(registry, judged("3", "1"), who="bob", at=at(5))
    assert registry.champion() == "2"
    assert told(registry)[-1] == ("refused", "3", "1")


def hold(registry: Registry, name: str = "demo.promoting", token: str = "dead") -> None:
    tags = {"leadscore.who": "carl", "leadscore.token": token}
    assert register_name(registry.client, name, tags)


def now(minutes: float = 0) -> datetime.datetime:
    """The lock's age is told by MLflow's clock, so these tests need the real one."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


def test_promotion_under_a_lock_names_its_holder(registry: Registry) -> None:
    hold(registry)
    with pytest.raises(GateError, match="^carl is changing the champion .* right now, since "):
        promote(registry, judged("2", None), who="bob", at=now())
    assert registry.find_champion() is None
    assert told(registry) == [("refused", "2", None)]
    assert "demo.promoting" in names_left(registry)


def test_lock_of_a_dead_process_is_taken_over(registry: Registry) -> None:
    hold(registry)
    hold(registry, "demo.promoting.dead", "dead too")
    promote(registry, judged("2", None), who="bob", at=now(ABANDONED_AFTER.total_seconds() / 60))
    assert registry.champion() == "2"
    assert names_left(registry) == ["demo"]


def test_abandoned_lock_is_taken_over_once(registry: Registry) -> None:
    hold(registry)
    registry.client.create_registered_model(
        "demo.promoting.dead", tags={"leadscore.who": "dora", "leadscore.token": "alive"}
    )
    with pytest.raises(GateError, match="^(carl|dora) is changing"):
        promote(registry, judged("2", None), who="bob", at=now())


# -- what fails halfway --------------------------------------------------------------------


@pytest.mark.parametrize("step", ["pin_scale", "make_champion", "make_challenger"])
def test_failed_promotion_leaves_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    reign(registry, "1")
    update_challenger(registry)
    other = judged("2", "1", FAILED, scale=Scale(-0.5))
    real, calls = getattr(registry, step), []

    def fail_once(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise mlflow.MlflowException("gone")
        real(*arguments)

    monkeypatch.setattr(registry, step, fail_once)
    with pytest.raises(TrackingError, match="refused: gone"):
        promote(registry, other, who="bob", at=at(5), because="b", forced=True)
    assert calls
    assert registry.champion() == "1"
    assert registry.find_alias(CHALLENGER) == "3"
    assert registry.pinned_scale() == SCALE
    assert told(registry) == [("first champion", "1", None)]
    assert names_left(registry) == ["demo"]


def test_next_promotion_undoes_a_killed_one(registry: Registry) -> None:
    reign(registry, "1")
    judgement = judged("2", "1", scale=Scale(-0.5))
    tags = {"scale": Scale(-0.5).to_text(), "scale_before": SCALE.to_text()}
    begin_record(
        registry, _event("forced", judgement, "carl", at(3), "b", forced=True), judgement, tags
    )
    registry.pin_scale(Scale(-0.5))
    assert told(registry) == [("first champion", "1", None)]
    promote(registry, judged("3", "1"), who="bob", at=at(5))
    assert told(registry) == [("first champion", "1", None), ("promoted", "3", "1")]
    assert registry.pinned_scale() == SCALE


def test_next_promotion_finishes_a_completed_killed_one(registry: Registry) -> None:
    reign(registry, "1")
    judgement = judged("2", "1")
    begin_record(registry, _event("promoted", judgement, "carl", at(3), ""), judgement, {})
    registry.make_champion("2")
    promote(registry, judged("3", "2"), who="bob", at=at(5))
    assert told(registry)[1:] == [("promoted", "2", "1"), ("promoted", "3", "2")]


def test_history_is_append_only(registry: Registry) -> None:
    seen: list = []
    reign(registry, "1")
    for step in (
        lambda: promote(registry, judged("2", "1", FAILED), who="b", at=at(2)),
        lambda: promote(registry, judged("3", "1"), who="b", at=at(3)),
        lambda: rollback(registry, judged("1", "3"), who="b", at=at(4)),
        lambda: promote(registry, judged("2", "1"), who="b", at=at(5)),
    ):
        before = history(registry)
        try:
            step()
        except GateError as refused:
            seen.append(refused)
        after = history(registry)
        assert after[:-1] == before
    assert len(seen) == 1


def test_project_without_events_has_an_empty_history(empty_mlflow: Path, tmp_path: Path) -> None:
    shutil.copy(empty_mlflow, tmp_path)
    shutil.copy(empty_mlflow.with_name("leadscore.toml"), tmp_path)
    registry = Registry(load_project(tmp_path))
    assert history(registry) == []
    assert registry.versions() == []
    assert registry.client.get_experiment_by_name("demo") is None


def test_event_user_is_mlflows_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "dora")
    assert user_name() == "dora"
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.setenv("LOGNAME", "ann")
    assert user_name() == "ann"
