"""`leadscore backtest`: what it prints, writes, logs in MLflow and refuses."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm.project import load_project
from models.registry.history import history
from models.registry.registry import BACKTEST_RUNS, RUN_KIND, Registry
from tests.made_backtests import closed_leads, write_closed_leads
from tests.made_runs import training_runs
from tests.made_trainings import small_leads, write_export
from training.tracking import backtests
from training.tracking.backtests import track_backtest

Run = Callable[..., tuple[int, str, str]]

OPTIONS = ("--every", 25, "--workers", 1)


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    write_closed_leads(tmp_path / "crm", closed_leads())
    return tmp_path / "crm"


def backtest_runs(registry: Registry) -> list[Any]:
    experiment = registry.find_experiment(BACKTEST_RUNS)
    return [] if experiment is None else list(registry.client.search_runs([experiment]))


def test_backtest_prints_writes_and_logs_its_result(run: Run, crm: Path) -> None:
    code, out, err = run("backtest", "--project", crm, *OPTIONS)
    assert code == 0
    assert "Reading the records of flat" in err
    text = " ".join(out.split())
    for sentence in (
        "New models, 5 cut-offs, one every 25 days, and the leads that were created after each, "
        "from 2025-03-18 to 2025-07-20:",
        "The log loss of new models is 0.",
        "2025-03-18 75 ",
        "By age of the model when the lead was created.",
        "25 to 50 4 297 ",
        "note: The attributes of the leads are those of the export",
        f"Wrote the same as a page to {crm}/backtest/backtest.html.",
        "The run in MLflow: http://127.0.0.1:5000/#/experiments/1/runs/",
    ):
        assert sentence in text
    folder = crm / "backtest"
    files = {"ageing.png", "backtest.html", "backtest.json", "history.png"}
    assert {path.name for path in folder.iterdir()} == files | {"work"}
    facts = json.loads((folder / "backtest.json").read_text())
    assert facts["advice"]["sentences"][0] in text

    registry = Registry(load_project(crm))
    (logged,) = backtest_runs(registry)
    assert logged.data.tags[RUN_KIND] == "backtest"
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "backtest 2025-03-18 to 2025-07-20"
    assert logged.data.tags["leadscore.verdict"] == facts["advice"]["verdict"]
    assert facts["summary"][0] in logged.data.tags["mlflow.note.content"]
    params = logged.data.params
    assert (params["every_days"], params["cut_offs"], params["horizon_days"]) == ("25", "5", "10.0")
    assert (params["from"], params["to"]) == ("2025-03-18", "2025-07-20")
    assert "tune_minutes" not in params
    client, run_id = registry.client, logged.info.run_id
    assert {file.path for file in client.list_artifacts(run_id)} == files
    of_periods = client.get_metric_history(run_id, "backtest.log_loss")
    assert [(metric.step, metric.value) for metric in of_periods] == [
        (number, row["log_loss"]) for number, row in enumerate(facts["periods"], start=1)
    ]
    begin = datetime.datetime(2025, 3, 18, tzinfo=datetime.UTC)
    assert of_periods[0].timestamp == begin.timestamp() * 1000
    of_ages = client.get_metric_history(run_id, "backtest_age.extra_log_loss")
    assert [(metric.step, metric.value) for metric in of_ages] == [
        (row["from_days"], row["extra_log_loss"]) for row in facts["ages"][1:]
    ]
    metrics = logged.data.metrics
    assert metrics["backtest_advice.gain"] == facts["advice"]["gain"]
    assert metrics["backtest.base_rate_log_loss"] == facts["periods"][-1]["base_rate_log_loss"]

    # It is taken neither for a training nor for a promotion.
    assert training_runs(registry) == []
    assert history(registry) == []
    assert registry.versions() == []


def test_backtest_as_json_with_other_folder_and_days(run: Run, crm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    days = ("--from", "2025-04-01", "--to", "2025-05-01", "--cut-offs", 2)
    code, out, _ = run("backtest", "--project", crm, "--out", folder, *days, "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["folder"] == str(folder)
    assert facts["run_page"].startswith("http://127.0.0.1:5000/#/experiments/1/runs/")
    assert [row["at"] for row in facts["cut_offs"]] == ["2025-04-01", "2025-05-01"]
    assert facts["advice"]["verdict"] == "cannot tell"
    assert not (crm / "backtest").exists()
    written = json.loads((folder / "backtest.json").read_text())
    assert written == {k: v for k, v in facts.items() if k not in ("folder", "run_page")}
    # Too few models for a chart of ages; the chart of an earlier backtest goes.
    assert not (folder / "ageing.png").exists()
    (folder / "ageing.png").write_bytes(b"old")
    assert run("backtest", "--project", crm, "--out", folder, *days, "--json")[0] == 0
    assert not (folder / "ageing.png").exists()
    assert (folder / "history.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--every", 5, "--cut-offs", 5), "--every and --cut-offs exclude each other"),
        (("--from", "2026-01-01"), "--from is 2026-01-01, but the last lead"),
        (("--out", "leads.csv"), "leads.csv/work"),
        (("--every", 0), "not in the range"),
    ],
)
def test_invalid_options_are_refused_with_a_message(
    run: Run, crm: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[Any, ...], message: str
) -> None:
    monkeypatch.chdir(crm)
    code, _, err = run("backtest", *options)
    assert code == 2
    assert message in err
    assert backtest_runs(Registry(load_project(crm))) == []


def test_leads_without_times_are_refused(run: Run, tmp_path: Path) -> None:
    write_export(tmp_path / "crm", small_leads())
    code, _, err = run("backtest", "--project", tmp_path / "crm")
    assert code == 2
    assert "A backtest needs the time at which each lead was created" in err
    assert not (tmp_path / "crm" / "backtest").exists()


def test_no_run_remains_if_mlflow_refuses(
    run: Run, crm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(registry: Registry, *arguments: Any) -> str:
        def fail(*arguments: Any, **keys: Any) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr(registry.client, "log_artifact", fail)
        return track_backtest(registry, *arguments)

    monkeypatch.setattr(backtests, "track_backtest", refuse)
    code, _, err = run("backtest", "--project", crm, *OPTIONS)
    assert code == 1
    assert "refused: No space left on device" in err
    assert backtest_runs(Registry(load_project(crm))) == []
    assert (crm / "backtest" / "backtest.html").exists()
