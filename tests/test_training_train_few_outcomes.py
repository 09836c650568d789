"""Training on few, one-sided or no outcomes: what is refused, and what is still learned."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.errors import LearningError
from features.intervals import wilson
from features.moments import FEWEST_OUTCOMES
from models.calibration import Calibration
from models.estimator.blend import BaseRate, Blend
from models.fitting.split import split_newest
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from tests.made_trainings import (
    NOW,
    check_saved_equals,
    dated_leads,
    evaluated,
    leads_with_wins,
    small_leads,
    train_on,
    write_export,
)
from training.train import Trained, train

Case = tuple[pd.DataFrame, dict[str, Any], str]  # leads, keys of [learn], part of the message

# -- nothing to learn ----------------------------------------------------------------------

UNLEARNABLE: dict[str, Case] = {
    "only wins": (
        small_leads().assign(outcome="yes"),
        {},
        r"All 200 leads with a certain outcome are won\. Both kinds are needed",
    ),
    "only losses": (
        small_leads().assign(outcome="no"),
        {},
        r"All 200 leads with a certain outcome are not won\. Both kinds are needed",
    ),
    "no outcomes": (
        small_leads().assign(outcome=["open"] * 200),
        {"open": ["open"]},
        r"None of the 200 leads has a known outcome\. Check \[learn\] won and lost",
    ),
    "none mature": (
        dated_leads(100, days=10),
        {"observed_until": "2025-01-20", "horizon_days": 90},
        r"None of the 100 leads is old enough to learn from: each needs 90 days",
    ),
    "no attributes": (
        small_leads()[["outcome"]],
        {},
        r"No column of the leads is left to learn from\. There are no columns\.",
    ),
    "constant attributes": (
        small_leads().assign(size=3, colour="red"),
        {},
        r"No column of the leads is left to learn from\. `size`: it is always '3'; `colour`",
    ),
}


@pytest.mark.parametrize("case", UNLEARNABLE)
def test_records_without_anything_to_learn_are_refused(case: str, tmp_path: Path) -> None:
    leads, learn, match = UNLEARNABLE[case]
    project, records = write_export(tmp_path, leads, learn)
    with pytest.raises(LearningError, match=match):
        train(project, records, now=NOW)


# -- no usable test ------------------------------------------------------------------------

UNTESTABLE: dict[str, Case] = {
    "too few": (
        small_leads(12, seed=1),
        {},
        r"Only 12 leads have a certain outcome; at least 20 are needed",
    ),
    "wins among the oldest only": (
        small_leads().assign(outcome=["yes", "no"] * 50 + ["no"] * 100),
        {},
        r"All 40 test leads are not won, .* change test_share",
    ),
    "wins among the newest only": (
        small_leads().assign(outcome=["no"] * 170 + ["yes"] * 30),
        {},
        r"All 160 training leads are not won, .* change test_share",
    ),
    "five wins, all old": (
        small_leads(400).assign(
            outcome=["yes" if i in (5, 50, 100, 150, 200) else "no" for i in range(400)]
        ),
        {},
        r"All 80 test leads are not won, .* change test_share",
    ),
    "older leads that are all alike": (
        small_leads().assign(
            colour="red", size=lambda leads: leads["size"].where(leads.index >= 160, 3)
        ),
        {},
        r"The training leads alone teach nothing: No column of the leads is left",
    ),
    "all embargoed": (
        dated_leads(100, days=10),
        {"observed_until": "2026-01-01", "horizon_days": 90},
        r"No training leads remain: the labels of all 80 were not yet known when .* horizon_days",
    ),
}


@pytest.mark.parametrize("case", UNTESTABLE)
def test_records_without_a_usable_test_are_still_learned_from(case: str, tmp_path: Path) -> None:
    leads, learn, why = UNTESTABLE[case]
    trained = train_on(tmp_path, leads, learn)

    card = trained.scorer.card
    assert trained.evaluated_model is None
    assert re.search(why, card.test["not_judged"])
    assert card.readiness["verdict"] == "not ready"
    assert card.readiness["reasons"][0].endswith(card.test["not_judged"])
    assert card_page(card, pictures=card_pictures(card))
    assert json.dumps(card.to_json(), allow_nan=False)

    has_enough = trained.moments.rarer >= FEWEST_OUTCOMES
    assert isinstance(trained.scorer.estimator, Blend if has_enough else BaseRate)
    won = trained.moments.label.mean()
    if not has_enough:
        assert card.estimator["low"] < won < card.estimator["high"]
    probability = trained.scorer.score_table(leads)["probability"]
    assert probability.mean() == pytest.approx(won, abs=0.05)


def test_counts_without_a_test_include_leads_without_outcome(tmp_path: Path) -> None:
    leads = small_leads()
    leads.loc[5:14, "outcome"] = None
    card = train_on(tmp_path, leads).scorer.card
    facts = card.learned_from
    assert (facts["leads"], facts["moments"], facts["without_outcome"]) == (200, 190, 10)
    assert facts["train_moments"] + facts["test_moments"] == 190
    assert facts["embargoed"] == 0
    assert card.question == {"won": ["yes"], "lost": ["no"], "open": [], "horizon_days": None}
    assert any("no creation time" in note for note in card.notes)


UNTESTED_LEARN = {"observed_until": "2025-08-09", "horizon_days": 90}


@pytest.fixture(scope="module")
def untested_leads() -> pd.DataFrame:
    """Return leads of 200 days, of which the first 130 days are mature.

    When the test period began, the outcomes of 14 days were known: too few for a model.
    """
    leads = dated_leads(600, days=200).assign(outcome="no")
    won = np.random.default_rng(4).random(600) < 0.1 + 0.002 * leads["size"]
    leads.loc[won, "outcome"] = "yes"
    closed = pd.to_datetime(leads["created_at"]) + pd.Timedelta(days=5)
    return leads.assign(closed_at=closed.astype(str))


@pytest.fixture(scope="module")
def untested(untested_leads: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return the training on these leads."""
    return train_on(tmp_path_factory.mktemp("untested"), untested_leads, UNTESTED_LEARN)


