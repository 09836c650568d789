"""The script that MLflow runs to use a registered model (models from code).

It contains no state. The model's data is the artefact `scorer`, stored with the script. The
code that reads the data is the leadscore that is installed where the model is loaded; the golden
leads show whether code and data fit.
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
            MLflow passes them; they are not used.
        model_input : DataFrame, n rows
            Absent columns count as missing; unknown columns are ignored.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `probability`, `score`, `grade`, as from `LeadScorer.score_table`.
        """
        return self._scorer.score_table(pd.DataFrame(model_input))


mlflow.models.set_model(PyfuncScorer())
