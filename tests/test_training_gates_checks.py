"""The checks of the gates: what each of them passes and fails."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from crm.arrays import Bools, Floats
from features.leaks.audit import AttributeAudit, Audit
from features.leaks.check import Finding, Verdict
from features.moments import Moments
from models.estimator.blend import BaseRate
from models.evaluation.cut_offs import CutOffMetrics
from models.evaluation.metrics import measure
from models.registry.history import Gate
from models.scale import Scale
from tests.made_comparisons import one_cut_off
from training.comparison.comparison import Difference
from training.gates import checks
from training.gates.checks import (
    COLLAPSE,
    GATES,
    TINY,
    Compared,
    Segment,
    chance_error,
    has_same_scale,
    holds_on_its_newest_leads,
    is_calibrated,
    is_free_of_leaks,
    log_loss_is_not_worse,
    no_segment_collapses,
    pr_auc_is_not_worse,
)


def moments_of(label: Floats | Bools) -> Moments:
    """Return one moment for each label, each of a lead of its own."""
    n = len(label)
    return Moments(
        np.arange(n),
        np.zeros(n, np.int64),
        label.astype(np.int8),
        np.zeros(n, np.int64),
        np.ones(n),
        {},
    )


def world(n: int = 2_000, seed: int = 0) -> tuple[Floats, Moments]:
    """Return true log-odds, and moments with outcomes drawn from them."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-1, 1.5, n)
    return truth, moments_of(generator.random(n) < 1 / (1 + np.exp(-truth)))


EMPTY = one_cut_off(moments_of(np.zeros(0)), np.zeros(0), np.zeros(0))


# -- LG101, LG102 --------------------------------------------------------------------------

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
    number, challenger, champion, low, high, passed = NOT_WORSE[case]
    check = log_loss_is_not_worse if number == "LG101" else pr_auc_is_not_worse
    compared = Compared(Difference("", challenger, champion, low, high), EMPTY)
    gate = check(compared, "version 1")
    assert (gate.number, gate.passed) == (number, passed)
    assert f"{challenger:.4f}, against {champion:.4f} for version 1" in gate.evidence


@pytest.mark.parametrize("number", ["LG101", "LG102"])
def test_metric_gate_fails_if_the_newest_leads_alone_are_worse(number: str) -> None:
    sign, check = (1, log_loss_is_not_worse) if number == "LG101" else (-1, pr_auc_is_not_worse)
    low, high = sorted([0.01 * sign, 0.09 * sign])
    better = Compared(Difference("", 0.4 - 0.05 * sign, 0.4, -high, -low), EMPTY)
    worse = Compared(Difference("", 0.4 + 0.05 * sign, 0.4, low, high), EMPTY)
    assert check(better, "version 1", newest=better).passed
    assert not check(better, "version 1", newest=worse).passed
    gate = check(worse, "version 1", newest=better)
    assert not gate.passed
    assert "On the newest leads alone: " in gate.evidence


# -- LG103 ---------------------------------------------------------------------------------


def calibration_gate(margin: Floats, moments: Moments, champion_error: float, low: float) -> Gate:
    """Check the calibration of a challenger; `low` is the lower end of the difference."""
    shared = one_cut_off(moments, margin, margin)
    error = measure(margin, moments.label, moments.weight)["ece"]
    difference = Difference("ece", error, champion_error, low, low + 0.1)
    return is_calibrated(difference, shared, "version 1", seed=0)


def test_true_probabilities_pass_the_calibration_gate() -> None:
    truth, moments = world()
    assert calibration_gate(truth, moments, champion_error=0.0, low=0.001).passed


def test_overconfidence_fails_the_calibration_gate() -> None:
    truth, moments = world()
    gate = calibration_gate(4 * truth, moments, champion_error=0.01, low=0.05)
    assert not gate.passed
    assert "0.05 is always allowed" in gate.evidence


def test_calibration_gate_passes_if_the_champion_is_as_far_off() -> None:
    truth, moments = world()
    assert calibration_gate(4 * truth, moments, champion_error=0.12, low=-0.01).passed


def test_calibration_gate_allows_more_with_fewer_leads() -> None:
    truth, moments = world(4_000)
    of_40_leads, of_400_leads, of_4000_leads = (
        chance_error(
            truth[:n], moments.weight[:n], moments.lead[:n], np.zeros(n, dtype=np.int64), seed=0
        )
        for n in (40, 400, 4_000)
    )
    assert of_40_leads > 0.1 > of_400_leads > 0.03 > of_4000_leads > 0


