"""Interactions: pairs of signals that move the score differently together than separately.

A pair of signals interacts if the effect of one signal depends on the other. The effect is
computed from the leads themselves: in a copy of a lead the first signal is replaced by that of
another lead, in a second copy the second signal, in a third copy both. If the model only adds its
signals up, the change of the third copy equals the sum of the other two changes to the last
digit. Any difference is interaction, and nothing else.

References
----------
Friedman, Popescu, "Predictive Learning via Rule Ensembles", 2008, section 8.1, for H: the share
of a pair's joint effect that is not the sum of its two effects. Here each lead is mixed with a few
random leads instead of all. Squares of means are estimated without bias, by products of different
mixtures, so that random draws do not look like an interaction.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crm.arrays import Bools, Floats
from features.feature import Feature
from models.estimator.blend import BaseRate
from models.evaluation.intervals import percentiles, resamples
from models.reasons import Reasoner
from models.scale import POINTS
from models.scorer import LeadScorer
from models.signal_words import CODED, condition, condition_above

MOST_SIGNALS = 8
MOST_LEADS = 500
MIXTURES = 4  # the number of random leads that each lead is mixed with
MOST_CELLS = 10_000_000  # of all copies together; with many features there are fewer leads
FEWEST_TOGETHER = 5  # leads in each of the four groups of a pair
LEAST_SHARE = 0.05  # the least share of the leads in the smaller part of a split


@dataclass(frozen=True)
class SignalSplit:
    """The leads in two parts, by the value of one signal.

    Attributes
    ----------
    signal : str
    words : str
        The condition that the leads of the named part meet.
    is_in : ndarray of bool, shape (n_leads,)
        Whether each lead is in the named part.
    """

    signal: str
    words: str
    is_in: Bools


@dataclass(frozen=True)
class Interaction:
    """The interaction of two signals.

    Attributes
    ----------
    first, second : SignalSplit
        The effect of the first signal is computed inside and outside the second's named part.
    inside, outside : float
        The points that leads in the first's named part score more than other leads, inside and
        outside the second's named part.
    difference, low, high : float
        `inside` minus `outside`, with its 95 % interval over the leads.
    strength, strength_low, strength_high : float
        The points that the pair adds beyond its two effects: root of the mean square, with its
        95 % interval.
    share : float
        Friedman and Popescu's H squared: the share of the variance of the pair's joint effect.
    n : int
        The number of leads in the sample.
    """

    first: SignalSplit
    second: SignalSplit
    inside: float
    outside: float
    difference: float
    low: float
    high: float
    strength: float
    strength_low: float
    strength_high: float
    share: float
    n: int


def find_interactions(
    scorer: LeadScorer,
    features: Floats,
    signals: list[str],
    seed: int = 0,
    *,
    reasoner: Reasoner | None = None,
) -> list[Interaction]:
    """Compute what pairs of the strongest signals add to the score beyond their own effects.

    Parameters
    ----------
    scorer : LeadScorer
    features : ndarray of float64, shape (n, k)
        The leads; a random sample of them is used.
    signals : list of str
        Strongest first; the first `MOST_SIGNALS` that split the leads are used.
    seed : int
        The seed of the sample.
    reasoner : Reasoner, optional
        Names the signals; that of the scorer by default.

    Returns
    -------
    list of Interaction
        Strongest first. Pairs whose signals always occur together in these leads are left out,
        because the model never saw one without the other. So are pairs of attributes together with
        one of their attributes. Empty if the model only adds up.
    """
    estimator = scorer.estimator
    if isinstance(estimator, BaseRate) or estimator.trees is None:
        return []
    reasoner = reasoner or scorer.reasoner
    parts = reasoner.parts(features)
    splits = []
    for signal in signals:
        place = reasoner.signals.index(signal)
        members = reasoner.members[place]
        strength = np.abs(parts.of_features[:, members]).mean(axis=0)
        mover = members[int(strength.argmax())]
        split = best_split(
            reasoner.features[mover],
            signal,
            features[:, mover],
            parts.of_signals[:, place],
        )
        if split is not None:
            splits.append((split, members))
    splits = splits[:MOST_SIGNALS]
    pairs = [
        (a, b)
        for a, b in combinations(range(len(splits)), 2)
        if not _one_contains_the_other(splits[a][1], splits[b][1], reasoner)
    ]
    if not pairs:
        return []
    sample = _Mixtures(scorer, features, len(pairs) + len(splits) + 1, seed)
    effects = [sample.effect(members) for _, members in splits]
    interactions = []
    for a, b in pairs:
        first, second = _in_order(splits[a], splits[b], reasoner)
        together = [split.is_in[sample.lead] for split, _ in (first, second)]
        if _fewest_together(*together) < FEWEST_TOGETHER:
            continue
        own = effects[a] if first is splits[a] else effects[b]
        joint = sample.effect([*first[1], *second[1]])
        interactions.append(
            _interaction(
                first[0], second[0], own, joint, effects[a] + effects[b], together, sample.weights
            )
        )
    return sorted(interactions, key=lambda interaction: -interaction.strength)


class _Mixtures:
    """A sample of leads, each mixed with a few random leads, and the scores of the mixtures."""

    def __init__(self, scorer: LeadScorer, features: Floats, n_effects: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        affordable = MOST_CELLS // (n_effects * MIXTURES * features.shape[1])
        n = max(min(len(features), MOST_LEADS, affordable), 2)
        self.lead = np.sort(generator.choice(len(features), n, replace=False))
        self._scorer = scorer
        self._own = features[self.lead]
        self._other = features[generator.integers(len(features), size=n * MIXTURES)]
        self._as_is = scorer.log_odds_of(self._other)
        self.weights = np.array(list(resamples(np.arange(n), seed)))

    def effect(self, columns: list[int]) -> Floats:
        """Compute the points by which leads' own columns move others, shape (n, MIXTURES)."""
        mixed = self._other.copy()
        mixed[:, columns] = np.repeat(self._own[:, columns], MIXTURES, axis=0)
        moved = POINTS * (self._scorer.log_odds_of(mixed) - self._as_is)
        return moved.reshape(len(self.lead), MIXTURES)


