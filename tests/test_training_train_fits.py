"""Fits of a training: the same model each time, its own settings, no pipeline twice, tuning."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

import training.procedure
import training.remedies
import training.selection
import training.train
from crm.arrays import Floats
from crm.records import Records
from features.fitting import fit_pipeline
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.estimator.blend import BaseRate
from models.estimator.trees import BoostedTrees
from models.fitting.examples import NEWEST_SHARE
from models.fitting.logistic import fit_logistic
from models.fitting.settings import choose_settings
from models.fitting.trees import TREE_PARAMETERS
from tests.made_processes import output_of
from tests.made_trainings import (
    NOW,
    blend_of,
    check_saved_equals,
    evaluated,
    leads_with_wins,
    save,
    small_leads,
    train_on,
    write_export,
)
from training.fit import Fitted, LearningSet, fit
from training.selection import selection_sets
from training.train import train
from training.tuning import Trial

# -- repeatability -------------------------------------------------------------------------


def test_digest_depends_on_data_and_seed_only(tmp_path: Path) -> None:
    later = NOW + datetime.timedelta(days=9)
    settings = {"first": (0, NOW), "second": (0, later), "other seed": (1, NOW)}
    digests = {
        name: save(
            train_on(tmp_path / name, small_leads(), {"seed": seed}, now=now),
            tmp_path / name / "model",
        )
        for name, (seed, now) in settings.items()
    }
    assert digests["first"] == digests["second"]
    assert digests["first"] != digests["other seed"]
    first, second = (tmp_path / name / "model" / "golden.json" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


TRAINING = """
import sys
from pathlib import Path
from tests.made_trainings import save, small_leads, train_on
import numpy as np
leads = small_leads(1_500)
generator = np.random.default_rng(0)
for i in range(6):
    leads[f"word{i}"] = generator.choice([f"w{j}" for j in range(9 + 8 * i)], 1_500)
    leads[f"number{i}"] = generator.normal(size=1_500)
