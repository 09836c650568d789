"""Recognises files with one row for each change of a field, as CRMs export their field history.

Only the changes of a status are stages. A project file cannot choose rows, so a file with changes
of several fields is not used. The names of its columns are listed in field_history.toml.
"""

import tomllib
from pathlib import Path
from typing import Final

from crm.text import listed, quote
from drafting.name_lists import NameLists
from drafting.role_names import NO_RANK, rank
from drafting.samples import Column, Table


def is_field_history(table: Table) -> bool:
    """Check whether a table has the changes of several fields, or of one that is not a status.

    It has a column of the names of fields, beside one of old and one of new values.
    """
    fields = _fields(table)
    return fields is not None and (len(fields.counts) > 1 or _status(fields) is None)


def why_history_is_not_used(table: Table) -> str:
    """Write why a history of fields is not used, and what to export instead.

    Parameters
    ----------
    table : Table
        A history of fields.
    """
    fields = _fields(table)
    assert fields is not None
    n, status = len(fields.counts), _status(fields)
    changes = "1 field" if n == 1 else f"{n:,} fields"
    which = "the field of the lead's status" if status is None else quote(status)
    return (
        f"{table.name} is not used: it contains the changes of {changes} "
        f"({listed(fields.counts.index)}), and only those of a status or stage are stages of the "
        f"sales funnel. To use it, export only the rows whose {quote(fields.name)} is {which}."
    )


def _fields(table: Table) -> Column | None:
    """Return the column of the names of fields, if the table is a history of fields."""
    names = [column.name for column in table.columns]
    has_values = all(
        any(_NAMES.has(values, name) for name in names) for values in ("old_values", "new_values")
    )
    if not has_values:
        return None
    others = [c for c in table.columns if len(c.counts) and not c.is_number and not c.is_time]
    return next((column for column in others if _NAMES.has("fields", column.name)), None)


def _status(fields: Column) -> str | None:
    """Return the field that is a status or stage, the one with the most changes."""
    named = (str(name) for name in fields.counts.index)
    return next((n for n in named if min(rank("stage", n), rank("outcome", n)) < NO_RANK), None)


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_NAMES: Final = NameLists(_LISTED)
