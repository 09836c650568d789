"""Sorting the values of an outcome into won, lost and open."""

import pandas as pd
import pytest

from crm.errors import ConfigError
from drafting.outcome_words import MAX_UNKNOWN, OutcomeWords, declared_values, sort_values
from drafting.samples import Column

RARER_IS_WON = "no value means won, so the rarer of the unclear values was taken"
OTHER_IS_LOST = "no value means lost, so the other value was taken"


def sort_cells(*cells: str, name: str = "outcome") -> OutcomeWords | None:
    return sort_values(Column(pd.Series(cells, name=name, dtype="str")))


@pytest.mark.parametrize(
    ("cells", "won", "lost", "still_open"),
    [
        (["won", "lost", "pending"], ["won"], ["lost"], ["pending"]),
        (["yes", "no"], ["yes"], ["no"], []),
        (["not converted", "converted"], ["converted"], ["not converted"], []),
        (["1", "0"], ["1"], ["0"], []),
        (["1", "-1"], ["1"], ["-1"], []),
        (["won", "3"], ["won"], ["3"], []),
        (["true", "false"], ["true"], ["false"], []),
        (["Tak", "Nie"], ["Tak"], ["Nie"], []),
    ],
)
def test_values_are_sorted_by_their_words(
    cells: list[str], won: list[str], lost: list[str], still_open: list[str]
) -> None:
    words = sort_cells(*cells)
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (won, lost, still_open)


def test_numbers_that_are_not_yes_or_no_have_no_meaning() -> None:
    assert sort_cells("1", "0", "2") is None


@pytest.mark.parametrize("cells", [["lost", "open"], ["lost", "declined"]])
def test_values_without_a_win_are_not_an_outcome(cells: list[str]) -> None:
    assert sort_cells(*cells) is None


def test_rarer_of_two_unclear_values_is_guessed_to_be_won() -> None:
    words = sort_cells("blue", "blue", "red")
    assert words is not None
    assert (words.won, words.lost, words.guess) == (["red"], ["blue"], RARER_IS_WON)
    assert words.known_share == 0
    assert words.notes == dict.fromkeys(["red", "blue"], "CHECK: its words are not known")


@pytest.mark.parametrize("name", ["status", "Deal Stage", "Phase", "Quote Status", "colour"])
@pytest.mark.parametrize(
    "cells",
    [("After", "Baseline"), ("High-V4 STANDARD (Backfill)", "V3 Tier Qualified"), ("4", "5")],
)
def test_two_unclear_values_of_a_status_are_not_guessed(name: str, cells: tuple[str, str]) -> None:
    assert sort_cells(cells[0], *cells, name=name) is None


@pytest.mark.parametrize(
    ("cells", "won", "lost"),
    [(("lost", "lost", "gold"), "gold", "lost"), (("won", "gone", "gone"), "won", "gone")],
)
def test_one_unclear_value_of_a_status_is_guessed(
    cells: tuple[str, ...], won: str, lost: str
) -> None:
    words = sort_cells(*cells, name="status")
    assert words is not None
    assert (words.won, words.lost) == ([won], [lost])


def test_nothing_is_guessed_from_three_unclear_values() -> None:
    assert sort_cells("blue", "blue", "red", "green") is None


def test_rarer_value_that_sounds_open_is_not_guessed() -> None:
    assert sort_cells("blue", "blue", "pending") is None


def test_unclear_value_next_to_lost_is_guessed_to_be_won() -> None:
    words = sort_cells("lost", "lost", "gold")
    assert words is not None
    assert (words.won, words.lost, words.guess) == (["gold"], ["lost"], RARER_IS_WON)


def test_second_value_is_guessed_to_be_lost() -> None:
    words = sort_cells("won", "gone", "gone")
    assert words is not None
    assert (words.won, words.lost, words.guess) == (["won"], ["gone"], OTHER_IS_LOST)


