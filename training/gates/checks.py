"""The gates: numbered checks that a challenger must pass to become champion.

| gate | passes if |
|---|---|
| LG101 log loss | it is not worse, neither in the mean over the cut-offs nor on the newest leads alone: the 95 % interval of the paired difference reaches 0, or the difference is below 0.001 |
| LG102 PR AUC | it is not worse, by the same rule |
| LG103 calibration | predicted and true shares differ by at most 0.05, or by no more than chance explains with this number of leads, or the champion is not better beyond chance |
| LG104 free of leaks | the leak audit of today's records finds no leak among the columns that the model reads |
| LG105 segments | in no segment, such as one value of a category, is its log loss higher than that of the champion or of the base rate, beyond chance and by more than 0.01 |
| LG106 loads and answers | it loads from MLflow, verifies, and scores its golden leads as when it was saved |
| LG107 same scale | its base odds and grades are the pinned ones, and it predicts what the champion predicts: the same outcomes within the same number of days |
| LG108 newest leads | with the settings that it chose on its own newest leads, a fit to the older leads has no higher log loss on them than the base rate, beyond chance and by more than 0.001 |

LG101 and LG102 use all cut-offs (`training.rolling`) if there is a champion. The models that stand
for the newer version know at least what those of the older one know. All other comparisons
use the newest leads alone, because they are about what the version does now, and because the base
rate of the training moments was known only when the newest leads began.
"""  # noqa: E501  # a Markdown table row cannot be wrapped

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, ParamSpec

import numpy as np
import scipy.stats
from scipy.special import expit, log_expit

from crm.arrays import Bools, Floats, Ints, Labels
from crm.errors import LeadScoringError
from crm.project import Project
from crm.records import Records
from features.groups import groups_by_value
from features.intervals import LEVEL
from features.leaks.audit import Audit
from features.leaks.check import Verdict
from features.moments import Moments
from models.artifact import LoadedModel
from models.card import question_in_words, same_question
from models.estimator.blend import BaseRate
from models.evaluation.cut_offs import CutOffMetrics
from models.evaluation.intervals import squares_by_lead
from models.evaluation.metrics import FEWEST_TO_JUDGE
from models.registry.history import Gate
from models.scale import Scale
from models.scorer import LeadScorer
from training.comparison.comparison import Difference, SharedMoments

Inputs = ParamSpec("Inputs")

TINY = 0.001  # of log loss or PR AUC; too small for a sales team to notice
COLLAPSE = 0.01  # of log loss, in one segment
CALIBRATED = 0.05
N_SIMULATED = 200
SAME_ODDS = 1e-9
MOST_NAMED = 5
TAIL = 0.025  # one-sided, of all segments together


class GateFinding(NamedTuple):
    """The finding of a check: whether the gate is passed, and the evidence in sentences."""

    passed: bool
    evidence: str


@dataclass(frozen=True)
class GateKind:
    """A registered gate.

    Attributes
    ----------
    number : str
        `LG101` and so on; never reused for another check.
    title : str
    is_relative : bool
        True if the gate compares the challenger with the champion or the base rate.
    """

    number: str
    title: str
    is_relative: bool

    def result(self, passed: bool, evidence: str) -> Gate:
        """Return a result of this gate."""
        return Gate(number=self.number, name=self.title, passed=bool(passed), evidence=evidence)


GATES: dict[str, GateKind] = {}  # by number, in the order of the numbers


def gate(
    number: str, title: str, *, is_relative: bool = False
) -> Callable[[Callable[Inputs, GateFinding]], Callable[Inputs, Gate]]:
    """Register a check as a gate, and turn its finding into the gate's result."""
    kind = GATES[number] = GateKind(number, title, is_relative)

    def register(check: Callable[Inputs, GateFinding]) -> Callable[Inputs, Gate]:
        @wraps(check)
        def checked(*args: Inputs.args, **kwargs: Inputs.kwargs) -> Gate:
            return kind.result(*check(*args, **kwargs))

        return checked

    return register


# -- metrics -------------------------------------------------------------------------------


class Compared(NamedTuple):
    """The difference in one metric, and the moments that it was measured on."""

    difference: Difference
    shared: SharedMoments


