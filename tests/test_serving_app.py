"""Tests of the scoring service as an ASGI application, in this process and without BentoML."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from crm.version import VERSION
from features.attributes.attribute import LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.pipeline import FeaturePipeline
from models.calibration import Calibration
from models.card import ModelCard
from models.estimator.blend import Blend
from models.fitting.trees import fit_trees
from models.scale import Scale
from models.scorer import LeadCells, LeadScorer
from serving import calls as serving_calls
from serving.app import ScoringApp
from serving.errors import CODES
from serving.served_model import ServedModel
from serving.settings import Settings

Post = Callable[..., httpx.Response]
LOCAL = "http://127.0.0.1"
ONE_LEAD = {"leads": [{"lead_id": "L1", "attributes": {"visits": 3, "source": "Web"}}]}


@pytest.fixture(scope="module")
def scorer() -> LeadScorer:
    """Return a scorer with the attributes `visits` and `source`; it leaves out `tags`."""
    random = np.random.default_rng(0)
    features = np.column_stack(
        [random.integers(0, 9, 400).astype(float), random.integers(0, 4, 400).astype(float)]
    )
    label = (random.random(400) < features[:, 0] / 10).astype(np.int8)
    trees = fit_trees(features, label, np.ones(400), np.arange(400), [1], seed=0).trees
    card = ModelCard(
        name="acme",
        simulated=False,
        trained_at="2026-01-01T00:00:00+00:00",
        learned_from={},
        question={},
        features=["visits", "source"],
        left_out=[],
        test={},
        baselines={},
        estimator={},
        digests={},
        versions={},
    )
    pipeline = FeaturePipeline(
        (
            NumberAttribute("visits", frozenset({"select"}), 4.0),
            CategoryAttribute("source", frozenset({"select"}), ("Web", "Fair")),
        ),
        (LeftOut("tags", "it is known later than the moment of scoring"),),
    )
    roles = {"lead_id": "Prospect ID", "outcome": "Converted"}
    return LeadScorer(
        pipeline, Blend(0.0, None, trees), Calibration(1.0, 0.0), Scale(-1.0), roles, card
    )


@pytest.fixture
def service(scorer: LeadScorer) -> ScoringApp:
    """Return the application with version 7 of the model and small limits."""
    app = ScoringApp(Settings(max_body_bytes=100_000, max_leads=50, max_string_characters=200))
    app.model = ServedModel(scorer, "7", "0123456789abcdef")
    return app


@pytest.fixture
def post(service: ScoringApp) -> Post:
    """Return a function that sends one request."""

    def send(path: str, body: Any = None, method: str = "POST", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=service)
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(call())

    return send


async def send_body(service: ScoringApp, content: Any) -> httpx.Response:
    """Send a body to `/score`; it may be an iterator of its parts."""
    transport = httpx.ASGITransport(app=service)
    async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
        return await client.post("/score", content=content)


def only_score(response: httpx.Response) -> dict[str, Any]:
    """Return the score of an answer about one lead."""
    (score,) = response.json()["scores"]
    return dict(score)


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer, after checking that it has the common format."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field", "request_id"}
    code = CODES[response.status_code]
    assert body["error"]["code"] == ("bad_json" if response.status_code == 400 else code)
    assert body["error"]["message"]
    assert response.headers["x-request-id"] == body["error"]["request_id"]
    return dict(body["error"])


def test_score_answer_has_score_grade_model_and_request_id(post: Post) -> None:
    response = post("/score", ONE_LEAD)
    assert response.status_code == 200
    body = response.json()
    assert body["model"] == {"name": "acme", "version": "7", "digest": "0123456789ab"}
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["as_of"].endswith("+00:00")
    score = only_score(response)
    assert score["lead_id"] == "L1"
    assert 0 < score["probability"] < 1
    assert 1 <= score["score"] <= 99
    assert score["grade"] in "ABCD"
    assert score["warnings"] == []


def test_score_equals_the_scorer_for_one_lead_and_for_a_batch(
    post: Post, scorer: LeadScorer
) -> None:
    cells = [{"visits": i % 9, "source": ["Web", "Fair", "?", None][i % 4]} for i in range(50)]
    scores = scorer.score_leads([LeadCells(lead) for lead in cells])
    expected = [score.probability for score in scores]
    batch = post("/score", {"leads": [{"attributes": lead} for lead in cells]}).json()["scores"]
    assert [score["probability"] for score in batch] == expected
    alone = only_score(post("/score", {"leads": [{"attributes": cells[3]}]}))
    assert alone["probability"] == expected[3]


def test_simulated_model_is_marked_in_every_answer(service: ScoringApp, post: Post) -> None:
    assert service.model is not None
    card = ModelCard.from_json(service.model.scorer.card.to_json() | {"simulated": True})
    scorer = service.model.scorer
    simulated = LeadScorer(
        scorer.pipeline, scorer.estimator, scorer.calibration, scorer.scale, scorer.roles, card
    )
    service.model = ServedModel(simulated, "7", "0123456789abcdef")
    assert post("/score", ONE_LEAD).json()["model"]["simulated"] is True
    assert post("/model").json()["model"]["simulated"] is True


def test_odd_values_score_and_warn(post: Post) -> None:
    lead = {"attributes": {"visits": "many", "source": "Moon", "shoe size": 42, "tags": "x"}}
    score = only_score(post("/score", {"leads": [lead]}))
    assert score["lead_id"] is None
    assert [(warning["code"], warning["column"]) for warning in score["warnings"]] == [
        ("unknown_attribute", "shoe size"),
        ("not_a_number", "visits"),
        ("unseen_value", "source"),
    ]
    assert score["warnings"][1]["message"] == "`visits` is not a number and counts as missing"


def test_missing_values_score_without_a_warning(post: Post) -> None:
    leads = [
        {"attributes": {}},
        {"attributes": {"visits": None, "source": None}},
        {"attributes": {"visits": "Select", "source": " SELECT "}},
    ]
    scores = post("/score", {"leads": leads}).json()["scores"]
    assert len({score["probability"] for score in scores}) == 1
    assert all(score["warnings"] == [] for score in scores)


def test_null_equals_absent_in_every_optional_field(post: Post) -> None:
    absent = only_score(post("/score", {"leads": [{"attributes": {}}]}))
    nulls = dict.fromkeys(("lead_id", "created_at", "activities", "stages"))
    lead: dict[str, Any] = nulls | {"attributes": {}}
    # An invalid lead makes the service decode the leads one by one.
    invalid_lead: dict[str, Any] = {"attributes": {"visits": []}}
    for leads in ([lead], [lead, invalid_lead]):
        answer = post("/score", {"leads": leads, "as_of": None, "reasons": None}).json()
        assert answer["scores"][0] == absent


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_times_equal_absent_ones(post: Post, blank: str) -> None:
    absent = only_score(post("/score", {"leads": [{"attributes": {}}]}))
    lead: dict[str, Any] = {"attributes": {}, "created_at": blank}
    assert only_score(post("/score", {"leads": [lead], "as_of": blank})) == absent
    flat = post("/score_lead", {"visits": None, "created_at": blank, "as_of": blank}).json()
    assert flat["probability"] == absent["probability"]


@pytest.mark.parametrize(
    ("lead", "lead_id"),
    [
        ({"attributes": {"Prospect ID": "P7"}}, "P7"),
        ({"attributes": {"prospect_id": 7}}, "7"),
        ({"attributes": {"Prospect ID ": "P7", "visits": 3}, "lead_id": ""}, "P7"),
        ({"attributes": {"Prospect ID": "P7", "prospect_id": "P8"}}, "P7"),
        ({"attributes": {"Prospect ID": "P7"}, "lead_id": "L1"}, "L1"),
        ({"attributes": {"Prospect ID": True, "visits": 3}}, None),
    ],
)
def test_attribute_with_the_crms_name_of_the_id_is_the_id(
    post: Post, lead: dict[str, Any], lead_id: str | None
) -> None:
    lead["attributes"].setdefault("visits", None)
    score = only_score(post("/score", {"leads": [lead]}))
    assert score["lead_id"] == lead_id
    flat = {"lead_id": lead.get("lead_id")} | lead["attributes"]
    assert post("/score_lead", flat).json()["lead_id"] == (lead_id or "")


@pytest.mark.parametrize(
    ("attributes", "used", "ignored"),
    [
        ({"VISITS": 3, "visits": 5}, 5, "VISITS"),
        ({"Visits": 3, "VISITS": 5}, 3, "VISITS"),
        ({"Visits": None, "VISITS": 5}, 5, "Visits"),
    ],
)
def test_second_name_of_an_attribute_is_ignored_with_a_warning(
    post: Post, attributes: dict[str, Any], used: int, ignored: str
) -> None:
    expected = only_score(post("/score", {"leads": [{"attributes": {"visits": used}}]}))
    score = only_score(post("/score", {"leads": [{"attributes": attributes}]}))
    assert score["probability"] == expected["probability"]
    repeated = [w for w in score["warnings"] if w["code"] == "repeated_attribute"]
    assert [warning["column"] for warning in repeated] == [ignored]
    assert repeated[0]["message"] == (
        f"`{ignored}` is a second name of a column (`visits`), and was ignored"
    )


def test_role_columns_among_the_attributes_are_ignored(post: Post) -> None:
    lead = {"lead_id": 17, "attributes": {"Converted": 1, "Prospect ID": "other"}}
    score = only_score(post("/score", {"leads": [lead]}))
    assert score["lead_id"] == "17"
    assert score["warnings"] == []


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


def test_model_returns_the_card(post: Post) -> None:
    body = post("/model", b"{ }\n").json()
    assert body["card"]["name"] == "acme"
    assert body["model"]["version"] == "7"


def test_model_refuses_a_body_with_fields(post: Post) -> None:
    assert error_of(post("/model", {"x": 1}))["code"] == "invalid"


def test_body_without_a_length_is_limited(service: ScoringApp) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 50_000

    response = asyncio.run(send_body(service, endless()))
    assert error_of(response)["code"] == "too_large"


def test_valid_request_id_is_returned(post: Post) -> None:
    answer = post("/score", ONE_LEAD, **{"x-request-id": "abc-1"}).json()
    assert answer["request_id"] == "abc-1"


def test_invalid_request_id_is_replaced(post: Post) -> None:
    answer = post("/score", ONE_LEAD, **{"x-request-id": "a b\t<script>"}).json()
    assert len(answer["request_id"]) == 32


def test_service_without_a_model_answers_503(service: ScoringApp, post: Post) -> None:
    service.model = None
    response = post("/score", ONE_LEAD)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    error_of(response)


def test_readyz_names_the_model(post: Post) -> None:
    response = post("/readyz", method="GET")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "draining": False,
        "leadscore": VERSION,
        "model": {"name": "acme", "version": "7", "digest": "0123456789ab"},
        "fault": None,
    }


def test_readyz_names_the_fault_and_stays_ready(service: ScoringApp, post: Post) -> None:
    service.fault = "version 8 does not verify"
    response = post("/readyz", method="GET")
    assert response.status_code == 200
    assert response.json()["fault"] == "version 8 does not verify"


def test_readyz_is_not_ready_while_draining(service: ScoringApp, post: Post) -> None:
    service.is_draining = True
    response = post("/readyz", method="GET")
    assert (response.status_code, response.json()["draining"]) == (503, True)


def test_service_without_a_model_is_alive_and_not_ready(service: ScoringApp, post: Post) -> None:
    service.model = None
    assert post("/readyz", method="GET").status_code == 503
    assert post("/livez", method="GET").status_code == 200


def test_answers_close_the_connection_while_draining(service: ScoringApp, post: Post) -> None:
    assert "connection" not in post("/score", ONE_LEAD).headers
    service.is_draining = True
    response = post("/score", ONE_LEAD)
    assert (response.status_code, response.headers["connection"]) == (200, "close")


def test_request_keeps_the_model_that_it_started_with(
    service: ScoringApp, post: Post, scorer: LeadScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = service.calls.by_path["/score"]

    async def replace_model_and_score(model: ServedModel, *arguments: Any) -> Any:
        service.model = ServedModel(scorer, "8", "f" * 16)
        return await score(model, *arguments)

    monkeypatch.setitem(service.calls.by_path, "/score", replace_model_and_score)
    assert post("/score", ONE_LEAD).json()["model"]["version"] == "7"
    assert post("/readyz", method="GET").json()["model"]["version"] == "8"


def test_slow_body_gets_408(service: ScoringApp) -> None:
    service.configure(Settings(body_seconds=1), None, "1", None)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"leads": '
        await asyncio.sleep(30)

    response = asyncio.run(send_body(service, slow()))
    assert error_of(response)["code"] == "too_slow"


def test_slow_answer_is_aborted(
    service: ScoringApp, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.configure(Settings(answer_seconds=1), None, "1", None)
    monkeypatch.setitem(service.calls.by_path, "/score", lambda *_: asyncio.sleep(30))
    response = post("/score", ONE_LEAD)
    assert response.headers["retry-after"] == "2"
    assert error_of(response)["code"] == "timeout"


def test_too_many_requests_get_503_with_retry_after(
    service: ScoringApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.configure(Settings(max_requests_at_once=2), None, "1", None)

    async def slow_call(*_: Any) -> dict[str, Any]:
        await asyncio.sleep(0.2)
        return {}

    async def send_three() -> list[httpx.Response]:
        return list(await asyncio.gather(*(send_body(service, b"{}") for _ in range(3))))

    monkeypatch.setitem(service.calls.by_path, "/score", slow_call)
    responses = sorted(asyncio.run(send_three()), key=lambda response: response.status_code)
    assert [response.status_code for response in responses] == [200, 200, 503]
    assert responses[2].headers["retry-after"] == "2"


def test_total_size_of_concurrent_bodies_is_limited(service: ScoringApp) -> None:
    service.configure(Settings(max_body_bytes=1_000, body_seconds=1), None, "1", None)

    async def partial_body() -> AsyncIterator[bytes]:
        yield b" " * 900
        await asyncio.sleep(30)

    async def send_twenty() -> list[int]:
        requests = [send_body(service, partial_body()) for _ in range(20)]
        return sorted(response.status_code for response in await asyncio.gather(*requests))

    assert asyncio.run(send_twenty()) == [408] * 17 + [503] * 3
    next_response = asyncio.run(send_body(service, json.dumps(ONE_LEAD).encode()))
    assert next_response.status_code == 200


def test_large_body_with_expect_header_is_refused_at_once(service: ScoringApp) -> None:
    messages: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the service read the body")

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-length", b"1000000000"),
        (b"expect", b"100-continue"),
    ]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "path": "/score",
        "method": "POST",
        "headers": headers,
    }
    asyncio.run(service(scope, receive, send))
    assert messages[0]["status"] == 413
    assert (b"connection", b"close") in messages[0]["headers"]


def test_internal_error_reveals_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret /etc/passwd")

    monkeypatch.setattr(serving_calls, "read_score_request", fail)
    response = post("/score", ONE_LEAD)
    assert response.status_code == 500
    assert "secret" not in response.text
    logged_ids = {getattr(record, "request_id", None) for record in caplog.records}
    assert error_of(response)["request_id"] in logged_ids


def test_start_and_points_of_all_reasons_add_up_to_the_score(
    post: Post, scorer: LeadScorer
) -> None:
    (expected,) = scorer.score_leads([LeadCells({"visits": 3, "source": "Web"})])
    score = only_score(post("/score", ONE_LEAD | {"reasons": 1_000}))
    assert {reason["signal"] for reason in score["reasons"]} == {"visits", "source"}
    total = score["start"] + sum(reason["points"] for reason in score["reasons"])
    assert total == pytest.approx(expected.score, abs=0.52)


def test_request_limits_the_number_of_reasons(post: Post) -> None:
    score = only_score(post("/score", ONE_LEAD | {"reasons": 0}))
    assert (score["reasons"], score["start"]) == ([], None)
    assert len(only_score(post("/score", ONE_LEAD | {"reasons": 1}))["reasons"]) == 1
    assert len(only_score(post("/score", ONE_LEAD))["reasons"]) == 2
