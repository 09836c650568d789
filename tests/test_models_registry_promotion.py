"""Promotions and rollbacks with a real MLflow, and how they are recorded."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from crm.errors import ConfigError, GateError, TrackingError
from crm.project import load_project
from models.registry.history import Event, Gate, GateResults, history, previous_champion
from models.registry.promotion import (
    SCALE_MOVED,
    promote,
    rollback,
    update_challenger,
    user_name,
)
from models.registry.registry import CHALLENGER, SCALE_TAG, Registry
from models.scale import Scale
from tests.made_promotions import (
    FAILED,
    NOON,
    PASSED,
    SCALE,
    at,
    events,
    new_registry,
    promote_each,
    registered_names,
    results_of,
)


@pytest.fixture
def registry(empty_mlflow: Path, tmp_path: Path) -> Registry:
    """Return a registry with versions 1, 2 and 3; they have no artefacts."""
    return new_registry(empty_mlflow, tmp_path)


# -- promoting -----------------------------------------------------------------------------


def test_challenger_that_passes_becomes_champion(registry: Registry) -> None:
    promote_each(registry, "1")
    event = promote(registry, results_of("2", "1"), who="bob", at=at(5), because="newer data")
    assert registry.champion() == "2"
    assert (event.what, event.version, event.previous, event.who) == ("promoted", "2", "1", "bob")
    assert history(registry)[-1] == event
    assert registered_names(registry) == ["demo"]


def test_run_of_an_event_records_who_when_why_and_the_gates(
    registry: Registry, tmp_path: Path
) -> None:
    promote_each(registry, "1")
    event = promote(registry, results_of("2", "1"), who="bob", at=at(5), because=" newer data ")
    run = registry.client.get_run(event.run_id)
    assert (run.info.run_name, run.info.status) == ("promote version 2", "FINISHED")
    assert run.info.start_time == at(5).timestamp() * 1000
    tags = {k: v for k, v in run.data.tags.items() if k.startswith("leadscore.")}
    assert tags == {
        "leadscore.run": "promotion",
        "leadscore.event": "promoted",
        "leadscore.version": "2",
        "leadscore.previous": "1",
        "leadscore.who": "bob",
        "leadscore.because": "newer data",
        "leadscore.forced": "false",
        "leadscore.failed": "[]",
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
    promote_each(registry, "1")
    with pytest.raises(GateError, match=r"1 of 2 gates: LG103 calibration\..*--because") as refused:
        promote(registry, results_of("2", "1", PASSED, FAILED), who="bob", at=at(5))
    assert refused.value.gates == (PASSED, FAILED)
    assert registry.champion() == "1"
    assert registry.find_alias(CHALLENGER) == "3"
    last = history(registry)[-1]
    assert (last.what, last.version, last.failed) == ("refused", "2", ("LG103 calibration",))
    assert last.said == str(refused.value)


def test_forced_promotion_is_recorded_as_forced(registry: Registry) -> None:
    promote_each(registry, "1")
    results = results_of("2", "1", FAILED)
    promote(registry, results, who="bob", at=at(5), because="the fair is over", forced=True)
    assert registry.champion() == "2"
    last = history(registry)[-1]
    assert (last.what, last.forced, last.because) == ("forced", True, "the fair is over")
    assert last.failed == ("LG103 calibration",)
    assert registry.client.get_run(last.run_id).data.tags["leadscore.forced"] == "true"


def test_failed_gate_may_contain_a_semicolon(registry: Registry) -> None:
    promote_each(registry, "1")
    gate = Gate("LG103", "calibration; “größte” gap", False, "It is far off.")
    with pytest.raises(GateError):
        promote(registry, results_of("2", "1", gate, FAILED), who="bob", at=at(5))
    assert history(registry)[-1].failed == ("LG103 calibration; “größte” gap", "LG103 calibration")


@pytest.mark.parametrize(
    ("tag", "failed"),
    [("", ()), ("LG101 log loss; LG103 calibration", ("LG101 log loss", "LG103 calibration"))],
)
def test_failed_gates_of_an_older_registry_are_read(
    registry: Registry, tag: str, failed: tuple[str, ...]
) -> None:
    promote_each(registry, "1")
    run_id = history(registry)[-1].run_id
    registry.client.set_tag(run_id, "leadscore.failed", tag)
    assert history(registry)[-1].failed == failed


def test_unneeded_force_is_recorded_as_promotion(registry: Registry) -> None:
    promote_each(registry, "1")
    promote(registry, results_of("2", "1"), who="bob", at=at(5), because="to be sure", forced=True)
    assert events(registry)[-1] == ("promoted", "2", "1")


@pytest.mark.parametrize("because", ["", "  "])
def test_force_without_a_reason_is_refused(registry: Registry, because: str) -> None:
    with pytest.raises(ConfigError, match="needs a reason"):
        promote(registry, results_of("2", None), who="bob", at=NOON, because=because, forced=True)
    assert history(registry) == []


def test_version_that_does_not_load_cannot_be_forced(registry: Registry) -> None:
    results = results_of("2", None, FAILED, scale=None)
    with pytest.raises(GateError, match="does not load cannot be made champion"):
        promote(registry, results, who="bob", at=NOON, because="please", forced=True)
    assert registry.find_champion() is None
    assert events(registry) == [("refused", "2", None)]


def test_champion_is_not_promoted_again(registry: Registry) -> None:
    promote_each(registry, "1")
    with pytest.raises(ConfigError, match="is already the champion"):
        promote(registry, results_of("1", "1"), who="bob", at=at(5))


# -- challengers ---------------------------------------------------------------------------


def test_challenger_is_the_newest_version_never_promoted(registry: Registry) -> None:
    update_challenger(registry)
    assert registry.find_alias(CHALLENGER) == "3"
    promote_each(registry, "1", "3")
    assert registry.find_alias(CHALLENGER) == "2"
    rollback(registry, results_of("1", "3"), who="ann", at=at(9))
    assert registry.find_alias(CHALLENGER) == "2"
    promote_each(registry, "2")
    assert registry.find_alias(CHALLENGER) is None


def test_versions_are_found_by_number_and_alias(registry: Registry) -> None:
    promote_each(registry, "1")
    assert registry.resolve("champion").version == "1"
    assert registry.resolve("challenger").version == "3"
    assert registry.resolve("2").aliases == ()
    with pytest.raises(ConfigError, match=r"no version '9'\. .* 1 \(champion\), 2, 3 \(chall"):
        registry.resolve("9")


# -- rollback --------------------------------------------------------------------------


def test_rollback_restores_the_previous_champion(registry: Registry) -> None:
    promote_each(registry, "1", "2")
    assert previous_champion(registry) == "1"
    rollback(registry, results_of("1", "2"), who="bob", at=at(5), because="sales complained")
    assert registry.champion() == "1"
    assert events(registry) == [
        ("first champion", "1", None),
        ("promoted", "2", "1"),
        ("rolled back", "1", "2"),
    ]
    event = history(registry)[-1]
    assert registry.client.get_run(event.run_id).info.run_name == "roll back to version 1"


def test_second_rollback_goes_further_back(registry: Registry) -> None:
    promote_each(registry, "1", "2", "3")
    rollback(registry, results_of("2", "3"), who="bob", at=at(5))
    assert previous_champion(registry) == "1"
    rollback(registry, results_of("1", "2"), who="bob", at=at(6))
    with pytest.raises(ConfigError, match="Version 1 .* is the first champion"):
        previous_champion(registry)


def test_rollback_after_a_rollback_and_promotion_restores_the_predecessor(
    registry: Registry,
) -> None:
    promote_each(registry, "1", "2")
    rollback(registry, results_of("1", "2"), who="bob", at=at(5))
    promote(registry, results_of("3", "1"), who="bob", at=at(6))
    assert previous_champion(registry) == "1"


def test_rollback_accepts_only_past_champions(registry: Registry) -> None:
    promote_each(registry, "1", "2")
    with pytest.raises(GateError):
        promote(registry, results_of("3", "2", FAILED), who="bob", at=at(5))
    message = r"Version 3 .* never was champion.* back to: 1\. .*`leadscore models promote 3`"
    with pytest.raises(ConfigError, match=message):
        rollback(registry, results_of("3", "2"), who="bob", at=at(6))
    assert registry.champion() == "2"
    assert events(registry)[-1] == ("refused", "3", "2")


def test_rollback_refuses_a_version_that_does_not_load(registry: Registry) -> None:
    promote_each(registry, "1", "2")
    with pytest.raises(GateError, match="did not pass 1 of 1 gates"):
        rollback(registry, results_of("1", "2", FAILED, scale=None), who="bob", at=at(5))
    assert registry.champion() == "2"
    assert events(registry)[-1] == ("refused", "1", "2")


# -- the scale -----------------------------------------------------------------------------


def test_first_promotion_pins_the_scale(registry: Registry) -> None:
    assert registry.pinned_scale() is None
    promote_each(registry, "1")
    assert registry.pinned_scale() == SCALE
    tag = registry.client.get_registered_model("demo").tags[SCALE_TAG]
    assert json.loads(tag) == {"base_log_odds": -1.5, "grades": {"A": 65, "B": 50, "C": 35}}


def test_forced_promotion_moves_the_pinned_scale(registry: Registry) -> None:
    promote_each(registry, "1")
    new_scale = Scale(-0.5, (("A", 70), ("B", 50), ("C", 35)))
    results = results_of("2", "1", FAILED, scale=new_scale)
    event = promote(registry, results, who="bob", at=at(5), because="new market", forced=True)
    assert event.said == SCALE_MOVED
    assert registry.pinned_scale() == new_scale
    rollback(registry, results_of("1", "2"), who="bob", at=at(6))
    assert registry.pinned_scale() == SCALE


def test_invalid_pinned_scale_is_refused(registry: Registry) -> None:
    registry.client.set_registered_model_tag("demo", SCALE_TAG, '{"grades": []}')
    with pytest.raises(TrackingError, match="is not valid"):
        registry.pinned_scale()


# -- the history ---------------------------------------------------------------------------


def test_history_is_append_only(registry: Registry) -> None:
    promote_each(registry, "1")
    changes: list[tuple[Callable[..., Event], GateResults]] = [
        (promote, results_of("2", "1", FAILED)),
        (promote, results_of("3", "1")),
        (rollback, results_of("1", "3")),
        (promote, results_of("2", "1")),
    ]
    for minutes, (change, results) in enumerate(changes, start=2):
        before = history(registry)
        with suppress(GateError):
            change(registry, results, who="b", at=at(minutes))
        assert history(registry)[:-1] == before
    assert [what for what, _, _ in events(registry)] == [
        "first champion",
        "refused",
        "promoted",
        "rolled back",
        "promoted",
    ]


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
