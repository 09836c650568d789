"""The MLflow run of a training. It begins before the records are read, and ends with the training.

A training that fails after the records are read leaves a run with the status FAILED, or KILLED if
it was interrupted, and with the error as a tag. The run has no model, version, trial or file. If
the records cannot be read, no run remains (docs/decisions/0026).
"""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from crm.errors import TrackingError
from crm.project import Project
from models.registry.deletion import delete_results
from models.registry.promotion import update_challenger, user_name
from models.registry.reachable import shown
from models.registry.registry import RUN_KIND, Registry
from training.phases import Phases
from training.tracking.commit import commit_of
from training.tracking.settings import settings_of

LONGEST_TAG = 5_000  # characters; MLflow accepts 8,000, servers of earlier versions 5,000


@dataclass
class TrainingRun:
    """The MLflow run of a training that is in progress.

    Attributes
    ----------
    registry : Registry
    project : Project
    run_id, experiment_id : str
    at : datetime, timezone-aware
        When the training began.
    phases : Phases
        They become the metrics `train_seconds.…`.
    is_void : bool
        Whether the run is deleted if the training fails: True while the records are read.
    """

    registry: Registry
    project: Project
    run_id: str
    experiment_id: str
    at: datetime.datetime
    phases: Phases = field(default_factory=Phases)
    is_void: bool = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the records within this context; if that fails, no run remains."""
        self.phases.begin("read")
        yield
        self.phases.end()
        self.is_void = False


@contextmanager
def training_run(
    registry: Registry,
    project: Project,
    at: datetime.datetime,
    tune_minutes: float | None = None,
    more_tags: Mapping[str, str] | None = None,
) -> Iterator[TrainingRun]:
    """Begin the MLflow run of a training; end it with the context.

    The run has the settings of the project as params. MLflow's system metrics cover it, if
    `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING` is on.

    Parameters
    ----------
    registry : Registry
    project : Project
    at : datetime, timezone-aware
        Now.
    tune_minutes : float, optional
        How long to search for settings of the trees, for the params.
    more_tags : mapping of str to str, optional
        Further tags of the run.

    Yields
    ------
    TrainingRun

    Raises
    ------
    TrackingError
        If MLflow refuses.
    """
    import mlflow

    commit = commit_of(project.path)
    tags = {
        RUN_KIND: "training",
        "leadscore.simulated": str(project.simulated).lower(),
        "mlflow.user": user_name(),
        "mlflow.source.name": "leadscore train",
        "mlflow.source.type": "LOCAL",
        **(more_tags or {}),
    }
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit.digest
    with registry.errors():
        registry.select()
        experiment_id = registry.experiment()
        created = registry.client.create_run(
            experiment_id, run_name=f"training {at:%Y-%m-%d %H:%M}", tags=tags
        )
    run = TrainingRun(registry, project, created.info.run_id, experiment_id, at)
    try:
        with registry.errors():
            mlflow.start_run(run_id=run.run_id)
            mlflow.log_params(settings_of(project, commit, tune_minutes))
        yield run
    except BaseException as error:
        # If the store cannot be reached, the caller needs to see the first failure.
        with suppress(TrackingError), registry.errors():
            _end_failed(run, error)
        raise
    run.phases.end()
    # The version is registered, and may be the champion, so nothing is undone from here on.
    with suppress(TrackingError), registry.errors():
        try:
            seconds = {f"train_seconds.{name}": value for name, value in run.phases.seconds.items()}
            mlflow.log_metrics(seconds)
        finally:
            mlflow.end_run()


@contextmanager
def version_deleted_on_failure(registry: Registry, version: str) -> Iterator[None]:
    """Delete a registered version if the block fails."""
    try:
        yield
    except BaseException:
        with suppress(TrackingError), registry.errors():
            registry.unregister(version)
            update_challenger(registry)
        raise


def _end_failed(run: TrainingRun, error: BaseException) -> None:
    """End the run of a training that failed, and delete what it has stored so far."""
    import mlflow

    client = run.registry.client
    status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
    try:
        delete_results(client, run.run_id)
        if run.is_void:
            return
        for name, text in _error_tags(error).items():
            client.set_tag(run.run_id, name, text)
    finally:
        active = mlflow.active_run()
        if active is not None and active.info.run_id == run.run_id:
            mlflow.end_run(status)  # it also ends the thread of the system metrics
        else:
            client.set_terminated(run.run_id, status)
        if run.is_void:
            client.delete_run(run.run_id)


def _error_tags(error: BaseException) -> dict[str, str]:
    kind, message = type(error).__name__, shown(str(error))
    text = f"{kind}: {message}" if message else kind
    return {
        "leadscore.error": text[:LONGEST_TAG],
        "mlflow.note.content": f"The training failed. {text}"[:LONGEST_TAG],
    }
