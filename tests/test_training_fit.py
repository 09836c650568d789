"""Fitting: settings, half-life and directions."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from crm.arrays import Floats
from crm.errors import ConfigError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features.fitting import fit_pipeline
from features.moments import FEWEST_OUTCOMES, Moments, make_moments
from features.pipeline import FeaturePipeline
from models.estimator.blend import BaseRate, Blend
from models.fitting.blend_weight import EVEN
from models.fitting.logistic import LogisticSettings
from models.fitting.settings import BlendSettings
from training.fit import (
    Chosen,
    Fitted,
    LearningSet,
    check_directions,
    directions,
    fit,
)
from training.half_life import HalfLife, declared_half_life, learning_weight
from training.selection import NO_SELECTION_SETS, selection_sets

LOGISTIC = LogisticSettings(strength=1.0, step_strength=1.0, reach=4.0)
BY_HAND = BlendSettings(0.5, LOGISTIC, 15, "set by hand", ())


def table(n: int, seed: int = 0, share: float = 0.4) -> pd.DataFrame:
    """Return one lead a day; large leads and red leads are won more often."""
    generator = np.random.default_rng(seed)
    size = generator.normal(50, 20, n).round(1)
    colour = generator.choice(["red", "green", "blue"], n)
    margin = np.log(share / (1 - share)) + 0.05 * (size - 50) + 1.0 * (colour == "red")
    won = generator.random(n) < expit(margin)
    created = pd.Timestamp("2023-01-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="D")
    return pd.DataFrame(
        {
            "created_at": created.astype(str),
            "size": size,
            "age": generator.integers(1, 80, n),
            "colour": colour,
            "note": "x",
            "outcome": np.where(won, "yes", "no"),
        }
    )


def crm(
    folder: Path, leads: pd.DataFrame, learn: str = "", columns: str = ""
) -> tuple[Project, Records, Moments]:
    """Write a flat export, and return its project, records and moments."""
    leads.to_csv(folder / "leads.csv", index=False)
    created = 'created_at = "created_at"\n' if "created_at" in leads else 'order = "rows"\n'
    (folder / "leadscore.toml").write_text(
        f'[project]\nname = "flat"\n[leads]\nsource = "leads.csv"\noutcome = "outcome"\n{created}'
        '[learn]\nwon = ["yes"]\nlost = ["no"]\nhorizon_days = 5\nobserved_until = "2027-01-01"\n'
        f"{learn}\n[columns]\n{columns}\n"
    )
    project = load_project(folder)
    records = read_records(project)
    return project, records, make_moments(records, project.learn)


def fitted_on(
    records: Records,
    moments: Moments,
    project: Project,
    settings_from: BlendSettings | Chosen | None = None,
    known_later: Mapping[str, str] | None = None,
    **options: Any,
) -> Fitted:
    """Fit to moments; settings are selected on their newest part, unless they are given."""
    later, half_life = known_later or {}, declared_half_life(project, moments)
    if settings_from is None:
        selection = selection_sets(records, moments, project, later, half_life)
        settings_from = Chosen.on(selection.older, selection.newer, project)
    pipeline = fit_pipeline(records, moments, project, later)
    learning_set = LearningSet.of(pipeline, records, moments, project)
    return fit(learning_set, project, settings_from=settings_from, half_life=half_life, **options)


def probabilities(fitted: Fitted, records: Records, **cells: Any) -> Floats:
    """Return the probabilities of all leads after setting some cells."""
    table = records.leads.assign(**cells)
    history = fitted.pipeline.no_history(len(table))
    return expit(fitted.log_odds_of(fitted.pipeline.matrix(table, history)))


def blend_of(fitted: Fitted) -> Blend:
    assert isinstance(fitted.estimator, Blend)
    return fitted.estimator


def why(fitted: Fitted) -> str:
    """Return the reason for the weight of the logistic regression."""
    assert fitted.settings is not None
    return fitted.settings.why


# -- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("older_wins", "newer_wins", "reason"),
    [(30, 0, "too few outcomes among the newest leads (0)"), (0, 30, "older leads (0)")],
)
def test_fit_without_selection_sets_has_equal_weights(
    tmp_path: Path, older_wins: int, newer_wins: int, reason: str
) -> None:
    leads = table(200)
    leads["outcome"] = (
        ["yes"] * older_wins + ["no"] * (200 - older_wins - newer_wins) + ["yes"] * newer_wins
    )
    project, records, moments = crm(tmp_path, leads)
    assert selection_sets(records, moments, project, {}) is NO_SELECTION_SETS
    fitted = fitted_on(records, moments, project)
    assert blend_of(fitted).logistic_weight == EVEN
    assert why(fitted).startswith("even, because there are too few outcomes among the")
    assert fitted.newest is None


def test_newest_part_is_evaluated_against_the_base_rate_of_the_older_leads(
    tmp_path: Path,
) -> None:
    project, records, moments = crm(tmp_path, table(400))
    older, newer, _ = selection_sets(records, moments, project, {})
    fitted = fitted_on(records, moments, project)
    assert fitted.newest is not None
    assert fitted.newest.evaluation.n == len(newer.label) == 60
    assert fitted.newest.evaluation.base_rate == pytest.approx(newer.label.mean())
    share = (older.label.sum() + 0.5) / (len(older.label) + 1)
    of_base_rate = log_loss(newer.label, np.full(60, share))
    difference, low, high = fitted.newest.gained
    loss = fitted.newest.evaluation.values["log_loss"]
    assert difference == pytest.approx(loss - of_base_rate)
    assert low < difference < high
    assert fitted.settings is not None
    chosen = dict(fitted.settings.losses)[fitted.settings.logistic_weight]
    assert loss == pytest.approx(chosen)  # not calibrated, and fitted to the older leads


def test_given_settings_are_not_evaluated_on_newest_leads(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    assert fitted_on(records, moments, project, BY_HAND).newest is None


def test_fit_uses_the_settings_of_an_earlier_fit(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(400))
    half = moments.take(np.arange(len(moments)) < 300)
    first = fitted_on(records, half, project)
    assert first.settings is not None
    second = fitted_on(records, moments, project, first.settings)
    assert second.settings is first.settings
    assert blend_of(second).logistic_weight == blend_of(first).logistic_weight
    assert second.estimator != first.estimator


@pytest.mark.parametrize("wins", [FEWEST_OUTCOMES - 1, FEWEST_OUTCOMES])
def test_fit_of_twenty_outcomes_is_a_blend(tmp_path: Path, wins: int) -> None:
    leads = table(300)
    largest = leads["size"].to_numpy().argsort()[::-1]
    outcome = np.full(300, "no", dtype=object)
    outcome[largest[:wins]] = "yes"
    project, records, moments = crm(tmp_path, leads.assign(outcome=outcome))
    fitted = fitted_on(records, moments, project)
    assert isinstance(fitted.estimator, Blend) == (wins == FEWEST_OUTCOMES)
    assert (fitted.settings is None) == (wins < FEWEST_OUTCOMES)


def test_fit_passes_parameters_to_the_trees(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    fitted = fitted_on(records, moments, project, BY_HAND, tree_parameters={"num_leaves": 2})
    trees = blend_of(fitted).trees
    assert trees is not None
    leaves = set(re.findall(r"num_leaves=(\d+)", trees.text))
    assert leaves <= {"1", "2"}


def test_fit_leaves_out_columns_known_later(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    fitted = fitted_on(records, moments, project, BY_HAND, {"size": "it knows too much"})
    assert "size" not in fitted.pipeline.names
    assert {left_out.column: left_out.reason for left_out in fitted.pipeline.left_out}["size"] == (
        "it knows too much"
    )


def test_calibration_is_fitted_out_of_fold(tmp_path: Path) -> None:
    # On its own rows an overfitted tree looks calibrated; out of fold it does not.
    project, records, moments = crm(tmp_path, table(300))
    overfitting = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.5, "num_leaves": 40}
    settings = replace(BY_HAND, logistic_weight=0.0, rounds=60)
    fitted = fitted_on(records, moments, project, settings, tree_parameters=overfitting)
    assert fitted.calibration.slope < 0.5


def test_fit_reports_rising_progress(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    shares: list[float] = []
    fitted_on(records, moments, project, on_share=shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5
    assert shares[-1] == 1.0


# -- the half-life --------------------------------------------------------------------------


def moments_at(*days: float, weight: Floats | None = None) -> Moments:
    """Return one lost moment at each day."""
    n = len(days)
    return Moments(
        lead=np.arange(n),
        as_of=(np.array(days) * DAY).astype(np.int64),
        label=np.zeros(n, dtype=np.int8),
        known_at=np.zeros(n, dtype=np.int64),
        weight=np.ones(n) if weight is None else weight,
        counts={},
    )


def test_weight_halves_with_each_half_life() -> None:
    moments = moments_at(0, 50, 100, 150, 200, weight=np.array([1.0, 1, 2, 1, 1]))
    weight = learning_weight(moments, HalfLife(100.0, in_days=True))
    assert weight == pytest.approx([0.25, 0.5**1.5, 2 * 0.5, 0.5**0.5, 1.0])


def test_weight_without_a_half_life_is_unchanged() -> None:
    moments = moments_at(0, 50, 100, weight=np.array([1.0, 3, 2]))
    assert learning_weight(moments, None).tolist() == [1, 3, 2]


def test_half_life_without_times_counts_leads() -> None:
    timeless = replace(moments_at(0, 1, 2), as_of=np.full(3, NOT_A_TIME))
    weight = learning_weight(timeless, HalfLife(2.0, in_days=False))
    assert weight == pytest.approx([0.5, 0.5**0.5, 1.0])


def test_half_life_of_a_period_is_a_part_of_it() -> None:
    moments = moments_at(0, 50, 200)
    assert HalfLife.of_period(moments, 4) == HalfLife(50.0, in_days=True)
    assert str(HalfLife.of_period(moments, 300)) == "1 day"


def test_half_life_moves_the_model_towards_newer_leads(tmp_path: Path) -> None:
    leads = table(600, share=0.5)
    red = leads["colour"] == "red"
    is_old = np.arange(600) < 400
    # Red leads are won among the older two thirds and lost among the newer ones; 15 % deviate.
    is_typical = np.random.default_rng(1).random(600) < 0.85
    leads["outcome"] = np.where((red == is_old) == is_typical, "yes", "no")
    red_minus_green = {}
    for name, learn in (("plain", ""), ("recent", "half_life_days = 40")):
        (tmp_path / name).mkdir()
        project, records, moments = crm(tmp_path / name, leads, learn)
        fitted = fitted_on(records, moments, project, BY_HAND)
        if_red, if_green = (
            probabilities(fitted, records, colour=colour).mean() for colour in ("red", "green")
        )
        red_minus_green[name] = if_red - if_green
    assert red_minus_green["plain"] > 0.1
    assert red_minus_green["recent"] < -0.1


def test_half_life_applies_to_the_base_rate(tmp_path: Path) -> None:
    leads = table(200)
    leads["outcome"] = np.where(np.arange(200) < 190, "no", "yes")
    project, records, moments = crm(tmp_path, leads, "half_life_days = 10")
    fitted = fitted_on(records, moments, project)
    assert isinstance(fitted.estimator, BaseRate)
    assert expit(fitted.estimator.log_odds) > 0.3  # without the half-life it would be 5 %


def test_half_life_without_times_is_refused(tmp_path: Path) -> None:
    leads = table(100).drop(columns="created_at")
    project, records, moments = crm(tmp_path, leads, "half_life_days = 10")
    match = r"half_life_days needs the creation time of each lead.*Name it in \[leads\] created_at"
    with pytest.raises(ConfigError, match=match):
        fitted_on(records, moments, project)


@pytest.mark.parametrize(("older", "newer"), [(80, 40), (1, 37)])
def test_declared_half_life_is_kept_unless_it_makes_outcomes_too_few(
    older: int, newer: int
) -> None:
    """Forty newer leads have enough outcomes; 38 leads have too few without a half-life too."""
    assert declared_for(older, newer) == HalfLife(0.001, in_days=True)


@pytest.mark.parametrize(("older", "newer"), [(80, 38), (2, 38)])
def test_declared_half_life_that_leaves_nineteen_outcomes_is_refused(
    older: int, newer: int
) -> None:
    match = f"only 38 of {older + 38} leads would count, 19 of them with the rarer outcome"
    with pytest.raises(ConfigError, match=match):
        declared_for(older, newer)


def declared_for(older: int, newer: int) -> HalfLife | None:
    """Return the declared half-life of older leads, which have no weight, and of newer ones."""
    moments = moments_at(*[0] * older, *[10] * newer)
    moments = replace(moments, label=(np.arange(older + newer) % 2).astype(np.int8))
    project: Any = SimpleNamespace(learn=SimpleNamespace(half_life_days=0.001))
    return declared_half_life(project, moments)


# -- directions ------------------------------------------------------------------------------


def pipeline_of(folder: Path, learn: str, columns: str = "") -> tuple[FeaturePipeline, Project]:
    project, records, moments = crm(folder, table(120), learn, columns)
    return fit_pipeline(records, moments, project, {}), project


def test_directions_are_at_the_positions_of_their_columns(tmp_path: Path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'rising = ["size"]\nfalling = ["age"]')
    by_name = dict(zip(pipeline.names, directions(pipeline, project), strict=True))
    assert by_name.pop("size") == 1
    assert by_name.pop("age") == -1
    assert set(by_name.values()) == {0}
    assert len(by_name) > 2


def test_directions_are_empty_if_none_are_declared(tmp_path: Path) -> None:
    pipeline, project = pipeline_of(tmp_path, "")
    assert directions(pipeline, project) == ()


def test_directions_accept_names_of_features(tmp_path: Path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'falling = ["lead.age_days"]')
    assert directions(pipeline, project)[pipeline.names.index("lead.age_days")] == -1


@pytest.mark.parametrize(
    ("learn", "match"),
    [
        ('rising = ["sise"]', r"names `sise`, which is not a feature\. Did you mean `size`\?"),
        (
            'falling = ["zzzzzz"]',
            r"names `zzzzzz`, which is not a feature\. Expected one of: size, age,",
        ),
        (
            'rising = ["colour"]',
            r"names `colour`, which is a category and has no direction\. It must name",
        ),
        ('falling = ["outcome"]', r"names `outcome`, which is not a feature"),
    ],
)
def test_directions_must_name_numbers(tmp_path: Path, learn: str, match: str) -> None:
    pipeline, project = pipeline_of(tmp_path, learn)
    with pytest.raises(ConfigError, match=rf"^\[learn\] rising or falling {match}"):
        check_directions(pipeline, project)


def test_directions_ignore_activities_missing_from_the_pipeline(tmp_path: Path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'rising = ["activity[demo].count", "size"]')
    by_name = dict(zip(pipeline.names, directions(pipeline, project), strict=True))
    assert {name for name, direction in by_name.items() if direction} == {"size"}


@pytest.mark.parametrize("column", ["note", "age"], ids=["constant", "ignored"])
def test_directions_ignore_columns_that_are_left_out(tmp_path: Path, column: str) -> None:
    pipeline, project = pipeline_of(tmp_path, f'rising = ["{column}"]', 'ignore = ["age"]')
    assert column not in pipeline.names
    assert set(directions(pipeline, project)) == {0}


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_fitted_model_keeps_declared_directions(tmp_path: Path, weight: float) -> None:
    # In truth, large leads are won more often, and age has no effect.
    learn = 'falling = ["size"]\nrising = ["age"]'
    project, records, moments = crm(tmp_path, table(400), learn)
    fitted = fitted_on(records, moments, project, replace(BY_HAND, logistic_weight=weight))
    for column, direction in (("size", -1), ("age", 1)):
        by_value = [
            probabilities(fitted, records, **{column: value}) for value in np.linspace(-50, 200, 26)
        ]
        assert (direction * np.diff(by_value, axis=0) >= -1e-12).all()


def test_directions_apply_to_the_selection_sets(tmp_path: Path) -> None:
    project, records, moments = crm(tmp_path, table(400), 'falling = ["size"]')
    older, newer, _ = selection_sets(records, moments, project, {})
    assert set(older.directions) == set(newer.directions) == {0, -1}
    fitted = fitted_on(records, moments, project)
    small, large = (probabilities(fitted, records, size=size) for size in (10, 90))
    assert (large <= small + 1e-12).all()
