"""The command line in this process: its output, its exit codes, and the files it writes."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from commands.console import command_line
from commands.train import train_and_track
from crm.ledger.ledger import Ledger
from crm.project import load_project
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from tests.made_workbooks import workbook

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    simulate(Simulation(leads=800, drift_at=1.0), tmp_path / "crm")
    return tmp_path / "crm"


def flat(folder: Path, rows: int = 200, **columns: Any) -> Path:
    """Write a small export with an order, and a project file for it; return the folder."""
    folder.mkdir(exist_ok=True)
    leads = pd.DataFrame(
        {
            "id": [f"L{i}" for i in range(rows)],
            "nr": range(rows),
            "visits": [(i * 7) % 11 for i in range(rows)],
            "source": [["Web", "Fair", "Call"][i % 3] for i in range(rows)],
            "won": ["yes" if ((i * 7) % 11 > 6) != (i % 5 == 0) else "no" for i in range(rows)],
        }
    ).assign(**columns)
    leads.to_csv(folder / "leads.csv", index=False)
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "flat"\n'
        '[leads]\nsource = "leads.csv"\nlead_id = "id"\norder = "nr"\noutcome = "won"\n'
        '[learn]\nwon = ["yes"]\nlost = ["no"]\n'
    )
    return folder


@pytest.fixture(scope="module")
def trained_flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that `flat` wrote, with a champion; read only."""
    home = tmp_path_factory.mktemp("trained")
    (home / "bentoml").mkdir()
    folder = flat(home / "flat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home / "bentoml"))
        train_and_track(load_project(folder), quiet=True)
    return folder


@pytest.fixture
def with_model(trained_flat: Path, tmp_path: Path) -> Path:
    """Return a copy of a folder that `flat` wrote, with a champion."""
    return Path(shutil.copytree(trained_flat, tmp_path / "flat"))


def new_files(folder: Path) -> set[str]:
    """Return the names in a project's folder, without those that `flat` wrote."""
    return {path.name for path in folder.iterdir()} - {"leads.csv", "leadscore.toml"}


def test_train_prints_its_quality_and_the_next_commands(run: Run, crm: Path) -> None:
    code, out, _ = run("train", "--project", crm)
    assert code == 0
    assert "SIMULATED" in out
    assert "Evaluated on the newest 20% of leads" in out
    for row in ("leadscore", "base rate", "logistic"):
        assert row in out
    assert "demo version 1 is the champion now." in out
    assert "leadscore score crm/leads.csv -o scored.csv --project crm\n" in out
    assert f"mlflow ui --workers 1 --backend-store-uri sqlite:///{crm}/mlflow.db\n" in out
    page = "http://127.0.0.1:5000/#/experiments/1/runs/[0-9a-f]{32}\\?workflowType=machine_learning"
    assert re.search(rf"The run in MLflow: {page}\n$", out)


def test_train_as_json_has_the_model_and_its_quality(run: Run, crm: Path) -> None:
    code, out, err = run("train", "--project", crm, "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["model"]["name"] == "demo"
    assert facts["model"]["is_champion"] is True
    assert facts["model"]["simulated"] is True
    assert {"n", "roc_auc", "pr_auc", "log_loss", "brier", "ece", "lift_at_10"} <= set(
        facts["test"]
    )
    assert set(facts["baselines"]) == {"base_rate", "logistic"}
    assert facts["model"]["run_id"] in facts["model"]["page"]
    assert facts["seconds"].keys() > {"read", "audit", "test", "fit", "log"}
    learned_from = facts["learned_from"]
    assert learned_from["leads"] == 800
    n_moments = learned_from["moments"] + learned_from["not_mature"]
    assert 800 < n_moments <= 3 * 800  # at most three ages of each lead

    _, out, _ = run("train", "--project", crm, "--json")
    second = json.loads(out)["model"]
    assert second["version"] == "2"
    assert second["is_champion"] is False
    assert second["digest"] == facts["model"]["digest"]


def test_score_writes_every_lead_in_the_order_of_the_file(
    run: Run, crm: Path, tmp_path: Path
) -> None:
    run("train", "--project", crm, "--json")
    code, out, _ = run("score", crm / "leads.csv", "-o", tmp_path / "s.csv", "-p", crm)
    assert code == 0
    assert "Scored 800 leads with demo 1" in out
    scored = pd.read_csv(tmp_path / "s.csv")
    assert list(scored.columns) == ["lead_id", "probability", "score", "grade"]
    assert scored["lead_id"].tolist() == pd.read_csv(crm / "leads.csv")["lead_id"].tolist()
    truth = pd.read_csv(crm / "truth.csv")["true_probability"]
    assert scored["probability"].corr(truth) > 0.5
    outcomes = pd.read_csv(crm / "outcomes.csv")
    assert f"Of 800 leads, {outcomes['lead_id'].nunique()} have already ended" in out
    (crm / "outcomes.csv").unlink()
    code, out, _ = run("score", crm / "leads.csv", "-o", tmp_path / "s.csv", "-p", crm)
    assert code == 0
    assert "note: Leads that have ended are not counted, because the table of outcomes " in out


def test_score_names_other_columns_and_rows_that_are_not_leads(
    run: Run, tmp_path: Path, with_model: Path
) -> None:
    text = "Report of new leads\n\nid,visits,shoe size\nA,3,42\nB,4,41\n\nConfidential\n"
    (tmp_path / "new.csv").write_text(text)
    score = ("score", tmp_path / "new.csv", "-o", tmp_path / "s.csv", "-p", with_model)
    code, out, _ = run(*score)
    assert code == 0
    assert "absent, treated as missing: source" in out
    assert "unknown to the model, ignored: shoe size" in out
    assert "note: new.csv: 1 row is left out (line 1): text above the column names" in out
    assert "note: new.csv: 1 row is left out (line 7): text of the report around" in out
    facts = json.loads(run(*score, "--json")[1])
    assert [rows["lines"] for rows in facts["left_out_rows"]] == [[1], [2, 6], [7]]


def test_score_reads_the_sheet_that_is_named(run: Run, tmp_path: Path, with_model: Path) -> None:
    header: list[Any] = ["id", "visits"]
    sheets = {"New": [header, ["A", 3]], "Old": [header, ["B", 4], ["C", 5]]}
    (tmp_path / "new.xlsx").write_bytes(workbook(sheets))
    score = ("-o", tmp_path / "s.csv", "-p", with_model)
    code, _, error = run("score", tmp_path / "new.xlsx", *score)
    assert code == 2
    assert "write `new.xlsx#New`" in error
    code, out, _ = run("score", f"{tmp_path / 'new.xlsx'}#Old", *score)
    assert code == 0
    assert "Scored 2 leads" in out


def test_score_as_of_accepts_the_times_of_the_service(
    run: Run, tmp_path: Path, with_model: Path
) -> None:
    leads = with_model / "leads.csv"
    command = ("score", leads, "-o", tmp_path / "s.csv", "-p", with_model, "--json")
    for moment in (
        "2026-01-10T12:00:25.025380+00:00",
        "2026-01-10T13:00:25.02538+01:00",
        "2026-01-10T12:00:25.025380Z",
    ):
        code, out, err = run(*command, "--as-of", moment)
        assert code == 0, err
        assert json.loads(out)["as_of"] == "2026-01-10T12:00:25.025380+00:00"
    for invalid in ("yesterday", "0001-01-01T00:00+01:00"):
        code, _, err = run(*command, "--as-of", invalid)
        assert code == 2
        assert "Expected a time" in err


def test_score_leaves_out_erased_leads(run: Run, tmp_path: Path, with_model: Path) -> None:
    project = with_model / "leadscore.toml"
    project.write_text(project.read_text() + '[ledger]\nurl = "sqlite:///ledger.db"\n')
    with Ledger("sqlite:///ledger.db", with_model) as ledger:
        for lead_id in ("L3", "L7", "of no lead"):
            ledger.forget(lead_id, 0)
    (tmp_path / "new.csv").write_text("id,visits\nL7,3\nL8,3\n L3 ,4\n,5\n")
    code, out, _ = run("score", tmp_path / "new.csv", "-o", tmp_path / "s.csv", "-p", with_model)
    assert code == 0
    assert "Scored 2 leads" in out
    assert "Left out 2 leads that were erased from the ledger." in out
    assert pd.read_csv(tmp_path / "s.csv")["lead_id"].tolist() == ["L8", np.nan]

    (with_model / "ledger.db").write_text("no database")  # the erased leads are unknown now
    code, _, err = run("score", tmp_path / "new.csv", "-o", tmp_path / "t.csv", "-p", with_model)
    assert code == 1
    assert "The ledger's database" in err
    assert not (tmp_path / "t.csv").exists()


def test_drafted_project_file_trains_unedited(run: Run, tmp_path: Path) -> None:
    folder = flat(tmp_path / "flat")
    (folder / "leadscore.toml").unlink()
    code, out, _ = run("init", folder / "leads.csv", "--project", folder)
    assert code == 0
    assert "leadscore train" in out
    code, out, _ = run("train", "--project", folder, "--json")
    assert code == 0, out
    facts = json.loads(out)
    assert facts["test"]["roc_auc"] > 0.7  # a fifth of the outcomes is reversed: 0.73
    assert facts["test"]["log_loss"] < facts["baselines"]["base_rate"]["log_loss"]


def test_column_known_in_time_is_used_although_it_looks_like_a_leak(
    run: Run, tmp_path: Path
) -> None:
    won_by_visits = ["yes" if (i * 7) % 11 > 6 else "no" for i in range(200)]
    folder = flat(tmp_path / "flat", won=won_by_visits)
    _, out, _ = run("train", "--project", folder, "--json")
    assert [row["column"] for row in json.loads(out)["left_out"]] == ["visits"]
    with (folder / "leadscore.toml").open("a") as file:
        file.write('[columns]\nknown_in_time = ["visits"]\n')
    code, out, _ = run("train", "--project", folder, "--json")
    assert code == 0, out
    assert json.loads(out)["test"]["roc_auc"] > 0.9


def test_rows_that_are_left_out_are_named_as_text_and_as_json(run: Run, tmp_path: Path) -> None:
    folder = flat(tmp_path / "flat", id=["", *(f"L{i}" for i in range(1, 200))])
    code, out, _ = run("audit", "--project", folder, "--json")
    assert code == 0, out
    (rows,) = json.loads(out)["left_out_rows"]
    assert (rows["table"], rows["count"], rows["lines"]) == ("leads", 1, [2])
    _, out, _ = run("audit", "--project", folder)
    assert f"note: {rows['sentence']}\n" in out


def test_init_keeps_an_existing_project_file(run: Run, tmp_path: Path) -> None:
    folder = flat(tmp_path / "flat")
    before = (folder / "leadscore.toml").read_text()
    code, _, err = run("init", folder / "leads.csv", "--project", folder)
    assert code == 2
    assert "exists already" in err
    assert (folder / "leadscore.toml").read_text() == before


def test_init_names_the_number_of_counted_rows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = flat(tmp_path / "flat")
    _, out, _ = run("init", folder / "leads.csv", "--project", folder / "whole.toml")
    assert 'Outcome: "won". Check what each value means:\n' in out
    monkeypatch.setattr("drafting.draft.SAMPLE_ROWS", 150)
    _, out, _ = run("init", folder / "leads.csv", "--project", folder / "first.toml")
    assert 'Outcome: "won". Check what each value means in the first 150 rows:\n' in out


def test_starting_a_command_imports_no_statistics() -> None:
    slow = {"pandas", "numpy", "sklearn", "lightgbm", "mlflow", "bentoml", "pyarrow"}
    script = f"import sys; import leadscore.command; print(sorted({slow!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in ("init", "simulate", "train", "score", "build", "serve", "demo"):
        assert command in out


def edit(folder: Path, old: str, new: str) -> None:
    """Replace a part of the project file."""
    text = (folder / "leadscore.toml").read_text()
    assert old in text
    (folder / "leadscore.toml").write_text(text.replace(old, new))


# What is done to a valid export, the exit code, and a part of the message.
BAD_TRAINING: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "no project file": (lambda f: (f / "leadscore.toml").unlink(), 2, "leadscore init"),
    "no table": (lambda f: (f / "leads.csv").unlink(), 2, "There is no file"),
    "empty table": (lambda f: (f / "leads.csv").write_text(""), 2, "leads.csv is empty"),
    "header only": (
        lambda f: (f / "leads.csv").write_text("id,nr,visits,won\n"),
        2,
        "no rows",
    ),
    "no header": (
        lambda f: (f / "leads.csv").write_text("1,1,2,3\n2,2,3,4\n"),
        2,
        "looks like data",
    ),
    "wrong delimiter": (
        lambda f: edit(f, 'order = "nr"', 'order = "nr"\ndelimiter = ";"'),
        2,
        "delimiter",
    ),
    "unknown key": (
        lambda f: edit(f, "[learn]", "[learn]\nhorizont_days = 3"),
        2,
        "horizon_days",
    ),
    "duplicate ids": (lambda f: flat(f, id="L1"), 2, "repeats in 200 of 200 rows"),
    "undeclared outcome": (
        lambda f: flat(f, won="maybe"),
        2,
        "that are not declared: 'maybe'",
    ),
    "one class": (
        lambda f: flat(f, won="yes"),
        1,
        "All 200 leads with a certain outcome are won",
    ),
    "no outcomes": (lambda f: flat(f, won=None), 1, "has a known outcome"),
    "infinity": (
        lambda f: flat(f, visits=["inf", *range(199)]),
        2,
        "`visits` is infinite in 1 rows",
    ),
    "half numbers": (
        lambda f: flat(f, visits=[i if i % 2 else f"v{i}" for i in range(200)]),
        2,
        "a number in 50% and text in 50%",
    ),
    "nothing to learn from": (
        lambda f: flat(f, visits=1, source="Web"),
        1,
        "No column of the leads is left to learn from",
    ),
}


def test_twelve_leads_give_a_base_rate_that_is_not_evaluated(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("train", "--project", flat(tmp_path / "flat", rows=12))
    assert code == 0
    assert "Verdict: not ready" in out
    assert "base rate" in out
    code, out, _ = run("models", "show", "1", "--project", tmp_path / "flat")
    assert "Not ready" in out


@pytest.mark.parametrize("case", BAD_TRAINING)
def test_bad_input_ends_training_with_one_message(run: Run, tmp_path: Path, case: str) -> None:
    damage, expected_code, message = BAD_TRAINING[case]
    folder = flat(tmp_path / "flat")
    damage(folder)
    code, out, err = run("train", "--project", folder)
    assert code == expected_code, err
    assert message in err
    assert err.count("error:") == 1
    assert "is the champion" not in out
    assert new_files(folder) <= {"mlflow.db", "mlflow.db.lock"}


def test_unreachable_mlflow_is_reported_before_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    folder = flat(tmp_path / "flat")
    code, out, err = run("train", "--project", folder)
    assert code == 1
    assert "MLflow cannot be reached at http://127.0.0.1:9" in err
    assert "Reading the records" not in out + err
    assert new_files(folder) == set()


def test_score_without_a_champion_states_what_to_do(run: Run, tmp_path: Path) -> None:
    folder = flat(tmp_path / "flat")
    code, _, err = run("score", folder / "leads.csv", "-o", tmp_path / "s.csv", "-p", folder)
    assert code == 1
    assert "`flat` has no champion" in err
    assert "leadscore train" in err
    assert not (tmp_path / "s.csv").exists()


def test_serve_without_a_bento_states_what_to_do(run: Run, tmp_path: Path) -> None:
    code, _, err = run("serve", "--project", flat(tmp_path / "flat"))
    assert code == 1
    assert "leadscore build" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "none of its columns"),
        ("id,visits\n", "no rows"),
        ("id,visits\n1,2,3\n", "line 2 has 3 cells, and the header has 2"),
    ],
)
def test_score_of_bad_leads_writes_nothing(
    run: Run, tmp_path: Path, with_model: Path, content: str, message: str
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    (tmp_path / "s.csv").write_text("earlier scores")
    code, _, err = run("score", tmp_path / "bad.csv", "-o", tmp_path / "s.csv", "-p", with_model)
    assert code == 2
    assert message in err
    assert (tmp_path / "s.csv").read_text() == "earlier scores"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".s.csv")]


