"""The sales scale: ten more points are twice the odds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from crm.arrays import Floats
from crm.errors import ConfigError, TrackingError
from models.scale import GRADES, Scale, read_grades

BASE = 0.15
SCALE = Scale(base_log_odds=float(logit(BASE)))


def probability_of(multiple: float) -> Floats:
    """Return the probability whose odds are this multiple of the base odds."""
    return np.array([expit(logit(BASE) + np.log(multiple))])


@pytest.mark.parametrize(
    ("multiple", "score"), [(1, 50), (2, 60), (4, 70), (8, 80), (1 / 2, 40), (1 / 8, 20)]
)
def test_ten_points_are_twice_the_odds(multiple: float, score: int) -> None:
    assert SCALE.score(probability_of(multiple)).tolist() == [score]


def test_scores_are_limited_to_1_and_99() -> None:
    probability = np.array([0.0, 1e-300, 1e-9, 1 - 1e-9, 1.0])
    assert SCALE.score(probability).tolist() == [1, 1, 1, 99, 99]
    assert SCALE.score(np.empty(0)).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(-8, 8))
def test_score_rises_with_probability(probabilities: list[float], base_log_odds: float) -> None:
    scores = Scale(base_log_odds).score(np.sort(np.array(probabilities)))
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 1
    assert scores.max() <= 99
    assert scores.dtype == np.int64


@pytest.mark.parametrize(
    ("score", "grade"),
    [(99, "A"), (65, "A"), (64, "B"), (50, "B"), (49, "C"), (35, "C"), (34, "D"), (1, "D")],
)
def test_grades_change_at_their_thresholds(score: int, grade: str) -> None:
    assert SCALE.grade(np.array([score])).tolist() == [grade]


def test_grades_are_listed_from_the_best() -> None:
    edges = [at_least for _, at_least in GRADES]
    assert edges == sorted(edges, reverse=True)
    assert [*(letter for letter, _ in GRADES), SCALE.lowest] == ["A", "B", "C", "D"]


def test_grades_can_be_set() -> None:
    scale = Scale(0.0, (("A", 90), ("B", 2)))
    assert scale.grade(np.array([99, 90, 89, 2, 1])).tolist() == ["A", "A", "B", "B", "C"]
    assert scale.lowest == "C"
    assert scale.grade(np.empty(0, dtype=np.int64)).shape == (0,)


@given(st.floats(-300, 300), st.floats(-8, 8))
def test_score_is_the_rounded_and_clipped_unrounded_score(margin: float, base: float) -> None:
    scale = Scale(base)
    unrounded = scale.unrounded(np.array([margin]))
    # The odds of a probability near 1 have few exact digits, but its score is clipped anyway.
    if abs(margin) < 12 and abs(unrounded[0] % 1 - 0.5) > 1e-6:
        score = scale.score(expit(np.array([margin])))
        assert score.tolist() == np.clip(np.rint(unrounded), 1, 99).tolist()
    assert unrounded[0] == pytest.approx(50 + 10 * (margin - base) / np.log(2))


@pytest.mark.parametrize(
    ("grades_of_file", "grades"),
    [
        ({"A": 65, "B": 50, "C": 35}, GRADES),
        ({"B": 50, "A": 65}, (("A", 65), ("B", 50))),
        ({"A": 99}, (("A", 99),)),
        ({"A": 2}, (("A", 2),)),
        (
            {letter: 90 - 10 * i for i, letter in enumerate("ABCDEFGH")},
            tuple((letter, 90 - 10 * i) for i, letter in enumerate("ABCDEFGH")),
        ),
    ],
)
def test_grades_are_read_from_the_project_file(grades_of_file: dict[str, int], grades: Any) -> None:
    assert read_grades(grades_of_file) == grades


@pytest.mark.parametrize(
    "grades_of_file",
    [
        {},
        {"A": 50, "B": 50},
        {"A": 50, "B": 60},
        {"A": 65, "C": 35},
        {"B": 65, "C": 35},
        {"a": 65},
        {"A": 100},
        {"A": 1},
        {"A": 65, "B": 0},
        {"A": 65, "B": -5},
        {"A+": 65, "A": 60},
        {"hot": 70, "cold": 30},
        {letter: 99 - i for i, letter in enumerate("ABCDEFGHI")},
    ],
)
def test_invalid_grades_are_refused(grades_of_file: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"grades are .*Expected A, B, C and so on, each with a"):
        read_grades(grades_of_file)


def test_scale_survives_its_text() -> None:
    scale = Scale(-1.25, (("A", 70), ("B", 40)))
    assert Scale.from_text(scale.to_text()) == scale


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"base_log_odds": "x", "grades": {}}'])
def test_invalid_text_of_a_scale_is_refused(text: str) -> None:
    with pytest.raises(TrackingError, match="The scale in the tags .* is not valid"):
        Scale.from_text(text)
