"""Whether a model is fit to work with: a verdict, and the reasons with their figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.evaluation.intervals import share_interval
from models.evaluation.metrics import FEWEST_TO_JUDGE, Evaluation
from training.split import Split

ENOUGH = 50  # leads of the rarer outcome: lift and conversion are then known to about a quarter
CALIBRATED = 0.05
CHANCE_TIMES = 2.0
SHIFT = 1.5
TOO_GOOD = 0.98
NO_TIMES = (
    "The leads have no time of creation: nothing protects it from having learned what became "
    "known only after the moment of scoring."
)

Difference = tuple[float, float, float]  # the value, and the ends of its interval
Level = Literal["ready", "usable", "not ready"]


@dataclass(frozen=True)
class Readiness:
    """What to make of a model.

    Attributes
    ----------
    verdict : {"ready", "usable", "not ready"}
        "usable" means with the reservations that the reasons name.
    reasons : list of str
        Sentences for a person, what speaks against it first.
    """

    verdict: Level
    reasons: list[str]

    def to_json(self) -> dict[str, str | list[str]]:
        """Give the judgement as plain data."""
        return {"verdict": self.verdict, "reasons": list(self.reasons)}


def judge_readiness(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    split: Split,
    *,
    in_order: bool,
    left_out: Sequence[str] = (),
) -> Readiness:
    """Say whether a model is ready, usable or not ready, and why.

    It is *not ready* if

    - fewer than `FEWEST_TO_JUDGE` test leads have the rarer outcome, or
    - its order of the leads is no better than chance: the interval of ROC AUC holds 0.5.

    Else it is *usable*, with reservations, if

    - fewer than `ENOUGH` test leads have the rarer outcome, or
    - its log loss is not better than the base rate's beyond chance, or another baseline's is
      better than its own beyond chance: the interval of the paired difference, which is the
      one that the gates ask for, does not lie on that side of 0, or
    - stated probabilities are off by more than `CALIBRATED` on average, and by more than
      `CHANCE_TIMES` what right ones would seem to be off, or
    - the share of wins differs between training and test by a factor of `SHIFT`, and beyond
      chance, or
    - ROC AUC is `TOO_GOOD`, which in sales a leak explains more often than skill, or
    - the leads have no time of creation, so nothing protects against leaks in time, or
    - they stand in no order, so the test leads are not the newest.

    Else it is *ready*. What speaks for it, and what the leak audit left out, is said as well.

    Parameters
    ----------
    test : Evaluation
        On the test moments.
    baselines : mapping of str to Evaluation
        On the same moments; `base_rate` must be there.
    gained : mapping of str to (float, float, float)
        For each baseline the model's log loss less the baseline's, with its interval.
    split : Split
        What was learned from to be judged, and what judged.
    in_order : bool
        Whether the leads stand in the order of time.
    left_out : sequence of str
        Columns that the leak audit keeps out.

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
    >>> found = judge_readiness(chance, {"base_rate": chance},
    ...                         {"base_rate": (0.0, -0.01, 0.01)},
    ...                         Split(moments, moments, 0, ""), in_order=True)
    >>> found.verdict, found.reasons[0]
    ('not ready', 'It orders the leads no better than chance: ROC AUC 0.500 (0.420 to 0.580).')
    """
    fatal = list(_fatal(test, split))
    reservations = list(_reservations(test, baselines, gained, split, in_order))
    supports = list(_supports(test, baselines, gained, left_out))
    verdict: Level = "not ready" if fatal else "usable" if reservations else "ready"
    return Readiness(verdict, [*fatal, *reservations, *supports])


def not_judged(split: Split, *, left_out: Sequence[str] = ()) -> Readiness:
    """Say of a model that nobody judged that it is not ready, and why nobody did.

    Parameters
    ----------
    split : Split
        Whose test is empty.
    left_out : sequence of str
        Columns that the leak audit keeps out.
    """
    reasons = [f"Nobody can tell how good it is. {split.how}"]
    if not split.train.has_times:
        reasons.append(NO_TIMES)
    return Readiness("not ready", [*reasons, *_leaks(left_out)])


def _fatal(test: Evaluation, split: Split) -> Iterator[str]:
    n, word = _rarer(split)
    if n < FEWEST_TO_JUDGE:
        yield (
            f"Only {n} of the {test.n_leads:,} test leads {word}; with fewer than "
            f"{FEWEST_TO_JUDGE} nobody can tell how good it is."
        )
    if not _ranks(test):
        yield f"It orders the leads no better than chance: ROC AUC {_with_interval(test)}."


def _reservations(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    split: Split,
    in_order: bool,
) -> Iterator[str]:
    n, word = _rarer(split)
    if FEWEST_TO_JUDGE <= n < ENOUGH:
        yield f"Only {n} of the {test.n_leads:,} test leads {word}: intervals are wide."
    losses = {name: _losses(test, other, gained[name]) for name, other in baselines.items()}
    if not _is_better(gained["base_rate"]):
        yield (
            "Its probabilities are not better than the base rate beyond chance: "
            f"{losses['base_rate']}."
        )
    for name, (_, low, _) in gained.items():
        if name != "base_rate" and low > 0:
            yield f"A simpler model ({name}) does better beyond chance: {losses[name]}."
    shift = _shift(split)
    if shift:
        holds = ", the order of the leads still holds" if _ranks(test) else ""
        yield f"{shift}: probabilities are stale{holds}."
    error = test.values["ece"]
    if error > CALIBRATED and error > CHANCE_TIMES * test.error_by_chance:
        yield f"Stated probabilities are off by {_error(test)}."
    if test.values["roc_auc"] >= TOO_GOOD:
        yield (
            f"ROC AUC {test.values['roc_auc']:.3f} is too good to be true in most sales: look "
            "for a field that is filled after the outcome."
        )
    if not split.test.has_times:
        yield NO_TIMES
    if not in_order:
        yield (
            "The test leads are not the newest but drawn at random: expect newer ones to be harder."
        )


def _supports(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    gained: Mapping[str, Difference],
    left_out: Sequence[str],
) -> Iterator[str]:
    if _is_better(gained["base_rate"]):
        losses = _losses(test, baselines["base_rate"], gained["base_rate"])
        yield f"Better than the base rate beyond chance: {losses}."
    if _ranks(test):
        yield (
            f"It orders the leads better than chance: ROC AUC {_with_interval(test)}, where "
            "chance has 0.5."
        )
    if test.values["ece"] <= CALIBRATED:
        yield f"Stated probabilities are off by {_error(test)}: that is little."
    yield from _leaks(left_out)


def _leaks(left_out: Sequence[str]) -> Iterator[str]:
    if left_out:
        fields = "field" if len(left_out) == 1 else "fields"
        yield f"The leak audit left out {len(left_out)} {fields} that may know too much."


def _is_better(gained: Difference) -> bool:
    return gained[2] < 0


def _losses(test: Evaluation, other: Evaluation, gained: Difference) -> str:
    value, low, high = gained
    return (
        f"log loss {test.values['log_loss']:.3f} against {other.values['log_loss']:.3f}, "
        f"a difference of {value:+.4f} ({low:+.4f} to {high:+.4f})"
    )


def _ranks(test: Evaluation) -> bool:
    return test.intervals["roc_auc"][0] > 0.5


def _with_interval(test: Evaluation) -> str:
    low, high = test.intervals["roc_auc"]
    return f"{test.values['roc_auc']:.3f} ({low:.3f} to {high:.3f})"


def _rarer(split: Split) -> tuple[int, str]:
    """Count the test leads of the rarer outcome."""
    lead, label = split.test.lead, split.test.label
    won, lost = (len(np.unique(lead[label == outcome])) for outcome in (1, 0))
    if won <= lost:
        return won, "was won" if won == 1 else "were won"
    return lost, "was not won" if lost == 1 else "were not won"


def _shift(split: Split) -> str | None:
    """Say how the share of wins moved from the training to the test leads, if it did."""
    before, after = (
        float(np.average(side.label, weights=side.weight)) for side in (split.train, split.test)
    )
    low, high = share_interval(split.test.label, split.test.weight, split.test.lead)
    far = max(before, after) >= SHIFT * min(before, after)
    if not far or low <= before <= high:
        return None
    verb = "rose" if after > before else "fell"
    return f"The share of wins {verb} from {_percent(before)} to {_percent(after)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.02 else f"{100 * share:.1f} %"


def _error(test: Evaluation) -> str:
    low, high = test.intervals["ece"]
    return (
        f"{100 * test.values['ece']:.1f} points on average ({100 * low:.1f} to {100 * high:.1f}); "
        f"right ones would seem to be off by {100 * test.error_by_chance:.1f}"
    )
