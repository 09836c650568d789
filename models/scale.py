"""The scale: turns a probability into a score from 1 to 99 and a grade."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logit

from crm.arrays import Floats, Ints, Strings
from crm.errors import ConfigError, TrackingError

MIDDLE = 50.0
POINTS_PER_DOUBLING = 10.0
POINTS = POINTS_PER_DOUBLING / float(np.log(2))  # per unit of log-odds
GRADES = (("A", 65), ("B", 50), ("C", 35))
MOST_GRADES = 8


@dataclass(frozen=True)
class Scale:
    """The scale of the scores: ten points more are twice the odds, and 50 is the base odds.

    Attributes
    ----------
    base_log_odds : float
        The log-odds of the average lead, which scores 50.
    grades : tuple of (str, int)
        Each grade and the least score that earns it, best first. Lower scores get the letter
        after the last one.

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

    def to_text(self) -> str:
        """Return the scale as the text that the registry stores."""
        return json.dumps({"base_log_odds": self.base_log_odds, "grades": dict(self.grades)})

    @classmethod
    def from_text(cls, text: str) -> "Scale":
        """Read a scale from the text that the registry stores.

        Raises
        ------
        TrackingError
            If the text is not a valid scale.

        Examples
        --------
        >>> Scale.from_text('{"base_log_odds": -1.5, "grades": {"A": 70}}')
        Scale(base_log_odds=-1.5, grades=(('A', 70),))
        """
        try:
            state = json.loads(text)
            grades = tuple((str(letter), int(least)) for letter, least in state["grades"].items())
            return cls(float(state["base_log_odds"]), grades)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TrackingError(
                f"The scale in the tags of the registered model is not valid: {text[:80]!r}. "
                "Restore what `leadscore models history --json` shows."
            ) from None

    def unrounded(self, margin: Floats) -> Floats:
        """Compute scores before rounding and clipping, shape (n,), from calibrated log-odds."""
        return MIDDLE + POINTS * (margin - self.base_log_odds)

    def score(self, probability: Floats) -> Ints:
        """Compute scores from 1 to 99, shape (n,), from probabilities, shape (n,)."""
        points = self.unrounded(logit(np.minimum(np.maximum(probability, 1e-15), 1 - 1e-15)))
        return np.minimum(np.maximum(np.rint(points), 1), 99).astype(np.int64)

    def grade(self, score: Ints) -> Strings:
        """Return the grades, shape (n,), of scores, shape (n,)."""
        least, letters = self._ascending
        return letters[np.searchsorted(least, score, side="right")]

    @cached_property
    def _ascending(self) -> tuple[Ints, Strings]:
        """The least scores of the grades, lowest first, and the letters below and above them."""
        ascending = self.grades[::-1]
        letters = [self.lowest, *(letter for letter, _ in ascending)]
        return np.array([least for _, least in ascending], dtype=np.int64), np.array(letters)

    @property
    def lowest(self) -> str:
        """The grade of scores below every other grade."""
        return chr(ord(self.grades[-1][0]) + 1)


def read_grades(written: "dict[str, int]") -> tuple[tuple[str, int], ...]:
    """Check grades as a person writes them: `{A = 70, B = 55}`.

    Parameters
    ----------
    written : dict of str to int
        Each letter and the least score that earns it.

    Returns
    -------
    tuple of (str, int)
        Best grade first.

    Raises
    ------
    ConfigError
        If the letters are not A, B, C … without a gap, or the scores do not fall from at most
        99 to at least 2.

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
    grades = tuple(sorted(written.items()))
    letters = [letter for letter, _ in grades]
    scores = [score for _, score in grades]
    in_order = letters == [chr(ord("A") + i) for i in range(len(grades))]
    falling = all(2 <= score <= 99 for score in scores) and scores == sorted(set(scores))[::-1]
    if not grades or len(grades) > MOST_GRADES or not in_order or not falling:
        raise ConfigError(
            f"[scale] grades are {written}. Expected A, B, C and so on, each with a lower least "
            "score than the one before, between 2 and 99."
        )
    return grades
