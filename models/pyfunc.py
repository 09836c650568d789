"""The script that MLflow runs to use a registered model (models from code).

It contains no state. The model's data is the artefact `scorer`, stored with the script. The
code that reads the data is the leadscore that is installed where the model is loaded; the golden
leads show whether code and data fit.
"""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.pyfunc.model import PythonModel

FOLDERS = ("crm", "features", "models")  # leadscore's, which the import below needs


def _advice() -> str:
    """Return why leadscore cannot be imported here, and what to do."""
    requirements = Path(__file__).with_name("requirements.txt")
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    needed = next((line for line in lines if line.startswith("leadscore")), "leadscore")
    try:
        installed = f"leadscore {importlib.metadata.version('leadscore')}"
    except importlib.metadata.PackageNotFoundError:
        return (
            "This model is data that leadscore reads, and leadscore is not installed in this "
            f"Python. Install {needed} in the environment that loads the model."
        )
    command = importlib.util.find_spec("leadscore")
    home = Path(command.origin).parents[1] if command and command.origin else None
    for name in FOLDERS:
        found = importlib.util.find_spec(name)
        places = list(found.submodule_search_locations or ()) if found else []
        if places and home is not None and Path(places[0]).parent != home:
            return (
                f"This model is read by {installed}, but another package has the name of its "
                f"package `{name}`: {places[0]}. Start Python in another folder, or rename that "
                "package."
            )
    return (
        f"This model needs {needed}, and {installed} cannot read it. Install {needed} in the "
        "environment that loads the model."
    )


try:
    from crm.errors import ConfigError, SchemaError
    from models.artifact import load_artifact
    from models.sent_params import read_config, read_params
    from models.sent_tables import sent_table
except ImportError as error:
    raise ImportError(f"{_advice()} ({error})") from None


class PyfuncScorer(PythonModel):
    """A LeadScorer behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load and verify the artefact. Its digest must be that of the logged model."""
        folder = Path(context.artifacts["scorer"])
        logged = folder.parent.parent / MLMODEL_FILE_NAME
        facts = (Model.load(str(logged)).metadata or {}) if logged.is_file() else {}
        promised = [facts["digest"]] if "digest" in facts else []
        self._scorer = load_artifact(folder, promised).scorer
        self._config = read_config(context.model_config)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Score leads under the CRM's own column names.

        Parameters
        ----------
        context
            MLflow passes it; it is not used.
        model_input : DataFrame, n rows
            A mapping or a sequence of leads too, if the model was logged without a signature.
            Absent columns count as missing; unknown columns are ignored.
        params : dict, optional
            `reasons`, the number of columns of reasons, and `as_of`, the moment of scoring.

        Returns
        -------
        DataFrame, n rows
            `lead_id`, `probability`, `score`, `grade`, and `reason_1` … if `reasons` is not 0, as
            from `LeadScorer.score_table`.
        ndarray of int64, shape (n,)
            Instead, if the model's configuration has `pyfunc.output = "won"`: 1 where the
            probability reaches `pyfunc.threshold`, else 0.

        Raises
        ------
        MlflowException
            If the model reads none of the columns, or a param is not valid; MLflow's server
            answers 400.
        """
        try:
            sent = read_params(params)
            leads = sent_table(model_input, self._scorer)
            as_of = np.full(len(leads), sent.as_of)
            scores = self._scorer.score_table(leads, as_of=as_of, n_reasons=sent.reasons)
        except (ConfigError, SchemaError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        if self._config.output == "won":
            return (scores["probability"] >= self._config.threshold).to_numpy(np.int64)
        return scores


mlflow.models.set_model(PyfuncScorer())
