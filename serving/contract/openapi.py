"""The service's contract as OpenAPI 3.0 and Swagger 2.0, generated from the payload structs.

There are two documents, because Salesforce and most generators read 3.0, and Power Platform reads
only 2.0. Neither knows `"type": "null"`, so each has its own way to declare a nullable value.
Names of operations are letters and digits only, because Apex turns them into method names.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from serving.contract.operations import CALLS, DECODED_ONE_BY_ONE, REQUEST_ID, Operation
from serving.errors import CODES, MESSAGES, Failure, failure
from serving.payloads.flat_lead import PREFIX, RESERVED
from serving.served_model import ServedModel
from serving.settings import Settings

VERSION = "2.0.0"
REF = "#/components/schemas/"
FLAT_LEAD = "FlatLead"
FAILURES = {
    400: "The body is not valid JSON.",
    401: "",
    403: "",
    404: "The ledger does not contain the lead, or the service has no ledger.",
    408: "",
    413: "The body is too large. Send fewer leads or events in one request.",
    422: "A field is missing, unknown or not valid. `field` names it.",
    429: "",
    500: "",
    503: "",
    504: "",
}
RETRIED = (429, 503, 504)
DESCRIPTION = (
    "Scores leads by how likely they are to become customers. Every answer contains the model's "
    "version and a request id. All failures have the same format. If the status is 4xx, the "
    "message says what to change in the request. 429, 503 and 504 are temporary: repeat the "
    "request after the number of seconds in the header Retry-After."
)


def contracts(settings: Settings, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Build the contract as OpenAPI 3.0.3 and as Swagger 2.0, both as JSON.

    Parameters
    ----------
    settings : Settings
    fields : mapping of str to str
        The type of each attribute of the model that answers, `number` or `string`, by the name
        that a flow writes.

    Examples
    --------
    >>> settings = Settings(public_url="https://scores.example.com")
    >>> three, two = contracts(settings, {"Lead_Source": "string"})
    >>> b'"openapi":"3.0.3"' in three, b'"swagger":"2.0"' in two
    (True, True)
    """
    document = openapi(settings.public_url or "http://127.0.0.1:3000", fields)
    return msgspec.json.encode(document), msgspec.json.encode(swagger(document))


def flat_fields(model: ServedModel) -> dict[str, str]:
    """Return the type of each attribute of a model, by the name that a flow can write."""
    names = {column: name for name, column in reversed(model.names_by_identifier.items())}
    return {
        PREFIX + name if name in RESERVED else name: attribute.json_type
        for attribute in model.scorer.pipeline.attributes
        if (name := names.get(attribute.column))
    }


def openapi(url: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Build the contract as OpenAPI 3.0.3."""
    kinds = {kind for call in CALLS.values() for kind in (call.request, call.answer) if kind}
    kinds |= {kind for _, kind in DECODED_ONE_BY_ONE.values()} | {Failure}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF + "{name}")
    for kind, (field, item) in DECODED_ONE_BY_ONE.items():
        schemas[kind.__name__]["properties"][field]["items"] = {"$ref": REF + item.__name__}
    schemas[FLAT_LEAD] = _flat_lead(fields)
    return {
        "openapi": "3.0.3",
        "info": {"title": "leadscore", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": url.rstrip("/")}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": {path: {"post": _operation(call)} for path, call in CALLS.items()},
        "components": {
            "schemas": {name: _without_null(schema) for name, schema in sorted(schemas.items())},
            "responses": {f"Failure{status}": _failure(status) for status in FAILURES},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _flat_lead(fields: Mapping[str, str]) -> dict[str, Any]:
    """Describe the body of `/score_lead`, with the model's attributes by name for flows to map."""
    own = {name: {"type": kind, "nullable": True} for name, kind in fields.items()}
    descriptions = {
        "lead_id": "The lead's id in the CRM.",
        "created_at": "The time at which the lead was created, in ISO 8601 (UTC if it names no "
        "zone), in milliseconds since 1970, which have 13 digits, or in the format of the column "
        "that the model learned from.",
        "as_of": "The moment of scoring, in ISO 8601 or milliseconds. Without it, the lead is "
        "scored as of now.",
    }
    fixed = {
        name: {"type": "string", "nullable": True, "description": text}
        for name, text in descriptions.items()
    }
    return {
        "title": FLAT_LEAD,
        "description": "One lead. A field that is not listed is ignored, with a warning.",
        "type": "object",
        "properties": own | fixed,
        "additionalProperties": {"nullable": True},
    }


def _operation(call: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": f"{call.summary}: the answer.",
        "content": _json(call.answer.__name__, call.answer_example),
    }
    request = call.request.__name__ if call.request else FLAT_LEAD
    return {
        "operationId": call.operation_id,
        "summary": call.summary,
        "description": call.description,
        "requestBody": {"required": True, "content": _json(request, call.request_example)},
        "responses": {"200": answer}
        | {str(code): {"$ref": f"#/components/responses/Failure{code}"} for code in FAILURES},
    }


def _json(name: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF + name}, "example": example}}


