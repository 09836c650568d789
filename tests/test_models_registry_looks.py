import datetime
from pathlib import Path
from typing import Any

import pytest

from models.registry import looks as module
from models.registry.looks import look_history, look_metrics, newest_look, record_look
from models.registry.registry import LOOK_RUNS, Registry
from tests.made_runs import NOW, Work, copy_project

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def registry(work: Work, tmp_path: Path) -> Registry:
    return Registry(copy_project(work, tmp_path / "p"))


def look(version: str, verdict: str, roc_auc: float = 0.75) -> dict[str, Any]:
    figures = {"roc_auc": roc_auc, "since": None, "ratio": float("inf")}
    check = {"number": "LM202", "verdict": verdict, "figures": figures}
    head = {"version": version, "verdict": verdict, "simulated": False, "sentence": "As promised."}
    return {**head, "checks": [check]}


def test_metrics_are_ranks_and_finite_figures() -> None:
    names = ("unknown", "fine", "watch", "act")
    ranks = [look_metrics(look("1", verdict))["verdict"] for verdict in names]
    assert ranks == [-1.0, 0.0, 1.0, 2.0]
    assert look_metrics(look("1", "act")) == {
        "verdict": 2.0,
        "LM202.verdict": 2.0,
        "LM202.roc_auc": 0.75,
    }


def test_looks_are_listed_by_time_and_the_newest_is_read(registry: Registry) -> None:
    # They are recorded in another order than that of their times.
    record_look(registry, look("2", "act", 0.6), NOW + HOUR)
    record_look(registry, look("1", "fine"), NOW)
    rows = look_history(registry)
    assert [(row["at"], row["version"], row["verdict"]) for row in rows] == [
        ("2026-03-01T12:00:00+00:00", "1", 0.0),
        ("2026-03-01T13:00:00+00:00", "2", 2.0),
    ]
    newest = newest_look(registry)
    assert newest is not None
    assert newest["version"] == "2"
    assert newest["checks"][0]["figures"]["roc_auc"] == 0.6


def test_unfinished_looks_are_not_listed(registry: Registry) -> None:
    record_look(registry, look("1", "fine"), NOW)
    later = round((NOW + HOUR).timestamp() * 1000)
    registry.client.create_run(registry.experiment(LOOK_RUNS), start_time=later)
    assert [row["version"] for row in look_history(registry)] == ["1"]
    newest = newest_look(registry)
    assert newest is not None
    assert newest["version"] == "1"


def test_newest_looks_are_kept_of_many(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LOOKS", 2)
    for hours in range(3):
        record_look(registry, look(str(hours), "fine"), NOW + hours * HOUR)
    assert [row["version"] for row in look_history(registry)] == ["1", "2"]
