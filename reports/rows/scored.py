"""Scores of many moments by one model, for the pages that look back.

A report shows the scores that today's model gives from what was known at the moment. If there are
very many leads, a random sample is scored, and the pages say so.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools, Floats, Ints, Strings
from crm.records import Records
from features.times import cell_time
from models.card import ModelCard
from models.evaluation.metrics import FEWEST_TO_JUDGE
from models.scorer import LeadScorer

MOST_MOMENTS = 30_000  # their shares are known to half a point
CHUNK = 20_000
SEED = 0


@dataclass(frozen=True)
class Scored:
    """Scores of leads as of moments.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        Rows of the report, ascending.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC.
    probability : ndarray of float64, shape (n,)
    score : ndarray of int64, shape (n,)
    grade : ndarray of str, shape (n,)
    of : int
        The number of leads of which these are a random sample; n if all were scored.
    """

    lead: Ints
    as_of: Ints
    probability: Floats
    score: Ints
    grade: Strings
    of: int

    def __len__(self) -> int:
        return len(self.lead)

    @property
    def is_sample(self) -> bool:
        """True if not all leads were scored."""
        return len(self) < self.of


def score_moments(
    scorer: LeadScorer,
    records: Records,
    lead: Ints,
    as_of: Ints,
    most: int = MOST_MOMENTS,
) -> Scored:
    """Score leads as of moments; a random sample, always the same, if there are more than `most`.

    Parameters
    ----------
    scorer : LeadScorer
    records : Records
    lead, as_of : ndarray of int64, shape (n,)
        Rows of `records.leads`, each at most once, and moments in microseconds.
    most : int

    Returns
    -------
    Scored
    """
    chosen = sample(len(lead), most)
    picked, moment = lead[chosen], as_of[chosen]
    order = np.argsort(picked, kind="stable")
    picked, moment = picked[order], moment[order]
    chosen_records = records_of(records, picked)  # once, so that a small sample costs little
    probability = np.empty(len(picked))
    for start in range(0, len(picked), CHUNK):
        part = np.arange(start, min(start + CHUNK, len(picked)))
        probability[part] = scorer.probability(
            features_of(scorer, chosen_records, part, moment[part])
        )
    score = scorer.scale.score(probability)
    return Scored(
        lead=picked,
        as_of=moment,
        probability=probability,
        score=score,
        grade=scorer.scale.grade(score),
        of=len(lead),
    )


def not_learned_from(created: Ints, card: ModelCard) -> Bools:
    """Return which leads were created after the last moment that the model learned from.

    Parameters
    ----------
    created : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC.
    card : ModelCard

    Returns
    -------
    ndarray of bool, shape (n,)
        All False if the card does not have that moment.
    """
    last = card.learned_from.get("to")
    if last is None:
        return np.zeros(len(created), dtype=bool)
    return created > cell_time(str(last))


def has_enough(won: Bools) -> bool:
    """Check whether enough leads were won, and enough were not, to judge a model by them."""
    return min(int(won.sum()), len(won) - int(won.sum())) >= FEWEST_TO_JUDGE


def features_of(scorer: LeadScorer, records: Records, lead: Ints, as_of: Ints) -> Floats:
    """Compute the feature matrix of leads as of moments, shape (n, k)."""
    chosen = records_of(records, lead)
    return scorer.pipeline.transform(chosen, np.arange(len(lead)), as_of)


def records_of(records: Records, lead: Ints) -> Records:
    """Select the records of some leads, in the order given."""
    leads = records.leads.iloc[lead].reset_index(drop=True)
    ids = pa.array(leads["lead_id"])

    def of_these(table: pd.DataFrame | None) -> pd.DataFrame | None:
        if table is None:
            return None
        kept = pc.is_in(pa.array(table["lead_id"]), value_set=ids)  # pandas takes ten times longer
        return table[kept.to_numpy(zero_copy_only=False)].reset_index(drop=True)

    outcomes = of_these(records.outcomes)
    assert outcomes is not None
    return replace(
        records,
        leads=leads,
        outcomes=outcomes,
        activities=of_these(records.activities),
        stages=of_these(records.stages),
    )


def sample(n: int, most: int) -> Ints:
    """Draw `most` of n positions at random, always the same; return all if there are fewer."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(SEED).choice(n, most, replace=False))
