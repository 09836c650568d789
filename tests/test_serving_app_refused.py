"""Tests of invalid requests to the service: each is refused with a message that names the field."""

import json
from typing import Any

import pytest

from tests.made_service import ONE_LEAD, Post, error_of, only_score, poster, small_service


@pytest.fixture
def post() -> Post:
    return poster(small_service())


def test_invalid_lead_does_not_fail_the_batch(post: Post) -> None:
    leads = [*ONE_LEAD["leads"], {"attributes": {"visits": [[1]]}}, {"attribute": {}}]
    response = post("/score", {"leads": leads})
    assert response.status_code == 200
    good, nested, misspelt = response.json()["scores"]
    assert good["probability"] > 0
    assert nested["error"] == {
        "code": "invalid",
        "message": "`visits` is a list of lists or objects. Expected text, a number, true, false, "
        "null or a list of these.",
        "field": "leads[1].attributes.visits",
    }
    assert "Did you mean `attributes`?" in misspelt["error"]["message"]


REFUSED: dict[str, tuple[bytes, int, str, str | None]] = {
    # what is wrong: the body, then the status, words of the message and the field of the error
    "not JSON": (b"{", 400, "not valid JSON", None),
    "empty body": (b"", 400, "is empty", None),
    "a form": (b"lead_id=L1&visits=3", 400, "Is it a form", None),
    "compressed": (b"\x1f\x8b\x08\x00\x00\x00", 400, "compressed", None),
    "UTF-16": ('{"leads": []}'.encode("utf-16"), 400, "UTF-16", None),
    "not UTF-8": (b'{"leads": [{"attributes": {"a": "\xff"}}]}', 400, "is not UTF-8", "leads[0]"),
    "half a surrogate pair in a value": (
        rb'{"leads": [{"attributes": {"a": "\udc00"}}]}',
        422,
        "surrogate pair",
        "leads[0].attributes.a",
    ),
    "half a surrogate pair in a name": (
        rb'{"leads": [{"attributes": {"\uD83D": 1}}]}',
        422,
        "surrogate pair",
        "leads[0].attributes.\ufffd",
    ),
    "half a surrogate pair as a time": (
        rb'{"leads": [{"attributes": {}}], "as_of": "\ud83d"}',
        422,
        "is not a valid time",
        "as_of",
    ),
    "a float as a time": (
        b'{"leads": [{"attributes": {}}], "as_of": 17356896e2}',
        422,
        "A time is text",
        "as_of",
    ),
    "seconds as a time": (
        b'{"leads": [{"attributes": {}}], "as_of": 1735689600}',
        422,
        "have 13 digits",
        "as_of",
    ),
    "number too large": (
        b'{"leads": [{"attributes": {"visits": 1e999}}]}',
        422,
        "larger than 1.8e308",
        "leads[0].attributes.visits",
    ),
    "NaN": (b'{"leads": [{"attributes": {"visits": NaN}}]}', 400, "not valid JSON", None),
    "Infinity": (b'{"leads": [{"attributes": {"a": Infinity}}]}', 400, "not valid JSON", None),
    "two documents": (b'{"leads": []}{}', 400, "not valid JSON", None),
    "deep nesting": (b'{"leads":' + b"[" * 60_000, 400, "nested too deeply", None),
    "a list as the body": (b"[]", 422, "Expected an object, got a list.", None),
    "no field leads": (b"{}", 422, "required field `leads`", "leads"),
    "leads is a number": (b'{"leads": 3}', 422, "Expected a list, got a whole number.", "leads"),
    "leads is null": (b'{"leads": null}', 422, "Expected a list, got null.", "leads"),
    "empty list of leads": (b'{"leads": []}', 422, "has 0 leads. Expected 1 to 50", "leads"),
    "too many leads": (
        json.dumps({"leads": [{"attributes": {}}] * 51}).encode(),
        422,
        "has 51 leads. Expected 1 to 50",
        "leads",
    ),
    "unknown field": (
        b'{"leads": [{"attributes": {}}], "lead": 1}',
        422,
        "Unknown field `lead`. Did you mean `leads`?",
        "lead",
    ),
    "unknown field in a lead": (
        b'{"leads": [{"attributs": {}}]}',
        422,
        "Unknown field `attributs`. Did you mean `attributes`?",
        "leads[0].attributs",
    ),
    "unknown field in an activity": (
        b'{"leads": [{"activities": [{"type": "call", "occured_at": "2025-01-01"}]}]}',
        422,
        "Unknown field `occured_at`. Did you mean `occurred_at`?",
        "leads[0].activities[0].occured_at",
    ),
    "lead is a text": (b'{"leads": ["L1"]}', 422, "Expected an object, got text.", "leads[0]"),
    "lead without attributes": (
        b'{"leads": [{"lead_id": "L1"}]}',
        422,
        'such as {"lead_id": "A7", "attributes": {"Lead Source": "Web"}}.',
        "leads[0].attributes",
    ),
    "attributes is a list": (
        b'{"leads": [{"attributes": []}]}',
        422,
        "Expected an object or null, got a list.",
        "leads[0].attributes",
    ),
    "an object in an attribute": (
        b'{"leads": [{"attributes": {"visits": {"a": 1}}}]}',
        422,
        "`visits` is an object",
        "leads[0].attributes.visits",
    ),
    "lead_id is true": (
        b'{"leads": [{"lead_id": true, "attributes": {}}]}',
        422,
        "got true or false.",
        "leads[0].lead_id",
    ),
    "long text": (
        json.dumps({"leads": [{"attributes": {"source": "x" * 201}}]}).encode(),
        422,
        "The text of `source` has 201 characters. Expected at most 200",
        "leads[0].attributes.source",
    ),
    "long lead_id": (
        json.dumps({"leads": [{"lead_id": "x" * 201, "attributes": {}}]}).encode(),
        422,
        "Expected text of at most 200 characters.",
        "leads[0].lead_id",
    ),
    "a zero character": (
        b'{"leads": [{"attributes": {"source": "\\u0000"}}]}',
        422,
        "zero character",
        "leads[0].attributes.source",
    ),
    "large number in a list": (
        b'{"leads": [{"attributes": {"source": ["a"], "tags": [1, 1e999]}}]}',
        422,
        "larger than 1.8e308",
        "leads[0].attributes.tags[1]",
    ),
    "long list": (
        json.dumps({"leads": [{"attributes": {"tags": [1] * 1_001}}]}).encode(),
        422,
        "at most 1,000 items",
        "leads[0].attributes.tags",
    ),
    "list of lists beside a valid list": (
        b'{"leads": [{"attributes": {"source": ["a"], "tags": [[]]}}]}',
        422,
        "`tags` is a list of lists",
        "leads[0].attributes.tags",
    ),
    "repeated name with an invalid cell": (
        b'{"leads": [{"attributes": {"visits": {}, "visits": 3}}]}',
        422,
        "got an object.",
        "leads[0].attributes",
    ),
    "blank name": (
        b'{"leads": [{"attributes": {" ": 1}}]}',
        422,
        "is blank",
        "leads[0].attributes. ",
    ),
    "long name": (
        json.dumps({"leads": [{"attributes": {"x" * 1_001: 1}}]}).encode(),
        422,
        "has 1,001 characters",
        "leads[0].attributes." + "x" * 100,
    ),
    "names that differ in white space": (
        b'{"leads": [{"attributes": {"a b": 1, " a b": 1}}]}',
        422,
        "sent twice",
        "leads[0].attributes. a b",
    ),
    "activity without a time": (
        b'{"leads": [{"activities": [{"type": "call"}]}]}',
        422,
        "required field `occurred_at`",
        "leads[0].activities[0].occurred_at",
    ),
    "oversized body": (b" " * 100_001, 413, "larger than 100,000 bytes", None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_requests_get_the_common_error_format(post: Post, case: str) -> None:
    body, status, message, field = REFUSED[case]
    response = post("/score", body)
    assert response.status_code == status, response.text
    error = error_of(response)
    assert message in error["message"]
    assert error["field"] == field


def test_number_of_refused_requests() -> None:
    assert len(REFUSED) == 42


def test_byte_order_mark_is_accepted(post: Post) -> None:
    body = json.dumps(ONE_LEAD).encode()
    marked = post("/score", b"\xef\xbb\xbf" + body)
    assert only_score(marked) == only_score(post("/score", body))


def test_last_value_of_a_repeated_name_counts(post: Post) -> None:
    repeated = b'{"leads": [{"attributes": {"visits": "none", "visits": 3}}]}'
    score = only_score(post("/score", repeated))
    assert score == only_score(post("/score", {"leads": [{"attributes": {"visits": 3}}]}))
    assert score["warnings"] == []


@pytest.mark.parametrize("value", [1e308, -1e308, 10**400, "1e999", "", " ", True, 0])
def test_extreme_cells_give_a_finite_probability(post: Post, value: Any) -> None:
    response = post("/score", {"leads": [{"attributes": {"visits": value, "source": value}}]})
    assert response.status_code == 200, response.text
    assert 0 < response.json()["scores"][0]["probability"] < 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/score", 405),
        ("DELETE", "/model", 405),
        ("POST", "/nowhere", 404),
        ("POST", "/readyz", 405),
        ("GET", "/static_content/marked.min.js", 404),
        ("POST", "/", 405),
        ("POST", "/schema.json", 405),
    ],
)
def test_wrong_paths_and_methods_get_the_common_error_format(
    post: Post, method: str, path: str, status: int
) -> None:
    response = post(path, method=method)
    assert response.status_code == status
    error_of(response)
