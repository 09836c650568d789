"""Tests of the scoring service as an ASGI application, in this process and without BentoML."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from crm.version import VERSION
from models.card import ModelCard
from models.scorer import LeadCells, LeadScorer
from serving import calls as serving_calls
from serving.app import ScoringApp
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_service import (
    ONE_LEAD,
    Post,
    error_of,
    only_score,
    poster,
    send_body,
    small_scorer,
    small_service,
)


@pytest.fixture
def scorer() -> LeadScorer:
    return small_scorer()


@pytest.fixture
def service() -> ScoringApp:
    return small_service()


@pytest.fixture
def post(service: ScoringApp) -> Post:
    return poster(service)


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


def test_list_with_one_value_is_this_value(post: Post) -> None:
    values: list[dict[str, Any]] = [
        {"visits": 5, "source": "Web"},
        {"visits": [5], "source": ["Web"]},
        {"visits": ["5"], "source": ["Web"]},
    ]
    scores = post("/score", {"leads": [{"attributes": lead} for lead in values]}).json()["scores"]
    assert [score["warnings"] for score in scores] == [[], [], []]
    assert len({score["probability"] for score in scores}) == 1
    flat = [post("/score_lead", {"lead_id": "L1", **lead}).json() for lead in values]
    assert {answer["probability"] for answer in flat} == {scores[0]["probability"]}


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
