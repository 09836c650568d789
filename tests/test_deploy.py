"""The files for schedulers, and the examples of docs/retraining.md, do what the page says."""

import ast
import datetime
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from commands.retrain import CODES, EXIT_REFUSED, EXIT_WAITS
from crm.errors import BusyError, ConfigError, LeadScoringError
from leadscore.command import app
from models.registry.retraining import DEAD_AFTER
from tests.conftest import skip

HERE = Path(__file__).resolve().parent.parent
SYSTEMD = HERE / "deploy" / "systemd"
CRONJOB = HERE / "deploy" / "kubernetes" / "retrain-cronjob.yaml"
CONTAINERFILE = HERE / "deploy" / "Containerfile"
PAGE = (HERE / "docs" / "retraining.md").read_text()

ERROR, WRONG, BUSY = LeadScoringError.exit_code, ConfigError.exit_code, BusyError.exit_code
EXIT_CODES = {0, ERROR, WRONG, EXIT_WAITS, EXIT_REFUSED, BUSY}
INSTALLED = "/opt/leadscore/.venv/bin/leadscore"


def blocks(language: str, heading: str) -> list[str]:
    """Return the code blocks of a section of the page."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section)


def table() -> dict[int, dict[str, str]]:
    """Return what the page says about each exit code, by scheduler."""
    (_, text) = PAGE.split("\n| exit code | systemd ")
    head, _, *rows = f"| exit code | systemd {text}".split("\n\n")[0].splitlines()
    names, *cells = (
        [cell.strip() for cell in row.strip("| ").split(" | ")] for row in [head, *rows]
    )
    return {int(row[0]): dict(zip(names[1:], row[1:], strict=True)) for row in cells}


def codes_where(scheduler: str, begins: str) -> set[int]:
    return {code for code, cells in table().items() if cells[scheduler].startswith(begins)}


def fake_command(folder: Path, exit_code: int, printed: str = "") -> Path:
    """Write a `leadscore` that prints a text, notes its arguments, and exits with a code."""
    command = folder / "leadscore"
    command.write_text(
        f"#!/bin/sh\necho \"$@\" > {folder}/arguments\necho '{printed}'\nexit {exit_code}\n"
    )
    command.chmod(0o755)
    return command


# -- the page ------------------------------------------------------------------------------


def test_page_explains_each_exit_code() -> None:
    text = PAGE.split("| exit code | meaning |\n")[1].split("\n\n")[0]
    explained = [int(code) for code in re.findall(r"(?m)^\| (\d+) \|", text)]
    assert set(explained) == set(table()) == EXIT_CODES
    assert set(CODES.values()) <= EXIT_CODES
    assert list(table()[0]) == ["systemd", "Kubernetes", "Airflow", "Prefect"]


def test_all_printed_retrainings_have_valid_options() -> None:
    retrain = typer.main.get_command(app).commands["retrain"]  # type: ignore[attr-defined]
    files = [*sorted(SYSTEMD.iterdir()), CRONJOB, HERE / "docs" / "retraining.md"]
    found = [
        shlex.split(options)
        for path in files
        for options in re.findall(
            r"leadscore retrain((?: --?[a-z]+(?: [\w/]+)?)+)", path.read_text()
        )
    ]
    assert len(found) >= 6
    for options in found:
        retrain.make_context("retrain", options)
    with pytest.raises(Exception, match="No such option"):
        retrain.make_context("retrain", ["--projects", "demo"])


# -- cron ----------------------------------------------------------------------------------


def test_cron_lines_run_in_a_shell(tmp_path: Path) -> None:
    (crontab,) = blocks("text", "cron")
    variable, line = crontab.splitlines()
    assert re.fullmatch(r"BENTOML_HOME=/\S+", variable)
    *times, command = line.split(maxsplit=5)
    assert all(re.fullmatch(r"\*|\d+", time) for time in times)
    assert "%" not in command  # cron makes a line break of it
    command = command.replace(INSTALLED, str(fake_command(tmp_path, EXIT_WAITS, "waits")))
    command = command.replace("/var/lib/leadscore", str(tmp_path))
    subprocess.run(["sh", "-n", "-c", command], check=True)
    assert subprocess.run(["sh", "-c", command], check=False).returncode == EXIT_WAITS
    assert (tmp_path / "retrain.log").read_text() == "waits\n"
    assert (tmp_path / "arguments").read_text() == f"retrain --project {tmp_path}\n"


# -- systemd -------------------------------------------------------------------------------


def unit(name: str) -> dict[str, list[str]]:
    """Return the values of a unit by key."""
    values: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def systemd_analyze(*arguments: str) -> tuple[int, str]:
    """Run systemd-analyze, which needs no running systemd; return its code and its messages."""
    if shutil.which("systemd-analyze") is None:
        skip("systemd-analyze is not installed")
    ran = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stderr


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units, whose command exists on this machine."""
    command = fake_command(tmp_path, 0)
    folder = tmp_path / "units"
    shutil.copytree(SYSTEMD, folder)
    service = folder / "leadscore-retrain.service"
    text = service.read_text()
    assert text.count(f"ExecStart={INSTALLED} ") == 1
    service.write_text(text.replace(INSTALLED, str(command)))
    return folder


