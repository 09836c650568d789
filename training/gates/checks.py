"""The numbered checks behind the gates; `training.gates.gates` says when each is passed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from scipy.special import expit, log_expit

from crm.arrays import Bools, Floats, Ints, Labels
from crm.errors import ArtifactError, TrackingError
from crm.project import Project
from crm.records import Records
from features.groups import groups_by_value
from features.intervals import LEVEL
from features.leaks.audit import Audit
from features.leaks.checks import Verdict
from features.moments import Moments
from models.artifact import LoadedModel
from models.card import question_in_words, same_question
from models.estimator.blend import BaseRate
from models.evaluation.intervals import squares_by_lead
from models.evaluation.metrics import FEWEST_TO_JUDGE, measure
from models.registry.history import Gate
from models.registry.registry import Registry
from models.scale import Scale
from models.scorer import LeadScorer
from training.comparison.comparison import Contest, Difference

GATES = {
    "LG101": "log loss",
    "LG102": "PR AUC",
    "LG103": "calibration",
    "LG104": "free of leaks",
    "LG105": "segments",
    "LG106": "loads and answers",
    "LG107": "same scale",
}
RELATIVE = ("LG101", "LG102", "LG103", "LG105")  # judged side by side with a rival
TINY = 0.001  # of log loss or PR AUC; no sales team would see it
COLLAPSE = 0.01  # of log loss, in one segment
CALIBRATED = 0.05
N_SIMULATED = 200
SAME_ODDS = 1e-9


def gate_of(number: str, passed: bool, evidence: str) -> Gate:
    """Give a gate its name."""
    return Gate(number, GATES[number], bool(passed), evidence)


def too_few(contest: Contest, against: str, is_first: bool) -> str:
    """Say that there is nothing to compare by, and what to do."""
    if is_first:
        return (
            f"Too few to judge: {contest.rarer} leads of the rarer outcome, {FEWEST_TO_JUDGE} are "
            "needed. There is no champion that it could be worse than."
        )
    return (
        f"Too few to judge: it and {against} share {len(contest.moments):,} moments that neither "
        f"learned from, with {contest.rarer} leads of the rarer outcome; {FEWEST_TO_JUDGE} are "
        "needed. Wait for more outcomes, or train again, so that the newest leads judge."
    )


def unfair(reasons: Sequence[str], against: str) -> list[Gate]:
    """Fail what compares two sides, LG101, LG102, LG103 and LG105, and say once why."""
    said = f"It cannot be compared fairly with {against}. {' '.join(reasons)}"
    first, *others = RELATIVE
    return [
        gate_of(first, False, said),
        *(gate_of(number, False, f"Not compared, as {first} says.") for number in others),
    ]


def not_worse(number: str, found: Difference, contest: Contest, against: str) -> Gate:
    """LG101, LG102. Ask whether a metric is worse beyond chance and by more than `TINY`.

    Parameters
    ----------
    number : {"LG101", "LG102"}
    found : Difference
        Challenger - champion.
    contest : Contest
    against : str
        Whom it is compared with, in words.

    Returns
    -------
    Gate

    Examples
    --------
    >>> no_moments = Moments(*[np.empty(0)] * 5, {})
    >>> contest = Contest(no_moments, np.empty(0), np.empty(0))
    >>> worse = Difference("log_loss", 0.45, 0.40, low=0.02, high=0.08)
    >>> not_worse("LG101", worse, contest, "version 1").passed
    False
    >>> not_worse("LG101", Difference("log_loss", 0.45, 0.40, -0.01, 0.11), contest, "").passed
    True
    """
    if number == "LG101":
        is_worse = found.low > 0 and found.value > TINY
    else:
        is_worse = found.high < 0 and found.value < -TINY
    name = GATES[number]
    return gate_of(
        number,
        not is_worse,
        f"{name[0].upper()}{name[1:]} {found.one:.4f} against {found.other:.4f} of {against}: "
        f"{found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}), on "
        f"{_size(contest)}.",
    )


def _size(contest: Contest) -> str:
    leads = len(np.unique(contest.moments.lead))
    return f"{len(contest.moments):,} moments of {leads:,} leads"


def calibrated(
    found: Difference, contest: Contest, against: str, seed: int, *, is_useful: bool = False
) -> Gate:
    """LG103. Ask whether probabilities can be taken literally, or at least as the champion's.

    The expected calibration error of a perfect model is not 0: in bins of a few leads the true
    share differs from the stated one by chance. Up to there it is passed, and up to
    `CALIBRATED`. Where the world has changed since, no model that learned before can be
    calibrated; there it is passed if the champion is not better beyond chance.

    Parameters
    ----------
    found : Difference
        Of the calibration error, challenger - champion.
    contest : Contest
    against : str
        Whom it is compared with, in words.
    seed : int
    is_useful : bool
        Whether there is no champion and it is better than the base rate, which is calibrated
        because it tells no lead from another.

    Returns
    -------
    Gate
    """
    by_chance = chance_error(contest.one, contest.moments.weight, contest.moments.lead, seed)
    passed = found.one <= max(CALIBRATED, by_chance) or found.low <= 0 or is_useful
    return gate_of(
        "LG103",
        passed,
        f"Stated and true shares differ by {found.one:.3f} on average, {found.other:.3f} for "
        f"{against}: {found.value:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f}). "
        f"{CALIBRATED:g} is always allowed, and up to {by_chance:.3f} would be chance."
        + (" Its log loss is better than the base rate's all the same." if is_useful else ""),
    )


def chance_error(margin: Floats, weight: Floats, lead: Ints, seed: int) -> float:
    """Give the calibration error that a perfect model stays under in 19 of 20 cases.

    Outcomes are drawn from the model's own probabilities, one draw for each lead.

    References
    ----------
    Bröcker & Smith, "Increasing the Reliability of Reliability Diagrams", 2007.
    """
    leads, of_lead = np.unique(lead, return_inverse=True)
    generator = np.random.default_rng(seed)
    probability, found = expit(margin), []
    for _ in range(N_SIMULATED):
        won = (generator.random(len(leads))[of_lead] < probability).astype(np.int8)
        if 0 < won.sum() < len(won):
            found.append(measure(margin, won, weight)["ece"])
    return float(np.quantile(found, LEVEL)) if found else 0.0


def free_of_leaks(scorer: LeadScorer, audited: Audit, project: Project) -> Gate:
    """LG104. Ask whether the version looks at a field that today's audit calls a leak."""
    looked_at = set(scorer.pipeline.columns)
    leaks = {
        column.attribute: column.findings
        for column in audited.attributes
        if column.verdict is Verdict.LEAK and column.attribute in looked_at
    }
    declared = sorted(looked_at & set(project.columns.known_later))
    said = [f"`{name}`: {found[0].number} {found[0].evidence}" for name, found in leaks.items()]
    said += [f"`{name}`: the project says that it is known later." for name in declared]
    if said:
        return gate_of("LG104", False, f"It looks at {len(said)} leaks. {' '.join(said[:5])}")
    return gate_of(
        "LG104", True, f"Fields that it looks at: {len(looked_at)}. None of them is a leak."
    )


