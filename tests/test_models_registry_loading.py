"""Loading models by the folder or the address that people use for them."""

import shutil
from pathlib import Path

import pytest

from crm.errors import ArtifactError, ConfigError, TrackingError
from models.registry.loading import load_model
from models.registry.registry import Registry
from tests.made_runs import Work, copy_project, register


@pytest.fixture(scope="module")
def registered(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project whose model is registered as version 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        project = copy_project(work, tmp_path_factory.mktemp("registered") / "crm")
        registry = Registry(project)
        register(registry, project, work)
        registry.make_champion("1")
    return project.folder


@pytest.mark.parametrize("as_text", [False, True])
def test_saved_model_is_loaded_from_its_folder(work: Work, as_text: bool) -> None:
    loaded = load_model(str(work.artifact) if as_text else work.artifact)
    assert loaded.digest == work.digest


def test_model_that_a_training_saves_is_loaded(work: Work, tmp_path: Path) -> None:
    assert work.trained.save(tmp_path / "model") == work.digest
    assert load_model(tmp_path / "model").digest == work.digest


@pytest.mark.parametrize("address", ["models:/demo@champion", "models:/demo/1"])
def test_registered_model_is_loaded_by_alias_and_by_version(
    work: Work, registered: Path, address: str
) -> None:
    assert load_model(address, folder=registered).digest == work.digest


def test_store_of_the_environment_is_asked_from_any_folder(
    work: Work, registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{registered / 'mlflow.db'}")
    assert load_model("models:/demo@champion", folder=tmp_path).digest == work.digest
    assert list(tmp_path.iterdir()) == []


def test_unknown_versions_are_refused_with_those_that_exist(registered: Path) -> None:
    with pytest.raises(ConfigError, match=r"no version '7'\. There are: 1 \(champion"):
        load_model("models:/demo/7", folder=registered)


@pytest.mark.parametrize(
    "address",
    ["models:/demo", "models:/demo/champion", "models:demo/1", "models:/a/b/1", "models:/"],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"Expected models:/NAME@ALIAS or models:/NAME/VERSION"):
        load_model(address)


def test_folder_without_a_store_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="has no store of MLflow"):
        load_model("models:/demo@champion", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_registered_model_whose_files_were_replaced_is_refused(
    registered: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "crm"
    shutil.copytree(registered, folder)
    (calibration,) = (folder / "mlartifacts").rglob("calibration.json")
    calibration.write_text(calibration.read_text().replace("slope", "slop"))
    with pytest.raises(ArtifactError, match="is not the model that was registered"):
        load_model("models:/demo/1", folder=folder)
