"""Opens MLflow's store, and creates a store in a SQLite file whole or not at all."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock
import sqlalchemy

from crm.files import whole_file
from models.registry.relocation import relocate


def open_client(uri: str, folder: Path | None) -> Any:
    """Open MLflow's store; two processes that create it at once would break it.

    Parameters
    ----------
    uri : str
    folder : Path or None
        The folder of the project file, if this is the default store in it.

    Returns
    -------
    MlflowClient
    """
    from mlflow import MlflowClient

    url = sqlalchemy.make_url(uri) if urlsplit(uri).scheme == "sqlite" else None
    if url is None or url.database in (None, "", ":memory:"):
        return MlflowClient(uri, uri)
    with filelock.FileLock(f"{url.database}.lock"):
        database = Path(url.database)
        if not database.exists() or database.stat().st_size == 0:  # a connection creates the file
            _create(database)
        client = MlflowClient(uri, uri)
        if folder is not None:
            relocate(url, folder)
        return client


def _create(database: Path) -> None:
    """Create the tables of a new store in a file that then gets its name.

    MLflow commits its tables one after another. A process that is killed in between would leave a
    database that no later process can use.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in database.parent.glob(f".{database.name}-*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    with whole_file(database) as work:
        uri = f"sqlite:///{work}"
        store: Any = SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]
        store.engine.dispose()
