"""The model of bench_serving.py, as leadscore and MLflow save it, and a peer for a data frame."""

from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
from bench_reasons import PARAMETERS, make_leads

from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.pipeline import FeaturePipeline
from models.artifact import load_artifact, save_artifact
from models.calibration import Calibration
from models.estimator.blend import Blend
from models.estimator.trees import BoostedTrees
from models.fitting.logistic import fit_logistic
from models.scale import Scale
from models.scorer import LeadCells, LeadScorer
from tests.made_cards import made_card
from training.tracking.model import signature_of

NUMERIC, CATEGORICAL, TREES, LEAVES, ROWS = 15, 12, 300, 31, 40_000
LEADS = 500  # different leads that are sent in turn
ROOT = Path(__file__).resolve().parent.parent


def make_models(folder: Path) -> list[dict[str, Any]]:
    """Write leadscore's and the peers' models into a folder; return leads to score."""
    features, label = make_leads(ROWS, NUMERIC, CATEGORICAL, seed=0)
    columns = [f"number {i}" for i in range(NUMERIC)]
    columns += [f"category {i}" for i in range(CATEGORICAL)]
    sizes = [int(np.nanmax(features[:, i])) + 1 for i in range(NUMERIC, len(columns))]
    words = [tuple(f"value {code}" for code in range(size)) for size in sizes]
    settings = PARAMETERS | {"num_leaves": LEAVES, "seed": 0}

    codes = features.copy()  # as the pipeline encodes: 0 is missing, 1 is unseen, then values
    codes[:, NUMERIC:] = np.nan_to_num(features[:, NUMERIC:] + 2)
    categorical = list(range(NUMERIC, len(columns)))
    booster = lightgbm.train(
        settings, lightgbm.Dataset(codes, label, categorical_feature=categorical), TREES
    )
    logistic = fit_logistic(codes[:8_000], label[:8_000], np.ones(8_000), categorical)
    numbers = [NumberAttribute(name, frozenset({"unknown"}), 0.0) for name in columns[:NUMERIC]]
    categories_of_pipeline = [
        CategoryAttribute(name, frozenset({"unknown"}), values)
        for name, values in zip(columns[NUMERIC:], words, strict=True)
    ]
    scorer = LeadScorer(
        FeaturePipeline((*numbers, *categories_of_pipeline), ()),
        Blend(0.5, logistic, BoostedTrees(booster.model_to_string())),
        Calibration(1.0, 0.0),
        Scale(-1.0),
        {"lead_id": "Record ID"},
        made_card("bench", columns),
    )

    def as_cells(rows: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                name: None
                if np.isnan(cell)
                else cell
                if i < NUMERIC
                else words[i - NUMERIC][min(int(cell), sizes[i - NUMERIC] - 1)]
                for i, (name, cell) in enumerate(zip(columns, row.tolist(), strict=True))
            }
            for row in rows
        ]

    leads = as_cells(make_leads(LEADS, NUMERIC, CATEGORICAL, seed=99)[0])
    save_artifact(scorer, [LeadCells(lead) for lead in leads[:24]], folder / "artifact")
    categories = dict.fromkeys(columns[:NUMERIC], np.dtype(float)) | {
        name: pd.CategoricalDtype(values)
        for name, values in zip(columns[NUMERIC:], words, strict=True)
    }
    frame = pd.DataFrame(as_cells(features), columns=columns).astype(categories)
    model = lightgbm.LGBMClassifier(n_estimators=TREES, n_jobs=1, **settings).fit(frame, label)
    saved = {"model": model, "columns": columns, "categories": categories}
    joblib.dump(saved, folder / "frame.joblib")
    return leads


def save_for_mlflow(folder: Path) -> Path:
    """Write the model as `leadscore train` registers it."""
    import mlflow

    scorer = load_artifact(folder / "artifact").scorer
    path = folder / "mlflow_model"
    mlflow.pyfunc.save_model(
        path,
        python_model=str(ROOT / "models" / "pyfunc.py"),
        artifacts={"scorer": str(folder / "artifact")},
        signature=signature_of(scorer),
        pip_requirements=[],
    )
    return path
