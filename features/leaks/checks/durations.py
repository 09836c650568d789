"""The check of durations: LS113."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.times import DAY, NOT_A_TIME
from features.leaks.check import MIN_OUTCOMES_OF_LEAK, Verdict, check, rounded
from features.leaks.columns import AuditedColumn
from features.leaks.measures import SURE, AuditedLeads

UNITS: Final[Mapping[str, float]] = {  # in days
    "seconds": 1 / 86_400,
    "minutes": 1 / 1_440,
    "hours": 1 / 24,
    "days": 1.0,
    "working days": 7 / 5,
    "weeks": 7.0,
    "months": 365.25 / 12,
}
BY_CHANCE = 0.25  # with more pairs that agree by chance, an agreement shows nothing


@check(
    "LS113",
    "It measures how long the lead was worked on, or how old it was at the export.",
    finds_closing=True,
)
def measures_duration(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare the column with the time from the creation to the closing, and to the export.

    The unit may be any, and the last change may be somewhat earlier or later than the closing. So
    the check also ranks closed leads by both, among leads of the same creation: otherwise, if many
    leads were closed on one day, every number that follows the calendar would measure their lives.
    """
    days = column.durations
    if days is None or column.times is not None:
        return None
    is_known = np.isfinite(days) & (leads.created != NOT_A_TIME)
    is_closed = is_known & (leads.closed != NOT_A_TIME) & (leads.closed >= leads.created)
    created = leads.created / DAY
    if is_closed.sum() >= MIN_OUTCOMES_OF_LEAK:
        finding = _like_life(days[is_closed], created[is_closed], leads.closed[is_closed] / DAY)
        if finding is not None:
            return finding
    if leads.until == NOT_A_TIME:
        return None
    until, is_open = leads.until / DAY, is_known & ~leads.is_closed
    for rows, which in ((is_open, "open "), (is_known, "")):
        if rows.sum() >= MIN_OUTCOMES_OF_LEAK:
            finding = _like_age(days[rows], created[rows], until, which)
            if finding is not None:
                return finding
    if is_open.sum() < MIN_OUTCOMES_OF_LEAK:
        return None
    return _most_of_age(days[is_open], until - created[is_open])


def _like_life(numbers: Floats, created: Floats, closed: Floats) -> tuple[Verdict, str] | None:
    life = closed - created
    for unit, size in UNITS.items():
        measured, tolerance = numbers * size, max(size, 1.0)
        near = float((np.abs(measured - life) <= tolerance).mean())
        if near >= 0.5 and _agreement_by_chance(measured, life, tolerance) <= BY_CHANCE:
            return Verdict.LEAK, (
                f"In {unit}, it is the time from the creation to the closing for {rounded(near)} "
                "of the closed leads."
            )
    correlation, low = _partial_rank_correlation(numbers, life, created)
    if low < 0.7:
        return None
    return Verdict.LEAK if low >= 0.9 else Verdict.SUSPECT, (
        "It ranks closed leads much as the time from their creation to their closing does: the "
        f"rank correlation is {correlation:.2f}."
    )


def _like_age(
    numbers: Floats, created: Floats, until: float, which: str
) -> tuple[Verdict, str] | None:
    for unit, size in UNITS.items():
        ends, tolerance = created + numbers * size, max(size, 1.0)
        export = float(np.median(ends))
        near = float((np.abs(ends - export) <= tolerance).mean())
        is_now = -7 - size <= export - until <= 3 + size
        by_chance = _agreement_by_chance(created, created, tolerance)
        if is_now and near >= 0.8 and by_chance <= BY_CHANCE:
            return Verdict.LEAK, (
                f"In {unit}, it is the age at the export for {rounded(near)} of the {which}leads."
            )
    return None


def _most_of_age(numbers: Floats, age: Floats) -> tuple[Verdict, str] | None:
    """Find the time to the latest activity: half of the age of an open lead or more."""
    is_positive = (numbers > 0) & (age > 0)
    if is_positive.mean() < 0.9:
        return None
    numbers, age = np.log(numbers[is_positive]), np.log(age[is_positive] + 1)
    for unit, size in UNITS.items():
        below, tolerance = age - numbers - np.log(size), np.log(2) / 2
        near = float((np.abs(below - tolerance) <= tolerance).mean())
        by_chance = _agreement_by_chance(numbers + np.log(size) + tolerance, age, tolerance)
        if near >= 0.75 and by_chance <= 0.5:
            return Verdict.SUSPECT, (
                f"In {unit}, it is between half of the age at the export and all of it for "
                f"{rounded(near)} of the open leads, and for {rounded(by_chance)} by chance."
            )
    return None


def _agreement_by_chance(left: Floats, right: Floats, tolerance: float) -> float:
    """Compute the share of all pairs of a left and a right value that differ so little."""
    right = np.sort(right)
    upper = np.searchsorted(right, left + tolerance, side="right")
    lower = np.searchsorted(right, left - tolerance, side="left")
    return float((upper - lower).mean() / len(right))


def _partial_rank_correlation(left: Floats, right: Floats, given: Floats) -> tuple[float, float]:
    """Compute the rank correlation of two measures, given a third, and its lower bound.

    Kendall and Gibbons, Rank Correlation Methods, 1990; the bound is that of Fisher's z. A measure
    that the third decides has the correlation 0.
    """
    ranks = np.vstack([pd.Series(values).rank().to_numpy() for values in (left, right, given)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return 0.0, 0.0
    correlations = np.asarray(np.corrcoef(ranks))
    between, with_left, with_right = correlations[0, 1], correlations[0, 2], correlations[1, 2]
    rest = (1 - with_left**2) * (1 - with_right**2)
    if rest < 0.01:
        return 0.0, 0.0
    correlation = float(
        np.clip((between - with_left * with_right) / np.sqrt(rest), -0.9999, 0.9999)
    )
    low = np.tanh(np.arctanh(correlation) - SURE / np.sqrt(max(1, len(left) - 4)))
    return correlation, float(low)
