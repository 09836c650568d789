"""Compares scores with what happened: chances, ranking and grades of leads whose time is over.

The same checks are made for the scores that were given, and for the champion on leads that it has
not learned from.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit

from crm.arrays import Floats, Ints
from crm.times import DAY
from features.times import time_text
from models.evaluation.intervals import auc_interval
from models.evaluation.metrics import FEWEST_TO_JUDGE, by_grade, measure
from monitoring.check import Check, Verdict, unknown
from monitoring.promise import AUC_SURE, AUC_TOLERANCE, SEASON_TOLERANCE, Promise
from monitoring.scored_moments import MOST_TESTED, ScoredMoments
from monitoring.sequential import Detection, by_day, detect, higher_share, lower_mean, lower_share

NON_WINS: Final = 200  # the newest ones, with which each win is compared
FEWEST_NON_WINS: Final = 20
TRUTH: Final = ("01", "02", "03")  # the ends of the numbers: chances, ranking, grades


def truth_checks(group: str, scored: ScoredMoments, promise: Promise, whose: str) -> list[Check]:
    """Check stated chances, ranking and grades against the outcomes.

    Parameters
    ----------
    group : str
        The beginning of the numbers of the checks: "LM1" or "LM2".
    scored : ScoredMoments
        All scored moments; only those whose outcome is certain count.
    promise : Promise
    whose : str
        What the scores are, such as "the scores that were given", for sentences.

    Returns
    -------
    list of Check
    """
    numbers = [group + end for end in TRUTH]
    mature = scored.mature
    n_won = int(mature.label.sum())
    if min(n_won, len(mature) - n_won) < FEWEST_TO_JUDGE:
        why = _too_early(scored, mature, whose)
        return [unknown(number, why) for number in numbers]
    return [
        _chances(numbers[0], mature, promise),
        _ranking(numbers[1], mature, promise),
        _grades(numbers[2], mature, promise),
    ]


def chance_detections(
    scored: ScoredMoments,
    log_odds: Floats,
    label: Floats,
    day: Ints,
    tolerance: float,
    n_tests: int,
) -> tuple[Detection, Detection]:
    """Look for more, and for fewer outcomes than stated.

    The first, second and further moments of a lead, which share its outcome, are tested apart.

    Parameters
    ----------
    scored : ScoredMoments
    log_odds, label : ndarray of float64, shape (n,)
        The stated log-odds of an outcome of each moment, and whether it happened.
    day : ndarray of int64, shape (n,)
        The day on which each outcome became certain.
    tolerance : float
        In log-odds.
    n_tests : int
        The number of pairs of tests of which this is one.

    Returns
    -------
    Detection, Detection
        Of more outcomes, and of fewer.
    """
    ordinal = scored.ordinal
    rows = ordinal < MOST_TESTED
    more, fewer = (
        detect(
            *by_day(day[rows], of_side(log_odds, label, tolerance)[rows], ordinal[rows]),
            n_tests=2 * n_tests,
        )
        for of_side in (higher_share, lower_share)
    )
    return more, fewer


@dataclass(frozen=True)
class Placements:
    """The place of each win among the non-wins before it.

    Attributes
    ----------
    day : ndarray of int64, shape (n_wins,)
        The day on which each win became certain.
    share : ndarray of float64, shape (n_wins,)
        The share of the newest `NON_WINS` non-wins before that day that have lower log-odds; equal
        ones count half. Its mean is ROC AUC.
    weight : ndarray of float64, shape (n_wins,)
        1 for a lead with one moment, 1/k for each of k moments.
    """

    day: Ints
    share: Floats
    weight: Floats

    def detection(self, least: float) -> Detection:
        """Look for a mean below `least`.

        Each e-value is raised to the power of its weight. So the moments of a lead count once, and
        the mean of their product stays at most 1 (Hölder's inequality).
        """
        return detect(*by_day(self.day, self.weight[:, None] * lower_mean(self.share, least)))

    def mean_since(self, day: int) -> float:
        """Return the mean share since a day."""
        rows = self.day >= day
        return float(np.average(self.share[rows], weights=self.weight[rows]))


def placements(scored: ScoredMoments) -> Placements:
    """Compare each win with the non-wins whose outcome became certain before.

    Wins with fewer than `FEWEST_NON_WINS` of them are left out.
    """
    order = np.argsort(scored.known_at, kind="stable")
    is_won = scored.label[order] == 1
    n_before = np.cumsum(~is_won)[is_won]
    is_placed = n_before >= FEWEST_NON_WINS
    rows, n_before = order[is_won][is_placed], n_before[is_placed]
    non_wins = np.append(np.full(NON_WINS, np.nan), scored.log_odds[order[~is_won]])
    before = sliding_window_view(non_wins, NON_WINS)[n_before]  # nan compares as false
    own = scored.log_odds[rows, None]
    n_compared = np.minimum(n_before, NON_WINS)
    lower = (before < own).sum(axis=1) + (before == own).sum(axis=1) / 2
    return Placements(scored.known_at[rows] // DAY, lower / n_compared, scored.weight[rows])


def months_of(scored: ScoredMoments) -> Iterator[tuple[str, ScoredMoments]]:
    """Yield the name and the moments of each month of scoring, in order."""
    month = scored.as_of.view("datetime64[us]").astype("datetime64[M]")
    for value in np.unique(month):
        yield str(value), scored.take(month == value)


def cohort_rows(scored: ScoredMoments) -> list[dict[str, Any]]:
    """Evaluate the moments of each month whose outcomes are all certain."""
    return [
        {"month": name, **evaluation(cohort)}
        for name, cohort in months_of(scored)
        if cohort.is_mature.all()
    ]


def version_rows(scored: ScoredMoments) -> list[dict[str, Any]]:
    """Evaluate the scores of each version."""
    mature = scored.mature
    return [
        {"version": str(version), **evaluation(mature.take(mature.version == version))}
        for version in np.unique(mature.version)
    ]


def evaluation(mature: ScoredMoments) -> dict[str, Any]:
    """Evaluate moments whose outcome is certain; metrics without enough outcomes are None."""
    weight = mature.weight
    n_won = int(mature.label.sum())
    facts: dict[str, Any] = {
        "leads": mature.n_leads,
        "won": float(np.average(mature.label, weights=weight)),
        "stated": float(np.average(expit(mature.log_odds), weights=weight)),
        "roc_auc": None,
        "log_loss": None,
    }
    if min(n_won, len(mature) - n_won) >= FEWEST_TO_JUDGE:
        values = measure(mature.log_odds, mature.label.astype(np.int8), weight)
        facts |= {"roc_auc": values["roc_auc"], "log_loss": values["log_loss"]}
    return facts


def _chances(number: str, mature: ScoredMoments, promise: Promise) -> Check:
    weight, day = mature.weight, mature.known_at // DAY

    def changes(tolerance: float) -> tuple[Detection, Detection]:
        return chance_detections(mature, mature.log_odds, mature.label, day, tolerance, n_tests=1)

    more, fewer = changes(promise.tolerance)
    change = more if more.days > fewer.days else fewer
    expected = float(weight @ expit(mature.log_odds))
    won = float(weight @ mature.label)
    evidence = (
        f"Of {mature.n_leads:,} leads whose {_horizon(mature)} are over, {won:,.0f} were won. The "
        f"scores stated {expected:,.0f}."
    )
    log_loss = measure(mature.log_odds, mature.label.astype(np.int8), weight)["log_loss"]
    verdict, since = chance_verdict(change, promise, lambda t: clearest(*changes(t))), ""
    if verdict is not Verdict.FINE:
        recent = mature.take(day >= change.since) if change.since is not None else mature
        stated, happened = _sums(recent)
        direction = "more" if change is more else "fewer"
        since = (
            f" Since {day_text(change.since)}, {direction} leads win than stated: {happened:,.0f} "
            f"instead of {stated:,.0f} of {recent.n_leads:,}.{promise.season_caveat}"
        )
    return Check(
        number,
        verdict,
        evidence + since,
        _retrain(verdict),
        {
            "leads": mature.n_leads,
            "won": won,
            "expected": expected,
            "log_loss": log_loss,
            "promised_log_loss": promise.log_loss,
            **figures_of(change),
        },
        cohort_rows(mature),
    )


def _ranking(number: str, mature: ScoredMoments, promise: Promise) -> Check:
    weight = mature.weight
    label = mature.label.astype(np.int8)
    value = measure(mature.log_odds, label, weight)["roc_auc"]
    low, high = auc_interval(mature.log_odds, label, weight, mature.lead)
    share = f"{100 * value:.0f} of 100 pairs ({100 * low:.0f} to {100 * high:.0f})"
    evidence = f"A lead that was won had the better score in {share}."
    if promise.roc_auc is None or promise.roc_auc_low is None:
        return unknown(number, f"{evidence} The model has no hold-out to compare with.")
    placed = placements(mature)
    margin = max(AUC_TOLERANCE, AUC_SURE * (promise.roc_auc - promise.roc_auc_low))
    least = max(0.5, promise.roc_auc - margin)
    change = placed.detection(least)
    verdict = verdict_of(change)
    evidence += f" The card of the model promises {100 * promise.roc_auc:.0f}."
    if verdict is not Verdict.FINE and change.since is not None:
        recent = placed.mean_since(change.since)
        evidence += f" Since {day_text(change.since)} it is {100 * recent:.0f} of 100."
    return Check(
        number,
        verdict,
        evidence,
        _retrain(verdict),
        {
            "roc_auc": value,
            "low": low,
            "high": high,
            "promised": promise.roc_auc,
            **figures_of(change),
        },
    )


def _grades(number: str, mature: ScoredMoments, promise: Promise) -> Check:
    weight, grades = mature.weight, np.unique(mature.grade)

    def change_of(grade: str, tolerance: float) -> Detection:
        of_grade = mature.take(mature.grade == grade)
        day = of_grade.known_at // DAY
        return clearest(
            *chance_detections(
                of_grade, of_grade.log_odds, of_grade.label, day, tolerance, n_tests=len(grades)
            )
        )

    changes = {grade: change_of(grade, promise.tolerance) for grade in grades.tolist()}
    verdicts = {
        grade: chance_verdict(change, promise, partial(change_of, grade))
        for grade, change in changes.items()
    }
    rows_of = by_grade(
        expit(mature.log_odds), mature.grade, mature.label.astype(np.int8), weight, mature.lead
    )
    for row in rows_of:
        row["promised"] = promise.won_by_grade.get(row["grade"])
        row["verdict"] = str(verdicts[row["grade"]])
    verdict = max(verdicts.values(), key=lambda v: v.rank)
    off = [row for row in rows_of if row["verdict"] != Verdict.FINE]
    shown = off or rows_of[:1]
    evidence = " ".join(
        f"Of {row['n_leads']:,} leads with grade {row['grade']}, {percent(row['won'])} were won "
        f"({percent(row['low'])} to {percent(row['high'])}); stated were "
        f"{percent(row['stated'])}."
        for row in shown
    )
    if off:
        evidence += promise.season_caveat
    worst = clearest(*changes.values())
    return Check(number, verdict, evidence, _retrain(verdict), figures_of(worst), rows_of)


def chance_verdict(
    change: Detection, promise: Promise, beyond: Callable[[float], Detection]
) -> Verdict:
    """Return the verdict of a test of chances: at most WATCH if the change may be a season.

    Parameters
    ----------
    change : Detection
        Of the test with the tolerance of the promise.
    promise : Promise
    beyond : callable
        Makes the test with another tolerance.
    """
    verdict = verdict_of(change)
    if verdict is Verdict.ACT and promise.season_caveat and not beyond(SEASON_TOLERANCE).is_alarm:
        return Verdict.WATCH
    return verdict


def clearest(*changes: Detection) -> Detection:
    """Return the detection with the largest statistic."""
    return max(changes, key=lambda change: change.days)


def verdict_of(change: Detection) -> Verdict:
    """Return the verdict of a test."""
    if change.is_alarm:
        return Verdict.ACT
    return Verdict.WATCH if change.is_notable else Verdict.FINE


def day_text(day: int | None) -> str:
    """Format a day, counted since 1970, as a date."""
    return time_text(int(day or 0) * DAY)[:10]


def figures_of(change: Detection) -> dict[str, float | int | None]:
    """Return the figures of a test, as `Check.figures` contains them."""
    return {"days": change.days, "since": change.since, "reached": change.reached}


def _sums(scored: ScoredMoments) -> tuple[float, float]:
    weight = scored.weight
    return float(weight @ expit(scored.log_odds)), float(weight @ scored.label)


def _horizon(scored: ScoredMoments) -> str:
    days = int(scored.known_at[0] - scored.as_of[0]) / DAY
    return f"{days:g} days"


def _too_early(scored: ScoredMoments, mature: ScoredMoments, whose: str) -> str:
    if not len(scored):
        return f"There are no leads for {whose} yet."
    days = _horizon(scored)
    return (
        f"The {days} are over for {mature.n_leads:,} of {scored.n_leads:,} leads, and "
        f"{int(mature.label.sum()):,} of these were won. The check needs {FEWEST_TO_JUDGE} of "
        "either outcome."
    )


def _retrain(verdict: Verdict) -> str:
    if verdict is Verdict.FINE:
        return ""
    return (
        "Data science: train again with `leadscore train`. `leadscore models promote VERSION` "
        "compares the new version with the champion."
    )


def percent(share: float) -> str:
    """Format a share in percent; small ones keep a decimal.

    Examples
    --------
    >>> percent(0.123), percent(0.01), percent(0.004), percent(0.0)
    ('12 %', '1 %', '0.4 %', '0 %')
    """
    value = 100 * share
    return f"{value:.0f} %" if value >= 1 or value < 0.05 else f"{value:.1f} %"
