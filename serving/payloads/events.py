"""What callers send to be kept: activities, stages, outcomes; read item by item."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from crm.tables import EVENT_TABLES
from serving.errors import RequestError
from serving.payloads.columns import Whole, payload_struct
from serving.payloads.score import (
    event_row,
    invalid,
    ledger_row,
    no_json,
    read_body,
    read_text,
    zero_character,
)

MAX_ITEMS: Final = 1_000


ActivityItem = payload_struct("ActivityItem", EVENT_TABLES["activities"], with_lead_id=True)
StageItem = payload_struct("StageItem", EVENT_TABLES["stages"], with_lead_id=True)
OutcomeItem = payload_struct("OutcomeItem", EVENT_TABLES["outcomes"], with_lead_id=True)


class ActivitiesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /activities`."""

    activities: list[msgspec.Raw]


class StagesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /stages`."""

    stages: list[msgspec.Raw]


class OutcomesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /outcomes`."""

    outcomes: list[msgspec.Raw]


class LeadRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /lead` and `POST /erase`."""

    lead_id: Annotated[str, Meta(min_length=1, max_length=200)] | Whole


def read_lead_id(body: bytes) -> str:
    """Read the body of a call about one lead.

    Raises
    ------
    RequestError
        400 if the body is no JSON; 422 if it names no lead.
    """
    request, has_zero = read_body(body, LeadRequest)
    if has_zero and (found := zero_character(request.lead_id, "lead_id")):
        raise found
    return read_text(request.lead_id, "lead_id")


def read_items(kind: str, body: bytes) -> list[dict[str, Any] | RequestError]:
    """Read the body of `POST /activities`, `/stages` or `/outcomes`.

    Returns
    -------
    list of dict or RequestError
        One per item, in the order they were sent: a row for `crm.ledger.ledger`, or the error.

    Raises
    ------
    RequestError
        400 if the body is no JSON; 422 if the request as a whole is not understood.

    Examples
    --------
    >>> body = b'{"outcomes": [{"lead_id": 7, "outcome": true}, {"lead_id": " ", "outcome": 1}]}'
    >>> good, bad = read_items("outcomes", body)
    >>> good["lead_id"], good["outcome"], good["closed_at"]
    ('7', 'true', None)
    >>> bad.field, bad.message
    ('outcomes[1].lead_id', '`lead_id` is empty.')
    """
    request, item = _KINDS[kind]
    sent, has_zero = read_body(body, request)
    raws = getattr(sent, kind)
    if not 0 < len(raws) <= MAX_ITEMS:
        raise RequestError(
            422, f"`{kind}` holds {len(raws):,} items. Expected 1 to {MAX_ITEMS:,}.", kind
        )
    return [_read_item(raw, f"{kind}[{i}]", kind, item, has_zero) for i, raw in enumerate(raws)]


def _read_item(
    raw: msgspec.Raw,
    where: str,
    kind: str,
    item: type[Struct],
    has_zero: bool,
) -> dict[str, Any] | RequestError:
    try:
        event: Any = msgspec.json.decode(raw, type=item)
        if has_zero and (found := zero_character(msgspec.json.decode(raw), where)):
            return found
        row = event_row(kind, event, where)
        return ledger_row(row, read_text(event.lead_id, f"{where}.lead_id"))
    except msgspec.ValidationError as error:
        return invalid(str(error), where, item)
    except RequestError as error:
        return error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return no_json(raw, error, where)


_KINDS: Final[dict[str, tuple[type[Struct], type[Struct]]]] = {
    "activities": (ActivitiesRequest, ActivityItem),
    "stages": (StagesRequest, StageItem),
    "outcomes": (OutcomesRequest, OutcomeItem),
}
