"""What changed about a lead between two moments, in the words of the reasons."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from models.score_change import ScoreParts
from models.scorer import LeadCells, LeadScorer


class ComparedMoments(NamedTuple):
    """A lead at two moments, as one model sees it.

    Attributes
    ----------
    earlier, later : ScoreParts
    texts : dict of str to str
        What changed, by signal.
    """

    earlier: ScoreParts
    later: ScoreParts
    texts: dict[str, str]


def compare_moments(
    scorer: LeadScorer, leads: Sequence[LeadCells], as_of: Sequence[int]
) -> ComparedMoments:
    """Compute the parts of a lead's scores at two moments, and describe what changed.

    A signal is described by the feature that moved it most in the direction of its change.

    Parameters
    ----------
    scorer : LeadScorer
    leads : sequence of two LeadCells
        The lead as it was known at each moment, the earlier first.
    as_of : sequence of two int
        The moments, in microseconds since 1970 UTC.
    """
    names = scorer.column_names
    leads = [msgspec.structs.replace(lead, cells=names.of_lead(lead.cells)) for lead in leads]
    features = scorer.features_of(leads, np.array(as_of, dtype=np.int64))
    reasoner = scorer.reasoner
    parts = reasoner.parts(features)
    values_of = scorer.pipeline.values_of(lambda row, column: leads[row].cells.get(column))
    texts = {}
    change = parts.of_signals[1] - parts.of_signals[0]
    of_features = parts.of_features[1] - parts.of_features[0]
    for i, signal in enumerate(reasoner.signals):
        direction = -1.0 if change[i] < 0 else 1.0
        mover = max(reasoner.members[i], key=lambda j: direction * float(of_features[j]))
        feature = reasoner.features[mover]
        before, after = (
            feature.say(float(features[row, mover]), values_of(row, mover))
            if feature.unseen
            else feature.say(float(features[row, mover]))
            for row in (0, 1)
        )
        texts[signal] = after if before == after else f"{after} (before: {before})"
    earlier, later = (
        ScoreParts(parts.start, dict(zip(reasoner.signals, row, strict=True)))
        for row in parts.of_signals.tolist()
    )
    return ComparedMoments(earlier, later, texts)
