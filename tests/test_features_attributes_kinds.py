"""Flags, dates, e-mail addresses and many values: what a cell of each is worth, and when."""

import datetime
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.cells import cell_text
from crm.project import PROJECT_FILE, load_project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features import fitting
from features.attributes.category import MANY_VALUES, CategoryAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import DISPOSABLE_MAIL, FREE_MAIL, EmailAttribute
from features.attributes.flag import NO, YES, FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import PRIOR_ROWS, TargetAttribute, fit_target
from features.cell_warnings import CellWarning, cell_warning
from features.fitting import N_FOLDS, fit_pipeline, folds, training_matrix
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.times import cell_time, time_text

NOTHING = frozenset({"select", "-"})
MISSING_CELLS = (None, "", "  ", math.nan, pd.NA, pd.NaT, "Select", " - ")


# -- flags

FLAG = FlagAttribute("consent", NOTHING)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("yes", "no"),
        ("Y", "N"),
        ("TRUE", "False"),
        (True, False),
        (1, 0),
        (1.0, 0.0),
        ("1", "0"),
        ("ja", "nein"),
        ("oui", "non"),
        ("sí", "no"),
        ("si", "no"),
        ("sì", "no"),
        ("ja", "nee"),
        ("sim", "não"),
        ("on", "off"),
        ("granted", "refused"),
        ("agreed", "denied"),
        ("subscribed", "unsubscribed"),
        ("Opted in", "opted  out"),
        ("opt-in", "opt-out"),
        ("opted-in", "Opted-Out "),
        (np.True_, np.False_),
    ],
)
def test_flag_reads_many_words(yes: Any, no: Any) -> None:
    assert (FLAG.encode(yes), FLAG.encode(no)) == (1.0, 0.0)
    assert FLAG.warning(yes) is FLAG.warning(no) is None


@pytest.mark.parametrize("cell", MISSING_CELLS)
def test_empty_flag_is_missing(cell: Any) -> None:
    assert math.isnan(FLAG.encode(cell))
    assert FLAG.warning(cell) is None


@pytest.mark.parametrize("cell", ["perhaps", 2, "yes please", "10", 0.5])
def test_unknown_flag_word_is_missing_with_a_warning(cell: Any) -> None:
    assert math.isnan(FLAG.encode(cell))
    assert FLAG.warning(cell) == cell_warning("not_yes_or_no", "consent")


def test_no_word_is_both_yes_and_no() -> None:
    assert len(YES) > 15
    assert len(NO) > 15
    assert not YES & NO
    assert all(word == word.casefold().strip() for word in YES | NO)


# -- dates

Part = Literal["age_days", "weekday", "month"]
NOW = cell_time("2025-03-01T12:00:00Z")  # a Saturday


def at(cell: Any, part: Part, as_of: int = NOW) -> float:
    attribute = DateAttribute("signed", NOTHING, part)
    days = np.nan if as_of == NOT_A_TIME else as_of / DAY
    return float(attribute.as_of(np.array([attribute.encode(cell)]), np.array([days]))[0])


@pytest.mark.parametrize(
    ("cell", "age", "weekday", "month"),
    [
        ("2025-03-01T12:00:00Z", 0, 5, 3),
        ("2025-03-01", 0.5, 5, 3),
        ("2025-02-28T23:59:59Z", 0.5 + 1 / 86_400, 4, 2),
        ("2025-03-01T01:00:00+02:00", 0.5 + 1 / 24, 4, 2),
        ("2024-02-29 12:00", 366, 3, 2),
        (datetime.date(2025, 1, 1), 59.5, 2, 1),
        (datetime.datetime(2024, 12, 31, 12), 60, 1, 12),  # noqa: DTZ001
        (pd.Timestamp("2025-02-24T12:00", tz="UTC"), 5, 0, 2),
        ("1969-12-31T12:00:00Z", 20_149, 2, 12),
        ("1970-01-01T12:00:00Z", 20_148, 3, 1),
        (" 20250223T120000Z ", 6, 6, 2),
        (20250223, 6.5, 6, 2),
    ],
)
def test_date_features_by_hand(cell: Any, age: float, weekday: int, month: int) -> None:
    learned = [at(cell, part) for part in ("age_days", "weekday", "month")]
    assert learned == pytest.approx([age, weekday, month], abs=1e-9)
    without = [at(cell, part, NOT_A_TIME) for part in ("age_days", "weekday", "month")]
    assert without == pytest.approx([math.nan, weekday, month], nan_ok=True)


