"""Tests of `/activities`, `/stages` and `/outcomes`: each item is stored or refused by itself."""

import dataclasses

import pytest

from crm.ledger.ledger import Ledger
from features.times import cell_time
from serving.calls import Calls
from serving.errors import RequestError
from serving.payloads.plausibility import stored_warnings
from serving.served_model import ServedModel
from tests.made_calls import CALL, ENTRY, LEAD, Ask, asker


def test_answer_states_the_result_of_each_item(ask: Ask) -> None:
    call = CALL | {"activity_id": 7}
    items = [call, call, call | {"type": "call"}, {"lead_id": "L1"}, CALL]
    answer = ask("/activities", {"activities": items})
    assert [item["status"] for item in answer["items"]] == [
        "accepted",
        "duplicate",
        "conflict",
        "invalid",
        "duplicate",
    ]
    counts = {"accepted": 1, "duplicate": 2, "conflict": 1, "erased": 0, "invalid": 1}
    assert {name: answer[name] for name in counts} == counts
    assert answer["items"][0]["id"] == "7"
    assert answer["items"][3]["error"] == {
        "code": "invalid",
        "message": "The required field `type` is missing.",
        "field": "activities[3].type",
    }


ITEMS_REFUSED = {
    "no items": ({"activities": []}, "has 0 items. Expected 1 to 1,000", "activities"),
    "too many": ({"activities": [CALL] * 1_001}, "has 1,001 items", "activities"),
    "unknown field": ({"activity": []}, "Did you mean `activities`", "activity"),
    "no lead": ({"activities": [CALL | {"lead_id": " "}]}, "is empty", "activities[0].lead_id"),
    "null lead": (
        {"activities": [CALL | {"lead_id": None}]},
        "got null",
        "activities[0].lead_id",
    ),
    "blank type": ({"activities": [CALL | {"type": ""}]}, "is empty", "activities[0].type"),
    "long id": (
        {"activities": [CALL | {"activity_id": "x" * 201}]},
        "text of at most 200 characters",
        "activities[0].activity_id",
    ),
    "large number": (
        {"activities": [CALL | {"activity_id": 2**63}]},
        "<= 9223372036854775807",
        "activities[0].activity_id",
    ),
    "zero": (
        {"activities": [CALL | {"content": "a\0b"}]},
        "zero character",
        "activities[0].content",
    ),
    "no time": (
        {"activities": [CALL | {"occurred_at": "9"}]},
        "not a valid time",
        "activities[0].occurred_at",
    ),
    "blank time": (
        {"activities": [CALL | {"occurred_at": ""}]},
        "not a valid time",
        "activities[0].occurred_at",
    ),
    "late time": (
        {"activities": [CALL | {"occurred_at": "9999-12-31T23:59:59-14:00"}]},
        "not in the years",
        "activities[0].occurred_at",
    ),
    "early time": (
        {"activities": [CALL | {"occurred_at": "0001-01-01T00:00:00+14:00"}]},
        "not in the years",
        "activities[0].occurred_at",
    ),
    "infinite": (
        b'{"activities": [{"lead_id": 1, "type": "a", "occurred_at": "2026-01-01", '
        b'"value": 1e999}]}',
        "larger than",
        "activities[0].value",
    ),
}


@pytest.mark.parametrize("case", ITEMS_REFUSED)
def test_invalid_items_are_refused(ask: Ask, case: str) -> None:
    body, message, field = ITEMS_REFUSED[case]
    with pytest.raises(RequestError, match=message) as caught:
        ask("/activities", body)
    assert (caught.value.status, caught.value.field) == (422, field)


def body_with_type(type_as_sent: bytes) -> bytes:
    """Return a body of two activities; the second one is valid."""
    first = rb'{"lead_id": "L1", "type": "%b", "occurred_at": "2026-01-02"}' % type_as_sent
    second = b'{"lead_id": "L1", "type": "a", "occurred_at": "2026-01-01"}'
    return b'{"activities": [%b, %b]}' % (first, second)


