"""`leadscore retrain`: what it does, what it leaves after a kill, and its exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.retrain import Result, _tell, _text
from crm.errors import BusyError, TrackingError
from crm.project import load_project
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from models.registry.history import history
from models.registry.registry import RUN_KIND, Registry
from models.registry.retraining import DEAD_AFTER, last_retrainings
from monitoring.check import Check, Verdict
from monitoring.look import Look
from serving.bento.store import champion_file
from tests.made_retrainings import KILLED

HERE = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def small_crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a simulated CRM that is trained on quickly; read only."""
    folder = tmp_path_factory.mktemp("small_crm")
    simulate(Simulation(leads=600, activities_per_lead=1, seed=3, drift_at=1), folder)
    project = folder / "leadscore.toml"
    text = project.read_text().replace("moments_days = [0, 7, 30]", "moments_days = [0]")
    project.write_text(text.replace("test_share = 0.2", "test_share = 0.2\nremedies = false"))
    return folder


@pytest.fixture
def crm(small_crm: Path, empty_mlflow: Path, tmp_path: Path) -> Path:
    """Return the folder of a CRM with an empty MLflow database."""
    shutil.copytree(small_crm, tmp_path / "crm")
    shutil.copy(empty_mlflow, tmp_path / "crm")
    return tmp_path / "crm"


def kill_at(step: str, when: str, crm: Path, home: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [sys.executable, "-c", KILLED, step, when, str(crm)],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr[-2_000:]


@pytest.mark.usefixtures("undrawn")
def test_policy_is_obeyed(run: Run, crm: Path) -> None:
    code, out, _ = run("retrain", "-p", crm, "--json")
    facts = json.loads(out)
    assert (code, facts["status"], facts["version"]) == (0, "promoted", "1")
    assert facts["reasons"] == ["No model has been trained yet."]
    assert (crm / "report" / "index.html").exists()
    assert (crm / "open-leads.csv").read_text().startswith("lead_id,probability,score,grade,")
    registry = Registry(load_project(crm))
    assert champion_file(registry.service_name).exists()

    # The next day nothing is due. The look is recorded, and the report is new.
    code, out, _ = run("retrain", "-p", crm, "--json")
    facts = json.loads(out)
    assert (code, facts["status"], facts["version"]) == (0, "nothing", None)
    assert facts["look"]["version"] == "1"
    assert [row["sentence"][:12] for row in last_retrainings(registry)][-1] == "No training:"

    # A person decides.
    project = crm / "leadscore.toml"
    project.write_text(project.read_text() + '\n[retrain]\npromote = "ask"\n')
    code, out, _ = run("retrain", "-p", crm, "--force")
    facts_of_last = last_retrainings(registry)[-1]
    if code == 4:
        assert "waits for a decision" in out
        assert "leadscore models promote 2" in out
    else:
        assert code == 5
        assert "did not pass its gates" in out
    assert facts_of_last["steps"]["train"] == "2"
    assert registry.find_champion() == "1"


@pytest.mark.parametrize(
    ("step", "when"),
    [("train", "before"), ("judge", "before")],
)
def test_killed_retraining_is_resumed(
    run: Run, crm: Path, tmp_path: Path, step: str, when: str
) -> None:
    kill_at(step, when, crm, tmp_path / "bentoml")
    registry = Registry(load_project(crm))
    assert last_retrainings(registry)[-1]["status"] == "RUNNING"
    code, out, _ = run("retrain", "-p", crm, "--json")
    facts: dict[str, Any] = json.loads(out)
    assert (code, facts["status"], facts["version"], facts["resumed"]) == (0, "promoted", "1", True)
    assert [row["status"] for row in last_retrainings(registry)] == ["FINISHED"]
    # Nothing twice, nothing half.
    assert [version.version for version in registry.versions()] == ["1"]
    assert [event.what for event in history(registry)] == ["first champion"]
    runs = registry.client.search_runs([str(registry.find_experiment())])
    assert [run.info.status for run in runs if run.data.tags.get(RUN_KIND) == "training"] == [
        "FINISHED"
    ]
    assert (crm / "open-leads.csv").exists()
    assert (crm / "report" / "index.html").exists()


def test_running_retraining_is_not_disturbed(run: Run, crm: Path) -> None:
    from models.registry.retraining import retraining

    registry = Registry(load_project(crm))
    import datetime

    with retraining(registry, lambda: datetime.datetime.now(datetime.UTC)):
        code, out, err = run("retrain", "-p", crm, "--json")
    assert (code, out) == (6, "")
    assert "is being retrained by process" in err
    assert registry.versions() == []


def test_dead_mlflow_changes_nothing(run: Run, crm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(path.name for path in crm.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, _, err = run("retrain", "-p", crm)
    assert code == 1
    assert "MLflow" in err
    assert sorted(path.name for path in crm.iterdir()) == before


def test_text_names_the_checks_that_say_act() -> None:
    checks = tuple(
        Check(number, verdict, "")
        for number, verdict in (("LM201", Verdict.ACT), ("LM303", Verdict.WATCH))
    )
    look = Look("demo", "1", "", "", checks, (), (), 10, False).to_json()
    text = _text(Result("nothing", "No training: it is not due.", look, files={"report": "r"}))
    assert text.splitlines() == [
        "The champion was version 1: 1 check says act.",
        "  LM201 Do the chances that the champion states come true?",
        "What to do: see the report, or run `leadscore monitor`.",
        "No training: it is not due.",
        "  report: r",
    ]


def test_time_between_retrainings_is_checked(run: Run, crm: Path) -> None:
    for wrong in ("10s", "0d", "soon"):
        code, _, err = run("retrain", "-p", crm, "--every", wrong)
        assert code == 2
        assert "at least a minute" in err


def test_repeated_retraining_asks_again_soon_while_another_is_running(
    run: Run, crm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    results: Iterator[Result | Exception] = iter(
        [BusyError("It is busy."), TrackingError("MLflow is away."), Result()]
    )

    def retrain_once(*_: Any, **__: Any) -> Result:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("commands.retrain.retrain_once", retrain_once)
    monkeypatch.setattr("commands.retrain.time.sleep", sleep)
    code, _, err = run("retrain", "-p", crm, "--every", "1d")
    assert code == 130
    assert pauses == [300.0, 86_400.0, 86_400.0]
    assert timedelta(seconds=pauses[0]) > DEAD_AFTER
    assert "It is busy." in err
    assert "MLflow is away." in err


@pytest.mark.parametrize(
    ("policy", "gates", "waits_for"),
    [
        ("ask", [], "your decision"),
        ("ask", [{"number": "LG109", "name": "shadow", "passed": False}], "its shadow period"),
        ("auto", [], "its shadow period"),
    ],
)
def test_notification_says_what_a_challenger_waits_for(
    crm: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    gates: list[dict[str, Any]],
    waits_for: str,
) -> None:
    with (crm / "leadscore.toml").open("a") as file:
        file.write(f'\n[retrain]\npromote = "{policy}"\n')
    told: list[str] = []
    monkeypatch.setattr(
        "commands.retrain.tell", lambda project, events: told.extend(e.title for e in events)
    )
    result = Result(status="waits", version="2", gates=gates)
    _tell(load_project(crm), result, datetime(2026, 1, 1, tzinfo=UTC))
    assert told == [f"Version 2 waits for {waits_for}"]
