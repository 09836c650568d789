"""Exact totals of a lead's events up to a moment, in place of very many events.

The ledger computes them (`crm.ledger.long_history`), and `features.activity` and `features.stages`
compute the same features from them as from the events, bit for bit.
"""

from dataclasses import dataclass
from typing import NamedTuple


class ActivityGroup(NamedTuple):
    """The activities of a lead with one type and one channel.

    Attributes
    ----------
    type, channel : str or None
        As they are stored.
    counts : tuple of int
        The number of all activities, then of those in each window of `features.activity`.
    first, last : int
        Microseconds since 1970 UTC.
    """

    type: str | None
    channel: str | None
    counts: tuple[int, ...]
    first: int
    last: int


@dataclass(frozen=True)
class ActivityTotals:
    """The totals of a lead's activities, without those that are listed for the lead.

    Attributes
    ----------
    as_of : int
        The moment up to which activities count, in microseconds since 1970 UTC.
    created_at : int
        The creation of the lead; `NOT_A_TIME` if it is not known.
    groups : tuple of ActivityGroup
    n_contents, n_days : int
        The number of contents, and of days in UTC, that no listed activity has.
    first_since_creation : int or None
        The time of the first activity at or after the creation of the lead.
    """

    as_of: int
    created_at: int
    groups: tuple[ActivityGroup, ...]
    n_contents: int
    n_days: int
    first_since_creation: int | None

    @property
    def count(self) -> int:
        """The number of activities."""
        return sum(group.counts[0] for group in self.groups)


@dataclass(frozen=True)
class EventTotals:
    """The totals of the events of a lead that has too many to list.

    Attributes
    ----------
    activities : ActivityTotals
    n_stages : int
        The number of entries into stages that are not listed. All of them are older than the
        newest listed one.
    """

    activities: ActivityTotals
    n_stages: int