def best_split(feature: Feature, signal: str, values: Floats, points: Floats) -> SignalSplit | None:
    """Split leads in two by one value or one limit, so that a signal's points differ most.

    The split does not depend on interactions, so it does not make them look larger.

    Returns
    -------
    SignalSplit or None
        None if every split has a part with less than a twentieth of the leads.

    Examples
    --------
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    >>> best_split(size, "size", values, np.where(values > 4, 5.0, -5.0)).words
    '“size” above 4'
    """
    is_missing = np.isnan(values)
    present = values[~is_missing]
    parts: list[tuple[str, Bools]] = [(condition(feature, np.nan), is_missing)]
    if feature.unit in CODED:
        parts += [(condition(feature, float(code)), values == code) for code in np.unique(present)]
    elif len(present):
        for limit in np.unique(np.quantile(present, (0.25, 0.5, 0.75), method="lower")).tolist():
            parts.append((condition_above(feature, limit), values > limit))
    best, widest = None, 0.0
    for words, is_in in parts:
        share = float(is_in.mean())
        if min(share, 1 - share) < LEAST_SHARE:
            continue
        gap = abs(float(points[is_in].mean() - points[~is_in].mean()))
        if share * (1 - share) * gap**2 > widest:
            best, widest = SignalSplit(signal, words, is_in), share * (1 - share) * gap**2
    return best


def _in_order(
    a: tuple[SignalSplit, list[int]], b: tuple[SignalSplit, list[int]], reasoner: Reasoner
) -> tuple[tuple[SignalSplit, list[int]], tuple[SignalSplit, list[int]]]:
    """Return the two splits, with activities of the lead before its attributes."""
    a_is_trait, b_is_trait = (
        reasoner.features[members[0]].table == "leads" for _, members in (a, b)
    )
    return (b, a) if a_is_trait and not b_is_trait else (a, b)


def _one_contains_the_other(a: list[int], b: list[int], reasoner: Reasoner) -> bool:
    """Check whether one signal is a pair of attributes, and the other reads one of them."""
    first, second = (reasoner.features[members[0]] for members in (a, b))
    is_pair = bool(first.pair or second.pair)
    return is_pair and not set(first.attributes).isdisjoint(second.attributes)


def _fewest_together(first: Bools, second: Bools) -> int:
    return int(np.bincount(2 * first + second, minlength=4).min())


def _interaction(
    first: SignalSplit,
    second: SignalSplit,
    own: Floats,
    joint: Floats,
    apart: Floats,
    together: list[Bools],
    weights: Floats,
) -> Interaction:
    beyond = joint - apart
    of_lead = beyond.mean(axis=1)
    squares, all_squares = _squares(beyond), _squares(joint)
    in_first, in_second = together
    sign = np.where(in_first == in_second, 1.0, -1.0)
    cell = 2 * in_first + in_second

    def difference(weight: Floats) -> Floats:
        """Sum the means of the four groups with their signs, for each row of weights."""
        groups = [cell == number for number in range(4)]
        means = [
            (weight[:, group] @ (sign * of_lead)[group])
            / np.maximum(weight[:, group].sum(axis=1), 1e-12)
            for group in groups
        ]
        return np.sum(means, axis=0)

    each_once = np.ones((1, len(of_lead)))
    gap = float(difference(each_once)[0])
    low, high = percentiles(difference(weights))
    drawn = weights @ squares / weights.sum(axis=1)
    weakest, strongest = np.sqrt(np.maximum(percentiles(drawn), 0.0))
    square = max(float(squares.mean()), 0.0)
    spread = float(all_squares.mean() - joint.mean() ** 2)
    own_points, extra = own.mean(axis=1), of_lead
    moved = own_points[in_first].mean() - own_points[~in_first].mean()
    inside = moved + extra[in_first & in_second].mean() - extra[~in_first & in_second].mean()
    return Interaction(
        first=first,
        second=second,
        inside=float(inside),
        outside=float(inside) - gap,
        difference=gap,
        low=low,
        high=high,
        strength=float(np.sqrt(square)),
        strength_low=float(weakest),
        strength_high=float(strongest),
        share=float(np.clip(square / spread, 0.0, 1.0)) if spread > 0 else 0.0,
        n=len(of_lead),
    )


def _squares(effects: Floats) -> Floats:
    """Estimate the square of each lead's mean without bias, from its mixtures, shape (n,)."""
    k = effects.shape[1]
    return np.asarray((effects.sum(axis=1) ** 2 - (effects**2).sum(axis=1)) / (k * (k - 1)))
