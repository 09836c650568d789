"""The gates of whole versions: their results, and what is compared with what."""

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from crm.errors import ConfigError, GateError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.times import NOT_A_TIME
from models.artifact import save_artifact
from models.registry.history import history
from models.registry.promotion import promote
from models.registry.registry import ARTIFACT, Registry
from tests.made_runs import track_training
from tests.made_trainings import evaluated
from training.comparison.comparison import compare
from training.comparison.stored_moments import MOMENTS_FILE, StoredMoments
from training.gates.checks import GATES
from training.gates.first_champion import promote_first
from training.gates.gates import GateInputs, base_rate, run_gates, run_rollback_gate
from training.train import Trained

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
RELATIVE = [number for number, kind in GATES.items() if kind.is_relative]


@pytest.fixture(scope="module")
def artifact(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / ARTIFACT
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    return folder


def new_project(simulated_crm: Path, empty_mlflow: Path, folder: Path) -> Project:
    """Copy the simulated CRM and an empty MLflow database to a folder."""
    shutil.copytree(simulated_crm, folder, dirs_exist_ok=True)
    shutil.copy(empty_mlflow, folder)
    return load_project(folder)


def new_registry(project: Project, trained: Trained, artifact: Path) -> Registry:
    """Return a registry with version 1, the champion, and the same model as version 2."""
    registry, records = Registry(project), read_records(project)
    tracked = track_training(registry, project, records, trained, artifact, NOW)
    promote_first(registry, project, inputs_of(project, trained), tracked, NOW)
    if registry.find_champion() is None:  # the tests need a champion, whether or not it passes
        registry.make_champion("1")
    track_training(registry, project, records, trained, artifact, NOW)
    return registry


@pytest.fixture(scope="module")
def project(
    simulated_crm: Path, empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return a project that no test changes."""
    return new_project(simulated_crm, empty_mlflow, tmp_path_factory.mktemp("gates"))


@pytest.fixture(scope="module")
def registry(project: Project, trained: Trained, artifact: Path) -> Registry:
    """Return a registry with two versions that no test changes."""
    return new_registry(project, trained, artifact)


@pytest.fixture
def own_project(simulated_crm: Path, empty_mlflow: Path, tmp_path: Path) -> Project:
    """Return a project for one test."""
    return new_project(simulated_crm, empty_mlflow, tmp_path)


@pytest.fixture
def own_registry(own_project: Project, trained: Trained, artifact: Path) -> Registry:
    """Return a registry with two versions for one test, which may damage them."""
    return new_registry(own_project, trained, artifact)


def inputs_of(project: Project, trained: Trained) -> GateInputs:
    return GateInputs(read_records(project), trained.moments, trained.audit)


def few_inputs(project: Project, trained: Trained) -> GateInputs:
    """Return inputs with the five newest moments only."""
    n = len(trained.moments)
    newest = trained.moments.take(np.arange(n - 5, n))
    return replace(inputs_of(project, trained), moments=newest)


def test_same_model_passes_every_gate(
    registry: Registry, project: Project, trained: Trained
) -> None:
    results = run_gates(registry, project, inputs_of(project, trained), "2")
    assert [gate.number for gate in results.gates] == list(GATES)
    assert [gate.name for gate in results.gates] == [kind.title for kind in GATES.values()]
    assert results.failed == ()
    assert (results.version, results.against) == ("2", "1")
    assert results.scale == trained.scorer.scale
    assert f"on {len(trained.split.test):,} moments of" in results.gates[0].evidence


def test_champion_is_refused_as_challenger(
    registry: Registry, project: Project, trained: Trained
) -> None:
    with pytest.raises(ConfigError, match="Version 1 of `demo` is the champion already"):
        run_gates(registry, project, inputs_of(project, trained), "1")


def test_version_that_does_not_load_fails_every_gate(
    own_registry: Registry, own_project: Project, trained: Trained
) -> None:
    cards = [*(own_project.folder / "mlartifacts").rglob("scorer/card.json")]
    assert len(cards) == 2
    for card in cards:
        card.write_text("{}")
    results = run_gates(own_registry, own_project, inputs_of(own_project, trained), "2")
    assert len(results.failed) == len(GATES)
    assert results.scale is None
    loads = next(gate for gate in results.gates if gate.number == "LG106")
    assert "is not the file that was saved" in loads.evidence
    assert run_rollback_gate(own_registry, "2").gates == (loads,)


def run_folder(registry: Registry, version: str) -> Path:
    """Return the folder with the files of a version's run."""
    run = registry.client.get_run(registry.resolve(version).run_id)
    return Path(run.info.artifact_uri.removeprefix("file://"))


def artifact_folder(registry: Registry, version: str) -> Path:
    """Return the folder of a version's artefact."""
    source = registry.client.get_model_version(registry.name, version).source
    model = registry.client.get_logged_model(source.removeprefix("models:/"))
    return Path(model.artifact_location.removeprefix("file://")) / "artifacts" / ARTIFACT


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("card.json", "Version 1 of `demo`: scorer/card.json is not the file that was saved"),
        ("features.json", "Version 1 of `demo` is not the model that was registered"),
        (MOMENTS_FILE, "which the training of version 1 stored, is damaged"),
    ],
)
def test_damaged_champion_fails_the_gates_and_can_be_replaced(
    own_registry: Registry, own_project: Project, trained: Trained, name: str, evidence: str
) -> None:
    folder = (
        run_folder(own_registry, "1")
        if name == MOMENTS_FILE
        else artifact_folder(own_registry, "1")
    )
    (folder / name).write_text("{}")
    results = run_gates(own_registry, own_project, inputs_of(own_project, trained), "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    assert "The champion cannot be evaluated: " in results.failed[0].evidence
    assert evidence in results.failed[0].evidence
    with pytest.raises(GateError, match="did not pass 4 of 8 gates"):
        promote(own_registry, results, who="ann", at=NOW + MINUTE)
    at = NOW + 2 * MINUTE
    promote(own_registry, results, who="ann", at=at, because="1 is damaged", forced=True)
    assert own_registry.champion() == "2"
    assert [event.what for event in history(own_registry)][-2:] == ["refused", "forced"]


def test_rollback_checks_only_that_the_version_loads(registry: Registry) -> None:
    results = run_rollback_gate(registry, "2")
    assert [(gate.number, gate.passed) for gate in results.gates] == [("LG106", True)]
    assert results.against == "1"


def test_relative_gates_fail_with_too_few_shared_outcomes(
    registry: Registry, project: Project, trained: Trained
) -> None:
    inputs = few_inputs(project, trained)
    results = run_gates(registry, project, inputs, "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    first, *later_gates = results.failed
    assert first.evidence.startswith("Too few outcomes to judge")
    assert "Wait for more outcomes, or train again" in first.evidence
    assert {gate.evidence for gate in later_gates} == {"Not passed for the reason given at LG101."}


def test_first_version_with_too_few_outcomes_passes(
    registry: Registry, project: Project, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = few_inputs(project, trained)
    monkeypatch.setattr(registry, "find_champion", lambda: None)
    results = run_gates(registry, project, inputs, "2")
    by_number = {gate.number: gate for gate in results.gates}
    assert all(by_number[number].passed for number in RELATIVE)
    assert "It passes because there is no champion yet" in by_number["LG101"].evidence


def test_versions_are_compared_on_leads_unseen_by_both(
    registry: Registry, project: Project, trained: Trained
) -> None:
    comparison = compare(registry, project, read_records(project), "1", "2").to_json()
    assert (comparison["one"], comparison["other"]) == ("1", "2")
    assert comparison["verdict"] == "judged"
    cut_offs = trained.rolling.cut_offs[::-1]
    assert comparison["n_cut_offs"] == len(cut_offs) == 3
    assert comparison["n"] == sum(len(cut_off.split.test) for cut_off in cut_offs)
    log_loss = next(row for row in comparison["metrics"] if row["metric"] == "log_loss")
    assert log_loss["one"] == pytest.approx(trained.rolling.means["log_loss"])
    assert log_loss["difference"] == 0
    for row, cut_off in zip(comparison["cut_offs"], cut_offs, strict=True):
        assert row["n"] == len(cut_off.split.test)
        assert row["one"] == row["other"] == pytest.approx(cut_off.values)
    newest = comparison["cut_offs"][-1]
    assert newest["n"] == len(trained.split.test)
    assert newest["one"]["log_loss"] == pytest.approx(evaluated(trained).test.values["log_loss"])


def without_cut_offs(registry: Registry, version: str) -> None:
    """Replace the stored moments of a version by those that earlier versions stored."""
    file = run_folder(registry, version) / MOMENTS_FILE
    table = pd.read_parquet(file)
    table.loc[table["role"] != "test", "margin"] = np.nan
    table.drop(columns="cutoff").to_parquet(file, index=False)


def test_version_without_cut_offs_is_compared_on_its_test_leads(
    own_registry: Registry, own_project: Project, trained: Trained
) -> None:
    without_cut_offs(own_registry, "1")
    comparison = compare(own_registry, own_project, read_records(own_project), "2", "1").to_json()
    assert comparison["verdict"] == "judged"
    assert comparison["n"] == len(trained.split.test)
    assert comparison["n_cut_offs"] == 1
    log_loss = next(row for row in comparison["metrics"] if row["metric"] == "log_loss")
    assert log_loss["one"] == pytest.approx(evaluated(trained).test.values["log_loss"])
    evidence = run_gates(own_registry, own_project, inputs_of(own_project, trained), "2").gates[0]
    assert "cut-offs" not in evidence.evidence


def test_gates_compare_with_the_champion_over_all_cut_offs(
    registry: Registry, project: Project, trained: Trained
) -> None:
    gates = run_gates(registry, project, inputs_of(project, trained), "2").gates
    n = sum(len(cut_off.split.test) for cut_off in trained.rolling.cut_offs)
    for gate in gates[:2]:
        assert f"on {n:,} moments of" in gate.evidence
        assert "as the mean over 3 cut-offs. On the newest leads alone: " in gate.evidence
        assert f"on {len(trained.split.test):,} moments of" in gate.evidence


def test_gates_compare_with_the_base_rate_on_the_newest_leads_alone(
    registry: Registry, project: Project, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_champion", lambda: None)
    evidence = run_gates(registry, project, inputs_of(project, trained), "2").gates[0].evidence
    assert f"on {len(trained.split.test):,} moments of" in evidence
    assert "cut-offs" not in evidence


@pytest.mark.parametrize("change", ["dropped", "emptied"])
def test_champion_with_a_missing_column_is_not_comparable(
    registry: Registry, project: Project, trained: Trained, change: str
) -> None:
    inputs = inputs_of(project, trained)
    leads = inputs.records.leads
    leads = leads.drop(columns="source") if change == "dropped" else leads.assign(source=None)
    records = replace(inputs.records, leads=leads)
    results = run_gates(registry, project, replace(inputs, records=records), "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    assert "Version 1 learned from `source`, which today's records lack" in (
        results.failed[0].evidence
    )
    (*_, last_warning) = compare(registry, project, records, "1", "2").to_json()["warnings"]
    assert "Version 2 learned from `source`" in last_warning


@pytest.fixture
def shorter_horizon(own_project: Project) -> Project:
    """Return the project with another horizon than the versions were trained for."""
    text = own_project.path.read_text()
    own_project.path.write_text(text.replace("horizon_days = 90", "horizon_days = 14"))
    return load_project(own_project.folder)


def test_version_for_another_question_fails(
    registry: Registry, shorter_horizon: Project, trained: Trained
) -> None:
    results = run_gates(registry, shorter_horizon, GateInputs.read(shorter_horizon, NOW), "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    assert (
        "Version 2 predicts won within 90 days, but the project file" in results.failed[0].evidence
    )
    records = read_records(shorter_horizon)
    comparison = compare(registry, shorter_horizon, records, "1", "2").to_json()
    assert [warning.partition(",")[0] for warning in comparison["warnings"]] == [
        f"Version {version} predicts won within 90 days" for version in "12"
    ]


def test_base_rate_comes_from_the_training_moments() -> None:
    stored = StoredMoments(
        lead=np.arange(101, dtype=np.uint64),
        as_of=np.zeros(101, np.int64),
        role=np.array(["train"] * 99 + ["test", "embargoed"]),
        label=np.array([1] * 24 + [0] * 75 + [1, 1], dtype=np.int8),
        margin=np.full(101, np.nan),
        cutoff=np.full(101, NOT_A_TIME),
        later_margin=np.full(101, np.nan),
        later_cutoff=np.full(101, NOT_A_TIME),
    )
    assert base_rate(stored).log_odds == pytest.approx(logit(24.5 / 100))


def test_inputs_are_read_from_the_project(project: Project, trained: Trained) -> None:
    inputs = GateInputs.read(project, NOW)
    pd.testing.assert_frame_equal(inputs.records.leads, read_records(project).leads)
    np.testing.assert_array_equal(inputs.moments.label, trained.moments.label)
    assert inputs.audit == trained.audit