@gate("LG101", "log loss", is_relative=True)
def log_loss_is_not_worse(
    compared: Compared, opponent: str, newest: Compared | None = None
) -> GateFinding:
    """Check that the log loss is not higher beyond chance and by more than `TINY`.

    Parameters
    ----------
    compared : Compared
        The mean over all cut-offs.
    opponent : str
        The champion or the base rate, in words.
    newest : Compared, optional
        The newest leads alone, if there are earlier cut-offs.

    Returns
    -------
    Gate

    Examples
    --------
    >>> shared = SharedMoments(Moments(*[np.empty(0)] * 5, {}), *[np.empty(0)] * 3)
    >>> worse = Compared(Difference("log_loss", 0.45, 0.40, low=0.02, high=0.08), shared)
    >>> unclear = Compared(Difference("log_loss", 0.45, 0.40, low=-0.01, high=0.11), shared)
    >>> log_loss_is_not_worse(worse, "version 1").passed
    False
    >>> log_loss_is_not_worse(unclear, "version 1").passed
    True
    >>> log_loss_is_not_worse(unclear, "version 1", newest=worse).passed
    False
    """
    is_worse = any(
        of_some.difference.low > 0 and of_some.difference.value > TINY
        for of_some in (compared, newest or compared)
    )
    return GateFinding(not is_worse, _in_both("Log loss", compared, opponent, newest))


@gate("LG102", "PR AUC", is_relative=True)
def pr_auc_is_not_worse(
    compared: Compared, opponent: str, newest: Compared | None = None
) -> GateFinding:
    """Check that the PR AUC is not lower beyond chance and by more than `TINY`.

    The parameters are those of `log_loss_is_not_worse`.
    """
    is_worse = any(
        of_some.difference.high < 0 and of_some.difference.value < -TINY
        for of_some in (compared, newest or compared)
    )
    return GateFinding(not is_worse, _in_both("PR AUC", compared, opponent, newest))


def _in_both(metric: str, compared: Compared, opponent: str, newest: Compared | None) -> str:
    knowledge = f" {compared.shared.knowledge}" if compared.shared.knowledge else ""
    if newest is None:
        return f"{metric} {_difference_in_words(compared, opponent)}.{knowledge}"
    n_cut_offs = len(compared.shared.by_cut_off)
    return (
        f"{metric} {_difference_in_words(compared, opponent)}, as the mean over {n_cut_offs} "
        f"cut-offs. On the newest leads alone: {_difference_in_words(newest, opponent)}.{knowledge}"
    )


def _difference_in_words(compared: Compared, opponent: str) -> str:
    difference, shared = compared
    return (
        f"{difference.challenger:.4f}, against {difference.champion:.4f} for {opponent}: "
        f"{difference.value:+z.4f} (95 % interval {difference.low:+z.4f} to "
        f"{difference.high:+z.4f}), on {len(shared.moments):,} moments of {shared.n_leads:,} leads"
    )


@gate("LG103", "calibration", is_relative=True)
def is_calibrated(
    difference: Difference,
    shared: SharedMoments,
    opponent: str,
    seed: int,
    *,
    beats_base_rate: bool = False,
) -> GateFinding:
    """Check that probabilities match the true shares, or are not worse than the champion's.

    The expected calibration error of a perfect model is not 0: in bins of a few leads the true
    share differs from the predicted one by chance. The gate is passed up to that error, and up
    to `CALIBRATED`. If conversion has changed since the training, no model that learned before
    is calibrated. Then the gate is passed unless the champion is better beyond chance.

    Parameters
    ----------
    difference : Difference
        The difference in the calibration error.
    shared : SharedMoments
    opponent : str
        The champion or the base rate, in words.
    seed : int
    beats_base_rate : bool
        True if there is no champion and the log loss is better than the base rate's. The base
        rate is calibrated because it gives all leads the same probability.

    Returns
    -------
    Gate
    """
    by_chance = chance_error(
        shared.challenger, shared.moments.weight, shared.moments.lead, shared.cut_off, seed
    )
    passed = (
        difference.challenger <= max(CALIBRATED, by_chance)
        or difference.low <= 0
        or beats_base_rate
    )
    evidence = (
        f"Predicted and true shares differ by {difference.challenger:.3f} on average, by "
        f"{difference.champion:.3f} for {opponent}: {difference.value:+z.3f} (95 % interval "
        f"{difference.low:+z.3f} to {difference.high:+z.3f}). Up to {CALIBRATED:g} is always "
        f"allowed; chance explains up to {by_chance:.3f}."
    )
    if beats_base_rate:
        evidence += " It passes because its log loss is better than the base rate's."
    return GateFinding(passed, evidence)


