"""Kinds of leads that go on less often from a stage, and see less content in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools, Codes, Ints
from features.attributes.attribute import MISSING_GROUP
from features.events import NEVER
from features.groups import Groups
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Contrast
from models.evaluation.differences import means_differ
from models.evaluation.intervals import holm
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.pages.averages import average_of, group_contrasts, has_value
from reports.pages.groups import (
    CHANCE_TITLE,
    compared_columns,
    correct_families,
    evidence_of,
    n_compared,
    share_columns,
)
from reports.pages.phrases import mature_words, ratio_words
from reports.rows.journeys import Funnel, Log
from reports.rows.rows import ReportRows
from reports.text import column_label, quoted_column, quoted_name

MOST_GAP_TAKEAWAYS = 2


@dataclass(frozen=True, kw_only=True)
class _ContentSeen:
    """The contents that leads of a group saw in a stage.

    Attributes
    ----------
    per_lead, usual : float
        The mean number for each lead of the group, and of all leads that have a value; nan
        without such leads.
    p : float
        The p-value of the difference from the other leads; 1 for leads without a value.
    """

    per_lead: float
    usual: float
    p: float


@dataclass(frozen=True, kw_only=True)
class GapRow(TableRow):
    """A kind of lead in a stage: how often it goes on, and how much content it sees."""

    share: Contrast
    name: str
    stage: str
    segment: str
    group: str
    than: str
    seen: _ContentSeen

    @property
    def is_gap(self) -> bool:
        """True if these leads clearly go on less often and see less content."""
        sees_less = self.seen.p < CHANCE and self.seen.per_lead < self.seen.usual
        return self.share.is_significant and (self.share.ratio or 1) < 1 and sees_less

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            **self.share.cells(),
            "name": self.name,
            "per_lead": self.seen.per_lead,
            "usual": self.seen.usual,
            "p_contents": self.seen.p,
            "gap": "yes" if self.is_gap else "no",
        }

    def takeaway(self) -> Takeaway:
        """Return the gap as a sentence."""
        return Takeaway(
            f"Leads whose {quoted_column(self.segment)} is {quoted_name(self.group)} see "
            f"{self.seen.per_lead:.1f} contents each in {quoted_name(self.stage)}; the average "
            f"is {self.seen.usual:.1f}. They go on {ratio_words(self.share, self.than, 'go on')}. "
            "Less content may be the cause of that, or its consequence.",
            evidence_of(
                self.share, name=self.name, per_lead=self.seen.per_lead, usual=self.seen.usual
            ),
            "contents_per_lead",
            "activities-gaps",
        )


def gaps_section(rows: ReportRows, log: Log) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find stages and kinds of leads with low conversion and little content."""
    heading = "Where few go on and see little content"
    segments = [groups for groups in (rows.source, *rows.audience[:1]) if groups is not None]
    funnel = rows.funnel
    if funnel is None or not funnel.stages or not segments or not (log.content >= 0).any():
        needs = (
            "Stages and kinds of leads that are seldom won and saw little content. This needs "
            "stages, contents of activities ([activities] content), and a source or audience."
        )
        return Section(heading, needs=needs), ()
    table = _gap_rows(rows, log, funnel, segments)
    gaps = sorted((row for row in table if row.is_gap), key=lambda row: row.share.ratio_high or 1)
    table.sort(key=lambda row: (not row.is_gap, row.share.ratio or 1))
    figure = Figure(
        name="activities-gaps",
        finding=_finding(len(gaps), [row.share for row in table]),
        about=f"{mature_words(rows)} that reached the stage within {rows.horizon_days:g} days; "
        "contents that leads saw while they were in it",
        columns=(
            Column("name", "Stage and kind of lead"),
            Column("gap", "Goes on less, sees less"),
            Column("n", "Reached the stage", "count"),
            Column("wins", "Go on", "count"),
            *share_columns("Goes on", "step_share"),
            Column("ratio", "Against all in the stage", "ratio"),
            Column("verdict", "Result"),
            *compared_columns(cells_of(table)),
            Column("per_lead", "Contents a lead", "ratio", "contents_per_lead"),
            Column("usual", "Contents a lead, average", "ratio", "contents_per_lead"),
            Column("p_contents", f"{CHANCE_TITLE}, contents", "ratio", "chance"),
        ),
        rows=cells_of(table),
        note=(
            "Less content may be the cause of fewer going on, or its consequence. Kinds of leads "
            f"are those by {' and '.join(quoted_column(groups.column) for groups in segments)}; "
            "other columns are not compared here."
        ),
    )
    takeaways = tuple(row.takeaway() for row in gaps[:MOST_GAP_TAKEAWAYS])
    return Section(heading, figures=(figure,)), takeaways


