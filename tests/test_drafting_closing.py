"""Doubts about the meaning of outcome values that closing dates raise."""

import pandas as pd
import pytest

from drafting.closing import closing_doubts
from drafting.outcome_counts import ValueCount, count_values
from drafting.outcome_words import OutcomeWords
from drafting.samples import Column

WORDS = OutcomeWords(won=["Won"], lost=["Lost"], still_open=["Parked", "New"])


def doubts(**counts: tuple[int, int | None]) -> set[str]:
    """Return the values in doubt, from the leads of each value and those with a closing date."""
    found = {name.casefold(): ValueCount(name, *count) for name, count in counts.items()}
    return set(closing_doubts(WORDS, found))


@pytest.mark.parametrize(
    ("won", "is_doubtful"),
    [((10, 7), True), ((10, 8), False), ((9, 0), False), ((10, None), False), ((100, 0), True)],
)
def test_many_won_leads_without_a_closing_date_are_in_doubt(
    won: tuple[int, int | None], is_doubtful: bool
) -> None:
    assert doubts(Won=won, Lost=(50, 0)) == ({"Won"} if is_doubtful else set())


@pytest.mark.parametrize(
    ("parked", "new", "is_doubtful"),
    [
        ((10, 9), (20, 1), True),
        ((10, 8), (20, 1), False),
        ((10, 10), (20, 2), False),
        ((9, 9), (20, 0), False),
        ((10, 10), (9, 0), False),
        ((10, 10), (10, 0), True),
    ],
)
def test_open_leads_of_one_value_with_closing_dates_are_in_doubt(
    parked: tuple[int, int], new: tuple[int, int], is_doubtful: bool
) -> None:
    found = doubts(Won=(50, 50), Lost=(50, 50), Parked=parked, New=new)
    assert found == ({"Parked"} if is_doubtful else set())


def test_values_without_counts_are_not_in_doubt() -> None:
    assert doubts(Won=(50, 50)) == set()


def test_leads_count_once_for_each_value() -> None:
    cells = {
        "lead_id": ["1", "1", "2", "2", None, None],
        "outcome": ["Won", "won", "Won", "Lost", "Lost", "New"],
        "closed_at": ["2024-05-01", None, None, "2024-05-02", "2024-05-02", None],
    }
    roles = {role: Column(pd.Series(cells[role], name=role)) for role in cells}
    found = count_values(roles)
    assert found == {
        "won": ValueCount("Won", 2, 1),
        "lost": ValueCount("Lost", 1, 1),
        "new": ValueCount("New", 0, 0),
    }
    assert found["new"].sentence == "0 leads"
    del roles["lead_id"], roles["closed_at"]
    assert count_values(roles)["won"] == ValueCount("Won", 3, None)
