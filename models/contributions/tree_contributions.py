"""Exact contributions of each feature to the margin of boosted trees, looked up in tables.

The SHAP values that LightGBM's `pred_contrib` works out, at a fraction of its cost. What a
leaf gives to the features on its path depends only on which of them let the lead pass. So
`models.contributions.tables` works it out for every such pattern when a model is loaded, and
for a lead it is looked up. docs/decisions/0008 says why so.

References
----------
Lundberg, Erion, Lee, "Consistent Individualized Feature Attribution for Tree Ensembles",
2018, for what is computed; Owen, "Multilinear Extensions of Games", 1972, for the integral
that it is; Nadel, Wettenstein, "From Decision Trees to Boolean Logic: A Fast and Unified
SHAP Algorithm", 2025, for tables by pattern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bits, Floats, Indexes
from models.contributions.tables import Tables, make_tables, multiplied
from models.contributions.tree_blocks import read_trees
from models.contributions.value_classes import Classifier

MANY = 1_000  # leads: from so many on, going block by block costs less
LEADS_AT_ONCE = 16_384
FEW_AT_ONCE = 16  # leads whose numbers stay in the processor's cache


@dataclass(frozen=True, repr=False)
class TreeContributions:
    """What each feature adds to the margin of boosted trees.

    Attributes
    ----------
    expected : float
        The mean margin over the trees' training rows, in log-odds: where contributions
        start from.
    n_features : int
    """

    expected: float
    n_features: int
    _classifier: Classifier
    _tables: Tables

    def __repr__(self) -> str:
        """Name it without its tables."""
        return f"TreeContributions({self.n_features} features, expected {self.expected:.4f})"

    @classmethod
    def from_text(cls, text: str, n_features: int) -> "TreeContributions":
        """Make the tables of a model.

        Parameters
        ----------
        text : str
            As `lightgbm.Booster.model_to_string` writes it, and as
            `models.contributions.booster_text.check_booster_text` lets it pass.
        n_features : int
            How many columns the trees will be given.

        Returns
        -------
        TreeContributions

        Raises
        ------
        ValueError
            If branches of a tree meet again, or no training row came to a node.
        """
        trees = read_trees(text)
        tables = make_tables(trees, n_features)
        expected = float(sum(tree.expected for tree in trees))
        return cls(expected, n_features, Classifier.of(tables.classes), tables)

    def contributions(self, features: Floats) -> Floats:
        """Explain the margins of leads.

        A lead alone gets what it gets among a million, to the last bit: its numbers are
        added one after the other, in the order of the tables.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)
            Missing values, unseen and negative codes go where LightGBM sends them.

        Returns
        -------
        ndarray of float64, shape (n, n_features + 1)
            In log-odds. The last column is `expected`; with it a row adds up to the margin
            that the trees give.

        Examples
        --------
        One node: three of four training rows went to the right, and so does a missing value.

        >>> text = '''
        ... Tree=0
        ... num_cat=0
        ... split_feature=0
        ... decision_type=8
        ... threshold=0.5
        ... left_child=-1
        ... right_child=-2
        ... leaf_value=-1 3
        ... leaf_count=1 3
        ... internal_count=4
        ... '''
        >>> trees = TreeContributions.from_text(text, n_features=2)
        >>> trees.contributions(np.array([[0.0, 7.0], [np.nan, 7.0]]))
        array([[-3.,  0.,  2.],
               [ 1.,  0.,  2.]])
        """
        given = np.empty((len(features), self.n_features + 1))
        for start in range(0, len(features), LEADS_AT_ONCE):
            some = slice(start, start + LEADS_AT_ONCE)
            classes = self._classifier.classes(features[some])
            if len(classes) >= MANY:
                given[some] = self._block_by_block(classes)
            else:
                given[some] = self._few_by_few(classes)[:, : self.n_features + 1]
        given[:, -1] = self.expected
        return given

    def explained(self, features: Floats) -> tuple[Floats, Floats] | None:
        """Give the margins too, where they cost next to nothing beside the contributions.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)

        Returns
        -------
        margin : ndarray of float64, shape (n,)
            Values of leaves, added in the order of the trees: to the last bit what LightGBM gives.
        contributions : ndarray of float64, shape (n, n_features)
            Without `expected`.

        None if there are no leads or many, or leaves whose values are in no table.
        """
        if not self._has_leaves or not 0 < len(features) < MANY:
            return None
        given = self._few_by_few(self._classifier.classes(features))
        of_trees = given[:, self.n_features + 1 :] + self._tables.of_stumps
        return of_trees.cumsum(axis=1)[:, -1], given[:, : self.n_features]

    @cached_property
    def _has_leaves(self) -> bool:
        return self._tables.has_leaves

    @cached_property
    def _width(self) -> int:
        """Columns of what is looked up: of each feature, of none, and of each tree."""
        return self.n_features + 1 + len(self._tables.of_stumps)

    def _few_by_few(self, classes: Indexes) -> Floats:
        """Explain all blocks of a few leads at once, shape (n, `_width`)."""
        starts = range(0, len(classes), FEW_AT_ONCE)
        return np.concatenate([self._few(classes[i : i + FEW_AT_ONCE]) for i in starts])

    def _few(self, classes: Indexes) -> Floats:
        n, width = len(classes), self._width
        said = [
            bits.take(of_lead, axis=0)
            for bits, of_lead in zip(self._tables.bits, classes.T, strict=True)
        ]
        none = np.zeros((n, 1), dtype=np.uint16)  # what columns of no feature say
        bits = np.concatenate([*said, none], axis=1)
        given = np.zeros(n * width)
        for parts, places in zip(self._tables.lookups, self._places, strict=True):
            columns = multiplied([part.rows(bits) for part in parts])
            for place, numbers in zip(places, columns, strict=True):
                given += np.bincount(place[:n].ravel(), numbers.ravel(), n * width)
        return given.reshape(n, width)

    @cached_property
    def _places(self) -> list[list[Indexes]]:
        """Where `_few` adds each column of each part, for each of its leads."""
        first = np.arange(FEW_AT_ONCE)[:, None] * self._width
        return [[first + part.feature.ravel() for part in parts] for parts in self._tables.lookups]

    def _block_by_block(self, classes: Indexes) -> Floats:
        """Explain all leads at once, making and adding each one's numbers as `_few`."""
        classes_of = np.ascontiguousarray(classes.T)
        said = [
            (bits, of_lead)
            for table, of_lead in zip(self._tables.bits, classes_of, strict=True)
            for bits in np.ascontiguousarray(table.T)
        ]
        given = np.zeros((self.n_features + 1, len(classes)))
        for parts in self._tables.lookups:
            totals = [np.zeros_like(given) for _ in parts]
            for block in range(parts[0].n_blocks):
                rows = []
                for part in parts:
                    row = np.zeros(len(classes), dtype=np.uint16)
                    for entry in part.entries[: part.n_used[block], block].tolist():
                        bits, of_lead = said[entry]
                        row |= bits.take(of_lead)
                    rows.append(row)
                at, columns = _columns(rows, [part.table_of(block) for part in parts])
                for part, total, numbers in zip(parts, totals, columns, strict=True):
                    features = part.feature[block, : part.n_used[block]].tolist()
                    for feature, column in zip(features, numbers.T, strict=False):
                        total[feature] += column.take(at)
            for total in totals:
                given += total
        return given.T


def _columns(rows: Sequence[Bits], tables: Sequence[Floats]) -> tuple[Indexes, list[Floats]]:
    """Give the columns of the parts of one block, and the place of each lead in them.

    There is a place for each lead, or for what a lead can do in the block, if that is less.
    """
    sizes = list(map(len, tables))
    if math.prod(sizes) > len(rows[0]):
        at = np.arange(len(rows[0]))
        each: Sequence[NDArray[np.integer]] = rows
    else:
        at = np.ravel_multi_index(tuple(row.astype(np.intp) for row in rows), sizes)
        each = np.unravel_index(np.arange(math.prod(sizes)), sizes)
    return at, multiplied([t.take(row, axis=0) for t, row in zip(tables, each, strict=True)])
