"""Pairs of attributes and counts of values: what they learn, and how one lead is read."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.arrays import Floats
from crm.project import PROJECT_FILE, Project, load_project
from crm.records import Records
from crm.times import NOT_A_TIME
from features import fitting, interactions
from features.attributes.category import MANY_VALUES
from features.feature import LeadValues
from features.fitting import N_FOLDS, fit_pipeline, folds, training_matrix
from features.interactions import (
    NO_INTERACTIONS,
    AttributePair,
    Interactions,
    ValueCount,
)
from features.moments import Moments
from features.pipeline import MANY_LEADS, FeaturePipeline
from features.words import Words, distinct_keys
from tests.made_attributes import smoothed_log_odds
from training.golden import golden_leads

ASKED = Interactions(
    pairs=(("city", "plan"), ("opted_in", "plan"), ("plan", "title")), counts=("city", "title")
)
WIDTH = 2 * len(ASKED.pairs) + len(ASKED.counts)
CITIES = [f"City {i}" for i in range(MANY_VALUES + 5)]
TITLES = [f"Title {i}" for i in range(3 * MANY_VALUES)]
CELLS: dict[str, list[Any]] = {
    "city": [*CITIES, "CITY 1", " city  2", "", None, "Select", "elsewhere"],
    "plan": ["a", "A ", "b", None, "Select", 3, 3.0, True, "c"],
    "opted_in": ["yes", "Ja", "no", "0", None, "perhaps"],
    "title": [*TITLES, None, "nobody"],
}


def project_of(folder: Path) -> Project:
    (folder / PROJECT_FILE).write_text(
        'project.name = "acme"\nleads = {source = "leads.csv", outcome = "won"}\n'
        'learn = {won = ["yes"], lost = ["no"]}\ncolumns.nothing = ["Select"]\n'
    )
    return load_project(folder)


def made_records(n: int = 900, seed: int = 0) -> Records:
    generator = np.random.default_rng(seed)
    leads = pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "size": generator.random(n),
            "city": generator.choice(CITIES, n),
            "plan": generator.choice(np.array(["a", "b", "c", None], dtype=object), n),
            "opted_in": generator.choice(np.array(["yes", "no", None], dtype=object), n),
            "title": generator.choice(TITLES, n),
        }
    )
    return Records(leads, pd.DataFrame())


def made_moments(n_leads: int, repeats: int = 1, seed: int = 1) -> Moments:
    lead = np.repeat(np.arange(n_leads), repeats)
    label = np.random.default_rng(seed).integers(0, 2, len(lead)).astype(np.int8)
    no_times = np.full(len(lead), NOT_A_TIME)
    return Moments(lead, no_times, label, no_times, np.ones(len(lead)), {})


RECORDS = made_records()
MOMENTS = made_moments(900)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> FeaturePipeline:
    project = project_of(tmp_path_factory.mktemp("project"))
    return fit_pipeline(RECORDS, MOMENTS, project, interactions=ASKED)


# -- the features of a pipeline


def test_interactions_are_the_last_features(pipeline: FeaturePipeline) -> None:
    without = replace(pipeline, interactions=())
    assert pipeline.names[:-WIDTH] == without.names
    assert pipeline.names[-WIDTH:] == [
        "city with plan.win_log_odds",
        "city with plan.log_count",
        "opted_in with plan.win_log_odds",
        "opted_in with plan.log_count",
        "plan with title.win_log_odds",
        "plan with title.log_count",
        "city.log_count",
        "title.log_count",
    ]
    assert pipeline.categorical == without.categorical
    assert pipeline.growing == without.growing
    matrix = pipeline.matrix(RECORDS.leads)
    np.testing.assert_array_equal(matrix[:, :-WIDTH], without.matrix(RECORDS.leads))


def test_features_of_a_pair_are_one_signal(pipeline: FeaturePipeline) -> None:
    rate, count = pipeline.features[-WIDTH:][:2]
    assert rate.signal_name == count.signal_name == "city with plan"
    assert pipeline.features[-1].signal_name == "title"


def test_reasons_of_a_pair_name_the_values(pipeline: FeaturePipeline) -> None:
    rate, count = pipeline.features[-WIDTH:][:2]
    bonn = LeadValues(("Bonn", "A"), is_seen=True)
    assert (
        rate.say(math.log(0.42 / 0.58), bonn)
        == 'city is "Bonn" and plan is "A": such leads are won in 42% of cases'
    )
    assert count.say(math.log1p(1.25), bonn) == (
        'city is "Bonn" and plan is "A": such leads were seen once in training'
    )


# -- laws

leads_cells = st.lists(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(c) for name, c in CELLS.items()}),
    max_size=2 * MANY_LEADS,
)


@given(rows=leads_cells)
def test_one_lead_is_read_as_among_many(
    pipeline: FeaturePipeline, rows: list[dict[str, Any]]
) -> None:
    """Rows alone, rows together and a table give the same bits."""
    together = pipeline.rows(rows)
    assert together.shape == (len(rows), len(pipeline.names))
    for row, lead in zip(together, rows, strict=True):
        np.testing.assert_array_equal(pipeline.rows([lead])[0], row)
    if rows:
        table = pd.DataFrame(rows, index=range(len(rows)), columns=list(CELLS), dtype=object)
        np.testing.assert_array_equal(pipeline.matrix(table), together)


def test_rows_of_a_table_are_those_of_transform(pipeline: FeaturePipeline) -> None:
    cells: Any = RECORDS.leads.astype(object).to_dict("records")
    as_requests: list[dict[str, Any]] = cells
    n = len(as_requests)
    transformed = pipeline.transform(RECORDS, np.arange(n), np.full(n, NOT_A_TIME))
    np.testing.assert_array_equal(pipeline.matrix(RECORDS.leads), transformed)
    np.testing.assert_array_equal(pipeline.rows(as_requests), transformed)
    reversed_leads = RECORDS.leads.iloc[::-1]
    np.testing.assert_array_equal(pipeline.matrix(reversed_leads), transformed[::-1])


def test_absent_columns_count_as_missing(pipeline: FeaturePipeline) -> None:
    without = RECORDS.leads.drop(columns="plan")
    as_missing = RECORDS.leads.assign(plan=None)
    np.testing.assert_array_equal(pipeline.matrix(without), pipeline.matrix(as_missing))


def test_spellings_of_a_value_are_one_value(pipeline: FeaturePipeline) -> None:
    rows = [
        {"city": city, "plan": plan, "opted_in": flag}
        for city, plan, flag in [
            ("City 1", "a", "yes"),
            (" CITY  1", "A", "ja"),
            ("city 1", " a ", True),
        ]
    ]
    matrix = pipeline.rows(rows)[:, -WIDTH:]
    assert (matrix == matrix[0]).all()


def test_saved_pipeline_computes_the_same_bits(pipeline: FeaturePipeline) -> None:
    loaded = FeaturePipeline.from_json(json.loads(json.dumps(pipeline.to_json())))
    assert loaded == pipeline
    np.testing.assert_array_equal(loaded.matrix(RECORDS.leads), pipeline.matrix(RECORDS.leads))


def test_pipeline_without_interactions_is_saved_as_before(pipeline: FeaturePipeline) -> None:
    state = replace(pipeline, interactions=()).to_json()
    assert "interactions" not in state
    assert FeaturePipeline.from_json(state).interactions == ()


@pytest.mark.parametrize("column", ["size", "nowhere"])
def test_saved_interaction_of_a_column_without_words_is_refused(
    pipeline: FeaturePipeline, column: str
) -> None:
    state = pipeline.to_json()
    state["interactions"][-1]["columns"] = [column]
    with pytest.raises(ValueError, match=f"no words: \\['{column}'\\]"):
        FeaturePipeline.from_json(state)


def test_golden_leads_have_pairs_that_were_seen(pipeline: FeaturePipeline) -> None:
    golden = golden_leads(pipeline, RECORDS.leads, NOT_A_TIME, seed=0)
    counts = pipeline.rows([lead.cells for lead in golden])[:, -WIDTH:]
    seen = (counts[:, [1, 3, 5, 6, 7]] > 0).sum(axis=0)
    assert (seen >= 2).all()
    assert (seen < len(golden)).all()  # some leads have unseen values


def test_golden_leads_do_without_an_empty_table(pipeline: FeaturePipeline) -> None:
    empty = replace(pipeline, interactions=(AttributePair(("city", "plan"), {}, 0.0),))
    without = replace(pipeline, interactions=())
    made, expected = (golden_leads(p, RECORDS.leads, NOT_A_TIME, 0) for p in (empty, without))
    assert made == expected


# -- what is learned


def words_of(records: Records, column: str) -> list[str]:
    return [str(cell or "").casefold() for cell in records.leads[column].astype(object)]


@pytest.mark.parametrize("repeats", [1, 3])
def test_pair_and_count_are_those_of_the_training_moments(tmp_path: Path, repeats: int) -> None:
    moments = made_moments(900, repeats)
    fitted = fit_pipeline(RECORDS, moments, project_of(tmp_path), interactions=ASKED)
    matrix = fitted.transform(RECORDS, moments.lead, moments.as_of)
    pairs = list(zip(words_of(RECORDS, "city"), words_of(RECORDS, "plan"), strict=True))
    of_moments = pd.Series([pairs[lead] for lead in moments.lead])
    groups = pd.DataFrame({"pair": of_moments, "won": moments.label}).groupby("pair")["won"]
    rate = (moments.label.sum() + 0.5) / (len(moments) + 1)
    for row, pair in enumerate(of_moments):
        won, seen = groups.get_group(pair).sum(), groups.get_group(pair).count()
        assert matrix[row, -WIDTH] == pytest.approx(smoothed_log_odds(won, seen, rate), rel=1e-9)
        assert matrix[row, 1 - WIDTH] == pytest.approx(math.log1p(seen))
    city_counts = of_moments.str[0].map(of_moments.str[0].value_counts())
    np.testing.assert_allclose(matrix[:, -2], np.log1p(city_counts))


def test_unseen_pair_has_the_average_and_the_count_0(pipeline: FeaturePipeline) -> None:
    seen_city = str(RECORDS.leads["city"].iloc[0])
    row = pipeline.rows([{"city": seen_city, "plan": "new"}, {"city": "new", "plan": "a"}])
    rate = (MOMENTS.label.sum() + 0.5) / (len(MOMENTS) + 1)
    np.testing.assert_allclose(row[:, -WIDTH], math.log(rate / (1 - rate)))
    assert (row[:, 1 - WIDTH] == 0).all()
    assert row[1, -2] == 0


def last_columns(pipeline: FeaturePipeline, records: Records, moments: Moments) -> Floats:
    return training_matrix(pipeline, records, moments, seed=0)[:, -WIDTH:]


@pytest.mark.parametrize("repeats", [1, 3])
def test_training_row_is_learned_from_other_folds(tmp_path: Path, repeats: int) -> None:
    moments = made_moments(900, repeats)
    fitted = fit_pipeline(RECORDS, moments, project_of(tmp_path), interactions=ASKED)
    matrix = last_columns(fitted, RECORDS, moments)
    fold_of = folds(moments.label, moments.lead, 0, N_FOLDS)
    pairs = list(zip(words_of(RECORDS, "city"), words_of(RECORDS, "plan"), strict=True))
    of_moments = np.array(["|".join(pairs[lead]) for lead in moments.lead])
    for row in range(0, len(moments), 7):
        others = fold_of != fold_of[row]
        same = others & (of_moments == of_moments[row])
        rate = (moments.label[others].sum() + 0.5) / (others.sum() + 1)
        expected = smoothed_log_odds(moments.label[same].sum(), same.sum(), rate)
        assert matrix[row, 0] == pytest.approx(expected, rel=1e-9)
        scaled = same.sum() * len(moments) / others.sum()
        assert matrix[row, 1] == pytest.approx(math.log1p(scaled))


def test_value_of_one_lead_looks_in_training_as_a_new_value_when_scored(tmp_path: Path) -> None:
    """A lead alone with its values does not count itself, however many moments it has."""
    records, moments = made_records(900), made_moments(900, repeats=3)
    records.leads.loc[5, ["city", "plan"]] = ["Only Here", "b"]
    fitted = fit_pipeline(records, moments, project_of(tmp_path), interactions=ASKED)
    of_lead = last_columns(fitted, records, moments)[moments.lead == 5]
    assert (of_lead[:, [1, 6]] == 0).all()
    new = fitted.rows([{"city": "Also New", "plan": "b"}])[0, -WIDTH:]
    assert (new[[1, 6]] == 0).all()
    np.testing.assert_allclose(of_lead[:, 0], new[0], atol=0.1)  # the averages of folds differ


def test_counts_in_training_are_comparable_with_counts_of_new_leads(tmp_path: Path) -> None:
    n = 10_000
    older, all_leads = made_moments(n), made_records(2 * n)
    fitted = fit_pipeline(all_leads, older, project_of(tmp_path), interactions=ASKED)
    in_training = np.expm1(last_columns(fitted, all_leads, older))
    newer = fitted.transform(all_leads, np.arange(n, 2 * n), np.full(n, NOT_A_TIME))
    when_scored = np.expm1(newer[:, -WIDTH:])
    for column in (1, 3, 5, 6, 7):
        mean = in_training[:, column].mean()
        assert mean == pytest.approx(when_scored[:, column].mean(), rel=0.03)


@given(st.integers(0, 899))
def test_own_label_does_not_change_a_training_row(pipeline: FeaturePipeline, lead: int) -> None:
    """The label of a lead changes rows of other folds, and not those of its own fold."""
    fold_of = np.arange(900) % N_FOLDS
    label = MOMENTS.label.copy()
    label[lead] = 1 - label[lead]
    with mock.patch.object(fitting, "folds", return_value=fold_of):
        before = last_columns(pipeline, RECORDS, MOMENTS)
        after = last_columns(pipeline, RECORDS, replace(MOMENTS, label=label))
    in_its_fold = fold_of == fold_of[lead]
    np.testing.assert_array_equal(after[in_its_fold], before[in_its_fold])
    assert (after[~in_its_fold, 0] != before[~in_its_fold, 0]).all()


def test_most_frequent_pairs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "MOST_VALUES", 3)
    words = Words(np.array([0] * 5 + [1] * 4 + [2] * 2 + [3] * 2 + [4]), list("abcde"))
    label = np.zeros(14, dtype=np.int8)
    pair = AttributePair.fit(("x", "y"), [words, words], label, np.ones(14))
    assert list(pair.values) == ["a", "b"]  # c and d are equally frequent
    count = ValueCount.fit(("x",), [words], label, np.ones(14))
    assert list(count.values) == ["a", "b"]


def test_leads_of_a_single_fold_are_unseen_in_training(pipeline: FeaturePipeline) -> None:
    moments = MOMENTS.take(np.array([4]))
    matrix = last_columns(pipeline, RECORDS, moments)
    assert (matrix == 0).all()  # the counts, and the log-odds of half


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_distinct_keys_are_those_of_numpy(keys: list[int]) -> None:
    numbers = np.array(keys, dtype=np.int64)
    values, place = distinct_keys(numbers)
    expected_values, expected_place = np.unique(numbers, return_inverse=True)
    np.testing.assert_array_equal(values, expected_values)
    np.testing.assert_array_equal(place, expected_place)


# -- which interactions are fitted


def test_no_interactions_are_the_default(tmp_path: Path) -> None:
    assert NO_INTERACTIONS.columns == ()
    fitted = fit_pipeline(RECORDS, MOMENTS, project_of(tmp_path))
    assert fitted.interactions == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda leads: leads.assign(city=np.arange(len(leads)) % 7.0),
        lambda leads: leads.assign(city="always"),
    ],
)
def test_interaction_of_a_column_that_is_no_category_is_skipped(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    records = replace(RECORDS, leads=change(RECORDS.leads))
    fitted = fit_pipeline(records, MOMENTS, project_of(tmp_path), interactions=ASKED)
    columns = [interaction.columns for interaction in fitted.interactions]
    assert columns == [("opted_in", "plan"), ("plan", "title"), ("title",)]


def test_interaction_of_a_column_that_is_left_out_is_skipped(tmp_path: Path) -> None:
    later = {"title": "it is known later"}
    fitted = fit_pipeline(RECORDS, MOMENTS, project_of(tmp_path), later, ASKED)
    columns = [interaction.columns for interaction in fitted.interactions]
    assert columns == [("city", "plan"), ("opted_in", "plan"), ("city",)]


def test_interaction_of_an_unknown_column_is_refused(tmp_path: Path) -> None:
    asked = Interactions(pairs=(("city", "plam"),))
    with pytest.raises(ValueError, match="the leads do not have: \\['plam'\\]"):
        fit_pipeline(RECORDS, MOMENTS, project_of(tmp_path), interactions=asked)
