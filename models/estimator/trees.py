"""Boosted trees as they score, held as LightGBM's own model text."""

from dataclasses import dataclass
from functools import cached_property

from crm.arrays import Floats
from models.contributions.tree_contributions import TreeContributions
from models.estimator.lightgbm_library import LoadedBooster


@dataclass(frozen=True, repr=False)
class BoostedTrees:
    """LightGBM trees, held as LightGBM's own model text.

    Attributes
    ----------
    text : str
        As `lightgbm.Booster.model_to_string` writes it.
    """

    text: str

    def __repr__(self) -> str:
        """Name it without its text, which fills pages."""
        return f"BoostedTrees({len(self.text):,} characters)"

    @cached_property
    def _booster(self) -> LoadedBooster:
        return LoadedBooster(self.text)

    @cached_property
    def _explained(self) -> TreeContributions:
        return TreeContributions.from_text(self.text, self._booster.n_features)

    def log_odds_of(self, features: Floats) -> Floats:
        """Log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        return self._booster.margin(features)

    @property
    def constant(self) -> float:
        """Log-odds where every feature's contribution is 0."""
        return self._explained.expected

    def contributions(self, features: Floats) -> Floats:
        """Give exact SHAP values, what each feature adds to `constant`, shape (n, k)."""
        return self._explained.contributions(features)[:, :-1]

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Give `margin` and `contributions` at once."""
        return self._explained.explained(features) or (
            self.log_odds_of(features),
            self.contributions(features),
        )