def _finding(n_gaps: int, groups: Sequence[Contrast]) -> str:
    """Format the title: how many kinds of leads go on less often and see less content."""
    if not n_gaps:
        return "No kind of lead clearly goes on less often and sees less content in any stage"
    return (
        f"In {n_gaps:,} of {n_compared(groups):,} comparisons of a kind of lead in a stage, these "
        "leads clearly go on less often than the others and see less content"
    )


def _gap_rows(
    rows: ReportRows, log: Log, funnel: Funnel, segments: Sequence[Groups]
) -> list[GapRow]:
    """Compare each kind of lead in each stage, corrected for all of them."""
    contrasts: list[list[Contrast]] = []
    contents: list[_ContentSeen] = []
    places: list[tuple[str, str, str, str]] = []
    limit = rows.created + rows.horizon
    following = np.column_stack([funnel.reached[:, 1:], rows.closed])
    for k, stage in enumerate(funnel.stages):
        reached = rows.is_mature & ((funnel.reached[:, k] <= limit) | rows.won)
        goes_on = (following[:, k] <= limit) if k + 1 < len(funnel.stages) else rows.won
        inside = rows.is_mature & (funnel.entered[:, k] <= limit)
        is_seen = _seen_in_stage(log, funnel.entered[:, [k]], following, inside)
        for groups in segments:
            contrasts.append(group_contrasts(groups, reached, goes_on | rows.won, rows.period))
            contents += _contents_seen(groups, inside, log.lead[is_seen])
            than = average_of(groups, reached, goes_on).words
            places += [(stage, groups.column, name, than) for name in groups.names]
    corrected = [group for family in correct_families(contrasts) for group in family]
    ps = holm([seen.p for seen in contents])
    return [
        GapRow(
            share=group,
            name=f"{stage} × {column_label(segment)}: {name}",
            stage=stage,
            segment=segment,
            group=name,
            than=than,
            seen=replace(seen, p=p),
        )
        for (stage, segment, name, than), group, seen, p in zip(
            places, corrected, contents, ps, strict=True
        )
        if group.n
    ]


def _seen_in_stage(log: Log, entered: Ints, following: Ints, inside: Bools) -> Bools:
    """Return True for activities with a content while their lead was in a stage.

    Parameters
    ----------
    log : Log
    entered : ndarray of int64, shape (n_leads, 1)
    following : ndarray of int64, shape (n_leads, k)
        The times at which each lead reached the later stages or closed.
    inside : ndarray of bool, shape (n_leads,)
        True for leads that entered the stage.
    """
    left = np.where(following > entered, following, NEVER).min(axis=1)
    return (
        (log.content >= 0)
        & inside[log.lead]
        & (log.at >= entered[log.lead, 0])
        & (log.at < left[log.lead])
    )


def _contents_seen(groups: Groups, inside: Bools, lead: Codes) -> list[_ContentSeen]:
    """Compare the number of contents that each group's leads saw in a stage with the others'.

    Parameters
    ----------
    groups : Groups
    inside : ndarray of bool, shape (n_leads,)
        True for leads that entered the stage.
    lead : ndarray of int32, shape (n_seen,)
        The lead of each activity that counts.
    """
    code, is_known = groups.code[inside], has_value(groups)[inside]
    per_lead = np.bincount(lead, minlength=len(inside))[inside].astype(np.float64)
    usual = float(per_lead[is_known].mean()) if is_known.any() else np.nan
    table = []
    for i, name in enumerate(groups.names):
        own, others = per_lead[code == i], per_lead[is_known & (code != i)]
        is_judged = min(len(own), len(others)) >= FEWEST_LEADS and name != MISSING_GROUP
        table.append(
            _ContentSeen(
                per_lead=float(own.mean()) if len(own) else np.nan,
                usual=usual,
                p=means_differ(own, others) if is_judged else 1.0,
            )
        )
    return table
