"""Measures how good models are by their age, and what they lose against the newest model.

The figures of two ages are about different leads, because only the leads of later periods have
been scored by old models. What an old model loses is therefore measured on the same leads: its
metric minus that of the newest model that was trained before they were created.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats
from features.intervals import Z
from models.evaluation.cut_offs import CutOffMetrics
from models.evaluation.intervals import mean_interval, percentiles, resamples, squares_by_lead
from models.evaluation.jackknife import pairs_error, t_quantile
from models.evaluation.metrics import FEWEST_TO_JUDGE, log_losses
from training.backtest.plan import Plan
from training.backtest.scored import SameLeads, ScoredMoments

FEWEST_PAIRS: Final = 3  # of an older and a newest model, to compare them


class Estimate(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def wider(self, half: float) -> "Estimate":
        """Return the figure with an interval that extends at least this far to each side."""
        low, high = min(self.low, self.value - half), max(self.high, self.value + half)
        return Estimate(self.value, low, high)


@dataclass(frozen=True)
class Quality:
    """How good models are on some leads; None where there are too few outcomes.

    Attributes
    ----------
    n, n_leads : int
        The numbers of moments and leads.
    base_rate, predicted : float
        The share of the moments that was won, and the mean probability.
    gap : Estimate
        `predicted` minus `base_rate`, with an interval by lead.
    log_loss, roc_auc : Estimate or None
        Intervals are by lead. ROC AUC is the mean over the models.
    """

    n: int
    n_leads: int
    base_rate: float
    predicted: float
    gap: Estimate
    log_loss: Estimate | None
    roc_auc: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; intervals are lists in `intervals`."""
        figures = {"gap": self.gap, "log_loss": self.log_loss, "roc_auc": self.roc_auc}
        counts = {name: getattr(self, name) for name in ("n", "n_leads", "base_rate", "predicted")}
        return counts | as_json(figures)


@dataclass(frozen=True)
class QualityAtAge:
    """How good models of one age are, and what they lose against the newest model.

    Attributes
    ----------
    from_days, to_days : int
        The age of the model when the lead was created.
    n_models : int
        The number of models that reached this age.
    quality : Quality
    extra_log_loss, extra_roc_auc : Estimate or None
        The metric of the older model minus that of the newest one, on the same leads. The interval
        is the wider one of two: one lets the leads vary, the other the cut-offs. None for the
        newest model itself, and with fewer than `FEWEST_PAIRS` models.
    """

    from_days: int
    to_days: int
    n_models: int
    quality: Quality
    extra_log_loss: Estimate | None
    extra_roc_auc: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; intervals are lists in `intervals`."""
        extra = as_json({n: getattr(self, n) for n in ("extra_log_loss", "extra_roc_auc")})
        quality = self.quality.to_json()
        intervals = quality.pop("intervals") | extra.pop("intervals")
        days = {"from_days": self.from_days, "to_days": self.to_days, "n_models": self.n_models}
        return days | quality | extra | {"intervals": intervals}


@dataclass(frozen=True)
class QualityInPeriod:
    """How good the newest model was in one period.

    Attributes
    ----------
    begins, ends : int
        Microseconds since 1970 UTC. The period begins with the cut-off of the model.
    quality : Quality
    base_log_loss : float or None
        The log loss of the base rate that was known at the cut-off.
    """

    begins: int
    ends: int
    quality: Quality
    base_log_loss: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; `from` and `to` are days, UTC."""
        first, last = (
            f"{pd.Timestamp(at, unit='us'):%Y-%m-%d}" for at in (self.begins, self.ends - 1)
        )
        return {"from": first, "to": last, **self.quality.to_json()} | {
            "base_rate_log_loss": self.base_log_loss
        }


def as_json(figures: dict[str, Estimate | None]) -> dict[str, Any]:
    """Return figures as plain data: values by name, and their intervals in `intervals`.

    Examples
    --------
    >>> as_json({"gap": Estimate(0.1, 0.0, 0.2), "roc_auc": None})
    {'gap': 0.1, 'roc_auc': None, 'intervals': {'gap': [0.0, 0.2]}}
    """
    values = {name: None if figure is None else figure.value for name, figure in figures.items()}
    intervals = {name: [f.low, f.high] for name, f in figures.items() if f is not None}
    return {**values, "intervals": intervals}


def by_age(scored: ScoredMoments, plan: Plan, seed: int) -> list[QualityAtAge]:
    """Measure the quality at each age that at least `FEWEST_PAIRS` models reached.

    The first is that of the newest models; it is there even with fewer models.
    """
    ages = []
    for age in range(len(plan.cut_offs)):
        same = scored.at_age(age)
        if len(same.pairs) < (FEWEST_PAIRS if age else 1):
            break
        quality, extra_auc = _quality(same, same.old, seed)
        has_extra = bool(age) and quality.log_loss is not None
        ages.append(
            QualityAtAge(
                from_days=age * plan.every_days,
                to_days=(age + 1) * plan.every_days,
                n_models=len(same.pairs),
                quality=quality,
                extra_log_loss=extra_over_life([same], [1.0]) if has_extra else None,
                extra_roc_auc=extra_auc if has_extra else None,
            )
        )
    return ages


