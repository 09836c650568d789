"""Lists what a new version would change for the leads that are open now."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from crm.arrays import Ints
from crm.records import Records
from crm.times import NOT_A_TIME
from features.looked_up import cells_of_table
from features.times import cell_time
from models.card import question_in_words, same_question
from models.scorer import LeadScorer
from training.comparison.fairness import missing_inputs

MOST = 10
REASONS = 2
LEAST_POINTS = 1.0
START = ""  # the key of the points that every lead starts with


@dataclass(frozen=True)
class GradeMove:
    """How many leads move from one grade to another.

    Attributes
    ----------
    before, after : str
        The grades with the champion and with the challenger.
    n : int
    """

    before: str
    after: str
    n: int


@dataclass(frozen=True)
class LeadChange:
    """A lead that changes grade.

    Attributes
    ----------
    lead_id : str
    before, after : str
        The grades with the champion and with the challenger.
    score_before, score_after : int
        The scores with the champion and with the challenger.
    why : list of str
        Sentences on the signals whose points differ most.
    """

    lead_id: str
    before: str
    after: str
    score_before: int
    score_after: int
    why: list[str]


@dataclass(frozen=True)
class Changes:
    """How many open leads change grade, and the largest changes.

    Attributes
    ----------
    n : int
        Number of open leads.
    n_changed : int
        Number of open leads that change grade.
    moves : list of GradeMove
        The most frequent first.
    largest : list of LeadChange
        The leads that change grade whose score moves most.
    warnings : list of str
        Why the two versions cannot be compared on these leads.
    """

    n: int
    n_changed: int
    moves: list[GradeMove]
    largest: list[LeadChange]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return the changes as plain data."""
        return asdict(self)


def find_changes(
    champion: LeadScorer, challenger: LeadScorer, records: Records, as_of: datetime
) -> Changes:
    """Score the open leads with two versions and compare.

    A lead is open if it has no outcome.

    Parameters
    ----------
    champion, challenger : LeadScorer
    records : Records
    as_of : datetime, timezone-aware
        The moment of scoring.

    Returns
    -------
    Changes
    """
    is_open = ~records.leads["lead_id"].isin(records.outcomes["lead_id"])
    lead = np.flatnonzero(is_open.to_numpy())
    if len(lead) == 0:
        return Changes(n=0, n_changed=0, moves=[], largest=[], warnings=[])
    moment = np.full(len(lead), cell_time(as_of) if records.has_times else NOT_A_TIME)
    before = _OpenLeads(champion, records, lead, moment)
    after = _OpenLeads(challenger, records, lead, moment)
    changed = np.flatnonzero(before.grade != after.grade)
    grades, n = np.unique(
        np.column_stack([before.grade[changed], after.grade[changed]]), axis=0, return_counts=True
    )
    distance = np.abs(after.unrounded - before.unrounded)
    largest = changed[np.argsort(-distance[changed], kind="stable")][:MOST]
    ids = records.leads["lead_id"].to_numpy()
    return Changes(
        n=len(lead),
        n_changed=len(changed),
        moves=[
            GradeMove(before=str(grades[i, 0]), after=str(grades[i, 1]), n=int(n[i]))
            for i in np.argsort(-n, kind="stable")
        ],
        largest=[
            LeadChange(
                lead_id=str(ids[lead[row]]),
                before=str(before.grade[row]),
                after=str(after.grade[row]),
                score_before=int(before.score[row]),
                score_after=int(after.score[row]),
                why=_why(before.points(row), after.points(row)),
            )
            for row in largest.tolist()
        ],
        warnings=_warnings(champion, challenger, records),
    )


def _warnings(champion: LeadScorer, challenger: LeadScorer, records: Records) -> list[str]:
    warnings = [
        f"{name} learned from {', '.join(missing)}, which today's records lack; it scores the "
        "leads without them."
        for name, scorer in (("The champion", champion), ("The challenger", challenger))
        if (missing := missing_inputs(scorer, records))
    ]
    before, after = champion.card.question, challenger.card.question
    if not same_question(before, after):
        warnings.append(
            f"The champion predicts {question_in_words(before)}, the challenger "
            f"{question_in_words(after)}, so their scores do not mean the same."
        )
    return warnings


class _OpenLeads:
    """The open leads as one version scores them."""

    def __init__(self, scorer: LeadScorer, records: Records, lead: Ints, as_of: Ints) -> None:
        self._reasoner = scorer.reasoner
        self._pipeline, self._lead = scorer.pipeline, lead
        self._cell_of = cells_of_table(records.leads)
        self._features = scorer.pipeline.transform(records, lead, as_of)
        probability = scorer.probability(self._features)
        self.score: Ints = scorer.scale.score(probability)
        self.grade = scorer.scale.grade(self.score)
        self.unrounded = scorer.scale.unrounded(scorer.log_odds_of(self._features))

    def points(self, row: int) -> Mapping[str, tuple[float, str]]:
        """Return the points and words of each signal of a lead, and of its start."""
        n = len(self._reasoner.signals)
        lead = int(self._lead[row])
        values_of = self._pipeline.values_of(lambda _, column: self._cell_of(lead, column))
        (reasons,) = self._reasoner.reasons(self._features[[row]], n, values_of=values_of)
        points = {reason.signal: (reason.points, reason.text) for reason in reasons}
        return points | {START: (self._reasoner.start, "the points that every lead starts with")}


def _why(
    before: Mapping[str, tuple[float, str]], after: Mapping[str, tuple[float, str]]
) -> list[str]:
    """Describe the signals whose points differ most; the first one even if it differs little."""
    nothing = (0.0, "")
    signals = dict.fromkeys([*before, *after])
    differences = {
        signal: after.get(signal, nothing)[0] - before.get(signal, nothing)[0] for signal in signals
    }
    strongest = sorted(signals, key=lambda signal: -abs(differences[signal]))
    if differences[strongest[0]] == 0:
        return ["all signals give the same points, but the grades start at other scores"]
    sentences: list[str] = []
    for signal in strongest[:REASONS]:
        is_small = abs(differences[signal]) < LEAST_POINTS
        if sentences and is_small:
            break
        points_before, words_before = before.get(signal, nothing)
        points_after, words_after = after.get(signal, nothing)
        base, digits = 50.0 if signal == START else 0.0, 2 if is_small else 0
        sentences.append(
            f"{words_after or words_before}: {points_before - base:+.{digits}f} before, "
            f"{points_after - base:+.{digits}f} now"
        )
    return sentences