def same_scale(
    scale: Scale,
    pinned: Scale | None,
    asks: Mapping[str, Any],
    asked: Mapping[str, Any] | None,
) -> Gate:
    """LG107. Ask whether scores mean what they have meant so far.

    Parameters
    ----------
    scale : Scale
    pinned : Scale or None
    asks : mapping
        The question that the version answers: its card's `label`.
    asked : mapping or None
        The champion's; None if there is none, or it cannot be read.
    """
    if asked is not None and not same_question(asks, asked):
        return gate_of(
            "LG107",
            False,
            f"It answers another question: {question_in_words(asks)}. The champion's is: "
            f"{question_in_words(asked)}. The same score would promise something else. Put [learn] "
            "back and train again; or overrule this, and set [scale] base_rate for the new one.",
        )
    if pinned is None:
        return gate_of("LG107", True, f"Nothing is pinned yet; this would be: {_shown(scale)}.")
    same_odds = abs(scale.base_log_odds - pinned.base_log_odds) < SAME_ODDS
    if same_odds and tuple(scale.grades) == tuple(pinned.grades):
        return gate_of("LG107", True, f"As pinned: {_shown(pinned)}.")
    return gate_of(
        "LG107",
        False,
        f"Its scale is another one: {_shown(scale)}. Pinned is: {_shown(pinned)}. "
        "Train again, which takes the pinned scale over.",
    )


