"""The schemas of the contract, made from the payload structs.

Some fields of a request may have several types, such as an id that is text or a number. The
contract declares the one that a client should send, because many generators cannot read several
types. `nullable` is always next to a type, because OpenAPI 3.0 ignores it elsewhere. Each number
has a format, because some generators use 32 bits for a number without one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from serving.contract.flat_fields import FlatField
from serving.contract.operations import CALLS, DECODED_ONE_BY_ONE
from serving.errors import Failure
from serving.payloads.columns import HIDDEN, MAX_ID_CHARACTERS

Schema = dict[str, Any]

REF = "#/components/schemas/"
FLAT_LEAD = "FlatLead"
FORMATS = {"integer": "int64", "number": "double"}
FLAT_LEAD_FIELDS: dict[str, Schema] = {
    "lead_id": {
        "type": "string",
        "maxLength": MAX_ID_CHARACTERS,
        "description": "The lead's id in the CRM. A number is read too.",
    },
    "created_at": {
        "type": "string",
        "format": "date-time",
        "description": "The time at which the lead was created, in UTC if it names no zone. "
        "Milliseconds since 1970, which have 13 digits, and the format of the column that the "
        "model learned from are read too.",
    },
    "as_of": {
        "type": "string",
        "format": "date-time",
        "description": "The moment of scoring. Milliseconds since 1970 are read too. Without it, "
        "the lead is scored as of now.",
    },
}


def schemas(fields: Mapping[str, FlatField]) -> dict[str, Schema]:
    """Return the schema of each struct by its name, and that of a flat lead.

    Parameters
    ----------
    fields : mapping of str to FlatField
        From `flat_fields`.
    """
    kinds = {kind for call in CALLS.values() for kind in (call.request, call.answer) if kind}
    kinds |= {kind for _, kind in DECODED_ONE_BY_ONE.values()} | {Failure}
    declared = struct_schemas(sorted(kinds, key=lambda kind: kind.__name__))
    for kind, (field, item) in DECODED_ONE_BY_ONE.items():
        declared[kind.__name__]["properties"][field]["items"] = {"$ref": REF + item.__name__}
    declared[FLAT_LEAD] = _flat_lead(fields)
    named = {kind.__name__ for kind in kinds} | {FLAT_LEAD}
    return {name: declared[name] for name in sorted(declared) if name in named | used(declared)}


def used(declared: Mapping[str, Schema]) -> set[str]:
    """Return the names of the schemas that other schemas refer to.

    A field that may be null contains its schema, because a reference cannot be nullable. So a
    schema of such fields alone is not referred to.

    Examples
    --------
    >>> used({"Lead": {"properties": {"score": {"$ref": REF + "Score"}}}, "Score": {}, "Old": {}})
    {'Score'}
    """
    return set(re.findall(rf'"{REF}(\w+)"', msgspec.json.encode(declared).decode()))


def struct_schemas(kinds: Iterable[type[Struct]]) -> dict[str, Schema]:
    """Return the schemas of structs, and of the structs in them, by their names.

    Examples
    --------
    >>> class Sent(Struct):
    ...     id: str | int
    ...     size: int | None = None
    >>> struct_schemas([Sent])["Sent"]["properties"]["id"]
    {'type': 'string'}
    >>> struct_schemas([Sent])["Sent"]["properties"]["size"]
    {'type': 'integer', 'nullable': True, 'format': 'int64'}
    """
    _, declared = msgspec.json.schema_components(kinds, ref_template=REF + "{name}")
    return {name: mapped(schema, partial(_portable, declared)) for name, schema in declared.items()}


def mapped(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a schema with a change applied to it and to each schema in it, the outer ones first.

    Fields are not mistaken for keywords: a field may have the name `type`.
    """
    changed = change(schema)
    if "properties" in changed:
        fields = changed["properties"].items()
        changed["properties"] = {name: mapped(field, change) for name, field in fields}
    for keyword in ("items", "additionalProperties"):
        if isinstance(changed.get(keyword), dict):
            changed[keyword] = mapped(changed[keyword], change)
    return changed


def _portable(declared: Mapping[str, Schema], schema: Schema) -> Schema:
    """Rewrite one JSON Schema for OpenAPI 3.0, with one type for each value.

    Examples
    --------
    >>> _portable({}, {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None})
    {'type': 'string', 'nullable': True}
    """
    options = schema.get("anyOf", [])
    types = [option for option in options if option.get("type") != "null"]
    texts = [option for option in types if option.get("type") == "string"]
    chosen = (texts or types or [{}])[0]
    if "anyOf" in chosen:
        chosen = _portable(declared, chosen)
    portable = chosen | {key: value for key, value in schema.items() if key != "anyOf"}
    if len(types) < len(options):
        if "$ref" in portable:  # a reference cannot be nullable
            portable = dict(declared[portable["$ref"].removeprefix(REF)])
            del portable["title"]  # a client names the class after the field
        portable["nullable"] = True
    fields = portable.get("properties", {})
    shown = {name: field for name, field in fields.items() if HIDDEN not in field}
    if len(shown) < len(fields):
        required = [name for name in portable["required"] if name in shown]
        portable |= {"properties": shown, "required": required, "additionalProperties": {}}
    if portable.get("default", ...) is None:
        del portable["default"]
    if portable.get("required") == []:
        del portable["required"]
    if "enum" in portable:  # generated clients would refuse the codes of later versions
        codes = ", ".join(portable.pop("enum"))
        portable |= {"type": "string", "description": f"One of these, or a later code: {codes}."}
    values = portable.get("additionalProperties")
    if isinstance(values, dict) and "anyOf" in values:
        portable["additionalProperties"] = {}  # any value
    if isinstance(portable.get("description"), str):
        portable["description"] = " ".join(portable["description"].split())
    if portable.get("type") in FORMATS:
        portable["format"] = FORMATS[portable["type"]]
    return portable


def _flat_lead(fields: Mapping[str, FlatField]) -> Schema:
    """Describe the body of `/score_lead`, with the model's attributes by name for flows to map."""
    types = {name: {"type": field.json_type} for name, field in fields.items()}
    properties = {
        name: schema | {"nullable": True} for name, schema in (types | FLAT_LEAD_FIELDS).items()
    }
    return {
        "title": FLAT_LEAD,
        "description": "One lead. A field that is not listed is an attribute too. If the model "
        "does not know it, it is ignored, with a warning.",
        "type": "object",
        "properties": {name: _portable({}, schema) for name, schema in properties.items()},
        "additionalProperties": {},
    }
