"""`leadscore notify`, and what other commands tell."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.monitor import tell_of_look
from commands.notify import tell
from commands.retrain import retrain_once
from crm.errors import SourceError
from crm.ledger.ledger import Ledger
from crm.project import load_project
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from monitoring.check import Check, Verdict
from monitoring.look import Look
from tests.made_notifications import (
    NOW,
    SECRET,
    event,
    notify_section,
    project_file,
    set_variables,
)
from tests.made_receivers import Reply, receiver
from tests.test_notifying_best_grade import Watched, given

HERE = Path(__file__).resolve().parent.parent
Run = Callable[..., tuple[int, str, str]]


def test_test_messages_are_shown(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project_file(tmp_path, "webhook", "slack")
    with receiver(Reply(200, body=b"ok")) as slack, receiver(Reply(401)) as hook:
        set_variables(monkeypatch, slack=slack, webhook=hook)
        code, out, err = run("notify", "--test", "-p", tmp_path)
        assert (code, err) == (1, "")
        assert out.splitlines() == [
            "webhook (localhost): NOT DELIVERED; it answered 401",
            "slack (localhost): delivered; it answered 200: ok",
        ]
        monkeypatch.delenv("HOOK_URL")
        code, out, err = run("notify", "--test", "-p", tmp_path)
        assert code == 1
        assert "error: leadscore.toml: `webhook` in [notify]" in err
        code, out, _ = run("notify", "--test", "--json", "-p", tmp_path)
        assert json.loads(out)["answers"] == [
            {"target": "slack", "delivered": True, "answer": "it answered 200: ok"}
        ]
        set_variables(monkeypatch, webhook=slack)
        assert run("notify", "--test", "-p", tmp_path)[0] == 0


def test_run_tells_leads_and_says_what_happened(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(project_file(tmp_path, "slack"))
    with receiver(200, Reply(404), 200) as slack, Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        set_variables(monkeypatch, slack=slack)
        watched = Watched(project, ledger, slack)
        assert run("notify", "-p", tmp_path) == (
            0,
            "Leads that reach grade A are told from now on.\nNothing was sent.\n",
            "",
        )
        watched.give(given("L1", "A"), given("L2", "A", lane="control"))
        code, out, err = run("notify", "-p", tmp_path)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].startswith("1 lead reached grade A since ")
        assert lines[1:] == [
            "1 lead of the control group did too, and is not told.",
            "Sent 1 message to slack.",
        ]
        watched.give(given("L3", "A"))
        code, out, err = run("notify", "-p", tmp_path)
        assert code == 0
        assert out.splitlines()[-2:] == ["Nothing was sent.", "Waiting: 1 message for slack."]
        assert err == (
            "warning: slack (localhost): it answered 404. What waits is sent by the next run."
        )
        facts = json.loads(run("notify", "-p", tmp_path, "--json")[1])
        assert (facts["leads"], facts["sent"], facts["waiting"]) == (0, {"slack": 1}, {})
    assert len(slack.received) == 3


def test_what_waits_is_sent_although_the_ledger_cannot_be_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(project_file(tmp_path, "slack"))
    with receiver(404, 200) as slack:
        set_variables(monkeypatch, slack=slack)
        tell(project, [event()])
        (tmp_path / "ledger.db").write_bytes(b"no database, and long enough not to be one" * 99)
        code, _, err = run("notify", "-p", tmp_path)
    assert code == 1
    assert "error: The ledger's database" in err
    assert len(slack.received) == 2


def test_project_without_targets_is_an_error(run: Run, tmp_path: Path) -> None:
    project_file(tmp_path)
    for arguments in ([], ["--test"], ["--every", "1m"]):
        code, _, err = run("notify", *arguments, "-p", tmp_path)
        assert code == 2
        assert "leadscore.toml names nobody to notify." in err


def test_interval_is_checked_before_anything_is_sent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_file(tmp_path, "slack")
    with receiver() as slack:
        set_variables(monkeypatch, slack=slack)
        for wrong in ("5", "10s", "0m", "soon"):
            code, _, err = run("notify", "--every", wrong, "-p", tmp_path)
            assert code == 2
            assert f"--every is '{wrong}'. Expected a time of at least a minute" in err
    assert slack.received == []


def test_repeated_runs_go_on_after_an_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(project_file(tmp_path, "slack"))
    pauses: list[float] = []
    with receiver() as slack, Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        set_variables(monkeypatch, slack=slack)
        watched = Watched(project, ledger, slack)
        ledger.database.prepare()
        hidden = tmp_path / "hidden.db"

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 1:
                (tmp_path / "ledger.db").rename(hidden)
                (tmp_path / "ledger.db").mkdir()
            elif len(pauses) == 3:
                (tmp_path / "ledger.db").rmdir()
                hidden.rename(tmp_path / "ledger.db")
                watched.give(given("L1", "A"))
            elif len(pauses) == 5:
                raise KeyboardInterrupt

        monkeypatch.setattr("commands.notify.time.sleep", sleep)
        code, out, err = run("notify", "--every", "1m", "-p", tmp_path)
    assert code == 130
    assert len(pauses) == 5
    assert all(0 <= pause <= 60 for pause in pauses)
    assert out.splitlines()[0] == "Leads that reach grade A are told from now on."
    assert out.splitlines()[-1] == "Sent 1 message to slack."
    assert len(out.splitlines()) == 4
    assert err.count("error:") == 1


def look(*checks: Check) -> Look:
    return Look(
        name="acme", version="3", at="", until="", checks=checks, notes=(), versions=(), leads=9,
        simulated=False,
    )  # fmt: skip


def test_look_is_told_check_by_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Check(
        "LM301", Verdict.ACT, "Ada Lovelace is new", "Ask Ada", {"share": 0.5}, [{"a": 1}]
    )
    others = [
        Check("LM302", Verdict.WATCH, "w"),
        Check("LM303", Verdict.FINE, "f"),
        Check("LM304", Verdict.UNKNOWN, "u"),
    ]
    project = load_project(project_file(tmp_path, "webhook", ledger=False))
    with receiver() as hook:
        set_variables(monkeypatch, webhook=hook)
        second = Check("LM202", Verdict.ACT, "a")
        tell_of_look(project, look(hostile, second, *others), NOW)
        tell_of_look(project, look(hostile, Check("LM202", Verdict.WATCH, "w")), NOW)
        tell_of_look(project, look(hostile, second), NOW)
        tell_of_look(project, look(Check("LM301", Verdict.UNKNOWN, "u")), NOW)
        tell_of_look(project, look(Check("LM202", Verdict.FINE, "f")), NOW)
        tell_of_look(project, look(hostile, second), NOW.replace(minute=31))
    assert [body["data"]["check"] for body in hook.bodies] == ["LM301", "LM202", "LM202"]
    assert hook.bodies[0]["data"] == {
        "check": "LM301",
        "question": "Are attributes as often filled as in training?",
        "version": "3",
        "figures": {"share": 0.5},
    }
    assert "Ada" not in json.dumps(hook.bodies)


def with_targets(crm: Path, *targets: str) -> None:
    path = crm / "leadscore.toml"
    path.write_text(path.read_text() + "\n" + notify_section(*targets))


def test_commands_that_change_the_champion_tell_it(
    run: Run, simulated_crm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = tmp_path / "crm"
    shutil.copytree(simulated_crm, crm)
    with receiver() as hook:
        set_variables(monkeypatch, webhook=hook)
        with_targets(crm, "webhook")
        trained = json.loads(run("train", "-p", crm, "--json")[1])["model"]
        run("models", "promote", 1, "-p", crm, "--force", "--because", "a start")
        run("train", "-p", crm, "--json")
        run("models", "promote", 2, "-p", crm, "--force", "--because", "a test")
        run("models", "rollback", "-p", crm)
        path = crm / "leadscore.toml"
        path.write_text(
            path.read_text().replace("known_later = [", 'known_later = ["budget_eur", ')
        )
        assert run("models", "promote", 2, "-p", crm)[0] == 1
        log = str([path.read_bytes() for path in crm.rglob("*") if path.is_file()])
    told = [(body["type"], body["data"].get("version")) for body in hook.bodies]
    first = [("promoted", "1")] if trained["is_champion"] else [("waiting", "1"), ("promoted", "1")]
    rest = [("waiting", "2"), ("promoted", "2"), ("promoted", "1"), ("refused", "2")]
    assert told == first + rest
    assert hook.bodies[-1]["data"]["failed_gates"] == ["LG104 free of leaks"]
    assert hook.bodies[-2]["data"] == {"version": "1", "previous": "2", "how": "rolled back"}
    for secret in ("SECRET-PART-OF-PATH", SECRET):
        assert secret not in log


@pytest.mark.usefixtures("undrawn")
def test_retraining_tells_its_result_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(Simulation(leads=600, activities_per_lead=1, seed=3, drift_at=1), tmp_path / "crm")
    path = tmp_path / "crm" / "leadscore.toml"
    text = path.read_text().replace("moments_days = [0, 7, 30]", "moments_days = [0]")
    path.write_text(text.replace("test_share = 0.2", "test_share = 0.2\nremedies = false"))
    with receiver() as hook:
        set_variables(monkeypatch, webhook=hook)
        with_targets(tmp_path / "crm", "webhook")
        assert run("retrain", "-p", path, "--json")[0] == 0
        assert run("retrain", "-p", path, "--json")[0] == 0  # nothing is due
    told = [(body["type"], body["data"]) for body in hook.bodies if body["type"] != "check"]
    assert told == [("promoted", {"version": "1", "previous": None, "how": "first champion"})]


def test_failed_retraining_is_told_without_the_text_of_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project_file(tmp_path, "webhook", ledger=False)  # there is no file of leads
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with receiver() as hook:
        set_variables(monkeypatch, webhook=hook)
        with pytest.raises(SourceError):
            retrain_once(load_project(path), quiet=True, clock=lambda: NOW)
    assert [body["data"] for body in hook.bodies] == [
        {"run": "retrain", "step": "decision", "error": "SourceError"}
    ]


def test_repeated_run_ends_with_a_signal(tmp_path: Path) -> None:
    project_file(tmp_path, "slack")
    with receiver() as slack:
        environment: dict[str, Any] = {**os.environ, "SLACK_URL": slack.url}
        command = [
            sys.executable,
            "-m",
            "leadscore",
            "notify",
            "--every",
            "1m",
            "-p",
            str(tmp_path),
        ]
        process = subprocess.Popen(
            command, cwd=HERE, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "Leads that reach grade A are told from now on.\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
