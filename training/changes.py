"""What a new version would change for the leads that are open now."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from crm.arrays import Ints
from crm.records import Records
from crm.times import NOT_A_TIME
from features.times import cell_time
from models.card import question_in_words, same_question
from models.scorer import LeadScorer
from training.comparison.comparison import lacking

MOST = 10
REASONS = 2
LEAST_POINTS = 1.0


@dataclass(frozen=True)
class Changes:
    """How many open leads change grade, from which to which, and the largest changes.

    Attributes
    ----------
    n : int
        Open leads.
    n_changed : int
        Those that change grade.
    moves : list of dict
        `before`, `after` (grades) and `n`, by how many.
    largest : list of dict
        Of those that change grade the ones whose score moves most: `lead_id`, `before`,
        `after`, `score_before`, `score_after`, and `why`: sentences on the signals whose
        points differ most.
    warnings : list of str
        Why the two do not see the leads alike.
    """

    n: int
    n_changed: int
    moves: list[dict[str, Any]]
    largest: list[dict[str, Any]]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)


def find_changes(
    before: LeadScorer, after: LeadScorer, records: Records, as_of: datetime
) -> Changes:
    """Score the open leads with two versions and compare.

    Open is a lead without an outcome.

    Parameters
    ----------
    before, after : LeadScorer
        The champion, and what may take its place.
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
        return Changes(0, 0, [], [], [])
    moment = np.full(len(lead), cell_time(as_of) if records.has_times else NOT_A_TIME)
    one, other = (_Scored(scorer, records, lead, moment) for scorer in (before, after))
    changed = np.flatnonzero(one.grade != other.grade)
    pairs, n = np.unique(
        np.column_stack([one.grade[changed], other.grade[changed]]), axis=0, return_counts=True
    )
    moved = np.abs(other.unrounded - one.unrounded)
    largest = changed[np.argsort(-moved[changed], kind="stable")][:MOST]
    ids = records.leads["lead_id"].to_numpy()
    return Changes(
        n=len(lead),
        n_changed=len(changed),
        moves=[
            {"before": str(pairs[i, 0]), "after": str(pairs[i, 1]), "n": int(n[i])}
            for i in np.argsort(-n, kind="stable")
        ],
        largest=[
            {
                "lead_id": str(ids[lead[row]]),
                "before": str(one.grade[row]),
                "after": str(other.grade[row]),
                "score_before": int(one.score[row]),
                "score_after": int(other.score[row]),
                "why": _why(one.points(row), other.points(row)),
            }
            for row in largest.tolist()
        ],
        warnings=_warnings(before, after, records),
    )


def _warnings(before: LeadScorer, after: LeadScorer, records: Records) -> list[str]:
    asked, asks = before.card.question, after.card.question
    said = [
        f"{who} learned from {', '.join(gone)}, which today's records lack: it is asked without."
        for who, scorer in (("The champion", before), ("The other version", after))
        if (gone := lacking(scorer, records))
    ]
    if not same_question(asked, asks):
        said.append(
            f"The champion answers {question_in_words(asked)}, the other version "
            f"{question_in_words(asks)}: their scores do not mean the same."
        )
    return said


class _Scored:
    """Open leads as one version sees them."""

    def __init__(self, scorer: LeadScorer, records: Records, lead: Ints, as_of: Ints) -> None:
        self._reasoner = scorer.reasoner
        self._features = scorer.pipeline.transform(records, lead, as_of)
        probability = scorer.probability(self._features)
        self.score: Ints = scorer.scale.score(probability)
        self.grade = scorer.scale.grade(self.score)
        self.unrounded = scorer.scale.unrounded(scorer.log_odds_of(self._features))

    def points(self, row: int) -> Mapping[str, tuple[float, str]]:
        """Points and words of each signal of a lead, and where it starts."""
        n = len(self._reasoner.signals)
        (reasons,) = self._reasoner.reasons(self._features[[row]], n)
        found = {reason.signal: (reason.points, reason.text) for reason in reasons}
        return found | {"": (self._reasoner.start, "where every lead starts")}


def _why(
    before: Mapping[str, tuple[float, str]], after: Mapping[str, tuple[float, str]]
) -> list[str]:
    """Name the signals whose points differ most; the strongest however little it is."""
    signals = dict.fromkeys([*before, *after])
    differences = {
        signal: after.get(signal, (0.0, ""))[0] - before.get(signal, (0.0, ""))[0]
        for signal in signals
    }
    strongest = sorted(signals, key=lambda signal: -abs(differences[signal]))
    said: list[str] = []
    if differences[strongest[0]] == 0:
        return ["every signal gives the same points: grades begin at other scores"]
    for signal in strongest[:REASONS]:
        is_small = abs(differences[signal]) < LEAST_POINTS
        if said and is_small:
            break
        old, new = (side.get(signal, (0.0, "")) for side in (before, after))
        base, digits = 50.0 if signal == "" else 0.0, 2 if is_small else 0
        points = [f"{each[0] - base:+.{digits}f}" for each in (old, new)]
        said.append(f"{new[1] or old[1]}: {points[0]} before, {points[1]} now")
    return said
