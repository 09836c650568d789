"""The default MLflow store after its folder was renamed, moved or copied."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from crm.errors import TrackingError
from crm.project import load_project
from models.registry.deletion import delete_run
from models.registry.history import history
from models.registry.registry import Registry
from models.registry.relocation import COPY_TABLE, LOCATIONS, default_uri, relocate, service_name
from tests.made_runs import Work, copy_project, local_path, register, replace_gates, stored

RECORDED = "file:///C:/Users/J%C3%B6rg/won%20100%25"  # a folder on another machine
# Names of folders: for a URI, for a shell, and for a terminal some of their characters are special.
NAMES = ("Größe 1 (a)", "won%20leads", "[bold] 100 % 'q' # ?")


@pytest.fixture(scope="module")
def store(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project folder with a champion in its default store, for tests to copy."""
    project = copy_project(work, tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        replace_gates(patch)
        register(Registry(project), project, work)
    return project.folder


@pytest.fixture
def original(store: Path, tmp_path: Path) -> Path:
    """Return a project folder whose default store was opened in its place."""
    folder = Path(shutil.copytree(store, tmp_path / "original"))
    open_registry(folder)
    return folder


def open_registry(folder: Path) -> Registry:
    return Registry(load_project(folder))


def recorded_addresses(database: Path) -> set[str]:
    """Return every address in the columns that may contain one, except that of MLflow's default."""
    with closing(sqlite3.connect(database)) as connection:
        return {
            value
            for table, column in LOCATIONS
            for (value,) in connection.execute(f"SELECT {column} FROM {table}")
            if value and "mlruns" not in value
        }


@pytest.mark.parametrize("name", NAMES)
def test_champion_of_a_moved_folder_loads(original: Path, work: Work, name: str) -> None:
    moved = original.rename(original.parent / name)
    registry = open_registry(moved)
    champion, version = registry.load_champion()
    assert (champion.digest, version) == (work.digest, "1")
    assert registry.run_file("1", "card.json") is not None
    assert [event.what for event in history(registry)] == ["first champion"]
    assert (moved / "mlflow.db").exists()


def test_copy_has_a_service_name_of_its_own(original: Path, tmp_path: Path) -> None:
    before = open_registry(original).service_name
    names = {before}
    for i in range(2):
        copy = Path(shutil.copytree(original, tmp_path / f"copy {i} ?"))
        assert service_name("acme", copy) == service_name("acme", original)  # not opened yet
        names.add(open_registry(copy).service_name)
        own = service_name("acme", copy)
        moved = copy.rename(tmp_path / f"moved {i}")
        open_registry(moved)
        assert service_name("acme", moved) == own
    assert len(names) == 3
    assert open_registry(original).service_name == before
    assert all(re.fullmatch(r"[a-z0-9-]{1,31}\.[0-9a-f]{8}", name) for name in names - {before})


def test_copy_without_a_store_has_the_service_name_of_the_original(
    original: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(original / "mlflow.db")) as connection:
        connection.execute(f"DROP TABLE {COPY_TABLE}")
    leave_out = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    copy = Path(shutil.copytree(original, tmp_path / "copy", ignore=leave_out))
    names = [open_registry(folder).service_name for folder in (original, copy)]
    assert names == [load_project(original).name] * 2


def test_moved_project_keeps_its_service_name(original: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(original / "mlflow.db")) as connection:
        connection.execute(f"DROP TABLE {COPY_TABLE}")
    moved = original.rename(tmp_path / "moved")
    name = load_project(moved).name
    assert open_registry(moved).service_name == name


def test_projects_with_one_tracking_server_have_the_name_of_the_model(
    original: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    open_registry(copy)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(original))
    assert service_name("acme", copy) == "acme"
    assert service_name("acme", tmp_path) == "acme"


def test_copy_and_original_do_not_change_each_other(original: Path, work: Work) -> None:
    before = stored(open_registry(original), load_project(original))
    project = load_project(Path(shutil.copytree(original, original.parent / "copy")))
    registry = Registry(project)
    tracked, _ = register(registry, project, work)
    assert local_path(tracked.artifact_uri).is_relative_to(project.folder)
    delete_run(registry.client, registry.resolve("1").run_id)
    assert stored(open_registry(original), load_project(original)) == before
    assert open_registry(original).load("1").digest == work.digest
    assert [version.version for version in open_registry(project.folder).versions()] == ["1", "2"]


def test_every_address_of_a_store_is_rewritten(original: Path) -> None:
    database = original / "mlflow.db"
    old, new = original.as_uri(), (original.parent / "moved").as_uri()
    before = recorded_addresses(database)
    assert sum(address.startswith(f"{old}/mlartifacts") for address in before) >= 4
    moved = original.rename(original.parent / "moved")
    open_registry(moved)
    after = recorded_addresses(moved / "mlflow.db")
    assert after == {address.replace(old, new) for address in before}


def test_addresses_of_another_operating_system_are_rewritten(original: Path) -> None:
    database, here = original / "mlflow.db", original.as_uri()
    replace_addresses(database, here, RECORDED)
    registry = open_registry(original)
    assert registry.load("1").digest
    assert not any("C:" in address for address in recorded_addresses(database))


def test_addresses_outside_the_folder_stay(original: Path) -> None:
    kept = ["s3://bucket/mlartifacts/1", f"{original.as_uri()}-2/mlartifacts/1", "models:/m-1"]
    with closing(sqlite3.connect(original / "mlflow.db")) as connection, connection:
        for i, address in enumerate(kept):
            connection.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
                "VALUES (?, ?, ?, 'active')",
                (50 + i, f"other {i}", address),
            )
    moved = original.rename(original.parent / "moved")
    open_registry(moved)
    assert set(kept) <= recorded_addresses(moved / "mlflow.db")


def test_store_named_by_the_environment_is_not_rewritten(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(original, original.parent / "copy"))
    before = recorded_addresses(copy / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(copy))
    open_registry(copy)
    assert recorded_addresses(copy / "mlflow.db") == before


def test_database_without_its_files_is_refused_and_unchanged(original: Path) -> None:
    copy = original.parent / "copy"
    copy.mkdir()
    for name in ("mlflow.db", "leadscore.toml"):
        shutil.copy(original / name, copy)
    before = recorded_addresses(copy / "mlflow.db")
    with pytest.raises(TrackingError, match=f"copied without its files, .* {original}/mlartifacts"):
        open_registry(copy)
    assert recorded_addresses(copy / "mlflow.db") == before


def test_failed_rewriting_changes_nothing(original: Path) -> None:
    database = original / "mlflow.db"
    before = recorded_addresses(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF storage_location ON model_versions "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    moved = original.rename(original.parent / "moved")
    with pytest.raises(TrackingError, match="the disk is full"):
        open_registry(moved)
    assert recorded_addresses(moved / "mlflow.db") == before


def test_relocating_within_the_same_folder_writes_nothing(original: Path) -> None:
    database = original / "mlflow.db"
    content = database.read_bytes()
    relocate(sqlalchemy.make_url(default_uri(original)), original)
    assert database.read_bytes() == content


def replace_addresses(database: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in LOCATIONS:
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
