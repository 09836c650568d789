"""Settings of a training in the project file: the scale, directions, a half-life and the order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

import training.procedure
from commands.terminal.training import tuned_settings
from crm.errors import ConfigError
from crm.project import Project, load_project
from crm.reading import read_records
from models.artifact import load_artifact
from models.scale import Scale
from tests.made_trainings import (
    NOW,
    dated_leads,
    evaluated,
    save,
    small_leads,
    train_on,
    write_export,
)
from training.train import train
from training.tuning import Trial

SIZES = range(-50, 300, 25)


def append(project: Project, text: str) -> Project:
    """Append text to a project file, and load it again."""
    project.path.write_text(project.path.read_text() + text)
    return load_project(project.folder)


# -- the scale -----------------------------------------------------------------------------


def test_pinned_scale_is_kept(tmp_path: Path) -> None:
    scale = Scale(-2.5, (("A", 80), ("B", 60)))
    project, records = write_export(tmp_path, small_leads())
    pinned = train(project, records, now=NOW, pinned=scale).scorer
    assert pinned.scale == scale
    assert pinned.card.scale == {
        "base_rate": pytest.approx(expit(-2.5)),
        "grades": [["A", 80], ["B", 60]],
        "pinned_by": "the first promotion",
    }

    unpinned = train(project, records, now=NOW).scorer
    assert unpinned.estimator == pinned.estimator
    score_of_even_odds = [scorer.scale.unrounded(np.zeros(1))[0] for scorer in (unpinned, pinned)]
    shift = (unpinned.scale.base_log_odds + 2.5) * 10 / np.log(2)
    assert score_of_even_odds[1] - score_of_even_odds[0] == pytest.approx(shift)


@pytest.mark.parametrize(
    ("keys", "base_rate", "grades", "pinned_by"),
    [
        ("base_rate = 0.25", 0.25, [["A", 80], ["B", 60]], "the project file"),
        (
            "grades = {A = 70, B = 40, C = 20}",
            float(expit(-2.5)),
            [["A", 70], ["B", 40], ["C", 20]],
            "the first promotion",
        ),
        ("base_rate = 0.1\ngrades = {A = 51}", 0.1, [["A", 51]], "the project file"),
    ],
)
def test_project_file_overrides_the_pinned_scale(
    tmp_path: Path, keys: str, base_rate: float, grades: list[list[Any]], pinned_by: str
) -> None:
    project, records = write_export(tmp_path, small_leads())
    project = append(project, f"\n[scale]\n{keys}\n")
    pinned = Scale(-2.5, (("A", 80), ("B", 60)))
    scorer = train(project, records, now=NOW, pinned=pinned).scorer
    assert scorer.card.scale == {
        "base_rate": pytest.approx(base_rate),
        "grades": grades,
        "pinned_by": pinned_by,
    }
    assert [list(grade) for grade in scorer.scale.grades] == grades
    assert scorer.scale.base_log_odds == pytest.approx(logit(base_rate))


def test_rising_grades_are_refused_before_training(tmp_path: Path) -> None:
    project, records = write_export(tmp_path, small_leads())
    project = append(project, "\n[scale]\ngrades = {A = 40, B = 50}\n")
    steps: list[str] = []
    with pytest.raises(ConfigError, match=r"grades are .*Expected A, B, C"):
        train(project, records, now=NOW, progress=lambda step, _: steps.append(step))
    assert steps == []


# -- directions ----------------------------------------------------------------------------


def test_declared_direction_wins_against_the_data(tmp_path: Path) -> None:
    leads = small_leads(60, seed=7)
    falling = train_on(tmp_path / "falling", small_leads(400), {"falling": ["size"]}).scorer
    by_size = [falling.score_table(leads.assign(size=size))["probability"] for size in SIZES]
    assert (np.diff(by_size, axis=0) <= 1e-12).all()

    # In the data larger leads are won more often.
    free = train_on(tmp_path / "free", small_leads(400)).scorer
    small, large = (
        free.score_table(leads.assign(size=size))["probability"].mean() for size in (5, 95)
    )
    assert large > small + 0.1


def test_directions_hold_after_saving_and_loading(tmp_path: Path) -> None:
    leads = small_leads(400).assign(age=np.random.default_rng(5).integers(18, 70, 400))
    trained = train_on(tmp_path, leads, {"rising": ["size"], "falling": ["age"]})
    save(trained, tmp_path / "model")
    loaded = load_artifact(tmp_path / "model").scorer
    assert loaded == trained.scorer
    for column, direction in (("size", 1), ("age", -1)):
        by_value = [
            loaded.score_table(leads.head(60).assign(**{column: value}))["probability"]
            for value in SIZES
        ]
        assert (direction * np.diff(by_value, axis=0) >= -1e-12).all()


@pytest.mark.parametrize("key", ["rising", "falling"])
@pytest.mark.parametrize(
    ("name", "match"), [("sise", r"Did you mean `size`\?"), ("colour", "which is a category")]
)
def test_direction_of_an_unknown_feature_is_refused(
    tmp_path: Path, key: str, name: str, match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        train_on(tmp_path, small_leads(), {key: [name]})


# -- a half-life ---------------------------------------------------------------------------


def test_half_life_without_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="half_life_days needs the creation time of each lead"):
        train_on(tmp_path, small_leads(), {"half_life_days": 30})


def test_half_life_changes_the_model_and_not_the_test(tmp_path: Path) -> None:
    leads = dated_leads(400, days=400)
    learn = {"observed_until": "2026-06-01", "horizon_days": 5}
    plain = train_on(tmp_path / "plain", leads, learn)
    recent = train_on(tmp_path / "recent", leads, {**learn, "half_life_days": 60})
    assert recent.scorer.estimator != plain.scorer.estimator
    assert evaluated(recent).test.n == evaluated(plain).test.n
    assert evaluated(recent).test.base_rate == evaluated(plain).test.base_rate
    assert recent.moments.weight.tolist() == [1.0] * len(recent.moments)


# -- the order -----------------------------------------------------------------------------


def test_leads_without_order_are_held_out_at_random(tmp_path: Path) -> None:
    project, _ = write_export(tmp_path, small_leads())
    project.path.write_text(project.path.read_text().replace('order = "rows"\n', ""))
    project = load_project(tmp_path)
    card = train(project, read_records(project), now=NOW).scorer.card
    assert card.test["how"] == "random 20% of leads, because the project names no time or order"
    assert any("expect worse figures for newer leads" in note for note in card.notes)
    assert card.test["base_rate"] == pytest.approx(card.learned_from["base_rate"], abs=0.02)


# -- settings of the trees -----------------------------------------------------------------


def test_tuned_version_can_be_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records = write_export(tmp_path, small_leads(400))
    found = {"num_leaves": 5, "learning_rate": 0.1234567890123, "extra_trees": True}
    trials = (Trial(0, {}, 0.6, "complete", 1.0), Trial(1, found, 0.5, "complete", 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(training.procedure, "tune", lambda *sets, **options: (found, trials))
        tuned = train(project, records, now=NOW, tune_minutes=1)
    section = tuned_settings(tuned.trials)
    again = train(append(project, f"\n{section}\n"), records, now=NOW)
    assert again.scorer.estimator == tuned.scorer.estimator
    assert again.scorer.calibration == tuned.scorer.calibration
    parameters = again.scorer.card.estimator["parameters"]
    assert parameters == tuned.scorer.card.estimator["parameters"]
    assert parameters["learning_rate"] == 0.1234567890123
    default = train(project, records, now=NOW)
    assert default.scorer.estimator != again.scorer.estimator
