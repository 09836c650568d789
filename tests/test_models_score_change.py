"""Why a score changed: parts that add up, exactly and as they are shown."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.arrays import Floats
from crm.times import DAY
from features.feature import Feature
from features.times import cell_time
from models.calibration import Calibration
from models.change_words import compare_moments
from models.reasons import Reasoner
from models.scale import Scale
from models.score_change import ScoreParts, score_change, shown_points
from models.scorer import LeadCells, LeadScorer

POINTS = st.floats(-60, 60)
PARTS = st.builds(
    ScoreParts, st.floats(1, 99), st.dictionaries(st.sampled_from("abcdefgh"), POINTS)
)


def unrounded(parts: ScoreParts) -> float:
    return math.fsum([parts.start, *parts.points.values()])


@given(PARTS, PARTS, PARTS.map(lambda parts: parts.points) | st.none())
def test_parts_of_two_models_add_up_to_the_difference(
    earlier: ScoreParts, later: ScoreParts, points: dict[str, float] | None
) -> None:
    between = None if points is None else ScoreParts(later.start, points)
    change = score_change(earlier, later, is_new_model=True, earlier_in_new_model=between)
    assert change.points == math.fsum(part.points for part in change.parts)
    assert change.points == pytest.approx(unrounded(later) - unrounded(earlier), abs=1e-9)
    (of_model,) = (part for part in change.parts if part.signal is None)
    expected = unrounded(later if between is None else between) - unrounded(earlier)
    assert of_model.points == pytest.approx(expected, abs=1e-9)
    assert between is not None or len(change.parts) == 1


@given(PARTS, st.dictionaries(st.sampled_from("abcdefgh"), POINTS))
def test_parts_of_one_model_add_up_to_the_difference(
    earlier: ScoreParts, points: dict[str, float]
) -> None:
    later = ScoreParts(earlier.start, points)
    change = score_change(earlier, later)
    assert change.points == math.fsum(part.points for part in change.parts)
    assert change.points == pytest.approx(unrounded(later) - unrounded(earlier), abs=1e-9)
    for part in change.parts:
        assert part.signal is not None
        before, after = (parts.points.get(part.signal, 0.0) for parts in (earlier, later))
        assert part.points == after - before != 0
    sizes = [abs(part.points) for part in change.parts]
    assert sizes == sorted(sizes, reverse=True)


@given(st.lists(POINTS))
def test_shown_parts_add_up_to_the_shown_sum(points: list[float]) -> None:
    total, shown = shown_points(points)
    assert sum(round(part * 100) for part in shown) == round(total * 100)
    assert total == round(math.fsum(points) * 100) / 100
    for exact, rounded in zip(points, shown, strict=True):
        assert abs(exact - rounded) < 0.01 + 1e-9
        assert rounded == round(rounded, 2)


@pytest.mark.parametrize(
    ("points", "total", "shown"),
    [
        ([], 0.0, []),
        ([0.005, 0.005], 0.01, [0.01, 0.0]),
        ([-0.006, -0.006], -0.01, [0.0, -0.01]),
        ([2.345, -1.111, -1.234], 0.0, [2.34, -1.11, -1.23]),
        ([5.0, -3.0], 2.0, [5.0, -3.0]),
        ([1.009, 5.001, -0.01], 6.0, [1.01, 5.0, -0.01]),
    ],
)
def test_hundredths_go_to_the_largest_remainders(
    points: list[float], total: float, shown: list[float]
) -> None:
    assert shown_points(points) == (total, shown)


@pytest.fixture(scope="module")
def scorer(trained: Any) -> LeadScorer:
    return trained.scorer


CREATED = cell_time("2026-01-01T08:00:00Z")
DEMO = {
    "activity_id": "a1",
    "type": "demo_requested",
    "occurred_at": CREATED + 5 * DAY,
    "content": None,
    "channel": None,
    "value": None,
}


def lead(**cells: Any) -> LeadCells:
    return LeadCells({"source": "Partner", "country": "DE"} | cells, CREATED)


def test_moments_have_the_parts_of_their_scores(scorer: LeadScorer) -> None:
    before = lead()
    after = LeadCells(before.cells, CREATED, activities=[DEMO])
    moments = [CREATED + DAY, CREATED + 6 * DAY]
    compared = compare_moments(scorer, [before, after], moments)
    scores = scorer.score_leads([before, after], np.array(moments), n_reasons=3)
    for parts, score in zip((compared.earlier, compared.later), scores, strict=True):
        assert parts.start == score.start
        assert list(parts.points.values()) == pytest.approx(score.points, abs=1e-9)


def test_texts_describe_what_changed(scorer: LeadScorer) -> None:
    before, after = lead(), LeadCells(lead().cells, CREATED, activities=[DEMO])
    compared = compare_moments(scorer, [before, after], [CREATED + DAY, CREATED + 6 * DAY])
    assert compared.texts["activities"].endswith("(before: no activity yet)")
    assert compared.texts["country"] == 'country is "DE"'


def test_names_of_columns_may_differ_slightly(scorer: LeadScorer) -> None:
    exact, renamed = lead(), LeadCells({"Source": "Partner", "Country": "DE"}, CREATED)
    compared = compare_moments(scorer, [exact, renamed], [CREATED, CREATED])
    assert compared.earlier == compared.later


class Sum:
    """An estimator whose log-odds are the sum of the features."""

    constant = 0.0

    def contributions(self, features: Floats) -> Floats:
        return features


def moved(before: tuple[float, float], after: tuple[float, float]) -> str:
    """Return the text of a signal of the features `other` and `mover` with these values."""
    features = [
        Feature(name, "leads", name, "number", f"{name} is {{value}}", signal="both")
        for name in ("other", "mover")
    ]
    reasoner = Reasoner(features, Sum(), Calibration(1.0, 0.0), Scale(0.0))
    scorer: Any = SimpleNamespace(
        column_names=SimpleNamespace(of_lead=lambda cells: cells),
        features_of=lambda leads, as_of: np.array([before, after]),
        reasoner=reasoner,
        pipeline=SimpleNamespace(values_of=lambda cell_of: None),
    )
    return compare_moments(scorer, [LeadCells({}), LeadCells({})], [0, 1]).texts["both"]


def test_signal_is_described_by_what_moved_most_in_its_direction() -> None:
    # The points of `other` are more, and it moves against the signal.
    assert moved((0.05, 0.01), (0.045, 0.03)) == "mover is 0.03 (before: mover is 0.01)"
    assert moved((0.045, 0.03), (0.05, 0.01)) == "mover is 0.01 (before: mover is 0.03)"


def test_unchanged_signal_is_described_once() -> None:
    assert moved((0.05, 0.01), (0.05, 0.01)) == "other is 0.05"
