"""What callers send and get: read strictly, answered plainly."""

import re
from collections.abc import Mapping, Set
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from crm.cells import cell_text
from crm.sources.checks import MAX_NAME_CHARACTERS, column_name
from crm.suggest import nearest
from crm.tables import EVENT_TABLES, TABLES
from crm.times import NOT_A_TIME
from features.times import cell_time
from models.scorer import LeadCells
from serving.errors import RequestError
from serving.payloads.columns import ActivityPayload, Cell, Id, StagePayload, Time, Whole
from serving.settings import Settings

Kind = TypeVar("Kind")
DEFAULT_REASONS = 3
ZERO = b"\\u0000"  # how JSON writes a zero character; unescaped it is no JSON
BOM = b"\xef\xbb\xbf"  # what some Windows programs put before UTF-8
SURROGATES = re.compile(  # a backslash of the text itself, a whole pair, or half a one
    rb"""\\\\
    | \\u d[89ab][0-9a-f]{2} \\u d[c-f][0-9a-f]{2}
    | (?P<half> \\u d[89a-f][0-9a-f]{2} )""",
    re.IGNORECASE | re.VERBOSE,
)
NUMBERS_AND_TIMES = frozenset(
    column.name
    for table in TABLES.values()
    for column in table.columns
    if column.kind in ("number", "time")
)
TIME_FIELDS = frozenset(
    {"as_of", *(c.name for table in TABLES.values() for c in table.columns if c.kind == "time")}
)
EARLIEST, LATEST = cell_time("1900-01-01"), cell_time("2200-01-01")


class LeadPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """One lead: its id as the CRM has it, its attributes under the CRM's names, its history.

    Without `attributes` the ones that the ledger holds of the lead are used.
    """

    attributes: Annotated[dict[str, Cell], Meta(max_length=1_000)] | None = None
    lead_id: Id | Whole | None = None
    created_at: Time | None = None
    activities: Annotated[list[ActivityPayload], Meta(max_length=10_000)] | None = None
    stages: Annotated[list[StagePayload], Meta(max_length=1_000)] | None = None


class ScoreRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /score`. Each lead is read on its own, so that one bad lead spoils no batch."""

    leads: list[msgspec.Raw]
    as_of: Time | None = None
    reasons: Annotated[int, Meta(ge=0, le=1_000)] | None = DEFAULT_REASONS


class NoFields(Struct, forbid_unknown_fields=True):
    """An empty object."""


NESTED: Final[dict[str, Any]] = {"activities": ActivityPayload, "stages": StagePayload}


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
        whole = _whole_request(settings.max_string_characters).decode(body)
        if ZERO not in body and 0 < len(whole.leads) <= settings.max_leads:
            return [*whole.leads], _moment(whole.as_of), _number_of(whole.reasons)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # what is wrong, and with which lead, is told below
    request, has_zero = read_body(body, ScoreRequest)
    if not 0 < len(request.leads) <= settings.max_leads:
        raise RequestError(
            422,
            f"`leads` holds {len(request.leads):,} leads. Expected 1 to {settings.max_leads:,}.",
            "leads",
        )
    as_of = _moment(request.as_of)
    leads = [_read_lead(raw, i, settings, has_zero) for i, raw in enumerate(request.leads)]
    return leads, as_of, _number_of(request.reasons)


def _number_of(reasons: int | None) -> int:
    return DEFAULT_REASONS if reasons is None else reasons


def _moment(as_of: str | int | None) -> int:
    return NOT_A_TIME if as_of is None else read_time(as_of, "as_of")


@cache
def _whole_request(longest: int) -> msgspec.json.Decoder[Any]:
    """Read a request in which all is well at once, without reading each lead a second time."""
    text: Any = Annotated[str, Meta(max_length=longest)]
    cell: Any = text | int | float | bool | None
    attributes = Annotated[dict[text, cell], Meta(max_length=1_000)] | None
    lead: Any = msgspec.defstruct("Lead", [("attributes", attributes, None)], bases=(LeadPayload,))
    whole = msgspec.defstruct("Request", [("leads", list[lead])], bases=(ScoreRequest,))
    return msgspec.json.Decoder(whole)


def read_body(body: bytes, kind: type[Kind]) -> tuple[Kind, bool]:
    """Read a body as one kind of request.

    Half a surrogate pair, which JSON can write and no text can hold, is read as a zero
    character: it is refused where it stands, and spoils nothing else of a request.

    Returns
    -------
    Kind
    bool
        Whether a text in it may hold a zero character.

    Raises
    ------
    RequestError
        400 if the body is no JSON; 422 if it is not what was expected.

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
        return msgspec.json.decode(body, type=kind), ZERO in body
    except msgspec.ValidationError as error:
        raise invalid(str(error), "", kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        mended = SURROGATES.sub(lambda found: ZERO if found["half"] else found[0], body)
        mended = mended.removeprefix(BOM)
        if mended != body:
            return read_body(mended, kind)
        raise no_json(body, error) from None


def no_json(body: bytes | msgspec.Raw, error: Exception, where: str = "") -> RequestError:
    """Say why a text is no JSON, and what a caller most likely did."""
    text = bytes(body).strip()
    if isinstance(error, UnicodeDecodeError):
        said = "is not UTF-8. Send its text in UTF-8, or escape what is not ASCII."
    elif isinstance(error, RecursionError):
        said = "is nested too deeply. Expected what the contract shows."
    elif not text:
        said = "is empty. Expected a JSON object, {…}."
    elif not text.startswith(b"{"):
        said = (
            "does not begin like a JSON object, {…}. Is it a form, XML, compressed, or UTF-16? "
            "Expected plain JSON in UTF-8."
        )
    else:
        said = f"is not valid JSON: {error}."
    return RequestError(400, f"The {'lead' if where else 'body'} {said}", where or None)


def lead_cells(
    lead: LeadPayload, where: str, roles: Mapping[str, str], known: Set[str]
) -> LeadCells:
    """Turn a lead as it was sent into what the scorer takes.

    Parameters
    ----------
    lead : LeadPayload
    where : str
        Its place in the request.
    roles : mapping of str to str
        As `LeadScorer` has them.
    known : set of str
        Names of attributes that need no look.

    Raises
    ------
    RequestError
        422 if an attribute's name cannot be a column's, a time is no time, or an activity or a
        stage has no name.
    """
    cells: dict[str, Any] = {} if lead.attributes is None else lead.attributes
    if not cells.keys() <= known:
        cells = named(cells, f"{where}.attributes" if where else None)
    cells[roles["lead_id"]] = lead.lead_id  # in the dictionary that was made for this lead alone
    created = lead.created_at
    return LeadCells(
        cells=cells,
        created_at=(
            NOT_A_TIME if created is None else read_time(created, f"{where}.created_at".lstrip("."))
        ),
        activities=[
            event_row("activities", activity, f"{where}.activities[{i}]")
            for i, activity in enumerate(lead.activities or ())
        ],
        stages=[
            event_row("stages", entry, f"{where}.stages[{i}]")
            for i, entry in enumerate(lead.stages or ())
        ],
    )


def named(cells: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """Give attributes under names that can be columns' names: a ledger's export has them so.

    Raises
    ------
    RequestError
        422 if a name is blank, too long, or there twice but for white space around it.

    Examples
    --------
    >>> named({" size": 3}, None)
    {'size': 3}
    """
    found: dict[str, Any] = {}
    for name, cell in cells.items():
        bare = column_name(name)
        if not bare:
            raise RequestError(422, f"The name of an attribute is blank: {name[:100]!r}.", where)
        if len(bare) > MAX_NAME_CHARACTERS:
            raise RequestError(
                422,
                f"The name `{bare[:100]}` has {len(bare):,} characters. "
                f"Expected at most {MAX_NAME_CHARACTERS:,}.",
                where,
            )
        if bare in found:
            raise RequestError(
                422,
                f"`{bare[:100]}` stands twice, with other white space around it. Send it once.",
                where,
            )
        found[bare] = cell
    return found


def event_row(kind: str, event: Struct, where: str) -> dict[str, Any]:
    """Turn an activity, a stage or an outcome as it was sent into a row as the scorer takes it.

    Parameters
    ----------
    kind : str
        "activities", "stages" or "outcomes".
    event : Struct
        As `serving.payloads.columns.payload_struct` builds it.
    where : str
        The path of the event in the request, for the error.

    Raises
    ------
    RequestError
        422 if a required text is blank, or a time is not a valid time.
    """
    row: dict[str, Any] = {}
    for column in EVENT_TABLES[kind].columns[1:]:
        name = column.name
        cell = getattr(event, name)
        if column.kind == "time" and cell is not None:
            cell = read_time(cell, f"{where}.{name}")
        elif column.kind == "value":
            cell = read_text(cell, f"{where}.{name}")
        elif column.kind == "text" and column.required and not cell.strip():
            raise _empty(f"{where}.{name}")
        row[name] = cell
    return row


def ledger_row(row: Mapping[str, Any], lead_id: str) -> dict[str, Any]:
    """Turn an event's row into one as the ledger takes it: of a lead, texts in their one form.

    Examples
    --------
    >>> ledger_row({"type": " Page  view", "occurred_at": 7, "activity_id": 1}, "L1")
    {'lead_id': 'L1', 'type': 'Page view', 'occurred_at': 7, 'activity_id': '1'}
    """
    own = {
        name: cell if name in NUMBERS_AND_TIMES else cell_text(cell) for name, cell in row.items()
    }
    return {"lead_id": lead_id} | own


def read_text(cell: Cell, field: str) -> str:
    """Read a text that must say something.

    Raises
    ------
    RequestError
        422 if it is missing or blank.
    """
    text = cell_text(cell)
    if text is None:
        raise _empty(field)
    return text


def _empty(field: str) -> RequestError:
    return RequestError(422, f"`{field.rpartition('.')[2]}` is empty.", field)


def read_time(sent: str | int, field: str) -> int:
    """Read a time as microseconds since 1970 UTC.

    Raises
    ------
    RequestError
        422 if it is no time, or not one of the years 1900 to 2199.
    """
    time = cell_time(sent)
    named = repr(sent)[:60]
    if time == NOT_A_TIME:
        raise RequestError(
            422,
            f"{named} is no time. Expected ISO 8601 such as 2025-03-01T08:00:00Z, or milliseconds "
            "since 1970, which have 13 digits.",
            field,
        )
    if not EARLIEST <= time < LATEST:
        raise RequestError(422, f"{named} is not in the years 1900 to 2199.", field)
    return time


def _read_lead(
    raw: msgspec.Raw, position: int, settings: Settings, has_zero: bool
) -> LeadPayload | RequestError:
    where = f"leads[{position}]"
    try:
        lead = msgspec.json.decode(raw, type=LeadPayload)
    except msgspec.ValidationError as error:
        return _odd_cell(raw, where) or invalid(str(error), where, LeadPayload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return no_json(raw, error, where)
    if has_zero and (found := zero_character(msgspec.json.decode(raw), where)):
        return found
    if len(raw) <= settings.max_string_characters:
        return lead  # so no text in it is longer
    return long_text(lead.attributes or {}, f"{where}.attributes", settings) or lead


def long_text(cells: Mapping[str, Cell], where: str, settings: Settings) -> RequestError | None:
    """Name the attribute whose name or text is too long, if there is one."""
    longest = settings.max_string_characters
    for name, cell in cells.items():
        if len(name) > longest or (isinstance(cell, str) and len(cell) > longest):
            return RequestError(
                422,
                f"The text of `{name[:100]}` has {max(len(name), len(str(cell))):,} characters. "
                f"Expected at most {longest:,}.",
                where,
            )
    return None


def zero_character(sent: Any, where: str) -> RequestError | None:
    """Refuse a text with a zero character, which no database and no CSV file takes.

    `read_body` reads half a surrogate pair as one.
    """
    waiting = [sent]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, str) and "\0" in found:
            message = (
                "A text holds a zero character (\\u0000) or half of a surrogate pair, such as "
                "\\ud83d without its second half. Take it out."
            )
            return RequestError(422, message, where or None)
    return None


def _odd_cell(raw: msgspec.Raw, where: str) -> RequestError | None:
    """Name the attribute that holds no single value; msgspec does not."""
    try:
        lead = msgspec.json.decode(raw)
    except msgspec.ValidationError:  # a number such as 1e999, which it does name
        return None
    attributes = lead.get("attributes") if isinstance(lead, dict) else None
    for name, cell in attributes.items() if isinstance(attributes, dict) else ():
        if isinstance(cell, dict | list):
            kind = "a list" if isinstance(cell, list) else "an object"
            message = f"`{name[:100]}` is {kind}. Expected text, a number, true, false or null."
            return RequestError(422, message, f"{where}.attributes")
    return None


def invalid(message: str, where: str, kind: Any) -> RequestError:
    """Tell what msgspec found wrong, in our words and with our names of fields."""
    what, _, path = message.partition(" - at `$")
    field = (where + path.rstrip("`")).lstrip(".") or None
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown:
        inner = re.match(r"\.(\w+)\[", path)
        known = [
            entry.name for entry in msgspec.structs.fields(NESTED[inner[1]] if inner else kind)
        ]
        what = f"Unknown field `{unknown[1][:100]}`. {nearest(unknown[1], known)}"
        field = f"{field or ''}.{unknown[1][:100]}".lstrip(".")
    elif "missing required field" in what:
        what = what.replace("Object missing", "The object lacks the")
        what = what.replace("the required field", "required field")
    elif what.startswith("Expected `") and str(field).rpartition(".")[2] in TIME_FIELDS:
        what = f"A time is text such as 2025-03-01T08:00:00Z, or 13 digits. {what}"
    elif what == "Number out of range":
        what = "A number is larger than 1.8e308, which no number here can be."
    return RequestError(422, what if what.endswith(("?", ".")) else what + ".", field)
