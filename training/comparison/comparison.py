"""Compares two versions on the same leads, which neither of them has learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints
from crm.project import Project
from crm.records import Records
from crm.times import NOT_A_TIME
from features.moments import Moments, make_moments
from models.evaluation.cut_offs import CutOffMetrics
from models.evaluation.intervals import percentiles, resamples
from models.evaluation.metrics import FEWEST_TO_JUDGE, MODEL_METRICS, measure
from models.registry.registry import Registry
from training.comparison.fairness import unfair_reasons
from training.comparison.held_out import Contender, HeldOut, held_out_log_odds


@dataclass(frozen=True)
class SharedMoments:
    """The moments that neither version has learned from, with the log-odds of both.

    Attributes
    ----------
    moments : Moments, length n
    challenger, champion : ndarray of float64, shape (n,)
        Calibrated log-odds, without gaps.
    cut_off : ndarray of int64, shape (n,)
        A number for each pair of cut-offs, in the order of time: moments with the same number
        have log-odds from the same two models.
    left_out : int
        The number of moments that are left out although both versions have held-out log-odds:
        there, the model of the newer version had learned until an earlier time than that of the
        older version.
    with_later : int
        The number of moments for which a model of the later cut-off stands for the newer version.
    """

    moments: Moments
    challenger: Floats
    champion: Floats
    cut_off: Ints
    left_out: int = 0
    with_later: int = 0

    @classmethod
    def of(cls, moments: Moments, challenger: HeldOut, champion: HeldOut) -> "SharedMoments":
        """Keep the moments for which both versions have held-out log-odds.

        Of two versions that learned until different times, the models of the newer one must have
        learned until at least the time of those of the older one. Otherwise a new version would
        be judged by models that know less than the champion, although it knows more.
        """
        has_both = ~np.isnan(challenger.log_odds) & ~np.isnan(champion.log_odds)
        before = challenger, champion
        if challenger.learned_until > champion.learned_until:
            challenger = challenger.knowing_as_much_as(champion)
        elif challenger.learned_until < champion.learned_until:
            champion = champion.knowing_as_much_as(challenger)
        is_later = (challenger.cutoff != before[0].cutoff) | (champion.cutoff != before[1].cutoff)
        both = ~np.isnan(challenger.log_odds) & ~np.isnan(champion.log_odds)
        pairs = np.column_stack([challenger.cutoff[both], champion.cutoff[both]])
        _, cut_off = np.unique(pairs, axis=0, return_inverse=True)
        return cls(
            moments.take(both),
            challenger.log_odds[both],
            champion.log_odds[both],
            cut_off.ravel(),
            left_out=int((has_both & ~both).sum()),
            with_later=int((both & is_later).sum()),
        )

    @property
    def n_leads(self) -> int:
        """The number of leads that the moments belong to."""
        return len(np.unique(self.moments.lead))

    @property
    def rarer(self) -> int:
        """The number of leads with the rarer outcome of their cut-off.

        A lead may have moments of both outcomes.
        """
        return sum(of_one.moments.rarer for of_one in self.by_cut_off)

    @property
    def by_cut_off(self) -> "list[SharedMoments]":
        """The moments of each cut-off, in the order of time."""
        return [self._take(self.cut_off == number) for number in np.unique(self.cut_off)]

    @property
    def knowledge(self) -> str:
        """A sentence about moments with a later model, and about those left out; may be empty.

        Examples
        --------
        >>> nothing = Moments(*[np.empty(0)] * 5, {})
        >>> SharedMoments(nothing, *[np.empty(0)] * 3).knowledge
        ''
        >>> SharedMoments(nothing, *[np.empty(0)] * 3, left_out=1_200).knowledge
        '1,200 moments are left out, because there the newer version knew less than the older one.'
        """
        sentences = []
        if self.with_later:
            sentences.append(
                f"On {self.with_later:,} of the moments, the newer version is represented by a "
                "model that knew only what the older one knew."
            )
        if self.left_out:
            sentences.append(
                f"{self.left_out:,} moments are left out, because there the newer version knew "
                "less than the older one."
            )
        return " ".join(sentences)

    def _take(self, rows: Bools) -> "SharedMoments":
        return SharedMoments(
            self.moments.take(rows), self.challenger[rows], self.champion[rows], self.cut_off[rows]
        )


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
    """Compute the paired difference in every metric, within each cut-off.

    A metric is the mean over the cut-offs, each with the weight of its moments
    (`models.evaluation.cut_offs`).

    Parameters
    ----------
    shared : SharedMoments
        Moments with both outcomes in at least one cut-off.
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
    of_challenger = CutOffMetrics(shared.challenger, label, shared.cut_off)
    of_champion = CutOffMetrics(shared.champion, label, shared.cut_off)
    challenger, champion = of_challenger.means(weight), of_champion.means(weight)
    draws: dict[str, list[float]] = {name: [] for name in MODEL_METRICS}
    for times_drawn in resamples(shared.moments.lead, seed):
        drawn_challenger = of_challenger.means(weight * times_drawn)
        drawn_champion = of_champion.means(weight * times_drawn)
        if len(drawn_challenger) < len(MODEL_METRICS):
            continue
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
class ComparedCutOff:
    """The moments of one cut-off, with the metrics of both versions.

    Attributes
    ----------
    first, last : int
        The first and the last moment, in microseconds since 1970 UTC; `NOT_A_TIME` without times.
    n, n_leads : int
        The numbers of moments and leads.
    base_rate : float
        The share of the moments that were won.
    challenger, champion : dict of str to float, or None
        By the names in `MODEL_METRICS`; None with fewer than `FEWEST_TO_JUDGE` leads of the rarer
        outcome.
    """

    first: int
    last: int
    n: int
    n_leads: int
    base_rate: float
    challenger: Mapping[str, float] | None
    champion: Mapping[str, float] | None

    @classmethod
    def of(cls, shared: SharedMoments) -> "ComparedCutOff":
        """Compute the figures of the moments of one cut-off."""
        moments = shared.moments
        has_enough = moments.rarer >= FEWEST_TO_JUDGE
        of_both = [
            measure(log_odds, moments.label, moments.weight) if has_enough else None
            for log_odds in (shared.challenger, shared.champion)
        ]
        return cls(
            int(moments.as_of.min()),
            int(moments.as_of.max()),
            len(moments),
            shared.n_leads,
            float(moments.label.mean()),
            *of_both,
        )

    @property
    def period(self) -> tuple[str, str] | None:
        """The days of the first and the last moment, such as "2026-03-01"; None without times."""
        if self.first == NOT_A_TIME:
            return None
        first, last = pd.to_datetime([self.first, self.last], unit="us", utc=True)
        return f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; `one` is the challenger, `other` the champion."""
        first, last = self.period or (None, None)
        return {
            "from": first,
            "to": last,
            "n": self.n,
            "n_leads": self.n_leads,
            "base_rate": self.base_rate,
            "one": self.challenger and dict(self.challenger),
            "other": self.champion and dict(self.champion),
        }


@dataclass(frozen=True)
class Comparison:
    """Two versions, compared on the same leads, which neither of them has learned from.

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

    @property
    def cut_offs(self) -> list[ComparedCutOff]:
        """The figures of each cut-off, in the order of time."""
        return [ComparedCutOff.of(of_one) for of_one in self.shared.by_cut_off]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain data; `one` is the challenger, `other` the champion."""
        return {
            "one": self.challenger,
            "other": self.champion,
            "n": len(self.shared.moments),
            "n_leads": self.shared.n_leads,
            "n_rarer": self.shared.rarer,
            "n_needed": FEWEST_TO_JUDGE,
            "n_left_out": self.shared.left_out,
            "n_with_later": self.shared.with_later,
            "base_rate": self.base_rate,
            "verdict": self.verdict,
            "warnings": list(self.warnings),
            "n_cut_offs": len(self.cut_offs),
            "cut_offs": [cut_off.to_json() for cut_off in self.cut_offs],
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
