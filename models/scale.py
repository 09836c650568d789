"""The sales scale: a probability as a score from 1 to 99 and a grade."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logit

from crm.arrays import Floats, Ints, Strings
from crm.errors import ConfigError

MIDDLE = 50.0
POINTS_PER_DOUBLING = 10.0
POINTS = POINTS_PER_DOUBLING / float(np.log(2))  # per unit of log-odds
GRADES = (("A", 65), ("B", 50), ("C", 35))


@dataclass(frozen=True)
class Scale:
    """Ten points more are twice the odds; 50 is the base odds.

    Attributes
    ----------
    base_log_odds : float
        Log-odds of the average lead, which scores 50.
    grades : tuple of (str, int)
        Each grade and the least score that earns it, best first; the letter after the
        last one is what everybody else gets.

    Examples
    --------
    >>> scale = Scale(base_log_odds=float(logit(0.2)))
    >>> scale.score(np.array([0.2, 1 / 3, 0.999999, 0.0]))
    array([50, 60, 99,  1])
    >>> scale.grade(np.array([50, 65, 34])).tolist()
    ['B', 'A', 'D']
    """

    base_log_odds: float
    grades: tuple[tuple[str, int], ...] = GRADES

    def unrounded(self, margin: Floats) -> Floats:
        """Scores before rounding and holding, shape (n,), of calibrated log-odds, shape (n,)."""
        return MIDDLE + POINTS * (margin - self.base_log_odds)

    def score(self, probability: Floats) -> Ints:
        """Scores 1 … 99, shape (n,), of probabilities, shape (n,)."""
        points = self.unrounded(logit(np.minimum(np.maximum(probability, 1e-15), 1 - 1e-15)))
        return np.minimum(np.maximum(np.rint(points), 1), 99).astype(np.int64)

    def grade(self, score: Ints) -> Strings:
        """Grades, shape (n,), of scores, shape (n,)."""
        least, letters = self._ascending
        return letters[np.searchsorted(least, score, side="right")]

    @cached_property
    def _ascending(self) -> tuple[Ints, Strings]:
        """The least scores of grades, the lowest first, and the letters below, between, above."""
        ascending = self.grades[::-1]
        letters = [self.lowest, *(letter for letter, _ in ascending)]
        return np.array([least for _, least in ascending], dtype=np.int64), np.array(letters)

    @property
    def lowest(self) -> str:
        """The grade of those that reach none."""
        return chr(ord(self.grades[-1][0]) + 1)


def read_grades(least: "dict[str, int]") -> tuple[tuple[str, int], ...]:
    """Check grades as a person writes them: `{A = 70, B = 55}`.

    Raises
    ------
    ConfigError
        If they are not A, B, C … in order, with falling least scores from 2 to 99.

    Examples
    --------
    >>> read_grades({"A": 70, "B": 55})
    (('A', 70), ('B', 55))
    >>> read_grades({"A": 50, "B": 55})
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: [scale] grades are {'A': 50, 'B': 55}. Expected A, B, C and so on, \
each with a lower least score than the one before, between 2 and 99.
    """
    grades = tuple(sorted(least.items()))
    letters = [letter for letter, _ in grades]
    scores = [score for _, score in grades]
    in_order = letters == [chr(ord("A") + i) for i in range(len(grades))]
    falling = all(2 <= score <= 99 for score in scores) and scores == sorted(set(scores))[::-1]
    if not grades or len(grades) > 8 or not in_order or not falling:
        raise ConfigError(
            f"[scale] grades are {least}. Expected A, B, C and so on, each with a lower least "
            "score than the one before, between 2 and 99."
        )
    return grades
