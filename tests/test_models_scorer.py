"""The laws of the scorer: how leads are brought to it does not change what they get."""

import copy
import csv
import io
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.project import TableKeys, load_project
from crm.reading import read_records
from crm.sources.source import read_table
from features.cell_warnings import CellWarningCode, cell_warning
from models.scorer import LeadCells, LeadScorer, Score

NUMBERS = ("employees", "website_visits_before", "budget_eur")
CATEGORIES = ("source", "industry", "country", "preferred_channel", "email_opt_in", "region")


KINDS = ("base rate", "blend 0.0", "blend 0.3", "blend 1.0")


@pytest.fixture(scope="module")
def scorer(trained) -> LeadScorer:
    return trained.scorer


@pytest.fixture(scope="module", params=KINDS)
def each(scorers, request) -> LeadScorer:
    """Give a scorer of each kind."""
    return scorers[request.param]


@pytest.fixture(scope="module")
def leads(simulated_crm) -> pd.DataFrame:
    return read_records(load_project(simulated_crm)).leads.iloc[:1_000]


texts = st.sampled_from(
    ["Partner", " partner ", "WEBINAR", "Trade  fair", "DE", "yes", "no", "phone", "unknown", "-"]
)
odd_texts = st.text(max_size=12) | st.sampled_from(["", "  ", "inf", "nan", "None", "1e999", "ſ"])
numbers = st.integers(-(10**6), 10**7) | st.floats(allow_nan=True, allow_infinity=True)
# What a column of a frame can hold without becoming something else.
columns_of_cells = st.sampled_from(
    [
        texts | odd_texts | st.none(),
        numbers | st.none(),
        st.integers(0, 500).map(str) | st.none(),
        st.booleans(),
        st.none(),
    ]
)


@st.composite
def tables(draw):
    """Some leads: any of the columns, in any order, each of one kind, and unknown ones too."""
    names = draw(
        st.lists(
            st.sampled_from([*NUMBERS, *CATEGORIES, "lead_id", "a stranger"]),
            unique=True,
            max_size=8,
        )
    )
    n = draw(st.integers(1, 8))
    return pd.DataFrame(
        {
            name: pd.Series(
                draw(st.lists(draw(columns_of_cells), min_size=n, max_size=n)), dtype=object
            )
            for name in names
        },
        index=range(n),
    )


def score_of(scorer: LeadScorer, leads) -> list[Score]:
    return scorer.score_leads([LeadCells(lead) for lead in leads])


def numbers_of(scores) -> list[tuple[float, int, str]]:
    if isinstance(scores, pd.DataFrame):
        rows = scores[["probability", "score", "grade"]].itertuples(index=False)
        return [(float(p), int(s), str(g)) for p, s, g in rows]
    return [(score.probability, score.score, score.grade) for score in scores]


@settings(deadline=None, max_examples=150)
@given(table=tables())
def test_one_lead_equals_the_same_lead_in_any_company(scorer: LeadScorer, table) -> None:
    rows = table.to_dict("records")
    together = numbers_of(score_of(scorer, rows))
    assert together == [numbers_of(score_of(scorer, [row]))[0] for row in rows]
    assert together == numbers_of(scorer.score_table(table))
    assert together == numbers_of(scorer.score_table(table.infer_objects()))


@settings(deadline=None, max_examples=150)
@given(table=tables())
def test_any_lead_gets_a_probability(scorer: LeadScorer, table) -> None:
    for probability, score, grade in numbers_of(score_of(scorer, table.to_dict("records"))):
        assert 0 <= probability <= 1
        assert 1 <= score <= 99
        assert grade in "ABCD"


@settings(deadline=None, max_examples=50)
@given(table=tables(), data=st.data())
def test_the_order_of_columns_and_rows_does_not_matter(scorer: LeadScorer, table, data) -> None:
    columns = data.draw(st.permutations(list(table.columns)))
    rows = data.draw(st.permutations(range(len(table))))
    expected = numbers_of(scorer.score_table(table))
    assert numbers_of(scorer.score_table(table[columns])) == expected
    shuffled = scorer.score_table(table.iloc[rows])
    assert list(shuffled.index) == list(rows)
    assert numbers_of(shuffled.sort_index()) == expected


@settings(deadline=None, max_examples=50)
@given(table=tables())
def test_inputs_are_not_modified(scorer: LeadScorer, table) -> None:
    rows, kept = table.to_dict("records"), table.copy(deep=True)
    kept_rows = copy.deepcopy(rows)
    score_of(scorer, rows)
    scorer.score_table(table)
    pd.testing.assert_frame_equal(table, kept)
    assert repr(rows) == repr(kept_rows)