folder = Path(sys.argv[1])
trained = train_on(folder, leads)
assert trained.scorer.estimator.logistic.steps is not None
print(save(trained, folder / "model"), trained.test_margin.tobytes().hex())
"""


def test_number_of_threads_does_not_change_the_digest(tmp_path: Path) -> None:
    outputs = {output_of(TRAINING, str(tmp_path / f"{n}"), threads=n) for n in (1, 2)}
    assert len(outputs) == 1
    assert len(outputs.pop()) > 2 * 8 * 300


def test_row_order_of_a_dated_export_does_not_matter(tmp_path: Path) -> None:
    days = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(200), unit="D")
    ids = [f"L{i:03}" for i in range(200)]
    leads = small_leads().assign(lead_id=ids, created_at=days.astype(str))
    learn = {"observed_until": "2026-01-01", "horizon_days": 5}
    orders = {"sorted": leads, "shuffled": leads.sample(frac=1, random_state=4)}
    digests = {
        save(train_on(tmp_path / order, table, learn), tmp_path / order / "model")
        for order, table in orders.items()
    }
    assert len(digests) == 1


def test_training_does_not_change_the_records(tmp_path: Path) -> None:
    project, records = write_export(tmp_path, small_leads())
    leads, outcomes = records.leads.copy(deep=True), records.outcomes.copy(deep=True)
    train(project, records, now=NOW)
    pd.testing.assert_frame_equal(records.leads, leads)
    pd.testing.assert_frame_equal(records.outcomes, outcomes)


def test_model_of_one_column_survives_saving(tmp_path: Path) -> None:
    trained = train_on(tmp_path, small_leads()[["size", "outcome"]])
    check_saved_equals(trained, tmp_path / "model")


# -- the two fits --------------------------------------------------------------------------


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Moments, Fitted]]:
    """Return a list that collects the moments and the result of each fit."""
    collected: list[tuple[Moments, Fitted]] = []

    def collect(learning_set: LearningSet, *arguments: Any, **options: Any) -> Fitted:
        fitted = fit(learning_set, *arguments, **options)
        collected.append((learning_set.moments, fitted))
        return fitted

    monkeypatch.setattr(training.remedies, "fit", collect)
    return collected


def test_each_model_has_settings_from_its_own_newest_leads(
    tmp_path: Path, fits: list[tuple[Moments, Fitted]]
) -> None:
    project, records = write_export(tmp_path, small_leads(400), {"remedies": False})
    trained = train(project, records, now=NOW)

    at_earlier_cut_offs = fits[1:-1]
    assert [len(moments) for moments, _ in at_earlier_cut_offs] == [240, 160]
    del fits[1:-1]
    (older, for_test), (everything, final) = fits
    assert older.lead.tolist() == trained.split.train.lead.tolist()
    assert everything.lead.tolist() == trained.moments.lead.tolist()
    for moments, fitted in fits:
        selection = selection_sets(records, moments, project, {})
        n = round(NEWEST_SHARE * len(moments))
        assert selection.newer.lead.tolist() == moments.lead[-n:].tolist()
        choice = choose_settings(selection.older, selection.newer, seed=0)
        assert fitted.settings == choice.settings
        assert fitted.newest is not None
        assert fitted.newest.evaluation.n == n
    assert final.settings is not None
    assert final.settings != for_test.settings
    assert blend_of(trained) is final.estimator
    assert blend_of(trained).logistic_weight == final.settings.logistic_weight
    assert final.estimator != for_test.estimator

    test = trained.split.test
    features = for_test.pipeline.transform(records, test.lead, test.as_of)
    assert trained.test_margin.tobytes() == for_test.log_odds_of(features).tobytes()


def changing_leads(n: int, n_following: int) -> pd.DataFrame:
    """Return leads of a market that changes with the newest fifth of the first n.

    Among the older leads it matters most whether two numbers have the same sign, which only trees
    find. Then this effect turns around, and an index leaves its range, so that only a line is
    right. The leads that follow continue this.
    """
    generator = np.random.default_rng(0)
    at = np.arange(n + n_following)
    is_new = at >= 0.8 * n
    left, right, index = generator.normal(size=(3, len(at)))
    index -= np.where(is_new, 4.0, 0.0) + np.where(at >= n, 2.0, 0.0)
    log_odds = np.where(is_new, -1, 3) * np.sign(left * right) + 0.6 * index + 1
    won = generator.random(len(at)) < expit(log_odds)
    return pd.DataFrame(
        {"left": left, "right": right, "index": index, "outcome": np.where(won, "yes", "no")}
    ).round(4)


def test_settings_of_the_newest_leads_predict_the_leads_that_follow(tmp_path: Path) -> None:
    leads = changing_leads(2_500, 1_000)
    following = leads[2_500:]
    won = following["outcome"] == "yes"
    project, records = write_export(tmp_path, leads[:2_500])
    trained = train(project, records, now=NOW)
    of_final = log_loss(won, trained.scorer.score_table(following)["probability"])

    # The settings of the evaluated model come from leads before the change.
    judged = evaluated(trained).fitted.settings
    assert judged is not None
    learning_set = LearningSet.of(trained.scorer.pipeline, records, trained.moments, project)
    again = fit(learning_set, project, settings_from=judged)
    with_judged = replace(trained.scorer, estimator=again.estimator, calibration=again.calibration)
    of_judged = log_loss(won, with_judged.score_table(following)["probability"])
    assert judged.logistic_weight < 0.2
    assert blend_of(trained).logistic_weight > 0.8
    assert of_final < of_judged - 0.08

    estimator = trained.scorer.card.estimator
    assert estimator["judged"]["logistic_weight"] == judged.logistic_weight
    assert estimator["points_from_judged"] > 10
    assert estimator["newest"]["less_base_rate"]["high"] < 0


# -- the pipelines -------------------------------------------------------------------------


@pytest.fixture
def leads_by_fit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that collects the leads of each pipeline that is fitted."""
    collected: list[tuple[int, ...]] = []

    def collect(records: Records, moments: Moments, *args: Any, **kwargs: Any) -> FeaturePipeline:
        collected.append(tuple(moments.lead.tolist()))
        return fit_pipeline(records, moments, *args, **kwargs)

    for module in (training.train, training.procedure, training.selection):
        monkeypatch.setattr(module, "fit_pipeline", collect)
    return collected


@pytest.mark.parametrize("tune_minutes", [None, 1e-9], ids=["untuned", "tuned"])
def test_training_fits_one_pipeline_to_each_set_of_leads(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]], tune_minutes: float | None
) -> None:
    train_on(tmp_path, small_leads(300), tune_minutes=tune_minutes)
    # The older part of the training leads, the training leads, those of two earlier cut-offs, the
    # older part of all leads, and all leads.
    assert [len(leads) for leads in leads_by_fit] == [204, 240, 180, 120, 255, 300]
    assert len(set(leads_by_fit)) == 6


def test_directions_are_checked_with_the_pipeline_of_all_leads_first(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]]
) -> None:
    train_on(tmp_path, small_leads(300), {"rising": ["size"]})
    assert [len(leads) for leads in leads_by_fit] == [300, 204, 240, 180, 120, 255, 300]


