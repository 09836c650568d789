"""Logs a backtest as one MLflow run, in an experiment of its own."""

import datetime
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from crm.errors import TrackingError
from models.registry.deletion import delete_run
from models.registry.promotion import user_name
from models.registry.reachable import page_of_run
from models.registry.registry import BACKTEST_RUNS, RUN_KIND, Registry
from training.backtest.backtest import Backtest
from training.tracking.commit import commit_of
from training.tracking.settings import as_param, settings_of

METRICS = ("log_loss", "roc_auc", "base_rate", "predicted", "gap")
EXTRA = ("extra_log_loss", "extra_roc_auc")


def track_backtest(
    registry: Registry,
    backtest: Backtest,
    folder: Path,
    files: tuple[str, ...],
    at: datetime.datetime,
) -> str:
    """Log a backtest as a finished MLflow run, and return the address of its page.

    `backtest.…` are the metrics of the newest model in each period. Their step is the number of
    the cut-off, and their time is the cut-off, so that their charts show the history.
    `backtest_age.…` are the metrics by the age of the model; their step is the age in days.

    Parameters
    ----------
    registry : Registry
    backtest : Backtest
    folder : Path
    files : tuple of str
        The files of this folder that are logged.
    at : datetime, timezone-aware
        When the backtest began.

    Raises
    ------
    TrackingError
        If MLflow refuses. Then no run remains.
    """
    from mlflow.entities import Metric, Param

    result, project = backtest.to_json(), backtest.project
    advice = result["advice"]
    params = settings_of(project, commit_of(project.path), None)
    del params["tune_minutes"]
    params |= {
        "every_days": as_param(result["every_days"]),
        "cut_offs": as_param(len(backtest.models)),
        "from": result["from"],
        "to": result["to"],
    }
    began = round(at.timestamp() * 1000)
    metrics = [
        Metric(name, value, began if time is None else time, step)
        for name, value, time, step in _metrics(backtest, result)
    ]
    tags = {
        RUN_KIND: "backtest",
        "leadscore.simulated": str(project.simulated).lower(),
        "leadscore.verdict": advice["verdict"],
        "mlflow.note.content": "\n- ".join([*advice["sentences"], *result["summary"]]),
        "mlflow.user": user_name(),
        "mlflow.source.name": "leadscore backtest",
        "mlflow.source.type": "LOCAL",
    }
    client = registry.client
    with registry.errors():
        experiment_id = registry.experiment(BACKTEST_RUNS)
        run = client.create_run(
            experiment_id,
            start_time=began,
            run_name=f"backtest {result['from']} to {result['to']}",
            tags=tags,
        )
        try:
            client.log_batch(
                run.info.run_id,
                metrics=metrics,
                params=[Param(name, value) for name, value in params.items()],
            )
            for file in files:
                client.log_artifact(run.info.run_id, str(folder / file))
            client.set_terminated(run.info.run_id, "FINISHED")
        except BaseException:
            with suppress(TrackingError), registry.errors():
                delete_run(client, run.info.run_id)
            raise
    return page_of_run(registry.tracking_uri, experiment_id, run.info.run_id)


def _metrics(
    backtest: Backtest, result: dict[str, Any]
) -> Iterator[tuple[str, float, int | None, int]]:
    """Yield each metric with its name, value, time in milliseconds (None: now) and step."""
    times = [period.begins // 1000 for period in backtest.periods]
    for number, (row, time) in enumerate(zip(result["periods"], times, strict=True), start=1):
        for metric in (*METRICS, "base_rate_log_loss"):
            if row[metric] is not None:
                yield f"backtest.{metric}", row[metric], time, number
    for row in result["ages"]:
        for metric in (*METRICS, *EXTRA):
            if row[metric] is not None:
                yield f"backtest_age.{metric}", row[metric], None, row["from_days"]
    advice = result["advice"]
    for name in ("every_days", "gain", "tolerated"):
        if advice[name] is not None:
            yield f"backtest_advice.{name}", advice[name], None, 0