@pytest.mark.parametrize("part", ["age_days", "weekday", "month"])
@pytest.mark.parametrize(
    ("cells", "warning"),
    [
        (MISSING_CELLS, None),
        (("soon", 1.7e9, "12:00", True, 2025), cell_warning("unreadable_time", "signed")),
    ],
    ids=["nothing", "no date"],
)
def test_invalid_date_is_missing(cells: Any, warning: CellWarning | None, part: Part) -> None:
    for cell in cells:
        assert math.isnan(at(cell, part))
        assert DateAttribute("signed", NOTHING, part).warning(cell) == warning


@pytest.mark.parametrize("part", ["age_days", "weekday", "month"])
@pytest.mark.parametrize("later", [1, 1_000, DAY, 400 * DAY])
def test_date_after_as_of_is_missing(part: Part, later: int) -> None:
    assert math.isnan(at(time_text(NOW + later), part))
    assert not math.isnan(at(time_text(NOW + later), part, NOW + later))
    assert not math.isnan(at(time_text(NOW), part))


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)))  # noqa: DTZ001
def test_weekday_and_month_match_the_calendar(when: Any) -> None:
    """In UTC, whatever the year."""
    then = when.replace(tzinfo=datetime.UTC)
    learned = [at(then.isoformat(), part, cell_time(then)) for part in ("weekday", "month")]
    assert learned == [then.weekday(), then.month]


# -- e-mail

MAIL = EmailAttribute("email", NOTHING)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *((cell, "missing") for cell in MISSING_CELLS),
        ("nobody", "no address"),
        ("@", "no address"),
        ("a@localhost", "no address"),
        (12, "no address"),
        ("gmail.com", "no address"),
        ("a@acme.example", "company"),
        ("A.B+c@Sub.Acme.co.uk", "company"),
        ("a@notgmail.com", "company"),
        ("a@gmail.com.acme.example", "company"),
        ("a@gmail.com", "free"),
        (" A@GMail.COM ", "free"),
        ("x@web.de", "free"),
        ('"a@b"@yahoo.com', "free"),
        ("a@mailinator.com", "disposable"),
        ("a@YOPmail.com", "disposable"),
    ],
)
def test_address_has_the_type_of_its_domain(cell: Any, kind: str) -> None:
    assert ("missing", "no address", *MAIL.vocabulary)[int(MAIL.encode(cell))] == kind
    expected = cell_warning("not_an_email_address", "email") if kind == "no address" else None
    assert MAIL.warning(cell) == expected


def test_each_domain_has_one_type() -> None:
    assert not FREE_MAIL & DISPOSABLE_MAIL
    assert all(domain == domain.casefold() and "." in domain for domain in FREE_MAIL)
    assert all(domain == domain.casefold() and "." in domain for domain in DISPOSABLE_MAIL)


# -- many values


def log_odds(won: float, seen: float, rate: float) -> float:
    share = (won + PRIOR_ROWS * rate) / (seen + PRIOR_ROWS)
    return math.log(share / (1 - share))


def test_target_encoding_is_the_smoothed_share() -> None:
    cells = ["Bonn"] * 6 + [" BONN "] * 4 + ["Graz"] * 8 + [None, "Select"]
    label = np.array([1] * 7 + [0] * 3 + [1] + [0] * 7 + [1, 0], dtype=np.int8)
    city = fit_target(pd.Series(cells, name="city"), NOTHING, label, np.ones(20))
    rate = 9.5 / 21
    assert city.average == pytest.approx(math.log(rate / (1 - rate)))
    expected = {"bonn": (7, 10), "graz": (1, 8), "": (1, 2)}
    assert city.log_odds == pytest.approx(
        {value: log_odds(*counts, rate) for value, counts in expected.items()}
    )
    assert city.encode("bonn") == city.encode(" Bonn") == city.log_odds["bonn"]
    assert city.encode(None) == city.encode("") == city.encode("SELECT") == city.log_odds[""]
    assert city.encode("Rome") == city.average
    assert city.warning("Rome") == cell_warning("unseen_value", "city")
    assert city.warning("bonn") is city.warning(None) is None


