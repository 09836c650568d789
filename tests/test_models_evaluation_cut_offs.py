"""Metrics within cut-offs, and their means."""

import numpy as np
import pytest

from crm.arrays import Floats, Ints, Labels
from models.evaluation.cut_offs import CutOffMetrics
from models.evaluation.metrics import MODEL_METRICS, measure

RANKING = ("roc_auc", "pr_auc", "lift_at_10")


def leads_of_two_models(n: int = 400) -> tuple[Floats, Labels, Ints]:
    """Return log-odds of two models; the second one gives 3 more to each lead."""
    generator = np.random.default_rng(0)
    truth = generator.normal(-1, 1.5, n)
    label = (generator.random(n) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    cut_off = (np.arange(n) >= n // 4).astype(np.int64)
    return truth + 3.0 * cut_off, label, cut_off


def test_metrics_are_means_over_cut_offs_with_the_number_of_moments() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    means = CutOffMetrics(log_odds, label, cut_off).means(np.ones(400))
    first, second = (
        measure(log_odds[rows], label[rows], np.ones(rows.sum()))
        for rows in (cut_off == 0, cut_off == 1)
    )
    assert list(means) == list(MODEL_METRICS)
    for name, mean in means.items():
        assert mean == pytest.approx(0.25 * first[name] + 0.75 * second[name])


def test_levels_of_models_do_not_change_the_ranking() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    shifted = log_odds - 3.0 * cut_off
    means = CutOffMetrics(log_odds, label, cut_off).means(np.ones(400))
    of_shifted = CutOffMetrics(shifted, label, cut_off).means(np.ones(400))
    together = measure(log_odds, label, np.ones(400))
    for name in RANKING:
        assert means[name] == pytest.approx(of_shifted[name])
        assert means[name] != pytest.approx(together[name])


def test_one_cut_off_has_the_metrics_of_the_evaluation() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    weight = np.random.default_rng(1).integers(0, 4, 400).astype(np.float64)
    assert CutOffMetrics(log_odds, label, cut_off * 0).means(weight) == measure(
        log_odds, label, weight
    )


def test_mean_losses_do_not_depend_on_the_cut_offs() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    means = CutOffMetrics(log_odds, label, cut_off).means(np.ones(400))
    together = measure(log_odds, label, np.ones(400))
    assert means["log_loss"] == pytest.approx(together["log_loss"])
    assert means["brier"] == pytest.approx(together["brier"])


def test_cut_off_with_one_outcome_does_not_count_in_the_ranking() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    label = np.where(cut_off == 1, 0, label).astype(np.int8)
    metrics = CutOffMetrics(log_odds, label, cut_off)
    first = measure(log_odds[cut_off == 0], label[cut_off == 0], np.ones(100))
    means = metrics.means(np.ones(400))
    assert {name: means[name] for name in RANKING} == {name: first[name] for name in RANKING}
    assert means["log_loss"] > first["log_loss"]
    assert metrics.means((cut_off == 1).astype(np.float64)).keys().isdisjoint(RANKING)


def test_cut_off_without_weight_does_not_count() -> None:
    log_odds, label, cut_off = leads_of_two_models()
    means = CutOffMetrics(log_odds, label, cut_off).means((cut_off == 0).astype(np.float64))
    assert means == measure(log_odds[cut_off == 0], label[cut_off == 0], np.ones(100))
