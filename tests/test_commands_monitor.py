"""`leadscore monitor`: what it prints, its exit codes, and what it records."""

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm.errors import TrackingError
from crm.project import load_project
from models.registry import looks
from models.registry.looks import look_history, look_metrics, newest_look, record_look
from models.registry.registry import LOOK_RUNS, Registry
from monitoring.look import take_look
from tests.made_runs import NOW, Work, copy_project

NOTIFY = '\n[notify]\nslack = "${LEADSCORE_TEST_SLACK}"\n'
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def look(work: Work) -> dict[str, Any]:
    return take_look(work.project, work.records, work.trained.scorer, "1", NOW).to_json()


@pytest.mark.usefixtures("undrawn")
def test_look_is_printed_and_recorded(run: Run, simulated_crm: Path, tmp_path: Path) -> None:
    crm = tmp_path / "crm"
    shutil.copytree(simulated_crm, crm)
    code, _, err = run("monitor", "-p", crm)
    assert code == 1
    assert "has no champion" in err
    run("train", "-p", crm, "--json")
    run("models", "promote", 1, "-p", crm, "--force", "--because", "a start")
    code, out, _ = run("monitor", "-p", crm, "--json", "--prometheus", tmp_path / "look.prom")
    facts = json.loads(out)
    assert code == (3 if facts["verdict"] == "act" else 0)
    assert [check["number"] for check in facts["checks"]][:2] == ["LM101", "LM102"]
    assert (
        f'leadscore_monitor_verdict{{model="demo",version="1",verdict="{facts["verdict"]}"}} 1'
        in (tmp_path / "look.prom").read_text()
    )
    registry = Registry(load_project(crm))
    assert newest_look(registry) == facts
    code, out, _ = run("monitor", "-p", crm, "--no-record")
    assert "demo version 1, records until" in " ".join(out.split())
    assert len(look_history(registry)) == 1
    code, out, _ = run("monitor", "-p", crm, "--no-record", "--json", "--as-of", "2025-10-01")
    then = json.loads(out)
    assert (then["at"], then["until"]) == ("2025-10-01T00:00:00+00:00",) * 2
    assert then["leads"] < facts["leads"]

    # Records do not last longer because somebody asks later, and the past is news to nobody.
    (crm / "leadscore.toml").write_text((crm / "leadscore.toml").read_text() + NOTIFY)
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    code, out, _ = run("monitor", "-p", crm, "--no-record", "--json", "--as-of", today)
    assert json.loads(out)["until"] == facts["until"] < today
    assert not (crm / "notifications.db").exists()
    code, _, err = run("monitor", "-p", crm, "--as-of", "2999-12-31")
    assert code == 2
    assert f"--as-of 2999-12-31 is in the future. Give a day until {today}" in " ".join(err.split())
    assert len(look_history(registry)) == 1

    # The next report shows the look.
    run("report", "-p", crm, "--json")
    page = (crm / "report" / "monitoring.md").read_text()
    assert facts["sentence"] in page

    # A column that is empty from now on needs an act.
    header, *lines = (crm / "leads.csv").read_text().splitlines()
    place = header.split(",").index("budget_eur")
    half = len(lines) * 3 // 4
    emptied = [
        ",".join("" if i == place else cell for i, cell in enumerate(line.split(",")))
        for line in lines[half:]
    ]
    (crm / "leads.csv").write_text("\n".join([header, *lines[:half], *emptied]) + "\n")
    code, out, _ = run("monitor", "-p", crm)
    assert code == 3
    assert "LM301 act" in out
    assert "budget_eur" in out


def test_looks_are_runs_of_their_own(work: Work, look: dict[str, Any], tmp_path: Path) -> None:
    registry = Registry(copy_project(work, tmp_path / "p"))
    assert newest_look(registry) is None
    assert look_history(registry) == []
    record_look(registry, look, NOW)
    (row,) = look_history(registry)
    assert row["at"] == NOW.isoformat()
    assert row["verdict"] == looks.RANKS[look["verdict"]]
    assert newest_look(registry) == json.loads(json.dumps(look))
    experiment = registry.find_experiment(LOOK_RUNS)
    (run,) = registry.client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    assert run.data.tags["leadscore.run"] == "look"
    assert registry.find_experiment() is None  # not among the trainings


def test_look_that_cannot_be_recorded_leaves_no_run(
    work: Work, look: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(copy_project(work, tmp_path / "p"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry.client, "log_dict", full)
    with pytest.raises(TrackingError, match="No space left"):
        record_look(registry, look, NOW)
    monkeypatch.undo()
    assert newest_look(registry) is None
    assert look_history(registry) == []


def test_metrics_of_a_look_are_finite(look: dict[str, Any]) -> None:
    metrics = look_metrics(look)
    assert metrics["LM301.verdict"] in (-1, 0, 1, 2)
    assert all(value == value and abs(value) < 1e308 for value in metrics.values())
    look["checks"][0]["figures"] = {"x": float("nan"), "y": None}
    assert look_metrics(look).keys() == metrics.keys() - {"LM101.x", "LM101.y"}
