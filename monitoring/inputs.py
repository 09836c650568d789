"""Compares the features of new leads with those of training: filled, renamed, changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from crm.arrays import Bools, Floats
from crm.times import DAY
from features.feature import Feature, in_words
from features.pipeline import LEAD_TIMES
from models.reference import FIRST_BIN, MISSING_BIN, UNSEEN_BIN, FeatureCounts
from models.scorer import LeadScorer
from monitoring.champion import ChampionMoments
from monitoring.check import Check, Verdict, unknown
from monitoring.retired import COLUMNS, Retired, retire_list, retire_values
from monitoring.sequential import NOTHING
from monitoring.shares import (
    ShareChange,
    UsualShares,
    jensen_shannon,
    rank_distance,
    stability_index,
)
from monitoring.truth import day_text, figures_of, percent, verdict_of

FEWEST_MOMENTS: Final = 30
RECENT_DAYS: Final = 30
RECENT_MOMENTS: Final = 100  # at least; else older ones count too
VANISHED: Final = 0.2  # of the earlier share of a value
LEAST_IMPORTANCE: Final = 0.01  # of all points, for an attribute whose loss matters
MOVES_POINTS: Final = 1.0  # a change that moves scores by less is not urgent
EVEN: Final = 0.3  # of the false alarms, spread evenly; the rest by how much a signal moves scores
SHOWN: Final = 5
TEACHES_NOTHING = "The champion was trained by an earlier version and does not know its leads."
# All leads of a day share them, so they say nothing about the kind of the leads.
OF_THE_DAY: Final = tuple(feature.name for feature in LEAD_TIMES)
NUMBERS: Final = ("LM301", "LM302", "LM303")


@dataclass(frozen=True)
class FeatureDrift:
    """How the new leads differ from those of training in one feature.

    Attributes
    ----------
    feature : Feature
    kind : str
        "filled", "values" or "shares": which check the most likely change belongs to.
    vanished : str
        The value that has vanished; empty for other changes.
    change : ShareChange
    label : str
        The value whose share changes most, in words.
    share, earlier_share : float
        The share of this value in the recent leads, and in training, 0 … 1.
    missing, earlier_missing, unseen, earlier_unseen : float
        Shares of leads without a value, and with a rare or unseen one.
    psi, js, wasserstein : float
        Distances of the recent leads from those of training.
    points : float
        The mean points of the feature's signal in the recent leads, minus those of training.
    importance : float
        The share of all points that the signal moves, 0 … 1.
    """

    feature: Feature
    kind: str
    vanished: str
    change: ShareChange
    label: str
    share: float
    earlier_share: float
    missing: float
    earlier_missing: float
    unseen: float
    earlier_unseen: float
    psi: float
    js: float
    wasserstein: float
    points: float
    importance: float

    @property
    def verdict(self) -> Verdict:
        """ACT if the change is certain, and moves scores or takes away what moves them."""
        verdict = verdict_of(self.change.detection)
        matters = abs(self.points) >= MOVES_POINTS or (
            self.kind != "shares" and self.importance >= LEAST_IMPORTANCE
        )
        return Verdict.WATCH if verdict is Verdict.ACT and not matters else verdict

    def sentence(self) -> str:
        """Describe the change."""
        since = day_text(self.change.detection.since)
        is_column = self.kind != "shares" or not self.feature.measure
        name = f"`{self.feature.column}`" if is_column else self.feature.measure
        moved = f", which moves scores by {self.points:+.0f} points" if round(self.points) else ""
        return (
            f"Since {since}, {name} {self.label} for {percent(self.share)} of the leads, instead "
            f"of {percent(self.earlier_share)}{moved}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the drift as plain data."""
        return {
            "feature": self.feature.name,
            "signal": self.feature.signal_name,
            "verdict": str(self.verdict),
            "change": self.label,
            "share": self.share,
            "earlier_share": self.earlier_share,
            "since": self.change.detection.since,
            "missing": self.missing,
            "earlier_missing": self.earlier_missing,
            "unseen": self.unseen,
            "earlier_unseen": self.earlier_unseen,
            "psi": self.psi,
            "jensen_shannon": self.js,
            "wasserstein": self.wasserstein,
            "points": self.points,
            "importance": self.importance,
            "days": self.change.detection.days,
        }


