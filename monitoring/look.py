"""Takes a look: makes all checks of a model, and sums them up."""

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crm.errors import LearningError
from crm.project import Project
from crm.records import Records
from features.times import cell_time
from models.scorer import LeadScorer
from monitoring.arrivals import activities_check, outcomes_check, sources_check, stale_records
from monitoring.champion import champion_moments
from monitoring.check import Check, Verdict, unknown, worst
from monitoring.control import control_checks
from monitoring.early import early_wins_check
from monitoring.estimated import came_true_check, newest_check
from monitoring.given import GivenScores, given_scores, groups_check, worked_check
from monitoring.inputs import input_checks
from monitoring.new_values import with_new_values
from monitoring.promise import Promise
from monitoring.retired import known_retired
from monitoring.retired_inputs import with_retired_inputs
from monitoring.scored_moments import LeadOutcomes
from monitoring.scores import grades_check, inflation_check, warnings_check
from monitoring.shadow import shadow_check
from monitoring.truth import truth_checks, version_rows

NO_LEDGER = (
    "No given scores are stored, because there is no ledger. The checks of the champion "
    "score the leads again."
)
GIVEN_CHECKS = ("LM101", "LM102", "LM103", "LM104", "LM105")


Rows = Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class StoredScores:
    """The scores that a ledger stores. Each call reads a table from its beginning.

    Attributes
    ----------
    given : callable
        Returns the rows of the table `scores`, in order of arrival.
    shadows : callable
        Returns the rows of the table `shadow_scores`, in order of arrival.
    """

    given: Rows
    shadows: Rows = tuple


@dataclass(frozen=True)
class Look:
    """The result of looking at a model once.

    Attributes
    ----------
    name, version : str
        The model.
    at : str
        The time of the look, ISO 8601 UTC.
    until : str
        The time of the newest record.
    checks : tuple of Check
        In the order of their numbers.
    notes : tuple of str
        Sentences about what could not be looked at.
    versions : tuple of mapping
        How the scores that each version gave turned out.
    leads : int
        The number of leads that the champion has not learned from.
    simulated : bool
    """

    name: str
    version: str
    at: str
    until: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    versions: tuple[Mapping[str, Any], ...]
    leads: int
    simulated: bool

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the checks."""
        return worst(self.checks)

    def with_verdict(self, verdict: Verdict) -> list[Check]:
        """Return the checks with a verdict."""
        return [check for check in self.checks if check.verdict is verdict]

    @property
    def should_act(self) -> bool:
        """True if a check says act."""
        return self.verdict is Verdict.ACT

    @property
    def should_retrain(self) -> list[Check]:
        """The checks that say act and that a new model may help."""
        return [c for c in self.with_verdict(Verdict.ACT) if c.question.retrains]

    def sentence(self) -> str:
        """Sum up the look."""
        act, watch = (len(self.with_verdict(v)) for v in (Verdict.ACT, Verdict.WATCH))
        if act:
            return f"{_count(act, 'check')} say{'s' if act == 1 else ''} act."
        if watch:
            return f"Nothing to act on; {_count(watch, 'check')} to watch."
        fine, unclear = (len(self.with_verdict(v)) for v in (Verdict.FINE, Verdict.UNKNOWN))
        if not fine:
            return "It is too early to tell."
        if not unclear:
            return "All is as promised."
        return f"Nothing to act on: {_count(fine, 'check')} fine, {unclear} cannot tell yet."

    def to_json(self) -> dict[str, Any]:
        """Return the look as plain data."""
        return {
            "name": self.name,
            "version": self.version,
            "at": self.at,
            "until": self.until,
            "verdict": str(self.verdict),
            "sentence": self.sentence(),
            "simulated": self.simulated,
            "leads": self.leads,
            "should_retrain": [check.number for check in self.should_retrain],
            "notes": list(self.notes),
            "versions": [dict(row) for row in self.versions],
            "checks": [check.to_json() for check in self.checks],
        }


def take_look(
    project: Project,
    records: Records,
    scorer: LeadScorer,
    version: str,
    now: datetime.datetime,
    stored: StoredScores | None = None,
) -> Look:
    """Make all checks of the champion.

    Parameters
    ----------
    project : Project
    records : Records
        All records up to now, with the outcomes that came since the training.
    scorer : LeadScorer
        The champion.
    version : str
    now : datetime, timezone-aware
    stored : StoredScores, optional
        The scores that the ledger stores; None without a ledger.

    Returns
    -------
    Look

    Raises
    ------
    LearningError
        If the leads have no time of creation.
    """
    if not records.has_times or records.observed_until is None:
        raise LearningError(
            "Monitoring compares newer leads with older ones, and these leads have no time of "
            "creation. Name its column with [leads] created_at."
        )
    outcomes = LeadOutcomes.of(records, project.learn)
    promise = Promise.of(scorer.card, scorer.reference)
    champion = champion_moments(scorer, version, records, project.learn, outcomes)
    retired, unknown_retired = known_retired(project.monitor, records, scorer.pipeline)
    joined = None if stored is None else given_scores(stored.given(), records, outcomes)
    checks = [
        *_given_checks(joined, records, project, scorer, promise),
        *truth_checks("LM2", champion.moments, promise, "the champion"),
        early_wins_check(champion, outcomes, scorer.reference, promise),
        came_true_check(champion.moments),
        newest_check(champion.moments, promise),
        *with_retired_inputs(
            with_new_values(input_checks(scorer, champion, retired), scorer, champion, records),
            scorer,
            records,
            project,
            retired,
        ),
        sources_check(records, project, retired),
        activities_check(records, retired),
        outcomes_check(records, champion, outcomes, scorer.reference),
    ]
    grades = grades_check(champion.moments, scorer.reference, scorer.scale, champion.comparable)
    checks += [grades, inflation_check(grades, checks, scorer.scale), warnings_check(joined)]
    checks += control_checks(joined, records, project)
    checks.append(_shadow_check(stored, records, outcomes))
    checks.sort(key=lambda check: check.number)
    stale = stale_records(records, cell_time(now))
    not_joined = NO_LEDGER if joined is None else _not_joined(joined)
    return Look(
        name=project.name,
        version=version,
        at=now.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        until=records.observed_until.isoformat(timespec="seconds"),
        checks=tuple(checks),
        notes=tuple(filter(None, [stale, not_joined, *unknown_retired])),
        versions=() if joined is None else tuple(version_rows(joined.moments)),
        leads=champion.n_leads,
        simulated=project.simulated,
    )


def _given_checks(
    given: GivenScores | None,
    records: Records,
    project: Project,
    scorer: LeadScorer,
    promise: Promise,
) -> list[Check]:
    if given is None:
        why = "No given scores are stored, because there is no ledger."
        return [unknown(number, why) for number in GIVEN_CHECKS]
    return [
        *truth_checks("LM1", given.moments, promise, "the scores that were given"),
        worked_check(given, records, project),
        groups_check(given, records, scorer),
    ]


def _shadow_check(stored: StoredScores | None, records: Records, outcomes: LeadOutcomes) -> Check:
    if stored is None:
        return unknown("LM601", "No shadow has scored leads, because there is no ledger.")
    return shadow_check(stored.given(), stored.shadows(), records, outcomes)


def _not_joined(given: GivenScores) -> str:
    """Return a sentence about given scores without a record of their lead."""
    unknown_leads = given.counts["unknown_leads"]
    if not unknown_leads:
        return ""
    return (
        f"{unknown_leads:,} of {given.counts['scores']:,} given scores are of leads that the "
        "records do not contain."
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
