"""Cells and columns that attributes read, and fitting one attribute."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd
from hypothesis import strategies as st

from features.attributes.attribute import LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.attributes.number_or_category import fit_attribute
from features.attributes.target import PRIOR_ROWS

NOTHING = frozenset({"select", "-"})
MISSING_CELLS = (None, "", "  ", math.nan, pd.NA, pd.NaT, "Select", " - ")


def smoothed_log_odds(won: float, n: float, rate: float) -> float:
    """Compute a target encoding by hand, from counts of leads and the rate of all leads."""
    share = (won + PRIOR_ROWS * rate) / (n + PRIOR_ROWS)
    return math.log(share / (1 - share))


def fit(
    cells: Any,
    kind: Literal["number", "category"] | None = None,
    nothing: Iterable[str] = (),
    dtype: Any = None,
) -> NumberAttribute | CategoryAttribute | LeftOut:
    """Fit a column named x as a number or a category."""
    return fit_attribute(pd.Series(cells, name="x", dtype=dtype), nothing=list(nothing), kind=kind)


def fit_number(cells: Any, **options: Any) -> NumberAttribute:
    """Fit a column that must become a number."""
    attribute = fit(cells, **options)
    assert isinstance(attribute, NumberAttribute)
    return attribute


def fit_category(cells: Any, **options: Any) -> CategoryAttribute:
    """Fit a column that must become a category."""
    attribute = fit(cells, **options)
    assert isinstance(attribute, CategoryAttribute)
    return attribute


def column_of(cells: st.SearchStrategy[Any], dtype: str) -> st.SearchStrategy[pd.Series]:
    """Draw columns named x of these cells."""
    return st.lists(cells, max_size=12).map(lambda drawn: pd.Series(drawn, dtype=dtype, name="x"))


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_infinity=False),
    st.sampled_from(["EU", "eu ", "-1", "-1.0", "None", "1e400", "Select", "true", " ", "inf"]),
    st.text(max_size=4),
    st.integers(),
    st.just(10**400),
)
COLUMNS = st.one_of(
    column_of(CELLS, "object"),
    column_of(st.none() | st.text(max_size=4), "str"),
    column_of(st.none() | st.integers(-3, 3), "Int64"),
    column_of(st.floats(), "float"),
    column_of(st.booleans(), "bool"),
    column_of(st.sampled_from(["EU", "-1", "Select"]), "category"),
)
NOTHINGS = st.frozensets(st.sampled_from(["-1", "select", "false", "none", "0", "inf"]))
