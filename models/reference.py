"""Reference: what a model's training leads looked like, for comparisons with later leads.

The values of each feature are counted in bins, month by month. Counts of months can be added, so
one reference describes any part of the training time, and shows how much months differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from crm.arrays import Floats, Ints
from features.feature import Feature

MISSING_BIN: Final = 0
UNSEEN_BIN: Final = 1
FIRST_BIN: Final = 2  # of the values
MOST_BINS: Final = 10  # of numbers
MOST_CODES: Final = 20  # values of a category with a bin of their own
MOST_MONTHS: Final = 24
QUANTILES: Final = 20  # steps of the distributions of delays


@dataclass(frozen=True)
class FeatureBins:
    """The bins of one feature.

    The first bin contains missing values, the second one values that training called rare or had
    not seen, and the others the values: of a category one bin for each frequent value and one for
    all others, of a number intervals.

    Attributes
    ----------
    feature : str
        The name of the feature.
    edges : list of float
        The upper ends of all intervals but the last, ascending; empty for a category.
    codes : list of float
        The values of a category with a bin of their own, ascending; empty for a number.
    missing, unseen : float or None
        The values in the matrix that mean "missing" and "unseen"; None if there are none. Values
        that are nan are missing too.
    """

    feature: str
    edges: list[float]
    codes: list[float]
    missing: float | None = None
    unseen: float | None = None

    @classmethod
    def fit(
        cls, feature: Feature, values: Floats, missing: float = np.nan, unseen: float = np.nan
    ) -> "FeatureBins":
        """Choose the bins of a feature by its values in training, shape (n,)."""
        odd = [float(value) for value in (missing, unseen) if not np.isnan(value)]
        usual = values[~(np.isnan(values) | np.isin(values, odd))]
        edges: list[float] = []
        codes: list[float] = []
        if feature.unit == "category":
            found, counts = np.unique(usual, return_counts=True)
            codes = np.sort(found[np.argsort(-counts, kind="stable")[:MOST_CODES]]).tolist()
        elif len(usual):
            steps = np.arange(1, MOST_BINS) / MOST_BINS
            edges = np.unique(np.quantile(usual, steps, method="inverted_cdf")).tolist()
        known = [None if np.isnan(value) else float(value) for value in (missing, unseen)]
        return cls(feature.name, edges, codes, *known)

    @property
    def n_bins(self) -> int:
        """The number of bins."""
        return FIRST_BIN + len(self.codes) + 1 if self.codes else FIRST_BIN + len(self.edges) + 1

    def bins_of(self, values: Floats) -> Ints:
        """Return the bin of each value, shape (n,).

        Examples
        --------
        >>> bins = FeatureBins("size", [10.0, 100.0], [])
        >>> bins.bins_of(np.array([np.nan, 5.0, 10.0, 11.0, 1_000.0])).tolist()
        [0, 2, 2, 3, 4]
        >>> bins = FeatureBins("source", [], [2.0, 4.0], missing=0.0, unseen=1.0)
        >>> bins.bins_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0])).tolist()
        [0, 1, 2, 4, 3]
        """
        if self.codes:
            codes = np.array(self.codes)
            place = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
            bins = FIRST_BIN + np.where(codes[place] == values, place, len(codes))
        else:
            bins = FIRST_BIN + np.searchsorted(np.array(self.edges), values, side="left")
        bins = np.where(np.isnan(values), MISSING_BIN, bins)
        if self.unseen is not None:
            bins = np.where(values == self.unseen, UNSEEN_BIN, bins)
        if self.missing is not None:
            bins = np.where(values == self.missing, MISSING_BIN, bins)
        return np.asarray(bins, dtype=np.int64)

    def count(self, values: Floats, weight: Floats | None = None) -> Floats:
        """Count values by bin, shape (n_bins,)."""
        return np.bincount(self.bins_of(values), weight, self.n_bins).astype(np.float64)


@dataclass(frozen=True)
class FeatureCounts:
    """The moments of each month by bin, for one feature: lists of length `bins.n_bins`."""

    bins: FeatureBins
    by_month: list[list[int]]

    @property
    def counts(self) -> Floats:
        """The counts as an array, shape (n_months, n_bins)."""
        return np.array(self.by_month, dtype=np.float64).reshape(-1, self.bins.n_bins)


@dataclass(frozen=True)
class HeldOutMonth:
    """The training moments of a month, scored out of fold.

    Each moment is scored by a model like the final one that had not seen its lead.

    Attributes
    ----------
    month : str
    n : int
        The number of moments.
    expected : float
        The sum of their probabilities.
    won : int
    grades : dict of str to int
        The moments by grade.
    """

    month: str
    n: int
    expected: float
    won: int
    grades: dict[str, int]


@dataclass(frozen=True)
class Reference:
    """What the moments that a model learned from looked like.

    Attributes
    ----------
    months : list of str
        The months, such as "2025-03", ascending; one empty text without times. The first one
        contains all earlier months too if there are more than `MOST_MONTHS`.
    features : list of FeatureCounts
        One for each feature of the model.
    points : dict of str to float
        The mean points of each signal.
    held_out : list of HeldOutMonth
        One for each month; empty if no models were fitted without a part of the leads.
    win_delays : dict of str to list of float
        The days from the moment to the win, at `QUANTILES` + 1 equal steps from the fastest to the
        slowest, by the key of the moment (`delay_key`), by its age alone, and of all moments under
        "". Groups with few wins are not in it.
    loss_shares : dict of str to list of float
        The shares of moments that were closed without a win within the horizon's parts: `QUANTILES`
        + 1 equal steps from 0 to the whole, by the age of the lead. Ages with few losses are not in
        it.
    """

    months: list[str]
    features: list[FeatureCounts]
    points: dict[str, float]
    held_out: list[HeldOutMonth] = field(default_factory=list)
    win_delays: dict[str, list[float]] = field(default_factory=dict)
    loss_shares: dict[str, list[float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Reference: {len(self.features)} features in {len(self.months)} months>"

    def to_json(self) -> dict[str, Any]:
        """Return the reference as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "Reference | None":
        """Build a reference from `to_json`; None for the empty one of an older model.

        Raises
        ------
        ValueError
            If the data does not describe a reference.
        """
        return msgspec.convert(state, cls) if state else None

    def wins_by(self, days: float, keys: Sequence[str]) -> Floats:
        """Return the share of wins that come within some days, for each moment.

        Parameters
        ----------
        days : float
        keys : sequence of str, length n
            The `delay_key` of each moment.

        Returns
        -------
        ndarray of float64, shape (n,)
            0 … 1; nan if no delays are known.

        Examples
        --------
        >>> delays = {"": [0.0, 100.0], "7": [0.0, 50.0], "7 A": [0.0, 40.0]}
        >>> keys = [delay_key(7, "A"), delay_key(7, "B"), delay_key(0, "A")]
        >>> Reference([""], [], {}, [], delays).wins_by(20.0, keys).tolist()
        [0.5, 0.4, 0.2]
        """

        def share(key: str) -> float:
            age = key.partition(" ")[0]
            delays = next(
                (self.win_delays[k] for k in (key, age, "") if k in self.win_delays), None
            )
            if delays is None:
                return np.nan
            return float(np.interp(days, delays, np.linspace(0, 1, len(delays))))

        shares = {key: share(key) for key in set(keys)}
        return np.array([shares[key] for key in keys], dtype=np.float64)


def delay_key(age_days: float, grade: str) -> str:
    """Return the key of a moment in the delays: the age of the lead, and its grade.

    Examples
    --------
    >>> delay_key(7.0, "A")
    '7 A'
    """
    return f"{age_days:g} {grade}"
