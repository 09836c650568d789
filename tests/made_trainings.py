"""Small exports, and trainings on them, for the tests of training."""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from models.artifact import load_artifact, save_artifact
from models.estimator.blend import Blend
from training.findings import EvaluatedModel
from training.train import Trained, train

NOW = datetime.datetime(2026, 1, 1, 12, 30, tzinfo=datetime.UTC)
ROLES = ("outcome", "created_at", "closed_at")  # each role is also the name of its column


def small_leads(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return leads whose size and colour have a weak effect."""
    generator = np.random.default_rng(seed)
    size = generator.integers(1, 100, n)
    colour = generator.choice(["red", "green", "blue"], n)
    won = generator.random(n) < 0.15 + 0.004 * size + 0.2 * (colour == "red")
    return pd.DataFrame({"size": size, "colour": colour, "outcome": np.where(won, "yes", "no")})


def dated_leads(n: int, *, days: float) -> pd.DataFrame:
    """Return small leads that were created within this number of days."""
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(
        np.linspace(0, days, n), unit="D"
    )
    return small_leads(n).assign(created_at=created.astype(str))


def leads_with_wins(n: int, every: int) -> pd.DataFrame:
    """Return small leads; in each group of `every` leads the first of the largest is won."""
    leads = small_leads(n)
    sizes = leads["size"].to_numpy().reshape(-1, every)
    won = np.arange(every) == sizes.argmax(axis=1)[:, None]
    return leads.assign(outcome=np.where(won.ravel(), "yes", "no"))


def write_export(
    folder: Path,
    leads: pd.DataFrame,
    learn: Mapping[str, Any] | None = None,
    known_in_time: Sequence[str] = (),
) -> tuple[Project, Records]:
    """Write leads as CSV with a project file; return the project and its records.

    Parameters
    ----------
    folder : Path
    leads : DataFrame
        Columns named like a role have this role.
    learn : mapping, optional
        Further keys of [learn].
    known_in_time : sequence of str
        Columns that [columns] known_in_time names.
    """
    folder.mkdir(exist_ok=True)
    leads.to_csv(folder / "leads.csv", index=False)
    keys = {"won": ["yes"], "lost": ["no"], **(learn or {})}
    lines = [
        "[project]",
        'name = "flat"',
        "[leads]",
        'source = "leads.csv"',
        *(f'{role} = "{role}"' for role in ROLES if role in leads),
        *([] if "created_at" in leads else ['order = "rows"']),
        "[learn]",
        *(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
    ]
    if known_in_time:
        lines += ["[columns]", f"known_in_time = {json.dumps(list(known_in_time))}"]
    (folder / "leadscore.toml").write_text("\n".join(lines))
    project = load_project(folder)
    return project, read_records(project)


def train_on(
    folder: Path,
    leads: pd.DataFrame,
    learn: Mapping[str, Any] | None = None,
    known_in_time: Sequence[str] = (),
    **options: Any,
) -> Trained:
    """Write an export and train on it; the options are those of `train`."""
    project, records = write_export(folder, leads, learn, known_in_time)
    return train(project, records, **{"now": NOW, **options})


def evaluated(trained: Trained) -> EvaluatedModel:
    """Return the evaluated model of a training that held out leads."""
    assert trained.evaluated_model is not None
    return trained.evaluated_model


def blend_of(trained: Trained) -> Blend:
    """Return the estimator of a training that had enough outcomes for a blend."""
    assert isinstance(trained.scorer.estimator, Blend)
    return trained.scorer.estimator


def save(trained: Trained, folder: Path) -> str:
    """Save a trained model, and return its digest."""
    return save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)


def check_saved_equals(trained: Trained, folder: Path) -> None:
    """Check that a trained model, saved and loaded, is the same."""
    save(trained, folder)
    assert load_artifact(folder).scorer == trained.scorer
