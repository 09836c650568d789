"""Deletes runs of MLflow that failed, and what they have stored."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from models.registry.mlflow_errors import error_types


def delete_run(client: Any, run_id: str) -> None:
    """Delete a run that failed, with its results."""
    delete_results(client, run_id)
    client.set_terminated(run_id, status="FAILED")
    client.delete_run(run_id)


def delete_results(client: Any, run_id: str) -> None:
    """Delete the models of a run that failed, its nested runs and its files."""
    run = client.get_run(run_id)
    experiment = [run.info.experiment_id]
    for nested in client.search_runs(experiment, f"tags.`mlflow.parentRunId` = '{run_id}'"):
        delete_run(client, nested.info.run_id)
    models = client.search_logged_models(experiment, filter_string=f"source_run_id='{run_id}'")
    for model in models:
        client.delete_logged_model(model.model_id)
    for location in (run.info.artifact_uri, *(model.artifact_location for model in models)):
        _delete_files(location)


def _delete_files(location: str) -> None:
    """Delete the files at an address of artifacts, if its store can delete files."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if urlsplit(location).scheme in ("", "file"):
        path = Path(url2pathname(urlsplit(location).path))
        shutil.rmtree(path.parent, ignore_errors=True)
        return
    repository: Any = get_artifact_repository(location)
    with suppress(NotImplementedError, *error_types()):
        repository.delete_artifacts()
