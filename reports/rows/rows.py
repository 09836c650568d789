"""The rows that every page counts: one for each lead as of one moment, and its events as arrays.

Nothing that was recorded after the moment counts. A lead is mature when its whole horizon has
passed by then. The other leads are marked, and no page includes them in an average.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Objects
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE
from features.events import NEVER
from features.groups import Groups
from models.evaluation.same_time import periods_of
from models.scorer import LeadScorer
from reports.model_verdict import NO_MODEL, ModelVerdict
from reports.rows.closing_columns import AuditedRecords
from reports.rows.columns import ReportColumns
from reports.rows.coverage import Coverage, Earned, earned_by
from reports.rows.journeys import ENDING, Funnel, Log, is_at_closing
from reports.rows.scored import Scored
from reports.text import currency_of_name


@dataclass(frozen=True)
class ReportRows:
    """One row for each lead as of one moment.

    Attributes
    ----------
    project : Project
    records : Records
        The records of these leads only, in the order of the rows.
    scorer : LeadScorer or None
    as_of : int
        Microseconds since 1970 UTC; `NOT_A_TIME` if leads have no time of creation.
    leads_until : int
        The time at which the newest of all leads was created, in the unit of `as_of`; filters do
        not change it. Figures about new leads end there.
    horizon : int
        Microseconds.
    created, closed : ndarray of int64, shape (n,)
        Microseconds; `closed` is `NEVER` if the lead is open or its closing has no date.
    closed_by : ndarray of int64, shape (n,)
        The last moment of a closing that is given as a day; else as `closed`.
    is_won, is_lost : ndarray of bool, shape (n,)
        The outcome up to the moment, within the horizon or later. A lead that is neither is open,
        or created before the outcomes begin.
    won : ndarray of bool, shape (n,)
        True for leads that were won after their creation, within the horizon.
    is_old : ndarray of bool, shape (n,)
        True for leads that were created at least one horizon ago; without times, for leads with
        an outcome.
    is_mature : ndarray of bool, shape (n,)
        True for old leads whose outcome is known. Leads that were created before the outcomes
        begin, or closed before their creation, do not count.
    amount : ndarray of float64, shape (n,)
        The amount of the win; 0 without one.
    coverage : Coverage
        What all records cover; segments do not change it.
    reason : ndarray of object, shape (n,)
        The CRM's reason for the loss; None without one.
    source : Groups or None
    audience : tuple of Groups
    funnel : Funnel or None
    log : Log or None
    sales : tuple of str
        The types of activity by which sales works a lead.
    now, before, arrival : Scored or None
        Scores by this report's model: of open leads as of the moment; of leads that were open one
        horizon ago, as of then; of leads as of their creation.
    columns : ReportColumns
        The columns of `source` and `audience`, and those that are not compared.
    audited : AuditedRecords
        The leak audit of all records.
    since : int
        All of these leads were created at or after it, in microseconds; `NOT_A_TIME` if the report
        does not leave out earlier ones.
    segment : tuple of str, optional
        The column and the value that all of these leads have.
    verdict : ModelVerdict
        How good the model is.
    is_part : bool
        True if `since` or `segment` selected some of the leads only.
    """

    project: Project
    records: Records
    scorer: LeadScorer | None
    as_of: int
    leads_until: int
    horizon: int
    created: Ints
    closed: Ints
    closed_by: Ints
    is_won: Bools
    is_lost: Bools
    won: Bools
    is_old: Bools
    is_mature: Bools
    amount: Floats
    coverage: Coverage
    reason: Objects
    source: Groups | None
    audience: tuple[Groups, ...]
    funnel: Funnel | None = None
    log: Log | None = None
    sales: tuple[str, ...] = ()
    now: Scored | None = None
    before: Scored | None = None
    arrival: Scored | None = None
    columns: ReportColumns = ReportColumns()
    audited: AuditedRecords = AuditedRecords()
    since: int = NOT_A_TIME
    segment: tuple[str, str] | None = None
    verdict: ModelVerdict = NO_MODEL
    is_part: bool = False

    def __len__(self) -> int:
        return len(self.created)

    @property
    def has_times(self) -> bool:
        """True if the leads have a time of creation."""
        return self.as_of != NOT_A_TIME

    @property
    def currency(self) -> str:
        """The currency of amounts: that of the project file, or of the name of their column.

        Empty if neither names one.
        """
        if self.project.report.currency:
            return self.project.report.currency
        tables = filter(None, (self.project.outcomes, self.project.leads))
        names = filter(None, (table.column_of("amount") for table in tables))
        return next((currency_of_name(name) for name in names), "")

    @property
    def is_open(self) -> Bools:
        """True for leads that are known to have no outcome, shape (n,)."""
        return ~(self.is_won | self.is_lost) & self.has_known_outcome

    @property
    def is_unknown(self) -> Bools:
        """True for leads without an outcome that may have had one before the outcomes begin."""
        return ~(self.is_won | self.is_lost) & ~self.has_known_outcome

    @property
    def horizon_days(self) -> float:
        """The horizon in days."""
        return self.horizon / DAY

    @property
    def leads_end_early(self) -> bool:
        """True if no lead was created on the day of the moment."""
        return self.leads_until // DAY < self.as_of // DAY

    @cached_property
    def period(self) -> Ints | None:
        """The period of each lead, shape (n,); None if the order of the leads is not known."""
        return periods_of(len(self)) if self.records.in_order else None

    @property
    def has_known_outcome(self) -> Bools:
        """True for leads that were not created before the outcomes begin, shape (n,)."""
        return np.asarray(self.created >= self.coverage.outcomes_from)

    @property
    def is_closed_early(self) -> Bools:
        """True for leads that were won or lost at or before their creation, shape (n,).

        They were never open, so they are in no conversion, as training leaves them out.
        """
        return np.asarray(self.closed <= self.created)

    def earned(self, is_won: Bools) -> Earned:
        """Sum the amounts of the chosen wins."""
        return earned_by(self.coverage, self.amount[is_won], self.closed[is_won])

    @cached_property
    def age_days(self) -> Floats:
        """The age of each lead at the moment, in days, shape (n,); nan without times."""
        if not self.has_times:
            return np.full(len(self), np.nan)
        return (self.as_of - self.created) / DAY

    @cached_property
    def days_to_close(self) -> Floats:
        """Days from creation to closing, shape (n,); infinite without a closing."""
        closed = self.closed != NEVER
        return np.where(closed, (np.where(closed, self.closed, 0) - self.created) / DAY, np.inf)

    @cached_property
    def rate(self) -> tuple[int, int]:
        """The number of wins among the mature leads, and the number of mature leads."""
        return int(self.won[self.is_mature].sum()), int(self.is_mature.sum())

    def open_at(self, lead: Ints, as_of: Ints) -> Bools:
        """Return which leads existed and were open at moments, shape of `lead`.

        Leads that were created before the outcomes begin are not known to be open.
        """
        undated = (self.is_won | self.is_lost)[lead] & (self.closed[lead] == NEVER)
        is_known = self.has_known_outcome[lead] & ~undated
        return (self.created[lead] <= as_of) & (self.closed[lead] > as_of) & is_known

    def won_within(self, lead: Ints, as_of: Ints) -> Bools:
        """Return which leads were won within one horizon after moments, shape of `lead`."""
        closed = self.closed[lead]
        in_time = (closed > as_of) & (closed - self.horizon <= as_of)
        return self.is_won[lead] & in_time

    @cached_property
    def is_touch(self) -> Bools:
        """True for types of activity that are touches: neither stages nor the outcome.

        Shape (n_types,). A type is the outcome itself if nearly all of its activities are at the
        closing.
        """
        if self.log is None:
            return np.zeros(0, dtype=bool)
        stages = {name.casefold() for name in self.project.report.stage_activities}
        k = len(self.log.types)
        lead = self.log.lead
        at_closing = is_at_closing(self.log.at, self.closed[lead], self.closed_by[lead])
        n = np.bincount(self.log.type, minlength=k)
        share = np.bincount(self.log.type[at_closing], minlength=k) / np.maximum(n, 1)
        is_stage = np.array([name.casefold() in stages for name in self.log.types], dtype=bool)
        return ~is_stage & (share < ENDING)

    @cached_property
    def first_sales_at(self) -> Ints:
        """The time of each lead's first sales activity after creation; `NEVER` without one."""
        return self.first_sales_after(self.created)

    def first_sales_after(self, times: Ints) -> Ints:
        """Return the time of each lead's first sales activity at or after a time, shape (n,).

        Only activities in the channels that the project names as those of sales count, if it
        names any. `NEVER` without one.
        """
        first = np.full(len(self), NEVER)
        if self.log is not None and self.sales:
            is_sales = np.array([name in self.sales for name in self.log.types])
            counts = is_sales[self.log.type] & (self.log.at >= times[self.log.lead])
            channels = {channel.casefold() for channel in self.project.report.sales_channels}
            if channels:
                is_of_sales = [name.casefold() in channels for name in self.log.channels]
                is_of_sales.append(False)  # for -1, no channel
                counts &= np.array(is_of_sales)[self.log.channel]
            lead, at = self.log.lead[counts], self.log.at[counts]
            begins = np.flatnonzero(np.diff(lead, prepend=-1))
            first[lead[begins]] = at[begins]
        return first

    def table(self) -> pd.DataFrame:
        """Build a table with a row for each lead, for people who want to check a number.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `source`, `created_at`, `age_days`, `outcome`, `closed_at`, `amount`,
            `is_mature`, `won_in_time`, `stage`, `furthest_stage`, `activities`,
            `first_activity_at`, `last_activity_at`, `first_sales_at`, and `probability`,
            `score`, `grade` as of the moment; unknown values are missing.
        """
        outcome = np.select([self.is_won, self.is_lost], ["won", "lost"], "open").astype(object)
        outcome[self.is_unknown] = None
        columns: dict[str, Any] = {
            "lead_id": self.records.leads["lead_id"].to_numpy(),
            "source": None if self.source is None else self.source.of_leads,
            "created_at": _times(self.created),
            "age_days": self.age_days,
            "outcome": outcome,
            "closed_at": _times(self.closed),
            "amount": self.amount,
            "is_mature": self.is_mature,
            "won_in_time": self.won,
        }
        if self.funnel is not None:
            names = np.array([*self.funnel.stages, None], dtype=object)
            columns["stage"] = names[self.funnel.current]
            columns["furthest_stage"] = names[self.funnel.furthest]
        if self.log is not None:
            columns["activities"] = self.log.counts(len(self))
            columns["first_activity_at"] = _times(self.log.first_at(len(self)))
            columns["last_activity_at"] = _times(self.log.last_at(len(self)))
            columns["first_sales_at"] = _times(self.first_sales_at)
        table = pd.DataFrame(columns)
        if self.now is not None:
            for name in ("probability", "score", "grade"):
                table.loc[self.now.lead, name] = getattr(self.now, name)
        return table


def _times(at: Ints) -> pd.Series:
    is_time = (at != NEVER) & (at != NOT_A_TIME)
    times = pd.Series(pd.NaT, index=range(len(at)), dtype=TIME_DTYPE)
    times[is_time] = pd.to_datetime(at[is_time], unit="us", utc=True).astype(TIME_DTYPE)
    return times
