"""MLflow's registry: the versions of a model, and which one is the champion.

`models.registry.promotion` decides which version becomes champion and records it. MLflow is
imported when a `Registry` is opened, because the import takes seconds and prints warnings.
"""

import datetime
import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from crm.errors import ArtifactError, ConfigError, TrackingError
from models.artifact import SHOWN_DIGITS, LoadedModel, load_artifact, model_digest
from models.registry.lock import find_name, register_name
from models.registry.mlflow_errors import error_types, none_if_absent
from models.registry.reachable import check_reachable, shown
from models.registry.relocation import ARTIFACTS, default_uri, service_name
from models.registry.store import open_client
from models.scale import Scale

CHAMPION, CHALLENGER = "champion", "challenger"
ARTIFACT = "scorer"
SCALE_TAG = "leadscore.scale"
RUN_KIND = "leadscore.run"  # a tag of each run: training, trial, promotion, look and so on
PROMOTION_RUNS = " promotions"  # the end of the name of the experiment of promotions
LOOK_RUNS = " monitoring"  # of looks
BACKTEST_RUNS = " backtests"  # of backtests
RETRAIN_RUNS = " retraining"  # of automatic retrainings
RUNS_PER_QUERY = 200
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # the default, 7, waits for four minutes
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes
    ----------
    version : str
        The number of the version.
    aliases : tuple of str
        `champion` or `challenger`, if the version is one.
    registered_at : datetime, UTC
    digest : str
        The digest of the artefact.
    run_id : str
        The MLflow run of the training.
    metrics : dict of str to float
        The metrics of that run, such as `test.log_loss`.
    """

    version: str
    aliases: tuple[str, ...]
    registered_at: datetime.datetime
    digest: str
    run_id: str
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the version as plain data, with its metrics on its own test leads."""
        return {
            "version": self.version,
            "aliases": list(self.aliases),
            "registered_at": self.registered_at.isoformat(timespec="seconds"),
            "digest": self.digest,
            "run_id": self.run_id,
            "test": {
                name.removeprefix("test."): value
                for name, value in self.metrics.items()
                if name.startswith("test.")
            },
        }


class RegisteredModel(Protocol):
    """The name and the folder that a registry is opened with. A `Project` has both."""

    @property
    def name(self) -> str:
        """The name of the registered model."""

    @property
    def folder(self) -> Path:
        """The folder of the project file."""


