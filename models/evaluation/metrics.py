"""Metrics of a model on leads that it has not seen, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from crm.arrays import Floats, Ints, Labels, Strings
from models.evaluation.calibration_error import calibration_error
from models.evaluation.intervals import percentiles, resamples, share_interval

N_BINS = 10
FEWEST_TO_JUDGE = 10  # leads of the rarer outcome; with fewer, metrics mean nothing


class ModelMetric(NamedTuple):
    """The texts that explain a metric of a model.

    Attributes
    ----------
    label, short_label : str
        The name for a page, and for a narrow column of the terminal.
    meaning : str
        Which values are good, and the value of a model that knows nothing.
    is_lower_better : bool
    """

    label: str
    short_label: str
    meaning: str
    is_lower_better: bool


MODEL_METRICS = {
    "roc_auc": ModelMetric(
        label="ROC AUC",
        short_label="ROC AUC",
        meaning="higher is better; chance has 0.5",
        is_lower_better=False,
    ),
    "pr_auc": ModelMetric(
        label="PR AUC",
        short_label="PR AUC",
        meaning="higher is better; chance has the share of wins",
        is_lower_better=False,
    ),
    "log_loss": ModelMetric(
        label="Log loss",
        short_label="log loss",
        meaning="lower is better; the mean surprise at the outcomes",
        is_lower_better=True,
    ),
    "brier": ModelMetric(
        label="Brier score",
        short_label="Brier",
        meaning="lower is better",
        is_lower_better=True,
    ),
    "ece": ModelMetric(
        label="Calibration error, points",
        short_label="calib.err",
        meaning="lower is better; the mean gap between probability and share of wins",
        is_lower_better=True,
    ),
    "lift_at_10": ModelMetric(
        label="Lift in the best tenth",
        short_label="lift@10 %",
        meaning="higher is better; chance has 1",
        is_lower_better=False,
    ),
}


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one set of moments.

    Attributes
    ----------
    n : int
        The number of moments.
    n_leads : int
        The number of leads; the bootstrap draws leads.
    base_rate : float
        The weighted share of wins.
    values : dict of str to float
        One for each name in `MODEL_METRICS`.
    intervals : dict of str to (float, float)
        95 % intervals, by bootstrap; that of the calibration error by `calibration_error`.
    error_by_chance : float
        The calibration error that correct probabilities would show with as many leads.
    """

    n: int
    n_leads: int
    base_rate: float
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    error_by_chance: float

    def __repr__(self) -> str:
        shown = [
            f"{MODEL_METRICS[name].label} {self.values[name]:.3f} ({low:.3f} to {high:.3f})"
            for name in ("roc_auc", "log_loss")
            for low, high in [self.intervals[name]]
        ]
        return f"<Evaluation on {self.n:,} moments of {self.n_leads:,} leads: {', '.join(shown)}>"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(float_format="{:.3f}".format))

    def to_frame(self) -> pd.DataFrame:
        """Return the metrics as a table.

        Returns
        -------
        DataFrame, indexed by the names in `MODEL_METRICS`
            `value`, `low` and `high` (of the 95 % interval), and `meaning`.
        """
        rows = {
            name: (self.values[name], *self.intervals[name], metric.meaning)
            for name, metric in MODEL_METRICS.items()
        }
        columns = ["value", "low", "high", "meaning"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, with the counts and `intervals`."""
        return {
            "n": self.n,
            "n_leads": self.n_leads,
            "base_rate": self.base_rate,
            **self.values,
            "ece_by_chance": self.error_by_chance,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


def evaluate(log_odds: Floats, label: Labels, weight: Floats, lead: Ints, seed: int) -> Evaluation:
    """Compute all metrics of log-odds, with intervals.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds.
    label : ndarray of int8, shape (n,)
        1 for a win, 0 otherwise; both must occur.
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each moment: resamples draw whole leads.
    seed : int
        The seed of the bootstrap.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> label = np.array([0, 0, 1, 1], dtype=np.int8)
    >>> evaluation = evaluate(np.array([-2.0, -1, 1, 2]), label, np.ones(4), np.arange(4), seed=0)
    >>> float(evaluation.values["roc_auc"]), round(evaluation.values["brier"], 3)
    (1.0, 0.043)
    """
    order, ranked = rank(log_odds, label)
    weight, lead = weight[order], lead[order]
    draws = [
        ranked.metrics(drawn)
        for drawn in (weight * times for times in resamples(lead, seed))
        if 0 < (drawn * ranked.label).sum() < drawn.sum()
    ]
    intervals = {name: percentiles([draw[name] for draw in draws]) for name in MODEL_METRICS}
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
    first: Floats, second: Floats, label: Labels, weight: Floats, lead: Ints, seed: int
) -> tuple[float, float, float]:
    """Compare the log loss of two models on the same moments.

    Parameters
    ----------
    first, second : ndarray of float64, shape (n,)
        Calibrated log-odds of the two models.
    label, weight, lead, seed
        As for `evaluate`.

    Returns
    -------
    tuple of float
        The loss of the first model minus the loss of the second, and the lower and upper end of
        its 95 % bootstrap interval. The difference is computed within each resample, so that
        leads which are hard for both models cancel out. The separate intervals of two models may
        overlap although one model is clearly better.

    Examples
    --------
    >>> label = np.array([1, 0] * 50, dtype=np.int8)
    >>> good = np.where(label == 1, 1.0, -1.0)
    >>> difference = loss_difference(good, 0.9 * good, label, np.ones(100), np.arange(100), seed=0)
    >>> [round(number, 3) for number in difference]
    [-0.028, -0.028, -0.028]
    """
    excess = log_losses(first, label) - log_losses(second, label)
    draws = [
        float(drawn @ excess / drawn.sum())
        for drawn in (weight * times for times in resamples(lead, seed))
        if 0 < drawn @ label < drawn.sum()
    ]
    return float(weight @ excess / weight.sum()), *percentiles(draws)


def log_losses(log_odds: Floats, label: NDArray[Any]) -> Floats:
    """Compute the log loss of each moment, shape (n,)."""
    return np.asarray(-(label * log_expit(log_odds) + (1 - label) * log_expit(-log_odds)))


def measure(log_odds: Floats, label: Labels | Floats, weight: Floats) -> dict[str, float]:
    """Compute the metrics without intervals; the parameters are those of `evaluate`.

    A label may be the probability of a win. The moment then counts in part as a win and in part as
    a loss.
    """
    order, ranked = rank(log_odds, label)
    return ranked.metrics(weight[order])


def rank(log_odds: Floats, label: Labels | Floats) -> tuple[Ints, "Ranked"]:
    """Sort moments by their log-odds; return the order, shape (n,), and the sorted moments."""
    order = np.argsort(-log_odds, kind="stable")
    return order, Ranked(log_odds[order], label[order].astype(np.float64))


class Ranked:
    """Moments sorted from the highest log-odds to the lowest, for many sets of weights.

    Parameters
    ----------
    log_odds, label : ndarray of float64, shape (n,)
        As for `evaluate`, in this order.
    """

    def __init__(self, log_odds: Floats, label: Floats) -> None:
        self.label = label
        self.probability = expit(log_odds)
        self._loss = log_losses(log_odds, label)
        self._squared = (self.probability - label) ** 2
        self._last_of_tie = np.append(np.flatnonzero(np.diff(log_odds)), len(log_odds) - 1)
        self._first_of_tie = np.append(0, self._last_of_tie[:-1] + 1)

    def metrics(self, weight: Floats) -> dict[str, float]:
        """Compute the metrics; those of the ranking need both outcomes, else they are left out."""
        mass = np.cumsum(weight)
        seen, wins = mass[self._last_of_tie], self._wins(weight)
        new_seen, new_wins = np.diff(seen, prepend=0.0), np.diff(wins, prepend=0.0)
        # The mean gap between probability and share of wins, in bins of equal mass.
        gap = new_seen * self.probability[self._last_of_tie] - new_wins
        gaps = np.bincount(self._bin_of_tie(mass, weight), gap, N_BINS)
        of_ranking = {}
        if 0 < wins[-1] < mass[-1]:
            precision = np.divide(wins, seen, out=np.zeros_like(wins), where=seen > 0)
            of_ranking = {
                "roc_auc": _roc_auc(seen, wins),
                "pr_auc": (new_wins * precision).sum() / wins[-1],
                "lift_at_10": _gain(seen, wins, np.array([0.1]))[0] / 0.1,
            }
        values = of_ranking | {
            "log_loss": (weight * self._loss).sum() / mass[-1],
            "brier": (weight * self._squared).sum() / mass[-1],
            "ece": np.abs(gaps).sum() / mass[-1],
        }
        return {name: float(values[name]) for name in MODEL_METRICS if name in values}

    def roc_aucs(self, weight: Floats, labels: NDArray[Any]) -> Floats:
        """Compute ROC AUC for other outcomes of the same moments.

        Parameters
        ----------
        weight : ndarray of float64, shape (n,)
        labels : ndarray of 0 and 1, shape (k, n)

        Returns
        -------
        ndarray of float64, shape (k,)
            nan if all moments have the same outcome.
        """
        seen = np.cumsum(weight)[self._last_of_tie]
        wins = np.cumsum(labels * weight, axis=1)[:, self._last_of_tie]
        result = np.full(len(labels), np.nan)
        has_both = labels.any(axis=1) & ~labels.all(axis=1)
        result[has_both] = _roc_auc(seen, wins[has_both])
        return result

    def gain(self, weight: Floats, share: Floats) -> Floats:
        """Compute the shares of all wins among the best-scored shares; ties count in proportion."""
        return _gain(np.cumsum(weight)[self._last_of_tie], self._wins(weight), share)

    def bins(self, weight: Floats) -> Ints:
        """Return each moment's bin of equal mass, best first; ties stay in one bin."""
        size = self._last_of_tie - self._first_of_tie + 1
        return np.repeat(self._bin_of_tie(np.cumsum(weight), weight), size)

    def _wins(self, weight: Floats) -> Floats:
        """Compute the mass of wins from the best moment to the end of each tie."""
        return np.cumsum(weight * self.label)[self._last_of_tie]

    def _bin_of_tie(self, mass: Floats, weight: Floats) -> Ints:
        middle = (self._first_of_tie + self._last_of_tie) // 2
        before = mass[middle] - weight[middle] / 2
        return np.minimum((before / mass[-1] * N_BINS).astype(np.int64), N_BINS - 1)


def _roc_auc(seen: Floats, wins: Floats) -> Floats:
    """Compute ROC AUC from the mass of moments and of wins up to each tie, shape (…, n_ties)."""
    new_wins = np.diff(wins, prepend=0.0)
    new_losses = np.diff(seen, prepend=0.0) - new_wins
    in_order = (new_losses * (wins - new_wins / 2)).sum(axis=-1)
    return np.asarray(in_order / (wins[..., -1] * new_losses.sum(axis=-1)))


def _gain(seen: Floats, wins: Floats, share: Floats) -> Floats:
    top = np.interp(share * seen[-1], np.append(0, seen), np.append(0, wins))
    return np.asarray(top / wins[-1])


def reliability(
    log_odds: Floats, label: Labels, weight: Floats, lead: Ints | None = None
) -> list[dict[str, float]]:
    """Compare probability and share of wins, in up to ten bins of equal mass, best first.

    The bins are those of the calibration error, which is the mean gap of the rows, weighted
    by `n`. Moments with equal log-odds stay in one bin.

    Parameters
    ----------
    log_odds, label, weight : ndarray, shape (n,)
        As for `evaluate`.
    lead : ndarray of int64, shape (n,), optional
        The lead of each moment; without it each moment is a lead of its own.

    Returns
    -------
    list of dict
        `bin` (1 … 10), `n` (the weight of its moments), `wins` (that of its wins), `stated` (mean
        probability), `won` (share of wins) and the 95 % interval of `won`: `low`, `high`.
    """
    order, ranked = rank(log_odds, label)
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
                "wins": float(mass @ ranked.label[chosen]),
                "stated": float(np.average(ranked.probability[chosen], weights=mass)),
                "won": float(np.average(ranked.label[chosen], weights=mass)),
                "low": low,
                "high": high,
            }
        )
    return rows


