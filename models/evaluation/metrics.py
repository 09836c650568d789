"""How good a model is on leads it has not seen, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from crm.arrays import Floats, Ints, Labels, Strings
from models.evaluation.calibration_error import calibration_error
from models.evaluation.intervals import percentiles, resamples, share_interval

METRICS = ("roc_auc", "pr_auc", "log_loss", "brier", "ece", "lift_at_10")
N_BINS = 10
FEWEST_TO_JUDGE = 10  # leads of the rarer outcome; fewer say nothing of a model


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
        95 % intervals: by bootstrap, but for the calibration error (`calibration_error`).
    error_by_chance : float
        The calibration error that right probabilities would show in as many leads.
    """

    n: int
    n_leads: int
    base_rate: float
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    error_by_chance: float

    def to_json(self) -> dict[str, Any]:
        """Flat values by name, with counts and `intervals` beside them."""
        return {
            "n": self.n,
            "n_leads": self.n_leads,
            "base_rate": self.base_rate,
            **self.values,
            "ece_by_chance": self.error_by_chance,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


def evaluate(margin: Floats, label: Labels, weight: Floats, lead: Ints, seed: int) -> Evaluation:
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
    weight, lead = weight[order], lead[order]
    draws = [
        ranked.metrics(drawn)
        for drawn in (weight * times for times in resamples(lead, seed))
        if 0 < (drawn * ranked.label).sum() < drawn.sum()
    ]
    intervals = {name: percentiles([draw[name] for draw in draws]) for name in METRICS}
    error = calibration_error(ranked.probability, ranked.label, weight, lead, ranked.bins(weight))
    return Evaluation(
        n=len(label),
        n_leads=len(np.unique(lead)),
        base_rate=float(np.average(ranked.label, weights=weight)),
        values=ranked.metrics(weight),
        intervals=intervals | {"ece": (error.low, error.high)},
        error_by_chance=error.by_chance,
    )


def loss_difference(
    margin: Floats,
    other: Floats,
    label: Labels,
    weight: Floats,
    lead: Ints,
    seed: int,
) -> tuple[float, float, float]:
    """Compare the log loss of two models on the same moments.

    Parameters
    ----------
    margin, other : ndarray of float64, shape (n,)
        Calibrated log-odds of both.
    label, weight, lead, seed
        As of `evaluate`.

    Returns
    -------
    tuple of float
        The loss of the first less that of the other, with its 95 % bootstrap interval, low and
        high. The difference is taken within each resample, so that what makes leads hard for
        both cancels out: the intervals of two models overlap long before they are as good.

    Examples
    --------
    >>> label = np.array([1, 0] * 50, dtype=np.int8)
    >>> good = np.where(label == 1, 1.0, -1.0)
    >>> found = loss_difference(good, 0.9 * good, label, np.ones(100), np.arange(100), seed=0)
    >>> [round(part, 3) for part in found]
    [-0.028, -0.028, -0.028]
    """
    excess = log_losses(margin, label) - log_losses(other, label)
    draws = [
        float(drawn @ excess / drawn.sum())
        for drawn in (weight * times for times in resamples(lead, seed))
        if 0 < drawn @ label < drawn.sum()
    ]
    return float(weight @ excess / weight.sum()), *percentiles(draws)


def log_losses(margin: Floats, label: NDArray[Any]) -> Floats:
    """Give the log loss of each moment."""
    return np.asarray(-(label * log_expit(margin) + (1 - label) * log_expit(-margin)))


def measure(margin: Floats, label: Labels, weight: Floats) -> dict[str, float]:
    """Give the metrics alone, without intervals; parameters as of `evaluate`."""
    order, ranked = _rank(margin, label)
    return ranked.metrics(weight[order])


def _rank(margin: Floats, label: Labels) -> tuple[Ints, "_Ranked"]:
    order = np.argsort(-margin, kind="stable")
    return order, _Ranked(margin[order], label[order].astype(np.float64))


class _Ranked:
    """Moments from the highest margin to the lowest, ready to be weighed again and again."""

    def __init__(self, margin: Floats, label: Floats) -> None:
        self.label = label
        self.probability = expit(margin)
        self._loss = log_losses(margin, label)
        self._squared = (self.probability - label) ** 2
        self._last_of_tie = np.append(np.flatnonzero(np.diff(margin)), len(margin) - 1)
        self._first_of_tie = np.append(0, self._last_of_tie[:-1] + 1)

    def metrics(self, weight: Floats) -> dict[str, float]:
        mass = np.cumsum(weight)
        seen, wins = mass[self._last_of_tie], self._wins(weight)
        new_seen, new_wins = np.diff(seen, prepend=0.0), np.diff(wins, prepend=0.0)
        new_losses = new_seen - new_wins
        precision = np.divide(wins, seen, out=np.zeros_like(wins), where=seen > 0)
        # The mean gap between stated and true share of wins, in bins of equal mass.
        gap = new_seen * self.probability[self._last_of_tie] - new_wins
        gaps = np.bincount(self._bin_of_tie(mass, weight), gap, N_BINS)
        return {
            "roc_auc": float(
                (new_losses * (wins - new_wins / 2)).sum() / (wins[-1] * new_losses.sum())
            ),
            "pr_auc": float((new_wins * precision).sum() / wins[-1]),
            "log_loss": float((weight * self._loss).sum() / mass[-1]),
            "brier": float((weight * self._squared).sum() / mass[-1]),
            "ece": float(np.abs(gaps).sum() / mass[-1]),
            "lift_at_10": float(_gain(seen, wins, np.array([0.1]))[0] / 0.1),
        }

    def gain(self, weight: Floats, share: Floats) -> Floats:
        """Shares of the wins among the best-scored shares; what is tied is shared out."""
        return _gain(np.cumsum(weight)[self._last_of_tie], self._wins(weight), share)

    def bins(self, weight: Floats) -> Ints:
        """Tell each moment's bin of equal mass, from the top; what is tied stays in one bin."""
        size = self._last_of_tie - self._first_of_tie + 1
        return np.repeat(self._bin_of_tie(np.cumsum(weight), weight), size)

    def _wins(self, weight: Floats) -> Floats:
        """Mass of wins from the top down to the end of each tie."""
        return np.cumsum(weight * self.label)[self._last_of_tie]

    def _bin_of_tie(self, mass: Floats, weight: Floats) -> Ints:
        middle = (self._first_of_tie + self._last_of_tie) // 2
        before = mass[middle] - weight[middle] / 2
        return np.minimum((before / mass[-1] * N_BINS).astype(np.int64), N_BINS - 1)


def _gain(seen: Floats, wins: Floats, share: Floats) -> Floats:
    top = np.interp(share * seen[-1], np.append(0, seen), np.append(0, wins))
    return np.asarray(top / wins[-1])


def reliability(
    margin: Floats, label: Labels, weight: Floats, lead: Ints | None = None
) -> list[dict[str, float]]:
    """Stated against true share of wins, in up to ten bins of equal mass, best first.

    The bins are those of the calibration error, which is the rows' mean gap, weighed
    by `n`. Moments with the same margin stay in one bin.

    Parameters
    ----------
    margin, label, weight : ndarray, shape (n,)
        As of `evaluate`.
    lead : ndarray of int64, shape (n,), optional
        Whose moments they are; without it each is a lead's only one.

    Returns
    -------
    list of dict
        `bin` (1 … 10), `n` (moments: the bin's weight), `stated`, `won`, and the 95 %
        interval `low`, `high` of what was won.
    """
    order, ranked = _rank(margin, label)
    weight = weight[order]
    lead = np.arange(len(label)) if lead is None else lead[order]
    bins = ranked.bins(weight)
    rows = []
    for i in np.unique(bins):
        chosen = bins == i
        mass = weight[chosen]
        low, high = share_interval(ranked.label[chosen], mass, lead[chosen])
        rows.append(
            {
                "bin": int(i) + 1,
                "n": float(mass.sum()),
                "stated": float(np.average(ranked.probability[chosen], weights=mass)),
                "won": float(np.average(ranked.label[chosen], weights=mass)),
                "low": low,
                "high": high,
            }
        )
    return rows


def gains(
    margin: Floats,
    label: Labels,
    weight: Floats,
    lead: Ints | None = None,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Share of all wins found when the best-scored share of leads is worked, by deciles.

    Parameters
    ----------
    margin, label, weight, lead, seed
        As of `evaluate`; without `lead` each moment is a lead's only one.

    Returns
    -------
    list of dict
        `share` of leads, `gain` (share of wins) with its 95 % bootstrap interval `low`,
        `high`, and `lift` (gain over share) with `lift_low`, `lift_high`.
    """
    order, ranked = _rank(margin, label)
    weight = weight[order]
    lead = np.arange(len(label)) if lead is None else lead[order]
    share = np.arange(1, 11) / 10
    draws = np.array(
        [
            ranked.gain(drawn, share)
            for drawn in (weight * times for times in resamples(lead, seed))
            if (drawn * ranked.label).sum() > 0
        ]
    )
    rows = []
    for i, gain in enumerate(ranked.gain(weight, share)):
        low, high = percentiles(draws[:, i])
        found = {"share": share[i], "gain": gain, "low": low, "high": high}
        lifts = {"lift": gain, "lift_low": low, "lift_high": high}
        rows.append(
            {name: float(value) for name, value in found.items()}
            | {name: float(value / share[i]) for name, value in lifts.items()}
        )
    return rows


def by_grade(
    probability: Floats,
    grade: Strings,
    label: Labels,
    weight: Floats,
    lead: Ints,
) -> list[dict[str, Any]]:
    """Stated against true share of wins in each grade, best grade first.

    Parameters
    ----------
    probability : ndarray of float64, shape (n,)
        Calibrated.
    grade : ndarray of str, shape (n,)
        As the scale gives it; a grade that no moment reaches has no row.
    label, weight, lead : ndarray, shape (n,)
        As of `evaluate`.

    Returns
    -------
    list of dict
        `grade`, `n` (moments), `n_leads`, `wins` (moments that were won), `share` (of all
        moments), `stated` (mean probability), `won` (true share) and its 95 % interval
        `low`, `high`.

    Examples
    --------
    >>> rows = by_grade(
    ...     np.array([0.6, 0.6, 0.1]), np.array(["A", "A", "D"]),
    ...     np.array([1, 0, 0], dtype=np.int8), np.ones(3), np.arange(3),
    ... )
    >>> [(row["grade"], row["wins"], row["stated"], row["won"]) for row in rows]
    [('A', 1, 0.6, 0.5), ('D', 0, 0.1, 0.0)]
    """
    rows = []
    for letter in np.unique(grade):
        chosen = grade == letter
        mass = weight[chosen]
        low, high = share_interval(label[chosen], mass, lead[chosen])
        rows.append(
            {
                "grade": str(letter),
                "n": int(chosen.sum()),
                "n_leads": len(np.unique(lead[chosen])),
                "wins": int(label[chosen].sum()),
                "share": float(mass.sum() / weight.sum()),
                "stated": float(np.average(probability[chosen], weights=mass)),
                "won": float(np.average(label[chosen], weights=mass)),
                "low": low,
                "high": high,
            }
        )
    return sorted(rows, key=lambda row: -row["stated"])
