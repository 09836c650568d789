"""Features of stages: the current stage of a lead, for how long, and the number of stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Codes, Floats, Indexes, Ints
from crm.cells import cell_text
from crm.event_arrays import EventArrays
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import MISSING, UNSEEN
from features.events import blocks, since
from features.feature import Feature

MAX_STAGES = 40


@dataclass(frozen=True)
class StageLog:
    """Entries into stages as arrays, sorted by lead and then by time.

    Attributes
    ----------
    lead, at : ndarray of int64, shape (n,)
        The position of the lead, and the time in microseconds since 1970 UTC.
    stage : ndarray of int64 or int32, shape (n,)
        The code of `StageFeatures`.
    """

    lead: Ints
    at: Ints
    stage: Ints | Codes

    def take(self, lead: Ints, rows: Indexes) -> "StageLog":
        """Return some entries, with other positions of their leads."""
        return StageLog(lead, self.at[rows], self.stage[rows])


NOTHING_ENTERED = StageLog(*np.empty((3, 0), dtype=np.int64))
NONE_OLDER: Mapping[int, int] = {}


@dataclass(frozen=True)
class StageFeatures:
    """Features of stages, fitted to the stages that a CRM uses.

    Attributes
    ----------
    stages : tuple of str
        The stage at position i has the code i + 2. Code 0 means that there is no
        stage yet; code 1 means a stage that was not seen in training.
    """

    stages: tuple[str, ...]

    @cached_property
    def features(self) -> list[Feature]:
        """The descriptions of the columns that `compute` returns, in their order."""
        return [
            Feature(
                name="stage.current",
                table="stages",
                column="stage",
                unit="category",
                sentence='in stage "{value}"',
                absent="in no stage yet",
                signal="stage",
                values=("", "one that is new", *self.stages),
                measure="in stage",
            ),
            Feature(
                name="stage.days_in",
                table="stages",
                column="entered_at",
                unit="days",
                sentence="{value} in its stage",
                absent="in no stage yet",
                signal="stage",
                measure="time in its stage",
            ),
            Feature(
                name="stage.count",
                table="stages",
                column="stage",
                unit="count",
                sentence="stages entered: {value}",
                absent="in no stage yet",
                signal="stage",
                measure="stages entered",
            ),
        ]

    def compute(
        self, log: StageLog, lead: Ints, as_of: Ints, older: Mapping[int, int] = NONE_OLDER
    ) -> Floats:
        """Compute the features of moments, shape (n, 3).

        A stage counts at a moment if the lead entered it at or before the moment. If a lead
        entered two stages at the same time, the later one in the order of the funnel is current.

        Parameters
        ----------
        log : StageLog
        lead, as_of : ndarray of int64, shape (n,)
            As in `ActivityFeatures.compute`.
        older : mapping of int to int
            The number of older entries that count besides those of the log, by the position of
            their lead.

        Returns
        -------
        ndarray of float64, shape (n, 3)
            `stage.current` is a code. Days are nan before the first stage.
        """
        values = np.empty((len(lead), len(self.features)))
        if len(log.lead) == 0:
            values[:] = MISSING, np.nan, 0.0
            return values
        for rows, events in blocks(log.lead, lead):
            leads, now = lead[rows], as_of[rows]
            of_event = np.minimum(np.searchsorted(leads, log.lead[events]), len(leads) - 1)
            at, stage = log.at[events], log.stage[events]
            is_seen = (at <= now[of_event]) & (leads[of_event] == log.lead[events])
            current = np.full(len(leads), MISSING)
            entered = np.full(len(leads), NOT_A_TIME)
            current[of_event[is_seen]] = stage[is_seen]
            entered[of_event[is_seen]] = at[is_seen]
            values[rows] = np.column_stack(
                [
                    current,
                    since(now, entered, DAY),
                    np.bincount(of_event[is_seen], minlength=len(leads)),
                ]
            )
        for position, n_older in older.items():
            values[lead == position, 2] += n_older
        return values

    def log_of_events(self, events: EventArrays) -> StageLog:
        """Return the log of stages.

        The codes depend on what was fitted, and so does the order of stages that a lead entered at
        the same time.
        """
        code_of_text = [self._code(text) for text in events.distinct_texts("stage")]
        code = np.array([*code_of_text, MISSING], dtype=np.int32)[events.codes("stage")]
        lead, at = events.lead, events.at
        if ((lead[1:] == lead[:-1]) & (at[1:] == at[:-1]) & (code[1:] < code[:-1])).any():
            code = code[np.lexsort((code, at, lead))]
        return StageLog(lead, at, code)

    def log_of_cells(self, stages: Sequence[Sequence[Mapping[str, Any]]]) -> StageLog:
        """Convert the stages of leads, as a caller sends them, to arrays.

        Each entry is a mapping with `stage` and `entered_at`, microseconds since 1970 UTC.
        """
        if not any(stages):
            return NOTHING_ENTERED
        rows = [
            (lead, entry["entered_at"], self._code(entry["stage"]))
            for lead, entries in enumerate(stages)
            for entry in entries
        ]
        table = np.array(rows, dtype=np.int64).reshape(len(rows), 3)
        return StageLog(*table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))].T)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {stage.casefold(): code for code, stage in enumerate(self.stages, start=2)}

    def _code(self, cell: Any) -> int:
        text = cell_text(cell)
        return MISSING if text is None else self._codes.get(text.casefold(), UNSEEN)


def fit_stages(stages: pd.DataFrame) -> StageFeatures:
    """Fit the stages that a CRM uses, in the order in which leads usually enter them.

    Parameters
    ----------
    stages : DataFrame
        The table as `crm.reading` returns it, only of training leads.

    Returns
    -------
    StageFeatures
    """
    lead = pd.factorize(stages["lead_id"])[0]
    nth = pd.Series(lead).groupby(lead).cumcount().to_numpy()
    code, spellings = pd.factorize(stages["stage"])
    words = pd.DataFrame(
        {
            "stage": [str(word).casefold() for word in spellings],
            "word": spellings,
            "n": np.bincount(code, minlength=len(spellings)),
            "nth": np.bincount(code, weights=nth, minlength=len(spellings)),
        }
    )
    of_stage = words.groupby("stage")
    usual = words.sort_values(["n", "word"], ascending=[False, True]).groupby("stage").first()
    common = of_stage[["n", "nth"]].sum().sort_values("n", ascending=False).head(MAX_STAGES)
    mean = common["nth"] / common["n"]
    ordered = sorted(common.index, key=lambda stage: (mean[stage], stage))
    return StageFeatures(tuple(str(usual.loc[stage, "word"]) for stage in ordered))