def test_a_thousand_real_leads_score_alike_alone_and_together(scorer, leads) -> None:
    table = scorer.score_table(leads)
    rows = leads.to_dict("records")
    assert numbers_of(score_of(scorer, rows)) == numbers_of(table)
    assert [score_of(scorer, [row])[0].probability for row in rows] == list(table["probability"])
    assert table["probability"].nunique() > 300


def test_text_from_a_file_scores_like_typed_cells(scorer, leads, tmp_path) -> None:
    typed = leads.assign(
        **{name: pd.to_numeric(leads[name], errors="coerce") for name in NUMBERS},
        lead_id=leads["lead_id"],
    )
    assert typed["employees"].dtype == np.float64
    typed.to_csv(tmp_path / "leads.csv", index=False)
    text = read_table(TableKeys(source="leads.csv"), tmp_path)
    assert pd.api.types.is_string_dtype(text["employees"].dtype)
    expected = numbers_of(scorer.score_table(typed))
    assert numbers_of(scorer.score_table(text)) == expected
    typed.to_parquet(tmp_path / "leads.parquet")
    parquet = read_table(TableKeys(source="leads.parquet"), tmp_path)
    assert numbers_of(scorer.score_table(parquet)) == expected
    plain = pd.read_csv(tmp_path / "leads.csv")
    assert numbers_of(scorer.score_table(plain)) == expected
    with (tmp_path / "leads.csv").open(newline="") as file:
        assert numbers_of(score_of(scorer, list(csv.DictReader(file)))) == expected


def test_id_and_name_and_unknown_columns_change_nothing(scorer, leads) -> None:
    expected = numbers_of(scorer.score_table(leads))
    renamed = leads.assign(
        lead_id="x", email="other@example.com", company_name="Other", favourite_colour="blue"
    )
    assert numbers_of(scorer.score_table(renamed)) == expected


def test_nothing_at_all_and_all_missing_are_the_same_lead(scorer) -> None:
    empty = numbers_of(score_of(scorer, [{}]))
    for missing in (None, "", "   ", math.nan, pd.NA, pd.NaT, np.float64("nan")):
        lead = dict.fromkeys(scorer.pipeline.columns, missing)
        assert numbers_of(score_of(scorer, [lead])) == empty
    assert numbers_of(scorer.score_table(pd.DataFrame(index=[0]))) == empty


def test_words_for_nothing_are_nothing(scorer) -> None:
    empty = numbers_of(score_of(scorer, [{}]))
    for word in ("unknown", " UNKNOWN ", "-", "select"):
        lead = dict.fromkeys(scorer.pipeline.columns, word)
        (score,) = score_of(scorer, [lead])
        assert numbers_of([score]) == empty
        assert score.warnings == []


def test_no_leads_get_no_scores(scorer, leads) -> None:
    assert score_of(scorer, []) == []
    scores = scorer.score_table(leads.iloc[:0])
    assert list(scores.columns) == ["lead_id", "probability", "score", "grade"]
    assert len(scores) == 0
    assert (scores["probability"].dtype, scores["score"].dtype) == (np.float64, np.int64)


def test_a_table_keeps_its_index_and_ids(scorer, leads) -> None:
    picked = leads.iloc[[7, 3, 5]].set_axis(["c", "a", "b"])
    scores = scorer.score_table(picked)
    assert list(scores.index) == ["c", "a", "b"]
    assert list(scores["lead_id"]) == list(picked["lead_id"])
    assert scorer.score_table(picked.drop(columns="lead_id"))["lead_id"].isna().all()


@pytest.mark.parametrize(
    ("lead", "lead_id"),
    [({"lead_id": " L7 "}, "L7"), ({"lead_id": 7.0}, "7"), ({"lead_id": ""}, None), ({}, None)],
)
def test_a_lead_is_called_as_the_caller_calls_it(scorer, lead, lead_id) -> None:
    assert score_of(scorer, [lead])[0].lead_id == lead_id


def test_ids_come_from_the_crms_column(scorer, leads) -> None:
    renamed = replace(scorer, roles={**scorer.roles, "lead_id": "Record ID"})
    (score,) = score_of(renamed, [{"Record ID": 12, "lead_id": "other"}])
    assert score.lead_id == "12"
    table = renamed.score_table(leads.rename(columns={"lead_id": "Record ID"}))
    assert list(table["lead_id"]) == list(leads["lead_id"])


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
    assert score_of(scorer, [lead])[0].warnings == [cell_warning(code, column)]