@pytest.mark.parametrize(
    ("type_as_sent", "message"),
    [
        (rb"\ud83d", "half of a surrogate pair"),
        (rb"\ud83d\ud83d\ude00", "half of a surrogate pair"),
        (rb"\\\udc00", "half of a surrogate pair"),
        (b"\xed\xa0\xbd", "is not UTF-8"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_item_with_invalid_text_does_not_affect_the_next_item(
    ask: Ask, type_as_sent: bytes, message: str
) -> None:
    first, second = ask("/activities", body_with_type(type_as_sent))["items"]
    assert first["status"] == "invalid"
    assert message in first["error"]["message"]
    assert second["status"] == "accepted"


@pytest.mark.parametrize(
    ("type_as_sent", "stored_type"),
    [(rb"\ud83d\ude00", "\N{GRINNING FACE}"), (rb"\\ud83d", r"\ud83d")],
)
def test_escaped_text_is_stored_unescaped(
    ask: Ask, ledger: Ledger, type_as_sent: bytes, stored_type: str
) -> None:
    assert ask("/activities", body_with_type(type_as_sent))["accepted"] == 2
    assert stored_type in {row["type"] for row in ledger.stored_leads(["L1"])["L1"].activities}


@pytest.mark.parametrize("blank", ["", " "])
def test_blank_closing_time_equals_null(ask: Ask, blank: str) -> None:
    items = [{"lead_id": 1, "outcome": "won", "closed_at": time} for time in (None, blank)]
    answer = ask("/outcomes", {"outcomes": items})
    assert [item["status"] for item in answer["items"]] == ["accepted", "duplicate"]


def test_outcomes_accept_the_crms_values(ask: Ask, ledger: Ledger) -> None:
    items = [
        {"lead_id": 1, "outcome": outcome, "closed_at": "2026-01-05", "amount": 10}
        for outcome in ("Closed  Won ", 1, 0.5, True)
    ]
    assert ask("/outcomes", {"outcomes": items})["accepted"] == 4
    stored = ledger.overview("1").outcomes.rows
    assert {row["outcome"] for row in stored} == {"Closed Won", "1", "0.5", "true"}


OUTCOMES = {
    "outcomes": [
        {"lead_id": 1, "outcome": outcome, "outcome_id": outcome}
        for outcome in (" WON ", "Closed Won")
    ]
}


def test_undeclared_outcome_is_stored_with_a_warning(ask: Ask) -> None:
    declared, undeclared = ask("/outcomes", OUTCOMES)["items"]
    assert "warnings" not in declared
    assert undeclared["status"] == "accepted"
    (warning,) = undeclared["warnings"]
    assert (warning["code"], warning["column"]) == ("undeclared_outcome", "outcome")
    assert warning["message"].startswith("`Closed Won` is not an outcome that")


def test_model_without_outcomes_in_its_card_gives_no_warning(
    calls: Calls, model: ServedModel
) -> None:
    question = {"won": ["won"], "horizon_days": 90.0}  # cards of older versions have no other keys
    card = dataclasses.replace(model.scorer.card, question=question)
    scorer = dataclasses.replace(model.scorer, card=card)
    ask = asker(calls, ServedModel(scorer, "7", "0123456789abcdef"))
    assert "warnings" not in ask("/outcomes", OUTCOMES)["items"][1]


AMOUNTS = {
    "a number": (12345678.91, 12345678.91),
    "plain text": ("12345678.91", 12345678.91),
    "a decimal comma": ("1.234,56", 1234.56),
    "a decimal point and a currency": ("$1,200.50", 1200.5),
    "several separators": ("1,234,567", 1234567.0),
    "a currency behind": ("1 234,50 €", 1234.5),
    "brackets": ("(1,200.00)", -1200.0),
    "whole": ("1200", 1200.0),
    "blank": (" ", None),
    "null": (None, None),
}


@pytest.mark.parametrize(("sent", "stored"), AMOUNTS.values(), ids=AMOUNTS)
def test_amounts_that_are_sent_as_text_are_read(
    ask: Ask, sent: float | str | None, stored: float | None
) -> None:
    outcome = {"lead_id": "L1", "outcome": "won", "closed_at": "2026-01-05", "amount": sent}
    (item,) = ask("/outcomes", {"outcomes": [outcome]})["items"]
    assert item["status"] == "accepted"
    (entry,) = ask("/lead", {"lead_id": "L1"})["outcomes"]
    assert entry["amount"] == stored


@pytest.mark.parametrize("sent", ["1.234", "1,234", "many", "12 apples", "NaN", "9" * 101, "20%"])
def test_amounts_that_may_mean_two_numbers_are_refused_by_name(ask: Ask, sent: str) -> None:
    outcome = {"lead_id": "L1", "outcome": "won", "amount": sent}
    with pytest.raises(RequestError, match="^`amount` is .* Send a JSON number") as refused:
        ask("/outcomes", {"outcomes": [outcome]})
    assert (refused.value.status, refused.value.field) == (422, "outcomes[0].amount")


@pytest.mark.parametrize("time", ["1901-05-05", "2199-01-01", "1969-12-31T23:59:59Z", "2100-01-01"])
def test_times_that_no_crm_can_have_are_refused(ask: Ask, time: str) -> None:
    bodies = {
        "/outcomes": {"outcomes": [{"lead_id": "L1", "outcome": "won", "closed_at": time}]},
        "/activities": {"activities": [CALL | {"occurred_at": time}]},
        "/stages": {"stages": [ENTRY | {"entered_at": time}]},
        "/score": {"leads": [LEAD | {"created_at": time}]},
        "/score_lead": {"source": "Partner", "created_at": time},
    }
    for path, body in bodies.items():
        with pytest.raises(RequestError, match="is not in the years 1970 to 2099"):
            ask(path, body)


def codes(item: dict[str, object]) -> list[tuple[str, str]]:
    return [(warning["code"], warning["column"]) for warning in item.get("warnings", [])]  # type: ignore[attr-defined]


def test_unlikely_outcomes_are_stored_with_warnings(ask: Ask) -> None:
    won = {"lead_id": "L1", "outcome": "won", "closed_at": "2026-01-05"}
    outcomes = [
        won,
        won | {"lead_id": "L2", "closed_at": "2026-01-11"},  # tomorrow, in some zone
        won | {"lead_id": "L3", "closed_at": "2026-01-13"},
        won | {"lead_id": "L4", "amount": -5},
        won | {"lead_id": "L5", "amount": "-1,200.00 €", "closed_at": "2099-01-01"},
    ]
    items = ask("/outcomes", {"outcomes": outcomes})["items"]
    assert [item["status"] for item in items] == ["accepted"] * 5
    assert list(map(codes, items)) == [
        [],
        [],
        [("time_in_future", "closed_at")],
        [("negative_amount", "amount")],
        [("time_in_future", "closed_at"), ("negative_amount", "amount")],
    ]
    late = {"activities": [CALL, CALL | {"occurred_at": "2026-02-01T08:00:00Z"}]}
    assert list(map(codes, ask("/activities", late)["items"])) == [
        [],
        [("time_in_future", "occurred_at")],
    ]
    stages = {"stages": [ENTRY | {"entered_at": "2026-02-01"}]}
    (item,) = ask("/stages", stages)["items"]
    assert codes(item) == [("time_in_future", "entered_at")]


def test_expected_closing_of_an_open_lead_may_be_in_the_future() -> None:
    row = {"outcome": "Open", "closed_at": cell_time("2026-06-01"), "amount": None}
    now = cell_time("2026-01-10")
    assert stored_warnings("outcomes", row, {"open": "open", "won": "won"}, now) == []
    (warning,) = stored_warnings("outcomes", row, {}, now)  # the words are not known
    assert warning.code == "time_in_future"


def test_unlikely_events_of_a_scored_lead_have_warnings(ask: Ask) -> None:
    call = {"type": "call", "occurred_at": "2026-01-09T08:00:00Z"}
    calls = [call, call | {"occurred_at": "2023-06-01"}, call | {"occurred_at": "2026-03-01"}]
    lead = LEAD | {"activities": calls, "stages": [{"stage": "new", "entered_at": "2020-01-01"}]}
    answer = ask("/score", {"leads": [lead, LEAD]})
    unlikely, usual = answer["scores"]
    added = [
        ("time_in_future", "activities"),
        ("long_before_creation", "activities"),
        ("long_before_creation", "stages"),
    ]
    assert [pair for pair in codes(unlikely) if pair not in codes(usual)] == added
    assert unlikely["used"]["activities"] == 2  # not the planned one


def test_creation_after_the_moment_of_scoring_has_a_warning(ask: Ask) -> None:
    after = ("time_in_future", "created_at")
    for created_at, as_of, is_late in (
        ("2026-01-10T12:04:00Z", None, False),  # NOW is 12:00; clocks may differ
        ("2026-01-10T12:06:00Z", None, True),
        ("2026-01-05", "2026-01-04", True),
    ):
        body = {"leads": [LEAD | {"created_at": created_at}], "as_of": as_of}
        (score,) = ask("/score", body)["scores"]
        assert (after in codes(score)) == is_late
