"""The scorer: how it reads cells and ids, its warnings, its reasons, and known effects.

`tests/test_models_laws.py` tests the laws that every kind of scorer keeps.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.project import TableKeys, load_project
from crm.reading import read_records
from crm.sources.source import read_table
from crm.times import DAY
from features.cell_warnings import CellWarningCode, cell_warning
from models.scorer import LeadCells, LeadScorer, Score
from tests.checks import odd_tables, rows_of
from training.train import Trained

NUMBERS = ("employees", "website_visits_before", "budget_eur")
KINDS = ("base rate", "blend 0.0", "blend 0.3", "blend 1.0")
NOW = 1_750_000_000_000_000  # microseconds


@pytest.fixture(scope="module")
def scorer(trained: Trained) -> LeadScorer:
    return trained.scorer


@pytest.fixture(scope="module", params=KINDS)
def any_scorer(scorers: Mapping[str, LeadScorer], request: pytest.FixtureRequest) -> LeadScorer:
    """A scorer of each kind."""
    return scorers[request.param]


@pytest.fixture(scope="module")
def leads(simulated_crm: Path) -> pd.DataFrame:
    return read_records(load_project(simulated_crm)).leads.iloc[:1_000]


def score(scorer: LeadScorer, leads: Sequence[Mapping[str, Any]]) -> list[Score]:
    return scorer.score_leads([LeadCells(lead) for lead in leads])


def cells_of(leads: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in leads.to_dict("records")]


# -- reading cells and ids -----------------------------------------------------------------


def test_text_from_a_file_scores_like_typed_cells(
    scorer: LeadScorer, leads: pd.DataFrame, tmp_path: Path
) -> None:
    typed = leads.assign(
        **{name: pd.to_numeric(leads[name], errors="coerce") for name in NUMBERS},
        lead_id=leads["lead_id"],
    )
    assert typed["employees"].dtype == np.float64
    typed.to_csv(tmp_path / "leads.csv", index=False)
    text = read_table(TableKeys(source="leads.csv"), tmp_path)
    assert pd.api.types.is_string_dtype(text["employees"].dtype)
    expected = rows_of(scorer.score_table(typed))
    assert rows_of(scorer.score_table(text)) == expected
    typed.to_parquet(tmp_path / "leads.parquet")
    parquet = read_table(TableKeys(source="leads.parquet"), tmp_path)
    assert rows_of(scorer.score_table(parquet)) == expected
    plain = pd.read_csv(tmp_path / "leads.csv")
    assert rows_of(scorer.score_table(plain)) == expected
    with (tmp_path / "leads.csv").open(newline="") as file:
        assert rows_of(score(scorer, list(csv.DictReader(file)))) == expected


def test_ids_names_and_unknown_columns_do_not_change_scores(
    scorer: LeadScorer, leads: pd.DataFrame
) -> None:
    expected = rows_of(scorer.score_table(leads))
    renamed = leads.assign(
        lead_id="x", email="other@example.com", company_name="Other", favourite_colour="blue"
    )
    assert rows_of(scorer.score_table(renamed)) == expected


@pytest.mark.parametrize(
    "missing", [None, "", "   ", math.nan, pd.NA, pd.NaT, np.float64("nan")], ids=repr
)
def test_every_missing_cell_scores_like_an_absent_one(scorer: LeadScorer, missing: Any) -> None:
    lead = dict.fromkeys(scorer.pipeline.columns, missing)
    assert rows_of(score(scorer, [lead])) == rows_of(score(scorer, [{}]))


@pytest.mark.parametrize("word", ["unknown", " UNKNOWN ", "-", "select"])
def test_words_for_nothing_count_as_missing_without_a_warning(
    scorer: LeadScorer, word: str
) -> None:
    (result,) = score(scorer, [dict.fromkeys(scorer.pipeline.columns, word)])
    assert rows_of([result]) == rows_of(score(scorer, [{}]))
    assert result.warnings == []


def test_no_leads_get_no_scores(scorer: LeadScorer, leads: pd.DataFrame) -> None:
    assert score(scorer, []) == []
    scores = scorer.score_table(leads.iloc[:0])
    assert list(scores.columns) == ["lead_id", "probability", "score", "grade"]
    assert len(scores) == 0
    assert [str(scores[name].dtype) for name in ("probability", "score")] == ["float64", "int64"]


def test_scores_keep_the_index_and_the_ids_of_the_table(
    scorer: LeadScorer, leads: pd.DataFrame
) -> None:
    picked = leads.iloc[[7, 3, 5]].set_axis(["c", "a", "b"])
    scores = scorer.score_table(picked)
    assert list(scores.index) == ["c", "a", "b"]
    assert list(scores["lead_id"]) == list(picked["lead_id"])
    assert scorer.score_table(picked.drop(columns="lead_id"))["lead_id"].isna().all()


@pytest.mark.parametrize(
    ("lead", "lead_id"),
    [({"lead_id": " L7 "}, "L7"), ({"lead_id": 7.0}, "7"), ({"lead_id": ""}, None), ({}, None)],
)
def test_score_has_the_id_that_the_caller_sent(
    scorer: LeadScorer, lead: dict[str, Any], lead_id: str | None
) -> None:
    assert score(scorer, [lead])[0].lead_id == lead_id


def test_ids_come_from_the_crms_column(scorer: LeadScorer, leads: pd.DataFrame) -> None:
    renamed = replace(scorer, roles={**scorer.roles, "lead_id": "Record ID"})
    (result,) = score(renamed, [{"Record ID": 12, "lead_id": "other"}])
    assert result.lead_id == "12"
    table = renamed.score_table(leads.rename(columns={"lead_id": "Record ID"}))
    assert list(table["lead_id"]) == list(leads["lead_id"])


# -- warnings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead", "code"),
    [
        ({"surprise": 1}, "unknown_attribute"),
        ({"x" * 300: 1}, "unknown_attribute"),
        ({"employees": "many"}, "not_a_number"),
        ({"employees": "inf"}, "not_a_number"),
        ({"source": "Carrier pigeon"}, "unseen_value"),
    ],
)
def test_odd_cell_has_a_warning(
    scorer: LeadScorer, lead: dict[str, Any], code: CellWarningCode
) -> None:
    (column,) = lead
    assert score(scorer, [lead])[0].warnings == [cell_warning(code, column)]


def test_warning_shortens_a_long_column_name_in_its_message(scorer: LeadScorer) -> None:
    (warning,) = score(scorer, [{"x" * 300: 1}])[0].warnings
    assert warning.column == "x" * 300
    assert warning.message.startswith(f"`{'x' * 100}` ")


@pytest.mark.parametrize(
    "lead",
    [
        {"employees": "", "source": None},
        {"employees": "12.50", "source": " partner "},
        {"lead_id": 1, "created_at": "2025-01-01", "email": "a@b.example", "contract_type": "x"},
    ],
    ids=["missing", "known", "roles and left out"],
)
def test_ordinary_cells_have_no_warning(scorer: LeadScorer, lead: dict[str, Any]) -> None:
    assert score(scorer, [lead])[0].warnings == []


# -- the scores ----------------------------------------------------------------------------


def test_known_effects_have_their_direction(scorer: LeadScorer, leads: pd.DataFrame) -> None:
    # The simulator adds 1.1 to the log-odds for a referral and takes 1.2 for a cold list.
    referred = scorer.score_table(leads.assign(source="Referral"))["probability"]
    cold = scorer.score_table(leads.assign(source="Cold list"))["probability"]
    assert (referred > cold).mean() > 0.9
    assert referred.mean() > cold.mean()


def test_the_average_score_is_near_the_middle_of_the_scale(
    scorer: LeadScorer, leads: pd.DataFrame
) -> None:
    scores = scorer.score_table(leads)
    assert scores["probability"].nunique() > 300
    assert 35 < scores["score"].mean() < 50  # odds are skewed: most leads are below the mean
    by_grade = scores.groupby("grade")["probability"].mean()
    assert list(by_grade.sort_values(ascending=False).index) == ["A", "B", "C", "D"]


def test_scores_survive_a_round_trip_through_csv(scorer: LeadScorer, leads: pd.DataFrame) -> None:
    scores = scorer.score_table(leads)
    read_scores = pd.read_csv(io.StringIO(scores.to_csv(index=False)))
    assert rows_of(read_scores) == rows_of(scores)


def test_log_odds_are_those_of_the_probability(any_scorer: LeadScorer, leads: pd.DataFrame) -> None:
    features = any_scorer.pipeline.matrix(leads)
    log_odds, probability = any_scorer.log_odds_of(features), any_scorer.probability(features)
    assert log_odds == pytest.approx(np.log(probability / (1 - probability)))
    assert any_scorer.log_odds_of(features[:0]).shape == (0,)


# -- reasons -------------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data(), n_reasons=st.integers(0, 40))
def test_reasons_are_as_many_as_requested_and_change_no_score(
    scorer: LeadScorer, data: st.DataObject, n_reasons: int
) -> None:
    table = data.draw(odd_tables(scorer))
    cells = [LeadCells(lead) for lead in cells_of(table)]
    scores = scorer.score_leads(cells, n_reasons=n_reasons)
    assert rows_of(scores) == rows_of(scorer.score_leads(cells))
    columns = [f"reason_{i + 1}" for i in range(n_reasons)]
    scored = scorer.score_table(table, n_reasons=n_reasons)
    assert list(scored.columns) == ["lead_id", "probability", "score", "grade", *columns]
    for result, texts in zip(scores, scored[columns].to_numpy().tolist(), strict=True):
        assert len(result.reasons) <= n_reasons
        words = [str(reason) for reason in result.reasons]
        assert texts == words + [""] * (n_reasons - len(words))
        assert (result.start is None) == (n_reasons == 0)


def test_scores_without_requested_reasons_have_none(scorer: LeadScorer) -> None:
    (result,) = score(scorer, [{"source": "Partner"}])
    assert result.reasons == []
    assert result.start is None


def test_activities_are_named_in_reasons(scorers: Mapping[str, LeadScorer]) -> None:
    scorer = scorers["blend 0.3"]
    assert scorer.pipeline.activities is not None
    activity_type = scorer.pipeline.activities.types[0]
    event = {"type": activity_type, "occurred_at": NOW - 2 * DAY}
    lead = LeadCells({}, created_at=NOW - 9 * DAY, activities=[event])
    (result,) = scorer.score_leads([lead], NOW, n_reasons=10**6)
    (reason,) = [r for r in result.reasons if r.signal.endswith(activity_type)]
    assert activity_type in reason.text
    assert any(words in reason.text for words in ("2 days ago", "7 days ago", "1 ×"))
