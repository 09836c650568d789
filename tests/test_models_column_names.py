"""Columns under almost the same name: the same rule for one lead and for a table."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.column_names import ColumnNames

KNOWN = ["Lead Source", "Employees", "Budget %", "a-b", "a b"]
NAMES = ColumnNames(KNOWN)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("lead source", "Lead Source"),
        ("LEAD_SOURCE", "Lead Source"),
        (" Lead.Source: ", "Lead Source"),
        ("LeadSource", "Lead Source"),
        ("budget%", "Budget %"),
    ],
)
def test_name_without_case_spaces_and_punctuation_matches(name: str, column: str) -> None:
    assert NAMES.matches([name]) == {name: column}


@pytest.mark.parametrize("name", ["Lead Source", "Lead Source 2", "Budget", "Budget $", "A_B", "-"])
def test_other_names_do_not_match(name: str) -> None:
    assert NAMES.matches([name]) == {}


@pytest.mark.parametrize("own", [3, "", None])
def test_column_under_its_own_name_is_used_alone(own: Any) -> None:
    assert NAMES.matches(["Employees", "employees"]) == {}
    assert NAMES.of_lead({"Employees": own, "employees": 4})["Employees"] == own


def test_first_filled_cell_under_matching_names_is_used() -> None:
    assert NAMES.of_lead({"employees": 3, "EMPLOYEES": 4})["Employees"] == 3
    assert NAMES.of_lead({"employees": None, "EMPLOYEES": 4})["Employees"] == 4
    assert NAMES.used_names({"employees": " ", "EMPLOYEES": 4}) == {"Employees": "EMPLOYEES"}


def test_known_names_are_left_alone() -> None:
    lead = {"Lead Source": "Web", "City": "Graz"}
    table = pd.DataFrame([lead])
    assert NAMES.of_lead(lead) is lead
    assert NAMES.of_table(table) is table


cells = st.sampled_from([None, "", "  ", "7", "x"])
leads = st.lists(
    st.fixed_dictionaries(dict.fromkeys(("Employees", "employees", "EMPLOYEES", "z"), cells)),
    min_size=1,
    max_size=5,
)


@given(rows=leads, columns=st.sets(st.sampled_from(["Employees", "employees", "EMPLOYEES", "z"])))
def test_lead_in_a_table_counts_as_the_same_lead_alone(
    rows: list[dict[str, Any]], columns: set[str]
) -> None:
    table = pd.DataFrame(rows)[sorted(columns)]
    before = table.copy()
    renamed = NAMES.of_table(table)
    for row, cells_of_row in zip(renamed.to_dict("records"), table.to_dict("records"), strict=True):
        alone = NAMES.of_lead({str(name): cell for name, cell in cells_of_row.items()})
        assert row.keys() == alone.keys()
        for name, cell in alone.items():
            assert plain(row[name]) == plain(cell)
    pd.testing.assert_frame_equal(table, before)


def plain(cell: Any) -> Any:
    is_nan = isinstance(cell, float) and math.isnan(cell)
    return None if is_nan or (isinstance(cell, str) and not cell.strip()) else cell
