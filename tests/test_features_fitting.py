"""Fitting a pipeline: the kind of each column, what is left out, and encodings out of fold."""

import datetime
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

from crm.errors import LearningError
from crm.project import PROJECT_FILE, Project, load_project
from crm.records import Records
from crm.times import NOT_A_TIME
from features import fitting
from features.attributes.attribute import Attribute
from features.attributes.category import MANY_VALUES, CategoryAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute, fit_target
from features.fitting import N_FOLDS, fit_pipeline, folds, training_matrix
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from tests.made_attributes import NOTHING, smoothed_log_odds

# -- the kind of a column

KINDS_PROJECT = """
project.name = "acme"
leads = {source = "leads.csv", outcome = "won"}
learn = {won = ["yes"], lost = ["no"]}
columns = {nothing = ["Select"], category = ["asked"], number = ["size"]}
"""
CITIES = [f"City {i}" for i in range(MANY_VALUES + 5)]


def project_of(folder: Path, text: str) -> Project:
    (folder / PROJECT_FILE).write_text(text)
    return load_project(folder)


def moments_without_times(lead: Any, label: Any) -> Moments:
    no_times = np.full(len(lead), NOT_A_TIME)
    return Moments(np.asarray(lead), no_times, label, no_times, np.ones(len(lead)), {})


def fit_column(folder: Path, cells: Any, name: str = "x", n: int = 400) -> list[Attribute]:
    """Fit a pipeline to n leads whose cells repeat; return the attributes of the column."""
    leads = pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            name: (list(cells) * n)[:n],
            "filler": np.arange(n) % 7.0,
        }
    )
    label = (np.arange(n) % 3 == 0).astype(np.int8)
    moments = moments_without_times(np.arange(n), label)
    records, project = Records(leads, pd.DataFrame()), project_of(folder, KINDS_PROJECT)
    pipeline = fit_pipeline(records, moments, project)
    return [attribute for attribute in pipeline.attributes if attribute.column == name]


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        (["yes", "no"], ["flag"]),
        (["Ja", "nein", "", None], ["flag"]),
        (["opted in", "opted out", "Select"], ["flag"]),
        ([True, False], ["flag"]),
        (["1", "0"], ["number"]),
        (["1.0", "0.0"], ["number"]),
        ([1, 0], ["number"]),
        (["yes", "no", "perhaps"], ["category"]),
        (["yes", "no"] * 190 + ["who knows"] * 20, ["category"]),
        (["no", "none at all"], ["category"]),
        (["2025-01-01", "2025-02-03T08:00Z", None], ["date"] * 3),
        (pd.to_datetime(["2025-01-01", "2025-02-03"]), ["date"] * 3),
        ([datetime.date(2025, 1, 1), datetime.date(2025, 2, 3)], ["date"] * 3),
        (["2025-01-01", "soon"], ["category"]),
        (["20250101", "20250203"], ["date"] * 3),
        ([f"p{i}@acme.example" for i in range(400)], ["email"]),
        ([f"p{i}@acme.example" for i in range(9)] + ["none"], ["email"]),
        (["a@acme.example", "b", "c", "d"], ["category"]),
        (CITIES, ["target"]),
        (CITIES[:MANY_VALUES], ["category"]),
    ],
)
def test_kind_is_recognised_from_cells(tmp_path: Path, cells: Any, kinds: list[str]) -> None:
    assert [attribute.kind for attribute in fit_column(tmp_path, cells)] == kinds


def test_flag_that_is_declared_as_a_category_is_a_category(tmp_path: Path) -> None:
    (attribute,) = fit_column(tmp_path, ["yes", "no"], "asked")
    assert attribute == CategoryAttribute("asked", frozenset({"select"}), ("yes", "no"))


def test_category_that_is_declared_as_a_number_is_a_number(tmp_path: Path) -> None:
    (attribute,) = fit_column(tmp_path, ["1", "0", "yes"], "size")
    assert isinstance(attribute, NumberAttribute)