def test_weights_equal_repeated_rows() -> None:
    cells, label = pd.Series(["a", "b", "c"], name="x"), np.array([1, 0, 1], dtype=np.int8)
    heavy = fit_target(cells, NOTHING, label, np.array([3.0, 2.0, 1.0]))
    order = [0, 0, 0, 1, 1, 2]
    assert fit_target(cells.iloc[order], NOTHING, label[order], np.ones(6)) == heavy


@pytest.mark.parametrize("missing", MISSING_CELLS)
def test_new_missing_value_is_encoded_as_average(missing: Any) -> None:
    label = np.array([1, 0], dtype=np.int8)
    city = fit_target(pd.Series(["a", "b"], name="city"), NOTHING, label, np.ones(2))
    assert city.encode(missing) == city.average


@pytest.mark.parametrize("won", [0, 1])
def test_single_outcome_gives_finite_log_odds(won: int) -> None:
    label = np.full(30, won, dtype=np.int8)
    city = fit_target(pd.Series(["a", "b"] * 15, name="city"), NOTHING, label, np.ones(30))
    assert all(map(math.isfinite, [city.average, *city.log_odds.values()]))


# -- one cell and a column

odd = st.one_of(
    st.sampled_from(
        [
            "yes",
            "NO ",
            "Ja",
            "1",
            "a@gmail.com",
            "b@acme.example",
            "x@",
            "Bonn",
            "bonn",
            "Select",
            "-",
            "2025-03-01",
            "2025-03-01T01:00:00+02:00",
            "soon",
            "2025-13-01",
            "",
        ]
    ),
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
)
columns = st.one_of(
    st.lists(odd, max_size=8).map(lambda cells: pd.Series(cells, dtype=object)),
    st.lists(st.none() | st.booleans(), max_size=8).map(lambda c: pd.Series(c, dtype="boolean")),
    st.lists(st.none() | st.text(max_size=4), max_size=8).map(lambda c: pd.Series(c, dtype="str")),
    st.lists(
        st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),  # noqa: DTZ001
        max_size=8,
    ).map(lambda cells: pd.Series(cells, dtype="datetime64[us]")),
)
attributes = st.sampled_from(
    [
        FLAG,
        MAIL,
        DateAttribute("x", NOTHING, "age_days"),
        TargetAttribute("x", NOTHING, {"bonn": 0.5, "": -1.0, "1": 2.0}, -0.25),
        TargetAttribute("x", NOTHING, {}, -0.25),
    ]
)


@given(attributes, columns)
def test_column_equals_its_cells(attribute: Any, column: Any) -> None:
    """Reading a column equals reading each of its cells, and leaves the column as it was."""
    before = column.copy(deep=True)
    learned = attribute.encode_column(column)
    assert learned.dtype == np.float64
    np.testing.assert_array_equal(learned, [attribute.encode(cell) for cell in column.tolist()])
    pd.testing.assert_series_equal(column, before)
    for cell in column.tolist():
        assert attribute.warning(cell) is None or str(cell).strip()


@given(attributes, odd | st.integers(20240101, 20241231))
def test_typed_cell_equals_its_text(attribute: Any, cell: Any) -> None:
    """A lead scores the same from JSON as from a file of text that it was written to."""
    written = cell_text(cell)
    np.testing.assert_array_equal(attribute.encode(written), attribute.encode(cell))
    assert attribute.warning(written) == attribute.warning(cell)
    if attribute.warning(cell) is not None:
        np.testing.assert_equal(attribute.encode(cell), attribute.odd_value)


# -- what a column is taken for

