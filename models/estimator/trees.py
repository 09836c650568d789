"""Boosted trees that score, stored as LightGBM's own model text."""

from dataclasses import dataclass
from functools import cached_property

from crm.arrays import Floats
from models.contributions.tree_contributions import TreeContributions
from models.estimator.lightgbm_library import LoadedBooster


@dataclass(frozen=True, repr=False)
class BoostedTrees:
    """LightGBM trees, stored as LightGBM's own model text.

    Attributes
    ----------
    text : str
        The text that `lightgbm.Booster.model_to_string` writes.
    """

    text: str

    def __repr__(self) -> str:
        """Return a short name instead of the text, which fills pages."""
        return f"BoostedTrees({len(self.text):,} characters)"

    @cached_property
    def _booster(self) -> LoadedBooster:
        return LoadedBooster(self.text)

    @cached_property
    def _explained(self) -> TreeContributions:
        return TreeContributions.from_text(self.text, self._booster.n_features)

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute the log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        return self._booster.margin(features)

    @property
    def constant(self) -> float:
        """The log-odds of a lead whose every contribution is 0."""
        return self._explained.expected

    def contributions(self, features: Floats) -> Floats:
        """Compute exact SHAP values: what each feature adds to `constant`, shape (n, k)."""
        return self._explained.contributions(features)[:, :-1]

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Compute log-odds and contributions together."""
        return self._explained.explained(features) or (
            self.log_odds_of(features),
            self.contributions(features),
        )
