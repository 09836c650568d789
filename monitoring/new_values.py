"""Names the values that are rare or unseen, so that a renamed one is found at a glance."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from crm.cells import text_column
from crm.records import Records
from crm.times import DAY
from models.reference import UNSEEN_BIN
from models.scorer import LeadScorer
from monitoring.champion import ChampionMoments
from monitoring.check import Check, Verdict

SHOWN: Final = 3  # of each column
FEWEST_LEADS: Final = 5  # with a value that is named
LONGEST: Final = 40  # characters


def with_new_values(
    checks: Sequence[Check], scorer: LeadScorer, champion: ChampionMoments, records: Records
) -> list[Check]:
    """Add to LM302 the most frequent values that are rare or unseen, with their leads.

    Parameters
    ----------
    checks : sequence of Check
        Those of features. Only LM302 is changed, if it says watch or act.
    scorer : LeadScorer
    champion : ChampionMoments
    records : Records

    Returns
    -------
    list of Check
    """
    return [
        replace(
            check,
            evidence=" ".join([check.evidence, *_sentences(check, scorer, champion, records)]),
        )
        if check.number == "LM302" and check.verdict in (Verdict.WATCH, Verdict.ACT)
        else check
        for check in checks
    ]


def _sentences(
    check: Check, scorer: LeadScorer, champion: ChampionMoments, records: Records
) -> Iterator[str]:
    if scorer.reference is None:
        return
    places = {name: i for i, name in enumerate(scorer.pipeline.names)}
    bins = {counted.bins.feature: counted.bins for counted in scorer.reference.features}
    for row in check.rows:
        place = places[str(row["feature"])]
        column = scorer.pipeline.features[place].column
        if row["verdict"] == Verdict.FINE or column not in records.leads:
            continue
        is_recent = champion.moments.as_of // DAY >= int(row["since"] or 0)
        is_odd = bins[str(row["feature"])].bins_of(champion.matrix[:, place]) == UNSEEN_BIN
        leads = np.unique(champion.moments.lead[is_odd & is_recent])
        counts = pd.Series(text_column(records.leads[column].iloc[leads])).value_counts()
        counts = counts[counts >= FEWEST_LEADS].head(SHOWN)
        if len(counts):
            named = ", ".join(
                f'"{str(text)[:LONGEST]}" ({n:,} leads)' for text, n in counts.items()
            )
            yield f"In `{column}`, rare or unseen are now: {named}."
