"""Leads handed over to sales: when, with which grade, and what became of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats, Ints, Objects
from crm.times import DAY, HOUR
from features.events import NEVER
from models.evaluation.comparisons import Share, share_of
from models.evaluation.intervals import MedianInterval, median_interval
from reports.content import TableRow
from reports.pages.coverage import has_all_wins
from reports.pages.phrases import day_name, finite
from reports.pages.sources.qualified import qualified_stage
from reports.rows.rows import ReportRows
from reports.rows.scored import score_moments
from reports.text import quoted_name

WEEKS = 13
WEEK = 7 * DAY
TO_WORK = 7 * DAY  # the longest wait of a worked lead
MONDAY = 4 * DAY  # 1 January 1970 was a Thursday
QUIET = 3 * DAY  # a week is complete even if no lead came on its last days
ALL = "all"
NOT_SCORED = "not scored"
MOST_GRADED = 300_000  # more leads than these are "not scored"
SALES_COLUMNS = (  # the columns that need sales activities
    "hours",
    "hours_low",
    "hours_high",
    "hours_late",
    "n",
    "wins",
    "value",
    "low",
    "high",
    "untouched",
)


@dataclass(frozen=True, kw_only=True)
class HandedRow(TableRow):
    """The leads of a grade that were handed over in a period, worked and converted.

    Attributes
    ----------
    grade : str
        A grade, or `ALL`.
    handed : int
        Leads handed over.
    a_week : float
        Leads handed over in an average week.
    worked : Share
        Leads worked within 7 days, of those that are old enough.
    hours : MedianInterval or None
        From the handover to the first sales activity; infinite if there is none yet.
    untouched : int
        Leads that are old enough and were not worked at all.
    won : Share
        Leads won within a horizon after the handover, of those whose horizon ended in the period.
    """

    grade: str
    handed: int
    a_week: float
    worked: Share
    hours: MedianInterval | None
    untouched: int
    won: Share

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; a median that is not known yet is None."""
        hours = self.hours
        won = self.won.cells()
        return {
            "name": self.grade,
            "handed": self.handed,
            "a_week": self.a_week,
            "hours": finite(hours.value) if hours else None,
            "hours_low": finite(hours.low) if hours else None,
            "hours_high": finite(hours.high) if hours else None,
            "hours_late": finite(hours.late) if hours else None,
            "untouched": self.untouched,
            **self.worked.cells(),
            "mature": won["n"],
            "won": won["wins"],
            "won_share": won["value"],
            "won_low": won["low"],
            "won_high": won["high"],
        }


