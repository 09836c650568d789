"""Events of leads as sorted arrays: positions of leads, blocks of events, and times between."""

from collections.abc import Iterator

import numpy as np

from crm.arrays import Floats, Ints
from crm.times import NOT_A_TIME

NEVER = np.iinfo(np.int64).max
BLOCK_EVENTS = 250_000


def blocks(event_lead: Ints, lead: Ints) -> Iterator[tuple[Ints, slice]]:
    """Split moments into blocks: each has a bounded number of events, and each lead at most once.

    Parameters
    ----------
    event_lead : ndarray of int64, shape (n_events,)
        The position of each event's lead, ascending.
    lead : ndarray of int64, shape (n_moments,)
        The position of each moment's lead, in any order; a lead may have several moments.

    Yields
    ------
    rows : ndarray of int64
        Positions of moments, in ascending order of their leads.
    events : slice
        The events of these leads; events of other leads may be among them.

    Examples
    --------
    >>> pairs = blocks(np.array([0, 0, 2]), np.array([2, 0, 2]))
    >>> [(rows.tolist(), (events.start, events.stop)) for rows, events in pairs]
    [([1, 0], (0, 3)), ([2], (0, 3))]
    """
    if 0 < len(lead) <= BLOCK_EVENTS >= len(event_lead) and (lead[1:] > lead[:-1]).all():
        begin, end = np.searchsorted(event_lead, [lead[0], lead[-1] + 1])
        yield np.arange(len(lead)), slice(int(begin), int(end))
        return
    order = np.argsort(lead, kind="stable")
    ordered = lead[order]
    begins = np.searchsorted(event_lead, ordered, side="left")
    ends = np.searchsorted(event_lead, ordered, side="right")
    start = 0
    while start < len(ordered):
        by_events = int(np.searchsorted(ends, begins[start] + BLOCK_EVENTS, side="right"))
        stop = min(max(start + 1, by_events), start + BLOCK_EVENTS, len(ordered))
        stop = int(np.searchsorted(ordered, ordered[stop - 1], side="right"))
        events = slice(int(begins[start]), int(ends[stop - 1]))
        for layer in _layers(ordered[start:stop]):
            yield order[start:stop][layer], events
        start = stop


def since(as_of: Ints, at: Ints, unit: int) -> Floats:
    """Compute the time from `at` to `as_of` in `unit` microseconds; nan if either is unknown."""
    is_known = (at != NEVER) & (at != NOT_A_TIME) & (as_of != NOT_A_TIME)
    return np.where(is_known, (as_of - np.where(is_known, at, 0)) / unit, np.nan)


def _layers(lead: Ints) -> Iterator[Ints]:
    """Split moments, sorted by lead, into parts that contain each lead at most once."""
    begins = np.flatnonzero(np.diff(lead, prepend=-1))
    number = np.arange(len(lead)) - np.repeat(begins, np.diff(begins, append=len(lead)))
    for layer in range(int(number.max()) + 1):
        yield np.flatnonzero(number == layer)