def by_period(scored: ScoredMoments, plan: Plan, seed: int) -> list[QualityInPeriod]:
    """Measure the quality of the newest model in each period that has one."""
    newest = scored.at_age(0)
    periods = []
    ends = [*plan.cut_offs[1:], plan.end]
    for number in np.unique(newest.period):
        rows = np.flatnonzero(newest.period == number)
        of_one = SameLeads(
            newest.moments.take(rows), newest.period[rows], 0, newest.old[rows], newest.new[rows]
        )
        quality, _ = _quality(of_one, of_one.old, seed)
        losses = log_losses(np.full(len(rows), scored.base_log_odds[number]), of_one.moments.label)
        base = float(np.average(losses, weights=of_one.moments.weight))
        periods.append(
            QualityInPeriod(
                begins=plan.cut_offs[number],
                ends=ends[number],
                quality=quality,
                base_log_loss=None if quality.log_loss is None else base,
            )
        )
    return periods


def gain_over_base_rate(scored: ScoredMoments) -> Estimate | None:
    """Compute how much lower the log loss of the newest model is than that of the base rate.

    Returns
    -------
    Estimate or None
        With an interval by lead; None with too few outcomes.
    """
    newest = scored.at_age(0)
    moments = newest.moments
    if not len(moments) or moments.rarer < FEWEST_TO_JUDGE:
        return None
    base = log_losses(scored.base_log_odds[newest.period], moments.label)
    gain = base - log_losses(newest.new, moments.label)
    value = float(np.average(gain, weights=moments.weight))
    return Estimate(value, *mean_interval(gain, moments.weight, moments.lead))


def extra_over_life(ages: list[SameLeads], shares: list[float]) -> Estimate:
    """Compute what older models lose in log loss against the newest ones, as a mean over ages.

    Parameters
    ----------
    ages : list of SameLeads
        At least `FEWEST_PAIRS` pairs of models at each age.
    shares : list of float
        How much each age counts in the sum.

    Returns
    -------
    Estimate
        The interval is the wider one of two. One lets the leads vary: all moments of a lead, at
        all ages, count together. The other lets the cut-offs vary (`pairs_error`), with as many
        degrees of freedom as the age with the fewest models allows.
    """
    extra = [
        log_losses(same.old, same.moments.label) - log_losses(same.new, same.moments.label)
        for same in ages
    ]

    def value_without(cut_off: int | None) -> float:
        total = 0.0
        for same, values, share in zip(ages, extra, shares, strict=True):
            weight = same.moments.weight
            if cut_off is not None:
                weight = weight * same.without(cut_off)
            total += share * float(weight @ values / weight.sum())
        return total

    value = value_without(None)
    influence = [
        share * same.moments.weight * (values - np.average(values, weights=same.moments.weight))
        / same.moments.weight.sum()
        for same, values, share in zip(ages, extra, shares, strict=True)
    ]  # fmt: skip
    lead = np.concatenate([same.moments.lead for same in ages])
    by_lead = Z * float(np.sqrt(squares_by_lead(np.concatenate(influence), lead)))
    cut_offs = sorted({number for same in ages for number in same.cut_offs})
    fewest = min(len(same.pairs) for same in ages)
    by_cut_off = t_quantile(fewest) * pairs_error(value_without, cut_offs)
    return Estimate(value, value, value).wider(max(by_lead, by_cut_off))


def _quality(same: SameLeads, log_odds: Floats, seed: int) -> tuple[Quality, Estimate | None]:
    """Measure log-odds; return what their ROC AUC differs from that of the newest model too."""
    moments = same.moments
    label, weight, lead = moments.label, moments.weight, moments.lead
    predicted = expit(log_odds)
    base_rate, mean = (float(np.average(v, weights=weight)) for v in (label, predicted))
    log_loss = roc_auc = extra_auc = None
    if moments.rarer >= FEWEST_TO_JUDGE:
        losses = log_losses(log_odds, label)
        log_loss = Estimate(
            float(np.average(losses, weights=weight)), *mean_interval(losses, weight, lead)
        )
        roc_auc, extra_auc = _ranking(same, log_odds, seed)
    quality = Quality(
        n=len(moments),
        n_leads=len(np.unique(lead)),
        base_rate=base_rate,
        predicted=mean,
        gap=Estimate(mean - base_rate, *mean_interval(predicted - label, weight, lead)),
        log_loss=log_loss,
        roc_auc=roc_auc,
    )
    return quality, extra_auc


def _ranking(
    same: SameLeads, log_odds: Floats, seed: int
) -> tuple[Estimate | None, Estimate | None]:
    """Compute ROC AUC within each period, and minus that of the newest model on the same leads."""
    label, weight = same.moments.label, same.moments.weight
    of_old = CutOffMetrics(log_odds, label, same.period)
    of_new = CutOffMetrics(same.new, label, same.period)

    def areas(weight: Floats) -> tuple[float, float] | None:
        """Return ROC AUC and the difference; None if no period has both outcomes."""
        old, new = of_old.means(weight).get("roc_auc"), of_new.means(weight).get("roc_auc")
        return None if old is None or new is None else (old, old - new)

    values = areas(weight)
    if values is None:
        return None, None
    drawn = [areas(weight * times) for times in resamples(same.moments.lead, seed)]
    draws = np.array([pair for pair in drawn if pair is not None])
    roc_auc = Estimate(values[0], *percentiles(draws[:, 0]))
    if not same.age or len(same.pairs) < FEWEST_PAIRS:
        return roc_auc, None
    without = {number: areas(weight * same.without(number)) for number in same.cut_offs}
    if None in without.values():
        return roc_auc, None
    error = pairs_error(lambda number: without[number][1], same.cut_offs)  # type: ignore[index]
    extra = Estimate(values[1], *percentiles(draws[:, 1]))
    return roc_auc, extra.wider(t_quantile(len(same.pairs)) * error)
