"""MLflow runs: one per training, whole or not at all."""

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
from crm.errors import GateError, TrackingError
from crm.project import Project
from crm.records import Records
from models.artifact import load_artifact
from models.evaluation.metrics import MODEL_METRICS
from models.registry.history import Gate
from models.registry.promotion import promote, update_challenger, user_name
from models.registry.reachable import shown
from models.registry.registry import ARTIFACT, Registry
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from reports.charts.card import comparison_chart, gains_chart, reliability_chart
from reports.forms.folder import write_report
from reports.report import build_report
from training.comparison.comparison import JUDGED_FILE, judged_table
from training.gates.gates import Grounds, judge
from training.train import Trained
from training.tuning import Trial

SCRIPT = Path(__file__).resolve().parent.parent / "models" / "pyfunc.py"
PICTURE_PPI = 144
DIGEST_CHARACTERS = 36  # the longest that MLflow takes for a data set
FIRST = "There was no champion."
CARD_TABLES = ("importance", "segments", "fairness")  # besides those in its `test`


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
        True if it became the champion, because there was none and it passed its gates.
    champion : str or None
        The champion's version now; None if there is none, and the model did not pass.
    gates : tuple of Gate
        What was asked of it; empty if there was a champion, and nothing was asked.
    refusal : str
        Why it did not become the first champion; empty where there was no question.
    run_id, tracking_uri, artifact_uri : str
    """

    name: str
    version: str
    digest: str
    is_champion: bool
    champion: str | None
    gates: tuple[Gate, ...]
    refusal: str
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

    Where there is no champion, the model is put through its gates against the base rate
    (`training.gates.gates`) and becomes the champion if it passes. If it does not, it stays the
    challenger, and the history holds why.

    If anything fails on the way, the run, the model and the version are taken back.

    Parameters
    ----------
    registry : Registry
    project : Project
    records : Records
        That the model was trained on.
    trained : Trained
    artifact : Path
        The saved model, in a folder called as `models.registry.registry.ARTIFACT` says; it is
        verified before it is logged.
    at : datetime, timezone-aware
        Now, for the history.
    with_report : bool
        Whether the run holds the marketers' report of these records as well; drawing it takes
        some seconds.

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
            registry.experiment(), run_name=f"train {project.name}", tags=_tags(project, digest)
        )
        made.run_id = run.info.run_id
        with mlflow.start_run(run_id=made.run_id):
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
                pip_requirements=_requirements(),
                metadata={"digest": digest, "columns": trained.scorer.pipeline.names},
            )
            for trial in trained.trials:
                _log_trial(registry, made.run_id, trial)
        version = made.version = registry.register(
            logged.model_uri, made.run_id, logged.model_id, {"digest": digest}
        )
        stored = registry.client.get_logged_model(logged.model_id)
        champion = registry.find_champion()
        update_challenger(registry)
        gates: tuple[Gate, ...] = ()
        refusal = ""
        if champion is None:
            grounds = Grounds(records, trained.moments, trained.audit)
            judgement = judge(registry, project, grounds, version)
            gates = judgement.gates
            try:
                promote(registry, judgement, who=user_name(), at=at, because=FIRST)
                champion = version
            except GateError as error:
                refusal = str(error)
                champion = registry.find_champion()  # somebody else may have been first
    return TrackedModel(
        name=project.name,
        version=version,
        digest=digest,
        is_champion=champion == version,
        champion=champion,
        gates=gates,
        refusal=refusal,
        run_id=made.run_id,
        tracking_uri=registry.tracking_uri,
        artifact_uri=f"{stored.artifact_location}/artifacts/{ARTIFACT}",
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
                update_challenger(registry)
        if made.run_id:
            with suppress(TrackingError), registry.errors():
                registry.delete_run(made.run_id)
        raise


def _log_trial(registry: Registry, parent: str, trial: Trial) -> None:
    """Log one setting that was tried as a run of its own, within the training's."""
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
        "test_is": card.test.get("how", "nobody"),
        "features": len(card.features),
        "left_out": len(card.left_out),
        **_flat("estimator", card.estimator),
    }


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Name each figure within nested facts, `estimator.parameters.seed` for one."""
    if not isinstance(value, Mapping):
        return {name: value if isinstance(value, str | int | float) else str(value)}
    parts = [_flat(f"{name}.{key}", inner) for key, inner in value.items()]
    return {key: figure for part in parts for key, figure in part.items()}


def _metrics(trained: Trained) -> dict[str, float]:
    facts = trained.scorer.card.learned_from
    counts = {f"data.{k}": float(v) for k, v in facts.items() if isinstance(v, int | float)}
    return counts | {
        f"{model}.{metric}{suffix}": value
        for model, evaluation in trained.evaluations.items()
        for metric in MODEL_METRICS
        for suffix, value in zip(
            ("", ".low", ".high"),
            (evaluation.values[metric], *evaluation.intervals[metric]),
            strict=True,
        )
    }


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
    judged = judged_table(
        project.name, records, trained.moments, trained.split, trained.test_margin
    )
    (folder / JUDGED_FILE).write_bytes(judged.to_parquet())
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
    if trained.judged:
        _draw(folder / "plots", project, trained)


def _draw(folder: Path, project: Project, trained: Trained) -> None:
    """Draw how good the model is."""
    folder.mkdir()
    test = trained.scorer.card.test
    said = "SIMULATED leads, " if project.simulated else ""
    subject = f"{said}{test['how']}, n = {test['n']:,}"
    log_loss = {
        "leadscore" if model == "test" else model: (
            found.values["log_loss"],
            *found.intervals["log_loss"],
        )
        for model, found in trained.evaluations.items()
    }
    charts = {
        "reliability": reliability_chart(test["reliability"], subject),
        "gains": gains_chart(test["gains"], subject),
        "log_loss": comparison_chart(log_loss, "Log loss", subject),
    }
    for name, chart in charts.items():
        chart.save(folder / f"{name}.png", ppi=PICTURE_PPI)


def _tables(card: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Find the tables in a card's figures: lists of dicts, by the names that they have there."""
    figures = {**card["test"], **{name: card[name] for name in CARD_TABLES}}
    return {
        name: rows
        for name, rows in figures.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    }


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
