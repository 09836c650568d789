"""Which events count as the same event."""

from typing import Any

import pytest

from crm.ledger.deduplication import SeenEvents, distinct
from crm.ledger.schema import EVENTS
from crm.times import DAY

CALL = {"lead_id": "L1", "type": "call", "occurred_at": 7}


def seen(*rows: dict[str, Any]) -> SeenEvents:
    events = SeenEvents(EVENTS["activities"])
    for row in rows:
        events.add(row)
    return events


@pytest.mark.parametrize(
    ("stored", "sent", "status"),
    [
        ({}, {}, "duplicate"),
        ({}, {"activity_id": "a1"}, "duplicate"),
        ({"activity_id": "a1"}, {}, "duplicate"),
        ({"activity_id": "a1"}, {"activity_id": "a1"}, "duplicate"),
        ({"activity_id": "a1"}, {"activity_id": "a2"}, "accepted"),
        ({"activity_id": "a1"}, {"activity_id": "a1", "value": 2.0}, "conflict"),
        ({"activity_id": "sha256:1"}, {"activity_id": "sha256:2"}, "duplicate"),
        ({"activity_id": "a1"}, {"lead_id": "L2", "activity_id": "a1", "value": 2.0}, "accepted"),
        ({}, {"lead_id": "L2"}, "accepted"),
        ({}, {"occurred_at": 8}, "accepted"),
        ({}, {"channel": "phone"}, "accepted"),
        ({"channel": None}, {}, "duplicate"),
    ],
)
def test_second_event_is_compared_with_the_first(
    stored: dict[str, Any], sent: dict[str, Any], status: str
) -> None:
    assert seen(CALL | stored).status_of(CALL | sent) == status


def test_day_is_the_same_event_as_its_start() -> None:
    """Earlier versions stored a day at its start, and later ones store it at its end."""
    start, end = CALL | {"occurred_at": DAY}, CALL | {"occurred_at": 2 * DAY - 1}
    assert seen(start).status_of(end) == "duplicate"
    assert seen(start | {"activity_id": "a1"}).status_of(end | {"activity_id": "a1"}) == "duplicate"
    assert seen(start).status_of(CALL | {"occurred_at": 2 * DAY - 2}) == "accepted"
    assert EVENTS["activities"].derived_id(start) == EVENTS["activities"].derived_id(end)


def test_first_event_is_accepted() -> None:
    assert seen().status_of(CALL) == "accepted"


def test_first_content_of_an_id_stays() -> None:
    first, second = CALL | {"activity_id": "a1"}, CALL | {"activity_id": "a1", "value": 2.0}
    events = seen(first, second)
    assert events.status_of(first) == "duplicate"
    assert events.status_of(second) == "conflict"


@pytest.mark.parametrize("order", [1, -1])
def test_event_without_an_id_makes_later_events_with_ids_duplicates(order: int) -> None:
    events = seen(*[CALL | {"activity_id": "a1"}, CALL][::order])
    assert events.status_of(CALL | {"activity_id": "a2"}) == "duplicate"


def test_distinct_keeps_the_first_of_the_same_events() -> None:
    with_id, later = CALL | {"activity_id": "a1"}, CALL | {"occurred_at": 8}
    assert distinct("activities", [with_id, CALL, later, later]) == [with_id, later]


def test_distinct_leaves_out_a_conflict() -> None:
    with_id = CALL | {"activity_id": "a1"}
    assert distinct("activities", [with_id, with_id | {"value": 2.0}]) == [with_id]


@pytest.mark.parametrize("rows", [[], [CALL]])
def test_distinct_returns_fewer_than_two_events_as_they_are(rows: list[dict[str, Any]]) -> None:
    assert distinct("activities", rows) is rows
