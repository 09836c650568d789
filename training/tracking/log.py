"""Logs a training in its MLflow run and registers its model."""

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path

from crm.project import TreesKeys
from crm.records import Records
from models.artifact import load_artifact
from models.evaluation.metrics import MODEL_METRICS
from models.fitting.trees import TREE_PARAMETERS
from models.registry.promotion import update_challenger, user_name
from models.registry.reachable import page_of_run
from models.registry.registry import ARTIFACT, RUN_KIND
from reports.forms.folder import write_report
from reports.report import build_report
from training.tracking.datasets import held_out_dataset, log_datasets
from training.tracking.files import write_facts
from training.tracking.model import log_model
from training.tracking.run import TrainingRun, version_deleted_on_failure
from training.tracking.settings import as_param, trees_of
from training.tracking.snapshot import FOLDER, write_snapshot
from training.train import Trained
from training.tuning import Trial, best_of

MODEL_FIGURES = (  # of the card's `estimator`
    "logistic_weight",
    "logistic_strength",
    "logistic_step_strength",
    "logistic_reach",
    "logistic_drift",
    "rounds",
    "calibration_slope",
    "calibration_intercept",
    "early_shift",
)


@dataclass(frozen=True)
class TrackedModel:
    """Where a training was logged and registered.

    Attributes
    ----------
    name, version : str
        In the registry.
    digest : str
        The digest of the artefact.
    run_id, experiment_id, tracking_uri, artifact_uri : str
    """

    name: str
    version: str
    digest: str
    run_id: str
    experiment_id: str
    tracking_uri: str
    artifact_uri: str

    @property
    def page(self) -> str:
        """The address of the run's page in MLflow."""
        return page_of_run(self.tracking_uri, self.experiment_id, self.run_id)


