"""Fit one peer's model for bench_quality.py and write its probabilities.

    .venv-bench/bin/python benchmarks/peers.py MODEL FOLDER

FOLDER contains train.parquet (with `outcome`) and test.parquet (without). The script writes
MODEL.json: the `probability` of each test row, `cpu_seconds` (fitting alone, without files), and
`about` (the version, and which models AutoGluon could use). Every peer has its own default settings
and two threads. This script does not import leadscore.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from own_process import used, used_since

THREADS = 2
OUTCOME = "outcome"
Predict = Callable[[pd.DataFrame], np.ndarray]
Fit = Callable[[pd.DataFrame, pd.Series, Path], tuple[Predict, str]]


def logistic(features: pd.DataFrame, outcome: pd.Series, folder: Path) -> tuple[Predict, str]:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000))
    model.fit(features, outcome)
    return lambda rows: model.predict_proba(rows)[:, 1], ""


def light_gbm(features: pd.DataFrame, outcome: pd.Series, folder: Path) -> tuple[Predict, str]:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_jobs=THREADS, verbosity=-1)
    model.fit(features, outcome)
    return lambda rows: model.predict_proba(rows)[:, 1], ""


def cat_boost(features: pd.DataFrame, outcome: pd.Series, folder: Path) -> tuple[Predict, str]:
    from catboost import CatBoostClassifier

    categories = list(features.select_dtypes("category"))

    def filled(rows: pd.DataFrame) -> pd.DataFrame:
        words = rows[categories].astype(object)
        return rows.assign(**words.where(words.notna(), "missing").astype(str))

    model = CatBoostClassifier(thread_count=THREADS, verbose=False, allow_writing_files=False)
    model.fit(filled(features), outcome, cat_features=categories)
    return lambda rows: model.predict_proba(filled(rows))[:, 1], ""


def auto_gluon(features: pd.DataFrame, outcome: pd.Series, folder: Path) -> tuple[Predict, str]:
    """Fit AutoGluon with medium quality and log loss (its default metric is accuracy)."""
    from autogluon.tabular import TabularPredictor

    model = TabularPredictor(
        OUTCOME,
        problem_type="binary",
        eval_metric="log_loss",
        path=folder / "autogluon",
        verbosity=0,
    )
    model.fit(
        features.assign(**{OUTCOME: outcome}),
        presets="medium_quality",
        num_cpus=THREADS,
        num_gpus=0,
    )
    absent = [name for name in ("torch", "fastai") if importlib.util.find_spec(name) is None]
    about = f"of {', '.join(model.model_names())}"
    if absent:
        about += f"; no neural networks, because {' and '.join(absent)} are not installed"
    return lambda rows: model.predict_proba(rows)[1].to_numpy(), about


# The function that fits, its package, and the modules to import before the timing.
PEERS: dict[str, tuple[Fit, str, tuple[str, ...]]] = {
    "logistic": (logistic, "scikit-learn", ("sklearn.compose", "sklearn.linear_model")),
    "lightgbm": (light_gbm, "lightgbm", ("lightgbm",)),
    "catboost": (cat_boost, "catboost", ("catboost",)),
    "autogluon": (
        auto_gluon,
        "autogluon.tabular",
        ("autogluon.tabular", "catboost", "lightgbm", "sklearn.ensemble", "xgboost"),
    ),
}


def main(name: str, folder: Path) -> None:
    train, test = (pd.read_parquet(folder / f"{side}.parquet") for side in ("train", "test"))
    outcome = train.pop(OUTCOME)
    words = [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    for side in (train, test):
        side[words] = side[words].astype(object).where(side[words].notna(), np.nan)
        side[words] = side[words].astype("category")
    fit, package, modules = PEERS[name]
    for module in modules:
        importlib.import_module(module)
    start = used()
    predict, about = fit(train, outcome, folder)
    cpu_seconds = used_since(start)["cpu_seconds"]
    answer = {
        "probability": np.asarray(predict(test), dtype=np.float64).tolist(),
        "cpu_seconds": cpu_seconds,
        "about": f"{package} {importlib.metadata.version(package)} {about}".strip(),
    }
    (folder / f"{name}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
