"""Logs a model in MLflow: its signature, an example, and what it needs."""

import importlib.metadata
from pathlib import Path
from typing import Any

from crm.version import VERSION
from models.registry.registry import ARTIFACT
from models.scorer import LeadScorer
from models.sent_params import CONFIG, PARAMS
from training.train import Trained

SCRIPT = Path(__file__).resolve().parent.parent.parent / "models" / "pyfunc.py"
SCORES = {"lead_id": "string", "probability": "double", "score": "long", "grade": "string"}
PACKAGES = ("mlflow", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


def log_model(trained: Trained, artifact: Path, digest: str) -> str:
    """Log a saved model in the active run, with the script that MLflow runs.

    Parameters
    ----------
    trained : Trained
    artifact : Path
        The folder of the saved model.
    digest : str
        The digest of the model.

    Returns
    -------
    str
        MLflow's id of the model.
    """
    import mlflow

    logged = mlflow.pyfunc.log_model(
        name=ARTIFACT,
        python_model=str(SCRIPT),
        artifacts={ARTIFACT: str(artifact)},
        signature=signature_of(trained.scorer),
        input_example=_example(trained),
        model_config=dict(CONFIG),
        pip_requirements=_requirements(),
        metadata={"digest": digest, "columns": trained.scorer.pipeline.names},
    )
    return str(logged.model_id)


def signature_of(scorer: LeadScorer) -> Any:
    """Return MLflow's signature: all columns are optional, and `crm.cells` reads their cells.

    Its params are those of `models.sent_params`.

    With a type in place of `AnyType`, MLflow would refuse or convert numbers and missing cells.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, ParamSchema, ParamSpec, Schema

    roles = [scorer.roles["lead_id"]]
    roles += [scorer.roles["created_at"]] if scorer.pipeline.has_times else []
    read = dict.fromkeys([*roles, *scorer.pipeline.columns])
    any_type = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(any_type, column, required=False) for column in read]),
        outputs=Schema([ColSpec(kind, column) for column, kind in SCORES.items()]),
        params=ParamSchema(
            [ParamSpec(name, kind, default) for name, (kind, default) in PARAMS.items()]
        ),
    )


def _example(trained: Trained) -> list[dict[str, Any]]:
    """Return a made-up lead, which MLflow shows with the model."""
    cells = trained.golden_leads[0].cells
    return [{column: cells.get(column) for column in trained.scorer.pipeline.columns}]


def _requirements() -> list[str]:
    packages = [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES]
    return [f"leadscore=={VERSION}", *packages]