@dataclass(frozen=True, kw_only=True)
class Handovers:
    """Leads and their handover to sales.

    Attributes
    ----------
    rows : ReportRows
    at : ndarray of int64, shape (n,)
        The time of each handover; `NEVER` for a lead that was not handed over.
    last : int
        The end of the last complete week, in microseconds.
    known_from : int
        The first handover or lead of all records, in microseconds: earlier weeks are not known.
    grade : ndarray of object, shape (n,)
        The grade at the handover by the model of the report; `ALL` without a model.
    """

    rows: ReportRows
    at: Ints
    last: int
    known_from: int
    grade: Objects

    @cached_property
    def weeks(self) -> int:
        """The number of weeks shown: up to `WEEKS`, without those before the first record."""
        known = -(-(self.last - self.known_from) // WEEK)
        return min(max(known, 1), WEEKS)

    @property
    def first(self) -> int:
        """The beginning of the first week shown."""
        return self.last - self.weeks * WEEK

    @property
    def is_cut(self) -> bool:
        """True if leads are left out that can have been handed over or won in the weeks."""
        return not has_all_wins(self.rows, self.first)

    def is_known(self, begin: int) -> bool:
        """Check whether the deals since a moment are known."""
        return begin >= self.rows.coverage.outcomes_from

    @cached_property
    def grades(self) -> list[str]:
        """The grades of the leads of these weeks, and those that have a promise."""
        return sorted({*self.grade[self.within(self.first, self.last)], *_promised(self.rows)})

    @property
    def has_grades(self) -> bool:
        """True if a model graded the leads."""
        return self.grades != [ALL]

    @cached_property
    def touched(self) -> Ints:
        """The time of the first sales activity after the handover; `NEVER` without one."""
        return self.rows.first_sales_after(np.where(self.at == NEVER, self.rows.as_of, self.at))

    @cached_property
    def hours(self) -> Floats:
        """Hours from the handover to the first sales activity; infinite without one."""
        is_touched = self.touched != NEVER
        waited = (np.where(is_touched, self.touched, 0) - self.at) / HOUR
        return np.where(is_touched, waited, np.inf)

    def within(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Return which leads of a grade were handed over in a period."""
        inside = (self.at >= begin) & (self.at < end)
        return inside if grade == ALL else inside & (self.grade == grade)

    def watched(self, begin: int, end: int, grade: str = ALL, span: int = TO_WORK) -> Bools:
        """Return which of these leads were handed over at least `span` microseconds ago."""
        return self.within(begin, end, grade) & (np.minimum(self.at, end) + span <= self.rows.as_of)

    def matured(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Return which leads were handed over one horizon before a period."""
        handed = self._handed_before(begin, end, grade)
        return handed & self.rows.has_known_outcome & ~self.rows.is_closed_early

    @property
    def n_unknown(self) -> int:
        """The number of leads handed over one horizon before the weeks, with unknown outcomes."""
        handed = self._handed_before(self.first, self.last)
        return int((handed & ~self.rows.has_known_outcome).sum())

    def _handed_before(self, begin: int, end: int, grade: str = ALL) -> Bools:
        """Return which leads were handed over one horizon before a period."""
        return self.within(begin - self.rows.horizon, end - self.rows.horizon, grade)

    def closed(self, begin: int, end: int) -> Bools:
        """Return which leads were won in a period."""
        return self.rows.is_won & (self.rows.closed >= begin) & (self.rows.closed < end)

    def row(self, grade: str, begin: int, end: int) -> HandedRow:
        """Count the leads that were handed over, worked and converted in a period."""
        handed = int(self.within(begin, end, grade).sum())
        old = self.watched(begin, end, grade)
        mature = np.flatnonzero(self.matured(begin, end, grade))
        won = self.rows.won_within(mature, self.at[mature])
        return HandedRow(
            grade=grade,
            handed=handed,
            a_week=handed / self.weeks,
            worked=share_of(int((self.hours[old] <= TO_WORK / HOUR).sum()), int(old.sum())),
            hours=median_interval(self.hours[old]),
            untouched=int((self.touched[old] == NEVER).sum()),
            won=share_of(int(won.sum()), len(mature)),
        )


def handover_times(rows: ReportRows) -> tuple[Ints, str]:
    """Return the time of each handover, `NEVER` without one, and a sentence about its meaning."""
    stage = qualified_stage(rows)
    if stage is None or rows.funnel is None:
        return rows.created, (
            "A lead counts as handed over when it is created, because no stage is named for it: "
            "name one with [report] qualified_stage."
        )
    return rows.funnel.reached[:, rows.funnel.place(stage)], (
        f"A lead counts as handed over when it enters {quoted_name(stage)} or a later stage."
    )


def grades_at_handover(rows: ReportRows, at: Ints, last: int) -> Objects:
    """Score the leads that were handed over in the weeks, or whose horizon ended in them."""
    grade = np.full(len(rows), ALL, dtype=object)
    if rows.scorer is not None:
        ends = np.array([last, last - rows.horizon])[:, None]
        lead = np.flatnonzero(((at >= ends - WEEKS * WEEK) & (at < ends)).any(axis=0))
        scored = score_moments(rows.scorer, rows.records, lead, at[lead], MOST_GRADED)
        grade[lead] = NOT_SCORED
        grade[scored.lead] = scored.grade
    return grade


def _promised(rows: ReportRows) -> set[str]:
    """Return the grades of the model that have a promise."""
    if rows.scorer is None:
        return set()
    targets, scale = rows.project.report.targets, rows.scorer.scale
    promised = {*targets.leads_per_week, *targets.first_touch_hours}
    promised |= {*targets.worked_share, *targets.won_share}
    return promised & {*(grade for grade, _ in scale.grades), scale.lowest}


def window_words(handovers: Handovers) -> str:
    """Describe the weeks shown."""
    weeks = "week" if handovers.weeks == 1 else f"{handovers.weeks} weeks"
    return f"{weeks} from {day_name(handovers.first)} to {_last_day(handovers)}"


def _last_day(handovers: Handovers) -> str:
    return day_name(handovers.last - DAY)


def coverage_sentences(handovers: Handovers) -> list[str]:
    """Describe the weeks that the records do not cover."""
    sentences = []
    known_from, first = handovers.known_from, handovers.first
    if handovers.weeks < WEEKS:
        sentences.append(
            f"The records begin on {day_name(known_from)}, so {handovers.weeks} "
            f"{'week is' if handovers.weeks == 1 else 'weeks are'} shown."
        )
    if known_from >= first + DAY:
        days = -(-(first + WEEK - known_from) // DAY)
        sentences.append(f"The first of them has records of {days} of its 7 days.")
    if not handovers.is_known(first):
        begin = day_name(handovers.rows.coverage.outcomes_from)
        sentences.append(f"Deals of weeks before {begin} are not known: the outcomes begin then.")
    if handovers.is_cut:
        since = day_name(handovers.rows.since)
        sentences.append(
            f"Leads created before {since} are left out, also if they were handed over or won in "
            "these weeks. So the numbers of leads handed over and of deals may rise from week to "
            f"week only because the leads created since {since} grow older."
        )
    return sentences