def test_enough_leads_for_a_model_but_not_for_its_test_give_a_model(
    untested: Trained, untested_leads: pd.DataFrame, tmp_path: Path
) -> None:
    _, records = write_export(tmp_path, untested_leads, UNTESTED_LEARN)
    older = split_newest(records, untested.moments, 0.2, 0).train
    assert older.rarer < FEWEST_OUTCOMES
    assert untested.evaluated_model is None
    assert isinstance(untested.scorer.estimator, Blend)
    large, small = (
        untested.scorer.score_table(untested_leads.assign(size=size))["probability"]
        for size in (95, 5)
    )
    assert large.mean() > small.mean() + 0.02
    check_saved_equals(untested, tmp_path / "model")


def test_card_of_an_untested_model_says_that_its_quality_is_unknown(untested: Trained) -> None:
    card = untested.scorer.card
    assert card.test.keys() == {"not_judged"}
    assert card.readiness["verdict"] == "not ready"
    reason = card.readiness["reasons"][0]
    assert reason.startswith("Its quality is unknown. When the test period began, only ")
    n_leads, rarer = len(untested.moments), untested.moments.rarer
    assert f"learned from all {n_leads} leads, {rarer} of them with the rarer outcome" in reason
    assert "It was not evaluated:" in card_page(card, pictures=card_pictures(card))


# -- few outcomes --------------------------------------------------------------------------


def test_twenty_leads_are_enough(tmp_path: Path) -> None:
    leads = small_leads(20, seed=2).assign(outcome=["yes", "no"] * 10)
    trained = train_on(tmp_path, leads)
    assert trained.scorer.card.learned_from["moments"] == 20
    assert trained.scorer.score_table(leads)["probability"].between(0.2, 0.8).all()
    check_saved_equals(trained, tmp_path / "model")


def test_one_win_in_a_hundred_gives_a_low_finite_probability(tmp_path: Path) -> None:
    outcome = ["yes" if i in (40, 160, 290) else "no" for i in range(300)]
    trained = train_on(tmp_path, small_leads(300).assign(outcome=outcome))
    probability = trained.scorer.score_table(small_leads(300))["probability"]
    assert probability.between(0.0, 0.1).all()
    assert json.dumps(trained.scorer.card.to_json(), allow_nan=False)


def test_fewer_than_twenty_outcomes_give_the_base_rate(tmp_path: Path) -> None:
    trained = train_on(tmp_path, leads_with_wins(300, every=20))
    scorer, card = trained.scorer, trained.scorer.card
    assert isinstance(scorer.estimator, BaseRate)
    assert scorer.calibration == Calibration(1.0, 0.0)
    probability = scorer.score_table(small_leads(300))["probability"]
    assert probability.nunique() == 1
    assert probability[0] == pytest.approx(15.5 / 301)
    assert card.importance == []
    check_saved_equals(trained, tmp_path / "model")

    estimator = card.estimator
    assert estimator["kind"] == "base rate"
    low, high = estimator["low"], estimator["high"]
    assert low < 15 / 300 < high
    assert (low, high) == pytest.approx(wilson(15 / 300, 300))
    assert estimator["why"] == (
        "There are fewer than 20 training leads with the rarer outcome, too few for a model. "
        f"So every lead gets the share of wins, which is between {100 * low:.1f} % and "
        f"{100 * high:.1f} % (95 % interval)"
    )


@pytest.mark.parametrize("losses_are_rare", [False, True])
def test_twenty_five_outcomes_give_a_blend(tmp_path: Path, losses_are_rare: bool) -> None:
    leads = leads_with_wins(500, every=20)
    if losses_are_rare:
        leads["outcome"] = np.where(leads["outcome"] == "yes", "no", "yes")
    trained = train_on(tmp_path, leads)
    assert isinstance(trained.scorer.estimator, Blend)
    estimator = trained.scorer.card.estimator
    assert estimator["logistic_weight"] == 0.5
    assert estimator["why"].startswith(
        "even, because there are too few outcomes among the newest leads"
    )
    probability = trained.scorer.score_table(leads)["probability"]
    won = (leads["outcome"] == "yes").to_numpy()
    assert probability[won].mean() > probability[~won].mean()
    assert probability.mean() == pytest.approx(won.mean(), abs=0.03)


# -- nearly perfect columns ----------------------------------------------------------------


@pytest.fixture(scope="module")
def leads_with_hint() -> pd.DataFrame:
    """Return leads with a column that shows the outcome of six in seven leads."""
    leads = small_leads(600, seed=3)
    leads["hint"] = np.where(leads["outcome"] == "yes", 1.0, 0.0)
    leads.loc[::7, "hint"] = 0.5
    return leads


def test_nearly_perfect_column_is_learned_if_known_in_time(
    leads_with_hint: pd.DataFrame, tmp_path: Path
) -> None:
    trained = train_on(tmp_path, leads_with_hint, known_in_time=["hint"])
    assert evaluated(trained).test.values["roc_auc"] > 0.9


def test_nearly_perfect_column_is_a_leak_otherwise(
    leads_with_hint: pd.DataFrame, tmp_path: Path
) -> None:
    trained = train_on(tmp_path, leads_with_hint)
    assert "hint" not in trained.scorer.pipeline.columns
    reason_by_column = {row["column"]: row["reason"] for row in trained.scorer.card.left_out}
    assert reason_by_column["hint"].startswith("the leak audit calls it a leak: LS104")
