"""Divides wins among the activities that came before them, in four ways.

The ways are conventions, not causes. Where they disagree, the answer depends on the convention, so
a report shows all four.
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
    """Activities of won leads up to their closing, and the part of the win that each gets.

    Attributes
    ----------
    event : ndarray of int64, shape (n,)
        Positions in the log.
    parts : dict of str to ndarray of float64, shape (n,)
        By the names in `WAYS`; the parts of a lead add up to 1.
    n_wins : int
        The number of won leads with an activity up to their closing.
    """

    event: Ints
    parts: dict[str, Floats]
    n_wins: int


def touches(rows: ReportRows, log: Log) -> Touches:
    """Divide each win among the lead's activities up to the closing.

    Activities that act as a stage, or are the outcome itself, get no part.

    Parameters
    ----------
    rows : ReportRows
    log : Log

    Returns
    -------
    Touches
    """
    has_closing = rows.is_won & (rows.closed != NEVER)
    is_before = has_closing[log.lead] & (log.at <= rows.closed_by[log.lead])
    event = np.flatnonzero(is_before & rows.is_touch[log.type])
    lead, at = log.lead[event], log.at[event]
    is_first = np.diff(lead, prepend=-1) != 0
    is_last = np.diff(lead, append=-1) != 0
    win = np.cumsum(is_first) - 1
    n_wins = int(is_first.sum())
    half_lives = (rows.closed_by[lead] - at) / DAY / HALF_LIFE_DAYS
    newest = np.zeros(n_wins)
    newest[win[is_last]] = half_lives[is_last]
    weight = np.exp2(newest[win] - half_lives)  # the newest has weight 1: none underflows
    total = np.bincount(win, weight, minlength=n_wins)
    n = np.bincount(win, minlength=n_wins)
    parts = (is_first.astype(float), is_last.astype(float), 1 / n[win], weight / total[win])
    return Touches(event=event, parts=dict(zip(WAYS, parts, strict=True)), n_wins=n_wins)


def share_out(touched: Touches, code: Codes, k: int) -> dict[str, Floats]:
    """Sum the parts by a code of the activities.

    Parameters
    ----------
    touched : Touches
    code : ndarray of int32
        A code, 0 … k - 1, of each activity of the log; -1 for none.
    k : int

    Returns
    -------
    dict of str to ndarray of float64, shape (k + 1,)
        Shares of all wins, by the names in `WAYS`. The last place is for activities without a
        code.
    """
    place = np.where(code[touched.event] < 0, k, code[touched.event])
    return {
        way: np.bincount(place, parts, minlength=k + 1) / max(touched.n_wins, 1)
        for way, parts in touched.parts.items()
    }