def input_checks(scorer: LeadScorer, champion: ChampionMoments, retired: Retired) -> list[Check]:
    """Check the features of leads that the champion has not learned from.

    What is retired is left out.
    """
    if scorer.reference is None:
        return [unknown(number, TEACHES_NOTHING) for number in NUMBERS]
    if len(champion.moments) < FEWEST_MOMENTS:
        why = "There are too few new leads to compare with those of training."
        return [unknown(number, why) for number in NUMBERS]
    drifts = feature_drifts(scorer, champion, retired)
    filled, values = ([d for d in drifts if d.kind == kind] for kind in ("filled", "values"))
    columns = [d.feature.column for d in _notable(filled) if d.change.rises]
    vanished = [(d.feature.column, d.vanished) for d in _notable(values) if d.vanished]
    return [
        _check(
            "LM301",
            filled,
            "Each attribute is about as often filled as in training.",
            "CRM admin: check that these columns are still exported and filled."
            + retire_list(COLUMNS, retired.columns, columns),
        ),
        _check(
            "LM302",
            values,
            "No frequent value has vanished, and new values are about as rare as in training.",
            "CRM admin: check whether values were renamed. Map them to the old names, or train "
            "again when the renamed leads are old enough." + retire_values(retired, vanished),
        ),
        _check(
            "LM303",
            [drift for drift in drifts if drift.kind == "shares"],
            "The new leads are like those that the model learned from.",
            "Marketing: find out whether the change is intended. Data science: train again if the "
            "chances no longer come true.",
        ),
    ]


def feature_drifts(
    scorer: LeadScorer, champion: ChampionMoments, retired: Retired
) -> list[FeatureDrift]:
    """Compare each feature with training, the most certain change first.

    Features of what is retired are left out. If a value of a category is retired, the other values
    are compared among themselves.
    """
    reference = scorer.reference
    assert reference is not None
    moments = champion.moments
    day, weight = moments.as_of // DAY, champion.comparable
    first = (moments.ordinal == 0).astype(np.float64)
    n_attributes = len(scorer.pipeline.attributes)
    static = {*range(n_attributes), *scorer.pipeline.of_interactions}
    places = {name: i for i, name in enumerate(scorer.pipeline.names)}
    signals = {signal: i for i, signal in enumerate(scorer.reasoner.signals)}
    importance = {row["signal"]: float(row["share"]) for row in scorer.card.importance}
    members = [len(scorer.reasoner.members[place]) for place in signals.values()]
    drifts = []
    for counted in reference.features:
        if counted.bins.feature in OF_THE_DAY:
            continue
        place = places[counted.bins.feature]
        feature = scorer.pipeline.features[place]
        attribute = scorer.pipeline.attributes[place] if place < n_attributes else None
        if retired.has_gone(feature, attribute):
            continue
        signal = signals[feature.signal_name]
        moves = importance.get(feature.signal_name, 0.0)
        budget = EVEN / len(reference.features) + (1 - EVEN) * moves / members[signal]
        values = counted.bins.bins_of(champion.matrix[:, place])
        gone = counted.bins.bins_of(np.array(retired.codes(feature)))
        by_month = counted.counts
        by_month[:, gone] = 0.0
        usual = UsualShares.of(by_month)
        # An attribute is the same at all moments of a lead, so its first one counts.
        counts = (first if place in static else weight) * ~np.isin(values, gone)
        change = usual.change(day, values, counts, 1 / budget)
        is_notable = change.detection.is_notable
        recent = _recent(day, change.detection.since if is_notable else None) & (counts > 0)
        if not recent.any():
            continue
        now, before = _distribution(values[recent], counts[recent], by_month.sum(axis=0))
        kind = _kind(change, now, before, counted) if place in static else "shares"
        if kind == "shares" and feature.unseen and set(feature.attributes) & set(retired.values):
            continue  # it is looked up by retired values too, and its bins do not tell them apart
        points = np.average(champion.parts.of_signals[recent, signal], weights=counts[recent])
        drifts.append(
            FeatureDrift(
                feature=feature,
                kind=kind,
                vanished=_vanished(feature, counted, change) if kind == "values" else "",
                change=change,
                label=_label(feature, counted, change.value),
                share=float(now[change.value]),
                earlier_share=float(before[change.value]),
                missing=float(now[MISSING_BIN]),
                earlier_missing=float(before[MISSING_BIN]),
                unseen=float(now[UNSEEN_BIN]),
                earlier_unseen=float(before[UNSEEN_BIN]),
                psi=stability_index(now, before),
                js=jensen_shannon(now, before),
                wasserstein=_wasserstein(now, before, counted),
                points=float(points) - reference.points[feature.signal_name],
                importance=moves,
            )
        )
    return sorted(drifts, key=lambda drift: -drift.change.detection.days)


