"""Tests of `/score_lead`, whose requests and answers are flat objects."""

import json

import pytest

from serving.calls import Calls
from serving.errors import RequestError
from serving.ledger.joining import FLAT_EXAMPLE, NESTED_EXAMPLE
from serving.payloads.flat_lead import names_by_identifier, read_flat
from serving.payloads.score import lead_cells
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import LEAD, Ask, score_of, written


def test_score_lead_is_flat_and_equals_score(ask: Ask, model: ServedModel) -> None:
    nested = score_of(ask("/score", {"leads": [LEAD]}))
    flat = ask(
        "/score_lead",
        {"lead_id": "L1", "created_at": LEAD["created_at"], "as_of": None} | LEAD["attributes"],
    )
    assert all(isinstance(value, str | int | float) for value in flat.values())
    assert list(flat) == [
        "lead_id",
        "probability",
        "score",
        "grade",
        "lane",
        "order",
        "reason_1",
        "reason_2",
        "reason_3",
        "warnings",
        "used_activities",
        "newest_activity",
        "used_stages",
        "as_of",
        "model",
        "model_version",
        "request_id",
        "model_name",
    ]
    assert flat["probability"] == nested["probability"]
    assert flat["reason_1"].startswith(nested["reasons"][0]["text"])
    assert (flat["model_name"], flat["model_version"]) == ("demo", "7")


def test_times_in_milliseconds_are_read(ask: Ask, calls: Calls) -> None:
    """HubSpot sends milliseconds since 1970, as a number or as a text."""
    answers = []
    for time in (1_768_046_400_000, "1768046400000", "2026-01-10T12:00:00Z"):
        lead = LEAD | {"created_at": time, "activities": [{"type": "call", "occurred_at": time}]}
        nested = ask("/score", {"leads": [lead], "as_of": time})
        flat_lead = {"lead_id": "L9", "created_at": time, "as_of": time}
        flat = ask("/score_lead", flat_lead | LEAD["attributes"])
        outcome = {"lead_id": "L1", "outcome": "won", "closed_at": time}
        outcome_id = ask("/outcomes", {"outcomes": [outcome]})["items"][0]["id"]
        answers.append((nested, flat, outcome_id))
        written(calls)  # a waiting score would add a warning
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0]["as_of"] == "2026-01-10T12:00:00+00:00"


def test_score_lead_accepts_names_that_a_flow_can_write() -> None:
    names = names_by_identifier(["Lead Source", "as_of", "Größe (m)"])
    body = {
        "Lead_Source": "Web",
        "attribute_as_of": "x",
        "Größe_m_": 3,
        "other": None,
        "lead_id": "",
    }
    lead, _ = read_flat(json.dumps(body).encode(), Settings(), names)
    assert lead.attributes == {"Lead Source": "Web", "as_of": "x", "Größe (m)": 3, "other": None}
    assert lead.lead_id is None


@pytest.mark.parametrize("fields", [("Opted In", "Opted_In"), ("Opted_In", "Opted In")])
def test_own_name_of_a_column_counts_before_the_name_of_a_flow(fields: tuple[str, str]) -> None:
    body = dict.fromkeys(fields, "no") | {"Opted In": "yes"}
    names = names_by_identifier(["Opted In"])
    lead, _ = read_flat(json.dumps(body).encode(), Settings(), names)
    assert lead.attributes == {"Opted In": "yes", "Opted_In": "no"}


NO_ATTRIBUTES = (
    "The body contains no attributes of the lead{}. Send each attribute as a field of the body, "
    "such as {example}."
)
NONE_STORED = ", and the ledger has none for this lead"
MANY_ATTRIBUTES = json.dumps({f"a{i}": i for i in range(1_001)}).encode()
FLAT_REFUSED: dict[str, tuple[bytes, int, str, str | None]] = {
    # what is wrong: the body, then the status, words of the message and the field of the error
    "a list": (b"[]", 422, "Expected an object, got a list", None),
    "not JSON": (b"{", 400, "not valid JSON", None),
    "nested": (b'{"source": {"a": 1}}', 422, "`source` is an object", "source"),
    "bad time": (b'{"source": 1, "created_at": "soon"}', 422, "is not a valid time", "created_at"),
    "as_of is a float": (b'{"source": 1, "as_of": 7.5}', 422, "`as_of` is not text", "as_of"),
    "lead_id is true": (b'{"source": 1, "lead_id": true}', 422, "got true or false", "lead_id"),
    "empty object": (b"{}", 422, NO_ATTRIBUTES.format("", example=FLAT_EXAMPLE), None),
    "no attributes": (
        b'{"lead_id": "L9"}',
        422,
        NO_ATTRIBUTES.format(NONE_STORED, example=FLAT_EXAMPLE),
        None,
    ),
    "1,001 attributes": (MANY_ATTRIBUTES, 422, "an object of at most 1,000 fields", None),
    "zero character": (b'{"source": "a\\u0000"}', 422, "zero character", "source"),
    "zero in a list": (b'{"source": ["a", "\\u0000"]}', 422, "zero character", "source[1]"),
    "large number": (b'{"a": 1, "budget": 1e999}', 422, "larger than 1.8e308", "budget"),
    "large number in a list": (b'{"a": 1, "budget": [1e999]}', 422, "larger", "budget[0]"),
    "long list": (b'{"a": [%b1]}' % (b"1," * 1_000), 422, "at most 1,000 items", "a"),
    "long name": (b'{"%b": 1}' % (b"x" * 1_001), 422, "has 1,001 characters", "x" * 100),
    "blank name": (b'{"a": 1, " ": 1}', 422, "is blank", " "),
    "same name": (b'{"a b": 1, " a b": 1}', 422, "sent twice", " a b"),
    "long text": (b'{"Lead_Source": "%b"}' % (b"x" * 10_001), 422, "10,001", "Lead_Source"),
}


@pytest.mark.parametrize("case", FLAT_REFUSED)
def test_invalid_flat_requests_are_refused(ask: Ask, case: str) -> None:
    body, status, message, field = FLAT_REFUSED[case]
    with pytest.raises(RequestError) as caught:
        ask("/score_lead", body)
    assert message in str(caught.value)
    assert (caught.value.status, caught.value.field) == (status, field)


def test_list_contains_several_values_of_an_attribute() -> None:
    body = b'{"lead_id": 7, "Interests": ["API", "Demo"], "None": []}'
    lead, _ = read_flat(body, Settings(), {"Interests": "Interests", "None": "None"})
    cells = lead_cells(lead, "", {"lead_id": "Id"}, set()).cells
    assert cells == {"Interests": '["API","Demo"]', "None": None, "Id": 7}


@pytest.mark.parametrize("example", [FLAT_EXAMPLE, NESTED_EXAMPLE])
def test_examples_in_messages_are_accepted(ask: Ask, example: str) -> None:
    is_flat = example == FLAT_EXAMPLE
    body = json.loads(example) if is_flat else {"leads": [json.loads(example)]}
    answer = ask("/score_lead" if is_flat else "/score", body)
    assert (answer if is_flat else answer["scores"][0])["lead_id"] == "A7"
