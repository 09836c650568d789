"""The fitted estimator: a logistic regression and trees, blended in log-odds; or the base rate.

Apart from what fits it (`models.fitting.blend`): the service needs neither scikit-learn nor
LightGBM's Python, which take longer to import than all the rest.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from crm.arrays import Floats, Labels
from models.estimator.logistic import Logistic
from models.estimator.trees import BoostedTrees


@dataclass(frozen=True)
class BaseRate:
    """The same log-odds for every lead: what is known without looking at it."""

    log_odds: float

    @classmethod
    def fit(cls, label: Labels, weight: Floats) -> "BaseRate":
        """Learn the weighted share of wins; kept off 0 and 1 by half a lead."""
        won = float(weight @ label) + 0.5
        return cls(float(logit(won / (float(weight.sum()) + 1.0))))

    @property
    def constant(self) -> float:
        """Log-odds where every feature's contribution is 0."""
        return self.log_odds

    def log_odds_of(self, features: Floats) -> Floats:
        """Log-odds, shape (n,)."""
        return np.full(len(features), self.log_odds)

    def contributions(self, features: Floats) -> Floats:
        """Give what each feature adds to `constant`: nothing; shape (n, k)."""
        return np.zeros(features.shape)

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Give `margin` and `contributions` at once."""
        return self.log_odds_of(features), self.contributions(features)


@dataclass(frozen=True)
class Blend:
    """Log-odds = w · logistic regression + (1 − w) · boosted trees.

    Attributes
    ----------
    logistic_weight : float
        w, from 0 to 1; a half without weight is None.
    logistic : Logistic or None
    trees : BoostedTrees or None
    """

    logistic_weight: float
    logistic: Logistic | None
    trees: BoostedTrees | None

    def __post_init__(self) -> None:
        """Refuse a half that is missing, or there in vain."""
        shares = zip(
            (self.logistic_weight, 1 - self.logistic_weight),
            (self.logistic, self.trees),
            strict=True,
        )
        if not 0 <= self.logistic_weight <= 1 or any((s > 0) != (h is not None) for s, h in shares):
            raise ValueError("a half of the blend is missing, or has no weight")

    @property
    def _halves(self) -> list[tuple[float, Logistic | BoostedTrees]]:
        halves = ((self.logistic_weight, self.logistic), (1 - self.logistic_weight, self.trees))
        return [(share, half) for share, half in halves if half is not None]

    @property
    def constant(self) -> float:
        """Log-odds where every feature's contribution is 0."""
        return sum(share * half.constant for share, half in self._halves)

    def log_odds_of(self, features: Floats) -> Floats:
        """Log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        found = np.zeros(len(features))
        for share, half in self._halves:
            found += share * half.log_odds_of(features)
        return found

    def contributions(self, features: Floats) -> Floats:
        """Give what each feature adds to `constant`, in log-odds, shape (n, k), C order."""
        return self.explained(features)[1]

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Give `margin`, the same to the last bit, and `contributions`, for less than both cost."""
        margin, contributions = np.zeros(len(features)), np.zeros(features.shape)
        for share, half in self._halves:
            of_margin, of_features = half.explained(features)
            margin += share * of_margin
            contributions += share * of_features
        return margin, contributions
