"""MLflow's registry: where models are kept, and which one is the champion.

The only file that knows the registry. MLflow is imported when a `Registry` is opened, so
that nothing pays for it, in seconds or in noise, that does not use it.
"""

import http.client
import importlib
import logging
import os
import re
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from crm.errors import TrackingError
from crm.project import Project
from models.artifact import LoadedModel, load_artifact

CHAMPION = "champion"
ARTIFACT = "scorer"
CHECK_SECONDS = 5
CHECK_ERRORS = (SQLAlchemyError, http.client.HTTPException, ImportError, OSError, ValueError)
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
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
        _check_reachable(self.tracking_uri)
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

    def register(self, model_uri: str, run_id: str, model_id: str, tags: Mapping[str, str]) -> str:
        """Add a version of the project's model.

        Returns
        -------
        str
            The version's number.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = self.client.create_model_version(
            self.name, source=model_uri, run_id=run_id, model_id=model_id, tags=dict(tags)
        )
        return str(made.version)

    def unregister(self, version: str) -> None:
        """Take back a version that was registered by a run that then failed."""
        self.client.delete_model_version(self.name, version)

    def find_champion(self) -> str | None:
        """Give the champion's version, or None if there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_model_version_by_alias(self.name, CHAMPION).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

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
                "Train one with `leadscore train`."
            )
        return version

    def make_champion(self, version: str) -> None:
        """Point the alias `champion` at a version."""
        self.client.set_registered_model_alias(self.name, CHAMPION, version)

    @contextmanager
    def fetched(self, version: str) -> Iterator[Path]:
        """Fetch a version's artefact into a folder that lasts as long as the context."""
        import mlflow

        with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            with self.errors():
                self.select()
                path = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{self.name}/{version}/artifacts/{ARTIFACT}",
                    dst_path=work,
                )
            yield Path(path)

    def load_champion(self) -> tuple[LoadedModel, str]:
        """Load and verify the champion; give it with its version."""
        version = self.champion()
        with self.fetched(version) as folder:
            return load_artifact(folder), version


def shown(text: str) -> str:
    """Give a URI, or a text that holds some, as it may be shown and stored: without passwords.

    Examples
    --------
    >>> shown('source = "postgresql://me:secret@db/mlflow"')
    'source = "postgresql://me:***@db/mlflow"'
    >>> shown("mysql://db/crm?user=me&password=secret&ssl=1")
    'mysql://db/crm?user=me&password=***&ssl=1'
    """
    text = re.sub(r"(://[^\s:/@]*):\S+@", r"\1:***@", text)
    return re.sub(r"([?&]\w*(?:password|passwd|pwd|secret|token)=)[^\s&\"']+", r"\1***", text)


def _check_reachable(uri: str) -> None:
    """Ask briefly whether anything answers: MLflow itself would wait for minutes."""
    scheme = uri.partition(":")[0]
    try:
        if scheme in ("http", "https"):
            parts = urlsplit(uri)
            server = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            with urllib.request.urlopen(f"{server.rstrip('/')}/health", timeout=CHECK_SECONDS):
                return
        if scheme.split("+")[0] in DATABASES:
            url = sqlalchemy.make_url(uri)
            if url.get_backend_name() == "sqlite" and url.database:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            takes_timeout = url.get_backend_name() == "postgresql"
            engine = sqlalchemy.create_engine(
                url,
                poolclass=sqlalchemy.NullPool,
                connect_args={"connect_timeout": CHECK_SECONDS} if takes_timeout else {},
            )
            with engine.connect() as connection:
                sqlalchemy.inspect(connection).get_table_names()
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return  # MLflow's client brings the credentials
        reason = f"it answered {error.code}"
    except CHECK_ERRORS as error:
        reason = str(getattr(error, "orig", None) or getattr(error, "reason", None) or error)
        reason = shown(reason.strip().partition("\n")[0])[:200] or type(error).__name__
    else:
        reason = f"`{scheme[:40]}` is neither http nor a database ({', '.join(DATABASES)})"
    raise TrackingError(
        f"MLflow cannot be reached at {shown(uri)}: {reason}. "
        "Start it, or correct MLFLOW_TRACKING_URI; without it a local SQLite file is used."
    )


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