def test_word_for_nothing_is_not_guessed_to_be_lost() -> None:
    words = sort_cells("won", "Select", "Select")
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (["won"], [], ["Select"])


def test_two_unclear_values_are_not_guessed_to_be_lost() -> None:
    words = sort_cells("won", "blue", "red", "red")
    assert words is not None
    assert (words.lost, words.still_open, words.guess) == ([], [], "")
    assert words.unclear == dict.fromkeys(["red", "blue"], "its words are not known")


def test_most_frequent_spelling_is_used() -> None:
    words = sort_cells("Won", "WON", "WON", "lost")
    assert words is not None
    assert words.won == ["WON"]


def test_column_with_too_many_unknown_values_is_not_an_outcome() -> None:
    cells = ["won", *(f"team {chr(65 + i // 26)}{chr(65 + i % 26)}" for i in range(MAX_UNKNOWN))]
    assert sort_cells(*cells) is not None
    assert sort_cells(*cells, "team X") is None


def test_many_unknown_stages_beside_won_and_lost_are_not_clear() -> None:
    stages = [f"team {chr(65 + i // 26)}{chr(65 + i % 26)}" for i in range(MAX_UNKNOWN + 5)]
    words = sort_cells("Closed Won", "Closed Lost", *stages)
    assert words is not None
    assert (words.won, words.lost) == (["Closed Won"], ["Closed Lost"])
    assert list(words.unclear) == stages


def test_value_that_may_mean_won_is_taken_if_no_other_does() -> None:
    words = sort_cells("Open", "Qualified", "Disqualified", "Open")
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (["Qualified"], ["Disqualified"], ["Open"])
    assert words.guess == 'no value clearly means won, so "Qualified" was taken'


def test_values_of_partly_known_words_are_guessed_and_marked() -> None:
    words = sort_cells("Foo won", "Foo lost", "Foo lost", "Open")
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (["Foo won"], ["Foo lost"], ["Open"])
    assert words.guess == (
        'no value clearly means won, so "Foo won" was taken; '
        'no value clearly means lost, so "Foo lost" was taken'
    )


def test_closed_is_not_guessed_to_be_won() -> None:
    assert sort_cells("Open", "Closed", "Open") is None


@pytest.mark.parametrize(("open_", "won", "lost"), [("0", "1", "2"), ("0.0", "1.0", "2.0")])
def test_codes_of_dataverse_are_sorted_in_their_column(open_: str, won: str, lost: str) -> None:
    cells = pd.Series([open_, won, lost, open_], name="statecode", dtype="str")
    words = sort_values(Column(cells))
    assert words is not None
    assert (words.won, words.lost, words.still_open) == ([won], [lost], [open_])


def test_codes_of_dataverse_are_not_yes_or_no() -> None:
    words = sort_values(Column(pd.Series(["1", "0", "0"] * 5, name="statecode")))
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (["1"], [], ["0"])


def test_declared_values_replace_the_words() -> None:
    column = Column(pd.Series(["Won", "Gold", "Lost", "Iron"], name="status", dtype="str"))
    words = declared_values(column, won=["gold"], lost=[])
    assert words is not None
    assert (words.won, words.lost) == (["Gold"], ["Lost"])
    assert words.unclear == {
        "Won": "its words mean won, but --won does not name it",
        "Iron": "its words are not known",
    }


@pytest.mark.parametrize(
    ("won", "lost", "message"),
    [
        (["Wonn"], [], r'"status" has no value "Wonn" \(--won\)\. Did you mean `Won`\?'),
        (["Won"], ["won"], '"Won" cannot be both --won and --lost'),
    ],
)
def test_declared_values_are_checked(won: list[str], lost: list[str], message: str) -> None:
    column = Column(pd.Series(["Won", "Lost"], name="status", dtype="str"))
    with pytest.raises(ConfigError, match=message):
        declared_values(column, won, lost)
