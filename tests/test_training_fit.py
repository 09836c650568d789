"""Fitting everything that makes a score: the same settings twice, recency, and directions."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from crm.errors import ConfigError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY
from features.fitting import fit_pipeline, training_matrix
from features.moments import Moments, make_moments
from models.calibration import Calibration
from models.estimator.blend import BaseRate, Blend
from models.fitting.blend import FEWEST_OUTCOMES, NEWEST_SHARE, BlendSettings
from training import fit as fit_module
from training.fit import Fitted, check_directions, choosing, directions, fit, learning_weight
from training.split import split_newest

BY_HAND = BlendSettings(0.5, 1.0, 4.0, 15, "set by hand", ())


def table(n: int, seed: int = 0, share: float = 0.4) -> pd.DataFrame:
    """Give leads a day apart; larger ones and red ones are won more often."""
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


def crm(folder: Path, leads: pd.DataFrame, learn: str = "", columns: str = ""):
    """Bring a flat export to where fitting starts: project, records, moments."""
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


def like(settings: BlendSettings | None) -> Fitted:
    return Fitted(None, BaseRate(0.0), Calibration(1.0, 0.0), settings)  # only settings count


def shares(fitted: Fitted, records: Records, **cells) -> np.ndarray:
    """Give the probabilities of all leads with some of their cells set."""
    table = records.leads.assign(**cells)
    history = fitted.pipeline.no_history(len(table))
    return expit(fitted.log_odds_of(fitted.pipeline.matrix(table, history)))


# -- settings --------------------------------------------------------------------------------


def test_settings_are_found_once_and_reused(tmp_path, monkeypatch) -> None:
    project, records, moments = crm(tmp_path, table(400))
    half = moments.take(np.arange(len(moments)) < 300)
    first = fit(records, half, project, {})
    assert isinstance(first.estimator, Blend)
    monkeypatch.setattr(fit_module, "choosing", None)  # nothing is to be found out again
    again = fit(records, moments, project, {}, like=first)
    assert again.settings is first.settings
    assert again.estimator.logistic_weight == first.estimator.logistic_weight
    assert again.estimator != first.estimator


def test_all_leads_may_suffice_where_training_leads_do_not(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(400))
    fitted = fit(records, moments, project, {}, like=like(None))
    assert isinstance(fitted.estimator, Blend)
    assert fitted.settings == fit(records, moments, project, {}).settings


def test_unknown_labels_keep_equal_weights(tmp_path) -> None:
    leads = table(200)
    leads["created_at"] = leads["created_at"].iloc[0]  # none was known when the newest began
    project, records, moments = crm(tmp_path, leads)
    assert choosing(records, moments, project, {}) is None
    fitted = fit(records, moments, project, {})
    assert fitted.settings.why.startswith("even, because there are too few outcomes among the")


def test_selection_uses_labels_known_to_older_leads(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(400))
    older, newer = choosing(records, moments, project, {})
    split = split_newest(records, moments, NEWEST_SHARE, 0)
    assert older.lead.tolist() == split.train.lead.tolist()
    assert newer.lead.tolist() == split.test.lead.tolist()
    assert older.lead.max() < newer.lead.min()
    assert len(newer.lead) == round(NEWEST_SHARE * 400)
    assert split.embargoed > 0
    known = moments.known_at[np.isin(moments.lead, older.lead)]
    assert known.max() <= moments.as_of[np.isin(moments.lead, newer.lead)].min()


def test_selection_fits_its_pipeline_to_older_leads(tmp_path) -> None:
    leads = table(400)
    leads.loc[350:, "colour"] = "purple"  # which no older lead has
    project, records, moments = crm(tmp_path, leads)
    older, newer = choosing(records, moments, project, {})
    split = split_newest(records, moments, NEWEST_SHARE, 0)
    pipeline = fit_pipeline(records, split.train, project, {})
    assert older.features == pytest.approx(
        training_matrix(pipeline, records, split.train, 0), nan_ok=True
    )
    assert newer.features == pytest.approx(
        pipeline.transform(records, split.test.lead, split.test.as_of), nan_ok=True
    )
    place = pipeline.names.index("colour")
    assert set(newer.features[newer.lead >= 350, place]) == {1.0}  # unseen
    assert older.categorical == newer.categorical == tuple(pipeline.categorical)
    assert older.growing == newer.growing == tuple(pipeline.growing)


def test_selection_needs_both_outcomes_on_both_sides(tmp_path) -> None:
    leads = table(200)
    leads.loc[150:, "outcome"] = "no"
    project, records, moments = crm(tmp_path, leads)
    assert choosing(records, moments, project, {}) is None
    fitted = fit(records, moments, project, {})
    why = "even, because there are too few outcomes among the newest leads"
    assert fitted.settings.why.startswith(why)


@pytest.mark.parametrize("wins", [FEWEST_OUTCOMES - 1, FEWEST_OUTCOMES])
def test_twenty_outcomes_fit_a_blend(tmp_path, wins: int) -> None:
    leads = table(300)
    largest = leads["size"].to_numpy().argsort()[::-1]
    outcome = np.full(300, "no", dtype=object)
    outcome[largest[:wins]] = "yes"
    project, records, moments = crm(tmp_path, leads.assign(outcome=outcome))
    fitted = fit(records, moments, project, {})
    assert isinstance(fitted.estimator, Blend) == (wins == FEWEST_OUTCOMES)
    assert (fitted.settings is None) == (wins < FEWEST_OUTCOMES)


def test_tree_parameters_reach_the_trees(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    fitted = fit(
        records, moments, project, {}, like=like(BY_HAND), tree_parameters={"num_leaves": 2}
    )
    leaves = set(re.findall(r"num_leaves=(\d+)", fitted.estimator.trees.text))
    assert leaves <= {"1", "2"}


def test_leaking_columns_are_left_out(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    fitted = fit(records, moments, project, {"size": "it knows too much"}, like=like(BY_HAND))
    assert "size" not in fitted.pipeline.names
    assert {left.column: left.reason for left in fitted.pipeline.left_out}["size"] == (
        "it knows too much"
    )


def test_calibration_is_fitted_out_of_fold(tmp_path) -> None:
    # Trees that know their rows by heart would need no calibration if it saw them.
    project, records, moments = crm(tmp_path, table(300))
    keen = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "learning_rate": 0.5, "num_leaves": 40}
    settings = replace(BY_HAND, logistic_weight=0.0, rounds=60)
    fitted = fit(records, moments, project, {}, like=like(settings), tree_parameters=keen)
    assert fitted.calibration.slope < 0.5


def test_progress_rises_to_one(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(300))
    told: list[float] = []
    fit(records, moments, project, {}, on_share=told.append)
    assert told == sorted(told)
    assert 0 <= told[0] < 0.5
    assert told[-1] == 1.0


# -- recency ---------------------------------------------------------------------------------


def moments_at(*days: float, weight=None) -> Moments:
    n = len(days)
    none = np.zeros(n, dtype=np.int64)
    at = (np.array(days) * DAY).astype(np.int64)
    return Moments(
        np.arange(n), at, none.astype(np.int8), none, np.ones(n) if weight is None else weight, {}
    )


def of_half_life(project: Project, days: float | None) -> Project:
    import msgspec

    return replace(project, learn=msgspec.structs.replace(project.learn, half_life_days=days))


@pytest.fixture
def project(tmp_path) -> Project:
    return crm(tmp_path, table(60))[0]


def test_weight_halves_after_a_half_life(project) -> None:
    moments = moments_at(0, 50, 100, 150, 200, weight=np.array([1.0, 1, 2, 1, 1]))
    found = learning_weight(moments, of_half_life(project, 100.0))
    assert found == pytest.approx([0.25, 0.5**1.5, 2 * 0.5, 0.5**0.5, 1.0])


def test_weights_are_equal_without_a_half_life(project) -> None:
    moments = moments_at(0, 50, 100, weight=np.array([1.0, 3, 2]))
    assert learning_weight(moments, project).tolist() == [1, 3, 2]


def test_half_life_moves_the_model_towards_newer_leads(tmp_path) -> None:
    leads = table(600, share=0.5)
    red = leads["colour"] == "red"
    is_old = np.arange(600) < 400
    lucky = np.random.default_rng(1).random(600) < 0.85
    leads["outcome"] = np.where((red == is_old) == lucky, "yes", "no")
    found = {}
    for name, learn in (("plain", ""), ("recent", "half_life_days = 40")):
        (tmp_path / name).mkdir()
        project, records, moments = crm(tmp_path / name, leads, learn)
        fitted = fit(records, moments, project, {}, like=like(BY_HAND))
        chances = [shares(fitted, records, colour=colour).mean() for colour in ("red", "green")]
        found[name] = chances[0] - chances[1]
    assert found["plain"] > 0.1  # two thirds of all leads say so
    assert found["recent"] < -0.1


def test_half_life_weights_the_base_rate(tmp_path) -> None:
    leads = table(200)
    leads["outcome"] = np.where(np.arange(200) < 190, "no", "yes")
    project, records, moments = crm(tmp_path, leads, "half_life_days = 10")
    fitted = fit(records, moments, project, {})
    assert isinstance(fitted.estimator, BaseRate)
    assert expit(fitted.estimator.log_odds) > 0.3  # plainly it would be 5 %


def test_half_life_without_times_is_refused(tmp_path) -> None:
    leads = table(100).drop(columns="created_at")
    project, records, moments = crm(tmp_path, leads, "half_life_days = 10")
    match = r"half_life_days needs the leads' time of creation.*Name \[leads\] created_at"
    with pytest.raises(ConfigError, match=match):
        fit(records, moments, project, {})


def test_selection_leads_have_equal_weights(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(300), "half_life_days = 20")
    older, newer = choosing(records, moments, project, {})
    assert newer.weight.tolist() == [1.0] * len(newer.weight)
    assert older.weight.max() == 1.0
    assert older.weight.min() < 0.01


# -- directions ------------------------------------------------------------------------------


def pipeline_of(folder: Path, learn: str, columns: str = ""):
    project, records, moments = crm(folder, table(120), learn, columns)
    return fit_pipeline(records, moments, project, {}), project


def test_directions_match_their_columns(tmp_path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'rising = ["size"]\nfalling = ["age"]')
    found = dict(zip(pipeline.names, directions(pipeline, project), strict=True))
    assert found.pop("size") == 1
    assert found.pop("age") == -1
    assert set(found.values()) == {0}
    assert len(found) > 2


def test_no_directions_give_an_empty_tuple(tmp_path) -> None:
    pipeline, project = pipeline_of(tmp_path, "")
    assert directions(pipeline, project) == ()


def test_directions_use_the_names_of_the_data_dictionary(tmp_path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'falling = ["lead.age_days"]')
    assert directions(pipeline, project)[pipeline.names.index("lead.age_days")] == -1


@pytest.mark.parametrize(
    ("learn", "match"),
    [
        ('rising = ["sise"]', r"names `sise`, which is no feature\. Did you mean `size`\?"),
        ('falling = ["zzzzzz"]', r"names `zzzzzz`, which is no feature\. Known are: size, age,"),
        ('rising = ["colour"]', r"names `colour`, which is a category and has no direction\. Expe"),
        ('falling = ["outcome"]', r"names `outcome`, which is no feature"),
    ],
)
def test_directions_of_non_numbers_are_refused(tmp_path, learn: str, match: str) -> None:
    pipeline, project = pipeline_of(tmp_path, learn)
    with pytest.raises(ConfigError, match=rf"^\[learn\] rising or falling {match}"):
        check_directions(pipeline, project)


def test_directions_skip_rare_activities(tmp_path) -> None:
    pipeline, project = pipeline_of(tmp_path, 'rising = ["activity[demo].count", "size"]')
    found = dict(zip(pipeline.names, directions(pipeline, project), strict=True))
    assert {name for name, direction in found.items() if direction} == {"size"}


@pytest.mark.parametrize("column", ["note", "age"], ids=["constant", "ignored"])
def test_directions_skip_columns_that_are_left_out(tmp_path, column: str) -> None:
    pipeline, project = pipeline_of(tmp_path, f'rising = ["{column}"]', 'ignore = ["age"]')
    assert column not in pipeline.names
    assert set(directions(pipeline, project)) == {0}


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_declared_direction_always_holds(tmp_path, weight: float) -> None:
    # Larger leads are won more often, and age says nothing.
    learn = 'falling = ["size"]\nrising = ["age"]'
    project, records, moments = crm(tmp_path, table(400), learn)
    fitted = fit(records, moments, project, {}, like=like(replace(BY_HAND, logistic_weight=weight)))
    for column, direction in (("size", -1), ("age", 1)):
        scanned = [shares(fitted, records, **{column: cell}) for cell in np.linspace(-50, 200, 26)]
        assert (direction * np.diff(scanned, axis=0) >= -1e-12).all()


def test_directions_reach_tuning(tmp_path) -> None:
    project, records, moments = crm(tmp_path, table(400), 'falling = ["size"]')
    older, newer = choosing(records, moments, project, {})
    assert set(older.directions) == set(newer.directions) == {0, -1}
    fitted = fit(records, moments, project, {})
    small, large = (shares(fitted, records, size=size) for size in (10, 90))
    assert (large <= small + 1e-12).all()
