"""Keeps the default store usable after its folder was renamed, moved or copied.

MLflow records where files are as absolute addresses, such as
`file:///home/anna/acme/mlartifacts/…`. The default store is `mlflow.db` and `mlartifacts/` in the
folder of the project file. When it is opened in another folder than the recorded one, the recorded
addresses are rewritten to the present folder. So a copy reads and writes its own files only, and
the original stays as it is.

A copy also gets a service name of its own. Otherwise the services of the original, which find their
champion by this name, would take over the champions of the copy.

A store that `MLFLOW_TRACKING_URI` names is never rewritten.
"""

import hashlib
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy

from crm.errors import TrackingError

DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
COPY_TABLE = "leadscore_copy"  # a table of one row in the database of a copy
LONGEST_NAME = 31  # characters of the model's name in the service name of a copy
LOCATIONS = (  # the columns of MLflow's database that contain addresses of files
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def default_uri(folder: Path) -> str:
    """Return the tracking URI of the default store in a folder.

    A path may contain what has a meaning in a URI: `?`, and `%` before two hexadecimal digits.

    Examples
    --------
    >>> default_uri(Path("/crm/won 100 %"))
    'sqlite:////crm/won 100 %/mlflow.db'
    >>> default_uri(Path("/crm/won%20leads?"))
    'sqlite:////crm/won%2520leads%3F/mlflow.db'
    """
    path = re.sub("%(?=[0-9A-Fa-f]{2})", "%25", str(folder / DATABASE)).replace("?", "%3F")
    return f"sqlite:///{path}"


def relocate(database: sqlalchemy.URL, folder: Path) -> None:
    """Rewrite the addresses in a default store that was opened in another folder before.

    All addresses change in one transaction, or none does. The caller holds the lock of the store.

    Parameters
    ----------
    database : URL
        The address of the store's database, with MLflow's tables.
    folder : Path
        The present folder of the project file.

    Raises
    ------
    TrackingError
        If the database was copied without the folder `mlartifacts`, which is still at its
        recorded place. New files would be written there, among those of the original.
    """
    engine = sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for recorded in _recorded_folders(connection):
            if recorded != folder.as_uri():
                _check_files(recorded, folder)
                _rewrite(connection, recorded, folder.as_uri())
                _rewrite(connection, _local(recorded), str(folder))
                if (Path(_local(recorded)) / DATABASE).exists():
                    _record_copy(connection, folder)


def service_name(name: str, folder: Path) -> str:
    """Return the name by which services find the champion of a project.

    Parameters
    ----------
    name : str
        The model's name.
    folder : Path
        The folder of the project file.

    Returns
    -------
    str
        The model's name. For a copy with a default store, a name of its own, which stays the same
        if the copy is moved.
    """
    database = folder / DATABASE
    if os.environ.get("MLFLOW_TRACKING_URI") or not database.exists():
        return name
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        query = f"SELECT name FROM sqlite_master WHERE name = '{COPY_TABLE}'"
        if connection.execute(query).fetchone() is None:
            return name
        (copy,) = connection.execute(f"SELECT copy FROM {COPY_TABLE}").fetchone()
    return f"{name[:LONGEST_NAME]}.{copy}"


def _record_copy(connection: sqlalchemy.Connection, folder: Path) -> None:
    copy = hashlib.blake2b(folder.as_uri().encode(), digest_size=4).hexdigest()
    connection.execute(sqlalchemy.text(f"DROP TABLE IF EXISTS {COPY_TABLE}"))
    connection.execute(sqlalchemy.text(f"CREATE TABLE {COPY_TABLE} (copy TEXT NOT NULL)"))
    connection.execute(sqlalchemy.text(f"INSERT INTO {COPY_TABLE} VALUES (:copy)"), {"copy": copy})


def _recorded_folders(connection: sqlalchemy.Connection) -> list[str]:
    """Return the recorded addresses of the project's folder.

    The experiments of every project in the folder record `mlartifacts` there as the address of
    their files.
    """
    text = "SELECT DISTINCT artifact_location FROM experiments"
    locations = connection.scalars(sqlalchemy.text(text)).all()
    suffix = f"/{ARTIFACTS}"
    return [
        location.removesuffix(suffix)
        for location in locations
        if location and location.startswith("file:") and location.endswith(suffix)
    ]


def _check_files(recorded: str, folder: Path) -> None:
    here, there = folder / ARTIFACTS, Path(_local(recorded)) / ARTIFACTS
    if there.exists() and not here.exists():
        raise TrackingError(
            f"{folder / DATABASE} was copied without its files, which are in {there}. "
            f"Copy that folder to {here} too, or delete the copied {DATABASE} to begin anew."
        )


def _rewrite(connection: sqlalchemy.Connection, old: str, new: str) -> None:
    """Replace the beginning of every address at or below a folder."""
    for table, column in LOCATIONS:
        statement = (
            f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
            f"WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'"
        )
        connection.execute(sqlalchemy.text(statement), {"old": old, "new": new})


def _local(uri: str) -> str:
    """Return the path of a file address; MLflow records some addresses as plain paths."""
    return url2pathname(urlsplit(uri).path)
