"""Checks of whether a column is filled: LS101, LS102, LS103 and LS105."""

import numpy as np

from crm.arrays import Bools
from crm.times import NOT_A_TIME
from features.leaks.check import (
    MIN_OUTCOMES,
    MIN_OUTCOMES_OF_LEAK,
    Verdict,
    check,
    leak_or_suspect,
    lower_bound,
    of_the_same_time,
    rounded,
)
from features.leaks.checks.names import is_assessment
from features.leaks.columns import AuditedColumn
from features.leaks.measures import AuditedLeads, TwoGroups


@check(
    "LS101",
    "It is filled for closed leads and almost never for open leads of the same time, or the "
    "reverse.",
    finds_closing=True,
)
def filled_at_closing(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare closed and open leads by how many have the column filled.

    A column such as "Next step" may be emptied when a lead is closed. If the smaller share is only
    somewhat smaller, the work of sales may explain it.
    """
    groups = leads.nearby(leads.by_state)
    lost = int((~leads.by_outcome.is_first).sum())
    if groups.rarer < MIN_OUTCOMES_OF_LEAK:
        return None
    filled = column.filled[groups.rows]
    closed, still_open = groups.shares(filled)
    less, more = sorted((closed, still_open))
    if groups.auc_either_way(filled.astype(float)).low <= 0.5 or more < 0.05:
        return None
    if less <= 0.1 * more:
        verdict = Verdict.LEAK if leads.in_order else Verdict.SUSPECT
    elif less <= 0.5 * more and more - less >= 0.2 and lost >= MIN_OUTCOMES_OF_LEAK:
        verdict = Verdict.SUSPECT
    else:
        return None
    n, m = groups.is_first.sum(), (~groups.is_first).sum()
    x, y = filled[groups.is_first].sum(), filled[~groups.is_first].sum()
    evidence = (
        f"Filled for {x:,} of {n:,} leads with an outcome and {y:,} of {m:,} leads without one"
    )
    if leads.in_order:
        evidence += f"; among leads of the same time, {rounded(closed)} and {rounded(still_open)}"
    return verdict, f"{evidence}."


@check(
    "LS102",
    "Almost all leads that have it filled ended the same way.",
    compares_outcomes=True,
    finds_closing=True,
)
def filled_means_one_outcome(
    column: AuditedColumn, leads: AuditedLeads
) -> tuple[Verdict, str] | None:
    """Check whether almost all leads with a value have the same outcome.

    A rare value of an honest attribute may do so by chance. So with few wins the verdict is
    suspect. The share of the outcome is that of the times in which the column is filled: a form may
    have asked for it only while hardly any lead was won.
    """
    groups, filled = leads.by_outcome, column.filled[leads.by_outcome.rows]
    n_filled = int(filled.sum())
    if n_filled < MIN_OUTCOMES:
        return None
    won = float(groups.base[filled].mean())
    for outcome, has_it, base in (
        ("won", groups.is_first, won),
        ("lost or unwon", ~groups.is_first, 1 - won),
    ):
        hits = int(has_it[filled].sum())
        low = lower_bound(hits, n_filled)
        if hits >= 0.95 * n_filled and low >= 0.85 and base <= 0.7:
            is_leak = low >= 0.9 and hits >= 0.1 * has_it.sum()
            return leak_or_suspect(leads, is_leak), (
                f"{hits:,} of the {n_filled:,} leads that have it filled were {outcome}; "
                f"{rounded(base)} of all leads{of_the_same_time(leads)} were."
            )
    return None


@check(
    "LS103",
    "Whether it is filled separates won from lost leads.",
    compares_outcomes=True,
    finds_closing=True,
)
def filling_separates(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Rank leads by whether the column is filled.

    A word for nothing is tried both as an empty cell and as a value: it may be a default that
    no one has changed yet.
    """
    groups, state = leads.by_outcome, leads.by_state
    for filled in (column.filled, column.written):
        auc = groups.auc_either_way(filled[groups.rows].astype(float))
        if auc.value < 0.65 or auc.low < 0.62:
            continue
        won, lost = groups.shares(filled[groups.rows])
        evidence = (
            f"Filled for {rounded(won)} of won leads and {rounded(lost)} of the others"
            f"{of_the_same_time(leads)}, which ranks {rounded(auc.value)} of pairs correctly"
        )
        closed, still_open = state.shares(filled[state.rows])
        # Open leads will be won or lost, so their share may be between those of the two.
        most = max(closed / 0.8, (closed + max(won, lost)) / 2)
        # Where hardly any lead has it filled, open leads show nothing.
        shows = closed >= 0.5 * filled[groups.rows].mean()
        if shows and state.rarer >= MIN_OUTCOMES_OF_LEAK and 0.8 * closed <= still_open <= most:
            return Verdict.FINE, (
                f"{evidence}; but open leads have it filled about as often as closed leads, "
                f"{rounded(still_open)} and {rounded(closed)}."
            )
        is_leak = auc.value >= 0.8 and auc.low >= 0.75
        return leak_or_suspect(leads, is_leak), f"{evidence}."
    return None


@check(
    "LS105",
    "It is filled in some periods and not in others, and this depends on what happened later.",
    compares_outcomes=True,
)
def filled_at_times(column: AuditedColumn, leads: AuditedLeads) -> tuple[Verdict, str] | None:
    """Compare slices of time by how many leads have the column filled.

    A form that changed on some day explains such a difference, if it is the same for all leads of
    that day. So the check compares leads of nearly the same time: if won leads have the column
    filled more often than lost ones, or leads that closed later than those that closed earlier, the
    column was filled later. A form never asks for a score or a rating: these are assigned later,
    too.
    """
    if not leads.in_order:
        return None
    groups, finding = leads.by_outcome, None
    counts = np.bincount(groups.part)
    for filled, is_cell in ((column.written, True), (column.filled, False)):
        rates = np.bincount(groups.part, filled[groups.rows]) / np.maximum(counts, 1)
        rates = rates[counts >= MIN_OUTCOMES_OF_LEAK]
        if not len(rates) or np.ptp(rates) < 0.5:
            continue
        evidence = (
            f"Filled for {rounded(rates.min())} of the leads in one period "
            f"and {rounded(rates.max())} in another"
        )
        reason = _sign_of_later(filled, leads)
        only_rises = (np.maximum.accumulate(rates) - rates).max() <= 0.15
        if reason is None and is_cell and not only_rises and is_assessment(column.name):
            reason = "and its name is that of a score or a rating, which no form asks for"
        if reason is not None:
            return Verdict.SUSPECT, f"{evidence}; {reason}."
        finding = (
            Verdict.FINE,
            (
                f"{evidence}; among leads of the same days and kind, how they ended makes no clear "
                "difference."
            ),
        )
    return finding


def _sign_of_later(filled: Bools, leads: AuditedLeads) -> str | None:
    """Return what shows that filling depends on what happened after the creation, or None."""
    groups = leads.by_outcome
    nearby = _divided(leads.nearby(groups), filled)
    if _goes_with_outcome(nearby, filled) and not _is_explained(filled, leads):
        won, lost = nearby.shares(filled[nearby.rows])
        return (
            f"where only some leads of the same days have it filled, these are {rounded(won)} of "
            f"the won and {rounded(lost)} of the others"
        )
    rows = np.flatnonzero((leads.closed != NOT_A_TIME) & (leads.created != NOT_A_TIME))
    same = np.zeros(len(rows), dtype=np.int64)
    nearby = _divided(leads.nearby(TwoGroups(rows, filled[rows], same, same)), filled)
    by_closing = nearby.auc_either_way(leads.closed[nearby.rows].astype(float))
    by_creation = nearby.auc_either_way(leads.created[nearby.rows].astype(float))
    if (
        nearby.rarer >= MIN_OUTCOMES
        and by_closing.low >= 0.65
        and by_closing.value >= max(0.8, by_creation.value + 0.1)
    ):
        return (
            "among leads of the same days, the time of closing decides which have it filled, in "
            f"{rounded(by_closing.value)} of pairs"
        )
    return None


def _divided(groups: TwoGroups, filled: Bools) -> TwoGroups:
    """Return the groups in the slices in which only some leads have a column filled."""
    counts = np.bincount(groups.part)
    share = np.bincount(groups.part, filled[groups.rows]) / np.maximum(counts, 1)
    return groups.take(((share >= 0.1) & (share <= 0.9))[groups.part])


def _goes_with_outcome(groups: TwoGroups, filled: Bools) -> bool:
    """Check whether won and lost leads of the same slices differ in how many have it filled."""
    auc = groups.auc_either_way(filled[groups.rows].astype(float))
    return groups.rarer >= MIN_OUTCOMES and auc.value >= 0.55 and auc.low > 0.5


def _is_explained(filled: Bools, leads: AuditedLeads) -> bool:
    """Check whether kinds of leads, such as several forms, explain which leads have it filled.

    A kind explains it if leads of one kind differ less than all leads of the same time do, and if
    won and lost leads of one kind do not differ. The kinds themselves must not contain the outcome.
    """
    groups = leads.by_outcome
    unexplained = _spread(leads.nearby(groups), filled)
    for kind in leads.kinds:
        of_kind = leads.nearby(groups, kind)
        if _spread(of_kind, filled) > 0.8 * unexplained:
            continue
        is_honest = groups.auc(groups.rates(kind[groups.rows])).value < 0.7
        if is_honest and not _goes_with_outcome(_divided(of_kind, filled), filled):
            return True
    return False


def _spread(groups: TwoGroups, filled: Bools) -> float:
    """Compute the mean variance, within slices, of whether a column is filled."""
    counts = np.bincount(groups.part)
    hits = np.bincount(groups.part, filled[groups.rows])
    has_pairs = counts > 1
    hits, counts = hits[has_pairs], counts[has_pairs]
    return float((hits * (counts - hits) / (counts - 1)).sum() / max(1, counts.sum()))
