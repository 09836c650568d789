"""Decides how often to retrain, from what models lose as they age, and says it in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from crm.text import counted
from reports.numbers import percent
from training.backtest.ages import (
    FEWEST_PAIRS,
    Estimate,
    QualityAtAge,
    extra_over_life,
    gain_over_base_rate,
)
from training.backtest.plan import Plan
from training.backtest.scored import ScoredMoments

TOLERATED: Final = 0.05  # share of the sure gain over the base rate that ageing may cost

Verdict = Literal["interval", "longest tested", "shortest tested", "cannot tell", "no gain"]


@dataclass(frozen=True)
class Life:
    """What it costs to retrain after a time, compared with the shortest time that was tested.

    Attributes
    ----------
    days : int
        How long each model is used.
    extra_log_loss : Estimate
        The mean over this time of the log loss of the model minus that of the newest model.
    """

    days: int
    extra_log_loss: Estimate


@dataclass(frozen=True)
class Advice:
    """How often to retrain.

    Attributes
    ----------
    verdict : str
        "interval": `days` is the longest interval whose cost is surely tolerated. "longest
        tested": so is the longest one that was tested. "shortest tested": no other one is
        tolerated. "cannot tell": there is too little data. "no gain": the model is not better
        than the base rate.
    days : int or None
        The interval; None if it cannot be told.
    gain : Estimate or None
        How much lower the log loss of the newest models is than that of the base rate.
    tolerated : float or None
        The log loss that ageing may cost: `TOLERATED` of the lower end of the gain.
    lives : tuple of Life
        The intervals that were tested.
    sentences : tuple of str
        The advice in words, the most important first.
    """

    verdict: Verdict
    days: int | None
    gain: Estimate | None
    tolerated: float | None
    lives: tuple[Life, ...]
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the advice as plain data."""
        gain = self.gain
        return {
            "verdict": self.verdict,
            "every_days": self.days,
            "sentences": list(self.sentences),
            "gain": None if gain is None else gain.value,
            "gain_interval": None if gain is None else [gain.low, gain.high],
            "tolerated": self.tolerated,
            "tolerated_share_of_sure_gain": TOLERATED,
            "lives": [
                {
                    "days": life.days,
                    "extra_log_loss": life.extra_log_loss.value,
                    "interval": [life.extra_log_loss.low, life.extra_log_loss.high],
                }
                for life in self.lives
            ],
        }


def advise(scored: ScoredMoments, plan: Plan, ages: Sequence[QualityAtAge]) -> Advice:
    """Decide how often to retrain.

    A model that is used for m periods has the ages 0 to m − 1. What this costs is the mean of its
    extra log loss over these ages; at age 0 it is zero. The advice is the longest use whose cost,
    at the upper end of its interval, is at most `TOLERATED` of the gain over the base rate, at the
    lower end of its interval, if that is true of all shorter ones too.

    Parameters
    ----------
    scored : ScoredMoments
    plan : Plan
    ages : sequence of QualityAtAge
        The result of `by_age`.

    Returns
    -------
    Advice
    """
    gain = gain_over_base_rate(scored)
    if gain is None or len(ages) < 2 or any(age.extra_log_loss is None for age in ages[1:]):
        return Advice("cannot tell", None, gain, None, (), (_too_little(scored),))
    lives = _lives(scored, plan, len(ages))
    if gain.low <= 0:
        return Advice("no gain", None, gain, None, lives, _no_gain(plan, gain, lives[0]))
    tolerated = TOLERATED * gain.low
    n_good = 0
    while n_good < len(lives) and lives[n_good].extra_log_loss.high <= tolerated:
        n_good += 1
    days = lives[n_good - 1].days if n_good else plan.every_days
    verdict: Verdict = "interval"
    if n_good == len(lives):
        verdict = "longest tested"
    elif n_good == 0 and lives[0].extra_log_loss.low > tolerated:
        verdict = "shortest tested"
    elif n_good == 0:
        return Advice(
            "cannot tell", None, gain, tolerated, lives, _unclear(plan, lives[0], tolerated)
        )
    sentences = [_headline(verdict, days)]
    if n_good:
        sentences += [*_as_old_as(ages[n_good]), _cost(plan, lives[n_good - 1], tolerated)]
    if n_good < len(lives):
        sentences.append(_next(lives[n_good], tolerated))
    return Advice(verdict, days, gain, tolerated, lives, tuple(sentences))


