"""Scores the open leads of the records, for the CRM to import after a new champion."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.errors import SourceError
from crm.files import whole_file
from crm.records import Records
from features.first_closings import FirstClosings
from models.scorer import LeadScorer

CHUNK: Final = 20_000
N_REASONS: Final = 3


def score_open_leads(scorer: LeadScorer, records: Records, as_of: int, target: Path) -> int:
    """Write the scores of all open leads as CSV, whole or not at all, and return their number.

    Parameters
    ----------
    scorer : LeadScorer
    records : Records
    as_of : int
        The moment of scoring, in microseconds since 1970 UTC; `NOT_A_TIME` without times.
    target : Path
        Its columns are `lead_id`, `probability`, `score`, `grade` and `reason_1` to `reason_3`.

    Raises
    ------
    SourceError
        If the file cannot be written. The former file stays.
    """
    first = FirstClosings.of(records)
    never = np.iinfo(np.int64).max
    is_open = (first.closed_at == never) & ~(first.undated_win | first.undated_loss)
    lead = np.flatnonzero(is_open)
    try:
        with whole_file(target, is_synced=True) as work:
            for start in range(0, max(len(lead), 1), CHUNK):
                _scores(scorer, records, lead[start : start + CHUNK], as_of).to_csv(
                    work, mode="a", header=start == 0, index=False
                )
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror}.") from None
    return len(lead)


def _scores(scorer: LeadScorer, records: Records, lead: Ints, as_of: int) -> pd.DataFrame:
    leads = records.leads.iloc[lead].reset_index(drop=True)
    matrix = scorer.pipeline.transform(records, lead, np.full(len(lead), as_of))
    scored = scorer.score_features(matrix, n_reasons=N_REASONS, leads=leads)
    scored.insert(0, "lead_id", leads["lead_id"])
    return scored
