"""The fitted estimator: a logistic regression and trees, blended in log-odds; or the base rate.

`models.fitting.blend` fits it. The two are separate because the service needs neither
scikit-learn nor LightGBM's Python package, which take longer to import than everything else.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from crm.arrays import Floats, Labels
from models.estimator.logistic import Logistic
from models.estimator.trees import BoostedTrees


@dataclass(frozen=True)
class BaseRate:
    """The same log-odds for every lead."""

    log_odds: float

    @classmethod
    def fit(cls, label: Labels, weight: Floats) -> "BaseRate":
        """Fit to the weighted share of wins; half a win and half a loss keep it from 0 and 1."""
        won = float((weight * label).sum()) + 0.5
        return cls(float(logit(won / (float(weight.sum()) + 1.0))))

    @property
    def constant(self) -> float:
        """The log-odds of a lead whose every contribution is 0."""
        return self.log_odds

    def log_odds_of(self, features: Floats) -> Floats:
        """Return the log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        return np.full(len(features), self.log_odds)

    def contributions(self, features: Floats) -> Floats:
        """Return what each feature adds to `constant`: nothing; shape (n, k)."""
        return np.zeros(features.shape)

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Return log-odds and contributions together."""
        return self.log_odds_of(features), self.contributions(features)


@dataclass(frozen=True)
class Blend:
    """Log-odds = w · logistic regression + (1 − w) · boosted trees.

    Attributes
    ----------
    logistic_weight : float
        w, from 0 to 1. A part whose weight is 0 is None.
    logistic : Logistic or None
    trees : BoostedTrees or None
    """

    logistic_weight: float
    logistic: Logistic | None
    trees: BoostedTrees | None

    def __post_init__(self) -> None:
        """Check that each part exists exactly when its weight is positive."""
        weight = self.logistic_weight
        has_parts = (self.logistic is not None, self.trees is not None)
        if not 0 <= weight <= 1 or has_parts != (weight > 0, weight < 1):
            raise ValueError("a part of the blend is missing, or has no weight")

    @property
    def _parts(self) -> list[tuple[float, Logistic | BoostedTrees]]:
        parts = ((self.logistic_weight, self.logistic), (1 - self.logistic_weight, self.trees))
        return [(weight, part) for weight, part in parts if part is not None]

    @property
    def constant(self) -> float:
        """The log-odds of a lead whose every contribution is 0."""
        return sum(weight * part.constant for weight, part in self._parts)

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute the log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        log_odds = np.zeros(len(features))
        for weight, part in self._parts:
            log_odds += weight * part.log_odds_of(features)
        return log_odds

    def contributions(self, features: Floats) -> Floats:
        """Compute what each feature adds to `constant`, in log-odds, shape (n, k), C order."""
        return self.explained(features)[1]

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Compute log-odds and contributions together, which costs less than both alone.

        The log-odds equal those of `log_odds_of` bit for bit.
        """
        log_odds, contributions = np.zeros(len(features)), np.zeros(features.shape)
        for weight, part in self._parts:
            log_odds_of_part, contributions_of_part = part.explained(features)
            log_odds += weight * log_odds_of_part
            contributions += weight * contributions_of_part
        return log_odds, contributions