def test_repeated_moments_do_not_tighten_the_calibration_gate() -> None:
    truth, moments = world(200)
    once = chance_error(truth, moments.weight, moments.lead, np.zeros(200, dtype=np.int64), seed=0)
    six_times = chance_error(
        truth.repeat(6),
        np.ones(1_200),
        moments.lead.repeat(6),
        np.zeros(1_200, dtype=np.int64),
        seed=0,
    )
    assert six_times == pytest.approx(once, rel=0.15)


def test_chance_error_is_that_of_the_mean_over_the_cut_offs() -> None:
    truth, moments = world(600)
    cut_off = np.arange(600) % 3
    allowed = chance_error(truth, moments.weight, moments.lead, cut_off, seed=0)
    generator = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        won = (generator.random(600) < expit(truth)).astype(np.int8)
        errors.append(CutOffMetrics(truth, won, cut_off).means(np.ones(600))["ece"])
    assert np.mean(np.array(errors) > allowed) < 0.15


# -- LG104, LG107 --------------------------------------------------------------------------


def audited(**verdicts: Verdict) -> Audit:
    """Return an audit with these verdicts by column."""
    finding = Finding("LS101", Verdict.LEAK, "Filled late.")
    return Audit(
        tuple(
            AttributeAudit(attribute=name, verdict=verdict, findings=(finding,), line=None)
            for name, verdict in verdicts.items()
        )
    )


def scorer_of(*columns: str) -> Any:
    """Return a scorer that reads these columns."""
    return SimpleNamespace(pipeline=SimpleNamespace(columns=list(columns)))


def project_with(*known_later: str) -> Any:
    """Return a project that declares these columns known later."""
    return SimpleNamespace(columns=SimpleNamespace(known_later=list(known_later)))


def test_leak_gate_ignores_columns_that_the_model_does_not_use() -> None:
    audit = audited(contract=Verdict.LEAK, source=Verdict.FINE, notes=Verdict.SUSPECT)
    without_leak = is_free_of_leaks(scorer_of("source", "notes"), audit, project_with())
    with_leak = is_free_of_leaks(scorer_of("source", "contract"), audit, project_with())
    assert without_leak.passed
    assert not with_leak.passed
    assert "`contract`: LS101 Filled late." in with_leak.evidence


def test_leak_gate_fails_for_a_column_declared_known_later() -> None:
    gate = is_free_of_leaks(scorer_of("contract"), audited(), project_with("contract"))
    assert not gate.passed
    assert "`contract`: [columns] known_later names it" in gate.evidence


QUESTION = {"won": ["won"], "horizon_days": 90.0}


def test_scale_gate_compares_with_the_pinned_scale() -> None:
    pinned = Scale(-1.5)
    assert has_same_scale(Scale(-1.5), pinned, QUESTION, QUESTION).passed
    assert not has_same_scale(Scale(-1.4), pinned, QUESTION, QUESTION).passed


def test_scale_gate_passes_any_scale_if_none_is_pinned() -> None:
    assert has_same_scale(Scale(-0.5), None, QUESTION, None).passed


def test_scale_gate_fails_for_other_grades() -> None:
    grades = (("A", 70), ("B", 50), ("C", 35))
    gate = has_same_scale(Scale(-1.5, grades), Scale(-1.5), QUESTION, QUESTION)
    assert not gate.passed
    assert "A from 70" in gate.evidence
    assert "A from 65" in gate.evidence


@pytest.mark.parametrize(
    ("question", "evidence"),
    [
        ({"won": ["won"], "horizon_days": 14.0}, "won within 14 days"),
        ({"won": ["won", "trial"], "horizon_days": 90.0}, "trial or won within 90 days"),
        ({"won": ["won"], "horizon_days": None}, "It predicts won, but the champion"),
    ],
)
def test_scale_gate_fails_for_another_question(question: dict[str, Any], evidence: str) -> None:
    gate = has_same_scale(Scale(-1.5), Scale(-1.5), question, QUESTION)
    assert not gate.passed
    assert evidence in gate.evidence
    assert "the champion predicts won within 90 days" in gate.evidence


# -- LG105 ---------------------------------------------------------------------------------


def web_and_fair(rows: Bools) -> list[Segment]:
    """Return two segments: the rows, and all others."""
    return [Segment("source", "Web", rows), Segment("source", "Fair", ~rows)]


