"""Translates the errors of msgspec into messages for callers, with the names of their fields."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from crm.suggest import nearest
from crm.tables import TABLES
from serving.errors import RequestError
from serving.payloads.columns import SentCell

KINDS: Final = {  # msgspec's names of types, in plain words
    "object": "an object",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}
UNITS: Final = {"text": "characters", "a list": "items", "an object": "fields"}
TIME_FIELDS: Final = frozenset(
    column.name for table in TABLES.values() for column in table.columns if column.kind == "time"
) | {"as_of"}


def not_json(text: bytes | msgspec.Raw, error: Exception, where: str = "") -> RequestError:
    """Build the error for a text that is not JSON. It names the caller's most likely mistake."""
    start = bytes(text).strip()
    if isinstance(error, UnicodeDecodeError):
        problem = "is not UTF-8. Send its text in UTF-8, or escape what is not ASCII."
    elif isinstance(error, RecursionError):
        problem = "is nested too deeply. Expected the form that the contract shows."
    elif not start:
        problem = "is empty. Expected a JSON object, {…}."
    elif not start.startswith(b"{"):
        problem = (
            "does not begin like a JSON object, {…}. Is it a form, XML, compressed, or UTF-16? "
            "Expected plain JSON in UTF-8."
        )
    else:
        problem = f"is not valid JSON: {error}."
    subject = "lead" if where else "body"
    return RequestError(400, f"The {subject} {problem}", where or None, code="bad_json")


def validation_error(message: str, where: str, kind: Any) -> RequestError:
    """Translate a message of msgspec.

    Parameters
    ----------
    message : str
        As msgspec wrote it, perhaps with a path such as `$.activities[0].type`.
    where : str
        The place in the request of what was decoded.
    kind : type
        The type that was expected.

    Examples
    --------
    >>> validation_error("Expected `str`, got `int` - at `$.type`", "activities[2]", dict).field
    'activities[2].type'
    >>> validation_error("Expected `str`, got `int` - at `$.type`", "activities[2]", dict).message
    'Expected text, got a whole number.'
    """
    problem, _, path = message.partition(" - at `$")
    path = path.rstrip("`").replace("[...]", "")  # msgspec does not name the keys of objects
    field = (where + path).lstrip(".") or None
    unknown = re.search(r"unknown field `(.*)`", problem)
    if unknown:
        name = unknown[1]
        inner = re.match(r"\.(\w+)\[", path)
        expected = _item_kind(kind, inner[1]) if inner else kind
        names = [entry.name for entry in msgspec.structs.fields(expected)]
        problem = f"Unknown field `{name[:100]}`. {nearest(name, names)}"
        field = field_path(field or "", name)
    elif missing := re.search(r"missing required field `(.*)`", problem):
        problem = f"The required field `{missing[1]}` is missing."
        field = field_path(field or "", missing[1])
    elif problem.startswith("Expected `") and str(field).rpartition(".")[2] in TIME_FIELDS:
        problem = f"A time is text such as 2025-03-01T08:00:00Z, or 13 digits. {_plain(problem)}"
    elif problem.startswith("Expected `"):
        problem = _plain(problem)
    elif problem == "Number out of range":
        problem = "A number is larger than 1.8e308, the largest possible number."
    return RequestError(422, problem if problem.endswith(("?", ".")) else problem + ".", field)


def _plain(problem: str) -> str:
    """Replace msgspec's names of types by plain words.

    Examples
    --------
    >>> _plain("Expected `object | null`, got `array`")
    'Expected an object or null, got a list'
    >>> _plain("Expected `str` of length <= 200")
    'Expected text of at most 200 characters'
    """
    kinds = "|".join(KINDS)
    plain = re.sub(
        rf"`((?:{kinds})(?: \| (?:{kinds}))*)`",
        lambda match: " or ".join(KINDS[kind] for kind in match[1].split(" | ")),
        problem,
    )
    return re.sub(
        rf"({'|'.join(UNITS)}) of length <= (\d+)",
        lambda match: f"{match[1]} of at most {int(match[2]):,} {UNITS[match[1]]}",
        plain,
    )


def field_path(where: str, name: str) -> str:
    """Return the path of a field in the object at `where`, which is "" for the whole body.

    Examples
    --------
    >>> field_path("leads[3].attributes", "Lead Source"), field_path("", "as_of")
    ('leads[3].attributes.Lead Source', 'as_of')
    """
    shown = name[:100].replace("\0", "\ufffd")
    return f"{where}.{shown}" if where else shown


def attribute_error(attributes: Mapping[str, Any], where: str) -> RequestError | None:
    """Return an error that names the attribute whose cell is not valid, if there is one.

    msgspec does not name it.

    Parameters
    ----------
    attributes : mapping of str to (msgspec.Raw or cell)
        The cells as they were sent, decoded or not.
    where : str
        The place of the attributes in the request.

    Examples
    --------
    >>> attribute_error({"city": "Bonn", "size": msgspec.Raw(b"1e999")}, "leads[0].attributes")
    RequestError('A number is larger than 1.8e308, the largest possible number.')
    """
    for name, sent in attributes.items():
        try:
            cell = msgspec.json.decode(sent) if isinstance(sent, msgspec.Raw) else sent
            if problem := nested_cell_error({name: cell}, where):
                return problem
            msgspec.convert(cell, SentCell)
        except msgspec.ValidationError as error:
            return validation_error(str(error), field_path(where, name), SentCell)
    return None


def nested_cell_error(attributes: Mapping[str, Any], where: str) -> RequestError | None:
    """Return an error that names the attribute whose cell contains lists or objects."""
    for name, cell in attributes.items():
        items = cell if isinstance(cell, list) else [cell]
        if any(isinstance(item, dict | list) for item in items):
            kind = "a list of lists or objects" if isinstance(cell, list) else "an object"
            expected = "Expected text, a number, true, false, null or a list of these."
            message = f"`{name[:100]}` is {kind}. {expected}"
            return RequestError(422, message, field_path(where, name))
    return None


def _item_kind(kind: Any, field: str) -> Any:
    """Return the struct of the items of a field that is a list of structs, or null."""
    fields = {entry.name: entry.type for entry in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    options = getattr(fields[field], "types", (fields[field],))
    (items,) = [option for option in options if isinstance(option, msgspec.inspect.ListType)]
    return items.item_type.cls  # type: ignore[attr-defined]
