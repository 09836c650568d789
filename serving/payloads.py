"""What callers send and get: read strictly, answered plainly."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from crm.project import nearest
from models.scorer import Score
from serving.errors import RequestError
from serving.settings import Settings

Cell = str | int | float | bool | None


class LeadPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """One lead: its id as the CRM has it, and its attributes under the CRM's names."""

    attributes: Annotated[dict[str, Cell], Meta(max_length=1_000)]
    lead_id: Annotated[str, Meta(max_length=200)] | int | None = None


class ScoreRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /score`. Each lead is read on its own, so that one bad lead spoils no batch."""

    leads: list[msgspec.Raw]


def read_score_request(body: bytes, settings: Settings) -> list[LeadPayload | RequestError]:
    """Read the body of `POST /score`.

    Returns
    -------
    list of LeadPayload or RequestError
        One per lead, in the order they were sent.

    Raises
    ------
    RequestError
        400 if the body is no JSON; 422 if the request as a whole is not understood.

    Examples
    --------
    >>> body = b'{"leads": [{"attributes": {"city": "Bonn"}}, {"attributes": {"city": []}}]}'
    >>> good, bad = read_score_request(body, Settings())
    >>> good.attributes
    {'city': 'Bonn'}
    >>> bad.field, bad.message
    ('leads[1].attributes', '`city` is a list. Expected text, a number, true, false or null.')
    """
    try:
        request = msgspec.json.decode(body, type=ScoreRequest)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "", ScoreRequest) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"The body is not valid JSON: {error}.") from None
    if not 0 < len(request.leads) <= settings.max_leads:
        raise RequestError(
            422,
            f"`leads` holds {len(request.leads):,} leads. Expected 1 to {settings.max_leads:,}.",
            "leads",
        )
    return [_read_lead(raw, i, settings) for i, raw in enumerate(request.leads)]


def score_body(score: Score) -> dict[str, Any]:
    """One scored lead in the answer."""
    return {
        "lead_id": score.lead_id,
        "probability": score.probability,
        "score": score.score,
        "grade": score.grade,
        "warnings": score.warnings,
    }


def _read_lead(raw: msgspec.Raw, position: int, settings: Settings) -> LeadPayload | RequestError:
    where = f"leads[{position}]"
    try:
        lead = msgspec.json.decode(raw, type=LeadPayload)
    except msgspec.ValidationError as error:
        return _odd_cell(raw, where) or _invalid(str(error), where, LeadPayload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"The body is not valid JSON: {error}.", where) from None
    longest = settings.max_string_characters
    for name, cell in lead.attributes.items():
        if len(name) > longest or (isinstance(cell, str) and len(cell) > longest):
            return RequestError(
                422,
                f"The text of `{name[:100]}` has {max(len(name), len(str(cell))):,} characters. "
                f"Expected at most {longest:,}.",
                f"{where}.attributes",
            )
    return lead


def _odd_cell(raw: msgspec.Raw, where: str) -> RequestError | None:
    """Name the attribute that holds no single value; msgspec does not."""
    lead = msgspec.json.decode(raw)
    attributes = lead.get("attributes") if isinstance(lead, dict) else None
    for name, cell in attributes.items() if isinstance(attributes, dict) else ():
        if isinstance(cell, dict | list):
            kind = "a list" if isinstance(cell, list) else "an object"
            message = f"`{name[:100]}` is {kind}. Expected text, a number, true, false or null."
            return RequestError(422, message, f"{where}.attributes")
    return None


def _invalid(message: str, where: str, kind: type[Struct]) -> RequestError:
    what, _, path = message.partition(" - at `$")
    field = (where + path.rstrip("`")).lstrip(".") or None
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown:
        known = [entry.name for entry in msgspec.structs.fields(kind)]
        what = f"Unknown field `{unknown[1][:100]}`. {nearest(unknown[1], known)}"
        field = f"{where}.{unknown[1][:100]}".lstrip(".")
    elif "missing required field" in what:
        what = what.replace("Object missing", "The object lacks the")
        what = what.replace("the required field", "required field")
    return RequestError(422, what if what.endswith(("?", ".")) else what + ".", field)
