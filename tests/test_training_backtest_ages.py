"""The quality of models by age, by period, and against the newest model."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import t
from sklearn.metrics import log_loss, roc_auc_score

from crm.arrays import Floats
from models.evaluation.intervals import mean_interval
from models.evaluation.metrics import log_losses
from tests.made_backtests import at_day, scored_moments
from training.backtest.ages import (
    Estimate,
    QualityAtAge,
    by_age,
    by_period,
    extra_over_life,
    gain_over_base_rate,
)
from training.backtest.cut_off import CutOffModel
from training.backtest.plan import Plan
from training.backtest.scored import ScoredMoments

SEED = 3


def made(
    n_cut_offs: int = 5, each: int = 60, *, decay: float = 0.4, seed: int = 0
) -> tuple[ScoredMoments, Plan]:
    """Return moments whose models know less the older they are; the level moves as well."""
    generator = np.random.default_rng(seed)
    period = np.repeat(np.arange(n_cut_offs), each)
    truth = generator.normal(-0.5, 1.5, len(period))
    label = generator.random(len(period)) < expit(truth)
    ages = period[None, :] - np.arange(n_cut_offs)[:, None]
    noise = generator.normal(size=ages.shape)
    log_odds = truth + decay * np.maximum(ages, 0) * noise + 0.1 * np.arange(n_cut_offs)[:, None]
    return scored_moments(log_odds, period, label, base=-0.4)


def pair(scored: ScoredMoments, age: int) -> tuple[Floats, Floats, Floats]:
    """Return the labels and log-odds at an age, of the older and of the newest model, by a loop."""
    rows = []
    for i, period in enumerate(scored.period):
        if period >= age:
            own, older = scored.log_odds[period, i], scored.log_odds[period - age, i]
            rows.append((scored.moments.label[i], older, own))
    label, older, own = np.array(rows).T
    return label, older, own


def test_figures_of_an_age_by_hand() -> None:
    scored, plan = made()
    row = by_age(scored, plan, SEED)[2]
    assert (row.from_days, row.to_days, row.n_models) == (20, 30, 3)
    label, older, newest = pair(scored, 2)
    assert (row.quality.n, row.quality.n_leads) == (180, 180)
    assert row.quality.base_rate == pytest.approx(label.mean())
    assert row.quality.predicted == pytest.approx(expit(older).mean())
    assert row.quality.gap.value == pytest.approx(expit(older).mean() - label.mean())
    assert row.quality.log_loss is not None
    assert row.quality.roc_auc is not None
    assert row.quality.log_loss.value == pytest.approx(log_loss(label, expit(older)))
    areas = [
        [roc_auc_score(label[i : i + 60], scores[i : i + 60]) for i in (0, 60, 120)]
        for scores in (older, newest)
    ]
    assert row.quality.roc_auc.value == pytest.approx(np.mean(areas[0]))
    assert row.extra_log_loss is not None
    assert row.extra_roc_auc is not None
    difference = log_loss(label, expit(older)) - log_loss(label, expit(newest))
    assert row.extra_log_loss.value == pytest.approx(difference)
    assert row.extra_roc_auc.value == pytest.approx(np.mean(areas[0]) - np.mean(areas[1]))
    assert row.quality.roc_auc.low < row.quality.roc_auc.value < row.quality.roc_auc.high


def test_interval_over_cut_offs_by_hand() -> None:
    # Pairs (0, 2), (1, 3), (2, 4) of age 2: only cut-off 2 is in two of them.
    scored, plan = made(decay=3.0)
    row = by_age(scored, plan, SEED)[2]
    label, older, newest = pair(scored, 2)
    extra = (log_losses(older, label) - log_losses(newest, label)).reshape(3, 60).mean(axis=1)
    a, b, c = extra
    without = np.array([(b + c) / 2, (a + c) / 2, b, (a + c) / 2, (a + b) / 2])
    error = np.sqrt(3 / 10 * ((without - without.mean()) ** 2).sum())
    half = t.ppf(0.975, 2) * error
    assert row.extra_log_loss is not None
    assert half > 1.2 * (mean_half(older, newest, label))
    assert row.extra_log_loss.low == pytest.approx(row.extra_log_loss.value - half)
    assert row.extra_log_loss.high == pytest.approx(row.extra_log_loss.value + half)


def mean_half(older: Floats, newest: Floats, label: Any) -> float:
    """Return half the interval of the mean difference of log losses, by lead."""
    values = log_losses(older, label) - log_losses(newest, label)
    low, high = mean_interval(values, np.ones(len(values)), np.arange(len(values)))
    return (high - low) / 2


def test_interval_by_lead_counts_if_cut_offs_are_alike_by_chance() -> None:
    scored, plan = made()
    # Each period has the same leads, so the cut-offs do not differ at all.
    older = np.tile(scored.log_odds[0, :60], 5)
    newest = older + np.tile(np.random.default_rng(5).normal(size=60), 5)
    label = np.tile(scored.moments.label[:60], 5)
    ages = scored.period[None, :] - np.arange(5)[:, None]
    alike, _ = scored_moments(np.where(ages > 0, older, newest), scored.period, label)
    row = by_age(alike, plan, SEED)[1]
    assert row.extra_log_loss is not None
    half = mean_half(older[60:], newest[60:], label[60:])
    assert row.extra_log_loss.high - row.extra_log_loss.value == pytest.approx(half)
    assert row.extra_log_loss.value - row.extra_log_loss.low == pytest.approx(half)


def test_moments_of_a_lead_count_together() -> None:
    scored, plan = made()
    log_odds = np.repeat(scored.log_odds, 2, axis=1)
    period, label, lead = (
        np.repeat(v, 2) for v in (scored.period, scored.moments.label, scored.moments.lead)
    )
    repeated, _ = scored_moments(log_odds, period, label, lead=lead)
    for one, two in zip(by_age(scored, plan, SEED), by_age(repeated, plan, SEED), strict=True):
        assert two.quality.n == 2 * one.quality.n
        assert two.quality.n_leads == one.quality.n_leads
        assert two.quality.log_loss == pytest.approx(one.quality.log_loss)
        assert two.quality.gap == pytest.approx(one.quality.gap)
        assert two.extra_log_loss == pytest.approx(one.extra_log_loss)
        assert two.extra_roc_auc == pytest.approx(one.extra_roc_auc)


def test_newest_models_have_no_difference() -> None:
    scored, plan = made()
    first, *others = by_age(scored, plan, SEED)
    assert (first.from_days, first.n_models, first.quality.n) == (0, 5, 300)
    assert first.extra_log_loss is None
    assert first.extra_roc_auc is None
    assert all(row.extra_log_loss and row.extra_roc_auc for row in others)


def test_ages_of_fewer_than_three_models_are_left_out() -> None:
    assert [row.n_models for row in by_age(*made(5), SEED)] == [5, 4, 3]
    assert [row.n_models for row in by_age(*made(3), SEED)] == [3]
    assert [row.n_models for row in by_age(*made(2), SEED)] == [2]
    assert [row.n_models for row in by_age(*made(1), SEED)] == [1]


def test_figures_are_left_out_with_too_few_outcomes() -> None:
    scored, plan = made()
    label = np.zeros(300, dtype=np.int8)
    label[[0, *range(60, 69)]] = 1  # ten wins, one of them of the first period
    few, _ = scored_moments(scored.log_odds, scored.period, label)
    first, second, _ = by_age(few, plan, SEED)
    assert first.quality.log_loss is not None
    assert first.quality.roc_auc is not None
    assert second.quality.n == 240
    assert second.quality.log_loss is None
    assert second.quality.roc_auc is None
    assert second.extra_log_loss is None
    assert second.extra_roc_auc is None
    assert gain_over_base_rate(few) is not None
    label[0] = 0
    fewer, _ = scored_moments(scored.log_odds, scored.period, label)
    assert gain_over_base_rate(fewer) is None


def test_ranking_has_no_difference_if_a_remaining_period_has_one_outcome() -> None:
    scored, plan = made(4)
    label = scored.moments.label.copy()
    label[(scored.period == 1) | (scored.period == 2)] = 0
    one_sided, _ = scored_moments(scored.log_odds, scored.period, label)
    row = by_age(one_sided, plan, SEED)[1]
    assert row.quality.roc_auc is not None
    assert row.extra_roc_auc is None
    assert row.extra_log_loss is not None


def test_older_models_lose_what_they_do_not_know() -> None:
    ages = by_age(*made(8, 200), SEED)
    values = [row.extra_log_loss.value for row in ages if row.extra_log_loss]
    assert values == sorted(values)
    assert ages[3].extra_log_loss is not None
    assert ages[3].extra_log_loss.low > 0
    assert ages[3].extra_roc_auc is not None
    assert ages[3].extra_roc_auc.high < 0


def test_a_life_is_the_mean_of_its_ages() -> None:
    scored, plan = made(6)
    ages = by_age(scored, plan, SEED)
    same = [scored.at_age(age) for age in (1, 2)]
    of_life = extra_over_life(same, [1 / 3, 1 / 3])
    expected = sum(row.extra_log_loss.value for row in ages[1:3] if row.extra_log_loss) / 3
    assert of_life.value == pytest.approx(expected)
    assert of_life.low < of_life.value < of_life.high
    # With a share of 1, one age has the interval of that age.
    assert extra_over_life(same[1:], [1.0]) == ages[2].extra_log_loss


def test_interval_of_a_life_by_lead_counts_all_ages_of_a_lead_together() -> None:
    # All models but the newest give the same log-odds, so both ages have the same differences.
    scored, _ = made(5)
    older, newest = np.tile(scored.log_odds[0, :60], 5), np.tile(scored.log_odds[0, :60], 5)
    newest = newest + np.tile(np.random.default_rng(5).normal(size=60), 5)
    label = np.tile(scored.moments.label[:60], 5)
    ages = scored.period[None, :] - np.arange(5)[:, None]
    alike, _ = scored_moments(np.where(ages > 0, older, newest), scored.period, label)
    of_life = extra_over_life([alike.at_age(1), alike.at_age(2)], [0.5, 0.5])
    extra = log_losses(older, label) - log_losses(newest, label)
    extra -= extra[:60].mean()
    # A lead of period 1 is in age 1 only (240 moments), a later one in both (240 and 180).
    share = np.where(scored.period == 0, 0, 0.5 / 240) + np.where(scored.period < 2, 0, 0.5 / 180)
    half = 1.959964 * np.sqrt(((share * extra) ** 2).sum())
    assert of_life.high - of_life.value == pytest.approx(half, rel=1e-5)


def test_gain_over_the_base_rate_by_hand() -> None:
    scored, _ = made()
    label, _, newest = pair(scored, 0)
    base = np.full(len(label), expit(-0.4))
    gain = gain_over_base_rate(scored)
    assert gain is not None
    assert gain.value == pytest.approx(log_loss(label, base) - log_loss(label, expit(newest)))
    assert gain.low < gain.value < gain.high


def test_periods_have_the_figures_of_the_newest_model() -> None:
    scored, plan = made()
    rows = by_period(scored, plan, SEED)
    assert [(row.begins, row.ends) for row in rows] == [
        (at_day(10 * number), at_day(10 * number + 10)) for number in range(5)
    ]
    third = scored.period == 2
    label, newest = scored.moments.label[third], scored.log_odds[2, third]
    quality = rows[2].quality
    assert quality.n == 60
    assert quality.log_loss is not None
    assert quality.roc_auc is not None
    assert quality.log_loss.value == pytest.approx(log_loss(label, expit(newest)))
    assert quality.roc_auc.value == pytest.approx(roc_auc_score(label, newest))
    assert rows[2].base_log_loss == pytest.approx(log_loss(label, np.full(60, expit(-0.4))))
    facts = rows[2].to_json()
    assert (facts["from"], facts["to"]) == ("2025-01-21", "2025-01-30")
    assert facts["base_rate_log_loss"] == rows[2].base_log_loss


def test_period_with_too_few_outcomes_has_no_base_rate_either() -> None:
    scored, plan = made()
    label = np.where(scored.period == 2, 0, scored.moments.label)
    row = by_period(scored_moments(scored.log_odds, scored.period, label)[0], plan, SEED)[2]
    assert row.base_log_loss is None
    assert row.quality.log_loss is None
    assert row.quality.base_rate == 0.0


def test_figures_as_plain_data() -> None:
    row = by_age(*made(), SEED)[1]
    facts = row.to_json()
    assert isinstance(row, QualityAtAge)
    assert facts["extra_log_loss"] == row.extra_log_loss.value  # type: ignore[union-attr]
    assert sorted(facts["intervals"]) == [
        "extra_log_loss", "extra_roc_auc", "gap", "log_loss", "roc_auc",
    ]  # fmt: skip
    assert facts["intervals"]["extra_roc_auc"] == [*row.extra_roc_auc[1:]]  # type: ignore[index]
    assert facts["from_days"] == 10


def test_the_wider_interval_is_kept() -> None:
    figure = Estimate(1.0, 0.5, 1.1)
    assert figure.wider(0.2) == Estimate(1.0, 0.5, 1.2)
    assert figure.wider(0.0) == figure


# -- which leads are scored by which models ----------------------------------------------------


def test_models_score_only_leads_of_their_period_and_later_ones() -> None:
    plan = Plan((at_day(0), at_day(10), at_day(20)), 10, at_day(30))
    created = np.array([at_day(day) for day in (-1, 0, 9, 10, 25, 30)])
    scored, _ = scored_moments(np.zeros((3, 6)), [0] * 6, [0, 1, 0, 1, 0, 1])
    models = [
        CutOffModel(at_day(0), rows=np.arange(1, 6), log_odds=np.arange(1.0, 6), base_log_odds=0.1),
        CutOffModel(at_day(10), why_not="Too few."),
        CutOffModel(
            at_day(20), rows=np.array([4, 5]), log_odds=np.array([8.0, 9]), base_log_odds=2
        ),
    ]
    together = ScoredMoments.of(plan, scored.moments, created, models)
    # The lead of day −1 is older than all models, and that of day 30 comes after the plan.
    assert together.moments.lead.tolist() == [1, 2, 3, 4]
    assert together.period.tolist() == [0, 0, 1, 2]
    assert together.log_odds[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(together.log_odds[1]).all()
    assert together.log_odds[2].tolist()[3] == 8.0
    assert together.base_log_odds.tolist()[::2] == [0.1, 2.0]
    # The lead of the second period has no newest model, so nothing is compared with it.
    assert together.at_age(0).period.tolist() == [0, 0, 2]
    assert together.at_age(1).period.tolist() == []
    two = together.at_age(2)
    assert (two.pairs, two.old.tolist(), two.new.tolist()) == ([(0, 2)], [4.0], [8.0])
    assert two.cut_offs == [0, 2]
