"""The history of leads as a pipeline reads it, and the events of many leads, found by their ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from crm.arrays import Indexes, Ints
from crm.event_arrays import EventArrays
from crm.key_index import KeyIndex
from crm.totals import EventTotals
from features.activity import NOTHING_DONE, ActivityFeatures, ActivityLog
from features.stages import NOTHING_ENTERED, StageFeatures, StageLog


@dataclass(frozen=True)
class History:
    """The history of leads as arrays: creation, activities and stages, without attributes.

    Attributes
    ----------
    position : ndarray of int64, shape (n_leads,)
        The position of each lead in the two logs. Rows of one lead share its history.
    created_at : ndarray of int64, shape (n_leads,)
        Microseconds since 1970 UTC; `NOT_A_TIME` if it is not known.
    activities : ActivityLog
    stages : StageLog
    totals : mapping of int to EventTotals
        The totals of further events, for leads that have too many to list, by position.
    """

    position: Ints
    created_at: Ints
    activities: ActivityLog
    stages: StageLog
    totals: Mapping[int, EventTotals] = field(default_factory=dict)


class _Ranges(NamedTuple):
    """The events of each lead in a log.

    Attributes
    ----------
    number : ndarray of int64, shape (n_ids,)
        The number of each lead in this table, by its position in `EventLogs.ids`; -1 if the table
        has no events of the lead.
    begin : ndarray of int64, shape (n_leads_in_table + 1,)
        The position of the first event of each lead, and the number of events.
    """

    number: Ints
    begin: Ints

    def of_leads(self, place: Ints) -> tuple[Ints, Indexes]:
        """Return for each event of some leads the position of its lead in `place`, and its own."""
        number = self.number[place]
        begin = np.where(number >= 0, self.begin[number], 0)
        n_events = np.where(number >= 0, self.begin[number + 1], 0) - begin
        of_event = np.repeat(np.arange(len(place)), n_events)
        first = np.cumsum(n_events) - n_events
        return of_event, np.arange(len(of_event)) + (begin - first)[of_event]


class EventLogs:
    """The events of many leads as a pipeline reads them, found by the ids of leads.

    They are read once, and then asked for some leads at a time.

    Parameters
    ----------
    activities : ActivityFeatures or None
        What the pipeline learned about activities; None if it does not read them.
    stages : StageFeatures or None
    tables : iterable of (str, DataFrame or None)
        "activities" and "stages", with `lead_id` as `crm.lead_ids.id_key` returns it. The rows may
        be in any order. The second table is read only after the first is no longer needed.

    Attributes
    ----------
    ids : KeyIndex
        The ids of the leads with events, also of those that the pipeline does not read.
    example : str or None
        The smallest id of the first table with events; None without events.
    """

    def __init__(
        self,
        activities: ActivityFeatures | None,
        stages: StageFeatures | None,
        tables: Iterable[tuple[str, pd.DataFrame | None]],
    ) -> None:
        self._activities, self._stages = NOTHING_DONE, NOTHING_ENTERED
        self.example: str | None = None
        distinct: dict[str, pd.Series] = {}
        begin: dict[str, Ints] = {}
        for name, table in tables:
            if table is None:
                continue
            number, ids = pd.factorize(table["lead_id"])
            distinct[name] = pd.Series(ids, dtype="str")
            if self.example is None and len(ids):
                self.example = str(distinct[name].min())
            features = activities if name == "activities" else stages
            if features is None:
                continue
            events = EventArrays.of_table(table, name, number.astype(np.int64))
            counts = np.bincount(events.lead, minlength=len(ids))
            begin[name] = np.concatenate([[0], np.cumsum(counts)])
            if isinstance(features, ActivityFeatures):
                self._activities = features.log_of_events(events)
            else:
                self._stages = features.log_of_events(events)
            del table, events  # the next table may need the memory
        together = pd.concat([pd.Series([], dtype="str"), *distinct.values()], ignore_index=True)
        place, ids = pd.factorize(together)
        self.ids = KeyIndex(pd.Series(ids, dtype="str"))
        self._ranges: dict[str, _Ranges] = {}
        start = 0
        for name, own in distinct.items():
            if name in begin:
                number = np.full(len(ids), -1, dtype=np.int64)
                number[place[start : start + len(own)]] = np.arange(len(own))
                self._ranges[name] = _Ranges(number, begin[name])
            start += len(own)

    def history_of(self, lead_id: pd.Series, created_at: Ints) -> History:
        """Return the history of some leads.

        Parameters
        ----------
        lead_id : Series of str, shape (n,)
            The keys of the ids. Rows with the same id share their events; a lead without an id has
            none.
        created_at : ndarray of int64, shape (n,)
            Microseconds since 1970 UTC; `NOT_A_TIME` if it is not known.

        Returns
        -------
        History
        """
        place = self.ids.places(lead_id)
        position = np.arange(len(place))
        known = np.flatnonzero(place >= 0)
        code, _ = pd.factorize(place[known])
        first = known[np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))]
        position[known] = first[code]
        activities, stages = NOTHING_DONE, NOTHING_ENTERED
        if "activities" in self._ranges:
            of_event, rows = self._ranges["activities"].of_leads(place[first])
            activities = self._activities.take(first[of_event], rows)
        if "stages" in self._ranges:
            of_event, rows = self._ranges["stages"].of_leads(place[first])
            stages = self._stages.take(first[of_event], rows)
        return History(position, created_at, activities, stages)
