"""Describes the moments that a model learned from, for comparisons with later leads."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Bools, Floats, Ints, Strings
from crm.cells import read_column
from crm.records import Records
from crm.times import DAY, microseconds
from features.attributes.target import TargetAttribute
from features.first_closings import FirstClosings
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.fitting.logistic import sample_of_leads
from models.reasons import Reasoner
from models.reference import (
    MOST_MONTHS,
    QUANTILES,
    UNSEEN_BIN,
    FeatureBins,
    FeatureCounts,
    HeldOutMonth,
    Reference,
    delay_key,
)
from models.scale import Scale
from training.fit import Fitted

MOST_MOMENTS: Final = 100_000  # shares are known to a fifth of a point
FEWEST_WINS: Final = 50  # of a group, for delays of its own; also of losses


def describe_reference(
    records: Records,
    moments: Moments,
    final: Fitted,
    scale: Scale,
    seed: int,
) -> Reference:
    """Count the features of moments by month, and describe scores and delays of wins.

    Of more than `MOST_MOMENTS` moments, a sample of leads is described.

    Parameters
    ----------
    records : Records
    moments : Moments
        The moments that the model learned from; those of `final` begin with them.
    final : Fitted
        The model.
    scale : Scale
    seed : int

    Returns
    -------
    Reference
    """
    sampled = sample_of_leads(moments.lead, MOST_MOMENTS, seed)
    chosen = moments.take(sampled)
    pipeline = final.pipeline
    matrix = pipeline.transform(records, chosen.lead, chosen.as_of)
    names, month = _months(chosen)
    reasoner = Reasoner(pipeline.features, final.estimator, final.calibration, scale)
    points = reasoner.parts(matrix).of_signals.mean(axis=0)
    features = []
    for i, feature in enumerate(pipeline.features):
        bins = FeatureBins.fit(feature, matrix[:, i], *odd_values(pipeline, i))
        bin_of = bins.bins_of(matrix[:, i])
        bin_of[_is_alone(pipeline, i, records, chosen.lead)] = UNSEEN_BIN
        flat = month * bins.n_bins + bin_of
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
        held_out=_held_out(chosen, final, sampled, scale),
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


def _is_alone(pipeline: FeaturePipeline, place: int, records: Records, lead: Ints) -> Bools:
    """Return whether each moment's lead is the only one with its value of many, shape (n,).

    Such a value would be unseen if its lead were new. So the share of these leads estimates how
    many new leads have an unseen value. False for attributes of other kinds, which have no value
    of a single lead.

    References
    ----------
    Good, "The Population Frequencies of Species and the Estimation of Population Parameters", 1953.
    """
    attribute = pipeline.attributes[place] if place < len(pipeline.attributes) else None
    if not isinstance(attribute, TargetAttribute):
        return np.zeros(len(lead), dtype=bool)
    leads, of_lead = np.unique(lead, return_inverse=True)
    words = read_column(records.leads[attribute.column].iloc[leads], attribute.word, object)
    codes, names = pd.factorize(words)
    is_alone = (np.bincount(codes, minlength=len(names)) == 1) & (names != "")
    return np.asarray(is_alone[codes][of_lead])


def _held_out(moments: Moments, final: Fitted, sampled: Bools, scale: Scale) -> list[HeldOutMonth]:
    """Sum up by month what models that had not seen the leads say about the moments."""
    if final.out_of_fold is None:
        return []
    log_odds = final.calibration.log_odds_of(final.out_of_fold[: len(sampled)][sampled])
    names, place = _months(moments)
    months = []
    for i, name in enumerate(names):
        rows = (place == i) & ~np.isnan(log_odds)
        probability = expit(log_odds[rows])
        letters, counts = np.unique(scale.grade(scale.score(probability)), return_counts=True)
        months.append(
            HeldOutMonth(
                month=name,
                n=int(rows.sum()),
                expected=float(probability.sum()),
                won=int(moments.label[rows].sum()),
                grades=dict(zip(letters.tolist(), counts.tolist(), strict=True)),
            )
        )
    return months


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
