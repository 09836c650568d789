"""Contains `Records`: the CRM's tables, checked and put together. `crm.reading` reads them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from crm.arrays import Ints
from crm.event_arrays import EventArrays
from crm.lead_ids import places
from crm.left_out import LeftOutRows


@dataclass(frozen=True)
class Records:
    """The CRM's records, checked, under the product's own names.

    Attributes
    ----------
    leads : DataFrame, one row per lead
        `lead_id` (text, unique), `created_at` (datetime64, UTC) if the project has it, and every
        other column of the source as an attribute, as it was read. The rows are in order of
        time if it is known, else in the order of the source.
    activities, stages : DataFrame or None
        As in `crm.tables`, sorted by lead and time.
    outcomes : DataFrame
        `lead_id`, `outcome` ("won" or "lost"), `closed_at` (datetime64, UTC, missing
        if the project has no such column), `amount` (float), `reason` (text).
    observed_until : Timestamp or None
        The end of the time under observation; None without times.
    in_order : bool
        Whether the leads are in order of time.
    notes : list of str
        Sentences about what was repaired or left out while reading.
    has_ids : bool
        Whether a column has the leads' ids. Otherwise they are numbered by row, and the same
        number may be another lead in the next export.
    left_out : list of LeftOutRows
        The rows that are left out of each table, by reason.
    formats : mapping of str to str
        The formats of numbers and times of the leads' columns, declared or recognised, as in the
        project file. Columns in the default format are not in it.
    closing_zone : str or None
        The zone of closings that are given as days; None if they have a clock.
    """

    leads: pd.DataFrame
    outcomes: pd.DataFrame
    activities: pd.DataFrame | None = None
    stages: pd.DataFrame | None = None
    observed_until: pd.Timestamp | None = None
    in_order: bool = False
    notes: list[str] = field(default_factory=list)
    has_ids: bool = True
    left_out: list[LeftOutRows] = field(default_factory=list)
    formats: Mapping[str, str] = field(default_factory=dict)
    closing_zone: str | None = None

    def __repr__(self) -> str:
        won = int((self.outcomes["outcome"] == "won").sum())
        tables = {"leads": self.leads, "activities": self.activities, "stages": self.stages}
        counts = [f"{len(table):,} {name}" for name, table in tables.items() if table is not None]
        until = f"; until {self.observed_until:%Y-%m-%d}" if self.observed_until else ""
        return (
            f"<Records: {', '.join(counts)}, {len(self.outcomes):,} outcomes ({won:,} won){until}>"
        )

    @property
    def has_times(self) -> bool:
        """Whether the leads have a time of creation."""
        return "created_at" in self.leads.columns

    @property
    def outcomes_until(self) -> pd.Timestamp | None:
        """The time until which it is certain how leads ended; None without times.

        If closings are given as days, the last observed day may not be over, so it is the end of
        the day before.
        """
        if self.observed_until is None or self.closing_zone is None:
            return self.observed_until
        day = self.observed_until.tz_convert(self.closing_zone).tz_localize(None).normalize()
        start = pd.Series([day]).dt.tz_localize(self.closing_zone, nonexistent="shift_forward")
        return start.dt.tz_convert("UTC").iloc[0] - pd.Timedelta(1, "us")

    @cached_property
    def lead_position(self) -> Ints:
        """The position of each lead in the arrays of events, shape (n_leads,).

        It is the row of the lead, or the first of its rows if `leads` repeats it.
        """
        return places(self.leads["lead_id"], self.leads["lead_id"])

    @cached_property
    def activity_events(self) -> EventArrays | None:
        """The activities as arrays by `lead_position`; None without a table of activities."""
        return self._events("activities", self.activities)

    @cached_property
    def stage_events(self) -> EventArrays | None:
        """The stages as arrays by `lead_position`; None without a table of stages."""
        return self._events("stages", self.stages)

    def _events(self, name: str, table: pd.DataFrame | None) -> EventArrays | None:
        if table is None:
            return None
        return EventArrays.of_table(table, name, places(table["lead_id"], self.leads["lead_id"]))

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each table's content; takes seconds for millions of rows."""
        tables = {
            name: getattr(self, name) for name in ("leads", "activities", "stages", "outcomes")
        }
        return {name: digest(table) for name, table in tables.items() if table is not None}


def digest(table: pd.DataFrame) -> str:
    """Compute the SHA-256 of a table's columns, types and cells, without its index.

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
