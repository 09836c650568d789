"""Loads a model by the name that people and MLflow use for it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from crm.errors import ConfigError, TrackingError
from models.artifact import LoadedModel, load_artifact
from models.registry.registry import Registry
from models.registry.relocation import DATABASE

URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class _Named:
    """A registered model by its name and the folder of its project file."""

    name: str
    folder: Path


def load_model(model: Path | str, *, folder: Path | str = ".") -> LoadedModel:
    """Load a saved or registered model, and verify it.

    A model is data: nothing in it is executed or unpickled. Its digest must be that of its files,
    and for a registered model that of the registry, and it must score its made-up leads as it did
    when it was saved.

    Parameters
    ----------
    model : Path or str
        The folder of a saved model, or MLflow's address of a registered one:
        `models:/NAME@champion`, `models:/NAME@challenger` or `models:/NAME/VERSION`.
    folder : Path or str
        The folder of the project file. Its MLflow store is asked for registered models if the
        environment variable `MLFLOW_TRACKING_URI` is not set.

    Returns
    -------
    LoadedModel
        The `scorer`, and the `digest` by which models are told apart.

    Raises
    ------
    ArtifactError
        If a file is missing, altered or unreadable, or the model is not the one that was
        registered.
    ConfigError
        If the address is not valid, or the model has no such version or alias.
    TrackingError
        If MLflow cannot be reached, or the folder has no store of MLflow.

    Examples
    --------
    >>> load_model("models:/demo/champion")
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: 'models:/demo/champion' is not the address of a registered model. \
Expected models:/NAME@ALIAS or models:/NAME/VERSION, such as models:/demo@champion.
    """
    if not str(model).startswith("models:"):
        return load_artifact(Path(model))
    address = URI.fullmatch(str(model))
    if address is None:
        raise ConfigError(
            f"{str(model)!r} is not the address of a registered model. Expected "
            "models:/NAME@ALIAS or models:/NAME/VERSION, such as models:/demo@champion."
        )
    home = Path(folder).resolve()
    if "MLFLOW_TRACKING_URI" not in os.environ and not (home / DATABASE).exists():
        raise TrackingError(
            f"{home} has no store of MLflow ({DATABASE}). Name the folder of the project file, or "
            "set MLFLOW_TRACKING_URI."
        )
    registry = Registry(_Named(address["name"], home))
    version = registry.resolve(address["version"] or address["alias"])
    return registry.load(version.version)
