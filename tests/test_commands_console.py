"""Helpers of all commands: printed commands that can be run, and the environment."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.console import (
    command_line,
    leadscore_line,
    mlflow_line,
    resolve_bentoml_home,
    with_runnable_commands,
)
from crm.project import PROJECT_FILE
from crm.version import VERSION

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def venv_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the running Python appear to be that of a virtual environment in this folder."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "mlflow").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    return programs


def test_program_of_the_virtual_environment_has_its_relative_path(
    venv_here: Path,
) -> None:
    assert command_line("mlflow", "ui") == ".venv/bin/mlflow ui"


def test_program_has_its_absolute_path_in_another_folder(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (venv_here.parent.parent / "elsewhere").mkdir()
    monkeypatch.chdir(venv_here.parent.parent / "elsewhere")
    assert command_line("mlflow") == str(venv_here / "mlflow")


def test_program_has_its_absolute_path_in_its_own_folder(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(venv_here)
    assert command_line("mlflow") == str(venv_here / "mlflow")


def test_program_of_an_active_environment_has_no_path(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{venv_here}{os.pathsep}/usr/bin")
    assert command_line("mlflow") == "mlflow"


def test_program_has_its_path_if_another_one_has_the_same_name(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = venv_here.parent.parent / "elsewhere"
    folder.mkdir()
    (folder / "mlflow").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    assert command_line("mlflow") == ".venv/bin/mlflow"


def test_arguments_are_quoted_for_a_shell(venv_here: Path) -> None:
    assert command_line("mlflow", "a b", "$HOME").endswith("mlflow 'a b' '$HOME'")


def test_paths_of_the_current_folder_are_relative(venv_here: Path) -> None:
    folder = venv_here.parent.parent
    line = command_line("mlflow", folder / "leads.csv", Path("/elsewhere/leads.csv"))
    assert line.endswith("mlflow leads.csv /elsewhere/leads.csv")


def test_default_project_file_is_not_named(venv_here: Path) -> None:
    assert leadscore_line(Path(PROJECT_FILE), "train").endswith("leadscore train")
    assert leadscore_line(Path("crm"), "train").endswith("leadscore train --project crm")


def test_commands_in_a_text_have_the_path_of_the_program(venv_here: Path) -> None:
    text = "Train one with `leadscore train`; leadscore needs wins."
    assert with_runnable_commands(text) == (
        "Train one with `.venv/bin/leadscore train`; leadscore needs wins."
    )


def test_commands_in_a_text_name_the_project(venv_here: Path) -> None:
    text = "`leadscore train`, `leadscore models promote 3`, `leadscore init FILE…`, `leadscore"
    program = ".venv/bin/leadscore"
    assert with_runnable_commands(text, Path("my proj [1]")) == (
        f"`{program} train --project 'my proj [1]'`, "
        f"`{program} models promote 3 --project 'my proj [1]'`, "
        f"`{program} init FILE…`, `leadscore"
    )


@pytest.mark.parametrize(
    "arguments",
    [["-p", "a b"], ["-pa b"], ["--project", "a b"], ["--project=a b"], ["new.csv", "-p", "a b"]],
)
def test_commands_in_a_text_name_the_project_of_the_running_command(
    arguments: list[str], venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/leadscore", "score", *arguments])
    assert with_runnable_commands("`leadscore train`").endswith(" train --project 'a b'`")


@pytest.mark.parametrize(
    ("home", "resolved"), [("demo/bentoml", "{here}/demo/bentoml"), ("/elsewhere", "/elsewhere")]
)
def test_bentoml_home_becomes_absolute(
    home: str, resolved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", home)
    resolve_bentoml_home()
    assert os.environ["BENTOML_HOME"] == resolved.format(here=tmp_path)


def test_absent_bentoml_home_stays_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    resolve_bentoml_home()
    assert "BENTOML_HOME" not in os.environ


def test_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"leadscore {VERSION}\n", "")


# -- MLflow --------------------------------------------------------------------------------


def test_command_for_mlflows_pages_names_the_database() -> None:
    line = mlflow_line("sqlite:////crm/won leads/mlflow.db")
    assert line.endswith(
        "mlflow ui --workers 1 --backend-store-uri 'sqlite:////crm/won leads/mlflow.db'"
    )


@pytest.mark.parametrize(
    "uri",
    ["postgresql://me:hunter2@db/mlflow", "mysql+pymysql://db/mlflow?user=me&password=hunter2"],
)
def test_command_for_mlflows_pages_contains_no_password(uri: str) -> None:
    line = mlflow_line(uri)
    assert line.endswith('mlflow ui --workers 1 --backend-store-uri "$MLFLOW_TRACKING_URI"')
