"""The noun `Records`: the CRM's tables, checked and put together. `crm.reading` reads them."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd


@dataclass(frozen=True)
class Records:
    """The CRM's records, checked, under the product's own names.

    Attributes
    ----------
    leads : DataFrame, one row per lead
        `lead_id` (text, unique), `created_at` (datetime64, UTC) if the project has
        it, and every other column of the source as an attribute, as it was read.
        In the order of time where there is one, else as in the source.
    activities, stages : DataFrame or None
        As in `crm.tables`, sorted by lead and time.
    outcomes : DataFrame
        `lead_id`, `outcome` ("won" or "lost"), `closed_at` (datetime64, UTC, missing
        if the project has no such column), `amount` (float), `reason` (text).
    observed_until : Timestamp or None
        The moment up to which the records were watched; None without times.
    in_order : bool
        True if the leads stand in the order of time.
    notes : list of str
        What was repaired or left out while reading, in sentences for a person.
    has_ids : bool
        False if the leads are numbered as they stand, because no column names them: the same
        number may be another lead's in the next export.
    """

    leads: pd.DataFrame
    outcomes: pd.DataFrame
    activities: pd.DataFrame | None = None
    stages: pd.DataFrame | None = None
    observed_until: pd.Timestamp | None = None
    in_order: bool = False
    notes: list[str] = field(default_factory=list)
    has_ids: bool = True

    @property
    def has_times(self) -> bool:
        """True if the leads have a time of creation."""
        return "created_at" in self.leads.columns

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each table's content; seconds where there are millions of rows."""
        tables = {
            name: getattr(self, name) for name in ("leads", "activities", "stages", "outcomes")
        }
        return {name: digest(table) for name, table in tables.items() if table is not None}


def digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's columns, types and cells; the index does not count.

    Examples
    --------
    >>> digest(pd.DataFrame({"a": [1, 2]}))[:12] == digest(pd.DataFrame({"a": [1, 2]}))[:12]
    True
    """
    sha = hashlib.sha256(
        repr(list(zip(table.columns, map(str, table.dtypes), strict=True))).encode()
    )
    sha.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return sha.hexdigest()