def _lives(scored: ScoredMoments, plan: Plan, n_ages: int) -> tuple[Life, ...]:
    """Measure the cost of each use of two periods and more."""
    same = [scored.at_age(age) for age in range(1, n_ages)]
    return tuple(
        Life(
            days=n * plan.every_days,
            extra_log_loss=extra_over_life(same[: n - 1], [1 / n] * (n - 1)),
        )
        for n in range(2, n_ages + 1)
    )


def _headline(verdict: Verdict, days: int) -> str:
    if verdict == "longest tested":
        return (
            f"Retraining every {counted(days, 'day')} is enough. Longer intervals could not be "
            "tested with this history."
        )
    if verdict == "shortest tested":
        return (
            f"Retrain every {counted(days, 'day')} or more often. No shorter interval was tested; "
            "`leadscore backtest --every DAYS` tests one."
        )
    return f"Retrain every {counted(days, 'day')}."


def _as_old_as(age: QualityAtAge) -> list[str]:
    """Describe how models of an age rank, next to the newest ones."""
    area, extra = age.quality.roc_auc, age.extra_roc_auc
    if area is None or extra is None:
        return []
    return [
        f"A model that is {age.from_days} to {age.to_days} days old gives the higher score to the "
        f"won lead in {100 * area.value:.1f} of 100 pairs of a won and a lost lead; the newest "
        f"model does so in {100 * (area.value - extra.value):.1f} of 100 pairs of the same leads."
    ]


def _cost(plan: Plan, life: Life, tolerated: float) -> str:
    extra = life.extra_log_loss
    return (
        f"Over {life.days} days, the log loss of a model is {_change(extra)} than with a new model "
        f"every {counted(plan.every_days, 'day')}. Tolerated are {tolerated:.4f}, which is "
        f"{percent(TOLERATED, 0)} of what the model surely gains over the share of wins alone."
    )


def _next(life: Life, tolerated: float) -> str:
    extra = life.extra_log_loss
    if extra.low > tolerated:
        return f"Every {life.days} days is too seldom: the log loss is {_change(extra)}."
    return (
        f"Whether every {life.days} days is enough cannot be told: the log loss is "
        f"{_change(extra)}."
    )


def _unclear(plan: Plan, life: Life, tolerated: float) -> tuple[str, ...]:
    return (
        "The data cannot tell how often to retrain.",
        f"With a new model every {life.days} days in place of every {plan.every_days}, the log "
        f"loss is {_change(life.extra_log_loss)}. Tolerated are {tolerated:.4f}, which is "
        f"{percent(TOLERATED, 0)} of what the model surely gains over the share of wins alone. The "
        "true change may be below or above that. More outcomes or a longer history would tell.",
    )


def _change(extra: Estimate) -> str:
    """Write how much higher or lower a log loss is, with its interval.

    Examples
    --------
    >>> _change(Estimate(0.002, -0.001, 0.005)), _change(Estimate(-0.002, -0.004, -0.001))
    ('0.0020 higher (−0.0010 to +0.0050)', '0.0020 lower (−0.0040 to −0.0010)')
    """
    low, high = (f"{end:+.4f}".replace("-", "−") for end in (extra.low, extra.high))
    word = "lower" if extra.value < 0 else "higher"
    return f"{abs(extra.value):.4f} {word} ({low} to {high})"


def _too_little(scored: ScoredMoments) -> str:
    n = len(scored.at_age(1).pairs)
    return (
        "The data cannot tell how often to retrain: there are too few cut-offs, or too few "
        f"outcomes after them. {counted(n, 'pair')} of an older and a newest model can be "
        f"compared, and at least {FEWEST_PAIRS} are needed. Export a longer history."
    )


def _no_gain(plan: Plan, gain: Estimate, life: Life) -> tuple[str, ...]:
    """Describe models that are no better than the base rate, and that they age, if this is sure."""
    change = _change(Estimate(-gain.value, -gain.high, -gain.low))
    no_gain = (
        "New models are not surely better than the share of wins alone, so the data cannot tell "
        f"how often to retrain: their log loss is {change}."
    )
    if life.extra_log_loss.low <= 0:
        return (no_gain,)
    return (
        no_gain,
        f"But models age: with a new model every {life.days} days in place of every "
        f"{plan.every_days}, the log loss is {_change(life.extra_log_loss)}. No shorter interval "
        "was tested; `leadscore backtest --every DAYS` tests one.",
    )
