"""The tables of a training as the data sets of its MLflow run: source, schema, rows and digest."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api import types

from crm.project import LEDGER, Project, TableKeys, expand_variables
from crm.records import Records
from models.registry.reachable import shown
from training.comparison.stored_moments import MOMENTS_FILE

DIGEST_CHARACTERS = 36  # the longest that MLflow accepts for a data set
SCHEMA_CHARACTERS = 1_000_000  # a little less than MLflow accepts
TEST = "test"


def log_datasets(client: Any, run_id: str, project: Project, records: Records) -> None:
    """Log each table of the records as an input of a run.

    The digest is the beginning of that in the model card. The profile contains the whole digest,
    the number of rows and cells, and how many cells of each column are missing.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
    project : Project
    records : Records
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = InputTag("mlflow.data.context", "training")
    inputs = [
        DatasetInput(
            Dataset(
                name=name,
                digest=digest[:DIGEST_CHARACTERS],
                source_type=source_type,
                source=json.dumps(source),
                schema=_schema(table),
                profile=json.dumps(_profile(table) | {"sha256": digest}),
            ),
            [context],
        )
        for name, digest in records.digests.items()
        for table in [getattr(records, name)]
        for source_type, source in [source_of(project, name)]
    ]
    client.log_inputs(run_id, datasets=inputs)


def held_out_dataset(run_id: str, moments: bytes, test: pd.DataFrame) -> Any:
    """Return the test moments as a data set that metrics can be tied to.

    Parameters
    ----------
    run_id : str
    moments : bytes
        The file of moments of the run, which contains them.
    test : DataFrame
        Its rows of the test set.

    Returns
    -------
    mlflow.entities.Dataset
    """
    from mlflow.entities import Dataset

    digest = hashlib.sha256(moments).hexdigest()
    source = {"tags": {"uri": f"runs:/{run_id}/{MOMENTS_FILE}", "rows": "role = test"}}
    return Dataset(
        name=TEST,
        digest=digest[:DIGEST_CHARACTERS],
        source_type="code",
        source=json.dumps(source),
        schema=_schema(test),
        profile=json.dumps(_profile(test)),
    )


def source_of(project: Project, name: str) -> tuple[str, dict[str, Any]]:
    """Return MLflow's type of the source of a table, and where the table is.

    Parameters
    ----------
    project : Project
    name : str
        "leads", "activities", "stages" or "outcomes".

    Returns
    -------
    source_type : {"local", "code"}
        "local" for a file. MLflow knows no databases; "code" is its type without a loader.
    source : dict
        For a file, `uri`: its path, relative to the folder of the project file if it is in it.
        For a database, `tags` with `uri`, and `table` or `query`. Passwords are masked. `ledger`
        is the address of the ledger, if the table is joined with it.
    """
    keys: TableKeys | None = getattr(project, name)
    if name == "outcomes" and keys is None and project.leads.column_of("outcome") is not None:
        keys = project.leads
    ledger = {"ledger": shown(project.ledger_url)} if project.ledger_url else {}
    if keys is None or keys.source == LEDGER:
        return "code", {"tags": ledger}
    place = expand_variables(keys.source)
    if "://" not in place:
        return "local", {"uri": _path(project.folder, place), **ledger}
    part = {"table": keys.table} if keys.table else {"query": shown(str(keys.query))}
    return "code", {"tags": {"uri": shown(place), **part, **ledger}}


def _path(folder: Path, place: str) -> str:
    """Return the path of a file, relative to the folder of the project file if it is in it."""
    path = (folder / Path(place).expanduser()).resolve()
    inside = path.is_relative_to(folder.resolve())
    return str(path.relative_to(folder.resolve()) if inside else path)


def _schema(table: pd.DataFrame) -> str | None:
    """Return the columns of a table in MLflow's form; None if they are too many for MLflow."""
    columns = [{"type": kind, "name": str(name), "required": False} for name, kind in _kinds(table)]
    text = json.dumps({"mlflow_colspec": columns})
    return text if len(text) <= SCHEMA_CHARACTERS else None


def _kinds(table: pd.DataFrame) -> Iterator[tuple[Any, str]]:
    for name, dtype in table.dtypes.items():
        if types.is_datetime64_any_dtype(dtype):
            yield name, "datetime"
        elif types.is_bool_dtype(dtype):
            yield name, "boolean"
        elif types.is_integer_dtype(dtype):
            yield name, "long"
        elif types.is_float_dtype(dtype):
            yield name, "double"
        else:
            yield name, "string"


def _profile(table: pd.DataFrame) -> dict[str, Any]:
    missing = {str(name): int(n) for name, n in table.isna().sum().items() if n}
    return {"num_rows": len(table), "num_elements": int(table.size), "missing": missing}
