"""Reasons: the signals that moved a lead's score, in points that add up, and in words.

The calibrated log-odds are a sum: a constant, and the contribution of each feature. On the
scale of the scores this is a sum of points, so a reason is a part of the score itself and
not an explanation after the fact. The features of one signal, such as the windows of one
type of activity, move together and make one reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np

from crm.arrays import Floats
from features.feature import Feature
from features.looked_up import ValuesOf
from models.calibration import Calibration
from models.scale import POINTS, Scale

LEAST_POINTS = 0.5  # fewer points round to 0 and are not shown


class Reason(msgspec.Struct, frozen=True):
    """One signal's part of a score.

    Attributes
    ----------
    signal : str
        The name of the signal: a column, a pair of columns, a type of activity, the stage.
    points : float
        The points that the signal adds to the score; negative if it lowers the score.
    text : str
        The value of the signal in words.

    Examples
    --------
    >>> str(Reason("activity[demo]", 12.3, 'last "demo" 2 days ago'))
    'last "demo" 2 days ago (+12)'
    """

    signal: str
    points: float
    text: str

    def __str__(self) -> str:
        """Return the text with the points."""
        return f"{self.text} ({self.points:+.0f})"


@dataclass(frozen=True)
class Parts:
    """The points that make up the scores of n leads.

    Attributes
    ----------
    start : float
        The score of a lead whose every feature is average.
    of_features : ndarray of float64, shape (n, n_features)
        The points of each feature.
    of_signals : ndarray of float64, shape (n, n_signals)
        The points of each signal; `start` and a row add up to the unrounded score.
    """

    start: float
    of_features: Floats
    of_signals: Floats


class Explainable(Protocol):
    """An estimator whose log-odds are a constant and the contributions of its features."""

    @property
    def constant(self) -> float:
        """The log-odds of a lead whose every contribution is 0."""

    def contributions(self, features: Floats) -> Floats:
        """Compute what each feature adds to `constant`, in log-odds, shape (n, k)."""


class Reasoner:
    """Splits scores into the points of their signals, and describes them in words.

    Parameters
    ----------
    features : sequence of Feature
        The columns of the matrix.
    estimator : Explainable
        A `Blend` or a `BaseRate`.
    calibration : Calibration
    scale : Scale

    Attributes
    ----------
    start : float
        The score of a lead whose every feature is average.
    signals : tuple of str
        The names of the signals, in the order of their first features.
    members : list of list of int
        The columns of the matrix that make each signal.
    features : tuple of Feature
        The columns of the matrix.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        estimator: Explainable,
        calibration: Calibration,
        scale: Scale,
    ) -> None:
        self.features = tuple(features)
        self._estimator = estimator
        self._slope = POINTS * calibration.slope
        centre = calibration.log_odds_of(np.array([estimator.constant]))
        self.start = float(scale.unrounded(centre)[0])
        names = [feature.signal_name for feature in features]
        self.signals: tuple[str, ...] = tuple(dict.fromkeys(names))
        place = {signal: i for i, signal in enumerate(self.signals)}
        of_signal = np.array([place[name] for name in names], dtype=np.int64)
        self._order = np.argsort(of_signal, kind="stable")
        self._first = np.searchsorted(of_signal[self._order], np.arange(len(self.signals)))
        bounds = [*self._first.tolist(), len(names)]
        self.members = [
            self._order[begin:end].tolist() for begin, end in zip(bounds, bounds[1:], strict=False)
        ]

    def parts(self, features: Floats) -> Parts:
        """Split the scores of a feature matrix, shape (n, k), into points."""
        return self.parts_of(self._estimator.contributions(features))

    def parts_of(self, contributions: Floats) -> Parts:
        """Turn the estimator's contributions, shape (n, k), into points."""
        of_features = self._slope * np.ascontiguousarray(contributions)
        if not self.signals or len(of_features) == 0:
            return Parts(self.start, of_features, np.zeros((len(of_features), len(self.signals))))
        # In C order each row is summed by itself, so that other leads change no bit of it.
        in_order = np.ascontiguousarray(of_features[:, self._order])
        return Parts(self.start, of_features, np.add.reduceat(in_order, self._first, axis=1))

    def reasons(
        self,
        features: Floats,
        at_most: int,
        parts: Parts | None = None,
        values_of: ValuesOf | None = None,
    ) -> list[list[Reason]]:
        """Return the strongest reasons of each lead.

        Parameters
        ----------
        features : ndarray of float64, shape (n, k)
        at_most : int
            The largest number of reasons of a lead. Reasons below `LEAST_POINTS` are left
            out, unless `at_most` is at least the number of signals.
        parts : Parts, optional
            The points of these leads, if they are already computed.
        values_of : callable, optional
            Of `FeaturePipeline.values_of` for these leads. Without it, reasons do not name the
            values by which features were looked up.

        Returns
        -------
        list of list of Reason
            The most points first, whether they raise or lower the score.
        """
        if parts is None:
            parts = self.parts(features)
        at_most = min(at_most, len(self.signals))
        strongest = np.argsort(-np.abs(parts.of_signals), axis=1, kind="stable")[:, :at_most]
        least = 0.0 if at_most == len(self.signals) else LEAST_POINTS
        rows = zip(strongest, parts.of_signals, parts.of_features, features, strict=True)
        return [
            [
                self._reason(row, signal, points, of_features, values, values_of)
                for signal, points in zip(chosen.tolist(), of_signals[chosen].tolist(), strict=True)
                if abs(points) >= least
            ]
            for row, (chosen, of_signals, of_features, values) in enumerate(rows)
        ]

    def _reason(
        self,
        row: int,
        signal: int,
        points: float,
        of_features: Floats,
        values: Floats,
        values_of: ValuesOf | None,
    ) -> Reason:
        """Describe a signal by the feature that moved it most in the signal's own direction."""
        direction = -1.0 if points < 0 else 1.0
        mover, *others = self.members[signal]
        if others:
            mover = max(self.members[signal], key=lambda j: direction * float(of_features[j]))
        feature = self.features[mover]
        named = values_of(row, mover) if values_of is not None and feature.unseen else None
        return Reason(self.signals[signal], points, feature.say(float(values[mover]), named))
