"""Dates: their age, weekday and month at a moment; no later date is known."""

import datetime
import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import UndeclaredColumn
from features.attributes.date import DateAttribute
from features.cell_warnings import cell_warning
from features.pipeline import FeaturePipeline
from features.times import cell_time, time_text
from tests.made_attributes import MISSING_CELLS, NOTHING

Part = Literal["age_days", "weekday", "month"]
NOW = cell_time("2025-03-01T12:00:00Z")  # a Saturday
PARTS: tuple[Part, ...] = ("age_days", "weekday", "month")


def feature_of(cell: Any, part: Part, as_of: int = NOW) -> float:
    """Compute one feature of a date at a moment."""
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
    features = [feature_of(cell, part) for part in PARTS]
    assert features == pytest.approx([age, weekday, month], abs=1e-9)
    without_as_of = [feature_of(cell, part, NOT_A_TIME) for part in PARTS]
    assert without_as_of == pytest.approx([math.nan, weekday, month], nan_ok=True)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("cell", MISSING_CELLS)
def test_empty_date_is_missing(cell: Any, part: Part) -> None:
    assert math.isnan(feature_of(cell, part))
    assert DateAttribute("signed", NOTHING, part).warning(cell) is None


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("cell", ["soon", 1.7e9, "12:00", True, 2025])
def test_invalid_date_is_missing_with_a_warning(cell: Any, part: Part) -> None:
    assert math.isnan(feature_of(cell, part))
    warning = DateAttribute("signed", NOTHING, part).warning(cell)
    assert warning == cell_warning(
        "unreadable_time", "signed", "expected ISO 8601, such as 2026-01-31T14:30Z"
    )


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("later", [1, 1_000, DAY, 400 * DAY])
def test_date_after_as_of_is_missing(part: Part, later: int) -> None:
    cell = time_text(NOW + later)
    assert math.isnan(feature_of(cell, part, NOW))
    assert not math.isnan(feature_of(cell, part, NOW + later))


@pytest.mark.parametrize("part", PARTS)
def test_date_at_as_of_is_known(part: Part) -> None:
    assert not math.isnan(feature_of(time_text(NOW), part, NOW))


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)))  # noqa: DTZ001
def test_weekday_and_month_match_the_calendar(time: datetime.datetime) -> None:
    in_utc = time.replace(tzinfo=datetime.UTC)
    as_of, cell = cell_time(in_utc), in_utc.isoformat()
    assert feature_of(cell, "weekday", as_of) == in_utc.weekday()
    assert feature_of(cell, "month", as_of) == in_utc.month


def test_local_dates_are_read_in_the_zone_of_the_table() -> None:
    attributes = [DateAttribute("x", NOTHING, part, timezone="Asia/Tokyo") for part in PARTS]
    days = np.array([NOW / DAY])
    features = [a.as_of(np.array([a.encode("2025-02-01")]), days)[0] for a in attributes]
    # The day begins at 15:00 UTC of the day before, a Friday in January.
    assert features == [28.875, 5, 2]


def test_date_in_its_own_format_is_read_and_others_have_a_warning() -> None:
    attribute = DateAttribute("x", NOTHING, "month", "%d.%m.%Y")
    assert attribute.encode("01.03.2025") == attribute.encode("2025-03-01") == 20_148
    assert math.isnan(attribute.encode("03/01/2025"))
    assert attribute.warning("03/01/2025") == cell_warning(
        "unreadable_time", "x", "expected %d.%m.%Y, such as 31.01.2026"
    )


@pytest.mark.parametrize("cell", ["31.02.2026 10:00", "03.05.2026", "2026-13-01"])
def test_warning_names_the_expected_format_with_an_example(cell: str) -> None:
    warning = DateAttribute("Messebesuch", NOTHING, "month", "%d.%m.%Y %H:%M").warning(cell)
    assert warning is not None
    assert warning.message == (
        "`Messebesuch` is not a valid time (expected %d.%m.%Y %H:%M, such as 31.01.2026 14:30) "
        "and counts as missing"
    )


def test_range_of_dates_is_learned_and_saved() -> None:
    cells = pd.Series(["2024-01-01", None, "2023-01-01", "2025-01-01"], name="x")
    attributes = DateAttribute.recognise(UndeclaredColumn(cells, NOTHING))
    assert [(a.earliest, a.latest) for a in attributes] == [(19_358, 20_089)] * 3
    pipeline = FeaturePipeline(tuple(attributes), ())
    assert FeaturePipeline.from_json(pipeline.to_json()) == pipeline


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("cell", "has_warning"),
    [
        ("1900-01-01", True),
        ("1999-09-01", True),
        ("1999-11-01", False),  # a quarter of the range before its first date
        ("2001-01-01", False),
        ("2001-03-01", False),
        ("2001-05-01", True),
        ("2099-01-01", True),
    ],
)
def test_date_far_outside_the_training_range_has_a_warning(
    cell: str, has_warning: bool, part: Part
) -> None:
    first, last = (cell_time(day) / DAY for day in ("2000-01-01", "2001-01-01"))
    attribute = DateAttribute("x", NOTHING, part, earliest=first, latest=last)
    expected = cell_warning("outside_training", "x", "2000-01-01 to 2001-01-01")
    assert attribute.warning(cell) == (expected if has_warning else None)
    in_tokyo = replace(attribute, timezone="Asia/Tokyo", latest=last - 0.375)
    assert in_tokyo.warning("2099-01-01") == expected
    assert DateAttribute("x", NOTHING, part).warning(cell) is None


@pytest.mark.parametrize(
    ("cells", "notation", "n_parts"),
    [
        (["01.03.2025", "02.03.2025"], "%d.%m.%Y", 3),
        ([*pd.date_range("2025-01-01", periods=99).astype(str), "soon"], None, 3),
        (["2025-03-01", "soon"], None, 0),
        (["1.250"], "1.234,56", 0),
    ],
)
def test_dates_are_recognised_in_the_format_of_the_column(
    cells: list[str], notation: str | None, n_parts: int
) -> None:
    column = UndeclaredColumn(pd.Series(cells, name="x"), NOTHING, notation, "Asia/Tokyo")
    attributes = DateAttribute.recognise(column)
    assert len(attributes) == n_parts
    assert {(a.notation, a.timezone) for a in attributes} <= {(notation, "Asia/Tokyo")}


def test_date_features_pass_a_pipeline_and_its_json() -> None:
    pipeline = FeaturePipeline(tuple(DateAttribute("x", NOTHING, part) for part in PARTS), ())
    assert pipeline.columns == ["x"]
    assert pipeline.names == ["x.age_days", "x.weekday", "x.month"]
    values = pipeline.rows([{"x": "2025-02-24"}, {"x": "2025-03-02"}], as_of=NOW)
    np.testing.assert_array_equal(values, [[5.5, 0, 2], [np.nan] * 3])
    assert FeaturePipeline.from_json(pipeline.to_json()) == pipeline