def chance_error(margin: Floats, weight: Floats, lead: Ints, cut_off: Ints, seed: int) -> float:
    """Compute the calibration error that a perfect model stays below in 19 of 20 cases.

    Outcomes are drawn from the model's own probabilities, one draw for each lead.

    Parameters
    ----------
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds.
    weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each moment.
    cut_off : ndarray of int64, shape (n,)
        A number for each cut-off. The error is computed within each, and averaged.
    seed : int

    References
    ----------
    Bröcker & Smith, "Increasing the Reliability of Reliability Diagrams", 2007.
    """
    leads, position = np.unique(lead, return_inverse=True)
    generator = np.random.default_rng(seed)
    probability = expit(margin)
    errors = []
    for _ in range(N_SIMULATED):
        won = (generator.random(len(leads))[position] < probability).astype(np.int8)
        if 0 < won.sum() < len(won):
            errors.append(CutOffMetrics(margin, won, cut_off).means(weight)["ece"])
    return float(np.quantile(errors, LEVEL)) if errors else 0.0


@gate("LG104", "free of leaks")
def is_free_of_leaks(scorer: LeadScorer, audited: Audit, project: Project) -> GateFinding:
    """Check that the version reads no column that today's audit calls a leak."""
    columns = set(scorer.pipeline.columns)
    leaks = [
        f"`{column.attribute}`: {column.findings[0].number} {column.findings[0].evidence}"
        for column in audited.attributes
        if column.verdict is Verdict.LEAK and column.attribute in columns
    ]
    leaks += [
        f"`{name}`: [columns] known_later names it."
        for name in sorted(columns & set(project.columns.known_later))
    ]
    if leaks:
        noun = "leak" if len(leaks) == 1 else "leaks"
        return GateFinding(False, f"It reads {len(leaks)} {noun}. {' '.join(leaks[:MOST_NAMED])}")
    return GateFinding(True, f"It reads {len(columns)} columns; none of them is a leak.")


