"""A registry with versions, results of gates, and promotions for the tests of the registry."""

import datetime
import shutil
from pathlib import Path

from crm.project import load_project
from models.registry.history import Gate, GateResults, history
from models.registry.promotion import promote
from models.registry.registry import Registry
from models.scale import Scale

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
PASSED = Gate("LG101", "log loss", True, "It is better.")
FAILED = Gate("LG103", "calibration", False, "It is far off.")
SCALE = Scale(-1.5)


def new_registry(empty_mlflow: Path, folder: Path) -> Registry:
    """Return a registry with versions 1, 2 and 3; they have no artefacts."""
    shutil.copy(empty_mlflow, folder)
    shutil.copy(empty_mlflow.with_name("leadscore.toml"), folder)
    registry = Registry(load_project(folder))
    register(registry, 3)
    return registry


def register(registry: Registry, n: int) -> None:
    """Register this number of versions without artefacts."""
    registry.client.create_registered_model(registry.name)
    for _ in range(n):
        run = registry.client.create_run(registry.experiment())
        registry.client.create_model_version(
            registry.name,
            source=f"{run.info.artifact_uri}/scorer",
            run_id=run.info.run_id,
            tags={"digest": "d"},
        )


def results_of(
    version: str, against: str | None, *gates: Gate, scale: Scale | None = SCALE
) -> GateResults:
    """Return the results of a version's gates, by default of one passed gate."""
    return GateResults(version, against, gates or (PASSED,), scale)


def at(minutes: float = 0) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minutes)


def promote_each(registry: Registry, *versions: str) -> None:
    """Promote versions one after the other."""
    against = registry.find_champion()
    for i, version in enumerate(versions):
        promote(registry, results_of(version, against), who="ann", at=at(i))
        against = version


def events(registry: Registry) -> list[tuple[str, str, str | None]]:
    """Return each event of the history with its version and the previous champion."""
    return [(event.what, event.version, event.previous) for event in history(registry)]


def registered_names(registry: Registry) -> list[str]:
    """Return the project's own name, and the locks that were not released."""
    names = [model.name for model in registry.client.search_registered_models()]
    return [name for name in names if name.startswith(registry.name)]
