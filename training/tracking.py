"""Logs each training as one MLflow run and registers its model."""

import datetime
import importlib.metadata
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from crm.cells import harmless
from crm.errors import TrackingError
from crm.project import Project
from crm.records import Records
from models.artifact import load_artifact
from models.card import ModelCard
from models.evaluation.metrics import MODEL_METRICS
from models.registry.promotion import update_challenger
from models.registry.reachable import shown
from models.registry.registry import ARTIFACT, Registry
from models.scorer import LeadScorer
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from reports.charts.card import comparison_chart, gains_chart, reliability_chart
from reports.forms.folder import write_report
from reports.report import build_report
from training.comparison.held_out import MOMENTS_FILE, StoredMoments
from training.train import Trained
from training.tuning import Trial

SCRIPT = Path(__file__).resolve().parent.parent / "models" / "pyfunc.py"
PICTURE_PPI = 144
DIGEST_CHARACTERS = 36  # the longest that MLflow accepts for a data set
CARD_TABLES = ("importance", "segments", "fairness")  # in addition to the tables in its `test`
SCORES = {"lead_id": "string", "probability": "double", "score": "long", "grade": "string"}


@dataclass(frozen=True)
class TrackedModel:
    """Where a training was logged and registered.

    Attributes
    ----------
    name, version : str
        In the registry.
    digest : str
        The digest of the artefact.
    run_id, tracking_uri, artifact_uri : str
    """

    name: str
    version: str
    digest: str
    run_id: str
    tracking_uri: str
    artifact_uri: str


def track(
    registry: Registry,
    project: Project,
    records: Records,
    trained: Trained,
    artifact: Path,
    at: datetime.datetime,
    with_report: bool = False,
) -> TrackedModel:
    """Log a training as one MLflow run and register its model as the challenger.

    If any step fails, the run, the model and the version are deleted.

    Parameters
    ----------
    registry : Registry
    project : Project
    records : Records
        The records that the model was trained on.
    trained : Trained
    artifact : Path
        The folder of the saved model, named `models.registry.registry.ARTIFACT`. It is verified
        before it is logged.
    at : datetime, timezone-aware
        Now, for the report.
    with_report : bool
        Whether to log the report of these records as well; building it takes some seconds.

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
    with registry.errors():
        registry.select()
        run = registry.client.create_run(
            registry.experiment(),
            run_name=f"train {project.name}",
            tags=_tags(project, trained.scorer.card, digest),
        )
    run_id = run.info.run_id
    with registry.errors(), run_deleted_on_failure(registry, run_id):
        with mlflow.start_run(run_id=run_id):
            mlflow.log_params(_params(project, trained))
            mlflow.log_metrics(_metrics(trained))
            _log_data(trained)
            with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
                _write_facts(Path(work), project, records, trained)
                if with_report:
                    report = build_report(project, records, at, trained.scorer)
                    write_report(report, Path(work) / "report", at=at)
                mlflow.log_artifacts(work)
            logged = mlflow.pyfunc.log_model(
                name=ARTIFACT,
                python_model=str(SCRIPT),
                artifacts={ARTIFACT: str(artifact)},
                signature=signature_of(trained.scorer),
                input_example=_example(trained),
                pip_requirements=_requirements(),
                metadata={"digest": digest, "columns": trained.scorer.pipeline.names},
            )
            for trial in trained.trials:
                _log_trial(registry, run_id, trial)
        version = registry.register(logged.model_uri, run_id, logged.model_id, {"digest": digest})
        with version_deleted_on_failure(registry, version):
            stored = registry.client.get_logged_model(logged.model_id)
            update_challenger(registry)
    return TrackedModel(
        name=project.name,
        version=version,
        digest=digest,
        run_id=run_id,
        tracking_uri=registry.tracking_uri,
        artifact_uri=f"{stored.artifact_location}/artifacts/{ARTIFACT}",
    )


@contextmanager
def run_deleted_on_failure(registry: Registry, run_id: str) -> Iterator[None]:
    """Delete a run with its models and files if the block fails."""
    try:
        yield
    except BaseException:
        # If the store cannot be reached, the caller needs to see the first failure.
        with suppress(TrackingError), registry.errors():
            registry.delete_run(run_id)
        raise


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


def _log_trial(registry: Registry, parent: str, trial: Trial) -> None:
    """Log a trial as a run of its own, nested in the training's run."""
    client = registry.client
    run = client.create_run(
        registry.experiment(),
        run_name=f"trial {trial.number}",
        tags={"mlflow.parentRunId": parent, "leadscore.state": trial.state},
    )
    for name, value in trial.parameters.items():
        client.log_param(run.info.run_id, name, value)
    client.log_metric(run.info.run_id, "seconds", trial.seconds)
    if trial.log_loss is not None:
        client.log_metric(run.info.run_id, "log_loss", trial.log_loss)
    client.set_terminated(run.info.run_id, "FAILED" if trial.state == "failed" else "FINISHED")


def _tags(project: Project, card: ModelCard, digest: str) -> dict[str, str]:
    """Return the tags of a run; its note is the verdict with its reasons, shown on its page."""
    return {
        "leadscore.digest": digest,
        "leadscore.simulated": str(project.simulated).lower(),
        "leadscore.verdict": card.readiness["verdict"],
        "mlflow.note.content": "\n- ".join(
            [f"Verdict: {card.readiness['verdict']}.\n", *card.technical_reasons]
        ),
        "mlflow.source.name": "leadscore train",
    }


