"""Which signals move the score together otherwise than each alone: Friedman and Popescu's H.

A pair of signals interacts where the score's answer to the one depends on the other. What a
pair adds beyond its two parts is worked out from leads themselves: in a copy of one lead the
first signal is exchanged for that of another lead, in a second copy the other signal, in a third
both. Of a model that adds its signals up the third copy differs by the sum of what the first two
do, to the last digit; what it differs by beyond that is interaction, and nothing else.

References
----------
Friedman, Popescu, "Predictive Learning via Rule Ensembles", 2008, section 8.1, for H: the share
of a pair's joint effect that is not the sum of its two effects. Here each lead meets a few random
others in place of all, and squares of means are estimated without bias by products of different
meetings, so that no chance of the draw looks like an interaction.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crm.arrays import Bools, Floats
from features.feature import Feature
from models.estimator.blend import BaseRate
from models.evaluation.intervals import percentiles, resamples
from models.scale import POINTS
from models.scorer import LeadScorer
from models.signal_words import CODED, condition, condition_above

MOST_SIGNALS = 8
MOST_LEADS = 500
MEETINGS = 4  # other leads that each lead meets
MOST_CELLS = 10_000_000  # of all the copies together: fewer leads where a model is wide
FEWEST_TOGETHER = 5  # leads looked at in each of the four groups of a pair
LEAST_SHARE = 0.05  # of the leads in the smaller part of a split


@dataclass(frozen=True)
class SignalSplit:
    """A signal's leads in two parts, of which one has a name.

    Attributes
    ----------
    signal : str
    words : str
        What is true of the named part.
    is_in : ndarray of bool, shape (n_leads,)
        Who is in it.
    """

    signal: str
    words: str
    is_in: Bools


@dataclass(frozen=True)
class Interaction:
    """What the model made of two signals together.

    Attributes
    ----------
    first, second : SignalSplit
        The first signal's effect is told for leads inside and outside of the second's part.
    inside, outside : float
        Points by which being in the first's part moves the score, there.
    difference, low, high : float
        `inside` less `outside`, with its 95 % interval over the leads drawn.
    strength, strength_low, strength_high : float
        Points that the pair adds beyond its two parts: root of the mean square, with interval.
    share : float
        Friedman and Popescu's H squared: of the variance of the pair's joint effect.
    n : int
        Leads drawn.
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
    scorer: LeadScorer, features: Floats, signals: list[str], seed: int = 0
) -> list[Interaction]:
    """Find what pairs of the strongest signals add to the score beyond their parts.

    Parameters
    ----------
    scorer : LeadScorer
    features : ndarray of float64, shape (n, k)
        Of the leads to look at; a random sample of them is worked with.
    signals : list of str
        Strongest first; the first `MOST_SIGNALS` that part the leads are looked at.
    seed : int
        Of the sample.

    Returns
    -------
    list of Interaction
        Strongest first. Pairs that never come apart in these leads are left out, for what the
        model says there of one without the other, it has never seen. Empty if the model only
        adds up.
    """
    estimator = scorer.estimator
    if isinstance(estimator, BaseRate) or estimator.trees is None:
        return []
    of_signals = scorer.reasoner.parts(features)
    splits = []
    for signal in signals:
        place = scorer.reasoner.signals.index(signal)
        members = scorer.reasoner.members[place]
        strength = np.abs(of_signals.of_features[:, members]).mean(axis=0)
        mover = members[int(strength.argmax())]
        split = best_split(
            scorer.reasoner.features[mover],
            signal,
            features[:, mover],
            of_signals.of_signals[:, place],
        )
        if split is not None:
            splits.append((split, members))
    splits = splits[:MOST_SIGNALS]
    pairs = [(a, b) for a, b in combinations(range(len(splits)), 2)]
    if not pairs:
        return []
    drawn = _Meetings(scorer, features, len(pairs) + len(splits) + 1, seed)
    alone = [drawn.effect(members) for _, members in splits]
    found = []
    for a, b in pairs:
        first, second = _in_order(splits[a], splits[b], scorer)
        together = [split.is_in[drawn.lead] for split, _ in (first, second)]
        if _fewest_together(*together) < FEWEST_TOGETHER:
            continue
        own = alone[a] if first is splits[a] else alone[b]
        joint = drawn.effect([*first[1], *second[1]])
        found.append(
            _interaction(
                first[0], second[0], own, joint, alone[a] + alone[b], together, drawn.weights
            )
        )
    return sorted(found, key=lambda each: -each.strength)


