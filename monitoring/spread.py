"""Estimates how much months differ by more than chance."""

import numpy as np

from crm.arrays import Floats

TINY = 1e-12  # instead of a precision of 0


def spread(offset: Floats, precision: Floats) -> Floats:
    """Estimate the standard deviation between months, beyond that of chance.

    Parameters
    ----------
    offset : ndarray of float64, shape (n_months,) or (n_months, k)
        A figure of each month, such as the logarithm of an odds; k figures at once.
    precision : ndarray of float64, same shape
        One over the variance by chance.

    Returns
    -------
    ndarray of float64, shape () or (k,)
        By the method of moments; 0 if the months differ no more than by chance.

    References
    ----------
    DerSimonian & Laird, "Meta-Analysis in Clinical Trials", 1986.

    Examples
    --------
    >>> float(spread(np.array([-1.0, 1.0, -1.0, 1.0]), np.full(4, 1e6)).round(2))
    1.15
    >>> float(spread(np.array([-0.1, 0.1]), np.full(2, 4.0)))
    0.0
    """
    total = np.maximum(precision.sum(axis=0), TINY)
    mean = (precision * offset).sum(axis=0) / total
    excess = (precision * (offset - mean) ** 2).sum(axis=0) - (len(offset) - 1)
    scale = np.maximum(total - (precision**2).sum(axis=0) / total, TINY)
    return np.asarray(np.sqrt(np.maximum(excess / scale, 0.0)))
