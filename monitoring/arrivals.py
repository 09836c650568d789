"""Checks that leads, activities and outcomes still arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.cells import text_column
from crm.project import Project
from crm.records import Records
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.named import source_candidates
from features.times import time_text
from models.reference import Reference
from monitoring.champion import ChampionMoments
from monitoring.check import Check, Verdict, unknown
from monitoring.early import early_losses
from monitoring.scored_moments import LeadOutcomes
from monitoring.truth import figures_of

HISTORY_DAYS: Final = 365  # before the newest record, that show what is usual
FEWEST_EVENTS: Final = 50
FEWEST_DAYS: Final = 28  # from the first to the last record, to know what is usual
STOPPED: Final = 10.0  # records that were expected since the last one
QUIET: Final = 5.0
LONGER: Final = 2.0  # times the longest gap before
MOST_GROUPS: Final = 40
NOT_READ_DAYS: Final = 7
FOUR_WEEKS: Final = 28
FEWEST_BLOCKS: Final = 6
BEYOND_RANGE: Final = 1.5  # times the busiest four weeks, or less than the quietest by this factor


@dataclass(frozen=True)
class Arrivals:
    """When records of one kind arrived, and whether they have stopped.

    Attributes
    ----------
    name : str
    n : int
        The records of the last `HISTORY_DAYS`.
    last : int
        The newest record, in microseconds since 1970 UTC.
    gap_days : float
        The days from the newest record to the end of the records.
    usual_gap_days : float
        The longest time without a record before.
    expected : float
        The records that would have come since, at the rate of the time before.
    """

    name: str
    n: int
    last: int
    gap_days: float
    usual_gap_days: float
    expected: float

    @property
    def verdict(self) -> Verdict:
        """ACT if many records were expected since the last one, and never before so long."""
        if self.gap_days < LONGER * self.usual_gap_days:
            return Verdict.FINE
        if self.expected >= STOPPED:
            return Verdict.ACT
        return Verdict.WATCH if self.expected >= QUIET else Verdict.FINE

    def sentence(self, what: str) -> str:
        """Describe records that have stopped."""
        return (
            f'The last {what} "{self.name}" is from {time_text(self.last)[:10]}, '
            f"{self.gap_days:.0f} days before the end of the records. About {self.expected:,.0f} "
            f"were expected since; the longest gap before was {self.usual_gap_days:.1f} days."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain data."""
        return {
            "name": self.name,
            "n": self.n,
            "last": time_text(self.last),
            "gap_days": self.gap_days,
            "usual_gap_days": self.usual_gap_days,
            "expected": self.expected,
            "verdict": str(self.verdict),
        }


def arrivals_of(name: str, at: Ints, until: int) -> Arrivals | None:
    """Describe when records of one kind arrived.

    Parameters
    ----------
    name : str
    at : ndarray of int64, shape (n,)
        Their times, in microseconds since 1970 UTC.
    until : int
        The end of the records.

    Returns
    -------
    Arrivals or None
        None with fewer than `FEWEST_EVENTS` records in the last `HISTORY_DAYS`, or if they came
        within `FEWEST_DAYS`.

    Examples
    --------
    >>> arrivals = arrivals_of("email_open", np.arange(0, 200) * DAY // 4, until=60 * DAY)
    >>> str(arrivals.verdict), arrivals.gap_days, arrivals.expected
    ('act', 10.25, 41.2)
    >>> str(arrivals_of("email_open", np.arange(0, 200) * DAY // 4, until=50 * DAY).verdict)
    'fine'
    """
    recent = np.sort(at[(at != NOT_A_TIME) & (at <= until) & (at > until - HISTORY_DAYS * DAY)])
    if len(recent) < FEWEST_EVENTS or recent[-1] - recent[0] < FEWEST_DAYS * DAY:
        return None
    span = int(recent[-1] - recent[0])
    gap = (until - int(recent[-1])) / DAY
    return Arrivals(
        name=name,
        n=len(recent),
        last=int(recent[-1]),
        gap_days=gap,
        usual_gap_days=float(np.diff(recent).max()) / DAY,
        expected=round(len(recent) / max(span / DAY, 1.0) * gap, 1),
    )


def activities_check(records: Records) -> Check:
    """Check whether each type of activity still arrives."""
    number, until = "LM305", _until(records)
    if records.activities is None or records.activities.empty:
        return unknown(number, "The project has no activities.")
    at = microseconds(records.activities["occurred_at"])
    types = _by_name(text_column(records.activities["type"]), at, until)
    if not types:
        return unknown(number, "No type of activity is frequent enough to tell.")
    return _stopped_check(
        number,
        types,
        "activity",
        f"All {len(types)} frequent types of activities still arrive.",
        "CRM admin: check the integration that sends these activities. Scores are too low while "
        "they are missing.",
    )


def sources_check(records: Records, project: Project) -> Check:
    """Check whether leads still arrive from each source, and as many as usual."""
    number, until = "LM304", _until(records)
    created = microseconds(records.leads["created_at"])
    everyone = arrivals_of("all sources", created, until)
    if everyone is None:
        return unknown(number, f"There are fewer than {FEWEST_EVENTS} leads in the last year.")
    candidates = source_candidates(records.leads, project)
    sources: Sequence[Arrivals] = [everyone]
    if candidates and candidates[0] in records.leads:
        sources = [
            *sources,
            *_by_name(text_column(records.leads[candidates[0]]), created, until),
        ]
    check = _stopped_check(
        number,
        sources,
        "lead from",
        f"Leads still arrive from all {len(sources) - 1} frequent sources."
        if len(sources) > 1
        else "Leads still arrive.",
        "Marketing: check the forms and campaigns of these sources. CRM admin: check their import.",
    )
    return _with_volume(check, created, until)