def _params(project: Project, trained: Trained) -> dict[str, Any]:
    card = trained.scorer.card
    return {
        "won": ", ".join(map(str, project.learn.won)),
        "horizon_days": project.learn.horizon_days,
        "moments_days": str(project.learn.moments_days),
        "test_share": project.learn.test_share,
        "test_is": card.test.get("how", "no leads"),
        "features": len(card.features),
        "left_out": len(card.left_out),
        **_flat("estimator", card.estimator),
    }


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Flatten nested facts into names such as `estimator.parameters.seed`."""
    if not isinstance(value, Mapping):
        return {name: value if isinstance(value, str | int | float) else str(value)}
    parts = [_flat(f"{name}.{key}", inner) for key, inner in value.items()]
    return {key: figure for part in parts for key, figure in part.items()}


def _metrics(trained: Trained) -> dict[str, float]:
    facts = trained.scorer.card.learned_from
    counts = {f"data.{k}": float(v) for k, v in facts.items() if isinstance(v, int | float)}
    gained = trained.evaluated_model.gained if trained.evaluated_model else {}
    differences = {
        f"test.log_loss_minus_{baseline}{suffix}": value
        for baseline, difference in gained.items()
        for suffix, value in zip(("", ".low", ".high"), difference, strict=True)
    }
    return (
        counts
        | differences
        | {
            f"{model}.{metric}{suffix}": value
            for model, evaluation in trained.evaluations.items()
            for metric in MODEL_METRICS
            for suffix, value in zip(
                ("", ".low", ".high"),
                (evaluation.values[metric], *evaluation.intervals[metric]),
                strict=True,
            )
        }
    )


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


def _write_facts(folder: Path, project: Project, records: Records, trained: Trained) -> None:
    stored = StoredMoments.of_training(
        project.name, records, trained.moments, trained.split, trained.test_margin
    )
    (folder / MOMENTS_FILE).write_bytes(stored.to_parquet())
    card = trained.scorer.card
    (folder / "leadscore.toml").write_text(shown(project.text), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    page = card_page(card, pictures=card_pictures(card))
    (folder / "card.html").write_text(page, encoding="utf-8")
    (folder / "audit.json").write_text(
        json.dumps(trained.audit.to_json(), indent=1), encoding="utf-8"
    )
    (folder / "environment.txt").write_text(_environment(), encoding="utf-8")
    (folder / "tables").mkdir()
    for name, rows in _tables(card.to_json()).items():
        table = pd.json_normalize(rows)
        table.map(harmless).to_csv(folder / "tables" / f"{name}.csv", index=False)
    if trained.evaluated_model:
        _draw(folder / "plots", project, trained)


def _draw(folder: Path, project: Project, trained: Trained) -> None:
    """Write the charts of the evaluation."""
    folder.mkdir()
    test = trained.scorer.card.test
    mark = "SIMULATED leads, " if project.simulated else ""
    subject = f"{mark}{test['how']}, n = {test['n']:,}"
    scores = trained.scorer.card.counts_scores
    log_loss = {
        "leadscore" if model == "test" else model: (
            evaluation.values["log_loss"],
            *evaluation.intervals["log_loss"],
        )
        for model, evaluation in trained.evaluations.items()
    }
    charts = {
        "reliability": reliability_chart(test["reliability"], subject, of_scores=scores),
        "gains": gains_chart(test["gains"], subject, of_scores=scores),
        "log_loss": comparison_chart(log_loss, "Log loss", subject),
    }
    for name, chart in charts.items():
        chart.save(folder / f"{name}.png", ppi=PICTURE_PPI)


def _tables(card: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables in a card, which are lists of dicts, by their names in the card."""
    figures = {**card["test"], **{name: card[name] for name in CARD_TABLES}}
    return {
        name: rows
        for name, rows in figures.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    }


def _environment() -> str:
    installed = sorted(
        f"{package.metadata['Name']}=={package.version}"
        for package in importlib.metadata.distributions()
    )
    return "\n".join(installed) + "\n"


def _example(trained: Trained) -> list[dict[str, Any]]:
    """Return a made-up lead, which MLflow shows with the model."""
    cells = trained.golden_leads[0].cells
    return [{column: cells.get(column) for column in trained.scorer.pipeline.columns}]


def signature_of(scorer: LeadScorer) -> Any:
    """Return MLflow's signature: all columns are optional, and `crm.cells` reads their cells.

    With a type in place of `AnyType`, MLflow would refuse or convert numbers and missing cells.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    roles = [scorer.roles["lead_id"]]
    roles += [scorer.roles["created_at"]] if scorer.pipeline.has_times else []
    read = dict.fromkeys([*roles, *scorer.pipeline.columns])
    any_type = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(any_type, column, required=False) for column in read]),
        outputs=Schema([ColSpec(kind, column) for column, kind in SCORES.items()]),
    )


def _requirements() -> list[str]:
    return [
        f"{name}=={importlib.metadata.version(name)}"
        for name in ("mlflow", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
    ]