def test_warning_shortens_a_long_column_name_in_its_message(scorer: LeadScorer) -> None:
    (warning,) = score_of(scorer, [{"x" * 300: 1}])[0].warnings
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
def test_ordinary_cells_raise_no_warning(scorer, lead) -> None:
    assert score_of(scorer, [lead])[0].warnings == []


def test_known_effects_have_their_direction(scorer, leads) -> None:
    # The simulator adds 1.1 to the log-odds for a referral and takes 1.2 for a cold list.
    referred = scorer.score_table(leads.assign(source="Referral"))["probability"]
    cold = scorer.score_table(leads.assign(source="Cold list"))["probability"]
    assert (referred > cold).mean() > 0.9
    assert referred.mean() > cold.mean()


def test_the_average_lead_stands_in_the_middle_of_the_scale(scorer, leads) -> None:
    scores = scorer.score_table(leads)
    assert 35 < scores["score"].mean() < 50  # odds are skewed: most leads are below the mean
    by_grade = scores.groupby("grade")["probability"].mean()
    assert list(by_grade.sort_values(ascending=False).index) == ["A", "B", "C", "D"]


def test_scores_survive_a_round_trip_through_csv(scorer, leads) -> None:
    scores = scorer.score_table(leads)
    written = scores.to_csv(index=False)
    read = pd.read_csv(io.StringIO(written))
    assert numbers_of(read) == numbers_of(scores)


# -- every kind of estimator -----------------------------------------------------------------


def test_every_kind_scores_a_lead_alone_as_in_company(each, leads) -> None:
    table = each.score_table(leads)
    rows = leads.to_dict("records")
    assert numbers_of(score_of(each, rows)) == numbers_of(table)
    for row, probability in zip(rows[::9], table["probability"][::9], strict=True):
        assert score_of(each, [row])[0].probability == probability


def test_every_kind_answers_for_a_lead_of_whom_nothing_is_known(each) -> None:
    for lead in ({}, dict.fromkeys(each.pipeline.columns, "a value that nobody has")):
        (score,) = score_of(each, [lead])
        assert 0 < score.probability < 1
        assert 1 <= score.score <= 99


@settings(max_examples=40)
@given(table=tables(), n_reasons=st.integers(0, 40))
def test_reasons_change_no_score_and_are_as_many_as_asked_for(scorer, table, n_reasons) -> None:
    cells = [LeadCells(lead) for lead in table.to_dict("records")]
    scores = scorer.score_leads(cells, n_reasons=n_reasons)
    assert numbers_of(scores) == numbers_of(scorer.score_leads(cells))
    columns = [f"reason_{i + 1}" for i in range(n_reasons)]
    scored = scorer.score_table(table, n_reasons=n_reasons)
    assert list(scored.columns) == ["lead_id", "probability", "score", "grade", *columns]
    for score, said in zip(scores, scored[columns].to_numpy().tolist(), strict=True):
        assert len(score.reasons) <= n_reasons
        words = [str(reason) for reason in score.reasons]
        assert said == words + [""] * (n_reasons - len(words))
        assert (score.start is None) == (n_reasons == 0)


def test_points_of_all_reasons_and_the_start_are_the_score(each, leads) -> None:
    cells = [LeadCells(lead) for lead in leads.iloc[:200].to_dict("records")]
    for score in each.score_leads(cells, n_reasons=10**6):
        total = score.start + sum(reason.points for reason in score.reasons)
        assert score.score == min(99, max(1, round(total)))


def test_nobody_has_reasons_who_did_not_ask(scorer) -> None:
    (score,) = score_of(scorer, [{"source": "Partner"}])
    assert score.reasons == []
    assert score.start is None


def test_a_margin_is_the_log_odds_of_the_probability(each, leads) -> None:
    features = each.pipeline.matrix(leads)
    margin, probability = each.log_odds_of(features), each.probability(features)
    assert margin == pytest.approx(np.log(probability / (1 - probability)))
    assert each.log_odds_of(features[:0]).shape == (0,)


def test_activities_speak_in_reasons(scorers) -> None:
    # The simulator gives demos their weight; a lead with one has its words among the reasons.
    scorer = scorers["blend 0.3"]
    as_of = 1_750_000_000_000_000
    day = 86_400_000_000
    demo = {"type": "demo_request", "occurred_at": as_of - 2 * day}
    types = scorer.pipeline.activities.types
    assert types
    demo["type"] = types[0]
    lead = LeadCells({}, created_at=as_of - 9 * day, activities=[demo])
    (score,) = scorer.score_leads([lead], as_of, n_reasons=10**6)
    (reason,) = [each for each in score.reasons if each.signal.endswith(types[0])]
    assert types[0] in reason.text
    assert re.search(r"2 days ago|7 days ago|1 ×", reason.text)
