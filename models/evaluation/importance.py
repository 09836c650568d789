"""Ranks the signals that move the scores: by how many points, and in which direction."""

from typing import Any

import numpy as np

from crm.arrays import Floats
from features.feature import Feature
from models.reasons import Reasoner
from models.signal_words import CODED, measured

MANY_ROWS = 20_000
COMMON = 0.01  # the least share of the leads that a value needs to be named
SMALLEST = 1e-9  # points; smaller ones are errors of rounding
CLEAR = 0.5  # the least rank correlation at which a number has a direction


def rank_signals(
    reasoner: Reasoner, features: Floats, seed: int, *, from_mean: bool = False
) -> list[dict[str, Any]]:
    """Rank the signals by the points that they move scores on average.

    Parameters
    ----------
    reasoner : Reasoner
    features : ndarray of float64, shape (n, k)
        The leads. Above `MANY_ROWS` leads a sample is used.
    seed : int
        The seed of the sample.
    from_mean : bool
        Measure points from their mean among these leads, not from those of the average lead that
        the model learned from. A signal that is the same for all of these leads does not move
        their scores apart, and is not listed.

    Returns
    -------
    list of dict
        Strongest first: `signal`, `points` (mean distance from 0, or from the mean), `share` of
        all signals' points, and `direction` in words, from the feature that moves the signal most.
    """
    if len(features) > MANY_ROWS:
        rows = np.random.default_rng(seed).choice(len(features), MANY_ROWS, replace=False)
        features = features[np.sort(rows)]
    parts = reasoner.parts(features)
    points = parts.of_signals
    if from_mean:
        points = points - points.mean(axis=0)
    strength = np.abs(points).mean(axis=0)
    strength[strength < SMALLEST] = 0.0
    if from_mean:
        differs = [len(np.unique(column)) > 1 for column in features.T]
        strength[[not any(differs[j] for j in members) for members in reasoner.members]] = 0.0
    total = float(strength.sum()) or 1.0
    mean_of_features = np.abs(parts.of_features).mean(axis=0)
    ranked = []
    for signal in np.argsort(-strength, kind="stable").tolist():
        if strength[signal] == 0:
            continue
        mover = max(reasoner.members[signal], key=lambda j: float(mean_of_features[j]))
        ranked.append(
            {
                "signal": reasoner.signals[signal],
                "points": float(strength[signal]),
                "share": float(strength[signal]) / total,
                "direction": _direction(
                    reasoner.features[mover], features[:, mover], parts.of_features[:, mover]
                ),
            }
        )
    return ranked


def _direction(feature: Feature, values: Floats, points: Floats) -> str:
    """Describe which values raise the score and which lower it."""
    is_known = np.isfinite(values)
    if feature.unit in CODED:
        return _best_and_worst(feature, values, points)
    if len(np.unique(values[is_known])) < 2 or np.ptp(points[is_known]) == 0:
        return "whether it is known" if not is_known.all() else "no clear direction"
    name = measured(feature)
    ranks = [np.unique(x[is_known], return_inverse=True)[1].astype(float) for x in (values, points)]
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    if abs(correlation) < CLEAR:
        return f"{name}: no single direction"
    larger = "a longer time" if feature.unit in ("days", "hours") else "a higher value"
    return f"{name}: {larger} {'raises' if correlation > 0 else 'lowers'} the score"


def _best_and_worst(feature: Feature, values: Floats, points: Floats) -> str:
    """Name the values with the most and with the fewest points; "not known" is a value too."""
    codes, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean = np.bincount(place, points) / counts
    if len(codes) < 2:
        return "the same for all leads"
    common = np.flatnonzero(counts >= COMMON * np.isfinite(values).sum())
    if len(common) < 2:
        common = np.arange(len(codes))  # only values of few leads differ, so they are named
    high, low = (int(common[pick(mean[common])]) for pick in (np.argmax, np.argmin))
    return (
        f"most for: {feature.say(float(codes[high]))} ({_points(mean[high])}); "
        f"least for: {feature.say(float(codes[low]))} ({_points(mean[low])})"
    )


def _points(mean: float) -> str:
    """Format points: one decimal below one point, and no sign for zero."""
    text = f"{mean:+.{0 if abs(mean) >= 1 else 1}f}"
    return text if float(text) else "0"