def _failure(status: int) -> dict[str, Any]:
    message = FAILURES[status] or MESSAGES[status]
    example = msgspec.to_builtins(failure(status, message, REQUEST_ID))
    response: dict[str, Any] = {
        "description": f"{CODES[status]}: {message}",
        "content": _json(Failure.__name__, example),
    }
    if status in RETRIED:
        wait = {"description": "The seconds to wait.", "schema": {"type": "integer"}}
        response["headers"] = {"Retry-After": wait}
    return response


def _without_null(schema: Any) -> Any:
    """Declare nullable values as OpenAPI 3.0 does instead of as JSON Schema does.

    Examples
    --------
    >>> _without_null({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None})
    {'type': 'string', 'nullable': True}
    """
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: value if key == "default" else _without_null(value)
        for key, value in schema.items()
        if not (key == "default" and value is None) and not (key == "required" and value == [])
    }
    if isinstance(plain.get("description"), str):
        plain["description"] = " ".join(plain["description"].split())
    options = plain.get("anyOf")
    if not isinstance(options, list):
        return plain
    non_null = [option for option in options if option.get("type") != "null"]
    is_nullable = len(non_null) < len(options)
    declared = {key: value for key, value in plain.items() if key != "anyOf"}
    if len(non_null) == 1:
        declared |= {"allOf": non_null} if "$ref" in non_null[0] else non_null[0]
    else:
        declared["anyOf"] = non_null
    return declared | {"nullable": True} if is_nullable else declared


def swagger(document: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the contract to Swagger 2.0, which has one type for a value and no bearer keys."""
    url = urlsplit(document["servers"][0]["url"])
    components = document["components"]
    return {
        "swagger": "2.0",
        "info": document["info"],
        "host": url.netloc,
        "basePath": url.path or "/",
        "schemes": [url.scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {"apiKey": components["securitySchemes"]["apiKey"]},
        "security": [{"apiKey": []}],
        "paths": {
            path: {"post": _operation_2(methods["post"])}
            for path, methods in document["paths"].items()
        },
        "definitions": _deep(components["schemas"], _schema_2),
        "responses": {
            name: _response_2(response) for name, response in components["responses"].items()
        },
    }


def _operation_2(operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    texts = {key: operation[key] for key in ("operationId", "summary", "description")}
    return texts | {
        "parameters": [
            {"name": "body", "in": "body", "required": True, "schema": _deep(body, _schema_2)}
        ],
        "responses": {
            status: _deep(answer, _schema_2) if "$ref" in answer else _response_2(answer)
            for status, answer in operation["responses"].items()
        },
    }


def _response_2(answer: Mapping[str, Any]) -> dict[str, Any]:
    content = answer["content"]["application/json"]
    response = {
        "description": answer["description"],
        "schema": _deep(content["schema"], _schema_2),
        "examples": {"application/json": content["example"]},
    }
    if "headers" in answer:
        wait = {"type": "integer", "description": "The seconds to wait."}
        response["headers"] = {"Retry-After": wait}
    return response


def _schema_2(schema: dict[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in schema.items() if key not in ("anyOf", "nullable")}
    if "$ref" in converted:
        reference = converted["$ref"].replace("#/components/schemas/", "#/definitions/")
        converted["$ref"] = reference.replace("#/components/responses/", "#/responses/")
    return converted | {"x-nullable": True} if schema.get("nullable") else converted


def _deep(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_deep(part, change) for part in value]
    if isinstance(value, dict):
        return change({key: _deep(part, change) for key, part in value.items()})
    return value
