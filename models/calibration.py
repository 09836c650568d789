"""Calibration: turns an estimator's log-odds into probabilities that can be taken literally."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from crm.arrays import Floats, Labels

SLOPE_RANGE = (0.2, 1.5)
PRIOR_ROWS = 10.0  # rows that support slope 1 and intercept 0
BOLD_SD = 0.1  # the standard deviation of slopes above 1, before the rows are seen
INTERCEPT_RANGE = (-30.0, 30.0)


@dataclass(frozen=True)
class Calibration:
    """A linear function of log-odds, so that contributions to the log-odds still add up.

    Attributes
    ----------
    slope : float
        It is below 1 if the estimator was too confident, and above 1 if it was too cautious.
    intercept : float
        In log-odds.
    """

    slope: float
    intercept: float

    def log_odds_of(self, raw: Floats) -> Floats:
        """Compute calibrated log-odds, shape (n,), from an estimator's log-odds, shape (n,)."""
        return self.slope * raw + self.intercept

    def probability(self, raw: Floats) -> Floats:
        """Compute probabilities in (0, 1), shape (n,), from an estimator's log-odds, shape (n,)."""
        return np.asarray(expit(self.log_odds_of(raw)))


def fit_calibration(raw: Floats, label: Labels, weight: Floats) -> Calibration:
    """Fit Platt's calibration to out-of-fold log-odds.

    The slope stays within `SLOPE_RANGE`: with few leads a free slope can come out negative
    and reverse the whole ranking. A slope above 1 makes a regularised estimator bolder, and with
    few leads it can be chance. So it is the most likely one after a normal prior with the
    standard deviation `BOLD_SD`, which leaves little of it with few leads.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Log-odds from an estimator that had not seen the lead.
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
    won = float((weight * label).sum())
    lost = float(weight.sum()) - won
    target = np.where(label == 1, (won + 1) / (won + 2), 1 / (lost + 2))
    share = PRIOR_ROWS / float(weight.sum())
    target = (target + share * expit(raw)) / (1 + share)
    weight = weight * (1 + share)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        margin = parameters[0] * raw + parameters[1]
        value = -(weight * (target * log_expit(margin) + (1 - target) * log_expit(-margin))).sum()
        error = weight * (expit(margin) - target)
        bold = max(parameters[0] - 1, 0.0) / BOLD_SD
        gradient = np.array([(error * raw).sum() + bold / BOLD_SD, error.sum()])
        return float(value) + bold**2 / 2, gradient

    fitted = minimize(
        loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[SLOPE_RANGE, INTERCEPT_RANGE],
    )
    return Calibration(slope=float(fitted.x[0]), intercept=float(fitted.x[1]))
