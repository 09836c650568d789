"""The contract: valid, fit for Apex and Power Platform, and kept by the service."""

import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openapi_spec_validator
import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings, strategies
from openapi_schema_validator import OAS30Validator
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from crm.ledger.ledger import Ledger
from serving.app import ScoringApp
from serving.contract.openapi import contracts
from serving.errors import CODES
from serving.served_model import ServedModel
from serving.settings import Settings

CASES = int(os.environ.get("CONTRACT_CASES", "480"))
HERE = Path(__file__).resolve().parent.parent
FIELDS = {"Lead_Source": "string", "Employees": "number"}
PATHS = {
    "/score",
    "/score_lead",
    "/activities",
    "/stages",
    "/outcomes",
    "/lead",
    "/erase",
    "/model",
}
EACH = -(-CASES // (len(PATHS) - 1))  # of /model there are few different ones
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    three, two = contracts(Settings(public_url="https://scores.example.com/v1"), FIELDS)
    return json.loads(three), json.loads(two)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from nodes(part)


def test_both_documents_are_valid(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for document in documents:
        openapi_spec_validator.validate(document)


def test_contract_meets_the_rules_of_salesforce(documents: tuple[dict[str, Any], Any]) -> None:
    three, _ = documents
    assert three["openapi"] == "3.0.3"
    assert three["servers"] == [{"url": "https://scores.example.com/v1"}]
    assert not [node for node in nodes(three) if node.get("type") == "null"]
    assert not [node for node in nodes(three) if "not" in node or "const" in node]
    operations = [methods["post"] for methods in three["paths"].values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == 8
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,39}", name) for name in names)
    assert all(len(operation["description"]) < 1_333 for operation in operations)
    for operation in operations:
        assert {"200", "401", "403", "413", "422", "429", "500", "503"} <= set(
            operation["responses"]
        )
        assert operation["requestBody"]["content"]["application/json"]["example"] is not None
    flat = three["components"]["schemas"]["FlatLead"]["properties"]
    assert (flat["Employees"], flat["Lead_Source"]) == (
        {"type": "number", "nullable": True},
        {"type": "string", "nullable": True},
    )
    assert set(three["components"]["securitySchemes"]) == {"apiKey", "bearer"}
    retried = {s for s, told in three["components"]["responses"].items() if "headers" in told}
    assert retried == {"Failure429", "Failure503", "Failure504"}
    assert len(json.dumps(three)) < 10_000_000


def test_contract_meets_the_rules_of_power_platform(documents: tuple[Any, dict[str, Any]]) -> None:
    three, two = documents
    assert two["swagger"] == "2.0"
    assert (two["host"], two["basePath"], two["schemes"]) == (
        "scores.example.com",
        "/v1",
        ["https"],
    )
    assert list(two["securityDefinitions"]) == ["apiKey"]
    unknown = {"nullable", "anyOf", "oneOf", "requestBody", "components"}
    assert not [node for node in nodes(two) if unknown & set(node)]
    assert set(two["paths"]) == set(three["paths"])
    assert len(json.dumps(two)) < 1_000_000


def test_examples_match_their_schemas(documents: tuple[dict[str, Any], Any]) -> None:
    three, _ = documents
    tried = 0
    for node in nodes(three):
        if "example" in node and "schema" in node:
            OAS30Validator(node["schema"] | {"components": three["components"]}).validate(
                node["example"]
            )
            tried += 1
    assert tried == 2 * len(PATHS) + 11


def test_every_documented_status_has_a_code(documents: tuple[dict[str, Any], Any]) -> None:
    told = {int(name.removeprefix("Failure")) for name in documents[0]["components"]["responses"]}
    assert told <= set(CODES)


@pytest.fixture(scope="module")
def app(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringApp]:
    """The application with a trained model and a ledger of its own."""
    made = ScoringApp(Settings(max_body_bytes=1_000_000))
    made.model = ServedModel(trained.scorer, "7", "0123456789abcdef")
    made.calls.use_ledger(Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"))
    yield made
    made.calls.close()


def test_contract_names_every_call(app: ScoringApp, documents: tuple[dict[str, Any], Any]) -> None:
    assert set(documents[0]["paths"]) == set(app.calls.by_path) == PATHS


def test_contract_contains_the_columns_of_the_model(app: ScoringApp) -> None:
    async def ask(path: str) -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get(path)).json()

    three = asyncio.run(ask("/contract/openapi-3.0.json"))
    assert three["components"]["schemas"]["FlatLead"]["properties"]["budget_eur"]["type"] == (
        "number"
    )
    assert asyncio.run(ask("/contract/swagger-2.0.json"))["swagger"] == "2.0"


@pytest.fixture(scope="module")
def served(app: ScoringApp) -> Iterator[str]:
    """The application on a port of loopback."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def test_generated_client_scores_a_lead(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = tmp_path / "contract.json"
    contract.write_bytes(httpx.get(f"{served}/contract/openapi-3.0.json").content)
    done = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client",
            "generate",
            "--path",
            contract,
            "--output-path",
            tmp_path / "made",
            "--meta",
            "none",
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    made = {
        name: importlib.import_module(f"made.{name}")
        for name in ("client", "models", "api.default.score_leads", "api.default.score_lead")
    }
    models = made["models"]
    client = made["client"].AuthenticatedClient(base_url=served, token="none")
    attributes = models.LeadPayloadAttributesType0.from_dict({"budget_eur": 120_000})
    lead = models.LeadPayload(lead_id="L1", attributes=attributes)
    with client:
        answer = made["api.default.score_leads"].sync(
            client=client, body=models.ScoreRequest(leads=[lead])
        )
        flat = made["api.default.score_lead"].sync(
            client=client, body=models.FlatLead(lead_id="L1", budget_eur=120_000)
        )
    assert answer.model.version == "7"
    (scored,) = answer.scores
    assert (scored.lead_id, 1 <= scored.score <= 99) == ("L1", True)
    assert (flat.score, flat.grade) == (scored.score, scored.grade)


def test_calls_of_the_guide_work(served: str, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (HERE / "docs" / "connect-your-crm.md").read_text()
    (python,) = re.findall(r"(?s)```python\n(.*?)```", guide)
    names: dict[str, Any] = {}
    exec(python.replace("https://scores.example.com", served), names)
    names["scores"].close()
    assert re.search(r"\('L1', \d+, '[A-D]'\)", capsys.readouterr().out)
    curls = re.findall(r"curl -s https://scores.example.com(\S+) .*\\\n\s+-d '(.*)'", guide)
    assert [path for path, _ in curls] == ["/score_lead", "/outcomes"]
    for path, body in curls:
        answer = httpx.post(served + path, content=body)
        assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] + answer.json()["duplicate"] == 1


@pytest.mark.parametrize("path", sorted(PATHS))
def test_no_request_breaks_the_contract(served: str, path: str) -> None:
    contract = httpx.get(f"{served}/contract/openapi-3.0.json").json()
    schema = schemathesis.openapi.from_dict(contract)
    operation = schema[path]["POST"]
    kinds = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = strategies.one_of([operation.as_strategy(generation_mode=kind) for kind in kinds])
    tried = 0

    @given(case=cases)
    @settings(max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck))
    def hold(case: Any) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(base_url=served, checks=CHECKS, session=session)

    with requests.Session() as session:
        hold()
    assert tried >= EACH or path == "/model"
