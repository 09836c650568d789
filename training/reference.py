"""Describes the moments that a model learned from, for comparisons with later leads."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats, Ints, Strings
from crm.records import Records
from crm.times import DAY, microseconds
from features.first_closings import FirstClosings
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.fitting.logistic import sample_of_leads
from models.reasons import Reasoner
from models.reference import (
    MOST_MONTHS,
    QUANTILES,
    FeatureBins,
    FeatureCounts,
    HeldOutMonth,
    Reference,
    delay_key,
)
from models.scale import Scale
from training.fit import Fitted
from training.rolling import Rolling

MOST_MOMENTS: Final = 100_000  # shares are known to a fifth of a point
FEWEST_WINS: Final = 50  # of a group, for delays of its own; also of losses


def describe_reference(
    records: Records,
    moments: Moments,
    final: Fitted,
    rolling: Rolling,
    scale: Scale,
    seed: int,
) -> Reference:
    """Count the features of moments by month, and describe scores and delays of wins.

    Of more than `MOST_MOMENTS` moments, a sample of leads is described.

    Parameters
    ----------
    records : Records
    moments : Moments
        The moments that the model learned from.
    final : Fitted
        The model.
    rolling : Rolling
        Evaluations of the same procedure on moments that it had not seen.
    scale : Scale
    seed : int

    Returns
    -------
    Reference
    """
    chosen = moments.take(sample_of_leads(moments.lead, MOST_MOMENTS, seed))
    pipeline = final.pipeline
    matrix = pipeline.transform(records, chosen.lead, chosen.as_of)
    names, month = _months(chosen)
    reasoner = Reasoner(pipeline.features, final.estimator, final.calibration, scale)
    points = reasoner.parts(matrix).of_signals.mean(axis=0)
    features = []
    for i, feature in enumerate(pipeline.features):
        bins = FeatureBins.fit(feature, matrix[:, i], *odd_values(pipeline, i))
        flat = month * bins.n_bins + bins.bins_of(matrix[:, i])
        counts = np.bincount(flat, minlength=len(names) * bins.n_bins)
        features.append(FeatureCounts(bins, counts.reshape(len(names), -1).tolist()))
    grade = scale.grade(scale.score(expit(final.log_odds_of(matrix))))
    age = np.empty(0)
    if chosen.has_times:
        age = (chosen.as_of - microseconds(records.leads["created_at"])[chosen.lead]) / DAY
    return Reference(
        months=names,
        features=features,
        points=dict(zip(reasoner.signals, points.tolist(), strict=True)),
        held_out=_held_out(rolling, scale),
        win_delays=_win_delays(records, chosen, age, grade) if chosen.has_times else {},
        loss_shares=_loss_shares(records, chosen, age) if chosen.has_times else {},
    )


def odd_values(pipeline: FeaturePipeline, place: int) -> tuple[float, float]:
    """Return the values of a column of the matrix that mean "missing" and "unseen", or nan."""
    if place >= len(pipeline.attributes):
        return np.nan, np.nan
    attribute = pipeline.attributes[place]
    return attribute.missing_value, attribute.odd_value


def _months(moments: Moments) -> tuple[list[str], Ints]:
    """Return the names of the months, and the position of each moment's month."""
    if not moments.has_times:
        return [""], np.zeros(len(moments), dtype=np.int64)
    of_moments = moments.as_of.view("datetime64[us]").astype("datetime64[M]")
    months = np.unique(of_moments)[-MOST_MONTHS:]
    place = np.maximum(np.searchsorted(months, of_moments, side="right") - 1, 0)
    return np.datetime_as_string(months).tolist(), place


def _held_out(rolling: Rolling, scale: Scale) -> list[HeldOutMonth]:
    """Sum up the held-out moments of all cut-offs by month."""
    months: dict[str, HeldOutMonth] = {}
    for cut_off in reversed(rolling.cut_offs):
        test, probability = cut_off.split.test, expit(cut_off.margin)
        grade = scale.grade(scale.score(probability))
        names, place = _months(test)
        for i, name in enumerate(names):
            rows = place == i
            earlier = months.get(name, HeldOutMonth(name, 0, 0.0, 0, {}))
            grades = dict(earlier.grades)
            for letter, count in zip(*np.unique(grade[rows], return_counts=True), strict=True):
                grades[str(letter)] = grades.get(str(letter), 0) + int(count)
            months[name] = HeldOutMonth(
                month=name,
                n=earlier.n + int(rows.sum()),
                expected=earlier.expected + float(probability[rows].sum()),
                won=earlier.won + int(test.label[rows].sum()),
                grades=grades,
            )
    return list(months.values())


def _win_delays(
    records: Records, moments: Moments, age: Floats, grade: Strings
) -> dict[str, list[float]]:
    """Return the distribution of the days until the win, by age and grade, by age, and of all."""
    won_at = FirstClosings.of(records).won_at[moments.lead]
    is_dated = (moments.label == 1) & (won_at <= moments.known_at)
    days = pd.Series((won_at[is_dated] - moments.as_of[is_dated]) / DAY)
    keys = [delay_key(*of) for of in zip(age[is_dated].tolist(), grade[is_dated], strict=True)]
    steps = np.linspace(0, 1, QUANTILES + 1)
    delays = {}
    for names in ([""] * len(keys), [key.partition(" ")[0] for key in keys], keys):
        for name, of_group in days.groupby(np.array(names, dtype=object)):
            if len(of_group) >= FEWEST_WINS:
                delays[str(name)] = np.quantile(of_group, steps).round(3).tolist()
    return delays


def _loss_shares(records: Records, moments: Moments, age: Floats) -> dict[str, list[float]]:
    """Return the shares of moments closed without a win within parts of the horizon, by age."""
    first = FirstClosings.of(records)
    closed_at = first.closed_at[moments.lead]
    is_lost = (moments.label == 0) & (closed_at <= moments.known_at)
    horizon = moments.known_at - moments.as_of
    part = np.where(is_lost, (closed_at - moments.as_of) / horizon, np.inf)
    steps = np.linspace(0, 1, QUANTILES + 1)
    shares = {}
    for days in np.unique(age):
        parts = np.sort(part[age == days])
        if np.isfinite(parts).sum() >= FEWEST_WINS:
            within = np.searchsorted(parts, steps, side="right")
            shares[f"{days:g}"] = (within / len(parts)).round(6).tolist()
    return shares
