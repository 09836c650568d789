"""What callers send and get: read strictly, answered plainly."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from crm.project import nearest
from features.moments import NOT_A_TIME
from features.times import cell_time
from models.scorer import LeadCells, Score
from serving.errors import RequestError
from serving.settings import Settings

Cell = str | int | float | bool | None
DEFAULT_REASONS = 3
Text = Annotated[str, Meta(max_length=1_000)]


class ActivityPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """One activity; its time is ISO 8601, and UTC where it names no zone."""

    type: Text
    occurred_at: str
    activity_id: Text | int | None = None
    content: Text | int | None = None
    channel: Text | int | None = None
    value: float | None = None


class StagePayload(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry into a stage of the funnel."""

    stage: Text
    entered_at: str


class LeadPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """One lead: its id as the CRM has it, its attributes under the CRM's names, its history."""

    attributes: Annotated[dict[str, Cell], Meta(max_length=1_000)]
    lead_id: Annotated[str, Meta(max_length=200)] | int | None = None
    created_at: str | None = None
    activities: Annotated[list[ActivityPayload], Meta(max_length=10_000)] = []
    stages: Annotated[list[StagePayload], Meta(max_length=1_000)] = []


class ScoreRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /score`. Each lead is read on its own, so that one bad lead spoils no batch."""

    leads: list[msgspec.Raw]
    as_of: str | None = None
    reasons: Annotated[int, Meta(ge=0, le=1_000)] = DEFAULT_REASONS


def read_score_request(
    body: bytes, settings: Settings
) -> tuple[list[LeadPayload | RequestError], int, int]:
    """Read the body of `POST /score`.

    Returns
    -------
    list of LeadPayload or RequestError
        One per lead, in the order they were sent.
    int
        The moment of scoring in microseconds since 1970 UTC; `NOT_A_TIME` if none is named.
    int
        How many reasons each score shall have at most.

    Raises
    ------
    RequestError
        400 if the body is no JSON; 422 if the request as a whole is not understood.

    Examples
    --------
    >>> body = b'{"leads": [{"attributes": {"city": "Bonn"}}, {"attributes": {"city": []}}]}'
    >>> (good, bad), as_of, n_reasons = read_score_request(body, Settings())
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
    as_of = NOT_A_TIME if request.as_of is None else _time(request.as_of, "as_of")
    leads = [_read_lead(raw, i, settings) for i, raw in enumerate(request.leads)]
    return leads, as_of, request.reasons


def lead_cells(lead: LeadPayload, where: str, roles: Mapping[str, str]) -> LeadCells:
    """Turn a lead as it was sent into what the scorer takes.

    Raises
    ------
    RequestError
        422 if a time is no time.
    """
    cells = {**lead.attributes, roles["lead_id"]: lead.lead_id}
    created = lead.created_at
    return LeadCells(
        cells=cells,
        created_at=NOT_A_TIME if created is None else _time(created, f"{where}.created_at"),
        activities=[
            {
                "type": activity.type,
                "occurred_at": _time(activity.occurred_at, f"{where}.activities[{i}].occurred_at"),
                "activity_id": activity.activity_id,
                "content": activity.content,
                "channel": activity.channel,
            }
            for i, activity in enumerate(lead.activities)
        ],
        stages=[
            {
                "stage": entry.stage,
                "entered_at": _time(entry.entered_at, f"{where}.stages[{i}].entered_at"),
            }
            for i, entry in enumerate(lead.stages)
        ],
    )


def _time(text: str, field: str) -> int:
    time = cell_time(text)
    if time == NOT_A_TIME:
        raise RequestError(
            422, f"{text[:60]!r} is no time. Expected ISO 8601 such as 2025-03-01T08:00:00Z.", field
        )
    return time


def score_body(score: Score) -> dict[str, Any]:
    """One scored lead in the answer."""
    return {
        "lead_id": score.lead_id,
        "probability": score.probability,
        "score": score.score,
        "grade": score.grade,
        "reasons": [
            {"signal": reason.signal, "points": round(reason.points, 2), "text": reason.text}
            for reason in score.reasons
        ],
        "start": None if score.start is None else round(score.start, 2),
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
