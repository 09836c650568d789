"""Tests of the names and types that generated clients need."""

import json
import keyword
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS30Validator

from serving.contract.flat_fields import METHODS, FlatField, flat_fields, squeezed
from serving.contract.openapi import contracts
from serving.payloads.flat_lead import names_by_identifier, read_flat
from serving.settings import Settings

AWKWARD = [
    "Lead Source",
    "LeadSource",
    "lead-source",
    "CreatedAt",
    "LeadId",
    "as of",
    "2nd_source",
    "_hidden",
    "Größe",
    "会社",
    "役職",
    "model_name",
    "model_config",
    "copy",
    "this",
    "true",
    "toString",
    "__proto__",
    "GetHashCode",
    "hashCode",
    "additionalProperties",
    "budget",
    "has_budget",
    "Get Budget",
    "nullable",
    "anyOf",
    "$ref",
    "type",
    "class",
]


def fields_of(columns: list[str]) -> dict[str, FlatField]:
    attributes = [SimpleNamespace(column=column, json_type="string") for column in columns]
    model: Any = SimpleNamespace(
        names_by_identifier=names_by_identifier(columns),
        scorer=SimpleNamespace(pipeline=SimpleNamespace(attributes=attributes)),
    )
    return flat_fields(model)


def documents_of(columns: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    openapi, swagger = contracts(Settings(), fields_of(columns))
    return json.loads(openapi), json.loads(swagger)


def schemas_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and each schema in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), schema.get("items")]
    for part in [*inner, schema.get("additionalProperties")]:
        if isinstance(part, dict):
            yield from schemas_in(part)


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return documents_of(["Lead Source", "Employees"])[0]


@pytest.fixture(scope="module")
def declared(openapi: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every schema of the contract, also those in other schemas."""
    components = openapi["components"]["schemas"].values()
    every = [schema for component in components for schema in schemas_in(component)]
    assert len(every) > 150
    return every


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("Lead Source", "Lead_Source"),
        ("LeadSource", "attribute_LeadSource"),
        ("CreatedAt", "attribute_CreatedAt"),
        ("LeadId", "attribute_LeadId"),
        ("as of", "attribute_as_of"),
        ("2nd_source", "attribute_2nd_source"),
        ("_hidden", "attribute__hidden"),
        ("Größe", "Größe"),
        ("会社", "attribute_会社"),
        ("model_name", "attribute_model_name"),
        ("this", "attribute_this"),
        ("budget", "budget"),
        ("has_budget", "attribute_has_budget"),
        ("Get Budget", "attribute_Get_Budget"),
        ("type", "type"),
        ("class", "class"),
    ],
)
def test_attribute_has_a_name_that_clients_can_use(column: str, name: str) -> None:
    names = {field.column: name for name, field in fields_of(AWKWARD).items()}
    assert names[column] == name


def test_attribute_without_a_free_name_is_left_out() -> None:
    left_out = set(AWKWARD) - {field.column for field in fields_of(AWKWARD).values()}
    assert left_out == {"lead-source", "役職"}


def test_every_name_of_the_contract_is_read_as_its_attribute() -> None:
    for name, field in fields_of(AWKWARD).items():
        lead, _ = read_flat(
            msgspec.json.encode({name: "x"}), Settings(), names_by_identifier(AWKWARD)
        )
        assert lead.attributes == {field.column: "x"}


def test_names_in_one_schema_differ_in_every_style() -> None:
    for document in documents_of(AWKWARD):
        schemas = document.get("definitions") or document["components"]["schemas"]
        for title, schema in schemas.items():
            names = [squeezed(name) for name in schema.get("properties", {})]
            assert len(set(names)) == len(names), title
            assert not set(names) & METHODS, title


def test_fields_of_the_service_are_not_keywords_of_a_language(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    names = {name for schema in schemas.values() for name in schema.get("properties", {})}
    assert len(names) > 60
    of_others = {"class", "default", "func", "function", "interface", "map", "new", "package"}
    assert not names & {*keyword.kwlist, *of_others}


def test_awkward_names_leave_both_documents_valid() -> None:
    openapi, swagger = documents_of(AWKWARD)
    openapi_spec_validator.validate(openapi)
    openapi_spec_validator.validate(swagger)
    listed = openapi["components"]["schemas"]["FlatLead"]["properties"]
    assert set(listed) == set(swagger["definitions"]["FlatLead"]["properties"])
    assert listed["nullable"] == {"type": "string", "nullable": True}


def test_every_number_has_a_format(declared: list[dict[str, Any]]) -> None:
    formats = {(schema["type"], schema.get("format")) for schema in declared if "type" in schema}
    numbers = {pair for pair in formats if pair[0] in ("integer", "number")}
    assert numbers == {("integer", "int64"), ("number", "double")}


def test_every_time_has_a_format(openapi: dict[str, Any]) -> None:
    times = {
        (title, name): field.get("format")
        for title, schema in openapi["components"]["schemas"].items()
        for name, field in schema.get("properties", {}).items()
        if name.endswith(("_at", "as_of", "newest"))
    }
    assert len(times) == 17
    assert set(times.values()) == {"date-time"}


def test_nullable_is_next_to_a_type(declared: list[dict[str, Any]]) -> None:
    nullable = [schema for schema in declared if "nullable" in schema]
    assert len(nullable) > 20
    assert all("type" in schema for schema in nullable)
    assert not [schema for schema in declared if {"anyOf", "allOf", "enum"} & set(schema)]


def test_answer_without_a_last_score_is_valid(openapi: dict[str, Any]) -> None:
    schema = openapi["components"]["schemas"]["LeadAnswer"]["properties"]["last_score"]
    validator = OAS30Validator(schema | {"components": openapi["components"]})
    validator.validate(None)
    assert not validator.is_valid({"score": 7})


def test_the_old_name_of_the_model_is_not_in_the_contract(openapi: dict[str, Any]) -> None:
    flat = openapi["components"]["schemas"]["FlatAnswer"]
    assert "model" in flat["required"]
    assert "model_name" not in {*flat["required"], *flat["properties"]}
    assert flat["additionalProperties"] == {}


def test_swagger_has_its_own_word_for_nullable() -> None:
    _, swagger = documents_of(["nullable"])
    fields = swagger["definitions"]["FlatLead"]["properties"]
    assert fields["nullable"] == {"type": "string", "x-nullable": True}
    assert fields["as_of"]["x-nullable"] is True
