"""MLflow's registry: where models are kept, and which one is the champion.

The only file that knows the registry; `models.registry.promotion` decides who becomes champion and
leaves the record of it. MLflow is imported when a `Registry` is opened, so
that nothing pays for it, in seconds or in noise, that does not use it.
"""

import datetime
import importlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import filelock
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from crm.errors import ArtifactError, ConfigError, TrackingError
from crm.project import Project
from models.artifact import LoadedModel, load_artifact, model_digest
from models.registry.reachable import check_reachable, shown
from models.scale import Scale

CHAMPION, CHALLENGER = "champion", "challenger"
ARTIFACT = "scorer"
SCALE_TAG = "leadscore.scale"
RUNS_AT_ONCE = 200
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # its default of 7 waits four minutes
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Version:
    """One registered model, as MLflow holds it.

    Attributes
    ----------
    version : str
    aliases : tuple of str
    registered_at : datetime, UTC
    digest : str
        Of the artefact.
    run_id : str
        Of the training that made it.
    metrics : dict of str to float
        Of that run, such as `test.log_loss`.
    """

    version: str
    aliases: tuple[str, ...]
    registered_at: datetime.datetime
    digest: str
    run_id: str
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Give the version as plain data, with its metrics on its own test leads."""
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


class Registry:
    """A project's models in MLflow.

    Parameters
    ----------
    project : Project
        Its name is the registered model's name. Without `MLFLOW_TRACKING_URI` in the
        environment, MLflow's database and artefacts lie beside the project file.

    Raises
    ------
    TrackingError
        If MLflow cannot be reached; found out before any work is done.
    """

    def __init__(self, project: Project) -> None:
        self.name = project.name
        default = f"sqlite:///{project.folder / 'mlflow.db'}"
        self.tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") or default
        is_default = self.tracking_uri == default
        self.artifact_location = (project.folder / "mlartifacts").as_uri() if is_default else None
        check_reachable(self.tracking_uri)
        _import_quietly()
        with self.errors():
            self.client = _open_client(self.tracking_uri)
            self.find_champion()  # whoever refuses us says so now, and not after the training

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what MLflow and its stores raise into a TrackingError."""
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, CommandError, SQLAlchemyError, OSError) as error:
            said = shown(" ".join(str(error).split()))[:300]
            raise TrackingError(f"MLflow at {shown(self.tracking_uri)} refused: {said}") from None

    def select(self) -> None:
        """Let MLflow's module-level functions speak to this registry."""
        import mlflow

        chosen = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        if chosen is None:  # it leaves its address in the environment, for the next project to find
            os.environ.pop("MLFLOW_TRACKING_URI", None)

    def experiment(self) -> str:
        """Give the id of the project's experiment; it is made if there is none."""
        location = self.artifact_location
        return self.find_experiment() or str(
            self.client.create_experiment(self.name, artifact_location=location)
        )

    def find_experiment(self) -> str | None:
        """Give the id of the project's experiment, or None if there is none."""
        found = self.client.get_experiment_by_name(self.name)
        return None if found is None else str(found.experiment_id)

    def register(self, model_uri: str, run_id: str, model_id: str, tags: Mapping[str, str]) -> str:
        """Add a version of the project's model.

        Returns
        -------
        str
            The version's number.
        """
        self.claim(self.name, {})
        made = self.client.create_model_version(
            self.name, source=model_uri, run_id=run_id, model_id=model_id, tags=dict(tags)
        )
        return str(made.version)

    def unregister(self, version: str) -> None:
        """Take back a version that was registered by a run that then failed."""
        self.client.delete_model_version(self.name, version)

    def take_back_run(self, run_id: str) -> None:
        """Take back a run that failed, with its models, its nested runs and its files."""
        client, run = self.client, self.client.get_run(run_id)
        experiment = [run.info.experiment_id]
        for nested in client.search_runs(experiment, f"tags.`mlflow.parentRunId` = '{run_id}'"):
            self.take_back_run(nested.info.run_id)
        models = client.search_logged_models(experiment, filter_string=f"source_run_id='{run_id}'")
        for model in models:
            client.delete_logged_model(model.model_id)
        client.set_terminated(run_id, status="FAILED")
        client.delete_run(run_id)
        for location in (run.info.artifact_uri, *(model.artifact_location for model in models)):
            if urlsplit(location).scheme in ("", "file"):  # a server keeps its files to itself
                path = Path(url2pathname(urlsplit(location).path))
                shutil.rmtree(path.parent, ignore_errors=True)

    def claim(self, name: str, tags: Mapping[str, str]) -> bool:
        """Register a name, which MLflow lets only one caller do; False if it is taken."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, tags=dict(tags))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
                return False  # it is there, or was until just now
            raise
        return True

    def claimed(self, name: str) -> Any:
        """Give what is registered under a name, with its tags, or None."""
        return self._unless_absent(lambda: self.client.get_registered_model(name))

    def release(self, name: str) -> None:
        """Take a claimed name back."""
        self._unless_absent(lambda: self.client.delete_registered_model(name))

    def _unless_absent(self, ask: Callable[[], Any]) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return ask()
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    def find_champion(self) -> str | None:
        """Give the champion's version, or None if there is none."""
        return self.find_alias(CHAMPION)

    def find_alias(self, alias: str) -> str | None:
        """Give the version that has an alias, or None if none has it."""
        found = self._unless_absent(
            lambda: self.client.get_model_version_by_alias(self.name, alias)
        )
        return None if found is None else str(found.version)

    def versions(self) -> list[Version]:
        """List the registered versions, oldest first."""
        with self.errors():
            registered = self.claimed(self.name)
            made = sorted(
                self.client.search_model_versions(f"name='{self.name}'"),
                key=lambda one: int(one.version),
            )
            aliases: Mapping[str, Any] = registered.aliases if registered else {}
            metrics = self._metrics([one.run_id for one in made])
        return [
            Version(
                version=str(one.version),
                aliases=tuple(a for a, v in aliases.items() if str(v) == str(one.version)),
                registered_at=datetime.datetime.fromtimestamp(
                    one.creation_timestamp / 1000, datetime.UTC
                ),
                digest=one.tags.get("digest", ""),
                run_id=one.run_id,
                metrics=metrics.get(one.run_id, {}),
            )
            for one in made
        ]

    def _metrics(self, run_ids: Sequence[str]) -> dict[str, Mapping[str, float]]:
        """Give the metrics of trainings, by their runs, with one question for many of them."""
        found: dict[str, Mapping[str, float]] = {}
        for i in range(0, len(run_ids), RUNS_AT_ONCE):
            named = ", ".join(f"'{run_id}'" for run_id in run_ids[i : i + RUNS_AT_ONCE])
            runs = self.client.search_runs([self.experiment()], f"attributes.run_id IN ({named})")
            found |= {run.info.run_id: run.data.metrics for run in runs}
        return found

    def resolve(self, named: str) -> Version:
        """Give the version that a person means by a number or an alias.

        Raises
        ------
        ConfigError
            If there is none; the message names those that there are.
        """
        known = self.versions()
        for version in known:
            if named == version.version or named in version.aliases:
                return version
        names = [f"{v.version} ({', '.join(v.aliases)})" if v.aliases else v.version for v in known]
        there = ", ".join(names[-12:]) or "none yet: train one with `leadscore train`"
        raise ConfigError(f"`{self.name}` has no version {named!r}. There are: {there}.")

    def champion(self) -> str:
        """Give the champion's version.

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
        """Point the alias `champion` at a version."""
        self._point(CHAMPION, version)

    def make_challenger(self, version: str | None) -> None:
        """Point the alias `challenger` at a version; None: there is no challenger."""
        self._point(CHALLENGER, version)

    def _point(self, alias: str, version: str | None) -> None:
        if version is None:
            self.client.delete_registered_model_alias(self.name, alias)
        else:
            self.client.set_registered_model_alias(self.name, alias, version)

    def pinned_scale(self) -> Scale | None:
        """Give the scale that the first promotion pinned, or None before it."""
        with self.errors():
            registered = self.claimed(self.name)
        text = registered.tags.get(SCALE_TAG) if registered else None
        return scale_of_text(text) if text else None

    def pin_scale(self, scale: Scale | None) -> None:
        """Pin a scale for this and every later version; None takes the pin out."""
        if scale is None:
            self.client.delete_registered_model_tag(self.name, SCALE_TAG)
        else:
            self.client.set_registered_model_tag(self.name, SCALE_TAG, text_of_scale(scale))

    @contextmanager
    def fetched(self, version: str) -> Iterator[Path]:
        """Fetch a version's artefact into a folder that lasts as long as the context.

        Raises
        ------
        ArtifactError
            If it is not the model that was registered under this version.
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
            registered, found = tags.get("digest"), model_digest(Path(path))
            if registered not in (None, found):
                raise ArtifactError(
                    f"Version {version} of `{self.name}` is not the model that was registered: "
                    f"its files have the digest {found[:12]}, the registry has {registered[:12]}. "
                    "Put back the files that it was registered with."
                )
            yield Path(path)

    def load(self, version: str) -> LoadedModel:
        """Fetch, load and verify a version.

        Raises
        ------
        ArtifactError
            If it is damaged, or not the model that was registered.
        TrackingError
            If MLflow does not give it.
        """
        with self.fetched(version) as folder:
            try:
                return load_artifact(folder)
            except ArtifactError as error:
                raise ArtifactError(f"Version {version} of `{self.name}`: {error}") from None

    def load_champion(self) -> tuple[LoadedModel, str]:
        """Load and verify the champion; give it with its version."""
        version = self.champion()
        return self.load(version), version

    def run_file(self, version: str, name: str) -> bytes | None:
        """Read one file of the training that made a version; None if it has no such file."""
        with self.errors(), tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            run_id = self.client.get_model_version(self.name, version).run_id
            if name not in [entry.path for entry in self.client.list_artifacts(run_id)]:
                return None
            return Path(self.client.download_artifacts(run_id, name, work)).read_bytes()


