"""Returns records as they were known at an earlier time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Ints
from crm.cells import is_among
from crm.lead_ids import places
from crm.project import LearnKeys
from crm.records import Records
from crm.tables import EVENT_TABLES
from crm.times import DAY, TIME_DTYPE, as_times, microseconds
from features.coverage import outcomes_from


def records_known_at(records: Records, learn: LearnKeys, at: int) -> Records:
    """Return the records as they were known at a time.

    They contain the leads that were created before that time, and the activities, stages and
    outcomes of these leads until then. A closing that is given as a day is known when the day is
    over. An outcome without a date is known when the horizon of its lead's creation is over, as
    for the moments to learn from. The attributes of the leads are those of all records, because
    no table contains their earlier values.

    If the outcomes begin much later than the leads, the leads before the outcomes are left out at
    every time: their outcomes are missing in the export, and were not unknown then.

    Parameters
    ----------
    records : Records
        Records with times. They are not changed.
    learn : LearnKeys
        The horizon.
    at : int
        Microseconds since 1970 UTC.

    Returns
    -------
    Records
        The leads keep their order.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2026-01-01", "2026-01-05"], utc=True))
    >>> leads = pd.DataFrame({"lead_id": ["A", "B"], "created_at": times})
    >>> outcomes = pd.DataFrame({"lead_id": ["A"], "closed_at": times[1:], "closed_by": times[1:]})
    >>> records = Records(leads=leads, outcomes=outcomes, in_order=True, observed_until=times[1])
    >>> learn = LearnKeys(won=["won"], horizon_days=30)
    >>> then = records_known_at(records, learn, int(pd.Timestamp("2026-01-03").value // 1_000))
    >>> then.leads["lead_id"].tolist(), len(then.outcomes)
    (['A'], 0)
    """
    created = microseconds(records.leads["created_at"])
    is_known = (created < at) & is_covered(records)
    leads = records.leads[is_known].reset_index(drop=True)
    tables: dict[str, Any] = {}
    for name, declared in EVENT_TABLES.items():
        table = getattr(records, name)
        if table is not None:
            if name == "outcomes":
                is_past = _outcome_known_at(records, created, learn) <= at
            else:
                is_past = microseconds(table[declared.event_time]) <= at
            is_past &= is_among(table["lead_id"], leads["lead_id"])
            table = table[is_past].reset_index(drop=True)
        tables[name] = table
    until = as_times(np.array([at]), pd.RangeIndex(1)).iloc[0]
    return replace(records, leads=leads, observed_until=until, **tables)


def is_covered(records: Records) -> Bools:
    """Return which leads were created after the outcomes begin, shape (n_leads,)."""
    until = microseconds(pd.Series([records.observed_until], dtype=TIME_DTYPE))[0]
    created = microseconds(records.leads["created_at"])
    return np.asarray(created >= outcomes_from(records, int(until)))


def _outcome_known_at(records: Records, created: Ints, learn: LearnKeys) -> Ints:
    """Return the time at which each outcome was known, in microseconds, shape (n_outcomes,)."""
    outcomes = records.outcomes
    closed = outcomes["closed_by"]
    lead = places(outcomes["lead_id"], records.leads["lead_id"])
    of_horizon = created[lead] + int(learn.horizon_days * DAY)
    return np.where(closed.isna().to_numpy(), of_horizon, microseconds(closed))
