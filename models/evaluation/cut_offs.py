"""Metrics within cut-offs: each cut-off has a model of its own, so their log-odds do not mix."""

import numpy as np

from crm.arrays import Floats, Ints, Labels
from models.evaluation.metrics import MODEL_METRICS, rank


class CutOffMetrics:
    """Computes the metrics within each cut-off, and their means, for many sets of weights.

    The log-odds of two cut-offs come from two models. Sorted together, a lead could rank higher
    only because its model learned in a period with more wins.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds.
    label : ndarray of int8, shape (n,)
    cut_off : ndarray of int64, shape (n,)
        Any number for each cut-off.

    Examples
    --------
    Each of the two models sorts its own leads perfectly.

    >>> log_odds, label = np.array([-2.0, -1, 1, 2]), np.array([0, 1, 0, 1], dtype=np.int8)
    >>> metrics = CutOffMetrics(log_odds, label, np.array([1, 1, 2, 2]))
    >>> metrics.means(np.ones(4))["roc_auc"]
    1.0
    >>> CutOffMetrics(log_odds, label, np.zeros(4, dtype=np.int64)).means(np.ones(4))["roc_auc"]
    0.75
    """

    def __init__(self, log_odds: Floats, label: Labels, cut_off: Ints) -> None:
        self._cut_offs = []
        for number in np.unique(cut_off):
            rows = np.flatnonzero(cut_off == number)
            order, ranked = rank(log_odds[rows], label[rows])
            self._cut_offs.append((rows[order], ranked))

    def means(self, weight: Floats) -> dict[str, float]:
        """Compute the mean of each metric over the cut-offs, each with the weight of its moments.

        A cut-off whose moments all have the same outcome has no ranking, and does not count in
        the metrics of the ranking.

        Parameters
        ----------
        weight : ndarray of float64, shape (n,)
            Not all 0.

        Returns
        -------
        dict of str to float
            By the names in `MODEL_METRICS`, without those of the ranking if no cut-off has both
            outcomes.
        """
        measured = [
            (weight[rows].sum(), ranked.metrics(weight[rows]))
            for rows, ranked in self._cut_offs
            if weight[rows].any()
        ]
        means = {}
        for name in MODEL_METRICS:
            known = [(mass, values[name]) for mass, values in measured if name in values]
            whole = sum(mass for mass, _ in known)
            if known:
                means[name] = float(sum(value * (mass / whole) for mass, value in known))
        return means
