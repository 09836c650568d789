"""The service's contract as OpenAPI 3.0 and Swagger 2.0, generated from the payload structs.

There are two documents, because Salesforce and most generators read 3.0, and Power Platform reads
only 2.0. Names of operations are letters and digits only, because Apex turns them into names of
methods.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from serving.contract.flat_fields import FlatField
from serving.contract.operations import CALLS, NAME, REQUEST_ID, Operation, request_examples
from serving.contract.schemas import FLAT_LEAD, REF, schemas
from serving.contract.swagger import swagger
from serving.errors import MESSAGES, Failure, RequestError, failure
from serving.settings import Settings

VERSION = "3.1.0"
LICENSE = "https://www.apache.org/licenses/LICENSE-2.0"
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


def contracts(settings: Settings, fields: Mapping[str, FlatField]) -> tuple[bytes, bytes]:
    """Build the contract as OpenAPI 3.0.3 and as Swagger 2.0, both as JSON.

    Parameters
    ----------
    settings : Settings
    fields : mapping of str to FlatField
        The attributes of the model that answers, from `flat_fields`.

    Examples
    --------
    >>> settings = Settings(public_url="https://scores.example.com")
    >>> three, two = contracts(settings, {"Lead_Source": FlatField("Lead Source", "string")})
    >>> b'"openapi":"3.0.3"' in three, b'"swagger":"2.0"' in two
    (True, True)
    """
    document = openapi(settings.public_url or "http://127.0.0.1:3000", fields)
    return msgspec.json.encode(document), msgspec.json.encode(swagger(document))


def openapi(url: str, fields: Mapping[str, FlatField]) -> dict[str, Any]:
    """Build the contract as OpenAPI 3.0.3."""
    examples = request_examples(fields)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": NAME,
            "version": VERSION,
            "description": DESCRIPTION,
            "contact": {"name": "the leadscore authors"},
            "license": {"name": "Apache-2.0", "url": LICENSE},
        },
        "servers": [{"url": url.rstrip("/")}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": NAME, "description": "The calls of the service."}],
        "paths": {path: {"post": _operation(call, examples[path])} for path, call in CALLS.items()},
        "components": {
            "schemas": schemas(fields),
            "responses": {f"Failure{status}": _failure(status) for status in FAILURES},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(call: Operation, example: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": f"{call.summary}: the answer.",
        "content": _json(call.answer.__name__, call.answer_example),
    }
    request = call.request.__name__ if call.request else FLAT_LEAD
    return {
        "operationId": call.operation_id,
        "tags": [NAME],
        "summary": call.summary,
        "description": call.description,
        "requestBody": {"required": True, "content": _json(request, example)},
        "responses": {"200": answer}
        | {str(code): {"$ref": f"#/components/responses/Failure{code}"} for code in FAILURES},
    }


def _json(name: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF + name}, "example": example}}


def _failure(status: int) -> dict[str, Any]:
    error = RequestError(
        status, FAILURES[status] or MESSAGES[status], code="bad_json" if status == 400 else None
    )
    example = msgspec.to_builtins(failure(error, REQUEST_ID))
    response: dict[str, Any] = {
        "description": f"{error.code}: {error.message}",
        "content": _json(Failure.__name__, example),
    }
    if status in RETRIED:
        wait = {
            "description": "The seconds to wait.",
            "schema": {"type": "integer", "format": "int64"},
        }
        response["headers"] = {"Retry-After": wait}
    return response
