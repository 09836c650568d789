"""How good a model is on leads it has not seen, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

Floats = NDArray[np.float64]

METRICS = ("roc_auc", "pr_auc", "log_loss", "brier", "ece", "lift_at_10")
N_BINS = 10
N_RESAMPLES = 300
LEVEL = 0.95


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one set of moments.

    Attributes
    ----------
    n : int
        Moments judged.
    n_leads : int
        Leads they belong to; the bootstrap draws leads.
    base_rate : float
        Weighted share of wins.
    values : dict of str to float
        One per name in `METRICS`.
    intervals : dict of str to (float, float)
        95 % bootstrap intervals.
    """

    n: int
    n_leads: int
    base_rate: float
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Flat values by name, with counts and `intervals` beside them."""
        return {
            "n": self.n,
            "n_leads": self.n_leads,
            "base_rate": self.base_rate,
            **self.values,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


def evaluate(
    margin: Floats, label: NDArray[np.int8], weight: Floats, lead: NDArray[np.int64], seed: int
) -> Evaluation:
    """Judge log-odds against what happened.

    Parameters
    ----------
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds.
    label : ndarray of int8, shape (n,)
        1 for a win; both classes must be there.
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        Whose moments they are: resamples draw whole leads.
    seed : int

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> label = np.array([0, 0, 1, 1], dtype=np.int8)
    >>> found = evaluate(np.array([-2.0, -1, 1, 2]), label, np.ones(4), np.arange(4), seed=0)
    >>> float(found.values["roc_auc"]), round(found.values["brier"], 3)
    (1.0, 0.043)
    """
    order, ranked = _rank(margin, label)
    values = ranked.metrics(weight[order])
    leads, of_lead = np.unique(lead[order], return_inverse=True)
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(N_RESAMPLES):
        times_drawn = generator.multinomial(len(leads), np.full(len(leads), 1 / len(leads)))
        drawn = weight[order] * times_drawn[of_lead]
        if len(np.unique(ranked.label[drawn > 0])) == 2:
            draws.append(ranked.metrics(drawn))
    tail = 100 * (1 - LEVEL) / 2
    intervals = {
        name: tuple(float(x) for x in np.percentile([d[name] for d in draws], [tail, 100 - tail]))
        for name in METRICS
    }
    return Evaluation(
        n=len(label),
        n_leads=len(leads),
        base_rate=float(np.average(label, weights=weight)),
        values=values,
        intervals=intervals,  # type: ignore[arg-type]
    )


def _rank(margin: Floats, label: NDArray[np.int8]) -> tuple[NDArray[np.int64], "_Ranked"]:
    order = np.argsort(-margin, kind="stable")
    return order, _Ranked(margin[order], label[order].astype(np.float64))


class _Ranked:
    """Moments from the highest margin to the lowest, ready to be weighed again and again."""

    def __init__(self, margin: Floats, label: Floats) -> None:
        self.label = label
        self.probability = expit(margin)
        self._loss = -(label * log_expit(margin) + (1 - label) * log_expit(-margin))
        self._squared = (self.probability - label) ** 2
        self._last_of_tie = np.append(np.flatnonzero(np.diff(margin)), len(margin) - 1)

    def metrics(self, weight: Floats) -> dict[str, float]:
        total = weight.sum()
        seen, wins = self.found(weight)
        losses = np.cumsum(weight * (1 - self.label))[self._last_of_tie]
        new_wins, new_losses = np.diff(wins, prepend=0.0), np.diff(losses, prepend=0.0)
        precision = np.divide(wins, seen, out=np.zeros_like(wins), where=seen > 0)
        return {
            "roc_auc": float((new_losses * (wins - new_wins / 2)).sum() / (wins[-1] * losses[-1])),
            "pr_auc": float((new_wins * precision).sum() / wins[-1]),
            "log_loss": float(weight @ self._loss / total),
            "brier": float(weight @ self._squared / total),
            "ece": self._calibration_error(weight),
            "lift_at_10": self.gain(weight, 0.1) / 0.1,
        }

    def found(self, weight: Floats) -> tuple[Floats, Floats]:
        """Mass and wins seen from the top down to the end of each tie."""
        return (
            np.cumsum(weight)[self._last_of_tie],
            np.cumsum(weight * self.label)[self._last_of_tie],
        )

    def gain(self, weight: Floats, share: float) -> float:
        """Share of the wins among the best-scored share; what is tied is shared out."""
        seen, wins = self.found(weight)
        top = np.interp(share * seen[-1], np.append(0, seen), np.append(0, wins))
        return float(top / wins[-1])

    def bins(self, weight: Floats) -> NDArray[np.int64]:
        """Tell each moment's bin of equal mass, from the top; what is tied stays in one bin."""
        before = np.cumsum(weight) - weight / 2
        bins = np.minimum((before / weight.sum() * N_BINS).astype(np.int64), N_BINS - 1)
        first_of_tie = np.append(0, self._last_of_tie[:-1] + 1)
        size = np.diff(np.append(first_of_tie, len(bins)))
        return np.repeat(bins[(first_of_tie + self._last_of_tie) // 2], size)

    def _calibration_error(self, weight: Floats) -> float:
        """Mean gap between stated and true share of wins, in bins of equal mass."""
        bins = self.bins(weight)
        mass = np.bincount(bins, weight, N_BINS)
        stated = np.bincount(bins, weight * self.probability, N_BINS)
        true = np.bincount(bins, weight * self.label, N_BINS)
        return float(np.abs(stated - true).sum() / mass.sum())


def reliability(margin: Floats, label: NDArray[np.int8], weight: Floats) -> list[dict[str, float]]:
    """Stated against true share of wins, in up to ten bins of equal mass, best first.

    The bins are those of the calibration error, which is the rows' mean gap, weighed
    by `n`. Moments with the same margin stay in one bin.

    Returns
    -------
    list of dict
        `bin` (1 … 10), `n` (leads: the bin's weight), `stated`, `won`, and the 95 %
        Wilson interval `low`, `high`.
    """
    order, ranked = _rank(margin, label)
    bins = ranked.bins(weight[order])
    rows = []
    for i in np.unique(bins):
        mass = np.where(bins == i, weight[order], 0.0)
        n = float(mass.sum())
        stated, won = float(mass @ ranked.probability) / n, float(mass @ ranked.label) / n
        low, high = wilson(won, n)
        rows.append(
            {"bin": int(i) + 1, "n": n, "stated": stated, "won": won, "low": low, "high": high}
        )
    return rows


def gains(margin: Floats, label: NDArray[np.int8], weight: Floats) -> list[dict[str, float]]:
    """Share of all wins found when the best-scored share of leads is worked, by deciles.

    Returns
    -------
    list of dict
        `share` of leads, `gain` (share of wins), `lift` (gain over share).
    """
    order, ranked = _rank(margin, label)
    found = {tenths / 10: ranked.gain(weight[order], tenths / 10) for tenths in range(1, 11)}
    return [{"share": share, "gain": gain, "lift": gain / share} for share, gain in found.items()]


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of `n`.

    References
    ----------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Examples
    --------
    >>> low, high = wilson(0.0, 10)
    >>> low, round(high, 2)
    (0.0, 0.28)
    """
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
