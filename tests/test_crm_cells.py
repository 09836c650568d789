"""Reading one cell and a column of cells, from any source."""

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.cells import (
    cell_number,
    cell_text,
    distinct_cells,
    distinct_texts,
    harmless,
    has_content,
    is_among,
    number_column,
    plain_cell,
    plain_column,
    text_column,
    text_series,
)

BERLIN = datetime.timezone(datetime.timedelta(hours=1))
MORNING = datetime.datetime(2025, 1, 1, 8, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (decimal.Decimal("NaN"), None),
        (decimal.Decimal("sNaN"), None),
        ("", None),
        (" \t\n ", None),
        ("\xa0", None),
        (" a  b\nc ", "a b c"),
        ("007", "007"),
        (7, "7"),
        (np.int64(7), "7"),
        (7.0, "7"),
        (np.float32(7), "7"),
        (-0.0, "0"),
        (7.25, "7.25"),
        (decimal.Decimal("7.50"), "7.5"),
        (10**30, "1" + "0" * 30),
        (math.inf, "inf"),
        (True, "true"),
        (np.False_, "false"),
        (datetime.date(2025, 1, 2), "2025-01-02"),
        (MORNING, "2025-01-01T08:00:00+00:00"),
        (pd.Timestamp(MORNING), "2025-01-01T08:00:00+00:00"),
    ],
)
def test_cell_is_read_as_text(cell: Any, text: str | None) -> None:
    assert cell_text(cell) == text


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12),
        (" -1.5e3 ", -1500),
        (".5", 0.5),
        ("+5.", 5),
        (True, 1),
        (np.False_, 0),
        (np.int8(3), 3),
        (np.float32(0.5), 0.5),
        (decimal.Decimal("0.1"), 0.1),
        *(
            (nothing, math.nan)
            for nothing in (
                *(None, pd.NA, pd.NaT, math.nan, math.inf, -math.inf, "", "inf", "nan", "1e999"),
                *("12 apples", "1,5", "1_000", "0x10", "true", 10**400, 1j, MORNING, [1]),
                *(decimal.Decimal("Infinity"), decimal.Decimal("sNaN")),
            )
        ),
    ],
)
def test_cell_is_read_as_a_number(cell: Any, number: float) -> None:
    assert cell_number(cell) == pytest.approx(number, nan_ok=True, rel=0)


texts = st.text(max_size=8) | st.sampled_from(["1", " 1 ", "1.0", "A", "a ", "inf", "true", ""])
floats = st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf])
integers = st.integers(-(2**63), 2**63 - 1)
times = st.datetimes(timezones=st.sampled_from([datetime.UTC, BERLIN, None]))
anything = st.one_of(
    st.none(),
    st.booleans(),
    texts,
    floats,
    integers,
    st.integers(),
    st.decimals(allow_nan=False),
    times,
    st.dates(),
    st.binary(max_size=3),
    st.dictionaries(texts, integers, max_size=2),
    st.sampled_from([pd.NA, pd.NaT, decimal.Decimal("NaN"), np.float32(1), np.int8(1), np.True_]),
)
SERIES = {
    "str": st.lists(st.none() | texts).map(lambda cells: pd.Series(cells, dtype="str")),
    "object of text": st.lists(st.none() | texts).map(lambda cells: pd.Series(cells, dtype=object)),
    "object": st.lists(anything).map(lambda cells: pd.Series(cells, dtype=object)),
    "float": st.lists(floats).map(lambda cells: pd.Series(cells, dtype=float)),
    "float32": st.lists(st.floats(width=32)).map(lambda cells: pd.Series(cells, dtype="float32")),
    "int": st.lists(integers).map(lambda cells: pd.Series(cells, dtype="int64")),
    "Int64": st.lists(st.none() | integers).map(lambda cells: pd.Series(cells, dtype="Int64")),
    "bool": st.lists(st.booleans()).map(lambda cells: pd.Series(cells, dtype=bool)),
    "boolean": st.lists(st.none() | st.booleans()).map(
        lambda cells: pd.Series(cells, dtype="boolean")
    ),
    "category": st.lists(st.none() | texts).map(lambda cells: pd.Series(cells, dtype="category")),
    "times": st.lists(st.none() | st.datetimes()).map(
        lambda cells: pd.Series(cells, dtype="datetime64[us, UTC]")
    ),
}


@pytest.mark.parametrize("dtype", SERIES)
@given(data=st.data())
def test_column_equals_its_cells(dtype: str, data: st.DataObject) -> None:
    column = data.draw(SERIES[dtype])
    column.index = pd.Index(range(100, 100 + len(column)))
    before = column.copy(deep=True)
    numbers, texts = number_column(column), text_column(column)
    expected_numbers = np.array([cell_number(cell) for cell in column.tolist()], dtype=float)
    np.testing.assert_array_equal(numbers, expected_numbers)
    assert numbers.dtype == np.float64
    assert texts.tolist() == [cell_text(cell) for cell in column.tolist()]
    expected_series = pd.Series(texts, index=column.index, dtype="str")
    pd.testing.assert_series_equal(text_series(column), expected_series)
    pd.testing.assert_series_equal(column, before)


def test_every_kind_of_white_space_becomes_one_space() -> None:
    spaces = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    column = pd.Series([f"a{space}{space}b{space}" for space in spaces], dtype="str")
    assert len(spaces) > 20
    assert set(text_series(column)) == {"a b"}


