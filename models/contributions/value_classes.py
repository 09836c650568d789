"""Groups the values of features into classes that every node of the trees treats alike."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Indexes
from models.contributions.tree_blocks import ZERO, goes_left


@dataclass(frozen=True)
class FeatureClasses:
    """The classes of one feature's values that every node treats alike.

    Class i < n_cuts contains the values that are at most cuts[i] and above the cut before it.
    Class n_cuts contains the values above all cuts. Two more classes contain zero and missing
    values.

    Attributes
    ----------
    cuts : ndarray of float64, shape (n_cuts,)
    is_left : ndarray of bool, shape (n_nodes, n_cuts + 3)
        Whether each node that tests this feature sends each class to the left.
    """

    cuts: Floats
    is_left: Bools

    @classmethod
    def of_nodes(
        cls, decisions: Sequence[int], thresholds: Sequence[float | frozenset[int]]
    ) -> "FeatureClasses":
        """Build the classes of a feature from all nodes that test it.

        >>> FeatureClasses.of_nodes([1], [frozenset({0, 3})]).cuts.tolist()
        [-1.0, 0.9999999999999999, 2.9999999999999996, 3.9999999999999996]
        """
        # LightGBM truncates values: code 3 means 3 ≤ value < 4, and code 0 means -1 < value < 1.
        codes = {
            code
            for threshold in thresholds
            if isinstance(threshold, frozenset)
            for code in threshold
        }
        starts = codes | {code + 1 for code in codes}
        edges = {float(np.nextafter(code, -np.inf)) if code else -1.0 for code in starts}
        numbers = {t for t in thresholds if isinstance(t, float) and not math.isnan(t)}
        cuts = np.array(sorted(edges | numbers))
        # One value represents each class. Values that count as zero have a class of their own, so
        # below a cut that counts as zero there are only negative values.
        below = np.where(np.abs(cuts) <= ZERO, np.nextafter(-ZERO, -np.inf), cuts)
        values = np.concatenate([below, [np.inf, 0.0, np.nan]])
        classes_of = defaultdict(list)
        for i, value in enumerate(values.tolist()):
            if -1 < value < 2**31:
                classes_of[int(value)].append(i)
        is_left = np.zeros((len(decisions), len(values)), dtype=np.bool_)
        numeric = defaultdict(list)
        for node, threshold in enumerate(thresholds):
            if isinstance(threshold, float):
                numeric[decisions[node]].append(node)
            else:
                is_left[node, [i for code in threshold for i in classes_of[code]]] = True
        for decision, nodes in numeric.items():
            limits = np.array([[thresholds[node]] for node in nodes])
            is_left[nodes] = goes_left(decision, limits, values)
        return cls(cuts, is_left)


@dataclass(frozen=True)
class Classifier:
    """Finds the class of every value at once.

    Attributes
    ----------
    features : ndarray of intp, shape (n_used,)
        The features that at least one node tests.
    cuts : ndarray of complex128, shape (n_cuts,)
        The cuts of all these features in one sorted array: complex numbers are ordered by their
        real part first, which is the position of the feature.
    first, n_cuts : ndarray of intp, shape (n_used,)
        The first position and the number of each feature's cuts in `cuts`.
    """

    features: Indexes
    cuts: NDArray[np.complex128]
    first: Indexes
    n_cuts: Indexes

    @classmethod
    def of(cls, classes_of: Mapping[int, FeatureClasses]) -> "Classifier":
        """Build the classifier from the classes of each feature."""
        cuts = [classes.cuts for classes in classes_of.values()]
        n_cuts = np.array(list(map(len, cuts)), dtype=np.intp)
        places = np.repeat(np.arange(len(cuts)), n_cuts)
        return cls(
            features=np.array(list(classes_of), dtype=np.intp),
            cuts=placed(places, np.concatenate([*cuts, []])),
            first=np.cumsum(n_cuts) - n_cuts,
            n_cuts=n_cuts,
        )

    def classes(self, features: Floats) -> Indexes:
        """Find the class of each value, shape (n, n_used), in a matrix, shape (n, n_features)."""
        values = features[:, self.features]
        is_missing = np.isnan(values)
        of_feature = np.arange(len(self.features))
        place = np.searchsorted(self.cuts, placed(of_feature, np.where(is_missing, 0.0, values)))
        value_class = np.where(np.abs(values) <= ZERO, self.n_cuts + 1, place - self.first)
        return np.where(is_missing, self.n_cuts + 2, value_class)


def placed(place: Indexes | Floats, value: Floats) -> NDArray[np.complex128]:
    """Build complex numbers that sort by place, then by value; arithmetic would turn inf to nan."""
    numbers = np.empty(value.shape, dtype=np.complex128)
    numbers.real = place
    numbers.imag = value
    return numbers