PROJECT = """
project.name = "acme"
leads = {source = "leads.csv", outcome = "won"}
learn = {won = ["yes"], lost = ["no"]}
columns = {nothing = ["Select"], category = ["asked"], number = ["size"]}
"""
CITIES = [f"City {i}" for i in range(MANY_VALUES + 5)]


@pytest.fixture
def project(tmp_path: Path) -> Any:
    (tmp_path / PROJECT_FILE).write_text(PROJECT)
    return load_project(tmp_path)


def fitted_as(project: Any, cells: Any, name: str = "x", n: int = 400) -> list[Any]:
    cells = (list(cells) * n)[:n]
    leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(n)], name: cells, "filler": 0.0})
    leads["filler"] = np.arange(n) % 7
    label = (np.arange(n) % 3 == 0).astype(np.int8)
    no_time = np.full(n, NOT_A_TIME)
    moments = Moments(np.arange(n), no_time, label, no_time, np.ones(n), {})
    pipeline = fit_pipeline(Records(leads, pd.DataFrame()), moments, project)
    return [attribute for attribute in pipeline.attributes if attribute.column == name]


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        (["yes", "no"], ["flag"]),
        (["Ja", "nein", "", None], ["flag"]),
        (["opted in", "opted out", "Select"], ["flag"]),
        ([True, False], ["flag"]),
        (["1", "0"], ["number"]),
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
def test_kind_is_recognised_from_cells(project: Any, cells: Any, kinds: list[str]) -> None:
    assert [attribute.kind for attribute in fitted_as(project, cells)] == kinds


def test_declared_kind_overrides_the_guess(project: Any) -> None:
    (asked,) = fitted_as(project, ["yes", "no"], "asked")
    assert asked == CategoryAttribute("asked", frozenset({"select"}), ("yes", "no"))
    (size,) = fitted_as(project, ["1", "0", "yes"], "size")
    assert isinstance(size, NumberAttribute)
    (dates,) = fitted_as(project, ["2025-01-01", "2025-02-01"], "asked")
    assert dates.kind == "category"


def test_date_has_three_features(project: Any) -> None:
    learned = fitted_as(project, ["2025-01-01", "2025-02-03"])
    assert [attribute.feature.name for attribute in learned] == [
        "x.age_days",
        "x.weekday",
        "x.month",
    ]
    pipeline = FeaturePipeline(tuple(learned), ())
    assert pipeline.columns == ["x"]
    values = pipeline.rows([{"x": "2025-02-24"}, {"x": "2025-03-02"}], as_of=NOW)
    np.testing.assert_array_equal(values, [[5.5, 0, 2], [np.nan] * 3])
    assert FeaturePipeline.from_json(pipeline.to_json()) == pipeline


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
TARGETS = [1, 3]


@st.composite
def trainings(draw: Any) -> tuple[FeaturePipeline, Records, Moments]:
    """Leads with some values each, one or several moments each, and encodings fitted on them."""
    values = st.sampled_from(["Bonn", "bonn ", "Graz", "Rome", None, "Select"])
    lead = st.tuples(
        st.floats(0, 9), values, st.sampled_from(["a", "b"]), values, st.integers(1, 3)
    )
    rows = draw(st.lists(lead, min_size=8, max_size=20))
    leads = pd.DataFrame([row[:4] for row in rows], columns=["size", "city", "plan", "title"])
    leads = leads.astype({"city": object, "title": object})
    leads.insert(0, "lead_id", [f"L{i}" for i in range(len(rows))])
    whose = np.repeat(np.arange(len(rows)), [row[4] for row in rows])
    bits = draw(st.lists(st.integers(0, 1), min_size=len(whose), max_size=len(whose)))
    no_time = np.full(len(whose), NOT_A_TIME)
    label = np.array(bits, dtype=np.int8)
    moments = Moments(whose, no_time, label, no_time, np.ones(len(whose)), {})
    fitted = [
        fit_target(leads[a.column].iloc[whose], NOTHING, label, moments.weight)
        if isinstance(a, TargetAttribute)
        else a
        for a in PIPELINE.attributes
    ]
    return replace(PIPELINE, attributes=tuple(fitted)), Records(leads, pd.DataFrame()), moments


