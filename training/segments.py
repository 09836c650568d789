"""Evaluates a model on segments of leads, and compares groups of persons.

In each segment the predicted share of wins is compared with the true one. The variance of the
gap is the one that perfect probabilities would have, `sum of w² p (1 - p)`, times the design
effect of leads with several moments. This is a score test, which keeps its level when wins are
rare. A gap counts as more than chance after Holm's correction for the number of segments.
Segments overlap, so their tests depend on each other in unknown ways. Holm's bound holds for any
dependence, and keeps the chance of *any* false alarm below 5 %, because each alarm costs a
person's time. A bootstrap could not do this: 300 resamples cannot tell a p-value of 1 in 1,000
from 0.

References
----------
Kish, "Survey Sampling", 1965, for the design effect.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from crm.arrays import Bools, Floats, Ints, Labels
from crm.project import Project
from crm.records import Records
from features.attributes.attribute import MOSTLY
from features.groups import (
    FEWEST_LEADS,
    NOT_ALIKE,
    Groups,
    groups_by_value,
    groups_of_column,
)
from features.intervals import LEVEL, Z
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.evaluation.intervals import (
    auc_interval,
    holm,
    mean_interval,
    share_interval,
    squares_by_lead,
)
from models.evaluation.metrics import FEWEST_TO_JUDGE, log_losses, measure

FOUR_FIFTHS = 0.8
LEAST_DEVIATION = 1e-6  # rounding of certain, correct probabilities is not an alarm
TOO_FEW = "too few to judge"


def evaluate_segments(
    records: Records, pipeline: FeaturePipeline, moments: Moments, margin: Floats
) -> list[dict[str, Any]]:
    """Evaluate a model on each value of each category, flag and kind of e-mail address.

    Parameters
    ----------
    records : Records
    pipeline : FeaturePipeline
        Its attributes are the segments, categories with many values too.
    moments : Moments, length n
        Moments of leads that the model has not seen.
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds of these moments.

    Returns
    -------
    list of dict
        One for each group of `groups_by_value`, unless nearly all leads are in one group:
        `column`, `value`, `n` (moments), `n_leads`, `wins` (moments won), and either `verdict`
        ("too few to judge": fewer than `FEWEST_LEADS` leads, or fewer than `FEWEST_TO_JUDGE`
        of the rarer outcome) or `won` (true share), `stated` (mean probability), `gap` (stated
        minus true) with its 95 % interval `low`, `high`, `p` (the chance of a gap this large,
        after the correction), `is_off` (p below 5 %), `roc_auc` and `log_loss`, both with
        their 95 % intervals, `roc_auc_low` and so on.
    """
    leads, of_lead = np.unique(moments.lead, return_inverse=True)
    rows: list[dict[str, Any]] = []
    for attribute in pipeline.attributes:
        groups = groups_by_value(attribute, records.leads[attribute.column].iloc[leads])
        if groups is not None and np.bincount(groups.code).max() < MOSTLY * len(leads):
            rows += [row for row, _ in _evaluate_groups(groups, of_lead, moments, margin)]
    return _correct(rows)


def evaluate_fairness(
    records: Records, project: Project, moments: Moments, margin: Floats, is_selected: Bools
) -> list[dict[str, Any]]:
    """Compare groups of persons, by the columns that the project calls sensitive.

    The groups are compared whether or not the model reads these columns, because it can treat
    them differently through other columns that are related. Numbers, such as an age, and
    dates, by their year, are cut into bands with equal numbers of leads.

    The four-fifths rule of personnel selection marks a group that is selected less than 0.8
    times as often as the group selected most often. It is not a legal verdict, and does not
    explain why the groups differ.

    Parameters
    ----------
    records : Records
    project : Project
    moments : Moments, length n
        Moments of leads that the model has not seen.
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds of these moments.
    is_selected : ndarray of bool, shape (n,)
        Whether the grade of the moment is A or B, which sales works first.

    Returns
    -------
    list of dict
        The rows of `evaluate_segments`, and for every group of at least `FEWEST_LEADS` leads
        `selected` (the share selected) with the 95 % interval `selected_low`,
        `selected_high`, `ratio` (to the group selected most often) and
        `is_below_four_fifths`. Leads with a missing value, and rare values together, are not
        a reference for the ratio.

    References
    ----------
    Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 (D), 1978.
    """
    leads, of_lead = np.unique(moments.lead, return_inverse=True)
    rows: list[dict[str, Any]] = []
    for column in project.columns.sensitive:
        cells, notation = records.leads[column].iloc[leads], records.formats.get(column)
        groups = groups_of_column(cells, project, notation=notation).shortened()
        group_rows = []
        for row, chosen in _evaluate_groups(groups, of_lead, moments, margin):
            group_rows.append(row)
            if row["n_leads"] >= FEWEST_LEADS:
                selected, weight = is_selected[chosen], moments.weight[chosen]
                low, high = share_interval(selected, weight, moments.lead[chosen])
                row["selected"] = float(np.average(selected, weights=weight))
                row["selected_low"], row["selected_high"] = low, high
        _compare([r for r in group_rows if "selected" in r and r["value"] not in NOT_ALIKE])
        rows += group_rows
    return _correct(rows)


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    most = max((row["selected"] for row in rows), default=0.0)
    for row in rows if most > 0 else ():
        row["ratio"] = row["selected"] / most
        row["is_below_four_fifths"] = row["ratio"] < FOUR_FIFTHS


def _correct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p"], row["is_off"] = p, p < 1 - LEVEL
    return rows


def _evaluate_groups(
    groups: Groups, of_lead: Ints, moments: Moments, margin: Floats
) -> Iterator[tuple[dict[str, Any], Bools]]:
    """Return the figures of each group, and which moments belong to it."""
    code = groups.code[of_lead]
    for i, name in enumerate(groups.names):
        chosen = code == i
        figures = _evaluate_group(moments.take(chosen), margin[chosen])
        yield {"column": groups.column, "value": name, **figures}, chosen


def _evaluate_group(moments: Moments, margin: Floats) -> dict[str, Any]:
    label, weight, lead = moments.label, moments.weight, moments.lead
    facts: dict[str, Any] = {
        "n": len(label),
        "n_leads": len(np.unique(lead)),
        "wins": int(label.sum()),
    }
    if moments.rarer < FEWEST_TO_JUDGE or facts["n_leads"] < FEWEST_LEADS:
        return facts | {"verdict": TOO_FEW}
    probability = expit(margin)
    won, stated = (float(np.average(x, weights=weight)) for x in (label, probability))
    gap = stated - won
    deviation = _deviation(probability, label, weight, lead)
    metrics = measure(margin, label, weight)
    auc = auc_interval(margin, label, weight, lead)
    loss = mean_interval(log_losses(margin, label), weight, lead)
    return facts | {
        "won": won,
        "stated": stated,
        "gap": gap,
        "low": gap - Z * deviation,
        "high": gap + Z * deviation,
        "p": float(2 * ndtr(-abs(gap) / deviation)),
        "roc_auc": metrics["roc_auc"],
        "roc_auc_low": auc[0],
        "roc_auc_high": auc[1],
        "log_loss": metrics["log_loss"],
        "log_loss_low": max(0.0, loss[0]),
        "log_loss_high": loss[1],
    }


def _deviation(probability: Floats, label: Labels, weight: Floats, lead: Ints) -> float:
    """Compute the standard deviation of the gap if the probabilities were perfect."""
    if_right = (weight**2 * probability * (1 - probability)).sum()
    rest = weight * (probability - label - np.average(probability - label, weights=weight))
    alone = float((rest**2).sum())
    design_effect = max(1.0, squares_by_lead(rest, lead) / alone) if alone > 0 else 1.0
    return max(float(np.sqrt(if_right * design_effect) / weight.sum()), LEAST_DEVIATION)
