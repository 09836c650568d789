"""Checks that leads, activities and outcomes still arrive."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.cells import text_column
from crm.project import Project
from crm.records import Records
from crm.text import has_or_have
from crm.times import DAY, NOT_A_TIME, microseconds
from features.named import source_candidates
from features.times import time_text
from models.reference import Reference
from monitoring.champion import ChampionMoments
from monitoring.check import Check, Verdict, unknown
from monitoring.early import early_losses
from monitoring.gaps import FEWEST_EVENTS, HISTORY_DAYS, Arrivals, arrivals_of, back_again, until_of
from monitoring.retired import (
    ACTIVITIES,
    VALUES,
    Retired,
    not_expected,
    retire_list,
    retire_values,
    rows_of,
    value_name,
    with_retired,
)
from monitoring.scored_moments import LeadOutcomes
from monitoring.truth import figures_of

MOST_GROUPS: Final = 40
NOT_READ_DAYS: Final = 7
FOUR_WEEKS: Final = 28
FEWEST_BLOCKS: Final = 6
BEYOND_RANGE: Final = 1.5  # times the busiest four weeks, or less than the quietest by this factor


def activities_check(records: Records, retired: Retired) -> Check:
    """Check whether each type of activity still arrives."""
    number, until = "LM305", until_of(records)
    if records.activities is None or records.activities.empty:
        return unknown(number, "The project has no activities.")
    at = microseconds(records.activities["occurred_at"])
    types = text_column(records.activities["type"])
    is_expected = ~rows_of(types, retired.activities)
    kinds = _by_name(types[is_expected], at[is_expected], until)
    check = unknown(number, "No type of activity is frequent enough to tell.")
    if kinds:
        check = _stopped_check(
            number,
            kinds,
            "activity",
            f"All {len(kinds)} frequent types of activities still arrive.",
            "CRM admin: check the integration that sends these activities. Scores are too low "
            "while they are missing."
            + retire_list(ACTIVITIES, retired.activities.values(), _perhaps_retired(kinds)),
        )
    back = [
        back_again(f'"{name}"', at[rows_of(types, [key])], until)
        for key, name in retired.activities.items()
    ]
    left_out = not_expected(ACTIVITIES, [f'"{name}"' for name in retired.activities.values()])
    return with_retired(check, left_out, back)


def sources_check(records: Records, project: Project, retired: Retired) -> Check:
    """Check whether leads still arrive from each source, and as many as usual."""
    number, until = "LM304", until_of(records)
    created = microseconds(records.leads["created_at"])
    column = next((c for c in source_candidates(records.leads, project) if c in records.leads), "")
    gone = retired.values.get(column, {}) if column else {}
    names = text_column(records.leads[column]) if column else np.full(len(created), None)
    is_expected = ~rows_of(names, gone)
    expected = created[is_expected]
    everyone = arrivals_of("all sources", expected, until)
    check = unknown(number, f"There are fewer than {FEWEST_EVENTS} leads in the last year.")
    if everyone is not None:
        kinds = _by_name(names[is_expected], expected, until)
        step = (
            "Marketing: check the forms and campaigns of these sources. CRM admin: check their "
            "import."
        )
        step += retire_values(retired, [(column, name) for name in _perhaps_retired(kinds)])
        fine = (
            f"Leads still arrive from all {len(kinds)} frequent sources."
            if kinds
            else "Leads still arrive."
        )
        check = _stopped_check(number, [everyone, *kinds], "lead from", fine, step)
        check = _with_volume(check, expected, until)
    named = {key: value_name(column, name) for key, name in gone.items()}
    back = [back_again(name, created[rows_of(names, [key])], until) for key, name in named.items()]
    return with_retired(check, not_expected(VALUES, list(named.values())), back)


def outcomes_check(
    records: Records, champion: ChampionMoments, outcomes: LeadOutcomes, reference: Reference | None
) -> Check:
    """Check whether wins and losses still arrive, and whether they come later than in training."""
    number, until = "LM306", until_of(records)
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
    until = until_of(records)
    age = (now - until) / DAY
    if until == NOT_A_TIME or age <= NOT_READ_DAYS:
        return ""
    return (
        f"The newest record is from {time_text(until)[:10]}, {age:.0f} days ago: nothing after it "
        "is watched."
    )


def _by_name(names: Any, at: Ints, until: int) -> list[Arrivals]:
    """Describe the records of each name, the most frequent first."""
    table = pd.Series(at, index=pd.Index(names, dtype=object))
    counts = table.index.value_counts().head(MOST_GROUPS)
    found = [
        arrivals_of(str(name), table.loc[[name]].to_numpy(), until, len(counts))
        for name in counts.index
        if name is not None
    ]
    return [arrivals for arrivals in found if arrivals is not None]


def _stopped(kinds: Sequence[Arrivals]) -> list[Arrivals]:
    """Return the kinds that have stopped, those of which most was expected first."""
    stopped = [kind for kind in kinds if kind.verdict is not Verdict.FINE]
    return sorted(stopped, key=lambda kind: -kind.expected)


def _perhaps_retired(kinds: Sequence[Arrivals]) -> list[str]:
    """Return the names that may be gone on purpose: none if all of several kinds have stopped."""
    stopped = [kind.name for kind in _stopped(kinds)]
    return [] if len(stopped) == len(kinds) > 1 else stopped


def _stopped_check(
    number: str, kinds: Sequence[Arrivals], what: str, fine: str, next_step: str
) -> Check:
    stopped = _stopped(kinds)
    verdict = max((kind.verdict for kind in kinds), key=lambda v: v.rank, default=Verdict.FINE)
    evidence = " ".join(kind.sentence(what) for kind in stopped[:3]) if stopped else fine
    if len(stopped) > 3:
        more = len(stopped) - 3
        evidence += f" {more} more {has_or_have(more)} stopped."
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
            f" {last:,.0f} leads came in the last four weeks; in the year before, four "
            f"weeks brought {low:,.0f} to {high:,.0f}."
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
