"""Laws of every kind of attribute: one lead and a million leads are read as the same numbers."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from crm.cells import cell_text
from features.attributes.attribute import Attribute
from features.attributes.category import CategoryAttribute
from features.attributes.choices import ChoiceAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from tests.made_attributes import CELLS, COLUMNS, NOTHING, NOTHINGS, column_of

numbers_and_categories: st.SearchStrategy[Attribute] = st.one_of(
    st.builds(NumberAttribute, st.just("x"), NOTHINGS, st.just(0.0)),
    st.builds(
        CategoryAttribute, st.just("x"), NOTHINGS, st.just(("EU", "true", "1", "-1", "None"))
    ),
)
other_kinds: st.SearchStrategy[Attribute] = st.sampled_from(
    [
        FlagAttribute("x", NOTHING),
        EmailAttribute("x", NOTHING),
        DateAttribute("x", NOTHING, "age_days"),
        TargetAttribute("x", NOTHING, {"bonn": 0.5, "": -1.0, "1": 2.0}, -0.25),
        TargetAttribute("x", NOTHING, {}, -0.25),
        ChoiceAttribute("x", NOTHING, ";", "Bonn", ("Bonn", "1")),
        ChoiceAttribute("x", NOTHING, ";", "", ("Bonn", "1")),
        ChoiceAttribute("x", NOTHING, "[]", "", ("Bonn", "1")),
    ]
)
FLAGS = ["yes", "NO ", "Ja", "1"]
ADDRESSES = ["a@gmail.com", "b@acme.example", "x@"]
VALUES = ["Bonn", "bonn", "Select", "-", "", "bonn; 1;", "1;Rome", ";", "-;Select", '["Bonn", 2]']
DATES = ["2025-03-01", "2025-03-01T01:00:00+02:00", "soon", "2025-13-01"]
other_cells = st.one_of(
    st.sampled_from([*FLAGS, *ADDRESSES, *VALUES, *DATES]),
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(20240101, 20241231),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
)
other_columns = st.one_of(
    column_of(other_cells, "object"),
    column_of(st.none() | st.booleans(), "boolean"),
    column_of(st.none() | st.text(max_size=4), "str"),
    column_of(
        st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),  # noqa: DTZ001
        "datetime64[us]",
    ),
)


formatted_kinds: st.SearchStrategy[Attribute] = st.sampled_from(
    [
        NumberAttribute("x", NOTHING, 0.0, notation="1.234,56 EUR"),
        NumberAttribute("x", NOTHING, 0.0, notation="1234"),
        NumberAttribute("x", NOTHING, 0.0, notation="20%"),
        DateAttribute("x", NOTHING, "age_days", "%d.%m.%Y %H:%M", "Asia/Tokyo"),
        DateAttribute("x", NOTHING, "weekday", "unix seconds"),
    ]
)
FORMATTED = ["1.250", "2.017,71", "$5", "5 €", "20 %", "31.12.2024 23:59", "1704104220", "Select"]
formatted_cells = st.sampled_from(FORMATTED) | other_cells


@given(
    st.tuples(numbers_and_categories, COLUMNS)
    | st.tuples(other_kinds, other_columns)
    | st.tuples(formatted_kinds, column_of(st.none() | st.sampled_from(FORMATTED), "str"))
    | st.tuples(formatted_kinds, column_of(formatted_cells, "object")),
)
def test_column_equals_its_cells(drawn: tuple[Attribute, pd.Series]) -> None:
    attribute, column = drawn
    before = column.copy(deep=True)
    encoded = attribute.encode_column(column)
    assert encoded.dtype == np.float64
    np.testing.assert_array_equal(encoded, [attribute.encode(cell) for cell in column.tolist()])
    pd.testing.assert_series_equal(column, before)


@given(
    st.tuples(numbers_and_categories, st.lists(CELLS, max_size=12))
    | st.tuples(other_kinds, st.lists(other_cells, max_size=8))
    | st.tuples(formatted_kinds, st.lists(formatted_cells, max_size=8))
)
def test_cells_equal_single_cells(drawn: tuple[Attribute, list[Any]]) -> None:
    attribute, cells = drawn
    together = np.asarray(attribute.encode_cells(cells), dtype=np.float64)
    np.testing.assert_array_equal(together, [attribute.encode(cell) for cell in cells])


@given(st.tuples(numbers_and_categories, CELLS) | st.tuples(other_kinds, other_cells))
def test_typed_cell_equals_its_text(drawn: tuple[Attribute, Any]) -> None:
    """A lead scores the same from JSON as from a text file."""
    attribute, cell = drawn
    text = cell_text(cell)
    np.testing.assert_array_equal(attribute.encode(text), attribute.encode(cell))
    assert attribute.warning(text) == attribute.warning(cell)


@given(st.tuples(numbers_and_categories, CELLS) | st.tuples(other_kinds, other_cells))
def test_cell_with_a_warning_is_not_empty_and_has_the_odd_value(
    drawn: tuple[Attribute, Any],
) -> None:
    attribute, cell = drawn
    if attribute.warning(cell) is not None:
        assert str(cell).strip()
        np.testing.assert_equal(attribute.encode(cell), attribute.odd_value)
