"""Ids of two tables that are the same lead."""

import pandas as pd
import pytest

from crm.lead_ids import as_lead_ids, has_lead, id_key, id_keys

SHORT, LONG = "00Q5g000001AbCD", "00Q5g000001AbCDEA0"


def ids(*texts: str | None) -> pd.Series:
    return pd.Series(texts, dtype="str")


@pytest.mark.parametrize(
    ("lead_id", "key"),
    [
        pytest.param("100.0", "100", id="a whole number with a decimal"),
        pytest.param("007.0", "007", id="leading zeros stay"),
        pytest.param(LONG, SHORT, id="18 characters of Salesforce"),
        pytest.param(LONG.upper(), SHORT, id="18 characters in upper case"),
        pytest.param(LONG.lower(), SHORT, id="18 characters in lower case"),
        pytest.param(
            "{7D2C1E0A-5B1F-4C7A-9A3E-0C1D2E3F4A5B}",
            "7d2c1e0a-5b1f-4c7a-9a3e-0c1d2e3f4a5b",
            id="a GUID in braces",
        ),
        pytest.param("Anna@Example.com", "anna@example.com", id="an e-mail address"),
    ],
)
def test_forms_of_one_id_have_one_key(lead_id: str, key: str) -> None:
    assert id_key(lead_id) == key
    assert id_key(key) == key


@pytest.mark.parametrize(
    "lead_id",
    [
        pytest.param("10.001", id="points between digits"),
        pytest.param("1.2.0", id="a version"),
        pytest.param("A100.0", id="letters before the point"),
        pytest.param("007", id="leading zeros"),
        pytest.param(SHORT, id="15 characters of Salesforce"),
        pytest.param(SHORT.lower(), id="15 characters in lower case"),
        pytest.param(LONG[:-1] + "5", id="another checksum"),
        pytest.param("123456789012345678", id="18 digits"),
        pytest.param("l001", id="lower case"),
    ],
)
def test_other_ids_are_their_own_key(lead_id: str) -> None:
    assert id_key(lead_id) == lead_id


@pytest.mark.parametrize("lead_id", ["100.0", "100.00", "100.000"])
def test_decimals_of_zeros_are_dropped(lead_id: str) -> None:
    assert id_key(lead_id) == "100"
    assert id_keys(pd.Series([lead_id, "A"], dtype="str")).tolist() == ["100", "A"]


def test_ids_of_18_characters_with_different_checksums_have_different_keys() -> None:
    lower = "a01000000abcdef"
    keys = {id_key(lower + suffix) for suffix in ("aaa", "aba", "aca", "aab")}
    assert len(keys) == 4


def test_keys_of_a_column_are_the_keys_of_its_ids() -> None:
    column = ids("A7", "100.0", None, LONG, "100.0", "007").set_axis(range(3, 9))
    keys = id_keys(column)
    assert keys.index.tolist() == list(range(3, 9))
    assert keys.dropna().tolist() == [id_key(lead_id) for lead_id in column.dropna()]
    assert keys.isna().tolist() == column.isna().tolist()


def test_ids_are_written_as_in_the_leads_table() -> None:
    assert as_lead_ids(ids(SHORT, "7", "x"), ids(LONG, "7.0")).tolist() == [LONG, "7.0", "x"]
    assert as_lead_ids(ids(LONG, "7.0"), ids(SHORT, "7")).tolist() == [SHORT, "7"]


def test_ids_of_leads_are_found_in_every_form() -> None:
    assert has_lead([SHORT, LONG, SHORT.lower()], [LONG]).tolist() == [True, True, False]
    assert has_lead([], [LONG]).tolist() == []
