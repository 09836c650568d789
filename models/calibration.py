"""Calibration: from an estimator's margin to a probability that can be taken literally."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from crm.arrays import Floats, Labels

SLOPE_RANGE = (0.2, 2.0)


@dataclass(frozen=True)
class Calibration:
    """Affine in log-odds, so that contributions to the margin still add up.

    Attributes
    ----------
    slope : float
        Below 1 where the estimator was too sure of itself.
    intercept : float
        In log-odds.
    """

    slope: float
    intercept: float

    def margin(self, raw: Floats) -> Floats:
        """Calibrated log-odds, shape (n,)."""
        return self.slope * raw + self.intercept

    def probability(self, raw: Floats) -> Floats:
        """Probabilities in (0, 1), shape (n,)."""
        return np.asarray(expit(self.margin(raw)))


def fit_calibration(raw: Floats, label: Labels, weight: Floats) -> Calibration:
    """Fit Platt's map to margins that were made out of fold.

    The slope is held in `SLOPE_RANGE`: fitted freely on few leads it can come out
    negative and turn the whole ranking round.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Log-odds of leads that the estimator had not seen.
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)

    Returns
    -------
    Calibration

    References
    ----------
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999; the targets are
    smoothed as proposed there.

    Examples
    --------
    >>> raw = np.tile([-4.0, 4.0], 50)
    >>> label = np.tile(np.array([0, 1, 0, 0, 1, 1], dtype=np.int8), 17)[:100]
    >>> calibration = fit_calibration(raw, label, np.ones(100))
    >>> 0.2 <= calibration.slope < 0.3
    True
    """
    won = float(weight @ label)
    lost = float(weight.sum()) - won
    target = np.where(label == 1, (won + 1) / (won + 2), 1 / (lost + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        margin = parameters[0] * raw + parameters[1]
        value = -(weight @ (target * log_expit(margin) + (1 - target) * log_expit(-margin)))
        error = weight * (expit(margin) - target)
        return float(value), np.array([error @ raw, error.sum()])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[SLOPE_RANGE, (-30, 30)]
    )
    return Calibration(slope=float(found.x[0]), intercept=float(found.x[1]))
