"""Compares two versions on the same newest leads, which neither of them has learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Floats
from crm.project import Project
from crm.records import Records
from features.moments import Moments, make_moments
from models.evaluation.intervals import percentiles, resamples
from models.evaluation.metrics import FEWEST_TO_JUDGE, MODEL_METRICS, measure
from models.registry.registry import Registry
from training.comparison.fairness import unfair_reasons
from training.comparison.held_out import Contender, held_out_log_odds


@dataclass(frozen=True)
class SharedMoments:
    """The moments that neither version has learned from, with the log-odds of both.

    Attributes
    ----------
    moments : Moments, length n
    challenger, champion : ndarray of float64, shape (n,)
        Calibrated log-odds, without gaps.
    """

    moments: Moments
    challenger: Floats
    champion: Floats

    @classmethod
    def of(cls, moments: Moments, challenger: Floats, champion: Floats) -> "SharedMoments":
        """Keep the moments for which both versions have held-out log-odds."""
        both = ~np.isnan(challenger) & ~np.isnan(champion)
        return cls(moments.take(both), challenger[both], champion[both])

    @property
    def n_leads(self) -> int:
        """The number of leads that the moments belong to."""
        return len(np.unique(self.moments.lead))

    @property
    def rarer(self) -> int:
        """The number of leads with the rarer outcome; a lead may have moments of both."""
        return self.moments.rarer


@dataclass(frozen=True)
class Difference:
    """One metric of both versions, and the paired difference.

    Attributes
    ----------
    metric : str
    challenger, champion : float
    low, high : float
        95 % bootstrap interval of challenger - champion: each resample draws whole leads, the
        same for both.
    """

    metric: str
    challenger: float
    champion: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The challenger's value minus the champion's."""
        return self.challenger - self.champion


def differences(shared: SharedMoments, seed: int) -> dict[str, Difference]:
    """Compute the paired difference in every metric.

    Parameters
    ----------
    shared : SharedMoments
        Moments with both outcomes.
    seed : int

    Returns
    -------
    dict of str to Difference
        By the names in `MODEL_METRICS`.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, percentile intervals. The
    difference is computed within each resample, so leads that are hard for both versions
    cancel out.
    """
    label, weight = shared.moments.label, shared.moments.weight
    challenger = measure(shared.challenger, label, weight)
    champion = measure(shared.champion, label, weight)
    draws: dict[str, list[float]] = {name: [] for name in MODEL_METRICS}
    for times_drawn in resamples(shared.moments.lead, seed):
        drawn = weight * times_drawn
        if not 0 < drawn @ label < drawn.sum():
            continue
        drawn_challenger = measure(shared.challenger, label, drawn)
        drawn_champion = measure(shared.champion, label, drawn)
        for name in MODEL_METRICS:
            draws[name].append(drawn_challenger[name] - drawn_champion[name])
    intervals = {name: percentiles(draws[name]) for name in MODEL_METRICS}
    return {
        name: Difference(
            metric=name,
            challenger=challenger[name],
            champion=champion[name],
            low=low,
            high=high,
        )
        for name, (low, high) in intervals.items()
    }


@dataclass(frozen=True)
class Comparison:
    """Two versions, compared on the same newest leads.

    Attributes
    ----------
    challenger, champion : str
        The versions. Any two versions can be compared; the first takes the challenger's place.
    shared : SharedMoments
    differences : mapping of str to Difference
        By metric; empty if there are too few outcomes to compare.
    warnings : tuple of str
        Why the comparison is not fair; empty if it is fair.
    """

    challenger: str
    champion: str
    shared: SharedMoments
    differences: Mapping[str, Difference]
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One of "judged", "cannot be compared" and "too few to judge"."""
        if self.differences:
            return "judged"
        return "cannot be compared" if self.warnings else "too few to judge"

    @property
    def base_rate(self) -> float | None:
        """The share of the moments that were won; None without moments."""
        label = self.shared.moments.label
        return float(label.mean()) if len(label) else None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain data; `one` is the challenger, `other` the champion."""
        return {
            "one": self.challenger,
            "other": self.champion,
            "n": len(self.shared.moments),
            "n_leads": self.shared.n_leads,
            "n_rarer": self.shared.rarer,
            "n_needed": FEWEST_TO_JUDGE,
            "base_rate": self.base_rate,
            "verdict": self.verdict,
            "warnings": list(self.warnings),
            "metrics": [
                {
                    "metric": difference.metric,
                    "one": difference.challenger,
                    "other": difference.champion,
                    "difference": difference.value,
                    "interval": [difference.low, difference.high],
                }
                for difference in self.differences.values()
            ],
        }


def compare(
    registry: Registry, project: Project, records: Records, challenger: str, champion: str
) -> Comparison:
    """Compare two versions on the moments that neither of them learned from.

    Parameters
    ----------
    registry : Registry
    project : Project
    records : Records
        Today's records.
    challenger, champion : str
        The versions.

    Returns
    -------
    Comparison
    """
    moments = make_moments(records, project.learn)
    contenders = [Contender.read(registry, version) for version in (challenger, champion)]
    warnings = tuple(
        reason for contender in contenders for reason in unfair_reasons(contender, records, project)
    )
    shared = SharedMoments.of(
        moments,
        *(held_out_log_odds(contender, records, moments, project.name) for contender in contenders),
    )
    has_enough = shared.rarer >= FEWEST_TO_JUDGE
    return Comparison(
        challenger=challenger,
        champion=champion,
        shared=shared,
        differences=differences(shared, project.learn.seed) if has_enough else {},
        warnings=warnings,
    )
