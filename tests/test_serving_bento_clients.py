"""Tests of BentoML's own clients, and of the pages where BentoML has its documentation."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from bentoml.exceptions import BentoMLException, InvalidArgument
from openapi_spec_validator import validate

from serving.app import ScoringApp
from serving.contract.bento_schema import bento_schema
from serving.http import contract_pages
from serving.http.contract_pages import ASSETS, CONTRACT_PAGES
from serving.http.keys import KeyRing, add_key
from serving.settings import Settings

HERE = Path(__file__).resolve().parent.parent
LEAD = {"lead_id": "B1", "created_at": "2026-01-01T08:00:00Z", "attributes": {"source": "Partner"}}
FLAT = {"lead_id": "B1", "created_at": "2026-01-01T08:00:00Z", "source": "Partner"}


@pytest.fixture(scope="module")
def client(served: str) -> Iterator[Any]:
    """Return BentoML's client of the service."""
    with bentoml.SyncHTTPClient(served) as client:
        yield client


def test_client_knows_that_the_service_is_ready(client: Any) -> None:
    assert client.is_ready() is True


def test_client_has_a_method_for_each_call(client: Any, scoring_app: ScoringApp) -> None:
    assert {f"/{name}" for name in client.endpoints} == set(scoring_app.calls.by_path)
    assert client.score.__doc__.startswith("Scores 1 to 1,000 leads")


def test_client_offers_no_tasks_because_the_service_has_none(client: Any) -> None:
    assert not any(hasattr(getattr(client, name), "submit") for name in client.endpoints)


def test_client_scores_leads(client: Any) -> None:
    answer = client.score(leads=[LEAD], reasons=1, as_of="2026-01-10T12:00:00Z")
    (scored,) = answer["scores"]
    assert (scored["lead_id"], len(scored["reasons"])) == ("B1", 1)
    flat = client.score_lead(FLAT | {"as_of": "2026-01-10T12:00:00Z"})
    assert (flat["score"], flat["grade"]) == (scored["score"], scored["grade"])
    assert client.score([LEAD], "2026-01-10T12:00:00Z", 1)["scores"] == [scored]


def test_client_sends_what_happened_and_shows_it(client: Any) -> None:
    at = "2026-01-09T08:00:00Z"
    call = {"lead_id": "B2", "activity_id": "a", "type": "call", "occurred_at": at}
    stage = {"lead_id": "B2", "stage_id": "s", "stage": "new", "entered_at": at}
    outcome = {"lead_id": "B2", "outcome_id": "o", "outcome": "won", "amount": 12345678.91}
    answers = [
        client.activities(activities=[call]),
        client.stages(stages=[stage]),
        client.outcomes(outcomes=[outcome]),
    ]
    assert [answer["accepted"] for answer in answers] == [1, 1, 1]
    stored = client.lead(lead_id="B2")
    assert (stored["activities"]["count"], stored["outcomes"][0]["amount"]) == (1, 12345678.91)
    assert client.erase(lead_id="B2")["erased"] is True


def test_client_describes_the_model(client: Any, scoring_app: ScoringApp) -> None:
    assert scoring_app.model is not None
    assert client.model()["card"]["name"] == scoring_app.model.scorer.card.name


def test_client_sends_unknown_fields_of_a_lead_as_they_are(client: Any) -> None:
    misspelt = {"lead_id": "B1", "attributs": {"source": "Partner"}}
    with pytest.raises(BentoMLException, match="Unknown field `attributs`"):
        client.score(leads=[misspelt])
    answer = client.score_lead(FLAT | {"Some Column": 7})
    assert "Some Column" in answer["warnings"]


def test_client_raises_the_services_message(client: Any) -> None:
    with pytest.raises(BentoMLException, match="`leads` has 0 leads. Expected 1 to 1,000."):
        client.score(leads=[])
    assert issubclass(InvalidArgument, BentoMLException)


def test_asynchronous_client_scores_leads(served: str) -> None:
    async def score() -> Any:
        async with bentoml.AsyncHTTPClient(served) as client:
            assert await client.is_ready()
            scored = await client.score(leads=[LEAD])
            return scored["scores"][0], await client.score_lead(FLAT)

    scored, flat = asyncio.run(score())
    assert scored["grade"] == flat["grade"]


def test_client_sends_its_token_as_the_key(
    served: str, scoring_app: ScoringApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = add_key(tmp_path / "keys.json", "notebook", "score", "2026-01-01T00:00:00+00:00")
    monkeypatch.setattr(scoring_app.guard, "_keys", KeyRing(tmp_path / "keys.json"))
    with bentoml.SyncHTTPClient(served, token=key) as client:
        assert len(client.score(leads=[LEAD])["scores"]) == 1
    with (
        bentoml.SyncHTTPClient(served) as client,
        pytest.raises(BentoMLException, match="needs a valid API key"),
    ):
        client.score(leads=[LEAD])


def test_code_of_the_readme_works(served: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"(?s)```python\n(.*?)```", (HERE / "README.md").read_text())
    exec(code.replace("http://127.0.0.1:3000", served), {})
    assert re.fullmatch(r"L1 \d+ [A-D]\n", capsys.readouterr().out)


def test_closed_contract_opens_with_any_key_in_a_browser(tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.json", "reader", "score", "2026-01-01T00:00:00+00:00")
    app = ScoringApp(Settings(contract_open=False), KeyRing(tmp_path / "keys.json"))

    async def get(**options: Any) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [await client.get(path, **options) for path in sorted(CONTRACT_PAGES)]

    refused = asyncio.run(get())
    assert {answer.status_code for answer in refused} == {401}
    assert all(answer.headers["www-authenticate"].startswith("Basic ") for answer in refused)
    for options in ({"auth": ("", key)}, {"headers": {"authorization": f"Bearer {key}"}}):
        assert {answer.status_code for answer in asyncio.run(get(**options))} == {200}


def test_page_without_swagger_ui_is_not_found(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> bytes:
        raise FileNotFoundError(name)

    monkeypatch.setattr(contract_pages, "swagger_ui_file", gone)
    assert httpx.get(f"{served}{ASSETS}swagger-ui.css").status_code == 404
    assert httpx.get(f"{served}/").status_code == 200


def test_schema_lists_inner_structs_by_reference() -> None:
    routes = {route["name"]: route for route in bento_schema()["routes"]}
    leads = routes["score"]["input"]["properties"]["leads"]
    assert leads == {"type": "array", "items": {"$ref": "#/$defs/LeadPayload"}}
    assert "attributes" in routes["score"]["input"]["$defs"]["LeadPayload"]["properties"]


def test_documentation_is_the_contract_at_the_address_of_the_page(served: str) -> None:
    docs = httpx.get(f"{served}/docs.json").json()
    contract = httpx.get(f"{served}/contract/openapi-3.0.json").json()
    validate(docs)
    assert docs == contract | {"servers": [{"url": "."}]}


def test_swagger_page_has_all_that_it_needs(served: str) -> None:
    page = httpx.get(f"{served}/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("<!doctype html>", "")
    files = re.findall(r'(?:src|href)="(static[^"]*)"', page.text)
    assert {f"/{name}" for name in files} == {
        path for path in CONTRACT_PAGES if path.startswith(ASSETS)
    }
    for name in files:
        assert httpx.get(f"{served}/{name}").status_code == 200, name
