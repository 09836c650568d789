"""The calls as BentoML's clients read them, from `/schema.json`.

`bentoml.SyncHTTPClient` makes a method of each route. The fields of a body are the method's
arguments. A flat lead has fields of any name, so it is the method's one argument, as BentoML
declares it for a function with one positional model: `root_input`.
"""

from typing import Any

import msgspec
from msgspec import Struct

from serving.contract.operations import CALLS, DECODED_ONE_BY_ONE, NAME, Operation

REF = "#/$defs/"


def bento_schema() -> dict[str, Any]:
    """Describe the service as BentoML does.

    Examples
    --------
    >>> routes = {route["name"]: route for route in bento_schema()["routes"]}
    >>> routes["lead"]["route"], list(routes["lead"]["input"]["properties"])
    ('/lead', ['lead_id'])
    """
    routes = [_route(path, call) for path, call in CALLS.items()]
    return {"name": NAME, "type": "service", "routes": routes}


def _route(path: str, call: Operation) -> dict[str, Any]:
    flat_lead = {"type": "object", "title": "FlatLead", "root_input": True}
    return {
        "name": path.removeprefix("/"),
        "route": path,
        "description": call.description,
        "doc": call.description,  # BentoML's clients show this one
        "batchable": False,
        "input": _json_schema(call.request) if call.request else flat_lead,
        "output": _json_schema(call.answer),
        "is_task": False,
    }


def _json_schema(kind: type[Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a struct, with the structs in it as `$defs`.

    BentoML's clients drop fields that the schema of an inner object does not list, also misspelt
    ones. They do not follow references, so inner objects are sent and returned as they are.
    """
    field, item = DECODED_ONE_BY_ONE.get(kind, ("", kind))
    _, inner = msgspec.json.schema_components([kind, item], ref_template=REF + "{name}")
    schema = inner.pop(kind.__name__)
    if field:
        schema["properties"][field]["items"] = {"$ref": REF + item.__name__}
    return schema | {"$defs": inner}
