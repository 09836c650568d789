"""Builds the rows of a report from records: filters, outcomes, events and scores."""

import datetime
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Ints
from crm.errors import ConfigError, LearningError
from crm.lead_ids import places
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.events import NEVER
from features.named import sales_types
from features.times import cell_time
from models.scorer import LeadScorer
from reports.model_verdict import RefusedModel, verdict_of
from reports.rows.closing_columns import audit_records, reasons_not_to_compare
from reports.rows.columns import check_sales_channels, report_columns
from reports.rows.coverage import Coverage, coverage_of
from reports.rows.journeys import read_funnel, read_log
from reports.rows.rows import ReportRows
from reports.rows.scored import records_of, score_moments
from reports.rows.segments import find_segment, groups_of


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
        The newest trained model. Given only if there is no scorer.

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
        since=NOT_A_TIME if since is None else cell_time(since),
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
        won = is_won & ((closed == NEVER) | ((closed > created) & (closed - horizon <= created)))
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
        is_mature=is_old & (created >= coverage.outcomes_from) & (closed > created),
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
