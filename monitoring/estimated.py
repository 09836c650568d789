"""Estimates how good scores are before their outcomes are in, and checks earlier estimates.

If probabilities are calibrated, the scores alone tell how many leads will be won, and how well the
scores rank them. What the leads are like may change; how the leads turn into wins may not. So a gap
between an estimate and what came true means that this relation has changed.

References
----------
The estimate is confidence-based performance estimation: Białek, Kuberski, Perrakis & Bifet,
"Estimating Model Performance Under Covariate Shift Without Labels", 2024; Guillory, Shankar,
Ebrahimi, Darrell & Schmidt, "Predicting with Confidence on Unseen Distributions", 2021, use the
mean confidence in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from crm.arrays import Bools, Floats
from models.evaluation.intervals import percentiles
from models.evaluation.metrics import FEWEST_TO_JUDGE, by_grade, log_losses, measure, rank
from monitoring.check import Check, Verdict, unknown
from monitoring.promise import Promise
from monitoring.scored_moments import ScoredMoments
from monitoring.truth import (
    day_text,
    evaluation,
    figures_of,
    months_of,
    placements,
    verdict_of,
)

DRAWS: Final = 200
DRAWN_AT_ONCE: Final = 1_000_000  # outcomes
SEED: Final = 0
METRICS: Final = ("roc_auc", "log_loss")
GAP: Final = 0.05  # of ROC AUC, between the estimate and what came true


@dataclass(frozen=True)
class Estimate:
    """The expected quality of some scores, if their probabilities are right.

    Attributes
    ----------
    n : int
        The number of moments.
    won : float
        The expected share of wins.
    values : dict of str to float
        The expected `roc_auc` and `log_loss`.
    intervals : dict of str to (float, float)
        95 % of the figures that will be measured come out within, `won` too.
    """

    n: int
    won: float
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def estimate(log_odds: Floats, weight: Floats | None = None) -> Estimate:
    """Estimate the quality of scores from their calibrated probabilities.

    A moment with the probability p counts as p wins and 1 - p losses, in each pair with another
    moment and in the log loss. The intervals are those of outcomes that are drawn with these
    probabilities.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds, n at least 1.
    weight : ndarray of float64, shape (n,), optional

    Returns
    -------
    Estimate

    Examples
    --------
    >>> certain = estimate(np.array([-9.0] * 50 + [9.0] * 50))
    >>> round(certain.values["roc_auc"], 2), round(certain.won, 2)
    (1.0, 0.5)
    >>> estimate(np.zeros(100)).values["roc_auc"]
    0.5
    """
    weight = np.ones(len(log_odds)) if weight is None else weight
    probability = expit(log_odds)
    values = measure(log_odds, probability, weight)
    order, ranked = rank(log_odds, probability)
    log_odds, weight = log_odds[order], weight[order]
    drawn: dict[str, list[Floats]] = {name: [] for name in (*METRICS, "won")}
    for labels in _drawn(probability):
        label = labels[:, order]
        aucs = ranked.roc_aucs(weight, label)
        has_both = ~np.isnan(aucs)
        losses = log_losses(log_odds, label[has_both])
        drawn["won"].append(label @ weight / weight.sum())
        drawn["roc_auc"].append(aucs[has_both])
        drawn["log_loss"].append(losses @ weight / weight.sum())
    figures = {name: np.concatenate(of_draws) for name, of_draws in drawn.items()}
    return Estimate(
        n=len(log_odds),
        won=float(np.average(probability[order], weights=weight)),
        values={name: values[name] for name in METRICS},
        intervals={
            name: percentiles(of_draws if len(of_draws) else [np.nan])
            for name, of_draws in figures.items()
        },
    )


def _drawn(probability: Floats) -> Iterator[Bools]:
    """Draw outcomes `DRAWS` times, in blocks of shape (k, n) that fit into the memory."""
    rng = np.random.default_rng(SEED)
    at_once = max(1, DRAWN_AT_ONCE // len(probability))
    for begin in range(0, DRAWS, at_once):
        shape = min(at_once, DRAWS - begin), len(probability)
        yield rng.random(shape) < probability


def estimated_rows(scored: ScoredMoments) -> list[dict[str, Any]]:
    """Estimate the quality of each month, and evaluate it if all of its outcomes are certain.

    Returns
    -------
    list of dict
        `month`, `leads`, and for each of `won`, `roc_auc` and `log_loss` the estimate, its interval
        (`…_low`, `…_high`) and what came true (`…_true`, None until then).
    """
    rows = []
    for name, cohort in months_of(scored):
        if len(cohort) < 2:
            continue
        estimated = estimate(cohort.log_odds, cohort.weight)
        truth = evaluation(cohort) if cohort.is_mature.all() else {}
        row: dict[str, Any] = {"month": name, "leads": cohort.n_leads}
        figures = {"won": estimated.won, **estimated.values}
        for metric, value in figures.items():
            low, high = estimated.intervals[metric]
            row |= {
                metric: value,
                f"{metric}_low": low,
                f"{metric}_high": high,
                f"{metric}_true": truth.get(metric),
            }
        rows.append(row)
    return rows


def came_true_check(scored: ScoredMoments) -> Check:
    """Check whether estimates of the ranking came true, by the wins that came since."""
    number, mature = "LM205", scored.mature
    n_won = int(mature.label.sum())
    if min(n_won, len(mature) - n_won) < FEWEST_TO_JUDGE:
        why = "Too few outcomes are certain to compare estimates with."
        return Check(number, Verdict.UNKNOWN, why, rows=estimated_rows(scored))
    estimated = estimate(mature.log_odds, mature.weight)
    truth = evaluation(mature)
    change = placements(mature).detection(max(0.5, estimated.values["roc_auc"] - GAP))
    verdict = verdict_of(change)
    low, high = estimated.intervals["roc_auc"]
    evidence = (
        f"Of 100 pairs of a won lead and another, the scores alone promised to rank "
        f"{100 * estimated.values['roc_auc']:.0f} correctly ({100 * low:.0f} to {100 * high:.0f}); "
        f"{100 * truth['roc_auc']:.0f} came true."
    )
    next_step = ""
    if verdict is not Verdict.FINE:
        evidence += f" Since {day_text(change.since)} it is clearly less."
        next_step = (
            "Data science: what makes a lead win has changed. Train again, and look at the "
            "features that moved."
        )
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            "estimated_roc_auc": estimated.values["roc_auc"],
            "roc_auc": truth["roc_auc"],
            "estimated_log_loss": estimated.values["log_loss"],
            "log_loss": truth["log_loss"],
            **figures_of(change),
        },
        estimated_rows(scored),
    )


def newest_check(scored: ScoredMoments, promise: Promise) -> Check:
    """Estimate how good the scores of the leads are whose outcomes are not certain yet."""
    number, young = "LM206", scored.take(~scored.is_mature)
    if len(young) < 2 * FEWEST_TO_JUDGE:
        return unknown(number, "There are too few leads whose outcome is still open.")
    estimated = estimate(young.log_odds, young.weight)
    auc, (low, high) = estimated.values["roc_auc"], estimated.intervals["roc_auc"]
    won_low, won_high = estimated.intervals["won"]
    evidence = (
        f"Of {young.n_leads:,} leads whose time is not over, about {100 * estimated.won:.0f} % "
        f"will be won ({100 * won_low:.0f} to {100 * won_high:.0f} %), if the stated chances are "
        f"right. The scores then rank {100 * auc:.0f} of 100 pairs correctly "
        f"({100 * low:.0f} to {100 * high:.0f})."
    )
    verdict, next_step = Verdict.FINE, ""
    if promise.roc_auc_low is not None and high < promise.roc_auc_low:
        verdict = Verdict.WATCH
        evidence += f" The card promised {100 * (promise.roc_auc or 0):.0f}."
        next_step = (
            "Data science: the newest leads are harder to tell apart. Look at the checks of the "
            "leads for attributes that are missing or have changed."
        )
    grades = by_grade(
        expit(young.log_odds),
        young.grade,
        np.zeros(len(young), dtype=np.int8),
        young.weight,
        young.lead,
    )
    rows = [
        {"grade": row["grade"], "leads": row["n_leads"], "stated": row["stated"]} for row in grades
    ]
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            "leads": young.n_leads,
            "estimated_roc_auc": auc,
            "estimated_log_loss": estimated.values["log_loss"],
            "estimated_won": estimated.won,
        },
        rows,
    )