def outcomes_check(
    records: Records, champion: ChampionMoments, outcomes: LeadOutcomes, reference: Reference | None
) -> Check:
    """Check whether wins and losses still arrive, and whether they come later than in training."""
    number, until = "LM306", _until(records)
    at = microseconds(records.outcomes["closed_at"])
    kinds = _by_name(records.outcomes["outcome"].to_numpy(dtype=object), at, until)
    delayed = early_losses(champion, outcomes, reference)
    if not kinds and delayed is None:
        return unknown(number, "There are too few outcomes with a date to tell.")
    check = _stopped_check(
        number,
        kinds,
        "outcome",
        "Outcomes still arrive.",
        "CRM admin: check that outcomes are still sent or exported.",
    )
    if delayed is None:
        return check
    verdict = max(check.verdict, delayed.verdict, key=lambda v: v.rank)
    evidence, next_step = check.evidence, check.next_step
    if delayed.verdict is not Verdict.FINE:
        evidence = f"{delayed.sentence('closed without a win')} {evidence}"
        next_step = (
            "Sales: find out whether deals take longer, or are closed late in the CRM. Conversion "
            "of young leads is too low until then."
        )
    elif check.verdict is Verdict.FINE:
        evidence = f"{evidence} {delayed.sentence('closed without a win')}"
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            **check.figures,
            "closed": delayed.happened,
            "expected": delayed.expected,
            **figures_of(delayed.detection),
        },
        check.rows,
    )


def stale_records(records: Records, now: int) -> str:
    """Return a sentence if the newest record is much older than `now`; otherwise ""."""
    until = _until(records)
    age = (now - until) / DAY
    if until == NOT_A_TIME or age <= NOT_READ_DAYS:
        return ""
    return (
        f"The newest record is from {time_text(until)[:10]}, {age:.0f} days ago: nothing after it "
        "is watched."
    )


def _until(records: Records) -> int:
    return int(microseconds(pd.Series([records.observed_until], dtype=TIME_DTYPE))[0])


def _by_name(names: Any, at: Ints, until: int) -> list[Arrivals]:
    """Describe the records of each name, the most frequent first."""
    table = pd.Series(at, index=pd.Index(names, dtype=object))
    counts = table.index.value_counts().head(MOST_GROUPS)
    found = [
        arrivals_of(str(name), table.loc[[name]].to_numpy(), until)
        for name in counts.index
        if name is not None
    ]
    return [arrivals for arrivals in found if arrivals is not None]


def _stopped_check(
    number: str, kinds: Sequence[Arrivals], what: str, fine: str, next_step: str
) -> Check:
    stopped = [kind for kind in kinds if kind.verdict is not Verdict.FINE]
    stopped.sort(key=lambda kind: -kind.expected)
    verdict = max((kind.verdict for kind in kinds), key=lambda v: v.rank, default=Verdict.FINE)
    evidence = " ".join(kind.sentence(what) for kind in stopped[:3]) if stopped else fine
    if len(stopped) > 3:
        evidence += f" {len(stopped) - 3} more have stopped."
    return Check(
        number,
        verdict,
        evidence,
        next_step if stopped else "",
        {"stopped": len(stopped), "kinds": len(kinds)},
        [kind.to_json() for kind in kinds],
    )


def _with_volume(check: Check, created: Ints, until: int) -> Check:
    """Add a warning if the last four weeks brought far more or fewer leads than ever before."""
    counts = _four_weeks(created, until)
    if len(counts) <= FEWEST_BLOCKS:
        return check
    last, before = counts[-1], counts[:-1]
    low, high = float(before.min()), float(before.max())
    figures: Mapping[str, float | int | None] = {
        **check.figures,
        "leads_in_four_weeks": int(last),
        "fewest": int(low),
        "most": int(high),
    }
    is_usual = low / BEYOND_RANGE <= last <= high * BEYOND_RANGE
    verdict = check.verdict if is_usual else max(check.verdict, Verdict.WATCH, key=lambda v: v.rank)
    evidence = check.evidence
    if not is_usual:
        evidence += (
            f" {last:,.0f} leads came in the last four weeks; in the year before, it were "
            f"{low:,.0f} to {high:,.0f}."
        )
    next_step = check.next_step or (
        "" if is_usual else "Marketing: find out what changed the number of leads."
    )
    return Check(check.number, verdict, evidence, next_step, figures, check.rows)


def _four_weeks(created: Ints, until: int) -> Ints:
    """Count the leads of each four weeks of the last year, the newest last."""
    first = max(int(created.min()), until - HISTORY_DAYS * DAY)
    n = int((until - first) // (FOUR_WEEKS * DAY))
    ends = until - np.arange(n, -1, -1) * FOUR_WEEKS * DAY
    return np.diff(np.searchsorted(np.sort(created), ends, side="right")).astype(np.int64)
