"""Tracking with a real MLflow: what a run contains, and loading what was registered."""

import json
import os
import platform
import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.errors import ArtifactError, TrackingError
from crm.project import ColumnsKeys, Project, TreesKeys, load_project
from crm.version import VERSION
from models.artifact import load_artifact, save_artifact
from models.evaluation.metrics import MODEL_METRICS
from models.fitting.trees import TREE_PARAMETERS
from models.registry.history import Gate
from models.registry.promotion import user_name
from models.registry.registry import ARTIFACT, Registry
from models.sent_params import CONFIG
from tests.made_runs import (
    NOW,
    PASSWORD,
    TRIALS,
    Work,
    copy_project,
    local_path,
    register,
    replace_gates,
    stored,
    training_runs,
)
from training.comparison.stored_moments import MOMENTS_FILE, StoredMoments
from training.tracking.log import TrackedModel
from training.train import train

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow
    import mlflow.pyfunc


@pytest.fixture
def project(work: Work, tmp_path: Path) -> Project:
    """Return a project with an empty MLflow database next to it."""
    return copy_project(work, tmp_path)


@pytest.fixture
def registry(project: Project) -> Registry:
    return Registry(project)


@pytest.fixture(autouse=True)
def gates(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """Let every first version pass its gates."""
    return replace_gates(monkeypatch)


# -- what a run contains -------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A tracked training, with its MLflow run and the files of the run."""

    tracked: TrackedModel
    run: Any
    folder: Path


@pytest.fixture(scope="module")
def tracked_run(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Track a training once for the tests that only read its run."""
    project = copy_project(work, tmp_path_factory.mktemp("run"))
    registry = Registry(project)
    with pytest.MonkeyPatch.context() as patch:
        replace_gates(patch)
        tracked, _ = register(registry, project, work)
    (run,) = training_runs(registry)
    files = tmp_path_factory.mktemp("files")
    folder = registry.client.download_artifacts(run.info.run_id, "", str(files))
    return Run(tracked, run, Path(folder))


def test_training_is_one_finished_run(tracked_run: Run, work: Work) -> None:
    tracked, run = tracked_run.tracked, tracked_run.run
    assert (tracked.name, tracked.version, tracked.digest) == ("demo", "1", work.digest)
    assert run.info.run_id == tracked.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"version 1, {run.data.tags['leadscore.verdict']}, 2026-03-01 12:00"
    assert tracked.page.endswith(
        f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        "?workflowType=machine_learning"
    )
    assert run.data.tags["leadscore.digest"] == work.digest
    assert run.data.tags["leadscore.simulated"] == "true"


def test_run_has_the_settings_as_params(tracked_run: Run) -> None:
    params = tracked_run.run.data.params
    assert {name: params[name] for name in SETTINGS} == SETTINGS
    tree_parameters = {name.removeprefix("trees.") for name in params if name.startswith("trees.")}
    assert tree_parameters == TREE_PARAMETERS.keys()
    assert params.keys() - SETTINGS.keys() == {
        *(f"trees.{name}" for name in tree_parameters),
        *(f"columns.{name}" for name in ColumnsKeys.__struct_fields__),
        *CONFIG,
        "leadscore",
        "python",
        "test_is",
    }
    assert params["test_is"] == "newest 20% of leads"
    assert params["leadscore"] == VERSION
    assert params["python"] == platform.python_version()
    assert params["trees.learning_rate"] == "0.06"


SETTINGS = {
    "won": "won",
    "lost": "lost",
    "open": "none",
    "horizon_days": "90.0",
    "moments_days": "0.0",
    "observed_until": "none",
    "test_share": "0.2",
    "half_life_days": "none",
    "remedies": "true",
    "rising": "none",
    "falling": "none",
    "seed": "0",
    "scale.base_rate": "none",
    "scale.grades": "none",
    "tune_minutes": "none",
    "git_commit": "none",
    "git_dirty": "none",
}


def test_runs_that_differ_in_one_setting_differ_in_one_param(
    project: Project, work: Work, registry: Registry, tmp_path: Path
) -> None:
    register(registry, project, work)
    with_half_life = work.project.text.replace("[learn]", "[learn]\nhalf_life_days = 180")
    project.path.write_text(with_half_life)
    changed = load_project(project.folder)
    trained = train(changed, work.records, now=NOW)
    artifact = tmp_path / "changed" / ARTIFACT
    save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
    register(registry, changed, work, trained, artifact)
    second, first = (run.data.params.items() for run in training_runs(registry))
    assert dict(second - first) == {"half_life_days": "180.0"}
    assert dict(first - second) == {"half_life_days": "none"}


def test_run_has_every_metric(tracked_run: Run, work: Work) -> None:
    metrics = tracked_run.run.data.metrics
    evaluations = work.trained.evaluations
    of_the_test = {
        f"{prefix}.{metric}": evaluations[model].values[metric]
        for prefix, model in (
            ("test", "test"),
            ("test_base_rate", "base_rate"),
            ("test_logistic", "logistic"),
        )
        for metric in MODEL_METRICS
    }
    card = work.trained.scorer.card
    facts = {**card.learned_from, "features": len(card.features), "left_out": len(card.left_out)}
    counts = {f"train_data.{k}": v for k, v in facts.items() if isinstance(v, int | float)}
    assert counts["train_data.leads"] == 1_500
    assert work.trained.evaluated_model is not None
    differences = {
        f"test.log_loss_minus_{baseline}": difference[0]
        for baseline, difference in work.trained.evaluated_model.gained.items()
    }
    assert differences.keys() == {"test.log_loss_minus_base_rate", "test.log_loss_minus_logistic"}
    fitted = {
        f"train_model.{name}": value
        for name, value in card.estimator.items()
        if name.startswith(("logistic_", "calibration_", "rounds")) and value is not None
    }
    assert len(fitted) >= 5
    rolling = work.trained.rolling
    assert len(rolling.cut_offs) == 3
    of_cut_offs = {
        f"{name}.{metric}": value
        for name, values in (
            ("test_rolling", rolling.means),
            ("test_rolling_1", rolling.cut_offs[1].values),
            ("test_rolling_2", rolling.cut_offs[2].values),
        )
        for metric, value in values.items()
    }
    assert len(of_cut_offs) == 3 * len(MODEL_METRICS)
    found = {
        name: value for name, value in metrics.items() if not name.startswith("train_seconds.")
    }
    assert found == pytest.approx(of_the_test | of_cut_offs | counts | differences | fitted)
    assert metrics["train_seconds.read"] >= 0


def test_metrics_of_the_test_belong_to_the_model_and_the_test_moments(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, _ = register(registry, project, work)
    (model,) = registry.client.search_logged_models([tracked.experiment_id])
    datasets = {
        entry.dataset.name: entry.dataset
        for entry in registry.client.get_run(tracked.run_id).inputs.dataset_inputs
    }
    test = datasets["test"]
    assert json.loads(test.profile)["num_rows"] == len(work.trained.split.test)
    of_models = {metric.key: metric for metric in model.metrics}
    assert of_models.keys() >= {"test.log_loss", "test_logistic.roc_auc", "train_data.leads"}
    for name, metric in of_models.items():
        dataset = (metric.dataset_name, metric.dataset_digest)
        is_of_test = name.startswith(("test.", "test_base_rate.", "test_logistic."))
        assert dataset == ((test.name, test.digest) if is_of_test else (None, None)), name
    assert model.params["half_life_days"] == "none"


def test_intervals_of_metrics_are_a_table(tracked_run: Run, work: Work) -> None:
    table = pd.read_csv(tracked_run.folder / "tables" / "metrics.csv")
    rows = {(row.model, row.metric): (row.value, row.low, row.high) for row in table.itertuples()}
    test = work.trained.evaluations["test"]
    value, interval = test.values["log_loss"], test.intervals["log_loss"]
    assert rows[("leadscore", "log_loss")] == pytest.approx((value, *interval))
    assert ("logistic", "roc_auc") in rows
    assert ("leadscore", "log_loss_minus_base_rate") in rows
    assert len(rows) == len(table) == 3 * len(MODEL_METRICS) + 2


def test_losses_of_the_weights_are_a_table(tracked_run: Run, work: Work) -> None:
    table = pd.read_csv(tracked_run.folder / "tables" / "weights.csv")
    tried = work.trained.scorer.card.estimator["weights_tried"]
    assert len(tried) > 5
    assert table["logistic_weight"].tolist() == [weight for weight, _ in tried]
    assert table["log_loss"].tolist() == pytest.approx([loss for _, loss in tried])


def test_run_names_the_verdict_in_the_terms_of_data_science(tracked_run: Run) -> None:
    tags = tracked_run.run.data.tags
    verdict, blank, *reasons = tags["mlflow.note.content"].splitlines()
    assert (verdict, blank) == (f"Verdict: {tags['leadscore.verdict']}.", "")
    assert any("log loss" in reason and "base rate" in reason for reason in reasons)
    assert any("ROC AUC 0." in reason for reason in reasons)


def test_run_has_each_table_as_a_dataset(tracked_run: Run, work: Work) -> None:
    datasets = {
        entry.dataset.name: entry.dataset
        for entry in tracked_run.run.inputs.dataset_inputs
        if {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "training"}
    }
    digests = work.trained.scorer.card.digests
    assert {name: dataset.digest for name, dataset in datasets.items()} == {
        table: digest[:36] for table, digest in digests.items()
    }
    assert len(datasets) == 4
    for name, dataset in datasets.items():
        table = getattr(work.records, name)
        profile = json.loads(dataset.profile)
        assert (profile["num_rows"], profile["num_elements"]) == (len(table), table.size)
        assert profile["sha256"] == digests[name]
        assert profile["missing"] == {k: n for k, n in table.isna().sum().items() if n}
        source = mlflow.data.get_source(dataset)
        assert source.to_dict()["uri"] == f"{name}.csv"
        columns = json.loads(dataset.schema)["mlflow_colspec"]
        assert [column["name"] for column in columns] == list(table.columns)
    kinds = {c["name"]: c["type"] for c in json.loads(datasets["leads"].schema)["mlflow_colspec"]}
    assert (kinds["lead_id"], kinds["created_at"]) == ("string", "datetime")


def test_run_and_version_name_the_user(tracked_run: Run) -> None:
    assert tracked_run.run.data.tags["mlflow.user"] == user_name()


def test_run_has_card_environment_and_plots(tracked_run: Run, work: Work) -> None:
    folder = tracked_run.folder
    card = json.loads((folder / "card.json").read_text())
    assert card == work.trained.scorer.card.to_json()
    environment = (folder / "environment.txt").read_text().splitlines()
    assert environment[0] == f"# Python {platform.python_version()}"
    assert f"mlflow=={mlflow.__version__}" in environment
    assert any(line.startswith("lightgbm==") for line in environment)
    plots = {plot.name: plot.read_bytes() for plot in (folder / "plots").iterdir()}
    assert plots.keys() == {"reliability.png", "gains.png", "log_loss.png"}
    for content in plots.values():
        assert content.startswith(b"\x89PNG\r\n")
        assert len(content) > 5_000


def test_run_has_the_project_file_without_its_password(tracked_run: Run, work: Work) -> None:
    text = (tracked_run.folder / "leadscore.toml").read_text()
    assert "postgresql://crm:***@db.example/crm" in text
    assert text.replace("***", PASSWORD) == work.project.text


def test_run_has_moments_and_their_test_margins(tracked_run: Run, work: Work) -> None:
    table = StoredMoments.from_parquet((tracked_run.folder / MOMENTS_FILE).read_bytes())
    split = work.trained.split
    assert dict(zip(*np.unique(table.role, return_counts=True), strict=True)) == {
        "train": len(split.train),
        "test": len(split.test),
        "embargoed": split.embargoed,
    }
    is_test = table.role == "test"
    np.testing.assert_array_equal(table.margin[is_test], work.trained.test_margin)
    np.testing.assert_array_equal(table.label, work.trained.moments.label)
    earlier = work.trained.rolling.cut_offs[1:]
    for cut_off in earlier:
        np.testing.assert_array_equal(table.margin[table.cutoff == cut_off.begins], cut_off.margin)
    is_earlier = np.isin(table.cutoff, [cut_off.begins for cut_off in earlier])
    assert is_earlier.sum() == sum(len(cut_off.margin) for cut_off in earlier) > 0
    assert np.isnan(table.margin[~is_test & ~is_earlier]).all()


def test_tables_of_the_card_are_csv_files_without_formulas(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    card = work.trained.scorer.card
    first, *other_segments = card.segments
    card = replace(card, segments=[{**first, "value": "=cmd()"}, *other_segments])
    trained = replace(work.trained, scorer=replace(work.trained.scorer, card=card))
    tracked, _ = register(registry, project, work, trained)
    folder = registry.client.download_artifacts(tracked.run_id, "tables", str(tmp_path))
    tables = {file.stem: pd.read_csv(file) for file in Path(folder).iterdir()}
    assert tables.keys() >= {"by_age", "by_grade", "reliability", "gains", "segments"}
    assert tables["segments"]["value"].iloc[0] == "'=cmd()"
    assert list(tables["segments"]["n"]) == [row["n"] for row in card.segments]
    assert list(tables["by_age"]["age_days"]) == [row["age_days"] for row in card.test["by_age"]]


def test_table_of_remedies_has_a_number_for_each_cut_off(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    remedy = {"name": "early wins", "change": -0.02, "error": 0.005, "helps": True}
    remedy["by_cut_off"] = [-0.03, -0.01]
    card = work.trained.scorer.card
    card = replace(card, estimator={**card.estimator, "remedies_tried": [remedy]})
    trained = replace(work.trained, scorer=replace(work.trained.scorer, card=card))
    tracked, _ = register(registry, project, work, trained)
    table = registry.client.download_artifacts(tracked.run_id, "tables/remedies.csv", str(tmp_path))
    (row,) = pd.read_csv(table).to_dict("records")
    assert row == {
        **{"name": "early wins", "change": -0.02, "error": 0.005, "helps": True},
        **{"change_1": -0.03, "change_2": -0.01},
    }


def test_every_trial_is_a_nested_run(work: Work, project: Project, registry: Registry) -> None:
    tracked, _ = register(registry, project, work, replace(work.trained, trials=TRIALS))
    nested = registry.client.search_runs(
        [registry.find_experiment()], f"tags.`mlflow.parentRunId` = '{tracked.run_id}'"
    )
    runs = {run.info.run_name: run for run in nested}
    assert runs.keys() == {"trial 0", "trial 1"}
    searched = {f"trees.{name}" for name in TreesKeys.__struct_fields__}
    assert runs["trial 0"].data.params.keys() == runs["trial 1"].data.params.keys() == searched
    assert runs["trial 0"].data.params["trees.num_leaves"] == "31"
    assert runs["trial 1"].data.params["trees.num_leaves"] == "7"
    assert runs["trial 1"].data.params["trees.extra_trees"] == "false"
    assert runs["trial 0"].data.metrics == {"tuning.log_loss": 0.41, "seconds": 2.5}
    assert runs["trial 1"].data.metrics == {"seconds": 0.5}
    assert runs["trial 1"].data.tags["leadscore.state"] == "pruned"
    metrics = registry.client.get_run(tracked.run_id).data.metrics
    tuning = {name: value for name, value in metrics.items() if name.startswith("tuning.")}
    assert tuning == {
        "tuning.trials": 2,
        "tuning.log_loss_of_the_best": 0.41,
        "tuning.log_loss_of_the_start": 0.41,
    }


# -- what is stored ------------------------------------------------------------------------


def test_files_of_a_training_are_next_to_the_project_file(
    work: Work, project: Project, registry: Registry
) -> None:
    register(registry, project, work)
    assert {path.name for path in project.folder.iterdir()} == {
        "leadscore.toml",
        "mlflow.db",
        "mlflow.db.lock",
        "mlartifacts",
    }
    for path in (*(project.folder / "mlartifacts").rglob("*"), project.folder / "mlflow.db"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_absent_file_of_a_run_is_none(work: Work, project: Project, registry: Registry) -> None:
    tracked, _ = register(registry, project, work)
    assert registry.run_file(tracked.version, MOMENTS_FILE) is not None
    assert registry.run_file(tracked.version, "nothing.parquet") is None


def test_two_registries_do_not_mix(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    empty_registry = Registry(copy_project(work, tmp_path / "empty"))
    tracked, _ = register(registry, project, work)
    assert str(tmp_path / "mlartifacts") in tracked.artifact_uri
    assert "MLFLOW_TRACKING_URI" not in os.environ
    with pytest.raises(TrackingError, match="no champion"):
        empty_registry.load_champion()
    assert registry.load_champion()[0].digest == work.digest


# -- loading -------------------------------------------------------------------------------


def test_loaded_champion_equals_the_trained_model(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, _ = register(registry, project, work)
    loaded, version = registry.load_champion()
    assert (loaded.digest, version) == (work.digest, "1")
    assert loaded.scorer == work.trained.scorer
    assert load_artifact(local_path(tracked.artifact_uri)).digest == work.digest


def test_fetched_artefact_exists_only_within_the_context(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, _ = register(registry, project, work)
    with registry.fetched(tracked.version) as folder:
        names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in work.artifact.iterdir())
    assert not folder.exists()


def test_replaced_artefact_of_a_version_is_refused(
    work: Work, project: Project, registry: Registry
) -> None:
    tracked, _ = register(registry, project, work)
    trained, scorer = work.trained, work.trained.scorer
    slope = scorer.calibration.slope / 2
    replaced = replace(scorer, calibration=replace(scorer.calibration, slope=slope))
    artifact = local_path(tracked.artifact_uri)
    shutil.rmtree(artifact)
    digest = save_artifact(replaced, trained.golden_leads, artifact, trained.golden_as_of)
    message = f"Version 1 of `demo` is not the model .* digest {digest[:12]}, the registry has "
    with pytest.raises(ArtifactError, match=message):
        registry.load_champion()


def test_altered_artefact_is_not_logged(
    work: Work, project: Project, registry: Registry, tmp_path: Path
) -> None:
    damaged = shutil.copytree(work.artifact, tmp_path / "work" / ARTIFACT)
    (damaged / "booster.txt").write_text("other trees")
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        register(registry, project, work, artifact=damaged)
    (run,) = training_runs(registry)
    assert run.info.status == "FAILED"
    assert "booster.txt is not the file that was saved" in run.data.tags["leadscore.error"]


# -- servers -------------------------------------------------------------------------------


def test_server_stores_and_loads_models(
    work: Work, project: Project, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    registry = Registry(project)
    assert registry.find_champion() is None
    tracked, standing = register(registry, project, work)
    assert (tracked.tracking_uri, tracked.version) == (mlflow_server, "1")
    assert standing.is_champion
    loaded, version = Registry(project).load_champion()
    assert (loaded.digest, version) == (work.digest, "1")
    assert loaded.scorer == work.trained.scorer
    assert not (project.folder / "mlartifacts").exists()

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.pyfunc, "log_model", failing)
        with pytest.raises(TrackingError, match=f"at {mlflow_server} refused: gone"):
            register(registry, project, work)
    versions = registry.client.search_model_versions("name='demo'")
    assert [str(version.version) for version in versions] == ["1"]
    assert versions[0].tags["created_by"] == user_name()
    assert "Verdict: " in versions[0].description
    failed, finished = training_runs(registry)
    assert (failed.info.status, finished.info.status) == ("FAILED", "FINISHED")
    assert registry.client.list_artifacts(failed.info.run_id) == []
    assert registry.client.list_artifacts(finished.info.run_id) != []


def failing(*arguments: Any, **options: Any) -> None:
    raise mlflow.MlflowException("gone")


def test_postgresql_stores_and_loads_models(
    work: Work, project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)  # MLflow's default place for files
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres_url)
    registry = Registry(project)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "make_champion", failing)
        with pytest.raises(TrackingError, match="refused: gone"):
            register(registry, project, work)
    assert not any(stored(registry, project).values())
    files = {path.name for path in project.folder.rglob("*")}
    assert files.isdisjoint({"card.json", "MLmodel"})
    assert register(registry, project, work)[1].is_champion
    assert Registry(project).load_champion()[0].digest == work.digest
