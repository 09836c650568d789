"""Shares wins out among the activities that came before them, in four ways.

None of them tells causes: they are four conventions, and where they disagree the answer depends
on the convention. So they stand side by side.
"""

from dataclasses import dataclass

import numpy as np

from crm.arrays import Codes, Floats, Ints
from crm.times import DAY
from features.events import NEVER
from reports.rows.journeys import Log
from reports.rows.rows import ReportRows

HALF_LIFE_DAYS = 7.0
WAYS = ("first_touch_share", "last_touch_share", "linear_share", "decay_share")


@dataclass(frozen=True)
class Touches:
    """Activities of won leads up to their closing, with their part of the win in each way.

    Attributes
    ----------
    event : ndarray of int64, shape (n,)
        Positions in the log.
    parts : dict of str to ndarray of float64, shape (n,)
        By the names in `WAYS`; those of a lead add up to 1.
    n_wins : int
        Won leads with an activity up to their closing.
    """

    event: Ints
    parts: dict[str, Floats]
    n_wins: int


def touches(rows: ReportRows, log: Log) -> Touches:
    """Share each win out among the lead's activities up to the closing.

    What acts as a stage or is the outcome itself gets no share.

    Parameters
    ----------
    rows : ReportRows
    log : Log

    Returns
    -------
    Touches
    """
    counts = rows.is_won & (rows.closed != NEVER)
    is_before = counts[log.lead] & (log.at <= rows.closed[log.lead])
    event = np.flatnonzero(is_before & rows.is_touch[log.kind])
    lead, at = log.lead[event], log.at[event]
    is_first = np.diff(lead, prepend=-1) != 0
    is_last = np.diff(lead, append=-1) != 0
    whose = np.cumsum(is_first) - 1
    n_wins = int(is_first.sum())
    before = (rows.closed[lead] - at) / DAY / HALF_LIFE_DAYS
    newest = np.zeros(n_wins)
    newest[whose[is_last]] = before[is_last]
    weight = np.exp2(newest[whose] - before)  # the newest counts 1, so that none underflows
    total = np.bincount(whose, weight, minlength=n_wins)
    n = np.bincount(whose, minlength=n_wins)
    parts = (is_first.astype(float), is_last.astype(float), 1 / n[whose], weight / total[whose])
    return Touches(event, dict(zip(WAYS, parts, strict=True)), n_wins)


def share_out(found: Touches, code: Codes, k: int) -> dict[str, Floats]:
    """Add the parts up by a code of the activities: shares of all wins, shape (k + 1,).

    The last place is that of activities without a code.
    """
    place = np.where(code[found.event] < 0, k, code[found.event])
    return {
        way: np.bincount(place, parts, minlength=k + 1) / max(found.n_wins, 1)
        for way, parts in found.parts.items()
    }
