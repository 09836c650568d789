"""MLflow runs: one per training, whole or not at all."""

import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from crm.errors import TrackingError
from crm.project import Project
from models.artifact import load_artifact
from models.registry import ARTIFACT, Registry, shown
from reports.charts import comparison_chart, gains_chart, reliability_chart
from training.evaluation import METRICS, Evaluation
from training.train import Trained

SCRIPT = Path(__file__).resolve().parent.parent / "models" / "pyfunc.py"
PICTURE_PPI = 144
DIGEST_CHARACTERS = 36  # the longest that MLflow takes for a data set


@dataclass(frozen=True)
class TrackedModel:
    """Where a training went.

    Attributes
    ----------
    name, version : str
        In the registry.
    digest : str
        Of the artefact.
    is_champion : bool
        True if it became the champion, because there was none.
    champion : str
        The champion's version now.
    run_id, tracking_uri, artifact_uri : str
    """

    name: str
    version: str
    digest: str
    is_champion: bool
    champion: str
    run_id: str
    tracking_uri: str
    artifact_uri: str


def track(registry: Registry, project: Project, trained: Trained, artifact: Path) -> TrackedModel:
    """Log a training as one MLflow run, register its model, and make the first one champion.

    If anything fails on the way, the run, the model and the version are taken back.

    Parameters
    ----------
    registry : Registry
    project : Project
    trained : Trained
    artifact : Path
        The saved model, in a folder called as `models.registry.ARTIFACT` says; it is
        verified before it is logged.

    Returns
    -------
    TrackedModel

    Raises
    ------
    TrackingError
        If MLflow refuses.
    ArtifactError
        If the saved model does not verify.
    """
    import mlflow

    digest = load_artifact(artifact).digest
    with registry.errors(), _taken_back_on_failure(registry) as made:
        registry.select()
        run = registry.client.create_run(
            _experiment(registry), run_name=f"train {project.name}", tags=_tags(project, digest)
        )
        made.run_id = run.info.run_id
        with mlflow.start_run(run_id=made.run_id):
            mlflow.log_params(_params(project, trained))
            mlflow.log_metrics(_metrics(trained))
            _log_data(trained)
            with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
                _write_facts(Path(work), project, trained)
                mlflow.log_artifacts(work)
            logged = mlflow.pyfunc.log_model(
                name=ARTIFACT,
                python_model=str(SCRIPT),
                artifacts={ARTIFACT: str(artifact)},
                pip_requirements=_requirements(),
                metadata={"digest": digest, "columns": trained.scorer.pipeline.names},
            )
        made.version = registry.register(
            logged.model_uri, made.run_id, logged.model_id, {"digest": digest}
        )
        champion = registry.find_champion()
        if champion is None:
            registry.make_champion(made.version)
        version = registry.client.get_logged_model(logged.model_id)
    return TrackedModel(
        name=project.name,
        version=made.version,
        digest=digest,
        is_champion=champion is None,
        champion=champion or made.version,
        run_id=made.run_id,
        tracking_uri=registry.tracking_uri,
        artifact_uri=f"{version.artifact_location}/artifacts/{ARTIFACT}",
    )


@dataclass
class _Made:
    """What a run has made so far."""

    run_id: str = ""
    version: str = ""


@contextmanager
def _taken_back_on_failure(registry: Registry) -> Iterator[_Made]:
    made = _Made()
    try:
        yield made
    except BaseException:
        # If the store is gone, what failed first is what the caller needs to hear.
        if made.version:
            with suppress(TrackingError), registry.errors():
                registry.unregister(made.version)
        if made.run_id:
            with suppress(TrackingError), registry.errors():
                _delete_run(registry, made.run_id)
        raise