# -- segments ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """The moments of leads with one value of one category.

    Attributes
    ----------
    column, value : str
    rows : ndarray of bool, shape (n_moments,)
    """

    column: str
    value: str
    rows: Bools


def segments(scorer: LeadScorer, records: Records, moments: Moments) -> Iterator[Segment]:
    """Split moments by each value of the categories, flags and e-mail kinds of a model."""
    leads, position = np.unique(moments.lead, return_inverse=True)
    for attribute in scorer.pipeline.attributes:
        if attribute.column not in records.leads.columns:
            continue
        groups = groups_by_value(attribute, records.leads[attribute.column].iloc[leads])
        if groups is not None:
            for code, name in enumerate(groups.names):
                yield Segment(groups.column, name, (groups.code == code)[position])


@gate("LG105", "segments", is_relative=True)
def no_segment_collapses(
    shared: SharedMoments, all_segments: Iterable[Segment], base: BaseRate, opponent: str
) -> GateFinding:
    """Check that the challenger fails in no segment.

    It fails in a segment if its log loss is higher than the champion's, or than that of the
    base rate of its training moments, by more than `COLLAPSE` and beyond chance. The test is
    one-sided at `TAIL`, divided by the number of comparisons (Bonferroni), with Student's t
    and the standard error of the paired mean difference, clustered by lead. A bootstrap
    has too few resamples for such small chances.

    Parameters
    ----------
    shared : SharedMoments
    all_segments : iterable of Segment
        Segments of these moments.
    base : BaseRate
        The base rate of the challenger's training moments.
    opponent : str
        The champion or the base rate, in words.

    Returns
    -------
    Gate
    """
    moments = shared.moments
    label, weight, lead = moments.label, moments.weight, moments.lead
    testable = [
        segment for segment in all_segments if moments.take(segment.rows).rarer >= FEWEST_TO_JUDGE
    ]
    if not testable:
        return GateFinding(True, "No segment has enough outcomes to be evaluated on its own.")
    loss = _loss(shared.challenger, label)
    opponents = {
        opponent: _loss(shared.champion, label),
        "the base rate": _loss(np.full(len(label), base.log_odds), label),
    }
    tail = TAIL / len(testable) / len(opponents)
    collapsed = []
    for segment in testable:
        rows = segment.rows
        for name, opponent_loss in opponents.items():
            excess, low = lower_bound((loss - opponent_loss)[rows], weight[rows], lead[rows], tail)
            if low > 0 and excess > COLLAPSE:
                collapsed.append(
                    f"{segment.column} = {segment.value!r}: log loss {excess:+.3f} "
                    f"against {name} (at least {low:+.3f})"
                )
    if collapsed:
        return GateFinding(False, f"It fails in: {'; '.join(collapsed[:MOST_NAMED])}.")
    return GateFinding(
        True,
        f"In none of {len(testable)} segments with enough outcomes is it worse than {opponent} or "
        "the base rate beyond chance.",
    )


def _loss(log_odds: Floats, label: Labels) -> Floats:
    return np.asarray(-np.where(label == 1, log_expit(log_odds), log_expit(-log_odds)))


def lower_bound(values: Floats, weight: Floats, lead: Ints, tail: float) -> tuple[float, float]:
    """Compute a weighted mean and its one-sided lower confidence bound.

    Parameters
    ----------
    values, weight : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
        The lead of each value: values of one lead are not independent.
    tail : float
        The chance that the true mean is below the bound.

    Returns
    -------
    mean, bound : float

    Examples
    --------
    >>> mean, low = lower_bound(np.array([0., 1, 2]), np.ones(3), np.arange(3), tail=0.025)
    >>> mean, round(low, 3)  # 1 - 4.303 / sqrt(3)
    (1.0, -1.484)
    """
    total, n = weight.sum(), len(np.unique(lead))
    mean = float(weight @ values / total)
    squares = squares_by_lead(weight * (values - mean), lead)
    error = np.sqrt(squares * n / max(n - 1, 1)) / total
    return mean, float(mean - scipy.stats.t.isf(tail, max(n - 1, 1)) * error)


# -- the version itself --------------------------------------------------------------------


@gate("LG106", "loads and answers")
def loads_and_answers(loaded: LoadedModel | LeadScoringError) -> GateFinding:
    """Check that a version was loaded from MLflow, verified, and scores its golden leads.

    Parameters
    ----------
    loaded : LoadedModel or LeadScoringError
        The model, or the error that loading it raised.
    """
    if isinstance(loaded, LeadScoringError):
        return GateFinding(False, str(loaded))
    return GateFinding(
        True,
        f"Loaded and verified, digest {loaded.digest[:12]}. Its golden leads get the same "
        "scores as when it was saved.",
    )


@gate("LG107", "same scale")
def has_same_scale(
    scale: Scale,
    pinned: Scale | None,
    question: Mapping[str, Any],
    champion_question: Mapping[str, Any] | None,
) -> GateFinding:
    """Check that a score means the same as the champion's scores.

    Parameters
    ----------
    scale : Scale
    pinned : Scale or None
    question : mapping
        What the version predicts: the `label` of its card.
    champion_question : mapping or None
        What the champion predicts; None if there is no champion, or it cannot be read.
    """
    if champion_question is not None and not same_question(question, champion_question):
        return GateFinding(
            False,
            f"It predicts {question_in_words(question)}, but the champion predicts "
            f"{question_in_words(champion_question)}, so the same score would mean something "
            "else. Restore [learn] and train again, or overrule this gate and set [scale] "
            "base_rate for the new prediction.",
        )
    if pinned is None:
        return GateFinding(
            True, f"No scale is pinned yet. A promotion pins this one: {_in_words(scale)}."
        )
    has_same_odds = abs(scale.base_log_odds - pinned.base_log_odds) < SAME_ODDS
    if has_same_odds and tuple(scale.grades) == tuple(pinned.grades):
        return GateFinding(True, f"It has the pinned scale: {_in_words(pinned)}.")
    return GateFinding(
        False,
        f"Its scale is {_in_words(scale)}. The pinned scale is {_in_words(pinned)}. "
        "Train again: training uses the pinned scale.",
    )


@gate("LG108", "newest leads")
def holds_on_its_newest_leads(estimator: Mapping[str, Any]) -> GateFinding:
    """Check that the chosen settings are not worse than the base rate on the newest leads.

    The test evaluates a model with other settings, and the registered model has seen all leads.
    This gate looks at the settings of the registered model itself.

    Parameters
    ----------
    estimator : mapping
        The entry `estimator` of the version's card.
    """
    newest = estimator.get("newest")
    if newest is None:
        return GateFinding(
            True,
            "The card has no figures for the newest leads: the settings were not chosen there.",
        )
    value, low = newest["less_base_rate"]["value"], newest["less_base_rate"]["low"]
    is_worse = low > 0 and value > TINY
    return GateFinding(
        not is_worse,
        "Fitted to the older leads, the chosen settings have log loss "
        f"{newest['log_loss']:.4f} and ROC AUC {newest['roc_auc']:.3f} on the newest "
        f"{newest['n']:,} moments. The log loss is {value:+z.4f} against the base rate (at least "
        f"{low:+z.4f})"
        + (". Find out what changed in the newest leads, and train again." if is_worse else "."),
    )


def _in_words(scale: Scale) -> str:
    grades = ", ".join(f"{letter} from {least}" for letter, least in scale.grades)
    return f"a probability of {expit(scale.base_log_odds):.4%} scores 50; {grades}"
