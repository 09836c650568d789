"""Tests of the contract: it is valid, Apex and Power Platform can read it, the service obeys it."""

import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import openapi_spec_validator
import pytest
import requests
import schemathesis
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

from serving.app import ScoringApp
from serving.contract.flat_fields import FlatField
from serving.contract.openapi import contracts
from serving.errors import CODES
from serving.settings import Settings

CASES = int(os.environ.get("CONTRACT_CASES", "480"))
HERE = Path(__file__).resolve().parent.parent
FIELDS = {
    "Lead_Source": FlatField("Lead Source", "string"),
    "Employees": FlatField("Employees", "number"),
}
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
CASES_PER_PATH = -(-CASES // (len(PATHS) - 1))  # /model has few different requests
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the contract as OpenAPI 3.0 and as Swagger 2.0."""
    openapi, swagger = contracts(Settings(public_url="https://scores.example.com/v1"), FIELDS)
    return json.loads(openapi), json.loads(swagger)


@pytest.fixture(scope="module")
def openapi(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


@pytest.fixture(scope="module")
def swagger(documents: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return documents[1]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from nodes(part)


def test_both_documents_are_valid(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for document in documents:
        openapi_spec_validator.validate(document)


def operations(openapi: dict[str, Any]) -> list[dict[str, Any]]:
    return [methods["post"] for methods in openapi["paths"].values()]


def test_salesforce_can_read_the_types(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"] == "3.0.3"
    assert not [node for node in nodes(openapi) if node.get("type") == "null"]
    assert not [node for node in nodes(openapi) if "not" in node or "const" in node]
    assert len(json.dumps(openapi)) < 10_000_000


def test_salesforce_can_name_and_describe_the_operations(openapi: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(openapi)]
    assert len(set(names)) == 8
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,39}", name) for name in names)
    assert all(len(operation["description"]) < 1_333 for operation in operations(openapi))


def test_contract_names_the_public_url(openapi: dict[str, Any]) -> None:
    assert openapi["servers"] == [{"url": "https://scores.example.com/v1"}]


def test_operations_have_an_example_and_their_failures(openapi: dict[str, Any]) -> None:
    statuses = {"200", "401", "403", "413", "422", "429", "500", "503"}
    for operation in operations(openapi):
        assert statuses <= set(operation["responses"])
        assert operation["requestBody"]["content"]["application/json"]["example"] is not None


def test_flat_lead_has_the_attributes_of_the_model(openapi: dict[str, Any]) -> None:
    flat = openapi["components"]["schemas"]["FlatLead"]["properties"]
    assert flat["Employees"] == {"type": "number", "nullable": True, "format": "double"}
    assert flat["Lead_Source"] == {"type": "string", "nullable": True}


def test_contract_describes_the_stored_events_of_a_lead(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    properties = schemas["LeadAnswer"]["properties"]
    assert properties["stages"]["items"] == {"$ref": "#/components/schemas/StoredStage"}
    assert properties["outcomes"]["items"] == {"$ref": "#/components/schemas/StoredOutcome"}
    types = {
        name: (field["type"], field.get("nullable", False))
        for name, field in schemas["StoredOutcome"]["properties"].items()
    }
    assert types == {
        "outcome_id": ("string", False),
        "outcome": ("string", False),
        "closed_at": ("string", True),
        "amount": ("number", True),
        "reason": ("string", True),
    }


def test_contract_declares_both_headers_of_a_key(openapi: dict[str, Any]) -> None:
    assert set(openapi["components"]["securitySchemes"]) == {"apiKey", "bearer"}


def test_temporary_failures_have_retry_after(openapi: dict[str, Any]) -> None:
    responses = openapi["components"]["responses"]
    temporary = {name for name, response in responses.items() if "headers" in response}
    assert temporary == {"Failure429", "Failure503", "Failure504"}


def test_power_platform_can_read_the_contract(swagger: dict[str, Any]) -> None:
    assert swagger["swagger"] == "2.0"
    address = (swagger["schemes"], swagger["host"], swagger["basePath"])
    assert address == (["https"], "scores.example.com", "/v1")
    assert list(swagger["securityDefinitions"]) == ["apiKey"]
    only_in_openapi = {"nullable", "anyOf", "oneOf", "requestBody", "components"}
    assert not [node for node in nodes(swagger) if only_in_openapi & set(node)]
    assert len(json.dumps(swagger)) < 1_000_000


def test_both_documents_have_the_same_paths(
    openapi: dict[str, Any], swagger: dict[str, Any]
) -> None:
    assert set(openapi["paths"]) == set(swagger["paths"]) == PATHS


def test_examples_match_their_schemas(openapi: dict[str, Any]) -> None:
    examples = [node for node in nodes(openapi) if "example" in node and "schema" in node]
    assert len(examples) == 2 * len(PATHS) + 11
    for node in examples:
        schema = node["schema"] | {"components": openapi["components"]}
        OAS30Validator(schema).validate(node["example"])


def test_every_example_succeeds(served: str) -> None:
    paths = httpx.get(f"{served}/contract/openapi-3.0.json").json()["paths"]
    assert set(paths) == PATHS
    for path, methods in paths.items():
        content = methods["post"]["requestBody"]["content"]["application/json"]
        answer = httpx.post(served + path, json=content["example"])
        assert answer.status_code == 200, (path, answer.text)
        assert '"error":{' not in answer.text, (path, answer.text)


def test_examples_of_scoring_name_attributes_of_the_model(served: str) -> None:
    paths = httpx.get(f"{served}/contract/openapi-3.0.json").json()["paths"]
    for path in ("/score", "/score_lead"):
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        answer = httpx.post(served + path, json=content["example"])
        assert "employees" in json.dumps(content["example"])
        assert "unknown" not in answer.text


def test_example_succeeds_for_a_model_without_attributes(served: str) -> None:
    document = json.loads(contracts(Settings(), {})[0])
    for path in ("/score", "/score_lead"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        answer = httpx.post(served + path, json=content["application/json"]["example"])
        assert answer.status_code == 200, answer.text


def test_every_documented_status_has_a_code(openapi: dict[str, Any]) -> None:
    responses = openapi["components"]["responses"]
    assert {int(name.removeprefix("Failure")) for name in responses} <= set(CODES)


def test_contract_names_every_call(scoring_app: ScoringApp, openapi: dict[str, Any]) -> None:
    assert set(openapi["paths"]) == set(scoring_app.calls.by_path)


def get(app: ScoringApp, path: str) -> Any:
    async def send() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get(path)).json()

    return asyncio.run(send())


def test_served_openapi_contains_the_columns_of_the_model(scoring_app: ScoringApp) -> None:
    document = get(scoring_app, "/contract/openapi-3.0.json")
    flat = document["components"]["schemas"]["FlatLead"]["properties"]
    assert flat["budget_eur"]["type"] == "number"


def test_swagger_is_served(scoring_app: ScoringApp) -> None:
    assert get(scoring_app, "/contract/swagger-2.0.json")["swagger"] == "2.0"


@pytest.fixture
def client_modules(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ModuleType]:
    """Generate a Python client from the contract; return its modules by name."""
    contract = tmp_path / "contract.json"
    contract.write_bytes(httpx.get(f"{served}/contract/openapi-3.0.json").content)
    process = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client",
            "generate",
            "--path",
            contract,
            "--output-path",
            tmp_path / "generated",
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
    assert process.returncode == 0, process.stdout + process.stderr
    monkeypatch.syspath_prepend(tmp_path)
    names = ("client", "models", "api.leadscore.score_leads", "api.leadscore.score_lead")
    return {name: importlib.import_module(f"generated.{name}") for name in names}


def test_generated_client_scores_a_lead(served: str, client_modules: dict[str, ModuleType]) -> None:
    models = client_modules["models"]
    attributes = models.LeadPayloadAttributesType0.from_dict({"budget_eur": 120_000})
    lead = models.LeadPayload(lead_id="L1", attributes=attributes)
    client = client_modules["client"].AuthenticatedClient(base_url=served, token="none")
    with client:
        answer = client_modules["api.leadscore.score_leads"].sync(
            client=client, body=models.ScoreRequest(leads=[lead])
        )
        flat = client_modules["api.leadscore.score_lead"].sync(
            client=client, body=models.FlatLead(lead_id="L1", budget_eur=120_000)
        )
    assert answer.model.version == "7"
    (scored,) = answer.scores
    assert scored.lead_id == "L1"
    assert 1 <= scored.score <= 99
    assert (flat.score, flat.grade) == (scored.score, scored.grade)


@pytest.fixture(scope="module")
def guide() -> str:
    return (HERE / "docs" / "connect-your-crm.md").read_text()


def test_python_code_of_the_guide_works(
    served: str, guide: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"(?s)```python\n(.*?)```", guide)
    names: dict[str, Any] = {}
    exec(code.replace("https://scores.example.com", served), names)
    names["scores"].close()
    assert re.search(r"\('L1', \d+, '[A-D]'\)", capsys.readouterr().out)


def test_curl_calls_of_the_guide_work(served: str, guide: str) -> None:
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
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = strategies.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])
    n_cases = 0

    @given(case=cases)
    @settings(max_examples=CASES_PER_PATH, deadline=None, suppress_health_check=list(HealthCheck))
    def send_and_check(case: Any) -> None:
        nonlocal n_cases
        n_cases += 1
        case.call_and_validate(base_url=served, checks=CHECKS, session=session)

    with requests.Session() as session:
        send_and_check()
    assert n_cases >= CASES_PER_PATH or path == "/model"
