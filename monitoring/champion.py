"""The champion on leads that it has not learned from: it scores them as of the moments of training.

These moments have the same ages as those that the model learned from, so the two can be compared.
Attributes are those in today's records. Files contain attributes as of the export; the ledger
contains them as they were sent before the lead was closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from crm.arrays import Floats
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, microseconds
from features.moments import possible_moments
from features.times import cell_time
from models.card import used_remedies
from models.reasons import Parts
from models.scorer import LeadScorer
from monitoring.ages import age_weight
from monitoring.scored_moments import LeadOutcomes, ScoredMoments

MOST_LEADS: Final = 30_000  # the newest ones


@dataclass(frozen=True)
class ChampionMoments:
    """Moments of leads that the champion has not learned from, with features and scores.

    Attributes
    ----------
    moments : ScoredMoments
    matrix : ndarray of float64, shape (n, n_features)
    parts : Parts
        The points of features and signals.
    age_days : ndarray of float64, shape (n,)
        The age of the lead at each moment.
    n_leads : int
        The number of leads that the champion has not learned from; the newest `MOST_LEADS` of them
        have moments here.
    since : int
        Leads that were created later are those that the champion has not learned from, in
        microseconds since 1970 UTC.
    ages : sequence of float
        The ages of the moments of training, in days, ascending.
    """

    moments: ScoredMoments
    matrix: Floats
    parts: Parts
    age_days: Floats
    n_leads: int
    since: int
    ages: Sequence[float]

    @property
    def comparable(self) -> Floats:
        """How much each moment counts in comparisons with moments of training, 0 … 1, shape (n,).

        Moments of training count alike, whatever the age of their lead.
        """
        weight = age_weight(self.moments.as_of, self.age_days, self.since, self.ages)
        return self.moments.even_weight * weight


def learned_until(scorer: LeadScorer) -> int:
    """Return the creation of the last lead that a model can have learned from.

    It is the last moment that the model learned from. A model with a remedy learned from younger
    leads too, so it is the time until which its records were observed.

    Returns
    -------
    int
        Microseconds since 1970 UTC; `NOT_A_TIME` if the model learned without times.
    """
    learned = scorer.card.learned_from
    has_remedy = bool(used_remedies(scorer.card.estimator, with_half_life=False))
    return cell_time(learned.get("observed_until" if has_remedy else "to"))


def champion_moments(
    scorer: LeadScorer, version: str, records: Records, learn: LearnKeys, outcomes: LeadOutcomes
) -> ChampionMoments:
    """Score the leads that a model has not learned from, at the ages of training.

    Parameters
    ----------
    scorer : LeadScorer
    version : str
    records : Records
        Records with times.
    learn : LearnKeys
    outcomes : LeadOutcomes

    Returns
    -------
    ChampionMoments
    """
    created = microseconds(records.leads["created_at"])
    since = learned_until(scorer)
    new = np.flatnonzero(created > since)
    newest = new[np.argsort(created[new], kind="stable")][-MOST_LEADS:]
    is_new = np.zeros(len(created), dtype=bool)
    is_new[newest] = True
    lead, as_of = possible_moments(created, learn)
    rows = is_new[lead] & (as_of <= outcomes.until) & outcomes.is_open_at(lead, as_of)
    lead, as_of = lead[rows], as_of[rows]
    order = np.argsort(as_of, kind="stable")
    lead, as_of = lead[order], as_of[order]
    matrix = scorer.pipeline.transform(records, lead, as_of)
    raw, contributions = scorer.estimator.explained(matrix)
    log_odds = scorer.calibration.log_odds_of(raw)
    grade = scorer.scale.grade(scorer.scale.score(expit(log_odds)))
    moments = outcomes.moments(lead, as_of, log_odds, grade, np.full(len(lead), version))
    return ChampionMoments(
        moments=moments,
        matrix=matrix,
        parts=scorer.reasoner.parts_of(contributions),
        age_days=(as_of - created[lead]) / DAY,
        n_leads=len(new),
        since=since,
        ages=sorted(set(learn.moments_days)),
    )
