"""The sales scale: a probability as a score from 1 to 99 and a grade."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

POINTS_PER_DOUBLING = 10.0
GRADES = (("A", 65), ("B", 50), ("C", 35))
LOWEST_GRADE = "D"


@dataclass(frozen=True)
class Scale:
    """Ten points more are twice the odds; 50 is the base odds.

    Attributes
    ----------
    base_log_odds : float
        Log-odds of the average lead, which scores 50.

    Examples
    --------
    >>> scale = Scale(base_log_odds=float(logit(0.2)))
    >>> scale.score(np.array([0.2, 1 / 3, 0.999999, 0.0]))
    array([50, 60, 99,  1])
    >>> scale.grade(np.array([50, 65, 34])).tolist()
    ['B', 'A', 'D']
    """

    base_log_odds: float

    def score(self, probability: NDArray[np.float64]) -> NDArray[np.int64]:
        """Scores 1 … 99, shape (n,), of probabilities, shape (n,)."""
        log_odds = logit(np.clip(probability, 1e-15, 1 - 1e-15))
        points = 50 + POINTS_PER_DOUBLING * (log_odds - self.base_log_odds) / np.log(2)
        return np.clip(np.rint(points), 1, 99).astype(np.int64)

    def grade(self, score: NDArray[np.int64]) -> NDArray[np.str_]:
        """Grades A … D, shape (n,), of scores, shape (n,)."""
        reached = [score >= at_least for _, at_least in GRADES]
        return np.select(reached, [letter for letter, _ in GRADES], default=LOWEST_GRADE)
