"""Checks of a column's values: LS104, LS106, LS110, LS111 and LS112."""

import numpy as np

from crm.arrays import Floats
from crm.text import quote
from features.attributes.attribute import NEARLY_UNIQUE
from features.leaks.check import (
    MIN_OUTCOMES_OF_LEAK,
    Verdict,
    check,
    leak_or_suspect,
    lower_bound,
    of_the_same_time,
    rounded,
)
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads

STRONG_AUC = 0.8  # no honest attribute ranks as many pairs correctly by itself


@check("LS104", "By itself it separates won from lost leads almost always.", compares_outcomes=True)
def separates_alone(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank leads by the column alone.

    If open leads have values as promising as those of closed leads, the strength of the
    column is explained, and it is a suspect at most.
    """
    auc, state = column.best_auc(leads.by_outcome), leads.by_state
    if auc.likely < STRONG_AUC:
        return None
    closed, still_open = state.shares(_win_rates(column, leads)[state.rows])
    is_explained = state.rarer >= 3 * MIN_OUTCOMES_OF_LEAK and still_open >= 0.6 * closed
    evidence = f"By itself it ranks {rounded(auc.value)} of pairs of won and lost leads correctly"
    if leads.in_order:
        evidence += ", among leads of the same time"
    if is_explained:
        evidence += "; but open leads have values much like those of closed leads"
    return leak_or_suspect(leads, auc.low >= STRONG_AUC and not is_explained), f"{evidence}."


def _win_rates(column: AuditedColumn, leads: AuditedLeads) -> Floats:
    """Compute the share of wins among the leads with each lead's value, shape (n_leads,)."""
    levels, groups = column.levels[leads.by_outcome.rows], leads.by_outcome
    width = int(column.levels.max()) + 1
    count = np.bincount(levels, minlength=width)
    won = np.bincount(levels, groups.is_first, minlength=width)
    return np.asarray((won + groups.is_first.mean()) / (count + 1))[column.levels]


@check("LS106", "Some of its values decide the outcome of many leads.", compares_outcomes=True)
def values_decide(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Find values whose leads almost all have one outcome.

    Honest values do so as well, but seldom for many leads.
    """
    groups, size = leads.by_outcome, len(column.values) + 1
    codes = column.codes[groups.rows]
    count, won = np.bincount(codes, minlength=size), np.bincount(codes, groups.is_first, size)
    expected = np.bincount(codes, groups.base, size) / np.maximum(count, 1)
    sides = []
    for outcome, hits, base in (("wins", won, expected), ("losses", count - won, 1 - expected)):
        decides = (count >= MIN_OUTCOMES_OF_LEAK) & (hits >= 0.98 * count) & (base <= 0.8)
        decides[-1] = False  # a missing value is not a value
        for code in np.flatnonzero(decides):
            decides[code] = lower_bound(hits[code], count[code]) >= 0.95
        if decides.any():
            sides.append((hits[decides].sum() / hits.sum(), outcome, np.flatnonzero(decides), hits))
    if not sides:
        return None
    share, outcome, codes, hits = max(sides, key=lambda side: side[0])
    largest = sorted(codes, key=lambda code: (-count[code], code))[:3]
    names = ", ".join(
        f"{quote(column.spellings[code][:40])} ({hits[code]:,.0f} of {count[code]:,})"
        for code in largest
    )
    verdict = Verdict.SUSPECT if share >= 0.25 else Verdict.FINE
    return (
        verdict,
        f"Values with {rounded(share)} of all {outcome} and almost nothing else: {names}.",
    )


@check(
    "LS110", "Its values differ between closed and open leads of the same time.", finds_closing=True
)
def changed_at_closing(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank closed and open leads by the column, and compare with the ranking by time alone."""
    groups = leads.by_state.take(column.filled[leads.by_state.rows])
    if groups.rarer < MIN_OUTCOMES_OF_LEAK:
        return None
    auc = column.best_auc(groups)
    by_time = groups.auc_either_way(leads.created[groups.rows].astype(float)).value
    if auc.low < 0.85 or auc.value < by_time + 0.1:
        return None
    verdict = Verdict.LEAK if auc.low >= 0.95 and leads.in_order else Verdict.SUSPECT
    return verdict, (
        f"Its values separate closed from open leads{of_the_same_time(leads)} "
        f"in {rounded(auc.value)} of pairs."
    )


@check("LS111", "Almost every lead has its own value: an identifier or free text.")
def identifies_leads(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Count distinct values; for information, because the pipeline leaves such columns out."""
    distinct, filled = len(column.values), int(column.filled.sum())
    if column.choices:
        return None
    is_key = column.numbers is None or (distinct == filled and _are_whole(column.numbers))
    if filled >= 100 and distinct > NEARLY_UNIQUE * filled and is_key and column.times is None:
        return Verdict.FINE, f"{distinct:,} values among {filled:,} leads."
    return None


def _are_whole(numbers: Floats) -> bool:
    return bool((numbers[np.isfinite(numbers)] % 1 == 0).all())


@check("LS112", "It is empty or always has the same value.")
def is_constant(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Find a second value; for information, because the pipeline leaves such columns out."""
    if not len(column.values):
        return Verdict.FINE, "It is empty."
    if len(column.values) == 1 and column.filled.all():
        return Verdict.FINE, f"It is always {quote(column.spellings[0][:40])}."
    return None
