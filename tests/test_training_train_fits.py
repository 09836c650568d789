"""Fits of a training: the same model each time, no pipeline twice, with the tuned settings."""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import training.fit
import training.train
from crm.records import Records
from features.fitting import fit_pipeline
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.estimator.blend import BaseRate
from models.estimator.trees import BoostedTrees
from models.fitting.trees import TREE_PARAMETERS
from tests.made_trainings import (
    NOW,
    blend_of,
    check_saved_equals,
    leads_with_wins,
    save,
    small_leads,
    train_on,
    write_export,
)
from training.fit import Fitted, LearningSet, fit
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

    monkeypatch.setattr(training.train, "fit", collect)
    return collected


def test_final_model_has_the_settings_of_the_evaluated_model(
    tmp_path: Path, fits: list[tuple[Moments, Fitted]]
) -> None:
    project, records = write_export(tmp_path, small_leads(400))
    trained = train(project, records, now=NOW)

    (older, for_test), (everything, final) = fits
    assert older.lead.tolist() == trained.split.train.lead.tolist()
    assert everything.lead.tolist() == trained.moments.lead.tolist()
    assert final.settings is not None
    assert final.settings is for_test.settings
    assert blend_of(trained) is final.estimator
    assert blend_of(trained).logistic_weight == final.settings.logistic_weight
    assert final.estimator != for_test.estimator

    test = trained.split.test
    features = for_test.pipeline.transform(records, test.lead, test.as_of)
    assert trained.test_margin.tobytes() == for_test.log_odds_of(features).tobytes()


# -- the pipelines -------------------------------------------------------------------------


@pytest.fixture
def leads_by_fit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that collects the leads of each pipeline that is fitted."""
    collected: list[tuple[int, ...]] = []

    def collect(records: Records, moments: Moments, *args: Any, **kwargs: Any) -> FeaturePipeline:
        collected.append(tuple(moments.lead.tolist()))
        return fit_pipeline(records, moments, *args, **kwargs)

    for module in (training.train, training.fit):
        monkeypatch.setattr(module, "fit_pipeline", collect)
    return collected


@pytest.mark.parametrize("tune_minutes", [None, 1e-9], ids=["untuned", "tuned"])
@pytest.mark.parametrize("learn", [{}, {"rising": ["size"]}], ids=["free", "with a direction"])
def test_training_fits_one_pipeline_to_each_set_of_leads(
    tmp_path: Path,
    leads_by_fit: list[tuple[int, ...]],
    learn: dict[str, list[str]],
    tune_minutes: float | None,
) -> None:
    train_on(tmp_path, small_leads(300), learn, tune_minutes=tune_minutes)
    # All leads, the older part of the training leads, and the training leads.
    assert [len(leads) for leads in leads_by_fit] == [300, 204, 240]
    assert len(set(leads_by_fit)) == 3


def test_training_without_a_test_fits_two_pipelines(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]]
) -> None:
    # 24 wins in all are enough for a blend, 19 among the older leads are not.
    trained = train_on(tmp_path, leads_with_wins(312, every=13))
    assert trained.evaluated_model is None
    assert [len(leads) for leads in leads_by_fit] == [312, 265]


def test_training_of_a_base_rate_selects_no_settings(
    tmp_path: Path, leads_by_fit: list[tuple[int, ...]]
) -> None:
    train_on(tmp_path, leads_with_wins(300, every=20))
    assert [len(leads) for leads in leads_by_fit] == [300, 240]


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

    monkeypatch.setattr(training.train, "tune", tune)
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

    (search,) = searches
    assert (search["minutes"], search["start"]) == (3, {})
    searched_leads = {*search["older"].lead, *search["newer"].lead}
    assert searched_leads.isdisjoint(trained.split.test.lead)

    shares = [share for _, share in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sum("Tuning" in step for step, _ in progress) == 2


def test_base_rate_is_not_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.train, "tune", None)
    trained = train_on(tmp_path, leads_with_wins(300, every=20), tune_minutes=60)
    assert trained.trials == ()
    assert isinstance(trained.scorer.estimator, BaseRate)
    (note,) = [note for note in trained.scorer.card.notes if "Tuning" in note]
    assert note.startswith("Tuning was requested but not possible: with fewer than 20 leads")
