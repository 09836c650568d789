"""Converts activities, stages and outcomes as they were sent into rows."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from crm.cells import cell_text
from crm.tables import EVENT_TABLES, TABLES
from serving.payloads.fields import (
    empty_error,
    read_event_time,
    read_number,
    read_text,
    read_time,
)

NUMBERS_AND_TIMES = frozenset(
    column.name
    for table in TABLES.values()
    for column in table.columns
    if column.kind in ("number", "time")
)


def event_row(table: str, event: Struct, where: str) -> dict[str, Any]:
    """Convert an event as it was sent into a row as the scorer reads it.

    Parameters
    ----------
    table : {"activities", "stages", "outcomes"}
    event : Struct
        As `serving.payloads.columns.payload_struct` builds it.
    where : str
        The path of the event in the request, for the error.

    Raises
    ------
    RequestError
        422 if a required text is blank, or a time or a number is not valid. An optional time and
        a number may be blank.
    """
    row: dict[str, Any] = {}
    for column in EVENT_TABLES[table].columns[1:]:
        name = column.name
        cell = getattr(event, name)
        if column.kind == "time" and (column.required or cell_text(cell) is not None):
            read = read_event_time if column.ends_day else read_time
            cell = read(cell, f"{where}.{name}")
        elif column.kind == "time":
            cell = None
        elif column.kind == "number":
            cell = read_number(cell, f"{where}.{name}")
        elif column.kind == "value":
            cell = read_text(cell, f"{where}.{name}")
        elif column.kind == "text" and column.required and not cell.strip():
            raise empty_error(f"{where}.{name}")
        row[name] = cell
    return row


def ledger_row(row: Mapping[str, Any], lead_id: str) -> dict[str, Any]:
    """Convert an event's row into a row of the ledger: with its lead, and texts normalised.

    Examples
    --------
    >>> ledger_row({"type": " Page  view", "occurred_at": 7, "activity_id": 1}, "L1")
    {'lead_id': 'L1', 'type': 'Page view', 'occurred_at': 7, 'activity_id': '1'}
    """
    cells = {
        name: cell if name in NUMBERS_AND_TIMES else cell_text(cell) for name, cell in row.items()
    }
    return {"lead_id": lead_id} | cells
