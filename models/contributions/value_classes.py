"""The values of features in classes that all nodes of the trees treat alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Indexes
from models.contributions.tree_blocks import ZERO, goes_left


@dataclass(frozen=True)
class FeatureClasses:
    """The values of one feature, in classes that all nodes treat alike.

    Class i < n_cuts holds what is at most cuts[i] and above the cut before, class n_cuts
    what is above all cuts. Two more hold zero and missing values.

    Attributes
    ----------
    cuts : ndarray of float64, shape (n_cuts,)
    is_left : ndarray of bool, shape (n_nodes, n_cuts + 3)
        Where each node that asks for this feature sends the classes.
    """

    cuts: Floats
    is_left: Bools

    @classmethod
    def of_nodes(
        cls, decisions: Sequence[int], thresholds: Sequence[float | frozenset[int]]
    ) -> "FeatureClasses":
        """Find the classes of a feature from all nodes that ask for it.

        >>> FeatureClasses.of_nodes([1], [frozenset({0, 3})]).cuts.tolist()
        [-1.0, 0.9999999999999999, 2.9999999999999996, 3.9999999999999996]
        """
        # LightGBM cuts fractions off: code 3 is from 3 to below 4, code 0 from above -1.
        codes = {code for each in thresholds if isinstance(each, frozenset) for code in each}
        starts = codes | {code + 1 for code in codes}
        edges = {float(np.nextafter(code, -np.inf)) if code else -1.0 for code in starts}
        numbers = {each for each in thresholds if isinstance(each, float) and each == each}
        cuts = np.array(sorted(edges | numbers))
        # One value speaks for each class. What counts as zero has a class of its own: below a
        # cut that counts as zero there are negative values only.
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
        The features that some node asks for.
    cuts : ndarray of complex128, shape (n_cuts,)
        The cuts of all of them, one after the other: complex numbers are ordered by their
        real part first, which is the place of the feature.
    first, n_cuts : ndarray of intp, shape (n_used,)
        Where in `cuts` those of a feature stand.
    """

    features: Indexes
    cuts: NDArray[np.complex128]
    first: Indexes
    n_cuts: Indexes

    @classmethod
    def of(cls, classes_of: Mapping[int, FeatureClasses]) -> "Classifier":
        """Take the cuts of features together, by feature."""
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
        found = np.searchsorted(self.cuts, placed(of_feature, np.where(is_missing, 0.0, values)))
        found = np.where(np.abs(values) <= ZERO, self.n_cuts + 1, found - self.first)
        return np.where(is_missing, self.n_cuts + 2, found)


def placed(place: Indexes | Floats, value: Floats) -> NDArray[np.complex128]:
    """Put complex numbers together, ordered by place first; arithmetic makes NaN of infinities."""
    numbers = np.empty(value.shape, dtype=np.complex128)
    numbers.real = place
    numbers.imag = value
    return numbers