def gains(
    log_odds: Floats,
    label: Labels,
    weight: Floats,
    lead: Ints | None = None,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Compute the share of all wins among the best-scored tenth, two tenths, … of the leads.

    Parameters
    ----------
    log_odds, label, weight, lead, seed
        As for `evaluate`; without `lead` each moment is a lead of its own.

    Returns
    -------
    list of dict
        `share` of leads, `gain` (share of wins) with its 95 % bootstrap interval `low`,
        `high`, `lift` (gain over share) with `lift_low`, `lift_high`, and the weights behind
        them: `n` of `n_all` leads, `wins` of `all_wins`. A tenth of the leads may end within a
        lead, or among leads with the same score; `wins` is then rounded to whole wins.
    """
    order, ranked = rank(log_odds, label)
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
    n_all, all_wins = float(weight.sum()), float(weight @ ranked.label)
    rows = []
    for i, gain in enumerate(ranked.gain(weight, share)):
        low, high = percentiles(draws[:, i])
        gain_row = {"share": share[i], "gain": gain, "low": low, "high": high}
        lift_row = {"lift": gain, "lift_low": low, "lift_high": high}
        counts = {"n": share[i] * n_all, "n_all": n_all, "wins": round(gain * all_wins)}
        rows.append(
            {name: float(value) for name, value in gain_row.items()}
            | {name: float(value / share[i]) for name, value in lift_row.items()}
            | {name: float(value) for name, value in counts.items()}
            | {"all_wins": all_wins}
        )
    return rows


def by_grade(
    probability: Floats,
    grade: Strings,
    label: Labels,
    weight: Floats,
    lead: Ints,
) -> list[dict[str, Any]]:
    """Compare probability and share of wins in each grade, best grade first.

    Parameters
    ----------
    probability : ndarray of float64, shape (n,)
        Calibrated probabilities.
    grade : ndarray of str, shape (n,)
        The grade of each moment; a grade without moments has no row.
    label, weight, lead : ndarray, shape (n,)
        As for `evaluate`.

    Returns
    -------
    list of dict
        `grade`, `n` (moments), `n_leads`, `wins` (moments that were won), `share` (of the
        weight of all moments), `stated` (mean probability), `won` (share of wins) and the 95 %
        interval of `won`: `low`, `high`.

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