def _notable(drifts: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    return [drift for drift in drifts if drift.verdict is not Verdict.FINE]


def _check(number: str, drifts: Sequence[FeatureDrift], fine: str, next_step: str) -> Check:
    """Sum up the drifts of one kind."""
    found = _notable(drifts)
    found.sort(key=lambda drift: (-drift.verdict.rank, -drift.importance, -abs(drift.points)))
    verdict = max((drift.verdict for drift in found), key=lambda v: v.rank, default=Verdict.FINE)
    shown = _one_of_each_signal(found)
    evidence = " ".join(drift.sentence() for drift in shown[:SHOWN]) if found else fine
    if len(shown) > SHOWN:
        evidence += f" {len(shown) - SHOWN} more signals changed."
    figures: Mapping[str, float | int | None] = {
        "changed": len(shown),
        **figures_of((found or drifts)[0].change.detection if drifts else NOTHING),
    }
    rows = [drift.to_json() for drift in (found or drifts[:SHOWN])]
    return Check(number, verdict, evidence, next_step if found else "", figures, rows)


def _one_of_each_signal(drifts: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """Keep the first drift of each signal, because the features of a signal move together."""
    first: dict[str, FeatureDrift] = {}
    for drift in drifts:
        first.setdefault(drift.feature.signal_name, drift)
    return list(first.values())


def _recent(day: Any, since: int | None) -> Bools:
    """Select the moments since a change, or those of the last days."""
    if since is not None:
        return np.asarray(day >= since)
    last = day >= day.max() - RECENT_DAYS
    return np.asarray(last if last.sum() >= RECENT_MOMENTS else np.ones(len(day), dtype=bool))


def _distribution(values: Any, weight: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Return the shares of all bins, recent and in training, smoothed so that none is 0."""
    n_bins = len(before)
    now = np.bincount(values, weight, n_bins) + 0.5 / n_bins
    before = before + 0.5 / n_bins
    return now / now.sum(), before / before.sum()


def _kind(change: ShareChange, now: Floats, before: Floats, counted: FeatureCounts) -> str:
    place = change.value
    if place == MISSING_BIN:
        return "filled"
    is_value = counted.bins.codes and FIRST_BIN <= place < FIRST_BIN + len(counted.bins.codes)
    has_vanished = is_value and not change.rises and now[place] < VANISHED * before[place]
    return "values" if place == UNSEEN_BIN or has_vanished else "shares"


def _vanished(feature: Feature, counted: FeatureCounts, change: ShareChange) -> str:
    """Return the text of a value that has vanished; "" if values are rare or unseen instead."""
    if change.value == UNSEEN_BIN:
        return ""
    return feature.values[int(counted.bins.codes[change.value - FIRST_BIN])]


def _label(feature: Feature, counted: FeatureCounts, place: int) -> str:
    """Describe a bin, for a sentence about the feature."""
    bins = counted.bins
    if place == MISSING_BIN:
        return "is missing"
    if place == UNSEEN_BIN:
        return "is rare or unseen"
    value = place - FIRST_BIN
    if bins.codes:
        if value == len(bins.codes):
            return "has another value"
        code = int(bins.codes[value])
        text = feature.values[code] if code < len(feature.values) else ""
        return f'is "{text}"'
    if not bins.edges:
        return "has a value"
    if feature.unit == "count" and value < len(bins.edges):
        least = 0 if value == 0 else int(bins.edges[value - 1]) + 1
        most = int(bins.edges[value])
        return f"is {least}" if least == most else f"is {least:,} to {most:,}"
    if value == 0:
        return f"is at most {in_words(feature.unit, bins.edges[0])}"
    if value == len(bins.edges):
        return f"is above {in_words(feature.unit, bins.edges[-1])}"
    low, high = (in_words(feature.unit, edge) for edge in bins.edges[value - 1 : value + 1])
    return f"is between {low} and {high}"


def _wasserstein(now: Floats, before: Floats, counted: FeatureCounts) -> float:
    """Compute the distance over the ordered values of a number; 0 for a category."""
    if counted.bins.codes:
        return 0.0
    later, earlier = now[FIRST_BIN:], before[FIRST_BIN:]
    return rank_distance(later / later.sum(), earlier / earlier.sum())