def _delete_run(registry: Registry, run_id: str) -> None:
    client = registry.client
    run = client.get_run(run_id)
    models = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id='{run_id}'"
    )
    for model in models:
        client.delete_logged_model(model.model_id)
    client.set_terminated(run_id, status="FAILED")
    client.delete_run(run_id)
    for location in (run.info.artifact_uri, *(model.artifact_location for model in models)):
        if urlsplit(location).scheme in ("", "file"):  # a server keeps its files to itself
            path = Path(url2pathname(urlsplit(location).path))
            shutil.rmtree(path.parent, ignore_errors=True)


def _experiment(registry: Registry) -> str:
    found = registry.client.get_experiment_by_name(registry.name)
    if found is not None:
        return str(found.experiment_id)
    return str(
        registry.client.create_experiment(
            registry.name, artifact_location=registry.artifact_location
        )
    )


def _tags(project: Project, digest: str) -> dict[str, str]:
    return {
        "leadscore.digest": digest,
        "leadscore.simulated": str(project.simulated).lower(),
        "mlflow.source.name": "leadscore train",
    }


def _params(project: Project, trained: Trained) -> dict[str, Any]:
    card = trained.scorer.card
    return {
        "won": ", ".join(map(str, project.learn.won)),
        "horizon_days": project.learn.horizon_days,
        "moments_days": str(project.learn.moments_days),
        "test_share": project.learn.test_share,
        "test_is": card.test["how"],
        "features": len(card.features),
        "left_out": len(card.left_out),
        "rounds": card.estimator["rounds"],
        **{f"tree.{name}": value for name, value in card.estimator["parameters"].items()},
    }


def _metrics(trained: Trained) -> dict[str, float]:
    facts = trained.scorer.card.learned_from
    counts = {f"data.{k}": float(v) for k, v in facts.items() if isinstance(v, int | float)}
    found = _by_model(trained)
    return counts | {
        f"{model}.{metric}{suffix}": value
        for model, evaluation in found.items()
        for metric in METRICS
        for suffix, value in zip(
            ("", ".low", ".high"),
            (evaluation.values[metric], *evaluation.intervals[metric]),
            strict=True,
        )
    }


def _by_model(trained: Trained) -> dict[str, Evaluation]:
    return {"test": trained.test, **trained.baselines}


def _log_data(trained: Trained) -> None:
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    for table, digest in trained.scorer.card.digests.items():
        source = CodeDatasetSource(tags={"sha256": digest})
        mlflow.log_input(
            MetaDataset(  # type: ignore[abstract]  # mlflow instantiates it itself
                source, name=table, digest=digest[:DIGEST_CHARACTERS]
            ),
            context="training",
        )


def _write_facts(folder: Path, project: Project, trained: Trained) -> None:
    card = trained.scorer.card
    (folder / "leadscore.toml").write_text(shown(project.text), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    (folder / "audit.json").write_text(
        json.dumps(trained.audit.to_json(), indent=1), encoding="utf-8"
    )
    (folder / "environment.txt").write_text(_environment(), encoding="utf-8")
    plots = folder / "plots"
    plots.mkdir()
    said = "SIMULATED leads, " if project.simulated else ""
    subject = f"{said}{card.test['how']}, n = {card.test['n']:,}"
    log_loss = {
        model: (evaluation.values["log_loss"], *evaluation.intervals["log_loss"])
        for model, evaluation in {"leadscore": trained.test, **trained.baselines}.items()
    }
    charts = {
        "reliability": reliability_chart(trained.reliability, subject),
        "gains": gains_chart(trained.gains, subject),
        "log_loss": comparison_chart(log_loss, "Log loss", subject),
    }
    for name, chart in charts.items():
        chart.save(plots / f"{name}.png", ppi=PICTURE_PPI)


def _environment() -> str:
    installed = sorted(
        f"{found.metadata['Name']}=={found.version}" for found in importlib.metadata.distributions()
    )
    return "\n".join(installed) + "\n"


def _requirements() -> list[str]:
    return [
        f"{name}=={importlib.metadata.version(name)}"
        for name in ("mlflow", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
    ]
