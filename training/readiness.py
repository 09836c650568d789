"""Assesses whether a model is fit for use: a verdict, and the reasons with their figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from features.moments import Moments
from models.evaluation.intervals import share_interval
from models.evaluation.metrics import FEWEST_TO_JUDGE, Evaluation
from models.fitting.split import Split
from reports.numbers import x_of_n

ENOUGH = 50  # leads of the rarer outcome: lift and conversion are then known to about a quarter
CALIBRATED = 0.05
CHANCE_TIMES = 2.0
SHIFT = 1.5
TOO_GOOD = 0.98
DIGITS = 4  # of log losses; a difference that these digits show as 0 is none
NO_TIMES = (
    "The leads have no creation time, so nothing prevents the model from learning what became "
    "known only after the moment of scoring."
)

Difference = tuple[float, float, float]  # the value, and the ends of its interval
Level = Literal["ready", "usable", "not ready"]


class Reason(NamedTuple):
    """A reason for a verdict, as a sentence for each kind of reader.

    Attributes
    ----------
    plain : str
        For marketing and sales, without terms of statistics.
    technical : str
        For data scientists: the same figures by their names, such as ROC AUC and log loss.
    """

    plain: str
    technical: str


NOTHING = Reason("", "")


@dataclass(frozen=True)
class Readiness:
    """Whether a model is fit for use.

    Attributes
    ----------
    verdict : {"ready", "usable", "not ready"}
        "usable" means with the reservations among the reasons.
    reasons : list of Reason
        Those against the model come first.
    """

    verdict: Level
    reasons: list[Reason]

    def to_json(self) -> dict[str, str | list[str]]:
        """Return the verdict and the reasons of both kinds as plain data."""
        return {
            "verdict": self.verdict,
            "reasons": [reason.plain for reason in self.reasons],
            "technical_reasons": [reason.technical for reason in self.reasons],
        }


def assess_readiness(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    split: Split,
    *,
    in_order: bool,
    left_out: Sequence[str] = (),
    remedies: Reason = NOTHING,
) -> Readiness:
    """Return whether a model is ready, usable or not ready, and why.

    It is *not ready* if

    - fewer than `FEWEST_TO_JUDGE` test leads have the rarer outcome, or
    - it ranks leads no better than chance, or worse: the interval of ROC AUC is not above 0.5.

    Otherwise it is *usable*, with reservations, if

    - fewer than `ENOUGH` test leads have the rarer outcome, or
    - its log loss is not better than the base rate's beyond chance, or another baseline's is
      better than its own beyond chance; both are decided by the interval of the paired
      difference, as in the gates, or
    - predicted probabilities are off by more than `CALIBRATED` on average, and by more than
      `CHANCE_TIMES` the error that perfect probabilities would show by chance, or
    - the share of wins differs between training and test by a factor of `SHIFT`, and beyond
      chance, or
    - ROC AUC is at least `TOO_GOOD`, which in sales is more often a leak than skill, or
    - the leads have no creation time, so nothing protects against leaks in time, or
    - the leads have no order, so the test leads are not the newest.

    Otherwise it is *ready*. The reasons also contain what speaks for the model, and how many
    columns the leak audit left out.

    Parameters
    ----------
    test : Evaluation
        The evaluation on the test moments.
    baselines : mapping of str to Evaluation
        Evaluations on the same moments, among them `base_rate`.
    gained : mapping of str to (float, float, float)
        The model's log loss minus the baseline's, with its interval, by baseline.
    split : Split
        The training and test moments.
    in_order : bool
        Whether the leads are in the order of time.
    left_out : sequence of str
        Columns that the leak audit left out.
    remedies : Reason
        What the model does against drift, or that nothing helps; sentences, or empty.

    Returns
    -------
    Readiness

    Examples
    --------
    >>> from features.moments import Moments
    >>> label = np.array([0, 1] * 30, dtype=np.int8)
    >>> moments = Moments(np.arange(60), np.arange(60), label, np.arange(60), np.ones(60), {})
    >>> chance = Evaluation(60, 60, 0.5, {"roc_auc": 0.5, "log_loss": 0.70, "ece": 0.0},
    ...                     {"roc_auc": (0.42, 0.58), "log_loss": (0.69, 0.71),
    ...                      "ece": (0.0, 0.1)}, 0.05)
    >>> readiness = assess_readiness(chance, {"base_rate": chance},
    ...                             {"base_rate": (0.0, -0.01, 0.01)},
    ...                             Split(moments, moments, 0, ""), in_order=True)
    >>> readiness.verdict, readiness.reasons[0].technical
    ('not ready', 'It ranks leads no better than chance: ROC AUC 0.500 (0.420 to 0.580).')
    """
    fatal = list(_fatal(test, split))
    reservations = list(_reservations(test, baselines, gained, split, in_order, remedies))
    supports = list(_supports(test, baselines, gained, left_out))
    verdict: Level = "not ready" if fatal else "usable" if reservations else "ready"
    return Readiness(verdict, [*fatal, *reservations, *supports])


def unknown_readiness(split: Split, *, left_out: Sequence[str] = ()) -> Readiness:
    """Return the readiness of a model without a test: not ready, with the reason.

    Parameters
    ----------
    split : Split
        A split with an empty test set.
    left_out : sequence of str
        Columns that the leak audit left out.
    """
    reasons = [_same(f"Its quality is unknown. {split.how}")]
    if not split.train.has_times:
        reasons.append(_same(NO_TIMES))
    return Readiness("not ready", [*reasons, *_leaks(left_out)])


def _fatal(test: Evaluation, split: Split) -> Iterator[Reason]:
    """Return the reasons that make a model not ready."""
    n, outcome = _rarer(split)
    if n < FEWEST_TO_JUDGE:
        yield _same(
            f"Only {n} of the {test.n_leads:,} test leads {outcome}; at least {FEWEST_TO_JUDGE} "
            "are needed to evaluate it."
        )
    if test.intervals["roc_auc"][1] < 0.5:
        worse = "It ranks leads worse than chance"
        yield Reason(
            f"{worse}: only {_pairs_in_order(test)}; by chance, 50 are.",
            f"{worse}: {_roc_auc(test)}; chance is 0.5.",
        )
    elif not _ranks(test):
        chance = "It ranks leads no better than chance"
        yield Reason(f"{chance}: {_pairs_in_order(test)}.", f"{chance}: {_roc_auc(test)}.")


def _reservations(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    split: Split,
    in_order: bool,
    remedies: Reason,
) -> Iterator[Reason]:
    """Return the reasons that make a model usable instead of ready."""
    n, outcome = _rarer(split)
    if FEWEST_TO_JUDGE <= n < ENOUGH:
        yield _same(
            f"Only {n} of the {test.n_leads:,} test leads {outcome}: its figures are uncertain."
        )
    losses = {name: _losses(test, baseline, gained[name]) for name, baseline in baselines.items()}
    if _is_worse(gained["base_rate"]):
        yield Reason(
            "Its predicted chances are clearly worse than the same chance for all leads: an error "
            f"of {losses['base_rate']}.",
            "Its probabilities are worse than the base rate beyond chance: log loss "
            f"{losses['base_rate']}.",
        )
    elif not _is_better(gained["base_rate"]):
        yield Reason(
            "Its predicted chances are not clearly better than the same chance for all leads: "
            f"an error of {losses['base_rate']}.",
            "Its probabilities are not better than the base rate beyond chance: log loss "
            f"{losses['base_rate']}.",
        )
    for name, difference in gained.items():
        if name != "base_rate" and _is_worse(difference):
            yield Reason(
                f"A simpler model ({name}) is clearly better: an error of {losses[name]}.",
                f"A simpler model ({name}) is better beyond chance: log loss {losses[name]}.",
            )
    shift = _shift(split)
    if shift:
        ranking = ", but the ranking still holds" if _ranks(test) else ""
        out_of_date = f"{shift}, so its probabilities are out of date{ranking}."
        yield Reason(*(f"{out_of_date} {sentence}".strip() for sentence in remedies))
    error = test.values["ece"]
    if error > CALIBRATED and error > CHANCE_TIMES * test.error_by_chance:
        yield Reason(
            f"Predicted chances are off by {_error(test)}.",
            f"Its probabilities are not calibrated: {_calibration_error(test)}.",
        )
    if test.values["roc_auc"] >= TOO_GOOD:
        ranks, advice = "It ranks leads too well to be true in most sales", "Look for a column"
        advice += " that is filled after the outcome."
        yield Reason(
            f"{ranks}: {_pairs_in_order(test)}. {advice}", f"{ranks}: {_roc_auc(test)}. {advice}"
        )
    if not split.test.has_times:
        yield _same(NO_TIMES)
    if not in_order:
        yield _same(
            "The test leads are not the newest but a random sample: expect worse figures for "
            "newer leads."
        )


def _supports(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    left_out: Sequence[str],
) -> Iterator[Reason]:
    """Return what speaks for a model."""
    if _is_better(gained["base_rate"]):
        losses = _losses(test, baselines["base_rate"], gained["base_rate"])
        yield Reason(
            "Its predicted chances are clearly better than the same chance for all leads: an "
            f"error of {losses}.",
            f"Its probabilities are better than the base rate beyond chance: log loss {losses}.",
        )
    if _ranks(test):
        ranks = "It ranks leads better than chance"
        yield Reason(
            f"{ranks}: {_pairs_in_order(test)}; by chance, 50 are.",
            f"{ranks}: {_roc_auc(test)}; chance is 0.5.",
        )
    if test.values["ece"] <= CALIBRATED:
        yield Reason(
            f"Predicted chances are off by only {_error(test)}.",
            f"Its probabilities are calibrated: {_calibration_error(test)}.",
        )
    yield from _leaks(left_out)


def _leaks(left_out: Sequence[str]) -> Iterator[Reason]:
    if left_out:
        columns = "column" if len(left_out) == 1 else "columns"
        yield _same(
            f"The leak audit left out {len(left_out)} {columns} that may contain information "
            "from after the moment of scoring."
        )


def _same(sentence: str) -> Reason:
    """Return a reason that has no terms, so that its sentence is the same for all readers."""
    return Reason(sentence, sentence)


def _is_better(gained: Difference) -> bool:
    """Return whether a model has a lower log loss beyond chance, by more than rounding."""
    value, _, high = gained
    return high < 0 and round(value, DIGITS) < 0


def _is_worse(gained: Difference) -> bool:
    value, low, _ = gained
    return low > 0 and round(value, DIGITS) > 0


def _losses(test: Evaluation, baseline: Evaluation, gained: Difference) -> str:
    """Format the log loss of a model and of a baseline, and their difference."""
    value, low, high = gained
    return (
        f"{test.values['log_loss']:.3f} against {baseline.values['log_loss']:.3f}, "
        f"a difference of {value:+z.{DIGITS}f} ({low:+z.{DIGITS}f} to {high:+z.{DIGITS}f})"
    )


def _ranks(test: Evaluation) -> bool:
    return test.intervals["roc_auc"][0] > 0.5


def _pairs_in_order(test: Evaluation) -> str:
    """Format the ROC AUC by its meaning: the share of pairs of a win and a loss in order."""
    low, high = test.intervals["roc_auc"]
    return (
        f"{100 * test.values['roc_auc']:.1f} of 100 pairs of a won and a lost lead are in order "
        f"({100 * low:.1f} to {100 * high:.1f})"
    )


def _roc_auc(test: Evaluation) -> str:
    low, high = test.intervals["roc_auc"]
    return f"ROC AUC {test.values['roc_auc']:.3f} ({low:.3f} to {high:.3f})"


def _rarer(split: Split) -> tuple[int, str]:
    """Return the number of test leads with the rarer outcome, and the outcome in words."""
    lead, label = split.test.lead, split.test.label
    won, lost = (len(np.unique(lead[label == outcome])) for outcome in (1, 0))
    if won <= lost:
        return won, "was won" if won == 1 else "were won"
    return lost, "was not won" if lost == 1 else "were not won"


def _shift(split: Split) -> str | None:
    """Return how the share of wins changed from training to test, if it did beyond chance."""
    before, after = (
        float(np.average(moments.label, weights=moments.weight))
        for moments in (split.train, split.test)
    )
    low, high = share_interval(split.test.label, split.test.weight, split.test.lead)
    is_large = max(before, after) >= SHIFT * min(before, after)
    if not is_large or low <= before <= high:
        return None
    verb = "rose" if after > before else "fell"
    return f"The share of wins {verb} from {_won(before, split.train)} to {_won(after, split.test)}"


def _won(share: float, moments: Moments) -> str:
    """Format the share of wins of some moments with its counts."""
    text = f"{100 * share:.0f} %" if share >= 0.02 else f"{100 * share:.1f} %"
    return f"{text} ({x_of_n(int(moments.label.sum()), len(moments))})"


def _error(test: Evaluation) -> str:
    low, high = test.intervals["ece"]
    return (
        f"{100 * test.values['ece']:.1f} points on average ({100 * low:.1f} to {100 * high:.1f}); "
        f"perfect ones would seem to be off by {100 * test.error_by_chance:.1f}"
    )


def _calibration_error(test: Evaluation) -> str:
    low, high = test.intervals["ece"]
    return (
        f"calibration error (ECE) {test.values['ece']:.3f} ({low:.3f} to {high:.3f}); correct "
        f"probabilities would have {test.error_by_chance:.3f}"
    )
