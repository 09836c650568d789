"""The sales scale: ten points more, twice the odds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.scale import GRADES, LOWEST_GRADE, Scale

BASE = 0.15
SCALE = Scale(base_log_odds=float(logit(BASE)))


def odds(multiple: float) -> np.ndarray:
    """Give the probability whose odds are this multiple of the base odds."""
    return np.array([expit(logit(BASE) + np.log(multiple))])


@pytest.mark.parametrize(
    ("multiple", "score"), [(1, 50), (2, 60), (4, 70), (8, 80), (1 / 2, 40), (1 / 8, 20)]
)
def test_ten_points_are_twice_the_odds(multiple: float, score: int) -> None:
    assert SCALE.score(odds(multiple)).tolist() == [score]


def test_scores_end_at_1_and_99() -> None:
    probability = np.array([0.0, 1e-300, 1e-9, 1 - 1e-9, 1.0])
    assert SCALE.score(probability).tolist() == [1, 1, 1, 99, 99]
    assert SCALE.score(np.empty(0)).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(-8, 8))
def test_a_higher_probability_never_scores_lower(
    probabilities: list[float], base_log_odds: float
) -> None:
    scores = Scale(base_log_odds).score(np.sort(np.array(probabilities)))
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 1
    assert scores.max() <= 99
    assert scores.dtype == np.int64


@pytest.mark.parametrize(
    ("score", "grade"),
    [(99, "A"), (65, "A"), (64, "B"), (50, "B"), (49, "C"), (35, "C"), (34, "D"), (1, "D")],
)
def test_grades_change_at_their_edges(score: int, grade: str) -> None:
    assert SCALE.grade(np.array([score])).tolist() == [grade]


def test_grades_are_listed_from_the_best() -> None:
    edges = [at_least for _, at_least in GRADES]
    assert edges == sorted(edges, reverse=True)
    assert [*(letter for letter, _ in GRADES), LOWEST_GRADE] == ["A", "B", "C", "D"]