def test_units_are_valid(units: Path) -> None:
    paths = sorted(map(str, units.iterdir()))
    assert [Path(path).suffix for path in paths] == [".service", ".timer"]
    assert systemd_analyze("verify", *paths) == (0, "")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("leadscore-retrain.service", "ProtectSystem=strict", "ProtectSytem=strict"),
        ("leadscore-retrain.service", "SuccessExitStatus=4 5 6", "SuccessExitStatus=four"),
        ("leadscore-retrain.timer", "OnCalendar=*-*-* 03:30", "OnCalendar=daily at 03:30"),
    ],
)
def test_units_with_a_mistake_are_not_valid(units: Path, name: str, right: str, wrong: str) -> None:
    text = (units / name).read_text()
    assert right in text
    (units / name).write_text(text.replace(right, wrong))
    _, messages = systemd_analyze("verify", str(units / name))
    assert messages


def test_service_is_confined(units: Path) -> None:
    service = str(units / "leadscore-retrain.service")
    code, messages = systemd_analyze("security", "--offline=true", "--threshold=30", service)
    assert code == 0, messages


def test_service_can_write_its_folder_only() -> None:
    service = unit("leadscore-retrain.service")
    assert service["ProtectSystem"] == ["strict"]
    (state,) = service["StateDirectory"]
    folder = Path("/var/lib") / state
    assert service["WorkingDirectory"] == [str(folder)]
    assert service["ExecStart"] == [f"{INSTALLED} retrain --project {folder}"]
    (home,) = service["Environment"]
    assert Path(home.removeprefix("BENTOML_HOME=")).is_relative_to(folder)
    assert "ReadWritePaths" not in service


def test_service_treats_exit_codes_as_the_page_says() -> None:
    service = unit("leadscore-retrain.service")
    results = {int(code) for code in service["SuccessExitStatus"][0].split()}
    assert results == {EXIT_WAITS, EXIT_REFUSED, BUSY}
    assert codes_where("systemd", "success") == results | {0}
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == [str(WRONG)]
    assert codes_where("systemd", "failed") == {WRONG}
    minutes = int(service["RestartSec"][0].removesuffix("min"))
    assert datetime.timedelta(minutes=minutes) > DEAD_AFTER
    starts = int(service["StartLimitBurst"][0])
    assert f"every {minutes} minutes, at most {starts - 1} times" in table()[ERROR]["systemd"]


def test_timer_makes_up_for_a_time_that_was_missed() -> None:
    timer = unit("leadscore-retrain.timer")
    assert timer["Persistent"] == ["true"]
    assert timer["RandomizedDelaySec"] == ["30min"]
    assert timer["WantedBy"] == ["timers.target"]


# -- Kubernetes ----------------------------------------------------------------------------


class Kubernetes(NamedTuple):
    """The parts of the CronJob's file."""

    claim: Any
    cron: Any
    job: Any
    pod: Any
    container: Any


