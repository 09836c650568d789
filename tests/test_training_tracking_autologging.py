"""A training in a process with `mlflow.autolog()`: it logs nothing, and autologging stays on."""

import datetime
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from crm.errors import LearningError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from training.tracking.autologging import autologging_disabled
from training.train import train

with warnings.catch_warnings(action="ignore"):  # mlflow, at import
    import mlflow
    import mlflow.sklearn
    from mlflow.utils.autologging_utils import disable_autologging

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def autologging(
    empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let MLflow log every model of scikit-learn and LightGBM to an empty store."""
    database = tmp_path / "autolog.db"
    database.write_bytes(empty_mlflow.read_bytes())
    monkeypatch.chdir(tmp_path)
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    for module in (mlflow.sklearn, mlflow.lightgbm):
        module.autolog(log_models=False, silent=True)
    yield
    for module in (mlflow.sklearn, mlflow.lightgbm):
        module.autolog(disable=True)
    mlflow.set_tracking_uri(uri)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Project, Records]:
    """Return a project of 200 leads, with its records."""
    won = ["yes" if (i % 11 > 6) != (i % 5 == 0) else "no" for i in range(200)]
    rows = [f"{i},{i},{i % 11},{won[i]}" for i in range(200)]
    (tmp_path / "leads.csv").write_text("\n".join(["id,nr,visits,won", *rows]))
    (tmp_path / "leadscore.toml").write_text(
        '[project]\nname = "small"\n'
        '[leads]\nsource = "leads.csv"\nlead_id = "id"\norder = "nr"\noutcome = "won"\n'
        '[learn]\nwon = ["yes"]\nlost = ["no"]\n'
    )
    project = load_project(tmp_path)
    return project, read_records(project)


def runs() -> int:
    """Return the number of runs in all experiments."""
    return len(mlflow.search_runs(search_all_experiments=True, output_format="list"))


def fit_one() -> None:
    """Fit a model that autologging logs."""
    LogisticRegression().fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])


@pytest.mark.usefixtures("autologging")
def test_training_logs_no_runs_of_its_own(small: tuple[Project, Records]) -> None:
    train(*small, now=NOW)
    assert runs() == 0
    fit_one()
    assert runs() == 1


@pytest.mark.usefixtures("autologging")
def test_autologging_is_on_again_after_an_error(small: tuple[Project, Records]) -> None:
    project, records = small
    records.outcomes["outcome"] = "lost"
    with pytest.raises(LearningError):
        train(project, records, now=NOW)
    fit_one()
    assert runs() == 1


@pytest.mark.usefixtures("autologging")
def test_autologging_that_the_caller_disabled_stays_disabled() -> None:
    with disable_autologging():
        with autologging_disabled():
            fit_one()
        fit_one()
    assert runs() == 0


def test_training_does_not_import_mlflow() -> None:
    code = (
        "import sys; from training.tracking.autologging import autologging_disabled\n"
        "with autologging_disabled(): import training.train\n"
        "assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