class _Meetings:
    """Leads, each with a few random others, and what the model says of their mixtures."""

    def __init__(self, scorer: LeadScorer, features: Floats, n_effects: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        affordable = MOST_CELLS // (n_effects * MEETINGS * features.shape[1])
        n = max(min(len(features), MOST_LEADS, affordable), 2)
        self.lead = np.sort(generator.choice(len(features), n, replace=False))
        self._scorer = scorer
        self._own = features[self.lead]
        self._other = features[generator.integers(len(features), size=n * MEETINGS)]
        self._as_is = scorer.log_odds_of(self._other)
        self.weights = np.array(list(resamples(np.arange(n), seed)))

    def effect(self, columns: list[int]) -> Floats:
        """Give the points by which leads' own columns move others, shape (n, MEETINGS)."""
        mixed = self._other.copy()
        mixed[:, columns] = np.repeat(self._own[:, columns], MEETINGS, axis=0)
        moved = POINTS * (self._scorer.log_odds_of(mixed) - self._as_is)
        return moved.reshape(len(self.lead), MEETINGS)


def best_split(feature: Feature, signal: str, values: Floats, points: Floats) -> SignalSplit | None:
    """Part leads in two by one value or one limit, so that a signal's points differ most.

    Whether pairs interact plays no part in it, so that a test of that is not flattered.

    Returns
    -------
    SignalSplit or None
        None if no part holds a twentieth of the leads.

    Examples
    --------
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    >>> best_split(size, "size", values, np.where(values > 4, 5.0, -5.0)).words
    '“size” above 4'
    """
    is_missing = np.isnan(values)
    known = values[~is_missing]
    parts: list[tuple[str, Bools]] = [(condition(feature, np.nan), is_missing)]
    if feature.unit in CODED:
        parts += [(condition(feature, float(code)), values == code) for code in np.unique(known)]
    elif len(known):
        for limit in np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="lower")).tolist():
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
    one: tuple[SignalSplit, list[int]], other: tuple[SignalSplit, list[int]], scorer: LeadScorer
) -> tuple[tuple[SignalSplit, list[int]], tuple[SignalSplit, list[int]]]:
    """Let what a lead does come before what it is: that is how people ask."""
    is_trait = [scorer.reasoner.features[each[1][0]].table == "leads" for each in (one, other)]
    return (other, one) if is_trait == [True, False] else (one, other)


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
        """Sum the four groups' means with their signs, for each row of weights."""
        groups = [cell == each for each in range(4)]
        means = [
            (weight[:, group] @ (sign * of_lead)[group])
            / np.maximum(weight[:, group].sum(axis=1), 1e-12)
            for group in groups
        ]
        return np.sum(means, axis=0)

    once = np.ones((1, len(of_lead)))
    gap = float(difference(once)[0])
    low, high = percentiles(difference(weights))
    drawn = weights @ squares / weights.sum(axis=1)
    weakest, strongest = np.sqrt(np.maximum(percentiles(drawn), 0.0))
    square = max(float(squares.mean()), 0.0)
    spread = float(all_squares.mean() - joint.mean() ** 2)
    own_points, extra = own.mean(axis=1), of_lead
    moved = own_points[in_first].mean() - own_points[~in_first].mean()
    inside = moved + extra[in_first & in_second].mean() - extra[~in_first & in_second].mean()
    return Interaction(
        first,
        second,
        float(inside),
        float(inside) - gap,
        gap,
        low,
        high,
        float(np.sqrt(square)),
        float(weakest),
        float(strongest),
        float(np.clip(square / spread, 0.0, 1.0)) if spread > 0 else 0.0,
        len(of_lead),
    )


def _squares(met: Floats) -> Floats:
    """Estimate the square of each lead's mean without bias, from several meetings, shape (n,)."""
    k = met.shape[1]
    return np.asarray((met.sum(axis=1) ** 2 - (met**2).sum(axis=1)) / (k * (k - 1)))
