"""The script that MLflow runs to use a registered model (models from code).

It contains no state. The model's data is the artefact `scorer`, stored with the script. The
code that reads the data is the leadscore that is installed where the model is loaded; the golden
leads show whether code and data fit.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.pyfunc.model import PythonModel

from crm.errors import SchemaError
from models.artifact import load_artifact
from models.sent_tables import sent_table


class PyfuncScorer(PythonModel):
    """A LeadScorer behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load and verify the artefact. Its digest must be that of the logged model."""
        folder = Path(context.artifacts["scorer"])
        logged = folder.parent.parent / MLMODEL_FILE_NAME
        facts = (Model.load(str(logged)).metadata or {}) if logged.is_file() else {}
        promised = [facts["digest"]] if "digest" in facts else []
        self._scorer = load_artifact(folder, promised).scorer

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Score leads under the CRM's own column names.

        Parameters
        ----------
        context, params
            MLflow passes them; they are not used.
        model_input : DataFrame, n rows
            A mapping or a sequence of leads too, if the model was logged without a signature.
            Absent columns count as missing; unknown columns are ignored.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `probability`, `score`, `grade`, as from `LeadScorer.score_table`.

        Raises
        ------
        MlflowException
            If the model reads none of the columns; MLflow's server answers 400.
        """
        try:
            return self._scorer.score_table(sent_table(model_input, self._scorer))
        except SchemaError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


mlflow.models.set_model(PyfuncScorer())
