"""The rows that every page counts: one for each lead as of one moment, and its events as arrays.

Nothing that was recorded after the moment counts. A lead is mature when its whole horizon has
passed by then. The other leads are marked, and no page includes them in an average.
"""

import datetime
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Objects
from crm.errors import ConfigError, LearningError
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.events import NEVER, places
from features.groups import Groups
from features.times import cell_time
from models.evaluation.same_time import periods_of
from models.scorer import LeadScorer
from reports.model_verdict import NO_MODEL, ModelVerdict, RefusedModel, verdict_of
from reports.rows.closing_columns import (
    AuditedRecords,
    audit_records,
    reasons_not_to_compare,
)
from reports.rows.columns import (
    ReportColumns,
    check_sales_channels,
    report_columns,
    sales_types,
)
from reports.rows.coverage import Coverage, Earned, coverage_of, earned_by
from reports.rows.journeys import ENDING, Funnel, Log, is_at_closing, read_funnel, read_log
from reports.rows.scored import Scored, records_of, score_moments
from reports.rows.segments import find_segment, groups_of


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
        The outcome up to the moment, within the horizon or later. A lead that is neither is open.
    won : ndarray of bool, shape (n,)
        True for leads that were won within the horizon after creation.
    is_old : ndarray of bool, shape (n,)
        True for leads that were created at least one horizon ago; without times, for leads with
        an outcome.
    is_mature : ndarray of bool, shape (n,)
        True for old leads whose outcome is known: those not created before the outcomes begin.
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
    def is_open(self) -> Bools:
        """True for leads without an outcome, shape (n,)."""
        return ~(self.is_won | self.is_lost)

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
        outcome = np.select([self.is_won, self.is_lost], ["won", "lost"], default="open")
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


def make_rows(
    project: Project,
    records: Records,
    now: datetime.datetime,
    scorer: LeadScorer | None = None,
    *,
    since: datetime.datetime | None = None,
    segment: tuple[str, str] | None = None,
    refused: RefusedModel | None = None,
) -> ReportRows:
    """Build the rows of a report.

    The moment is `now`, or the newest time in the records if that is earlier: an export of last
    month has no records of this month.

    Parameters
    ----------
    project : Project
    records : Records
    now : datetime, timezone-aware
    scorer : LeadScorer, optional
        Without a scorer the rows have no scores.
    since : datetime, timezone-aware, optional
        Only leads created at or after it.
    segment : tuple of str, optional
        A column of the leads table, by its name or label, and its value, or a group of the report
        such as a band of numbers; case does not matter.
    refused : RefusedModel, optional
        The newest model that was trained, if there is no scorer.

    Returns
    -------
    ReportRows

    Raises
    ------
    ConfigError
        If `segment` or the project file names something that does not exist, or `since` is given
        for leads without a time of creation.
    LearningError
        If no lead is left.
    """
    as_of = NOT_A_TIME
    if records.has_times:
        until = records.observed_until
        newest = NOT_A_TIME if until is None else int(microseconds(pd.Series([until]))[0])
        as_of = cell_time(now) if newest == NOT_A_TIME else min(cell_time(now), newest)
    check_sales_channels(records.activities, project)
    audited = audit_records(records, project)
    reasons = reasons_not_to_compare(project, audited)
    columns = report_columns(records.leads, project, reasons)
    is_selected = _created_between(records, as_of, since)
    coverage = coverage_of(records, as_of, NOT_A_TIME if since is None else cell_time(since))
    leads_until = NOT_A_TIME
    if records.has_times:
        created = microseconds(records.leads["created_at"])
        leads_until = int(created[created <= as_of].max(initial=NOT_A_TIME))
    if segment is not None:
        found = find_segment(records, project, columns, reasons, segment)
        is_selected, segment = is_selected & found.is_in, (found.column, found.value)
    if not is_selected.any():
        raise LearningError(
            "No lead is left to report on: none was created up to the moment of the report with "
            "these filters. Take --since or --segment out, or check the export."
        )
    rows = _with_events(_with_outcomes(project, records, scorer, as_of, leads_until, coverage))
    if not is_selected.all():
        rows = _part(rows, np.flatnonzero(is_selected))
    is_part = since is not None or segment is not None
    rows = replace(
        rows,
        columns=columns,
        audited=audited,
        segment=segment,
        is_part=is_part,
        verdict=verdict_of(scorer.card if scorer else None, refused, is_part=is_part),
        source=(
            None
            if columns.source is None
            else groups_of(rows.records, project, columns, columns.source)
        ),
        audience=tuple(
            groups_of(rows.records, project, columns, column) for column in columns.audience
        ),
    )
    return rows if scorer is None else _with_scores(rows, scorer)


def _created_between(records: Records, as_of: int, since: datetime.datetime | None) -> Bools:
    """Return which leads were created up to the moment, and not before `since`."""
    is_selected = np.ones(len(records.leads), dtype=bool)
    if records.has_times:
        created = microseconds(records.leads["created_at"])
        is_selected &= created <= as_of
        if since is not None:
            is_selected &= created >= cell_time(since)
    elif since is not None:
        raise ConfigError(
            "--since needs a time of creation, which these leads do not have. "
            "Name it with [leads] created_at, or leave --since out."
        )
    return is_selected


