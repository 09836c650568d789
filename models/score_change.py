"""Why a score changed: the points of its signals between two moments, which add up.

A score before rounding is a start and the points of its signals (`models.reasons`). So the
difference of two scores of one model is the sum of the differences of its signals. Signals of two
models are not comparable one by one. Then the later model scores the lead as of the earlier moment
too: the difference there is what the new model did, and the rest is what happened with the lead.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

CENTS = 100  # shown points have two decimals


class ScoreParts(NamedTuple):
    """The parts of one score before it is rounded and clipped.

    Attributes
    ----------
    start : float
        The score of a lead whose every feature is average.
    points : mapping of str to float
        The points of each signal; signals of 0 points may be absent.
    """

    start: float
    points: Mapping[str, float]


class ChangePart(NamedTuple):
    """One part of the change of a score.

    Attributes
    ----------
    signal : str or None
        The signal that changed; None for the part of a new model.
    points : float
        The points by which the score rose; negative if it fell.
    """

    signal: str | None
    points: float


class ScoreChange(NamedTuple):
    """The change of a score and its parts.

    Attributes
    ----------
    points : float
        The sum of the parts, which is the difference of the two scores before rounding.
    parts : list of ChangePart
        The most points first, whether up or down.
    """

    points: float
    parts: list[ChangePart]


def score_change(
    earlier: ScoreParts,
    later: ScoreParts,
    *,
    is_new_model: bool = False,
    earlier_in_new_model: ScoreParts | None = None,
) -> ScoreChange:
    """Split the difference of two scores into the parts that changed.

    Parameters
    ----------
    earlier, later : ScoreParts
    is_new_model : bool
        Whether different models gave the two scores.
    earlier_in_new_model : ScoreParts, optional
        What the later model says about the lead as of the earlier moment. Without it, the whole
        difference of two models is one part.

    Returns
    -------
    ScoreChange
        Parts of 0 points are left out, except that of a new model.

    Examples
    --------
    >>> earlier = ScoreParts(50.0, {"demo": -2.0, "age": 1.0})
    >>> later = ScoreParts(50.0, {"demo": 12.0, "age": -2.0})
    >>> score_change(earlier, later)
    ScoreChange(points=11.0, parts=[ChangePart(signal='demo', points=14.0), \
ChangePart(signal='age', points=-3.0)])
    >>> between = ScoreParts(48.0, {"demo": 0.0, "age": 2.0})
    >>> split = score_change(earlier, later, is_new_model=True, earlier_in_new_model=between)
    >>> [(part.signal, part.points) for part in split.parts]
    [('demo', 12.0), ('age', -4.0), (None, 1.0)]
    """
    parts: list[ChangePart] = []
    if is_new_model:
        compared = later if earlier_in_new_model is None else earlier_in_new_model
        parts.append(ChangePart(None, _difference(earlier, compared)))
        earlier = compared
    signals = dict.fromkeys([*later.points, *earlier.points])
    changes = (
        ChangePart(signal, later.points.get(signal, 0.0) - earlier.points.get(signal, 0.0))
        for signal in signals
    )
    parts += [part for part in changes if part.points]
    parts.sort(key=lambda part: -abs(part.points))
    return ScoreChange(math.fsum(part.points for part in parts), parts)


def shown_points(points: Sequence[float]) -> tuple[float, list[float]]:
    """Round the parts of a sum to two decimals so that they add up to the rounded sum.

    The parts are rounded down, and the hundredths that are missing go to the parts with the largest
    remainders. So no part differs from its exact value by a hundredth or more.

    Parameters
    ----------
    points : sequence of float

    Returns
    -------
    float
        The sum, rounded to two decimals.
    list of float
        The parts, in their order.

    Examples
    --------
    >>> shown_points([0.333, 0.333, 0.333])
    (1.0, [0.34, 0.33, 0.33])
    >>> shown_points([1.004, -0.504])
    (0.5, [1.0, -0.5])
    """
    total = round(math.fsum(points) * CENTS)
    cents = [math.floor(part * CENTS) for part in points]
    by_remainder = sorted(
        range(len(points)), key=lambda i: points[i] * CENTS - cents[i], reverse=True
    )
    for i in by_remainder[: total - sum(cents)]:
        cents[i] += 1
    return total / CENTS, [part / CENTS for part in cents]


def _difference(earlier: ScoreParts, later: ScoreParts) -> float:
    return math.fsum(
        [
            later.start,
            *later.points.values(),
            -earlier.start,
            *(-points for points in earlier.points.values()),
        ]
    )
