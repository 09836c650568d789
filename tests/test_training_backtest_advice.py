"""How often to retrain, and the sentences that say so."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from tests.made_backtests import scored_moments
from training.backtest import advice
from training.backtest.advice import TOLERATED, Advice, advise
from training.backtest.ages import Estimate, by_age, by_period, gain_over_base_rate
from training.backtest.summary import summary

SEED = 0


def made(
    loss_by_age: list[float], *, each: int = 400, noise: float = 0.0, know: float = 1.0
) -> Advice:
    """Return the advice for models that get worse with age.

    The log-odds of the newest model are right; at age k, `loss_by_age[k]` is added to them.
    """
    n_cut_offs = len(loss_by_age) + 2
    generator = np.random.default_rng(1)
    period = np.repeat(np.arange(n_cut_offs), each)
    truth = generator.normal(0, 1.5, len(period))
    label = generator.random(len(period)) < expit(truth)
    shift = np.array([*loss_by_age, 0.0, 0.0])
    ages = np.maximum(period[None, :] - np.arange(n_cut_offs)[:, None], 0)
    log_odds = know * truth + shift[ages] + noise * generator.normal(size=ages.shape)
    scored, plan = scored_moments(log_odds, period, label)
    return advise(scored, plan, by_age(scored, plan, SEED))


def test_longest_interval_whose_cost_is_surely_tolerated() -> None:
    result = made([0.0, 0.05, 0.1, 1.5, 2.0])
    assert (result.verdict, result.days) == ("interval", 30)
    assert result.gain is not None
    assert result.tolerated == TOLERATED * result.gain.low
    costs = {life.days: life.extra_log_loss for life in result.lives}
    assert list(costs) == [20, 30, 40, 50]
    assert costs[30].high <= result.tolerated < costs[40].low
    headline, ranks, cost, longer = result.sentences
    assert headline == "Retrain every 30 days."
    assert ranks == (
        "A model that is 20 to 30 days old gives the higher score to the won lead in 82.3 of 100 "
        "pairs of a won and a lost lead; the newest model does so in 82.3 of 100 pairs of the same "
        "leads."
    )
    assert cost.startswith("Over 30 days, the log loss of a model is ")
    assert "than with a new model every 10 days. Tolerated are 0.0" in cost
    assert "5\u00a0% of what the model surely gains over the share of wins alone" in cost
    assert longer.startswith("Every 40 days is too seldom: the log loss is 0.")


def test_a_later_tolerated_cost_does_not_count_after_one_that_is_not() -> None:
    # At age 1 the models are off, later ones are right again: their mean cost falls.
    result = made([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert result.verdict == "shortest tested"
    assert result.days == 10
    last = result.lives[-1].extra_log_loss
    assert last.value < result.lives[0].extra_log_loss.value / 3
    headline, longer = result.sentences
    assert headline.startswith("Retrain every 10 days or more often. No shorter interval")
    assert longer.startswith("Every 20 days is too seldom")


def test_models_that_do_not_age_may_be_used_as_long_as_was_tested() -> None:
    result = made([0.0, 0.0, 0.0, 0.0])
    assert (result.verdict, result.days) == ("longest tested", 40)
    headline, ranks, cost = result.sentences
    assert headline.startswith("Retraining every 40 days is enough. Longer intervals could not be")
    assert "30 to 40 days old" in ranks
    assert "0.0000 higher" in cost


def test_four_cut_offs_test_one_longer_interval() -> None:
    result = made([0.0, 0.0])
    assert (result.verdict, result.days) == ("longest tested", 20)
    assert [life.days for life in result.lives] == [20]


def test_sentence_compares_the_ranking_of_the_older_and_the_newest_model() -> None:
    scored, plan = scored_moments(*known_leads())
    age = by_age(scored, plan, SEED)[1]
    quality = replace(age.quality, roc_auc=Estimate(0.75, 0.7, 0.8))
    worse = replace(age, quality=quality, extra_roc_auc=Estimate(-0.05, -0.06, -0.04))
    (sentence,) = advice._as_old_as(worse)
    assert "10 to 20 days old" in sentence
    assert "in 75.0 of 100 pairs of a won" in sentence
    assert "the newest model does so in 80.0 of 100 pairs" in sentence
    assert advice._as_old_as(replace(worse, extra_roc_auc=None)) == []


def test_a_cost_that_may_be_tolerated_cannot_be_told() -> None:
    life = advice.Life(20, Estimate(0.002, 0.001, 0.003))
    assert advice._next(life, 0.001).startswith("Whether every 20 days is enough cannot be told")
    assert advice._next(life, 0.0009).startswith("Every 20 days is too seldom")


def test_few_leads_cannot_tell() -> None:
    result = made([0.0, 0.0, 0.0], each=100, noise=0.5)
    assert (result.verdict, result.days) == ("cannot tell", None)
    assert result.tolerated is not None
    first = result.lives[0].extra_log_loss
    assert first.low < result.tolerated < first.high
    headline, why = result.sentences
    assert headline == "The data cannot tell how often to retrain."
    assert why.startswith("With a new model every 20 days in place of every 10, the log loss is ")


def test_an_unclear_longer_interval_is_named() -> None:
    result = made([0.0, 0.0, 0.42, 0.42])
    assert (result.verdict, result.days) == ("interval", 20)
    assert result.tolerated is not None
    following = result.lives[1].extra_log_loss
    assert following.low <= result.tolerated < following.high
    assert result.sentences[-1].startswith("Whether every 30 days is enough cannot be told: the")


def test_a_model_without_gain_has_no_interval() -> None:
    result = made([0.0, 0.0, 0.0], know=0.0)
    assert (result.verdict, result.days, result.tolerated) == ("no gain", None, None)
    assert result.lives
    (why,) = result.sentences
    assert why.startswith("New models are not surely better than the share of wins alone")


def test_models_without_gain_may_age() -> None:
    result = made([0.0, 1.5, 1.5], know=0.0)
    assert (result.verdict, result.days) == ("no gain", None)
    assert result.lives[0].extra_log_loss.low > 0
    _, ages = result.sentences
    assert ages.startswith("But models age: with a new model every 20 days in place of every 10, ")


def test_too_few_cut_offs_cannot_tell() -> None:
    result = made([0.0])
    assert (result.verdict, result.days, result.lives) == ("cannot tell", None, ())
    (why,) = result.sentences
    assert why.startswith("The data cannot tell how often to retrain: there are too few cut-offs")
    assert "2 pairs of an older and a newest model can be compared, and at least 3 are" in why


def test_too_few_outcomes_cannot_tell() -> None:
    assert made([0.0, 0.0, 0.0], each=1).verdict == "cannot tell"


def test_sentences_about_longer_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bounds themselves: a cost that is exactly tolerated is tolerated.
    monkeypatch.setattr(advice, "TOLERATED", 0.0)
    assert made([0.0, 0.0, 0.0]).verdict == "longest tested"


def test_advice_as_plain_data() -> None:
    result = made([0.0, 0.05, 0.1, 1.5])
    facts = result.to_json()
    assert facts["every_days"] == result.days == 30
    assert facts["verdict"] == "interval"
    assert facts["tolerated"] == result.tolerated
    assert facts["lives"][0]["days"] == 20
    assert facts["lives"][0]["interval"] == [*result.lives[0].extra_log_loss[1:]]
    assert facts["gain_interval"] == [*result.gain[1:]]  # type: ignore[index]
    nothing = made([0.0], each=1).to_json()
    assert (nothing["gain"], nothing["gain_interval"]) == (None, None)


# -- the summary -----------------------------------------------------------------------------


def test_summary_describes_new_models() -> None:
    scored, plan = scored_moments(*known_leads())
    ages, periods = by_age(scored, plan, SEED), by_period(scored, plan, SEED)
    gain = gain_over_base_rate(scored)
    loss, ranks, predicted = summary(ages, periods, gain)
    assert ages[0].quality.log_loss is not None
    assert gain is not None
    value = ages[0].quality.log_loss.value
    assert loss.startswith(f"The log loss of new models is {value:.3f}. It is {gain.value:.3f} ")
    assert ranks.startswith("They give the higher score to the won lead in 8")
    assert "wins, and" in predicted
    assert "points too high (+" in predicted

    quality = replace(ages[0].quality, gap=Estimate(-0.01, -0.02, 0.01))
    *_, predicted = summary([replace(ages[0], quality=quality)], periods, gain)
    assert "no clear difference (−2.0 to +1.0)" in predicted
    quality = replace(ages[0].quality, gap=Estimate(-0.2, -0.3, -0.1))
    *_, predicted = summary([replace(ages[0], quality=quality)], periods, gain)
    assert "20.0 points too low (−30.0 to −10.0)" in predicted

    worse = [replace(periods[0], base_log_loss=0.01), *periods[1:]]
    *_, of_periods = summary(ages, worse, gain)
    assert of_periods == (
        "In 1 of 4 periods the model was not better than the share of wins alone: those that begin "
        "on 2025-01-01."
    )


def known_leads() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds of four models that are right but for their level, with the leads."""
    generator = np.random.default_rng(2)
    period = np.repeat(np.arange(4), 100)
    truth = generator.normal(0, 2, 400)
    label = generator.random(400) < expit(truth)
    return np.tile(truth + 0.6, (4, 1)), period, label


def test_summary_without_outcomes() -> None:
    scored, plan = scored_moments(np.zeros((4, 8)), [0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4)
    for gain in (None, Estimate(0.1, 0.0, 0.2)):
        (sentence,) = summary(by_age(scored, plan, SEED), [], gain)
        assert sentence.startswith("Too few leads were won or lost after the cut-offs")