@given(trainings(), st.integers(0, 9))
def test_training_row_is_encoded_from_other_folds(drawn: Any, seed: Any) -> None:
    """Only target columns differ from `transform`, and hold what the other folds' leads say."""
    pipeline, records, moments = drawn
    learned = training_matrix(pipeline, records, moments, seed)
    plain = pipeline.transform(records, moments.lead, moments.as_of)
    others = [i for i in range(len(pipeline.names)) if i not in TARGETS]
    np.testing.assert_array_equal(learned[:, others], plain[:, others])
    assert learned.flags.f_contiguous
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    for column in TARGETS:
        attribute = pipeline.attributes[column]
        cells = records.leads[attribute.column].tolist()
        words = [attribute.word(cells[lead]) for lead in moments.lead]
        for row, word in enumerate(words):
            known = [i for i in range(len(words)) if fold_of[i] != fold_of[row]]
            rate = (moments.label[known].sum() + 0.5) / (len(known) + 1)
            alike = [i for i in known if words[i] == word]
            expected = log_odds(moments.label[alike].sum(), len(alike), rate)
            assert learned[row, column] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(trainings(), st.data())
def test_own_label_does_not_change_the_encoding(drawn: Any, data: Any) -> None:
    """In the same folds, another answer changes what other folds' leads learn, not its own."""
    pipeline, records, moments = drawn
    fold_of_lead = np.arange(len(records.leads)) % N_FOLDS
    lead = data.draw(st.integers(0, len(records.leads) - 1))
    is_its_own = moments.lead == lead
    label = np.where(is_its_own, 1 - moments.label, moments.label).astype(np.int8)
    with mock.patch.object(fitting, "folds", return_value=fold_of_lead[moments.lead]):
        before = training_matrix(pipeline, records, moments, 0)
        after = training_matrix(pipeline, records, replace(moments, label=label), 0)
    in_its_fold = fold_of_lead[moments.lead] == fold_of_lead[lead]
    np.testing.assert_array_equal(after[in_its_fold], before[in_its_fold])
    if label.sum() != moments.label.sum():
        assert (after[~in_its_fold][:, TARGETS] != before[~in_its_fold][:, TARGETS]).all()


@given(trainings(), st.integers(0, 9))
def test_folds_contain_whole_leads_and_similar_shares(drawn: Any, seed: Any) -> None:
    """All moments of a lead are in one fold; sizes and wins differ by one lead at most."""
    _, records, moments = drawn
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    per_lead = pd.DataFrame({"lead": moments.lead, "fold": fold_of, "won": moments.label})
    assert (per_lead.groupby("lead")["fold"].nunique() == 1).all()
    leads = per_lead.groupby("lead").max()
    assert len(leads) == len(records.leads)
    for counts in (leads.groupby("fold").size(), leads.groupby("fold")["won"].sum()):
        assert len(counts) == N_FOLDS
        assert counts.max() - counts.min() <= 1


def test_encoding_of_random_labels_carries_no_signal(project: Any) -> None:
    # 300 values of four leads each: in the sample they rank rightly, out of fold they do not.
    generator = np.random.default_rng(5)
    label = generator.integers(0, 2, 1_200).astype(np.int8)
    city = pd.Series(np.repeat([f"c{i}" for i in range(300)], 4), name="city")
    leads = pd.DataFrame({"lead_id": [f"L{i}" for i in range(1_200)], "city": city})
    no_time = np.full(1_200, NOT_A_TIME)
    moments = Moments(np.arange(1_200), no_time, label, no_time, np.ones(1_200), {})
    fitted = fit_target(city, NOTHING, label, np.ones(1_200))
    pipeline, records = FeaturePipeline((fitted,), ()), Records(leads, pd.DataFrame())
    inside = pipeline.transform(records, moments.lead, moments.as_of)[:, 0]
    outside = training_matrix(pipeline, records, moments, 0)[:, 0]
    assert np.corrcoef(inside, label)[0, 1] > 0.3
    assert abs(np.corrcoef(outside, label)[0, 1]) < 0.1
