"""The contract as Swagger 2.0, converted from OpenAPI 3.0. Power Platform reads only this version.

Swagger 2.0 has no bearer keys, no `nullable`, and its references have other addresses.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from serving.contract.schemas import REF, Schema, mapped

DEFINITIONS, RESPONSES = "#/definitions/", "#/responses/"


def swagger(document: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the contract to Swagger 2.0."""
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
        "tags": document["tags"],
        "paths": {
            path: {"post": _operation(methods["post"])}
            for path, methods in document["paths"].items()
        },
        "definitions": {
            name: mapped(schema, _schema) for name, schema in components["schemas"].items()
        },
        "responses": {
            name: _response(response) for name, response in components["responses"].items()
        },
    }


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    texts = {key: operation[key] for key in ("operationId", "tags", "summary", "description")}
    return texts | {
        "parameters": [
            {"name": "body", "in": "body", "required": True, "schema": mapped(body, _schema)}
        ],
        "responses": {
            status: {"$ref": RESPONSES + answer["$ref"].rpartition("/")[2]}
            if "$ref" in answer
            else _response(answer)
            for status, answer in operation["responses"].items()
        },
    }


def _response(answer: Mapping[str, Any]) -> dict[str, Any]:
    content = answer["content"]["application/json"]
    response = {
        "description": answer["description"],
        "schema": mapped(content["schema"], _schema),
        "examples": {"application/json": content["example"]},
    }
    if "headers" in answer:
        response["headers"] = {
            name: header["schema"] | {"description": header["description"]}
            for name, header in answer["headers"].items()
        }
    return response


def _schema(schema: Schema) -> Schema:
    """Convert one schema.

    Examples
    --------
    >>> _schema({"type": "string", "nullable": True})
    {'type': 'string', 'x-nullable': True}
    >>> _schema({"$ref": "#/components/schemas/Lead"})
    {'$ref': '#/definitions/Lead'}
    """
    if "$ref" in schema:
        return {"$ref": DEFINITIONS + schema["$ref"].removeprefix(REF)}
    return {"x-nullable" if key == "nullable" else key: value for key, value in schema.items()}