def track(
    run: TrainingRun,
    records: Records,
    trained: Trained,
    artifact: Path,
    at: datetime.datetime,
    with_report: bool = False,
    keep_tables: bool = False,
) -> TrackedModel:
    """Log a training in its MLflow run and register its model as the challenger.

    If registering fails, the version is deleted; `training_run` deletes the rest.

    Parameters
    ----------
    run : TrainingRun
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
    keep_tables : bool
        Whether to log the tables of the records as well; `[mlflow] keep_tables` does the same.

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

    registry, project, card = run.registry, run.project, trained.scorer.card
    digest, verdict = load_artifact(artifact).digest, card.readiness["verdict"]
    note = "\n- ".join([f"Verdict: {verdict}.\n", *card.technical_reasons])
    with registry.errors():
        mlflow.set_tags(
            {
                "leadscore.digest": digest,
                "leadscore.verdict": verdict,
                "leadscore.estimator": card.estimator["kind"],
                "mlflow.note.content": note,  # MLflow shows it as the description
            }
        )
        mlflow.log_params(trees_of(card.estimator) | {"test_is": card.test.get("how", "no leads")})
        log_datasets(registry.client, run.run_id, project, records)
        with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
            moments = write_facts(Path(work), project, records, trained)
            if with_report:
                report = build_report(project, records, at, trained.scorer)
                write_report(report, Path(work) / "report", at=at)
            if keep_tables or project.mlflow.keep_tables:
                write_snapshot(Path(work) / FOLDER, records)
            mlflow.log_artifacts(work)
        model_id = log_model(trained, artifact, digest)
        if trained.evaluations:
            test = held_out_dataset(run.run_id, moments.to_parquet(), moments.table("test"))
            mlflow.log_metrics(_test_metrics(trained), model_id=model_id, dataset=test)
        figures = _metrics(trained) | _rolling_metrics(trained)
        mlflow.log_metrics(figures, model_id=model_id)
        for trial in trained.trials:
            _log_trial(run, trial)
        version = registry.register(
            f"models:/{model_id}",
            run.run_id,
            model_id,
            {"digest": digest, "verdict": verdict, "created_by": user_name()},
            description=note,
        )
        with version_deleted_on_failure(registry, version):
            stored = registry.client.get_logged_model(model_id)
            title = f"version {version}, {verdict}, {run.at:%Y-%m-%d %H:%M}"
            registry.client.update_run(run.run_id, name=title)
            update_challenger(registry)
    return TrackedModel(
        name=project.name,
        version=version,
        digest=digest,
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        tracking_uri=registry.tracking_uri,
        artifact_uri=f"{stored.artifact_location}/artifacts/{ARTIFACT}",
    )


def _log_trial(run: TrainingRun, trial: Trial) -> None:
    """Log a trial as a run of its own, nested in the training's run.

    Its params are all settings that tuning searches, also those that the trial left at their
    defaults.
    """
    from mlflow.entities import Metric, Param

    client = run.registry.client
    created = client.create_run(
        run.experiment_id,
        run_name=f"trial {trial.number}",
        tags={
            RUN_KIND: "trial",
            "mlflow.parentRunId": run.run_id,
            "mlflow.user": user_name(),
            "mlflow.source.name": "leadscore train",
            "mlflow.source.type": "LOCAL",
            "leadscore.state": trial.state,
        },
    )
    metrics = {"seconds": trial.seconds}
    if trial.log_loss is not None:
        metrics["tuning.log_loss"] = trial.log_loss
    parameters = {name: TREE_PARAMETERS[name] for name in TreesKeys.__struct_fields__}
    parameters |= trial.parameters
    client.log_batch(
        created.info.run_id,
        params=[Param(f"trees.{name}", as_param(value)) for name, value in parameters.items()],
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
    )
    client.set_terminated(created.info.run_id, "FAILED" if trial.state == "failed" else "FINISHED")


def _metrics(trained: Trained) -> dict[str, float]:
    """Return the figures of a training that no test leads are needed for.

    MLflow sorts metrics by name. These names come after `test.log_loss` and the other figures of
    the test.
    """
    card = trained.scorer.card
    counts = {"features": len(card.features), "left_out": len(card.left_out)}
    facts = {**card.learned_from, **counts}
    metrics = {f"train_data.{k}": float(v) for k, v in facts.items() if isinstance(v, int | float)}
    metrics |= {
        f"train_model.{name}": float(card.estimator[name])
        for name in MODEL_FIGURES
        if card.estimator.get(name) is not None
    }
    if trained.trials:
        best, start = best_of(trained.trials), trained.trials[0]
        metrics["tuning.trials"] = float(len(trained.trials))
        for name, trial in (("best", best), ("start", start)):
            if trial.log_loss is not None:
                metrics[f"tuning.log_loss_of_the_{name}"] = trial.log_loss
    return metrics


def _test_metrics(trained: Trained) -> dict[str, float]:
    """Return the metrics of the model and of the baselines; their intervals are in a table."""
    gained = trained.evaluated_model.gained if trained.evaluated_model else {}
    return {
        f"{'test' if model == 'test' else f'test_{model}'}.{metric}": evaluation.values[metric]
        for model, evaluation in trained.evaluations.items()
        for metric in MODEL_METRICS
    } | {
        f"test.log_loss_minus_{baseline}": difference[0] for baseline, difference in gained.items()
    }


def _rolling_metrics(trained: Trained) -> dict[str, float]:
    """Return the means over all cut-offs, and the metrics of each one before the test.

    The first before the test is `test_rolling_1`. Without earlier cut-offs there are none.
    """
    rolling = trained.rolling
    if len(rolling.cut_offs) < 2:
        return {}
    by_name = {"test_rolling": rolling.means} | {
        f"test_rolling_{number}": cut_off.values
        for number, cut_off in enumerate(rolling.cut_offs[1:], start=1)
    }
    return {
        f"{name}.{metric}": value
        for name, values in by_name.items()
        for metric, value in values.items()
    }
