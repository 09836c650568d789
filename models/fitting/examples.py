"""Training rows, with the descriptions of their columns that fits need."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats, Ints, Labels
from features.moments import leads_of_rarer

NEWEST_SHARE = 0.15


@dataclass(frozen=True)
class Examples:
    """Training rows, in the order of time.

    Attributes
    ----------
    features : ndarray of float64, shape (n, k)
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each row: rows of one lead stay together.
    categorical : tuple of int
        Columns that contain codes.
    directions : tuple of int, length k, or empty
        1 if a column may only raise the log-odds, -1 if it may only lower them, else 0.
    growing : tuple of int
        Columns that grow with time: see `fit_logistic`.
    trees_only : tuple of int
        Columns that the logistic regression does not use.
    """

    features: Floats
    label: Labels
    weight: Floats
    lead: Ints
    categorical: tuple[int, ...] = ()
    directions: tuple[int, ...] = ()
    growing: tuple[int, ...] = ()
    trees_only: tuple[int, ...] = ()

    def take(self, rows: Bools) -> "Examples":
        """Return the examples of the selected rows."""
        return replace(
            self,
            features=self.features[rows],
            label=self.label[rows],
            weight=self.weight[rows],
            lead=self.lead[rows],
        )

    @property
    def columns(self) -> tuple[Floats, Labels, Floats, Ints]:
        """The features, labels, weights and leads."""
        return self.features, self.label, self.weight, self.lead

    @property
    def rarer(self) -> int:
        """The number of leads with the rarer outcome."""
        return leads_of_rarer(self.label, self.lead)

    @property
    def newest(self) -> tuple["Examples", "Examples"]:
        """The rows of the older leads, and those of the newest `NEWEST_SHARE` of the leads."""
        leads = np.unique(self.lead)
        newest = leads[-max(1, round(NEWEST_SHARE * len(leads))) :]
        is_new = np.isin(self.lead, newest)
        return self.take(~is_new), self.take(is_new)

    @property
    def of_columns(self) -> dict[str, Any]:
        """The arguments of `fit_logistic` that describe columns, without `categorical`."""
        return {
            "growing": self.growing,
            "trees_only": self.trees_only,
            "directions": self.directions,
        }
