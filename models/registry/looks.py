"""Looks of `leadscore monitor` in MLflow: one run for each look, in an experiment of their own.

The metrics of the runs, sorted by time, are the history of the model in production. The file
`look.json` of a run contains the whole look.
"""

import datetime
import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from crm.errors import TrackingError
from models.registry.deletion import delete_run
from models.registry.promotion import user_name
from models.registry.registry import LOOK_RUNS, RUN_KIND, Registry

LOOK_FILE: Final = "look.json"
RANKS: Final = {"unknown": -1, "fine": 0, "watch": 1, "act": 2}  # of verdicts, as metrics
MOST_LOOKS: Final = 400


def record_look(registry: Registry, look: Mapping[str, Any], at: datetime.datetime) -> str:
    """Record a look as a finished MLflow run, and return the id of the run.

    Parameters
    ----------
    registry : Registry
    look : mapping
        `monitoring.look.Look.to_json`.
    at : datetime, timezone-aware

    Raises
    ------
    TrackingError
        If MLflow refuses. No run remains.
    """
    milliseconds = round(at.timestamp() * 1000)
    with registry.errors():
        run = registry.client.create_run(
            registry.experiment(LOOK_RUNS),
            start_time=milliseconds,
            run_name=f"look {at:%Y-%m-%d %H:%M}",
            tags={
                RUN_KIND: "look",
                "leadscore.version": str(look["version"]),
                "leadscore.verdict": str(look["verdict"]),
                "leadscore.simulated": str(look["simulated"]).lower(),
                "mlflow.note.content": str(look["sentence"]),
                "mlflow.user": user_name(),
                "mlflow.source.name": "leadscore monitor",
                "mlflow.source.type": "LOCAL",
            },
        )
    run_id = str(run.info.run_id)
    try:
        with registry.errors():
            for name, value in look_metrics(look).items():
                registry.client.log_metric(run_id, name, value, timestamp=milliseconds)
            registry.client.log_dict(run_id, dict(look), LOOK_FILE)
            registry.client.set_terminated(run_id)
    except BaseException:
        with suppress(TrackingError), registry.errors():
            delete_run(registry.client, run_id)
        raise
    return run_id


def look_metrics(look: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a look: the rank of each verdict, and each figure that is a number.

    Examples
    --------
    >>> check = {"number": "LM202", "verdict": "watch", "figures": {"roc_auc": 0.8, "since": None}}
    >>> look_metrics({"verdict": "watch", "checks": [check]})
    {'verdict': 1.0, 'LM202.verdict': 1.0, 'LM202.roc_auc': 0.8}
    """
    metrics = {"verdict": float(RANKS[look["verdict"]])}
    for check in look["checks"]:
        metrics[f"{check['number']}.verdict"] = float(RANKS[check["verdict"]])
        for name, value in check["figures"].items():
            if value is not None and math.isfinite(value):
                metrics[f"{check['number']}.{name}"] = float(value)
    return metrics


def newest_look(registry: Registry) -> dict[str, Any] | None:
    """Read the newest finished look; None if there is none."""
    with registry.errors():
        experiment = registry.find_experiment(LOOK_RUNS)
        if experiment is None:
            return None
        runs = registry.client.search_runs(
            [experiment],
            filter_string="attributes.status = 'FINISHED'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        if not runs:
            return None
        with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            path = registry.client.download_artifacts(runs[0].info.run_id, LOOK_FILE, work)
            look: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            return look


def look_history(registry: Registry) -> list[dict[str, Any]]:
    """Return the metrics of the newest looks, oldest first.

    Returns
    -------
    list of dict
        `at` (ISO 8601 UTC), `version`, and the metrics by name; at most `MOST_LOOKS`.
    """
    with registry.errors():
        experiment = registry.find_experiment(LOOK_RUNS)
        if experiment is None:
            return []
        runs = registry.client.search_runs(
            [experiment],
            filter_string="attributes.status = 'FINISHED'",
            max_results=MOST_LOOKS,
            order_by=["attributes.start_time DESC"],
        )
    return [
        {
            "at": datetime.datetime.fromtimestamp(
                run.info.start_time / 1000, datetime.UTC
            ).isoformat(timespec="seconds"),
            "version": run.data.tags.get("leadscore.version", ""),
            **run.data.metrics,
        }
        for run in reversed(runs)
    ]
