"""Warnings about cells: each kind of attribute has a code for what it cannot read."""

from typing import Any, get_args

import pytest

from features.attributes.attribute import Attribute
from features.attributes.category import CategoryAttribute
from features.attributes.choices import ChoiceAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.kinds import KINDS
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.cell_warnings import CellWarningCode, cell_warning

UNREADABLE: list[tuple[Attribute, str, CellWarningCode]] = [
    (NumberAttribute("x", frozenset(), 1.0), "many", "not_a_number"),
    (NumberAttribute("x", frozenset(), 1.0, is_whole=True), "1.096", "unclear_number"),
    (CategoryAttribute("x", frozenset(), ("a",)), "b", "unseen_value"),
    (TargetAttribute("x", frozenset(), {"a": 0.1}, 0.0), "b", "unseen_value"),
    (ChoiceAttribute("x", frozenset(), ";", "", ("a",)), "b", "unseen_value"),
    (FlagAttribute("x", frozenset()), "perhaps", "not_yes_or_no"),
    (DateAttribute("x", frozenset(), "age_days"), "soon", "unreadable_time"),
    (EmailAttribute("x", frozenset()), "ada", "not_an_email_address"),
]
# Codes of cells that can be read, but are unlike those of the training leads.
UNUSUAL = {"outside_training", "time_in_future", "older_than_learned", "younger_than_learned"}


@pytest.mark.parametrize(("attribute", "cell", "code"), UNREADABLE)
def test_unreadable_cell_has_the_code_of_its_kind(
    attribute: Attribute, cell: Any, code: CellWarningCode
) -> None:
    warning = attribute.warning(cell)
    assert warning is not None
    assert (warning.code, warning.column) == (code, "x")


def test_unreadable_cells_cover_every_attribute_and_code() -> None:
    assert {type(attribute) for attribute, _, _ in UNREADABLE} == set(KINDS.values())
    codes = {code for _, _, code in UNREADABLE}
    of_names = {"unknown_attribute", "renamed_attribute", "repeated_attribute"}
    assert codes | of_names | UNUSUAL == set(get_args(CellWarningCode))


@pytest.mark.parametrize("code", get_args(CellWarningCode))
def test_message_begins_with_the_column(code: CellWarningCode) -> None:
    assert cell_warning(code, "Lead Source").message.startswith("`Lead Source` ")


def test_message_shortens_the_name_of_a_column_to_100_characters() -> None:
    warning = cell_warning("not_a_number", "x" * 101)
    assert warning.column == "x" * 101
    assert warning.message.startswith(f"`{'x' * 100}` ")


def test_message_contains_what_the_model_learned_from() -> None:
    message = cell_warning("outside_training", "Budget", detail="1 to 9").message
    assert "the range of the training leads (1 to 9), so its effect is limited" in message
    message = cell_warning("older_than_learned", "Created", detail="at most 9 days").message
    assert message.endswith("learned from (at most 9 days)")
