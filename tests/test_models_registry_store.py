import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crm.errors import TrackingError
from crm.project import load_project
from models.registry.registry import Registry
from tests.made_runs import Work, copy_project


def test_store_that_is_killed_while_it_is_created_leaves_no_file(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leadscore.toml").write_text(work.project.text)
    project = load_project(tmp_path)

    def killed(engine: Any) -> None:
        raise KeyboardInterrupt

    Registry(work.project)  # imports MLflow without its warnings
    import mlflow.store.db.utils

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.store.db.utils, "_upgrade_db", killed)
        with pytest.raises(KeyboardInterrupt):
            Registry(project)
    database = tmp_path / "mlflow.db"
    assert not database.exists() or database.stat().st_size == 0
    (tmp_path / ".mlflow.db-1234-journal").write_text("left by a process that was killed")
    assert Registry(project).versions() == []
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["leadscore.toml", "mlflow.db", "mlflow.db.lock"]


def test_error_of_the_database_is_reported_once_without_its_statement(
    work: Work, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(copy_project(work, tmp_path / "p"))
    with sqlite3.connect(tmp_path / "p" / "mlflow.db") as database:
        database.execute("DROP TABLE model_versions")
    database.close()
    with (
        pytest.raises(TrackingError, match="no such table: model_versions$"),
        registry.errors(),
    ):
        registry.client.search_model_versions()
    assert capfd.readouterr().err == ""
