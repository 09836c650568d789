"""Flags: many words for yes and no, and a warning for every other word."""

import math
from typing import Any

import numpy as np
import pytest

from features.attributes.flag import NO, YES, FlagAttribute
from features.cell_warnings import cell_warning
from tests.made_attributes import MISSING_CELLS, NOTHING

FLAG = FlagAttribute("consent", NOTHING)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("yes", "no"),
        ("Y", "N"),
        ("TRUE", "False"),
        (True, False),
        (1, 0),
        (1.0, 0.0),
        ("1", "0"),
        ("1.0", "0.0"),
        ("ja", "nein"),
        ("oui", "non"),
        ("sí", "no"),
        ("si", "no"),
        ("sì", "no"),
        ("ja", "nee"),
        ("sim", "não"),
        ("on", "off"),
        ("granted", "refused"),
        ("agreed", "denied"),
        ("subscribed", "unsubscribed"),
        ("Opted in", "opted  out"),
        ("opt-in", "opt-out"),
        ("opted-in", "Opted-Out "),
        (np.True_, np.False_),
    ],
)
def test_flag_reads_many_words(yes: Any, no: Any) -> None:
    assert (FLAG.encode(yes), FLAG.encode(no)) == (1.0, 0.0)
    assert FLAG.warning(yes) is FLAG.warning(no) is None


@pytest.mark.parametrize("cell", MISSING_CELLS)
def test_empty_flag_is_missing(cell: Any) -> None:
    assert math.isnan(FLAG.encode(cell))
    assert FLAG.warning(cell) is None


@pytest.mark.parametrize("cell", ["perhaps", 2, "yes please", "10", 0.5])
def test_unknown_flag_word_is_missing_with_a_warning(cell: Any) -> None:
    assert math.isnan(FLAG.encode(cell))
    assert FLAG.warning(cell) == cell_warning("not_yes_or_no", "consent")


def test_no_word_means_both_yes_and_no() -> None:
    assert len(YES) > 15
    assert len(NO) > 15
    assert not YES & NO
    assert all(word == word.casefold().strip() for word in YES | NO)