@pytest.fixture(scope="module")
def kubernetes() -> Kubernetes:
    claim, cronjob = yaml.safe_load_all(CRONJOB.read_text())
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert (cronjob["apiVersion"], cronjob["kind"]) == ("batch/v1", "CronJob")
    job = cronjob["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    return Kubernetes(claim, cronjob["spec"], job, pod, container)


def test_cronjob_runs_one_retraining_at_a_time(kubernetes: Kubernetes) -> None:
    assert kubernetes.cron["schedule"] == "30 3 * * *"
    assert kubernetes.cron["concurrencyPolicy"] == "Forbid"
    assert kubernetes.pod["restartPolicy"] == "Never"


def test_cronjob_treats_exit_codes_as_the_page_says(kubernetes: Kubernetes, tmp_path: Path) -> None:
    becomes = {}
    for code in EXIT_CODES | {137}:  # 137: killed, for example for its memory
        fake_command(tmp_path, code)
        command = [*kubernetes.container["command"], *kubernetes.container["args"]]
        ran = subprocess.run(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
        becomes[code] = ran.returncode
        assert (tmp_path / "arguments").read_text() == "retrain --project /project\n"
    assert becomes == {**{code: code for code in becomes}, EXIT_WAITS: 0, EXIT_REFUSED: 0}
    assert codes_where("Kubernetes", "Complete") == {c for c, after in becomes.items() if not after}
    ignored, stops = kubernetes.job["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    assert stops["action"] == "FailJob"
    assert stops["onExitCodes"]["containerName"] == kubernetes.container["name"]
    assert set(stops["onExitCodes"]["values"]) == codes_where("Kubernetes", "Failed") == {WRONG}
    repeats = f"repeated at most {kubernetes.job['backoffLimit']} times"
    assert codes_where("Kubernetes", repeats) == {ERROR, BUSY}


def test_cronjob_repeats_long_enough_to_resume_a_retraining_that_was_killed(
    kubernetes: Kubernetes,
) -> None:
    # Kubernetes waits 10 s before the first repetition, and then twice as long, up to 6 minutes.
    waits = [min(10 * 2**n, 360) for n in range(kubernetes.job["backoffLimit"])]
    assert datetime.timedelta(seconds=sum(waits[:4])) < DEAD_AFTER
    assert datetime.timedelta(seconds=sum(waits[:5])) > DEAD_AFTER
    assert sum(waits) < kubernetes.job["activeDeadlineSeconds"]


def test_cronjob_has_secrets_from_a_secret_and_files_in_a_volume(kubernetes: Kubernetes) -> None:
    container, settings = kubernetes.container, (HERE / "docs" / "settings.md").read_text()
    given = {entry["name"]: entry for entry in container["env"]}
    secret = {name for name, entry in given.items() if "valueFrom" in entry}
    assert secret == {"LEADSCORE_LEDGER_URL", "SLACK_WEBHOOK"}
    for name in secret:
        source = given[name]["valueFrom"]["secretKeyRef"]
        assert source == {"name": "leadscore", "key": name, "optional": True}
    for name in ("LEADSCORE_LEDGER_URL", "MLFLOW_TRACKING_URI", "BENTOML_HOME"):
        assert name in given
        assert f"| `{name}` |" in settings
    volumes = {volume["name"]: volume for volume in kubernetes.pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    claim = mounts["/project"]["persistentVolumeClaim"]["claimName"]
    assert claim == kubernetes.claim["metadata"]["name"]
    assert given["BENTOML_HOME"]["value"].startswith("/project/")
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "emptyDir" in mounts[given["HOME"]["value"]] == mounts["/tmp"]
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


def test_image_has_the_user_and_the_packages_that_are_needed(kubernetes: Kubernetes) -> None:
    text = CONTAINERFILE.read_text()
    user = str(kubernetes.pod["securityContext"]["runAsUser"])
    assert re.findall(r"(?m)^USER (\d+)$", text) == [user]
    assert f"useradd --uid {user} " in text
    assert f"number {user} and" in PAGE
    assert "libgomp1" in text
    (target,) = re.findall(r"(?m)^RUN .*\bmake (\S+)$", text)
    subprocess.run(["make", "--dry-run", target], cwd=HERE, check=True, capture_output=True)


# -- Airflow and Prefect -------------------------------------------------------------------


def test_airflow_example_treats_exit_codes_as_the_page_says() -> None:
    (code,) = blocks("python", "Airflow")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (operator,) = [call for call in calls if getattr(call.func, "id", "") == "BashOperator"]
    given = {keyword.arg: keyword.value for keyword in operator.keywords}
    skipped = set(ast.literal_eval(given["skip_on_exit_code"]))
    assert skipped == codes_where("Airflow", "skipped") == {EXIT_WAITS, EXIT_REFUSED, BUSY}
    assert ast.literal_eval(given["retries"]) == 2
    assert codes_where("Airflow", "retried twice") == {ERROR, WRONG}
    (delay,) = [call for call in calls if getattr(call.func, "id", "") == "timedelta"]
    minutes = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in delay.keywords}
    assert datetime.timedelta(**minutes) > DEAD_AFTER


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], str], dict[str, Any]]:
    """Return the flow of the page as a function, without Prefect: a state is its arguments."""
    (code,) = blocks("python", "Prefect")
    prefect, states = types.ModuleType("prefect"), types.ModuleType("prefect.states")
    vars(prefect).update(flow=lambda **options: lambda function: function)
    vars(states).update(Completed=dict, State=dict)
    monkeypatch.setitem(sys.modules, "prefect", prefect)
    monkeypatch.setitem(sys.modules, "prefect.states", states)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/retraining.md", "exec"), names)

    def retrain(command: list[str], project: str) -> dict[str, Any]:
        assert names["COMMAND"][0] == INSTALLED
        names["COMMAND"][0] = command[0]
        try:
            return names["retrain"](project)
        finally:
            names["COMMAND"][0] = INSTALLED

    return retrain


def test_prefect_example_treats_exit_codes_as_the_page_says(
    flow: Callable[[list[str], str], dict[str, Any]], tmp_path: Path
) -> None:
    statuses = [*CODES.items(), ("busy", BUSY)]
    for status, code in statuses:
        printed = "" if code == BUSY else f'{{"status": "{status}", "sentence": "Said."}}'
        state = flow([str(fake_command(tmp_path, code, printed))], "/crm")
        assert state["name"] == status.capitalize()
        assert re.search(rf"Completed, named .*\b{state['name']}\b", table()[code]["Prefect"])
        assert state["message"] == ("" if code == BUSY else "Said.")
        assert (tmp_path / "arguments").read_text() == "retrain --json --project /crm\n"
    assert codes_where("Prefect", "Completed") == {code for _, code in statuses}
    for code in codes_where("Prefect", "retried twice"):
        command = fake_command(tmp_path, code)
        with pytest.raises(RuntimeError, match=f"exit code {code}"):
            flow([str(command)], "/crm")
    assert codes_where("Prefect", "retried twice") == {ERROR, WRONG}
