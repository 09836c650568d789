"""Finds events that were sent before: activities, stages and outcomes.

Two events of a lead are the same if they have the same id, or if at least one of them has no id
and their content is the same. A time at the end of a day is the same as its start, because
earlier versions stored an event that was given as a day at the start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from crm.ledger.schema import EVENTS, EventTable

Row = Mapping[str, Any]


class SeenEvents:
    """The events that were added so far. They decide the status of the next event.

    Parameters
    ----------
    event : EventTable

    Examples
    --------
    >>> seen = SeenEvents(EVENTS["stages"])
    >>> new = {"lead_id": "L1", "stage": "new", "entered_at": 0}
    >>> seen.add(new | {"stage_id": "s1"})
    >>> seen.status_of(new), seen.status_of(new | {"stage_id": "s2"})
    ('duplicate', 'accepted')
    """

    def __init__(self, event: EventTable) -> None:
        self._event = event
        self._content_by_id: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._all_have_ids: dict[tuple[str, tuple[Any, ...]], bool] = {}  # by lead and content

    def add(self, row: Row) -> None:
        """Add an event."""
        lead, own_id = row["lead_id"], self._event.own_id(row)
        content = self._event.compared_content_of(row)
        if own_id is not None:
            self._content_by_id.setdefault((lead, own_id), content)
        key = (lead, content)
        self._all_have_ids[key] = self._all_have_ids.get(key, True) and own_id is not None

    def status_of(self, row: Row) -> str:
        """Return "accepted" for a new event, "duplicate" for a seen one, or "conflict".

        In a conflict the id was seen with another content.
        """
        lead, own_id = row["lead_id"], self._event.own_id(row)
        content = self._event.compared_content_of(row)
        if own_id is not None and (lead, own_id) in self._content_by_id:
            is_same = self._content_by_id[(lead, own_id)] == content
            return "duplicate" if is_same else "conflict"
        all_have_ids = self._all_have_ids.get((lead, content))
        if all_have_ids is None or (own_id is not None and all_have_ids):
            return "accepted"
        return "duplicate"


def distinct(kind: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Return each event once: the first of the events that are the same.

    Examples
    --------
    >>> new = {"lead_id": "L1", "stage": "new", "entered_at": 0}
    >>> len(distinct("stages", [new, new, new | {"stage_id": "s1"}]))
    1
    """
    if len(rows) < 2:
        return rows
    seen = SeenEvents(EVENTS[kind])
    accepted = []
    for row in rows:
        if seen.status_of(row) == "accepted":
            seen.add(row)
            accepted.append(row)
    return accepted
