"""Reasons: what moved a lead's score, in points that add up, and in words.

The calibrated log-odds are a sum: a constant and what each feature contributes. On the
sales scale that sum is a sum of points, so a reason is no explanation after the fact but
a part of the score itself. Features of one signal, such as the windows of one kind of
activity, move together and make one reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crm.arrays import Floats
from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate, Blend
from models.scale import POINTS, Scale

LEAST_POINTS = 0.5  # what rounds to nothing is no reason to show


class Reason(msgspec.Struct, frozen=True):
    """One signal's part of a score.

    Attributes
    ----------
    signal : str
        Which one: a column, a kind of activity, the stage.
    points : float
        What it adds to the score, or takes from it if negative.
    text : str
        What was seen, in words.

    Examples
    --------
    >>> str(Reason("activity[demo]", 12.3, 'last "demo" 2 days ago'))
    'last "demo" 2 days ago (+12)'
    """

    signal: str
    points: float
    text: str

    def __str__(self) -> str:
        """Say it with its points."""
        return f"{self.text} ({self.points:+.0f})"


@dataclass(frozen=True)
class Parts:
    """The scores of some leads, taken apart.

    Attributes
    ----------
    start : float
        Where the average lead starts: 50 and the constant.
    of_features : ndarray of float64, shape (n, n_features)
        Points of each feature.
    of_signals : ndarray of float64, shape (n, n_signals)
        Points of each signal; `start` and a row of it add up to the unrounded score.
    """

    start: float
    of_features: Floats
    of_signals: Floats


class Reasoner:
    """Takes scores apart and puts the parts into words.

    Parameters
    ----------
    features : sequence of Feature
        The columns of the matrix.
    estimator : BaseRate or Blend
    calibration : Calibration
    scale : Scale

    Attributes
    ----------
    start : float
        Where the average lead starts: 50 and the constant.
    signals : tuple of str
        Names, in the order of their first features.
    members : list of list of int
        Which columns of the matrix make each signal.
    features : tuple of Feature
        As given.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        estimator: BaseRate | Blend,
        calibration: Calibration,
        scale: Scale,
    ) -> None:
        self.features = tuple(features)
        self._estimator = estimator
        self._slope = POINTS * calibration.slope
        centre = calibration.margin(np.array([estimator.constant]))
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
        """Take the scores of a feature matrix, shape (n, k), apart."""
        return self._parts(self._estimator.contributions(features))

    def _parts(self, contributions: Floats) -> Parts:
        of_features = self._slope * np.ascontiguousarray(contributions)
        if not self.signals or len(of_features) == 0:
            return Parts(self.start, of_features, np.zeros((len(of_features), len(self.signals))))
        # A sum along rows in C order: each row by itself, so that company changes no bit.
        in_order = np.ascontiguousarray(of_features[:, self._order])
        return Parts(self.start, of_features, np.add.reduceat(in_order, self._first, axis=1))

    def reasons(
        self, features: Floats, at_most: int, contributions: Floats | None = None
    ) -> list[list[Reason]]:
        """Give the strongest reasons of each lead.

        Parameters
        ----------
        features : ndarray of float64, shape (n, k)
        at_most : int
            Of each lead; what is below half a point is left out, unless all are asked for
            with the number of signals.
        contributions : ndarray of float64, shape (n, k), optional
            The estimator's, if they are known already.

        Returns
        -------
        list of list of Reason
            The strongest first, whichever way they point.
        """
        if contributions is None:
            contributions = self._estimator.contributions(features)
        parts = self._parts(contributions)
        at_most = min(at_most, len(self.signals))
        strongest = np.argsort(-np.abs(parts.of_signals), axis=1, kind="stable")[:, :at_most]
        least = 0.0 if at_most == len(self.signals) else LEAST_POINTS
        rows = zip(strongest, parts.of_signals, parts.of_features, features, strict=True)
        return [
            [
                self._reason(signal, points, of_features, values)
                for signal, points in zip(chosen.tolist(), of_signals[chosen].tolist(), strict=True)
                if abs(points) >= least
            ]
            for chosen, of_signals, of_features, values in rows
        ]

    def _reason(self, signal: int, points: float, of_features: Floats, values: Floats) -> Reason:
        """Let the feature speak that moved its signal most in the signal's own direction."""
        direction = -1.0 if points < 0 else 1.0
        mover, *others = self.members[signal]
        if others:
            mover = max(self.members[signal], key=lambda j: direction * float(of_features[j]))
        return Reason(self.signals[signal], points, self.features[mover].say(float(values[mover])))