def test_good_model_passes_the_segment_gate() -> None:
    truth, moments = world()
    shared = one_cut_off(moments, truth, truth)
    rows = np.arange(len(truth)) % 4 == 0
    gate = no_segment_collapses(shared, iter(web_and_fair(rows)), BaseRate(-1.0), "version 1")
    assert gate.passed
    assert "In none of 2 segments" in gate.evidence


def test_reversed_segment_fails_although_the_challenger_is_better_overall() -> None:
    truth, moments = world()
    rows = np.arange(len(truth)) % 10 == 0
    challenger = np.where(rows, -truth, truth)
    shared = one_cut_off(moments, challenger, 0.5 * truth - 2)
    gate = no_segment_collapses(shared, iter(web_and_fair(rows)), BaseRate(-1.0), "version 1")
    assert not gate.passed
    assert "source = 'Web'" in gate.evidence
    assert "'Fair'" not in gate.evidence
    assert "against version 1" in gate.evidence
    assert "against the base rate" in gate.evidence


def test_small_loss_in_a_segment_passes() -> None:
    truth, moments = world()
    shared = one_cut_off(moments, truth - COLLAPSE / 100, truth)
    rows = np.ones(len(truth), dtype=bool)
    assert no_segment_collapses(
        shared, iter(web_and_fair(rows)), BaseRate(-1.0), "version 1"
    ).passed


def test_segments_with_few_outcomes_are_skipped() -> None:
    truth, moments = world(400)
    rows = np.arange(400) < 12
    shared = one_cut_off(moments, np.where(rows, -9.0 * truth, truth), truth)
    gate = no_segment_collapses(shared, iter(web_and_fair(rows)[:1]), BaseRate(-1.0), "version 1")
    assert gate.passed
    assert "No segment has enough outcomes" in gate.evidence


def test_many_random_segments_raise_no_alarm() -> None:
    truth, moments = world(4_000, seed=3)
    generator = np.random.default_rng(1)
    challenger, champion = (truth + generator.normal(0, 0.3, 4_000) for _ in range(2))
    shared = one_cut_off(moments, challenger, champion)
    city = generator.integers(0, 40, 4_000)
    cities = [Segment("city", str(i), city == i) for i in range(40)]
    gate = no_segment_collapses(shared, iter(cities), BaseRate(-1.0), "version 1")
    assert gate.passed, gate.evidence


# -- all gates ---------------------------------------------------------------------------


def test_every_gate_is_documented() -> None:
    rows = [line for line in str(checks.__doc__).splitlines() if line.startswith("| LG")]
    documented = [tuple(row.strip("| ").split(" | ")[0].split(" ", 1)) for row in rows]
    assert documented == [(kind.number, kind.title) for kind in GATES.values()]


# -- LG108 ---------------------------------------------------------------------------------

ON_NEWEST = {
    "better beyond chance": (-0.05, -0.08, True),
    "better, perhaps by chance": (-0.01, -0.04, True),
    "equal": (0.0, 0.0, True),
    "worse, perhaps by chance": (0.05, -0.01, True),
    "worse at the edge of chance": (0.05, 0.0, True),
    "worse beyond chance": (0.05, 0.01, False),
    "worse beyond chance but tiny": (TINY / 2, 1e-5, True),
    "worse by the tolerance": (TINY, 1e-5, True),
}


@pytest.mark.parametrize("case", ON_NEWEST)
def test_newest_leads_gate_fails_only_for_a_clear_and_certain_loss(case: str) -> None:
    value, low, passed = ON_NEWEST[case]
    difference = {"value": value, "low": low, "high": value + 0.02}
    newest = {"n": 1_234, "log_loss": 0.4321, "roc_auc": 0.777, "less_base_rate": difference}
    gate = holds_on_its_newest_leads({"kind": "blend", "newest": newest})
    assert (gate.number, gate.name, gate.passed) == ("LG108", "newest leads", passed)
    assert (
        "log loss 0.4321 and ROC AUC 0.777 on the newest 1,234 moments. The log loss is "
        f"{value:+.4f} against the base rate (at least {low:+.4f})."
    ) in gate.evidence
    assert ("train again" in gate.evidence) == (not passed)


@pytest.mark.parametrize("estimator", [{}, {"kind": "base rate"}, {"newest": None}])
def test_newest_leads_gate_passes_without_figures(estimator: dict[str, Any]) -> None:
    gate = holds_on_its_newest_leads(estimator)
    assert gate.passed
    assert gate.evidence.startswith("The card has no figures for the newest leads")
    assert not GATES["LG108"].is_relative