def _shown(scale: Scale) -> str:
    grades = ", ".join(f"{letter} from {least}" for letter, least in scale.grades)
    return f"a probability of {expit(scale.base_log_odds):.4%} scores 50; {grades}"


def loads_and_answers(registry: Registry, version: str) -> tuple[Gate, LoadedModel | None]:
    """LG106. Fetch a version from MLflow, verify it, and let it score its golden leads."""
    try:
        loaded = registry.load(version)
    except (ArtifactError, TrackingError) as error:
        return gate_of("LG106", False, str(error)), None
    said = f"Fetched and verified, digest {loaded.digest[:12]}; its golden leads score as saved."
    return gate_of("LG106", True, said), loaded


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
    """Cut moments by each value of the categories, flags and mail kinds that a model looks at."""
    leads, of_lead = np.unique(moments.lead, return_inverse=True)
    for attribute in scorer.pipeline.attributes:
        if attribute.column not in records.leads.columns:
            continue
        groups = groups_by_value(attribute, records.leads[attribute.column].iloc[leads])
        if groups is not None:
            for code, name in enumerate(groups.names):
                yield Segment(groups.column, name, (groups.code == code)[of_lead])


def no_segment_collapses(
    contest: Contest, cut: Iterator[Segment], base: BaseRate, against: str
) -> Gate:
    """LG105. Ask of each segment whether the challenger fails there.

    It fails where its log loss is higher than the champion's, or than that of the base rate
    of its training moments, by more than `COLLAPSE` and beyond chance: one-sided, at 2.5 %
    divided by the number of questions asked (Bonferroni), from the standard error of the paired
    mean difference with leads as clusters, and Student's t. A bootstrap's few resamples could
    not tell such small chances from none.
    """
    label, weight, lead = contest.moments.label, contest.moments.weight, contest.moments.lead
    enough = [
        segment
        for segment in cut
        if Contest(contest.moments.take(segment.rows), contest.one, contest.other).rarer
        >= FEWEST_TO_JUDGE
    ]
    ours = _loss(contest.one, label)
    rivals = {
        against: _loss(contest.other, label),
        "the base rate": _loss(np.full(len(label), base.log_odds), label),
    }
    fallen = []
    for segment in enough:
        rows = segment.rows
        for rival, theirs in rivals.items():
            excess, low = lower_bound(
                (ours - theirs)[rows], weight[rows], lead[rows], 0.025 / len(enough) / len(rivals)
            )
            if low > 0 and excess > COLLAPSE:
                fallen.append(
                    f"{segment.column} = {segment.value!r}: log loss {excess:+.3f} "
                    f"against {rival} (at least {low:+.3f})"
                )
    if not enough:
        return gate_of("LG105", True, "No segment has enough outcomes to be judged by itself.")
    if fallen:
        return gate_of("LG105", False, f"It fails in: {'; '.join(fallen[:5])}.")
    return gate_of(
        "LG105",
        True,
        f"None of {len(enough)} segments with enough outcomes is worse "
        f"than {against} or the base rate beyond chance.",
    )


def _loss(margin: Floats, label: Labels) -> Floats:
    return np.asarray(-np.where(label == 1, log_expit(margin), log_expit(-margin)))


def lower_bound(values: Floats, weight: Floats, lead: Ints, tail: float) -> tuple[float, float]:
    """Give a weighted mean and the bound above which it truly lies but for a chance of `tail`.

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
