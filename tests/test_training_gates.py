"""The gates: what each lets pass, and the results of whole versions."""

import datetime
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from crm.errors import ConfigError, GateError
from crm.project import Project, load_project
from crm.reading import read_records
from features.leaks.audit import AttributeAudit, Audit
from features.leaks.checks import Finding, Verdict
from features.moments import Moments
from models.artifact import save_artifact
from models.estimator.blend import BaseRate
from models.registry.history import history
from models.registry.promotion import promote
from models.registry.registry import ARTIFACT, Registry
from models.scale import Scale
from training.comparison.comparison import Difference, SharedMoments, compare
from training.comparison.held_out import MOMENTS_FILE, StoredMoments
from training.gates.checks import (
    COLLAPSE,
    GATES,
    TINY,
    Segment,
    chance_error,
    has_same_scale,
    is_calibrated,
    is_free_of_leaks,
    log_loss_is_not_worse,
    no_segment_collapses,
    pr_auc_is_not_worse,
)
from training.gates.first_champion import promote_first
from training.gates.gates import GateInputs, base_rate, run_gates, run_rollback_gate
from training.tracking import track
from training.train import Trained

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


def moments_of(label: np.ndarray) -> Moments:
    n = len(label)
    return Moments(
        np.arange(n),
        np.zeros(n, np.int64),
        label.astype(np.int8),
        np.zeros(n, np.int64),
        np.ones(n),
        {},
    )


