"""Opening the registry: which addresses of MLflow are refused, at once and without a password."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.errors import TrackingError
from crm.project import Project, load_project
from models.registry.reachable import shown
from models.registry.registry import Registry
from tests.conftest import free_port


@pytest.fixture
def project(empty_mlflow: Path, tmp_path: Path) -> Project:
    """Return a project with an empty MLflow database next to it."""
    shutil.copy(empty_mlflow, tmp_path)
    shutil.copy(empty_mlflow.with_name("leadscore.toml"), tmp_path)
    return load_project(tmp_path)


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


# -- addresses -----------------------------------------------------------------------------


@pytest.fixture
def ssh_port() -> Iterator[int]:
    """Return the port of a server that does not speak HTTP."""
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True)\n"
        "while True: c, _ = s.accept(); c.sendall(b'SSH-2.0-OpenSSH_9.6\\r\\n'); c.close()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("http://127.0.0.1:{port}", "at http://127.0.0.1:{port}: .*Connection refused"),
        ("https://127.0.0.1:{port}/", "Connection refused"),
        ("http://me:pw@127.0.0.1:{port}", r"at http://me:\*\*\*@127.0.0.1:{port}: .*refused"),
        ("http://127.0.0.1:{ssh_port}", "SSH-2.0-OpenSSH"),
        ("http://", "no host given"),
        ("http://[bad", "Invalid IPv6 URL"),
        ("http://a b/", "control characters"),
        ("postgresql://me:pw@127.0.0.1:{port}/ml", r"me:\*\*\*@127.0.0.1:{port}/ml: .*refused"),
        ("postgresql+psycopg://me:pw@127.0.0.1:{port}/ml", "refused"),
        ("postgresql://me:pw@127.0.0.1:port/ml", "invalid literal"),
        ("postgresql+nothing://me:pw@127.0.0.1/ml", "Can't load plugin"),
        ("gopher://127.0.0.1", "`gopher` is neither http nor a database"),
        ("file:///tmp/mlruns", "`file` is neither http nor a database"),
        ("databricks", "`databricks` is neither http nor a database"),
        ("sqlite:///{folder}/leadscore.toml", "file is not a database"),
        ("sqlite:///{folder}/leadscore.toml/mlflow.db", "Not a directory|File exists"),
        ("sqlite:///{folder}", "unable to open database file"),
    ],
)
def test_unreachable_address_is_refused_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, ssh_port: int, uri: str, match: str
) -> None:
    names = {"port": free_port(), "ssh_port": ssh_port, "folder": project.folder}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(**names))
    began = time.monotonic()
    with pytest.raises(TrackingError, match=match.format(**names)) as refused:
        Registry(project)
    assert time.monotonic() - began < 5
    assert "MLflow cannot be reached at" in str(refused.value)
    assert "correct MLFLOW_TRACKING_URI" in str(refused.value)
    assert ":pw@" not in str(refused.value)


def test_foreign_database_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project.folder / "foreign.db"
    with sqlite3.connect(file) as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('of another product')")
    database.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(TrackingError, match="foreign.db refused: .*'of another product'"):
        Registry(project)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://host:5000/a", "http://host:5000/a"),
        ("http://me@host:5000", "http://me@host:5000"),
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p'w\"x@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "postgresql://host/db?user=me&password=secret",
            "postgresql://host/db?user=me&password=***",
        ),
        ("a = 'b://c:d@e'\nf = 'g://h:i@j'", "a = 'b://c:***@e'\nf = 'g://h:***@j'"),
    ],
)
def test_displayed_address_has_no_password(text: str, expected: str) -> None:
    assert shown(text) == expected


# -- an empty registry ---------------------------------------------------------------------


def test_project_without_a_champion_states_what_to_do(registry: Registry) -> None:
    with pytest.raises(TrackingError, match="`demo` has no champion in MLflow .*leadscore train"):
        registry.champion()
    with pytest.raises(TrackingError, match="has no champion"):
        registry.load_champion()


def test_unknown_version_is_refused(registry: Registry) -> None:
    with (
        pytest.raises(TrackingError, match="mlflow.db refused: .*not found"),
        registry.fetched("7"),
    ):
        pass


# -- in a process of its own ---------------------------------------------------------------


def test_mlflow_sends_no_telemetry(project: Project) -> None:
    program = """
import sys
from pathlib import Path
from crm.project import load_project
from models.registry.registry import Registry
assert "mlflow" not in sys.modules
Registry(load_project(Path(sys.argv[1])))
from mlflow.telemetry.client import get_telemetry_client
print(get_telemetry_client())
"""
    test_variables = ("PYTEST", "CI", "GITHUB")  # with these MLflow sends nothing anyway
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(test_variables)
    }
    process = subprocess.run(
        [sys.executable, "-c", program, str(project.folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "None\n", "")


def test_two_processes_can_open_a_new_store_at_once(empty_mlflow: Path, tmp_path: Path) -> None:
    shutil.copy(empty_mlflow.with_name("leadscore.toml"), tmp_path)
    program = """
import sys
from pathlib import Path
from crm.project import load_project
from models.registry.registry import Registry
print(Registry(load_project(Path(sys.argv[1]))).find_champion())
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [out for out, _ in outputs] == ["None\n", "None\n"]
