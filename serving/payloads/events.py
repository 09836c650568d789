"""What callers send to be kept: activities, stages, outcomes; read item by item."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from serving.errors import RequestError
from serving.payloads.score import (
    ActivityPayload,
    Id,
    StagePayload,
    Text,
    Time,
    Whole,
    activity_row,
    invalid,
    ledger_row,
    no_json,
    read_body,
    read_text,
    read_time,
    stage_row,
    zero_character,
)

MAX_ITEMS: Final = 1_000


class ActivityItem(ActivityPayload, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One activity of one lead."""

    lead_id: Id | Whole


class StageItem(StagePayload, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One lead's entry into a stage of the funnel."""

    lead_id: Id | Whole


class OutcomeItem(Struct, frozen=True, forbid_unknown_fields=True):
    """How one lead ended, in the CRM's own word; the project file says which words are won."""

    lead_id: Id | Whole
    outcome: Text | Whole | float | bool
    closed_at: Time | None = None
    outcome_id: Id | Whole | None = None
    amount: float | None = None
    reason: Text | Whole | None = None


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
    request, item, row = _KINDS[kind]
    sent, has_zero = read_body(body, request)
    raws = getattr(sent, kind)
    if not 0 < len(raws) <= MAX_ITEMS:
        raise RequestError(
            422, f"`{kind}` holds {len(raws):,} items. Expected 1 to {MAX_ITEMS:,}.", kind
        )
    return [_read_item(raw, f"{kind}[{i}]", item, row, has_zero) for i, raw in enumerate(raws)]


def _read_item(
    raw: msgspec.Raw,
    where: str,
    item: type[Struct],
    row: Callable[[Any, str], dict[str, Any]],
    has_zero: bool,
) -> dict[str, Any] | RequestError:
    try:
        read = msgspec.json.decode(raw, type=item)
        if has_zero and (found := zero_character(msgspec.json.decode(raw), where)):
            return found
        return row(read, where)
    except msgspec.ValidationError as error:
        return invalid(str(error), where, item)
    except RequestError as error:
        return error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return no_json(raw, error, where)


def _activity(item: ActivityItem, where: str) -> dict[str, Any]:
    return ledger_row(activity_row(item, where), read_text(item.lead_id, f"{where}.lead_id"))


def _stage(item: StageItem, where: str) -> dict[str, Any]:
    return ledger_row(stage_row(item, where), read_text(item.lead_id, f"{where}.lead_id"))


def _outcome(item: OutcomeItem, where: str) -> dict[str, Any]:
    closed = item.closed_at
    row = {
        "outcome": read_text(item.outcome, f"{where}.outcome"),
        "closed_at": None if closed is None else read_time(closed, f"{where}.closed_at"),
        "outcome_id": item.outcome_id,
        "amount": item.amount,
        "reason": item.reason,
    }
    return ledger_row(row, read_text(item.lead_id, f"{where}.lead_id"))


_KINDS: Final[
    dict[str, tuple[type[Struct], type[Struct], Callable[[Any, str], dict[str, Any]]]]
] = {
    "activities": (ActivitiesRequest, ActivityItem, _activity),
    "stages": (StagesRequest, StageItem, _stage),
    "outcomes": (OutcomesRequest, OutcomeItem, _outcome),
}
