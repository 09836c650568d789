"""Target encodings: the smoothed share of wins of each value, in log-odds."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.attributes.target import TargetAttribute, fit_target
from features.cell_warnings import cell_warning
from tests.made_attributes import MISSING_CELLS, NOTHING, smoothed_log_odds


@pytest.fixture(scope="module")
def city() -> TargetAttribute:
    """Fit an encoding of two cities; 7 of 10 leads in Bonn and 1 of 8 in Graz are won."""
    cells = ["Bonn"] * 6 + [" BONN "] * 4 + ["Graz"] * 8 + [None, "Select"]
    label = np.array([1] * 7 + [0] * 3 + [1] + [0] * 7 + [1, 0], dtype=np.int8)
    return fit_target(pd.Series(cells, name="city"), NOTHING, label, np.ones(20))


def test_target_encoding_is_the_smoothed_share(city: TargetAttribute) -> None:
    rate = 9.5 / 21
    assert city.average == pytest.approx(math.log(rate / (1 - rate)))
    expected = {
        "bonn": smoothed_log_odds(7, 10, rate),
        "graz": smoothed_log_odds(1, 8, rate),
        "": smoothed_log_odds(1, 2, rate),
    }
    assert city.log_odds == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("bonn", "bonn"), (" Bonn", "bonn"), (None, ""), ("", ""), ("SELECT", "")],
)
def test_cell_is_encoded_as_its_value(city: TargetAttribute, cell: Any, value: str) -> None:
    assert city.encode(cell) == city.log_odds[value]
    assert city.warning(cell) is None


def test_unseen_value_is_encoded_as_average_with_a_warning(city: TargetAttribute) -> None:
    assert city.encode("Rome") == city.average
    assert city.warning("Rome") == cell_warning("unseen_value", "city")


def test_weights_equal_repeated_rows() -> None:
    cells, label = pd.Series(["a", "b", "c"], name="x"), np.array([1, 0, 1], dtype=np.int8)
    weighted = fit_target(cells, NOTHING, label, np.array([3.0, 2.0, 1.0]))
    rows = [0, 0, 0, 1, 1, 2]
    assert fit_target(cells.iloc[rows], NOTHING, label[rows], np.ones(6)) == weighted


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
