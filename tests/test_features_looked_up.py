"""Features that are looked up by values: how reasons name the values of a lead."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.attributes.category import CategoryAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.target import TargetAttribute
from features.feature import Feature, LeadValues
from features.interactions import AttributePair, ValueCount
from features.looked_up import cells_of_table, looked_up_features
from features.pipeline import FeaturePipeline
from models.reasons import Reason

NOTHING = frozenset({"select"})
PIPELINE = FeaturePipeline(
    attributes=(
        CategoryAttribute("industry", NOTHING, ("Retail",)),
        TargetAttribute("city", NOTHING, {"bonn": 0.4, "graz": -0.2}, average=0.1),
        FlagAttribute("opted_in", NOTHING),
        TargetAttribute("title", NOTHING, {"": 0.3, "cto": 0.2}, average=0.1),
    ),
    left_out=(),
    interactions=(
        AttributePair(("industry", "opted_in"), {"retail": {"yes": (0.5, 2.0)}}, 0.1),
        AttributePair(("city", "title"), {"bonn": {"": (0.6, 1.0)}}, 0.1),
        ValueCount(("city",), {"bonn": 3.0}),
    ),
)
PLACES = {name: i for i, name in enumerate(PIPELINE.names)}
LOOKED_UP = [name for name in PIPELINE.names if "." in name]
LEAD = {"industry": "RETAIL ", "city": " bonn", "opted_in": "Ja", "title": "Select"}
OTHER = {"industry": None, "city": "Rome", "title": "CTO"}

CELLS: dict[str, list[Any]] = {
    "industry": ["Retail", "retail", "Mars", "Select", None, 3, 3.0, True],
    "city": ["Bonn", "BONN", " Graz  City", "\u202ebonn", "", None, 7.5],
    "opted_in": ["yes", "Ja", "0", "perhaps", None, True],
    "title": ["CTO", "cto", "-", "select", None],
}


def values_of(name: str, *leads: dict[str, Any]) -> list[LeadValues]:
    read = PIPELINE.values_of(lambda row, column: leads[row].get(column))
    return [read(row, PLACES[name]) for row in range(len(leads))]


def of(*texts: str, is_seen: bool = True) -> LeadValues:
    return LeadValues(texts, is_seen)


# -- the values of a lead


@pytest.mark.parametrize(
    ("name", "expected", "of_other"),
    [
        ("city.win_log_odds", of("bonn"), of("Rome", is_seen=False)),
        ("city.log_count", of("bonn"), of("Rome", is_seen=False)),
        ("title.win_log_odds", of(""), of("CTO")),
        ("industry with opted_in.win_log_odds", of("RETAIL", "yes"), of("", "", is_seen=False)),
        ("industry with opted_in.log_count", of("RETAIL", "yes"), of("", "", is_seen=False)),
        ("city with title.win_log_odds", of("bonn", ""), of("Rome", "CTO", is_seen=False)),
        ("city with title.log_count", of("bonn", ""), of("Rome", "CTO", is_seen=False)),
    ],
)
def test_values_are_those_of_the_lead(
    name: str, expected: LeadValues, of_other: LeadValues
) -> None:
    assert values_of(name, LEAD, OTHER) == [expected, of_other]
    assert [feature.name for feature in PIPELINE.features if feature.unseen] == LOOKED_UP


def test_pair_of_two_seen_values_that_was_not_seen() -> None:
    lead = {"city": "Graz", "title": "CTO"}
    assert values_of("city with title.log_count", lead) == [of("Graz", "CTO", is_seen=False)]


@given(
    rows=st.lists(
        st.fixed_dictionaries({}, optional={k: st.sampled_from(c) for k, c in CELLS.items()}),
        min_size=1,
        max_size=6,
    )
)
def test_values_of_a_table_are_those_of_its_leads(rows: list[dict[str, Any]]) -> None:
    columns = sorted({column for lead in rows for column in lead})
    table = pd.DataFrame(rows, index=[5] * len(rows), columns=columns, dtype=object)
    for typed in (table, table.infer_objects()):
        in_table = PIPELINE.values_of(cells_of_table(typed))
        for name in LOOKED_UP:
            expected = values_of(name, *rows)
            assert [in_table(row, PLACES[name]) for row in range(len(rows))] == expected


def test_values_agree_with_the_features() -> None:
    """A value is called unseen exactly if its count is 0."""
    rows = [dict(zip(CELLS, cells, strict=False)) for cells in zip(*CELLS.values(), strict=False)]
    matrix = PIPELINE.rows(rows)
    for name in ("city.log_count", "city with title.log_count", "industry with opted_in.log_count"):
        is_seen = [values.is_seen for values in values_of(name, *rows)]
        np.testing.assert_array_equal(matrix[:, PLACES[name]] > 0, is_seen)
        assert any(is_seen) or "title" in name


# -- in words


@pytest.mark.parametrize(
    ("values", "rate_words", "count_words"),
    [
        (
            of("Construction", "North"),
            'industry is "Construction" and region is "North": such leads are won in 42% of cases',
            'industry is "Construction" and region is "North": such leads were seen 5 times in '
            "training",
        ),
        (
            of("", "North"),
            'industry is not known and region is "North": such leads are won in 42% of cases',
            'industry is not known and region is "North": such leads were seen 5 times in training',
        ),
        (
            of("", ""),
            "industry is not known and region is not known: such leads are won in 42% of cases",
            "industry is not known and region is not known: such leads were seen 5 times in "
            "training",
        ),
        (
            of("Mars", "North", is_seen=False),
            'industry is "Mars" and region is "North": such leads were not seen in training; '
            "42% of all leads are won",
            'industry is "Mars" and region is "North": such leads were not seen in training',
        ),
    ],
)
def test_pair_in_words(values: LeadValues, rate_words: str, count_words: str) -> None:
    rate, count = looked_up_features("industry", "region")
    assert rate.say(math.log(0.42 / 0.58), values) == rate_words
    assert count.say(math.log1p(5.0), values) == count_words


def test_single_value_in_words() -> None:
    rate, count = looked_up_features("city")
    assert rate.say(math.log(0.12 / 0.88), of("Bonn")) == (
        'city is "Bonn": such leads are won in 12% of cases'
    )
    assert rate.say(math.log(0.12 / 0.88), of("")) == (
        "city is not known: such leads are won in 12% of cases"
    )
    assert rate.say(0.0, of("Rome", is_seen=False)) == (
        'city is "Rome": such leads were not seen in training; 50% of all leads are won'
    )
    assert count.say(math.log1p(1.0), of("Bonn")) == (
        'city is "Bonn": such leads were seen once in training'
    )


def test_words_without_values_name_the_columns() -> None:
    rate, count = looked_up_features("industry", "region")
    assert rate.say(0.0) == ("this industry and this region: such leads are won in 50% of cases")
    assert count.say(0.0) == "this industry and this region: such leads were not seen in training"
    assert count.say(1.0) == (
        "this industry and this region: such leads were seen 2 times in training"
    )


def test_template_names_the_columns() -> None:
    rate, count = looked_up_features("a", "b")
    assert rate.template == 'a is "…" and b is "…": such leads are won in {value} of cases'
    assert looked_up_features("a")[1].template == (
        'a is "…": such leads were seen {value} in training'
    )
    size = Feature("size", "leads", "size", "number", "size is {value}")
    assert size.template == "size is {value}"
    assert count.pair == ("a", "b")
    assert looked_up_features("a")[0].pair == ()


@pytest.mark.parametrize("columns", [("c" * 900,), ("c" * 900, "d" * 900)])
def test_reasons_fit_in_a_text_field_of_a_crm(columns: tuple[str, ...]) -> None:
    """Salesforce's text fields have at most 255 characters."""
    for is_seen in (True, False):
        values = LeadValues(("v" * 100_000, "w" * 100_000)[: len(columns)], is_seen)
        for feature in looked_up_features(*columns):
            for named in (values, None):
                reason = Reason(feature.signal, -99.9, feature.say(36.0, named))
                assert len(str(reason)) <= 255
                assert "c…" in reason.text


def test_names_and_values_may_have_braces_and_quotes() -> None:
    rate, _ = looked_up_features("a {x}", "{}")
    assert rate.say(0.0, of("{value}", 'the "b" {0}')) == (
        'a {x} is "{value}" and {} is "the "b" {0}": such leads are won in 50% of cases'
    )


def test_values_have_no_invisible_characters() -> None:
    rate, _ = looked_up_features("city")
    said = rate.say(0.0, of("B\u202eon\x00n\x1b[31m\u200b and more"))
    assert said == 'city is "Bonn[31m and more": such leads are won in 50% of cases'
    assert rate.say(0.0, of("a" * 59 + "\u202eb")).startswith(f'city is "{"a" * 59}b": ')
    city = Feature(
        "c", "leads", "city", "category", 'city is "{value}"', values=("", "r", "B\x1bn")
    )
    assert city.say(2.0) == 'city is "Bn"'
