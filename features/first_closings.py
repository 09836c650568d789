"""FirstClosings: when each lead was first closed, and first won."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from crm.arrays import Bools, Ints
from crm.lead_ids import places
from crm.records import Records
from crm.times import NOT_A_TIME, microseconds

NEVER: Final = int(np.iinfo(np.int64).max)  # the time of what has not happened


@dataclass(frozen=True)
class FirstClosings:
    """The first dated closing and the first dated win of each lead.

    Attributes
    ----------
    closed_at, won_at : ndarray of int64, shape (n_leads,)
        Microseconds since 1970 UTC; `NEVER` for leads without one.
    undated_win, undated_loss : ndarray of bool, shape (n_leads,)
        True if the lead has a win, or another closing, without a date.
    """

    closed_at: Ints
    won_at: Ints
    undated_win: Bools
    undated_loss: Bools

    @classmethod
    def of(cls, records: Records) -> "FirstClosings":
        """Find the first closings in records whose leads have a time of creation."""
        at = microseconds(records.outcomes["closed_at"])
        won = (records.outcomes["outcome"] == "won").to_numpy()
        of_lead = places(records.outcomes["lead_id"], records.leads["lead_id"])
        is_dated = at != NOT_A_TIME
        firsts = []
        for rows in (is_dated, is_dated & won):
            first = np.full(len(records.leads), NEVER)
            np.minimum.at(first, of_lead[rows], at[rows])
            firsts.append(first)
        has_undated = []
        for rows in (~is_dated & won, ~is_dated & ~won):
            has = np.zeros(len(records.leads), dtype=bool)
            has[of_lead[rows]] = True
            has_undated.append(has)
        return cls(*firsts, *has_undated)
