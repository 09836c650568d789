"""The body of `POST /score`, decoded strictly."""

from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from crm.cells import list_cell
from crm.times import NOT_A_TIME
from models.column_names import ColumnNames
from models.scorer import LeadCells
from serving.errors import RequestError
from serving.payloads.attributes import by_column_name, long_text_error
from serving.payloads.columns import (
    MAX_ID_CHARACTERS,
    ActivityPayload,
    Id,
    SentCell,
    StagePayload,
    Time,
    Whole,
)
from serving.payloads.event_rows import event_row
from serving.payloads.fields import ISO_TIMES, LocalTimes, read_optional_time
from serving.payloads.json_body import NUL, nul_error, read_body
from serving.payloads.json_errors import attribute_error, not_json, validation_error
from serving.settings import Settings

DEFAULT_REASONS = 3
LARGE_BODY = 512 * 1024  # bytes; its leads are decoded one by one, so that other threads run


class LeadPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """A lead: the CRM's id, the attributes by the CRM's names, and the history.

    An attribute with several values, such as a multiple choice, is a list. Without `attributes`,
    those that the ledger stores for the lead are used. A time of creation without a zone is UTC. It
    may also have the format of the column that the model learned from; then it is in the time zone
    of that table. An empty time counts as null.

    Attributes
    ----------
    may_have_lists : bool
        Whether an attribute can be a list. False if the decoder would have refused one.
    """

    may_have_lists: ClassVar[bool] = True

    attributes: Annotated[dict[str, SentCell], Meta(max_length=1_000)] | None = None
    lead_id: Id | Whole | None = None
    created_at: Time | None = None
    activities: Annotated[list[ActivityPayload], Meta(max_length=10_000)] | None = None
    stages: Annotated[list[StagePayload], Meta(max_length=1_000)] | None = None


class _RawAttributes(Struct):
    """The attributes of a lead, not decoded."""

    attributes: dict[str, msgspec.Raw]


class ScoreRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The leads to score. An invalid lead does not affect the other leads of the request."""

    leads: list[msgspec.Raw]
    as_of: Time | None = None
    reasons: Annotated[int, Meta(ge=0, le=1_000)] | None = DEFAULT_REASONS


class NoFields(Struct, forbid_unknown_fields=True):
    """An empty object."""


def read_score_request(
    body: bytes, settings: Settings
) -> tuple[list[LeadPayload | RequestError], int, int]:
    """Read the body of `POST /score`.

    Returns
    -------
    list of LeadPayload or RequestError
        One per lead, in the order in which they were sent.
    int
        The moment of scoring in microseconds since 1970 UTC; `NOT_A_TIME` if none is sent.
    int
        The largest number of reasons of each score.

    Raises
    ------
    RequestError
        400 if the body is not JSON; 422 if the request as a whole is invalid.

    Examples
    --------
    >>> body = b'{"leads": [{"attributes": {"city": "Bonn"}}, {"attributes": {"city": {}}}]}'
    >>> (good, bad), as_of, n_reasons = read_score_request(body, Settings())
    >>> good.attributes
    {'city': 'Bonn'}
    >>> bad.field, bad.message.partition(".")[0]
    ('leads[1].attributes.city', '`city` is an object')
    """
    valid = _valid_request(body, settings) if len(body) < LARGE_BODY else None
    if valid is not None:
        as_of = read_optional_time(valid.as_of, "as_of")
        return [*valid.leads], as_of, _n_reasons(valid.reasons)
    request, has_nul = read_body(body, ScoreRequest)
    if not 0 < len(request.leads) <= settings.max_leads:
        raise RequestError(
            422,
            f"`leads` has {len(request.leads):,} leads. Expected 1 to {settings.max_leads:,}.",
            "leads",
        )
    as_of = read_optional_time(request.as_of, "as_of")
    leads = [_read_lead(raw, i, settings, has_nul) for i, raw in enumerate(request.leads)]
    return leads, as_of, _n_reasons(request.reasons)


def _valid_request(body: bytes, settings: Settings) -> Any:
    """Decode a valid request at once; None if something is wrong with it, or with a lead."""
    may_have_lists = body.count(b"[") > 1  # besides the list of leads
    try:
        decoder = _whole_request(settings.max_string_characters, may_have_lists)
        request = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    is_valid = NUL not in body and 0 < len(request.leads) <= settings.max_leads
    return request if is_valid else None


def _n_reasons(reasons: int | None) -> int:
    return DEFAULT_REASONS if reasons is None else reasons


@cache
def _whole_request(longest: int, may_have_lists: bool) -> msgspec.json.Decoder[Any]:
    """Build a decoder for valid requests, which decodes each lead only once."""
    text: Any = Annotated[str, Meta(max_length=longest)]
    cell: Any = text | int | float | bool | None
    if may_have_lists:
        cell |= Annotated[list[cell], Meta(max_length=1_000)]
    attributes = Annotated[dict[text, cell], Meta(max_length=1_000)] | None
    lead: Any = msgspec.defstruct(
        "Lead",
        [("attributes", attributes, None)],
        bases=(LeadPayload,),
        namespace={"may_have_lists": may_have_lists},
    )
    whole = msgspec.defstruct("Request", [("leads", list[lead])], bases=(ScoreRequest,))
    return msgspec.json.Decoder(whole)


def with_lead_id(lead: LeadPayload, id_column: str, names: ColumnNames) -> LeadPayload:
    """Return a lead without an id with the attribute that is the CRM's column of ids as its id.

    Parameters
    ----------
    lead : LeadPayload
    id_column : str
        The CRM's name of the column.
    names : ColumnNames
        The columns that the model knows.

    Examples
    --------
    >>> lead = LeadPayload(attributes={"LEAD_ID": "L1", "Size": 3})
    >>> lead = with_lead_id(lead, "Lead ID", ColumnNames(["Lead ID", "Size"]))
    >>> lead.lead_id, lead.attributes
    ('L1', {'Size': 3})
    """
    attributes = lead.attributes or {}
    if id_column not in attributes and attributes.keys() <= names.known:
        return lead
    name = id_column if id_column in attributes else names.used_names(attributes).get(id_column)
    lead_id = None if name is None else attributes[name]
    is_text = isinstance(lead_id, str) and len(lead_id) <= MAX_ID_CHARACTERS
    if not is_text and (not isinstance(lead_id, int) or isinstance(lead_id, bool)):
        return lead
    rest = {other: cell for other, cell in attributes.items() if other != name}
    return msgspec.structs.replace(lead, lead_id=lead_id, attributes=rest or None)


def lead_cells(
    lead: LeadPayload,
    where: str,
    roles: Mapping[str, str],
    known_columns: Set[str],
    local: LocalTimes = ISO_TIMES,
) -> LeadCells:
    """Convert a lead as it was sent into what the scorer reads.

    Parameters
    ----------
    lead : LeadPayload
    where : str
        The lead's place in the request.
    roles : mapping of str to str
        The columns by role, as in `LeadScorer.roles`.
    known_columns : set of str
        Names of attributes that need no check.
    local : LocalTimes
        The format of the column of creation times, which is accepted besides ISO 8601.

    Raises
    ------
    RequestError
        422 if an attribute's name cannot be a column's name, a time is not valid, or the name of
        an activity or a stage is empty.
    """
    cells: dict[str, Any] = {} if lead.attributes is None else lead.attributes
    if not cells.keys() <= known_columns:
        cells = by_column_name(cells, f"{where}.attributes" if where else "")
    if lead.may_have_lists and list in map(type, cells.values()):
        cells |= {name: list_cell(cell) for name, cell in cells.items() if type(cell) is list}
    cells[roles["lead_id"]] = lead.lead_id  # the dictionary belongs to this lead alone
    created_at = NOT_A_TIME
    if lead.created_at is not None:
        field = f"{where}.created_at".lstrip(".")
        created_at = read_optional_time(lead.created_at, field, local)
    return LeadCells(
        cells=cells,
        created_at=created_at,
        activities=_event_rows("activities", lead.activities, where),
        stages=_event_rows("stages", lead.stages, where),
    )


def _event_rows(table: str, events: Sequence[Struct] | None, where: str) -> Sequence[Any]:
    if not events:
        return ()
    return [event_row(table, event, f"{where}.{table}[{i}]") for i, event in enumerate(events)]


def _read_lead(
    raw: msgspec.Raw, position: int, settings: Settings, has_nul: bool
) -> LeadPayload | RequestError:
    where = f"leads[{position}]"
    try:
        lead = msgspec.json.decode(raw, type=LeadPayload)
    except msgspec.ValidationError as error:
        problem = None
        if "`$.attributes[" in str(error):
            sent = msgspec.json.decode(raw, type=_RawAttributes).attributes
            problem = attribute_error(sent, f"{where}.attributes")
        return problem or validation_error(str(error), where, LeadPayload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return not_json(raw, error, where)
    if has_nul and (problem := nul_error(msgspec.json.decode(raw), where)):
        return problem
    max_characters = settings.max_string_characters
    if len(raw) <= max_characters:
        return lead  # no text in it can be longer
    return long_text_error(lead.attributes or {}, f"{where}.attributes", max_characters) or lead
