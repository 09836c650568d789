"""Categories: the usual spelling of each value, rare values, and words for nothing."""

from typing import Any

import numpy as np
import pytest

from features.attributes.attribute import MISSING, UNSEEN, LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number_or_category import MAX_VOCABULARY
from features.cell_warnings import cell_warning
from tests.made_attributes import fit, fit_category

REGIONS = ["EU", "eu ", "US", "EU", None] * 20 + ["APAC"] * 4


def test_value_has_its_most_frequent_spelling() -> None:
    assert fit(REGIONS) == CategoryAttribute("x", frozenset(), vocabulary=("EU", "US"))


@pytest.mark.parametrize(
    ("cell", "code"), [(None, MISSING), ("", MISSING), ("APAC", UNSEEN), (" eU", 2), ("us", 3)]
)
def test_cell_is_encoded_as_its_value(cell: str | None, code: int) -> None:
    assert fit_category(REGIONS).encode(cell) == code


def test_unseen_value_has_a_warning() -> None:
    category = fit_category(REGIONS)
    assert category.warning("APAC") == cell_warning("unseen_value", "x")
    assert category.warning("eu") is category.warning(None) is None


def test_words_for_nothing_are_missing() -> None:
    category = fit_category(["EU", "US", "not  given"] * 20, nothing=["Not given "])
    assert category.vocabulary == ("EU", "US")
    assert category.encode("NOT GIVEN") == MISSING
    assert category.warning("not given") is None


@pytest.mark.parametrize("truths", [(True, False), ("TRUE", "False")])
def test_truth_values_are_words_without_numbers(truths: tuple[Any, Any]) -> None:
    vocabulary = fit_category([*truths] * 20).vocabulary
    assert fit_category([*truths] * 20, nothing=["0"]).vocabulary == vocabulary
    assert len(fit_category([*truths, "perhaps"] * 20).vocabulary) == 3


@pytest.mark.parametrize(
    "cells", [[True, False], ["True", "false"], np.array([True, False])], ids=str
)
def test_truth_values_are_the_same_category_as_their_words(cells: Any) -> None:
    vocabulary = fit_category(list(cells) * 20).vocabulary
    assert [value.casefold() for value in vocabulary] == ["true", "false"]


def test_truth_value_is_encoded_like_its_word() -> None:
    category = fit_category([True, False, None] * 20, dtype=object)
    codes = [category.encode(cell) for cell in (True, "TRUE", False, None)]
    assert codes == [2, 2, 3, MISSING]


def test_few_values_that_are_mostly_numbers_are_categories() -> None:
    assert fit_category(["1", "2", "3", "4+"] * 20).vocabulary == ("1", "2", "3", "4+")


def test_company_named_infinity_is_text() -> None:
    assert "Infinity" in fit_category(["Infinity", "Acme", "Initech"] * 20).vocabulary


def test_one_value_with_missing_cells_is_a_feature() -> None:
    assert fit_category(["EU", None] * 20).vocabulary == ("EU",)


@pytest.mark.parametrize("repeats", [2, 7])
def test_number_of_values_is_limited(repeats: int) -> None:
    category = fit_category([f"c{i}" for i in range(100_000)] * repeats)
    assert len(category.vocabulary) == MAX_VOCABULARY
    assert category.encode("c99999") == UNSEEN


def test_values_of_one_lead_each_are_left_out() -> None:
    assert isinstance(fit([f"c{i}" for i in range(100_000)]), LeftOut)


def test_rare_values_are_unseen() -> None:
    assert fit_category(["EU"] * 20 + ["US"] * 5 + ["APAC"] * 4).vocabulary == ("EU", "US")


def test_values_of_few_leads_need_to_occur_twice() -> None:
    assert fit_category(["a", "b", "b"]).vocabulary == ("b",)
