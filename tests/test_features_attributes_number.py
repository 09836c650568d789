"""Numbers: missing cells, words for nothing, and a warning for cells that are not numbers."""

import math
from typing import Any

import pandas as pd
import pytest

from crm.errors import SchemaError
from features.attributes.attribute import LeftOut
from features.attributes.number import NumberAttribute
from features.cell_warnings import cell_warning
from tests.made_attributes import fit, fit_number


@pytest.mark.parametrize("dtype", ["str", "object", "float", "Float64"])
def test_numbers_are_read_from_every_dtype(dtype: Any) -> None:
    cells = pd.Series([1.5, 2, None, 4] * 20).astype(dtype)
    assert fit(cells) == NumberAttribute("x", frozenset(), 2.0, "1,234.56", 1.5, 4.0)


def test_a_few_words_among_numbers_are_missing_with_a_warning() -> None:
    number = fit_number(["7", "9"] * 100 + ["n/a"])
    assert number.median == 8
    assert math.isnan(number.encode("n/a"))
    assert number.warning("n/a") == cell_warning("not_a_number", "x")


@pytest.mark.parametrize("cell", ["9", None, ""])
def test_numbers_and_empty_cells_have_no_warning(cell: str | None) -> None:
    assert fit_number(["7", "9"] * 100).warning(cell) is None


@pytest.mark.parametrize(
    ("lowest", "highest", "usual", "unusual"),
    [
        (25_515.0, 8_992_419.0, [2_552, 25_515, 11_000_000], [45, 2_551, 0, -1, 12_000_000]),
        (1.0, 500.0, [0, 1, 600], [-1, 700]),  # counts
        (0.01, 99.0, [0, 0.001, 120], [-0.5, 130]),
        (10.0, 900.0, [0, 1_100], [-1, -300]),  # not a long tail
        (0.0, 900.0, [0, 1_100], [-0.5, -300]),
        (-5.0, 900.0, [0, -200, 1_100], [-300]),
    ],
)
def test_numbers_far_below_a_long_tail_have_a_warning(
    lowest: float, highest: float, usual: list[float], unusual: list[float]
) -> None:
    number = NumberAttribute("x", frozenset(), 100.0, lowest=lowest, highest=highest)
    assert [number.warning(cell) for cell in usual] == [None] * len(usual)
    codes = [warning and warning.code for warning in map(number.warning, unusual)]
    assert codes == ["outside_training"] * len(unusual)


UNCLEAR_IN_WHOLE = [
    ("1.096", "unclear_number"),
    ("5.000", "unclear_number"),
    ("-1.096", "unclear_number"),
    ("1.096,5", "not_a_number"),
    ("9.500", None),  # 9500 would be far beyond the training leads
    ("1,096", None),
    ("1096.000", None),
    ("12.5", None),
    ("0.125", None),
    ("1.096 k", None),
    (1.096, None),
    ("582", None),
]


@pytest.mark.parametrize(("cell", "code"), UNCLEAR_IN_WHOLE)
def test_text_that_may_have_thousands_is_missing_in_a_column_of_whole_numbers(
    cell: Any, code: str | None
) -> None:
    number = fit_number(["0", "582", "1096", "6000", "12.0", "1,100"] * 30)
    assert number.is_whole
    warning = number.warning(cell)
    assert (warning and warning.code) == code
    assert math.isnan(number.encode(cell)) == (code is not None)
    for dtype in ("str", "object") if isinstance(cell, str) else ("object",):
        encoded = number.encode_column(pd.Series([cell, "7", None], dtype=dtype))
        expected = pytest.approx([number.encode(cell), 7.0, math.nan], nan_ok=True)
        assert encoded.tolist() == expected


@pytest.mark.parametrize("cells", [["3", "1096.5"], ["3.000", "5.000", "10.5"], [3.5, 1096.0]])
def test_columns_of_decimals_read_three_digits_behind_the_sign(cells: list[Any]) -> None:
    number = fit_number(cells * 60)
    assert not number.is_whole
    assert number.encode("1.096") == 1.096


def test_whole_numbers_with_three_zeros_in_training_stay_clear() -> None:
    number = fit_number(["3.000", "5.000", "1096.000"] * 60)
    assert not number.is_whole
    assert number.encode("5.000") == 5.0


