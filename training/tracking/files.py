"""Writes the files of a training's MLflow run: the card, its tables, the charts, the moments."""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from crm.cells import harmless
from crm.project import Project
from crm.records import Records
from models.evaluation.metrics import MODEL_METRICS
from models.registry.reachable import shown
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from reports.charts.card import comparison_chart, gains_chart, reliability_chart
from training.comparison.stored_moments import MOMENTS_FILE, StoredMoments
from training.train import Trained

PICTURE_PPI = 144
CARD_TABLES = ("importance", "segments", "fairness")  # in addition to the tables in its `test`


def write_facts(
    folder: Path, project: Project, records: Records, trained: Trained
) -> StoredMoments:
    """Write the files of a training's run to an empty folder.

    Returns
    -------
    StoredMoments
        The content of the file `MOMENTS_FILE`.
    """
    stored = StoredMoments.of_training(
        project.name,
        records,
        trained.moments,
        trained.split,
        trained.test_margin,
        trained.rolling.cut_offs[1:],
        trained.immature,
        trained.later,
    )
    (folder / MOMENTS_FILE).write_bytes(stored.to_parquet())
    card = trained.scorer.card
    (folder / "leadscore.toml").write_text(shown(project.text), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    page = card_page(card, pictures=card_pictures(card))
    (folder / "card.html").write_text(page, encoding="utf-8")
    (folder / "audit.json").write_text(
        json.dumps(trained.audit.to_json(), indent=1), encoding="utf-8"
    )
    (folder / "environment.txt").write_text(_environment(), encoding="utf-8")
    (folder / "tables").mkdir()
    for name, rows in (_tables(card.to_json()) | _tables_of(trained)).items():
        table = pd.json_normalize(rows)
        table.map(harmless).to_csv(folder / "tables" / f"{name}.csv", index=False)
    if trained.evaluated_model:
        _draw(folder / "plots", project, trained)
    return stored


def _draw(folder: Path, project: Project, trained: Trained) -> None:
    """Write the charts of the evaluation."""
    folder.mkdir()
    test = trained.scorer.card.test
    mark = "SIMULATED leads, " if project.simulated else ""
    subject = f"{mark}{test['how']}, n = {test['n']:,}"
    scores = trained.scorer.card.counts_scores
    log_loss = {
        "leadscore" if model == "test" else model: (
            evaluation.values["log_loss"],
            *evaluation.intervals["log_loss"],
        )
        for model, evaluation in trained.evaluations.items()
    }
    charts = {
        "reliability": reliability_chart(test["reliability"], subject, of_scores=scores),
        "gains": gains_chart(test["gains"], subject, of_scores=scores),
        "log_loss": comparison_chart(log_loss, "Log loss", subject),
    }
    for name, chart in charts.items():
        chart.save(folder / f"{name}.png", ppi=PICTURE_PPI)


def _tables(card: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables in a card, which are lists of dicts, by their names in the card."""
    figures = {**card["test"], **{name: card[name] for name in CARD_TABLES}}
    return {
        name: rows
        for name, rows in figures.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    }


def _tables_of(trained: Trained) -> dict[str, list[dict[str, Any]]]:
    """Return the metrics with their intervals, the losses of the weights, and the remedies."""
    metrics = [
        {"model": "leadscore" if model == "test" else model, "metric": metric, "value": value}
        | {"low": low, "high": high}
        for model, evaluation in trained.evaluations.items()
        for metric in MODEL_METRICS
        for value, (low, high) in [(evaluation.values[metric], evaluation.intervals[metric])]
    ]
    if trained.evaluated_model is not None:
        metrics += [
            {"model": "leadscore", "metric": f"log_loss_minus_{baseline}", "value": value}
            | {"low": low, "high": high}
            for baseline, (value, low, high) in trained.evaluated_model.gained.items()
        ]
    weights = [
        {"logistic_weight": weight, "log_loss": loss}
        for weight, loss in trained.scorer.card.estimator.get("weights_tried", ())
    ]
    remedies = [
        {name: value for name, value in remedy.items() if name != "by_cut_off"}
        | {f"change_{number}": change for number, change in enumerate(remedy["by_cut_off"], 1)}
        for remedy in trained.scorer.card.estimator.get("remedies_tried", ())
    ]
    tables = {"metrics": metrics, "weights": weights, "remedies": remedies}
    return {name: rows for name, rows in tables.items() if rows}


def _environment() -> str:
    installed = sorted(
        f"{package.metadata['Name']}=={package.version}"
        for package in importlib.metadata.distributions()
    )
    return "\n".join([f"# Python {platform.python_version()}", *installed]) + "\n"
