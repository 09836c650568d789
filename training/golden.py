"""Makes golden leads: made-up leads whose scores prove that a model loads as it was saved."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crm.times import DAY, NOT_A_TIME
from features.pipeline import FeaturePipeline
from models.scorer import LeadCells

N_GOLDEN = 24
MAX_EVENTS = 12
UNSEEN = "golden: a value that nobody has"


def golden_leads(
    pipeline: FeaturePipeline, leads: pd.DataFrame, as_of: int, seed: int
) -> list[LeadCells]:
    """Make leads that do not exist: cells are drawn alone or in pairs, so no lead is a real one.

    Parameters
    ----------
    pipeline : FeaturePipeline
    leads : DataFrame
        The training leads, for the range of numbers.
    as_of : int
        The moment of scoring, microseconds since 1970 UTC, or `NOT_A_TIME`.
    seed : int

    Returns
    -------
    list of LeadCells
        `N_GOLDEN` complete leads, and some with few values, none, or only unseen values.
    """
    generator = np.random.default_rng(seed)
    cells: list[dict[str, Any]] = [{} for _ in range(N_GOLDEN)]
    for attribute in pipeline.attributes:
        choices = attribute.typical_cells(leads[attribute.column], as_of)
        for lead, choice in zip(
            cells, generator.integers(len(choices), size=N_GOLDEN), strict=True
        ):
            lead[attribute.column] = choices[choice]
    # Values that are drawn alone are rarely a pair that was seen in training.
    tables = [(table.columns, table.typical_words) for table in pipeline.interactions]
    tables = [(columns, seen) for columns, seen in tables if seen]
    for i, lead in enumerate(cells[: N_GOLDEN // 2] if tables else []):
        columns, seen = tables[i % len(tables)]
        lead.update(zip(columns, seen[int(generator.integers(len(seen)))], strict=True))
    whole = [_with_history(pipeline, lead, as_of, generator) for lead in cells]
    half = [
        LeadCells({column: cell for i, (column, cell) in enumerate(lead.items()) if i % 2})
        for lead in cells[:2]
    ]
    return [*whole, *half, LeadCells({}), LeadCells(dict.fromkeys(pipeline.columns, UNSEEN))]


def _with_history(
    pipeline: FeaturePipeline, cells: dict[str, Any], as_of: int, generator: np.random.Generator
) -> LeadCells:
    if as_of == NOT_A_TIME or not pipeline.has_times:
        return LeadCells(cells)
    age = int(generator.integers(1, 120) * DAY)
    created = as_of - age

    def events(names: Sequence[str], noun: str, time: str) -> list[dict[str, Any]]:
        return [
            {noun: generator.choice([*names, UNSEEN]), time: int(created + generator.integers(age))}
            for _ in range(generator.integers(MAX_EVENTS))
        ]

    activities = (
        events(pipeline.activities.types, "type", "occurred_at") if pipeline.activities else []
    )
    for event in activities:
        channels = pipeline.activities.channels if pipeline.activities else ()
        event["type"] = str(event["type"])
        event["channel"] = str(generator.choice([*channels, UNSEEN]))
        event["content"] = f"content {generator.integers(4)}"
    stages = events(pipeline.stages.stages, "stage", "entered_at") if pipeline.stages else []
    for entry in stages:
        entry["stage"] = str(entry["stage"])
    return LeadCells(cells, created, activities, stages)