def world(n: int = 2_000, seed: int = 0) -> tuple[np.ndarray, Moments]:
    """Return true log-odds, and moments with outcomes drawn from them."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-1, 1.5, n)
    return truth, moments_of(generator.random(n) < 1 / (1 + np.exp(-truth)))


EMPTY = SharedMoments(moments_of(np.zeros(0)), np.zeros(0), np.zeros(0))


# -- LG101, LG102 --------------------------------------------------------------------------

RELATIVE = [number for number, kind in GATES.items() if kind.is_relative]
NOT_WORSE = {
    "lower log loss": ("LG101", 0.40, 0.45, -0.06, -0.04, True),
    "higher log loss, perhaps by chance": ("LG101", 0.45, 0.40, -0.01, 0.11, True),
    "higher log loss beyond chance": ("LG101", 0.45, 0.40, 0.01, 0.09, False),
    "higher beyond chance but tiny": ("LG101", 0.40 + TINY / 2, 0.40, 1e-5, TINY, True),
    "equal": ("LG101", 0.40, 0.40, 0.0, 0.0, True),
    "higher PR AUC": ("LG102", 0.60, 0.50, 0.05, 0.15, True),
    "lower PR AUC, perhaps by chance": ("LG102", 0.50, 0.60, -0.21, 0.01, True),
    "lower PR AUC beyond chance": ("LG102", 0.50, 0.60, -0.15, -0.05, False),
    "lower beyond chance but tiny": ("LG102", 0.5, 0.5 + TINY / 2, -TINY, -1e-5, True),
}


@pytest.mark.parametrize("case", NOT_WORSE)
def test_metric_gate_fails_only_for_a_clear_and_certain_loss(case: str) -> None:
    number, one, other, low, high, passed = NOT_WORSE[case]
    check = log_loss_is_not_worse if number == "LG101" else pr_auc_is_not_worse
    gate = check(Difference("", one, other, low, high), EMPTY, "version 1")
    assert (gate.number, gate.passed) == (number, passed)
    assert f"{one:.4f}, against {other:.4f} for version 1" in gate.evidence


# -- LG103 ---------------------------------------------------------------------------------


def calibration_gate(
    margin: np.ndarray, moments: Moments, other: float, low: float
) -> tuple[bool, str]:
    from models.evaluation.metrics import measure

    shared = SharedMoments(moments, margin, margin)
    error = measure(margin, moments.label, moments.weight)["ece"]
    difference = Difference("ece", error, other, low, low + 0.1)
    gate = is_calibrated(difference, shared, "version 1", seed=0)
    return gate.passed, gate.evidence


def test_true_probabilities_pass_the_calibration_gate() -> None:
    truth, moments = world()
    assert calibration_gate(truth, moments, other=0.0, low=0.001)[0]


def test_overconfidence_fails_the_calibration_gate() -> None:
    truth, moments = world()
    passed, evidence = calibration_gate(4 * truth, moments, other=0.01, low=0.05)
    assert not passed
    assert "0.05 is always allowed" in evidence


def test_calibration_gate_passes_if_the_champion_is_as_far_off() -> None:
    truth, moments = world()
    assert calibration_gate(4 * truth, moments, other=0.12, low=-0.01)[0]


def test_calibration_gate_allows_more_with_fewer_leads() -> None:
    truth, moments = world(4_000)
    by_chance = [
        chance_error(truth[:n], moments.weight[:n], moments.lead[:n], seed=0)
        for n in (40, 400, 4_000)
    ]
    assert by_chance[0] > 0.1 > by_chance[1] > 0.03 > by_chance[2] > 0


def test_repeated_moments_do_not_tighten_the_calibration_gate() -> None:
    truth, moments = world(200)
    once = chance_error(truth, moments.weight, moments.lead, seed=0)
    often = chance_error(truth.repeat(6), np.ones(1_200), moments.lead.repeat(6), seed=0)
    assert often == pytest.approx(once, rel=0.15)


# -- LG104, LG107 --------------------------------------------------------------------------


def audited(**verdicts: Verdict) -> Audit:
    finding = Finding("LS101", Verdict.LEAK, "Filled late.")
    return Audit(
        tuple(
            AttributeAudit(attribute=name, verdict=verdict, findings=(finding,), line=None)
            for name, verdict in verdicts.items()
        )
    )


def looking_at(*columns: str) -> SimpleNamespace:
    return SimpleNamespace(pipeline=SimpleNamespace(columns=list(columns)))


def project_with(*known_later: str) -> SimpleNamespace:
    return SimpleNamespace(columns=SimpleNamespace(known_later=list(known_later)))


def test_leak_gate_ignores_columns_that_the_model_does_not_use() -> None:
    found = audited(contract=Verdict.LEAK, source=Verdict.FINE, notes=Verdict.SUSPECT)
    fine = is_free_of_leaks(looking_at("source", "notes"), found, project_with())
    leaking = is_free_of_leaks(looking_at("source", "contract"), found, project_with())
    assert fine.passed
    assert not leaking.passed
    assert "`contract`: LS101 Filled late." in leaking.evidence


def test_leak_gate_fails_for_a_column_declared_known_later() -> None:
    gate = is_free_of_leaks(looking_at("contract"), audited(), project_with("contract"))
    assert not gate.passed
    assert "`contract`: [columns] known_later names it" in gate.evidence


def test_scale_gate_compares_with_the_pinned_scale() -> None:
    pinned = Scale(-1.5)
    asks = {"won": ["won"], "horizon_days": 90.0}
    assert has_same_scale(Scale(-1.5), pinned, asks, asks).passed
    assert has_same_scale(Scale(-0.5), None, asks, None).passed
    assert not has_same_scale(Scale(-1.4), pinned, asks, asks).passed
    other = has_same_scale(Scale(-1.5, (("A", 70), ("B", 50), ("C", 35))), pinned, asks, asks)
    assert not other.passed
    assert "A from 70" in other.evidence
    assert "A from 65" in other.evidence


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ({"won": ["won"], "horizon_days": 14.0}, "won within 14 days"),
        ({"won": ["won", "trial"], "horizon_days": 90.0}, "trial or won within 90 days"),
        ({"won": ["won"], "horizon_days": None}, "It predicts won, but the champion"),
    ],
)
def test_scale_gate_fails_for_another_question(asks: dict, said: str) -> None:
    pinned = Scale(-1.5)
    gate = has_same_scale(Scale(-1.5), pinned, asks, {"won": ["won"], "horizon_days": 90.0})
    assert not gate.passed
    assert said in gate.evidence
    assert "the champion predicts won within 90 days" in gate.evidence


# -- LG105 ---------------------------------------------------------------------------------


def cut(rows: np.ndarray) -> list[Segment]:
    return [Segment("source", "Web", rows), Segment("source", "Fair", ~rows)]


def test_good_model_passes_the_segment_gate() -> None:
    truth, moments = world()
    shared = SharedMoments(moments, truth, truth)
    rows = np.arange(len(truth)) % 4 == 0
    gate = no_segment_collapses(shared, iter(cut(rows)), BaseRate(-1.0), "version 1")
    assert gate.passed
    assert "In none of 2 segments" in gate.evidence


def test_reversed_segment_fails_although_the_whole_is_better() -> None:
    truth, moments = world()
    rows = np.arange(len(truth)) % 10 == 0
    challenger = np.where(rows, -truth, truth)
    shared = SharedMoments(moments, challenger, 0.5 * truth - 2)
    gate = no_segment_collapses(shared, iter(cut(rows)), BaseRate(-1.0), "version 1")
    assert not gate.passed
    assert "source = 'Web'" in gate.evidence
    assert "'Fair'" not in gate.evidence
    assert "against version 1" in gate.evidence
    assert "against the base rate" in gate.evidence


def test_small_loss_in_a_segment_passes() -> None:
    truth, moments = world()
    loss_apart = 1e-4
    shared = SharedMoments(moments, truth - loss_apart, truth)
    rows = np.ones(len(truth), dtype=bool)
    assert loss_apart < COLLAPSE
    assert no_segment_collapses(shared, iter(cut(rows)), BaseRate(-1.0), "version 1").passed


def test_segments_with_few_outcomes_are_skipped() -> None:
    truth, moments = world(400)
    rows = np.arange(400) < 12
    shared = SharedMoments(moments, np.where(rows, -9.0 * truth, truth), truth)
    gate = no_segment_collapses(shared, iter(cut(rows)[:1]), BaseRate(-1.0), "version 1")
    assert gate.passed
    assert "No segment has enough outcomes" in gate.evidence


def test_many_random_segments_raise_no_alarm() -> None:
    truth, moments = world(4_000, seed=3)
    generator = np.random.default_rng(1)
    noisy = [truth + generator.normal(0, 0.3, 4_000) for _ in range(2)]
    shared = SharedMoments(moments, *noisy)
    of = generator.integers(0, 40, 4_000)
    many = [Segment("city", str(i), of == i) for i in range(40)]
    gate = no_segment_collapses(shared, iter(many), BaseRate(-1.0), "version 1")
    assert gate.passed, gate.evidence


# -- all of them ---------------------------------------------------------------------------


@pytest.fixture
def project(simulated_crm: Path, empty_mlflow: Path, tmp_path: Path) -> Project:
    shutil.copytree(simulated_crm, tmp_path, dirs_exist_ok=True)
    shutil.copy(empty_mlflow, tmp_path)
    return load_project(tmp_path)


@pytest.fixture(scope="module")
def artifact(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / ARTIFACT
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    return folder


@pytest.fixture
def registry(project: Project, trained: Trained, artifact: Path) -> Registry:
    """Return a registry with version 1, the champion, and the same model as version 2."""
    registry, records = Registry(project), read_records(project)
    tracked = track(registry, project, records, trained, artifact, NOW)
    promote_first(registry, project, inputs_of(project, trained), tracked, NOW)
    if registry.find_champion() is None:  # the tests need a champion, whether or not it passes
        registry.make_champion("1")
    track(registry, project, records, trained, artifact, NOW)
    return registry


def inputs_of(project: Project, trained: Trained) -> GateInputs:
    return GateInputs(read_records(project), trained.moments, trained.audit)


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


def test_champion_is_not_judged_again(
    registry: Registry, project: Project, trained: Trained
) -> None:
    with pytest.raises(ConfigError, match="Version 1 of `demo` is the champion already"):
        run_gates(registry, project, inputs_of(project, trained), "1")


def test_version_that_does_not_load_fails_every_gate(
    registry: Registry, project: Project, trained: Trained
) -> None:
    cards = [*(project.folder / "mlartifacts").rglob("scorer/card.json")]
    assert len(cards) == 2
    for card in cards:
        card.write_text("{}")
    results = run_gates(registry, project, inputs_of(project, trained), "2")
    assert len(results.failed) == len(GATES)
    assert results.scale is None
    loads = next(gate for gate in results.gates if gate.number == "LG106")
    assert "is not the file that was saved" in loads.evidence
    assert run_rollback_gate(registry, "2").gates == (loads,)


def saved(registry: Registry, version: str) -> Path:
    """Return the folder of a version's artefact."""
    source = registry.client.get_model_version(registry.name, version).source
    model = registry.client.get_logged_model(source.removeprefix("models:/"))
    return Path(model.artifact_location.removeprefix("file://")) / "artifacts" / ARTIFACT


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("card.json", "Version 1 of `demo`: scorer/card.json is not the file that was saved"),
        ("features.json", "Version 1 of `demo` is not the model that was registered"),
        (MOMENTS_FILE, "which the training of version 1 stored, is damaged"),
    ],
)
def test_damaged_champion_is_named_and_can_be_replaced(
    registry: Registry, project: Project, trained: Trained, name: str, said: str
) -> None:
    run = registry.client.get_run(registry.resolve("1").run_id)
    run_files = Path(run.info.artifact_uri.removeprefix("file://"))
    (run_files if name == MOMENTS_FILE else saved(registry, "1")).joinpath(name).write_text("{}")
    results = run_gates(registry, project, inputs_of(project, trained), "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    assert "The champion cannot be evaluated: " in results.failed[0].evidence
    assert said in results.failed[0].evidence
    with pytest.raises(GateError, match="did not pass 4 of 7 gates"):
        promote(registry, results, who="ann", at=NOW + MINUTE)
    at = NOW + 2 * MINUTE
    promote(registry, results, who="ann", at=at, because="1 is damaged", forced=True)
    assert registry.champion() == "2"
    assert [event.what for event in history(registry)][-2:] == ["refused", "forced"]


def test_rollback_checks_only_that_the_version_loads(registry: Registry) -> None:
    results = run_rollback_gate(registry, "2")
    assert [(gate.number, gate.passed) for gate in results.gates] == [("LG106", True)]
    assert results.against == "1"


def test_relative_gates_fail_with_too_few_shared_outcomes(
    registry: Registry, project: Project, trained: Trained
) -> None:
    few = trained.moments.take(np.arange(len(trained.moments) - 5, len(trained.moments)))
    inputs = GateInputs(read_records(project), few, trained.audit)
    results = run_gates(registry, project, inputs, "2")
    assert [gate.number for gate in results.failed] == ["LG101", "LG102", "LG103", "LG105"]
    first, *others = results.failed
    assert first.evidence.startswith("Too few outcomes to judge")
    assert "Wait for more outcomes, or train again" in first.evidence
    assert {gate.evidence for gate in others} == {"Not passed for the reason given at LG101."}


def test_first_version_with_too_few_outcomes_passes(
    registry: Registry, project: Project, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = trained.moments.take(np.arange(len(trained.moments) - 5, len(trained.moments)))
    inputs = GateInputs(read_records(project), few, trained.audit)
    monkeypatch.setattr(registry, "find_champion", lambda: None)
    results = run_gates(registry, project, inputs, "2")
    by_number = {gate.number: gate for gate in results.gates}
    assert all(by_number[number].passed for number in ("LG101", "LG102", "LG103", "LG105"))
    assert "It passes because there is no champion yet" in by_number["LG101"].evidence


def test_versions_are_compared_on_leads_unseen_by_both(
    registry: Registry, project: Project, trained: Trained
) -> None:
    found = compare(registry, project, read_records(project), "1", "2").to_json()
    assert (found["one"], found["other"], found["verdict"]) == ("1", "2", "judged")
    assert found["n"] == len(trained.split.test)
    log_loss = next(row for row in found["metrics"] if row["metric"] == "log_loss")
    assert log_loss["one"] == pytest.approx(trained.evaluated_model.test.values["log_loss"])
    assert log_loss["difference"] == 0


@pytest.mark.parametrize("how", ["dropped", "emptied"])
def test_champion_with_a_missing_column_is_not_comparable(
    registry: Registry, project: Project, trained: Trained, how: str
) -> None:
    inputs = inputs_of(project, trained)
    leads = inputs.records.leads
    leads = leads.drop(columns="source") if how == "dropped" else leads.assign(source=None)
    records = replace(inputs.records, leads=leads)
    results = run_gates(registry, project, replace(inputs, records=records), "2")
    assert [gate.number for gate in results.failed] == list(RELATIVE)
    assert "Version 1 learned from `source`, which today's records lack" in (
        results.failed[0].evidence
    )
    (*_, last) = compare(registry, project, records, "1", "2").to_json()["warnings"]
    assert "Version 2 learned from `source`" in last


@pytest.fixture
def asked_again(project: Project) -> Project:
    """Return the project with another horizon than the versions were trained for."""
    file = project.folder / "leadscore.toml"
    file.write_text(file.read_text().replace("horizon_days = 90", "horizon_days = 14"))
    return load_project(project.folder)


def test_version_for_another_question_fails(
    registry: Registry, asked_again: Project, trained: Trained
) -> None:
    results = run_gates(registry, asked_again, GateInputs.read(asked_again, NOW), "2")
    assert [gate.number for gate in results.failed] == ["LG101", "LG102", "LG103", "LG105"]
    assert (
        "Version 2 predicts won within 90 days, but the project file" in results.failed[0].evidence
    )
    found = compare(registry, asked_again, read_records(asked_again), "1", "2").to_json()
    assert [warning.partition(",")[0] for warning in found["warnings"]] == [
        f"Version {version} predicts won within 90 days" for version in "12"
    ]


def test_base_rate_comes_from_the_training_moments() -> None:
    stored = StoredMoments(
        lead=np.arange(101, dtype=np.uint64),
        as_of=np.zeros(101, np.int64),
        role=np.array(["train"] * 99 + ["test", "embargoed"]),
        label=np.array([1] * 24 + [0] * 75 + [1, 1], dtype=np.int8),
        margin=np.full(101, np.nan),
    )
    assert base_rate(stored).log_odds == pytest.approx(logit(24.5 / 100))


def test_every_gate_is_documented() -> None:
    import training.gates.checks

    rows = [line for line in training.gates.checks.__doc__.splitlines() if line.startswith("| LG")]
    documented = [tuple(row.strip("| ").split(" | ")[0].split(" ", 1)) for row in rows]
    assert documented == [(kind.number, kind.title) for kind in GATES.values()]


def test_inputs_are_read_from_the_project(project: Project, trained: Trained) -> None:
    inputs = GateInputs.read(project, NOW)
    pd.testing.assert_frame_equal(inputs.records.leads, read_records(project).leads)
    np.testing.assert_array_equal(inputs.moments.label, trained.moments.label)
    assert inputs.audit == trained.audit