def test_errors_name_commands_that_can_be_run(run: Run) -> None:
    code, _, err = run("train")
    assert code == 2
    assert f"`{command_line('leadscore')} init" in err


CONTROL = "[control]\nshare = 0.3\n"


def add_to_project(folder: Path, text: str) -> None:
    path = folder / "leadscore.toml"
    path.write_text(path.read_text() + text)


def test_score_writes_the_lanes_of_the_ledger(run: Run, with_model: Path, tmp_path: Path) -> None:
    add_to_project(with_model, CONTROL + '[ledger]\nurl = "sqlite:///ledger.db"\n')
    command = ("score", with_model / "leads.csv", "-p", with_model, "-o")
    code, _, err = run(*command, tmp_path / "s.csv")
    assert (code, err) == (0, "")
    scored = pd.read_csv(tmp_path / "s.csv")
    with Ledger("sqlite:///ledger.db", with_model) as ledger:
        lanes = [ledger.lanes(0.3).of(lead_id).lane for lead_id in scored["lead_id"]]
    assert scored["lane"].tolist() == lanes
    assert {"control", "treated"} == set(lanes)


def test_control_group_without_a_ledger_ends_the_command(
    run: Run, with_model: Path, tmp_path: Path
) -> None:
    add_to_project(with_model, CONTROL)
    leads = with_model / "leads.csv"
    code, _, err = run("score", leads, "-p", with_model, "-o", tmp_path / "s.csv")
    assert code == 2
    assert "share of 0.3, but there is no ledger" in err
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("has_control", [True, False])
def test_serve_names_the_control_group_to_the_service(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_control: bool
) -> None:
    folder = flat(tmp_path / "flat")
    add_to_project(folder, '[ledger]\nurl = "sqlite:///ledger.db"\n')
    if has_control:
        add_to_project(folder, CONTROL)
    started = []
    monkeypatch.setattr("serving.bento.store.newest_bento", lambda name: ("flat:1", folder))
    monkeypatch.setattr("os.execvpe", lambda *command: started.append(command))
    run("serve", "--project", folder, "--port", 0)
    ((_, _, environment),) = started
    assert environment.get("LEADSCORE_CONTROL_SHARE") == ("0.3" if has_control else None)


def test_shadow_without_a_ledger_is_refused(
    run: Run, with_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.bento.store.newest_bento", lambda name: ("flat:1", with_model))
    code, out, err = run("serve", "-p", with_model, "--port", 0, "--shadow", "challenger")
    assert code == 2
    assert "The shadow model challenger needs a ledger" in err
    assert out == ""
