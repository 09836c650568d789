"""Builds records from the sampled tables, for the leak audit and the figures of the draft."""

import datetime
from collections.abc import Mapping

import numpy as np
import pandas as pd

from crm.cells import is_among
from crm.contracts import with_closed_by
from crm.days import zone_of_days
from crm.lead_ids import as_lead_ids
from crm.outcomes import after_creation, to_won_lost
from crm.project import LearnKeys
from crm.records import Records
from crm.several_leads import with_row_for_each_lead
from drafting.role_names import ROLE_NAMES
from drafting.samples import Column, Table

EVENT_TIMES = {"activities": "occurred_at", "stages": "entered_at"}


def sample_records(
    tables: Mapping[str, Table],
    roles: Mapping[str, Mapping[str, Column]],
    learn: LearnKeys,
    order: Column | None,
    now: datetime.datetime | None = None,
) -> Records:
    """Build the records of a sample, as `crm.reading.read_records` builds those of a project.

    Parameters
    ----------
    tables : mapping of str to Table
        The sampled tables by kind.
    roles : mapping of str to mapping of str to Column
        The columns that play a role, by kind and role.
    learn : LearnKeys
        The outcome values that mean won, lost and open.
    order : Column or None
        The column that orders the leads, if they have no time of creation.
    now : datetime, timezone-aware, optional
        Later times, such as planned meetings, do not extend the observed time.

    Returns
    -------
    Records
        Leads and outcomes. If the file of outcomes is longer than the sample, leads without
        an outcome in the sample are left out, because they may not be open.
    """
    leads = _leads(tables["leads"], roles["leads"])
    has_times = "created_at" in leads
    required = ["lead_id", "created_at"] if has_times else ["lead_id"]
    # The reader leaves out rows without an id or a time, and repeated rows.
    leads = leads.dropna(subset=required).drop_duplicates("lead_id")
    if has_times:
        leads = leads.sort_values(["created_at", "lead_id"])
    elif order is not None:
        leads = leads.iloc[np.argsort(order.numbers[leads.index], kind="stable")]
    outcomes = _outcomes(leads, roles, learn)
    if "outcomes" in tables and not tables["outcomes"].is_whole:
        leads = leads[is_among(leads["lead_id"], outcomes["lead_id"])]
    outcomes = outcomes[is_among(outcomes["lead_id"], leads["lead_id"])]
    outcomes = to_won_lost(outcomes, learn, "outcomes")
    closing_zone = None
    if has_times:
        closing_zone = zone_of_days(outcomes["closed_at"], "UTC")
        outcomes = after_creation(with_closed_by(outcomes, "UTC"), leads)
    return Records(
        leads=leads.reset_index(drop=True),
        outcomes=outcomes,
        observed_until=_observed_until(leads, outcomes, roles, now) if has_times else None,
        in_order=has_times or order is not None,
        closing_zone=closing_zone,
        formats={
            column.name: column.form.notation
            for column in tables["leads"].columns
            if column.form.notation is not None
        },
    )


def _leads(table: Table, roles: Mapping[str, Column]) -> pd.DataFrame:
    leads = {c.name: c.cells for c in table.columns if c.name not in ROLE_NAMES}
    leads["lead_id"] = _lead_ids(roles, table.rows)
    if "created_at" in roles:
        leads["created_at"] = _times(roles, "created_at")
    return pd.DataFrame(leads)


def _lead_ids(roles: Mapping[str, Column], rows: int) -> pd.Series:
    if "lead_id" in roles:
        return pd.Series(roles["lead_id"].texts, dtype="str")
    return pd.Series([f"row-{i}" for i in range(1, rows + 1)], dtype="str")


def _outcomes(
    leads: pd.DataFrame, roles: Mapping[str, Mapping[str, Column]], learn: LearnKeys
) -> pd.DataFrame:
    """Build the table of outcomes, from its own file or from the leads, in the CRM's words."""
    if "outcomes" in roles:
        columns = roles["outcomes"]
        lead_id = pd.Series(columns["lead_id"].texts, dtype="str")
    else:
        columns, lead_id = (
            roles["leads"],
            _lead_ids(roles["leads"], len(roles["leads"]["outcome"].texts)),
        )
    every_row = [*learn.won] * len(lead_id)  # if the table has no column of outcomes
    outcome = pd.Series(
        columns["outcome"].texts if "outcome" in columns else every_row, dtype=object
    )
    outcomes = pd.DataFrame({"lead_id": lead_id, "outcome": outcome})
    if "closed_at" in columns:
        outcomes["closed_at"] = _times(columns, "closed_at")
    return _of_leads(outcomes, leads) if "outcomes" in roles else outcomes


def _of_leads(table: pd.DataFrame, leads: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each lead that a row names, with the ids as the leads table writes them.

    Missing ids stay missing.
    """
    table = with_row_for_each_lead(table).reset_index(drop=True)
    ids = table["lead_id"].copy()
    is_filled = ids.notna()
    ids[is_filled] = as_lead_ids(ids[is_filled], leads["lead_id"].dropna())
    return table.assign(lead_id=ids)


def _observed_until(
    leads: pd.DataFrame,
    outcomes: pd.DataFrame,
    roles: Mapping[str, Mapping[str, Column]],
    now: datetime.datetime | None,
) -> pd.Timestamp | None:
    times = [leads["created_at"], outcomes["closed_at"]]
    for kind, role in EVENT_TIMES.items():
        if kind in roles:
            ids = pd.Series(roles[kind]["lead_id"].texts, dtype="str")
            events = pd.DataFrame({"lead_id": ids, "time": _times(roles[kind], role).array})
            events = _of_leads(events, leads)
            times.append(events["time"][is_among(events["lead_id"], leads["lead_id"])])
    observed = pd.concat(times).dropna()
    if now is not None:
        observed = observed[observed <= now]
    return observed.max() if len(observed) else None


def _times(roles: Mapping[str, Column], role: str) -> pd.Series:
    return roles[role].times
