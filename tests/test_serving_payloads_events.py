"""`/activities`, `/stages` and `/outcomes`: each item is stored or refused alone."""

import dataclasses

import pytest

from crm.ledger.ledger import Ledger
from serving.calls import Calls
from serving.errors import RequestError
from serving.served_model import ServedModel
from tests.made_calls import (
    CALL,
    Ask,
    asker,
)


def test_answer_states_the_result_of_each_item(ask: Ask) -> None:
    named = CALL | {"activity_id": 7}
    other = named | {"type": "call"}
    answer = ask("/activities", {"activities": [named, named, other, {"lead_id": "L1"}, CALL]})
    assert [item["status"] for item in answer["items"]] == [
        "accepted",
        "duplicate",
        "conflict",
        "invalid",
        "duplicate",
    ]
    counts = {k: v for k, v in answer.items() if k not in ("items", "request_id", "model")}
    assert counts == {"accepted": 1, "duplicate": 2, "conflict": 1, "erased": 0, "invalid": 1}
    assert answer["items"][0]["id"] == "7"
    assert answer["items"][3]["error"] == {
        "code": "invalid",
        "message": "The object lacks required field `type`.",
        "field": "activities[3]",
    }


ITEMS_REFUSED = {
    "no items": ({"activities": []}, "has 0 items. Expected 1 to 1,000", "activities"),
    "too many": ({"activities": [CALL] * 1_001}, "has 1,001 items", "activities"),
    "unknown field": ({"activity": []}, "Did you mean `activities`", "activity"),
    "no lead": ({"activities": [CALL | {"lead_id": " "}]}, "is empty", "activities[0].lead_id"),
    "null lead": (
        {"activities": [CALL | {"lead_id": None}]},
        "got `null`",
        "activities[0].lead_id",
    ),
    "blank type": ({"activities": [CALL | {"type": ""}]}, "is empty", "activities[0].type"),
    "long id": (
        {"activities": [CALL | {"activity_id": "x" * 201}]},
        "length <= 200",
        "activities[0].activity_id",
    ),
    "large number": (
        {"activities": [CALL | {"activity_id": 2**63}]},
        "<= 9223372036854775807",
        "activities[0].activity_id",
    ),
    "zero": ({"activities": [CALL | {"content": "a\0b"}]}, "zero character", "activities[0]"),
    "no time": (
        {"activities": [CALL | {"occurred_at": "9"}]},
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


def test_item_with_invalid_text_does_not_affect_others(ask: Ask, ledger: Ledger) -> None:
    whole = b'{"activities": [ITEM, {"lead_id": "L1", "type": "a", "occurred_at": "2026-01-01"}]}'
    odd = rb'{"lead_id": "L1", "type": "TYPE", "occurred_at": "2026-01-02"}'
    for written, kept, read in (
        (rb"\ud83d", False, "half of a surrogate pair"),
        (rb"\ud83d\ud83d\ude00", False, "half of a surrogate pair"),
        (rb"\\\udc00", False, "half of a surrogate pair"),
        (b"\xed\xa0\xbd", False, "is not UTF-8"),
        (b"\xff", False, "is not UTF-8"),
        (rb"\ud83d\ude00", True, "\N{GRINNING FACE}"),
        (rb"\\ud83d", True, r"\ud83d"),
    ):
        answer = ask("/activities", whole.replace(b"ITEM", odd.replace(b"TYPE", written)))
        first, second = answer["items"]
        assert second["status"] in ("accepted", "duplicate")
        assert first["status"] == ("accepted" if kept else "invalid"), written
        if kept:
            assert read in {row["type"] for row in ledger.held(["L1"])["L1"].activities}
        else:
            assert read in first["error"]["message"], written


def test_outcomes_accept_the_crms_values(ask: Ask, ledger: Ledger) -> None:
    items = [
        {"lead_id": 1, "outcome": word, "closed_at": "2026-01-05", "amount": 10}
        for word in ("Closed  Won ", 1, 0.5, True)
    ]
    assert ask("/outcomes", {"outcomes": items})["accepted"] == 4
    held = ledger.held(["1"], with_outcomes=True)["1"].outcomes
    assert {row["outcome"] for row in held} == {"Closed Won", "1", "0.5", "true"}


def test_undeclared_outcome_is_stored_with_a_warning(
    ask: Ask, calls: Calls, model: ServedModel
) -> None:
    items = [
        {"lead_id": 1, "outcome": word, "outcome_id": word} for word in (" WON ", "Closed Won")
    ]
    declared, stray = ask("/outcomes", {"outcomes": items})["items"]
    assert "warnings" not in declared
    (warning,) = stray["warnings"]
    assert stray["status"] == "accepted"
    assert (warning["code"], warning["column"]) == ("undeclared_outcome", "outcome")
    assert warning["message"].startswith("`Closed Won` is not an outcome that")
    label = {"won": ["won"], "horizon_days": 90.0}  # as cards were that do not know all words
    card = dataclasses.replace(model.scorer.card, question=label)
    older = ServedModel(dataclasses.replace(model.scorer, card=card), "7", "0123456789abcdef")
    assert "warnings" not in asker(calls, older)("/outcomes", {"outcomes": items})["items"][1]