def _with_events(rows: ReportRows) -> ReportRows:
    """Add the activities and the stages of all leads.

    A part of the leads has the same stages, in the same order, as all leads.
    """
    if not rows.has_times:
        return rows
    position = pd.Index(rows.records.leads["lead_id"])
    log = read_log(rows.records.activities, position, rows.as_of)
    closed = rows.closed, rows.closed_by
    return replace(
        rows,
        log=log,
        funnel=read_funnel(rows.records, log, rows.project, position, closed, rows.as_of),
        sales=() if log is None else sales_types(log.types, rows.project),
    )


def _part(rows: ReportRows, lead: Ints) -> ReportRows:
    """Return the rows of some leads, whose positions ascend."""
    columns = {declared.name: getattr(rows, declared.name) for declared in fields(rows)}
    arrays: dict[str, Any] = {
        name: column[lead] for name, column in columns.items() if isinstance(column, np.ndarray)
    }
    return replace(
        rows,
        records=records_of(rows.records, lead),
        log=None if rows.log is None else rows.log.of(lead, len(rows)),
        funnel=(
            None if rows.funnel is None else replace(rows.funnel, entered=rows.funnel.entered[lead])
        ),
        **arrays,
    )


def _with_outcomes(
    project: Project,
    records: Records,
    scorer: LeadScorer | None,
    as_of: int,
    leads_until: int,
    coverage: Coverage,
) -> ReportRows:
    leads, outcomes = records.leads, records.outcomes
    n, horizon = len(leads), int(project.learn.horizon_days * DAY)
    has_times = as_of != NOT_A_TIME
    created = microseconds(leads["created_at"]) if has_times else np.full(n, NOT_A_TIME)
    lead = places(outcomes["lead_id"], leads["lead_id"])
    at = microseconds(outcomes["closed_at"])
    by = microseconds(outcomes["closed_by"])
    by = np.where(by == NOT_A_TIME, NEVER, by)
    is_win = (outcomes["outcome"] == "won").to_numpy()
    counts = lead >= 0
    if has_times:
        counts &= (at == NOT_A_TIME) | (at <= as_of)
    at = np.where(at == NOT_A_TIME, NEVER, at)
    lead, at, is_win = lead[counts], at[counts], is_win[counts]
    place = np.flatnonzero(counts)
    # The first win of a lead counts before any loss; of several losses the first.
    order = np.lexsort((at, ~is_win, lead))
    first = order[np.flatnonzero(np.diff(lead[order], prepend=-1))]
    is_won, is_lost = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    closed, closed_by, amount = np.full(n, NEVER), np.full(n, NEVER), np.zeros(n)
    reason = np.full(n, None, dtype=object)
    ended = lead[first]
    is_won[ended], is_lost[ended], closed[ended] = is_win[first], ~is_win[first], at[first]
    closed_by[ended] = by[place[first]]
    amounts = outcomes["amount"].to_numpy(dtype=np.float64)[place[first]]
    amount[ended] = np.where(is_win[first], np.nan_to_num(amounts), 0.0)
    reasons = outcomes["reason"].to_numpy(dtype=object)[place[first]]
    reason[ended] = [None if pd.isna(text) else text for text in reasons]
    if not has_times:
        won, is_old = is_won, is_won | is_lost
    else:
        won = is_won & ((closed == NEVER) | (closed - horizon <= created))
        certain = microseconds(pd.Series([records.outcomes_until], dtype=TIME_DTYPE))[0]
        is_old = created + horizon <= (as_of if certain == NOT_A_TIME else min(as_of, certain))
    return ReportRows(
        project=project,
        records=records,
        scorer=scorer,
        as_of=as_of,
        leads_until=leads_until,
        horizon=horizon,
        created=created,
        closed=closed,
        closed_by=closed_by,
        is_won=is_won,
        is_lost=is_lost,
        won=won,
        is_old=is_old,
        is_mature=is_old & (created >= coverage.outcomes_from),
        amount=amount,
        coverage=coverage,
        reason=reason,
        source=None,
        audience=(),
    )


def _with_scores(rows: ReportRows, scorer: LeadScorer) -> ReportRows:
    everyone = np.arange(len(rows))
    if not rows.has_times:
        timeless = np.full(len(rows), NOT_A_TIME)
        open_leads = everyone[rows.is_open]
        return replace(
            rows,
            now=score_moments(scorer, rows.records, open_leads, timeless[open_leads]),
            arrival=score_moments(scorer, rows.records, everyone, timeless),
        )
    moment, back = np.full(len(rows), rows.as_of), np.full(len(rows), rows.as_of - rows.horizon)
    now, before = everyone[rows.is_open], everyone[rows.open_at(everyone, back)]
    return replace(
        rows,
        now=score_moments(scorer, rows.records, now, moment[now]),
        before=score_moments(scorer, rows.records, before, back[before]),
        arrival=score_moments(scorer, rows.records, everyone, rows.created),
    )


def _times(at: Ints) -> pd.Series:
    is_time = (at != NEVER) & (at != NOT_A_TIME)
    times = pd.Series(pd.NaT, index=range(len(at)), dtype=TIME_DTYPE)
    times[is_time] = pd.to_datetime(at[is_time], unit="us", utc=True).astype(TIME_DTYPE)
    return times