def test_training_without_a_test_fits_two_pipelines(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]]
) -> None:
    # 24 wins in all are enough for a blend, 19 among the older leads are not.
    trained = train_on(tmp_path, leads_with_wins(312, every=13))
    assert trained.evaluated_model is None
    assert [len(leads) for leads in leads_by_fit] == [265, 312]


def test_training_of_a_base_rate_selects_no_settings(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]]
) -> None:
    train_on(tmp_path, leads_with_wins(300, every=20))
    assert [len(leads) for leads in leads_by_fit] == [240, 300]


# -- tuning --------------------------------------------------------------------------------


def test_tuning_without_time_tries_the_defaults(tmp_path: Path) -> None:
    project, records = write_export(tmp_path, small_leads(300))
    tuned = train(project, records, now=NOW, tune_minutes=1e-9)
    plain = train(project, records, now=NOW)

    (trial,) = tuned.trials
    assert (trial.number, dict(trial.parameters), trial.state) == (0, {}, "complete")
    assert plain.trials == ()
    assert tuned.scorer.estimator == plain.scorer.estimator
    estimator = tuned.scorer.card.estimator
    assert estimator["settings_tried"] == 1
    assert estimator["log_loss_of_the_best"] == trial.log_loss
    assert estimator["log_loss_of_the_defaults"] == trial.log_loss


BEST = {"num_leaves": 2, "learning_rate": 0.1}
TRIALS = (Trial(0, {}, 0.6, "complete", 1.0), Trial(1, BEST, 0.5, "complete", 1.0))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the search by one that finds `TRIALS`; return a list of the searches' arguments."""
    collected: list[dict[str, Any]] = []

    def tune(
        older: Any, newer: Any, *, minutes: float, seed: int, start: Any, on_trial: Any
    ) -> tuple[Mapping[str, Any], tuple[Trial, ...]]:
        collected.append({"older": older, "newer": newer, "minutes": minutes, "start": start})
        for trial in TRIALS:
            on_trial(trial, (trial.number + 1) / len(TRIALS))
        return BEST, TRIALS

    monkeypatch.setattr(training.procedure, "tune", tune)
    return collected


def test_model_uses_the_best_parameters(tmp_path: Path, searches: list[dict[str, Any]]) -> None:
    progress: list[tuple[str, float]] = []
    trained = train_on(
        tmp_path,
        small_leads(300),
        tune_minutes=3,
        progress=lambda *call: progress.append(call),
    )

    assert trained.trials == TRIALS
    estimator = trained.scorer.card.estimator
    assert estimator["settings_tried"] == 2
    assert estimator["log_loss_of_the_best"] == 0.5
    assert estimator["log_loss_of_the_defaults"] == 0.6
    assert estimator["parameters"] == TREE_PARAMETERS | BEST | {"seed": 0}
    trees = blend_of(trained).trees
    assert isinstance(trees, BoostedTrees)
    assert set(re.findall(r"num_leaves=(\d+)", trees.text)) <= {"1", "2"}

    # Half of the time for the model that is evaluated, half for the final one.
    assert [(search["minutes"], search["start"]) for search in searches] == 2 * [(1.5, {})]
    for_test, for_all = ({*search["older"].lead, *search["newer"].lead} for search in searches)
    assert for_test == {*trained.split.train.lead}
    assert for_all == {*trained.moments.lead}
    assert set(trained.split.test.lead) & set(searches[1]["newer"].lead)

    shares = [share for _, share in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sum("Tuning" in step for step, _ in progress) == 4


def test_base_rate_is_not_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.procedure, "tune", None)
    trained = train_on(tmp_path, leads_with_wins(300, every=20), tune_minutes=60)
    assert trained.trials == ()
    assert isinstance(trained.scorer.estimator, BaseRate)
    (note,) = [note for note in trained.scorer.card.notes if "Tuning" in note]
    assert note.startswith("Tuning was requested but not possible: with fewer than 20 leads")


def test_baseline_is_fitted_to_a_sample_of_many_moments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def record_rows(features: Floats, *arguments: Any, **named: Any) -> Any:
        sizes.append(len(features))
        return fit_logistic(features, *arguments, **named)

    monkeypatch.setattr(training.train, "fit_logistic", record_rows)
    monkeypatch.setattr(training.train, "MOST_LINEAR_ROWS", 100)
    trained = train_on(tmp_path, small_leads())
    assert len(trained.split.train) > 100
    assert sizes == [100]