def test_dates_that_are_declared_as_a_category_are_a_category(tmp_path: Path) -> None:
    (attribute,) = fit_column(tmp_path, ["2025-01-01", "2025-02-01"], "asked")
    assert attribute.kind == "category"


def test_date_becomes_three_features(tmp_path: Path) -> None:
    attributes = fit_column(tmp_path, ["2025-01-01", "2025-02-03"])
    names = [attribute.feature.name for attribute in attributes]
    assert names == ["x.age_days", "x.weekday", "x.month"]


# -- what the project decides

PROJECT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
outcome = "Status"
reason = "Why"
[learn]
won = ["yes"]
[columns]
nothing = ["Select", "-1"]
ignore = ["Note"]
known_later = ["Last Call"]
sensitive = ["Age", "Gender"]
allow_sensitive = ["Age"]
category = ["Plan"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_of(tmp_path, PROJECT)


@pytest.fixture
def records() -> Records:
    """Draw 60 leads with columns of every role."""
    n = 60
    generator = np.random.default_rng(3)
    ids = [str(i) for i in range(n)]
    regions = np.array(["EU", "eu", "US", "Select", None], dtype=object)
    leads = pd.DataFrame(
        {
            "lead_id": ids,
            "Id": ids,
            "Status": generator.choice(["yes", "no"], n),
            "Why": "price",
            "Note": [f"note {i}" for i in range(n)],
            "Last Call": generator.random(n),
            "Age": generator.integers(18, 80, n).astype(str),
            "Gender": generator.choice(["f", "m"], n),
            "Plan": generator.integers(1, 4, n),
            "Region": generator.choice(regions, n),
            "Size": generator.choice([-1, 5, 10.5, np.nan], n),
            "Always": "x",
        }
    )
    outcomes = pd.DataFrame({"lead_id": ids, "outcome": generator.choice(["won", "lost"], n)})
    return Records(
        leads=leads, outcomes=outcomes.assign(closed_at=pd.Series(dtype="datetime64[us, UTC]"))
    )


def fit(records: Records, project: Project) -> FeaturePipeline:
    return fit_pipeline(records, make_moments(records, project.learn), project)


def test_project_decides_what_is_a_feature(records: Records, project: Project) -> None:
    pipeline = fit(records, project)
    kinds = {attribute.column: attribute.kind for attribute in pipeline.attributes}
    assert kinds == {"Age": "number", "Plan": "category", "Region": "category", "Size": "number"}
    assert {left.column: left.reason for left in pipeline.left_out} == {
        "Note": "the project ignores it",
        "Last Call": "it is known later than the moment of scoring",
        "Gender": "it is sensitive, and the project does not allow it as a feature",
        "Always": "it is always 'x'",
    }


def test_lead_in_a_request_equals_the_lead_in_a_table(records: Records, project: Project) -> None:
    pipeline = fit(records, project)
    cells = [
        {str(column): cell for column, cell in lead.items()}
        for lead in records.leads.astype(object).to_dict("records")
    ]
    rows = [pipeline.rows([lead])[0] for lead in cells]
    np.testing.assert_array_equal(pipeline.matrix(records.leads), rows)


def test_order_of_leads_and_columns_does_not_matter(records: Records, project: Project) -> None:
    pipeline = fit(records, project)
    matrix = pipeline.matrix(records.leads)
    reversed_leads = records.leads[::-1][records.leads.columns[::-1]]
    np.testing.assert_array_equal(pipeline.matrix(reversed_leads), matrix[::-1])
    np.testing.assert_array_equal(pipeline.matrix(records.leads.iloc[[7]]), matrix[[7]])


def test_absent_columns_are_missing(records: Records, project: Project) -> None:
    pipeline = fit(records, project)
    matrix = pipeline.matrix(records.leads[["lead_id"]])
    np.testing.assert_array_equal(matrix, [pipeline.rows([{}])[0]] * len(records.leads))


def test_fit_and_transform_do_not_modify_the_input(records: Records, project: Project) -> None:
    before = records.leads.copy(deep=True)
    moments = make_moments(records, project.learn)
    fit_pipeline(records, moments, project).transform(records, moments.lead, moments.as_of)
    pd.testing.assert_frame_equal(records.leads, before)


def test_fit_uses_only_leads_of_its_moments(records: Records, project: Project) -> None:
    moments = make_moments(records, project.learn)
    of_first_leads = moments.take(moments.lead < 40)
    leads = records.leads.copy()
    leads.loc[40:, "Region"] = "Mars"
    changed = Records(leads=leads, outcomes=records.outcomes)
    expected = fit_pipeline(records, of_first_leads, project)
    assert fit_pipeline(changed, of_first_leads, project) == expected


def test_pipeline_survives_as_plain_data(records: Records, project: Project) -> None:
    pipeline = fit(records, project)
    loaded = FeaturePipeline.from_json(pipeline.to_json())
    assert loaded == pipeline
    np.testing.assert_array_equal(loaded.matrix(records.leads), pipeline.matrix(records.leads))


def test_leads_without_a_usable_column_are_refused(records: Records, project: Project) -> None:
    leads = records.leads[["lead_id", "Note", "Always"]]
    message = (
        r"No column of the leads is left to learn from\. `Note`: the project ignores it; "
        r"`Always`: it is always 'x'\. Export attributes with the leads, or shorten the "
        r"lists in \[columns\]"
    )
    with pytest.raises(LearningError, match=message):
        fit(Records(leads=leads, outcomes=records.outcomes), project)


# -- target encodings of training rows

PIPELINE = FeaturePipeline(
    attributes=(
        NumberAttribute("size", NOTHING, 0.0),
        TargetAttribute("city", NOTHING, {}, 0.0),
        CategoryAttribute("plan", NOTHING, ("a", "b")),
        TargetAttribute("title", NOTHING, {}, 0.0),
    ),
    left_out=(),
)
TARGETS, NOT_TARGETS = [1, 3], [0, 2]

Training = tuple[FeaturePipeline, Records, Moments]


@st.composite
def trainings(draw: Callable[..., Any]) -> Training:
    """Draw leads with one or several moments each, and encodings that are fitted on them."""
    values = st.sampled_from(["Bonn", "bonn ", "Graz", "Rome", None, "Select"])
    plans, n_moments = st.sampled_from(["a", "b"]), st.integers(1, 3)
    rows = draw(
        st.lists(
            st.tuples(st.floats(0, 9), values, plans, values, n_moments), min_size=8, max_size=20
        )
    )
    leads = pd.DataFrame([row[:4] for row in rows], columns=["size", "city", "plan", "title"])
    leads = leads.astype({"city": object, "title": object})
    leads.insert(0, "lead_id", [f"L{i}" for i in range(len(rows))])
    lead = np.repeat(np.arange(len(rows)), [row[4] for row in rows])
    bits = draw(st.lists(st.integers(0, 1), min_size=len(lead), max_size=len(lead)))
    label = np.array(bits, dtype=np.int8)
    moments = moments_without_times(lead, label)
    attributes = tuple(
        fit_target(leads[attribute.column].iloc[lead], NOTHING, label, moments.weight)
        if isinstance(attribute, TargetAttribute)
        else attribute
        for attribute in PIPELINE.attributes
    )
    return replace(PIPELINE, attributes=attributes), Records(leads, pd.DataFrame()), moments


@given(trainings(), st.integers(0, 9))
def test_training_matrix_differs_from_transform_in_target_columns_only(
    training: Training, seed: int
) -> None:
    pipeline, records, moments = training
    matrix = training_matrix(pipeline, records, moments, seed)
    transformed = pipeline.transform(records, moments.lead, moments.as_of)
    np.testing.assert_array_equal(matrix[:, NOT_TARGETS], transformed[:, NOT_TARGETS])
    assert matrix.flags.f_contiguous


@pytest.mark.parametrize("column", TARGETS)
@given(training=trainings(), seed=st.integers(0, 9))
def test_training_row_is_encoded_from_other_folds(
    column: int, training: Training, seed: int
) -> None:
    pipeline, records, moments = training
    encoded = training_matrix(pipeline, records, moments, seed)[:, column]
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    attribute = pipeline.attributes[column]
    assert isinstance(attribute, TargetAttribute)
    cells = records.leads[attribute.column].tolist()
    values = np.array([attribute.word(cells[lead]) for lead in moments.lead], dtype=object)
    for row, value in enumerate(values):
        is_other_fold = fold_of != fold_of[row]
        has_value = is_other_fold & (values == value)
        rate = (moments.label[is_other_fold].sum() + 0.5) / (is_other_fold.sum() + 1)
        expected = smoothed_log_odds(moments.label[has_value].sum(), has_value.sum(), rate)
        assert encoded[row] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(trainings(), st.data())
def test_own_label_does_not_change_the_encoding(training: Training, data: st.DataObject) -> None:
    """The label of a lead changes the encodings of other folds, and not those of its own fold."""
    pipeline, records, moments = training
    fold_of_lead = np.arange(len(records.leads)) % N_FOLDS
    lead = data.draw(st.integers(0, len(records.leads) - 1))
    label = np.where(moments.lead == lead, 1 - moments.label, moments.label).astype(np.int8)
    with mock.patch.object(fitting, "folds", return_value=fold_of_lead[moments.lead]):
        before = training_matrix(pipeline, records, moments, 0)
        after = training_matrix(pipeline, records, replace(moments, label=label), 0)
    in_its_fold = fold_of_lead[moments.lead] == fold_of_lead[lead]
    np.testing.assert_array_equal(after[in_its_fold], before[in_its_fold])
    if label.sum() != moments.label.sum():
        assert (after[~in_its_fold][:, TARGETS] != before[~in_its_fold][:, TARGETS]).all()


@given(trainings(), st.integers(0, 9))
def test_folds_contain_whole_leads(training: Training, seed: int) -> None:
    _, records, moments = training
    fold_of = pd.Series(folds(moments.label, moments.lead, seed, N_FOLDS))
    folds_per_lead = fold_of.groupby(moments.lead).nunique()
    assert folds_per_lead.tolist() == [1] * len(records.leads)


@given(trainings(), st.integers(0, 9))
def test_folds_have_similar_numbers_of_leads_and_wins(training: Training, seed: int) -> None:
    _, _, moments = training
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    rows = pd.DataFrame({"lead": moments.lead, "fold": fold_of, "won": moments.label})
    of_fold = rows.groupby("lead").max().groupby("fold")["won"]
    for counts in (of_fold.size(), of_fold.sum()):
        assert len(counts) == N_FOLDS
        assert counts.max() - counts.min() <= 1


def test_encoding_of_random_labels_carries_no_signal() -> None:
    # 300 values of four leads each: they predict the labels in the sample, but not out of fold.
    label = np.random.default_rng(5).integers(0, 2, 1_200).astype(np.int8)
    city = pd.Series(np.repeat([f"c{i}" for i in range(300)], 4), name="city")
    leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(1_200)], "city": city})
    moments = moments_without_times(np.arange(1_200), label)
    attribute = fit_target(city, NOTHING, label, np.ones(1_200))
    pipeline, records = FeaturePipeline((attribute,), ()), Records(leads, pd.DataFrame())
    in_sample = pipeline.transform(records, moments.lead, moments.as_of)[:, 0]
    out_of_fold = training_matrix(pipeline, records, moments, 0)[:, 0]
    assert np.corrcoef(in_sample, label)[0, 1] > 0.3
    assert abs(np.corrcoef(out_of_fold, label)[0, 1]) < 0.1