def test_words_for_nothing_are_missing() -> None:
    number = fit_number(["1", "2.5", "Select", " SELECT "] * 20, nothing=["Select"])
    assert number.nothing == {"select"}
    assert number.median == 1.75
    assert (number.lowest, number.highest) == (1.0, 2.5)
    assert number.warning("select") is None


@pytest.mark.parametrize(
    "cells",
    [[-1, 5, 7, -1], ["-1", "5", "7", "-1.0"], [-1.0, 5, 7, -1]],
    ids=["whole numbers", "texts", "decimals"],
)
def test_numbers_for_nothing_are_missing(cells: list[Any]) -> None:
    number = fit_number(cells * 20, nothing=["-1"])
    assert number.median == 6
    expected = pytest.approx([math.nan, 5, 7, math.nan], nan_ok=True)
    assert number.encode_column(pd.Series(cells)).tolist() == expected
    assert math.isnan(number.encode(-1))


def test_false_can_be_a_word_for_nothing() -> None:
    number = fit_number(["12.5", "False", "7"] * 20, nothing=["False"])
    assert number.median == 9.75
    assert math.isnan(number.encode(False))


TRUTHS = pytest.mark.parametrize("truths", [(True, False), ("TRUE", "False")])


@TRUTHS
def test_truth_values_among_numbers_are_one_and_zero(truths: tuple[Any, Any]) -> None:
    number = fit_number([*truths, 1, 0, 7] * 20)
    assert number.median == 1
    assert [number.encode(truth) for truth in truths] == [1, 0]
    assert number.warning(truths[0]) is None


@TRUTHS
def test_truth_values_of_a_declared_number_are_one_and_zero(truths: tuple[Any, Any]) -> None:
    assert fit_number([*truths] * 20, kind="number").median == 0.5


@TRUTHS
def test_truth_value_can_be_a_word_for_nothing(truths: tuple[Any, Any]) -> None:
    number = fit_number([*truths, 5] * 20, nothing=["false"])
    assert math.isnan(number.encode(truths[1]))


INFINITE: dict[str, list[Any]] = {
    "text": ["1", "inf", "-Infinity"] * 40,
    "float": [1.0, math.inf, -math.inf] * 40,
    "infinities only": [math.inf, -math.inf] * 60,
}


@pytest.mark.parametrize("kind", [None, "number"])
@pytest.mark.parametrize("cells", INFINITE.values(), ids=INFINITE)
def test_infinities_in_a_number_column_are_refused(cells: list[Any], kind: Any) -> None:
    message = (
        r"leads: `x` is infinite in \d+ rows\. Expected finite numbers or empty cells; "
        r"correct the export, or list the word in \[columns\] nothing"
    )
    with pytest.raises(SchemaError, match=message):
        fit(cells, kind=kind)


def test_infinities_can_be_words_for_nothing() -> None:
    assert fit_number(INFINITE["float"] + [3.0], nothing=["inf", "-inf"]).median == 1
    assert fit_number(INFINITE["text"] + ["3"], nothing=["INF", "-infinity"]).median == 1


def test_one_number_with_missing_cells_is_a_feature() -> None:
    assert fit_number([7.0, None] * 20).median == 7


def test_number_column_without_numbers_is_left_out() -> None:
    left_out = LeftOut("x", "it is listed as a number and contains none")
    assert fit(["a", "b"] * 20, kind="number") == left_out


@pytest.mark.parametrize(("nothing", "zero"), [("0 eur", math.nan), ("0", math.nan), ("-", 0.0)])
def test_column_of_text_is_read_as_its_cells_are(nothing: str, zero: float) -> None:
    cells = ["0 EUR", "5 EUR", "1,250.5", "true", "many", None]
    attribute = NumberAttribute("x", frozenset({nothing}), 0.0, notation="1,234.56 EUR")
    numbers = attribute.encode_column(pd.Series(cells, dtype="str"))
    assert numbers.tolist() == pytest.approx(
        [zero, 5.0, 1250.5, 1.0, math.nan, math.nan], nan_ok=True
    )