def test_equal_cells_of_different_types_have_different_texts() -> None:
    column = pd.Series([1, True, MORNING, MORNING.astimezone(BERLIN)], dtype=object)
    assert text_column(column).tolist() == [
        "1",
        "true",
        "2025-01-01T08:00:00+00:00",
        "2025-01-01T09:00:00+01:00",
    ]


@given(st.lists(st.none() | st.text("ab \t\xa0", max_size=4)))
def test_column_of_text_is_read_cell_by_cell(cells: list[str | None]) -> None:
    column = pd.Series(cells, dtype="str")
    texts = [cell_text(cell) for cell in cells]
    assert text_column(column).tolist() == texts
    assert distinct_texts(column) == list(dict.fromkeys(filter(None, texts)))


@pytest.mark.parametrize("dtype", ["str", object])
def test_missing_cells_are_one_distinct_cell(dtype: Any) -> None:
    positions, cells = distinct_cells(pd.Series(["b", None, "b", math.nan], dtype=dtype, name="x"))
    assert positions.tolist() == [0, 1, 0, 1]
    assert (cells.name, cells[0], bool(pd.isna(cells[1]))) == ("x", "b", True)


def test_equal_cells_of_different_types_are_distinct() -> None:
    positions, cells = distinct_cells(pd.Series([1, True, 1], dtype=object))
    assert (positions.tolist(), cells.tolist()) == ([0, 1, 2], [1, True, 1])


def test_a_missing_text_is_among_others_with_a_missing_text() -> None:
    texts = pd.Series(["a", None], dtype="str")
    assert is_among(texts, pd.Series(["b", None], dtype="str")).tolist() == [False, True]
    assert is_among(texts, pd.Series(["a"], dtype="str")).tolist() == [True, False]
    assert is_among(texts, pd.Series([], dtype="str")).tolist() == [False, False]


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@sum", "'@sum"), ("Webinar", "Webinar"), ("", ""), (-3.5, -3.5)],
)
def test_only_texts_that_begin_a_formula_get_a_quote(cell: Any, written: Any) -> None:
    assert harmless(cell) == written


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        (np.array(50), 50),
        (np.array("Web"), "Web"),
        (np.array(None), None),
        (np.array(True), True),
        (np.float32(0.5), 0.5),
        (np.str_("Web"), "Web"),
        (np.datetime64("2025-01-01T08:00:00.5"), pd.Timestamp("2025-01-01 08:00:00.5")),
        (np.array("2025-01-01", dtype="datetime64[ns]"), pd.Timestamp("2025-01-01")),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (memoryview(b"\xff"), "\ufffd"),
        (["Demo", 3], '["Demo",3]'),
        (np.array(["Demo", "Call"]), '["Demo","Call"]'),
        ((1, None, 2.5, True), "[1,null,2.5,true]"),
        ([], None),
        (["Demo"], "Demo"),
        (np.array([5]), 5),
        ([None], None),
        ([["Demo"]], None),
        ([{"a": 1}], None),
        ([MORNING], None),
        ({"a": 1}, None),
        ({1, 2}, None),
        (MORNING, MORNING),
        ("Web", "Web"),
        (None, None),
    ],
)
def test_cells_of_every_type_become_those_of_a_request(cell: Any, plain: Any) -> None:
    assert plain_cell(cell) == plain
    assert type(plain_cell(cell)) is type(plain)


def test_columns_of_plain_cells_stay_as_they_are() -> None:
    for column in (pd.Series(["a", None]), pd.Series([1, 2]), pd.Series(["a"], dtype=object)):
        assert plain_column(column) is column
    column = pd.Series(["b", None, "b"], dtype="category", name="x", index=[7, 8, 9])
    assert plain_column(column).tolist()[0] == "b"
    assert plain_column(column).dtype != column.dtype
    mixed = pd.Series([np.array(1), "b"], index=[7, 8], name="x")
    assert plain_column(mixed).to_dict() == {7: 1, 8: "b"}
    assert plain_column(mixed).name == "x"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_column_of_times_has_the_texts_of_its_cells(unit: Any) -> None:
    times = ["2024-02-29T08:00:00Z", "2024-01-01T08:00:00.25Z", "1969-12-31T23:59:59.000001Z", None]
    column = pd.to_datetime(pd.Series(times), utc=True, format="ISO8601").dt.as_unit(unit)
    assert text_column(column).tolist() == [cell_text(cell) for cell in column]
    assert has_content(column).tolist() == [True, True, True, False]


@pytest.mark.parametrize("number", [1, 10**18, -(10**16)])
def test_times_that_few_programs_write_have_the_texts_of_their_cells(number: int) -> None:
    unit = "ns" if number == 1 else "us"
    column = pd.Series(np.array([number], dtype=f"datetime64[{unit}]")).dt.tz_localize("UTC")
    assert text_column(column).tolist() == [cell_text(cell) for cell in column]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["Web", "", "  ", None], dtype="str"),
        pd.Series([0, True, float("nan"), " ", pd.NaT], dtype=object),
        pd.Series([float("inf"), float("nan")]),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"),
    ],
)
def test_cells_have_content_if_they_have_text(column: pd.Series) -> None:
    expected = [cell_text(cell) is not None for cell in column]
    assert has_content(column).tolist() == expected
