"""Feature matrices as tables: words instead of codes, missing and unseen values."""

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.feature import Feature
from features.fitting import fit_pipeline
from features.frame import feature_frame
from features.moments import make_moments

SOURCE = Feature("source", "leads", "source", "category", "{value}", values=("", "rare", "Web"))
WEEKDAY = Feature("day", "leads", "created_at", "weekday", "{value}")
MONTH = Feature("month", "leads", "renewal", "month", "{value}")
OPT_IN = Feature("opt_in", "leads", "opt_in", "yes/no", "{value}")


def test_codes_of_categories_become_words() -> None:
    frame = feature_frame([SOURCE], np.array([[2.0], [1.0], [0.0], [3.0]]))
    assert frame["source"].tolist() == ["Web", "rare", np.nan, "rare"]
    assert frame["source"].cat.categories.tolist() == ["rare", "Web"]


def test_weekdays_and_months_are_words_in_their_order() -> None:
    frame = feature_frame([WEEKDAY, MONTH], np.array([[6.0, 1.0], [0.0, 12.0], [np.nan, np.nan]]))
    assert frame["day"].tolist() == ["Sunday", "Monday", np.nan]
    assert frame["month"].tolist() == ["January", "December", np.nan]
    assert frame["day"].min() == "Monday"
    assert frame["month"].max() == "December"


def test_numbers_stay_as_they_are() -> None:
    frame = feature_frame([OPT_IN], np.array([[1.0], [0.0], [np.nan]]))
    np.testing.assert_array_equal(frame["opt_in"], [1.0, 0.0, np.nan])


def test_index_is_taken() -> None:
    index = pd.Index(["a", "b"], name="lead_id")
    frame = feature_frame([OPT_IN], np.array([[1.0], [0.0]]), index)
    assert frame.index.equals(index)
    assert frame["opt_in"].tolist() == [1.0, 0.0]


def test_matrix_without_rows_has_all_columns() -> None:
    frame = feature_frame([SOURCE, OPT_IN], np.empty((0, 2)))
    assert frame.columns.tolist() == ["source", "opt_in"]


def test_frame_of_a_pipeline_shows_the_cells_of_the_leads(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("crm")
    simulate(Simulation(leads=500, activities_per_lead=1), folder)
    project = load_project(folder)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    pipeline = fit_pipeline(records, moments, project)
    matrix = pipeline.transform(records, moments.lead, moments.as_of)
    ids = pd.Index(records.leads["lead_id"].iloc[moments.lead])
    frame = pipeline.to_frame(matrix, ids)
    assert frame.columns.tolist() == pipeline.names
    assert frame.index.equals(ids)
    country = records.leads["country"].iloc[moments.lead]
    assert (frame["country"].astype(object).to_numpy() == country.to_numpy()).all()
    weekday = pd.to_datetime(records.leads["created_at"].iloc[moments.lead]).dt.day_name()
    assert (frame["lead.created_weekday"].astype(object).to_numpy() == weekday.to_numpy()).all()
