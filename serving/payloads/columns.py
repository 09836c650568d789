"""The fields of events in requests and in answers, derived from `crm.tables`."""

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from crm.tables import EVENT_TABLES, TABLES, DeclaredColumn, DeclaredTable, Kind

Cell = str | int | float | bool | None
SentCell = Cell | Annotated[list[Cell], Meta(max_length=1_000)]  # a list is several values
Text = Annotated[str, Meta(max_length=1_000)]
MAX_ID_CHARACTERS: Final = 200
Id = Annotated[str, Meta(max_length=MAX_ID_CHARACTERS)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
TIME_FORMAT: Final = "ISO 8601, or milliseconds since 1970 of 13 digits. From 1970 to 2099."
NUMBER_FORMAT: Final = "Text such as 1.234,56 € is read if it can mean one number only."
HIDDEN: Final = "x-hidden"  # marks a field that is sent but is not in the contract
DATE_TIME: Final = {"format": "date-time"}
# Text is read too, but a generated client has one type for a field.
DOUBLE: Final = {"type": "number", "format": "double"}
Time = Annotated[str | Whole, Meta(description=TIME_FORMAT, extra_json_schema=DATE_TIME)]
TimeText = Annotated[str, Meta(extra_json_schema=DATE_TIME)]
LeadId = Annotated[Id | Whole, Meta(description=TABLES["leads"].columns[0].description)]

_TYPES: Final[dict[Kind, Any]] = {
    "id": Id | Whole,
    "text": Text | Whole,
    "value": Text | Whole | float | bool,
    "time": Annotated[str | Whole, Meta(extra_json_schema=DATE_TIME)],
    "number": Annotated[float | str, Meta(extra_json_schema=DOUBLE)],
}


def payload_struct(name: str, table: DeclaredTable, *, with_lead_id: bool = False) -> type[Struct]:
    """Build the struct that one sent event of a table is read into.

    Parameters
    ----------
    name : str
        The name of the struct, which the contract contains.
    table : DeclaredTable
    with_lead_id : bool
        Whether the event names its lead. Within a lead it does not.

    Examples
    --------
    >>> stage = payload_struct("Stage", TABLES["stages"])
    >>> msgspec.json.decode(b'{"stage": "new", "entered_at": "2025-03-01"}', type=stage)
    Stage(stage='new', entered_at='2025-03-01', stage_id=None)
    """
    fields: list[Any] = [_field(column) for column in table.columns[1:]]
    if with_lead_id:
        fields.insert(0, ("lead_id", LeadId))
    return msgspec.defstruct(
        name,
        fields,
        namespace={"__doc__": f"{table.description} A time without a zone is UTC."},
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


def _field(column: DeclaredColumn) -> tuple[str, Any] | tuple[str, Any, None]:
    cell = Text if column.kind == "text" and column.required else _TYPES[column.kind]
    description = column.description
    if column.kind == "time":
        description += f" {TIME_FORMAT}"
    if column.kind == "number":
        description += f" {NUMBER_FORMAT}"
    if column.required:
        return column.name, Annotated[cell, Meta(description=description)]
    return column.name, Annotated[cell | None, Meta(description=description)], None


def stored_struct(name: str, table: DeclaredTable) -> type[Struct]:
    """Build the struct that describes one stored event of a table in an answer.

    The fields are the event's id and its content. Times are texts in ISO 8601.

    Parameters
    ----------
    name : str
        The name of the struct, which the contract contains.
    table : DeclaredTable

    Examples
    --------
    >>> entry = stored_struct("StoredStage", TABLES["stages"])
    >>> msgspec.json.encode(entry("sha256:1f", "new", "2025-03-01T00:00:00+00:00"))
    b'{"stage_id":"sha256:1f","stage":"new","entered_at":"2025-03-01T00:00:00+00:00"}'
    """
    (event_id,) = (column for column in table.columns if column.name == table.event_id)
    columns = [event_id, *table.content]
    return msgspec.defstruct(
        name,
        [(column.name, _stored_field(column)) for column in columns],
        namespace={"__doc__": f"{table.description} The ledger has stored it."},
        frozen=True,
    )


def _stored_field(column: DeclaredColumn) -> Any:
    cell: Any = {"number": float, "time": TimeText}.get(column.kind, str)
    is_always_there = column.required or column.kind == "id"
    return Annotated[cell if is_always_there else cell | None, Meta(description=column.description)]


if TYPE_CHECKING:  # their fields are declared in crm.tables, where mypy does not look
    ActivityPayload: TypeAlias = Struct
    StagePayload: TypeAlias = Struct
    StoredStage: TypeAlias = Struct
    StoredOutcome: TypeAlias = Struct
else:
    ActivityPayload = payload_struct("ActivityPayload", EVENT_TABLES["activities"])
    StagePayload = payload_struct("StagePayload", EVENT_TABLES["stages"])
    StoredStage = stored_struct("StoredStage", EVENT_TABLES["stages"])
    StoredOutcome = stored_struct("StoredOutcome", EVENT_TABLES["outcomes"])