def text_of_scale(scale: Scale) -> str:
    """Write a scale as the tag holds it."""
    return json.dumps({"base_log_odds": scale.base_log_odds, "grades": dict(scale.grades)})


def scale_of_text(text: str) -> Scale:
    """Read a scale from the tag.

    Examples
    --------
    >>> scale_of_text('{"base_log_odds": -1.5, "grades": {"A": 70}}')
    Scale(base_log_odds=-1.5, grades=(('A', 70),))
    """
    try:
        found = json.loads(text)
        grades = tuple((str(letter), int(least)) for letter, least in found["grades"].items())
        return Scale(float(found["base_log_odds"]), grades)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TrackingError(
            f"The tag {SCALE_TAG} of the registered model is no scale: {text[:80]!r}. "
            "Put back what `leadscore models history --json` shows."
        ) from None


def _import_quietly() -> None:
    """Import MLflow for the first time; some of its settings it reads only then."""
    for variable, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(variable, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"):
            importlib.import_module(module)
    logging.getLogger("mlflow").setLevel(logging.ERROR)


def _open_client(uri: str) -> Any:
    """Open MLflow's store; two first openings at once would break it."""
    from mlflow import MlflowClient

    url = sqlalchemy.make_url(uri) if urlsplit(uri).scheme == "sqlite" else None
    if url is not None and url.database:
        with filelock.FileLock(f"{url.database}.lock"):
            return MlflowClient(uri, uri)
    return MlflowClient(uri, uri)
