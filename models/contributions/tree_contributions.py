"""Exact contributions of each feature to the margin of boosted trees, looked up in tables.

These are the SHAP values that LightGBM's `pred_contrib` computes, at a fraction of its cost. The
contribution of a leaf to the features on its path depends only on which of these tests the lead
passes. So `models.contributions.tables` computes it for every such pattern when a model is loaded,
and scoring only looks it up. docs/decisions/0008 gives the reasons.

References
----------
Lundberg, Erion, Lee, "Consistent Individualized Feature Attribution for Tree Ensembles",
2018, for the definition of the values; Owen, "Multilinear Extensions of Games", 1972, for their
form as an integral; Nadel, Wettenstein, "From Decision Trees to Boolean Logic: A Fast and Unified
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

MANY = 1_000  # from this number of leads on, going block by block costs less
LEADS_AT_ONCE = 16_384
FEW_AT_ONCE = 16  # leads whose numbers stay in the processor's cache


@dataclass(frozen=True, repr=False)
class TreeContributions:
    """Computes what each feature adds to the margin of boosted trees.

    Attributes
    ----------
    expected : float
        The mean margin over the trees' training rows, in log-odds. Contributions are relative
        to it.
    n_features : int
    """

    expected: float
    n_features: int
    _classifier: Classifier
    _tables: Tables

    def __repr__(self) -> str:
        """Return a short name without the tables."""
        return f"TreeContributions({self.n_features} features, expected {self.expected:.4f})"

    @classmethod
    def from_text(cls, text: str, n_features: int) -> "TreeContributions":
        """Build the tables of a model.

        Parameters
        ----------
        text : str
            The text that `lightgbm.Booster.model_to_string` writes. It must have passed
            `models.contributions.booster_text.check_booster_text`.
        n_features : int
            The number of columns that the trees will get.

        Returns
        -------
        TreeContributions

        Raises
        ------
        ValueError
            If a node has several parents, or no training row reached a node.
        """
        trees = read_trees(text)
        tables = make_tables(trees, n_features)
        expected = float(sum(tree.expected for tree in trees))
        return cls(expected, n_features, Classifier.of(tables.classes), tables)

    def contributions(self, features: Floats) -> Floats:
        """Compute the contributions of each feature to the margins of leads.

        A single lead gets the same numbers as in a batch of a million, bit for bit: they are
        added one after the other, in the order of the tables.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)
            Missing values, unseen codes and negative codes follow the path that LightGBM takes.

        Returns
        -------
        ndarray of float64, shape (n, n_features + 1)
            Log-odds. The last column is `expected`; with it a row adds up to the margin of the
            trees.

        Examples
        --------
        One node: three of four training rows go to the right, and so does a missing value.

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
        contributions = np.empty((len(features), self.n_features + 1))
        for start in range(0, len(features), LEADS_AT_ONCE):
            chunk = slice(start, start + LEADS_AT_ONCE)
            classes = self._classifier.classes(features[chunk])
            if len(classes) >= MANY:
                contributions[chunk] = self._block_by_block(classes)
            else:
                contributions[chunk] = self._few_by_few(classes)[:, : self.n_features + 1]
        contributions[:, -1] = self.expected
        return contributions

    def explained(self, features: Floats) -> tuple[Floats, Floats] | None:
        """Compute margins and contributions together, if the margins cost almost nothing extra.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)

        Returns
        -------
        margin : ndarray of float64, shape (n,)
            Values of leaves, added in the order of the trees; equal to LightGBM's bit for bit.
        contributions : ndarray of float64, shape (n, n_features)
            Without `expected`.

        None if there are no leads, or many, or if the value of a leaf is in no table.
        """
        if not self._has_leaves or not 0 < len(features) < MANY:
            return None
        columns = self._few_by_few(self._classifier.classes(features))
        of_trees = columns[:, self.n_features + 1 :] + self._tables.of_stumps
        return of_trees.cumsum(axis=1)[:, -1], columns[:, : self.n_features]

    @cached_property
    def _has_leaves(self) -> bool:
        return self._tables.has_leaves

    @cached_property
    def _width(self) -> int:
        """The number of columns: one for each feature, one for none, and one for each tree."""
        return self.n_features + 1 + len(self._tables.of_stumps)

    def _few_by_few(self, classes: Indexes) -> Floats:
        """Explain all blocks of a few leads at once, shape (n, `_width`)."""
        starts = range(0, len(classes), FEW_AT_ONCE)
        return np.concatenate([self._few(classes[i : i + FEW_AT_ONCE]) for i in starts])

    def _few(self, classes: Indexes) -> Floats:
        n, width = len(classes), self._width
        set_bits = [
            of_class[place]
            for of_lead in classes.tolist()
            for of_class, place in zip(self._bits_of_classes, [*of_lead, 0], strict=True)
        ]
        # Joining bytes takes a tenth of the time of NumPy's calls for each feature.
        bits = np.frombuffer(b"".join(set_bits), dtype=np.uint16).reshape(n, -1)
        sums = np.zeros(n * width)
        for parts, places in zip(self._tables.lookups, self._places, strict=True):
            columns = multiplied([part.rows(bits) for part in parts])
            for place, numbers in zip(places, columns, strict=True):
                sums += np.bincount(place[:n].ravel(), numbers.ravel(), n * width)
        return sums.reshape(n, width)

    @cached_property
    def _bits_of_classes(self) -> list[list[bytes]]:
        """For each feature, the bits that each of its classes sets; then those of no feature."""
        of_features = [[row.tobytes() for row in bits] for bits in self._tables.bits]
        return [*of_features, [np.uint16(0).tobytes()]]

    @cached_property
    def _places(self) -> list[list[Indexes]]:
        """The position at which `_few` adds each column of each part, for each of its leads."""
        first = np.arange(FEW_AT_ONCE)[:, None] * self._width
        return [[first + part.feature.ravel() for part in parts] for parts in self._tables.lookups]

    def _block_by_block(self, classes: Indexes) -> Floats:
        """Explain all leads at once; each lead's numbers are added in the order of `_few`."""
        classes_of = np.ascontiguousarray(classes.T)
        entries = [
            (bits, of_lead)
            for table, of_lead in zip(self._tables.bits, classes_of, strict=True)
            for bits in np.ascontiguousarray(table.T)
        ]
        sums = np.zeros((self.n_features + 1, len(classes)))
        for parts in self._tables.lookups:
            totals = [np.zeros_like(sums) for _ in parts]
            for block in range(parts[0].n_blocks):
                rows = []
                for part in parts:
                    row = np.zeros(len(classes), dtype=np.uint16)
                    for entry in part.entries[: part.n_used[block], block].tolist():
                        bits, of_lead = entries[entry]
                        row |= bits.take(of_lead)
                    rows.append(row)
                at, columns = _columns(rows, [part.table_of(block) for part in parts])
                for part, total, numbers in zip(parts, totals, columns, strict=True):
                    features = part.feature[block, : part.n_used[block]].tolist()
                    for feature, column in zip(features, numbers.T, strict=False):
                        total[feature] += column.take(at)
            for total in totals:
                sums += total
        return sums.T


def _columns(rows: Sequence[Bits], tables: Sequence[Floats]) -> tuple[Indexes, list[Floats]]:
    """Compute the columns of the parts of one block, and the position of each lead in them.

    There is one position for each lead, or for each pattern of the block if these are fewer.
    """
    sizes = list(map(len, tables))
    if math.prod(sizes) > len(rows[0]):
        at = np.arange(len(rows[0]))
        row_of: Sequence[NDArray[np.integer]] = rows
    else:
        at = np.ravel_multi_index(tuple(row.astype(np.intp) for row in rows), sizes)
        row_of = np.unravel_index(np.arange(math.prod(sizes)), sizes)
    return at, multiplied([t.take(row, axis=0) for t, row in zip(tables, row_of, strict=True)])
