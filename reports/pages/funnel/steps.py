"""The steps from creation to the win, and the leads that reached each."""

from dataclasses import dataclass

import numpy as np

from crm.arrays import Bools, Ints
from features.events import NEVER
from reports.rows.journeys import Funnel
from reports.rows.rows import ReportRows

CREATED, WON = "created", "won"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps from creation over the stages to the win.

    Attributes
    ----------
    names : list of str, k long
    reached : list of ndarray of bool, shape (n_leads,)
        True for the leads that reached each step within the horizon.
    times : list of ndarray of int64, shape (n_leads,)
        The time at which each lead itself entered each step within the horizon; `NEVER` if it did
        not, also if it skipped the step.
    """

    names: list[str]
    reached: list[Bools]
    times: list[Ints]

    @classmethod
    def of(cls, rows: ReportRows, funnel: Funnel) -> "Steps":
        """Find the leads that reached each step; a win counts as having reached every stage."""
        limit = rows.created + rows.horizon
        reached, times = [np.ones(len(rows), dtype=bool)], [rows.created]
        for k in range(len(funnel.stages)):
            entered = funnel.entered[:, k]
            reached.append((funnel.reached[:, k] <= limit) | rows.won)
            times.append(np.where(entered <= limit, entered, NEVER))
        reached.append(rows.won)
        times.append(np.where(rows.won, rows.closed, NEVER))
        return cls(names=[CREATED, *funnel.stages, WON], reached=reached, times=times)
