"""Decodes request bodies from JSON, also those that are slightly broken."""

import re
from typing import Any, Final, TypeVar

import msgspec

from serving.errors import RequestError
from serving.payloads.json_errors import field_path, not_json, validation_error

Kind = TypeVar("Kind")
NUL: Final = b"\\u0000"  # JSON's escape for NUL; a raw NUL is invalid JSON
BOM: Final = b"\xef\xbb\xbf"  # some Windows programs write it before UTF-8
SURROGATES: Final = re.compile(  # an escaped backslash, a surrogate pair, or half of a pair
    rb"""\\\\
    | \\u d[89ab][0-9a-f]{2} \\u d[c-f][0-9a-f]{2}
    | (?P<half> \\u d[89a-f][0-9a-f]{2} )""",
    re.IGNORECASE | re.VERBOSE,
)


def read_body(body: bytes, kind: type[Kind]) -> tuple[Kind, bool]:
    """Decode a body as one kind of request.

    Half of a surrogate pair, which JSON can write and text cannot contain, is decoded as NUL.
    `nul_error` then refuses the item that contains it, and no other part of the request.

    Returns
    -------
    Kind
    bool
        Whether a text in it may contain NUL.

    Raises
    ------
    RequestError
        400 if the body is not JSON; 422 if it is not the expected kind.

    Examples
    --------
    >>> read_body(b'{"lead_id": "A7"}', dict[str, str])
    ({'lead_id': 'A7'}, False)
    >>> read_body(b"lead_id=A7", dict[str, str])
    Traceback (most recent call last):
        ...
    serving.errors.RequestError: The body does not begin like a JSON object, {…}. Is it a form, ...
    """
    try:
        return msgspec.json.decode(body, type=kind), NUL in body
    except msgspec.ValidationError as error:
        raise validation_error(str(error), "", kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        repaired = SURROGATES.sub(lambda match: NUL if match["half"] else match[0], body)
        repaired = repaired.removeprefix(BOM)
        if repaired != body:
            return read_body(repaired, kind)
        raise not_json(body, error) from None


def nul_error(content: Any, where: str) -> RequestError | None:
    r"""Return an error if a text contains NUL, which neither databases nor CSV files accept.

    `read_body` decodes half of a surrogate pair as NUL.

    Examples
    --------
    >>> nul_error({"city": ["Bonn", "\0"]}, "leads[0].attributes").field
    'leads[0].attributes.city[1]'
    """
    remaining = [(where, content)]
    while remaining:
        path, value = remaining.pop()
        if isinstance(value, dict):
            for name, item in value.items():
                field = field_path(path, name)
                remaining += [(field, name), (field, item)]
        elif isinstance(value, list):
            remaining += [(f"{path}[{i}]", item) for i, item in enumerate(value)]
        elif isinstance(value, str) and "\0" in value:
            message = (
                "A text contains a zero character (\\u0000) or half of a surrogate pair, such as "
                "\\ud83d without its second half. Remove it."
            )
            return RequestError(422, message, path)
    return None
