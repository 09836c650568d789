"""LeadScorer: the model that people mean when they say model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.cells import cell_text
from features.pipeline import FeaturePipeline
from models.calibration import Calibration
from models.card import ModelCard
from models.estimators import BoostedTrees
from models.scale import Scale


@dataclass(frozen=True)
class Score:
    """What one lead gets.

    Attributes
    ----------
    lead_id : str or None
        As the caller named the lead.
    probability : float
        Of being won within the horizon, calibrated.
    score : int
        1 … 99 on the sales scale.
    grade : str
        A … D.
    warnings : list of str
        What was odd about the lead, in sentences.
    """

    lead_id: str | None
    probability: float
    score: int
    grade: str
    warnings: list[str]


@dataclass(frozen=True)
class LeadScorer:
    """Pipeline, estimator, calibration and scale, as one.

    Attributes
    ----------
    pipeline : FeaturePipeline
    trees : BoostedTrees
    calibration : Calibration
    scale : Scale
    roles : mapping of str to str
        Which columns of the CRM's leads table play a role, such as `lead_id` or
        `outcome`; they are no attributes.
    card : ModelCard
    """

    pipeline: FeaturePipeline
    trees: BoostedTrees
    calibration: Calibration
    scale: Scale
    roles: Mapping[str, str]
    card: ModelCard

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (n,), of a feature matrix, shape (n, k)."""
        if len(features) == 0:
            return np.empty(0)
        return self.calibration.probability(self.trees.margin(features))

    def score_table(self, leads: pd.DataFrame) -> pd.DataFrame:
        """Score a table of leads under the CRM's own column names.

        Columns that the model does not know are ignored, ones that are absent are
        missing, and cells are read as `crm.cells` reads them. The input is not changed.

        Parameters
        ----------
        leads : DataFrame, n rows

        Returns
        -------
        DataFrame, n rows, index of `leads`
            `lead_id` (as it stands in the table, None without such a column),
            `probability` (float64, 0 … 1), `score` (int64, 1 … 99), `grade` (text).
        """
        probability = self.probability(self.pipeline.matrix(leads))
        score = self.scale.score(probability)
        id_column = self.roles["lead_id"]
        return pd.DataFrame(
            {
                "lead_id": leads[id_column] if id_column in leads.columns else None,
                "probability": probability,
                "score": score,
                "grade": self.scale.grade(score),
            },
            index=leads.index,
        )

    def score_leads(self, leads: Sequence[Mapping[str, Any]]) -> list[Score]:
        """Score leads as a caller sends them: one mapping of cells each.

        The same numbers as `score_table` gives, without a frame on the way.
        """
        features = np.array([self.pipeline.row(lead) for lead in leads], dtype=np.float64)
        probability = self.probability(features.reshape(len(leads), len(self.pipeline.names)))
        score = self.scale.score(probability)
        grade = self.scale.grade(score)
        return [
            Score(
                lead_id=cell_text(lead.get(self.roles["lead_id"])),
                probability=float(probability[i]),
                score=int(score[i]),
                grade=str(grade[i]),
                warnings=self.complaints(lead),
            )
            for i, lead in enumerate(leads)
        ]

    def complaints(self, lead: Mapping[str, Any]) -> list[str]:
        """Say what is odd about one lead's cells, in sentences for its sender."""
        known = {*self.pipeline.names, *self.roles.values()}
        known |= {left.column for left in self.pipeline.left_out}
        odd = [f"`{name[:100]}` is unknown and was ignored" for name in lead if name not in known]
        told = (
            attribute.complaint(lead[attribute.column])
            for attribute in self.pipeline.attributes
            if attribute.column in lead
        )
        return odd + [complaint for complaint in told if complaint is not None]
