"""Tests of the warnings about unlikely events, at the limits of each rule."""

from typing import Any

import pytest

from crm.times import DAY, LONG_BEFORE, NOT_A_TIME
from models.scorer import LeadCells
from serving.payloads.plausibility import lead_warnings, stored_warnings

NOW = 20_000 * DAY
AHEAD = 2 * DAY  # as the messages say
OUTCOME: dict[str, Any] = {"outcome": "Won", "closed_at": NOW, "amount": 5.0}
WORDS = {"won": "won", "lost": "lost", "offer": "open"}
TIME_OF = {"activities": "occurred_at", "stages": "entered_at"}


@pytest.mark.parametrize("table", TIME_OF)
@pytest.mark.parametrize(("ahead", "codes"), [(AHEAD, []), (AHEAD + 1, ["time_in_future"])])
def test_stored_event_may_be_two_days_ahead(table: str, ahead: int, codes: list[str]) -> None:
    warnings = stored_warnings(table, {TIME_OF[table]: NOW + ahead}, WORDS, NOW)
    assert [warning.code for warning in warnings] == codes
    assert [warning.column for warning in warnings] == [TIME_OF[table]] * len(codes)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"closed_at": None, "amount": None}, []),
        ({"amount": 0.0}, []),
        ({"amount": -0.01}, ["negative_amount"]),
        ({"closed_at": NOW + AHEAD}, []),
        ({"closed_at": NOW + AHEAD + 1}, ["time_in_future"]),
        ({"outcome": "OFFER", "closed_at": NOW + AHEAD + 1}, []),
        ({"outcome": "gone"}, ["undeclared_outcome"]),
        ({"outcome": "gone", "closed_at": NOW + AHEAD + 1, "amount": -1.0}, None),
    ],
)
def test_stored_outcome_has_the_warnings_of_its_cells(
    changes: dict[str, Any], codes: list[str] | None
) -> None:
    every = ["undeclared_outcome", "time_in_future", "negative_amount"]
    warnings = stored_warnings("outcomes", OUTCOME | changes, WORDS, NOW)
    assert [warning.code for warning in warnings] == (every if codes is None else codes)


def test_outcome_of_a_model_without_words_has_no_warning() -> None:
    assert stored_warnings("outcomes", OUTCOME | {"outcome": "gone"}, {}, NOW) == []


@pytest.mark.parametrize("table", TIME_OF)
@pytest.mark.parametrize(
    ("time", "created_at", "codes"),
    [
        (NOW + AHEAD, NOW, []),
        (NOW + AHEAD + 1, NOW, ["time_in_future"]),
        (NOW - LONG_BEFORE, NOW, []),
        (NOW - LONG_BEFORE - 1, NOW, ["long_before_creation"]),
        (NOW - LONG_BEFORE - 1, NOT_A_TIME, []),
    ],
)
def test_sent_events_are_compared_with_now_and_with_the_creation(
    table: str, time: int, created_at: int, codes: list[str]
) -> None:
    events: Any = {table: [{TIME_OF[table]: time}, {TIME_OF[table]: NOW}]}
    warnings = lead_warnings(LeadCells({}, **events), created_at, NOW)
    assert [(warning.code, warning.column) for warning in warnings] == [
        (code, table) for code in codes
    ]
    assert all(warning.message.startswith("1 of 2 ") for warning in warnings)
