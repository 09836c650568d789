"""What it costs to leave a suspect out of the model, for the person who decides."""

from dataclasses import dataclass
from typing import Any

NOTHING = 0.0005  # a difference below it is not shown by three decimals


@dataclass(frozen=True)
class CostOfLeavingOut:
    """How well a quick model predicts with a column, and without it.

    A leak improves these figures too, so they show what the decision is worth, and not whether the
    column is honest.

    Attributes
    ----------
    n : int
        The number of leads that evaluate the model. It has not seen them.
    are_newest : bool
        True if they are the newest leads; False if they are drawn at random, because the leads have
        no order.
    roc_auc_with, roc_auc_without, log_loss_with, log_loss_without : float
    """

    n: int
    are_newest: bool
    roc_auc_with: float
    roc_auc_without: float
    log_loss_with: float
    log_loss_without: float

    def sentence(self) -> str:
        """Return the figures as a sentence.

        Examples
        --------
        >>> CostOfLeavingOut(80, True, 0.71, 0.7, 0.49, 0.5).sentence()[-61:]
        '0.710 → 0.700, log loss 0.490 → 0.500 on the newest 80 leads.'
        >>> CostOfLeavingOut(80, False, 0.7, 0.71, 0.5, 0.49).sentence()
        'Leaving it out costs nothing: ROC AUC 0.700 → 0.710, log loss 0.500 → 0.490 on 80 leads.'
        """
        is_worse = (
            self.roc_auc_with - self.roc_auc_without > NOTHING
            or self.log_loss_without - self.log_loss_with > NOTHING
        )
        return (
            f"Leaving it out costs{'' if is_worse else ' nothing'}: "
            f"ROC AUC {self.roc_auc_with:.3f} → {self.roc_auc_without:.3f}, "
            f"log loss {self.log_loss_with:.3f} → {self.log_loss_without:.3f} "
            f"on {'the newest ' if self.are_newest else ''}{self.n:,} leads."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "leads": self.n,
            "are_newest": self.are_newest,
            "roc_auc": {"with": self.roc_auc_with, "without": self.roc_auc_without},
            "log_loss": {"with": self.log_loss_with, "without": self.log_loss_without},
        }
