"""The bodies of `/activities`, `/stages`, `/outcomes`, `/lead` and `/erase`."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from crm.tables import EVENT_TABLES
from serving.errors import RequestError
from serving.payloads.columns import Whole, payload_struct
from serving.payloads.event_rows import event_row, ledger_row
from serving.payloads.fields import read_text
from serving.payloads.json_body import nul_error, read_body
from serving.payloads.json_errors import not_json, validation_error

MAX_ITEMS: Final = 1_000

ActivityItem = payload_struct("ActivityItem", EVENT_TABLES["activities"], with_lead_id=True)
StageItem = payload_struct("StageItem", EVENT_TABLES["stages"], with_lead_id=True)
OutcomeItem = payload_struct("OutcomeItem", EVENT_TABLES["outcomes"], with_lead_id=True)


class ActivitiesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The activities to store, from 1 to 1,000."""

    activities: list[msgspec.Raw]


class StagesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The stages to store, from 1 to 1,000."""

    stages: list[msgspec.Raw]


class OutcomesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The outcomes to store, from 1 to 1,000."""

    outcomes: list[msgspec.Raw]


class LeadRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the lead in the CRM."""

    lead_id: Annotated[str, Meta(min_length=1, max_length=200)] | Whole


def read_lead_id(body: bytes) -> str:
    """Read the body of a call about one lead.

    Raises
    ------
    RequestError
        400 if the body is not JSON; 422 if it names no lead.
    """
    request, has_nul = read_body(body, LeadRequest)
    if has_nul and (problem := nul_error(request.lead_id, "lead_id")):
        raise problem
    return read_text(request.lead_id, "lead_id")


def read_items(table: str, body: bytes) -> list[dict[str, Any] | RequestError]:
    """Read the body of `POST /activities`, `/stages` or `/outcomes`.

    Returns
    -------
    list of dict or RequestError
        One per item, in the order in which they were sent: a row of the ledger, or the error.

    Raises
    ------
    RequestError
        400 if the body is not JSON; 422 if the request as a whole is invalid.

    Examples
    --------
    >>> body = b'{"outcomes": [{"lead_id": 7, "outcome": true}, {"lead_id": " ", "outcome": 1}]}'
    >>> good, bad = read_items("outcomes", body)
    >>> good["lead_id"], good["outcome"], good["closed_at"]
    ('7', 'true', None)
    >>> bad.field, bad.message
    ('outcomes[1].lead_id', '`lead_id` is empty. Send a value.')
    """
    request, item = _STRUCTS[table]
    sent, has_nul = read_body(body, request)
    raws = getattr(sent, table)
    if not 0 < len(raws) <= MAX_ITEMS:
        raise RequestError(
            422, f"`{table}` has {len(raws):,} items. Expected 1 to {MAX_ITEMS:,}.", table
        )
    return [_read_item(raw, f"{table}[{i}]", table, item, has_nul) for i, raw in enumerate(raws)]


def _read_item(
    raw: msgspec.Raw, where: str, table: str, item: type[Struct], has_nul: bool
) -> dict[str, Any] | RequestError:
    try:
        event: Any = msgspec.json.decode(raw, type=item)
        if has_nul and (problem := nul_error(msgspec.json.decode(raw), where)):
            return problem
        row = event_row(table, event, where)
        return ledger_row(row, read_text(event.lead_id, f"{where}.lead_id"))
    except msgspec.ValidationError as error:
        return validation_error(str(error), where, item)
    except RequestError as error:
        return error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return not_json(raw, error, where)


_STRUCTS: Final[dict[str, tuple[type[Struct], type[Struct]]]] = {
    "activities": (ActivitiesRequest, ActivityItem),
    "stages": (StagesRequest, StageItem),
    "outcomes": (OutcomesRequest, OutcomeItem),
}
