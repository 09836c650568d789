"""Values of an outcome are sorted into won, lost and open."""

import pandas as pd
import pytest

from drafting.outcome_words import MAX_VALUES, OutcomeWords, sort_values
from drafting.samples import Column

RARER_GUESSED = "no value means won, so the rarer of the unclear values was taken"
OTHER_GUESSED = "no value means lost, so the other value was taken"


def words_of(*cells: str) -> OutcomeWords | None:
    return sort_values(Column(pd.Series(cells, name="outcome", dtype="str")))


@pytest.mark.parametrize(
    ("cells", "won", "lost", "still_open"),
    [
        (["won", "lost", "pending"], ["won"], ["lost"], ["pending"]),
        (["yes", "no"], ["yes"], ["no"], []),
        (["not converted", "converted"], ["converted"], ["not converted"], []),
        (["1", "0"], ["1"], ["0"], []),
        (["1", "-1"], ["1"], ["-1"], []),
        (["won", "3"], ["won"], ["3"], []),
    ],
)
def test_values_are_sorted_by_their_words(
    cells: list[str], won: list[str], lost: list[str], still_open: list[str]
) -> None:
    words = words_of(*cells)
    assert words is not None
    assert (words.won, words.lost, words.still_open) == (won, lost, still_open)


def test_numbers_that_are_not_yes_or_no_have_no_meaning() -> None:
    assert words_of("1", "0", "2") is None


def test_values_without_a_win_give_nothing() -> None:
    assert words_of("lost", "open") is None
    assert words_of("lost", "declined") is None


def test_the_rarer_of_two_unclear_values_is_guessed_to_be_won() -> None:
    words = words_of("blue", "blue", "red")
    assert words == OutcomeWords(["red"], ["blue"], [], RARER_GUESSED)


def test_nothing_is_guessed_from_three_unclear_values() -> None:
    assert words_of("blue", "blue", "red", "green") is None


def test_a_rarer_value_that_sounds_open_is_not_guessed() -> None:
    assert words_of("blue", "blue", "pending") is None


def test_an_unclear_value_next_to_lost_is_guessed_to_be_won() -> None:
    assert words_of("lost", "lost", "gold") == OutcomeWords(["gold"], ["lost"], [], RARER_GUESSED)


def test_the_other_value_is_guessed_to_be_lost() -> None:
    words = words_of("won", "gone", "gone")
    assert words == OutcomeWords(["won"], ["gone"], [], OTHER_GUESSED)


def test_a_word_for_nothing_is_not_guessed_to_be_lost() -> None:
    assert words_of("won", "Select", "Select") == OutcomeWords(["won"], [], ["Select"], "")


def test_two_unclear_values_are_not_guessed_to_be_lost() -> None:
    words = words_of("won", "blue", "red", "red")
    assert words is not None
    assert (words.lost, words.guess) == ([], "")
    assert sorted(words.still_open) == ["blue", "red"]


def test_the_most_frequent_spelling_is_kept() -> None:
    words = words_of("Won", "WON", "WON", "lost")
    assert words is not None
    assert words.won == ["WON"]


def test_a_column_of_too_many_values_is_not_an_outcome() -> None:
    cells = ["won", *(f"state {i}" for i in range(MAX_VALUES - 1))]
    assert words_of(*cells) is not None
    assert words_of(*cells, "one more") is None