class Registry:
    """A project's models in MLflow.

    Parameters
    ----------
    project : RegisteredModel
        The project's name is the name of the registered model. Without `MLFLOW_TRACKING_URI`
        in the environment, MLflow's database and artefacts are next to the project file, also
        after their folder was moved (`models.registry.relocation`).

    Raises
    ------
    TrackingError
        If MLflow cannot be reached. This is checked before any work begins.
    """

    def __init__(self, project: RegisteredModel) -> None:
        self.name = project.name
        self._folder = project.folder
        default, named = default_uri(project.folder), os.environ.get("MLFLOW_TRACKING_URI")
        self.tracking_uri = named or default
        is_default = self.tracking_uri == default
        self.artifact_location = (project.folder / ARTIFACTS).as_uri() if is_default else None
        check_reachable(self.tracking_uri)
        _import_quietly()
        with self.errors():
            self.client = open_client(self.tracking_uri, None if named else project.folder)
            self.find_champion()  # a refusal shows now, and not after the training

    @property
    def service_name(self) -> str:
        """The name by which services find the champion; a copy of a project has its own."""
        return service_name(self.name, self._folder)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the errors of MLflow and its stores into a TrackingError."""
        try:
            yield
        except error_types() as error:
            without_statement = str(error).partition("[SQL:")[0]  # SQLAlchemy appends it
            problem = shown(" ".join(without_statement.split()))[:300]
            raise TrackingError(
                f"MLflow at {shown(self.tracking_uri)} refused: {problem}"
            ) from None

    def select(self) -> None:
        """Make MLflow's module-level functions use this registry."""
        import mlflow

        uri_before = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        if uri_before is None:  # MLflow sets it, and the next project must not use it
            os.environ.pop("MLFLOW_TRACKING_URI", None)

    def experiment(self, of: str = "") -> str:
        """Return the id of one of the project's experiments; create it if there is none.

        Parameters
        ----------
        of : {"", PROMOTION_RUNS, LOOK_RUNS, BACKTEST_RUNS, RETRAIN_RUNS}
            The experiment of the trainings, or that of other runs.
        """
        from mlflow.exceptions import MlflowException

        found = self.find_experiment(of)
        if found is None:
            try:
                location = self.artifact_location
                found = self.client.create_experiment(self.name + of, artifact_location=location)
            except MlflowException:
                found = self.find_experiment(of)  # another process has just created it
                if found is None:
                    raise
        return str(found)

    def find_experiment(self, of: str = "") -> str | None:
        """Return the id of one of the project's experiments, or None if there is none."""
        experiment = self.client.get_experiment_by_name(self.name + of)
        return None if experiment is None else str(experiment.experiment_id)

    def register(
        self,
        model_uri: str,
        run_id: str,
        model_id: str,
        tags: Mapping[str, str],
        description: str = "",
    ) -> str:
        """Add a version of the project's model.

        Returns
        -------
        str
            The number of the version.
        """
        register_name(self.client, self.name, {})
        version = self.client.create_model_version(
            self.name,
            source=model_uri,
            run_id=run_id,
            model_id=model_id,
            tags=dict(tags),
            description=description,
        )
        return str(version.version)

    def unregister(self, version: str) -> None:
        """Delete a version whose run failed after the registration."""
        self.client.delete_model_version(self.name, version)

    def find_champion(self) -> str | None:
        """Return the champion's version, or None if there is none."""
        return self.find_alias(CHAMPION)

    def find_challenger(self) -> str | None:
        """Return the challenger's version, or None if there is none."""
        with self.errors():
            return self.find_alias(CHALLENGER)

    def find_alias(self, alias: str) -> str | None:
        """Return the version that has an alias, or None if no version has it."""
        version = none_if_absent(lambda: self.client.get_model_version_by_alias(self.name, alias))
        return None if version is None else str(version.version)

    def versions(self) -> list[Version]:
        """List the registered versions, oldest first."""
        with self.errors():
            registered = find_name(self.client, self.name)
            versions = sorted(
                self.client.search_model_versions(f"name='{self.name}'"),
                key=lambda version: int(version.version),
            )
            aliases: Mapping[str, Any] = registered.aliases if registered else {}
            metrics = self._metrics([version.run_id for version in versions])
        return [
            Version(
                version=str(version.version),
                aliases=tuple(a for a, v in aliases.items() if str(v) == str(version.version)),
                registered_at=datetime.datetime.fromtimestamp(
                    version.creation_timestamp / 1000, datetime.UTC
                ),
                digest=version.tags.get("digest", ""),
                run_id=version.run_id,
                metrics=metrics.get(version.run_id, {}),
            )
            for version in versions
        ]

    def _metrics(self, run_ids: Sequence[str]) -> dict[str, Mapping[str, float]]:
        """Return the metrics of runs by their ids; one query reads many runs."""
        metrics: dict[str, Mapping[str, float]] = {}
        for i in range(0, len(run_ids), RUNS_PER_QUERY):
            quoted = ", ".join(f"'{run_id}'" for run_id in run_ids[i : i + RUNS_PER_QUERY])
            runs = self.client.search_runs([self.experiment()], f"attributes.run_id IN ({quoted})")
            metrics |= {run.info.run_id: run.data.metrics for run in runs}
        return metrics

    def resolve(self, name: str) -> Version:
        """Return the version with this number or alias.

        Raises
        ------
        ConfigError
            If there is none; the message lists the versions that exist.
        """
        versions = self.versions()
        for version in versions:
            if name == version.version or name in version.aliases:
                return version
        names = [
            f"{v.version} ({', '.join(v.aliases)})" if v.aliases else v.version for v in versions
        ]
        existing = ", ".join(names[-12:]) or "none yet: train one with `leadscore train`"
        raise ConfigError(f"`{self.name}` has no version {name!r}. There are: {existing}.")

    def champion(self) -> str:
        """Return the champion's version.

        Raises
        ------
        TrackingError
            If there is none.
        """
        with self.errors():
            version = self.find_champion()
        if version is None:
            raise TrackingError(
                f"`{self.name}` has no champion in MLflow at {shown(self.tracking_uri)}. "
                "Train one with `leadscore train`; a challenger becomes champion with "
                "`leadscore models promote`."
            )
        return version

    def make_champion(self, version: str | None) -> None:
        """Point the alias `champion` at a version; None removes the alias."""
        self._point(CHAMPION, version)

    def make_challenger(self, version: str | None) -> None:
        """Point the alias `challenger` at a version; None removes the alias."""
        self._point(CHALLENGER, version)

    def _point(self, alias: str, version: str | None) -> None:
        if version is None:
            self.client.delete_registered_model_alias(self.name, alias)
        else:
            self.client.set_registered_model_alias(self.name, alias, version)

    def pinned_scale(self) -> Scale | None:
        """Return the scale that the first promotion pinned, or None before it."""
        with self.errors():
            registered = find_name(self.client, self.name)
        text = registered.tags.get(SCALE_TAG) if registered else None
        return Scale.from_text(text) if text else None

    def pin_scale(self, scale: Scale | None) -> None:
        """Pin a scale for this and every later version; None removes the pin."""
        if scale is None:
            self.client.delete_registered_model_tag(self.name, SCALE_TAG)
        else:
            self.client.set_registered_model_tag(self.name, SCALE_TAG, scale.to_text())

    @contextmanager
    def fetched(self, version: str) -> Iterator[Path]:
        """Fetch a version's artefact into a folder that exists as long as the context.

        Raises
        ------
        ArtifactError
            If the artefact is not the one that was registered under this version.
        """
        import mlflow

        with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            with self.errors():
                self.select()
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{self.name}/{version}/artifacts/{ARTIFACT}",
                    dst_path=work,
                )
                tags = self.client.get_model_version(self.name, version).tags
                logged = mlflow.models.get_model_info(f"models:/{self.name}/{version}").metadata
            # Either may be absent: tags can be deleted, and old models have no metadata.
            registered = {tags.get("digest"), (logged or {}).get("digest")} - {None}
            fetched = model_digest(Path(path))
            if registered - {fetched}:
                expected = " and ".join(sorted(digest[:SHOWN_DIGITS] for digest in registered))
                raise ArtifactError(
                    f"Version {version} of `{self.name}` is not the model that was registered: "
                    f"its files have the digest {fetched[:SHOWN_DIGITS]}, the registry has "
                    f"{expected}. Restore the files that were registered."
                )
            yield Path(path)

    def load(self, version: str) -> LoadedModel:
        """Fetch, load and verify a version.

        Raises
        ------
        ArtifactError
            If the model is damaged, or not the one that was registered.
        TrackingError
            If MLflow does not return the files.
        """
        with self.fetched(version) as folder:
            try:
                return load_artifact(folder)
            except ArtifactError as error:
                raise ArtifactError(f"Version {version} of `{self.name}`: {error}") from None

    def load_champion(self) -> tuple[LoadedModel, str]:
        """Load and verify the champion; return it with its version."""
        version = self.champion()
        return self.load(version), version

    def run_file(self, version: str, name: str) -> bytes | None:
        """Read one file of the training run of a version; return None if the file is absent."""
        with self.errors(), tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            run_id = self.client.get_model_version(self.name, version).run_id
            if name not in [entry.path for entry in self.client.list_artifacts(run_id)]:
                return None
            return Path(self.client.download_artifacts(run_id, name, work)).read_bytes()


def _import_quietly() -> None:
    """Import MLflow with its settings, some of which it reads only at the import."""
    for variable, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(variable, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"):
            importlib.import_module(module)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    # It logs each error of the database with its traceback; `Registry.errors` reports it.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
