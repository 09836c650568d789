"""Features of stages: which stage is current at a moment, and the order of the funnel."""

import numpy as np
import pandas as pd
import pytest

from crm.times import DAY
from features.attributes.attribute import MISSING, UNSEEN
from features.stages import StageFeatures, fit_stages
from tests.made_histories import NOW, STAGES, by_name

NEW, OFFER, SIGNED = 2, 3, 4


def features_of(*entries: tuple[str, float]) -> dict[str, float]:
    """Compute the features at NOW from stages and the days from NOW at which they are entered."""
    stages = [{"stage": stage, "entered_at": NOW + int(days * DAY)} for stage, days in entries]
    values = STAGES.compute(STAGES.log_of_cells([stages]), np.array([0]), np.array([NOW]))
    return by_name(values, STAGES)


@pytest.mark.parametrize(
    ("entries", "current", "days_in", "count"),
    [
        ([], MISSING, np.nan, 0),
        ([("New", -4)], NEW, 4, 1),
        ([("New", -4), ("Offer", -1.5)], OFFER, 1.5, 2),
        ([("Offer", -1.5), ("New", -4)], OFFER, 1.5, 2),
        ([("Offer", -4), ("New", -1)], NEW, 1, 2),
        ([("New", -4), ("New", -1)], NEW, 1, 2),
        ([("New", -4), ("Offer", 0)], OFFER, 0, 2),
        ([("New", -4), ("Offer", 0.001)], NEW, 4, 1),
        ([("Signed", 3)], MISSING, np.nan, 0),
        ([(" new ", -4)], NEW, 4, 1),
        ([("Elsewhere", -2)], UNSEEN, 2, 1),
        ([("New", -4), ("Elsewhere", -2)], UNSEEN, 2, 2),
        ([("Signed", -2), ("New", -2), ("Offer", -2)], SIGNED, 2, 3),
        ([("Elsewhere", -2), ("New", -2)], NEW, 2, 2),
    ],
)
def test_current_stage_is_the_last_entered(
    entries: list[tuple[str, float]], current: int, days_in: float, count: int
) -> None:
    expected = {"stage.current": current, "stage.days_in": days_in, "stage.count": count}
    assert features_of(*entries) == pytest.approx(expected, nan_ok=True)


def test_stages_are_ordered_by_entry() -> None:
    entries = [(f"L{i}", stage) for i in range(9) for stage in ("Offer", "Won")[: 1 + i % 2]]
    entries += [("L9", "new"), ("L9", "OFFER"), *((f"L{i}", "New") for i in range(10, 13))]
    table = pd.DataFrame(entries, columns=["lead_id", "stage"])
    assert fit_stages(table) == StageFeatures(("New", "Offer", "Won"))
