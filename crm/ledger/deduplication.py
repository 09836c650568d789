"""When two events are one: activities, stages and outcomes that are sent again.

Two events of a lead are the same if they have the same id, or if one of them came without an
id and they say the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from crm.ledger.schema import EVENTS, EventTable

Row = Mapping[str, Any]


class Known:
    """Which events of some leads are known, and whether another one is one of them.

    Parameters
    ----------
    event : EventTable

    Examples
    --------
    >>> known = Known(EVENTS["stages"])
    >>> new = {"lead_id": "L1", "stage": "new", "entered_at": 0}
    >>> known.learn(new | {"stage_id": "s1"})
    >>> known.judge(new), known.judge(new | {"stage_id": "s2"})
    ('duplicate', 'accepted')
    """

    def __init__(self, event: EventTable) -> None:
        self._event = event
        self._by_id: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._all_named: dict[tuple[str, tuple[Any, ...]], bool] = {}  # by what they say

    def learn(self, row: Row) -> None:
        """Take a row in."""
        lead, name, content = row["lead_id"], self._event.own_id(row), self._event.content_of(row)
        if name is not None:
            self._by_id.setdefault((lead, name), content)
        said = (lead, content)
        self._all_named[said] = self._all_named.get(said, True) and name is not None

    def judge(self, row: Row) -> str:
        """Tell whether a row is "accepted", a "duplicate" or a "conflict"."""
        lead, name, content = row["lead_id"], self._event.own_id(row), self._event.content_of(row)
        if name is not None and (lead, name) in self._by_id:
            return "duplicate" if self._by_id[(lead, name)] == content else "conflict"
        all_named = self._all_named.get((lead, content))
        if all_named is None or (name is not None and all_named):
            return "accepted"
        return "duplicate"


def distinct(kind: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep each event once, the first of those that are the same.

    Examples
    --------
    >>> new = {"lead_id": "L1", "stage": "new", "entered_at": 0}
    >>> len(distinct("stages", [new, new, new | {"stage_id": "s1"}]))
    1
    """
    if len(rows) < 2:
        return rows
    known = Known(EVENTS[kind])
    kept = []
    for row in rows:
        if known.judge(row) == "accepted":
            known.learn(row)
            kept.append(row)
    return kept
