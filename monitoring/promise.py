"""Promise: what the card of a model says that its scores will be like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from crm.text import counted
from models.card import ModelCard
from models.reference import HeldOutMonth, Reference
from monitoring.shares import FEWEST_MONTHS
from monitoring.spread import spread

TOLERANCE: Final = 0.2  # in log-odds: 3 points of the score
MOST_TOLERANCE: Final = 0.5
FEWEST_EXPECTED: Final = 5.0  # wins of a month, to show how much months differ
YEAR: Final = 12  # months
SEASON_TOLERANCE: Final = 0.7  # in log-odds, while no year is known: a season may halve the odds
AUC_TOLERANCE: Final = 0.02
# Widens the interval of 95 % to 99.9 %, because one hold-out in 40 is too good by chance.
AUC_SURE: Final = 1.6


@dataclass(frozen=True)
class Promise:
    """What the card of a model says about leads that it had not seen.

    Attributes
    ----------
    roc_auc, log_loss : float or None
        Figures of the hold-out; None if no leads could be held out.
    roc_auc_low : float or None
        The lower end of the interval of ROC AUC.
    won_by_grade : dict of str to float
        The share of wins of each grade, 0 … 1.
    tolerance : float
        The difference of log-odds, between what is stated and what happens, that is not yet a
        change. Months of the training time that differ more widen it.
    months : int
        The months that the model learned from; 0 if they are not known, or have no times.
    """

    roc_auc: float | None = None
    roc_auc_low: float | None = None
    log_loss: float | None = None
    won_by_grade: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    months: int = 0

    @property
    def season_caveat(self) -> str:
        """A sentence for a change that may be a season; "" if a year is known, or no months are."""
        if not 0 < self.months < YEAR:
            return ""
        seen = counted(self.months, "month")
        return f" The model has seen {seen} of outcomes; a season is not known yet."

    @classmethod
    def of(cls, card: ModelCard, reference: Reference | None) -> "Promise":
        """Read the promise of a card, and the differences between months of its reference."""
        test: Mapping[str, Any] = card.test
        months = reference.held_out if reference else []
        named = sum(bool(month.month) for month in months)
        if "not_judged" in test or "roc_auc" not in test:
            return cls(tolerance=tolerance_of(months), months=named)
        return cls(
            roc_auc=float(test["roc_auc"]),
            roc_auc_low=float(test["intervals"]["roc_auc"][0]),
            log_loss=float(test["log_loss"]),
            won_by_grade={row["grade"]: float(row["won"]) for row in test.get("by_grade", ())},
            tolerance=tolerance_of(months),
            months=named,
        )


def tolerance_of(months: list[HeldOutMonth]) -> float:
    """Compute the tolerance from how much the months of the training time differ.

    In each month, the logarithm of wins over expected wins differs from 0 by chance, and by what
    the model does not know, such as a season. The variance of the second part is estimated by the
    method of moments. The tolerance is 1.645 times its root, so that 95 % of the months stay on the
    right side of it, between `TOLERANCE` and `MOST_TOLERANCE`.

    Parameters
    ----------
    months : list of HeldOutMonth
        Months with few expected wins do not count, nor do fewer than `FEWEST_MONTHS` months.

    Examples
    --------
    >>> even = [HeldOutMonth("", 500, 50.0, 50, {})] * 6
    >>> seasons = [HeldOutMonth("", 500, 50.0, won, {}) for won in (35, 70, 35, 70, 35, 70)]
    >>> tolerance_of(even), round(tolerance_of(seasons), 2), tolerance_of(seasons[:3])
    (0.2, 0.5, 0.2)
    """
    counted = [month for month in months if month.expected >= FEWEST_EXPECTED]
    if len(counted) < FEWEST_MONTHS:
        return TOLERANCE
    expected = np.array([month.expected for month in counted])
    won = np.array([month.won for month in counted])
    offset = np.log((won + 0.5) / (expected + 0.5))
    of_months = float(spread(offset, expected))  # a logarithm of a count has the variance 1 / mean
    return float(np.clip(1.645 * of_months, TOLERANCE, MOST_TOLERANCE))
