"""Number, category or neither: undecided columns are refused, uninformative ones left out."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import SchemaError
from features.attributes.attribute import LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.attributes.number_or_category import fit_attribute
from tests.made_attributes import COLUMNS, NOTHINGS, fit, fit_category, fit_number

HALF_NUMBERS = [str(i) for i in range(60)] + [f"t{i}" for i in range(60)]


def test_half_numbers_and_half_text_are_refused() -> None:
    message = (
        r"leads: `x` is a number in 50% and text in 50% of 240 rows\. Say which it is: list it in "
        r"\[columns\] number .*, category or ignore"
    )
    with pytest.raises(SchemaError, match=message):
        fit(HALF_NUMBERS * 2)


def test_half_numbers_are_fitted_as_declared() -> None:
    assert fit_number(HALF_NUMBERS * 2, kind="number").median == 29.5
    assert fit_category(HALF_NUMBERS * 9, kind="category").vocabulary


@pytest.mark.parametrize(
    ("cells", "nothing", "reason"),
    [
        ([None] * 30, [], "it is empty"),
        (["", " ", None] * 10, [], "it is empty"),
        (["-", "?", None] * 10, ["-", "?"], "it is empty"),
        (["EU"] * 30, [], "it is always 'EU'"),
        ([7.0] * 30, [], "it is always '7'"),
        (["y" * 99] * 30, [], f"it is always '{'y' * 40}'"),
        (list(range(100)), [], "each lead has a number of its own, almost without gaps: an ident"),
        ([i * 40 + i % 7 for i in range(100)], [], "each lead has a number of its own, in the or"),
        ([-i * 40 + i % 7 for i in range(100)], [], "each lead has a number of its own, in the o"),
        (
            [10_000 + i * 40_009 % 89_989 for i in range(100)],
            [],
            "each lead has a number of its own, with 5 digits each: an identifier",
        ),
        ([f"n{i}" for i in range(100)], [], "nearly each lead has a value of its own: an ident"),
    ],
)
def test_uninformative_columns_are_left_out(
    cells: list[Any], nothing: list[str], reason: str
) -> None:
    left_out = fit(cells, nothing=nothing)
    assert isinstance(left_out, LeftOut)
    assert left_out.reason.startswith(reason)


AMOUNTS = [int(100_000 * 1.07 ** ((i * 37) % 100)) for i in range(100)]
ROUND = [10_000 + i * 40_010 % 89_990 for i in range(100)]


@pytest.mark.parametrize("cells", [AMOUNTS, ROUND, list(range(99)), [i + 0.5 for i in range(100)]])
def test_different_amounts_are_numbers(cells: list[float]) -> None:
    assert fit_number(cells).highest == max(cells)


@pytest.mark.parametrize("name", ["Lead ID", "campaignId", "owner_id", "UUID"])
def test_column_named_as_an_id_is_not_a_number(name: str) -> None:
    repeated = pd.Series([7, 19, 22, 7.0] * 50, name=name)
    assert isinstance(fit_attribute(repeated, nothing=[]), CategoryAttribute)
    assert isinstance(fit_attribute(pd.Series(range(0, 900, 9), name=name), nothing=[]), LeftOut)
    assert isinstance(fit_attribute(repeated, nothing=[], kind="number"), NumberAttribute)


def test_declared_number_is_not_an_identifier() -> None:
    assert fit_number(list(range(100)), kind="number").highest == 99


@given(COLUMNS, NOTHINGS, st.sampled_from([None, "number", "category"]))
def test_column_is_a_feature_or_left_out_or_refused(
    column: pd.Series, nothing: frozenset[str], kind: Any
) -> None:
    before = column.copy(deep=True)
    try:
        attribute = fit_attribute(column, nothing=sorted(nothing), kind=kind)
    except SchemaError as refusal:
        if "infinite" not in str(refusal):
            raise
        return
    pd.testing.assert_series_equal(column, before)
    if isinstance(attribute, NumberAttribute):
        assert math.isfinite(attribute.median)
    elif isinstance(attribute, CategoryAttribute):
        values = [value.casefold() for value in attribute.vocabulary]
        assert values
        assert len(set(values)) == len(values)
        assert not set(values) & attribute.nothing
