"""What MLflow runs to use a registered model: its models-from-code script.

It holds no state. The model's data lies beside it as the artefact `scorer`, and the code
that reads it is the leadscore that is installed where the model is loaded; the golden
leads say whether the two fit.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from models.artifact import load_artifact


class PyfuncScorer(PythonModel):
    """A LeadScorer behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load and verify the artefact."""
        self._scorer = load_artifact(Path(context.artifacts["scorer"])).scorer

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Score leads under the CRM's own column names.

        Parameters
        ----------
        context, params
            MLflow's; not used.
        model_input : DataFrame, n rows
            Columns that are absent count as missing, unknown ones are ignored.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `probability`, `score`, `grade`, as `LeadScorer.score_table` gives them.
        """
        return self._scorer.score_table(pd.DataFrame(model_input))


mlflow.models.set_model(PyfuncScorer())
