"""What drives the scores: how many points each signal moves them, and which way."""

from typing import Any

import numpy as np

from crm.arrays import Floats
from features.feature import Feature
from models.reasons import Reasoner
from models.signal_words import CODED, measured

MANY_ROWS = 20_000
COMMON = 0.01  # of the leads have a value, at least, for it to be named
CLEAR = 0.5  # rank correlation from which on a number is said to have a direction


def judge_importance(reasoner: Reasoner, features: Floats, seed: int) -> list[dict[str, Any]]:
    """Rank the signals by the points that they move scores on average.

    Parameters
    ----------
    reasoner : Reasoner
    features : ndarray of float64, shape (n, k)
        Of the leads to look at; of more than `MANY_ROWS` a sample is taken.
    seed : int
        For the sample.

    Returns
    -------
    list of dict
        Strongest first: `signal`, `points` (mean distance from 0), `share` of all signals'
        points, `direction` in words, from the feature that moves the signal most.
    """
    if len(features) > MANY_ROWS:
        rows = np.random.default_rng(seed).choice(len(features), MANY_ROWS, replace=False)
        features = features[np.sort(rows)]
    parts = reasoner.parts(features)
    strength = np.abs(parts.of_signals).mean(axis=0)
    total = float(strength.sum()) or 1.0
    mean_of_features = np.abs(parts.of_features).mean(axis=0)
    found = []
    for signal in np.argsort(-strength, kind="stable").tolist():
        if strength[signal] == 0:
            continue
        mover = max(reasoner.members[signal], key=lambda j: float(mean_of_features[j]))
        found.append(
            {
                "signal": reasoner.signals[signal],
                "points": float(strength[signal]),
                "share": float(strength[signal]) / total,
                "direction": _direction(
                    reasoner.features[mover], features[:, mover], parts.of_features[:, mover]
                ),
            }
        )
    return found


def _direction(feature: Feature, values: Floats, points: Floats) -> str:
    """Say what raises and what lowers the score."""
    known = np.isfinite(values)
    if feature.unit in CODED:
        return _best_and_worst(feature, values, points)
    if len(np.unique(values[known])) < 2 or np.ptp(points[known]) == 0:
        return "whether it is known" if not known.all() else "no clear direction"
    said = measured(feature)
    ranks = [np.unique(x[known], return_inverse=True)[1].astype(float) for x in (values, points)]
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    if abs(correlation) < CLEAR:
        return f"{said}: no single direction"
    more = "longer" if feature.unit in ("days", "hours") else "more"
    return f"{said}: {more} {'raises' if correlation > 0 else 'lowers'} the score"


def _best_and_worst(feature: Feature, values: Floats, points: Floats) -> str:
    """Name the value with the most points and that with the fewest; not known is one as well."""
    codes, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean = np.bincount(place, points) / counts
    if len(codes) < 2:
        return "the same for all leads"
    common = np.flatnonzero(counts >= COMMON * np.isfinite(values).sum())
    if len(common) < 2:
        common = np.arange(len(codes))  # what few leads have is all that differs
    high, low = (int(common[pick(mean[common])]) for pick in (np.argmax, np.argmin))
    return (
        f"most for: {feature.say(float(codes[high]))} ({_points(mean[high])}); "
        f"least for: {feature.say(float(codes[low]))} ({_points(mean[low])})"
    )


def _points(mean: float) -> str:
    """Write points: less than one with a digit more, and nothing without a sign."""
    text = f"{mean:+.{0 if abs(mean) >= 1 else 1}f}"
    return text if float(text) else "0"
