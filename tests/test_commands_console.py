"""What the commands share: how they print commands, and how they read the environment."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.console import command_line, leadscore_line, resolve_bentoml_home
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


def test_a_program_of_the_virtual_environment_is_named_by_its_relative_path(
    venv_here: Path,
) -> None:
    assert command_line("mlflow", "ui") == ".venv/bin/mlflow ui"


def test_a_program_is_named_by_its_absolute_path_from_another_folder(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (venv_here.parent.parent / "elsewhere").mkdir()
    monkeypatch.chdir(venv_here.parent.parent / "elsewhere")
    assert command_line("mlflow") == str(venv_here / "mlflow")


def test_a_program_in_the_folder_of_programs_keeps_its_path(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(venv_here)
    assert command_line("mlflow") == str(venv_here / "mlflow")


def test_a_program_of_an_active_environment_needs_no_path(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{venv_here}{os.pathsep}/usr/bin")
    assert command_line("mlflow") == "mlflow"


def test_another_program_of_the_same_name_on_the_path_is_not_meant(
    venv_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = venv_here.parent.parent / "other"
    other.mkdir()
    (other / "mlflow").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other))
    assert command_line("mlflow") == ".venv/bin/mlflow"


def test_arguments_are_quoted_for_a_shell(venv_here: Path) -> None:
    assert command_line("mlflow", "a b", "$HOME").endswith("mlflow 'a b' '$HOME'")


def test_paths_of_the_current_folder_are_relative(venv_here: Path) -> None:
    folder = venv_here.parent.parent
    line = command_line("mlflow", folder / "leads.csv", Path("/elsewhere/leads.csv"))
    assert line.endswith("mlflow leads.csv /elsewhere/leads.csv")


def test_the_default_project_file_is_not_named(venv_here: Path) -> None:
    assert leadscore_line(Path(PROJECT_FILE), "train").endswith("leadscore train")
    assert leadscore_line(Path("crm"), "train").endswith("leadscore train --project crm")


@pytest.mark.parametrize(
    ("given", "read"), [("demo/bentoml", "{here}/demo/bentoml"), ("/elsewhere", "/elsewhere")]
)
def test_bentoml_home_becomes_absolute(
    given: str, read: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", given)
    resolve_bentoml_home()
    assert os.environ["BENTOML_HOME"] == read.format(here=tmp_path)


def test_an_absent_bentoml_home_stays_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    resolve_bentoml_home()
    assert "BENTOML_HOME" not in os.environ


def test_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"leadscore {VERSION}\n", "")
